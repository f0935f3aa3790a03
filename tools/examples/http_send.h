/*
 * Responds with a file below the current folder. The kernel resolves the name
 * so that it cannot leave the folder, and sends the bytes from the page cache.
 * Reading a file that is not in the cache delays only its own connection.
 */
#ifndef WEIR_EXAMPLES_HTTP_SEND_H
#define WEIR_EXAMPLES_HTTP_SEND_H

#include "http_answer.h"
#include "http_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

/* Returns 503 if this server has run out of a resource or cannot read the
 * file. */
static inline int status_of(int error)
{
    switch (error) {
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -EAGAIN:
    case -EIO:
        return 503;
    default:
        return 404; /* not found, or outside of the folder */
    }
}

static inline int send_file(weir_writer *writer,
                            const struct http_request *request, int fd,
                            uint64_t length)
{
    struct file_part part = {.length = length};
    char lines[FILE_LINES];
    int status = choose_part(&request->range, &part);
    describe_file(lines, status, request->path, &part);
    int error = say_head(writer, status, stays(request), part.count, lines);
    if (error < 0 || request->is_head) {
        return error;
    }
    int64_t sent = weir_writer_sendfile(writer, fd, &part.first, part.count);
    bool is_short = sent >= 0 && (uint64_t)sent < part.count;
    return is_short ? -EIO : sent < 0 ? (int)sent : 0;
}

static inline int send_answer(weir_writer *writer,
                              const struct http_request *request)
{
    weir_loop *loop = weir_writer_get_loop(writer);
    struct weir_file_status file = {.size = sizeof(file)};
    int fd = weir_file_openat(loop, AT_FDCWD, request->path,
                              O_RDONLY | O_NONBLOCK, 0, RESOLVE_BENEATH);
    int error = fd < 0 ? fd : weir_file_stat(loop, fd, &file);
    if (error < 0) {
        error = say_head(writer, status_of(error), stays(request), 0, "");
    } else if (!S_ISREG(file.mode)) {
        error = say_head(writer, 404, stays(request), 0, "");
    } else {
        error = send_file(writer, request, fd, file.len_bytes);
    }
    int closed = fd < 0 ? 0 : weir_file_close(loop, fd);
    return error < 0 ? error : closed;
}

#endif

/*
 * A file server over HTTP/1.0, or over HTTPS with a certificate and its key:
 * GET sends a file of the current folder, without copying its bytes where
 * possible.
 * Usage: file_server_streams [PORT [CHAIN KEY]]
 */
#include "serve.h"
#include "tls_run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

static int say(weir_writer *writer, const char *status)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "HTTP/1.0 %s\r\n\r\n", status);
    return weir_writer_write(writer, text, (size_t)len);
}

static int send_file(weir_loop *loop, weir_writer *writer, int fd)
{
    char text[80];
    struct weir_file_status file = {.size = sizeof(file)};
    uint64_t offset = 0;

    if (fd < 0 || weir_file_stat(loop, fd, &file) < 0 || !S_ISREG(file.mode)) {
        return say(writer, "404 Not Found");
    }
    snprintf(text, sizeof(text), "200 OK\r\nContent-Length: %zu",
             (size_t)file.len_bytes);
    int error = say(writer, text);
    if (error < 0) {
        return error;
    }
    int64_t sent = weir_writer_sendfile(writer, fd, &offset, file.len_bytes);
    return sent < 0 ? (int)sent : 0;
}

static int answer(void *arg, weir_reader *reader, weir_writer *writer)
{
    weir_loop *loop = weir_writer_get_loop(writer);
    static const struct weir_separator end = {"\r\n\r\n", 4};
    char text[1024];
    char path[1024];
    ssize_t len =
        weir_reader_readuntil(reader, &end, 1, text, sizeof(text) - 1);

    (void)arg;
    text[len > 0 ? len : 0] = '\0';
    if (sscanf(text, "GET /%1000s HTTP/1.", path) != 1) {
        return say(writer, "400 Bad Request");
    }
    int fd = weir_file_openat(loop, AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0,
                              RESOLVE_BENEATH);
    if (fd == -EXDEV) { /* leads out of the folder: "..", "//", a link */
        return say(writer, "403 Forbidden");
    }
    int error = send_file(loop, writer, fd);
    int closed = fd < 0 ? 0 : weir_file_close(loop, fd);
    return error < 0 ? error : closed;
}

int main(int argc, char **argv)
{
    if (argc == 4) {
        serve_options.server.tls = use_certificate(argv[2], argv[3]);
    }
    return serve(answer, argc > 1 ? argv[1] : NULL);
}

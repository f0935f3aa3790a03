/*
 * Reading the system's files whole. The buffer doubles while bytes are read,
 * because a file's size may not be the number of its bytes ("/proc", a pipe). A
 * FIFO instead of a file does not block: the bytes that it has are read.
 */
#include "system_file.h"

#include "uring/check.h"
#include "uring/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define TEXT_SIZE_MIN 4096u
#define TEXT_SIZE_MAX (1u << 24) /* bounds an endless file */
#define CHECK_NS      UINT64_C(1000000000)

/* Returns -EFBIG at the maximum size. */
WEIR_MUST_USE static int
system_text_make_room(const struct weir_allocator *allocator,
                      struct wr_system_text *text)
{
    const size_t size = text->size > 0 ? text->size * 2 : TEXT_SIZE_MIN;

    wr_assert(text->len <= text->size);
    wr_require(size <= TEXT_SIZE_MAX, -EFBIG);
    char *bytes = wr_alloc(allocator, size);
    wr_require(bytes, -ENOMEM);
    if (text->len > 0) {
        memcpy(bytes, text->bytes, text->len);
    }
    wr_free(allocator, text->bytes, text->size);
    text->bytes = bytes;
    text->size = size;
    return 0;
}

/* Reads to the end or to the maximum size, and leaves space for a NUL. */
WEIR_MUST_USE static int
system_text_fill(const struct weir_allocator *allocator, int fd,
                 struct wr_system_text *text)
{
    ssize_t got = 1;

    while (got > 0 || (got < 0 && errno == EINTR)) {
        if (text->len + 1 >= text->size) {
            int err = system_text_make_room(allocator, text);
            text->is_cut = err == -EFBIG;
            if (err < 0) {
                return text->is_cut ? 0 : err;
            }
        }
        got = read(fd, text->bytes + text->len, text->size - text->len - 1);
        text->len += got > 0 ? (size_t)got : 0;
    }
    wr_assert(text->len < text->size);
    return 0;
}

int wr_system_text_read(const struct weir_allocator *allocator,
                        const char *path, struct wr_system_text *ret)
{
    wr_assert(path != NULL);
    wr_assert(!ret->bytes);
    const int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd < 0) {
        return wr_sys_is_shortage(-errno) ? -errno : 0;
    }
    int err = system_text_fill(allocator, fd, ret);
    close(fd);
    if (err < 0) {
        wr_system_text_free(allocator, ret);
        return err;
    }
    ret->bytes[ret->len] = '\0';
    return 0;
}

char *wr_system_text_next(struct wr_system_text *text, size_t *at)
{
    wr_assert(*at <= text->len);
    wr_assert(text->len == 0 || text->bytes);
    if (*at == text->len) {
        return NULL;
    }
    char *line = text->bytes + *at;
    char *newline = memchr(line, '\n', text->len - *at);
    if (!newline && text->is_cut) {
        return NULL;
    }
    if (newline) {
        *newline = '\0';
        *at += (size_t)(newline + 1 - line);
    } else {
        *at = text->len;
    }
    return line;
}

void wr_system_text_free(const struct weir_allocator *allocator,
                         struct wr_system_text *text)
{
    wr_free(allocator, text->bytes, text->size);
    *text = (struct wr_system_text){.bytes = NULL};
}

bool wr_system_file_note(struct wr_system_file *file, const char *path)
{
    const uint64_t stamp = wr_sys_file_stamp(path);
    const bool has_changed = file->was_noted && stamp != file->stamp;

    wr_assert(path != NULL);
    file->stamp = stamp;
    file->was_noted = true;
    return has_changed;
}

bool wr_system_file_has_changed(struct wr_system_file *file, const char *path,
                                uint64_t now_ns)
{
    if (now_ns < file->check_ns) {
        return false;
    }
    file->check_ns = wr_add_sat(now_ns, CHECK_NS);
    return wr_system_file_note(file, path);
}

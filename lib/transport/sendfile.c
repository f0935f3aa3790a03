/*
 * Sending files: the public functions.
 *
 * The file is looked at once, here, so that every kind of transport is given
 * one that it can read: a regular file, open for reading, with a part of it
 * that lies within the numbers of the kernel.
 */
#include "weir/sendfile.h"

#include "transport.h"
#include "uring/sys.h"

#include <fcntl.h>

/* 0 when the file can be sent; *ret_size is its size now. */
static int sendfile_look(int fd, uint64_t *ret_size)
{
    struct stat stat;
    const int flags = wr_sys_flags(fd);

    if (flags < 0) {
        return flags;
    }
    if ((flags & O_ACCMODE) == O_WRONLY || flags & O_PATH) {
        return -EBADF;
    }
    int err = wr_sys_fstat(fd, &stat);
    if (err < 0) {
        return err;
    }
    if (S_ISDIR(stat.st_mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(stat.st_mode)) {
        return -ESPIPE;
    }
    wr_assert(stat.st_size >= 0);
    *ret_size = (uint64_t)stat.st_size;
    return flags & O_DIRECT ? -EINVAL : 0;
}

int weir_transport_sendfile(weir_transport *t, int fd, uint64_t offset,
                            uint64_t count, weir_sendfile_done_fn *done,
                            void *arg)
{
    struct wr_sendfile part = {
        .fd = fd, .offset = offset, .done = done, .arg = arg};
    int err = wr_loop_check(t->loop);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->sendfile, -EOPNOTSUPP);
    wr_require(done && offset <= INT64_MAX, -EINVAL);
    part.left = INT64_MAX - offset;
    if (count != WEIR_TO_END) {
        wr_require(count <= part.left, -EINVAL);
        part.left = count;
    }
    err = sendfile_look(fd, &part.size);
    wr_require(err == 0, err);
    if (count == WEIR_TO_END && part.size > offset) {
        part.left = part.size - offset; /* some files tell no size */
    }
    return t->ops->sendfile(t, &part);
}

int weir_transport_cancel_sendfile(weir_transport *t)
{
    int err = wr_loop_check(t->loop);
    if (err < 0) {
        return err;
    }
    if (t->ops->cancel_sendfile) {
        t->ops->cancel_sendfile(t);
    }
    return 0;
}

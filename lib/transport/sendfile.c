/*
 * Sending files: the public functions, and the rules of sendfile.h.
 *
 * The file is looked at once, here, so that every kind of transport is given
 * one that it can read: a regular file, open for reading, with a part of it
 * that lies within the numbers of the kernel.
 */
#include "sendfile.h"

#include "transport.h"
#include "uring/sys.h"

#include <fcntl.h>

/* Of one system call, and of a turn. Others wait meanwhile, some 100 us. With
 * less the kernel's queue is seldom full, and what leaves it is sent in calls
 * of the server's rather than as acknowledgements come in: measured over the
 * loopback, 256 KiB cost it twice as much.
 */
#define PIECE_BYTES (1024u << 10)

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

int wr_sendfile_init(struct wr_sendfile *part, const weir_loop *loop, int fd,
                     uint64_t offset, uint64_t count)
{
    const bool to_end = count == WEIR_TO_END;
    uint64_t size = 0;

    wr_require(offset <= INT64_MAX, -EINVAL);
    wr_require(to_end || count <= INT64_MAX - offset, -EINVAL);
    int err = sendfile_look(fd, &size);
    wr_require(err == 0, err);
    if (to_end) { /* some files tell no size */
        count = size > offset ? size - offset : INT64_MAX - offset;
    }
    *part = (struct wr_sendfile){
        .fd = fd,
        .offset = offset,
        .left = count,
        .size = size,
        .only_reads = !wr_has(&loop->uring.features, WR_FEATURE_CACHESTAT),
    };
    return 0;
}

size_t wr_sendfile_cached_bytes(struct wr_sendfile *part)
{
    if (part->only_reads || part->offset >= part->size) {
        return 0;
    }
    const size_t len = (size_t)wr_min_u64(
        PIECE_BYTES, wr_min_u64(part->left, part->size - part->offset));
    const int ret = wr_sys_is_cached(part->fd, part->offset, len);
    part->only_reads = ret < 0;
    return ret > 0 ? len : 0;
}

void wr_sendfile_took(struct wr_sendfile *part, uint64_t bytes)
{
    wr_assert(bytes > 0);
    wr_assert(bytes <= part->left);
    part->offset += bytes;
    part->left -= bytes;
}

bool wr_sendfile_is_blamed(int err)
{
    switch (err) {
    case -EACCES:
    case -EBADF:
    case -EFAULT:
    case -EINVAL:
    case -EIO:
    case -EISDIR:
    case -ENODATA:
    case -ENOMEM:
    case -ENOSYS:
    case -ENXIO:
    case -EOVERFLOW:
    case -EPERM:
    case -ESPIPE:
    case -ESTALE:
        return true;
    default:
        return false;
    }
}

int weir_transport_sendfile(weir_transport *t, int fd, uint64_t offset,
                            uint64_t count, weir_sendfile_done_fn *done,
                            void *arg)
{
    struct wr_sendfile part;
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->sendfile, -EOPNOTSUPP);
    wr_require(done, -EINVAL);
    err = wr_sendfile_init(&part, t->loop, fd, offset, count);
    wr_require(err == 0, err);
    part.done = done;
    part.arg = arg;
    return t->ops->sendfile(t, &part);
}

int weir_transport_cancel_sendfile(weir_transport *t)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    if (t->ops->cancel_sendfile) {
        t->ops->cancel_sendfile(t);
    }
    return 0;
}

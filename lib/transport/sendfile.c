/*
 * Sending files: the public functions, and the rules of sendfile.h. The file
 * must be a regular file, open for reading, and the part must be within the
 * kernel's range of offsets.
 */
#include "sendfile.h"

#include "transport.h"
#include "uring/sys.h"

#include <fcntl.h>

/* Bytes of one system call and of one loop iteration, which takes about 100 us.
 * With smaller pieces the kernel's queue is seldom full, and packets are sent
 * inside the server's calls instead of on acknowledgements: over the loopback,
 * pieces of 256 KiB double the server's CPU time. */
#define PIECE_BYTES WR_CACHED_MAX
/* Minimum of a lookup in the cache, for a peer that takes little at a time. */
#define LOOK_LEAST ((size_t)64 << 10)

/* Limits of counting cached pages in advance: bytes, and age of the count. */
#define COUNTED_BYTES ((uint64_t)4 << 20)
#define COUNTED_NS    2000000u

static int sendfile_look(int fd, struct statx *ret)
{
    const int flags = wr_sys_flags(fd);

    if (flags < 0) {
        return flags;
    }
    if ((flags & O_ACCMODE) == O_WRONLY || flags & O_PATH) {
        return -EBADF;
    }
    int err = wr_sys_stat_known(fd, ret);
    if (err < 0) {
        return err;
    }
    if (S_ISDIR(ret->stx_mode)) {
        return -EISDIR;
    }
    if (!S_ISREG(ret->stx_mode)) {
        return -ESPIPE;
    }
    return flags & O_DIRECT ? -EINVAL : 0;
}

int wr_sendfile_init(struct wr_sendfile *part, int fd, uint64_t offset,
                     uint64_t count)
{
    const bool to_end = count == WEIR_TO_END;
    struct statx stat;

    wr_require(offset <= INT64_MAX, -EINVAL);
    wr_require(to_end || count <= INT64_MAX - offset, -EINVAL);
    int err = sendfile_look(fd, &stat);
    wr_require(err == 0, err);
    const uint64_t size = stat.stx_size;
    if (to_end) { /* some files report no size */
        count = size > offset ? size - offset : INT64_MAX - offset;
    }
    *part = (struct wr_sendfile){
        .fd = fd,
        .id = {.device =
                   (uint64_t)stat.stx_dev_major << 32 | stat.stx_dev_minor,
               .inode = stat.stx_ino},
        .offset = offset,
        .left = count,
        .size = size,
        .look = PIECE_BYTES,
        .flags = -1,
    };
    return 0;
}

/* Returns 1 if the next @len bytes, known to be ready, are all still cached.
 * Else forgets them, because cachestat() counts a page as soon as its read
 * starts. */
static int sendfile_count(struct wr_sendfile *part, weir_loop *loop, size_t len)
{
    if (part->never_counts ||
        !wr_cached_is_known(loop, &part->id, part->offset, len)) {
        return 0;
    }
    const int ret = wr_sys_is_cached(part->fd, part->offset, len);
    part->never_counts = ret < 0;
    if (ret <= 0) {
        wr_cached_forget(loop, &part->id, part->offset, len);
        return 0;
    }
    part->counted_end = part->offset + len;
    part->counted_until_ns = wr_add_sat(loop->now_ns, COUNTED_NS);
    return 1;
}

/* For a fast peer, counts the following pieces, too. */
static bool sendfile_is_still_cached(struct wr_sendfile *part, weir_loop *loop,
                                     size_t len)
{
    if (part->offset + len <= part->counted_end &&
        loop->now_ns < part->counted_until_ns) {
        return true;
    }
    const uint64_t ahead = wr_min_u64(
        COUNTED_BYTES, wr_min_u64(part->left, part->size - part->offset));
    if (len == PIECE_BYTES && sendfile_count(part, loop, (size_t)ahead) > 0) {
        return true;
    }
    return sendfile_count(part, loop, len) > 0;
}

size_t wr_sendfile_cached_bytes(struct wr_sendfile *part, weir_loop *loop)
{
    if (part->only_reads || part->offset >= part->size) {
        return 0;
    }
    const size_t len = (size_t)wr_min_u64(
        part->look, wr_min_u64(part->left, part->size - part->offset));
    if (sendfile_is_still_cached(part, loop, len)) {
        return len;
    }
    const int64_t ret = wr_sys_cached_bytes(part->fd, part->offset, len,
                                            part->size, &part->is_told);
    part->only_reads = ret < 0;
    if (ret < (int64_t)len) { /* a page is missing, or being read */
        wr_cached_forget(loop, &part->id, part->offset, len);
    }
    if (ret <= 0) {
        return 0;
    }
    wr_cached_note(loop, &part->id, part->offset, (size_t)ret);
    return (size_t)ret;
}

/* Adapts ->look to the free space: looking up a page takes 9 to 60 ns. */
static void sendfile_found_room(struct wr_sendfile *part, size_t len,
                                uint64_t bytes)
{
    wr_assert(bytes <= len);
    part->burst += bytes;
    part->is_full = bytes < len;
    const uint64_t next =
        wr_max_u64(LOOK_LEAST, wr_min_u64(PIECE_BYTES, 2 * part->burst));
    if (part->is_full) {
        part->look = (size_t)next;
        part->burst = 0;
    } else if (next > part->look) {
        part->look = (size_t)next;
    }
}

/* True for an error of the file or of sendfile(), not of the socket. */
static bool sendfile_is_blamed(int err)
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

int64_t wr_sendfile_offered(struct wr_sendfile *part, weir_loop *loop,
                            size_t len, int64_t res)
{
    wr_assert(len > 0 && res <= (int64_t)len);
    if (res > 0) {
        sendfile_found_room(part, len, (uint64_t)res);
        wr_budget_send(&loop->budget, (uint64_t)res);
    } else if (res < 0 && sendfile_is_blamed((int)res)) {
        part->only_reads = true;
        return 0;
    }
    return res;
}

void wr_sendfile_end_burst(struct wr_sendfile *part, int fd)
{
    wr_assert(fd >= 0);
    if (part->flags >= 0) {
        wr_sys_end_nonblock(fd, part->flags);
        part->flags = -1;
    }
}

int64_t wr_sendfile_splice(struct wr_sendfile *part, weir_loop *loop, int fd)
{
    const size_t len = wr_sendfile_cached_bytes(part, loop);

    wr_assert(part->left > 0);
    if (len == 0) {
        return 0;
    }
    const int64_t res = wr_sys_sendfile(fd, part->fd, part->offset, len);
    return wr_sendfile_offered(part, loop, len, res);
}

size_t wr_sendfile_small_bytes(const struct wr_sendfile *part)
{
    if (part->offset >= part->size) {
        return 0;
    }
    const uint64_t len = wr_min_u64(part->left, part->size - part->offset);
    return len <= WR_SENDFILE_SMALL ? (size_t)len : 0;
}

void wr_sendfile_took(struct wr_sendfile *part, uint64_t bytes)
{
    wr_assert(bytes > 0);
    wr_assert(bytes <= part->left);
    part->offset += bytes;
    part->left -= bytes;
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
    err = wr_sendfile_init(&part, fd, offset, count);
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

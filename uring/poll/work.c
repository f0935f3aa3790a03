/*
 * A thread makes one system call for an entry, as a rule.
 *
 * A FIFO or a terminal was ready when its operation came here, but another
 * process may take the bytes or the room first, and a blocking call would wait
 * for more, out of reach of a cancel. So the file is opened once more, for this
 * one call, in non-blocking mode: the mode belongs to the open file, which
 * other processes share, and is not changed there. Where this is refused the
 * call is made on the descriptor itself and may wait.
 */
#include "work.h"

#include "../check.h"
#include "../sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static int32_t work_result(long ret)
{
    wr_debug_assert(ret >= -1);
    return ret < 0 ? -errno : (int32_t)ret;
}

bool wr_ep_waits_for_file(const struct io_uring_sqe *sqe)
{
    const bool moves =
        sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_WRITE;

    wr_assert(!moves || sqe->len > 0);
    return (moves && sqe->off == UINT64_MAX) || sqe->opcode == IORING_OP_SPLICE;
}

/* A file that can be opened once more: a FIFO, or a terminal that is no master,
 * whose opening would make another one. */
static bool work_may_reopen(int fd)
{
    struct stat info;
    char
        name[sizeof("/dev/pts/") + 3 * sizeof(fd)]; /* of a terminal's master */

    wr_assert(fd >= 0);
    if (fstat(fd, &info) < 0) {
        return false;
    }
    return S_ISFIFO(info.st_mode) || (S_ISCHR(info.st_mode) && isatty(fd) &&
                                      ptsname_r(fd, name, sizeof(name)) != 0);
}

/* A non-blocking descriptor of the same file; negative: there is none. */
static int work_reopen(int fd)
{
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(fd)];
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || !work_may_reopen(fd)) {
        return -EINVAL;
    }
    const int len = snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    wr_assert(len > 0 && (size_t)len < sizeof(path));
    return work_result(
        open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

/* A read or write on this descriptor. */
static int32_t work_move_on(const struct io_uring_sqe *sqe, int fd)
{
    void *buf = (void *)(uintptr_t)sqe->addr;
    const bool reads = sqe->opcode == IORING_OP_READ;

    wr_assert(fd >= 0);
    if (sqe->off != UINT64_MAX) {
        return work_result(reads ? pread(fd, buf, sqe->len, (off_t)sqe->off)
                                 : pwrite(fd, buf, sqe->len, (off_t)sqe->off));
    }
    return work_result(reads ? read(fd, buf, sqe->len)
                             : write(fd, buf, sqe->len));
}

static int32_t work_move(const struct io_uring_sqe *sqe)
{
    const int own = wr_ep_waits_for_file(sqe) ? work_reopen(sqe->fd) : -EINVAL;

    if (own < 0) {
        return work_move_on(sqe, sqe->fd);
    }
    const int32_t ret = work_move_on(sqe, own);
    wr_ignore(wr_sys_close(own) < 0);
    return ret;
}

static int32_t work_splice_on(const struct io_uring_sqe *sqe, int from, int to)
{
    wr_assert(sqe->splice_off_in == UINT64_MAX);
    return work_result(splice(from, NULL, to, NULL, sqe->len, 0));
}

/* One end is a non-blocking pipe of weir, the other one the file. */
static int32_t work_splice(const struct io_uring_sqe *sqe)
{
    const int flags = fcntl(sqe->splice_fd_in, F_GETFL);
    wr_require(flags >= 0, -errno);
    const bool reads = !(flags & O_NONBLOCK);
    const int own = work_reopen(reads ? sqe->splice_fd_in : sqe->fd);
    const int from = own >= 0 && reads ? own : sqe->splice_fd_in;
    const int to = own >= 0 && !reads ? own : sqe->fd;
    const int32_t ret = work_splice_on(sqe, from, to);

    wr_assert(from != to);
    if (own >= 0) {
        wr_ignore(wr_sys_close(own) < 0);
    }
    return ret;
}

int32_t wr_ep_work(const struct io_uring_sqe *sqe, wr_ep_rest_fn *rest,
                   void *arg)
{
    switch (sqe->opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
        return work_move(sqe);
    case IORING_OP_SPLICE:
        return work_splice(sqe);
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
        return wr_ep_work_open(sqe, rest, arg);
    case IORING_OP_FSYNC:
        return work_result(sqe->fsync_flags & IORING_FSYNC_DATASYNC
                               ? fdatasync(sqe->fd)
                               : fsync(sqe->fd));
    case IORING_OP_STATX:
        return wr_sys_statx(sqe->fd, (const char *)(uintptr_t)sqe->addr,
                            (int)sqe->statx_flags, sqe->len,
                            (struct statx *)(uintptr_t)sqe->off);
    case IORING_OP_CLOSE:
        return wr_sys_close(sqe->fd);
    default:
        wr_check(sqe->opcode == IORING_OP_CLOSE); /* weir makes no others */
        return -EINVAL;
    }
}

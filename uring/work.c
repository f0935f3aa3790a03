/*
 * The system calls of SQEs; see work.h.
 *
 * A FIFO or a terminal was ready when its operation came here. But another
 * process may take the bytes or the space first, and a blocking call would wait
 * for more, out of reach of a cancel. So the file is opened once more, for this
 * one call, in non-blocking mode: other processes share the original's mode. If
 * the second open is refused, the call is made on the descriptor itself, and
 * may wait.
 *
 * The loop's thread avoids that wait as far as it can. It moves the bytes of a
 * pipe through a non-blocking pipe of its own, since a splice to or from such a
 * pipe does not wait. It polls a terminal first, and moves only as much as
 * needs no wait. It also blocks the signals that a write may raise, which other
 * threads always block.
 */
#include "work.h"

#include "check.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

static int32_t work_result(long ret)
{
    wr_debug_assert(ret >= -1);
    return ret < 0 ? -errno : (int32_t)ret;
}

static bool work_moves(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_WRITE;
}

bool wr_work_waits(const struct io_uring_sqe *sqe)
{
    wr_assert(!work_moves(sqe) || sqe->len > 0);
    return (work_moves(sqe) && sqe->off == UINT64_MAX) ||
           sqe->opcode == IORING_OP_SPLICE;
}

bool wr_work_has_places(const struct io_uring_sqe *sqe)
{
    wr_assert(work_moves(sqe));
    return sqe->off != UINT64_MAX &&
           (lseek(sqe->fd, 0, SEEK_CUR) >= 0 || errno != ESPIPE);
}

/* One end of a splice is a non-blocking pipe of weir, the other is the file. */
static bool work_reads(const struct io_uring_sqe *sqe)
{
    wr_assert(work_moves(sqe) || sqe->opcode == IORING_OP_SPLICE);
    if (sqe->opcode != IORING_OP_SPLICE) {
        return sqe->opcode == IORING_OP_READ;
    }
    const int flags = fcntl(sqe->splice_fd_in, F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK);
}

static int work_file(const struct io_uring_sqe *sqe)
{
    return sqe->opcode == IORING_OP_SPLICE && work_reads(sqe)
               ? sqe->splice_fd_in
               : sqe->fd;
}

bool wr_work_asks_nothing(const struct io_uring_sqe *sqe)
{
    mode_t mode;

    return (work_moves(sqe) || sqe->opcode == IORING_OP_SPLICE) &&
           wr_sys_mode(work_file(sqe), &mode) == 0 && !S_ISREG(mode) &&
           !S_ISBLK(mode) && !S_ISDIR(mode);
}

/* Returns true for a FIFO, or a terminal that is not a master: opening a master
 * would make another terminal. */
static bool work_may_reopen(int fd)
{
    struct stat info;
    char name[sizeof("/dev/pts/") + 3 * sizeof(fd)];

    wr_assert(fd >= 0);
    if (fstat(fd, &info) < 0) {
        return false;
    }
    return S_ISFIFO(info.st_mode) || (S_ISCHR(info.st_mode) && isatty(fd) &&
                                      ptsname_r(fd, name, sizeof(name)) != 0);
}

/* Returns a non-blocking descriptor of the same file, or a negative error. */
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

static int32_t work_move_on(const struct io_uring_sqe *sqe, int fd)
{
    void *buf = (void *)(uintptr_t)sqe->addr;
    const bool reads = work_reads(sqe);

    wr_assert(fd >= 0);
    if (sqe->opcode == IORING_OP_SPLICE) {
        wr_assert(sqe->splice_off_in == UINT64_MAX);
        return work_result(splice(reads ? fd : sqe->splice_fd_in, NULL,
                                  reads ? sqe->fd : fd, NULL, sqe->len, 0));
    }
    if (sqe->off != UINT64_MAX) {
        return work_result(reads ? pread(fd, buf, sqe->len, (off_t)sqe->off)
                                 : pwrite(fd, buf, sqe->len, (off_t)sqe->off));
    }
    return reads ? wr_sys_pipe_read(fd, buf, sqe->len)
                 : wr_sys_pipe_write(fd, buf, sqe->len);
}

/* Returns -EINVAL without effect if the file cannot be opened once more. */
static int work_move_apart(const struct io_uring_sqe *sqe, int32_t *ret)
{
    const int own = work_reopen(work_file(sqe));

    wr_assert(wr_work_waits(sqe));
    wr_require(own >= 0, -EINVAL);
    *ret = work_move_on(sqe, own);
    wr_ignore(wr_sys_close(own) < 0);
    return 0;
}

static int32_t work_move(const struct io_uring_sqe *sqe)
{
    int32_t ret;

    return wr_work_waits(sqe) && work_move_apart(sqe, &ret) == 0
               ? ret
               : work_move_on(sqe, work_file(sqe));
}

static int32_t work_fetch(int stage, char *buf, int32_t len)
{
    for (int32_t done = 0; done < len;) {
        const int32_t got =
            wr_sys_pipe_read(stage, buf + done, (size_t)(len - done));
        wr_check(got != 0 && got != -EAGAIN);
        /* The file of a spliced page may have been truncated. */
        wr_require(got > 0, got);
        done += got;
    }
    return len;
}

/* Bytes that the pipe did not accept are dropped with @stage. */
static int32_t work_move_staged(const struct io_uring_sqe *sqe,
                                const int stage[2])
{
    char *buf = (char *)(uintptr_t)sqe->addr;

    wr_assert(work_moves(sqe));
    if (work_reads(sqe)) {
        const int32_t got =
            work_result(splice(sqe->fd, NULL, stage[1], NULL, sqe->len, 0));
        return got > 0 ? work_fetch(stage[0], buf, got) : got;
    }
    const int32_t put = wr_sys_pipe_write(stage[1], buf, sqe->len);
    wr_require(put > 0, put);
    return work_result(splice(stage[0], NULL, sqe->fd, NULL, (size_t)put, 0));
}

/* A splice needs no stage, because one of its ends is a non-blocking pipe. */
static int32_t work_move_pipe(const struct io_uring_sqe *sqe)
{
    int stage[2];

    if (!work_moves(sqe)) {
        return work_move_on(sqe, work_file(sqe));
    }
    const int err = wr_sys_pipe_nonblock(stage);
    wr_require(err >= 0, err);
    const int32_t res = work_move_staged(sqe, stage);
    wr_ignore(wr_sys_close(stage[0]) < 0);
    wr_ignore(wr_sys_close(stage[1]) < 0);
    return res;
}

/* Returns how many bytes one call may move without blocking once the file is
 * ready. A character device accepts at least one byte, other files all. */
static uint32_t work_step(const struct io_uring_sqe *sqe)
{
    mode_t mode;
    int bytes = 0;

    wr_assert(sqe->len > 0);
    if (wr_sys_mode(work_file(sqe), &mode) < 0 || !S_ISCHR(mode)) {
        return sqe->len;
    }
    if (!work_reads(sqe)) {
        return 1;
    }
    /* A read of more bytes than have arrived may wait for the rest, or for
     * VTIME (termios(3)). FIONREAD returns 0 at the end of a terminal's
     * input. */
    return ioctl(work_file(sqe), FIONREAD, &bytes) == 0 && bytes > 0
               ? (uint32_t)wr_min_u64(sqe->len, (uint64_t)bytes)
               : sqe->len;
}

/* Moves bytes in steps that do not block. A read makes only one step. */
static int32_t work_move_stepwise(const struct io_uring_sqe *sqe)
{
    struct io_uring_sqe step;
    uint32_t done = 0;

    wr_sqe_copy(&step, sqe);
    do {
        struct pollfd look = {.fd = work_file(sqe),
                              .events = work_reads(sqe) ? POLLIN : POLLOUT};
        int32_t res = -EAGAIN;
        wr_assert(look.fd >= 0);
        if (poll(&look, 1, 0) != 0) { /* an error counts as ready */
            step.len = work_step(sqe);
            wr_assert(step.len > 0 && step.len <= sqe->len);
            res = work_move_on(&step, work_file(&step));
        }
        if (res <= 0) {
            return done > 0 ? (int32_t)done : res;
        }
        done += (uint32_t)res;
        step.addr += work_moves(&step) ? (uint32_t)res : 0;
    } while (!work_reads(sqe) && step.len < sqe->len &&
             done + step.len <= sqe->len);
    return (int32_t)done;
}

static int32_t work_call(const struct io_uring_sqe *sqe, wr_rest_fn *rest,
                         void *arg)
{
    switch (sqe->opcode) {
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_SPLICE:
        return work_move(sqe);
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
        return wr_work_open(sqe, rest, arg);
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
    case IORING_OP_NOP:
        return 0;
    default:
        wr_check(sqe->opcode == IORING_OP_CLOSE);
        return -EINVAL;
    }
}

int32_t wr_work(const struct io_uring_sqe *sqe, wr_rest_fn *rest, void *arg)
{
    const int32_t res = work_call(sqe, rest, arg);

    return res == -ECANCELED ? -EIO : res;
}

static int32_t work_move_here(const struct io_uring_sqe *sqe)
{
    struct io_uring_sqe call;
    int32_t ret;

    wr_sqe_copy(&call, sqe);
    if (work_moves(sqe) && !wr_work_has_places(sqe)) {
        /* as with io_uring, which ignores a pipe's offset */
        call.off = UINT64_MAX;
    }
    if (!wr_work_waits(&call)) {
        return work_move(&call);
    }
    if (work_move_apart(&call, &ret) == 0) {
        return ret;
    }
    mode_t mode;
    return wr_sys_mode(work_file(&call), &mode) == 0 && S_ISFIFO(mode)
               ? work_move_pipe(&call)
               : work_move_stepwise(&call);
}

int32_t wr_work_here(const struct io_uring_sqe *sqe)
{
    struct wr_sys_signals signals;

    if (!work_moves(sqe) && sqe->opcode != IORING_OP_SPLICE) {
        return wr_work(sqe, NULL, NULL);
    }
    const int err = wr_sys_block_signals(&signals);
    wr_require(err >= 0, err);
    const int32_t res = work_move_here(sqe);
    /* A short write may have raised a signal: the file accepted some bytes and
     * refused the rest. */
    wr_sys_restore_signals(&signals, res < (int64_t)sqe->len);
    return res == -ECANCELED ? -EIO : res;
}

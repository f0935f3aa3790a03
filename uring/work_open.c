/*
 * Opening files for wr_work().
 *
 * Opening a FIFO waits for its other end, perhaps for ever. So a FIFO is opened
 * in non-blocking mode, and polled until its other end is open or the caller's
 * rest function fails. Without a writer, tee() from a reader returns 0. Without
 * a reader, a writer's open() fails with ENXIO.
 *
 * The loop's thread opens all files in non-blocking mode, because open() may
 * wait for a terminal's carrier or for the holder of a lease (fcntl(2)). For a
 * lease open() then fails with -EAGAIN, and the kernel notifies the holder.
 */
#include "work.h"

#include "check.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int work_open_call(const struct io_uring_sqe *sqe,
                          const struct open_how *how)
{
    const char *path = (const char *)(uintptr_t)sqe->addr;
    long fd;

    wr_assert(path);
    if (sqe->opcode == IORING_OP_OPENAT) {
        fd = openat(sqe->fd, path, (int)how->flags, (mode_t)how->mode);
    } else {
        fd = syscall(SYS_openat2, sqe->fd, path, how, sizeof(*how));
    }
    return fd < 0 ? -errno : (int)fd;
}

/* If @sqe opens a FIFO and would wait for its other end, returns an O_PATH
 * descriptor of the FIFO, else -1. */
static int work_open_find_fifo(const struct io_uring_sqe *sqe,
                               const struct open_how *how)
{
    const uint64_t keeps = O_NOFOLLOW | O_CLOEXEC;
    const struct open_how handle = {.flags = (how->flags & keeps) | O_PATH,
                                    .resolve = how->resolve};
    struct stat info;

    if (how->flags & (O_NONBLOCK | O_PATH | O_DIRECTORY) ||
        (how->flags & O_ACCMODE) == O_RDWR) {
        return -1;
    }
    const int fd = work_open_call(sqe, &handle);
    if (fd >= 0 && (fstat(fd, &info) < 0 || !S_ISFIFO(info.st_mode))) {
        wr_ignore(wr_sys_close(fd) < 0);
        return -1;
    }
    wr_assert(fd < 0 || S_ISFIFO(info.st_mode));
    return fd;
}

static int work_open_rest(wr_rest_fn *rest, void *arg)
{
    const int err = rest ? rest(arg) : -EAGAIN;

    wr_assert(err <= 0);
    return err;
}

/* If it fails, closes the descriptor. */
static int work_open_set_blocking(int fd)
{
    const int err = wr_sys_set_blocking(fd);

    if (err < 0) {
        wr_ignore(wr_sys_close(fd) < 0);
        return err;
    }
    return fd;
}

/* Returns true if the FIFO has a writer or bytes, or has had a writer. */
static bool work_open_has_writer(int fd, int stage)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    wr_assert(fd >= 0);
    return poll(&look, 1, 0) != 0 ||
           (tee(fd, stage, 1, SPLICE_F_NONBLOCK) < 0 && errno == EAGAIN);
}

static int work_open_await_writer(int fd, wr_rest_fn *rest, void *arg)
{
    int stage[2];

    int err = wr_sys_pipe_nonblock(stage);
    wr_require(err >= 0, err);
    while (err == 0 && !work_open_has_writer(fd, stage[1])) {
        err = work_open_rest(rest, arg);
    }
    wr_ignore(wr_sys_close(stage[0]) < 0);
    wr_ignore(wr_sys_close(stage[1]) < 0);
    return err;
}

static int work_open_fifo(int handle, const struct open_how *how,
                          wr_rest_fn *rest, void *arg)
{
    char path[sizeof("/proc/self/fd/") + 3 * sizeof(handle)];
    const int flags = (int)how->flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW);
    const int len = snprintf(path, sizeof(path), "/proc/self/fd/%d", handle);
    int fd = -ENXIO;
    int err = 0;

    wr_assert(len > 0 && (size_t)len < sizeof(path));
    while (fd == -ENXIO && err == 0) {
        fd = open(path, flags | O_NONBLOCK);
        fd = fd < 0 ? -errno : fd;
        err = fd == -ENXIO ? work_open_rest(rest, arg) : 0;
    }
    if (fd >= 0 && (flags & O_ACCMODE) == O_RDONLY) {
        err = work_open_await_writer(fd, rest, arg);
    }
    if (fd >= 0 && err < 0) {
        wr_ignore(wr_sys_close(fd) < 0);
    }
    return err < 0 ? err : fd < 0 ? fd : work_open_set_blocking(fd);
}

int32_t wr_work_open(const struct io_uring_sqe *sqe, wr_rest_fn *rest,
                     void *arg)
{
    struct open_how how = {.flags = sqe->open_flags, .mode = sqe->len};

    if (sqe->opcode == IORING_OP_OPENAT2) {
        wr_assert(sqe->len == sizeof(how));
        how = *(const struct open_how *)(uintptr_t)sqe->off;
    }
    const int handle = work_open_find_fifo(sqe, &how);
    if (handle < 0 && (rest || how.flags & (O_NONBLOCK | O_PATH))) {
        return work_open_call(sqe, &how);
    }
    if (handle < 0) { /* on the loop's thread */
        how.flags |= O_NONBLOCK;
        const int opened = work_open_call(sqe, &how);
        return opened < 0 ? opened : work_open_set_blocking(opened);
    }
    const int fd = how.flags & O_CREAT && how.flags & O_EXCL
                       ? -EEXIST
                       : work_open_fifo(handle, &how, rest, arg);
    wr_assert(fd != handle);
    wr_ignore(wr_sys_close(handle) < 0);
    return fd;
}

/*
 * Calls of files that the loop's thread makes where no other thread can be
 * made: no write raises a signal, and a signal that is the program's own is
 * kept.
 */
#include "uring/work.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

enum { SIZE = 100, LIMIT = 50 };

static char bytes[SIZE];

static struct io_uring_sqe entry(uint8_t opcode, int fd)
{
    struct io_uring_sqe sqe;
    memset(&sqe, 0, sizeof(sqe));
    sqe.opcode = opcode;
    sqe.fd = fd;
    sqe.addr = (uintptr_t)bytes;
    sqe.len = SIZE;
    sqe.off = UINT64_MAX;
    return sqe;
}

static int32_t write_here(int fd)
{
    const struct io_uring_sqe sqe = entry(IORING_OP_WRITE, fd);
    return wr_work_here(&sqe);
}

/* From a pipe of weir, which holds as many bytes. */
static int32_t splice_here(int fd)
{
    int stage[2];
    struct io_uring_sqe sqe = entry(IORING_OP_SPLICE, fd);
    expect_eq(pipe2(stage, O_CLOEXEC | O_NONBLOCK), 0);
    expect_eq(write(stage[1], bytes, SIZE), SIZE);
    sqe.addr = 0;
    sqe.splice_off_in = UINT64_MAX;
    sqe.splice_fd_in = stage[0];
    const int32_t res = wr_work_here(&sqe);
    close(stage[0]);
    close(stage[1]);
    return res;
}

static int pipe_without_reader(void)
{
    int fds[2];
    expect_eq(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    return fds[1];
}

/* A file to which no byte more may be written at its position. */
static int file_at_limit(void)
{
    struct rlimit limit;
    char path[] = "/tmp/weir-work-XXXXXX";
    const int fd = mkstemp(path);
    expect_geq(fd, 0);
    expect_eq(unlink(path), 0);
    expect_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = LIMIT;
    expect_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_eq(lseek(fd, LIMIT, SEEK_SET), LIMIT);
    return fd;
}

/* One of both signals is in the set of those that are blocked or pending. */
static bool has_signal(const sigset_t *set)
{
    return sigismember(set, SIGPIPE) == 1 || sigismember(set, SIGXFSZ) == 1;
}

static void expect_no_signal_left(void)
{
    sigset_t set;
    expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    cr_assert(!has_signal(&set), "none is blocked");
    expect_eq(sigpending(&set), 0);
    cr_assert(!has_signal(&set), "none is pending");
}

UNIT(work, a_write_to_a_pipe_without_a_reader_raises_no_signal)
{
    const int fd = pipe_without_reader();
    signal(SIGPIPE, SIG_DFL); /* whatever the test was started with */
    expect_eq(write_here(fd), -EPIPE);
    expect_eq(splice_here(fd), -EPIPE);
    expect_no_signal_left();
    close(fd);
}

UNIT(work, a_write_beyond_the_limit_of_sizes_raises_no_signal)
{
    const int fd = file_at_limit();
    signal(SIGXFSZ, SIG_DFL);
    expect_eq(write_here(fd), -EFBIG);
    expect_eq(splice_here(fd), -EFBIG);
    expect_eq(lseek(fd, LIMIT - 10, SEEK_SET), LIMIT - 10);
    expect_eq(write_here(fd), 10);
    expect_no_signal_left();
    close(fd);
}

/* A signal that the program had blocked, and was sent, waits on. */
static void keep_own_signal(int own, int fd, int32_t expected)
{
    const struct timespec at_once = {.tv_sec = 0};
    sigset_t set;
    signal(own, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, own);
    expect_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    expect_eq(raise(own), 0);

    expect_eq(write_here(fd), expected);

    expect_eq(sigtimedwait(&set, NULL, &at_once), own);
    expect_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
    expect_no_signal_left();
    close(fd);
}

UNIT(work, a_signal_of_the_program_s_own_is_kept)
{
    signal(SIGXFSZ, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    keep_own_signal(SIGPIPE, pipe_without_reader(), -EPIPE);
    keep_own_signal(SIGXFSZ, pipe_without_reader(), -EPIPE);
    keep_own_signal(SIGXFSZ, file_at_limit(), -EFBIG);
}

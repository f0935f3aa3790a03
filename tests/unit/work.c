/*
 * File calls that the loop's thread makes because no other thread can be
 * created: no write raises a signal, the program's own signals are kept, a pipe
 * used by others is not waited for, nor are more bytes of a terminal.
 *
 * Real pipes and terminals are used.
 */
#include "uring/work.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

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

/* From weir's own pipe, which holds as many bytes. */
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

/* Returns a file that cannot be extended at its position. */
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

/* Returns true if one of both signals is in the set of blocked or pending
 * signals. */
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
    signal(SIGPIPE, SIG_DFL); /* whatever the test program inherited */
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

/* A signal that the program has blocked and received stays pending. */
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

enum { NOBODY = 65534, PIPE_BYTES = 65536, GUARD_SECONDS = 60 };

static int other_end = -1; /* of a pipe; -1 if no other program uses it */

/* What another program does after a check: it reads everything, or fills the
 * pipe. */
static void be_faster(void)
{
    char all[PIPE_BYTES] = "";
    const int flags = fcntl(other_end, F_GETFL);
    expect_eq(fcntl(other_end, F_SETFL, flags | O_NONBLOCK), 0);
    while ((flags & O_ACCMODE) == O_RDONLY
               ? read(other_end, all, sizeof(all)) > 0
               : write(other_end, all, sizeof(all)) > 0) {
    }
    expect_eq(fcntl(other_end, F_SETFL, flags), 0);
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    const int ret = __real_poll(fds, count, timeout_ms);
    if (other_end >= 0) {
        be_faster();
    }
    return ret;
}

/* Makes a blocking pipe that cannot be opened by name. The test is ended by a
 * signal if a call waits. */
static void make_shut_pipe(int ret[2])
{
    expect_eq(pipe2(ret, O_CLOEXEC), 0);
    expect_eq(fchmod(ret[0], 0), 0);
    cr_assert(geteuid() != 0 || setuid(NOBODY) == 0);
    expect_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* as LeakSanitizer needs it */
    alarm(GUARD_SECONDS);
}

static int32_t read_here(int fd)
{
    const struct io_uring_sqe sqe = entry(IORING_OP_READ, fd);
    return wr_work_here(&sqe);
}

UNIT(work, a_read_does_not_wait_when_another_program_takes_the_bytes)
{
    int ends[2];
    make_shut_pipe(ends);
    expect_eq(read_here(ends[0]), -EAGAIN);
    expect_eq(write(ends[1], "abc", 3), 3);
    other_end = ends[0];
    const int32_t res = read_here(ends[0]);
    cr_assert(res == 3 || res == -EAGAIN);
    other_end = -1;
    close(ends[1]);
    expect_eq(read_here(ends[0]), 0, "the end");
    close(ends[0]);
}

UNIT(work, a_write_does_not_wait_when_another_program_fills_the_pipe)
{
    int ends[2];
    make_shut_pipe(ends);
    other_end = ends[1];
    const int32_t res = write_here(ends[1]);
    cr_assert(res == SIZE || res == -EAGAIN);
    be_faster();
    other_end = -1;
    expect_eq(write_here(ends[1]), -EAGAIN);
    close(ends[0]);
    close(ends[1]);
}

enum { FEW = 3, VMIN_BYTES = 10, VTIME_MAX = 255, MORE_SECONDS = 20 };

static int master = -1;

/* Bytes that arrive while a read waits, if one does. */
static void send_more(int signum)
{
    if (write(master, bytes, VMIN_BYTES - FEW) != VMIN_BYTES - FEW) {
        abort();
    }
}

static int shut_terminal(void)
{
    struct termios raw;
    int slave;
    expect_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    expect_eq(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = VMIN_BYTES;
    raw.c_cc[VTIME] = VTIME_MAX; /* 25.5 s between bytes */
    expect_eq(tcsetattr(slave, TCSANOW, &raw), 0);
    expect_eq(fchmod(slave, 0), 0);
    cr_assert(geteuid() != 0 || setuid(NOBODY) == 0);
    expect_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* as LeakSanitizer needs it */
    return slave;
}

UNIT(work, a_read_does_not_wait_for_more_bytes_of_a_terminal)
{
    const struct sigaction more = {.sa_handler = send_more,
                                   .sa_flags = SA_RESTART};
    const int slave = shut_terminal();
    expect_eq(sigaction(SIGALRM, &more, NULL), 0);
    expect_eq(read_here(slave), -EAGAIN);
    expect_eq(write(master, bytes, FEW), FEW);
    alarm(MORE_SECONDS);

    expect_eq(read_here(slave), FEW);

    alarm(0);
    expect_eq(read_here(slave), -EAGAIN);
    close(slave);
    close(master);
    master = -1;
}

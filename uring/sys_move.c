/*
 * System calls of sys.h that move bytes.
 *
 * Calls that have no flag against waiting or SIGPIPE are made with a
 * non-blocking socket and blocked signals. If a seccomp filter refuses a call,
 * an equivalent call is made.
 */
#include "check.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static bool sys_move_is_refused(int err)
{
    wr_assert(err < 0);
    return err == -EPERM || err == -ENOSYS;
}

/* A seccomp filter may allow readv() but not read(). */
int32_t wr_sys_pipe_read(int fd, void *buf, size_t len)
{
    const struct iovec iov = {.iov_base = buf, .iov_len = len};
    wr_assert(fd >= 0);
    wr_assert(len <= INT32_MAX);
    ssize_t got = read(fd, buf, len);
    if (got < 0 && sys_move_is_refused(-errno)) {
        got = readv(fd, &iov, 1);
    }
    return got < 0 ? -errno : (int32_t)got;
}

int32_t wr_sys_pipe_write(int fd, const void *buf, size_t len)
{
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)buf,
                              .iov_len = len};
    wr_assert(buf || len == 0);
    wr_assert(len <= INT32_MAX);
    ssize_t put = write(fd, buf, len);
    if (put < 0 && sys_move_is_refused(-errno)) {
        put = writev(fd, &iov, 1);
    }
    return put < 0 ? -errno : (int32_t)put;
}

static int sys_move_one_message(ssize_t ret, struct mmsghdr *message)
{
    wr_require(ret >= 0, -errno);
    wr_check(ret <= INT32_MAX);
    message->msg_len = (unsigned int)ret;
    return 1;
}

int wr_sys_recvmmsg(int fd, struct mmsghdr *messages, uint32_t count)
{
    const int flags = MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC;

    wr_assert(count > 0);
    const int got = recvmmsg(fd, messages, count, flags, NULL);
    if (got < 0 && sys_move_is_refused(-errno)) {
        return sys_move_one_message(recvmsg(fd, &messages->msg_hdr, flags),
                                    messages);
    }
    return got < 0 ? -errno : got;
}

int wr_sys_sendmmsg(int fd, struct mmsghdr *messages, uint32_t count)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;

    wr_assert(count > 0);
    const int put = sendmmsg(fd, messages, count, flags);
    if (put < 0 && sys_move_is_refused(-errno)) {
        return sys_move_one_message(sendmsg(fd, &messages->msg_hdr, flags),
                                    messages);
    }
    return put < 0 ? -errno : put;
}

int wr_sys_eventfd_write(int fd)
{
    const eventfd_t one = 1;
    const int32_t put = wr_sys_pipe_write(fd, &one, sizeof(one));
    return put < 0 ? put : 0;
}

int wr_sys_eventfd_drain(int fd)
{
    eventfd_t count;
    wr_assert(fd >= 0);
    const int32_t got = wr_sys_pipe_read(fd, &count, sizeof(count));
    return got == -EAGAIN || got >= 0 ? 0 : got;
}

_Static_assert(sizeof(long) == sizeof(off_t), "a position is one argument");

/* The caller then makes other calls, which return the file's own errors. */
static int32_t sys_move_lacks(int32_t err)
{
    return sys_move_is_refused(err) ? -EOPNOTSUPP : err;
}

int32_t wr_sys_read(int fd, struct iovec *iov, uint32_t count)
{
    wr_assert(count > 0);
    /* musl has preadv2() since 1.2.5. Offset -1 means the file's own. */
    const ssize_t got = syscall(SYS_preadv2, fd, iov, (unsigned long)count, -1L,
                                0L, RWF_NOWAIT);
    wr_check(got <= INT32_MAX);
    return got < 0 ? sys_move_lacks(-errno) : (int32_t)got;
}

static int32_t sys_move_write(int fd, const struct iovec *iov, uint32_t count,
                              int flags)
{
    wr_assert(count > 0);
    const ssize_t put = syscall(SYS_pwritev2, fd, iov, (unsigned long)count,
                                -1L, 0L, (RWF_NOWAIT | flags));
    wr_check(put <= INT32_MAX);
    return put < 0 ? sys_move_lacks(-errno) : (int32_t)put;
}

/* The kernel sends the SIGPIPE or SIGXFSZ of a write to the calling thread.
 * While blocked, the signal stays pending. */
int wr_sys_block_signals(struct wr_sys_signals *signals)
{
    static const int raised[] = {SIGPIPE, SIGXFSZ};
    sigset_t pending;

    sigemptyset(&pending);
    sigemptyset(&signals->removed);
    sigaddset(&signals->removed, SIGPIPE);
    sigaddset(&signals->removed, SIGXFSZ);
    const int err =
        pthread_sigmask(SIG_BLOCK, &signals->removed, &signals->before);
    wr_require(err == 0, -err);
    if (sigismember(&signals->before, SIGPIPE) == 1 ||
        sigismember(&signals->before, SIGXFSZ) == 1) {
        wr_ignore(sigpending(&pending) < 0);
    }
    for (size_t i = 0; i < sizeof(raised) / sizeof(raised[0]); i++) {
        if (sigismember(&pending, raised[i]) == 1) {
            sigdelset(&signals->removed, raised[i]);
        }
    }
    return 0;
}

void wr_sys_restore_signals(const struct wr_sys_signals *signals,
                            bool may_be_raised)
{
    if (may_be_raised) {
        /* The sender of a signal that a call of this thread has raised is this
         * process. A signal from another process is queued again. */
        static const struct timespec at_once = {.tv_sec = 0};
        siginfo_t info;

        const int signum = sigtimedwait(&signals->removed, &info, &at_once);
        if (signum > 0 && info.si_pid != getpid()) {
            wr_ignore(syscall(SYS_rt_sigqueueinfo, getpid(), signum, &info) <
                      0);
        }
    }
    wr_ignore(pthread_sigmask(SIG_SETMASK, &signals->before, NULL) != 0);
}

int32_t wr_sys_write(int fd, const struct iovec *iov, uint32_t count,
                     bool has_nosignal)
{
    struct wr_sys_signals signals;

    if (has_nosignal) {
        return sys_move_write(fd, iov, count, RWF_NOSIGNAL);
    }
    const int err = wr_sys_block_signals(&signals);
    wr_require(err >= 0, err);
    const int32_t res = sys_move_write(fd, iov, count, 0);
    wr_sys_restore_signals(&signals, res == -EPIPE);
    return res;
}

/* sendfile() and splice() have no non-blocking flag for one call. */
int wr_sys_begin_nonblock(int fd)
{
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0 ||
        (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)) {
        return -errno;
    }
    return flags;
}

/* Keeps other flags, which another holder of the socket may have changed. */
void wr_sys_end_nonblock(int fd, int flags)
{
    wr_assert(flags >= 0);
    if (!(flags & O_NONBLOCK)) {
        const int now = fcntl(fd, F_GETFL);
        wr_ignore(now < 0 || fcntl(fd, F_SETFL, now & ~O_NONBLOCK) < 0);
    }
}

int64_t wr_sys_sendfile_bare(int fd, int file, uint64_t offset, size_t len)
{
    off_t at = (off_t)offset;

    wr_assert(len > 0);
    wr_assert(offset <= INT64_MAX);
    const ssize_t sent = sendfile(fd, file, &at, len);
    return sent < 0 ? -errno : sent;
}

int64_t wr_sys_sendfile(int fd, int file, uint64_t offset, size_t len)
{
    struct wr_sys_signals signals;

    const int flags = wr_sys_begin_nonblock(fd);
    wr_require(flags >= 0, flags);
    const int err = wr_sys_block_signals(&signals);
    if (err < 0) {
        wr_sys_end_nonblock(fd, flags);
        return err;
    }
    const int64_t ret = wr_sys_sendfile_bare(fd, file, offset, len);
    wr_sys_end_nonblock(fd, flags);
    /* SIGPIPE is raised even if some bytes were sent before. */
    wr_sys_restore_signals(&signals, ret < (int64_t)len);
    return ret;
}

int wr_sys_begin_splices(struct wr_sys_splices *splices, int from, int to)
{
    int err = wr_sys_block_signals(&splices->signals);
    wr_require(err >= 0, err);
    splices->from = from;
    splices->to = to;
    splices->may_be_raised = false;
    splices->from_flags = wr_sys_begin_nonblock(from);
    if (splices->from_flags < 0) {
        err = splices->from_flags;
        goto restore_signals;
    }
    splices->to_flags = wr_sys_begin_nonblock(to);
    if (splices->to_flags < 0) {
        err = splices->to_flags;
        goto end_nonblock;
    }
    return 0;

end_nonblock:
    wr_sys_end_nonblock(from, splices->from_flags);
restore_signals:
    wr_sys_restore_signals(&splices->signals, false);
    return err;
}

void wr_sys_end_splices(const struct wr_sys_splices *splices)
{
    wr_sys_end_nonblock(splices->to, splices->to_flags);
    wr_sys_end_nonblock(splices->from, splices->from_flags);
    wr_sys_restore_signals(&splices->signals, splices->may_be_raised);
}

static int32_t sys_move_splice(int from, int to, size_t len)
{
    wr_assert(len > 0 && len <= INT32_MAX);
    const ssize_t done =
        splice(from, NULL, to, NULL, len, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    return done < 0 ? -errno : (int32_t)done;
}

int32_t wr_sys_splice_in(const struct wr_sys_splices *splices, int pipe,
                         size_t len)
{
    return sys_move_splice(splices->from, pipe, len);
}

int32_t wr_sys_splice_out(struct wr_sys_splices *splices, int pipe, size_t len)
{
    const int32_t ret = sys_move_splice(pipe, splices->to, len);

    /* SIGPIPE may be raised even if some bytes were moved. */
    splices->may_be_raised |= ret < (int32_t)len;
    return ret;
}

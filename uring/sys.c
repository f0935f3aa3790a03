/*
 * System calls of sys.h: most functions make one call.
 *
 * Little is decided here, and an errno is returned as a negative number. So
 * tests that replace sys.h test nearly all of weir's logic.
 */
#include "sys.h"

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int sys_result(int ret)
{
    return ret < 0 ? -errno : ret;
}

uint64_t wr_sys_now(void)
{
    struct timespec now;
    int err = clock_gettime(CLOCK_MONOTONIC, &now);
    wr_check(err == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void wr_sys_sleep_a_little(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    wr_ignore(nanosleep(&pause, NULL) < 0);
}

int wr_sys_socket(int family, int type, int protocol)
{
    return sys_result(socket(family, type | SOCK_CLOEXEC, protocol));
}

int wr_sys_set_cloexec(int fd)
{
    const int flags = fcntl(fd, F_GETFD);
    return sys_result(flags < 0 ? flags
                                : fcntl(fd, F_SETFD, flags | FD_CLOEXEC));
}

int wr_sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return sys_result(bind(fd, addr, len));
}

int wr_sys_listen(int fd, int backlog)
{
    return sys_result(listen(fd, backlog));
}

int wr_sys_set_blocking(int fd)
{
    int off = 0;
    return sys_result(ioctl(fd, FIONBIO, &off));
}

int wr_sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    return sys_result(getsockname(fd, addr, len));
}

int wr_sys_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    return sys_result(getpeername(fd, addr, len));
}

int wr_sys_getpeername_ever(int fd, struct sockaddr *addr, socklen_t *len)
{
    socklen_t size = sizeof(struct sockaddr_in);
    wr_assert(*len >= sizeof(struct sockaddr_in6));
    /* The kernel refuses a buffer larger than the address. gVisor and other
     * sandboxes do not have SO_PEERNAME. */
    int err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, addr, &size);
    if (err < 0 || addr->sa_family == AF_UNIX) {
        /* a Unix socket knows its peer until the close */
        return wr_sys_getpeername(fd, addr, len);
    }
    if (addr->sa_family == AF_INET6) {
        size = sizeof(struct sockaddr_in6);
        err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, addr, &size);
    }
    if (err >= 0) {
        *len = size;
    }
    return err;
}

int wr_sys_setsockopt(int fd, int level, int name, const void *value,
                      socklen_t len)
{
    return sys_result(setsockopt(fd, level, name, value, len));
}

int wr_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return sys_result(getsockopt(fd, level, name, value, len));
}

int wr_sys_shutdown(int fd, int how)
{
    return sys_result(shutdown(fd, how));
}

int wr_sys_disconnect(int fd)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    return sys_result(connect(fd, &none, sizeof(none)));
}

int wr_sys_close(int fd)
{
    int ret = sys_result(close(fd));
    /* Linux closes the descriptor even if close() returns EINTR. A retry could
     * close another file that has got the number. */
    return ret == -EINTR ? 0 : ret;
}

int32_t wr_sys_recv(int fd, struct iovec *iov, uint32_t count)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count};

    wr_assert(count > 0);
    const ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT);
    wr_check(got <= INT32_MAX);
    return got < 0 ? -errno : (int32_t)got;
}

int32_t wr_sys_send(int fd, const struct iovec *iov, uint32_t count)
{
    const struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov,
                               .msg_iovlen = count};

    wr_assert(count > 0);
    const ssize_t put = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    wr_check(put <= INT32_MAX);
    return put < 0 ? -errno : (int32_t)put;
}

int wr_sys_mode(int fd, mode_t *ret)
{
    struct statx known;
    int err = wr_sys_stat_known(fd, &known);
    if (err == 0) {
        *ret = known.stx_mode;
    }
    return err;
}

int wr_sys_flags(int fd)
{
    return sys_result(fcntl(fd, F_GETFL));
}

int wr_sys_recv_error(int fd, struct msghdr *message)
{
    const ssize_t got = recvmsg(fd, message, MSG_ERRQUEUE | MSG_DONTWAIT);
    return got < 0 ? -errno : 0;
}

int wr_sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return sys_result(connect(fd, addr, len));
}

int32_t wr_sys_recvfrom(int fd, void *buf, size_t size, struct sockaddr *addr,
                        socklen_t *len)
{
    wr_assert(size <= INT32_MAX);
    return sys_result((int)recvfrom(fd, buf, size, MSG_DONTWAIT, addr, len));
}

int32_t wr_sys_sendto(int fd, const void *data, size_t size,
                      const struct sockaddr *addr, socklen_t len)
{
    wr_assert(size <= INT32_MAX);
    return sys_result(
        (int)sendto(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, addr, len));
}

static uint64_t sys_time_ns(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
}

uint64_t wr_sys_file_stamp(const char *path)
{
    struct stat file;

    if (stat(path, &file) < 0) {
        return 0;
    }
    /* The inode is included because a file that replaces another may be older,
     * ctime because a program may set the time back. The factor keeps equal
     * times from cancelling out. */
    return sys_time_ns(&file.st_mtim) ^ ((uint64_t)file.st_ino << 20) ^
           (uint64_t)file.st_size ^ (sys_time_ns(&file.st_ctim) * 31);
}

int wr_sys_outq(int fd)
{
    int bytes = 0;
    int ret = sys_result(ioctl(fd, SIOCOUTQ, &bytes));
    wr_check(bytes >= 0);
    return ret < 0 ? ret : bytes;
}

int wr_sys_inq(int fd)
{
    int bytes = 0;
    int ret = sys_result(ioctl(fd, SIOCINQ, &bytes));
    wr_check(bytes >= 0);
    return ret < 0 ? ret : bytes;
}

uint64_t wr_sys_get_nofile(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur;
}

int wr_sys_is_readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return sys_result(poll(&wait, 1, 0));
}

int wr_sys_eventfd(void)
{
    return sys_result(eventfd(0, EFD_CLOEXEC));
}

int wr_sys_eventfd_nonblock(void)
{
    return sys_result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int wr_sys_pipe(int ret[2])
{
    return sys_result(pipe2(ret, O_CLOEXEC));
}

int wr_sys_pipe_nonblock(int ret[2])
{
    return sys_result(pipe2(ret, O_CLOEXEC | O_NONBLOCK));
}

int wr_sys_pipe_widen(int fd, size_t size)
{
    wr_assert(size <= INT_MAX);
    return sys_result(fcntl(fd, F_SETPIPE_SZ, (int)size));
}

int wr_sys_room(int fd)
{
    uint32_t counts[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(counts);
    const int err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_MEMINFO, counts, &len);
    /* A TCP socket counts queued bytes in WMEM_QUEUED, a Unix socket in
     * WMEM_ALLOC. */
    const uint32_t used =
        counts[SK_MEMINFO_WMEM_QUEUED] > counts[SK_MEMINFO_WMEM_ALLOC]
            ? counts[SK_MEMINFO_WMEM_QUEUED]
            : counts[SK_MEMINFO_WMEM_ALLOC];
    const uint32_t most = counts[SK_MEMINFO_SNDBUF];

    wr_assert(len <= sizeof(counts));
    return err < 0 ? err : used < most ? (int)(most - used) : 0;
}

int wr_sys_open_null(void)
{
    return sys_result(open("/dev/null", O_RDWR | O_CLOEXEC));
}

int wr_sys_lstat(const char *path, struct stat *ret)
{
    return sys_result(lstat(path, ret));
}

int wr_sys_unlink(const char *path)
{
    return sys_result(unlink(path));
}

int wr_sys_chmod(const char *path, mode_t mode)
{
    return sys_result(fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW));
}

int wr_sys_fchmod(int fd, mode_t mode)
{
    return sys_result(fchmod(fd, mode));
}

int wr_sys_lock_directory(const char *path)
{
    char directory[PATH_MAX] = ".";
    const char *slash = strrchr(path, '/');
    if (slash) {
        const size_t len = (size_t)(slash - path) + 1; /* keeps "/" */
        if (len >= sizeof(directory)) {
            return -ENAMETOOLONG;
        }
        memcpy(directory, path, len);
        directory[len] = '\0';
    }
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    return fd;
}

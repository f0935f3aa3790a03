/*
 * System calls of sys.h that pass descriptors over Unix sockets.
 *
 * Descriptors are duplicated before an operation of the ring sends them, and
 * received together with bytes.
 */
#include "check.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* SCM_PIDFD, since Linux 6.5. */
#define SYS_FDS_PIDFD 4
/* Space for a security label (SO_PASSSEC). A longer label would leave too
 * little space for the descriptors, which then count as lost. */
#define SYS_FDS_LABEL 256u
/* SCM_MAX_FD: the maximum number of descriptors in one message. */
#define SYS_FDS_MAX 253u
/* Control data that the program has enabled precedes the descriptors. */
_Static_assert(CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int)) +
                       CMSG_SPACE(SYS_FDS_LABEL) +
                       CMSG_LEN(SYS_FDS_MAX * sizeof(int)) <=
                   CMSG_SPACE(WR_PASSED_MAX * sizeof(int)),
               "the kernel must close none");

int wr_sys_dup_to_pass(int fd)
{
    /* This call fails for all but rings, and does not change a ring. EBADFD and
     * EOWNERDEAD are errors of rings: not enabled yet, and owned by a thread
     * that has ended. Where io_uring is refused, no ring is detected. */
    if (syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0) >= 0 ||
        errno == EBADFD || errno == EOWNERDEAD) {
        return -EINVAL;
    }
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0) {
        /* EINVAL: RLIMIT_NOFILE allows only the standard descriptors. */
        return errno == EINVAL ? -EMFILE : -errno;
    }
    return copy;
}

/* Appends received descriptors. Closes the sender's pidfd, which a program may
 * have enabled (SO_PASSPIDFD) and which no caller uses. */
static void sys_fds_take_control(const struct cmsghdr *control,
                                 struct wr_passed *ret)
{
    const size_t bytes = control->cmsg_len - CMSG_LEN(0);
    const uint32_t count = (uint32_t)(bytes / sizeof(int));
    int pidfd;

    if (control->cmsg_level != SOL_SOCKET) {
        return;
    }
    if (control->cmsg_type == SYS_FDS_PIDFD && count == 1) {
        memcpy(&pidfd, CMSG_DATA(control), sizeof(pidfd));
        wr_ignore(wr_sys_close(pidfd) < 0);
    }
    if (control->cmsg_type != SCM_RIGHTS) {
        return;
    }
    wr_check(count <= WR_PASSED_MAX - ret->count);
    memcpy(ret->fds + ret->count, CMSG_DATA(control), count * sizeof(int));
    ret->count += count;
}

int32_t wr_sys_recv_fds(int fd, struct iovec *iov, uint32_t count,
                        struct wr_passed *ret)
{
    _Alignas(struct cmsghdr) uint8_t room[CMSG_SPACE(sizeof(ret->fds))];
    struct msghdr msg = {.msg_iov = iov,
                         .msg_iovlen = count,
                         .msg_control = room,
                         .msg_controllen = sizeof(room)};

    ret->count = 0;
    const ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) {
        return -errno;
    }
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&msg); control;
         control = CMSG_NXTHDR(&msg, control)) {
        sys_fds_take_control(control, ret);
    }
    wr_check(got <= INT32_MAX);
    ret->has_lost = (msg.msg_flags & MSG_CTRUNC) != 0;
    return (int32_t)got;
}

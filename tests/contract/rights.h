/*
 * Sends bytes with descriptors on a plain Unix socket.
 *
 * The kernel accepts them together. At the other end they belong to the first
 * of the bytes.
 */
#ifndef WEIR_TESTS_CONTRACT_RIGHTS_H
#define WEIR_TESTS_CONTRACT_RIGHTS_H

#include <weir/unix.h>

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Like sendmsg() with @flags. musl's sendmsg() does not accept WEIR_FDS_MAX
 * descriptors. */
static inline ssize_t rights_send(int to, const void *data, size_t len,
                                  const int *fds, size_t count, int flags)
{
    _Alignas(struct cmsghdr)
        uint8_t control[CMSG_SPACE(WEIR_FDS_MAX * sizeof(int))] = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen =
                             (socklen_t)CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = (socklen_t)CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    return syscall(SYS_sendmsg, to, &msg, MSG_NOSIGNAL | flags);
}

#endif

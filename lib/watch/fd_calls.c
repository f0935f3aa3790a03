/*
 * Suspending calls on sockets of the program: receive, send, connect, accept.
 *
 * The task moves bytes with non-blocking system calls, and waits for a ready
 * socket between them, so no bytes are received for an interrupted task. Accept
 * and connect are operations of the ring, which work on a blocking socket
 * without changing its flags. The result of an operation is never dropped.
 */
#include "fd_call.h"
#include "lib/base/address.h"
#include "lib/transport/socket.h"
#include "weir/sock.h"

/* time until a send to a full Unix socket is tried again */
#define PAUSE_NS 1000000u

static size_t fd_calls_clamp(size_t len)
{
    return len > INT32_MAX ? INT32_MAX : len;
}

WEIR_MUST_USE static ssize_t fd_calls_recv(weir_loop *loop, int fd, void *buf,
                                           size_t len,
                                           struct weir_address *ret_from)
{
    struct wr_fd_call call;
    struct sockaddr *from = ret_from ? &ret_from->storage.any : NULL;

    wr_require(buf || len == 0, -EINVAL);
    ssize_t result = wr_fd_call_begin(&call, loop, fd, WR_READING);
    wr_require(result == 0, result);
    while (result == 0) {
        socklen_t from_len = sizeof(ret_from->storage);
        result = wr_sys_recvfrom(fd, buf, fd_calls_clamp(len), from,
                                 from ? &from_len : NULL);
        if (result >= 0) {
            if (from) { /* the kernel counts a NUL after a full sun_path */
                ret_from->len = (socklen_t)wr_min_u64(
                    from_len, sizeof(ret_from->storage.local));
            }
            break;
        }
        if (result == -EAGAIN) {
            result = wr_fd_call_wait(&call);
        }
    }
    wr_fd_call_end(&call);
    return result;
}

ssize_t weir_sock_recv(weir_loop *loop, int fd, void *buf, size_t len)
{
    return fd_calls_recv(loop, fd, buf, len, NULL);
}

ssize_t weir_sock_recvfrom(weir_loop *loop, int fd, void *buf, size_t len,
                           struct weir_address *ret_from)
{
    struct weir_address from = {.len = 0};
    const ssize_t result = fd_calls_recv(loop, fd, buf, len, &from);

    if (result >= 0 && ret_from) {
        *ret_from = from;
    }
    return result;
}

/* Other tasks may run between two sends. */
WEIR_MUST_USE static int fd_calls_send(struct wr_fd_call *call,
                                       const char *data, size_t len,
                                       size_t *sent)
{
    while (*sent < len) {
        const struct iovec rest = {
            .iov_base = (void *)(uintptr_t)(data + *sent),
            .iov_len = fd_calls_clamp(len - *sent),
        };
        const int32_t count = wr_sys_send(call->fd, &rest, 1);
        int err = count < 0 ? count : 0;
        if (count >= 0) {
            *sent += (size_t)count;
            err = *sent < len ? wr_task_enter(call->loop) : 0;
        } else if (count == -EAGAIN) {
            err = wr_fd_call_wait(call);
        }
        wr_assert(*sent <= len);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int weir_sock_sendall(weir_loop *loop, int fd, const void *data, size_t len,
                      size_t *ret_sent)
{
    struct wr_fd_call call;
    size_t sent = 0;

    wr_require(data || len == 0, -EINVAL);
    int err = wr_fd_call_begin(&call, loop, fd, WR_WRITING);
    if (err == 0) {
        err = fd_calls_send(&call, data, len, &sent);
        wr_fd_call_end(&call);
    }
    if (ret_sent) {
        *ret_sent = sent;
    }
    return err;
}

/* A poll reports space in the socket, but not in the queue of the Unix socket
 * that gets the datagram. So after a send that fails right after a poll, the
 * task sleeps instead of polling again. */
WEIR_MUST_USE static int fd_calls_await_room(struct wr_fd_call *call,
                                             bool *was_ready)
{
    const int err =
        *was_ready ? weir_sleep(call->loop, PAUSE_NS) : wr_fd_call_wait(call);
    *was_ready = !*was_ready;
    return err;
}

ssize_t weir_sock_sendto(weir_loop *loop, int fd, const void *data, size_t len,
                         const struct weir_address *to)
{
    struct wr_fd_call call;

    wr_require(data || len == 0, -EINVAL);
    wr_require(!to || wr_address_is_valid(to), -EINVAL);
    wr_require(len <= INT32_MAX, -EMSGSIZE);
    int err = wr_fd_call_begin(&call, loop, fd, WR_WRITING);
    wr_require(err == 0, err);
    bool was_ready = false;
    ssize_t result;
    do {
        result = wr_sys_sendto(fd, data, len, to ? &to->storage.any : NULL,
                               to ? to->len : 0);
        err = result == -EAGAIN ? fd_calls_await_room(&call, &was_ready)
                                : (int)result;
    } while (result == -EAGAIN && err == 0);
    wr_fd_call_end(&call);
    return err < 0 ? err : result;
}

/* Waits for a connect in progress: some kernels complete the operation of a
 * non-blocking socket with -EINPROGRESS. */
WEIR_MUST_USE static int fd_calls_await_connected(struct wr_fd_call *call)
{
    int cause = 0;
    socklen_t size = sizeof(cause);
    int err = wr_fd_call_wait(call);
    wr_require(err == 0, err);
    err = wr_sys_getsockopt(call->fd, SOL_SOCKET, SO_ERROR, &cause, &size);
    wr_require(err >= 0, err);
    wr_assert(cause >= 0);
    return -cause;
}

int weir_sock_connect(weir_loop *loop, int fd, const struct weir_address *to)
{
    struct wr_fd_call call;

    wr_require(to && wr_address_is_valid(to), -EINVAL);
    const struct weir_address copy =
        *to; /* the kernel reads it at the submit */
    int err = wr_fd_call_begin(&call, loop, fd, WR_WRITING);
    wr_require(err == 0, err);
    wr_fd_call_init_op(&call, "connect");
    wr_prep_connect(&loop->uring, &call.op.base, fd, &copy.storage.any,
                    copy.len);
    err = wr_fd_call_operate(&call);
    if (err == -EINPROGRESS) {
        err = fd_calls_await_connected(&call);
    }
    if (err >= 0 && wr_socket_is_own_peer(fd, &copy)) {
        /* Leaves the socket as the kernel does after a refused connect. */
        wr_ignore(wr_sys_disconnect(fd));
        err = -ECONNREFUSED;
    }
    wr_fd_call_end(&call);
    return err;
}

int weir_sock_accept(weir_loop *loop, int fd, struct weir_address *ret_peer)
{
    struct wr_fd_call call;
    int result;
    int err = wr_fd_call_begin(&call, loop, fd, WR_READING);
    wr_require(err == 0, err);
    do {
        wr_fd_call_init_op(&call, "accept");
        wr_prep_accept(&loop->uring, &call.op.base, fd, false);
        result = wr_fd_call_operate(&call);
        err = result == -EAGAIN ? wr_fd_call_wait(&call) : 0;
    } while (result == -EAGAIN && err == 0);
    wr_fd_call_end(&call);
    if (err < 0 || result < 0) {
        wr_socket_wake_accepts(fd);
        return err < 0 ? err : result;
    }
    if (ret_peer) { /* its len is 0 if the peer has no address */
        wr_ignore(wr_socket_ask_peername(result, ret_peer) < 0);
    }
    return result;
}

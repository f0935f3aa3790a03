/*
 * Receives, sends, accepts and connects of the poll engine.
 *
 * weir's sockets are blocking, so each call has a flag not to wait. accept4()
 * and connect() have no such flag: a listener is made non-blocking for good,
 * and a socket while it is being connected.
 *
 * Receives and sends bypass the C library, whose functions are cancellation
 * points: in a program with threads these cost two atomic exchanges per call.
 */
#include "kind.h"

#include "../sys.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Maximum number of accepts per event, so that many new clients do not delay
 * established connections. */
#define ACCEPTS_MAX 64u
/* An accept that finds nothing takes as long as sixteen polls (3.2 us, 0.2 us;
 * Linux 6.18), so a poll precedes each further accept of an event. After this
 * number of polls more connections are likely, and the poll is omitted. */
#define ACCEPT_LOOKS_MAX 8u
/* The first receive of a connection is tried before epoll reports bytes. If
 * VAIN_FIRSTS_MAX such tries in a row found nothing, only every
 * VAIN_FIRSTS_APART-th is made, and the other receives wait for epoll. The same
 * applies to the poll for another connection after an event's first accept. */
#define VAIN_FIRSTS_MAX   8u
#define VAIN_FIRSTS_APART 16u

/* Counts an attempt. Returns false if it should be skipped. */
static bool kind_socket_tries(uint32_t *vain_count)
{
    const uint32_t vain = (*vain_count)++;

    return vain < VAIN_FIRSTS_MAX || vain % VAIN_FIRSTS_APART == 0;
}

/* Posts a completion and returns true if a multishot receive continues. Returns
 * false if the receive ends with these bytes, or if out of memory. */
static bool kind_socket_goes_on(struct wr_ep_call *call, uint32_t got)
{
    const uint32_t credit = wr_sqe_optlen(call->sqe);

    wr_assert(got > 0);
    if (!(call->sqe->ioprio & IORING_RECV_MULTISHOT) || got >= credit) {
        return false;
    }
    wr_sqe_set_optlen(call->sqe, credit - got);
    return wr_ep_ops_post(&call->ring->ops, call->sqe, (int32_t)got,
                          call->flags);
}

/* If the socket returned fewer bytes than fit, it has no more bytes. */
int32_t wr_ep_recv(struct wr_ep_call *call)
{
    struct wr_ep_buffers *buffers = &call->ring->buffers;
    const struct io_uring_sqe *sqe = call->sqe;
    const bool selects = (sqe->flags & IOSQE_BUFFER_SELECT) != 0;
    void *data = (void *)(uintptr_t)sqe->addr;
    size_t len = sqe->len;

    if (selects) {
        const struct wr_ep_buffer *first = wr_ep_buffers_first(buffers);
        wr_require(first, -ENOBUFS);
        data = first->data;
        len = len < first->len ? len : first->len;
    }
    wr_assert(len > 0);
    const int32_t res = wr_ep_unless_again(wr_ep_result(
        syscall(SYS_recvfrom, sqe->fd, data, len, MSG_DONTWAIT, NULL, NULL)));
    call->watch->is_drained = res < (int32_t)len;
    call->watch->is_overheard |=
        /* Otherwise epoll would report the end of the stream for ever. */
        res == 0;
    if (res <= 0 || !selects) {
        call->flags = 0;
        return res;
    }
    call->flags = wr_ep_buffers_take(buffers, (uint32_t)res);
    return kind_socket_goes_on(call, (uint32_t)res) ? WR_EP_PARKS : res;
}

/* If the epoll set has this descriptor, it may be an earlier file with the same
 * number, which was closed in this iteration. */
static int32_t kind_socket_recv_first(struct wr_ep_call *call)
{
    struct wr_ep_ring *ring = call->ring;

    wr_assert(!call->watch->is_own);
    call->watch->is_own = true;
    call->watch->is_overheard = call->watch->registered != 0;
    uint32_t *vain_firsts = &ring->vain_firsts[call->watch->is_connector];
    if (!kind_socket_tries(vain_firsts)) {
        call->watch->is_drained = true;
        return WR_EP_PARKS;
    }
    const int32_t res = wr_ep_recv(call);
    if (res != WR_EP_PARKS || call->flags != 0) {
        *vain_firsts = 0;
    }
    return res;
}

int32_t wr_ep_begin_recv(struct wr_ep_call *call)
{
    call->events = POLLIN | POLLRDHUP;
    if (!call->watch->is_own) {
        return kind_socket_recv_first(call);
    }
    return call->watch->is_drained ? WR_EP_PARKS : wr_ep_recv(call);
}

int32_t wr_ep_send(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;
    wr_assert(sqe->msg_flags & (uint32_t)MSG_DONTWAIT);

    return wr_ep_result(syscall(SYS_sendto, sqe->fd, sqe->addr,
                                (size_t)sqe->len, sqe->msg_flags, NULL, 0));
}

/* musl's sendmsg() refuses control data of more than 1024 bytes, which passed
 * descriptors can exceed. With musl the padding in msghdr must be zero, as for
 * io_uring. */
int32_t wr_ep_sendmsg(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;
    wr_assert(sqe->msg_flags & (uint32_t)MSG_DONTWAIT);

    return wr_ep_result(
        syscall(SYS_sendmsg, sqe->fd, sqe->addr, sqe->msg_flags));
}

static int kind_socket_set_blocking(int fd, int flags, bool blocks)
{
    const int with = blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;

    wr_assert(fd >= 0);
    return fcntl(fd, F_SETFL, with) < 0 ? -errno : 0;
}

static bool kind_socket_has_connection(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLIN};

    wr_assert(fd >= 0);
    return poll(&look, 1, 0) != 0;
}

/* Returns true if another accept will probably find a connection. If
 * connections arrive one by one, usually returns false without a poll. */
static bool kind_socket_goes_on_accepting(struct wr_ep_ring *ring, int fd,
                                          uint32_t count)
{
    wr_assert(count <= ACCEPTS_MAX);
    if (count == 0 || count > ACCEPT_LOOKS_MAX) {
        return true;
    }
    if ((count == 1 && !kind_socket_tries(&ring->vain_looks)) ||
        !kind_socket_has_connection(fd)) {
        return false;
    }
    ring->vain_looks = 0;
    return true;
}

int32_t wr_ep_accept(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;
    const bool multishot = (sqe->ioprio & IORING_ACCEPT_MULTISHOT) != 0;

    wr_assert(call->watch);
    for (uint32_t i = 0; i < ACCEPTS_MAX; i++) {
        if (!kind_socket_goes_on_accepting(call->ring, sqe->fd, i)) {
            break;
        }
        const int32_t res = wr_ep_unless_again(
            wr_ep_result(accept4(sqe->fd, NULL, NULL, (int)sqe->accept_flags)));
        if (res < 0 || !multishot ||
            !wr_ep_ops_post(&call->ring->ops, sqe, res, 0)) {
            return res;
        }
    }
    return WR_EP_PARKS; /* epoll reports the remaining connections */
}

static bool kind_socket_listens(int fd)
{
    int listens = 0;
    socklen_t len = sizeof(listens);

    wr_assert(fd >= 0);
    wr_ignore(wr_sys_getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) <
              0);
    return listens != 0;
}

int32_t wr_ep_begin_accept(struct wr_ep_call *call)
{
    const int fd = call->sqe->fd;

    wr_assert(call->sqe->addr == 0);
    const int flags = fcntl(fd, F_GETFL);
    wr_require(flags >= 0, -errno);
    if (!(flags & O_NONBLOCK)) {
        const int err = kind_socket_set_blocking(fd, flags, false);
        wr_require(err >= 0, err);
    }
    call->events = POLLIN;
    if (kind_socket_has_connection(fd) || !kind_socket_listens(fd)) {
        return wr_ep_accept(call);
    }
    return WR_EP_PARKS;
}

static int32_t kind_socket_connect(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;
    const struct sockaddr *peer = (const void *)(uintptr_t)sqe->addr;

    wr_assert(sqe->off > 0);
    call->events = POLLOUT;
    call->watch->is_connector = true;
    int32_t res = wr_sys_connect(sqe->fd, peer, (socklen_t)sqe->off);
    /* a peer on this host may have responded already */
    if (res == -EINPROGRESS) {
        res = wr_sys_connect(sqe->fd, peer, (socklen_t)sqe->off);
    }
    return res == -EINPROGRESS || res == -EALREADY ? WR_EP_PARKS : res;
}

int32_t wr_ep_begin_connect(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;

    if (sqe->ioprio == WR_CONNECT_NON_BLOCKING) {
        return kind_socket_connect(call);
    }
    const int flags = fcntl(sqe->fd, F_GETFL);
    wr_require(flags >= 0, -errno);
    const bool blocks = !(flags & O_NONBLOCK);

    int err = blocks ? kind_socket_set_blocking(sqe->fd, flags, false) : 0;
    wr_require(err >= 0, err);
    const int32_t res = kind_socket_connect(call);
    err = blocks ? kind_socket_set_blocking(sqe->fd, flags, true) : 0;
    wr_assert(err == 0);
    return res;
}

int32_t wr_ep_connect(struct wr_ep_call *call)
{
    int err = 0;
    socklen_t len = sizeof(err);

    wr_assert(call->came != 0);
    const int ret =
        wr_sys_getsockopt(call->sqe->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    return ret < 0 ? ret : -err;
}

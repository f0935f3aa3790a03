/*
 * The table of kinds, and the short ones: polls, time-outs, cancels.
 *
 * weir prepares only entries with these opcodes (uring/op.c). Any other entry
 * aborts the program.
 */
#include "kind.h"

#include "../sys.h"

#include <fcntl.h>
#include <poll.h>

/* The bits that a poll may request. Higher bits are flags of epoll. */
#define EVENTS_ASKED  0xffffu
#define EVENTS_ALWAYS ((uint32_t)(POLLERR | POLLHUP))

/* Always waits: the epoll set also reports events that hold already. */
static int32_t kind_begin_poll(struct wr_ep_call *call)
{
    const struct io_uring_sqe *sqe = call->sqe;
    uint32_t events = sqe->poll32_events;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    events = events << 16 | events >> 16;
#endif

    wr_assert((sqe->len & ~IORING_POLL_ADD_MULTI) == 0);
    call->events = (events & EVENTS_ASKED) | EVENTS_ALWAYS | POLLRDHUP;
    return WR_EP_PARKS;
}

static int32_t kind_poll(struct wr_ep_call *call)
{
    struct wr_ep_op *op = call->op;
    const uint32_t events = call->came & op->events;

    if ((events & ~op->told) == 0) {
        return WR_EP_PARKS;
    }
    wr_assert(events <= INT32_MAX);
    if (!(op->sqe.len & IORING_POLL_ADD_MULTI) ||
        !wr_ep_ops_post(&call->ring->ops, &op->sqe, (int32_t)events, 0)) {
        return (int32_t)events;
    }
    op->told = (uint16_t)events;
    return WR_EP_PARKS;
}

static int32_t kind_begin_timeout(struct wr_ep_call *call)
{
    const struct __kernel_timespec *wait =
        (const void *)(uintptr_t)call->sqe->addr;

    wr_assert(wait->tv_sec >= 0);
    wr_assert(wait->tv_nsec < 1000000000);
    call->due_ns =
        wr_add_sat(wr_sys_now(), (uint64_t)wait->tv_sec * 1000000000u +
                                     (uint64_t)wait->tv_nsec);
    return WR_EP_TIMES;
}

static int32_t kind_cancel(struct wr_ep_call *call)
{
    struct wr_ep_ring *ring = call->ring;
    struct wr_ep_op *op = wr_ep_ops_find(&ring->ops, call->sqe->addr);

    wr_assert(call->sqe->cancel_flags == 0);
    if (!op) {
        return wr_ep_cancel_kept(ring, call->sqe->addr) ? 0 : -ENOENT;
    }
    if (!wr_ep_stop(ring, op)) {
        return -EALREADY;
    }
    wr_ep_ops_end(&ring->ops, op, -ECANCELED, 0);
    return 0;
}

/* With IOSQE_ASYNC a NOP checks whether there is a worker. */
static int32_t kind_nop(struct wr_ep_call *call)
{
    wr_assert(!call->op);
    return call->sqe->flags & IOSQE_ASYNC ? WR_EP_WORKS : 0;
}

const struct wr_ep_kind wr_ep_kinds[WR_EP_KINDS] = {
    [IORING_OP_NOP] = {kind_nop, NULL, true},
    [IORING_OP_RECV] = {wr_ep_begin_recv, wr_ep_recv, false},
    [IORING_OP_SEND] = {wr_ep_send, NULL, true},
    [IORING_OP_SENDMSG] = {wr_ep_sendmsg, NULL, true},
    [IORING_OP_ACCEPT] = {wr_ep_begin_accept, wr_ep_accept, false},
    [IORING_OP_CONNECT] = {wr_ep_begin_connect, wr_ep_connect, false},
    [IORING_OP_POLL_ADD] = {kind_begin_poll, kind_poll, false},
    [IORING_OP_READ] = {wr_ep_begin_move, wr_ep_move, false},
    [IORING_OP_WRITE] = {wr_ep_begin_move, wr_ep_move, false},
    [IORING_OP_SPLICE] = {wr_ep_begin_splice, wr_ep_by_worker, false},
    [IORING_OP_OPENAT] = {wr_ep_by_worker, NULL, false},
    [IORING_OP_OPENAT2] = {wr_ep_by_worker, NULL, false},
    [IORING_OP_FSYNC] = {wr_ep_by_worker, NULL, false},
    [IORING_OP_STATX] = {wr_ep_by_worker, NULL, false},
    [IORING_OP_CLOSE] = {wr_ep_close, NULL, true},
    [IORING_OP_TIMEOUT] = {kind_begin_timeout, NULL, false},
    [IORING_OP_ASYNC_CANCEL] = {kind_cancel, NULL, true},
};

int wr_ep_awaited_fd_of_splice(const struct io_uring_sqe *sqe)
{
    wr_assert(sqe->opcode == IORING_OP_SPLICE);
    const int flags = fcntl(sqe->splice_fd_in, F_GETFL);
    return flags >= 0 && !(flags & O_NONBLOCK) ? sqe->splice_fd_in : sqe->fd;
}

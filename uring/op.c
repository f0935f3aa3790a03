/*
 * Fills in SQEs, and finds the owners of completions.
 *
 * Vectors are copied to scratch memory, which the kernel has read when the
 * submission returns. So callers may have them on the stack.
 */
#include "op_impl.h"

#include "../include/weir/error.h"
#include "alloc.h"
#include "guard.h"
#include "race.h"
#include "sys.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>

#define IOV_SCRATCH 1024u
#define MSG_SCRATCH 256u
#define DRAIN_BATCH 64u

_Static_assert(WR_CQE_BUFFER == IORING_CQE_F_BUFFER, "kernel ABI");
_Static_assert(WR_CQE_MORE == IORING_CQE_F_MORE, "kernel ABI");
_Static_assert(WR_CQE_SOCK_NONEMPTY == IORING_CQE_F_SOCK_NONEMPTY,
               "kernel ABI");
_Static_assert(WR_CQE_NOTIF == IORING_CQE_F_NOTIF, "kernel ABI");
_Static_assert(WR_CQE_BUF_MORE == IORING_CQE_F_BUF_MORE, "kernel ABI");
_Static_assert(WR_CQE_BUFFER_SHIFT == IORING_CQE_BUFFER_SHIFT, "kernel ABI");
_Static_assert(IOV_SCRATCH >= WR_IOV_MAX, "one send must fit");
_Static_assert(sizeof(struct wr_time) == sizeof(struct __kernel_timespec),
               "the kernel reads it");
_Static_assert(offsetof(struct wr_time, nanoseconds) ==
                   offsetof(struct __kernel_timespec, tv_nsec),
               "the kernel reads it");

/* MSG_DONTWAIT keeps sends out of the few worker threads, where they would
 * block. Without it each urgent byte of the peer would wake a waiting send, and
 * the kernel would soon move the send to a worker thread. */
#define SEND_FLAGS ((uint32_t)MSG_NOSIGNAL | (uint32_t)MSG_DONTWAIT)

int wr_uring_open(struct wr_uring *uring, const struct wr_ring_options *options)
{
    memset(uring, 0, sizeof(*uring));
    uring->allocator = options->allocator;
    uring->iov_scratch =
        wr_guard_alloc(options->allocator, IOV_SCRATCH * sizeof(struct iovec));
    uring->msg_scratch =
        wr_guard_alloc(options->allocator, MSG_SCRATCH * sizeof(struct msghdr));
    int err = -ENOMEM;
    if (uring->iov_scratch && uring->msg_scratch) {
        err = wr_ring_open(options, &uring->ring, &uring->features);
    }
    if (err < 0) {
        uring->ring = NULL;
        wr_uring_close(uring);
        return err;
    }
    uring->close_ring = wr_race_is_watched() ? NULL : uring->ring;
    wr_uring_check_invariants(uring);
    return 0;
}

void wr_uring_check_invariants(const struct wr_uring *uring)
{
    wr_assert(!uring->ring == !uring->iov_scratch);
    wr_assert(!uring->ring == !uring->msg_scratch);
    wr_assert(uring->iov_used <= IOV_SCRATCH);
    wr_assert(uring->msg_used <= MSG_SCRATCH);
    wr_assert(uring->msg_used <= uring->iov_used);
    wr_assert(uring->closes_in_flight <= uring->ops_in_flight);
    wr_assert(uring->looking_count <= uring->looking_room);
    wr_assert(uring->looking_count <= uring->closes_in_flight);
}

void wr_uring_close(struct wr_uring *uring)
{
    if (uring->ring) {
        wr_op_close_unsubmitted(uring);
        uring->last_stats = *wr_ring_stats(uring->ring);
        wr_ring_close(uring->ring);
        uring->ring = NULL;
        uring->close_ring = NULL;
        uring->ops_in_flight -=
            uring->closes_in_flight; /* 0 unless the ring broke */
        uring->closes_in_flight = 0;
    }
    wr_guard_free(uring->allocator, uring->iov_scratch,
                  IOV_SCRATCH * sizeof(struct iovec));
    wr_guard_free(uring->allocator, uring->msg_scratch,
                  MSG_SCRATCH * sizeof(struct msghdr));
    wr_op_free_closes(uring);
    uring->iov_scratch = NULL;
    uring->msg_scratch = NULL;
}

const struct wr_ring_stats *wr_uring_stats(const struct wr_uring *uring)
{
    return uring->ring ? wr_ring_stats(uring->ring) : &uring->last_stats;
}

int wr_uring_enter(struct wr_uring *uring, uint32_t want, uint64_t timeout_ns)
{
    wr_debug_check(wr_uring_check_invariants(uring));
    int err = wr_ring_enter(uring->ring, want, timeout_ns);

    if (WR_UNLIKELY(uring->iov_used > 0) &&
        WR_LIKELY(wr_ring_unsubmitted(uring->ring) == 0)) {
        uring->iov_used = 0;
        uring->msg_used = 0;
    }
    return err;
}

static void op_dispatch(struct wr_uring *uring, const struct wr_cqe *cqe)
{
    struct wr_op *op = (struct wr_op *)(uintptr_t)cqe->user_data;
    /* 0, or with CLOSE_TAG, which is the sign bit */
    if ((int64_t)cqe->user_data <= 0) {
        if (cqe->user_data != 0) {
            wr_op_close_completed(uring, cqe);
        }
        return;
    }
    wr_check(op->in_flight);
    if (!(cqe->flags & WR_CQE_MORE)) {
        op->in_flight = false;
        wr_debug_assert(uring->ops_in_flight > 0);
        uring->ops_in_flight--;
    }
    op->complete(op, cqe->res, cqe->flags);
}

uint32_t wr_uring_dispatch(struct wr_uring *uring, uint32_t max)
{
    struct wr_cqe batch[DRAIN_BATCH];
    uint32_t total = 0;

    wr_debug_check(wr_uring_check_invariants(uring));
    while (total < max) {
        const uint32_t left = max - total;
        const uint32_t count = wr_ring_reap(
            uring->ring, batch, left < DRAIN_BATCH ? left : DRAIN_BATCH);
        wr_assert(count <= left);
        for (uint32_t i = 0; i < count; i++) {
            op_dispatch(uring, &batch[i]);
        }
        total += count;
        if (count < DRAIN_BATCH) {
            break;
        }
    }
    return total;
}

void wr_op_abandon(struct wr_uring *uring, struct wr_op *op)
{
    wr_assert(!uring->ring);
    if (op->in_flight) {
        wr_assert(uring->ops_in_flight > 0);
        op->in_flight = false;
        op->is_cancelled = true;
        uring->ops_in_flight--;
        op->complete(op, -ECANCELED, 0);
    }
}

void wr_op_cancel(struct wr_uring *uring, struct wr_op *op)
{
    if (!op->in_flight || !uring->ring) {
        return;
    }
    wr_assert(uring->ops_in_flight > 0);
    op->is_cancelled = true;
    struct io_uring_sqe *sqe = wr_ring_sqe(uring->ring);
    sqe->opcode = IORING_OP_ASYNC_CANCEL;
    sqe->fd = -1;
    sqe->addr = (uintptr_t)op;
    sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
}

void wr_prep_recv(struct wr_uring *uring, struct wr_op *op, int fd,
                  const struct wr_recv_limits *limits)
{
    const uint32_t credit = limits->credit;
    const uint32_t buf_size = limits->buf_size;
    wr_assert(credit > 1);
    wr_assert(buf_size > 0);
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_RECV, fd);

    /* Never POLL_FIRST: a multishot receive that starts with a poll reads the
     * data, finds no more, and waits for an edge. If the peer's reset arrived
     * before the poll was armed, there is no edge (Linux 6.18). */
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    if (!wr_has(&uring->features, WR_FEATURE_RECV_CREDIT)) {
        sqe->len = credit < buf_size ? credit : buf_size;
        return;
    }
    sqe->ioprio = IORING_RECV_MULTISHOT;
    /* a total of 1 byte ends the receive with the first bytes */
    if (limits->once) {
        sqe->len = credit < buf_size ? credit : buf_size;
        wr_sqe_set_optlen(sqe, 1);
        return;
    }
    /* The kernel ends the receive once the total has arrived, but limits each
     * step only by the cap (Linux 6.18). The last step may exceed the total by
     * less than one cap, so one cap is subtracted here. */
    const uint32_t cap = credit / 2 < buf_size ? credit / 2 : buf_size;
    sqe->len = cap;
    wr_sqe_set_optlen(sqe, credit - cap);
}

void wr_prep_recv_into(struct wr_uring *uring, struct wr_op *op, int fd,
                       void *buf, size_t len)
{
    wr_assert(buf);
    wr_assert(len > 0);
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_RECV, fd);

    sqe->addr = (uintptr_t)buf;
    sqe->len = len > INT32_MAX ? INT32_MAX : (uint32_t)len;
}

void wr_prep_send(struct wr_uring *uring, struct wr_op *op, int fd,
                  const void *buf, size_t len)
{
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_SEND, fd);

    sqe->addr = (uintptr_t)buf;
    sqe->len = len > INT32_MAX ? INT32_MAX : (uint32_t)len;
    sqe->msg_flags = SEND_FLAGS;
}

static bool op_has_scratch(const struct wr_uring *uring, uint32_t count)
{
    return uring->iov_used + count <= IOV_SCRATCH &&
           uring->msg_used < MSG_SCRATCH;
}

/* Returns NULL if memory is used up and the kernel accepts no SQEs now. */
static struct iovec *op_take_iov(struct wr_uring *uring, uint32_t count)
{
    if (WR_UNLIKELY(!op_has_scratch(uring, count))) {
        wr_ignore(wr_uring_enter(uring, 0, 0) <
                  0); /* the next enter returns the error */
        if (!op_has_scratch(uring, count)) {
            return NULL;
        }
    }
    struct iovec *iov = &uring->iov_scratch[uring->iov_used];
    uring->iov_used += count;
    return iov;
}

void wr_prep_sendmsg(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct msghdr *msg)
{
    wr_assert(msg->msg_iovlen > 0);
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_SENDMSG, fd);

    sqe->addr = (uintptr_t)msg;
    sqe->len = 1;
    sqe->msg_flags = SEND_FLAGS;
}

void wr_prep_sendv(struct wr_uring *uring, struct wr_op *op, int fd,
                   const struct iovec *iov, uint32_t iov_count)
{
    wr_assert(iov_count > 0);
    wr_assert(iov_count <= WR_IOV_MAX);
    if (iov_count == 1) {
        wr_prep_send(uring, op, fd, iov[0].iov_base, iov[0].iov_len);
        return;
    }
    struct iovec *copy = op_take_iov(uring, iov_count);
    /* the caller sends the rest later */
    if (WR_UNLIKELY(!copy)) {
        wr_prep_send(uring, op, fd, iov[0].iov_base, iov[0].iov_len);
        return;
    }
    memcpy(copy, iov, iov_count * sizeof(*iov));

    if (wr_has(&uring->features, WR_FEATURE_SEND_VECTORIZED)) {
        struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_SEND, fd);
        sqe->addr = (uintptr_t)copy;
        sqe->len = iov_count;
        sqe->ioprio = WR_SEND_VECTORIZED;
        sqe->msg_flags = SEND_FLAGS;
        return;
    }
    struct msghdr *msg = &uring->msg_scratch[uring->msg_used++];
    *msg = (struct msghdr){.msg_iov = copy, .msg_iovlen = iov_count};
    wr_prep_sendmsg(uring, op, fd, msg);
}

void wr_prep_accept(struct wr_uring *uring, struct wr_op *op, int fd,
                    bool multishot)
{
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_ACCEPT, fd);

    sqe->ioprio = multishot ? IORING_ACCEPT_MULTISHOT : 0;
    sqe->accept_flags = SOCK_CLOEXEC;
}

bool wr_connects_non_blocking(const struct wr_uring *uring, int family)
{
    return family == AF_UNIX || uring->features.engine == WR_ENGINE_POLL;
}

static struct io_uring_sqe *op_prep_connect(struct wr_uring *uring,
                                            struct wr_op *op, int fd,
                                            const struct sockaddr *addr,
                                            socklen_t addr_len)
{
    wr_assert(addr_len >= sizeof(addr->sa_family));
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_CONNECT, fd);

    sqe->addr = (uintptr_t)addr;
    sqe->off = addr_len;
    return sqe;
}

void wr_prep_connect(struct wr_uring *uring, struct wr_op *op, int fd,
                     const struct sockaddr *addr, socklen_t addr_len)
{
    wr_ignore(!op_prep_connect(uring, op, fd, addr, addr_len));
}

void wr_prep_connect_new(struct wr_uring *uring, struct wr_op *op, int fd,
                         const struct sockaddr *addr, socklen_t addr_len)
{
    struct io_uring_sqe *sqe = op_prep_connect(uring, op, fd, addr, addr_len);

    if (uring->features.engine == WR_ENGINE_POLL) {
        sqe->ioprio = WR_CONNECT_NON_BLOCKING;
    }
}

void wr_prep_poll(struct wr_uring *uring, struct wr_op *op, int fd,
                  uint32_t events, bool multishot)
{
    struct io_uring_sqe *sqe = wr_op_prepare(uring, op, IORING_OP_POLL_ADD, fd);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    /* the kernel's ABI swaps the halves */
    events = events << 16 | events >> 16;
#endif
    sqe->len = multishot ? IORING_POLL_ADD_MULTI : 0;
    sqe->poll32_events = events;
}

void wr_prep_read(struct wr_uring *uring, struct wr_op *op, int fd, void *buf,
                  size_t len)
{
    wr_ignore(!wr_op_prepare_move(uring, op, IORING_OP_READ, fd, buf, len));
}

void wr_prep_timeout(struct wr_uring *uring, struct wr_op *op,
                     const struct wr_time *wait)
{
    wr_assert(wait->seconds >= 0);
    wr_assert(wait->nanoseconds >= 0);
    struct io_uring_sqe *sqe =
        wr_op_prepare_alone(uring, op, IORING_OP_TIMEOUT);

    sqe->addr = (uintptr_t)wait;
    /* Number of timespecs. off is 0, so only the time ends the wait. */
    sqe->len = 1;
}

void wr_uring_forget(struct wr_uring *uring, int fd)
{
    wr_assert(fd >= 0);
    if (uring->ring) {
        wr_ring_forget(uring->ring, fd);
    }
}

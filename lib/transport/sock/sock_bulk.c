/*
 * Stream sockets: receiving bulk, one connection after the other.
 *
 * Armed receives fill buffers of all connections at once, as bytes arrive. If
 * twenty connections receive 256 KiB each, the first bytes have left the near
 * cache when they are sent on. So a connection that moves bulk is armed with a
 * poll, and receives when the loop feeds it:
 *
 *     idle --arm--> armed, by a poll --bytes are there--> due --fed--> idle
 *        \--arm, and the last receive was full--> due --fed--> idle
 *
 * In a turn the loop feeds due connections until they have received the turn's
 * budget, usually one of them (budget.h). A fed connection receives by a system
 * call, which fills buffers that are still in the cache, takes all bytes that
 * the credit allows, and leaves nothing in flight. Its answer is submitted at
 * the end of the turn, before the next connection receives.
 *
 * A receive that took all that the credit allowed has probably left bytes in
 * the kernel. If it has, the next one is made without a poll. The kernel is
 * asked first (SIOCINQ), which costs a tenth of a receive that finds none.
 * After a "no" it is not asked for some receives: messages may be just as long
 * as the credit. Nor is it after several times "yes" in a row; a receive that
 * finds nothing ends that.
 *
 * A connection begins to move bulk when a receive ends with more bytes than a
 * plain buffer holds, so there is no bulk without large buffers. It stops when
 * several receives in a row have brought few bytes, when there is no free
 * buffer, and when a poll ended although no byte was there, because polls would
 * then busy-loop. Receives of middle size change nothing.
 *
 * A connection that takes descriptors always receives in this way, because only
 * a system call can receive descriptors with bytes; an armed receive has no
 * place for them.
 */
#include "sock_impl.h"

#define BULK_SMALL         (16u << 10)
#define SMALL_RECEIVES_MAX 8u
/* Full receives after which the last answer is taken for the next one. */
#define UNASKED_COUNT 15u
/* Answers in a row that make a "yes" as good as a "no". */
#define SURE_COUNT 3u
/* Bytes that are received at once if no buffer is free. */
#define FEW_BYTES 4096u
/* Bytes that a descriptor counts of the turn's budget. */
#define FD_COST 256u

void wr_sock_bulk_polled(struct wr_sock *s, int32_t res)
{
    wr_assert(s->recv_state == WR_RECV_IDLE);
    s->polls_bytes = false;
    if (res < 0) {
        wr_sock_recv_failed(s, res);
    } else if (wr_sock_recv_may_fill(s)) {
        wr_intake_make_due(&s->c.t);
    }
}

/* Counts small receives; one that has left bytes in the kernel is not small. */
static void sock_bulk_count(struct wr_sock *s, uint32_t bytes, bool has_more)
{
    wr_assert(s->moves_bulk);
    wr_budget_received_due(&s->c.t.loop->budget, bytes);
    s->expects_bytes = has_more;
    if (bytes >= BULK_SMALL || has_more) {
        s->small_receives = 0;
    } else if (++s->small_receives == SMALL_RECEIVES_MAX) {
        s->moves_bulk = false;
    }
}

/* True if the kernel has bytes after a receive that took the whole credit. A
 * wrong "no" costs a poll, which ends at once; of few bytes it would count as a
 * small receive. A wrong "yes" costs a receive in vain. */
static bool sock_bulk_has_more(struct wr_sock *s, uint32_t credit)
{
    wr_assert(s->moves_bulk);
    if (s->unasked > 0 && credit >= BULK_SMALL) {
        s->unasked--;
        return s->yes_count == SURE_COUNT;
    }
    const bool has_more = wr_sys_inq(s->c.fd) > 0;
    s->yes_count =
        has_more ? (uint8_t)wr_min_u64(s->yes_count + 1u, SURE_COUNT) : 0;
    s->unasked = has_more && s->yes_count < SURE_COUNT ? 0 : UNASKED_COUNT;
    return has_more;
}

/* Stops moving bulk, because no bytes came; an armed receive with its own
 * credit follows. */
static void sock_bulk_leave(struct wr_sock *s)
{
    wr_assert(s->recv_state == WR_RECV_IDLE);
    s->moves_bulk = false;
    s->c.t.demand.last_credit = 0;
}

/* Delivers the leases one after the other. The protocol may pause, close or be
 * replaced after each of them. */
static void sock_bulk_deliver(struct wr_sock *s, weir_lease *lease)
{
    wr_assert(lease);
    while (lease) {
        weir_lease *next = lease->next;
        lease->next = NULL;
        wr_sock_received(s, lease);
        lease = next;
    }
}

/* ---- with descriptors ---- */

/* Without a free buffer, receives some bytes by memory on the stack. */
static int32_t sock_bulk_copy_with_fds(struct wr_sock *s, uint32_t credit,
                                       struct wr_passed *fds, weir_lease **ret)
{
    uint8_t bytes[FEW_BYTES];
    struct iovec iov = {.iov_base = bytes,
                        .iov_len = wr_min_u64(sizeof(bytes), credit)};
    const int32_t res = wr_sys_recv_fds(s->c.fd, &iov, 1, fds);

    if (res > 0) {
        *ret = wr_lease_copy(&s->c.t.loop->pool, &s->c.t.demand.account, bytes,
                             (size_t)res);
    }
    return res;
}

static int32_t sock_bulk_recv_with_fds(struct wr_sock *s, uint32_t credit,
                                       struct wr_passed *fds, weir_lease **ret)
{
    struct wr_pool *pool = &s->c.t.loop->pool;
    struct wr_room room;

    if (WR_UNLIKELY(!wr_pool_open_room(pool, &room, credit))) {
        return sock_bulk_copy_with_fds(s, credit, fds, ret);
    }
    const int32_t res = wr_sys_recv_fds(s->c.fd, room.iov, room.count, fds);
    *ret = wr_pool_close_room(pool, &s->c.t.demand.account, &room, res);
    return res;
}

/* Gives descriptors to the protocol, before their bytes. */
static void sock_bulk_give_fds(struct wr_sock *s, const struct wr_passed *fds)
{
    const uint32_t count =
        fds->count < s->fd_limit ? fds->count : (uint32_t)s->fd_limit;

    wr_sock_fds_discard(&s->c.t, fds->fds + count, fds->count - count);
    if (s->c.t.state != WR_LIFE_OPEN || s->fd_limit == 0 ||
        !wr_protocol_takes_fds(&s->c.t)) {
        wr_sock_fds_discard(&s->c.t, fds->fds, count);
        return;
    }
    int ret = wr_protocol_fds(&s->c.t, fds->fds, count,
                              fds->has_lost || count < fds->count);
    if (ret < 0) {
        wr_delivery_fail(&s->c.t, ret, "fds_received");
    }
}

static void sock_bulk_receive_with_fds(struct wr_sock *s, uint32_t credit)
{
    struct wr_passed fds = {.count = 0};
    weir_lease *lease = NULL;
    const int32_t res = sock_bulk_recv_with_fds(s, credit, &fds, &lease);

    if (res == -EAGAIN) {
        return; /* an urgent byte has ended the poll: poll again */
    }
    if (res <= 0) {
        wr_assert(fds.count == 0);
        wr_sock_recv_other(s, res, 0);
        return;
    }
    wr_budget_received_due(&s->c.t.loop->budget,
                           (uint32_t)res + fds.count * FD_COST);
    if (WR_UNLIKELY(!lease)) {
        wr_sock_fds_discard(&s->c.t, fds.fds, fds.count);
        wr_delivery_lose_bytes(&s->c.t, -ENOMEM);
        return;
    }
    if (fds.count > 0 || fds.has_lost) {
        sock_bulk_give_fds(s, &fds);
    }
    if (WR_LIKELY(lease->buf != NULL)) {
        sock_bulk_deliver(s, lease);
    } else {
        wr_sock_received_copy(s, lease);
    }
}

/* Moves bytes to another socket instead. False: receive. */
static __attribute__((noinline)) bool sock_bulk_splice(struct wr_sock *s)
{
    weir_lease *rest;
    bool has_more = false;
    const uint32_t bytes = wr_sock_splice(s, &rest, &has_more);

    if (bytes == 0) {
        return s->c.t.error != 0;
    }
    sock_bulk_count(s, bytes, has_more);
    if (rest) {
        sock_bulk_deliver(s, rest);
    }
    return true;
}

void wr_sock_bulk_receive(struct wr_sock *s)
{
    weir_loop *loop = s->c.t.loop;
    weir_lease *lease;
    const uint32_t credit = wr_sock_recv_ask(s);
    if (credit == 0) {
        return;
    }
    if (WR_UNLIKELY(s->takes_fds)) {
        sock_bulk_receive_with_fds(s, credit);
        return;
    }
    if (WR_UNLIKELY(s->into != NULL) && wr_sock_may_splice(s, credit) &&
        sock_bulk_splice(s)) {
        return;
    }
    const int32_t res = wr_pool_recv(&loop->pool, &s->c.t.demand.account,
                                     wr_sys_recv, s->c.fd, credit, &lease);
    const bool was_polled = !s->expects_bytes;

    s->expects_bytes = false;
    if (res == -EAGAIN && !was_polled) {
        s->yes_count = s->unasked = 0;
        return; /* nothing more has arrived: poll again */
    }
    if (res == -ENOBUFS || res == -EAGAIN) {
        sock_bulk_leave(s);
        return;
    }
    if (res <= 0) {
        wr_sock_recv_other(s, res, 0);
        return;
    }
    sock_bulk_count(s, (uint32_t)res,
                    (uint32_t)res == credit && sock_bulk_has_more(s, credit));
    sock_bulk_deliver(s, lease);
}

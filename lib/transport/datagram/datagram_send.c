/*
 * Datagram endpoints: sending.
 *
 * Datagrams wait in the queue until the end of the turn, and then leave in
 * batches, each by one system call that does not wait.
 *
 *     idle --queue--> dirty --all sent--> idle
 *                       ^ \--no room--> polling or pausing --\
 *                       \------------------------------------/
 *
 * Where there is no room a poll waits for it. No poll tells of room in the
 * queue of a network device, nor in that of one Unix peer among several: there
 * a timer waits. A limit for the latter counts from when a datagram was queued:
 * all before it were queued earlier, so that none is held up for longer,
 * however many peers do not read, and the order is kept.
 *
 * An error belongs to the first datagram of the batch, or to an earlier one
 * that a peer refused: the kernel keeps that error and tells it in place of
 * sending. So a datagram that fails is tried once more. If it goes, the error
 * was of the earlier one; if not, it is dropped. Either way the protocol is
 * told once and the next datagrams follow. Unix sockets keep no such errors.
 */
#include "datagram_impl.h"

#include <poll.h>

/* Bytes that one endpoint sends in a turn at most, about. */
#define FLUSH_BYTES (1u << 20)
/* How long a device or a Unix peer is left alone. */
#define PAUSE_NS 1000000u

static void datagram_send_make_dirty(struct wr_endpoint *e)
{
    wr_assert(!wr_datagramq_is_empty(&e->queue));
    wr_endpoint_set_outlet_state(e, WR_OUTLET_DIRTY);
    wr_loop_at_turn_end(e->t.loop, &e->turn_end);
}

/* The first datagram leaves the queue, sent or not; a release callback may run.
 */
static uint64_t datagram_send_pop(struct wr_endpoint *e)
{
    weir_loop *loop = e->t.loop;
    const uint64_t bytes =
        (uint64_t)wr_datagramq_first(&e->queue)->len + WEIR_DATAGRAM_COST;

    wr_budget_unqueue(&loop->budget, bytes);
    wr_ignore(wr_datagramq_pop(&e->queue, &loop->blocks) == 0);
    wr_loop_end_if_forked(loop);
    return bytes;
}

/* The kernel took the first @count datagrams. Returns their bytes. */
static uint64_t datagram_send_took(struct wr_endpoint *e, uint32_t count)
{
    const int earlier = wr_datagramq_first(&e->queue)->error;
    uint64_t bytes = 0;

    wr_assert(count > 0 && count <= e->queue.count);
    /* A release callback may abort, which empties the queue. */
    for (uint32_t i = 0; i < count && wr_endpoint_is_alive(e); i++) {
        e->counts.sent++;
        e->t.loop->counts.sent_bytes += wr_datagramq_first(&e->queue)->len;
        bytes += datagram_send_pop(e);
    }
    if (WR_UNLIKELY(earlier < 0)) {
        wr_endpoint_tell_error(e, earlier);
    }
    return bytes;
}

/* The first datagram is not sent, and the protocol is told. Returns its bytes.
 */
static uint64_t datagram_send_drop(struct wr_endpoint *e, int err)
{
    const uint64_t bytes = datagram_send_pop(e);

    wr_assert(err < 0);
    wr_endpoint_tell_error(e, err);
    return bytes;
}

/* The first datagram failed. Returns how many left the queue: 0 or 1. */
static uint32_t datagram_send_failed(struct wr_endpoint *e, int err)
{
    struct wr_outgoing *first = wr_datagramq_first(&e->queue);

    wr_assert(err < 0);
    if (first->error == 0 && e->family != AF_UNIX) {
        first->error = err;
        return 0;
    }
    wr_ignore(datagram_send_drop(e, err) == 0);
    return 1;
}

/* True when the first datagram may wait no longer for room at its peer. */
static bool datagram_send_is_over(const struct wr_endpoint *e)
{
    const uint64_t deadline_ns = wr_datagramq_first(&e->queue)->deadline_ns;

    return WR_UNLIKELY(deadline_ns < UINT64_MAX) && wr_sys_now() >= deadline_ns;
}

/* Sends the datagrams that are queued now, as far as they go: 0, or why the
 * rest must wait. Those that callbacks queue meanwhile are not among them. */
static int datagram_send_all(struct wr_endpoint *e)
{
    struct wr_datagram_shared *shared = e->shared;
    uint32_t left = e->queue.count;
    uint64_t bytes = 0;

    while (left > 0 && wr_endpoint_is_alive(e)) {
        const uint32_t most = left < WR_SLOTS_MAX ? left : WR_SLOTS_MAX;
        const uint32_t count =
            wr_datagramq_gather(&e->queue, shared->out, shared->out_iov, most);
        const int res = wr_sys_sendmmsg(e->fd, shared->out, count);
        if (res > 0) {
            wr_check((uint32_t)res <= count);
            left -= (uint32_t)res;
            bytes += datagram_send_took(e, (uint32_t)res);
        } else if (res == -EAGAIN && datagram_send_is_over(e)) {
            bytes += datagram_send_drop(e, -ETIMEDOUT);
            left--;
        } else if (res == -EAGAIN || res == -ENOBUFS) {
            return res;
        } else if (res < 0 && res != -EINTR) {
            left -= datagram_send_failed(e, res);
        }
        if (bytes >= FLUSH_BYTES && left > 0) {
            return -EINPROGRESS;
        }
    }
    return 0;
}

static void datagram_send_wait(struct wr_endpoint *e, int why)
{
    weir_loop *loop = e->t.loop;

    wr_assert(!e->send_op.in_flight);
    wr_assert(!wr_datagramq_is_empty(&e->queue));
    if (why == -ENOBUFS || (e->family == AF_UNIX && !e->is_connected)) {
        wr_endpoint_set_outlet_state(e, WR_OUTLET_PAUSING);
        wr_timer_arm(&loop->wheel, &e->send_timer,
                     wr_add_sat(wr_sys_now(), PAUSE_NS));
    } else {
        wr_endpoint_set_outlet_state(e, WR_OUTLET_POLLING);
        wr_prep_poll(&loop->uring, &e->send_op, e->fd, POLLOUT, false);
    }
}

/* The queue has become shorter: the protocol may go on, and may queue more. */
static void datagram_send_notify(struct wr_endpoint *e)
{
    wr_assert(!e->in_resume);
    if (wr_endpoint_is_alive(e) && e->t.notify_depth >= 0) {
        e->in_resume = true;
        wr_transport_check_low(&e->t, e->queue.bytes);
        e->in_resume = false;
    }
}

static void datagram_send_flush(struct wr_turn_end *turn_end)
{
    struct wr_endpoint *e =
        wr_container_of(turn_end, struct wr_endpoint, turn_end);

    wr_assert(e->outlet_state == WR_OUTLET_DIRTY);
    const int why = datagram_send_all(e);
    datagram_send_notify(e);
    if (!wr_endpoint_is_alive(e)) {
        return;
    }
    if (wr_datagramq_is_empty(&e->queue)) {
        wr_endpoint_set_outlet_state(e, WR_OUTLET_IDLE);
        if (e->t.state == WR_LIFE_CLOSING) {
            wr_life_push_step(&e->t);
        }
    } else if (why == -EINPROGRESS) {
        wr_loop_at_turn_end(e->t.loop, &e->turn_end);
    } else if (why < 0) {
        datagram_send_wait(e, why);
    } else {
        /* Callbacks have queued more. Those that do so each time would keep the
         * loop at the end of a run, which sends all that waits. */
        wr_life_push_step(&e->t);
    }
}

void wr_endpoint_send_rest(struct wr_endpoint *e)
{
    wr_assert(e->t.state != WR_LIFE_LOST);
    if (e->outlet_state == WR_OUTLET_DIRTY) {
        wr_loop_at_turn_end(e->t.loop, &e->turn_end);
    }
}

void wr_endpoint_send_polled(struct wr_endpoint *e)
{
    wr_assert(!e->send_op.in_flight);
    wr_assert(e->outlet_state == WR_OUTLET_POLLING);
    datagram_send_make_dirty(e);
}

static void datagram_send_timer_expired(struct wr_timer *timer)
{
    struct wr_endpoint *e =
        wr_container_of(timer, struct wr_endpoint, send_timer);

    wr_assert(e->outlet_state == WR_OUTLET_PAUSING);
    datagram_send_make_dirty(e);
}

void wr_endpoint_send_init(struct wr_endpoint *e)
{
    wr_assert(e->t.state == WR_LIFE_UNBORN);
    wr_datagramq_init(&e->queue);
    wr_list_init(&e->turn_end.link);
    e->turn_end.run = datagram_send_flush;
    wr_timer_init(&e->send_timer, datagram_send_timer_expired);
}

int wr_endpoint_queue(struct wr_endpoint *e,
                      const struct wr_outgoing_parts *parts)
{
    weir_loop *loop = e->t.loop;
    const uint64_t bytes = (uint64_t)parts->len + WEIR_DATAGRAM_COST;

    wr_require(e->t.error == 0, -EPIPE);
    wr_require(e->t.state == WR_LIFE_OPEN ||
                   (e->t.state == WR_LIFE_CLOSING && e->in_resume),
               -ESHUTDOWN);
    wr_require(bytes <= e->t.hard_limit_bytes &&
                   e->queue.bytes <= e->t.hard_limit_bytes - bytes,
               -ENOBUFS);
    int err = wr_datagramq_push(&e->queue, &loop->blocks, parts);
    wr_require(err >= 0, err);
    if (parts->kind == WR_OUTGOING_COPY) {
        loop->counts.copied_by_write += parts->len;
    }
    wr_budget_queue(&loop->budget, bytes);
    wr_assert(loop->budget.queued_bytes >= e->queue.bytes);
    if (e->outlet_state == WR_OUTLET_IDLE) {
        datagram_send_make_dirty(e);
    }
    if (WR_UNLIKELY(e->queue.bytes > e->t.check_bytes)) {
        wr_transport_check_high(&e->t, e->queue.bytes);
    }
    return e->t.writing_paused;
}

void wr_endpoint_end_send(struct wr_endpoint *e)
{
    wr_assert(e->t.state == WR_LIFE_ENDING);
    wr_list_remove(&e->turn_end.link);
    wr_timer_cancel(&e->t.loop->wheel, &e->send_timer);
    if (e->outlet_state != WR_OUTLET_IDLE) {
        wr_endpoint_set_outlet_state(e, WR_OUTLET_IDLE);
    }
    wr_op_cancel(&e->t.loop->uring, &e->send_op);
}

void wr_endpoint_drop_queue(struct wr_endpoint *e)
{
    wr_assert(e->t.state == WR_LIFE_ENDING);
    e->t.has_dropped |= !wr_datagramq_is_empty(&e->queue);
    while (!wr_datagramq_is_empty(&e->queue)) {
        wr_ignore(datagram_send_pop(e) == 0);
    }
}

void wr_endpoint_limits_changed(weir_transport *t)
{
    struct wr_endpoint *e = wr_endpoint_of(t);

    wr_endpoint_check_invariants(e);
    wr_transport_check_high(t, e->queue.bytes);
}

/*
 * Datagram transports: sending. Queued datagrams are sent at the end of the
 * loop iteration, in batches; each batch is one system call that does not wait.
 *
 *     idle --queue--> dirty --all sent--> idle
 *                       ^ \--no space--> polling or pausing --\
 *                       \-------------------------------------/
 *     dirty, polling or pausing --end of the transport--> idle
 *
 * A poll waits for space. No poll reports space in the queue of a network
 * device, or of one of several Unix peers, so a timer waits for these. The time
 * limit for a Unix peer starts when the datagram is queued. Earlier datagrams
 * have earlier limits, so none waits longer than the limit, and the order is
 * kept.
 *
 * A send's error belongs to the first datagram of the batch, or to an earlier
 * datagram that a peer refused: the kernel keeps that error and returns it
 * instead of sending. So the first datagram is sent again. If it fails again,
 * it is dropped. The protocol gets one error in both cases. Unix sockets keep
 * no such errors.
 */
#include "datagram_impl.h"

#include <poll.h>

/* Approximate limit of bytes per transport and loop iteration. */
#define FLUSH_BYTES (1u << 20)
/* Time to wait for space in the queue of a device or a Unix peer. */
#define PAUSE_NS 1000000u

static void datagram_send_make_dirty(struct wr_datagram *d)
{
    wr_assert(!wr_datagramq_is_empty(&d->queue));
    wr_datagram_set_outlet_state(d, WR_OUTLET_DIRTY);
    wr_loop_at_turn_end(d->t.loop, &d->turn_end);
}

/* Returns the datagram's size in the queue. A release callback may run. */
static uint64_t datagram_send_pop(struct wr_datagram *d)
{
    weir_loop *loop = d->t.loop;
    const uint64_t bytes =
        (uint64_t)wr_datagramq_first(&d->queue)->len + WEIR_DATAGRAM_COST;

    wr_budget_unqueue(&loop->budget, bytes);
    wr_ignore(wr_datagramq_pop(&d->queue, &loop->blocks) == 0);
    wr_loop_end_if_forked(loop);
    return bytes;
}

/* The first @count datagrams were sent. Returns their size in the queue. */
static uint64_t datagram_send_took(struct wr_datagram *d, uint32_t count)
{
    const int earlier = wr_datagramq_first(&d->queue)->error;
    uint64_t bytes = 0;

    wr_assert(count > 0 && count <= d->queue.count);
    /* A release callback may abort, which empties the queue. */
    for (uint32_t i = 0; i < count && wr_datagram_is_alive(d); i++) {
        d->counts.sent++;
        wr_transport_count_sent(&d->t, wr_datagramq_first(&d->queue)->len);
        bytes += datagram_send_pop(d);
    }
    if (WR_UNLIKELY(earlier < 0)) {
        wr_datagram_tell_kept_error(d, earlier);
    }
    return bytes;
}

/* Returns the datagram's size in the queue. */
static uint64_t datagram_send_drop(struct wr_datagram *d, int err)
{
    struct weir_address peer;

    wr_assert(err < 0);
    wr_datagramq_get_name(&d->queue, &peer);
    const uint64_t bytes = datagram_send_pop(d);
    wr_datagram_tell_error(d, err, peer.len > 0 ? &peer : &d->remote);
    return bytes;
}

static uint32_t datagram_send_failed(struct wr_datagram *d, int err)
{
    struct wr_outgoing *first = wr_datagramq_first(&d->queue);

    wr_assert(err < 0);
    if (first->error == 0 && d->family != AF_UNIX) {
        first->error = err;
        return 0;
    }
    wr_ignore(datagram_send_drop(d, err) == 0);
    return 1;
}

/* True if the first datagram has waited too long for space at its peer. */
static bool datagram_send_is_over(const struct wr_datagram *d)
{
    const uint64_t deadline_ns = wr_datagramq_first(&d->queue)->deadline_ns;

    return WR_UNLIKELY(deadline_ns < UINT64_MAX) && wr_sys_now() >= deadline_ns;
}

/* Sends the datagrams queued now, but none that callbacks queue. Returns 0, or
 * the error that the remaining datagrams wait for. */
static int datagram_send_all(struct wr_datagram *d)
{
    struct wr_datagram_shared *shared = d->shared;
    uint32_t left = d->queue.count;
    uint64_t bytes = 0;

    while (left > 0 && wr_datagram_is_alive(d)) {
        const uint32_t most = left < WR_SLOTS_MAX ? left : WR_SLOTS_MAX;
        const uint32_t count =
            wr_datagramq_gather(&d->queue, shared->out, shared->out_iov, most);
        const int res = wr_sys_sendmmsg(d->fd, shared->out, count);
        if (res > 0) {
            wr_check((uint32_t)res <= count);
            left -= (uint32_t)res;
            bytes += datagram_send_took(d, (uint32_t)res);
        } else if (res == -EAGAIN && datagram_send_is_over(d)) {
            bytes += datagram_send_drop(d, -ETIMEDOUT);
            left--;
        } else if (res == -EAGAIN || res == -ENOBUFS) {
            return res;
        } else if (res < 0 && res != -EINTR) {
            left -= datagram_send_failed(d, res);
        }
        if (bytes >= FLUSH_BYTES && left > 0) {
            return -EINPROGRESS;
        }
    }
    return 0;
}

static void datagram_send_wait(struct wr_datagram *d, int why)
{
    weir_loop *loop = d->t.loop;

    wr_assert(!d->send_op.in_flight);
    wr_assert(!wr_datagramq_is_empty(&d->queue));
    if (why == -ENOBUFS || (d->family == AF_UNIX && !d->is_connected)) {
        wr_datagram_set_outlet_state(d, WR_OUTLET_PAUSING);
        wr_timer_arm(&loop->wheel, &d->send_timer,
                     wr_add_sat(wr_sys_now(), PAUSE_NS));
    } else {
        wr_datagram_set_outlet_state(d, WR_OUTLET_POLLING);
        wr_prep_poll(&loop->uring, &d->send_op, d->fd, POLLOUT, false);
    }
}

static void datagram_send_flush(struct wr_turn_end *turn_end)
{
    struct wr_datagram *d =
        wr_container_of(turn_end, struct wr_datagram, turn_end);

    wr_assert(d->outlet_state == WR_OUTLET_DIRTY);
    const int why = datagram_send_all(d);
    wr_assert(!d->in_resume);
    if (wr_datagram_is_alive(d) && d->t.must_notify) {
        d->in_resume = true;
        wr_transport_check_low(&d->t, d->queue.bytes);
        d->in_resume = false;
    }
    if (!wr_datagram_is_alive(d)) {
        return;
    }
    if (wr_datagramq_is_empty(&d->queue)) {
        wr_datagram_set_outlet_state(d, WR_OUTLET_IDLE);
        if (d->t.state == WR_LIFE_CLOSING) {
            wr_life_push_step(&d->t);
        }
    } else if (why == -EINPROGRESS) {
        wr_loop_at_turn_end(d->t.loop, &d->turn_end);
    } else if (why < 0) {
        datagram_send_wait(d, why);
    } else {
        /* Callbacks have queued more datagrams, which the next iteration's step
         * sends. Callbacks that always queue more would otherwise keep a run
         * from ending. */
        wr_life_push_step(&d->t);
    }
}

void wr_datagram_send_queued(struct wr_datagram *d)
{
    wr_assert(d->t.state != WR_LIFE_LOST);
    if (d->outlet_state == WR_OUTLET_DIRTY) {
        wr_loop_at_turn_end(d->t.loop, &d->turn_end);
    }
}

void wr_datagram_send_polled(struct wr_datagram *d)
{
    wr_assert(!d->send_op.in_flight);
    wr_assert(d->outlet_state == WR_OUTLET_POLLING);
    datagram_send_make_dirty(d);
}

static void datagram_send_timer_expired(struct wr_timer *timer)
{
    struct wr_datagram *d =
        wr_container_of(timer, struct wr_datagram, send_timer);

    wr_assert(d->outlet_state == WR_OUTLET_PAUSING);
    datagram_send_make_dirty(d);
}

void wr_datagram_send_init(struct wr_datagram *d)
{
    wr_assert(d->t.state == WR_LIFE_NEW);
    wr_datagramq_init(&d->queue);
    wr_list_init(&d->turn_end.link);
    d->turn_end.run = datagram_send_flush;
    wr_timer_init(&d->send_timer, datagram_send_timer_expired);
}

int wr_datagram_queue(struct wr_datagram *d,
                      const struct wr_outgoing_parts *parts)
{
    weir_loop *loop = d->t.loop;
    const uint64_t bytes = (uint64_t)parts->len + WEIR_DATAGRAM_COST;

    wr_require(d->t.error == 0, -EPIPE);
    wr_require(d->t.state == WR_LIFE_OPEN ||
                   (d->t.state == WR_LIFE_CLOSING && d->in_resume),
               -ESHUTDOWN);
    wr_require(!wr_transport_lacks_room(&d->t, d->queue.bytes, bytes),
               -ENOBUFS);
    int err = wr_datagramq_push(&d->queue, &loop->blocks, parts);
    wr_require(err >= 0, err);
    if (parts->kind == WR_OUTGOING_COPY) {
        loop->counts.copied_by_write += parts->len;
    }
    wr_budget_queue(&loop->budget, bytes);
    wr_assert(loop->budget.queued_bytes >= d->queue.bytes);
    if (d->outlet_state == WR_OUTLET_IDLE) {
        datagram_send_make_dirty(d);
    }
    if (WR_UNLIKELY(d->queue.bytes > d->t.check_bytes)) {
        wr_transport_check_high(&d->t, d->queue.bytes);
    }
    return d->t.writing_paused;
}

void wr_datagram_end_send(struct wr_datagram *d)
{
    wr_assert(d->t.state == WR_LIFE_ENDING);
    wr_list_remove(&d->turn_end.link);
    wr_timer_cancel(&d->t.loop->wheel, &d->send_timer);
    if (d->outlet_state != WR_OUTLET_IDLE) {
        wr_datagram_set_outlet_state(d, WR_OUTLET_IDLE);
    }
    wr_op_cancel(&d->t.loop->uring, &d->send_op);
}

void wr_datagram_drop_queue(struct wr_datagram *d)
{
    wr_assert(d->t.state == WR_LIFE_ENDING);
    d->t.has_dropped |= !wr_datagramq_is_empty(&d->queue);
    while (!wr_datagramq_is_empty(&d->queue)) {
        wr_ignore(datagram_send_pop(d) == 0);
    }
}

void wr_datagram_limits_changed(weir_transport *t)
{
    struct wr_datagram *d = wr_datagram_of(t);

    wr_datagram_check_invariants(d);
    wr_transport_check_high(t, d->queue.bytes);
}

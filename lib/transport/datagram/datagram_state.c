/*
 * The state of sending of datagram transports, and the invariants. Sending has
 * its own state next to the transport's life. It is idle after the transport's
 * end, even before the last completion of a poll.
 */
#include "datagram_impl.h"

static const char *const datagram_state_outlets[WR_OUTLET_STATES] = {
    "idle", "dirty", "polling", "pausing"};

void wr_datagram_set_outlet_state(struct wr_datagram *d, enum wr_outlet state)
{
    static const uint8_t allowed[WR_OUTLET_STATES] = {
        [WR_OUTLET_IDLE] = 1u << WR_OUTLET_DIRTY,
        [WR_OUTLET_DIRTY] = 1u << WR_OUTLET_IDLE | 1u << WR_OUTLET_POLLING |
                            1u << WR_OUTLET_PAUSING,
        [WR_OUTLET_POLLING] = 1u << WR_OUTLET_DIRTY | 1u << WR_OUTLET_IDLE,
        [WR_OUTLET_PAUSING] = 1u << WR_OUTLET_DIRTY | 1u << WR_OUTLET_IDLE,
    };
    wr_assert(state < WR_OUTLET_STATES);
    wr_assert(allowed[d->outlet_state] >> state & 1u);
    d->outlet_state = state;
}

static void datagram_state_check_recv(const struct wr_datagram *d)
{
    const bool is_queued = wr_intake_is_queued(&d->t);

    wr_intake_check_invariants(&d->t);
    wr_assert(!is_queued || !d->recv_op.in_flight);
    wr_assert(!is_queued || d->t.state == WR_LIFE_OPEN ||
              d->t.state == WR_LIFE_DOOMED);
    wr_assert(!d->rests || !wr_datagram_awaits_any(d));
    wr_assert(!d->rests || d->closer);
    wr_assert(!d->rests || d->t.state == WR_LIFE_OPEN ||
              d->t.state == WR_LIFE_DOOMED);
    wr_assert(!d->kept_head == !d->kept_tail);
    wr_assert(!d->kept_head || d->t.state == WR_LIFE_OPEN ||
              d->t.state == WR_LIFE_DOOMED);
}

static void datagram_state_check_send(const struct wr_datagram *d)
{
    wr_datagramq_check_invariants(&d->queue);
    wr_assert(d->outlet_state != WR_OUTLET_POLLING || d->send_op.in_flight);
    wr_assert((d->outlet_state == WR_OUTLET_PAUSING) ==
              wr_timer_is_armed(&d->send_timer));
    wr_assert(d->outlet_state == WR_OUTLET_IDLE ||
              (d->t.state != WR_LIFE_ENDING && d->t.state != WR_LIFE_LOST));
    wr_assert(d->outlet_state == WR_OUTLET_IDLE ||
              d->outlet_state == WR_OUTLET_DIRTY ||
              !wr_datagramq_is_empty(&d->queue));
}

void wr_datagram_check_invariants(const struct wr_datagram *d)
{
    wr_transport_check_invariants(&d->t);
    wr_assert((d->fd < 0) == (d->t.state == WR_LIFE_LOST) ||
              d->t.state == WR_LIFE_LOST);
    wr_assert(d->slot_bytes > d->head_bytes);
    wr_assert(d->batch > 0 && d->batch <= WR_SLOTS_MAX);
    if (d->t.state == WR_LIFE_LOST) {
        wr_assert(!d->recv_op.in_flight);
        wr_assert(!d->send_op.in_flight);
    }
    datagram_state_check_recv(d);
    datagram_state_check_send(d);
}

/* True if the transport should receive but no event will start a receive. */
static bool datagram_state_is_forgotten(const struct wr_datagram *d)
{
    return wr_datagram_is_reading(d) && !d->recv_op.in_flight &&
           !wr_intake_waits(&d->t) && !d->rests &&
           !wr_timer_is_armed(&d->rest_timer);
}

void wr_datagram_check_progress(const struct wr_datagram *d)
{
    wr_datagram_check_invariants(d);
    if (wr_ready_is_pending(&d->t.step)) {
        return;
    }
    wr_assert(d->t.state != WR_LIFE_DOOMED);
    wr_assert(!datagram_state_is_forgotten(d));
    wr_assert(!wr_datagram_is_reading(d) || !d->kept_head);
    wr_assert(d->t.state != WR_LIFE_CLOSING ||
              !wr_datagramq_is_empty(&d->queue));
    wr_assert(d->t.state != WR_LIFE_ENDING || d->recv_op.in_flight ||
              d->send_op.in_flight);
    wr_assert(wr_datagramq_is_empty(&d->queue) ||
              d->outlet_state != WR_OUTLET_IDLE);
}

void wr_datagram_break(struct wr_datagram *d, int err, const char *what)
{
    wr_assert(err < 0);
    wr_transport_set_error(&d->t, err, what);
    wr_life_doom(&d->t);
}

void wr_datagram_fail_callback(struct wr_datagram *d, int err)
{
    const struct weir_exception failed = {
        .message = "protocol callback failed: endpoint aborted",
        .err = err,
        .callback = "datagram_received",
        .transport = &d->t,
    };
    wr_assert(err < 0);
    wr_loop_report(d->t.loop, &failed);
    wr_datagram_break(d, err, "datagram_received");
}

static const char *datagram_state_recv_name(const struct wr_datagram *d)
{
    wr_assert(d->t.state != WR_LIFE_NEW);
    if (wr_intake_is_queued(&d->t)) {
        return wr_intake_queue_name(&d->t);
    }
    return d->t.state == WR_LIFE_OPEN && d->recv_op.in_flight ? "armed"
                                                              : "idle";
}

void wr_datagram_dump(const weir_transport *t, FILE *out)
{
    const struct wr_datagram *d = wr_datagram_of(t);
    char own[WEIR_ADDRESS_TEXT_SIZE];
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out,
            "datagram fd=%d %s -> %s state=%s recv=%s%s send=%s ops=%s%s "
            "held=%llu leases=%u queued=%u bytes=%llu%s received=%llu "
            "sent=%llu errors=%llu error=%s\n",
            d->fd, weir_address_format(&d->sockname, own, sizeof(own)),
            weir_address_format(&d->remote, peer, sizeof(peer)),
            wr_life_state_name(t), datagram_state_recv_name(d),
            d->paused ? " paused" : "", datagram_state_outlets[d->outlet_state],
            d->recv_op.in_flight ? "r" : "", d->send_op.in_flight ? "s" : "",
            (unsigned long long)d->t.demand.account.held_bytes,
            d->t.demand.account.lease_count, d->queue.count,
            (unsigned long long)d->queue.bytes,
            t->writing_paused ? " writing-paused" : "",
            (unsigned long long)d->counts.received,
            (unsigned long long)d->counts.sent,
            (unsigned long long)d->counts.errors,
            t->error ? weir_err_name(t->error) : "none");
}

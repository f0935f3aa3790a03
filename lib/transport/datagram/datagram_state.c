/*
 * Datagram endpoints: the states of their work, and what must hold.
 *
 * A machine beside the endpoint's life says where sending stands. Sending is
 * idle from the moment that it is over for good, even while a poll is on its
 * way to its last completion.
 */
#include "datagram_impl.h"

static const char *const datagram_state_outlets[WR_OUTLET_STATES] = {
    "idle", "dirty", "polling", "pausing"};

void wr_endpoint_set_outlet_state(struct wr_endpoint *e, enum wr_outlet state)
{
    static const uint8_t allowed[WR_OUTLET_STATES] = {
        [WR_OUTLET_IDLE] = 1u << WR_OUTLET_DIRTY,
        [WR_OUTLET_DIRTY] = 1u << WR_OUTLET_IDLE | 1u << WR_OUTLET_POLLING |
                            1u << WR_OUTLET_PAUSING,
        [WR_OUTLET_POLLING] = 1u << WR_OUTLET_DIRTY | 1u << WR_OUTLET_IDLE,
        [WR_OUTLET_PAUSING] = 1u << WR_OUTLET_DIRTY | 1u << WR_OUTLET_IDLE,
    };
    wr_assert(state < WR_OUTLET_STATES);
    wr_assert(allowed[e->outlet_state] >> state & 1u);
    e->outlet_state = state;
}

static bool datagram_state_is_over(const struct wr_endpoint *e)
{
    return e->t.state == WR_LIFE_ENDING || e->t.state == WR_LIFE_LOST;
}

static void datagram_state_check_recv(const struct wr_endpoint *e)
{
    const bool is_queued = wr_intake_is_queued(&e->t);

    wr_intake_check_invariants(&e->t);
    wr_assert(!is_queued || !e->recv_op.in_flight);
    wr_assert(!is_queued || e->t.state == WR_LIFE_OPEN ||
              e->t.state == WR_LIFE_DOOMED);
    wr_assert(!e->rests || !wr_endpoint_awaits_datagrams(e));
    wr_assert(!e->rests || e->closer);
    wr_assert(!e->rests || e->t.state == WR_LIFE_OPEN ||
              e->t.state == WR_LIFE_DOOMED);
    wr_assert(!e->kept_head == !e->kept_tail);
    wr_assert(!e->kept_head || e->t.state == WR_LIFE_OPEN ||
              e->t.state == WR_LIFE_DOOMED);
}

static void datagram_state_check_send(const struct wr_endpoint *e)
{
    wr_datagramq_check_invariants(&e->queue);
    wr_assert(e->outlet_state != WR_OUTLET_POLLING || e->send_op.in_flight);
    wr_assert((e->outlet_state == WR_OUTLET_PAUSING) ==
              wr_timer_is_armed(&e->send_timer));
    wr_assert(e->outlet_state == WR_OUTLET_IDLE || !datagram_state_is_over(e));
    wr_assert(e->outlet_state == WR_OUTLET_IDLE ||
              e->outlet_state == WR_OUTLET_DIRTY ||
              !wr_datagramq_is_empty(&e->queue));
}

void wr_endpoint_check_invariants(const struct wr_endpoint *e)
{
    wr_transport_check_invariants(&e->t);
    wr_assert((e->fd < 0) == (e->t.state == WR_LIFE_LOST) ||
              e->t.state == WR_LIFE_LOST);
    wr_assert(e->slot_bytes > e->head_bytes);
    wr_assert(e->batch > 0 && e->batch <= WR_SLOTS_MAX);
    if (e->t.state == WR_LIFE_LOST) {
        wr_assert(!e->recv_op.in_flight);
        wr_assert(!e->send_op.in_flight);
    }
    datagram_state_check_recv(e);
    datagram_state_check_send(e);
}

/* True when it would receive and no event will let it. */
static bool datagram_state_is_forgotten(const struct wr_endpoint *e)
{
    return wr_endpoint_is_reading(e) && !e->recv_op.in_flight &&
           !wr_intake_waits(&e->t) && !e->rests &&
           !wr_timer_is_armed(&e->rest_timer);
}

void wr_endpoint_check_rest(const struct wr_endpoint *e)
{
    wr_endpoint_check_invariants(e);
    if (wr_ready_is_pending(&e->t.step)) {
        return; /* which sees to all of it */
    }
    wr_assert(e->t.state != WR_LIFE_DOOMED);
    wr_assert(!datagram_state_is_forgotten(e));
    wr_assert(!wr_endpoint_is_reading(e) || !e->kept_head);
    wr_assert(e->t.state != WR_LIFE_CLOSING ||
              !wr_datagramq_is_empty(&e->queue));
    wr_assert(e->t.state != WR_LIFE_ENDING || e->recv_op.in_flight ||
              e->send_op.in_flight);
    wr_assert(wr_datagramq_is_empty(&e->queue) ||
              e->outlet_state != WR_OUTLET_IDLE);
}

void wr_endpoint_break(struct wr_endpoint *e, int err, const char *what)
{
    wr_assert(err < 0);
    wr_transport_set_error(&e->t, err, what);
    wr_life_doom(&e->t);
}

void wr_endpoint_fail_callback(struct wr_endpoint *e, int err)
{
    const struct weir_exception failed = {
        .message = "protocol callback failed: endpoint aborted",
        .err = err,
        .callback = "datagram_received",
        .transport = &e->t,
    };
    wr_assert(err < 0);
    wr_loop_report(e->t.loop, &failed);
    wr_endpoint_break(e, err, "datagram_received");
}

void wr_endpoint_tell_error(struct wr_endpoint *e, int err)
{
    wr_assert(err < 0);
    if (wr_endpoint_is_alive(e)) {
        e->counts.errors++;
        wr_protocol_error(&e->t, err);
    }
}

static const char *datagram_state_recv_name(const struct wr_endpoint *e)
{
    wr_assert(e->t.state != WR_LIFE_UNBORN);
    if (wr_intake_is_queued(&e->t)) {
        return wr_intake_queue_name(&e->t);
    }
    return e->t.state == WR_LIFE_OPEN && e->recv_op.in_flight ? "armed"
                                                              : "idle";
}

void wr_endpoint_dump(const weir_transport *t, FILE *out)
{
    const struct wr_endpoint *e = wr_endpoint_of(t);
    char own[WEIR_ADDRESS_TEXT_SIZE];
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out,
            "datagram fd=%d %s -> %s state=%s recv=%s%s send=%s ops=%s%s "
            "held=%llu leases=%u queued=%u bytes=%llu%s received=%llu "
            "sent=%llu errors=%llu error=%s\n",
            e->fd, weir_address_format(&e->sockname, own, sizeof(own)),
            weir_address_format(&e->remote, peer, sizeof(peer)),
            wr_life_state_name(t), datagram_state_recv_name(e),
            e->paused ? " paused" : "", datagram_state_outlets[e->outlet_state],
            e->recv_op.in_flight ? "r" : "", e->send_op.in_flight ? "s" : "",
            (unsigned long long)e->t.demand.account.held_bytes,
            e->t.demand.account.lease_count, e->queue.count,
            (unsigned long long)e->queue.bytes,
            t->writing_paused ? " writing-paused" : "",
            (unsigned long long)e->counts.received,
            (unsigned long long)e->counts.sent,
            (unsigned long long)e->counts.errors,
            t->error ? weir_err_name(t->error) : "none");
}

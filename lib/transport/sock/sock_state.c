/*
 * Checks the invariants of a stream socket, and prints its state. Between loop
 * iterations, a direction that has stopped also waits for an event that will
 * resume it.
 */
#include "sock_impl.h"

static void sock_state_check_life(const struct wr_sock *s)
{
    switch (s->c.t.state) {
    case WR_LIFE_NEW:
        wr_assert(!s->c.t.eof_seen);
        wr_assert(wr_delivery_is_free(&s->c.delivery));
        wr_assert(s->recv_state == WR_RECV_IDLE);
        break;
    case WR_LIFE_LINGERING:
        wr_assert(s->c.clock && wr_sock_clock_of(s)->linger_ns > 0);
        wr_assert(s->c.t.end_sent);
        break;
    case WR_LIFE_ENDING:
        wr_debug_assert(!wr_list_is_linked(&s->turn_end.link));
        break;
    case WR_LIFE_LOST:
        wr_assert(!s->c.t.ops->is_in_flight(&s->c));
        wr_debug_assert(!s->sends_file);
        wr_assert(!wr_sock_has_lent(s));
        break;
    default:
        break;
    }
    wr_assert(s->c.t.fd >= 0 || s->c.t.state == WR_LIFE_LOST);
}

static void sock_state_check_recv(const struct wr_sock *s)
{
    const bool is_armed =
        s->recv_state == WR_RECV_ARMED || s->recv_state == WR_RECV_CANCELLING;

    wr_debug_assert(s->recv_state < WR_RECV_STATES);
    wr_assert(s->recv_op.in_flight == is_armed);
    wr_debug_assert(!is_armed || !wr_intake_is_queued(&s->c.t));
    wr_debug_assert(s->fd_limit == 0 || s->always_polls);
    wr_debug_assert(!s->always_polls || s->moves_bulk);
    wr_debug_assert(!s->rests || s->fd_limit > 0);
    wr_debug_assert(!s->rests || s->recv_state == WR_RECV_IDLE);
    wr_debug_assert(!s->rests || !wr_intake_is_queued(&s->c.t));
    wr_debug_assert(!s->rests || (!s->c.t.held_back && !s->c.t.eof_seen));
    wr_debug_assert(!s->polls_bytes || (is_armed && s->armed_once));
    wr_debug_assert(!s->expects_bytes || s->moves_bulk);
    wr_assert(!is_armed || !s->c.t.held_back);
    wr_debug_assert(!s->recv_failed || s->c.t.error ||
                    wr_life_is_over(&s->c.t) ||
                    s->c.t.state == WR_LIFE_LINGERING);
    wr_debug_assert(!s->c.t.eof_seen || !is_armed);
}

static void sock_state_check_send(const struct wr_sock *s)
{
    const bool is_empty = wr_sendq_is_empty(&s->c.outbox.queue);

    wr_assert(!s->send_op.in_flight || !is_empty || s->sends_file ||
              s->c.outbox.is_opening);
    wr_debug_assert(!s->c.outbox.is_opening || s->sent_short);
    wr_assert(!s->c.outbox.is_stalled || s->send_op.in_flight);
    wr_debug_assert(s->c.outbox.passed_bytes == 0);
    wr_debug_assert(!s->c.outbox.in_resume || !s->send_op.in_flight);
    wr_debug_assert(!wr_list_is_linked(&s->turn_end.link) ||
                    !s->send_op.in_flight);
    wr_debug_assert(s->sends_file == (s->c.outbox.sender != NULL));
    wr_debug_assert(!s->sends_fds || !is_empty);
    wr_debug_check(wr_sock_fds_of(s) ? wr_sock_check_fds(s) : (void)0);
}

static void sock_state_check_file(const struct wr_sock *s)
{
    const struct wr_sender *file = s->c.outbox.sender;
    const bool is_in_flight =
        file->read_op.base.in_flight || s->send_op.in_flight;

    wr_assert(file->t == &s->c.t);
    wr_assert(!file->chunk || is_in_flight);
    wr_assert(!file->read_op.base.in_flight ||
              wr_sendq_is_empty(&s->c.outbox.queue));
    wr_assert(!file->read_op.base.in_flight || !s->send_op.in_flight);
    if (file->state == WR_SENDER_SENDING) {
        wr_assert(s->send_op.in_flight);
        wr_assert(!s->c.outbox.is_stalled);
    }
    if (file->state == WR_SENDER_STOPPING) {
        /* Otherwise a send has ended, and queued bytes are being released. */
        wr_assert(is_in_flight || file->queued_bytes > 0);
    }
}

void wr_sock_check_invariants(const struct wr_connection *c)
{
    const struct wr_sock *s = wr_sock_of(&c->t);

    sock_state_check_life(s);
    sock_state_check_recv(s);
    sock_state_check_send(s);
    wr_debug_check(s->sends_file ? sock_state_check_file(s) : (void)0);
    if (s->extra) {
        wr_assert(s->extra->buf || s->extra->len == 0);
        wr_assert(s->extra->len == 0 || !s->recv_op.in_flight);
        wr_assert(!s->extra->buf || !s->recv_op.in_flight || s->armed_once);
    }
}

/* True if the protocol wants bytes, but no event will start a receive. */
static bool sock_state_is_forgotten(const struct wr_sock *s)
{
    return wr_connection_is_reading(&s->c.t) && s->recv_state == WR_RECV_IDLE &&
           !s->rests && !wr_intake_waits(&s->c.t);
}

void wr_sock_check_progress(const struct wr_connection *c)
{
    const struct wr_sock *s = wr_sock_of(&c->t);
    const bool is_moving =
        s->send_op.in_flight || wr_list_is_linked(&s->turn_end.link);

    wr_assert(!s->eof_doubted || s->send_op.in_flight);
    wr_assert(!sock_state_is_forgotten(s));
    wr_assert(!wr_connection_is_reading(&c->t) ||
              !wr_delivery_has_held(&c->delivery) || wr_sock_has_lent(s));
    if (c->t.error == 0 && !wr_life_is_over(&c->t) &&
        c->t.state != WR_LIFE_MOVING) {
        wr_assert(!wr_outbox_has_unsent(&c->outbox) || s->sends_file ||
                  is_moving);
        wr_assert(!s->sends_file || is_moving ||
                  c->outbox.sender->state != WR_SENDER_NEXT);
    }
}

static const char *sock_state_recv_name(const struct wr_sock *s)
{
    static const char *const names[WR_RECV_STATES] = {"idle", "armed",
                                                      "cancelling"};
    if (s->rests) {
        return "resting"; /* until received descriptors are closed */
    }
    if (wr_intake_is_queued(&s->c.t)) {
        return wr_intake_queue_name(&s->c.t);
    }
    return s->polls_bytes && s->recv_state == WR_RECV_ARMED
               ? "polling"
               : names[s->recv_state];
}

static const char *sock_state_send_name(const struct wr_sock *s)
{
    if (!s->send_op.in_flight) {
        return "idle";
    }
    if (s->c.outbox.is_opening) {
        return "opening"; /* until the peer has answered the SYN */
    }
    return s->c.outbox.is_stalled ? "waiting" : "sending";
}

void wr_sock_dump(const struct wr_connection *c, FILE *out)
{
    const struct wr_sock *s = wr_sock_of(&c->t);
    struct weir_address peername;
    struct weir_address sockname;
    char peer[WEIR_ADDRESS_TEXT_SIZE];
    char own[WEIR_ADDRESS_TEXT_SIZE];

    wr_assert(c->t.state != WR_LIFE_NEW);
    c->t.ops->get_sockname(&c->t, &sockname);
    c->t.ops->get_peername(&c->t, &peername);
    fprintf(out, " recv=%s send=%s ops=%s%s%s fd=%d %s -> %s credit=%u fds=%u",
            sock_state_recv_name(s), sock_state_send_name(s),
            s->recv_op.in_flight ? "r" : "", s->send_op.in_flight ? "s" : "",
            s->poll_op.in_flight ? "p" : "", s->c.t.fd,
            weir_address_format(&sockname, own, sizeof(own)),
            weir_address_format(&peername, peer, sizeof(peer)),
            wr_budget_credit(&c->t.loop->budget, &c->t.demand),
            wr_sock_fds_of(s) ? wr_sock_fds_of(s)->waiting_count : 0);
}

/*
 * Stream sockets: the next step, the invariants, and the line of a dump.
 *
 * This file decides the next step of a socket's life, from facts that the other
 * files have noted, and changes nothing; sock.c carries the step out. A file
 * that finds the connection at its end dooms it: nothing is sent or delivered
 * from then on, and sock.c ends it later.
 */
#include "sock_impl.h"

/* True if the queue of a broken connection can be dropped. */
static bool sock_state_may_drop_queue(const struct wr_sock *s)
{
    return !s->send_op.in_flight && (!wr_sendq_is_empty(&s->outbox.queue) ||
                                     wr_sender_is_active(s->outbox.sender) ||
                                     wr_intake_awaits_drop(&s->t));
}

/* True if a broken connection has delivered all bytes that arrived before. */
static bool sock_state_has_delivered_all(const struct wr_sock *s)
{
    return wr_sock_has_read_all(s) && !s->recv_op.in_flight &&
           !wr_sock_has_kept(s) && !wr_delivery_has_end(&s->delivery);
}

static enum wr_sock_next sock_state_next_of_broken(const struct wr_sock *s)
{
    if (sock_state_may_drop_queue(s)) {
        return WR_SOCK_DROP_QUEUE; /* the receive may need its memory */
    }
    if (s->t.state == WR_LIFE_OPEN && !sock_state_has_delivered_all(s)) {
        return WR_SOCK_RECEIVE;
    }
    return WR_SOCK_DOOM;
}

static enum wr_sock_next sock_state_next_of_closing(const struct wr_sock *s)
{
    if (wr_sock_has_unsent(s) || s->send_op.in_flight) {
        return WR_SOCK_RECEIVE;
    }
    return !s->eof_seen && (s->has_sent || wr_sock_lingers(s)) ? WR_SOCK_LINGER
                                                               : WR_SOCK_DOOM;
}

/* A file is in flight until its done was called. */
static bool sock_state_is_in_flight(const struct wr_sock *s)
{
    return s->recv_op.in_flight || s->poll_op.in_flight ||
           s->send_op.in_flight || s->sends_file;
}

enum wr_sock_next wr_sock_next_step(const struct wr_sock *s)
{
    switch (s->t.state) {
    case WR_LIFE_OPEN:
        return s->t.error ? sock_state_next_of_broken(s) : WR_SOCK_RECEIVE;
    case WR_LIFE_CLOSING:
        return s->t.error ? sock_state_next_of_broken(s)
                          : sock_state_next_of_closing(s);
    case WR_LIFE_LINGERING:
        return s->t.error || s->eof_seen || s->recv_failed ? WR_SOCK_DOOM
                                                           : WR_SOCK_RECEIVE;
    case WR_LIFE_DOOMED:
        return WR_SOCK_END;
    case WR_LIFE_ENDING:
        return sock_state_is_in_flight(s) ? WR_SOCK_WAIT : WR_SOCK_LOSE;
    case WR_LIFE_NEW:
    case WR_LIFE_HANDSHAKING:
    case WR_LIFE_LOST:
    case WR_LIFE_STATES:
        break;
    }
    return WR_SOCK_WAIT;
}

/* Relations between the state and the other facts. */
static void sock_state_check_life(const struct wr_sock *s)
{
    switch (s->t.state) {
    case WR_LIFE_NEW:
        wr_assert(!s->eof_seen);
        wr_assert(wr_delivery_is_free(&s->delivery));
        wr_assert(s->recv_state == WR_RECV_IDLE);
        break;
    case WR_LIFE_LINGERING:
        wr_assert(s->times && s->times->linger_ns > 0);
        wr_assert(s->write_eof);
        wr_assert(!wr_sock_has_unsent(s));
        break;
    case WR_LIFE_ENDING:
        wr_debug_assert(!wr_list_is_linked(&s->turn_end.link));
        break;
    case WR_LIFE_LOST:
        wr_assert(!sock_state_is_in_flight(s));
        wr_assert(wr_sendq_is_empty(&s->outbox.queue));
        wr_assert(!s->times);
        wr_debug_assert(!s->sends_file);
        wr_assert(!s->into);
        break;
    default:
        break;
    }
    wr_assert(s->fd >= 0 || s->t.state == WR_LIFE_LOST);
}

static void sock_state_check_recv(const struct wr_sock *s)
{
    const bool is_armed =
        s->recv_state == WR_RECV_ARMED || s->recv_state == WR_RECV_CANCELLING;

    wr_assert(s->recv_state < WR_RECV_STATES);
    wr_assert(s->recv_op.in_flight == is_armed);
    wr_debug_assert(!is_armed || !wr_intake_is_queued(&s->t));
    wr_intake_check_invariants(&s->t);
    wr_debug_assert(!s->takes_fds || s->moves_bulk);
    wr_debug_assert(s->takes_fds || s->fd_limit == 0);
    wr_debug_assert(!s->rests || s->takes_fds);
    wr_debug_assert(!s->rests || s->recv_state == WR_RECV_IDLE);
    wr_debug_assert(!s->rests || !wr_intake_is_queued(&s->t));
    wr_debug_assert(!s->rests || (!s->t.held_back && !s->eof_seen));
    wr_debug_assert(!s->polls_bytes || (is_armed && s->armed_once));
    wr_assert(!is_armed || !s->t.held_back);
    wr_debug_assert(!s->recv_failed || s->t.error || wr_life_is_over(&s->t) ||
                    s->t.state == WR_LIFE_LINGERING);
    wr_assert(!wr_delivery_has_end(&s->delivery) || s->eof_seen);
    wr_debug_assert(!s->eof_seen || !is_armed);
}

/* Checks bytes that the protocol has not seen, in leases or lent memory. */
static void sock_state_check_kept(const struct wr_sock *s)
{
    wr_delivery_check_invariants(&s->delivery);
    wr_assert(wr_delivery_is_shut(&s->delivery) == (s->t.state > WR_LIFE_OPEN));
    if (s->into) {
        wr_assert(s->into->buf || s->into->len == 0);
        wr_assert(s->into->len == 0 || !s->recv_op.in_flight);
        wr_assert(!s->into->buf || !s->recv_op.in_flight || s->armed_once);
    }
}

static void sock_state_check_send(const struct wr_sock *s)
{
    const bool is_empty = wr_sendq_is_empty(&s->outbox.queue);

    wr_assert(!s->send_op.in_flight || !is_empty || s->sends_file);
    wr_assert(!s->polls_for_room || s->send_op.in_flight);
    wr_assert(!s->write_shut || s->write_eof);
    wr_debug_assert(wr_outbox_is_over(&s->outbox) == wr_life_is_over(&s->t));
    wr_debug_check(wr_outbox_check_invariants(&s->outbox));
    wr_debug_assert(s->outbox.passed_bytes == 0);
    wr_debug_assert(!s->write_shut || is_empty);
    wr_debug_assert(!s->outbox.in_resume || !s->send_op.in_flight);
    wr_debug_assert(!wr_list_is_linked(&s->turn_end.link) ||
                    !s->send_op.in_flight);
    wr_debug_assert(s->sends_file == (s->outbox.sender != NULL));
    wr_debug_assert(!s->sends_fds || !is_empty);
    wr_debug_check(s->fds ? wr_sock_check_fds(s) : (void)0);
}

/* Checks a socket that sends a file. */
static void sock_state_check_file(const struct wr_sock *s)
{
    const struct wr_sender *file = s->outbox.sender;
    const bool is_in_flight = file->read_op.in_flight || s->send_op.in_flight;

    wr_sender_check_invariants(file);
    wr_assert(file->t == &s->t);
    wr_assert(!file->chunk || is_in_flight);
    wr_assert(!file->read_op.in_flight || wr_sendq_is_empty(&s->outbox.queue));
    wr_assert(!file->read_op.in_flight || !s->send_op.in_flight);
    if (file->state == WR_SENDER_SENDING) {
        wr_assert(s->send_op.in_flight);
        wr_assert(!s->polls_for_room);
    }
    if (file->state == WR_SENDER_STOPPING) {
        /* Or the queue's send has ended, and its bytes are being released. */
        wr_assert(is_in_flight || file->queued_bytes > 0);
    }
}

static void sock_state_check_times(const struct wr_sock *s)
{
    wr_assert(s->times->clock.t == &s->t);
    wr_assert(s->times->clock.closing_ns == 0 || s->t.state >= WR_LIFE_CLOSING);
    wr_assert(s->times->linger_ns == 0 || s->t.state >= WR_LIFE_LINGERING);
    wr_assert(s->times->unacked_bytes >= -1);
    wr_debug_assert(!wr_timer_is_armed(&s->times->clock.timer) ||
                    s->t.state <= WR_LIFE_DOOMED);
}

void wr_sock_check_invariants(const struct wr_sock *s)
{
    wr_transport_check_invariants(&s->t);
    sock_state_check_life(s);
    sock_state_check_recv(s);
    sock_state_check_kept(s);
    sock_state_check_send(s);
    wr_debug_check(s->sends_file ? sock_state_check_file(s) : (void)0);
    if (s->times) {
        sock_state_check_times(s);
    }
}

/* True if nothing is being received although the protocol wants bytes, and no
 * event will change that. */
static bool sock_state_is_forgotten(const struct wr_sock *s)
{
    return wr_sock_is_reading(s) && s->recv_state == WR_RECV_IDLE &&
           !s->rests && !wr_intake_waits(&s->t);
}

void wr_sock_check_progress(const struct wr_sock *s)
{
    wr_sock_check_invariants(s);
    wr_assert(s->t.loop->budget.queued_bytes >= s->outbox.queue.bytes);
    if (wr_ready_is_pending(&s->t.step)) {
        return; /* the step handles everything */
    }
    wr_assert(s->t.state != WR_LIFE_DOOMED);
    wr_assert(!s->eof_doubted || s->send_op.in_flight);
    wr_assert(s->t.state != WR_LIFE_ENDING || sock_state_is_in_flight(s));
    wr_assert(!sock_state_is_forgotten(s));
    if (wr_sock_is_reading(s)) {
        wr_assert(!wr_delivery_has_held(&s->delivery) || wr_sock_has_lent(s));
        wr_assert(!wr_delivery_has_end(&s->delivery));
    }
    const bool is_moving =
        s->send_op.in_flight || wr_list_is_linked(&s->turn_end.link);
    if (s->t.error == 0 && !wr_life_is_over(&s->t)) {
        wr_assert(wr_sendq_is_empty(&s->outbox.queue) || is_moving);
        wr_assert(!s->sends_file || is_moving ||
                  s->outbox.sender->state != WR_SENDER_NEXT);
    }
    wr_assert(!s->sends_file || s->outbox.sender->state != WR_SENDER_DONE ||
              wr_ready_is_pending(&s->outbox.sender->ready));
}

static const char *sock_state_recv_name(const struct wr_sock *s)
{
    static const char *const names[WR_RECV_STATES] = {"idle", "armed",
                                                      "cancelling"};
    if (s->rests) {
        return "resting"; /* until received descriptors are closed */
    }
    if (wr_intake_is_queued(&s->t)) {
        return wr_intake_queue_name(&s->t);
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
    return s->polls_for_room ? "waiting" : "sending";
}

/* Writes what is needed to find out why a connection hangs: the states, the
 * operations in flight, held and queued bytes, and the first error. */
void wr_sock_dump(const weir_transport *t, FILE *out)
{
    const struct wr_sock *s = wr_sock_of(t);
    const struct wr_sender *file = s->outbox.sender;
    struct weir_address peername;
    struct weir_address sockname;
    char peer[WEIR_ADDRESS_TEXT_SIZE];
    char own[WEIR_ADDRESS_TEXT_SIZE];

    wr_assert(s->t.state != WR_LIFE_NEW);
    wr_sock_get_sockname(t, &sockname);
    wr_sock_get_peername(t, &peername);
    fprintf(out,
            "%s fd=%d %s -> %s state=%s recv=%s%s%s send=%s ops=%s%s%s "
            "credit=%u held=%llu leases=%u queued=%llu fds=%u file=%s "
            "left=%llu%s%s error=%s\n",
            t->ops->name, s->fd,
            weir_address_format(&sockname, own, sizeof(own)),
            weir_address_format(&peername, peer, sizeof(peer)),
            wr_life_state_name(&s->t), sock_state_recv_name(s),
            wr_delivery_is_paused(&s->delivery) ? " paused" : "",
            s->eof_seen ? " eof" : "", sock_state_send_name(s),
            s->recv_op.in_flight ? "r" : "", s->send_op.in_flight ? "s" : "",
            s->poll_op.in_flight ? "p" : "",
            wr_budget_credit(&t->loop->budget, &s->t.demand),
            (unsigned long long)s->t.demand.account.held_bytes,
            s->t.demand.account.lease_count,
            (unsigned long long)s->outbox.queue.bytes,
            s->fds ? s->fds->waiting_count : 0, wr_sender_state_name(file),
            (unsigned long long)(file ? file->file.left : 0),
            t->writing_paused ? " writing-paused" : "",
            s->write_eof ? " write-eof" : "",
            t->error ? weir_err_name(t->error) : "none");
}

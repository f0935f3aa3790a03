/*
 * Stream sockets: lingering until the peer has all written bytes. The clock
 * checks the kernel's queues, and starts the poll that watches a peer some time
 * after its end of stream.
 *
 * The kernel sends a reset if a socket is closed with unread bytes, or if bytes
 * arrive after the close. A reset drops all bytes that the peer's kernel has
 * not acknowledged. So a closing socket checks the kernel's queues once, when
 * all bytes were sent. If bytes are unread or not acknowledged, it sends a FIN,
 * reads and drops bytes, and checks again with growing intervals, because no
 * event reports an acknowledgement. Usually the peer's end of stream comes
 * first.
 *
 * A peer that sends fast always has unread bytes. Once it has acknowledged
 * everything, the close reads only a moment longer, in which a peer that reads
 * ends its stream, and then resets.
 *
 * A reset does not drop bytes that a Unix socket has sent to its peer's queue,
 * so a Unix socket waits only until its own queue is read.
 */
#include "sock_impl.h"

#include "weir/error.h"

#define LOOK_FIRST_NS UINT64_C(2000000)
#define LOOK_LAST_NS  UINT64_C(1000000000)

/* True if bytes may be unread because no receive was armed. */
static bool sock_linger_withholds(const struct wr_sock *s)
{
    return wr_delivery_is_paused(&s->c.delivery) || s->moves_bulk ||
           s->c.t.held_back || s->has_waited;
}

/* A FIN counts as one byte. Returns 0 for a Unix socket. */
static uint32_t sock_linger_unacked(const struct wr_sock *s)
{
    wr_assert(s->c.t.fd >= 0);
    const int unacked = s->c.t.ops->send_fds ? 0 : wr_sys_outq(s->c.t.fd);
    return unacked > 0 ? (uint32_t)unacked : 0;
}

uint64_t wr_sock_get_unacknowledged(const weir_transport *t)
{
    wr_assert(t->state != WR_LIFE_NEW);
    return wr_life_is_over(t) ? 0 : sock_linger_unacked(wr_sock_of(t));
}

/* Usually a receive was armed, and has taken all bytes. */
static bool sock_linger_is_due(const struct wr_sock *s)
{
    wr_assert(s->c.t.state == WR_LIFE_CLOSING);
    return wr_sock_lingers(s) ||
           (s->has_sent &&
            (sock_linger_unacked(s) > 0 ||
             (sock_linger_withholds(s) && wr_sys_inq(s->c.t.fd) > 0)));
}

void wr_sock_shut(struct wr_sock *s)
{
    wr_assert(!s->send_op.in_flight);
    int err = wr_sys_shutdown(s->c.t.fd, SHUT_WR);
    /* With -ENOTCONN the peer is gone, and the receive will notice. */
    if (err < 0 && err != -ENOTCONN) {
        wr_transport_set_error(&s->c.t, err, "shutdown");
        wr_life_doom(&s->c.t);
    }
}

static __attribute__((noinline)) bool sock_linger_begin(struct wr_connection *c)
{
    struct wr_sock *s = wr_sock_of(&c->t);
    const uint64_t now_ns = c->t.loop->now_ns;

    wr_assert(!s->send_op.in_flight && now_ns > 0);
    const int err = wr_connection_make_clock(c);
    if (err < 0) {
        wr_transport_set_error(&c->t, err, "close"); /* bytes may be lost */
        return false;
    }
    struct wr_sock_clock *clock = wr_sock_clock_of(s);
    clock->linger_ns = now_ns;
    clock->looked_ns = now_ns;
    clock->look_wait_ns = LOOK_FIRST_NS;
    clock->clock.sent_ns = now_ns;
    clock->looked_bytes = 0;
    clock->is_acked = false;
    if (!c->t.end_sent) {
        wr_sock_shut(s);
    }
    return c->t.state == WR_LIFE_CLOSING;
}

bool wr_sock_linger(struct wr_connection *c)
{
    wr_debug_assert(!c->t.eof_seen && !wr_outbox_has_unsent(&c->outbox));
    return sock_linger_is_due(wr_sock_of(&c->t)) && sock_linger_begin(c);
}

bool wr_sock_linger_owes(const struct wr_sock *s)
{
    wr_assert(s->c.t.state == WR_LIFE_LINGERING);
    return sock_linger_unacked(s) > s->c.t.farewell_bytes + 1; /* the FIN */
}

void wr_sock_note_dropped(struct wr_sock *s, uint32_t bytes)
{
    const uint32_t dropped = wr_outbox_note_dropped(&s->c.outbox, bytes);

    wr_assert(s->c.t.state > WR_LIFE_OPEN);
    if (s->c.t.state == WR_LIFE_LINGERING && wr_sock_clock_of(s)->is_acked &&
        dropped >= WR_END_REST_BYTES) {
        wr_life_doom(&s->c.t);
    }
}

static void sock_linger_note_look(struct wr_sock_clock *clock, int unacked)
{
    const uint64_t now_ns = clock->clock.t->loop->now_ns;

    wr_assert(clock->looked_bytes >= 0);
    clock->looked_ns = now_ns;
    if (unacked >= 0 && unacked + 1 != clock->looked_bytes) {
        clock->looked_bytes = unacked + 1;
        clock->clock.sent_ns = now_ns;
    }
}

static uint64_t sock_linger_watch_ns(const struct wr_sock *s)
{
    const uint64_t when_ns = wr_sock_clock_of(s)->watch_ns;

    return when_ns == 0 || s->c.t.state != WR_LIFE_OPEN ? UINT64_MAX : when_ns;
}

/* A completed send has only filled the kernel's queue, so the queue is checked
 * several times per limit. The first check has no earlier value and counts as
 * progress: a stall is reported at most one interval late. */
static uint64_t sock_linger_queue_look_ns(const struct wr_sock *s)
{
    const struct wr_sock_clock *clock = wr_sock_clock_of(s);
    const struct weir_timeouts *limits = wr_clock_get_limits(&clock->clock);

    wr_assert(clock->looked_bytes >= 0);
    if (s->c.t.state == WR_LIFE_LINGERING) {
        return limits->linger_ns > 0
                   ? UINT64_MAX
                   : wr_add_sat(clock->looked_ns, clock->look_wait_ns);
    }
    if (limits->write_stall_ns == 0 || wr_life_is_over(&s->c.t) ||
        !wr_outbox_has_unsent(&s->c.outbox)) {
        return UINT64_MAX;
    }
    return wr_add_sat(wr_max_u64(clock->clock.sent_ns, clock->looked_ns),
                      limits->write_stall_ns / WR_STALL_LOOKS + 1);
}

/* True if all bytes are acknowledged, and read or WR_END_REST_NS has passed. */
static bool sock_linger_is_over(struct wr_sock *s, int unacked)
{
    struct wr_sock_clock *clock = wr_sock_clock_of(s);
    const uint64_t now_ns = s->c.t.loop->now_ns;

    wr_assert(s->c.t.state == WR_LIFE_LINGERING);
    if (unacked > 0) {
        return false;
    }
    if (!clock->is_acked) {
        clock->is_acked = true;
        clock->linger_ns = now_ns;
        wr_outbox_forget_dropped(&s->c.outbox);
    }
    return now_ns - clock->linger_ns >= WR_END_REST_NS ||
           wr_sys_inq(s->c.t.fd) <= 0;
}

bool wr_sock_look_at_queue(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    struct wr_sock_clock *clock = wr_sock_clock_of(s);

    wr_connection_check_invariants(&s->c);
    wr_assert(!wr_life_is_over(t));
    if (sock_linger_watch_ns(s) <= t->loop->now_ns) {
        clock->watch_ns = 0;
        wr_sock_watch(s);
    }
    if (sock_linger_queue_look_ns(s) > t->loop->now_ns) {
        return false;
    }
    if (t->state != WR_LIFE_LINGERING) {
        sock_linger_note_look(clock, wr_sys_outq(s->c.t.fd));
        return false;
    }
    const int unacked = (int)sock_linger_unacked(s);
    sock_linger_note_look(clock, unacked);
    clock->look_wait_ns = wr_min_u64(clock->look_wait_ns * 2, LOOK_LAST_NS);
    return sock_linger_is_over(s, unacked);
}

static struct wr_deadline
sock_linger_deadline(const struct wr_sock_clock *clock)
{
    const struct weir_timeouts *limits = wr_clock_get_limits(&clock->clock);
    struct wr_deadline end = {.when_ns = UINT64_MAX};

    wr_assert(clock->linger_ns > 0);
    if (limits->linger_ns > 0) {
        wr_deadline_consider(&end, clock->linger_ns, limits->linger_ns, 0,
                             "linger");
        return end;
    }
    wr_deadline_consider(&end, clock->clock.sent_ns, WR_END_STALL_NS, 0,
                         "linger");
    if (limits->close_ns == 0) {
        /* The kernel continues to send after the close. */
        wr_deadline_consider(&end, clock->linger_ns, WR_END_WHOLE_NS, 0,
                             "linger");
    }
    return end;
}

/* The read time-out also runs while received descriptors are being closed:
 * otherwise the peer could keep the connection open with closes that block. */
void wr_sock_view_time(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    wr_debug_assert(!s->rests || s->fd_limit > 0);
    wr_connection_view_time(t, ret);
    if (s->rests) {
        ret->is_reading = wr_delivery_may_show(&s->c.delivery);
    }
    if (t->state == WR_LIFE_LINGERING) {
        ret->own = sock_linger_deadline(wr_sock_clock_of(s));
    }
}

uint64_t wr_sock_next_look_ns(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return wr_min_u64(sock_linger_watch_ns(s), sock_linger_queue_look_ns(s));
}

void wr_sock_time_expired(weir_transport *t, const struct wr_deadline *over)
{
    int err = over->err;

    wr_assert(!wr_life_is_over(t));
    if (t->state == WR_LIFE_LINGERING && wr_sock_linger_owes(wr_sock_of(t))) {
        err = WEIR_ECLOSETIMEOUT;
    }
    if (err < 0) {
        wr_transport_set_error(t, err, over->where);
    }
    wr_life_doom(t);
}

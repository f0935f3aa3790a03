/*
 * Stream sockets: the view of the clock (clock.h), and looking at the kernel's
 * queue of unacknowledged bytes.
 *
 * The clock is made when the first limit is set.
 */
#include "sock_impl.h"

#include <string.h>

#define STALL_LOOKS 8u /* per limit */

/* True while the read time-out runs. It also runs while a broken connection
 * rests: otherwise the peer could keep the connection by descriptors whose
 * closes wait. */
static bool sock_time_awaits_bytes(const struct wr_sock *s)
{
    return s->rests ? wr_delivery_may_show(&s->delivery)
                    : wr_sock_is_reading(s) && !s->t.held_back;
}

static void sock_time_view(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    ret->is_over = wr_life_is_over(&s->t);
    ret->is_open = s->t.state == WR_LIFE_OPEN;
    ret->is_reading = sock_time_awaits_bytes(s);
    ret->is_sending = wr_sock_has_unsent(s);
    /* Also in state DONE: a read may have ended the file. */
    ret->awaits_file =
        s->sends_file && (s->outbox.sender->state == WR_SENDER_READING ||
                          s->outbox.sender->state == WR_SENDER_DONE);
    if (s->t.state == WR_LIFE_LINGERING) {
        ret->own = wr_sock_linger_deadline(s);
    }
}

/* A send is complete when the kernel has the bytes, and the peer may still take
 * bytes from the kernel's queue. So the queue is looked at several times per
 * limit. The first look has no earlier value and counts as progress, so a stall
 * is reported at most one interval late. */
static uint64_t sock_time_next_look_ns(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);
    const struct wr_clock *clock = &s->times->clock;
    const uint64_t limit_ns = clock->limits.write_stall_ns;

    if (s->t.state == WR_LIFE_LINGERING) {
        return wr_sock_linger_next_look_ns(s);
    }
    if (limit_ns == 0 || wr_life_is_over(&s->t) || !wr_sock_has_unsent(s)) {
        return UINT64_MAX;
    }
    return wr_add_sat(wr_max_u64(clock->sent_ns, s->times->looked_ns),
                      limit_ns / STALL_LOOKS + 1);
}

/* Looks at the kernel's queue; true if lingering is over. */
static bool sock_time_look(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    const uint64_t now_ns = t->loop->now_ns;

    wr_sock_check_invariants(s);
    wr_assert(!wr_life_is_over(&s->t));
    if (s->t.state == WR_LIFE_LINGERING) {
        return wr_sock_linger_look(s, now_ns);
    }
    wr_assert(wr_sock_has_unsent(s));
    const int unacked = wr_sys_outq(s->fd);

    s->times->looked_ns = now_ns;
    if (unacked >= 0 && unacked != s->times->unacked_bytes) {
        s->times->unacked_bytes = unacked;
        s->times->clock.sent_ns = now_ns;
    }
    return false;
}

static void sock_time_expired(weir_transport *t, const struct wr_deadline *over)
{
    const struct wr_sock *s = wr_sock_of(t);
    int err = over->err;

    wr_sock_check_invariants(s);
    wr_assert(!wr_life_is_over(&s->t));
    if (s->t.state == WR_LIFE_LINGERING && wr_sock_linger_owes(s)) {
        err = WEIR_ECLOSETIMEOUT;
    }
    if (err < 0) {
        wr_transport_set_error(t, err, over->where);
    }
    wr_life_doom(t);
}

static const struct wr_clock_ops sock_time_ops = {
    .view = sock_time_view,
    .expired = sock_time_expired,
    .next_look_ns = sock_time_next_look_ns,
    .look = sock_time_look,
};

int wr_sock_times_make(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;

    wr_assert(!wr_life_is_over(&s->t));
    if (s->times) {
        return 0;
    }
    s->times = wr_alloc(&loop->counting, sizeof(*s->times));
    if (!s->times) {
        return -ENOMEM;
    }
    memset(s->times, 0, sizeof(*s->times));
    wr_clock_init(&s->times->clock, &s->t, &sock_time_ops);
    s->times->clock.closing_ns =
        s->t.state <= WR_LIFE_OPEN ? 0 : weir_loop_get_time(loop);
    return 0;
}

int wr_sock_set_limits(struct wr_sock *s, const struct weir_timeouts *timeouts)
{
    wr_assert(!wr_life_is_over(&s->t));
    const int err = wr_sock_times_make(s);
    wr_require(err == 0, err);
    s->times->unacked_bytes = -1;
    wr_clock_set_limits(&s->times->clock, timeouts);
    return 0;
}

int wr_sock_set_timeouts(weir_transport *t,
                         const struct weir_timeouts *timeouts)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_check_invariants(s);
    return s->t.state == WR_LIFE_NEW || wr_life_is_over(&s->t)
               ? 0
               : wr_sock_set_limits(s, timeouts);
}

static __attribute__((noinline)) void sock_time_changed(struct wr_sock *s)
{
    wr_assert(s->times->clock.t == &s->t);
    wr_clock_changed(&s->times->clock);
}

void wr_sock_times_changed(struct wr_sock *s)
{
    if (s->times) {
        sock_time_changed(s);
    }
}

void wr_sock_times_stop(struct wr_sock *s)
{
    if (s->times) {
        wr_clock_stop(&s->times->clock);
    }
}

void wr_sock_times_free(struct wr_sock *s)
{
    wr_assert(s->t.state == WR_LIFE_NEW || s->t.state == WR_LIFE_ENDING);
    if (s->times) {
        wr_sock_times_stop(s);
        wr_free(&s->t.loop->counting, s->times, sizeof(*s->times));
        s->times = NULL;
    }
}

void wr_sock_get_handover(const weir_transport *t, struct wr_handover *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->t.state != WR_LIFE_NEW);
    *ret = (struct wr_handover){
        .is_paused = wr_delivery_is_paused(&s->delivery),
        .has_ended = s->eof_seen && !s->eof_doubted &&
                     !wr_delivery_has_end(&s->delivery),
    };
    if (s->times) {
        ret->timeouts = s->times->clock.limits;
    }
}

/*
 * Stream sockets: time-outs.
 *
 * One timer for a socket, made when a limit is first set. Traffic only notes
 * the time; the timer, when it fires, works out which limit is next and either
 * ends the connection or sleeps on. So a busy connection costs no timer
 * operation per message.
 */
#include "sock_impl.h"

#include "weir/error.h"

#include <string.h>

#define STALL_LOOKS 8u /* within the limit */

/* The limit that ends the connection first, as things stand. */
static struct wr_deadline sock_time_next_deadline(const struct wr_sock *s)
{
    const struct wr_sock_times *times = s->times;
    const struct weir_timeouts *limits = &times->limits;
    struct wr_deadline first = {.when_ns = UINT64_MAX};

    if (wr_sock_is_over(s)) {
        return first;
    }
    /* The file's device is slow, not the peer. */
    const uint64_t sent_ns = s->sends_file && s->file->state == WR_FILE_READING
                                 ? s->t.loop->now_ns
                                 : times->sent_ns;
    if (s->state == WR_SOCK_LINGERING) {
        first = wr_sock_linger_deadline(s);
    }
    if (times->closing_ns != 0) {
        wr_deadline_consider(&first, times->closing_ns, limits->close_ns,
                             WEIR_ECLOSETIMEOUT, "close");
    }
    if (wr_sock_is_reading(s) && !s->held_back) {
        wr_deadline_consider(&first, times->received_ns, limits->read_ns,
                             WEIR_EREADTIMEOUT, "receive");
    }
    if (wr_sock_has_unsent(s)) {
        wr_deadline_consider(&first, sent_ns, limits->write_stall_ns,
                             WEIR_EWRITESTALL, "send");
    }
    if (s->state == WR_SOCK_OPEN) {
        wr_deadline_consider(&first, wr_max_u64(times->received_ns, sent_ns),
                             limits->idle_ns, WEIR_EIDLE, "connection");
    }
    return first;
}

/* A send is complete when the kernel has the bytes; the peer may still take
 * them one by one out of the kernel's queue. So that is looked at several times
 * within the limit; the first look has nothing to compare with and counts as
 * progress, which tells a stall late by the time between two looks at most. */
static uint64_t sock_time_next_look_ns(const struct wr_sock *s)
{
    const struct wr_sock_times *times = s->times;
    const uint64_t limit_ns = times->limits.write_stall_ns;

    if (s->state == WR_SOCK_LINGERING) {
        return wr_sock_linger_next_look_ns(s);
    }
    if (limit_ns == 0 || wr_sock_is_over(s) || !wr_sock_has_unsent(s)) {
        return UINT64_MAX;
    }
    return wr_add_sat(wr_max_u64(times->sent_ns, times->looked_ns),
                      limit_ns / STALL_LOOKS + 1);
}

/* True when lingering is over. */
static bool sock_time_look(struct wr_sock *s, uint64_t now_ns)
{
    wr_assert(!wr_sock_is_over(s));
    if (s->state == WR_SOCK_LINGERING) {
        return wr_sock_linger_look(s, now_ns);
    }
    wr_assert(wr_sock_has_unsent(s));
    const int unacked = wr_sys_outq(s->fd);

    s->times->looked_ns = now_ns;
    if (unacked >= 0 && unacked != s->times->unacked_bytes) {
        s->times->unacked_bytes = unacked;
        s->times->sent_ns = now_ns;
    }
    return false;
}

static void sock_time_arm(struct wr_sock *s, uint64_t when_ns)
{
    when_ns = wr_min_u64(when_ns, sock_time_next_look_ns(s));
    if (when_ns == UINT64_MAX) {
        wr_timer_cancel(&s->t.loop->wheel, &s->times->timer);
    } else {
        wr_timer_arm(&s->t.loop->wheel, &s->times->timer, when_ns);
    }
}

static struct wr_deadline sock_time_next(const weir_transport *t)
{
    return sock_time_next_deadline(wr_sock_of(t));
}

static void sock_time_begin_anew(weir_transport *t, int err)
{
    struct wr_sock_times *times = wr_sock_of(t)->times;
    const uint64_t now_ns = t->loop->now_ns;

    wr_assert(err < 0);
    if (err == WEIR_ECLOSETIMEOUT) {
        times->closing_ns = now_ns;
    } else if (err == WEIR_EWRITESTALL) {
        times->sent_ns = now_ns;
    } else {
        times->received_ns = now_ns;
    }
}

static const struct wr_deadline_ops sock_time_ops = {
    .next = sock_time_next, .begin_anew = sock_time_begin_anew};

static void sock_time_expire(struct wr_timer *timer)
{
    struct wr_sock_times *times =
        wr_container_of(timer, struct wr_sock_times, timer);
    struct wr_sock *s = times->sock;
    const uint64_t now_ns = s->t.loop->now_ns;

    wr_sock_check_invariants(s);
    wr_assert(!wr_timer_is_armed(timer));
    if (sock_time_next_look_ns(s) <= now_ns && sock_time_look(s, now_ns)) {
        wr_sock_doom(&s->t);
        return;
    }
    struct wr_deadline next = wr_deadline_find_fair(&s->t, &sock_time_ops);
    if (next.when_ns > now_ns) {
        sock_time_arm(s, next.when_ns);
        return;
    }
    if (s->state == WR_SOCK_LINGERING && wr_sock_linger_owes(s)) {
        next.err = WEIR_ECLOSETIMEOUT;
    }
    if (next.err < 0) {
        wr_transport_set_error(&s->t, next.err, next.where);
    }
    wr_sock_doom(&s->t);
}

int wr_sock_times_make(struct wr_sock *s)
{
    weir_loop *loop = s->t.loop;

    wr_assert(!wr_sock_is_over(s));
    if (s->times) {
        return 0;
    }
    s->times = wr_alloc(&loop->counting, sizeof(*s->times));
    if (!s->times) {
        return -ENOMEM;
    }
    memset(s->times, 0, sizeof(*s->times));
    s->times->sock = s;
    wr_timer_init(&s->times->timer, sock_time_expire);
    s->times->closing_ns =
        s->state <= WR_SOCK_OPEN ? 0 : weir_loop_get_time(loop);
    return 0;
}

int wr_sock_set_limits(struct wr_sock *s, const struct weir_timeouts *timeouts)
{
    weir_loop *loop = s->t.loop;
    const uint64_t now_ns = weir_loop_get_time(loop);

    wr_assert(!wr_sock_is_over(s));
    const int err = wr_sock_times_make(s);
    wr_require(err == 0, err);
    s->times->limits = *timeouts;
    s->times->received_ns = now_ns;
    s->times->sent_ns = now_ns;
    s->times->unacked_bytes = -1;
    wr_sock_times_changed(s);
    return 0;
}

int wr_sock_set_timeouts(weir_transport *t,
                         const struct weir_timeouts *timeouts)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_check_invariants(s);
    return s->state == WR_SOCK_UNBORN || wr_sock_is_over(s)
               ? 0
               : wr_sock_set_limits(s, timeouts);
}

static __attribute__((noinline)) void sock_time_rearm(struct wr_sock *s)
{
    wr_assert(s->times->sock == s);
    sock_time_arm(s, sock_time_next_deadline(s).when_ns);
}

void wr_sock_times_changed(struct wr_sock *s)
{
    if (s->times) {
        sock_time_rearm(s);
    }
}

void wr_sock_times_stop(struct wr_sock *s)
{
    if (s->times) {
        wr_timer_cancel(&s->t.loop->wheel, &s->times->timer);
    }
}

void wr_sock_times_free(struct wr_sock *s)
{
    wr_assert(s->state == WR_SOCK_UNBORN || s->state == WR_SOCK_ENDING);
    if (s->times) {
        wr_sock_times_stop(s);
        wr_free(&s->t.loop->counting, s->times, sizeof(*s->times));
        s->times = NULL;
    }
}

void wr_sock_get_handover(const weir_transport *t, struct wr_handover *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->state != WR_SOCK_UNBORN);
    *ret = (struct wr_handover){
        .is_paused = wr_delivery_is_paused(&s->delivery),
        .has_ended = s->eof_seen && !s->eof_doubted &&
                     !wr_delivery_has_end(&s->delivery),
    };
    if (s->times) {
        ret->timeouts = s->times->limits;
    }
}

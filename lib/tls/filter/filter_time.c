/*
 * TLS filters: the current deadline.
 *
 * One timer, which each state arms anew. There is the handshake's limit; the
 * limit of a close, from the call until the transport below is lost, through
 * the wait for room, for the peer's close_notify and for the last byte to be
 * sent; and a last limit, so that a peer that takes no alert cannot keep a
 * broken connection. The limits idle, read and write stall belong to the
 * transport below.
 */
#include "filter_impl.h"

#include "lib/transport/clock.h"

/* How much more time the peer gets, because the loop was late: it heard of the
 * peer too late, or has not read the peer's bytes yet. 0: the time is over. A
 * handshake that has had twice its time gets no more, even if the loop is
 * always late. */
static uint64_t filter_time_owed(const struct wr_filter *f)
{
    const uint64_t when_ns = f->timer.when_ns;
    const uint64_t late_ns = f->t.loop->now_ns - when_ns;
    const weir_transport *below = f->below;
    bool is_owed;

    if (late_ns < WR_DEADLINE_LATE_NS || f->below_lost) {
        return 0;
    }
    if (f->t.state == WR_LIFE_HANDSHAKING) {
        if (when_ns > wr_add_sat(f->handshake_began_ns,
                                 wr_add_sat(f->handshake_timeout_ns,
                                            f->handshake_timeout_ns))) {
            return 0;
        }
        is_owed = f->heard_ns > when_ns || f->input_head ||
                  (below->ops->has_unread && below->ops->has_unread(below));
        return is_owed ? wr_min_u64(late_ns, f->handshake_timeout_ns) : 0;
    }
    is_owed = f->deadline_err == WEIR_ECLOSETIMEOUT &&
              below->ops->has_taken_all(below);
    return is_owed ? f->limits.close_ns : 0;
}

static void filter_time_expired(struct wr_timer *timer)
{
    struct wr_filter *f = wr_container_of(timer, struct wr_filter, timer);
    const uint64_t owed_ns = filter_time_owed(f);

    wr_filter_check_invariants(f);
    wr_assert(f->deadline_err < 0);
    if (owed_ns > 0) {
        wr_timer_arm(&f->t.loop->wheel, timer,
                     wr_add_sat(f->t.loop->now_ns, owed_ns));
        return;
    }
    if (f->below_lost && f->t.state == WR_LIFE_ENDING) {
        return; /* the end waits for the sender of a file */
    }
    wr_transport_set_error(&f->t, f->deadline_err,
                           f->t.state == WR_LIFE_HANDSHAKING ? "TLS handshake"
                                                             : "close");
    if (f->t.state == WR_LIFE_ENDING) {
        f->below->ops->abort(f->below);
    } else {
        wr_filter_doom(&f->t);
    }
}

void wr_filter_time_init(struct wr_filter *f)
{
    wr_timer_init(&f->timer, filter_time_expired);
}

/* Arms the timer for @limit_ns from @since_ns on; 0: no limit. */
static void filter_time_arm(struct wr_filter *f, uint64_t since_ns,
                            uint64_t limit_ns, int err)
{
    struct wr_wheel *wheel = &f->t.loop->wheel;

    wr_assert(limit_ns == 0 || f->t.state != WR_LIFE_LOST);
    wr_timer_cancel(wheel, &f->timer);
    if (limit_ns > 0) {
        wr_assert(err < 0);
        f->deadline_err = err;
        wr_timer_arm(wheel, &f->timer, wr_add_sat(since_ns, limit_ns));
    }
}

/* Switches below's limits idle and read off, as a socket does while it
 * closes. */
static void filter_time_rest(struct wr_filter *f)
{
    struct weir_timeouts limits = f->limits;

    wr_assert(wr_filter_discards(f));
    limits.size = sizeof(limits);
    limits.idle_ns = 0;
    limits.read_ns = 0;
    if (!f->below_lost && (f->limits.idle_ns || f->limits.read_ns)) {
        wr_ignore(f->below->ops->set_timeouts(f->below, &limits) < 0);
    }
}

static void filter_time_close(struct wr_filter *f)
{
    wr_assert(f->closing_ns > 0);
    filter_time_arm(f, f->closing_ns, f->limits.close_ns, WEIR_ECLOSETIMEOUT);
}

/* When the limit of the whole close ends; UINT64_MAX: no limit. */
static uint64_t filter_time_close_end_ns(const struct wr_filter *f)
{
    return f->closing_ns > 0 && f->limits.close_ns > 0
               ? wr_add_sat(f->closing_ns, f->limits.close_ns)
               : UINT64_MAX;
}

/* Arms the limit of the wait, or the limit of the whole close if that is
 * sooner. */
static void filter_time_lingering(struct wr_filter *f)
{
    wr_assert(f->shutdown_timeout_ns > 0);
    wr_assert(f->linger_ns >= f->closing_ns);
    if (wr_add_sat(f->linger_ns, f->shutdown_timeout_ns) <
        filter_time_close_end_ns(f)) {
        filter_time_arm(f, f->linger_ns, f->shutdown_timeout_ns,
                        WEIR_ETLSTIMEOUT);
    } else {
        filter_time_close(f);
    }
}

/* The transport below was closed, and its own limits begin now. A close that
 * has begun before keeps its limit, even if the connection has failed since. */
static void filter_time_ending(struct wr_filter *f)
{
    const uint64_t last_ns = wr_add_sat(f->ending_ns, WR_FILTER_LAST_NS);

    wr_assert(f->t.state == WR_LIFE_ENDING && f->ending_ns > 0);
    if (f->is_hard || f->below_lost) {
        filter_time_arm(f, 0, 0, 0);
    } else if (f->t.error && last_ns < filter_time_close_end_ns(f)) {
        filter_time_arm(f, f->ending_ns, WR_FILTER_LAST_NS, f->t.error);
    } else {
        filter_time_close(f);
    }
}

void wr_filter_time_state(struct wr_filter *f)
{
    const uint64_t now_ns = weir_loop_get_time(f->t.loop);

    switch (f->t.state) {
    case WR_LIFE_HANDSHAKING:
        filter_time_arm(f, now_ns, f->handshake_timeout_ns, WEIR_ETLSTIMEOUT);
        break;
    case WR_LIFE_CLOSING:
        filter_time_rest(f);
        filter_time_close(f);
        break;
    case WR_LIFE_LINGERING:
        filter_time_rest(f);
        filter_time_lingering(f);
        break;
    case WR_LIFE_ENDING:
        filter_time_ending(f);
        break;
    default:
        filter_time_arm(f, 0, 0, 0);
        break;
    }
}

int wr_filter_set_timeouts(weir_transport *t,
                           const struct weir_timeouts *timeouts)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_filter_check_invariants(f);
    if (f->below_lost) {
        return 0; /* nothing is left to limit */
    }
    const int err = f->below->ops->set_timeouts(f->below, timeouts);
    wr_require(err >= 0, err);
    f->limits = *timeouts;
    if (wr_filter_discards(f) || f->t.state == WR_LIFE_ENDING) {
        wr_filter_time_state(f);
    }
    return 0;
}

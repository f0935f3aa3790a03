/*
 * TLS filters: the limits in time, and of what a close reads.
 *
 * The connection's clock has the limit of a close, from the call until the
 * transport below is lost. The filter adds the limits of the handshake and of
 * the wait for the peer's close_notify, and a last limit, so that a peer that
 * takes no alert cannot keep a broken connection. The limits idle, read and
 * write stall belong to the transport below.
 *
 * A peer that has all bytes, and sends others in place of its close_notify,
 * decides no more for how long the close lasts: see WR_END_REST_NS. Bytes are
 * counted as they come from the network, so records without data count, and
 * parts of records.
 */
#include "filter_impl.h"

/* The time that a failed filter gives below to send sealed bytes, above all an
 * alert. */
#define LAST_NS UINT64_C(10000000000)

/* The end of the wait for the peer's close_notify. */
static void filter_time_consider_peer(const struct wr_filter *f,
                                      struct wr_deadline *first)
{
    wr_assert(f->c.t.state == WR_LIFE_LINGERING);
    wr_deadline_consider(first, f->since_ns, f->shutdown_timeout_ns,
                         WEIR_ETLSTIMEOUT, "close");
    if (f->c.clock->limits.close_ns == 0) {
        wr_deadline_consider(first, f->since_ns, WR_END_WHOLE_NS,
                             WEIR_ETLSTIMEOUT, "close");
    }
    if (f->rest_ns > 0) {
        wr_deadline_consider(first, f->rest_ns, WR_END_REST_NS,
                             WEIR_ETLSTIMEOUT, "close");
    }
}

/* Of the limits of a close, the one of the program wins if both end at once. */
void wr_filter_view_time(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_filter *f = wr_filter_of(t);
    const struct wr_clock *clock = f->c.clock;

    wr_assert(clock && t->state != WR_LIFE_LOST);
    ret->is_over = f->aborts || f->below_lost;
    if (ret->is_over) {
        return;
    }
    if (clock->closing_ns != 0) {
        wr_deadline_consider(&ret->own, clock->closing_ns,
                             clock->limits.close_ns, WEIR_ECLOSETIMEOUT,
                             "close");
    }
    if (t->state == WR_LIFE_LINGERING) {
        filter_time_consider_peer(f, &ret->own);
    } else if (t->state == WR_LIFE_ENDING && t->error) {
        wr_deadline_consider(&ret->own, f->since_ns, LAST_NS, t->error,
                             "close");
    } else if (t->state <= WR_LIFE_OPEN && wr_filter_is_shaking(f)) {
        wr_deadline_consider(&ret->own, f->since_ns, f->handshake_timeout_ns,
                             WEIR_ETLSTIMEOUT, "TLS handshake");
    }
}

/* How much more time the handshake gets, because the loop was late: it heard of
 * the peer too late, or has not read the peer's bytes yet. 0: the time is over.
 * A handshake that has had twice its time gets no more, even if the loop is
 * always late. */
static uint64_t filter_time_owed(const struct wr_filter *f, uint64_t when_ns)
{
    const uint64_t limit_ns = f->handshake_timeout_ns;
    const uint64_t late_ns = f->c.t.loop->now_ns - when_ns;
    const weir_transport *below = f->below;

    wr_assert(wr_filter_is_shaking(f));
    if (late_ns < WR_DEADLINE_LATE_NS ||
        when_ns >
            wr_add_sat(f->handshake_began_ns, wr_add_sat(limit_ns, limit_ns))) {
        return 0;
    }
    return f->heard_ns > when_ns || f->input_head ||
                   (below->ops->has_unread && below->ops->has_unread(below))
               ? wr_min_u64(late_ns, limit_ns)
               : 0;
}

void wr_filter_time_expired(weir_transport *t, const struct wr_deadline *over)
{
    struct wr_filter *f = wr_filter_of(t);
    const uint64_t owed_ns =
        t->state <= WR_LIFE_OPEN ? filter_time_owed(f, over->when_ns) : 0;

    wr_assert(!f->below_lost);
    if (owed_ns > 0) {
        f->since_ns = t->loop->now_ns + owed_ns - f->handshake_timeout_ns;
        wr_clock_changed(f->c.clock);
        return;
    }
    wr_transport_set_error(t, over->err, over->where);
    if (t->state == WR_LIFE_ENDING) {
        f->below->ops->abort(f->below);
    } else {
        t->ops->doom(t);
    }
}

/* True if the peer has all that this filter has sent. Then what comes counts
 * from anew. */
static bool filter_time_has_all(struct wr_filter *f)
{
    wr_assert(wr_filter_discards(f));
    if (f->rest_ns > 0) {
        return true;
    }
    if (f->c.t.state != WR_LIFE_LINGERING ||
        wr_filter_get_unacknowledged(&f->c.t) > 0) {
        return false;
    }
    f->rest_ns = f->c.t.loop->now_ns;
    wr_outbox_forget_dropped(&f->c.outbox);
    wr_clock_changed(f->c.clock);
    return true;
}

void wr_filter_time_dropped(struct wr_filter *f, size_t bytes)
{
    wr_assert(bytes > 0);
    wr_assert(!f->is_upper);
    for (; f; f = f->upper) {
        if (!wr_filter_discards(f)) {
            continue;
        }
        const bool has_all = filter_time_has_all(f);
        const uint32_t dropped = wr_outbox_note_dropped(&f->c.outbox, bytes);
        if (has_all && dropped >= WR_END_REST_BYTES && f->c.t.error == 0) {
            wr_transport_set_error(&f->c.t, WEIR_ETLSTIMEOUT, "close");
            f->c.t.ops->doom(&f->c.t);
        }
    }
}

void wr_filter_time_rest(struct wr_filter *f)
{
    struct weir_timeouts limits = f->c.clock->limits;

    wr_assert(wr_filter_discards(f));
    if (!f->below_lost && (limits.idle_ns || limits.read_ns)) {
        limits.size = sizeof(limits);
        limits.idle_ns = 0;
        limits.read_ns = 0;
        wr_ignore(f->below->ops->set_timeouts(f->below, &limits) < 0);
    }
}

int wr_filter_set_timeouts(weir_transport *t,
                           const struct weir_timeouts *timeouts)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_connection_debug_check(&f->c);
    if (f->below_lost) {
        return 0; /* nothing is left to limit */
    }
    const int err = f->below->ops->set_timeouts(f->below, timeouts);
    wr_require(err >= 0, err);
    wr_clock_set_limits(f->c.clock, timeouts);
    if (wr_filter_discards(f)) {
        wr_filter_time_rest(f);
    }
    return 0;
}

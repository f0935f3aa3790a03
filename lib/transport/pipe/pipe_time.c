/*
 * Pipes: how one stands for its limits in time (clock.h).
 *
 * A pipe moves bytes one way, so that each of them counts for all limits: for
 * that of reading or of a stalled write, and for that of an idle connection.
 */
#include "pipe_impl.h"

static void pipe_time_view(const weir_transport *t, struct wr_clock_view *ret)
{
    const struct wr_pipe *p = wr_pipe_of(t);

    ret->is_over = wr_life_is_over(&p->t);
    ret->is_open = p->t.state == WR_LIFE_OPEN;
    ret->is_reading = wr_pipe_is_reading(p) && !p->t.held_back;
    ret->is_sending = !wr_sendq_is_empty(&p->outbox.queue);
}

static const struct wr_clock_ops pipe_time_ops = {.view = pipe_time_view,
                                                  .expired = wr_life_expire};

void wr_pipe_times_init(struct wr_pipe *p)
{
    wr_assert(p->t.state == WR_LIFE_UNBORN);
    wr_clock_init(&p->clock, &p->t, &pipe_time_ops);
}

int wr_pipe_set_timeouts(weir_transport *t,
                         const struct weir_timeouts *timeouts)
{
    struct wr_pipe *p = wr_pipe_of(t);
    struct weir_timeouts limits = *timeouts;

    wr_pipe_check_invariants(p);
    if (wr_life_is_over(&p->t)) {
        return 0;
    }
    limits.linger_ns = 0; /* there is no peer that could be read from */
    if (p->t.state == WR_LIFE_CLOSING && p->clock.closing_ns == 0) {
        p->clock.closing_ns = weir_loop_get_time(t->loop);
    }
    wr_clock_set_limits(&p->clock, &limits);
    return 0;
}

void wr_pipe_times_changed(struct wr_pipe *p)
{
    wr_assert(p->t.state != WR_LIFE_LOST);
    if (p->clock.has_limits) {
        wr_clock_changed(&p->clock);
    }
}

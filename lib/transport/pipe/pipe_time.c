/*
 * Pipes: time-outs.
 *
 * One timer for a pipe. Bytes only note the time; the timer, when it fires,
 * works out which limit is next and either ends the connection or sleeps on.
 */
#include "pipe_impl.h"

#include "lib/transport/deadline.h"
#include "weir/error.h"

/* The limit that ends the connection first, as things stand. */
static struct wr_deadline pipe_time_next_deadline(const struct wr_pipe *p)
{
    const struct weir_timeouts *limits = &p->limits;
    struct wr_deadline first = {.when_ns = UINT64_MAX};

    if (wr_pipe_is_over(p)) {
        return first;
    }
    const uint64_t moved_ns = p->moved_ns;
    if (p->closing_ns != 0) {
        wr_deadline_consider(&first, p->closing_ns, limits->close_ns,
                             WEIR_ECLOSETIMEOUT, "close");
    }
    if (wr_pipe_is_reading(p) && !p->held_back) {
        wr_deadline_consider(&first, moved_ns, limits->read_ns,
                             WEIR_EREADTIMEOUT, "read");
    }
    if (!wr_sendq_is_empty(&p->outbox.queue)) {
        wr_deadline_consider(&first, moved_ns, limits->write_stall_ns,
                             WEIR_EWRITESTALL, "write");
    }
    if (p->state == WR_PIPE_OPEN) {
        wr_deadline_consider(&first, moved_ns, limits->idle_ns, WEIR_EIDLE,
                             "connection");
    }
    return first;
}

static void pipe_time_arm(struct wr_pipe *p, uint64_t when_ns)
{
    if (when_ns == UINT64_MAX) {
        wr_timer_cancel(&p->t.loop->wheel, &p->timer);
    } else {
        wr_timer_arm(&p->t.loop->wheel, &p->timer, when_ns);
    }
}

static struct wr_deadline pipe_time_next(const weir_transport *t)
{
    return pipe_time_next_deadline(wr_pipe_of(t));
}

static void pipe_time_begin_anew(weir_transport *t, int err)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_assert(err < 0);
    *(err == WEIR_ECLOSETIMEOUT ? &p->closing_ns : &p->moved_ns) =
        t->loop->now_ns;
}

static const struct wr_deadline_ops pipe_time_ops = {
    .next = pipe_time_next, .begin_anew = pipe_time_begin_anew};

static void pipe_time_expire(struct wr_timer *timer)
{
    struct wr_pipe *p = wr_container_of(timer, struct wr_pipe, timer);

    wr_pipe_check_invariants(p);
    wr_assert(p->has_limits);
    const struct wr_deadline next =
        wr_deadline_find_fair(&p->t, &pipe_time_ops);
    if (next.when_ns > p->t.loop->now_ns) {
        pipe_time_arm(p, next.when_ns);
        return;
    }
    wr_transport_set_error(&p->t, next.err, next.where);
    wr_pipe_doom(&p->t);
}

void wr_pipe_times_init(struct wr_pipe *p)
{
    wr_assert(p->state == WR_PIPE_UNBORN);
    wr_timer_init(&p->timer, pipe_time_expire);
}

int wr_pipe_set_timeouts(weir_transport *t,
                         const struct weir_timeouts *timeouts)
{
    struct wr_pipe *p = wr_pipe_of(t);
    const uint64_t now_ns = weir_loop_get_time(t->loop);

    wr_pipe_check_invariants(p);
    if (wr_pipe_is_over(p)) {
        return 0;
    }
    p->limits = *timeouts;
    p->limits.linger_ns = 0; /* there is no peer that could be read from */
    p->has_limits = (timeouts->idle_ns | timeouts->read_ns |
                     timeouts->write_stall_ns | timeouts->close_ns) != 0;
    p->moved_ns = now_ns;
    if (p->state == WR_PIPE_CLOSING && p->closing_ns == 0) {
        p->closing_ns = now_ns;
    }
    pipe_time_arm(p, pipe_time_next_deadline(p).when_ns);
    return 0;
}

void wr_pipe_times_changed(struct wr_pipe *p)
{
    wr_assert(p->state != WR_PIPE_LOST);
    if (p->has_limits) {
        pipe_time_arm(p, pipe_time_next_deadline(p).when_ns);
    }
}

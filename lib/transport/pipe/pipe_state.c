/*
 * The state of a pipe's operation, and the invariants. Between loop iterations
 * every pipe that wants to move bytes waits for an operation, the end of the
 * iteration, a timer or a receive window.
 */
#include "pipe_impl.h"

void wr_pipe_set_io(struct wr_pipe *p, enum wr_pipe_io io)
{
    static const uint8_t allowed[WR_PIPE_IOS] = {
        [WR_PIPE_IDLE] = 1u << WR_PIPE_POLLING | 1u << WR_PIPE_WORKING,
        [WR_PIPE_POLLING] = 1u << WR_PIPE_IDLE,
        [WR_PIPE_WORKING] = 1u << WR_PIPE_IDLE,
    };
    wr_assert(io < WR_PIPE_IOS);
    wr_assert(allowed[p->io] >> io & 1u);
    p->io = io;
}

void wr_pipe_check_invariants(const struct wr_connection *c)
{
    const struct wr_pipe *p = wr_pipe_of(c);

    wr_assert(p->io < WR_PIPE_IOS);
    wr_assert(p->op.base.in_flight == (p->io != WR_PIPE_IDLE));
    wr_assert(p->io != WR_PIPE_WORKING || p->way == WR_PIPE_BY_WORKER);
    wr_assert(!p->op.base.in_flight || !wr_intake_is_queued(&c->t));
    wr_assert(p->c.t.fd >= 0 || c->t.state == WR_LIFE_LOST);
    if (p->direction == WR_PIPE_READ) {
        wr_assert(!p->watch_op.in_flight);
        wr_assert(!p->c.outbox.sender);
        wr_assert(wr_sendq_is_empty(&p->c.outbox.queue));
        wr_assert(!p->c.t.eof_seen || !p->op.base.in_flight);
        wr_assert(p->io != WR_PIPE_WORKING || p->scratch);
    } else {
        wr_assert(!wr_delivery_is_paused(&p->c.delivery) && !p->c.t.eof_seen &&
                  !p->c.t.held_back);
        wr_assert(!wr_delivery_has_held(&p->c.delivery) && !p->scratch);
        wr_assert(p->c.t.demand.account.lease_count == 0);
        wr_assert(!p->op.base.in_flight ||
                  !wr_sendq_is_empty(&p->c.outbox.queue));
        wr_assert(!wr_list_is_linked(&p->turn_end.link) ||
                  !p->op.base.in_flight);
    }
}

void wr_pipe_check_progress(const struct wr_connection *c)
{
    const struct wr_pipe *p = wr_pipe_of(c);

    if (p->direction == WR_PIPE_READ) {
        wr_assert(!wr_connection_wants(c) || p->op.base.in_flight ||
                  wr_timer_is_armed(&p->timer) || wr_intake_waits(&c->t));
    } else if (c->t.error == 0 && !wr_life_is_over(&c->t)) {
        wr_assert(wr_sendq_is_empty(&c->outbox.queue) || p->op.base.in_flight ||
                  wr_list_is_linked(&p->turn_end.link));
    }
}

void wr_pipe_dump(const struct wr_connection *c, FILE *out)
{
    static const char *const ways[] = {"socket", "nowait", "worker"};
    static const char *const names[WR_PIPE_IOS] = {"idle", "polling",
                                                   "working"};
    const struct wr_pipe *p = wr_pipe_of(c);

    wr_assert(p->io < WR_PIPE_IOS);
    fprintf(out, " fd=%d io=%s%s by=%s", p->c.t.fd, names[p->io],
            p->watch_op.in_flight ? " watching" : "", ways[p->way]);
}

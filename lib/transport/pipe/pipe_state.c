/*
 * Pipes: what comes next, and what must always hold.
 *
 * The one place that writes what is in flight, and the decision what comes
 * next, which depends on nothing but the facts in the struct.
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

const char *wr_pipe_io_name(const struct wr_pipe *p)
{
    static const char *const names[WR_PIPE_IOS] = {"idle", "polling",
                                                   "working"};
    return wr_intake_is_queued(&p->t) ? wr_intake_queue_name(&p->t)
                                      : names[p->io];
}

static bool pipe_state_is_in_flight(const struct wr_pipe *p)
{
    return p->op.in_flight || p->watch_op.in_flight;
}

static enum wr_pipe_next pipe_state_next_of_open(const struct wr_pipe *p)
{
    if (wr_outbox_is_over(&p->outbox)) {
        return WR_PIPE_DOOM;
    }
    if (p->t.error == 0) {
        return WR_PIPE_GO;
    }
    /* Bytes that were read before the error come before the loss. */
    return wr_delivery_has_held(&p->delivery) ? WR_PIPE_WAIT : WR_PIPE_DOOM;
}

enum wr_pipe_next wr_pipe_next_step(const struct wr_pipe *p)
{
    switch (p->t.state) {
    case WR_LIFE_OPEN:
        return pipe_state_next_of_open(p);
    case WR_LIFE_CLOSING:
        return p->t.error || wr_outbox_is_over(&p->outbox) ||
                       (wr_sendq_is_empty(&p->outbox.queue) &&
                        !p->outbox.sender)
                   ? WR_PIPE_DOOM
                   : WR_PIPE_WAIT;
    case WR_LIFE_DOOMED:
        return WR_PIPE_END;
    case WR_LIFE_ENDING:
        return pipe_state_is_in_flight(p) || p->outbox.sender ? WR_PIPE_WAIT
                                                              : WR_PIPE_LOSE;
    case WR_LIFE_UNBORN:
    case WR_LIFE_HANDSHAKING:
    case WR_LIFE_LINGERING:
    case WR_LIFE_LOST:
    case WR_LIFE_STATES:
        break;
    }
    return WR_PIPE_WAIT;
}

static void pipe_state_check_life(const struct wr_pipe *p)
{
    wr_assert(p->t.state != WR_LIFE_CLOSING || p->direction == WR_PIPE_WRITE);
    wr_assert(p->fd >= 0 || p->t.state == WR_LIFE_LOST);
    if (p->t.state == WR_LIFE_LOST) {
        wr_assert(!pipe_state_is_in_flight(p));
        wr_assert(!p->scratch);
    }
    wr_assert(wr_outbox_is_over(&p->outbox) || !wr_life_is_over(&p->t));
    wr_assert(p->clock.closing_ns == 0 || p->t.state >= WR_LIFE_CLOSING);
    wr_debug_assert(!wr_timer_is_armed(&p->clock.timer) ||
                    p->t.state <= WR_LIFE_DOOMED);
}

static void pipe_state_check_io(const struct wr_pipe *p)
{
    const bool is_armed = p->io == WR_PIPE_POLLING || p->io == WR_PIPE_WORKING;

    wr_assert(p->io < WR_PIPE_IOS);
    wr_assert(p->op.in_flight == is_armed);
    wr_assert(p->io != WR_PIPE_WORKING || p->way == WR_PIPE_BY_WORKER);
    wr_assert(!is_armed || !wr_intake_is_queued(&p->t));
    wr_intake_check_invariants(&p->t);
}

static void pipe_state_check_read(const struct wr_pipe *p)
{
    wr_assert(p->outbox.state != WR_OUTBOX_GONE);
    wr_assert(!p->watch_op.in_flight);
    wr_assert(!p->outbox.sender);
    wr_assert(wr_sendq_is_empty(&p->outbox.queue));
    wr_assert(!wr_delivery_has_end(&p->delivery) || p->eof_seen);
    wr_debug_assert(!p->eof_seen || !p->op.in_flight);
    wr_assert(p->io != WR_PIPE_WORKING || p->scratch);
    wr_delivery_check_invariants(&p->delivery);
    wr_assert(wr_delivery_is_shut(&p->delivery) == (p->t.state > WR_LIFE_OPEN));
    wr_assert(!wr_delivery_has_held(&p->delivery) ||
              p->t.state <= WR_LIFE_DOOMED);
}

static void pipe_state_check_write(const struct wr_pipe *p)
{
    wr_assert(!wr_delivery_is_paused(&p->delivery) && !p->eof_seen &&
              !p->t.held_back);
    wr_assert(!wr_delivery_has_held(&p->delivery) && !p->scratch);
    wr_assert(p->t.demand.account.lease_count == 0);
    wr_assert(!wr_intake_is_queued(&p->t));
    wr_assert(!p->op.in_flight || !wr_sendq_is_empty(&p->outbox.queue));
    wr_debug_assert(!wr_list_is_linked(&p->turn_end.link) || !p->op.in_flight);
}

void wr_pipe_check_invariants(const struct wr_pipe *p)
{
    wr_transport_check_invariants(&p->t);
    wr_outbox_check_invariants(&p->outbox);
    pipe_state_check_life(p);
    pipe_state_check_io(p);
    if (p->direction == WR_PIPE_READ) {
        pipe_state_check_read(p);
    } else {
        pipe_state_check_write(p);
    }
}

/* True when reading stands still although the protocol wants more, and no event
 * will look at it again. */
static bool pipe_state_is_forgotten(const struct wr_pipe *p)
{
    return wr_pipe_is_reading(p) && p->io == WR_PIPE_IDLE &&
           !wr_timer_is_armed(&p->rest_timer) && !wr_intake_waits(&p->t);
}

void wr_pipe_check_progress(const struct wr_pipe *p)
{
    wr_pipe_check_invariants(p);
    wr_assert(p->t.loop->budget.queued_bytes >= p->outbox.queue.bytes);
    if (wr_ready_is_pending(&p->t.step)) {
        return; /* which sees to all of it */
    }
    wr_assert(p->t.state != WR_LIFE_DOOMED);
    wr_assert(p->t.state != WR_LIFE_ENDING || pipe_state_is_in_flight(p) ||
              p->outbox.sender);
    wr_assert(!pipe_state_is_forgotten(p));
    wr_assert(!wr_delivery_has_held(&p->delivery) ||
              wr_delivery_is_paused(&p->delivery));
    wr_assert(!wr_delivery_has_end(&p->delivery) ||
              wr_delivery_is_paused(&p->delivery));
    if (p->t.error == 0 && !wr_life_is_over(&p->t)) {
        wr_assert(wr_sendq_is_empty(&p->outbox.queue) || p->op.in_flight ||
                  wr_list_is_linked(&p->turn_end.link));
        if (p->outbox.sender && !wr_list_is_linked(&p->turn_end.link)) {
            wr_sender_check_progress(p->outbox.sender);
        }
    }
}

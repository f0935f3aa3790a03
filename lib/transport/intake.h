/*
 * The intake of a connection: when it receives, and what it waits for
 * otherwise. Before it receives, it requests a receive window from the loop's
 * budget. Without a window it waits for the release of its own leases, in queue
 * STARVED for the release of any connection's leases, or in queue STUCK until
 * bytes are sent. A connection that receives with system calls joins queue DUE
 * when bytes have arrived. A queue of the budget ends a wait with ->fed; other
 * waits end with the transport's step. The fields `demand` and `held_back` have
 * the state.
 */
#ifndef WEIR_LIB_TRANSPORT_INTAKE_H
#define WEIR_LIB_TRANSPORT_INTAKE_H

#include "life.h"
#include "transport.h"

wr_demand_feed_fn wr_intake_fed;
wr_account_released_fn wr_intake_released;

/* @its_over is called if the intake holds more than its limit; may be NULL. */
#define WR_INTAKE_OPS(its_over)                                                \
    {                                                                          \
        .account = {.released = wr_intake_released, .over = (its_over)},       \
        .feed = wr_intake_fed                                                  \
    }

static inline void wr_intake_init(weir_transport *t)
{
    static const struct wr_demand_ops ops = WR_INTAKE_OPS(NULL);

    wr_debug_assert(t->state == WR_LIFE_NEW && t->ops->fed);
    wr_demand_init(&t->demand, WR_READ_LIMIT_DEFAULT, &ops);
}

static inline void wr_intake_check_invariants(const weir_transport *t)
{
    const struct wr_account *account = &t->demand.account;

    wr_assert(account->lease_count > 0 || account->held_bytes == 0);
    wr_debug_assert(t->state != WR_LIFE_LOST || account->notify_released);
    wr_debug_assert(t->demand.state == WR_DEMAND_IDLE ||
                    t->demand.state == WR_DEMAND_DUE || t->held_back);
    wr_debug_check(wr_demand_check_invariants(&t->demand));
}

static inline bool wr_intake_is_queued(const weir_transport *t)
{
    wr_debug_assert(t->demand.state < WR_DEMAND_STATES);
    return t->demand.state != WR_DEMAND_IDLE;
}

void wr_intake_wait(weir_transport *t, enum wr_shortage shortage);
void wr_intake_starve(weir_transport *t);

/* Returns the window of the next receive, or 0 if the connection waits for one.
 * Adapts the window to the bytes that are still held (wr_budget_window()). */
WEIR_MUST_USE static inline uint32_t wr_intake_ask(weir_transport *t)
{
    uint32_t credit;
    const enum wr_shortage shortage =
        wr_budget_ask(&t->loop->budget, &t->demand, &credit);

    wr_debug_assert((credit > 0) == (shortage == WR_SHORTAGE_NONE));
    if (WR_UNLIKELY(shortage != WR_SHORTAGE_NONE)) {
        wr_intake_wait(t, shortage);
    }
    return credit;
}

/* Like wr_intake_ask(), but does not adapt the window. */
WEIR_MUST_USE uint32_t wr_intake_ask_uncounted(weir_transport *t);

/* True if there is a window for the receive after a poll. If false, the
 * connection waits and must not poll: each poll would complete at once. */
WEIR_MUST_USE bool wr_intake_may_poll(weir_transport *t);

/* Notes that receiving continues. Returns true if it had stopped for lack of a
 * window or a buffer: then the caller restarts the peer's time-out. */
WEIR_MUST_USE static inline bool wr_intake_goes_on(weir_transport *t)
{
    if (WR_LIKELY(!t->held_back)) {
        return false;
    }
    wr_assert(!wr_intake_is_queued(t));
    t->held_back = false;
    return true;
}

static inline bool wr_intake_waits(const weir_transport *t)
{
    return wr_intake_is_queued(t) || t->demand.account.notify_released;
}

static inline void wr_intake_make_due(weir_transport *t)
{
    wr_debug_assert(t->state > WR_LIFE_NEW && !wr_life_is_over(t));
    wr_budget_make_due(&t->loop->budget, &t->demand);
}

static inline void wr_intake_leave(weir_transport *t)
{
    wr_debug_assert(t->state < WR_LIFE_LOST);
    if (wr_intake_is_queued(t)) {
        wr_budget_leave(&t->demand);
    }
}

const char *wr_intake_queue_name(const weir_transport *t);

/* Ends the wait and schedules the step, which makes a new request. In queue DUE
 * the connection stays there, and makes the request in ->fed. */
void wr_intake_look_anew(weir_transport *t);
/* Calls wr_intake_look_anew() if the connection waits for its own leases. */
void wr_intake_seek_credit(weir_transport *t);
/* Binds another protocol and makes a new request: it may need no window. */
int wr_intake_set_protocol(weir_transport *t,
                           const struct weir_protocol_binding *binding,
                           const struct weir_buf *initial, size_t count);
void wr_intake_set_limit(weir_transport *t, uint64_t bytes);

/* True if the protocol must be notified of the drop of its unsent bytes: it has
 * stopped reading or keeps leases until it may write, which would be never. */
WEIR_MUST_USE static inline bool wr_intake_awaits_drop(const weir_transport *t)
{
    wr_assert(t->error);
    return t->state == WR_LIFE_OPEN && t->must_notify &&
           (wr_delivery_is_paused(wr_delivery_of(t)) || wr_intake_waits(t) ||
            t->flush);
}

void wr_intake_tell_drop(weir_transport *t);

/* Without a free buffer a connection waits in queue STARVED. But while the
 * kernel has posted buffers, each loop iteration serves that queue, and each
 * attempt would fail. Then the connection pauses until a timer expires. */

void wr_intake_rest(weir_transport *t, struct wr_timer *rest);
/* Called if a receive with a system call found no free buffer. */
void wr_intake_lack_buffer(weir_transport *t, struct wr_timer *rest);

#endif

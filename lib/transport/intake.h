/*
 * Intakes: when a connection receives, and what it waits for when it does not.
 *
 * A connection asks the loop's budget for credit before it receives. Without
 * credit it waits: for leases of its own, in the queue of the starved for what
 * others give back, or among the stuck until bytes are sent. One that takes
 * bytes by system calls is due when bytes are there, and receives when it is
 * fed (budget.h).
 *
 *     asks --credit--> receives             waits --fed, or told--> asks
 *        \--none--> waits                   due --fed--> asks, and receives
 *
 * Every kind of transport on which bytes or datagrams are received has one; its
 * fields are those of the transport, `demand` and `held_back`. The kind says by
 * `fed` of its table what it does when a queue lets it receive. Everything else
 * that ends a wait pushes the transport's step, in which the kind asks again.
 */
#ifndef WEIR_LIB_TRANSPORT_INTAKE_H
#define WEIR_LIB_TRANSPORT_INTAKE_H

#include "life.h"
#include "transport.h"

/* For wr_intake_init(). */
wr_demand_feed_fn wr_intake_fed;
wr_account_released_fn wr_intake_released;

/* Of a transport that is being made. */
static inline void wr_intake_init(weir_transport *t)
{
    wr_debug_assert(t->state == WR_LIFE_UNBORN && t->ops->fed);
    wr_demand_init(&t->demand, WR_READ_LIMIT_DEFAULT, wr_intake_fed);
    t->demand.account.released = wr_intake_released;
}

/* Holds wherever code of the user may run; pure. */
static inline void wr_intake_check_invariants(const weir_transport *t)
{
    const struct wr_account *account = &t->demand.account;

    wr_assert(account->lease_count > 0 || account->held_bytes == 0);
    wr_debug_assert(t->state != WR_LIFE_LOST || account->notify_released);
    wr_debug_assert(t->demand.state == WR_DEMAND_IDLE ||
                    t->demand.state == WR_DEMAND_DUE || t->held_back);
    wr_debug_check(wr_demand_check_invariants(&t->demand));
}

/* ---- credit ---- */

/* True when the connection is in a queue of the budget. */
static inline bool wr_intake_is_queued(const weir_transport *t)
{
    wr_debug_assert(t->demand.state < WR_DEMAND_STATES);
    return t->demand.state != WR_DEMAND_IDLE;
}

/* Waits for what can change @shortage, by which there is no credit. */
void wr_intake_wait(weir_transport *t, enum wr_shortage shortage);
/* There is no buffer: waits among the starved. */
void wr_intake_starve(weir_transport *t);

/* Credit for the receive that comes next, which the last one counts for or
 * against; 0: the connection waits for it. */
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

/* Credit as things stand, which counts for nothing; 0: the connection waits for
 * it. */
WEIR_MUST_USE uint32_t wr_intake_ask_uncounted(weir_transport *t);

/* True when there is credit for a receive that comes after a poll. Otherwise
 * the connection waits: the poll would end at once, in vain. */
WEIR_MUST_USE bool wr_intake_may_poll(weir_transport *t);

/* Receiving goes on: true when our own limits had held it back, so that the
 * peer's time begins anew. */
WEIR_MUST_USE static inline bool wr_intake_goes_on(weir_transport *t)
{
    if (WR_LIKELY(!t->held_back)) {
        return false;
    }
    wr_assert(!wr_intake_is_queued(t));
    t->held_back = false;
    return true;
}

/* True when something that it waits for will let it ask again. */
static inline bool wr_intake_waits(const weir_transport *t)
{
    return wr_intake_is_queued(t) || t->demand.account.notify_released;
}

/* ---- the queues ---- */

/* Bytes wait in the kernel: the connection receives them when it is fed. */
static inline void wr_intake_make_due(weir_transport *t)
{
    wr_debug_assert(t->state > WR_LIFE_UNBORN && !wr_life_is_over(t));
    wr_budget_make_due(&t->loop->budget, &t->demand);
}

/* The connection leaves the queue that it is in, if any. */
static inline void wr_intake_leave(weir_transport *t)
{
    wr_debug_assert(t->state < WR_LIFE_LOST);
    if (wr_intake_is_queued(t)) {
        wr_budget_leave(&t->demand);
    }
}

/* For weir_loop_dump(), of one that is in a queue. */
const char *wr_intake_queue_name(const weir_transport *t);

/* ---- asking again ---- */

/* It may receive as things stand now: it waits no longer, and its step asks.
 * One that is due asks when it is fed. */
void wr_intake_look_anew(weir_transport *t);
/* Leases were given back, or a limit was changed: credit may have waited for
 * that. Of a connection that is not lost. */
void wr_intake_seek_credit(weir_transport *t);
/* `set_protocol` of a table, with a delivery: another protocol may receive
 * without credit. */
int wr_intake_set_protocol(weir_transport *t,
                           const struct weir_protocol_binding *binding,
                           const struct weir_buf *initial, size_t count);
/* `set_read_limit` of a table. */
void wr_intake_set_limit(weir_transport *t, uint64_t bytes);

/* ---- broken connections ---- */

/* True when the protocol must be told that nothing it wrote is left: who reads
 * no more, or gives no bytes back, while it may not write would wait for ever,
 * and so would the bytes that are kept for it. */
WEIR_MUST_USE static inline bool wr_intake_awaits_drop(const weir_transport *t)
{
    wr_assert(t->error);
    return t->state == WR_LIFE_OPEN && t->notify_depth >= 0 &&
           (wr_delivery_is_paused(wr_delivery_of(t)) || wr_intake_waits(t) ||
            t->flushed);
}

/* The outbox was dropped: tells the protocol, if it may wait for that. */
void wr_intake_tell_drop(weir_transport *t);

/* ---- rests ---- */

/* A kind that takes a buffer itself, when bytes are there, waits for one among
 * the starved while the pool has none at all. Where the kernel has the others,
 * posted, the starved are fed in every turn, and it would find no buffer each
 * time: it rests until a timer of its own ends. */

/* Receives nothing for a while, for want of memory. */
void wr_intake_rest(weir_transport *t, struct wr_timer *rest);
/* There was no buffer: starves, or rests if that is better. */
void wr_intake_lack_buffer(weir_transport *t, struct wr_timer *rest);

#endif

/*
 * Divides memory between the connections of a loop.
 *
 * Two sums are limited. Held bytes were received and not released: they are in
 * leases, or readers keep them outside of the receive buffers. Queued bytes
 * were written and not accepted by the kernel. Half of each limit is a reserve.
 * A connection's share shrinks with the bytes left before the reserve, so that
 * connections that hold much cannot take the least share of a connection that
 * holds little.
 *
 * A connection's credit is the number of bytes that it may receive next. It
 * depends on the connection's window, which doubles while the bytes are
 * released and sent quickly, and halves otherwise (wr_budget_window()).
 *
 * A connection that may not receive now waits in a queue. Its struct wr_demand
 * has one of these states:
 *
 *     STARVED  no buffer is free, or the connection's share is used up
 *     STUCK    the kernel must accept queued bytes first
 *     DUE      bytes may wait in the kernel, and due connections take turns
 *
 * Feeding a connection removes it from its queue, in order, and lets it request
 * credit again. The work of a loop iteration depends on the bytes that can be
 * received, not on the number of waiting connections. If no starved connection
 * can be fed, bytes of waiting readers are moved out of the pool (evicted).
 *
 * A starved connection whose share is used up is bare, and is in a separate
 * list. An iteration tries at most WR_BUDGET_TRIES bare connections without
 * success. The next iteration continues after them.
 */
#ifndef WEIR_LIB_LOOP_BUDGET_H
#define WEIR_LIB_LOOP_BUDGET_H

#include "uring/list.h"
#include "uring/pool.h"

/* Limits, in bytes, of a connection's credit and window. */
#define WR_CREDIT_MAX   (1024u << 10)
#define WR_CREDIT_START (256u << 10) /* first window of a new connection */
#define WR_CREDIT_SLOW  (16u << 10)  /* least window while memory is short */
#define WR_CREDIT_MIN   (4u << 10)   /* least credit that is not 0 */
/* A connection's share is never smaller, whatever other connections hold. */
#define WR_HELD_LEAST   (2u * WR_CREDIT_MIN)
#define WR_QUEUED_LEAST (16u << 10)
/* Limits of one iteration: bytes that all due connections together receive, and
 * bytes of long sends. The last connection may exceed them. So most iterations
 * serve one connection, whose bytes are sent on from the CPU's cache. */
#define WR_TURN_BYTES (64u << 10)

#define WR_BUDGET_TRIES 16u

enum wr_demand_state {
    WR_DEMAND_IDLE, /* the connection receives, or does not read */
    WR_DEMAND_STARVED,
    WR_DEMAND_STUCK,
    WR_DEMAND_DUE,
    WR_DEMAND_STATES,
};

struct wr_demand;

/* Called after the connection was removed from @queue. If @queue is
 * WR_DEMAND_DUE, the function receives at once. Otherwise it arms a receive,
 * because there may now be a free buffer and credit. */
typedef void wr_demand_feed_fn(struct wr_demand *demand,
                               enum wr_demand_state queue);

struct wr_demand_ops {
    struct wr_account_ops account;
    wr_demand_feed_fn *feed; /* NULL if never queued */
};

#define WR_DEMAND_PASS_BITS 24

/* Embedded in each connection, even an idle one, so it is small. */
struct wr_demand {
    struct wr_account account; /* its ops point into a struct wr_demand_ops */
    struct wr_list link;
    /* Queued bytes that the kernel does not accept now, at most UINT32_MAX. */
    uint32_t stuck_bytes;
    uint32_t window; /* 0 if not set yet; see wr_budget_window() */
    /* Credit of the current or last receive. 0 if no receive followed the last
     * request: the next request keeps the window. */
    uint32_t last_credit;
    /* If the connection is bare: the pass in which it was tried last. */
    uint32_t pass : WR_DEMAND_PASS_BITS;
    enum wr_demand_state state : 8;
};

/* Embedded in a reader that can move received bytes out of the pool. */
struct wr_evictable {
    struct wr_list link;
    /* The connection's pointer to this while it is in the list, or NULL. */
    struct wr_evictable **place;
    void (*evict)(struct wr_evictable *evictable);
    /* Called when the connection's limit has changed. May move bytes. */
    void (*look)(struct wr_evictable *evictable);
};

struct wr_budget {
    const struct wr_pool *pool;
    uint64_t held_limit_bytes;
    uint64_t queued_limit_bytes;
    uint64_t queued_bytes;
    uint64_t account_count;
    struct wr_list starved; /* in the order of feeding, like all queues */
    /* Bare connections. Those that were tried in this pass are last. */
    struct wr_list bare;
    struct wr_list stuck;
    struct wr_list due;
    uint64_t turn_received_bytes;
    uint64_t turn_sent_bytes;
    struct wr_list evictable;
    /* If no bare connection could receive in the last pass: the most bytes held
     * in that pass. Otherwise UINT64_MAX. The next pass waits for fewer. */
    uint64_t unfed_bytes;
    uint64_t pass_bytes; /* maximum number of held bytes in this pass so far */
    uint32_t pass : WR_DEMAND_PASS_BITS;
    bool pass_has_fed;
    bool feeds_bare_first; /* in this iteration */
    uint64_t starved_count;
};

enum wr_shortage {
    WR_SHORTAGE_NONE,
    /* The connection is at its limit, and must release bytes. */
    WR_SHORTAGE_LIMIT,
    /* The connection holds its share, until any connection releases bytes. */
    WR_SHORTAGE_SHARE,
    WR_SHORTAGE_STUCK, /* send queues are too long */
};

enum wr_feed {
    /* no connection is starved, or bytes must be released first */
    WR_FEED_NONE,
    WR_FEED_NOW,
    WR_FEED_LATER, /* no memory for a buffer: try again later */
};

/* A connection that is queued again waits for the next round. */
struct wr_feeding {
    struct wr_list batch;
    /* free bytes in posted buffers or send queues, minus the round's credits */
    uint64_t room_bytes;
    /* bare connections that may still be tried without success */
    uint32_t tries;
};

void wr_budget_check_invariants(const struct wr_budget *budget);

void wr_demand_check_invariants(const struct wr_demand *demand);

void wr_budget_init(struct wr_budget *budget, const struct wr_pool *pool,
                    uint64_t held_limit_bytes, uint64_t queued_limit_bytes);

void wr_demand_init(struct wr_demand *demand, uint64_t limit_bytes,
                    const struct wr_demand_ops *ops);

static inline void wr_demand_set_stuck(struct wr_demand *demand, uint64_t bytes)
{
    demand->stuck_bytes = (uint32_t)wr_min_u64(bytes, UINT32_MAX);
}

static inline void wr_demand_feed(struct wr_demand *demand,
                                  enum wr_demand_state queue)
{
    wr_container_of(demand->account.ops, const struct wr_demand_ops, account)
        ->feed(demand, queue);
}

uint64_t wr_budget_held_share(const struct wr_budget *budget);

/* Returns how much one connection may queue. UINT64_MAX means no bound. */
uint64_t wr_budget_queued_share(const struct wr_budget *budget);

/* Returns true if all send queues together use more than a quarter of the
 * limit. Each connection then has only a share. */
static inline bool wr_budget_is_queue_short(const struct wr_budget *budget)
{
    return budget->queued_bytes > budget->queued_limit_bytes / 4;
}

static inline void wr_budget_queue(struct wr_budget *budget, uint64_t bytes)
{
    budget->queued_bytes += bytes;
}

static inline void wr_budget_unqueue(struct wr_budget *budget, uint64_t bytes)
{
    wr_debug_assert(budget->queued_bytes >= bytes);
    budget->queued_bytes -= bytes;
}

/* Returns how many bytes a reader may keep unread now, at most @high. */
uint64_t wr_budget_reader_high(const struct wr_budget *budget, uint64_t high);

/* Sets *ret_credit to the bytes that the connection may receive next,
 * WR_CREDIT_MIN to WR_CREDIT_MAX, or to 0. Returns the reason for 0. */
enum wr_shortage wr_budget_peek(const struct wr_budget *budget,
                                const struct wr_demand *demand,
                                uint32_t *ret_credit);

uint32_t wr_budget_credit(const struct wr_budget *budget,
                          const struct wr_demand *demand);

/* Returns the new window after a receive with @last_credit has ended. @backlog
 * is the number of bytes that the connection holds, plus its queued bytes that
 * the kernel does not accept. A backlog of at most the last credit doubles the
 * window. A backlog above the window halves it, but not below WR_CREDIT_START,
 * or WR_CREDIT_SLOW when memory is short. */
uint32_t wr_budget_window(const struct wr_budget *budget, uint32_t window,
                          uint32_t last_credit, uint64_t backlog);

/* Like wr_budget_peek(), but also stores the credit for the receive that
 * follows. The first call after a receive first adapts the window. */
enum wr_shortage wr_budget_ask(const struct wr_budget *budget,
                               struct wr_demand *demand, uint32_t *ret_credit);

void wr_budget_starve(struct wr_budget *budget, struct wr_demand *demand);

/* Queues a connection that may not receive until send queues are shorter. */
void wr_budget_make_stuck(struct wr_budget *budget, struct wr_demand *demand);

void wr_budget_leave(struct wr_demand *demand);

static inline bool wr_budget_has_waiting(const struct wr_budget *budget)
{
    return !wr_list_is_empty(&budget->starved) ||
           !wr_list_is_empty(&budget->bare) ||
           !wr_list_is_empty(&budget->stuck);
}

void wr_budget_make_due(struct wr_budget *budget, struct wr_demand *demand);

static inline bool wr_budget_has_due(const struct wr_budget *budget)
{
    return !wr_list_is_empty(&budget->due);
}

static inline void wr_budget_begin_turn(struct wr_budget *budget)
{
    budget->turn_received_bytes = 0;
    budget->turn_sent_bytes = 0;
}

/* Returns NULL if none is due or the iteration's budget is used up. */
struct wr_demand *wr_budget_next_due(struct wr_budget *budget);

static inline void wr_budget_received_due(struct wr_budget *budget,
                                          uint32_t bytes)
{
    budget->turn_received_bytes += bytes;
}

static inline bool wr_budget_may_send(const struct wr_budget *budget)
{
    return budget->turn_sent_bytes < WR_TURN_BYTES;
}

static inline void wr_budget_send(struct wr_budget *budget, uint64_t bytes)
{
    wr_debug_assert(wr_budget_may_send(budget));
    budget->turn_sent_bytes += bytes;
}

enum wr_feed wr_budget_next_feed_of_starved(const struct wr_budget *budget);

static inline enum wr_feed wr_budget_next_feed(const struct wr_budget *budget)
{
    return WR_LIKELY(wr_list_is_empty(&budget->starved) &&
                     wr_list_is_empty(&budget->bare))
               ? WR_FEED_NONE
               : wr_budget_next_feed_of_starved(budget);
}

/* A round of feeding stuck connections. wr_budget_begin_stuck() returns false
 * if none may receive. wr_budget_next_stuck() removes a connection from its
 * queue and returns it to be fed, or returns NULL when none is left or the
 * round's credits would fill the send queues. wr_budget_end_stuck() returns
 * true if the next iteration can feed others. */
WEIR_MUST_USE bool wr_budget_begin_stuck(struct wr_budget *budget,
                                         struct wr_feeding *round);
struct wr_demand *wr_budget_next_stuck(struct wr_budget *budget,
                                       struct wr_feeding *round);
WEIR_MUST_USE bool wr_budget_end_stuck(struct wr_budget *budget,
                                       struct wr_feeding *round);

/* Like the functions above, for starved connections, until their credits would
 * fill the posted buffers. Rounds alternately start with the bare connections
 * and with the others. */
bool wr_budget_begin_starved(struct wr_budget *budget,
                             struct wr_feeding *round);
struct wr_demand *wr_budget_next_starved(struct wr_budget *budget,
                                         struct wr_feeding *round);
void wr_budget_end_starved(struct wr_budget *budget, struct wr_feeding *round);

/* Adds a reader that waits for more bytes and could move its bytes out of the
 * pool. *@place is the reader while it is in the list; @place may be NULL. */
static inline void wr_budget_offer(struct wr_budget *budget,
                                   struct wr_evictable *evictable,
                                   struct wr_evictable **place)
{
    wr_list_push_back(&budget->evictable, &evictable->link);
    evictable->place = place;
    if (place) {
        *place = evictable;
    }
}

static inline void wr_budget_withdraw(struct wr_evictable *evictable)
{
    if (wr_list_is_linked(&evictable->link)) {
        wr_list_remove(&evictable->link);
        if (evictable->place && *evictable->place == evictable) {
            *evictable->place = NULL;
        }
    }
}

/* Removes and returns a reader that must move its bytes out of the pool, or
 * returns NULL if connections can be fed or there is no reader. */
struct wr_evictable *wr_budget_next_evicted(struct wr_budget *budget);

#endif

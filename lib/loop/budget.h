/*
 * Divides memory between the connections of a loop.
 *
 * Two sums are limited. Held: bytes received and not released, in leases or
 * kept by readers outside of the receive buffers. Queued: bytes written and not
 * accepted by the kernel. Half of each limit is a reserve. A connection's share
 * shrinks with the bytes left before the reserve, so that connections that hold
 * much cannot take the least share of a connection that holds little.
 *
 * A connection's credit is the number of bytes that it may receive next. It
 * depends on the connection's window, which doubles when all bytes older than
 * the last credit were released and sent, and halves while they are not: down
 * to a new connection's window, and further when memory is short.
 *
 * A connection without credit, or without a buffer, waits in a queue as a
 * struct wr_demand:
 *
 *     idle -> starved -> idle     others must release bytes
 *     idle -> stuck   -> idle     this connection or others must send
 *
 * The loop serves ("feeds") both queues in order, and a connection that was fed
 * requests credit again. The work of a loop iteration follows the bytes that
 * can be served, not the number of waiting connections. If none can be fed, the
 * bytes of waiting readers are moved out of the pool.
 *
 * Starved demands that lack credit because their share is small are "bare" and
 * have a separate list. The others lack a buffer and are fed as long as buffers
 * have space. In each iteration at most WR_BUDGET_TRIES bare demands are tried
 * without success, so that the work does not grow with their number; the next
 * iteration continues there.
 *
 * Connections that receive much do so one after the other. Each iteration has a
 * budget of bytes for all of them:
 *
 *     idle -> due     -> idle     bytes wait in the kernel until it is fed
 *
 * The budget is arithmetic and queues. It reads the pool's counts, and calls no
 * function of a connection, a clock or an allocator.
 */
#ifndef WEIR_LIB_LOOP_BUDGET_H
#define WEIR_LIB_LOOP_BUDGET_H

#include "uring/list.h"
#include "uring/pool.h"

/* Bounds of a receive window (credit), in bytes. */
#define WR_CREDIT_MAX   (1024u << 10)
#define WR_CREDIT_START (256u << 10) /* first window of a new connection */
#define WR_CREDIT_SLOW  (16u << 10)  /* least window while memory is short */
#define WR_CREDIT_MIN   (4u << 10)   /* least bytes of any receive */
/* The share that every connection has at least, whatever the others hold. */
#define WR_HELD_LEAST   (2u * WR_CREDIT_MIN)
#define WR_QUEUED_LEAST (16u << 10)
/* The budget of an iteration for the connections that move much: the bytes that
 * all of them together receive, and the bytes that they send. The last
 * connection may exceed it. So most iterations serve one such connection, and
 * its bytes are still in the CPU's cache when they are sent on. */
#define WR_TURN_BYTES (64u << 10)

/* Maximum number of bare demands that an iteration tries without success. */
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
 * because there may now be a free buffer and a receive window. */
typedef void wr_demand_feed_fn(struct wr_demand *demand,
                               enum wr_demand_state queue);

struct wr_demand_ops {
    struct wr_account_ops account;
    wr_demand_feed_fn *feed; /* NULL if the owner's demands are never queued */
};

#define WR_DEMAND_PASS_BITS 24

/* The bytes of one connection, and the connection's position in a queue.
 * Embedded in the connection, and small, because idle connections have it,
 * too. */
struct wr_demand {
    struct wr_account account; /* ->ops points into a struct wr_demand_ops */
    struct wr_list link;
    /* Queued bytes that the kernel does not accept, at most UINT32_MAX. */
    uint32_t stuck_bytes;
    uint32_t window; /* not set yet if 0; see wr_budget_window() */
    /* Credit of the present or last receive; reset when the window has been
     * adapted. */
    uint32_t last_credit;
    /* The pass in which a bare demand had no credit. */
    uint32_t pass : WR_DEMAND_PASS_BITS;
    enum wr_demand_state state : 8;
};

/* Received bytes that a reader can move out of the pool. Embedded in the
 * reader. */
struct wr_evictable {
    struct wr_list link;
    /* The connection's pointer to this while it is in the list, or NULL. */
    struct wr_evictable **place;
    void (*evict)(struct wr_evictable *evictable);
    /* Called when the connection's limit has changed, because the reader may
     * have to move bytes. */
    void (*look)(struct wr_evictable *evictable);
};

struct wr_budget {
    const struct wr_pool *pool; /* counts held and kept bytes */
    uint64_t held_limit_bytes;
    uint64_t queued_limit_bytes;
    uint64_t queued_bytes;
    uint64_t account_count;
    struct wr_list starved; /* in the order of feeding, as in all queues */
    /* Starved demands without credit. The demands that were tried in this pass
     * come last. */
    struct wr_list bare;
    struct wr_list stuck;
    struct wr_list due;
    uint64_t turn_received_bytes; /* by due connections */
    uint64_t turn_sent_bytes;     /* in long sends */
    struct wr_list evictable;
    /* Maximum of the held bytes in the last pass, if no bare demand got credit
     * in it: another pass is useless until fewer are held. UINT64_MAX if some
     * demand got credit. */
    uint64_t unfed_bytes;
    uint64_t pass_bytes; /* maximum of the held bytes in this pass so far */
    uint32_t pass : WR_DEMAND_PASS_BITS;
    bool pass_has_fed;
    bool feeds_bare_first;  /* in this iteration */
    uint64_t starved_count; /* receives that found no buffer */
};

enum wr_shortage {
    WR_SHORTAGE_NONE,
    /* The connection is at its limit, and must release bytes. */
    WR_SHORTAGE_LIMIT,
    /* The connection holds its share. It can receive again when any connection
     * has released bytes. */
    WR_SHORTAGE_SHARE,
    WR_SHORTAGE_STUCK, /* send queues are long; wait until one gets shorter */
};

enum wr_feed {
    WR_FEED_NONE, /* no demand is starved, or bytes must be released first */
    WR_FEED_NOW,
    WR_FEED_LATER, /* no memory for a buffer: try again later */
};

/* The demands of one round of feeding. A demand that queues again during the
 * round waits for the next round. */
struct wr_feeding {
    struct wr_list batch;
    /* Free bytes in posted buffers or send queues, minus the round's
     * credits. */
    uint64_t room_bytes;
    uint32_t tries; /* bare demands that may still be tried without success */
};

void wr_budget_check_invariants(const struct wr_budget *budget);

void wr_demand_check_invariants(const struct wr_demand *demand);

void wr_budget_init(struct wr_budget *budget, const struct wr_pool *pool,
                    uint64_t held_limit_bytes, uint64_t queued_limit_bytes);

/* @ops must be static. */
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

/* Returns the bytes that one connection may hold now. */
uint64_t wr_budget_held_share(const struct wr_budget *budget);

/* Returns how many bytes one connection may have queued now, or UINT64_MAX. */
uint64_t wr_budget_queued_share(const struct wr_budget *budget);

/* Returns true if all send queues use more than a quarter of the limit. Then
 * each connection has only a share. */
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

/* Returns the bytes that a reader may keep unread now, at most @high. */
uint64_t wr_budget_reader_high(const struct wr_budget *budget, uint64_t high);

/* Sets *ret_credit to the bytes that the connection may receive next,
 * WR_CREDIT_MIN to WR_CREDIT_MAX, or to 0. Returns the reason for 0. */
enum wr_shortage wr_budget_peek(const struct wr_budget *budget,
                                const struct wr_demand *demand,
                                uint32_t *ret_credit);

uint32_t wr_budget_credit(const struct wr_budget *budget,
                          const struct wr_demand *demand);

/* Returns the new window after a receive with @last_credit has ended. @backlog
 * is the number of received bytes that the connection holds, plus the queued
 * bytes that the kernel does not accept. As long as there is a backlog the
 * window shrinks: to WR_CREDIT_START while memory is plentiful, and to
 * WR_CREDIT_SLOW when it is short. */
uint32_t wr_budget_window(const struct wr_budget *budget, uint32_t window,
                          uint32_t last_credit, uint64_t backlog);

/* Gets the credit for the next receive like wr_budget_peek(). The first call
 * after a receive also adjusts the window: it grows if the received bytes were
 * released and sent, and shrinks if not. */
enum wr_shortage wr_budget_ask(const struct wr_budget *budget,
                               struct wr_demand *demand, uint32_t *ret_credit);

/* Queues a connection that has no buffer, or whose share is used up. */
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

/* Queues a connection for which bytes wait in the kernel. */
void wr_budget_make_due(struct wr_budget *budget, struct wr_demand *demand);

static inline bool wr_budget_has_due(const struct wr_budget *budget)
{
    return !wr_list_is_empty(&budget->due);
}

/* Called at the start of each iteration. */
static inline void wr_budget_begin_turn(struct wr_budget *budget)
{
    budget->turn_received_bytes = 0;
    budget->turn_sent_bytes = 0;
}

/* Removes and returns the next due connection, to be fed in this iteration.
 * Returns NULL if there is none or the iteration's budget is used up. */
struct wr_demand *wr_budget_next_due(struct wr_budget *budget);

static inline void wr_budget_received_due(struct wr_budget *budget,
                                          uint32_t bytes)
{
    budget->turn_received_bytes += bytes;
}

/* Returns false if a long send must wait for the next iteration. */
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

/* A round of feeding stuck demands, until the send queues would use too much;
 * further demands would get no credit. wr_budget_begin_stuck() returns false if
 * no demand can be fed now, and then there is no round. wr_budget_next_stuck()
 * removes a demand from its queue and returns it to be fed, or NULL at the end
 * of the round. wr_budget_end_stuck() returns true if others can be fed in the
 * next iteration. */
WEIR_MUST_USE bool wr_budget_begin_stuck(struct wr_budget *budget,
                                         struct wr_feeding *round);
struct wr_demand *wr_budget_next_stuck(struct wr_budget *budget,
                                       struct wr_feeding *round);
WEIR_MUST_USE bool wr_budget_end_stuck(struct wr_budget *budget,
                                       struct wr_feeding *round);

/* A round of feeding starved demands, as many as there are posted buffers for;
 * further demands would starve again. Rounds start alternately with the bare
 * and with the other demands. wr_budget_begin_starved() returns false if no
 * demand can be fed now, and then there is no round. */
bool wr_budget_begin_starved(struct wr_budget *budget,
                             struct wr_feeding *round);
struct wr_demand *wr_budget_next_starved(struct wr_budget *budget,
                                         struct wr_feeding *round);
void wr_budget_end_starved(struct wr_budget *budget, struct wr_feeding *round);

/* Adds a reader that waits for more bytes and could move its bytes out of the
 * pool. @place is the connection's pointer to it, or NULL. */
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

/* Removes and returns the next reader whose bytes must be moved out of the
 * pool, because other connections wait for buffers and none is free. Returns
 * NULL if there is no such reader, or no need. */
struct wr_evictable *wr_budget_next_evicted(struct wr_budget *budget);

#endif

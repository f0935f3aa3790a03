/*
 * The policy that divides memory between the connections of a loop.
 *
 * Two sums are bounded. Held: bytes received and not given back, under leases
 * or kept by readers outside of the receive buffers. Queued: bytes written and
 * not taken by the kernel. Half of each limit is a reserve. A connection's
 * share shrinks with the bytes left before the reserve, so that connections
 * that hold much cannot take the least share of a connection that holds little.
 *
 * The credit of a connection (the bytes that it may receive next) depends on
 * its window. The window doubles when all bytes older than the last credit were
 * given back and sent, and halves while they are not: down to a new
 * connection's window, and further when memory is short.
 *
 * A connection without credit, or without a buffer, waits in one of two queues:
 *
 *     idle -> starved -> idle     others must give bytes back
 *     idle -> stuck   -> idle     others must send, or it must
 *
 * The loop feeds both queues in order, and a fed connection asks again. The
 * work of a turn follows the bytes that can be served, not the number that
 * waits. If none can be fed, waiting readers with bytes in the pool are
 * evicted.
 *
 * Of the starved, those that lack a buffer are apart from those that lack
 * credit because their share is small. The former are fed as long as there is
 * room in buffers. Among the latter a turn looks for one with credit, but only
 * at WR_BUDGET_TRIES that have none, so that the work of a turn does not grow
 * with their number; the next turn goes on from there.
 *
 * Connections that receive much do so one after the other; each turn of the
 * loop has a budget of bytes for all of them:
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

/* Credits of one receive, in bytes. */
#define WR_CREDIT_MAX   (1024u << 10)
#define WR_CREDIT_START (256u << 10) /* of a new connection */
#define WR_CREDIT_SLOW  (16u << 10)  /* of a slow one, while memory is short */
#define WR_CREDIT_MIN   (4u << 10)   /* a receive is never smaller */
/* The least share of every connection, independent of the others. */
#define WR_HELD_LEAST   (2u * WR_CREDIT_MIN)
#define WR_QUEUED_LEAST (16u << 10)
/* Bytes per turn that connections that move much receive together, and that
 * they send; the last one may exceed it. So most turns serve one such
 * connection, and its bytes are still in the cache when they are sent on. */
#define WR_TURN_BYTES (64u << 10)

/* Connections without credit that a turn tries in vain. */
#define WR_BUDGET_TRIES 16u

enum wr_demand_state {
    WR_DEMAND_IDLE,    /* in no queue: it receives, or does not read */
    WR_DEMAND_STARVED, /* in wr_budget.starved or wr_budget.bare */
    WR_DEMAND_STUCK,   /* in wr_budget.stuck */
    WR_DEMAND_DUE,     /* in wr_budget.due */
    WR_DEMAND_STATES,
};

struct wr_demand;

/* The connection has left @queue. It arms a receive, as there may be a buffer
 * and credit now; a connection that was due receives. */
typedef void wr_demand_feed_fn(struct wr_demand *demand,
                               enum wr_demand_state queue);

/* The functions of a kind of connections. */
struct wr_demand_ops {
    struct wr_account_ops account;
    wr_demand_feed_fn *feed; /* NULL: it is in no queue */
};

#define WR_DEMAND_PASS_BITS 24

/* One connection's bytes and its place in a queue; embedded in the connection,
 * and small, as each idle one has it. */
struct wr_demand {
    struct wr_account account; /* its ops are those of a wr_demand_ops */
    struct wr_list link;       /* in the state's queue */
    /* Queued for sending, but the kernel has no room; UINT32_MAX: or more. */
    uint32_t stuck_bytes;
    uint32_t window;      /* 0: none yet; see wr_budget_window() */
    uint32_t last_credit; /* of the present or last receive; 0: none since the
                           * window was moved */
    /* In which it had no credit; while it is bare. */
    uint32_t pass : WR_DEMAND_PASS_BITS;
    enum wr_demand_state state : 8; /* set by budget_set_state() alone */
};

/* Received bytes in the pool that their reader could move out of it; embedded
 * in the reader. */
struct wr_evictable {
    struct wr_list link; /* in wr_budget.evictable */
    /* The connection's pointer to this, set while it is in the list; may be
     * NULL. */
    struct wr_evictable **place;
    void (*evict)(struct wr_evictable *evictable);
    /* The connection's limit has changed: the reader moves the bytes if it
     * must. */
    void (*look)(struct wr_evictable *evictable);
};

struct wr_budget {
    const struct wr_pool *pool; /* counts held and kept bytes */
    uint64_t held_limit_bytes;
    uint64_t queued_limit_bytes;
    uint64_t queued_bytes;
    uint64_t account_count; /* live connections */
    struct wr_list starved; /* struct wr_demand, in order of feeding */
    /* Starved, too, for want of credit; struct wr_demand. Those that were tried
     * in this pass are behind the others. */
    struct wr_list bare;
    struct wr_list stuck;         /* struct wr_demand, in order of feeding */
    struct wr_list due;           /* struct wr_demand, in order of feeding */
    uint64_t turn_received_bytes; /* by due connections */
    uint64_t turn_sent_bytes;     /* in long sends */
    struct wr_list evictable;
    /* The most held and kept bytes in a pass that had no credit for any bare
     * demand; before they are fewer, a pass is useless. UINT64_MAX: one had. */
    uint64_t unfed_bytes;
    uint64_t pass_bytes; /* the most so far in this pass */
    uint32_t pass : WR_DEMAND_PASS_BITS;
    bool pass_has_fed;
    bool feeds_bare_first;  /* in this turn */
    uint64_t starved_count; /* receives that found no buffer */
};

/* Why a connection has no credit. */
enum wr_shortage {
    WR_SHORTAGE_NONE,
    WR_SHORTAGE_LIMIT, /* its own limit: it must give bytes back */
    WR_SHORTAGE_SHARE, /* its share: it or others must give bytes back */
    WR_SHORTAGE_STUCK, /* it or others must send first */
};

/* Results of wr_budget_next_feed(). */
enum wr_feed {
    WR_FEED_NONE, /* none starves, or bytes must be given back first */
    WR_FEED_NOW,
    WR_FEED_LATER, /* no memory for a buffer: try again later */
};

/* The demands of one round. A demand that queues again during the round waits
 * for the next round. */
struct wr_feeding {
    struct wr_list batch;
    /* Room in posted buffers, or in the send queues, minus this round's
     * credits. */
    uint64_t room_bytes;
    uint32_t tries; /* bare demands that may be tried in vain */
};

/* Checks the queues, and every demand in them. */
void wr_budget_check_invariants(const struct wr_budget *budget);

/* Checks a demand: its place in its state's queue, and its window. */
void wr_demand_check_invariants(const struct wr_demand *demand);

void wr_budget_init(struct wr_budget *budget, const struct wr_pool *pool,
                    uint64_t held_limit_bytes, uint64_t queued_limit_bytes);

/* @ops: static. */
void wr_demand_init(struct wr_demand *demand, uint64_t limit_bytes,
                    const struct wr_demand_ops *ops);

/* Notes how many bytes the kernel has no room for. */
static inline void wr_demand_set_stuck(struct wr_demand *demand, uint64_t bytes)
{
    demand->stuck_bytes = (uint32_t)wr_min_u64(bytes, UINT32_MAX);
}

/* Tells the connection that it has left @queue. */
static inline void wr_demand_feed(struct wr_demand *demand,
                                  enum wr_demand_state queue)
{
    wr_container_of(demand->account.ops, const struct wr_demand_ops, account)
        ->feed(demand, queue);
}

/* ---- shares and credit ---- */

/* The bytes that one connection may hold now. */
uint64_t wr_budget_held_share(const struct wr_budget *budget);

/* The bytes that one connection may have queued now; UINT64_MAX: no limit while
 * memory is plentiful. */
uint64_t wr_budget_queued_share(const struct wr_budget *budget);

/* True if all send queues take more than a quarter of the limit; then each
 * connection has only a share. */
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

/* The bytes that a reader may keep unread now, at most @high. */
uint64_t wr_budget_reader_high(const struct wr_budget *budget, uint64_t high);

/* The bytes that the connection may receive next, WR_CREDIT_MIN to
 * WR_CREDIT_MAX, or 0. Returns the reason for 0. */
enum wr_shortage wr_budget_peek(const struct wr_budget *budget,
                                const struct wr_demand *demand,
                                uint32_t *ret_credit);

/* Returns the credit of wr_budget_peek(). */
uint32_t wr_budget_credit(const struct wr_budget *budget,
                          const struct wr_demand *demand);

/* The new window after a receive with @last_credit has ended. @backlog: bytes
 * that the connection holds or that are stuck. If the backlog stays, the window
 * shrinks to WR_CREDIT_START while memory is plentiful, and to WR_CREDIT_SLOW
 * when it is short. */
uint32_t wr_budget_window(const struct wr_budget *budget, uint32_t window,
                          uint32_t last_credit, uint64_t backlog);

/* The credit for the next receive. Moves the window first, by how many bytes of
 * the last receive were processed; once per receive, however often it is
 * called. */
enum wr_shortage wr_budget_ask(const struct wr_budget *budget,
                               struct wr_demand *demand, uint32_t *ret_credit);

/* ---- queues ---- */

/* The connection cannot receive for lack of a buffer or of common credit. */
void wr_budget_starve(struct wr_budget *budget, struct wr_demand *demand);

/* The connection gets no credit until its send queue, or all send queues
 * together, are shorter. */
void wr_budget_make_stuck(struct wr_budget *budget, struct wr_demand *demand);

/* Takes the connection out of its queue, if it is in one. */
void wr_budget_leave(struct wr_demand *demand);

static inline bool wr_budget_has_waiting(const struct wr_budget *budget)
{
    return !wr_list_is_empty(&budget->starved) ||
           !wr_list_is_empty(&budget->bare) ||
           !wr_list_is_empty(&budget->stuck);
}

/* Bytes wait in the kernel; the connection receives them when it is fed. */
void wr_budget_make_due(struct wr_budget *budget, struct wr_demand *demand);

static inline bool wr_budget_has_due(const struct wr_budget *budget)
{
    return !wr_list_is_empty(&budget->due);
}

/* A turn of the loop begins with a new budget of bytes. */
static inline void wr_budget_begin_turn(struct wr_budget *budget)
{
    budget->turn_received_bytes = 0;
    budget->turn_sent_bytes = 0;
}

/* Takes the next due connection out of its queue, to be fed in this turn; NULL:
 * none, or the turn's budget is used up. */
struct wr_demand *wr_budget_next_due(struct wr_budget *budget);

/* A due connection has received @bytes. */
static inline void wr_budget_received_due(struct wr_budget *budget,
                                          uint32_t bytes)
{
    budget->turn_received_bytes += bytes;
}

/* False if the turn's budget is used up and a long send must wait for the next
 * turn. */
static inline bool wr_budget_may_send(const struct wr_budget *budget)
{
    return budget->turn_sent_bytes < WR_TURN_BYTES;
}

/* A long send of @bytes is made in this turn. */
static inline void wr_budget_send(struct wr_budget *budget, uint64_t bytes)
{
    wr_debug_assert(wr_budget_may_send(budget));
    budget->turn_sent_bytes += bytes;
}

/* wr_budget_next_feed() while connections starve. */
enum wr_feed wr_budget_next_feed_of_starved(const struct wr_budget *budget);

/* Returns whether starved connections can be fed now. */
static inline enum wr_feed wr_budget_next_feed(const struct wr_budget *budget)
{
    return WR_LIKELY(wr_list_is_empty(&budget->starved) &&
                     wr_list_is_empty(&budget->bare))
               ? WR_FEED_NONE
               : wr_budget_next_feed_of_starved(budget);
}

/* A round for the stuck, for as many as the send queues have room for before
 * they take too much; others would get no credit. Each demand leaves its queue
 * and is returned, to be fed; NULL: the end. False: no demand can be fed now,
 * and there is no round. The end returns true if there is room for others, in
 * the next turn. */
WEIR_MUST_USE bool wr_budget_begin_stuck(struct wr_budget *budget,
                                         struct wr_feeding *round);
struct wr_demand *wr_budget_next_stuck(struct wr_budget *budget,
                                       struct wr_feeding *round);
WEIR_MUST_USE bool wr_budget_end_stuck(struct wr_budget *budget,
                                       struct wr_feeding *round);

/* A round for the starved, for as many as the posted buffers suffice; others
 * would starve again. Those that lack a buffer and the bare ones come first in
 * turn. False: no demand can be fed now, and there is no round. */
bool wr_budget_begin_starved(struct wr_budget *budget,
                             struct wr_feeding *round);
struct wr_demand *wr_budget_next_starved(struct wr_budget *budget,
                                         struct wr_feeding *round);
void wr_budget_end_starved(struct wr_budget *budget, struct wr_feeding *round);

/* Adds a reader that waits for more bytes and could move its bytes out of the
 * pool. @place: the connection's pointer to it, or NULL. */
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

/* Removes a reader from the list, if it is there. */
static inline void wr_budget_withdraw(struct wr_evictable *evictable)
{
    if (wr_list_is_linked(&evictable->link)) {
        wr_list_remove(&evictable->link);
        if (evictable->place && *evictable->place == evictable) {
            *evictable->place = NULL;
        }
    }
}

/* Takes the next reader whose bytes must move, because others starve and cannot
 * be fed; NULL: none, or no need. */
struct wr_evictable *wr_budget_next_evicted(struct wr_budget *budget);

#endif

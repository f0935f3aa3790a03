/*
 * How much each connection may hold: the policy between those of a loop.
 *
 * Two sums are bounded. Held: bytes received and not given back, under leases
 * or kept by readers outside of the receive buffers. Queued: bytes written and
 * not taken by the kernel. Of both a part is a reserve. The share of one
 * connection shrinks with what is left beyond the reserve, so that connections
 * that hold much never take what one that holds little needs: its least share
 * is certain.
 *
 * The credit of a connection, the bytes that it may receive next, grows with
 * proof: it doubles each time everything older than the last credit has been
 * given back and sent, and halves while that is stuck: down to what a new
 * connection gets, and further when memory is short.
 *
 * A connection that gets no credit, or no buffer, waits in one of two queues:
 *
 *     idle -> starved -> idle     others must give bytes back
 *     idle -> stuck   -> idle     others must send, or it must
 *
 * The loop feeds both queues in turn, and a connection that was fed asks again.
 * If none can be fed, readers that wait with bytes in the pool are evicted.
 *
 * Connections that receive much do so one after the other, and each turn of the
 * loop has a budget of bytes for all of them:
 *
 *     idle -> due     -> idle     bytes wait in the kernel until it is fed
 *
 * This is arithmetic and queues, read by those who act: the budget reads the
 * pool's counts and calls no function of a connection, of a clock or of memory.
 */
#ifndef WEIR_LIB_LOOP_BUDGET_H
#define WEIR_LIB_LOOP_BUDGET_H

#include "uring/list.h"
#include "uring/pool.h"

/* Of one receive. */
#define WR_CREDIT_MAX   (1024u << 10)
#define WR_CREDIT_START (256u << 10) /* to a connection that proved nothing */
#define WR_CREDIT_SLOW  (16u << 10)  /* to a slow one, while memory is short */
#define WR_CREDIT_MIN   (4u << 10)   /* less is not worth a receive */
/* The least share of every connection, whatever others hold and queue. */
#define WR_HELD_LEAST   (2u * WR_CREDIT_MIN)
#define WR_QUEUED_LEAST (16u << 10)
/* Connections that move much receive this together in one turn of the loop, and
 * send as much; the last one may exceed it. So most turns have one of them,
 * whose bytes are in the cache when they are sent on. */
#define WR_TURN_BYTES (64u << 10)

enum wr_demand_state {
    WR_DEMAND_IDLE,    /* in no queue: it receives, or does not want to */
    WR_DEMAND_STARVED, /* in wr_budget.starved */
    WR_DEMAND_STUCK,   /* in wr_budget.stuck */
    WR_DEMAND_DUE,     /* in wr_budget.due */
    WR_DEMAND_STATES,
};

struct wr_demand;

/* The connection has left @queue: there may be a buffer and credit now, so that
 * it arms a receive, or it was due and receives. */
typedef void wr_demand_feed_fn(struct wr_demand *demand,
                               enum wr_demand_state queue);

/* The bytes of one connection, and the queue that it waits in. Embedded in its
 * owner. */
struct wr_demand {
    struct wr_account account;
    uint64_t stuck_bytes; /* of its send queue: the kernel has no room */
    uint32_t window;      /* 0: none yet; see wr_budget_window() */
    uint32_t last_credit; /* of the receive in flight, or of the last one; 0:
                             none has ended since the window was moved */
    enum wr_demand_state state;
    struct wr_list link; /* in the queue that the state names */
    wr_demand_feed_fn *feed;
};

/* Received bytes in the pool that their reader could move out of it. Embedded
 * in the reader. */
struct wr_evictable {
    struct wr_list link; /* in wr_budget.evictable */
    /* Its connection's pointer to it, while it is in the list; may be NULL. */
    struct wr_evictable **place;
    void (*evict)(struct wr_evictable *evictable);
    /* The limit of its connection was changed: its owner moves them if it must.
     */
    void (*look)(struct wr_evictable *evictable);
};

struct wr_budget {
    const struct wr_pool *pool; /* which counts what is held and kept */
    uint64_t held_limit_bytes;
    uint64_t queued_limit_bytes;
    uint64_t queued_bytes;
    uint64_t account_count; /* live connections */
    struct wr_list starved; /* demands, in the order in which they are fed */
    struct wr_list stuck;   /* demands, likewise */
    struct wr_list due;     /* demands, likewise */
    uint64_t turn_received_bytes; /* by those that were due */
    uint64_t turn_sent_bytes;     /* in long sends */
    struct wr_list evictable;
    /* Held and kept when a round had no credit for any: the next round has none
     * either before that is less. UINT64_MAX: not known. */
    uint64_t unfed_bytes;
    uint64_t starved_count; /* how often a receive found no buffer */
};

/* Why a connection has no credit. */
enum wr_shortage {
    WR_SHORTAGE_NONE,
    WR_SHORTAGE_LIMIT, /* its own limit: only what it gives back helps */
    WR_SHORTAGE_SHARE, /* its share: what others give back helps too */
    WR_SHORTAGE_STUCK, /* it must send first, or others must */
};

/* The answer of wr_budget_next_feed(). */
enum wr_feed {
    WR_FEED_NONE, /* none starves, or only what is given back helps */
    WR_FEED_NOW,
    WR_FEED_LATER, /* there was no memory for a buffer: to be tried again */
};

/* The part of a queue that one round feeds. A demand that queues up again in
 * the round waits for the next one. */
struct wr_feeding {
    struct wr_list batch;
    uint64_t room_bytes; /* in posted buffers, beyond this round's credits */
    bool has_fed;        /* one of the batch had credit */
};

/* The queues, and the state of every demand in them. */
void wr_budget_check_invariants(const struct wr_budget *budget);

/* One demand: its place in the queue that its state names, and its window. */
void wr_demand_check_invariants(const struct wr_demand *demand);

void wr_budget_init(struct wr_budget *budget, const struct wr_pool *pool,
                    uint64_t held_limit_bytes, uint64_t queued_limit_bytes);

void wr_demand_init(struct wr_demand *demand, uint64_t limit_bytes,
                    wr_demand_feed_fn *feed);

/* ---- shares and credit ---- */

/* How much one connection may hold as things stand. */
uint64_t wr_budget_held_share(const struct wr_budget *budget);

/* How much of its bytes may wait to be sent; UINT64_MAX while there is plenty.
 */
uint64_t wr_budget_queued_share(const struct wr_budget *budget);

/* True when the send queues of all connections take more than a quarter of the
 * limit; each connection has only a share then. */
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

/* How much a reader may keep unread as things stand; at most @high. */
uint64_t wr_budget_reader_high(const struct wr_budget *budget, uint64_t high);

/* How many bytes the connection may receive next, 0 or WR_CREDIT_MIN to
 * WR_CREDIT_MAX, and why 0. */
enum wr_shortage wr_budget_peek(const struct wr_budget *budget,
                                const struct wr_demand *demand,
                                uint32_t *ret_credit);

/* The credit alone. */
uint32_t wr_budget_credit(const struct wr_budget *budget,
                          const struct wr_demand *demand);

/* The window after a receive with @last_credit has ended: how much credit the
 * connection has earned. @backlog: bytes that it holds or that are stuck. The
 * window of a connection that gets rid of nothing shrinks to WR_CREDIT_START
 * while there is plenty of memory, and to WR_CREDIT_SLOW when there is not. */
uint32_t wr_budget_window(const struct wr_budget *budget, uint32_t window,
                          uint32_t last_credit, uint64_t backlog);

/* Credit for a receive that is armed next. The bytes of the last receive that
 * the connection got rid of count for it, those that it still has against it:
 * once, however often it asks. */
enum wr_shortage wr_budget_ask(const struct wr_budget *budget,
                               struct wr_demand *demand, uint32_t *ret_credit);

/* ---- queues ---- */

/* The connection has no receive for lack of a buffer or of common credit. */
void wr_budget_starve(struct wr_budget *budget, struct wr_demand *demand);

/* The connection gets no credit before its send queue is shorter, or those of
 * all together are. */
void wr_budget_stick(struct wr_budget *budget, struct wr_demand *demand);

/* The connection waits no longer; it may have been fed already. */
void wr_budget_leave(struct wr_demand *demand);

static inline bool wr_budget_has_waiting(const struct wr_budget *budget)
{
    return !wr_list_is_empty(&budget->starved) ||
           !wr_list_is_empty(&budget->stuck);
}

/* Bytes wait in the kernel, and the connection receives them when it is fed. */
void wr_budget_make_due(struct wr_budget *budget, struct wr_demand *demand);

static inline bool wr_budget_has_due(const struct wr_budget *budget)
{
    return !wr_list_is_empty(&budget->due);
}

/* A turn of the loop begins, and with it the budget of bytes anew. */
static inline void wr_budget_begin_turn(struct wr_budget *budget)
{
    budget->turn_received_bytes = 0;
    budget->turn_sent_bytes = 0;
}

/* The next connection that receives in this turn of the loop, out of its queue,
 * to be fed; NULL when none is due or the budget of the turn is used up. */
struct wr_demand *wr_budget_next_due(struct wr_budget *budget);

/* One that was due has received. */
static inline void wr_budget_received_due(struct wr_budget *budget,
                                          uint32_t bytes)
{
    budget->turn_received_bytes += bytes;
}

/* False when a long send must wait for the next turn, because others have used
 * the budget of this one up. */
static inline bool wr_budget_may_send(const struct wr_budget *budget)
{
    return budget->turn_sent_bytes < WR_TURN_BYTES;
}

/* A long send leaves in this turn. */
static inline void wr_budget_send(struct wr_budget *budget, uint64_t bytes)
{
    wr_debug_assert(wr_budget_may_send(budget));
    budget->turn_sent_bytes += bytes;
}

/* Says whether the starved can be fed now. */
enum wr_feed wr_budget_next_feed(const struct wr_budget *budget);

/* A round for the stuck: each leaves its queue and is returned, to be fed; NULL
 * at the end. The round is for none while the send queues take too much: fed
 * now they would get no more than they had. */
void wr_budget_begin_stuck(struct wr_budget *budget, struct wr_feeding *round);
struct wr_demand *wr_budget_next_stuck(struct wr_feeding *round);

/* A round for the starved, as far as posted buffers go: beyond those they would
 * starve again. False, and no round, when nothing can be done for them now. */
bool wr_budget_begin_starved(struct wr_budget *budget,
                             struct wr_feeding *round);
struct wr_demand *wr_budget_next_starved(const struct wr_budget *budget,
                                         struct wr_feeding *round);
void wr_budget_end_starved(struct wr_budget *budget, struct wr_feeding *round);

/* A reader waits for more bytes and could move out those that it has. @place is
 * its connection's, or NULL. */
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

/* Takes it out of the list, if it is there. */
static inline void wr_budget_withdraw(struct wr_evictable *evictable)
{
    if (wr_list_is_linked(&evictable->link)) {
        wr_list_remove(&evictable->link);
        if (evictable->place && *evictable->place == evictable) {
            *evictable->place = NULL;
        }
    }
}

/* The next whose bytes must move because others starve and cannot be fed, taken
 * out of the list; NULL when there is none or no need. */
struct wr_evictable *wr_budget_next_evicted(struct wr_budget *budget);

#endif

/*
 * The slots of targets, and the sets that wait for one: shared by sets of
 * several loops.
 *
 * A target represents all upstreams with one name. Nothing is ever reserved: a
 * slot is taken or free, and a waiting set is recorded at the target with a
 * ticket, the number of its oldest request. A request gets a slot if more slots
 * are free than older requests of other sets wait. So the oldest request is
 * served first, and when a waiter gives up or a loop ends, nothing has to be
 * undone.
 *
 * A function that frees a slot or removes a waiter calls the sets whose turn it
 * is. It may run on any thread, and the call allocates nothing. A call only
 * means "check": the set must check again under the mutex.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_LIMITS_H
#define WEIR_LIB_PROXY_UPSTREAM_LIMITS_H

#include "shared.h"

/* All upstreams with one name. */
struct wr_limits_target {
    struct wr_hashed hashed; /* by the name */
    struct wr_list shares;   /* struct wr_limits_share; the last one frees it */
    uint32_t taken;
    uint32_t least_limit;   /* of all shares */
    struct wr_list waiting; /* struct wr_limits_share, by ticket */
    size_t size;            /* bytes of the whole allocation */
    char name[];
};

/* An upstream's share of the slots at its target. */
struct wr_limits_share {
    struct wr_shared_call *call;     /* the call of the upstream's set */
    struct wr_limits_target *target; /* NULL if there is no limit */
    uint32_t limit;
    /* Under the mutex. */
    struct wr_list share_link; /* in target->shares */
    struct wr_list link;       /* in target->waiting while the set waits */
    uint64_t ticket;           /* ticket of the set's oldest waiting request */
    uint64_t round;            /* the set's round in which the ticket was set */
};

/* Assigns a ticket to a request whose ticket is 0. The mutex must be held. */
static inline void wr_limits_draw_ticket(weir_upstreams_shared *shared,
                                         uint64_t *ticket)
{
    if (*ticket == 0) {
        *ticket = ++shared->last_ticket;
    }
    wr_assert(*ticket <= shared->last_ticket);
}

/* Counts a waiting request, of any target, and assigns a ticket. Returns false
 * if @queue_limit requests already wait. */
WEIR_MUST_USE bool wr_limits_enter_queue(weir_upstreams_shared *shared,
                                         uint32_t queue_limit,
                                         uint64_t *ticket);
void wr_limits_leave_queue(weir_upstreams_shared *shared);

/* Joins the target of a name; without a limit there is no target. Returns 0 or
 * -ENOMEM. */
WEIR_MUST_USE int wr_limits_share_open(struct wr_limits_share *share,
                                       struct wr_shared_call *call,
                                       const char *name, uint32_t limit);
void wr_limits_share_close(struct wr_limits_share *share);

/* Ends the set's wait for a slot of this target. May call other sets. */
void wr_limits_share_leave(struct wr_limits_share *share);
/* Ends the set's wait if it was recorded in a round before @round. The mutex
 * must be held. */
void wr_limits_share_settle(struct wr_limits_share *share, uint64_t round);

/* Returns true if a request with this ticket may take no slot now. The mutex
 * must be held. */
WEIR_MUST_USE bool wr_limits_share_is_full(const struct wr_limits_share *share,
                                           uint64_t ticket);
/* Returns true if the target has a slot, regardless of waiters. The mutex must
 * be held. */
static inline bool
wr_limits_share_has_place(const struct wr_limits_share *share)
{
    wr_debug_assert(!share->target || share->limit > 0);
    return !share->target || share->target->taken < share->limit;
}
/* Returns true if wr_limits_share_is_full() returns the same for all tickets,
 * because no set waits. This holds until the shared state changes. The mutex
 * must be held. */
static inline bool
wr_limits_share_is_settled(const struct wr_limits_share *share)
{
    wr_debug_assert(!share->target || share->limit > 0);
    return !share->target || wr_list_is_empty(&share->target->waiting);
}
/* Returns true if wr_limits_share_wait() was called with this @round. The mutex
 * must be held. */
static inline bool
wr_limits_share_is_awaited(const struct wr_limits_share *share, uint64_t round)
{
    wr_debug_assert(round > 0);
    return wr_list_is_linked(&share->link) && share->round == round;
}
/* Takes a slot, which must be free. The mutex must be held. */
void wr_limits_share_take(struct wr_limits_share *share);
/* Records that the set waits for a slot, for a request with this ticket;
 * wr_shared_note_change() must follow. The mutex must be held. */
void wr_limits_share_wait(struct wr_limits_share *share, uint64_t ticket,
                          uint64_t round);
/* Releases a slot, and calls the other sets that may take it. Does not call the
 * set of @share, which must check by itself. */
void wr_limits_share_give(struct wr_limits_share *share);

#endif

/*
 * The places at targets, and who waits for one: what sets of several loops have
 * in common.
 *
 * A target is all upstreams of one name; it counts the places that are taken.
 * Nothing is ever reserved: a place is taken or free, and whoever waits for it
 * is written down at the target with a ticket, the number of its oldest
 * request. A request is refused a place while older ones of other sets wait for
 * as many as are free. So the oldest goes first, and a waiter that gives up, or
 * a loop that ends, leaves nothing behind but a free place.
 *
 * Whatever makes a place free, or takes a waiter away, calls the sets whose
 * turn has come, by a post that needs no memory. A call says no more than
 * "look": the set asks again under the mutex.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_LIMITS_H
#define WEIR_LIB_PROXY_UPSTREAM_LIMITS_H

#include "shared.h"

/* All upstreams of one name. */
struct wr_limits_target {
    struct wr_hashed hashed; /* by the name */
    struct wr_list shares;   /* struct wr_limits_share; the last frees it */
    uint32_t taken;
    uint32_t least_limit;   /* of these; of more than that one may be full
                               while another is not */
    struct wr_list waiting; /* struct wr_limits_share, by ticket */
    size_t size;            /* of all this */
    char name[];
};

/* An upstream's part in its target. */
struct wr_limits_share {
    struct wr_shared_call *call;     /* of its set */
    struct wr_limits_target *target; /* NULL: without limit */
    uint32_t limit;
    /* Under the mutex. */
    struct wr_list share_link; /* in target->shares */
    struct wr_list link;       /* in target->waiting while its set waits */
    uint64_t ticket;           /* of its set's oldest request that does */
    uint64_t round;            /* of its set, when that was written */
};

/* ---- sets ---- */

/* Under the mutex: numbers a request that has no ticket yet, which is 0. */
static inline void wr_limits_draw_ticket(weir_upstreams_shared *shared,
                                         uint64_t *ticket)
{
    if (*ticket == 0) {
        *ticket = ++shared->last_ticket;
    }
    wr_assert(*ticket <= shared->last_ticket);
}

/* Counts a request that waits, of whatever target, and numbers it. False:
 * @queue_limit do. */
WEIR_MUST_USE bool wr_limits_enter_queue(weir_upstreams_shared *shared,
                                         uint32_t queue_limit,
                                         uint64_t *ticket);
void wr_limits_leave_queue(weir_upstreams_shared *shared);

/* ---- upstreams ---- */

/* Joins the target of a name: 0 or -ENOMEM. Without a limit there is none. */
WEIR_MUST_USE int wr_limits_share_open(struct wr_limits_share *share,
                                       struct wr_shared_call *call,
                                       const char *name, uint32_t limit);
void wr_limits_share_close(struct wr_limits_share *share);

/* The set does not wait for it any more: not at all, or, under the mutex, if
 * that was not written down in this round. Others may be called. */
void wr_limits_share_leave(struct wr_limits_share *share);
void wr_limits_share_settle(struct wr_limits_share *share, uint64_t round);

/* Under the mutex: true if a request with this ticket gets no place. */
WEIR_MUST_USE bool wr_limits_share_is_full(const struct wr_limits_share *share,
                                           uint64_t ticket);
/* Under the mutex: true if the target has a place, whoever waits for it. */
static inline bool
wr_limits_share_has_place(const struct wr_limits_share *share)
{
    wr_debug_assert(!share->target || share->limit > 0);
    return !share->target || share->target->taken < share->limit;
}
/* Under the mutex: true if that is the same for all requests, until what sets
 * share has changed. */
static inline bool
wr_limits_share_is_settled(const struct wr_limits_share *share)
{
    wr_debug_assert(!share->target || share->limit > 0);
    return !share->target || wr_list_is_empty(&share->target->waiting);
}
/* Under the mutex: true if it was written down in this round that the set waits
 * for it. */
static inline bool
wr_limits_share_is_awaited(const struct wr_limits_share *share, uint64_t round)
{
    wr_debug_assert(round > 0);
    return wr_list_is_linked(&share->link) && share->round == round;
}
/* Under the mutex, where it is not full. */
void wr_limits_share_take(struct wr_limits_share *share);
/* Under the mutex: a request waits for a place; wr_shared_note_change()
 * follows. */
void wr_limits_share_wait(struct wr_limits_share *share, uint64_t ticket,
                          uint64_t round);
/* Gives a place back, and calls those of other sets whose turn it is: the own
 * set looks by itself. */
void wr_limits_share_give(struct wr_limits_share *share);

#endif

/*
 * Sets of upstreams have this in common, on whatever loops. A target is one
 * upstream of all sets that have it, and each of these has a part in it.
 *
 * Parts find their target by the upstream's name and place: the first upstream
 * of a name and place in each set is one target, the second is another one. A
 * target lives as long as it has parts. The part of an upstream that was
 * removed, or whose set was freed, stays until its last slot has ended, so that
 * its connections count; but no other upstream of the set is it.
 *
 * Who writes what:
 *
 *     active_count  connections of all sets. It grows under the mutex, with the
 *                   choice; it shrinks without, when a slot ends. It alone is
 *                   written on the way of each connection, so it has a line of
 *                   the cache of its own. Relaxed: it is a count, and whatever
 *                   has ended before a choice is seen by it, as the atomic has
 *                   one order of changes.
 *     turn, random  of the choice, under the mutex
 *
 * A choice reads and writes all of this in one hold of the mutex, which it
 * takes for the places at targets anyway (limits.h): sets that choose at once
 * choose one after the other, as one set would. Nothing else of a connection's
 * way takes the mutex, unless its target has a limit.
 *
 * A set is called by a post that needs no memory, and says no more than "look":
 * the set asks again under the mutex. In a forked child nothing of this is
 * used, as no call of a set is let in.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_SHARED_H
#define WEIR_LIB_PROXY_UPSTREAM_SHARED_H

#include "choose.h"
#include "uring/alloc.h"
#include "uring/check.h"
#include "uring/list.h"
#include "uring/wake.h"

#include <pthread.h>
#include <stdatomic.h>

#define WR_CACHE_LINE 64u

struct weir_upstreams_shared {
    struct weir_allocator allocator;
    pthread_mutex_t mutex;
    /* Under the mutex, as all fields of targets but their active_count. */
    uint32_t ref_count; /* the program and the calls */
    uint32_t queued_count;
    uint64_t last_ticket;
    struct wr_random random; /* of the first set */
    bool is_seeded;
    struct wr_list targets; /* struct wr_shared_target */
    struct wr_list places;  /* struct wr_limits_target */
};

/* How a set is called, in memory of its own: a post may outlive the set. */
struct wr_shared_call {
    weir_upstreams_shared *shared;
    struct wr_wake *wake;      /* a reference to its loop's mailbox */
    struct wr_wake_item item;  /* in the mailbox while is_posted */
    bool is_posted;            /* under the mutex */
    void (*look)(void *owner); /* the set is called, on its loop */
    void *owner;               /* the loop's; NULL: the set is gone */
};

/* One upstream of all sets that have it. */
struct wr_shared_target {
    struct wr_list link;
    struct wr_list parts; /* struct wr_shared_part; the last one frees it */
    size_t size;          /* of all this */
    uint64_t hash;        /* of the name */
    const char *place;    /* in text */
    int64_t turn;         /* of the round robin */
    char before[WR_CACHE_LINE];
    _Atomic uint32_t active_count;
    char after[WR_CACHE_LINE - sizeof(uint32_t)];
    char text[]; /* the name and the place */
};

/* An upstream's part in its target. */
struct wr_shared_part {
    struct wr_list link;         /* in target->parts */
    struct wr_shared_call *call; /* of its set */
    struct wr_shared_target *target;
    bool is_left; /* its upstream is none of the set's any more */
};

/* ---- the object ---- */

/* Makes one with one reference: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_shared_make(const struct weir_allocator *allocator,
                                 weir_upstreams_shared **ret);
void wr_shared_unref(weir_upstreams_shared *shared);

/* These fail only if the mutex is not initialised. */
static inline void wr_shared_lock(weir_upstreams_shared *shared)
{
    const int err = pthread_mutex_lock(&shared->mutex);
    wr_check(err == 0);
}

static inline void wr_shared_unlock(weir_upstreams_shared *shared)
{
    const int err = pthread_mutex_unlock(&shared->mutex);
    wr_check(err == 0);
}

/* Seeds the generator, unless another set has done so. */
void wr_shared_seed(weir_upstreams_shared *shared, uint64_t seed);

/* The next number of the generator. */
uint64_t wr_shared_draw(weir_upstreams_shared *shared);

/* ---- sets ---- */

/* Makes the call of a set, which refers to @shared and @wake: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_shared_call_make(weir_upstreams_shared *shared,
                                      struct wr_wake *wake,
                                      void (*look)(void *owner), void *owner,
                                      struct wr_shared_call **ret);
/* The set is gone, and all its parts are closed. */
void wr_shared_call_end(struct wr_shared_call *call);

/* Under the mutex: the set is to look, on its loop. A loop that takes no posts
 * any more is closing its sets, which leave as they do. */
static inline void wr_shared_call(struct wr_shared_call *call)
{
    if (!call->is_posted) {
        call->is_posted = wr_wake_post_item(call->wake, &call->item) == 0;
    }
}

/* ---- upstreams ---- */

/* Joins the first target of this name and place in which the set has no part
 * that has not left: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_shared_part_open(struct wr_shared_part *part,
                                      struct wr_shared_call *call,
                                      const char *name, const char *place);

/* The upstream is none of the set's any more. */
void wr_shared_part_leave(struct wr_shared_part *part);
void wr_shared_part_close(struct wr_shared_part *part);

/* Connections of all sets. */
static inline uint32_t wr_shared_part_get_active(struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    return atomic_load_explicit(&part->target->active_count,
                                memory_order_relaxed);
}
/* Under the mutex: it was chosen. */
static inline void wr_shared_part_take(struct wr_shared_part *part)
{
    atomic_fetch_add_explicit(&part->target->active_count, 1,
                              memory_order_relaxed);
}
/* The connection has ended. */
static inline void wr_shared_part_give(struct wr_shared_part *part)
{
    const uint32_t before = atomic_fetch_sub_explicit(
        &part->target->active_count, 1, memory_order_relaxed);
    wr_assert(before > 0);
}

#endif

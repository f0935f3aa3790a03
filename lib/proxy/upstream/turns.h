/*
 * Smooth weighted round robin without a look at all that take part: the pure
 * part.
 *
 * By each choice all that take part earn their weights, the one with the most
 * credit is chosen, and it pays what all have earned. Those of one weight earn
 * together, so that they are a group with a clock: it counts the choices, and
 * each keeps its credit less what the clock stands for. So the order within a
 * group changes for the one that is chosen alone. A group is a heap by credit,
 * and a choice compares the heads of the groups.
 *
 * For least connections a group is of one number of connections, too, and takes
 * part while it is the least busy for its weight: the clocks of others stand.
 *
 * A credit is at most the sum of the weights. When the sum falls to a half, as
 * weights change or a heavy one leaves, all credits are scaled down, so that
 * they stand for as many turns as before: a burst would follow otherwise.
 *
 *     groups   connections / weight, the least first; equal ones by weight
 *        |
 *      heap    by credit, the highest first; equal ones by index
 *
 * Connections begin under the owner's mutex, and end without: whoever ends one
 * notes it in a stack, and the next choice lets their groups follow.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_TURNS_H
#define WEIR_LIB_PROXY_UPSTREAM_TURNS_H

#include "uring/check.h"
#include "uring/list.h"

#include <stdatomic.h>
#include <stddef.h>

#define WR_CACHE_LINE 64u

/* So many changes of who takes part are known one by one. */
#define WR_TURNS_KEPT 64u

/* Those that earn together. */
struct wr_turn_group {
    struct wr_list link; /* in turns->groups or in turns->spare */
    uint32_t weight;
    uint32_t busy;  /* connections of each; 0 if they do not count */
    uint64_t count; /* of those in the heap */
    int64_t clock;
    struct wr_turn *head;
};

/* One that may take part; all zero does not. */
struct wr_turn {
    int64_t credit;              /* in a group, less its clock's */
    uint64_t bound;              /* of the credit, once it takes no part */
    struct wr_turn_group *group; /* NULL: it takes no part */
    struct wr_turn *above;       /* in the heap; NULL: it is the head */
    struct wr_turn *below[2];
    size_t index; /* among the candidates of whoever chooses */
    /* Written by whoever ends a connection, so it has a line of its own. */
    char before[WR_CACHE_LINE];
    _Atomic uint32_t active_count; /* connections */
    _Atomic bool is_noted;         /* it is in turns->noted */
    struct wr_turn *noted;         /* the next one there */
    char after[WR_CACHE_LINE - 2 * sizeof(struct wr_turn *)];
};

/* All fields but the atomics are under the owner's mutex. */
struct wr_turns {
    struct wr_list groups; /* struct wr_turn_group */
    struct wr_list spare;  /* as many groups as there may be, less those in use
                            */
    size_t count;          /* of those that take part */
    uint64_t total;        /* the sum of their weights */
    uint64_t bound;        /* of their credits */
    uint64_t version;      /* from 1 on: how often another one took part */
    struct wr_turn
        *changed[WR_TURNS_KEPT]; /* the one by which each of the last
                                    versions is another; NULL: many */
    _Atomic bool is_by_connections;
    _Atomic(struct wr_turn *)
        noted; /* those with connections that have ended */
};

void wr_turns_init(struct wr_turns *turns);

/* One more may take part with each group that is given. */
void wr_turns_give_room(struct wr_turns *turns, struct wr_turn_group *group);
/* One less may: a group that the owner frees. */
struct wr_turn_group *wr_turns_take_room(struct wr_turns *turns);

/* Begins to count connections, or not to: none takes part any more, if that is
 * new. */
void wr_turns_begin(struct wr_turns *turns, bool is_by_connections);

/* It takes part with this weight and index; 0: it does not. */
void wr_turns_set(struct wr_turns *turns, struct wr_turn *turn, uint32_t weight,
                  size_t index);
/* None takes part. */
void wr_turns_clear(struct wr_turns *turns);
/* All that take part have their weights: scales credits that are too large. */
void wr_turns_scale(struct wr_turns *turns);

/* The one whose turn it is, which pays; one takes part at least. */
struct wr_turn *wr_turns_choose(struct wr_turns *turns);

/* It was chosen, and has a connection more. */
void wr_turns_take(struct wr_turns *turns, struct wr_turn *turn);

/* It is gone: its groups do not follow any more. */
void wr_turns_leave(struct wr_turns *turns, struct wr_turn *turn);

void wr_turns_note(struct wr_turns *turns, struct wr_turn *turn);

static inline uint32_t wr_turn_get_active(const struct wr_turn *turn)
{
    wr_debug_assert(turn != NULL);
    return atomic_load_explicit(&turn->active_count, memory_order_relaxed);
}

/* Without the mutex: a connection of it has ended. In one order with the store
 * in wr_turns_begin(), so that it is noted, or was counted after that. */
static inline void wr_turns_give(struct wr_turns *turns, struct wr_turn *turn)
{
    const uint32_t before = atomic_fetch_sub(&turn->active_count, 1);

    wr_assert(before > 0);
    if (atomic_load(&turns->is_by_connections)) {
        wr_turns_note(turns, turn);
    }
}

#endif

/*
 * Smooth weighted round robin that does not check every participant: pure
 * functions.
 *
 * With each choice every participant earns its weight as credit. The
 * participant with the most credit is chosen, and pays what all have earned.
 * Participants with the same weight are a group with a clock that counts the
 * choices; each participant stores its credit minus clock * weight. So only the
 * chosen participant changes its position in the group's heap, and a choice
 * compares the heads of the groups.
 *
 * For least connections the participants of a group also have the same number
 * of connections. Only groups that are the least busy for their weight take
 * part in a choice; the clocks of the others stop.
 *
 * A credit is at most the sum of the weights. When the sum falls to half of its
 * maximum, all credits are scaled down, so that they represent as many choices
 * as before; otherwise a burst would follow.
 *
 * Groups are ordered by connections / weight, the least first, then by weight.
 * The entries of a heap are ordered by credit, the highest first, then by
 * index.
 *
 * Connections start under the owner's mutex and end without it: the thread that
 * ends a connection pushes its participant to a stack, and the next choice
 * updates the groups.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_TURNS_H
#define WEIR_LIB_PROXY_UPSTREAM_TURNS_H

#include "lib/proxy/libweir.h"

#include <stdatomic.h>
#include <stddef.h>

#define WR_CACHE_LINE 64u

/* Number of changes of participants that are recorded individually. */
#define WR_TURNS_KEPT 64u

/* Participants with the same weight and, for least connections, the same number
 * of connections. */
struct wr_turn_group {
    struct wr_list link; /* in turns->groups or in turns->spare */
    uint32_t weight;
    /* Connections of each participant; 0 if connections do not count. */
    uint32_t busy;
    uint64_t count; /* number of entries in the heap */
    int64_t clock;
    struct wr_turn *head;
};

/* A participant. Zero-initialized, it does not take part. */
struct wr_turn {
    /* The credit; in a group, the credit minus clock * weight. */
    int64_t credit;
    /* turns->bound when this participant last took part. */
    uint64_t bound;
    struct wr_turn_group *group; /* NULL if this participant takes no part */
    struct wr_turn *above;       /* parent in the heap, or NULL */
    struct wr_turn *below[2];
    size_t index; /* among the candidates of the set that chooses */
    /* Alone in its cache line: threads that end connections write it. */
    char before[WR_CACHE_LINE];
    _Atomic uint32_t active_count; /* connections */
    _Atomic bool is_noted;         /* in turns->noted */
    struct wr_turn *noted;         /* next participant in turns->noted */
    char after[WR_CACHE_LINE - 2 * sizeof(struct wr_turn *)];
};

/* All fields except the atomics are guarded by the owner's mutex. */
struct wr_turns {
    struct wr_list groups; /* struct wr_turn_group */
    struct wr_list spare;  /* unused groups */
    size_t count;
    uint64_t total;   /* sum of the participants' weights */
    uint64_t bound;   /* bound of the participants' credits */
    uint64_t version; /* number of changes of participants, from 1 */
    /* The changed participant, by version. NULL means that one has left: older
     * changes may refer to freed memory. */
    struct wr_turn *changed[WR_TURNS_KEPT];
    _Atomic bool is_by_connections;
    _Atomic(struct wr_turn *)
        noted; /* participants with connections that have ended */
};

void wr_turns_init(struct wr_turns *turns);

/* Adds a spare group. There must be one group for each participant. */
void wr_turns_give_room(struct wr_turns *turns, struct wr_turn_group *group);
/* Removes a spare group, for the owner to free, before a participant leaves. */
struct wr_turn_group *wr_turns_take_room(struct wr_turns *turns);

/* Starts or stops counting connections. A change removes all participants. */
void wr_turns_begin(struct wr_turns *turns, bool is_by_connections);

/* Makes @turn a participant, or removes it if @weight is 0. */
void wr_turns_set(struct wr_turns *turns, struct wr_turn *turn, uint32_t weight,
                  size_t index);
void wr_turns_clear(struct wr_turns *turns);
/* Scales credits that are too large. All weights must be set. */
void wr_turns_scale(struct wr_turns *turns);

/* Returns the participant with the most credit. There must be a participant. */
struct wr_turn *wr_turns_choose(struct wr_turns *turns);

/* Counts a new connection of the chosen participant. */
void wr_turns_take(struct wr_turns *turns, struct wr_turn *turn);

/* Removes all pointers to @turn, which may then be freed. */
void wr_turns_leave(struct wr_turns *turns, struct wr_turn *turn);

void wr_turns_note(struct wr_turns *turns, struct wr_turn *turn);

static inline uint32_t wr_turn_get_active(const struct wr_turn *turn)
{
    wr_debug_assert(turn != NULL);
    return atomic_load_explicit(&turn->active_count, memory_order_relaxed);
}

/* Counts a connection that has ended; the mutex is not needed. The accesses are
 * sequentially consistent with wr_turns_begin(), which switches the counting
 * on: either wr_turns_begin() sees the new count, or this function sees that
 * counting is on and notes the participant. */
static inline void wr_turns_give(struct wr_turns *turns, struct wr_turn *turn)
{
    const uint32_t before = atomic_fetch_sub(&turn->active_count, 1);

    wr_assert(before > 0);
    if (atomic_load(&turns->is_by_connections)) {
        wr_turns_note(turns, turn);
    }
}

#endif

/*
 * The state shared by sets of upstreams, on any loops. A target represents one
 * upstream for all sets that have it, and each of these sets has a part in the
 * target. A health has the results of a target's checks, for the sets whose
 * check plans are equal.
 *
 * The first upstream with a name and endpoint in each set is one target, the
 * second is another one. The part of a removed upstream, or of an upstream
 * whose set was freed, stays until its last slot has ended, so that its
 * connections count. A target lives as long as it has parts.
 *
 * One part of each health is the checker: its set makes the checks. When the
 * checker leaves or is paused, the oldest other part becomes the checker; when
 * its set is retired, the youngest, because its settings are the newest. A part
 * of a retired set is the checker only if all other parts are of retired sets
 * or paused. A checker whose next check is late, because its loop does not run,
 * is replaced by the first set that chooses; its later results are dropped. A
 * health whose parts have all left starts again with the next part.
 *
 * Rules of access:
 *
 *     random, turn  changed by a choice, under the mutex. But the number of
 *                   connections in a turn shrinks without the mutex, when a
 *                   slot ends (turns.h).
 *     state, is_ejected, has_row
 *                   written under the mutex, from the fields next to them, and
 *                   read without it. The accesses are relaxed: a choice reads
 *                   under the mutex, so it sees earlier results; a reader
 *                   without the mutex is called after each change, and the
 *                   mailbox orders that.
 *     all else      under the mutex
 *
 * A choice locks the mutex once for all of this. Nothing else in a connection's
 * life takes the mutex, unless its target has a limit, or the connection fails
 * or is the first success after a failure.
 *
 * A set can be called from any thread, and the call allocates nothing. A call
 * only means "check": the set checks again under the mutex. Each set has a
 * timer for the end of an ejection; the first timer to expire ends the ejection
 * for all sets. A forked child changes nothing here, because it may not call
 * functions of sets.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_SHARED_H
#define WEIR_LIB_PROXY_UPSTREAM_SHARED_H

#include "check.h"
#include "choose.h"
#include "health.h"
#include "lib/proxy/libweir.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

/*
 * A tree in which entries are found by their hashes: at each level one bit of
 * the hash selects the side. Hashes are mixed, so the tree of n entries is
 * about log n deep without being balanced. Entries with the same hash are on
 * one path: a lookup follows the path and compares.
 */

/* The hash must be set before the entry is added. */
struct wr_hashed {
    uint64_t hash;
    struct wr_hashed *below[2];
};

/* A position on the path of a hash, initially {&top, hash}. */
struct wr_hashed_way {
    struct wr_hashed **place;
    uint64_t bits;
};

static inline void wr_hashed_go_on(struct wr_hashed_way *way)
{
    wr_assert(*way->place);
    way->place = &(*way->place)->below[way->bits & 1];
    way->bits >>= 1;
}

static inline void wr_hashed_add(struct wr_hashed **top, struct wr_hashed *one)
{
    struct wr_hashed_way way = {top, one->hash};

    while (*way.place) {
        wr_assert(*way.place != one);
        wr_hashed_go_on(&way);
    }
    one->below[0] = NULL;
    one->below[1] = NULL;
    *way.place = one;
}

/* Removes an entry. A leaf below the entry takes its position in the tree. */
static inline void wr_hashed_remove(struct wr_hashed **top,
                                    struct wr_hashed *one)
{
    struct wr_hashed_way way = {top, one->hash};

    while (*way.place != one) {
        wr_hashed_go_on(&way);
    }
    struct wr_hashed **end = way.place;
    while ((*end)->below[0] || (*end)->below[1]) {
        end = &(*end)->below[!(*end)->below[0]];
    }
    struct wr_hashed *last = *end;
    *end = NULL;
    if (last != one) {
        last->below[0] = one->below[0];
        last->below[1] = one->below[1];
        *way.place = last;
    }
}

/* Number of changes that are recorded individually. */
#define WR_CHANGES_KEPT 64u

/* The subject of a change; both NULL means all targets. */
struct wr_shared_change {
    const struct wr_shared_target *target;
    const struct wr_limits_target *places;
};

struct weir_upstreams_shared {
    struct weir_allocator allocator;
    pthread_mutex_t mutex;
    /* Guarded by the mutex, like all fields of targets except the atomics. */
    uint32_t ref_count; /* the program and the calls */
    uint32_t queued_count;
    uint64_t last_ticket;
    struct wr_random random; /* seeded by the first set */
    struct wr_turns turns;   /* prepared for the set that chose last */
    bool is_seeded;
    struct wr_hashed *targets; /* struct wr_shared_target */
    uint64_t last_target;      /* number of the youngest */
    struct wr_hashed *places;  /* struct wr_limits_target */
    /* The target that WEIR_BALANCE_FIRST uses, or NULL. */
    struct wr_shared_target *in_use;
    uint64_t in_use_since_ns;
    /* Number of changes, from 1, on which choices depend. It does not count
     * changes of connection counts and of the time. */
    uint64_t revision;
    struct wr_shared_change changes[WR_CHANGES_KEPT]; /* the newest */
};

/* The call of a set, which it may outlive while posted. */
struct wr_shared_call {
    weir_upstreams_shared *shared;
    struct wr_wake *wake;     /* a reference to the mailbox of the set's loop */
    struct wr_wake_item item; /* in the mailbox while is_posted */
    /* Guarded by the mutex, like ->news and ->waiting_count. */
    bool is_posted;
    /* struct wr_shared_part with a new state or checker */
    struct wr_list news;
    uint32_t waiting_count; /* waiting shares of the set (limits.h) */
    /* Called on the set's loop: a slot is free, or there is news. */
    void (*look)(void *owner, bool has_news);
    void *owner; /* used on the loop's thread; NULL once the set is freed */
};

/* One upstream, shared by all sets that contain it. */
struct wr_shared_target {
    struct wr_hashed hashed; /* by the name */
    uint64_t number;         /* numbered in the order of creation */
    struct wr_list parts;    /* struct wr_shared_part; the last one frees it */
    size_t size;             /* bytes of the whole allocation */
    const char *endpoint;    /* in text */
    struct wr_turn turn;     /* counts the connections of all sets */
    struct wr_ejection ejection;
    uint64_t ejected_until_ns; /* if ejected */
    uint64_t back_ns;          /* end of the last ejection, or 0 */
    int last_err;              /* last error of connections and checks */
    bool is_failing;           /* the last connect failed */
    int failure_err;           /* error of the last failed connection */
    const char *failure_alert; /* may be NULL */
    /* Addresses from the last successful lookup by any set. */
    struct weir_address *addresses;
    size_t address_count;
    size_t address_size; /* bytes, with the data after the addresses */
    _Atomic bool is_ejected;
    _Atomic bool has_row[WR_FAILURES]; /* a success must be recorded */
    char text[];                       /* the name and the endpoint */
};

/* The results of a target's checks, for sets with the same plan. */
struct wr_shared_health {
    uint32_t part_count;            /* the last one frees it */
    struct wr_shared_part *checker; /* NULL if all have left or pause */
    uint64_t due_ns;                /* time of the next check */
    uint64_t late_ns;  /* time after which another may become the checker */
    bool is_under_way; /* a check is running */
    struct wr_health health;
    _Atomic(enum wr_health_state) state; /* copy of health.state */
    /* Time at which the target came up again, or 0. */
    uint64_t back_ns;
    /* Error of the last check that failed. */
    int err;
    /* Alert of the last check's TLS, or NULL. */
    const char *alert;
    /* Status of the last HTTP check, or 0. */
    uint32_t status;
    /* Text from the last check, or "" */
    char reason[WEIR_UPSTREAM_CHECK_REASON_SIZE];
};

/* The membership of one set's upstream in a shared target. */
struct wr_shared_part {
    struct wr_list link;         /* in target->parts */
    struct wr_shared_call *call; /* the call of the upstream's set */
    struct wr_shared_target *target;
    const struct wr_check *check;    /* the upstream's plan, or NULL */
    struct wr_shared_health *health; /* NULL if there are no checks */
    struct wr_list news_link;        /* in call->news */
    bool is_left;    /* the part's upstream no longer belongs to the set */
    bool is_retired; /* the part's set is retired: other parts check, if any */
    bool is_paused;  /* makes no checks, not even for others */
};

/* Creates an object with one reference. Returns 0 or -ENOMEM. */
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

/* Records a change; sets follow the recorded changes before they choose. The
 * mutex must be held. A set reads the changes from the newest one backwards,
 * and stops at a change of all targets. So such a change must be recorded
 * before a target or its slots are freed: then no set reads older changes,
 * which may refer to the freed memory. */
static inline void wr_shared_note_change_of(weir_upstreams_shared *shared,
                                            struct wr_shared_change what)
{
    wr_assert(shared->revision > 0);
    shared->revision++;
    shared->changes[shared->revision % WR_CHANGES_KEPT] = what;
}
static inline void wr_shared_note_change(weir_upstreams_shared *shared)
{
    wr_shared_note_change_of(shared, (struct wr_shared_change){NULL, NULL});
}

void wr_shared_seed(weir_upstreams_shared *shared, uint64_t seed);

uint64_t wr_shared_draw(weir_upstreams_shared *shared);

/* The call has references to @shared and @wake. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_shared_call_make(weir_upstreams_shared *shared,
                                      struct wr_wake *wake,
                                      void (*look)(void *owner, bool has_news),
                                      void *owner, struct wr_shared_call **ret);
/* Called when the set is freed, after all its parts were closed. */
void wr_shared_call_end(struct wr_shared_call *call);

/* Removes and returns the next part in call->news, or returns NULL. */
struct wr_shared_part *wr_shared_call_next_news(struct wr_shared_call *call);

/* Posts a call of ->look to the set's loop, unless one is posted already. The
 * mutex must be held. If the loop accepts no more posts, it is closing its
 * sets, which leave the shared state. */
static inline void wr_shared_call(struct wr_shared_call *call)
{
    wr_debug_assert(call->wake != NULL);
    if (!call->is_posted) {
        call->is_posted = wr_wake_post_item(call->wake, &call->item) == 0;
    }
}

/* ---- upstreams ---- */

/* Name and endpoint identify the target; the rest initializes a new one. */
struct wr_shared_key {
    const char *name;
    const char *endpoint;
    const struct wr_check *check; /* may be NULL */
    enum wr_health_state health;  /* initial state of the target's checks */
    struct wr_ejection ejection;
    uint64_t ejected_until_ns; /* if ejected */
    int failure_err;           /* the error for which the target was ejected */
    uint64_t back_ns;          /* start of a slow start that continues, or 0 */
    uint64_t in_use_since_ns;  /* 0 if not in use */
};

/* Joins the first target with this name and endpoint in which the set has no
 * active part. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_shared_part_open(struct wr_shared_part *part,
                                      struct wr_shared_call *call,
                                      const struct wr_shared_key *key,
                                      uint64_t now_ns);

/* Stores the addresses that a lookup has found, @size bytes with the data after
 * them, for sets that are added later. If memory runs out, the previous ones
 * are kept. */
void wr_shared_part_keep_addresses(struct wr_shared_part *part,
                                   const struct weir_address *addresses,
                                   size_t count, size_t size);
/* Copies all addresses; the caller frees them. Returns 0 or -ENOMEM. *ret_count
 * is 0 if there are none. */
WEIR_MUST_USE int
wr_shared_part_copy_addresses(const struct wr_shared_part *part,
                              const struct weir_allocator *allocator,
                              struct weir_address **ret, size_t *ret_count);

/* The part's set is retired: another set, if there is one, makes the checks. */
void wr_shared_part_retire(struct wr_shared_part *part, uint64_t now_ns);
/* During a pause another set with the same target and plan makes the checks, if
 * there is one. */
void wr_shared_part_pause(struct wr_shared_part *part, bool is_paused,
                          uint64_t now_ns);
/* Called when the upstream is removed from the set. */
void wr_shared_part_leave(struct wr_shared_part *part, uint64_t now_ns);
void wr_shared_part_close(struct wr_shared_part *part);

/* Copies of fields of a target and its health. */
struct wr_shared_facts {
    struct wr_ejection ejection;
    uint64_t ejected_until_ns;
    uint64_t back_ns;
    int last_err;
    int failure_err;
    const char *failure_alert;
    int check_err;
    const char *check_alert;
    uint32_t check_status;
    char check_reason[WEIR_UPSTREAM_CHECK_REASON_SIZE];
    uint64_t in_use_since_ns;
    bool is_being_checked;
    bool is_checker;       /* this part is the checker */
    uint64_t check_due_ns; /* valid if this part is the checker */
};

void wr_shared_part_read(const struct wr_shared_part *part,
                         struct wr_shared_facts *ret);

/* Returns how long the target has been in use, at least 1; else returns 0. */
static inline uint64_t wr_shared_get_use(const struct wr_shared_facts *facts,
                                         uint64_t now_ns)
{
    const uint64_t since_ns = facts->in_use_since_ns;

    return since_ns == 0 ? 0 : 1 + wr_since(now_ns, since_ns);
}

static inline enum wr_health_state
wr_shared_part_get_health(const struct wr_shared_part *part)
{
    wr_debug_assert(!part->check == !part->health);
    return part->health ? atomic_load_explicit(&part->health->state,
                                               memory_order_relaxed)
                        : WR_HEALTH_UP;
}

static inline bool wr_shared_part_is_ejected(const struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    return atomic_load_explicit(&part->target->is_ejected,
                                memory_order_relaxed);
}

/* Returns the time at which the target was up again, or 0. The mutex must be
 * held. */
static inline uint64_t
wr_shared_part_get_back(const struct wr_shared_part *part)
{
    const uint64_t back_ns = part->target->back_ns;

    wr_debug_assert(!part->check == !part->health);
    return part->health && part->health->back_ns > back_ns
               ? part->health->back_ns
               : back_ns;
}

/* Returns the time at which the checker of this part's health will count as
 * late. Returns UINT64_MAX if this part is the checker or its checks are
 * paused. The mutex must be held. */
static inline uint64_t
wr_shared_part_get_late(const struct wr_shared_part *part)
{
    wr_debug_assert(!part->check == !part->health);
    return part->health && part->health->checker != part && !part->is_paused
               ? part->health->late_ns
               : UINT64_MAX;
}

static inline uint32_t
wr_shared_part_get_active(const struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    return wr_turn_get_active(&part->target->turn);
}
/* Counts a connection to the target. The mutex must be held. */
static inline void wr_shared_part_take(struct wr_shared_part *part)
{
    wr_debug_assert(!part->is_left);
    wr_turns_take(&part->call->shared->turns, &part->target->turn);
}
/* Counts a connection that has ended. */
static inline void wr_shared_part_give(struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    wr_turns_give(&part->call->shared->turns, &part->target->turn);
}

/* True if WEIR_BALANCE_FIRST uses the target. The mutex must be held. */
static inline bool wr_shared_part_is_in_use(const struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    return part->call->shared->in_use == part->target;
}

/* NULL means that no target is in use from now on. The mutex must be held. */
void wr_shared_use(weir_upstreams_shared *shared,
                   const struct wr_shared_part *part, uint64_t now_ns);

/* ---- failures ---- */

bool wr_shared_part_break_row(struct wr_shared_part *part, enum wr_failure row);
/* Records a failed connect. Returns true if the previous one had not failed. */
bool wr_shared_part_begin_failing(struct wr_shared_part *part);

/* Returns true for the first successful connect after a failed one. */
static inline bool wr_shared_part_note_success(struct wr_shared_part *part,
                                               enum wr_failure row)
{
    wr_debug_assert(row < WR_FAILURES);
    return atomic_load_explicit(&part->target->has_row[row],
                                memory_order_relaxed) &&
           wr_shared_part_break_row(part, row);
}

/* Records a failed connection. If this ejects the target, calls the other sets
 * and returns the end of the ejection. Otherwise returns 0. The failure does
 * not count towards an ejection if @plan is NULL. */
WEIR_MUST_USE uint64_t wr_shared_part_note_failure(
    struct wr_shared_part *part, const struct wr_ejection_plan *plan,
    enum wr_failure row, int err, const char *alert, uint64_t now_ns);

/* Called when the time of an ejection has expired. If the target was ejected
 * again meanwhile, returns the end of the new ejection. Otherwise ends the
 * ejection and returns 0. */
WEIR_MUST_USE uint64_t wr_shared_part_end_ejection(struct wr_shared_part *part,
                                                   uint64_t now_ns);

/* ---- checks ---- */

/* Returns false if another part is the checker. */
WEIR_MUST_USE bool wr_shared_part_begin_check(struct wr_shared_part *part);
/* Returns false if another part is the checker: the check does not count. */
WEIR_MUST_USE bool wr_shared_part_end_check(struct wr_shared_part *part);

/* Records the result of a check. Returns true if it has changed the state. */
WEIR_MUST_USE bool wr_shared_part_note_check(struct wr_shared_part *part,
                                             int err, const char *alert,
                                             uint32_t status,
                                             const char *reason,
                                             uint64_t now_ns);

/* The target is up until checks find it down. Returns false if it was up. */
bool wr_shared_part_lift(struct wr_shared_part *part, uint64_t now_ns);

/* True if the last check contradicts the state, which has not changed yet. */
bool wr_shared_part_is_in_doubt(const struct wr_shared_part *part);

void wr_shared_part_set_due(struct wr_shared_part *part, uint64_t due_ns);

/* Makes the part the checker if the current one is late and the part is not
 * paused. Returns true if it did. The mutex must be held. */
WEIR_MUST_USE bool wr_shared_part_take_over(struct wr_shared_part *part,
                                            uint64_t now_ns);

#endif

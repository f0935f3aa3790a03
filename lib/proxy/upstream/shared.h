/*
 * Sets of upstreams have this in common, on whatever loops. A target is one
 * upstream of all sets that have it, and each of these has a part in it. A
 * health is what the checks of a target have found, for the sets whose plans of
 * checks are equal.
 *
 * Parts find their target by the upstream's name and place: the first upstream
 * of a name and place in each set is one target, the second is another one. A
 * target lives as long as it has parts. The part of an upstream that was
 * removed, or whose set was freed, stays until its last slot has ended, so that
 * its connections count; but no other upstream of the set is it.
 *
 * One part of each health is the checker: its set makes the checks. When that
 * part leaves, the oldest other one is the checker and is called; when its set
 * is retired, the youngest, which knows best how to check. One of a retired set
 * is the checker only where all are retired. A health that all have left begins
 * anew with the next part. A checker whose next check is late, as its loop does
 * not run, is followed by the first set that chooses; what it still finds is
 * dropped.
 *
 * Who writes what:
 *
 *     turn          of the choice, under the mutex, but for its connections of
 *                   all sets: they grow under the mutex, with the choice, and
 *                   shrink without, when a slot ends (turns.h)
 *     random        of the choice, under the mutex
 *     state, is_ejected, has_row
 *                   what is read without the mutex: each is written under it,
 *                   by one function, from what stands beside it. Relaxed: a
 *                   choice reads them under the mutex, so that what was found
 *                   before it holds; whoever reads them without is called after
 *                   each change, and the mailbox orders that.
 *     all else      under the mutex
 *
 * A choice reads and writes all of this in one hold of the mutex, which it
 * takes for the places at targets anyway (limits.h): sets that choose at once
 * choose one after the other, as one set would. Nothing else of a connection's
 * way takes the mutex, unless its target has a limit, or the connection fails,
 * or is the first success after a failure.
 *
 * A set is called by a post that needs no memory, and says no more than "look":
 * the set asks again under the mutex, tells its program, serves its queue, and
 * arms its timers. Other sets are called when checks have changed a state, when
 * a target is ejected, and when one is to check. Each set has a timer for the
 * end of an ejection: the first ends it for all. In a forked child nothing of
 * this changes, as no call of a set is let in.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_SHARED_H
#define WEIR_LIB_PROXY_UPSTREAM_SHARED_H

#include "check.h"
#include "choose.h"
#include "hashed.h"
#include "health.h"
#include "uring/alloc.h"
#include "uring/check.h"
#include "uring/list.h"
#include "uring/wake.h"

#include <pthread.h>
#include <stdatomic.h>

/* The number of changes that are known one by one. */
#define WR_CHANGES_KEPT 64u

/* The subject of a change; without one it is about all targets. */
struct wr_shared_change {
    const struct wr_shared_target *target;
    const struct wr_limits_target *places;
};

struct weir_upstreams_shared {
    struct weir_allocator allocator;
    pthread_mutex_t mutex;
    /* Under the mutex, as all fields of targets but the atomics. */
    uint32_t ref_count; /* the program and the calls */
    uint32_t queued_count;
    uint64_t last_ticket;
    struct wr_random random; /* of the first set */
    struct wr_turns turns;   /* of those that were chosen from last */
    bool is_seeded;
    struct wr_hashed *targets;       /* struct wr_shared_target */
    uint64_t last_target;            /* the number of the youngest */
    struct wr_hashed *places;        /* struct wr_limits_target */
    struct wr_shared_target *in_use; /* by WEIR_BALANCE_FIRST; NULL: none is */
    uint64_t in_use_since_ns;
    uint64_t revision; /* from 1 on: how often a choice came to depend on
                          something else, but for counts and the time */
    struct wr_shared_change changes[WR_CHANGES_KEPT]; /* the last ones */
};

/* How a set is called, in memory of its own: a post may outlive the set. */
struct wr_shared_call {
    weir_upstreams_shared *shared;
    struct wr_wake *wake;     /* a reference to its loop's mailbox */
    struct wr_wake_item item; /* in the mailbox while is_posted */
    /* Under the mutex. */
    bool is_posted;
    struct wr_list news;    /* struct wr_shared_part: of a state or a checker */
    uint32_t waiting_count; /* shares of its set that wait (limits.h) */
    /* The set is called, on its loop: a place is free, or there is news. */
    void (*look)(void *owner, bool has_news);
    void *owner; /* the loop's; NULL: the set is gone */
};

/* One upstream of all sets that have it. */
struct wr_shared_target {
    struct wr_hashed hashed; /* by the name */
    uint64_t number;         /* in the order in which they were made */
    struct wr_list parts;    /* struct wr_shared_part; the last one frees it */
    size_t size;             /* of all this */
    const char *place;       /* in text */
    struct wr_turn turn;     /* with the connections of all sets */
    struct wr_ejection ejection;
    uint64_t ejected_until_ns; /* if it is ejected */
    uint64_t back_ns;          /* the last ejection ended then; 0: none did */
    int last_err;              /* of connections and checks */
    bool is_failing;           /* the last connect has failed */
    int failure_err;           /* of the last failure of a connection */
    const char *failure_alert; /* NULL: it had none */
    struct weir_address *addresses; /* by the last good lookup of any set */
    size_t address_count;
    size_t address_size; /* bytes, with what is behind them */
    _Atomic bool is_ejected;
    _Atomic bool has_row[WR_FAILURES]; /* that a success breaks */
    char text[];                       /* the name and the place */
};

/* The findings of checks of a target, for sets with the same plan. */
struct wr_shared_health {
    uint32_t part_count;            /* the last one frees it */
    struct wr_shared_part *checker; /* NULL: none has stayed */
    uint64_t due_ns;                /* its next check */
    uint64_t late_ns;               /* another part may be the checker */
    bool is_under_way;              /* a check is */
    struct wr_health health;
    _Atomic(enum wr_health_state) state; /* that of health */
    uint64_t back_ns;                    /* it came up again; 0: it did not */
    int err;                             /* of the last check that failed */
    const char *alert; /* of the last check's TLS; NULL: it had none */
    uint32_t status;   /* of the last check, by HTTP; 0: none */
    char reason[WEIR_CHECK_REASON_SIZE]; /* of the last check; "": none */
};

/* An upstream's part in its target. */
struct wr_shared_part {
    struct wr_list link;         /* in target->parts */
    struct wr_shared_call *call; /* of its set */
    struct wr_shared_target *target;
    const struct wr_check *check;    /* the set's plan; NULL: no checks */
    struct wr_shared_health *health; /* NULL: likewise */
    struct wr_list news_link;        /* in call->news */
    bool is_left;    /* its upstream is none of the set's any more */
    bool is_retired; /* its set is: others check, if there are any */
    bool is_paused;  /* it is not to check, and not for others either */
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

/* Under the mutex: sets look at what has changed before they choose. Whoever
 * frees a target or its places notes a change of all first: a set reads the
 * changes from the last one on, and none before such a one. */
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

/* Seeds the generator, unless another set has done so. */
void wr_shared_seed(weir_upstreams_shared *shared, uint64_t seed);

/* The next number of the generator. */
uint64_t wr_shared_draw(weir_upstreams_shared *shared);

/* ---- sets ---- */

/* Makes the call of a set, which refers to @shared and @wake: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_shared_call_make(weir_upstreams_shared *shared,
                                      struct wr_wake *wake,
                                      void (*look)(void *owner, bool has_news),
                                      void *owner, struct wr_shared_call **ret);
/* The set is gone, and all its parts are closed. */
void wr_shared_call_end(struct wr_shared_call *call);

/* The next part that the set has to follow, as others have changed something;
 * NULL: there is none. */
struct wr_shared_part *wr_shared_call_next_news(struct wr_shared_call *call);

/* Under the mutex: the set is to look, on its loop. A loop that takes no posts
 * any more is closing its sets, which leave as they do. */
static inline void wr_shared_call(struct wr_shared_call *call)
{
    wr_debug_assert(call->wake != NULL);
    if (!call->is_posted) {
        call->is_posted = wr_wake_post_item(call->wake, &call->item) == 0;
    }
}

/* ---- upstreams ---- */

/* By this an upstream finds its target; the rest is for one that is new. */
struct wr_shared_key {
    const char *name;
    const char *place;
    const struct wr_check *check; /* NULL: no checks */
    enum wr_health_state health;  /* of its checks */
    struct wr_ejection ejection;
    uint64_t ejected_until_ns; /* if it is ejected */
    int failure_err;           /* by this error */
    uint64_t back_ns;          /* a slow start goes on; 0: none does */
    uint64_t in_use_since_ns;  /* 0: it is not in use */
};

/* Joins the first target of this name and place in which the set has no part
 * that has not left: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_shared_part_open(struct wr_shared_part *part,
                                      struct wr_shared_call *call,
                                      const struct wr_shared_key *key,
                                      uint64_t now_ns);

/* A lookup has found these addresses, which are @size bytes with what is behind
 * them: they are kept for sets that follow; without memory those of before are.
 */
void wr_shared_part_keep_addresses(struct wr_shared_part *part,
                                   const struct weir_address *addresses,
                                   size_t count, size_t size);
/* Copies all of it, to be freed: 0 or -ENOMEM. *ret_count is 0 if there are
 * none. */
WEIR_MUST_USE int
wr_shared_part_copy_addresses(const struct wr_shared_part *part,
                              const struct weir_allocator *allocator,
                              struct weir_address **ret, size_t *ret_count);

/* Its set is retired: another one makes the checks. */
void wr_shared_part_retire(struct wr_shared_part *part, uint64_t now_ns);
/* It makes no checks while it is paused: others do, if there are any. */
void wr_shared_part_pause(struct wr_shared_part *part, bool is_paused,
                          uint64_t now_ns);
/* The upstream is none of the set's any more. */
void wr_shared_part_leave(struct wr_shared_part *part, uint64_t now_ns);
void wr_shared_part_close(struct wr_shared_part *part);

/* A target as it is now. */
struct wr_shared_facts {
    struct wr_ejection ejection;
    uint64_t ejected_until_ns; /* if it is ejected */
    uint64_t back_ns;          /* it was up again; 0: it was not */
    int last_err;
    int failure_err;
    const char *failure_alert;
    int check_err;
    const char *check_alert;
    uint32_t check_status;
    char check_reason[WEIR_CHECK_REASON_SIZE];
    uint64_t in_use_since_ns; /* 0: it is not in use */
    bool is_being_checked;
    bool is_checker;       /* this part is */
    uint64_t check_due_ns; /* if it is */
};

void wr_shared_part_read(const struct wr_shared_part *part,
                         struct wr_shared_facts *ret);

/* How long the target is in use; 0: it is not. */
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

/* Under the mutex: when it was up again; 0: it never was. */
static inline uint64_t
wr_shared_part_get_back(const struct wr_shared_part *part)
{
    const uint64_t back_ns = part->target->back_ns;

    wr_debug_assert(!part->check == !part->health);
    return part->health && part->health->back_ns > back_ns
               ? part->health->back_ns
               : back_ns;
}

/* Under the mutex: until then no other part's checker is late; UINT64_MAX:
 * there is none. */
static inline uint64_t
wr_shared_part_get_late(const struct wr_shared_part *part)
{
    wr_debug_assert(!part->check == !part->health);
    return part->health && part->health->checker != part && !part->is_paused
               ? part->health->late_ns
               : UINT64_MAX;
}

/* Connections of all sets. */
static inline uint32_t
wr_shared_part_get_active(const struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    return wr_turn_get_active(&part->target->turn);
}
/* Under the mutex: it was chosen. */
static inline void wr_shared_part_take(struct wr_shared_part *part)
{
    wr_debug_assert(!part->is_left);
    wr_turns_take(&part->call->shared->turns, &part->target->turn);
}
/* The connection has ended. */
static inline void wr_shared_part_give(struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    wr_turns_give(&part->call->shared->turns, &part->target->turn);
}

/* Under the mutex: is it the one that WEIR_BALANCE_FIRST uses? */
static inline bool wr_shared_part_is_in_use(const struct wr_shared_part *part)
{
    wr_debug_assert(part->target != NULL);
    return part->call->shared->in_use == part->target;
}

/* Under the mutex: it is used from now on, unless it is already; NULL: none is.
 */
void wr_shared_use(weir_upstreams_shared *shared,
                   const struct wr_shared_part *part, uint64_t now_ns);

/* ---- failures ---- */

bool wr_shared_part_break_row(struct wr_shared_part *part, enum wr_failure row);
/* A connect has failed. True if the one before had not. */
bool wr_shared_part_begin_failing(struct wr_shared_part *part);

/* A connection has succeeded. True if it is the first after failed ones. */
static inline bool wr_shared_part_note_success(struct wr_shared_part *part,
                                               enum wr_failure row)
{
    wr_debug_assert(row < WR_FAILURES);
    return atomic_load_explicit(&part->target->has_row[row],
                                memory_order_relaxed) &&
           wr_shared_part_break_row(part, row);
}

/* A connection has failed, which is told in any case; @plan NULL: it does not
 * count. Returns when the ejection ends that begins; 0: none does. */
WEIR_MUST_USE uint64_t wr_shared_part_note_failure(
    struct wr_shared_part *part, const struct wr_ejection_plan *plan,
    enum wr_failure row, int err, const char *alert, uint64_t now_ns);

/* The time of an ejection is over, unless there was a new one: returns when
 * that one ends; 0: the target is not ejected. */
WEIR_MUST_USE uint64_t wr_shared_part_end_ejection(struct wr_shared_part *part,
                                                   uint64_t now_ns);

/* ---- checks ---- */

/* The checker begins a check. False: another one is the checker. */
WEIR_MUST_USE bool wr_shared_part_begin_check(struct wr_shared_part *part);
/* It has ended. False: another one is the checker, and it does not count. */
WEIR_MUST_USE bool wr_shared_part_end_check(struct wr_shared_part *part);

/* A check has found something: true if that has changed the state. */
WEIR_MUST_USE bool wr_shared_part_note_check(struct wr_shared_part *part,
                                             int err, const char *alert,
                                             uint32_t status,
                                             const char *reason,
                                             uint64_t now_ns);

/* It counts as up until its checks find it down. True if it did not. */
bool wr_shared_part_lift(struct wr_shared_part *part, uint64_t now_ns);

/* True if the last check has spoken against the state, which stays. */
bool wr_shared_part_is_in_doubt(const struct wr_shared_part *part);

/* The next check of the checker will begin then. */
void wr_shared_part_set_due(struct wr_shared_part *part, uint64_t due_ns);

/* Under the mutex: the part is the checker from now on, as that one is late.
 * False: it is not late. */
WEIR_MUST_USE bool wr_shared_part_take_over(struct wr_shared_part *part,
                                            uint64_t now_ns);

#endif

/*
 * Sets of upstreams: the inside. Calls go down only, from each file to the
 * files below it:
 *
 *     set.c           sets: making, adding, the ready item, the end
 *     calls.c         the calls of the program about one upstream
 *     members.c       the upstreams of a set, and those of a name's addresses
 *     request.c       a connection that is asked for: queue, tries, done
 *     survey.c        the choice of an upstream for it
 *     upstream.c      one upstream: state, failures, checks, slots
 *     set_life.c      the memory of a set, and when it is over
 *     known.c         what is known of an upstream, from one set to another
 *     limits.c        places at upstreams of one name, over sets
 *     shared.c        what sets have in common: targets
 *     queue.c, probe.c, target.c, check.c, health.c, choose.c, turns.c
 *     dialogue.c, login.c kinds of checks, for check.c
 *
 * Upstreams and sets are counted references: a set is kept by its handle, its
 * upstreams and its requests, an upstream by its set, its slots, its check, and
 * requests that have tried it.
 *
 * A set is a member of its loop until it is closed, and its requests and checks
 * have ended. Nothing in a set calls the program from inside a call of it: the
 * set's ready item tells changes and serves the queue.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_UPSTREAM_H
#define WEIR_LIB_PROXY_UPSTREAM_UPSTREAM_H

#include "choose.h"
#include "health.h"
#include "limits.h"
#include "probe.h"
#include "queue.h"

struct wr_upstreams_totals {
    uint64_t queued;
    uint64_t queue_full;
    uint64_t queue_timeout;
    uint64_t no_upstream;
};

/* The upstreams of the first tier, from which a request chooses unless it
 * excludes all of them, as they are while the queue is looked through. */
struct wr_survey {
    enum wr_tier tier;
    size_t count;           /* of them */
    weir_upstream **firsts; /* room for as many as the set has, and in it: */
    size_t free_count;      /* at the front those that have a place, */
    size_t full_count; /* and behind them those that have none, and for which
                          the set was not found to wait in this round */
};

struct weir_upstreams {
    weir_loop *loop;
    uint64_t ref_count;
    struct wr_member member;
    struct wr_ready ready;
    struct weir_upstreams_options options; /* with defaults; its check is not
                                              used */
    struct wr_check check;
    uint64_t first_check_ns; /* the longest time-out of checks; 0: none */
    bool is_closed;  /* by the program or the loop: nothing new begins */
    bool is_freed;   /* by the program: nothing is told */
    bool is_retired; /* others go on with lookups, checks and what is in use */
    bool is_behind;  /* others have changed something (wr_shared_call) */
    bool has_ranks;  /* some addresses are used if others cannot be */
    struct wr_shared_call *call; /* how others call it; knows what sets share */
    uint64_t round; /* from 1 on: how often all of the queue was looked at */
    uint64_t last_id;
    uint64_t told_use_id; /* of the upstream that is in use; 0: none was told */
    bool has_answers;     /* of lookups, which members do not follow yet */

    /* Upstreams that were not removed; two arrays with the same indices. */
    weir_upstream **upstreams;
    struct wr_candidate_upstream *candidates;
    size_t count;
    size_t capacity;
    struct wr_list news; /* struct weir_upstream: the ready item looks at them,
                            as the state or the timers may be others */
    /* The candidates hold for each request that excludes none, */
    uint64_t described_revision; /* while what sets share is so; 0: for none */
    uint64_t described_until_ns; /* and until then */
    struct wr_choosing choosing; /* by the candidates */
    struct wr_survey survey;

    struct wr_list requests;           /* struct wr_request: all */
    struct wr_request_queue queue;     /* those that wait for a slot */
    struct wr_request_queue unchecked; /* ... and those for first checks */
    uint32_t connecting_count;
    uint32_t probe_count; /* checks under way */
    struct wr_upstreams_totals totals;
};

struct wr_upstream_counts {
    uint64_t chosen;
    uint64_t connected;
    uint64_t connect_errors;
    uint64_t reported_errors;
    uint64_t ejected;
    uint64_t checks;
    uint64_t check_errors;
    uint64_t checks_skipped;
};

struct weir_upstream {
    weir_upstreams *set;
    uint64_t ref_count;
    uint64_t id;   /* not used again in the set */
    size_t index;  /* in set->upstreams, until it is removed */
    bool is_apart; /* removed, draining or spread: asked for often */
    bool is_removed;
    bool is_draining;
    bool is_paused;        /* it is not checked here */
    bool is_check_dropped; /* a pause has cancelled the one that is under way */
    bool is_backup;
    uint32_t weight;
    uint32_t own_weight;        /* its share of the weight, in WR_WEIGHT_UNIT */
    uint32_t active_count;      /* slots of the set */
    struct wr_shared_part part; /* in its target */
    struct wr_limits_share share; /* of the places at its name */
    void *user;
    struct wr_target target;
    struct wr_timer eject_timer;         /* armed while the target is ejected */
    const struct wr_check *check;        /* the set's, the own one, or that of
                                            the source */
    struct wr_check own_check;           /* text_size 0: there is none */
    struct wr_secure_settings check_tls; /* without a context: the target's */
    struct wr_probe probe;
    struct wr_timer check_timer;
    enum weir_upstream_state told; /* to the program, or made by it */
    uint32_t skipped_count;        /* checks in a row that could not be made */
    int skipped_err;               /* of these, to be told; 0: it was */
    int turned_err;  /* connects fail by it, or, with 0, work again; to be */
    bool has_turned; /* told */
    struct wr_upstream_counts counts;
    bool is_spread;  /* its addresses are upstreams (members.c) */
    bool is_settled; /* ... and follow its first lookup */
    bool has_answer; /* of a lookup, which its members do not follow yet */
    weir_upstream *source; /* whose address it is, a reference; or NULL */
    struct wr_list gone;   /* weir_upstream: its addresses that were removed */
    struct wr_list gone_link; /* in the source's */
    struct wr_list news_link; /* in set->news */
    uint16_t priority; /* of its record, if it is an address of a service */
    uint16_t record_weight;
    uint8_t rank;          /* by the priority: those of the least are used */
    uint16_t weight_share; /* of the weight, of WR_WEIGHT_UNIT */
    const char *name;      /* in text */
    size_t size;           /* of all this */
    char text[];           /* the name, the host, room for an answer */
};

/* ---- set_life.c ---- */

/* Makes a set that holds one reference, and shares @shared with others; NULL:
 * its own. 0 or -ENOMEM. */
WEIR_MUST_USE int wr_upstreams_make(weir_loop *loop,
                                    weir_upstreams_shared *shared,
                                    weir_upstreams **ret);
static inline void wr_upstreams_ref(weir_upstreams *set)
{
    wr_assert(set->ref_count > 0);
    set->ref_count++;
}
/* Gives a reference back; the last one frees the set. */
void wr_upstreams_unref(weir_upstreams *set);

/* Leaves the loop, if the set is closed and nothing of it is under way. */
void wr_upstreams_leave_if_quiet(weir_upstreams *set);

/* Makes room for one more upstream: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_upstreams_make_room(weir_upstreams *set);

/* The ready item will serve the queue and tell changes. */
void wr_upstreams_wake(weir_upstreams *set);

/* ---- upstream.c ---- */

/* Makes an upstream, which holds a reference to the set and one for the set.
 * The options were read, and what is known, too. A plan of its own is taken,
 * unless this fails; NULL: it has none. */
WEIR_MUST_USE int wr_upstream_make(weir_upstreams *set,
                                   const struct weir_upstream_options *options,
                                   const struct wr_check *own_check,
                                   weir_upstream **ret);
/* A copy of the options of an upstream. */
struct wr_upstream_made {
    struct weir_upstream_options options; /* without place, name and TLS */
    struct weir_tls_settings tls;
    struct weir_tls_settings check_tls;
    bool has_tls;
    bool has_check_tls;
};

struct wr_upstream_made wr_upstream_copy(const weir_upstream *upstream);

/* Makes one for an address of @source, with these options and its checks. */
WEIR_MUST_USE int
wr_upstream_make_member(weir_upstream *source,
                        const struct weir_upstream_options *options,
                        weir_upstream **ret);

/* After each change of one of these. */
static inline void wr_upstream_note_apart(weir_upstream *upstream)
{
    wr_assert(upstream->set || !upstream->is_removed);
    upstream->is_apart =
        upstream->is_removed || upstream->is_draining || upstream->is_spread;
}

/* The present or the next run of the ready item looks at it. */
static inline void wr_upstream_add_news(weir_upstream *upstream)
{
    wr_assert(!upstream->is_removed);
    if (!wr_list_is_linked(&upstream->news_link)) {
        wr_list_push_back(&upstream->set->news, &upstream->news_link);
    }
}

/* The ready item will run, and look at it. */
static inline void wr_upstream_note_news(weir_upstream *upstream)
{
    wr_upstream_add_news(upstream);
    wr_upstreams_wake(upstream->set);
}

static inline void wr_upstream_ref(weir_upstream *upstream)
{
    wr_assert(upstream->ref_count > 0);
    upstream->ref_count++;
}
/* The counts of an address that is removed are those of its name from now on.
 */
void wr_upstream_fold(weir_upstream *member);

/* Gives a reference back; the last one frees the upstream, and with it perhaps
 * the set. */
void wr_upstream_unref(weir_upstream *upstream);

/* Begins its lookups: 0, or an error of its name. */
WEIR_MUST_USE int wr_upstream_start(weir_upstream *upstream);

/* Arms timers for what is known of the target and has to be done here. */
void wr_upstream_follow(weir_upstream *upstream);

/* Leaves lookups and checks to other sets. */
void wr_upstream_retire(weir_upstream *upstream);

/* Begins or ends a pause of its checks. */
void wr_upstream_pause(weir_upstream *upstream, bool is_paused);

/* Ends all that is under way, for a removal or the end of the set. */
void wr_upstream_stop(weir_upstream *upstream);

enum weir_upstream_state wr_upstream_get_state(const weir_upstream *upstream);
enum wr_tier wr_upstream_get_tier(const weir_upstream *upstream);

/* Sets the weight, and the share of it that is the upstream's, of
 * WR_WEIGHT_UNIT. */
void wr_upstream_set_weight(weir_upstream *upstream, uint32_t weight,
                            uint32_t share);

/* Under the mutex of what sets share: its own weight, in a slow start perhaps.
 */
uint32_t wr_upstream_get_warm(const weir_upstream *upstream);
static inline uint32_t wr_upstream_get_weight(const weir_upstream *upstream)
{
    wr_debug_assert(upstream->set != NULL);
    return upstream->set->options.slow_start_ns == 0
               ? upstream->own_weight
               : wr_upstream_get_warm(upstream);
}

/* Until then weights of slow starts stay as they are. */
uint64_t wr_upstreams_get_warm_end(const weir_upstreams *set);

/* Under the mutex of what sets share: writes what the choice of a request with
 * this ticket has to know, except for the rank. */
void wr_upstream_describe(weir_upstream *upstream, uint64_t ticket,
                          struct wr_candidate_upstream *candidate);

/* Under the mutex of what sets share, where it has a place: it was chosen. */
void wr_upstream_take(weir_upstream *upstream);

/* A connection has succeeded or failed, by an alert perhaps. */
void wr_upstream_note_success(weir_upstream *upstream, enum wr_failure row);
void wr_upstream_note_failure(weir_upstream *upstream, enum wr_failure row,
                              int err, const char *alert);

/* ---- slots ---- */

struct weir_upstream_slot {
    weir_upstream *upstream; /* NULL: none is chosen */
};

/* A slot without an upstream; NULL without memory. */
weir_upstream_slot *wr_slot_make(weir_upstreams *set);
/* Frees a slot without an upstream. */
void wr_slot_free(weir_upstreams *set, weir_upstream_slot *slot);
/* The upstream was chosen, and the place is taken at its target. */
void wr_slot_take(weir_upstream_slot *slot, weir_upstream *upstream);
/* Gives the place back, and with it the reference to the upstream. */
void wr_slot_leave(weir_upstream_slot *slot);

/* ---- known.c ---- */

/* Reads what is @given, NULL is nothing, for an upstream that is checked by
 * this plan: 0, or an error of weir_upstreams_add(). */
WEIR_MUST_USE int wr_known_read(const struct wr_check *check,
                                const struct weir_upstream_known *given,
                                struct weir_upstream_known *ret);

/* Writes down for a new target what was read of it. */
void wr_known_begin(const weir_upstreams *set, const struct wr_check *check,
                    const struct weir_upstream_known *known,
                    struct wr_shared_key *ret);

/* ---- survey.c ---- */

/* Something has changed that a choice depends on, and that is not shared. */
static inline void wr_survey_forget(weir_upstreams *set)
{
    wr_debug_assert(set->count <= set->capacity);
    set->described_revision = 0;
}

/* Chooses an upstream, and takes a place there; its set waits for one that is
 * queued. The tickets of others come before that of @queued, which it may draw.
 */
enum wr_choice wr_survey_choose(weir_upstreams *set, struct wr_queued *queued,
                                uint64_t key, weir_upstream **ret);

/* The upstream that WEIR_BALANCE_FIRST uses, which is noted; NULL: none. */
weir_upstream *wr_survey_find_use(weir_upstreams *set);

/* Surveys the upstreams of a set in which requests wait, before the queue is
 * looked through; then a place at an upstream was taken. */
void wr_survey_make(weir_upstreams *set);
void wr_survey_note_taken(weir_upstream *upstream);

/* By the survey: true if no more of the queue may be served, and it is known
 * what they wait for. */
static inline bool wr_survey_is_over(const weir_upstreams *set)
{
    const struct wr_survey *survey = &set->survey;

    wr_assert(survey->free_count + survey->full_count <= survey->count);
    return survey->free_count == 0 && survey->full_count == 0 &&
           set->queue.excluded_most < survey->count &&
           !wr_tier_is_unchecked(survey->tier);
}

/* All of the queue was looked through: the set waits for no other upstream. */
void wr_survey_settle(weir_upstreams *set);

/* By the survey: true if a request of the queue may get a place, or has none to
 * wait for. */
bool wr_survey_may_serve(const weir_upstreams *set,
                         const struct wr_queued *queued);

/* A request that may not be served waits for those of the first tier. */
void wr_survey_wait(weir_upstreams *set, const struct wr_queued *queued);

/* True if a request has to wait for first checks. */
bool wr_survey_is_unchecked(weir_upstreams *set, struct wr_queued *queued);

/* ---- members.c ---- */

/* Adds an upstream that has begun; there is room. */
void wr_members_append(weir_upstreams *set, weir_upstream *upstream);
/* Removes one from the arrays, and drops the reference of the set. */
void wr_members_drop(weir_upstreams *set, size_t index);
/* Removes those of its addresses. */
void wr_members_drop_of(weir_upstreams *set, const weir_upstream *source);
/* Lets members follow what lookups have found. */
void wr_members_spread(weir_upstreams *set);

/* ---- request.c ---- */

/* Gives requests of the queue the places that are free. Calls nothing of the
 * program. */
void wr_requests_serve(weir_upstreams *set);
/* All end with -ECANCELED, from the loop. */
void wr_requests_give_up(weir_upstreams *set);
/* Those that connect to this upstream, or to an address of it, end with @err:
 * how many. */
size_t wr_requests_end(const weir_upstream *upstream, int err);
/* Those that connect to this upstream go on to another. */
void wr_requests_leave(const weir_upstream *upstream);

#endif

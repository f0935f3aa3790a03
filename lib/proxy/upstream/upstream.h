/*
 * The internals of sets of upstreams. Each file calls only the files after it:
 *
 *     set.c           sets: creating, adding, the ready item, the end
 *     calls.c         the program's calls about one upstream
 *     members.c       the upstreams of a set, and those of a name's addresses
 *     request.c       a request for a connection: queue, tries, done
 *     survey.c        the choice of an upstream for a request
 *     upstream.c      one upstream: state, failures, checks, slots
 *     set_life.c      the memory of a set, and its end
 *     known.c         transfers what is known of an upstream to another set
 *     limits.c        slots at upstreams of one name, over sets
 *     shared.c        the state shared by sets: targets
 *     queue.c, probe.c, target.c, check.c, health.c, choose.c, turns.c
 *     dialogue.c, login.c kinds of checks, for check.c
 *
 * Upstreams and sets are reference counted: a set is kept by its handle, its
 * upstreams and its requests, an upstream by its set, its slots, its check, and
 * requests that have tried it.
 *
 * A set is a loop object (struct wr_member) until it is closed and its requests
 * and checks have ended. No callback of the program is called inside a call of
 * the program: the set's ready item reports changes and serves the queue, from
 * the loop.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_UPSTREAM_H
#define WEIR_LIB_PROXY_UPSTREAM_UPSTREAM_H

#include "check.h"
#include "choose.h"
#include "health.h"
#include "limits.h"
#include "queue.h"
#include "target.h"

/* One active check of an upstream. A probe connects, exchanges the bytes that
 * its plan requires, and disconnects, in an internal task. */
struct wr_probe {
    struct wr_own_task own;
    const struct wr_check *check;
    /* Called once for each probe, from the loop, with 0 or a negative error.
     * Never called inside a call of the owner. */
    void (*ended)(struct wr_probe *probe, int err);
    /* Results of the last probe: talk, alert, answer and len. */
    struct wr_check_talk talk;
    const char *alert; /* alert of the peer's TLS, or NULL */
    const struct wr_target *target;
    const struct wr_secure_settings *tls; /* may be NULL */
    uint8_t *answer; /* wr_check_get_room() bytes, owned by the owner */
    size_t len;      /* used bytes */
};

/* @answer has the space that @check requests. @check outlives the probe. */
void wr_probe_init(struct wr_probe *probe, weir_loop *loop,
                   const struct wr_check *check, uint8_t *answer,
                   void (*ended)(struct wr_probe *probe, int err));

/* Returns an error only if this machine has no resource. @tls may be NULL. */
WEIR_MUST_USE int wr_probe_start(struct wr_probe *probe,
                                 const struct wr_target *target,
                                 const struct wr_secure_settings *tls);

/* Ends a running probe with -ECANCELED, unless it is about to end. */
void wr_probe_give_up(struct wr_probe *probe);

static inline bool wr_probe_is_idle(const struct wr_probe *probe)
{
    return !wr_own_task_is_running(&probe->own);
}

struct wr_upstreams_totals {
    uint64_t queued;
    uint64_t queue_full;
    uint64_t queue_timeout;
    uint64_t no_upstream;
};

/* The upstreams of the first tier, from which a request chooses unless it
 * excludes all of them; valid while the queue is served. */
struct wr_survey {
    enum wr_tier tier;
    size_t count; /* number of upstreams in the tier */
    /* An array for all upstreams: first the upstreams with a slot, then the
     * upstreams without one for which the set does not wait yet in this
     * round. */
    weir_upstream **firsts;
    size_t free_count;
    size_t full_count;
};

struct weir_upstreams {
    weir_loop *loop;
    uint64_t ref_count;
    struct wr_member member;
    struct wr_ready ready;
    struct weir_upstreams_options options; /* with defaults, without check */
    struct wr_check check;
    uint64_t first_check_ns; /* longest first check or lookup, or 0 */
    bool is_closed; /* closed by the program or the loop: nothing new starts */
    bool is_freed;  /* freed by the program: nothing is reported any more */
    /* The set was retired: other sets continue its lookups and checks, and
     * record the upstream in use. */
    bool is_retired;
    bool is_behind; /* other sets have changed shared state (wr_shared_call) */
    bool has_ranks; /* some addresses are used only if others cannot be */
    /* Other sets wake this set through this object. */
    struct wr_shared_call *call;
    uint64_t round; /* from 1: number of times the queue was served */
    uint64_t last_id;
    uint64_t told_use_id; /* id of the last reported upstream in use, or 0 */
    /* Some answers of lookups are not applied to the upstreams yet. */
    bool has_answers;

    /* Upstreams that were not removed; two arrays with the same indices. */
    weir_upstream **upstreams;
    struct wr_candidate_upstream *candidates;
    size_t count;
    size_t capacity;
    /* Upstreams whose state and timers the ready item must check. */
    struct wr_list news;
    /* The candidates are valid for each request without exclusions, at this
     * revision of the shared state, until this time. A revision of 0 means that
     * they are not valid. */
    uint64_t described_revision;
    uint64_t described_until_ns;
    struct wr_choosing choosing; /* prepared from the candidates */
    struct wr_survey survey;

    struct wr_list requests;           /* struct wr_request: all */
    struct wr_request_queue queue;     /* requests that wait for a slot */
    struct wr_request_queue unchecked; /* requests that wait for first checks */
    uint32_t connecting_count;
    uint32_t probe_count; /* running checks */
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
    uint64_t id;   /* never reused in the set */
    size_t index;  /* in set->upstreams, until it is removed */
    bool is_apart; /* is_removed, is_draining or is_spread */
    bool is_removed;
    bool is_draining;
    bool is_paused;        /* not checked by this set */
    bool is_check_dropped; /* a pause has cancelled the running check */
    bool is_backup;
    uint32_t weight;
    /* The upstream's weight, in WR_WEIGHT_UNIT, without a slow start. */
    uint32_t own_weight;
    uint32_t active_count;      /* slots that this set has taken */
    struct wr_shared_part part; /* the upstream's part of the shared target */
    /* The upstream's share of the slots at its name. */
    struct wr_limits_share share;
    void *user;
    struct wr_target target;
    struct wr_timer eject_timer; /* armed while the target is ejected */
    /* Plan of the set, of this upstream, or of ->source. */
    const struct wr_check *check;
    /* text_size is 0 if the upstream has no check of its own. */
    struct wr_check own_check;
    /* If ->context is NULL, the target's settings are used. */
    struct wr_secure_settings check_tls;
    struct wr_probe probe;
    struct wr_timer check_timer;
    enum weir_upstream_state told; /* last state known to the program */
    uint32_t skipped_count; /* consecutive checks that could not be made */
    int skipped_err;        /* error of these checks, not reported yet; or 0 */
    /* Error of the first failed connect; 0 if connects succeed again. */
    int turned_err;
    bool has_turned; /* ->turned_err must be reported */
    struct wr_upstream_counts counts;
    /* The addresses of the name are upstreams (members.c). */
    bool is_spread;
    bool is_settled; /* is_spread, and the first lookup is applied */
    /* The answer of a lookup is not applied to the upstreams yet. */
    bool has_answer;
    weir_upstream *source; /* the name of this address, a reference; or NULL */
    struct wr_list gone;   /* weir_upstream: removed addresses of the name */
    struct wr_list gone_link; /* in the source's ->gone */
    struct wr_list news_link; /* in set->news */
    /* Priority of the record, for an address of a service. */
    uint16_t priority;
    uint16_t record_weight;
    uint8_t rank; /* from the priority; only the least rank is used */
    /* The upstream's share of the name's weight, in WR_WEIGHT_UNIT. */
    uint16_t weight_share;
    const char *name; /* in text */
    size_t size;      /* bytes of the whole allocation */
    char text[];      /* the name, the host, space for a response */
};

/* ---- set_life.c ---- */

/* Creates a set with one reference. If @shared is NULL, it has state of its
 * own. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_upstreams_make(weir_loop *loop,
                                    weir_upstreams_shared *shared,
                                    weir_upstreams **ret);
static inline void wr_upstreams_ref(weir_upstreams *set)
{
    wr_assert(set->ref_count > 0);
    set->ref_count++;
}
void wr_upstreams_unref(weir_upstreams *set);

/* Leaves the loop, if the set is closed and has no running operations. */
void wr_upstreams_leave_if_quiet(weir_upstreams *set);

/* Ensures that there is space for one more upstream. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_upstreams_make_room(weir_upstreams *set);

/* Makes the ready item serve the queue and report changes. */
void wr_upstreams_wake(weir_upstreams *set);

/* ---- upstream.c ---- */

/* Creates an upstream, whose first reference is for the set. Options and known
 * facts must be parsed. Takes ownership of @own_check, which may be NULL,
 * unless this fails. */
WEIR_MUST_USE int wr_upstream_make(weir_upstreams *set,
                                   const struct weir_upstream_options *options,
                                   const struct wr_check *own_check,
                                   weir_upstream **ret);
/* A copy of the options of an upstream. */
struct wr_upstream_made {
    struct weir_upstream_options options; /* without endpoint, name and TLS */
    struct weir_tls_settings tls;
    struct weir_tls_settings check_tls;
    bool has_tls;
    bool has_check_tls;
};

struct wr_upstream_made wr_upstream_copy(const weir_upstream *upstream);

/* Creates a member of @source, which has the checks of @source. */
WEIR_MUST_USE int
wr_upstream_make_member(weir_upstream *source,
                        const struct weir_upstream_options *options,
                        weir_upstream **ret);

/* Must be called after is_removed, is_draining or is_spread has changed. */
static inline void wr_upstream_note_apart(weir_upstream *upstream)
{
    wr_assert(upstream->set || !upstream->is_removed);
    upstream->is_apart =
        upstream->is_removed || upstream->is_draining || upstream->is_spread;
}

/* Makes the current or next run of the ready item check the upstream. */
static inline void wr_upstream_add_news(weir_upstream *upstream)
{
    wr_assert(!upstream->is_removed);
    if (!wr_list_is_linked(&upstream->news_link)) {
        wr_list_push_back(&upstream->set->news, &upstream->news_link);
    }
}

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
/* Moves the counts of a removed address to its name. */
void wr_upstream_fold(weir_upstream *member);

/* Drops a reference; the last one frees the upstream, and possibly the set. */
void wr_upstream_unref(weir_upstream *upstream);

/* Starts to look up the upstream's name. Returns 0, or an error of the name. */
WEIR_MUST_USE int wr_upstream_start(weir_upstream *upstream);

/* Arms this set's timers: for the next check, and the end of an ejection. */
void wr_upstream_follow(weir_upstream *upstream);

/* Starts no more lookups, and leaves checks to other sets, if there are any. */
void wr_upstream_retire(weir_upstream *upstream);

void wr_upstream_pause(weir_upstream *upstream, bool is_paused);

/* Ends all running operations, for a removal or the end of the set. */
void wr_upstream_stop(weir_upstream *upstream);

enum weir_upstream_state wr_upstream_get_state(const weir_upstream *upstream);
enum wr_tier wr_upstream_get_tier(const weir_upstream *upstream);

/* Sets the weight of the upstream's name, and the upstream's share of this
 * weight, in WR_WEIGHT_UNIT. */
void wr_upstream_set_weight(weir_upstream *upstream, uint32_t weight,
                            uint32_t share);

/* Returns ->own_weight, or less during a slow start. The mutex of the shared
 * state must be held. */
uint32_t wr_upstream_get_warm(const weir_upstream *upstream);
static inline uint32_t wr_upstream_get_weight(const weir_upstream *upstream)
{
    wr_debug_assert(upstream->set != NULL);
    return upstream->set->options.slow_start_ns == 0
               ? upstream->own_weight
               : wr_upstream_get_warm(upstream);
}

/* Returns the last nanosecond before weights in a slow start change. */
uint64_t wr_upstreams_get_warm_end(const weir_upstreams *set);

/* Sets tier, turn, weight and is_full of @candidate for a request with this
 * ticket. Also replaces a late checker. The mutex of the shared state must be
 * held. */
void wr_upstream_describe(weir_upstream *upstream, uint64_t ticket,
                          struct wr_candidate_upstream *candidate);

/* Counts a taken slot of the chosen upstream. The mutex must be held. */
void wr_upstream_take(weir_upstream *upstream);

/* Record a successful or failed connection; @alert may be NULL. */
void wr_upstream_note_success(weir_upstream *upstream, enum wr_failure row);
void wr_upstream_note_failure(weir_upstream *upstream, enum wr_failure row,
                              int err, const char *alert);

/* ---- slots ---- */

struct weir_upstream_slot {
    weir_upstream *upstream; /* may be NULL */
};

/* Returns a slot without an upstream, or NULL if memory runs out. */
weir_upstream_slot *wr_slot_make(weir_upstreams *set);
void wr_slot_free(weir_upstreams *set, weir_upstream_slot *slot);
/* Takes a reference to a chosen upstream. wr_upstream_take() was called
 * before. */
void wr_slot_take(weir_upstream_slot *slot, weir_upstream *upstream);
/* Releases the target's slot and the reference to the upstream. */
void wr_slot_leave(weir_upstream_slot *slot);

/* ---- known.c ---- */

/* Reads @given, which may be NULL. Fails like weir_upstreams_add(). */
WEIR_MUST_USE int wr_known_read(const struct wr_check *check,
                                const struct weir_upstream_health *given,
                                struct weir_upstream_health *ret);

/* Initializes the key of a new target from known facts. */
void wr_known_begin(const weir_upstreams *set, const struct wr_check *check,
                    const struct weir_upstream_health *known,
                    struct wr_shared_key *ret);

/* ---- survey.c ---- */

/* Called after a change of unshared facts on which a choice depends. */
static inline void wr_survey_forget(weir_upstreams *set)
{
    wr_debug_assert(set->count <= set->capacity);
    set->described_revision = 0;
}

/* Chooses an upstream and takes a slot there, unless older requests of other
 * sets need the slots. If no slot is free and @queued is in the queue, the set
 * of @queued starts to wait for a slot. @queued gets a ticket if it has
 * none. */
enum wr_choice wr_survey_choose(weir_upstreams *set, struct wr_queued *queued,
                                uint64_t key, weir_upstream **ret);

/* With WEIR_BALANCE_FIRST: records and returns the upstream in use, or NULL. */
weir_upstream *wr_survey_find_use(weir_upstreams *set);

/* Lists the upstreams that queued requests may use. Must be called before the
 * queue is served. wr_survey_note_taken() must be called after a slot of an
 * upstream was taken. */
void wr_survey_make(weir_upstreams *set);
void wr_survey_note_taken(weir_upstream *upstream);

/* True if no other queued request can be served, and waits are recorded. */
static inline bool wr_survey_is_over(const weir_upstreams *set)
{
    const struct wr_survey *survey = &set->survey;

    wr_assert(survey->free_count + survey->full_count <= survey->count);
    return survey->free_count == 0 && survey->full_count == 0 &&
           set->queue.excluded_most < survey->count &&
           !wr_tier_is_unchecked(survey->tier);
}

/* Called after serving the queue: ends waits that this round did not renew. */
void wr_survey_settle(weir_upstreams *set);

/* True if a queued request may get a slot, or has no upstream to wait for. */
bool wr_survey_may_serve(const weir_upstreams *set,
                         const struct wr_queued *queued);

/* Makes the set of an unserved request wait for the first tier's upstreams. */
void wr_survey_wait(weir_upstreams *set, const struct wr_queued *queued);

/* Returns true if a request must wait for first checks. */
bool wr_survey_is_unchecked(weir_upstreams *set, struct wr_queued *queued);

/* ---- members.c ---- */

/* Adds a started upstream; there must be space. */
void wr_members_append(weir_upstreams *set, weir_upstream *upstream);
/* Removes an upstream from the arrays, and drops the reference of the set. */
void wr_members_drop(weir_upstreams *set, size_t index);
void wr_members_drop_of(weir_upstreams *set, const weir_upstream *source);
/* Applies lookups: adds and removes the upstreams of addresses. */
void wr_members_spread(weir_upstreams *set);

/* ---- request.c ---- */

/* Gives free slots to requests of the queue. Does not call the program. */
void wr_requests_serve(weir_upstreams *set);
/* Ends all requests with -ECANCELED, from the loop. */
void wr_requests_give_up(weir_upstreams *set);
/* Ends requests that connect to this upstream, or to an address of it, with
 * @err. Returns their number. */
size_t wr_requests_end(const weir_upstream *upstream, int err);
/* Makes requests that connect to this upstream try another. */
void wr_requests_leave(const weir_upstream *upstream);

#endif

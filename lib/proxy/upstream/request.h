/*
 * A request: one connection that is asked for.
 *
 * The state machine is in request.c. request_ask.c reads the call of the
 * program, makes the request and starts it.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_REQUEST_H
#define WEIR_LIB_PROXY_UPSTREAM_REQUEST_H

#include "lib/loop/pending.h"
#include "upstream.h"

#include <string.h>

enum wr_request_state {
    REQUEST_READY,      /* the ready item decides what is next */
    REQUEST_QUEUED,     /* no upstream has a place */
    REQUEST_CONNECTING, /* to an upstream */
    REQUEST_SHORT,      /* this machine lacks what a try needs */
    REQUEST_UNCHECKED,  /* first checks of upstreams have not ended */
    REQUEST_ENDED,      /* done is being called */
    REQUEST_STATES,
};

struct wr_request {
    struct weir_pending pending;
    weir_upstreams *set;
    struct wr_list link;     /* in set->requests */
    struct wr_queued queued; /* in set->queue while it is QUEUED, and in
                                set->unchecked while it is UNCHECKED. Its ticket
                                is a number among those of all sets. */
    struct wr_ready ready;
    struct wr_timer timer;
    enum wr_request_state state; /* set by request_set_state() alone */
    int cause;                   /* why it was given up; 0: it was not */
    int err;                     /* of the last try; 0: none has failed */
    bool was_made;               /* the factory was called */
    struct weir_factory factory;
    weir_upstreams_done_fn *done;
    void *done_arg;
    struct weir_connect_options connect;
    struct weir_address local;
    uint64_t key;
    uint64_t end_ns;    /* of the whole request; UINT64_MAX: no limit */
    uint64_t queued_ns; /* when it was queued */
    uint64_t begun_ns;  /* when the last try began */
    uint64_t unchecked_until_ns; /* 0: it has waited for no check */
    uint64_t shortage_timeout_ns;
    uint64_t short_until_ns; /* 0: it has lacked nothing yet */
    uint64_t short_wait_ns;  /* until the next try */
    uint32_t tries;
    uint32_t try_count;
    weir_upstream *last;      /* the upstream of the last try, a reference */
    weir_upstream_slot *slot; /* its own until it is given */
    weir_pending *connecting; /* NULL: no try is under way */
    struct weir_upstreams_result result;
    char
        text[512]; /* what the tries have told, where the program has no room */
};

/* Makes the options of a try. Its text follows that of the tries before it. */
static inline void wr_request_fill_options(struct wr_request *request,
                                           struct weir_connect_options *options)
{
    size_t len = strlen(request->text);

    wr_assert(len < sizeof(request->text));
    *options = request->connect;
    options->local_address = request->local.len > 0 ? &request->local : NULL;
    if (options->error_text) {
        return; /* the program has room */
    }
    if (len > 0 && len + 3 < sizeof(request->text)) {
        memcpy(request->text + len, "; ", 3);
        len += 2;
    }
    options->error_text = request->text + len;
    options->error_text_size = sizeof(request->text) - len;
}

/* Sets up a request that is all zero. */
void wr_request_init(struct wr_request *request, weir_upstreams *set);

/* Starts a request that is complete; it holds a reference to the set. */
void wr_request_start(struct wr_request *request);

static inline uint64_t wr_request_now(const struct wr_request *request)
{
    return weir_loop_get_time(request->set->loop);
}

/* ---- request_choose.c ---- */

/* Chooses an upstream, and takes a place there; a queued one waits for it. */
enum wr_choice wr_request_choose(struct wr_request *request,
                                 weir_upstream **ret);

/* Surveys the upstreams of a set in which requests wait, before the queue is
 * looked through; then a place at an upstream was taken. */
void wr_requests_survey(weir_upstreams *set);
void wr_requests_note_taken(weir_upstream *upstream);

/* By the survey: true if no more of the queue may be served, and it is known
 * what they wait for. */
static inline bool wr_requests_are_served(const weir_upstreams *set)
{
    const struct wr_survey *survey = &set->survey;

    wr_assert(survey->free_count + survey->full_count <= survey->count);
    return survey->free_count == 0 && survey->full_count == 0 &&
           set->queue.excluded_most < survey->count &&
           !wr_tier_is_unchecked(survey->tier);
}

/* All of the queue was looked through: the set waits for no other upstream. */
void wr_requests_settle(weir_upstreams *set);

/* By the survey: true if a request of the queue may get a place, or has none to
 * wait for. */
bool wr_request_may_be_served(const struct wr_request *request);

/* A request that may not be served waits for those of the first tier. */
void wr_request_wait(const struct wr_request *request);

/* True if the request has to wait for first checks. */
bool wr_request_is_unchecked(struct wr_request *request);

#endif

/*
 * Requests for connections to upstreams.
 *
 * A request always waits in one of these places:
 *
 *     the loop's ready queue      for request_run(), which decides what is next
 *     set->queue                  for a slot at an upstream
 *     set->unchecked              for the first checks of upstreams
 *     no list, connecting         for the end of a try
 *     no list, timer armed        after this machine ran out of a resource
 *
 * The ready item ends each wait and reports errors. Requests of all sets get
 * slots in the order of their tickets (limits.h), including a request that has
 * failed at one upstream and finds no slot at another.
 *
 * A request keeps the options that its tries need, so that the program may free
 * them: the local address is copied, the key is hashed, and upstreams are
 * remembered by numbers that are never reused. Only the memory of the host and
 * of the error text must stay valid until done is called.
 */
#include "upstream.h"
#include "weir/connect.h"

#include <stddef.h>
#include <string.h>

#define TRIES_DEFAULT  3u
#define TRY_TIMEOUT_NS UINT64_C(10000000000)
/* Wait before a try that failed because this machine ran out of a resource is
 * repeated: at first, and at most. */
#define SHORT_WAIT_FIRST_NS UINT64_C(100000000)
#define SHORT_WAIT_MOST_NS  UINT64_C(1000000000)
/* Maximum number of failed addresses that a request reports. */
#define ATTEMPTS_MAX 64u

struct wr_request {
    struct weir_pending pending;
    weir_upstreams *set;
    struct wr_list link; /* in set->requests */
    /* The request's entry in set->queue or set->unchecked, or in neither. Its
     * ticket is unique among all sets. */
    struct wr_queued queued;
    struct wr_ready ready;
    struct wr_timer timer;
    /* Error with which the request ends without another try, or 0. */
    int cause;
    int err;       /* error of the last try, if it counts, or 0 */
    bool was_made; /* the factory was called */
    bool is_left;  /* the try is cancelled: its upstream is down */
    struct weir_factory factory;
    weir_upstreams_done_fn *done; /* NULL once the function was called */
    void *done_arg;
    struct weir_connect_options connect;
    /* Host to connect to instead of the upstream's, or NULL. */
    const char *host;
    uint16_t port;
    struct weir_address local;
    uint64_t key;
    /* Deadline of the whole request, or UINT64_MAX. */
    uint64_t end_ns;
    uint64_t queued_ns;          /* time at which the request was queued */
    uint64_t begun_ns;           /* time at which the last try began */
    uint64_t unchecked_until_ns; /* 0 if the request has waited for no check */
    uint64_t shortage_timeout_ns;
    uint64_t short_until_ns; /* 0 before any shortage */
    uint64_t short_wait_ns;  /* the wait before the next try */
    uint32_t tries;
    uint32_t try_count;
    weir_upstream *last;      /* upstream of the last try, a reference */
    weir_upstream_slot *slot; /* owned until it is passed to the program */
    weir_pending *connecting; /* NULL if no try is running */
    struct wr_list attempts;  /* struct request_attempt: of failed tries */
    uint32_t attempt_count;
    struct weir_upstreams_result result;
    /* Used if the program has passed no buffer for the error text. */
    char text[512];
};

static uint64_t request_now(const struct wr_request *request)
{
    return weir_loop_get_time(request->set->loop);
}

static bool request_is_queued(const struct wr_request *request)
{
    return request->queued.queue == &request->set->queue;
}

static void request_check_invariants(const struct wr_request *request)
{
    const bool waits =
        wr_timer_is_armed(&request->timer) || request->queued.queue;
    const int places = wr_ready_is_pending(&request->ready) + waits +
                       (request->connecting != NULL);

    wr_assert(places == (request->done ? 1 : request->connecting != NULL));
    wr_assert(!request->connecting || !request->slot ||
              request->slot->upstream);
    wr_assert(request->try_count <= request->tries);
    wr_assert(request->cause <= 0);
}

/* Arms the timer of a wait: @until_ns, or the request's deadline if earlier. */
static void request_wait(struct wr_request *request, uint64_t until_ns)
{
    until_ns = wr_min_u64(until_ns, request->end_ns);
    wr_assert(until_ns > 0);
    if (until_ns < UINT64_MAX) {
        wr_timer_arm(&request->set->loop->wheel, &request->timer, until_ns);
    }
    request_check_invariants(request);
}

static void request_stop_waiting(struct wr_request *request)
{
    weir_upstreams *set = request->set;

    if (request_is_queued(request)) {
        wr_limits_leave_queue(set->call->shared);
        request->result.queue_ns += request_now(request) - request->queued_ns;
    }
    if (request->queued.queue) {
        wr_request_queue_remove(&request->queued);
    }
    wr_timer_cancel(&set->loop->wheel, &request->timer);
    wr_assert(!request->queued.queue);
}

/* The ready item decides the next step of the request. */
static void request_go_on(struct wr_request *request)
{
    wr_assert(!request->connecting);
    request_stop_waiting(request);
    wr_ready_push(&request->set->loop->ready, &request->ready);
    request_check_invariants(request);
}

/* ---- attempts ---- */

struct request_attempt {
    struct wr_list link; /* in request->attempts */
    struct weir_attempt attempt;
};

/* Keeps the attempts of a failed try, as far as there is memory. */
static void request_keep_attempts(struct wr_request *request)
{
    const struct weir_allocator *counting = &request->set->loop->counting;

    for (size_t i = 0; request->attempt_count < ATTEMPTS_MAX; i++) {
        struct request_attempt *kept = wr_alloc(counting, sizeof(*kept));
        if (!kept) {
            return;
        }
        wr_list_init(&kept->link);
        kept->attempt.size = sizeof(kept->attempt);
        if (weir_pending_get_attempt(request->connecting, i, &kept->attempt) <
            0) {
            wr_free(counting, kept, sizeof(*kept));
            return;
        }
        wr_list_push_back(&request->attempts, &kept->link);
        request->attempt_count++;
    }
}

static int request_get_attempt(const struct weir_pending *pending, size_t index,
                               struct weir_attempt *ret)
{
    const struct wr_request *request =
        wr_container_of(pending, const struct wr_request, pending);
    const struct wr_list *link = request->attempts.next;

    if (index >= request->attempt_count) {
        wr_require(request->connecting, -EINVAL);
        return weir_pending_get_attempt(request->connecting,
                                        index - request->attempt_count, ret);
    }
    while (index-- > 0) {
        link = link->next;
    }
    *ret = wr_container_of(link, const struct request_attempt, link)->attempt;
    return 0;
}

/* Removes a trailing separator. Returns the length of the error text. */
static size_t request_end_text(const struct wr_request *request)
{
    char *text = request->connect.error_text;
    size_t len = strlen(text);

    wr_assert(len < request->connect.error_text_size);
    if (len > 2 && strcmp(text + len - 2, "; ") == 0) {
        len -= 2;
        text[len] = '\0';
    }
    return len;
}

/* Sets the options of a try, which ends at the latest with the request. The
 * error text of the try is appended to the texts of earlier tries. */
static void request_fill_options(const struct wr_request *request,
                                 struct weir_connect_options *options)
{
    char *text = request->connect.error_text;
    const size_t size = request->connect.error_text_size;
    const uint64_t now_ns = request_now(request);
    size_t len = request_end_text(request);

    wr_assert(len < size);
    *options = request->connect;
    options->local_address = request->local.len > 0 ? &request->local : NULL;
    if (len > 0 && len + 3 < size) {
        memcpy(text + len, "; ", 3);
        len += 2;
    }
    options->error_text = text + len;
    options->error_text_size = size - len;
    if (request->end_ns < UINT64_MAX) {
        options->timeout_ns =
            wr_min_u64(options->timeout_ns,
                       now_ns < request->end_ns ? request->end_ns - now_ns : 1);
    }
}

/* ---- the end ---- */

static void request_free(struct wr_request *request)
{
    weir_upstreams *set = request->set;
    const struct weir_allocator *counting = &set->loop->counting;
    struct wr_list *link;

    wr_assert(!wr_timer_is_armed(&request->timer));
    wr_assert(!wr_ready_is_pending(&request->ready));
    while ((link = wr_list_pop_front(&request->attempts))) {
        struct request_attempt *kept =
            wr_container_of(link, struct request_attempt, link);
        wr_free(counting, kept, sizeof(*kept));
    }
    if (request->slot) {
        wr_slot_free(set, request->slot);
    }
    if (request->last) {
        wr_upstream_unref(request->last);
    }
    wr_free(counting, request, sizeof(*request));
    wr_upstreams_unref(set);
}

/* With 0 the program gets @t and the slot; else the slot has no upstream. */
static void request_finish(struct wr_request *request, int err,
                           weir_transport *t)
{
    weir_upstreams *set = request->set;
    weir_upstreams_done_fn *done = request->done;

    wr_assert(err <= 0);
    wr_assert((err == 0) == (request->slot->upstream != NULL));
    wr_assert(!request->queued.queue);
    request_end_text(request);
    request->result.size = sizeof(request->result);
    request->result.upstream = request->last;
    request->result.try_count = request->try_count;
    if (err == 0) {
        request->result.transport = t;
        request->result.slot = request->slot;
        request->slot = NULL;
    }
    request->done = NULL;
    done(request->done_arg, err, &request->result);
    wr_loop_end_if_forked(set->loop);
    wr_list_remove(&request->link);
    wr_upstreams_leave_if_quiet(set);
    request_free(request);
}

/* ---- tries ---- */

static void request_connected(void *arg, int err, weir_transport *t);

/* The protocol factory of each try. When it is called, the upstream is
 * connected, so a later error does not count as a failure of the upstream. */
static int request_create(void *arg, weir_transport *t,
                          struct weir_protocol_binding *ret)
{
    struct wr_request *request = arg;

    wr_assert(!request->was_made);
    request->was_made = true;
    return request->factory.create(request->factory.arg, t, ret);
}

static void request_note_try(struct wr_request *request,
                             weir_upstream *upstream)
{
    wr_assert(request->try_count < request->tries);
    request->try_count++;
    request->result.tls_alert = NULL;
    wr_exclusions_add(&request->queued.excluded, upstream->id);
    request->begun_ns = request_now(request);
    wr_upstream_ref(upstream);
    if (request->last) {
        wr_upstream_unref(request->last);
    }
    request->last = upstream;
}

/* If a resource ran out and there is time, waits and returns true. */
static bool request_wait_if_short(struct wr_request *request)
{
    const uint64_t now_ns = request_now(request);

    wr_assert(request->try_count > 0);
    if (request->cause < 0 || !wr_err_is_shortage(request->err)) {
        return false;
    }
    if (request->short_until_ns == 0) {
        request->short_until_ns =
            wr_add_sat(now_ns, request->shortage_timeout_ns);
        request->short_wait_ns = SHORT_WAIT_FIRST_NS;
    }
    if (now_ns >= request->short_until_ns) {
        return false;
    }
    request->err = 0;
    request->try_count--;
    /* The try has added its upstream. */
    wr_exclusions_drop_last(&request->queued.excluded);
    const uint64_t next_ns = wr_add_sat(now_ns, request->short_wait_ns);
    request_wait(request, wr_min_u64(request->short_until_ns, next_ns));
    request->short_wait_ns =
        wr_min_u64(2 * request->short_wait_ns, SHORT_WAIT_MOST_NS);
    return true;
}

static void request_fail_try(struct wr_request *request, int err)
{
    wr_assert(err < 0);
    request->err = err;
    wr_slot_leave(request->slot);
    if (!request_wait_if_short(request)) {
        request_go_on(request);
    }
}

static void request_try(struct wr_request *request, weir_upstream *upstream)
{
    const struct weir_factory factory = {request_create, request};
    struct weir_connect_options options;

    request_fill_options(request, &options);
    request_note_try(request, upstream);
    wr_slot_take(request->slot, upstream);
    const int err = wr_target_connect(
        &upstream->target, &factory, request->host, request->port, &options,
        request_connected, request, &request->connecting);
    if (err < 0) { /* the upstream was not contacted */
        request_fail_try(request, err);
        return;
    }
    request->set->connecting_count++;
    request_check_invariants(request);
}

/* Handles the end of a try. Its attempts can be read until this returns. */
static void request_connected(void *arg, int err, weir_transport *t)
{
    struct wr_request *request = arg;
    weir_upstreams *set = request->set;

    wr_assert(request->connecting != NULL);
    wr_assert(set->connecting_count > 0);
    set->connecting_count--;
    request->result.tls_alert = weir_connect_get_tls_alert(request->connecting);
    request->result.connect_ns = request_now(request) - request->begun_ns;
    if (request->was_made) {
        wr_upstream_note_success(request->slot->upstream, WR_FAILURE_CONNECT);
    } else if (!wr_err_is_own(err)) {
        wr_upstream_note_failure(request->slot->upstream, WR_FAILURE_CONNECT,
                                 err, request->result.tls_alert);
    }
    if (err >= 0) {
        request_finish(request, 0, t);
        return;
    }
    request_keep_attempts(request);
    request->connecting = NULL;
    if (request->is_left && request->cause == 0 && !request->was_made) {
        /* A try is not counted if its upstream went down meanwhile. */
        wr_assert(request->try_count > 0);
        request->is_left = false;
        request->try_count--;
        wr_exclusions_drop_last(&request->queued.excluded);
        wr_slot_leave(request->slot);
        request_go_on(request);
        return;
    }
    if (request->cause == 0 && request_now(request) >= request->end_ns) {
        request->cause = -ETIMEDOUT;
    } else if (request->cause == 0 && request->was_made) {
        request->cause = err; /* the program's error: try no other */
    }
    request_fail_try(request, err);
}

/* ---- choosing ---- */

/* Chooses an upstream and tries it. Returns WR_CHOICE_NONE if none is left. */
static enum wr_choice request_try_next(struct wr_request *request)
{
    weir_upstream *upstream;
    const enum wr_choice choice =
        request->try_count < request->tries
            ? wr_survey_choose(request->set, &request->queued, request->key,
                               &upstream)
            : WR_CHOICE_NONE;

    wr_assert(request->cause == 0);
    if (choice == WR_CHOICE_MADE) {
        request_stop_waiting(request);
        request_try(request, upstream);
    }
    return choice;
}

static int request_get_error(struct wr_request *request)
{
    wr_assert(request->err <= 0);
    if (request->err == 0) {
        request->set->totals.no_upstream++;
    }
    return request->err < 0 ? request->err : -EHOSTDOWN;
}

/* Waits at most as long as one check lasts. */
static void request_wait_for_checks(struct wr_request *request)
{
    weir_upstreams *set = request->set;

    wr_assert(set->first_check_ns > 0);
    if (request->unchecked_until_ns == 0) {
        request->unchecked_until_ns =
            wr_add_sat(request_now(request), set->first_check_ns);
    }
    wr_request_queue_add(&set->unchecked, &request->queued);
    request_wait(request, request->unchecked_until_ns);
}

static void request_serve(struct wr_request *request)
{
    const enum wr_choice choice = request_try_next(request);

    if (choice == WR_CHOICE_NONE) {
        request->cause = request_get_error(request);
        request_go_on(request);
    } else if (choice == WR_CHOICE_MADE) {
        wr_survey_note_taken(request->last);
    }
}

/* If a request is not served, no other of its kind is checked. */
static void request_serve_queue(weir_upstreams *set, uint64_t ticket)
{
    struct wr_queued *before = NULL; /* the last request that was not served */
    struct wr_queued *queued;

    wr_assert(ticket > 0);
    wr_survey_make(set);
    while ((queued = wr_request_queue_next(&set->queue, before)) &&
           queued->ticket < ticket && !wr_survey_is_over(set)) {
        if (wr_survey_may_serve(set, queued)) {
            request_serve(wr_container_of(queued, struct wr_request, queued));
        } else {
            wr_survey_wait(set, queued);
        }
        before = queued->queue ? queued : before;
    }
}

/* Returns -ENOBUFS if too many requests wait, after others were served. */
static int request_enter_queue(struct wr_request *request)
{
    weir_upstreams *set = request->set;
    weir_upstreams_shared *shared = set->call->shared;
    const uint32_t queue_limit = set->options.queue_limit;
    const uint64_t now_ns = request_now(request);
    uint64_t *ticket = &request->queued.ticket;
    bool has_room = wr_limits_enter_queue(shared, queue_limit, ticket);

    if (!has_room && wr_ready_is_pending(&set->ready)) {
        request_serve_queue(set, UINT64_MAX);
        has_room = wr_limits_enter_queue(shared, queue_limit, ticket);
    }
    wr_assert(*ticket > 0);
    if (!has_room) {
        set->totals.queue_full++;
        return -ENOBUFS;
    }
    wr_request_queue_add(&set->queue, &request->queued);
    set->totals.queued++;
    request->queued_ns = now_ns;
    request_wait(request, wr_add_sat(now_ns, set->options.queue_timeout_ns));
    wr_upstreams_wake(set);
    return 0;
}

/* Returns WR_CHOICE_FULL if no remaining slot is for this request. */
static enum wr_choice request_take_turn(struct wr_request *request)
{
    weir_upstreams *set = request->set;
    const uint64_t ticket = request->queued.ticket;

    wr_assert(!request->queued.queue);
    if (wr_request_queue_has_older(&set->queue, &request->queued)) {
        return WR_CHOICE_FULL; /* the older request would get the slot */
    }
    request_serve_queue(set, ticket > 0 ? ticket : UINT64_MAX);
    return request_try_next(request);
}

static void request_run(struct wr_ready *ready)
{
    struct wr_request *request =
        wr_container_of(ready, struct wr_request, ready);
    int err = request->cause;

    wr_assert(!request->connecting);
    wr_assert(!wr_timer_is_armed(&request->timer));
    if (err == 0) {
        const enum wr_choice choice = request_take_turn(request);
        if (choice == WR_CHOICE_FULL) {
            err = request_enter_queue(request);
        } else if (choice == WR_CHOICE_UNCHECKED) {
            request_wait_for_checks(request);
        } else if (choice == WR_CHOICE_NONE) {
            err = request_get_error(request);
        }
    }
    if (err < 0) {
        request_finish(request, err, NULL);
    }
}

/* Whether a request still waits is the same for all requests of its kind. */
static void request_serve_unchecked(weir_upstreams *set)
{
    struct wr_queued *before = NULL; /* the last request that still waits */
    struct wr_queued *queued;

    wr_assert(set->round > 0);
    wr_survey_make(set);
    while ((queued = wr_request_queue_next(&set->unchecked, before))) {
        if (wr_survey_is_unchecked(set, queued)) {
            before = queued;
        } else {
            request_go_on(wr_container_of(queued, struct wr_request, queued));
        }
    }
}

void wr_requests_serve(weir_upstreams *set)
{
    set->round++;
    wr_assert(set->round > 0);
    request_serve_unchecked(set);
    request_serve_queue(set, UINT64_MAX);
    wr_survey_settle(set);
}

/* ---- cancelling ---- */

static void request_give_up(struct wr_request *request, int cause)
{
    wr_assert(cause < 0);
    if (request->cause < 0 || !request->done) {
        return;
    }
    request->cause = cause;
    if (request->connecting) {
        weir_pending_cancel(request->connecting);
        return;
    }
    if (request_is_queued(request)) {
        /* Other requests may take the slot for which this one has waited. */
        wr_upstreams_wake(request->set);
    }
    request_go_on(request);
}

void wr_requests_give_up(weir_upstreams *set)
{
    wr_assert(set->is_closed);
    for (struct wr_list *link = set->requests.next; link != &set->requests;
         link = link->next) {
        request_give_up(wr_container_of(link, struct wr_request, link),
                        -ECANCELED);
    }
}

size_t wr_requests_end(const weir_upstream *upstream, int err)
{
    struct wr_list *requests = &upstream->set->requests;
    size_t count = 0;

    wr_assert(err < 0);
    for (struct wr_list *link = requests->next; link != requests;
         link = link->next) {
        struct wr_request *request =
            wr_container_of(link, struct wr_request, link);
        if (request->connecting && request->cause == 0 &&
            (request->last == upstream || request->last->source == upstream)) {
            request_give_up(request, err);
            count++;
        }
    }
    return count;
}

void wr_requests_leave(const weir_upstream *upstream)
{
    struct wr_list *requests = &upstream->set->requests;

    for (struct wr_list *link = requests->next; link != requests;
         link = link->next) {
        struct wr_request *request =
            wr_container_of(link, struct wr_request, link);
        if (request->connecting && request->last == upstream &&
            request->cause == 0 && !request->is_left) {
            request->is_left = true;
            weir_pending_cancel(request->connecting);
        }
        request_check_invariants(request);
    }
}

static void request_cancel(struct weir_pending *pending)
{
    struct wr_request *request =
        wr_container_of(pending, struct wr_request, pending);

    request_check_invariants(request);
    request_give_up(request, -ECANCELED);
}

/* Called when the request, its wait in the queue or another wait times out. */
static void request_timer_expired(struct wr_timer *timer)
{
    struct wr_request *request =
        wr_container_of(timer, struct wr_request, timer);
    const bool is_queued = request_is_queued(request);
    const bool waits_for_checks = request->queued.queue && !is_queued;

    wr_assert(!wr_ready_is_pending(&request->ready));
    if (is_queued) {
        request->set->totals.queue_timeout++;
    }
    if (is_queued || request_now(request) >= request->end_ns) {
        request_give_up(request, -ETIMEDOUT);
        return;
    }
    request_go_on(request);
    if (waits_for_checks) {
        /* The request does not wait for checks again. */
        request->queued.excluded.with_unchecked = true;
    }
}

/* ---- starting ---- */

static void request_init(struct wr_request *request, weir_upstreams *set)
{
    wr_assert(!request->set);
    request->set = set;
    request->pending =
        (struct weir_pending){set->loop, request_cancel, request_get_attempt};
    wr_list_init(&request->link);
    wr_queued_init(&request->queued);
    wr_ready_init(&request->ready, request_run);
    wr_timer_init(&request->timer, request_timer_expired);
    wr_list_init(&request->attempts);
    request->end_ns = UINT64_MAX;
}

static int
request_check_call(const weir_upstreams *set,
                   const struct weir_factory *factory,
                   const struct weir_upstreams_connect_options *options,
                   weir_upstreams_done_fn *done)
{
    const struct weir_address *local = options->connect.local_address;

    wr_require(!set->is_closed, -ESHUTDOWN);
    wr_require(factory && factory->create && done, -EINVAL);
    wr_require(options->tries <= WR_TRIES_MAX, -EINVAL);
    wr_require(options->excluded_count <= WR_EXCLUDED_MAX, -EINVAL);
    wr_require(options->excluded || options->excluded_count == 0, -EINVAL);
    wr_require(options->key || options->key_size == 0, -EINVAL);
    wr_require(options->limit_bytes <= INT64_MAX, -EINVAL);
    wr_require(!options->connect.tls, -EINVAL);
    /* Fast open is refused: with it a try would never fail. */
    wr_require(!options->connect.fast_open, -EINVAL);
    wr_require(!local || wr_address_is_valid(local), -EINVAL);
    return 0;
}

static void request_fill(struct wr_request *request,
                         const struct weir_upstreams_connect_options *options)
{
    wr_assert(!request->slot);
    request->connect = options->connect;
    request->connect.size = sizeof(request->connect);
    request->host = options->host;
    request->port = options->port;
    if (!request->connect.error_text || request->connect.error_text_size == 0) {
        request->connect.error_text = request->text;
        request->connect.error_text_size = sizeof(request->text);
        request->result.error_text = request->text;
    }
    request->connect.error_text[0] = '\0';
    if (request->connect.timeout_ns == 0) {
        request->connect.timeout_ns = TRY_TIMEOUT_NS;
    }
    if (options->connect.local_address) {
        request->local = *options->connect.local_address;
    }
    request->key = wr_hash_bytes(options->key, options->key_size);
    request->tries = options->tries > 0 ? options->tries : TRIES_DEFAULT;
    if (options->timeout_ns > 0) {
        request->end_ns = wr_add_sat(weir_loop_get_time(request->set->loop),
                                     options->timeout_ns);
    }
    for (size_t i = 0; i < options->excluded_count; i++) {
        wr_exclusions_add(&request->queued.excluded, options->excluded[i]->id);
    }
    request->shortage_timeout_ns = options->shortage_timeout_ns;
}

static int request_make(weir_upstreams *set,
                        const struct weir_upstreams_connect_options *options,
                        struct wr_request **ret)
{
    struct wr_request *request =
        wr_alloc(&set->loop->counting, sizeof(*request));
    wr_require(request, -ENOMEM);
    memset(request, 0, offsetof(struct wr_request, text));
    request_init(request, set);
    request_fill(request, options);
    request->slot = wr_slot_make(set);
    if (!request->slot) {
        wr_free(&set->loop->counting, request, sizeof(*request));
        return -ENOMEM;
    }
    wr_assert(!request->slot->upstream);
    *ret = request;
    return 0;
}

int weir_upstreams_connect(weir_upstreams *set,
                           const struct weir_factory *factory,
                           const struct weir_upstreams_connect_options *options,
                           weir_upstreams_done_fn *done, void *done_arg,
                           weir_pending **ret)
{
    struct weir_upstreams_connect_options known;
    struct wr_request *request;

    wr_require_loop(set->loop);
    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    err = wr_connect_options_read(&known, &known.connect);
    wr_require(err >= 0, err);
    err = request_check_call(set, factory, &known, done);
    wr_require(err >= 0, err);
    err = request_make(set, &known, &request);
    wr_require(err >= 0, err);
    request->factory = *factory;
    request->done = done;
    request->done_arg = done_arg;
    wr_assert(request->slot != NULL);
    wr_assert(request->tries > 0);
    wr_upstreams_ref(set);
    wr_list_push_back(&set->requests, &request->link);
    wr_ready_push(&set->loop->ready, &request->ready);
    request_check_invariants(request);
    if (ret) {
        *ret = &request->pending;
    }
    return 0;
}

/* ---- from a task ---- */

struct request_opening {
    struct wr_waiter waiter;
    weir_pending *request;
    struct weir_upstreams_result result; /* owns references */
};

static void request_opened(void *arg, int err,
                           const struct weir_upstreams_result *result)
{
    struct request_opening *opening = arg;

    wr_assert((err == 0) == (result->slot != NULL));
    opening->result = *result;
    opening->result.error_text = NULL; /* the text is freed with the request */
    if (result->upstream) {
        wr_upstream_ref(result->upstream);
    }
    if (result->transport) {
        weir_transport_ref(result->transport);
    }
    wr_waiter_wake(&opening->waiter, err);
}

static void request_interrupt(struct wr_waiter *waiter)
{
    struct request_opening *opening =
        wr_container_of(waiter, struct request_opening, waiter);

    wr_assert(opening->request != NULL);
    weir_pending_cancel(opening->request); /* this leads to request_opened() */
}

/* Without a slot nothing else keeps a removed upstream: its pointer becomes
 * NULL. */
static void request_leave_upstream(struct weir_upstreams_result *result)
{
    weir_upstream *upstream = result->upstream;

    if (!upstream) {
        return;
    }
    if (!result->slot && upstream->is_removed) {
        result->upstream = NULL;
    }
    wr_assert(!result->slot || result->slot->upstream == upstream);
    wr_upstream_unref(upstream);
}

static int request_open(weir_upstreams *set, const struct weir_factory *factory,
                        const struct weir_upstreams_connect_options *options,
                        struct weir_upstreams_result *ret)
{
    static const struct wr_wait_kind kind = {.name = "upstream",
                                             .interrupt = request_interrupt};
    struct request_opening opening = {.waiter = {.kind = &kind}};
    weir_loop *loop = set->loop; /* the set may be freed during the wait */

    wr_assert(loop->current != NULL);
    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    err = weir_upstreams_connect(set, factory, options, request_opened,
                                 &opening, &opening.request);
    wr_require(err >= 0, err);
    err = wr_task_wait(loop, &opening.waiter, NULL);
    wr_assert((err == 0) == (opening.result.transport != NULL));
    request_leave_upstream(&opening.result);
    wr_answer_write(ret, &opening.result, sizeof(opening.result));
    return err;
}

int weir_upstreams_open_transport(
    weir_upstreams *set, const struct weir_factory *factory,
    const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret)
{
    const int err = wr_task_enter(set->loop);

    wr_require(err >= 0, err);
    return request_open(set, factory, options, ret);
}

struct request_stream {
    uint64_t limit_bytes;
    weir_writer *writer; /* NULL until there is a connection */
};

/* Called when connected, so a waiting request has no stream. */
static int request_create_stream(void *arg, weir_transport *t,
                                 struct weir_protocol_binding *ret)
{
    struct request_stream *stream = arg;
    const struct weir_stream_options options = {
        .size = sizeof(options), .limit_bytes = stream->limit_bytes};

    wr_assert(!stream->writer);
    return weir_stream_protocol_new(t->loop, &options, ret, &stream->writer);
}

int weir_upstreams_open_connection(
    weir_upstreams *set, const struct weir_upstreams_connect_options *options,
    struct weir_upstreams_result *ret, weir_reader **ret_reader,
    weir_writer **ret_writer)
{
    struct weir_upstreams_connect_options known;
    struct request_stream stream = {.writer = NULL};
    const struct weir_factory factory = {request_create_stream, &stream};

    const int unread = wr_options_read(&known, sizeof(known), options);
    int err = wr_stream_enter(set->loop, unread, ret_writer != NULL);
    wr_require(err >= 0, err);
    stream.limit_bytes = known.limit_bytes;
    err = request_open(set, &factory, options, ret);
    if (err < 0) {
        weir_writer_unref(stream.writer); /* closes its connection, if any */
        return err;
    }
    wr_assert(stream.writer->state != WRITER_UNBOUND); /* BOUND, or LOST */
    weir_transport_unref(stream.writer->transport); /* the result's reference */
    if (ret_reader) {
        *ret_reader = &stream.writer->reader;
    }
    *ret_writer = stream.writer;
    return 0;
}

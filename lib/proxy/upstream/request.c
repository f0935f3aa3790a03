/*
 * Requests: connections that are asked for.
 *
 *     READY --ready item--> CONNECTING --made--> ENDED
 *       ^ \                   ^     |
 *       |  no place       a place   | failed: READY again
 *       |     \              |     v
 *       '-- given up ------- QUEUED
 *
 *     READY --the last try lacked something--> SHORT --after a time--> READY
 *     READY --upstreams are unchecked--> UNCHECKED --checked, or late--> READY
 *
 * The ready item tells the program of errors; a connection that was made is
 * told at once, from the loop too.
 *
 * Those that wait have a place in the order of their tickets: also one that has
 * failed at one upstream, and finds none at another. A request that takes a
 * place without a wait leaves it to those of the queue that came earlier.
 * Between sets the tickets decide, too (limits.h).
 *
 * A try that this machine lacks something for does not count, if it may wait.
 */
#include "request.h"

#include "lib/base/shortage.h"
#include "uring/alloc.h"

/* Until a try that lacked something is made again: at first, and at most. */
#define SHORT_WAIT_FIRST_NS UINT64_C(100000000)
#define SHORT_WAIT_MOST_NS  UINT64_C(1000000000)

static void request_check_invariants(const struct wr_request *request)
{
    const struct wr_request_queue *queue = request->queued.queue;

    wr_assert((request->state == REQUEST_QUEUED) ==
              (queue == &request->set->queue));
    wr_assert((request->state == REQUEST_UNCHECKED) ==
              (queue == &request->set->unchecked));
    wr_assert((request->state == REQUEST_READY) ==
              wr_ready_is_pending(&request->ready));
    wr_assert((request->state == REQUEST_CONNECTING) ==
              (request->connecting != NULL));
    wr_assert(request->state != REQUEST_CONNECTING || request->slot->upstream);
    wr_assert(request->try_count <= request->tries);
    wr_assert(request->cause <= 0);
}

static const bool request_edges[REQUEST_STATES][REQUEST_STATES] = {
    [REQUEST_READY] = {[REQUEST_QUEUED] = true,
                       [REQUEST_CONNECTING] = true,
                       [REQUEST_SHORT] = true,
                       [REQUEST_UNCHECKED] = true,
                       [REQUEST_ENDED] = true},
    [REQUEST_SHORT] = {[REQUEST_READY] = true},
    [REQUEST_UNCHECKED] = {[REQUEST_READY] = true},
    [REQUEST_QUEUED] = {[REQUEST_READY] = true, [REQUEST_CONNECTING] = true},
    [REQUEST_CONNECTING] = {[REQUEST_READY] = true, [REQUEST_ENDED] = true},
};

/* The only writer of the state. */
static void request_set_state(struct wr_request *request,
                              enum wr_request_state state)
{
    wr_assert(request_edges[request->state][state]);
    request->state = state;
}

/* The timer ends a wait, or the request. */
static void request_arm(struct wr_request *request, uint64_t when_ns)
{
    struct wr_wheel *wheel = &request->set->loop->wheel;

    wr_assert(when_ns > 0);
    wr_timer_cancel(wheel, &request->timer);
    when_ns = wr_min_u64(when_ns, request->end_ns);
    if (when_ns < UINT64_MAX) {
        wr_timer_arm(wheel, &request->timer, when_ns);
    }
}

/* ---- the end ---- */

static void request_free(struct wr_request *request)
{
    weir_upstreams *set = request->set;

    wr_assert(!wr_timer_is_armed(&request->timer));
    wr_assert(!wr_ready_is_pending(&request->ready));
    if (request->slot) {
        wr_slot_free(set, request->slot);
    }
    if (request->last) {
        wr_upstream_unref(request->last);
    }
    wr_free(&set->loop->counting, request, sizeof(*request));
    wr_upstreams_unref(set);
}

/* Calls done. With 0 the program gets @t and the slot, else the slot has no
 * upstream any more. */
static void request_finish(struct wr_request *request, int err,
                           weir_transport *t)
{
    weir_upstreams *set = request->set;

    wr_assert(err <= 0);
    wr_assert((err == 0) == (request->slot->upstream != NULL));
    request_set_state(request, REQUEST_ENDED);
    wr_timer_cancel(&set->loop->wheel, &request->timer);
    request->result.size = sizeof(request->result);
    request->result.upstream = request->last;
    request->result.try_count = request->try_count;
    if (err == 0) {
        request->result.transport = t;
        request->result.slot = request->slot;
        request->slot = NULL;
    }
    request->done(request->done_arg, err, &request->result);
    wr_loop_end_if_forked(set->loop);
    wr_list_remove(&request->link);
    wr_upstreams_leave_if_quiet(set);
    request_free(request);
}

/* The ready item goes on with a request that is neither queued any more nor
 * connecting. */
static void request_push_ready(struct wr_request *request)
{
    request_set_state(request, REQUEST_READY);
    wr_timer_cancel(&request->set->loop->wheel, &request->timer);
    wr_ready_push(&request->set->loop->ready, &request->ready);
    request_check_invariants(request);
}

/* ---- the queue ---- */

static void request_leave_queue(struct wr_request *request)
{
    weir_upstreams *set = request->set;

    wr_assert(request->state == REQUEST_QUEUED);
    wr_request_queue_remove(&request->queued);
    wr_limits_leave_queue(set->call->shared);
    request->result.queue_ns += wr_request_now(request) - request->queued_ns;
}

/* ---- tries ---- */

static void request_connected(void *arg, int err, weir_transport *t);

/* The factory of each try: an error after this is none of the upstream. */
static int request_create(void *arg, weir_transport *t,
                          struct weir_protocol_binding *ret)
{
    struct wr_request *request = arg;

    wr_assert(!request->was_made);
    request->was_made = true;
    return request->factory.create(request->factory.arg, t, ret);
}

/* Notes the upstream that is tried now. */
static void request_note_try(struct wr_request *request,
                             weir_upstream *upstream)
{
    wr_assert(request->try_count < request->tries);
    request->try_count++;
    request->result.tls_alert = NULL;
    wr_exclusions_add(&request->queued.excluded, upstream->id);
    request->begun_ns = wr_request_now(request);
    wr_upstream_ref(upstream);
    if (request->last) {
        wr_upstream_unref(request->last);
    }
    request->last = upstream;
}

/* Begins a try, from READY or QUEUED. If it cannot begin, the ready item is
 * pushed to go on with the next one. */
static void request_try(struct wr_request *request, weir_upstream *upstream)
{
    const struct weir_factory factory = {request_create, request};
    struct weir_connect_options options;

    wr_request_fill_options(request, &options);
    request_note_try(request, upstream);
    wr_slot_take(request->slot, upstream);
    request_arm(request, UINT64_MAX);
    const int err =
        wr_target_connect(&upstream->target, &factory, &options, true,
                          request_connected, request, &request->connecting);
    request_set_state(request, REQUEST_CONNECTING);
    if (err < 0) { /* nothing of the upstream was asked */
        request->err = err;
        wr_slot_leave(request->slot);
        request_push_ready(request);
        return;
    }
    request->set->connecting_count++;
    request_check_invariants(request);
}

/* The time of a request that is given up by its own limit is an upstream's
 * failure too: that one has not answered. */
static void request_note_failure(struct wr_request *request, int err)
{
    const int why = request->cause < 0 ? request->cause : err;

    wr_assert(request->slot->upstream != NULL);
    if (!wr_err_is_own(why)) {
        wr_upstream_note_failure(request->slot->upstream, WR_FAILURE_CONNECT,
                                 why, request->result.tls_alert);
    }
}

/* A try has ended. */
static void request_connected(void *arg, int err, weir_transport *t)
{
    struct wr_request *request = arg;
    weir_upstreams *set = request->set;

    wr_assert(request->connecting != NULL);
    wr_assert(set->connecting_count > 0);
    request->result.tls_alert = weir_connect_get_tls_alert(request->connecting);
    request->connecting = NULL;
    set->connecting_count--;
    request->result.connect_ns = wr_request_now(request) - request->begun_ns;
    if (request->was_made) {
        wr_upstream_note_success(request->slot->upstream, WR_FAILURE_CONNECT);
    } else {
        request_note_failure(request, err);
    }
    if (err >= 0) {
        request_finish(request, 0, t);
        return;
    }
    request->err = err;
    wr_slot_leave(request->slot);
    if (request->was_made && request->cause == 0) {
        request->cause = err; /* the program's: no other is tried */
    }
    request_push_ready(request);
}

/* ---- what is next ---- */

/* Tries an upstream. WR_CHOICE_NONE: none is left. */
static enum wr_choice request_go_on(struct wr_request *request)
{
    weir_upstream *upstream;
    const enum wr_choice choice = request->try_count < request->tries
                                      ? wr_request_choose(request, &upstream)
                                      : WR_CHOICE_NONE;

    wr_assert(request->cause == 0);
    if (choice == WR_CHOICE_MADE) {
        if (request->state == REQUEST_QUEUED) {
            request_leave_queue(request);
        }
        request_try(request, upstream);
    }
    return choice;
}

/* The error of a request that has no upstream to try. */
static int request_get_error(struct wr_request *request)
{
    wr_assert(request->err <= 0);
    if (request->err == 0) {
        request->set->totals.no_upstream++;
    }
    return request->err < 0 ? request->err : -EHOSTDOWN;
}

/* Waits if the last try lacked something, and there is time. */
static bool request_wait_if_short(struct wr_request *request)
{
    const uint64_t now_ns = wr_request_now(request);
    const bool is_short = wr_err_is_shortage(request->err);

    if (is_short && request->short_until_ns == 0) {
        request->short_until_ns =
            wr_add_sat(now_ns, request->shortage_timeout_ns);
        request->short_wait_ns = SHORT_WAIT_FIRST_NS;
    }
    if (!is_short || now_ns >= request->short_until_ns) {
        return false;
    }
    wr_assert(request->try_count > 0);
    request->try_count--;
    wr_exclusions_drop_last(&request->queued.excluded); /* that of the try */
    request_set_state(request, REQUEST_SHORT);
    const uint64_t next_ns = wr_add_sat(now_ns, request->short_wait_ns);
    request_arm(request, wr_min_u64(request->short_until_ns, next_ns));
    request->short_wait_ns =
        wr_min_u64(2 * request->short_wait_ns, SHORT_WAIT_MOST_NS);
    return true;
}

/* Waits until the first checks of the upstreams that it would take have ended,
 * but not longer than one check lasts. */
static void request_wait_for_checks(struct wr_request *request)
{
    weir_upstreams *set = request->set;

    wr_assert(wr_check_is_active(&set->check));
    if (request->unchecked_until_ns == 0) {
        request->unchecked_until_ns =
            wr_add_sat(wr_request_now(request), set->check.plan.timeout_ns);
    }
    request_set_state(request, REQUEST_UNCHECKED);
    wr_request_queue_add(&set->unchecked, &request->queued);
    request_arm(request, request->unchecked_until_ns);
    request_check_invariants(request);
}

/* Looks at a request of the queue. */
static void request_serve(struct wr_request *request)
{
    const enum wr_choice choice = request_go_on(request);

    if (choice == WR_CHOICE_NONE) {
        request_leave_queue(request);
        request->cause = request_get_error(request);
        request_push_ready(request);
    } else if (choice == WR_CHOICE_MADE) {
        wr_requests_note_taken(request->last);
    }
}

/* Gives requests with tickets below @ticket the places that they may take. One
 * of a kind that is not served is the last of it that is looked at. */
static void request_serve_queue(weir_upstreams *set, uint64_t ticket)
{
    struct wr_queued *before = NULL; /* it was not served */
    struct wr_queued *queued;

    wr_assert(ticket > 0);
    wr_requests_survey(set);
    while ((queued = wr_request_queue_next(&set->queue, before)) &&
           queued->ticket < ticket && !wr_requests_are_served(set)) {
        struct wr_request *request =
            wr_container_of(queued, struct wr_request, queued);
        if (wr_request_may_be_served(request)) {
            request_serve(request);
        } else {
            wr_request_wait(request);
        }
        before = queued->queue ? queued : before;
    }
}

/* Waits for a place, which the ready item of the set looks for. -ENOBUFS: too
 * many do, also when those who waited have had their turn. */
static int request_enter_queue(struct wr_request *request)
{
    weir_upstreams *set = request->set;
    weir_upstreams_shared *shared = set->call->shared;
    const uint32_t queue_limit = set->options.queue_limit;
    const uint64_t now_ns = wr_request_now(request);
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
    request_set_state(request, REQUEST_QUEUED);
    wr_request_queue_add(&set->queue, &request->queued);
    set->totals.queued++;
    request->queued_ns = now_ns;
    request_arm(request, wr_add_sat(now_ns, set->options.queue_timeout_ns));
    wr_upstreams_wake(set);
    request_check_invariants(request);
    return 0;
}

/* Tries an upstream when those that came earlier have had their turn.
 * WR_CHOICE_FULL: none of the places that are left is for it. */
static enum wr_choice request_take_turn(struct wr_request *request)
{
    weir_upstreams *set = request->set;
    const uint64_t ticket = request->queued.ticket;

    wr_assert(request->state == REQUEST_READY);
    if (wr_request_queue_has_older(&set->queue, &request->queued)) {
        return WR_CHOICE_FULL; /* a place would be that one's */
    }
    request_serve_queue(set, ticket > 0 ? ticket : UINT64_MAX);
    return request_go_on(request);
}

static void request_run(struct wr_ready *ready)
{
    struct wr_request *request =
        wr_container_of(ready, struct wr_request, ready);
    int err = 0;

    wr_assert(request->state == REQUEST_READY);
    if (request->cause < 0) {
        request_finish(request, request->cause, NULL);
        return;
    }
    if (request_wait_if_short(request)) {
        return;
    }
    const enum wr_choice choice = request_take_turn(request);
    if (choice == WR_CHOICE_FULL) {
        err = request_enter_queue(request);
    } else if (choice == WR_CHOICE_UNCHECKED) {
        request_wait_for_checks(request);
    } else if (choice == WR_CHOICE_NONE) {
        err = request_get_error(request);
    }
    if (err < 0) {
        request_finish(request, err, NULL);
    }
}

/* Ends a wait for checks. */
static void request_leave_unchecked(struct wr_request *request)
{
    wr_assert(request->state == REQUEST_UNCHECKED);
    wr_request_queue_remove(&request->queued);
    request_push_ready(request);
}

/* Those that wait for checks go on when there is nothing to wait for, which is
 * so of all of a kind or of none. */
static void request_serve_unchecked(weir_upstreams *set)
{
    struct wr_queued *before = NULL; /* it waits on */
    struct wr_queued *queued;

    wr_assert(set->unchecked.count == 0 || !set->is_closed);
    wr_requests_survey(set);
    while ((queued = wr_request_queue_next(&set->unchecked, before))) {
        struct wr_request *request =
            wr_container_of(queued, struct wr_request, queued);
        if (wr_request_is_unchecked(request)) {
            before = queued;
        } else {
            request_leave_unchecked(request);
        }
    }
}

void wr_requests_serve(weir_upstreams *set)
{
    set->round++;
    wr_assert(set->round > 0);
    request_serve_unchecked(set);
    request_serve_queue(set, UINT64_MAX);
    wr_requests_settle(set);
}

/* ---- giving up ---- */

static void request_give_up(struct wr_request *request, int cause)
{
    request_check_invariants(request);
    wr_assert(cause < 0);
    if (request->cause < 0 || request->state == REQUEST_ENDED) {
        return;
    }
    request->cause = cause;
    if (request->state == REQUEST_QUEUED) {
        request_leave_queue(request);
        request_push_ready(request);
        wr_upstreams_wake(request->set); /* to leave its turn to others */
    } else if (request->state == REQUEST_SHORT) {
        request_push_ready(request);
    } else if (request->state == REQUEST_UNCHECKED) {
        request_leave_unchecked(request);
    } else if (request->state == REQUEST_CONNECTING) {
        weir_pending_cancel(request->connecting);
    }
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

static void request_cancel(struct weir_pending *pending)
{
    request_give_up(wr_container_of(pending, struct wr_request, pending),
                    -ECANCELED);
}

static void request_timer_expired(struct wr_timer *timer)
{
    struct wr_request *request =
        wr_container_of(timer, struct wr_request, timer);

    wr_assert(request->state != REQUEST_READY);
    if (request->state == REQUEST_SHORT &&
        wr_request_now(request) < request->end_ns) {
        request->err = 0;
        request_push_ready(request);
        return;
    }
    if (request->state == REQUEST_UNCHECKED &&
        wr_request_now(request) < request->end_ns) {
        request_leave_unchecked(request);
        request->queued.excluded.with_unchecked = true; /* it waits no more */
        return;
    }
    if (request->state == REQUEST_QUEUED) {
        request->set->totals.queue_timeout++;
    }
    request_give_up(request, -ETIMEDOUT);
}

/* ---- beginning ---- */

void wr_request_init(struct wr_request *request, weir_upstreams *set)
{
    wr_assert(!request->set);
    request->set = set;
    request->pending = (struct weir_pending){set->loop, request_cancel, NULL};
    wr_list_init(&request->link);
    wr_queued_init(&request->queued);
    wr_ready_init(&request->ready, request_run);
    wr_timer_init(&request->timer, request_timer_expired);
    request->state = REQUEST_READY;
    request->end_ns = UINT64_MAX;
}

void wr_request_start(struct wr_request *request)
{
    weir_upstreams *set = request->set;

    wr_assert(request->slot != NULL);
    wr_assert(request->tries > 0);
    wr_upstreams_ref(set);
    wr_list_push_back(&set->requests, &request->link);
    wr_ready_push(&set->loop->ready, &request->ready);
    request_check_invariants(request);
}

/*
 * How requests and sets of upstreams end: cancelled at every moment, freed with
 * requests and checks in progress, with the loop, and without memory. After
 * each end all places are free, and no operation is in flight.
 */
#include "tests/trace/upstream_rig.h"
#include "tests/walk.h"

static void open_set(uint32_t limit)
{
    struct weir_upstreams_options options = ups_options();
    options.queue_limit = 4;
    ups_open(&options, 0);
    for (int i = 0; i < 2; i++) {
        ups_add_limited(limit);
    }
}

/* Nothing of the upstreams is taken, and nothing is in flight. */
static void expect_idle(void)
{
    maker_run_for(&ups.m, 5 * MS);
    expect_eq(ups_info(0).active_count, 0);
    expect_eq(ups_info(1).active_count, 0);
    expect_eq(ups_set_info().queued_count, 0);
    expect_eq(ups_set_info().connecting_count, 0);
    expect_eq(fake_ops_in_flight(), 1, "but the loop's own");
}

UNIT(upstream_end, a_request_may_be_cancelled_before_it_begins)
{
    open_set(0);
    weir_pending *request = ups_ask(NULL);
    weir_pending_cancel(request);
    expect_eq(ups.end_count, 0, "done comes from the loop");
    weir_pending_cancel(request);
    ups_run_until(1);
    expect_eq(ups.ends[0].err, -ECANCELED);
    expect_eq(ups.ends[0].name, '-');
    expect_idle();
    ups_close();
}

/* Cancels in every turn in turn of a request whose first try fails. */
UNIT(upstream_end, a_request_may_be_cancelled_in_every_turn)
{
    bool was_late = false;
    for (int turns = 0; turns < 60 && !was_late; turns++) {
        open_set(0);
        ups_answer(0, FAKE_REFUSE);
        weir_pending *request = ups_ask(NULL);
        for (int i = 0; i < turns && ups.end_count == 0; i++) {
            weir_loop_stop(ups.m.loop);
            expect_eq(weir_loop_run(ups.m.loop), 0);
            if (i % 4 == 3) {
                fake_spend(MS / 2);
            }
        }
        was_late = ups.end_count > 0;
        if (!was_late) {
            weir_pending_cancel(request);
            ups_run_until(1);
            expect_eq(ups.ends[0].err, -ECANCELED, "after %d turns", turns);
        } else {
            ups_leave(&ups.ends[0], 0);
        }
        expect_idle();
        expect_eq(ups_info(1).connect_error_count, 0);
        ups_close();
    }
    expect_eq(was_late, true);
}

UNIT(upstream_end, a_request_may_be_cancelled_in_the_queue)
{
    open_set(1);
    struct ups_end *first = ups_connect();
    struct ups_end *second = ups_connect();
    weir_pending *request = ups_ask(NULL);
    ups_ask(NULL);
    maker_run_for(&ups.m, 10 * MS);
    weir_pending_cancel(request);
    ups_run_until(3);
    expect_eq(ups.ends[2].err, -ECANCELED);
    expect_geq(ups.ends[2].queue_ns, 10 * MS);
    ups_leave(first, 0);
    ups_run_until(4);
    expect_eq(ups.ends[3].err, 0, "the next one has the place");
    ups_leave(second, 0);
    ups_leave(&ups.ends[3], 0);
    expect_idle();
    ups_close();
}

static weir_pending *request_to_cancel;

static void cancel_request(struct maker *m)
{
    (void)m;
    weir_pending_cancel(request_to_cancel);
}

UNIT(upstream_end, a_request_may_be_cancelled_by_its_own_callbacks)
{
    for (int i = 0; i < 2; i++) {
        open_set(0);
        ups.m.in_factory = i == 0 ? cancel_request : NULL;
        ups.m.in_made = i == 1 ? cancel_request : NULL;
        request_to_cancel = ups_ask(NULL);
        ups_run_until(1);
        expect_eq(ups.ends[0].err, -ECANCELED);
        expect_idle();
        expect_eq(ups.m.made, 1);
        expect_eq(ups.m.lost, 1);
        ups_close();
    }
}

static weir_pending *ended;

static void cancel_in_done(void *arg, int err,
                           const struct weir_upstreams_result *result)
{
    weir_pending_cancel(ended);
    *(int *)arg = err;
    if (err == 0) {
        weir_transport_abort(result->transport);
        weir_upstream_slot_release(result->slot, 0);
    }
}

/* The first one finds no upstream, the second one the second upstream. */
UNIT(upstream_end, a_request_that_has_ended_is_not_cancelled_any_more)
{
    open_set(0);
    const struct weir_upstreams_connect_options none = {
        .size = sizeof(none), .excluded = ups.all, .excluded_count = 2};
    ups_answer(0, FAKE_REFUSE);
    ups_answer(1, FAKE_ACCEPT);
    for (int i = 0; i < 2; i++) {
        int err = 1;
        expect_ok(weir_upstreams_connect(ups.set, &ups.m.factory,
                                         i == 0 ? &none : NULL, cancel_in_done,
                                         &err, &ended));
        RUN_UNTIL(ups.m.loop, err <= 0);
        expect_eq(err, i == 0 ? -EHOSTDOWN : 0);
        expect_idle();
    }
    ups_close();
}

UNIT(upstream_end, a_set_that_is_freed_cancels_its_requests)
{
    open_set(1);
    ups_answer(1, FAKE_SILENT);
    struct ups_end *first = ups_connect();
    ups_ask(NULL); /* connects to b */
    ups_ask(NULL); /* waits */
    maker_run_for(&ups.m, 10 * MS);
    ups_ask(NULL); /* begins */
    weir_upstreams_free(ups.set);
    ups.set = NULL;
    expect_eq(ups.end_count, 1);
    ups_run_until(4);
    for (size_t i = 1; i < 4; i++) {
        expect_eq(ups.ends[i].err, -ECANCELED);
    }
    expect_str_eq(
        weir_upstream_get_name(weir_upstream_slot_get_upstream(first->slot)),
        "a");
    ups_leave(first, -EPIPE);
    ups_close();
}

static void free_set(void *arg)
{
    struct ups *self = (struct ups *)arg;
    weir_upstreams_free(self->set);
    self->set = NULL;
}

static void free_when_made(struct maker *m)
{
    expect_eq(weir_loop_call_soon(m->loop, free_set, &ups, NULL), 0);
    free_set(&ups);
}

UNIT(upstream_end, a_set_may_be_freed_by_the_callback_of_its_connection)
{
    open_set(0);
    ups.m.in_made = free_when_made;
    ups_ask(NULL);
    ups_run_until(1);
    expect_eq(ups.ends[0].err, -ECANCELED);
    ups_close();
}

UNIT(upstream_end, the_loop_ends_requests_and_checks)
{
    struct weir_upstreams_options options = ups_options();
    const struct weir_upstream_check plan = {.size = sizeof(plan),
                                             .kind = WEIR_UPSTREAM_CHECK_TEXT,
                                             .interval_ns = 1000 * MS};
    options.queue_limit = 4;
    options.check = &plan;
    options.fail_limit = 1;
    ups_open(&options, 0);
    for (int i = 0; i < 3; i++) {
        ups_add_limited(1);
    }
    ups_answer(1, FAKE_SILENT);
    ups_answer(2, FAKE_SILENT);
    struct ups_end *first = ups_connect();
    for (int i = 0; i < 4; i++) {
        ups_ask(NULL);
    }
    maker_run_for(&ups.m, 10 * MS);
    expect_eq(ups.end_count, 1);
    expect_eq(weir_loop_free(ups.m.loop), 2,
              "the first connection, and a check of its upstream");
    expect_eq(ups.end_count, 5);
    for (size_t i = 1; i < 5; i++) {
        expect_eq(ups.ends[i].err, -ECANCELED);
    }
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(ups.all[0], &info), 0);
    expect_eq(info.active_count, 1);
    weir_upstream_slot_release(first->slot, -EPIPE);
    expect_eq(
        weir_upstreams_add(ups.set,
                           &(struct weir_upstream_options){
                               .size = sizeof(struct weir_upstream_options),
                               .endpoint = weir_endpoint_unix("/run/x")},
                           NULL),
        -ESHUTDOWN);
    weir_upstreams_free(ups.set);
    fake_stop();
}

UNIT(upstream_end, slots_may_outlive_the_set_and_the_loop)
{
    open_set(0);
    struct ups_end *first = ups_connect();
    struct ups_end *second = ups_connect();
    weir_upstreams_free(ups.set);
    weir_upstream_slot_release(first->slot, 0);
    expect_eq(weir_loop_free(ups.m.loop), 2);
    weir_upstream_slot_release(second->slot, -EPIPE);
    fake_stop();
}

UNIT(upstream_end, no_slot_and_no_set_may_be_ended)
{
    open_set(0);
    weir_upstream_slot_release(NULL, 0);
    weir_upstreams_free(NULL);
    ups_close();
}

static struct test_allocator memory;
static int done_count;

static void count_done(void *arg, int err,
                       const struct weir_upstreams_result *result)
{
    (void)arg;
    done_count++;
    if (err == 0) {
        weir_transport_abort(result->transport);
        weir_upstream_slot_release(result->slot, 0);
    } else {
        cr_assert(err == -ENOMEM || err == -EHOSTDOWN);
    }
}

static int use_set(weir_loop *loop, weir_upstreams_shared *limits,
                   weir_upstreams **ret)
{
    const struct weir_upstream_check plan = {.size = sizeof(plan),
                                             .interval_ns = 10 * MS,
                                             .send = "x",
                                             .send_size = 1};
    const struct weir_upstreams_options options = {
        .size = sizeof(options), .seed = 1, .check = &plan, .shared = limits};
    const struct weir_upstream_check_step steps[] = {
        {.send = "a", .send_size = 1}, {.expect = "b", .expect_size = 1}};
    const struct weir_upstream_check own = {.size = sizeof(own),
                                            .kind = WEIR_UPSTREAM_CHECK_TEXT,
                                            .interval_ns = 10 * MS,
                                            .steps = steps,
                                            .step_count = 2};
    int err = weir_upstreams_new(loop, &options, ret);
    for (uint16_t i = 0; i < 9 && err == 0; i++) {
        const struct weir_upstream_options upstream = {
            .size = sizeof(upstream),
            .endpoint =
                weir_endpoint_host(i == 8 ? "localhost" : "192.0.2.1", 80),
            .connection_limit = i % 2,
            .check = i % 4 == 3 ? &own : NULL};
        err = weir_upstreams_add(*ret, &upstream, NULL);
    }
    if (err == 0) {
        err = weir_upstreams_connect(*ret, &ups.m.factory, NULL, count_done,
                                     NULL, NULL);
    }
    return err;
}

static void stop(void *arg)
{
    weir_loop_stop((weir_loop *)arg);
}

/* With limits of its own, or where there is an argument, with others'. */
static void use_without_memory(void *arg)
{
    weir_upstreams_shared *limits = NULL;
    int err = 0;
    const struct fake_options machine = {.seed = 1};
    fake_start(&machine);
    weir_loop *loop = allocator_make_loop(&memory);
    weir_upstreams *set = NULL;
    const struct weir_address address = peer_address("192.0.2.1", 80);
    fake_listen(&address.storage.any, address.len);
    done_count = 0;
    expect_eq(weir_loop_call_later(loop, 50 * MS, stop, loop, NULL), 0);
    walk_begin(&memory);
    if (arg) {
        err = weir_upstreams_shared_new(&memory.hooks, &limits);
    }
    if (err == 0) {
        err = use_set(loop, limits, &set);
    }
    weir_upstreams_shared_free(limits);
    expect_eq(weir_loop_run(loop), 0);
    const bool has_failed = walk_end(&memory);
    expect_eq(done_count, err == 0 ? 1 : 0);
    cr_assert(err == 0 || (has_failed && err == -ENOMEM));
    weir_upstreams_free(set);
    weir_loop_free(loop);
    fake_stop();
}

UNIT(upstream_end, memory_may_be_missing_at_every_place)
{
    struct maker *m = &ups.m;
    memset(m, 0, sizeof(*m));
    ups_open(NULL, 0); /* for its factory */
    ups_close();
    expect_geq(walk_allocations(&memory, use_without_memory, NULL), 10);
    expect_geq(walk_allocations(&memory, use_without_memory, m), 10);
}

static weir_pending *failing;

/* What there is no memory to keep is not listed, and nothing else. */
static void list_attempts(void *arg, int err,
                          const struct weir_upstreams_result *result)
{
    struct weir_attempt attempt = {.size = sizeof(attempt)};
    size_t count = 0;

    while (weir_pending_get_attempt(failing, count, &attempt) == 0) {
        expect_eq(attempt.err, -ECONNREFUSED);
        count++;
    }
    done_count++;
    expect_leq(count, 3);
    cr_assert(count == 3 || memory.failed > 0);
    const size_t len = strlen(result->error_text);
    cr_assert_null(strstr(result->error_text, "; ; "));
    cr_assert(len == 0 || result->error_text[len - 1] != ' ');
    cr_assert(err == -ECONNREFUSED || err == -ENOMEM);
    weir_loop_stop(arg);
}

static void fail_without_memory(void *arg)
{
    const struct fake_options machine = {.seed = 1};
    weir_upstreams *set = NULL;

    fake_start(&machine);
    weir_loop *loop = allocator_make_loop(&memory);
    expect_ok(weir_upstreams_new(loop, NULL, &set));
    for (uint16_t port = 1; port <= 3; port++) {
        const struct weir_upstream_options upstream = {
            .size = sizeof(upstream),
            .endpoint = weir_endpoint_host("192.0.2.1", port)};
        expect_ok(weir_upstreams_add(set, &upstream, NULL));
    }
    done_count = 0;
    expect_ok(weir_upstreams_connect(set, &ups.m.factory, NULL, list_attempts,
                                     loop, &failing));
    walk_begin(&memory);
    expect_eq(weir_loop_run(loop), 0);
    walk_end(&memory);
    expect_eq(done_count, 1);
    weir_upstreams_free(set);
    weir_loop_free(loop);
    fake_stop();
}

UNIT(upstream_end, without_memory_a_request_lists_less_of_what_it_tried)
{
    ups_open(NULL, 0); /* for its factory */
    ups_close();
    expect_geq(walk_allocations(&memory, fail_without_memory, NULL), 4);
}

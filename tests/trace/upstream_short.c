/*
 * Requests for an upstream that wait for descriptors, on the fake machine: when
 * they try again, at exact times, and when they give up. An attempt without a
 * descriptor sends nothing to the upstream, and does not count.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

/* With so many upstreams to begin with. */
static void open_set(uint32_t queue_limit, int count)
{
    struct weir_upstreams_options options = ups_options();
    options.queue_limit = queue_limit;
    options.queue_timeout_ns = 500 * MS;
    ups_open(&options, count);
}

static void free_descriptors(void *arg)
{
    (void)arg;
    fake_set_fault(FAKE_NO_FD, 0);
}

/* Asks while there are no descriptors, to wait for them half a second. */
static weir_pending *ask_without_descriptors(uint64_t timeout_ns)
{
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .timeout_ns = timeout_ns,
        .shortage_timeout_ns = 500 * MS};

    fake_set_fault(FAKE_NO_FD, 1000);
    return ups_ask(&options);
}

UNIT(upstream_short, a_request_waits_for_descriptors)
{
    open_set(0, 2);
    ask_without_descriptors(0);
    fake_at(fake_now() + 150 * MS, free_descriptors, NULL);
    ups_run_until(1);
    expect_eq(ups.ends[0].err, 0);
    expect_eq(ups_ms(), 301, "it tries after 100 and 200 ms");
    expect_eq(ups.ends[0].try_count, 1);
    expect_eq(ups_info(0).connect_error_count, 0);
    expect_eq(ups_info(1).connect_error_count, 0);
    ups_leave(&ups.ends[0], 0);
}

UNIT(upstream_short, a_request_waits_no_longer_than_it_is_told)
{
    open_set(0, 1);
    ask_without_descriptors(0);
    ups_run_until(1);
    free_descriptors(NULL);
    expect_eq(ups.ends[0].err, -EMFILE);
    expect_eq(ups_ms(), 500);
    expect_eq(ups_info(0).active_count, 0);
}

UNIT(upstream_short, the_whole_time_ends_a_wait_for_descriptors)
{
    open_set(0, 1);
    ask_without_descriptors(130 * MS);
    ups_run_until(1);
    free_descriptors(NULL);
    expect_eq(ups.ends[0].err, -ETIMEDOUT);
    expect_eq(ups_ms(), 130);
}

UNIT(upstream_short, a_wait_for_descriptors_can_be_cancelled)
{
    open_set(0, 1);
    weir_pending *pending = ask_without_descriptors(0);
    maker_run_for(&ups.m, 50 * MS);
    expect_eq(ups.end_count, 0);
    weir_pending_cancel(pending);
    ups_run_until(1);
    free_descriptors(NULL);
    expect_eq(ups.ends[0].err, -ECANCELED);
}

UNIT(upstream_short, a_freed_set_ends_a_wait_for_descriptors)
{
    open_set(0, 1);
    ask_without_descriptors(0);
    maker_run_for(&ups.m, 50 * MS);
    weir_upstreams_free(ups.set);
    ups.set = NULL;
    ups_run_until(1);
    free_descriptors(NULL);
    expect_eq(ups.ends[0].err, -ECANCELED);
}

/* Descriptors lack for the free upstream, and the other one has no place. */
UNIT(upstream_short, a_wait_for_descriptors_is_not_one_for_a_place)
{
    open_set(8, 1);
    ups_add_limited(1);
    struct ups_end *a = ups_connect();
    struct ups_end *b = ups_connect();
    expect_eq(b->name, 'b');
    ups_leave(a, 0);
    const uint64_t start_ms = ups_ms();
    ask_without_descriptors(0);
    fake_at(fake_now() + 50 * MS, free_descriptors, NULL);
    ups_run_until(3);
    expect_eq(ups.ends[2].err, 0);
    expect_eq(ups.ends[2].name, 'a');
    expect_eq(ups_ms() - start_ms, 101);
    ups_leave(b, 0);
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream_short, those_that_waited_for_descriptors_are_queued_in_order)
{
    static const uint64_t queue_ms[] = {0, 90, 181};
    open_set(8, 0);
    ups_add_limited(1);
    for (int i = 0; i < 3; i++) {
        ask_without_descriptors(0);
        maker_run_for(&ups.m, 10 * MS);
    }
    free_descriptors(NULL);
    for (size_t i = 0; i < 3; i++) { /* the first one enters no queue */
        ups_run_until(i + 1);
        maker_run_for(&ups.m, 100 * MS);
        expect_eq(ups.ends[i].err, 0);
        expect_eq(ups.ends[i].queue_ns / MS, queue_ms[i]);
        ups_leave(&ups.ends[i], 0);
    }
}

/* A refusal of the upstream that was tried last is nothing to wait for. */
UNIT(upstream_short, a_refusal_after_a_shortage_is_told_at_once)
{
    open_set(0, 1);
    ups_answer(0, FAKE_REFUSE);
    ask_without_descriptors(0);
    fake_at(fake_now() + 50 * MS, free_descriptors, NULL);
    ups_run_until(1);
    expect_eq(ups.ends[0].err, -ECONNREFUSED);
    expect_eq(ups_ms(), 101);
    expect_eq(ups_info(0).connect_error_count, 1);
}

static void remove_first(void *arg)
{
    weir_upstream_remove(ups.all[0]);
}

/* The try that lacked something does not count, nor does its error. */
UNIT(upstream_short, a_wait_whose_upstream_is_removed_ends_without_one)
{
    open_set(0, 1);
    ask_without_descriptors(0);
    fake_at(fake_now() + 50 * MS, remove_first, NULL);
    ups_run_until(1);
    free_descriptors(NULL);
    expect_eq(ups.ends[0].err, -EHOSTDOWN);
    expect_eq(ups.ends[0].try_count, 0);
    expect_eq(ups_set_info().no_upstream_total, 1);
}

UNIT(upstream_short, no_wait_mends_what_the_program_lacks)
{
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .shortage_timeout_ns = 500 * MS};
    open_set(0, 1);
    ups.m.factory_result = -ENOMEM;
    ups_connect_by(&options);
    expect_eq(ups.ends[0].err, -ENOMEM);
    expect_eq(ups_ms(), 1, "of the first try");
    expect_eq(ups.ends[0].try_count, 1);
}

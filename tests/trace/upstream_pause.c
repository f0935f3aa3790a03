/*
 * Upstreams under maintenance by operators, on the fake machine: their checks
 * are paused, and requests that connect to them are ended.
 *
 * Checks are made each second, starting at once.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

#include <weir/error.h>

static const struct weir_upstream_check plan = {.size = sizeof(plan),
                                                .interval_ns = 1000 * MS,
                                                .timeout_ns = 100 * MS,
                                                .rise = 1,
                                                .fall = 1};

static void open_checked(weir_upstreams_shared *shared, int count)
{
    struct weir_upstreams_options options = ups_options();
    options.check = &plan;
    options.shared = shared;
    ups_open(&options, count);
    maker_run_for(&ups.m, 10 * MS);
}

/* Checks of the upstream in a time, good and bad ones. */
static uint64_t checks_in(size_t index, uint64_t time_ms)
{
    const struct weir_upstream_statistics before = ups_info(index);
    maker_run_for(&ups.m, time_ms * MS);
    const struct weir_upstream_statistics after = ups_info(index);
    return after.check_count + after.check_error_count - before.check_count -
           before.check_error_count;
}

UNIT(upstream_pause, one_that_is_paused_is_not_checked)
{
    open_checked(NULL, 2);
    expect_geq(checks_in(0, 5000), 4);
    weir_upstream_pause_checks(ups.all[0], true);
    weir_upstream_pause_checks(ups.all[0], true);
    expect_eq(checks_in(0, 20000), 0);
    expect_geq(checks_in(1, 5000), 4, "the other one is");
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP, "its state stays");
    ups_answer(0, FAKE_REFUSE);
    weir_upstream_pause_checks(ups.all[0], false);
    expect_eq(checks_in(0, 10), 1, "at once");
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_DOWN);
    expect_geq(checks_in(0, 5000), 4);
}

UNIT(upstream_pause, a_check_that_is_under_way_does_not_count)
{
    open_checked(NULL, 1);
    ups_answer(0, FAKE_SILENT);
    maker_run_for(&ups.m, 1000 * MS);
    while (!ups_info(0).is_being_checked) {
        maker_run_for(&ups.m, 10 * MS);
    }
    weir_upstream_pause_checks(ups.all[0], true);
    expect_eq(checks_in(0, 5000), 0);
    expect_eq(ups_info(0).is_being_checked, false);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP);
}

UNIT(upstream_pause, a_check_is_made_at_once_after_a_pause_of_no_time)
{
    open_checked(NULL, 1);
    ups_answer(0, FAKE_SILENT);
    maker_run_for(&ups.m, 900 * MS);
    while (!ups_info(0).is_being_checked) {
        maker_run_for(&ups.m, 10 * MS);
    }
    ups_answer(0, FAKE_REFUSE);
    weir_upstream_pause_checks(ups.all[0], true);
    weir_upstream_pause_checks(ups.all[0], false);
    expect_eq(checks_in(0, 10), 1);
    expect_eq(ups_info(0).check_skipped_count, 0);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_DOWN);
    expect_geq(checks_in(0, 5000), 4, "and the next ones when they are due");
}

UNIT(upstream_pause, another_set_takes_over_the_state_of_a_pause)
{
    struct weir_upstreams_options options = ups_options();
    struct weir_upstream_options upstream = {.size = sizeof(upstream)};
    const struct weir_address address = peer_address("192.0.2.1", 80);
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    weir_upstreams_shared *shared;
    weir_upstreams *other;
    weir_upstream *its;
    expect_eq(weir_upstreams_shared_new(NULL, &shared), 0);
    open_checked(shared, 1);
    ups_answer(0, FAKE_REFUSE);
    expect_geq(checks_in(0, 5000), 4);
    weir_upstream_pause_checks(ups.all[0], true);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_DOWN);
    options.check = &plan;
    options.shared = shared;
    upstream.name = weir_upstream_get_name(ups.all[0]);
    upstream.endpoint = weir_endpoint_addresses(&address, 1);
    expect_eq(weir_upstreams_new(ups.m.loop, &options, &other), 0);
    expect_eq(weir_upstreams_add(other, &upstream, &its), 0);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_DOWN);
    expect_eq(weir_upstream_get_statistics(its, &info), 0);
    expect_eq(info.state, WEIR_UPSTREAM_DOWN);
    weir_upstreams_free(other);
    weir_upstreams_shared_free(shared);
}

UNIT(upstream_pause, another_set_goes_on_with_the_checks)
{
    struct weir_upstreams_options options = ups_options();
    struct weir_upstream_options upstream = {.size = sizeof(upstream)};
    const struct weir_address address = peer_address("192.0.2.1", 80);
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    weir_upstreams_shared *shared;
    weir_upstreams *other;
    weir_upstream *its;
    expect_eq(weir_upstreams_shared_new(NULL, &shared), 0);
    open_checked(shared, 1);
    options.check = &plan;
    options.shared = shared;
    upstream.name = weir_upstream_get_name(ups.all[0]);
    upstream.endpoint = weir_endpoint_addresses(&address, 1);
    expect_eq(weir_upstreams_new(ups.m.loop, &options, &other), 0);
    expect_eq(weir_upstreams_add(other, &upstream, &its), 0);
    weir_upstream_pause_checks(ups.all[0], true);
    expect_eq(checks_in(0, 5000), 0);
    expect_eq(weir_upstream_get_statistics(its, &info), 0);
    expect_geq(info.check_count, 4, "the other set makes them");
    const uint64_t before = info.check_count;
    weir_upstream_pause_checks(its, true);
    expect_eq(checks_in(0, 5000), 0);
    expect_eq(weir_upstream_get_statistics(its, &info), 0);
    expect_eq(info.check_count, before, "all are paused");
    ups_leave(ups_connect(), 0);
    weir_upstream_pause_checks(ups.all[0], false);
    expect_geq(checks_in(0, 5000), 4, "this one");
    weir_upstreams_free(other);
    weir_upstreams_shared_free(shared);
}

UNIT(upstream_pause, requests_that_connect_are_ended)
{
    const struct weir_upstreams_options options = ups_options();
    ups_open(&options, 2);
    ups_answer(0, FAKE_SILENT);
    ups_answer(1, FAKE_SILENT);
    for (int i = 0; i < 4; i++) {
        ups_ask(NULL);
    }
    maker_run_for(&ups.m, 5 * MS);
    expect_eq(weir_upstream_fail_pending(ups.all[0], 0), -EINVAL);
    expect_eq(weir_upstream_fail_pending(ups.all[0], -EXDEV), 2);
    expect_eq(weir_upstream_fail_pending(ups.all[0], -EXDEV), 0, "once");
    expect_eq(ups.end_count, 0, "not inside the call");
    ups_run_until(2);
    for (int i = 0; i < 2; i++) {
        expect_eq(ups.ends[i].err, -EXDEV);
        expect_eq(ups.ends[i].try_count, 1, "without another try");
    }
    expect_eq(ups_info(0).connect_error_count, 0);
    maker_run_for(&ups.m, 100 * MS);
    expect_eq(ups.end_count, 2, "those of the other one go on");
}

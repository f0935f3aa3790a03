/*
 * Connecting to upstreams on the fake machine, at exact times: which upstream a
 * request tries, when it tries another, how it waits for a place, and how
 * failures eject upstreams.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

/* With so many upstreams to begin with. */
static void open_set(uint32_t queue_limit, int count)
{
    struct weir_upstreams_options options = ups_options();
    options.queue_limit = queue_limit;
    options.queue_timeout_ns = 500 * MS;
    options.fail_limit = 3;
    options.eject_ns = 1000 * MS;
    options.eject_max_ns = 3000 * MS;
    ups_open(&options, count);
}

static struct weir_upstreams_connect_options ask_options(void)
{
    return (struct weir_upstreams_connect_options){
        .size = sizeof(struct weir_upstreams_connect_options)};
}

UNIT(upstream, requests_go_round)
{
    open_set(0, 2);
    for (int i = 0; i < 4; i++) {
        struct ups_end *end = ups_connect();
        expect_eq(end->err, 0);
        expect_eq(end->name, i % 2 ? 'b' : 'a');
        expect_eq(end->try_count, 1);
        ups_leave(end, 0);
    }
    expect_eq(ups_info(0).connected_count, 2);
    expect_eq(ups_info(0).active_count, 0);
}

UNIT(upstream, one_that_refuses_is_followed_by_another)
{
    open_set(0, 2);
    ups_answer(0, FAKE_REFUSE);
    struct ups_end *end = ups_connect();
    expect_eq(end->err, 0);
    expect_eq(end->name, 'b');
    expect_eq(end->try_count, 2);
    expect_eq(ups_ms(), 2);
    expect_eq(ups.m.made, 1);
    expect_eq(ups_info(0).active_count, 0);
    expect_eq(ups_info(0).connect_error_count, 1);
    expect_eq(ups_info(0).last_err, -ECONNREFUSED);
    expect_eq(ups_info(1).active_count, 1);
    ups_leave(end, 0);
}

UNIT(upstream, the_time_of_a_try_is_that_of_the_options)
{
    struct weir_upstreams_connect_options options = ask_options();
    open_set(0, 2);
    ups_answer(0, FAKE_SILENT);
    options.connect.timeout_ns = 30 * MS;
    ups_connect_by(&options);
    expect_eq(ups.ends[0].name, 'b');
    expect_eq(ups_ms(), 31);
    expect_eq(ups_info(0).last_err, -ETIMEDOUT);
    ups_leave(&ups.ends[0], 0);
}

UNIT(upstream, a_try_has_a_time_by_default)
{
    open_set(0, 1);
    ups_answer(0, FAKE_SILENT);
    expect_eq(ups_connect()->err, -ETIMEDOUT);
    expect_eq(ups_ms(), 10000);
}

UNIT(upstream, a_try_of_an_old_program_has_a_time_by_default)
{
    struct weir_upstreams_connect_options options = ask_options();
    open_set(0, 1);
    ups_answer(0, FAKE_SILENT);
    options.connect.size = sizeof(options.connect.size);
    expect_eq(ups_connect_by(&options)->err, -ETIMEDOUT);
    expect_eq(ups_ms(), 10000);
}

UNIT(upstream, no_more_are_tried_than_the_options_allow)
{
    struct weir_upstreams_connect_options options = ask_options();
    open_set(0, 0);
    for (size_t i = 0; i < 4; i++) {
        ups_add(NULL);
        ups_answer(i, FAKE_REFUSE);
    }
    options.tries = 2;
    ups_connect_by(&options);
    expect_eq(ups.ends[0].err, -ECONNREFUSED);
    expect_eq(ups.ends[0].name, 'b', "the last that was tried");
    expect_eq(ups.ends[0].try_count, 2);
    options.tries = 9;
    ups_connect_by(&options);
    expect_eq(ups.ends[1].err, -ECONNREFUSED);
    expect_eq(ups.ends[1].try_count, 4, "none is tried twice");
}

UNIT(upstream, the_whole_time_ends_a_try_and_counts_against_the_upstream)
{
    struct weir_upstreams_connect_options options = ask_options();
    open_set(0, 2);
    ups_answer(0, FAKE_SILENT);
    options.timeout_ns = 40 * MS;
    ups_connect_by(&options);
    expect_eq(ups.ends[0].err, -ETIMEDOUT);
    expect_eq(ups.ends[0].name, 'a');
    expect_eq(ups_ms(), 40);
    expect_eq(ups_info(0).connect_error_count, 1);
    expect_eq(ups_info(0).active_count, 0);
}

UNIT(upstream, an_error_of_the_factory_is_the_requests)
{
    open_set(0, 2);
    ups.m.factory_result = -EPROTO;
    struct ups_end *end = ups_connect();
    expect_eq(end->err, -EPROTO);
    expect_eq(end->try_count, 1, "no other is tried");
    expect_eq(ups_info(0).connect_error_count, 0);
    expect_eq(ups_info(0).active_count, 0);
}

UNIT(upstream, a_lack_of_descriptors_is_not_the_upstreams)
{
    open_set(0, 1);
    fake_set_fault(FAKE_NO_FD, 1000);
    for (int i = 0; i < 4; i++) {
        expect_eq(ups_connect()->err, -EMFILE);
    }
    fake_set_fault(FAKE_NO_FD, 0);
    expect_eq(ups_info(0).connect_error_count, 0);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP);
}

UNIT(upstream, backups_serve_where_no_other_is_up)
{
    open_set(0, 0);
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options), .is_backup = true});
    ups_add(NULL);
    struct ups_end *end = ups_connect();
    expect_eq(end->name, 'b');
    ups_leave(end, 0);
    ups_answer(1, FAKE_REFUSE);
    end = ups_connect();
    expect_eq(end->name, 'a', "for this request b is none any more");
    expect_eq(end->try_count, 2);
    ups_leave(end, 0);
}

UNIT(upstream, no_weight_a_drain_and_a_removal_end_the_choice)
{
    open_set(0, 3);
    struct ups_end *kept = ups_connect();
    expect_eq(kept->name, 'a');
    expect_eq(weir_upstream_set_weight(ups.all[0], 0), 0);
    weir_upstream_set_draining(ups.all[1], true);
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_DRAINING);
    struct ups_end *last = ups_connect();
    expect_eq(last->name, 'c');
    weir_upstream_remove(ups.all[2]);
    expect_eq(ups_info(2).state, WEIR_UPSTREAM_REMOVED);
    expect_eq(weir_upstreams_get_count(ups.set), 2);
    expect_eq(ups_connect()->err, -EHOSTDOWN);
    expect_eq(ups.m.lost, 0, "connections go on");
    expect_eq(ups_set_info().no_upstream_total, 1);
    weir_upstream_set_draining(ups.all[1], false);
    struct ups_end *end = ups_connect();
    expect_eq(end->name, 'b');
    expect_str_eq(ups.changes, "", "the program has done all of this");
    ups_leave(kept, 0);
    ups_leave(last, 0);
    ups_leave(end, 0);
}

UNIT(upstream, an_empty_set_has_none)
{
    open_set(3, 0);
    struct ups_end *end = ups_connect();
    expect_eq(end->err, -EHOSTDOWN);
    expect_eq(end->name, '-');
    expect_eq(ups_ms(), 0);
}

UNIT(upstream, excluded_ones_are_not_chosen)
{
    struct weir_upstreams_connect_options options = ask_options();
    open_set(0, 2);
    options.excluded = &ups.all[0];
    options.excluded_count = 1;
    for (size_t i = 0; i < 3; i++) {
        ups_connect_by(&options);
        expect_eq(ups.ends[i].name, 'b');
        ups_leave(&ups.ends[i], 0);
    }
}

UNIT(upstream, a_key_names_the_upstream)
{
    struct weir_upstreams_options set_options = ups_options();
    struct weir_upstreams_connect_options options = ask_options();
    bool seen[3] = {false};
    set_options.balance = WEIR_BALANCE_HASH;
    ups_open(&set_options, 3);
    for (uint32_t i = 0; i < 20; i++) {
        const uint32_t key = i / 2;
        options.key = &key;
        options.key_size = sizeof(key);
        ups_connect_by(&options);
        ups_leave(&ups.ends[i], 0);
        expect_eq(ups.ends[i].name, ups.ends[i - i % 2].name);
        seen[ups.ends[i].name - 'a'] = true;
    }
    expect_eq(seen[0] && seen[1] && seen[2], true);
}

static void fail_all(int times, char name)
{
    for (int i = 0; i < times; i++) {
        struct ups_end *end = ups_connect();
        expect_eq(end->err, -ECONNREFUSED);
        expect_eq(end->name, name);
    }
}

UNIT(upstream, failures_in_a_row_eject_for_a_time_that_grows)
{
    open_set(0, 2);
    weir_upstream_set_draining(ups.all[1], true);
    ups_answer(0, FAKE_REFUSE);
    fail_all(3, 'a');
    maker_run_for(&ups.m, 1 * MS);
    expect_str_eq(ups.changes, "a:out ");
    expect_eq(ups.change_err, -ECONNREFUSED);
    weir_upstream_set_draining(ups.all[1], false);
    for (int i = 0; i < 3; i++) {
        struct ups_end *end = ups_connect();
        expect_eq(end->name, 'b', "a is out");
        ups_leave(end, 0);
    }
    maker_run_for(&ups.m, 1000 * MS);
    expect_str_eq(ups.changes, "a:out a:up ");
    expect_eq(ups.change_err, 0);
    weir_upstream_set_draining(ups.all[1], true);
    fail_all(1, 'a');
    maker_run_for(&ups.m, 1900 * MS);
    expect_str_eq(ups.changes, "a:out a:up a:out ", "twice as long");
    maker_run_for(&ups.m, 200 * MS);
    expect_str_eq(ups.changes, "a:out a:up a:out a:up ");
    expect_eq(ups_info(0).ejected_count, 2);
}

UNIT(upstream, where_all_are_ejected_they_are_used_all_the_same)
{
    open_set(0, 1);
    ups_answer(0, FAKE_REFUSE);
    fail_all(3, 'a');
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_EJECTED);
    ups_answer(0, FAKE_ACCEPT);
    struct ups_end *end = ups_connect();
    expect_eq(end->err, 0);
    ups_leave(end, 0);
}

UNIT(upstream, errors_that_the_program_reports_eject_too)
{
    open_set(0, 1);
    const int results[] = {-EPROTO, -EPROTO, 0, -EPROTO, -ECANCELED, -EPROTO};
    for (size_t i = 0; i < sizeof(results) / sizeof(*results); i++) {
        ups_leave(ups_connect(), results[i]);
    }
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP);
    ups_leave(ups_connect(), -EPIPE);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_EJECTED);
    expect_eq(ups_info(0).reported_error_count, 5);
    maker_run_for(&ups.m, 1 * MS);
    expect_str_eq(ups.changes, "a:out ");
    expect_eq(ups.change_err, -EPIPE);
}

UNIT(upstream, the_weight_grows_after_an_ejection)
{
    struct weir_upstreams_options options = ups_options();
    options.fail_limit = 1;
    options.eject_ns = 100 * MS;
    options.slow_start_ns = 1000 * MS;
    ups_open(&options, 1);
    expect_eq(ups_info(0).warm_permille, 1000, "not at the beginning");
    ups_leave(ups_connect(), -EPIPE);
    maker_run_for(&ups.m, 350 * MS);
    const uint32_t warm = ups_info(0).warm_permille;
    expect_geq(warm, 240);
    expect_leq(warm, 260);
    maker_run_for(&ups.m, 800 * MS);
    expect_eq(ups_info(0).warm_permille, 1000);
}

UNIT(upstream, a_request_waits_for_a_place_first_come_first_served)
{
    open_set(2, 0);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    ups_ask(NULL);
    ups_ask(NULL);
    maker_run_for(&ups.m, 100 * MS);
    expect_eq(ups.end_count, 1);
    expect_eq(ups_set_info().queued_count, 2);
    ups_leave(first, 0);
    ups_run_until(2);
    expect_eq(ups.ends[1].err, 0);
    expect_geq(ups.ends[1].queue_ns, 100 * MS);
    expect_eq(ups_info(0).active_count, 1);
    ups_leave(&ups.ends[1], 0);
    ups_run_until(3);
    expect_eq(ups.ends[2].err, 0);
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream, places_are_taken_from_the_choice_on)
{
    open_set(9, 0);
    ups_add_limited(2);
    for (int i = 0; i < 3; i++) {
        ups_ask(NULL);
    }
    ups_run_until(2);
    maker_run_for(&ups.m, 50 * MS);
    expect_eq(ups.end_count, 2);
    ups_leave(&ups.ends[0], 0);
    ups_leave(&ups.ends[1], 0);
    ups_run_until(3);
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream, a_full_queue_refuses_and_a_long_wait_ends)
{
    open_set(1, 0);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    const uint64_t asked_ns = first->when_ns;
    ups_ask(NULL);
    ups_ask(NULL);
    ups_run_until(2);
    expect_eq(ups.ends[1].err, -ENOBUFS);
    expect_eq(ups.ends[1].when_ns, asked_ns, "at once");
    ups_run_until(3);
    expect_eq(ups.ends[2].err, -ETIMEDOUT);
    expect_eq((ups.ends[2].when_ns - asked_ns) / MS, 500);
    expect_eq(ups_set_info().queue_full_total, 1);
    expect_eq(ups_set_info().queue_timeout_total, 1);
    ups_leave(first, 0);
}

/* The one in the queue takes the place that became free before the next comes.
 */
UNIT(upstream, a_full_queue_refuses_none_when_a_place_has_become_free)
{
    open_set(1, 0);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    ups_ask(NULL);
    maker_run_for(&ups.m, 1 * MS);
    ups_ask(NULL);
    ups_leave(first, 0);
    ups_run_until(2);
    expect_eq(ups.ends[1].err, 0);
    expect_eq(ups.ends[1].number, 1);
    expect_eq(ups_set_info().queued_count, 1);
    ups_leave(&ups.ends[1], 0);
    ups_run_until(3);
    expect_eq(ups.ends[2].err, 0);
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream, those_that_wait_are_told_when_all_are_gone)
{
    open_set(2, 0);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    ups_ask(NULL);
    maker_run_for(&ups.m, 10 * MS);
    weir_upstream_remove(ups.all[0]);
    ups_run_until(2);
    expect_eq(ups.ends[1].err, -EHOSTDOWN);
    ups_leave(first, 0);
}

UNIT(upstream, a_new_upstream_serves_the_queue)
{
    open_set(2, 0);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    ups_ask(NULL);
    maker_run_for(&ups.m, 10 * MS);
    ups_add(NULL);
    ups_run_until(2);
    expect_eq(ups.ends[1].name, 'b');
    ups_leave(first, 0);
    ups_leave(&ups.ends[1], 0);
}

UNIT(upstream, a_weight_or_the_end_of_a_drain_serves_the_queue)
{
    open_set(2, 0);
    ups_add_limited(1);
    ups_add(NULL);
    expect_eq(weir_upstream_set_weight(ups.all[1], 0), 0);
    struct ups_end *first = ups_connect();
    ups_ask(NULL);
    maker_run_for(&ups.m, 10 * MS);
    expect_eq(weir_upstream_set_weight(ups.all[1], 256), 0);
    ups_run_until(2);
    expect_eq(ups.ends[1].name, 'b');
    weir_upstream_set_draining(ups.all[1], true);
    ups_ask(NULL);
    maker_run_for(&ups.m, 10 * MS);
    weir_upstream_set_draining(ups.all[1], false);
    ups_run_until(3);
    expect_eq(ups.ends[2].name, 'b');
    ups_leave(first, 0);
    ups_leave(&ups.ends[1], 0);
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream, a_request_that_failed_elsewhere_waits_before_the_others)
{
    open_set(9, 0);
    ups_add_limited(1);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    ups_answer(1, FAKE_REFUSE);
    ups_ask(NULL); /* tries b */
    maker_run_for(&ups.m, MS / 2);
    weir_upstream_set_draining(ups.all[1], true);
    ups_ask(NULL);
    maker_run_for(&ups.m, 20 * MS);
    expect_eq(ups_set_info().queued_count, 2);
    ups_leave(first, 0);
    ups_run_until(2);
    expect_eq(ups.ends[1].try_count, 2, "the one that has tried b");
    expect_eq(ups.ends[1].name, 'a');
    ups_leave(&ups.ends[1], 0);
    ups_run_until(3);
    expect_eq(ups.ends[2].try_count, 1);
    ups_leave(&ups.ends[2], 0);
}

/* Two that failed at b, in this order, and wait for a. */
UNIT(upstream, requests_that_failed_elsewhere_wait_in_the_order_of_asking)
{
    open_set(9, 0);
    ups_add_limited(1);
    ups_add(NULL);
    struct ups_end *first = ups_connect();
    ups_answer(1, FAKE_REFUSE);
    for (int i = 0; i < 2; i++) {
        ups_ask(NULL);
        maker_run_for(&ups.m, MS / 4);
    }
    maker_run_for(&ups.m, 20 * MS);
    expect_eq(ups_set_info().queued_count, 2);
    ups_leave(first, 0);
    ups_run_until(2);
    expect_eq(ups.ends[1].number, 1);
    ups_leave(&ups.ends[1], 0);
    ups_run_until(3);
    expect_eq(ups.ends[2].number, 2);
    expect_eq(ups.ends[2].try_count, 2);
    ups_leave(&ups.ends[2], 0);
}

/* One waits for a, and excludes b. */
UNIT(upstream, a_full_queue_refuses_none_that_need_not_wait)
{
    struct weir_upstreams_connect_options options = ask_options();
    open_set(1, 0);
    ups_add_limited(1);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    options.excluded = &ups.all[1];
    options.excluded_count = 1;
    ups_ask(&options);
    maker_run_for(&ups.m, 10 * MS);
    expect_eq(ups_set_info().queued_count, 1);
    struct ups_end *end = ups_connect();
    expect_eq(end->err, 0);
    expect_eq(end->name, 'b');
    ups_leave(end, 0);
    ups_leave(first, 0);
    ups_run_until(3);
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream, a_place_that_is_given_back_goes_to_none_that_came_later)
{
    open_set(9, 0);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    ups_ask(NULL);
    maker_run_for(&ups.m, 10 * MS);
    ups_ask(NULL); /* is looked at before the queue is served */
    ups_leave(first, 0);
    ups_run_until(2);
    expect_geq(ups.ends[1].queue_ns, 10 * MS);
    ups_leave(&ups.ends[1], 0);
    ups_run_until(3);
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream, one_that_excludes_the_full_ones_need_not_wait_behind_others)
{
    struct weir_upstreams_connect_options options = ask_options();
    const struct weir_upstream_options backup = {.size = sizeof(backup),
                                                 .is_backup = true};
    open_set(9, 0);
    ups_add_limited(1);
    ups_add(&backup);
    struct ups_end *first = ups_connect();
    expect_eq(first->name, 'a');
    ups_ask(NULL);
    maker_run_for(&ups.m, 10 * MS);
    options.excluded = &ups.all[0];
    options.excluded_count = 1;
    ups_ask(&options);
    ups_run_until(2);
    expect_eq(ups.ends[1].name, 'b');
    expect_eq(ups_set_info().queued_count, 1);
    ups_leave(&ups.ends[1], 0);
    ups_leave(first, 0);
    ups_run_until(3);
    expect_eq(ups.ends[2].name, 'a');
    ups_leave(&ups.ends[2], 0);
}

UNIT(upstream, one_that_excludes_the_free_ones_does_not_hold_up_others)
{
    struct weir_upstreams_connect_options options = ask_options();
    open_set(9, 0);
    ups_add_limited(1);
    ups_add_limited(1);
    struct ups_end *first = ups_connect();
    expect_eq(first->name, 'a');
    options.excluded = &ups.all[1];
    options.excluded_count = 1;
    ups_ask(&options);
    maker_run_for(&ups.m, 10 * MS);
    expect_eq(ups_set_info().queued_count, 1);
    struct ups_end *end = ups_connect();
    expect_eq(end->name, 'b');
    ups_leave(end, 0);
    ups_leave(first, 0);
    ups_run_until(3);
    expect_eq(ups.ends[2].name, 'a');
    ups_leave(&ups.ends[2], 0);
}

/*
 * What a set knows about an upstream is passed to another set, on the fake
 * machine: ejections with their time and number, slow starts, and the state of
 * checks. The upstreams of the other set have the next letters.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

#include <weir/error.h>

static struct weir_upstreams_options set_options(void)
{
    struct weir_upstreams_options options = ups_options();
    options.fail_limit = 3;
    options.eject_ns = 1000 * MS;
    options.eject_max_ns = 3000 * MS;
    return options;
}

static void open_set(int count)
{
    const struct weir_upstreams_options options = set_options();
    ups_open(&options, count);
}

/* Another set follows. */
static void follow(const struct weir_upstreams_options *options)
{
    weir_upstreams_free(ups.set);
    ups.changes[0] = '\0';
    expect_eq(weir_upstreams_new(ups.m.loop, options, &ups.set), 0);
}

static struct weir_upstream_health get_known(size_t index)
{
    struct weir_upstream_health known = {.size = sizeof(known)};
    expect_eq(weir_upstream_get_health(ups.all[index], &known), 0);
    return known;
}

/* Adds an upstream of which this is known. */
static void add_known(const struct weir_upstream_health *known)
{
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options), .health = known});
}

/* Asks this often for a connection, which ends with a result of the program,
 * or, if that is 0, fails by itself. */
static void fail(int times, int result)
{
    for (int i = 0; i < times; i++) {
        struct ups_end *end = ups_connect();
        if (result < 0) {
            ups_leave(end, result);
        } else {
            expect_eq(end->err, -ECONNREFUSED);
        }
    }
}

UNIT(upstream_known, an_ejection_goes_on_for_the_time_that_is_left)
{
    const struct weir_upstreams_options options = set_options();
    open_set(1);
    ups_answer(0, FAKE_REFUSE);
    fail(3, 0);
    maker_run_for(&ups.m, 300 * MS);
    const struct weir_upstream_health known = get_known(0);
    expect_eq(known.state, 0, "there are no checks");
    expect_eq(known.ejected_count, 1);
    expect_eq(known.ejected_by_report, false);
    expect_eq(known.err, -ECONNREFUSED);
    expect_eq((known.ejected_ns + MS) / (10 * MS), 70);
    follow(&options);
    add_known(&known);
    add_known(NULL);
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_EJECTED);
    expect_eq(ups_info(1).ejected_count, 0, "not by this set");
    for (int i = 0; i < 5; i++) {
        struct ups_end *end = ups_connect();
        expect_eq(end->name, 'c', "b is out");
        ups_leave(end, 0);
    }
    maker_run_for(&ups.m, 680 * MS);
    expect_str_eq(ups.changes, "");
    maker_run_for(&ups.m, 30 * MS);
    expect_str_eq(ups.changes, "b:up ");
}

UNIT(upstream_known, the_next_ejection_is_longer_as_it_would_have_been)
{
    const struct weir_upstreams_options options = set_options();
    open_set(1);
    fail(3, -EPIPE);
    maker_run_for(&ups.m, 1100 * MS);
    const struct weir_upstream_health known = get_known(0);
    expect_eq(known.ejected_count, 1);
    expect_eq(known.ejected_by_report, true);
    expect_eq(known.ejected_ns, 0);
    follow(&options);
    add_known(&known);
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_UP);
    fail(1, -EPIPE);
    maker_run_for(&ups.m, 1900 * MS);
    expect_str_eq(ups.changes, "b:out ", "twice as long, after one failure");
    maker_run_for(&ups.m, 200 * MS);
    expect_str_eq(ups.changes, "b:out b:up ");
    expect_eq(get_known(1).ejected_count, 2);
}

UNIT(upstream_known, a_success_ends_what_is_known_of_ejections)
{
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .ejected_count = 2};
    open_set(0);
    add_known(&known);
    ups_leave(ups_connect(), 0);
    expect_eq(get_known(0).ejected_count, 0);
    ups_answer(0, FAKE_REFUSE);
    fail(2, 0);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP, "three make a row");
}

/* It was used, as there was no other. */
UNIT(upstream_known, a_success_while_it_is_ejected_is_known)
{
    const struct weir_upstreams_options options = set_options();
    open_set(1);
    ups_answer(0, FAKE_REFUSE);
    fail(3, 0);
    ups_answer(0, FAKE_ACCEPT);
    ups_leave(ups_connect(), 0);
    const struct weir_upstream_health known = get_known(0);
    expect_eq(known.ejected_count, 0);
    expect_gt(known.ejected_ns, 900 * MS);
    follow(&options);
    add_known(&known);
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_EJECTED);
    maker_run_for(&ups.m, 1010 * MS);
    ups_answer(1, FAKE_REFUSE);
    fail(2, 0);
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_UP, "three make a row");
    fail(1, 0);
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_EJECTED);
}

UNIT(upstream_known, a_slow_start_goes_on)
{
    struct weir_upstreams_options options = ups_options();
    options.fail_limit = 1;
    options.eject_ns = 100 * MS;
    options.slow_start_ns = 1000 * MS;
    ups_open(&options, 1);
    expect_eq(get_known(0).slow_start_ns, 0);
    fail(1, -EPIPE);
    maker_run_for(&ups.m, 350 * MS);
    const struct weir_upstream_health known = get_known(0);
    expect_geq(known.slow_start_ns, 740 * MS);
    expect_leq(known.slow_start_ns, 760 * MS);
    follow(&options);
    add_known(&known);
    expect_geq(ups_info(1).warm_permille, 240);
    expect_leq(ups_info(1).warm_permille, 260);
    maker_run_for(&ups.m, 800 * MS);
    expect_eq(ups_info(1).warm_permille, 1000);
    expect_eq(get_known(1).slow_start_ns, 0);
}

UNIT(upstream_known, what_checks_have_found_is_known_beside_an_ejection)
{
    struct weir_upstreams_options options = set_options();
    const struct weir_upstream_check check = {.size = sizeof(check),
                                              .interval_ns = 50 * MS,
                                              .timeout_ns = 20 * MS,
                                              .rise = 1,
                                              .fall = 2};
    options.check = &check;
    ups_open(&options, 1);
    fail(3, -EPIPE);
    ups_answer(0, FAKE_REFUSE);
    maker_run_for(&ups.m, 200 * MS);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_DOWN);
    const struct weir_upstream_health known = get_known(0);
    expect_eq(known.state, WEIR_UPSTREAM_DOWN);
    expect_gt(known.ejected_ns, 700 * MS);
    follow(&options);
    add_known(&known);
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_DOWN);
    maker_run_for(&ups.m, 100 * MS);
    expect_str_eq(ups.changes, "b:out ", "its check was good");
    expect_eq(ups.change_err, -EPIPE);
    expect_eq(get_known(1).state, WEIR_UPSTREAM_UP);
}

/* The loop has not run since. */
UNIT(upstream_known, times_that_are_over_unseen_have_nothing_left)
{
    struct weir_upstreams_options options = set_options();
    options.slow_start_ns = 500 * MS;
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .ejected_ns = 1000 * MS,
                                               .slow_start_ns = 500 * MS};
    ups_open(&options, 0);
    add_known(&known);
    fake_spend(2000 * MS);
    expect_eq(get_known(0).ejected_ns, 1, "it is ejected still");
    expect_eq(get_known(0).slow_start_ns, 0);
}

UNIT(upstream_known, the_least_time_that_is_left_is_one)
{
    const struct weir_upstreams_options options = set_options();
    const struct weir_upstream_health known = {
        .size = sizeof(known), .ejected_ns = 1, .err = -EPIPE};
    ups_open(&options, 0);
    add_known(&known);
    expect_eq(get_known(0).ejected_ns, 1);
    expect_eq(get_known(0).err, -EPIPE);
    maker_run_for(&ups.m, 1 * MS);
    expect_str_eq(ups.changes, "a:up ");
}

UNIT(upstream_known, no_time_is_longer_than_those_of_the_set)
{
    struct weir_upstreams_options options = set_options();
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .ejected_count = UINT32_MAX,
                                               .err = 77,
                                               .ejected_ns = UINT64_MAX,
                                               .slow_start_ns = UINT64_MAX};
    options.slow_start_ns = 500 * MS;
    ups_open(&options, 0);
    add_known(&known);
    expect_eq(get_known(0).ejected_ns, 3000 * MS);
    expect_eq(get_known(0).slow_start_ns, 500 * MS);
    expect_lt(get_known(0).err, 0);
    ups_answer(0, FAKE_REFUSE);
    maker_run_for(&ups.m, 3010 * MS);
    expect_str_eq(ups.changes, "a:up ");
    fail(1, 0);
    expect_eq((get_known(0).ejected_ns + MS) / (10 * MS), 300);
}

UNIT(upstream_known, a_slow_start_that_is_longer_than_the_uptime_goes_on)
{
    struct weir_upstreams_options options = set_options();
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .slow_start_ns = 500 * MS};
    options.slow_start_ns = 1000000000 * MS;
    ups_open(&options, 0);
    add_known(&known);
    const uint64_t before_ns = get_known(0).slow_start_ns;
    expect_gt(before_ns, 0);
    fake_spend(2000 * MS);
    expect_eq(get_known(0).slow_start_ns, before_ns - 2000 * MS);
}

UNIT(upstream_known, a_set_without_ejections_and_slow_starts_has_none)
{
    struct weir_upstreams_options options = ups_options();
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .ejected_count = 3,
                                               .ejected_ns = 1000 * MS,
                                               .slow_start_ns = 1000 * MS};
    options.fail_limit = UINT32_MAX;
    ups_open(&options, 0);
    add_known(&known);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP);
    expect_eq(ups_info(0).warm_permille, 1000);
    expect_eq(get_known(0).ejected_count, 0);
}

UNIT(upstream_known, it_may_be_removed_or_freed_while_it_is_ejected)
{
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .ejected_ns = 1000 * MS};
    open_set(0);
    add_known(&known);
    add_known(&known);
    weir_upstream_remove(ups.all[0]);
    expect_eq(get_known(1).ejected_ns, 1000 * MS);
}

UNIT(upstream_known, its_size_is_asked_for)
{
    struct weir_upstream_health known = {.size = 0};
    const struct weir_address address = peer_address("192.0.2.1", 80);
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = weir_endpoint_addresses(&address, 1),
        .health = &known};
    open_set(1);
    expect_eq(weir_upstream_get_health(ups.all[0], &known), WEIR_EOPTIONSIZE);
    expect_eq(weir_upstream_get_health(ups.all[0], NULL), -EINVAL);
    expect_eq(weir_upstreams_add(ups.set, &options, NULL), WEIR_EOPTIONSIZE);
}

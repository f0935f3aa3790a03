/*
 * Sets in which each address of a name is an upstream, on the fake machine:
 * upstreams are added and removed with the answers of the test's resolver, and
 * the others stay the same.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

#include <weir/error.h>
#include <weir/resolver.h>

/* Addresses of one digit each, which are good for five seconds; none: an
 * error. */
static void answer(const char *digits)
{
    struct weir_address addresses[8];
    size_t count = 0;

    for (; digits[count]; count++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.2.%c", digits[count]);
        addresses[count] = peer_address(host, 80);
    }
    weir_lookup *lookup = ups_take_question();
    expect_eq(weir_lookup_set_ttl(lookup, 5000 * MS), 0);
    expect_eq(weir_resolver_reply_addresses(lookup, 0,
                                            count > 0 ? 0 : WEIR_EDNSNOTFOUND,
                                            addresses, count),
              0);
    maker_run_for(&ups.m, 1 * MS);
}

/* The answers of before are not good any more, and there is this one. */
static void then_answer(const char *digits)
{
    maker_run_for(&ups.m, 5000 * MS);
    answer(digits);
}

static void add_spread(struct weir_upstream_options upstream)
{
    upstream.size = sizeof(upstream);
    upstream.name = upstream.name ? upstream.name : "pods";
    upstream.endpoint = weir_endpoint_host("pods.example", 80);
    upstream.each_address = true;
    expect_eq(weir_upstreams_add(ups.set, &upstream, &ups.all[3]), 0);
    maker_run_for(&ups.m, 1 * MS);
}

/* A set of one name; upstreams at 192.0.2.1 to .3 can be connected to. */
static void open_spread(struct weir_upstreams_options options,
                        struct weir_upstream_options upstream)
{
    ups_open(&options, 3);
    for (size_t i = 0; i < 3; i++) {
        weir_upstream_remove(ups.all[i]);
    }
    ups_play_resolver("pods.example");
    add_spread(upstream);
}

static void open_plain(void)
{
    open_spread(ups_options(), (struct weir_upstream_options){.size = 0});
}

/* The upstream at an address; NULL: there is none. */
static weir_upstream *find(char digit)
{
    char name[64];
    snprintf(name, sizeof(name), "pods at 192.0.2.%c:80", digit);
    for (size_t i = 0; i < weir_upstreams_get_count(ups.set); i++) {
        weir_upstream *one = weir_upstreams_get_upstream(ups.set, i);
        if (strcmp(weir_upstream_get_name(one), name) == 0) {
            return one;
        }
    }
    return NULL;
}

/* The last digits of the upstreams, in their order. */
static const char *members(void)
{
    static char digits[16];
    size_t count = 0;
    for (size_t i = 0; i < weir_upstreams_get_count(ups.set); i++) {
        const weir_upstream *one = weir_upstreams_get_upstream(ups.set, i);
        const char *name = weir_upstream_get_name(one);
        if (strncmp(name, "pods at 192.0.2.", 16) == 0) {
            digits[count++] = name[16];
        }
    }
    digits[count] = '\0';
    return digits;
}

static uint32_t active_of(const weir_upstream *upstream)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(upstream, &info), 0);
    return info.active_count;
}

UNIT(upstream_spread, each_address_is_an_upstream)
{
    open_plain();
    expect_str_eq(members(), "");
    answer("312");
    expect_str_eq(members(), "123", "in one order");
    expect_eq(ups_info(3).state, WEIR_UPSTREAM_NAME);
    expect_eq(ups_info(3).address_count, 3);
    expect_eq(ups_set_info().up_count, 3);
    expect_eq(ups_info(3).up_count, 3);
    struct ups_end *ends[6];
    for (int i = 0; i < 6; i++) {
        ends[i] = ups_connect();
        expect_eq(ends[i]->err, 0);
    }
    for (char digit = '1'; digit <= '3'; digit++) {
        expect_eq(active_of(find(digit)), 2);
    }
    for (int i = 0; i < 6; i++) {
        ups_leave(ends[i], 0);
    }
}

UNIT(upstream_spread, they_come_and_go_and_who_stays_is_the_same)
{
    open_plain();
    answer("12");
    weir_upstream *first = find('1');
    weir_upstream *second = find('2');
    struct ups_end *kept = ups_connect();
    expect_eq(weir_upstream_slot_get_upstream(kept->slot), first);
    then_answer("23");
    expect_str_eq(members(), "23");
    expect_eq(find('2'), second);
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(first, &info), 0);
    expect_eq(info.state, WEIR_UPSTREAM_REMOVED);
    expect_eq(info.active_count, 1, "its connections go on");
    expect_eq(weir_transport_is_closing(kept->t), false);
    expect_eq(ups_info(3).active_count, 1, "of one that has gone");
    ups_leave(kept, 0);
    expect_eq(ups_info(3).active_count, 0);
    expect_eq(ups_info(3).chosen_count, 1, "of one that has gone, too");
    expect_eq(ups_info(3).up_count, 2);
    then_answer("321");
    expect_str_eq(members(), "123", "in one order");
    expect_eq(ups.asked_count, 3, "as often as answers are not good any more");
}

UNIT(upstream_spread, addresses_stand_in_the_place_of_their_name)
{
    struct weir_upstreams_options options = ups_options();
    struct weir_upstream_options beside = {.size = sizeof(beside)};
    const struct weir_address address = peer_address("192.0.2.3", 80);
    options.balance = WEIR_BALANCE_FIRST;
    open_spread(options, (struct weir_upstream_options){.size = 0});
    beside.endpoint = weir_endpoint_addresses(&address, 1);
    expect_eq(weir_upstreams_add(ups.set, &beside, &ups.all[2]), 0);
    answer("21");
    expect_eq(weir_upstreams_get_upstream(ups.set, 0), ups.all[3]);
    expect_eq(weir_upstreams_get_upstream(ups.set, 1), find('1'));
    expect_eq(weir_upstreams_get_upstream(ups.set, 2), find('2'));
    expect_eq(weir_upstreams_get_upstream(ups.set, 3), ups.all[2]);
    weir_upstream *first = find('1');
    struct ups_end *end = ups_connect();
    expect_eq(weir_upstream_slot_get_upstream(end->slot), first,
              "before what was added later");
    ups_leave(end, 0);
}

UNIT(upstream_spread, a_pause_of_checks_is_that_of_all)
{
    static const struct weir_upstream_check plan = {
        .size = sizeof(plan), .interval_ns = 1000 * MS, .timeout_ns = 100 * MS};
    struct weir_upstreams_options options = ups_options();
    options.check = &plan;
    open_spread(options, (struct weir_upstream_options){.size = 0});
    answer("1");
    maker_run_for(&ups.m, 10 * MS);
    weir_upstream_pause_checks(ups.all[3], true);
    const uint64_t before = ups_info(3).check_count;
    then_answer("12");
    maker_run_for(&ups.m, 4000 * MS);
    expect_eq(ups_info(3).check_count, before, "of new ones, too");
    weir_upstream_pause_checks(ups.all[3], false);
    maker_run_for(&ups.m, 10 * MS);
    expect_eq(ups_info(3).check_count, before + 2);
}

UNIT(upstream_spread, an_answer_that_is_an_error_changes_nothing)
{
    open_plain();
    answer("12");
    then_answer("");
    expect_str_eq(members(), "12");
    expect_eq(ups_info(3).lookup_error_count, 1);
}

UNIT(upstream_spread, requests_wait_for_the_first_answer)
{
    open_plain();
    ups_ask(NULL);
    maker_run_for(&ups.m, 500 * MS);
    expect_eq(ups.end_count, 0);
    answer("2");
    ups_run_until(1);
    expect_eq(ups.ends[0].err, 0);
    ups_leave(&ups.ends[0], 0);
}

UNIT(upstream_spread, where_the_first_answer_is_an_error_there_is_none)
{
    open_plain();
    ups_ask(NULL);
    maker_run_for(&ups.m, 500 * MS);
    answer("");
    ups_run_until(1);
    expect_eq(ups.ends[0].err, -EHOSTDOWN);
    maker_run_for(&ups.m, 1010 * MS); /* it is asked again soon */
    answer("1");
    ups_leave(ups_connect(), 0);
    expect_eq(ups.ends[1].err, 0, "later");
}

UNIT(upstream_spread, another_set_begins_with_the_last_good_answer)
{
    struct weir_upstreams_options options = ups_options();
    weir_upstreams *first = NULL;
    weir_upstreams_shared *shared;
    expect_eq(weir_upstreams_shared_new(NULL, &shared), 0);
    options.shared = shared;
    options.balance = WEIR_BALANCE_FIRST;
    options.stay = true;
    open_spread(options, (struct weir_upstream_options){.size = 0});
    answer("12");
    ups_answer(0, FAKE_REFUSE);
    struct ups_end *kept = ups_connect();
    expect_eq(weir_upstream_slot_get_upstream(kept->slot), find('2'));
    then_answer("");
    first = ups.set;
    expect_eq(weir_upstreams_new(ups.m.loop, &options, &ups.set), 0);
    add_spread((struct weir_upstream_options){.size = 0});
    weir_upstreams_replace(first);
    weir_upstreams_free(first);
    expect_str_eq(members(), "12", "while it is asked for");
    expect_gt(ups_info(3).address_count, 0);
    answer("");
    expect_str_eq(members(), "12", "after an error");
    ups_leave(ups_connect(), 0);
    expect_eq(ups.ends[1].err, 0);
    weir_upstreams_shared_free(shared);
    ups_leave(kept, 0);
}

UNIT(upstream_spread, a_set_that_is_retired_asks_no_more)
{
    open_plain();
    weir_upstreams_replace(ups.set);
    ups_ask(NULL);
    answer("12");
    ups_run_until(1);
    expect_eq(ups.ends[0].err, 0, "a lookup that was under way");
    ups_leave(&ups.ends[0], 0);
    maker_run_for(&ups.m, 60000 * MS);
    expect_eq(ups.asked_count, 1);
    expect_str_eq(members(), "12");
}

UNIT(upstream_spread, weight_drain_and_limit_are_those_of_all)
{
    open_spread(ups_options(),
                (struct weir_upstream_options){
                    .connection_limit = 7, .weight = 5, .is_backup = true});
    answer("1");
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(find('1'), &info), 0);
    expect_eq(info.weight, 5);
    expect_eq(info.connection_limit, 7);
    expect_eq(info.is_backup, true);
    expect_eq(weir_upstream_set_weight(ups.all[3], 0), 0);
    weir_upstream_set_draining(ups.all[3], true);
    then_answer("12");
    for (char digit = '1'; digit <= '2'; digit++) {
        expect_eq(weir_upstream_get_statistics(find(digit), &info), 0);
        expect_eq(info.weight, 0);
        expect_eq(info.state, WEIR_UPSTREAM_DRAINING);
    }
    expect_eq(ups_connect()->err, -EHOSTDOWN);
    expect_eq(weir_upstream_set_weight(ups.all[3], 1), 0);
    weir_upstream_set_draining(ups.all[3], false);
    ups_leave(ups_connect(), 0);
    expect_eq(ups.ends[1].err, 0);
}

UNIT(upstream_spread, a_removal_is_that_of_all)
{
    open_plain();
    answer("12");
    struct ups_end *kept = ups_connect();
    weir_upstream_remove(ups.all[3]);
    expect_eq(weir_upstreams_get_count(ups.set), 0);
    ups_leave(kept, 0);
}

UNIT(upstream_spread, the_set_may_be_freed_with_a_lookup_under_way)
{
    open_plain();
    answer("12");
    struct ups_end *kept = ups_connect();
    maker_run_for(&ups.m, 5000 * MS);
    weir_upstreams_free(ups.set);
    ups.set = NULL;
    expect_eq(ups.asked, NULL, "the lookup was cancelled");
    ups_leave(kept, 0);
}

UNIT(upstream_spread, each_is_checked)
{
    static const struct weir_upstream_check plan = {.size = sizeof(plan),
                                                    .interval_ns = 1000 * MS,
                                                    .timeout_ns = 100 * MS,
                                                    .fall = 1,
                                                    .starts_down = true};
    struct weir_upstreams_options options = ups_options();
    options.check = &plan;
    open_spread(options, (struct weir_upstream_options){.size = 0});
    ups.changes[0] = '\0';
    ups_answer(1, FAKE_REFUSE);
    answer("12");
    maker_run_for(&ups.m, 10 * MS);
    expect_str_eq(ups.changes, "pods at 192.0.2.1:80:up "
                               "pods at 192.0.2.2:80:down ");
    weir_upstream *second = find('2');
    then_answer("2");
    expect_eq(find('2'), second);
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(second, &info), 0);
    expect_eq(info.state, WEIR_UPSTREAM_DOWN);
    expect_gt(info.check_error_count, 3, "its counts are kept");
    expect_eq(ups_info(3).last_err, -ECONNREFUSED, "of the name, too");
}

/* Steps of a dialogue, a place of its own, and a user: what a plan points to is
 * the same for each. */
/* Its connection keeps what checks have found of it. */
UNIT(upstream_spread, one_that_comes_back_is_checked_before_it_is_used)
{
    static const struct weir_upstream_check plan = {.size = sizeof(plan),
                                                    .interval_ns = 1000 * MS,
                                                    .timeout_ns = 100 * MS,
                                                    .rise = 1,
                                                    .fall = 1,
                                                    .starts_down = true};
    struct weir_upstreams_options options = ups_options();
    options.check = &plan;
    open_spread(options, (struct weir_upstream_options){.size = 0});
    answer("1");
    struct ups_end *kept = ups_connect();
    expect_eq(kept->err, 0);
    then_answer("2");
    ups_answer(0, FAKE_SILENT);
    then_answer("12");
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(find('1'), &info), 0);
    expect_eq(info.state, WEIR_UPSTREAM_CHECKING);
    maker_run_for(&ups.m, 100 * MS);
    expect_eq(weir_upstream_get_statistics(find('1'), &info), 0);
    expect_eq(info.state, WEIR_UPSTREAM_DOWN);
    ups_leave(kept, 0);
}

UNIT(upstream_spread, each_is_checked_by_the_plan_of_its_name)
{
    static const struct weir_upstream_check_step steps[] = {
        {.send = "PING", .send_size = 4, .expect = "OK", .expect_size = 2}};
    const struct weir_address at = peer_address("192.0.2.9", 99);
    const struct weir_upstream_check plans[] = {
        {.kind = WEIR_UPSTREAM_CHECK_TCP},
        {.kind = WEIR_UPSTREAM_CHECK_TCP, .port = 99},
        {.kind = WEIR_UPSTREAM_CHECK_TCP,
         .endpoint = weir_endpoint_addresses(&at, 1)},
        {.kind = WEIR_UPSTREAM_CHECK_TCP,
         .endpoint = weir_endpoint_host("192.0.2.9", 99)},
        {.kind = WEIR_UPSTREAM_CHECK_TCP,
         .endpoint = weir_endpoint_unix("/checks")},
        {.kind = WEIR_UPSTREAM_CHECK_HTTP, .host = "host", .path = "/health"},
        {.kind = WEIR_UPSTREAM_CHECK_TEXT, .send = "PING", .send_size = 4},
        {.kind = WEIR_UPSTREAM_CHECK_TEXT, .steps = steps, .step_count = 1},
        {.kind = WEIR_UPSTREAM_CHECK_POSTGRES, .user = "user"},
        {.kind = WEIR_UPSTREAM_CHECK_MYSQL, .user = "user"},
    };
    open_plain();
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        struct weir_upstream_check plan = plans[i];
        plan.size = sizeof(plan);
        plan.interval_ns = 1000 * MS;
        weir_upstream_remove(ups.all[3]);
        add_spread((struct weir_upstream_options){.check = &plan});
        answer("12");
        expect_str_eq(members(), "12", "plan %zu", i);
        maker_run_for(&ups.m, 10 * MS);
        then_answer("2");
        expect_str_eq(members(), "2", "plan %zu", i);
    }
}

UNIT(upstream_spread, the_address_is_in_the_name_of_each_however_long_it_is)
{
    char name[700];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    open_plain();
    weir_upstream_remove(ups.all[3]);
    add_spread((struct weir_upstream_options){.name = name});
    answer("12");
    for (size_t i = 1; i <= 2; i++) {
        const char *its =
            weir_upstream_get_name(weir_upstreams_get_upstream(ups.set, i));
        expect_str_eq(strrchr(its, ' '),
                      i == 1 ? " 192.0.2.1:80" : " 192.0.2.2:80");
    }
}

UNIT(upstream_spread, a_literal_address_is_one)
{
    const struct weir_upstream_options upstream = {
        .size = sizeof(upstream),
        .endpoint = weir_endpoint_host("192.0.2.1", 80),
        .each_address = true};
    ups_open(NULL, 1);
    weir_upstream_remove(ups.all[0]);
    expect_eq(weir_upstreams_add(ups.set, &upstream, NULL), 0);
    ups_leave(ups_connect(), 0);
    expect_eq(ups.ends[0].err, 0);
    expect_eq(weir_upstreams_get_count(ups.set), 1);
}

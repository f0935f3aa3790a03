/*
 * Which upstream WEIR_BALANCE_FIRST uses, on the fake machine: when checks find
 * it down, another one is used; when a better one is up again, the set changes
 * back or not; changes are reported. Also requests that are connecting to an
 * upstream that goes down.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

static struct weir_upstream_check plan;

/* Checks every 10 ms or so, of which one decides. */
static struct weir_upstreams_options options_of(bool stay)
{
    struct weir_upstreams_options options = ups_options();
    plan = (struct weir_upstream_check){.size = sizeof(plan),
                                        .interval_ns = 10 * MS,
                                        .timeout_ns = 100 * MS,
                                        .rise = 1,
                                        .fall = 1};
    options.check = &plan;
    options.balance = WEIR_BALANCE_FIRST;
    options.fail_limit = UINT32_MAX;
    options.stay = stay;
    return options;
}

static void open_set(bool stay, int count)
{
    const struct weir_upstreams_options options = options_of(stay);
    ups_open(&options, count);
}

static void turn(size_t index, enum fake_answer answer)
{
    ups_answer(index, answer);
    maker_run_for(&ups.m, 30 * MS);
}

static void expect_used(char name)
{
    struct ups_end *end = ups_connect();
    expect_eq(end->err, 0);
    expect_eq(end->name, name);
    ups_leave(end, 0);
}

UNIT(upstream_use, a_better_one_is_used_again_by_default)
{
    open_set(false, 3);
    expect_used('a');
    turn(0, FAKE_REFUSE);
    expect_used('b');
    expect_eq(ups_info(0).in_use_ns, 0);
    expect_gt(ups_info(1).in_use_ns, 0);
    turn(0, FAKE_ACCEPT);
    expect_used('a');
    expect_str_eq(ups.uses, "a b a ");
}

UNIT(upstream_use, one_that_is_to_stay_is_used_while_it_is_up)
{
    open_set(true, 3);
    expect_used('a');
    turn(0, FAKE_REFUSE);
    expect_used('b');
    turn(0, FAKE_ACCEPT);
    const uint64_t before_ns = ups_info(1).in_use_ns;
    expect_geq(before_ns, 20 * MS);
    expect_used('b');
    expect_gt(ups_info(1).in_use_ns, before_ns, "all the time");
    turn(1, FAKE_REFUSE);
    expect_used('a');
    turn(1, FAKE_ACCEPT);
    expect_used('a');
    expect_str_eq(ups.uses, "a b a ");
}

UNIT(upstream_use, it_changes_without_connections)
{
    open_set(true, 2);
    turn(0, FAKE_REFUSE);
    turn(0, FAKE_ACCEPT);
    turn(1, FAKE_REFUSE);
    turn(1, FAKE_ACCEPT);
    expect_str_eq(ups.uses, "a b a ");
    expect_used('a');
}

UNIT(upstream_use, a_backup_may_stay)
{
    open_set(true, 1);
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options), .is_backup = true});
    turn(0, FAKE_REFUSE);
    turn(0, FAKE_ACCEPT);
    expect_used('b');
}

UNIT(upstream_use, one_that_is_drained_does_not_stay)
{
    open_set(true, 2);
    expect_used('a');
    weir_upstream_set_draining(ups.all[0], true);
    expect_used('b');
    weir_upstream_set_draining(ups.all[0], false);
    expect_used('b');
    weir_upstream_remove(ups.all[1]);
    expect_used('a');
    expect_str_eq(ups.uses, "a b a ");
}

UNIT(upstream_use, where_none_is_up_the_first_that_comes_back_is_used)
{
    open_set(true, 2);
    turn(0, FAKE_REFUSE);
    turn(1, FAKE_REFUSE);
    expect_eq(ups_connect()->err, -EHOSTDOWN);
    expect_eq(ups_info(0).in_use_ns + ups_info(1).in_use_ns, 0);
    turn(0, FAKE_ACCEPT);
    turn(1, FAKE_ACCEPT);
    expect_used('a');
    expect_str_eq(ups.uses, "a b a ");
}

/* Adds one that was in use elsewhere. */
static void add_known(uint64_t in_use_ns, enum weir_upstream_state state)
{
    const struct weir_upstream_health known = {
        .size = sizeof(known), .state = state, .in_use_ns = in_use_ns};
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options), .health = &known});
}

UNIT(upstream_use, what_is_known_of_it_goes_on)
{
    struct weir_upstream_health known = {.size = sizeof(known)};
    open_set(true, 1);
    add_known(500 * MS, WEIR_UPSTREAM_UP);
    expect_used('b');
    expect_geq(ups_info(1).in_use_ns, 500 * MS);
    expect_eq(weir_upstream_get_health(ups.all[1], &known), 0);
    expect_geq(known.in_use_ns, 500 * MS);
    expect_eq(weir_upstream_get_health(ups.all[0], &known), 0);
    expect_eq(known.in_use_ns, 0);
    expect_str_eq(ups.uses, "b ");
}

UNIT(upstream_use, whatever_is_known_of_it_is_no_fault)
{
    open_set(true, 1);
    add_known(UINT64_MAX, WEIR_UPSTREAM_DOWN);
    add_known(1, 0);
    maker_run_for(&ups.m, 5 * MS);
    expect_used('a');
}

UNIT(upstream_use, the_first_check_of_one_that_was_in_use_is_waited_for)
{
    struct weir_upstreams_options options = options_of(true);
    plan.starts_down = true;
    ups_open(&options, 1);
    add_known(500 * MS, 0);
    fake_listener_set(ups.listeners[1], FAKE_ACCEPT, 50 * MS);
    expect_used('b');
    expect_geq(ups_ms(), 50);
}

static void expect_awaited(bool is_backup)
{
    const struct weir_upstream_options upstream = {.size = sizeof(upstream),
                                                   .is_backup = is_backup};
    struct weir_upstreams_options options = options_of(true);
    plan.starts_down = true;
    ups_open(&options, 0);
    ups_add(&upstream);
    ups_add(&upstream);
    fake_listener_set(ups.listeners[0], FAKE_ACCEPT, 50 * MS);
    expect_used('a');
    expect_geq(ups_ms(), 50);
    expect_str_eq(ups.uses, "a ");
}

UNIT(upstream_use, the_first_check_of_a_better_one_is_waited_for)
{
    expect_awaited(false);
}

UNIT(upstream_use, the_first_check_of_a_better_backup_is_waited_for)
{
    expect_awaited(true);
}

UNIT(upstream_use, the_set_may_be_freed_when_it_is_told)
{
    open_set(true, 2);
    ups.frees_when_used = true;
    maker_run_for(&ups.m, 30 * MS);
    expect_eq(ups.set == NULL, true);
}

UNIT(upstream_use, stay_is_for_the_first_alone)
{
    struct weir_upstreams_options options = options_of(true);
    weir_upstreams *set;
    ups_open(NULL, 0);
    options.balance = WEIR_BALANCE_ROUND_ROBIN;
    expect_eq(weir_upstreams_new(ups.m.loop, &options, &set), -EINVAL);
}

UNIT(upstream_use, another_balance_uses_none)
{
    ups_open(NULL, 2);
    ups_leave(ups_connect(), 0);
    expect_eq(ups_info(0).in_use_ns + ups_info(1).in_use_ns, 0);
    expect_str_eq(ups.uses, "");
}

UNIT(upstream_use, a_request_leaves_one_that_is_found_down)
{
    struct weir_upstreams_options options = options_of(false);
    const struct weir_upstreams_connect_options one_try = {
        .size = sizeof(one_try),
        .tries = 1,
        .connect = {.size = sizeof(one_try.connect)}};
    options.leave_down = true;
    ups_open(&options, 2);
    maker_run_for(&ups.m, 5 * MS);
    ups_answer(0, FAKE_SILENT);
    ups_ask(&one_try);
    ups_ask(&one_try);
    ups_run_until(2);
    for (int i = 0; i < 2; i++) {
        expect_eq(ups.ends[i].err, 0);
        expect_eq(ups.ends[i].name, 'b');
        expect_eq(ups.ends[i].try_count, 1, "the other try does not count");
        ups_leave(&ups.ends[i], 0);
    }
    expect_leq(ups_ms(), 200);
    expect_eq(ups_info(0).connect_error_count, 0);
}

UNIT(upstream_use, where_no_other_is_up_it_has_none)
{
    struct weir_upstreams_options options = options_of(false);
    options.leave_down = true;
    ups_open(&options, 1);
    maker_run_for(&ups.m, 5 * MS);
    ups_answer(0, FAKE_SILENT);
    expect_eq(ups_connect()->err, -EHOSTDOWN);
    expect_leq(ups_ms(), 200);
}

UNIT(upstream_use, by_default_it_goes_on_connecting)
{
    open_set(false, 2);
    maker_run_for(&ups.m, 5 * MS);
    ups_answer(0, FAKE_SILENT);
    ups_ask(NULL);
    maker_run_for(&ups.m, 1000 * MS);
    expect_str_eq(ups.changes, "a:down ");
    expect_eq(ups.end_count, 0);
}

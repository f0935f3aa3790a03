/*
 * What several sets share, on the fake machine: sets of a loop, which post to
 * each other as between loops. Several sets must choose as one set would, and
 * know what one of them has found.
 */
#define UNIT_RUN shared_test
#include "tests/contract/maker.h"
#include "tests/fake/fake.h"

#include <weir/embed.h>
#include <weir/upstream.h>

enum { SETS = 16, TARGETS = 4, CHOICES = 64 };

static struct maker m;
static weir_upstreams_shared *shared;
static weir_upstreams *sets[SETS]; /* NULL: there is none */
static weir_upstream *upstreams[SETS][TARGETS];
static struct weir_address addresses[TARGETS];
static struct fake_listener *listeners[TARGETS];
static struct weir_upstream_check plan; /* of the next sets, if interval_ns */
static char changes[SETS][64];          /* told by each set, "a:down b:up " */
static struct weir_upstreams_options set_options; /* of the next sets */
static uint32_t weights[TARGETS];                 /* of the next upstreams */
static uint32_t limit;                            /* likewise; 0: none */

/* Connections, in the order of their ends. */
static weir_upstream_slot *slots[CHOICES];
static char chosen[CHOICES + 1]; /* the names of their upstreams */
static size_t chosen_count;

static void shared_test(void (*body)(void))
{
    const struct fake_options machine = {.seed = 1};
    fake_start(&machine);
    maker_open(&m);
    memset(sets, 0, sizeof(sets));
    memset(chosen, 0, sizeof(chosen));
    memset(changes, 0, sizeof(changes));
    chosen_count = 0;
    plan = (struct weir_upstream_check){
        .size = sizeof(plan), .timeout_ns = 100 * MS, .rise = 1, .fall = 1};
    set_options =
        (struct weir_upstreams_options){.size = sizeof(set_options), .seed = 7};
    for (int i = 0; i < TARGETS; i++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.2.%d", i + 1);
        addresses[i] = peer_address(host, 80);
        weights[i] = 1;
        listeners[i] = fake_listen(&addresses[i].storage.any, addresses[i].len);
        fake_listener_set(listeners[i], FAKE_ACCEPT, 1 * MS);
    }
    expect_eq(weir_upstreams_shared_new(NULL, &shared), 0);
    body();
    for (int i = 0; i < SETS; i++) {
        weir_upstreams_free(sets[i]);
    }
    weir_upstreams_shared_free(shared);
    maker_run_for(&m, 5 * MS);
    for (size_t i = 0; i < chosen_count; i++) {
        weir_upstream_slot_release(slots[i], 0);
    }
    maker_close(&m);
    fake_stop();
}

/* Adds an upstream of this name at the address of a target. */
static weir_upstream *add(int set, const char *name, int target)
{
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .name = name,
        .endpoint = weir_endpoint_addresses(&addresses[target], 1),
        .weight = weights[target],
        .connection_limit = limit};
    weir_upstream *upstream = NULL;
    expect_eq(weir_upstreams_add(sets[set], &options, &upstream), 0);
    return upstream;
}

static void note_change(void *arg, weir_upstream *upstream,
                        enum weir_upstream_state state, int err)
{
    char *text = arg;
    const size_t len = strlen(text);
    snprintf(text + len, sizeof(changes[0]) - len, "%s:%s ",
             weir_upstream_get_name(upstream),
             state == WEIR_UPSTREAM_UP     ? "up"
             : state == WEIR_UPSTREAM_DOWN ? "down"
                                           : "ejected");
    cr_assert((err < 0) == (state != WEIR_UPSTREAM_UP));
}

static void make_set(int set, weir_upstreams_shared *with)
{
    struct weir_upstreams_options options = set_options;
    options.shared = with;
    options.check = plan.interval_ns > 0 ? &plan : NULL;
    options.changed = options.changed ? options.changed : note_change;
    options.changed_arg = changes[set];
    expect_eq(weir_upstreams_new(m.loop, &options, &sets[set]), 0);
}

/* Makes a set with the upstreams "a" to "d". */
static void open_set(int set, weir_upstreams_shared *with)
{
    make_set(set, with);
    for (int i = 0; i < TARGETS; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        upstreams[set][i] = add(set, name, i);
    }
}

static void open_sets(int count)
{
    for (int i = 0; i < count; i++) {
        open_set(i, shared);
    }
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    (void)arg;
    expect_eq(err, 0);
    expect_lt(chosen_count, CHOICES);
    chosen[chosen_count] = weir_upstream_get_name(result->upstream)[0];
    slots[chosen_count++] = result->slot;
    weir_transport_abort(result->transport);
}

static void ask(int set, int key)
{
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .key = &key, .key_size = sizeof(key)};
    expect_eq(weir_upstreams_connect(sets[set], &m.factory, &options, note_end,
                                     NULL, NULL),
              0);
}

/* Asks sets in turn for one connection each; returns who was chosen. */
static const char *choose(int set_count, int count)
{
    const size_t before = chosen_count;
    for (int i = 0; i < count; i++) {
        ask(i % set_count, i);
        maker_run_for(&m, 5 * MS);
    }
    expect_eq(chosen_count, before + (size_t)count);
    return chosen + before;
}

static void leave(size_t connection)
{
    weir_upstream_slot_release(slots[connection], 0);
    slots[connection] = NULL;
}

static int count_of(char name)
{
    int count = 0;
    for (const char *c = chosen; *c != '\0'; c++) {
        count += *c == name;
    }
    return count;
}

static void expect_even(int count)
{
    for (int i = 0; i < TARGETS; i++) {
        expect_eq(count_of((char)('a' + i)), count);
    }
}

/* What a set alone chooses, of its own. */
static void choose_alone(enum weir_balance balance, int count, char *ret)
{
    set_options.balance = balance;
    open_set(0, NULL);
    strcpy(ret, choose(1, count));
    weir_upstreams_free(sets[0]);
    sets[0] = NULL;
    for (size_t i = 0; i < chosen_count; i++) {
        leave(i);
    }
    chosen_count = 0;
    memset(chosen, 0, sizeof(chosen));
}

static void expect_choices_of_one(enum weir_balance balance)
{
    char alone[CHOICES + 1];
    choose_alone(balance, CHOICES, alone);
    open_sets(SETS);
    expect_str_eq(choose(SETS, CHOICES), alone);
}

UNIT(upstream_shared, sets_take_turns_as_one_does)
{
    weights[1] = 3;
    expect_choices_of_one(WEIR_BALANCE_ROUND_ROBIN);
}

UNIT(upstream_shared, sets_know_the_fewest_connections_as_one_does)
{
    weights[1] = 3;
    expect_choices_of_one(WEIR_BALANCE_LEAST_CONNECTIONS);
}

/* All were given the seed of the one. */
UNIT(upstream_shared, sets_draw_as_one_does)
{
    weights[1] = 3;
    expect_choices_of_one(WEIR_BALANCE_RANDOM_TWO);
}

UNIT(upstream_shared, sets_choose_by_key_as_one_does)
{
    weights[1] = 3;
    expect_choices_of_one(WEIR_BALANCE_HASH);
}

UNIT(upstream_shared, one_connection_of_each_set_takes_its_turn)
{
    open_sets(SETS);
    expect_str_eq(choose(SETS, SETS), "abcdabcdabcdabcd");
}

UNIT(upstream_shared, one_connection_of_each_set_goes_to_the_least_busy)
{
    set_options.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    open_sets(SETS);
    choose(SETS, SETS);
    expect_even(SETS / TARGETS);
}

/* All ask before any is connected. */
UNIT(upstream_shared, sets_that_ask_at_once_choose_evenly)
{
    set_options.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    open_sets(SETS);
    for (int i = 0; i < SETS; i++) {
        ask(i, i);
    }
    maker_run_for(&m, 5 * MS);
    expect_even(SETS / TARGETS);
}

UNIT(upstream_shared, two_draws_know_connections_of_all_sets)
{
    set_options.balance = WEIR_BALANCE_RANDOM_TWO;
    weights[0] = weights[1] = 1;
    for (int i = 0; i < SETS; i++) {
        make_set(i, shared);
        upstreams[i][0] = add(i, "a", 0);
        upstreams[i][1] = add(i, "b", 1);
    }
    choose(SETS, SETS); /* the two that are drawn are always these */
    expect_eq(count_of('a'), SETS / 2);
    expect_eq(count_of('b'), SETS / 2);
}

UNIT(upstream_shared, a_weight_holds_over_sets)
{
    weights[0] = 5;
    open_sets(SETS);
    choose(SETS, SETS);
    expect_eq(count_of('a'), 10);
    expect_eq(count_of('b'), 2);
    expect_eq(count_of('c'), 2);
    expect_eq(count_of('d'), 2);
}

UNIT(upstream_shared, a_connection_that_ends_counts_no_more_in_any_set)
{
    set_options.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    open_sets(2);
    choose(1, TARGETS);
    leave((size_t)(strchr(chosen, 'c') - chosen));
    ask(1, 0);
    maker_run_for(&m, 5 * MS);
    expect_eq(chosen[TARGETS], 'c');
}

UNIT(upstream_shared, connections_of_a_set_that_was_freed_count)
{
    set_options.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    open_set(0, shared);
    choose(1, 3);
    weir_upstreams_free(sets[0]);
    open_set(0, shared);
    char last = 'a';
    for (; count_of(last) > 0; last++) {
    }
    expect_eq(choose(1, 1)[0], last);
}

UNIT(upstream_shared, connections_of_an_upstream_that_was_removed_count)
{
    set_options.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    open_sets(2);
    choose(1, TARGETS);
    weir_upstream_remove(upstreams[0][0]);
    upstreams[0][0] = add(0, "a", 0);
    leave((size_t)(strchr(chosen, 'b') - chosen));
    expect_eq(choose(1, 1)[0], 'b');
}

/* Its new place is another server. */
UNIT(upstream_shared, a_name_at_another_place_counts_apart)
{
    set_options.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    make_set(0, shared);
    add(0, "a", 0);
    choose(1, 3);
    make_set(1, shared);
    add(1, "a", 1);
    add(1, "b", 2);
    for (int i = 0; i < 4; i++) {
        ask(1, i);
        maker_run_for(&m, 5 * MS);
    }
    expect_eq(count_of('a'), 3 + 2);
    expect_eq(count_of('b'), 2);
}

/* The first of each set are one target, and the second are another. */
UNIT(upstream_shared, upstreams_of_one_name_and_place_count_in_their_order)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    for (int i = 0; i < 2; i++) {
        make_set(i, shared);
        upstreams[i][0] = add(i, "a", 0);
        upstreams[i][1] = add(i, "a", 0);
    }
    choose(2, 4); /* the first set begins with its first: it goes on there */
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            expect_eq(weir_upstream_get_statistics(upstreams[i][j], &info), 0);
            expect_eq(info.chosen_count, i == j ? 2 : 0);
            expect_eq(info.active_count, info.chosen_count);
        }
    }
}

UNIT(upstream_shared, a_weight_of_one_set_is_its_own)
{
    set_options.balance = WEIR_BALANCE_LEAST_CONNECTIONS;
    open_sets(2);
    for (int i = 1; i < TARGETS; i++) {
        expect_eq(weir_upstream_set_weight(upstreams[0][i], 0), 0);
    }
    expect_str_eq(choose(1, 2), "aa");
    for (int i = 0; i < 6; i++) {
        ask(1, i);
        maker_run_for(&m, 5 * MS);
    }
    expect_even(2);
}

/* More changes than are known one by one, which are about another upstream. */
UNIT(upstream_shared, a_place_that_was_taken_long_ago_is_known)
{
    limit = 1;
    weights[0] = 100;
    open_set(1, shared);
    make_set(0, shared);
    upstreams[0][0] = add(0, "a", 0);
    upstreams[0][1] = add(0, "b", 1);
    ask(1, 0); /* all have a place */
    maker_run_for(&m, 5 * MS);
    leave(0);
    expect_eq(weir_upstream_set_weight(upstreams[0][1], 0), 0);
    ask(0, 0);
    maker_run_for(&m, 5 * MS);
    expect_eq(weir_upstream_set_weight(upstreams[0][1], 1), 0);

    for (int i = 0; i < 40; i++) {
        ask(0, 0);
        maker_run_for(&m, 5 * MS);
        leave(chosen_count - 1);
    }
    const size_t before = chosen_count;
    for (int i = 0; i < TARGETS - 1; i++) {
        ask(1, i);
        maker_run_for(&m, 5 * MS);
    }

    expect_eq(chosen_count, before + TARGETS - 1);
    cr_assert(!strchr(chosen + before, 'a'), "%s", chosen + before);
}

static struct weir_upstream_statistics info_of(int set, int target)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(upstreams[set][target], &info), 0);
    return info;
}

static void open_small_set(int set)
{
    make_set(set, shared);
    upstreams[set][0] = add(set, "a", 0);
}

/* Sets with the first target alone, which eject it after three failures. */
static void open_failing_sets(int count)
{
    set_options.fail_limit = 3;
    set_options.eject_ns = 100 * MS;
    for (int i = 0; i < count; i++) {
        open_small_set(i);
    }
}

/* A connection of the set ends, with this verdict. */
static void end_one(int set, int verdict)
{
    ask(set, 0);
    maker_run_for(&m, 5 * MS);
    weir_upstream_slot_release(slots[chosen_count - 1], verdict);
    slots[chosen_count - 1] = NULL;
}

static void eject(int set)
{
    for (int i = 0; i < 3; i++) {
        end_one(set, -EPIPE);
    }
    expect_eq(info_of(set, 0).state, WEIR_UPSTREAM_EJECTED);
}

static void free_set(int set)
{
    weir_upstreams_free(sets[set]);
    sets[set] = NULL;
}

/* Of the first target. */
static void expect_states(int count, enum weir_upstream_state state)
{
    for (int i = 0; i < count; i++) {
        expect_eq(info_of(i, 0).state, state);
    }
}

UNIT(upstream_findings, failures_of_all_sets_are_one_row)
{
    open_failing_sets(3);
    for (int i = 0; i < 3; i++) {
        expect_states(3, WEIR_UPSTREAM_UP);
        end_one(i, -EPIPE);
    }
    expect_states(3, WEIR_UPSTREAM_EJECTED);
    maker_run_for(&m, 5 * MS);
    uint64_t ejected_count = 0;
    for (int i = 0; i < 3; i++) {
        expect_str_eq(changes[i], "a:ejected ");
        expect_eq(info_of(i, 0).last_err, -EPIPE);
        ejected_count += info_of(i, 0).ejected_count;
    }
    expect_eq(ejected_count, 1);
}

UNIT(upstream_findings, a_finding_of_another_set_is_looked_at_once)
{
    open_failing_sets(2);
    eject(0);

    while (changes[1][0] == '\0') {
        expect_eq(weir_loop_get_deadline(m.loop), 0);
        expect_eq(weir_loop_run_once(m.loop), 0);
    }

    expect_gt(weir_loop_get_deadline(m.loop), weir_loop_get_time(m.loop));
}

UNIT(upstream_findings, a_success_in_any_set_breaks_the_row)
{
    open_failing_sets(2);
    end_one(0, -EPIPE);
    end_one(0, -EPIPE);
    end_one(1, 0);
    end_one(0, -EPIPE);
    end_one(1, -EPIPE);
    expect_states(2, WEIR_UPSTREAM_UP);
    end_one(0, -EPIPE);
    expect_states(2, WEIR_UPSTREAM_EJECTED);
}

UNIT(upstream_findings, an_ejection_ends_in_all_sets)
{
    set_options.slow_start_ns = 1000 * MS;
    open_failing_sets(2);
    eject(0);
    maker_run_for(&m, 105 * MS);
    expect_states(2, WEIR_UPSTREAM_UP);
    for (int i = 0; i < 2; i++) {
        expect_str_eq(changes[i], "a:ejected a:up ");
        expect_lt(info_of(i, 0).warm_permille, 100, "it starts slowly");
    }
    end_one(1, -EPIPE);
    expect_states(2, WEIR_UPSTREAM_EJECTED);
}

UNIT(upstream_findings, an_ejection_ends_without_the_set_that_began_it)
{
    open_failing_sets(3);
    eject(0);
    free_set(0); /* before others are called */
    maker_run_for(&m, 105 * MS);
    expect_str_eq(changes[1], "a:ejected a:up ");
    expect_str_eq(changes[2], "a:ejected a:up ");
}

UNIT(upstream_findings, a_set_that_joins_knows_of_an_ejection)
{
    open_failing_sets(1);
    eject(0);
    open_small_set(1);
    free_set(0);
    expect_eq(info_of(1, 0).state, WEIR_UPSTREAM_EJECTED);
    maker_run_for(&m, 105 * MS);
    expect_str_eq(changes[1], "a:up ");
}

UNIT(upstream_findings, a_set_that_never_ejects_takes_no_notice)
{
    open_failing_sets(1);
    set_options.fail_limit = UINT32_MAX;
    open_small_set(1);
    for (int i = 0; i < 9; i++) {
        end_one(1, -EPIPE);
    }
    expect_states(2, WEIR_UPSTREAM_UP);
    eject(0);
    maker_run_for(&m, 5 * MS);
    expect_eq(info_of(1, 0).state, WEIR_UPSTREAM_UP);
    expect_str_eq(changes[1], "");
}

static uint64_t count_checks(int set)
{
    const struct weir_upstream_statistics info = info_of(set, 0);
    return info.check_count + info.check_error_count;
}

static void open_checking_sets(int count)
{
    plan.interval_ns = 100 * MS;
    for (int i = 0; i < count; i++) {
        open_small_set(i);
    }
}

UNIT(upstream_findings, one_set_checks_for_all)
{
    open_checking_sets(SETS);
    maker_run_for(&m, 1000 * MS);
    expect_geq(count_checks(0), 9, "one each 90 to 110 ms");
    expect_leq(count_checks(0), 12);
    for (int i = 1; i < SETS; i++) {
        expect_eq(count_checks(i), 0);
    }
    fake_listener_set(listeners[0], FAKE_SILENT, 0);
    maker_run_for(&m, 110 * MS);
    expect_eq(info_of(0, 0).is_being_checked, true);
    expect_eq(info_of(SETS - 1, 0).is_being_checked, true);
}

/* Called by the first set: the others were not called yet. */
static void expect_same_in_all(void *arg, weir_upstream *upstream,
                               enum weir_upstream_state state, int err)
{
    expect_states(3, state);
    note_change(arg, upstream, state, err);
}

UNIT(upstream_findings, a_check_holds_at_once_and_is_told_in_all_sets)
{
    set_options.changed = expect_same_in_all;
    open_checking_sets(3);
    maker_run_for(&m, 50 * MS);
    fake_listener_set(listeners[0], FAKE_REFUSE, 1 * MS);
    maker_run_for(&m, 110 * MS);
    for (int i = 0; i < 3; i++) {
        expect_str_eq(changes[i], "a:down ");
        expect_eq(info_of(i, 0).last_err, -ECONNREFUSED);
    }
    fake_listener_set(listeners[0], FAKE_ACCEPT, 1 * MS);
    maker_run_for(&m, 120 * MS);
    expect_str_eq(changes[0], "a:down a:up ");
    expect_str_eq(changes[2], "a:down a:up ");
}

/* The set that checks is called, and looks at its timers. */
UNIT(upstream_findings, an_ejection_brings_no_check_forward)
{
    set_options.fail_limit = 3;
    open_checking_sets(2);
    maker_run_for(&m, 5 * MS);
    eject(1);
    maker_run_for(&m, 5 * MS);
    expect_str_eq(changes[0], "a:ejected ");
    expect_eq(count_checks(0), 1);
}

/* The next set is called each time, and begins at once. */
UNIT(upstream_findings, checks_go_on_when_the_set_that_makes_them_is_freed)
{
    open_checking_sets(3);
    for (int i = 0; i < 2; i++) {
        maker_run_for(&m, 50 * MS);
        expect_eq(count_checks(i), 1);
        expect_eq(count_checks(i + 1), 0);
        free_set(i);
        maker_run_for(&m, 5 * MS);
        expect_eq(count_checks(i + 1), 1);
    }
    fake_listener_set(listeners[0], FAKE_REFUSE, 1 * MS);
    maker_run_for(&m, 110 * MS);
    expect_str_eq(changes[2], "a:down ");
}

UNIT(upstream_findings, a_check_that_is_cut_off_is_made_elsewhere)
{
    plan.starts_down = true;
    open_checking_sets(2);
    fake_listener_set(listeners[0], FAKE_ACCEPT, 20 * MS);
    maker_run_for(&m, 10 * MS);
    expect_eq(info_of(1, 0).is_being_checked, true);
    free_set(0);
    expect_eq(info_of(1, 0).is_being_checked, false);
    expect_eq(info_of(1, 0).state, WEIR_UPSTREAM_CHECKING);
    maker_run_for(&m, 30 * MS);
    expect_eq(info_of(1, 0).state, WEIR_UPSTREAM_UP);
    expect_eq(count_checks(1), 1);
}

UNIT(upstream_findings, checks_go_on_when_the_upstream_is_removed_elsewhere)
{
    open_checking_sets(2);
    maker_run_for(&m, 50 * MS);
    weir_upstream_remove(upstreams[0][0]);
    maker_run_for(&m, 5 * MS);
    expect_eq(count_checks(1), 1);
    upstreams[0][0] = add(0, "a", 0);
    maker_run_for(&m, 500 * MS);
    expect_eq(count_checks(0), 0, "the other one makes them now");
    expect_geq(count_checks(1), 5);
}

/* A set that is added then begins at once, and so does the youngest of several;
 * without another one the set goes on. */
UNIT(upstream_findings, a_set_that_is_retired_leaves_the_checks_to_others)
{
    open_checking_sets(3);
    maker_run_for(&m, 50 * MS);
    weir_upstreams_replace(sets[0]);
    maker_run_for(&m, 5 * MS);
    expect_eq(count_checks(0), 1);
    expect_eq(count_checks(1), 0);
    expect_eq(count_checks(2), 1, "of the youngest");
    weir_upstreams_replace(sets[1]);
    weir_upstreams_replace(sets[2]);
    maker_run_for(&m, 320 * MS);
    expect_geq(count_checks(2), 3, "where all are retired");
    const uint64_t count = count_checks(2);
    open_small_set(3);
    maker_run_for(&m, 320 * MS);
    expect_leq(count_checks(2), count);
    expect_geq(count_checks(3), 3);
    free_set(3);
    fake_listener_set(listeners[0], FAKE_REFUSE, 1 * MS);
    maker_run_for(&m, 110 * MS);
    expect_str_eq(changes[0], "a:down ", "one of those that are retired");
}

/* Both begin with the first; each has another order. */
UNIT(upstream_findings, a_set_that_is_retired_does_not_say_what_is_in_use)
{
    set_options.balance = WEIR_BALANCE_FIRST;
    set_options.stay = true;
    plan.interval_ns = 10 * MS;
    make_set(0, shared);
    upstreams[0][0] = add(0, "a", 0);
    upstreams[0][1] = add(0, "b", 1);
    maker_run_for(&m, 15 * MS);
    make_set(1, shared);
    add(1, "c", 2);
    upstreams[1][0] = add(1, "a", 0);
    weir_upstreams_replace(sets[0]);
    expect_gt(info_of(1, 0).in_use_ns, 0);
    fake_listener_set(listeners[0], FAKE_REFUSE, 1 * MS);
    maker_run_for(&m, 30 * MS);
    ask(1, 0);
    maker_run_for(&m, 5 * MS);
    expect_eq(chosen[0], 'c');
    fake_listener_set(listeners[0], FAKE_ACCEPT, 1 * MS);
    maker_run_for(&m, 30 * MS);
    expect_eq(info_of(1, 0).state, WEIR_UPSTREAM_UP);
    ask(1, 0);
    maker_run_for(&m, 5 * MS);
    expect_eq(chosen[1], 'c', "it stays");
}

UNIT(upstream_findings, a_request_waits_for_the_check_of_another_set)
{
    plan.starts_down = true;
    fake_listener_set(listeners[0], FAKE_ACCEPT, 20 * MS);
    open_checking_sets(2);
    ask(1, 0);
    maker_run_for(&m, 10 * MS);
    expect_eq(chosen_count, 0);
    maker_run_for(&m, 60 * MS);
    expect_eq(chosen_count, 1);
    expect_eq(count_checks(1), 0);
}

/* A set of another plan asks something else, and one without has none. */
UNIT(upstream_findings, sets_of_another_plan_check_for_themselves)
{
    fake_listener_set(listeners[0], FAKE_REFUSE, 1 * MS);
    open_checking_sets(2);
    plan.interval_ns = 50 * MS;
    open_small_set(2);
    plan.interval_ns = 0;
    open_small_set(3);
    maker_run_for(&m, 5 * MS);
    expect_eq(count_checks(0), 1);
    expect_eq(count_checks(1), 0);
    expect_eq(count_checks(2), 1);
    expect_states(3, WEIR_UPSTREAM_DOWN);
    expect_eq(info_of(3, 0).state, WEIR_UPSTREAM_UP);
    fake_listener_set(listeners[0], FAKE_ACCEPT, 1 * MS);
    maker_run_for(&m, 60 * MS);
    expect_states(2, WEIR_UPSTREAM_DOWN);
    expect_eq(info_of(2, 0).state, WEIR_UPSTREAM_UP);
}

UNIT(upstream_findings, another_place_has_checks_of_its_own)
{
    fake_listener_set(listeners[0], FAKE_REFUSE, 1 * MS);
    open_checking_sets(1);
    make_set(1, shared);
    upstreams[1][0] = add(1, "a", 1);
    maker_run_for(&m, 5 * MS);
    expect_eq(info_of(0, 0).state, WEIR_UPSTREAM_DOWN);
    expect_eq(info_of(1, 0).state, WEIR_UPSTREAM_UP);
    expect_eq(count_checks(1), 1);
}

static void add_known(int set, const struct weir_upstream_health *known)
{
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .name = "a",
        .endpoint = weir_endpoint_addresses(&addresses[0], 1),
        .health = known};
    make_set(set, shared);
    expect_eq(weir_upstreams_add(sets[set], &options, &upstreams[set][0]), 0);
}

UNIT(upstream_findings, what_sets_know_counts_more_than_what_one_is_given)
{
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .state = WEIR_UPSTREAM_DOWN,
                                               .ejected_count = 1,
                                               .ejected_ns = 1000 * MS};
    open_checking_sets(1);
    maker_run_for(&m, 5 * MS);
    add_known(1, &known);
    expect_states(2, WEIR_UPSTREAM_UP);
}

UNIT(upstream_findings, what_the_first_set_is_given_counts_in_all)
{
    const struct weir_upstream_health known = {
        .size = sizeof(known), .ejected_count = 1, .ejected_ns = 50 * MS};
    add_known(0, &known);
    open_small_set(1);
    expect_states(2, WEIR_UPSTREAM_EJECTED);
    maker_run_for(&m, 55 * MS);
    expect_states(2, WEIR_UPSTREAM_UP);
    expect_str_eq(changes[1], "a:up ");
}

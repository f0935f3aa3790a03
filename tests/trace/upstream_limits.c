/*
 * Limits that several sets share, on the fake machine: three sets of a loop,
 * each with an upstream "a", and some with a "b", at exact times. Posts from
 * one set to another are made as between loops.
 */
#define UNIT_RUN limits_test
#include "tests/contract/maker.h"
#include "tests/fake/fake.h"

#include <weir/upstream.h>

enum { SETS = 3, ENDS = 32, QUEUE_LIMIT = 4 };

/* Options of the next sets, where a test wants others. */
static uint32_t queue_limit = QUEUE_LIMIT;
static uint32_t fail_limit; /* 0: the default */

static struct maker m;
static weir_upstreams_shared *limits;
static weir_upstreams *sets[SETS]; /* NULL: freed */
static weir_upstream *as[SETS];

/* Requests, in the order of their ends. */
static struct end {
    char label;
    int err;
    weir_upstream_slot *slot;
    uint64_t when_ns;
} ends[ENDS];
static size_t end_count;
static struct fake_listener *listeners[2];
static struct weir_address addresses[2];

static weir_upstreams *make_set(void)
{
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .seed = 1,
                                                   .queue_limit = queue_limit,
                                                   .fail_limit = fail_limit,
                                                   .queue_timeout_ns = 500 * MS,
                                                   .shared = limits};
    weir_upstreams *set = NULL;
    expect_eq(weir_upstreams_new(m.loop, &options, &set), 0);
    return set;
}

/* Adds an upstream "a" or "b". */
static weir_upstream *add(weir_upstreams *set, char name, uint32_t limit)
{
    const char text[] = {name, '\0'};
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .name = text,
        .endpoint = weir_endpoint_addresses(&addresses[name - 'a'], 1),
        .connection_limit = limit};
    weir_upstream *upstream = NULL;
    expect_eq(weir_upstreams_add(set, &options, &upstream), 0);
    return upstream;
}

/* Sets with an "a" of this limit each. */
static void open_sets(uint32_t limit)
{
    for (int i = 0; i < SETS; i++) {
        sets[i] = make_set();
        as[i] = add(sets[i], 'a', limit);
    }
}

static void limits_test(void (*body)(void))
{
    const struct fake_options machine = {.seed = 1};
    fake_start(&machine);
    maker_open(&m);
    end_count = 0;
    memset(sets, 0, sizeof(sets));
    for (int i = 0; i < 2; i++) {
        addresses[i] = peer_address(i == 0 ? "192.0.2.1" : "192.0.2.2", 80);
        listeners[i] = fake_listen(&addresses[i].storage.any, addresses[i].len);
        fake_listener_set(listeners[i], FAKE_ACCEPT, 1 * MS);
    }
    expect_eq(weir_upstreams_shared_new(NULL, &limits), 0);
    body();
    for (int i = 0; i < SETS; i++) {
        weir_upstreams_free(sets[i]);
    }
    weir_upstreams_shared_free(limits);
    maker_run_for(&m, 5 * MS);
    for (size_t i = 0; i < end_count; i++) {
        weir_upstream_slot_release(ends[i].slot, 0);
    }
    maker_close(&m);
    fake_stop();
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    expect_lt(end_count, ENDS);
    ends[end_count++] = (struct end){.label = *(const char *)arg,
                                     .err = err,
                                     .slot = result->slot,
                                     .when_ns = fake_now()};
    if (err == 0) {
        weir_transport_abort(result->transport);
    }
}

/* Asks a set; the label, a letter of a literal, tells which request ended. */
static weir_pending *ask(int set, const char *label)
{
    weir_pending *pending = NULL;
    expect_eq(weir_upstreams_connect(sets[set], &m.factory, NULL, note_end,
                                     (void *)label, &pending),
              0);
    return pending;
}

static void run(void)
{
    maker_run_for(&m, 10 * MS);
}

static weir_pending *ask_now(int set, const char *label)
{
    weir_pending *pending = ask(set, label);
    run();
    return pending;
}

/* Ends the connection of a request. */
static void leave(char label)
{
    for (size_t i = 0; i < end_count; i++) {
        if (ends[i].label == label && ends[i].slot) {
            weir_upstream_slot_release(ends[i].slot, 0);
            ends[i].slot = NULL;
            return;
        }
    }
    cr_assert(false, "no connection of request %c", label);
}

/* The requests that have ended, in order, those without success with a '-'. */
static void expect_ends(const char *text)
{
    char seen[2 * ENDS + 1] = "";
    for (size_t i = 0; i < end_count; i++) {
        const char one[] = {ends[i].label, ends[i].err < 0 ? '-' : '\0', '\0'};
        strcat(seen, one);
    }
    expect_str_eq(seen, text);
}

static uint32_t count_queued(int set)
{
    struct weir_upstreams_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstreams_get_statistics(sets[set], &info), 0);
    return info.queued_count;
}

UNIT(upstream_limits, sets_do_not_exceed_a_limit_together)
{
    open_sets(2);
    ask_now(0, "A");
    ask_now(1, "B");
    ask_now(1, "C");
    ask_now(2, "D");
    expect_ends("AB");
    leave('A');
    run();
    expect_ends("ABC");
    leave('B');
    run();
    expect_ends("ABCD");
}

UNIT(upstream_limits, sets_that_begin_at_once_do_not_exceed_a_limit)
{
    open_sets(2);
    for (int i = 0; i < SETS; i++) {
        ask(i, "A");
    }
    run();
    expect_ends("AA");
}

UNIT(upstream_limits, the_request_that_waits_longest_goes_first)
{
    open_sets(1);
    ask_now(0, "A");
    ask_now(2, "B");
    ask_now(0, "C");
    ask_now(1, "D");
    ask_now(2, "E");
    for (const char *label = "ABCD"; *label != '\0'; label++) {
        leave(*label);
        run();
    }
    expect_ends("ABCDE");
}

/* The second of a set was made before the only one of another. */
UNIT(upstream_limits, each_request_of_a_queue_has_its_place_among_all)
{
    open_sets(1);
    ask_now(0, "A");
    ask_now(0, "B");
    ask_now(0, "C");
    ask_now(1, "D");
    ask_now(0, "E");
    for (const char *label = "ABCD"; *label != '\0'; label++) {
        leave(*label);
        run();
    }
    expect_ends("ABCDE");
}

UNIT(upstream_limits, a_request_that_comes_takes_no_place_of_one_that_waits)
{
    open_sets(1);
    ask_now(0, "A");
    ask_now(1, "B");
    leave('A');
    ask_now(0, "C"); /* its set looks before the other is called */
    expect_ends("AB");
    leave('B');
    run();
    expect_ends("ABC");
}

UNIT(upstream_limits, places_that_become_free_at_once_are_all_taken)
{
    open_sets(3);
    for (const char *label = "ABC"; *label != '\0'; label++) {
        ask_now(0, label);
    }
    ask_now(1, "D");
    ask_now(1, "E");
    ask_now(2, "F");
    for (const char *label = "ABC"; *label != '\0'; label++) {
        leave(*label);
    }
    run();
    expect_eq(end_count, 6);
    expect_eq(count_queued(1) + count_queued(2), 0);
}

/* It waits first, and does not keep the places that it may not use. */
UNIT(upstream_limits, a_set_with_a_lower_limit_waits_for_its_own)
{
    for (int i = 0; i < SETS; i++) {
        sets[i] = make_set();
        as[i] = add(sets[i], 'a', i == 0 ? 1 : 3);
    }
    ask_now(1, "A");
    ask_now(0, "B");
    ask_now(1, "C");
    ask_now(2, "D");
    expect_ends("ACD");
    leave('A');
    run();
    leave('C');
    run();
    expect_ends("ACD");
    leave('D');
    run();
    expect_ends("ACDB");
}

/* Three of the first set have the places, of which two become free. Others wait
 * with these limits, when one more comes, whose set looks first. */
static void wait_and_ask(uint32_t limit, uint32_t next_limit)
{
    const uint32_t known[SETS] = {3, limit, next_limit};
    for (int i = 0; i < SETS; i++) {
        sets[i] = make_set();
        as[i] = add(sets[i], 'a', known[i]);
    }
    ask_now(0, "A");
    ask_now(0, "B");
    ask_now(0, "C");
    ask_now(1, "D");
    ask_now(2, "E");
    leave('A');
    leave('B');
    ask_now(0, "F");
}

/* One of the two may take a place, and the third is for the one that comes. */
UNIT(upstream_limits, who_waits_for_a_lower_limit_is_in_the_way_of_no_other)
{
    wait_and_ask(3, 2);
    expect_ends("ABCFD");
    leave('C');
    leave('F');
    run();
    expect_ends("ABCFDE");
}

/* The one that comes has the higher limit, and could take another place. */
UNIT(upstream_limits, a_request_with_a_higher_limit_takes_no_place_of_another)
{
    wait_and_ask(2, 2);
    expect_eq(end_count, 5);
    expect_eq(count_queued(1), 0);
    expect_eq(count_queued(2), 1);
    expect_eq(count_queued(0), 0);
    leave('C');
    run();
    expect_eq(end_count, 5, "two are taken still");
    leave('D');
    run();
    expect_eq(end_count, 6);
}

UNIT(upstream_limits, upstreams_of_one_name_in_a_set_are_one_target)
{
    open_sets(1);
    add(sets[0], 'a', 1);
    ask_now(0, "A");
    ask_now(0, "B");
    expect_ends("A");
    leave('A');
    run();
    expect_ends("AB");
}

UNIT(upstream_limits, other_names_and_upstreams_without_limit_do_not_count)
{
    open_sets(1);
    ask_now(0, "A");
    add(sets[1], 'b', 1);
    ask_now(1, "B");
    expect_ends("AB");
    add(sets[2], 'a', 0);
    ask_now(2, "C");
    ask_now(2, "D");
    expect_ends("ABCD");
}

UNIT(upstream_limits, the_queue_is_as_long_for_all_sets_together)
{
    open_sets(1);
    ask_now(0, "A");
    ask_now(0, "B");
    ask_now(1, "C");
    ask_now(1, "D");
    ask_now(2, "E");
    ask_now(2, "F");
    expect_ends("AF-");
    expect_eq(ends[1].err, -ENOBUFS);
    leave('A');
    run();
    ask_now(2, "G");
    expect_ends("AF-B");
    expect_eq(count_queued(0) + count_queued(1) + count_queued(2), QUEUE_LIMIT);
}

UNIT(upstream_limits, a_request_waits_its_time_in_each_set)
{
    open_sets(1);
    ask_now(0, "A");
    const uint64_t start_ns = fake_now();
    ask(0, "B");
    ask(1, "C");
    maker_run_for(&m, 600 * MS);
    expect_ends("AB-C-");
    for (size_t i = 1; i < 3; i++) {
        expect_eq(ends[i].err, -ETIMEDOUT);
        expect_eq((ends[i].when_ns - start_ns) / MS, 500);
    }
    ask_now(2, "D");
    leave('A');
    run();
    expect_ends("AB-C-D");
}

UNIT(upstream_limits, a_request_that_is_cancelled_leaves_its_turn)
{
    open_sets(1);
    ask_now(0, "A");
    weir_pending *second = ask_now(1, "B");
    ask_now(2, "C");
    leave('A'); /* calls the second set */
    weir_pending_cancel(second);
    run();
    expect_ends("AB-C");
}

UNIT(upstream_limits, a_set_that_is_freed_leaves_its_turn)
{
    open_sets(1);
    ask_now(0, "A");
    ask_now(1, "B");
    ask_now(2, "C");
    leave('A');
    weir_upstreams_free(sets[1]); /* before it is called */
    sets[1] = NULL;
    run();
    expect_ends("AB-C");
    expect_eq(ends[1].err, -ECANCELED);
}

UNIT(upstream_limits, an_upstream_that_is_removed_leaves_its_turn)
{
    open_sets(1);
    ask_now(0, "A");
    ask_now(1, "B");
    ask_now(2, "C");
    leave('A');
    weir_upstream_remove(as[1]);
    run();
    expect_ends("AB-C");
    expect_eq(ends[1].err, -EHOSTDOWN);
}

/* The second set waits for both, and then for one. */
UNIT(upstream_limits, a_set_waits_for_those_that_it_may_choose)
{
    open_sets(1);
    for (int i = 0; i < 2; i++) {
        add(sets[i], 'b', 1);
    }
    ask_now(0, "A");
    ask_now(0, "B");
    ask_now(1, "C");
    ask_now(2, "D");
    expect_ends("AB");
    weir_upstream_set_draining(as[1], true);
    run();
    leave('A');
    run();
    expect_ends("ABD");
    weir_upstream_set_draining(as[1], false);
    run();
    ask_now(2, "E");
    leave('D');
    run();
    expect_ends("ABDC");
}

UNIT(upstream_limits, an_upstream_that_is_ejected_leaves_its_turn)
{
    fail_limit = 1;
    open_sets(1);
    add(sets[1], 'b', 1);
    ask_now(1, "A");
    ask_now(1, "B");
    ask_now(1, "C");
    ask_now(2, "D");
    weir_upstream_slot_release(ends[0].slot, -EPIPE);
    ends[0].slot = NULL;
    run();
    expect_ends("ABD");
}

/* The third set has no queue, and would be refused behind another. */
UNIT(upstream_limits, a_request_that_gave_up_is_before_no_other)
{
    open_sets(1);
    ask_now(0, "A");
    weir_pending *second = ask_now(1, "B");
    weir_pending_cancel(second);
    run();
    queue_limit = 0;
    weir_upstreams_free(sets[2]);
    sets[2] = make_set();
    add(sets[2], 'a', 1);
    leave('A');
    ask_now(2, "C");
    expect_ends("AB-C");
}

UNIT(upstream_limits, a_weight_of_0_leaves_the_turn)
{
    open_sets(1);
    add(sets[1], 'b', 1);
    ask_now(1, "A");
    ask_now(1, "B");
    ask_now(1, "C");
    ask_now(2, "D");
    expect_eq(weir_upstream_set_weight(as[1], 0), 0);
    leave('A');
    run();
    expect_ends("ABD");
}

UNIT(upstream_limits, slots_of_a_set_that_was_freed_count_until_they_end)
{
    open_sets(1);
    ask_now(0, "A");
    weir_upstreams_free(sets[0]);
    sets[0] = make_set();
    add(sets[0], 'a', 1);
    ask_now(0, "B");
    expect_ends("A");
    leave('A');
    run();
    expect_ends("AB");
}

UNIT(upstream_limits, sets_keep_limits_alive_that_the_program_gave_up)
{
    open_sets(1);
    weir_upstreams_shared_free(limits);
    limits = NULL;
    ask_now(0, "A");
    ask_now(1, "B");
    expect_ends("A");
    leave('A');
    run();
    expect_ends("AB");
}

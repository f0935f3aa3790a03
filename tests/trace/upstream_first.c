/*
 * First checks of upstreams on the fake machine: requests wait for them, and
 * not longer than one check takes. Checks that this machine cannot make change
 * no state.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

#include <weir/error.h>
#include <weir/resolver.h>

static struct weir_upstream_check plan;

/* Of checks that take 500 ms at most and decide before the first connection. */
static void open_set(int count)
{
    struct weir_upstreams_options options = ups_options();
    plan = (struct weir_upstream_check){.size = sizeof(plan),
                                        .interval_ns = 1000 * MS,
                                        .timeout_ns = 500 * MS,
                                        .rise = 2,
                                        .fall = 2,
                                        .starts_down = true};
    options.check = &plan;
    options.queue_limit = 0;
    ups_open(&options, count);
}

static void answer_after(size_t index, enum fake_answer answer, uint64_t ms)
{
    fake_listener_set(ups.listeners[index], answer, ms * MS);
}

static void expect_end(int err, char name, uint64_t ms)
{
    const struct ups_end *end = &ups.ends[ups.end_count - 1];
    expect_eq(end->err, err);
    expect_eq(end->name, name);
    expect_geq(end->when_ns / MS, ms);
    expect_leq(end->when_ns / MS, ms + 3);
}

UNIT(upstream_first, a_request_waits_for_a_check_that_ends_at_once)
{
    open_set(1);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_CHECKING);
    struct ups_end *end = ups_connect();
    expect_end(0, 'a', 2);
    expect_str_eq(ups.changes, "a:up ");
    expect_eq(ups_info(0).warm_permille, 1000, "it never was down");
    expect_eq(ups_set_info().no_upstream_total, 0);
    ups_leave(end, 0);
}

UNIT(upstream_first, a_request_waits_for_a_check_that_takes_time)
{
    open_set(1);
    answer_after(0, FAKE_ACCEPT, 300);
    ups_ask(NULL);
    maker_run_for(&ups.m, 200 * MS);
    ups_ask(NULL);
    maker_run_for(&ups.m, 150 * MS);
    expect_eq(ups.end_count, 0, "they are connecting");
    expect_str_eq(ups.changes, "a:up ");
    ups_run_until(2);
    expect_end(0, 'a', 600);
    ups_leave(&ups.ends[0], 0);
    ups_leave(&ups.ends[1], 0);
}

UNIT(upstream_first, a_check_without_an_answer_ends_the_wait_with_its_time)
{
    open_set(1);
    answer_after(0, FAKE_SILENT, 0);
    ups_ask(NULL);
    maker_run_for(&ups.m, 400 * MS);
    ups_ask(NULL);
    ups_run_until(2);
    expect_eq(ups.ends[0].err, -EHOSTDOWN);
    expect_end(-EHOSTDOWN, '-', 500);
    expect_str_eq(ups.changes, "a:down ");
    expect_eq(ups_connect()->err, -EHOSTDOWN);
    expect_end(-EHOSTDOWN, '-', 500);
    expect_eq(ups_set_info().no_upstream_total, 3);
}

UNIT(upstream_first, a_check_that_fails_decides_alone)
{
    open_set(1);
    answer_after(0, FAKE_REFUSE, 20);
    ups_connect();
    expect_end(-EHOSTDOWN, '-', 20);
    expect_str_eq(ups.changes, "a:down ");
}

UNIT(upstream_first, the_first_upstream_that_is_up_ends_the_wait)
{
    open_set(3);
    answer_after(0, FAKE_SILENT, 0);
    answer_after(1, FAKE_REFUSE, 10);
    answer_after(2, FAKE_ACCEPT, 50);
    ups_leave(ups_connect(), 0);
    expect_end(0, 'c', 100);
    for (int i = 0; i < 4; i++) {
        struct ups_end *end = ups_connect();
        expect_eq(end->name, 'c', "no other has passed");
        ups_leave(end, 0);
    }
}

static void add_backup(void)
{
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options), .is_backup = true});
}

UNIT(upstream_first, a_backup_is_not_used_before_the_others_are_checked)
{
    open_set(1);
    add_backup();
    answer_after(0, FAKE_ACCEPT, 100);
    ups_leave(ups_connect(), 0);
    expect_end(0, 'a', 200);
}

UNIT(upstream_first, a_backup_is_used_when_the_others_have_failed)
{
    open_set(1);
    add_backup();
    answer_after(0, FAKE_REFUSE, 100);
    ups_leave(ups_connect(), 0);
    expect_end(0, 'b', 101);
}

UNIT(upstream_first, a_backup_that_is_unchecked_is_waited_for)
{
    open_set(1);
    add_backup();
    answer_after(0, FAKE_REFUSE, 1);
    answer_after(1, FAKE_ACCEPT, 100);
    ups_leave(ups_connect(), 0);
    expect_end(0, 'b', 200);
}

UNIT(upstream_first, a_removal_ends_the_wait)
{
    open_set(1);
    answer_after(0, FAKE_SILENT, 0);
    ups_ask(NULL);
    maker_run_for(&ups.m, 50 * MS);
    weir_upstream_remove(ups.all[0]);
    ups_run_until(1);
    expect_end(-EHOSTDOWN, '-', 50);
}

UNIT(upstream_first, a_drain_ends_the_wait)
{
    open_set(1);
    answer_after(0, FAKE_SILENT, 0);
    ups_ask(NULL);
    maker_run_for(&ups.m, 50 * MS);
    weir_upstream_set_draining(ups.all[0], true);
    ups_run_until(1);
    expect_end(-EHOSTDOWN, '-', 50);
}

UNIT(upstream_first, the_wait_may_be_cancelled)
{
    open_set(1);
    answer_after(0, FAKE_SILENT, 0);
    weir_pending *pending = ups_ask(NULL);
    maker_run_for(&ups.m, 50 * MS);
    weir_pending_cancel(pending);
    ups_run_until(1);
    expect_end(-ECANCELED, '-', 50);
}

UNIT(upstream_first, the_wait_ends_with_the_set)
{
    open_set(1);
    answer_after(0, FAKE_SILENT, 0);
    ups_ask(NULL);
    maker_run_for(&ups.m, 50 * MS);
    weir_upstreams_free(ups.set);
    ups.set = NULL;
    ups_run_until(1);
    expect_end(-ECANCELED, '-', 50);
}

UNIT(upstream_first, the_wait_ends_with_the_time_of_the_request)
{
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .timeout_ns = 70 * MS};
    open_set(1);
    answer_after(0, FAKE_SILENT, 0);
    ups_connect_by(&options);
    expect_end(-ETIMEDOUT, '-', 70);
}

static void add_known(enum weir_upstream_state state)
{
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .state = state};
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options), .health = &known});
}

UNIT(upstream_first, what_is_known_counts_before_the_first_check)
{
    open_set(0);
    add_known(WEIR_UPSTREAM_DOWN);
    add_known(WEIR_UPSTREAM_UP);
    answer_after(1, FAKE_SILENT, 0);
    maker_run_for(&ups.m, 600 * MS);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_DOWN, "two have to be good");
    expect_eq(ups_info(1).state, WEIR_UPSTREAM_UP, "and two bad");
    expect_str_eq(ups.changes, "");
    maker_run_for(&ups.m, 1200 * MS);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP);
    expect_str_eq(ups.changes, "a:up ");
}

UNIT(upstream_first, where_all_are_known_to_be_down_a_request_fails_at_once)
{
    open_set(0);
    add_known(WEIR_UPSTREAM_DOWN);
    expect_eq(ups_connect()->err, -EHOSTDOWN);
    expect_end(-EHOSTDOWN, '-', 0);
}

UNIT(upstream_first, only_up_and_down_can_be_known)
{
    const struct weir_address address = peer_address("192.0.2.1", 80);
    struct weir_upstream_health known = {.size = sizeof(known),
                                         .state = WEIR_UPSTREAM_EJECTED};
    const struct weir_upstream_options options = {
        .size = sizeof(options),
        .endpoint = weir_endpoint_addresses(&address, 1),
        .health = &known};
    open_set(0);
    expect_eq(weir_upstreams_add(ups.set, &options, NULL), -EINVAL);
    weir_upstreams_free(ups.set);
    const struct weir_upstreams_options unchecked = ups_options();
    expect_eq(weir_upstreams_new(ups.m.loop, &unchecked, &ups.set), 0);
    known.state = WEIR_UPSTREAM_DOWN;
    expect_eq(weir_upstreams_add(ups.set, &options, NULL), -EINVAL,
              "no check would find it up");
}

static void free_descriptors(void *arg)
{
    (void)arg;
    fake_set_fault(FAKE_NO_FD, 0);
}

UNIT(upstream_skipped, a_lack_of_descriptors_changes_no_state_and_is_told_once)
{
    open_set(0);
    add_known(WEIR_UPSTREAM_UP);
    maker_run_for(&ups.m, 100 * MS);
    fake_set_fault(FAKE_NO_FD, 1000);
    maker_run_for(&ups.m, 9000 * MS);
    free_descriptors(NULL);
    expect_geq(ups_info(0).check_skipped_count, 7);
    expect_leq(ups_info(0).check_skipped_count, 14);
    expect_eq(ups_info(0).check_error_count, 0);
    expect_eq(ups_info(0).last_err, 0);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_UP);
    expect_str_eq(ups.skips, "a:EMFILE ");
    expect_str_eq(ups.changes, "");
    maker_run_for(&ups.m, 1200 * MS);
    fake_set_fault(FAKE_NO_FD, 1000);
    maker_run_for(&ups.m, 1200 * MS);
    free_descriptors(NULL);
    expect_str_eq(ups.skips, "a:EMFILE a:EMFILE ", "it is another lack");
}

UNIT(upstream_skipped, a_first_check_is_made_soon_again)
{
    open_set(1);
    fake_set_fault(FAKE_NO_FD, 1000);
    ups_ask(NULL);
    fake_at(fake_now() + 150 * MS, free_descriptors, NULL);
    ups_run_until(1);
    expect_eq(ups.ends[0].err, 0);
    expect_geq(ups_ms(), 270, "after 100 ms, and 200, give or take a tenth");
    expect_leq(ups_ms(), 335);
    ups_leave(&ups.ends[0], 0);
}

UNIT(upstream_skipped, nobody_waits_longer_than_a_check_lasts)
{
    open_set(1);
    fake_set_fault(FAKE_NO_FD, 1000);
    ups_connect();
    free_descriptors(NULL);
    expect_end(-EHOSTDOWN, '-', 500);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_CHECKING);
}

UNIT(upstream_skipped, the_set_may_be_freed_when_it_is_told)
{
    open_set(0);
    ups.frees_when_changed = true;
    fake_set_fault(FAKE_NO_FD, 1000);
    ups_add(NULL);
    ups_add(NULL);
    maker_run_for(&ups.m, 10 * MS);
    free_descriptors(NULL);
    expect_eq(ups.set == NULL, true);
    expect_str_eq(ups.skips, "a:EMFILE ");
}

static weir_lookup *asked[4];

static int note_question(void *user, weir_lookup *lookup, const char *host,
                         int family, void **ret_data)
{
    size_t i = 0;
    (void)user;
    (void)host;
    (void)family;
    (void)ret_data;
    while (asked[i]) {
        i++;
    }
    expect_lt(i, 4);
    asked[i] = lookup;
    return 0;
}

static void forget_question(void *user, weir_lookup *lookup, void *data)
{
    (void)user;
    (void)data;
    for (size_t i = 0; i < 4; i++) {
        asked[i] = asked[i] == lookup ? NULL : asked[i];
    }
}

static const struct weir_resolver resolver = {.size = sizeof(resolver),
                                              .start = note_question,
                                              .cancel = forget_question};

static void answer_all(int err)
{
    for (size_t i = 0; i < 4; i++) {
        weir_lookup *lookup = asked[i];
        asked[i] = NULL;
        if (lookup) {
            expect_eq(weir_resolver_reply_addresses(lookup, 0, err, NULL, 0),
                      0);
        }
    }
}

/* The upstream's state after some checks that end with a lookup's error. */
static enum weir_upstream_state state_after(int err)
{
    const struct weir_upstream_health known = {.size = sizeof(known),
                                               .state = WEIR_UPSTREAM_UP};
    open_set(0);
    expect_eq(weir_loop_set_resolver(ups.m.loop, &resolver, NULL), 0);
    ups_add(&(struct weir_upstream_options){
        .size = sizeof(struct weir_upstream_options),
        .endpoint = weir_endpoint_host("db.example", 80),
        .health = &known});
    for (int i = 0; i < 30; i++) {
        maker_run_for(&ups.m, 100 * MS);
        answer_all(err);
    }
    const struct weir_upstream_statistics info = ups_info(0);
    expect_geq(info.check_error_count + info.check_skipped_count, 2);
    ups_close();
    return info.state;
}

UNIT_IN(upstream_skipped, no_shortage_makes_an_upstream_down, unit_alone, void)
{
    static const int errors[] = {-EMFILE, -ENFILE,        -ENOMEM, -ENOBUFS,
                                 -EAGAIN, -EADDRNOTAVAIL, -ENOSPC};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        expect_eq(state_after(errors[i]), WEIR_UPSTREAM_UP,
                  weir_err_name(errors[i]));
    }
    expect_eq(state_after(WEIR_EDNSNOTFOUND), WEIR_UPSTREAM_DOWN);
    expect_eq(state_after(-ENETUNREACH), WEIR_UPSTREAM_DOWN);
}

/*
 * The facts that a set reports about itself and its requests, and those that it
 * is given: numbers of upstreams in each state, times, weights.
 *
 * The upstreams are on the fake machine, whose clock stands still; see
 * upstream_rig.h.
 */
#define UNIT_RUN ups_test
#include "tests/trace/upstream_rig.h"

UNIT(upstream_facts, those_that_are_up_are_counted)
{
    struct weir_upstreams_options options = ups_options();
    options.fail_limit = 1;
    ups_open(&options, 4);
    expect_eq(ups_set_info().upstream_count, 4);
    expect_eq(ups_set_info().up_count, 4);
    weir_upstream_set_draining(ups.all[1], true);
    ups_answer(0, FAKE_REFUSE);
    ups_ask(NULL);
    maker_run_for(&ups.m, 1);
    expect_eq(ups_set_info().connecting_count, 1);
    ups_run_until(1);
    expect_eq(ups_info(0).state, WEIR_UPSTREAM_EJECTED);
    expect_eq(ups_set_info().upstream_count, 4);
    expect_eq(ups_set_info().up_count, 2);
    expect_eq(ups_set_info().connecting_count, 0);
    ups_leave(&ups.ends[0], 0);
    weir_upstream_remove(ups.all[2]);
    expect_eq(ups_set_info().upstream_count, 3);
    expect_eq(ups_set_info().up_count, 1);
}

/* Not that of the tries before it, nor that in the queue. */
UNIT(upstream_facts, the_time_of_the_last_try_is_told)
{
    struct weir_upstreams_options options = ups_options();
    options.queue_limit = 8;
    ups_open(&options, 1);
    ups_add_limited(1);
    ups_answer(0, FAKE_REFUSE);
    struct ups_end *first = ups_connect();
    expect_eq(first->name, 'b');
    expect_eq(first->connect_ns, 1 * MS);
    expect_eq(first->queue_ns, 0);

    ups_ask(NULL);
    maker_run_for(&ups.m, 5 * MS);
    ups_leave(first, 0);
    ups_run_until(2);
    expect_eq(ups.ends[1].name, 'b');
    expect_eq(ups.ends[1].connect_ns, 1 * MS);
    expect_eq(ups.ends[1].queue_ns / MS, 4, "a has refused before it");
    ups_leave(&ups.ends[1], 0);
}

UNIT(upstream_facts, connections_go_by_weight)
{
    static const uint32_t weights[] = {1, 3, 200};
    int counts[3] = {0};
    ups_open(NULL, 3);
    for (size_t i = 0; i < 3; i++) {
        expect_eq(weir_upstream_set_weight(ups.all[i], weights[i]), 0);
        expect_eq(ups_info(i).weight, weights[i]);
    }
    for (int i = 0; i < 204; i++) {
        ups.end_count = 0;
        struct ups_end *end = ups_connect();
        counts[end->name - 'a']++;
        ups_leave(end, 0);
    }
    for (size_t i = 0; i < 3; i++) {
        expect_eq(counts[i], (int)weights[i]);
        expect_eq(ups_info(i).chosen_count, weights[i]);
    }
}

UNIT(upstream_facts, an_upstream_has_the_name_of_its_place)
{
    const struct weir_address addresses[] = {peer_address("192.0.2.7", 80),
                                             peer_address("2001:db8::7", 443)};
    static const char *const names[] = {"192.0.2.7:80", "[2001:db8::7]:443"};
    ups_open(NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        const struct weir_upstream_options options = {
            .size = sizeof(options),
            .endpoint = weir_endpoint_addresses(&addresses[i], 1)};
        weir_upstream *upstream;
        expect_eq(weir_upstreams_add(ups.set, &options, &upstream), 0);
        expect_str_eq(weir_upstream_get_name(upstream), names[i]);
    }
}

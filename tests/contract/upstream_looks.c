/*
 * How often a choice inspects all upstreams of a set: once for many
 * connections, and again after a relevant change, which takes effect at once.
 *
 * The end of a connection inspects others only if there are limits, for
 * requests that wait.
 */
#define UNIT_RUN in_world
#include "tests/contract/maker.h"

#include <stdio.h>
#include <unistd.h>
#include <weir/upstream.h>

enum { PEERS = 8, MANY = 60, KEYS = 80 };

struct wr_candidate_upstream;

void __real_wr_upstream_describe(weir_upstream *upstream, uint64_t ticket,
                                 struct wr_candidate_upstream *candidate);
void __wrap_wr_upstream_describe(weir_upstream *upstream, uint64_t ticket,
                                 struct wr_candidate_upstream *candidate);

void __real_wr_requests_serve(weir_upstreams *set);
void __wrap_wr_requests_serve(weir_upstreams *set);

void __real_wr_upstream_follow(weir_upstream *upstream);
void __wrap_wr_upstream_follow(weir_upstream *upstream);

static struct {
    struct maker m;
    weir_upstreams *set;
    weir_upstreams_shared *shared; /* NULL means the set's own */
    weir_upstream *all[PEERS];
    int listeners[PEERS];
    size_t looks;   /* inspections of one upstream */
    size_t serves;  /* inspections for a request that can be served */
    size_t follows; /* inspections of an upstream that has changed */
    uint32_t limit;
    uint64_t slow_start_ns;
    weir_upstream *chosen;
} world;

void __wrap_wr_requests_serve(weir_upstreams *set)
{
    world.serves++;
    __real_wr_requests_serve(set);
}

void __wrap_wr_upstream_describe(weir_upstream *upstream, uint64_t ticket,
                                 struct wr_candidate_upstream *candidate)
{
    world.looks++;
    __real_wr_upstream_describe(upstream, ticket, candidate);
}

void __wrap_wr_upstream_follow(weir_upstream *upstream)
{
    world.follows++;
    __real_wr_upstream_follow(upstream);
}

static void in_world(void (*body)(void))
{
    struct weir_address address;

    memset(&world, 0, sizeof(world));
    for (int i = 0; i < PEERS; i++) {
        world.listeners[i] = peer_listen(500, &address);
    }
    maker_open(&world.m);
    body();
    weir_upstreams_free(world.set);
    maker_close(&world.m);
    for (int i = 0; i < PEERS; i++) {
        close(world.listeners[i]);
    }
}

static void have_set(enum weir_balance balance)
{
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .balance = balance,
                                                   .shared = world.shared,
                                                   .slow_start_ns =
                                                       world.slow_start_ns,
                                                   .seed = 1,
                                                   .fail_limit = 1,
                                                   .eject_ns = 100000 * MS};

    const struct weir_upstream_health known = {
        .size = sizeof(known), .slow_start_ns = world.slow_start_ns / 2};

    weir_upstreams_free(world.set);
    expect_eq(weir_upstreams_new(world.m.loop, &options, &world.set), 0);
    for (int i = 0; i < PEERS; i++) {
        struct weir_address address = {.len = sizeof(address.storage)};
        expect_ok(getsockname(world.listeners[i], &address.storage.any,
                              &address.len));
        const struct weir_upstream_options upstream = {
            .size = sizeof(upstream),
            .endpoint = weir_endpoint_addresses(&address, 1),
            .health = &known,
            .connection_limit = world.limit};
        expect_eq(weir_upstreams_add(world.set, &upstream, &world.all[i]), 0);
    }
    world.looks = 0;
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    const int *said = arg;

    expect_eq(err, 0);
    world.chosen = result->upstream;
    weir_transport_abort(result->transport);
    weir_upstream_slot_release(result->slot, *said);
    world.m.done++;
}

static weir_upstream *
connect_by(const struct weir_upstreams_connect_options *options, int result)
{
    world.m.done = 0;
    expect_ok(weir_upstreams_connect(world.set, &world.m.factory, options,
                                     note_end, &result, NULL));
    maker_run(&world.m, maker_is_done);
    return world.chosen;
}

static void connect_some(int count, const weir_upstream *left_out)
{
    for (int i = 0; i < count; i++) {
        cr_assert_neq(connect_by(NULL, 0), left_out);
    }
}

UNIT(upstream_looks, one_look_at_all_is_enough_for_many_connections)
{
    static const enum weir_balance all[] = {
        WEIR_BALANCE_LEAST_CONNECTIONS, WEIR_BALANCE_RANDOM_TWO,
        WEIR_BALANCE_HASH, WEIR_BALANCE_ROUND_ROBIN};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        have_set(all[i]);
        connect_some(12, NULL);
        expect_eq(world.looks, PEERS);
    }
}

UNIT(upstream_looks, what_the_program_says_is_obeyed_at_once)
{
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    connect_some(4, NULL);
    weir_upstream_set_draining(world.all[5], true);
    connect_some(16, world.all[5]);
    expect_eq(world.looks, 2 * PEERS);
    weir_upstream_set_draining(world.all[5], false);
    expect_eq(weir_upstream_set_weight(world.all[4], 0), 0);
    connect_some(16, world.all[4]);
    expect_eq(world.looks, 3 * PEERS);
}

UNIT(upstream_looks, one_that_is_ejected_is_not_chosen_any_more)
{
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    connect_some(16, connect_by(NULL, -ECONNRESET));
    expect_eq(world.looks, PEERS + 1, "at that one again");
}

UNIT(upstream_looks, who_excludes_some_looks_for_itself)
{
    have_set(WEIR_BALANCE_HASH);
    weir_upstream *first = connect_by(NULL, 0);
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .excluded = &first, .excluded_count = 1};
    cr_assert_neq(connect_by(&options, 0), first);
    cr_assert_eq(connect_by(NULL, 0), first);
    expect_eq(world.looks, 3 * PEERS);
}

UNIT(upstream_looks, the_first_one_is_known)
{
    have_set(WEIR_BALANCE_FIRST);
    weir_upstream *first = connect_by(NULL, 0);
    world.looks = 0;
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(connect_by(NULL, 0), first);
    }
    expect_eq(world.looks, 0);
    weir_upstream_set_draining(first, true);
    connect_some(2, first);
    expect_geq(world.looks, PEERS);
}

UNIT(upstream_looks, a_limit_is_looked_at_where_it_is_reached)
{
    world.limit = 2;
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    connect_some(12, NULL);
    expect_eq(world.looks, PEERS);
    world.limit = 1;
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    connect_some(4, NULL);
    expect_leq(world.looks, PEERS + 2 * 3,
               "each takes the only place, and gives it back");
}

UNIT(upstream_looks, without_limits_nobody_is_looked_for_who_waits)
{
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    connect_some(2, NULL);
    world.serves = 0;
    connect_some(12, NULL);
    maker_run_for(&world.m, MS);
    expect_eq(world.serves, 0);
}

/* Weights grow in steps, here of an hour each. */
UNIT(upstream_looks, a_slow_start_is_looked_at_once_a_step)
{
    world.slow_start_ns = 256 * WEIR_SECONDS(3600);
    have_set(WEIR_BALANCE_LEAST_CONNECTIONS);
    connect_some(12, NULL);
    expect_leq(world.looks, 2 * PEERS, "a step may have begun meanwhile");
}

UNIT(upstream_looks, a_change_is_followed_where_it_is)
{
    expect_eq(weir_upstreams_shared_new(NULL, &world.shared), 0);
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    weir_upstreams *other = world.set;
    world.set = NULL;
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    maker_run_for(&world.m, MS);
    world.follows = 0;
    connect_by(NULL, -ECONNRESET);
    maker_run_for(&world.m, MS);
    expect_eq(world.follows, 2, "by the two sets");
    weir_upstreams_free(other);
    weir_upstreams_free(world.set);
    world.set = NULL;
    weir_upstreams_shared_free(world.shared);
}

/* A reload has raised the limits: the former lower ones are forgotten. */
UNIT(upstream_looks, a_limit_that_is_gone_is_not_looked_at)
{
    expect_eq(weir_upstreams_shared_new(NULL, &world.shared), 0);
    world.limit = 1;
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    weir_upstreams *before = world.set;
    world.set = NULL;
    world.limit = 10;
    have_set(WEIR_BALANCE_ROUND_ROBIN);
    weir_upstreams_free(before);
    connect_some(12, NULL);
    expect_eq(world.looks, PEERS);
    weir_upstreams_free(world.set);
    world.set = NULL;
    weir_upstreams_shared_free(world.shared);
}

static void connect_by_keys(weir_upstream **ret)
{
    for (uint32_t key = 0; key < KEYS; key++) {
        const struct weir_upstreams_connect_options options = {
            .size = sizeof(options), .key = &key, .key_size = sizeof(key)};
        ret[key] = connect_by(&options, 0);
    }
}

static void expect_moves(weir_upstream **before, const weir_upstream *one)
{
    weir_upstream *now[KEYS];
    int moved = 0;

    connect_by_keys(now);
    for (int key = 0; key < KEYS; key++) {
        cr_assert((now[key] != before[key]) == (before[key] == one));
        moved += now[key] != before[key];
    }
    expect_geq(moved, 1);
}

/* With many upstreams the owners of keys are cached until one is added or
 * removed. */
UNIT(upstream_looks, keys_of_many_move_only_where_one_goes)
{
    weir_upstream *before[KEYS];
    weir_upstream *now[KEYS];

    have_set(WEIR_BALANCE_HASH);
    for (int i = 0; i < MANY; i++) {
        struct weir_address address = {.len = sizeof(address.storage)};
        char name[24];
        expect_ok(getsockname(world.listeners[i % PEERS], &address.storage.any,
                              &address.len));
        snprintf(name, sizeof(name), "many-%d", i);
        const struct weir_upstream_options upstream = {
            .size = sizeof(upstream),
            .name = name,
            .endpoint = weir_endpoint_addresses(&address, 1)};
        expect_eq(weir_upstreams_add(world.set, &upstream, NULL), 0);
    }
    connect_by_keys(before);
    expect_eq(weir_upstream_set_weight(before[0], 0), 0);
    expect_moves(before, before[0]);
    expect_eq(weir_upstream_set_weight(before[0], 1), 0);
    connect_by_keys(now);
    cr_assert(memcmp(now, before, sizeof(now)) == 0);
    weir_upstream_set_draining(before[0], true);
    expect_moves(before, before[0]);
    weir_upstream_set_draining(before[0], false);
    weir_upstream_remove(before[0]);
    expect_moves(before, before[0]);
}

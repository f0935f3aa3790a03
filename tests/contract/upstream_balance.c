/*
 * Balance over threads: 16 threads with a set each, which share, request one
 * connection each and keep it.
 *
 * Each of the four targets gets as many as if one set had made all requests.
 * Run it with the address and thread sanitizers.
 */
#include "tests/contract/maker.h"

#include <stdatomic.h>
#include <weir/task.h>
#include <weir/threads.h>
#include <weir/upstream.h>

enum { THREADS = 16, TARGETS = 4 };

static struct {
    weir_upstreams_shared *shared;
    enum weir_balance balance;
    uint32_t asks;
    uint32_t total;
    struct weir_address addresses[TARGETS];
    int listeners[TARGETS];
    atomic_uint told;
    atomic_uint chosen[TARGETS];
} all;

struct asker {
    weir_thread *thread;
    weir_upstreams *set;
    weir_upstream_slot *slots[THREADS];
    uint32_t slot_count;
};

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                                  .kind = WEIR_PROTOCOL_STREAM};
    ret->protocol = &protocol;
    return 0;
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    struct asker *asker = arg;
    expect_eq(err, 0);
    const char *name = weir_upstream_get_name(result->upstream);
    atomic_fetch_add(&all.chosen[name[0] - 'a'], 1);
    asker->slots[asker->slot_count++] = result->slot;
    weir_transport_abort(result->transport);
    if (atomic_fetch_add(&all.told, 1) + 1 == all.total) {
        weir_threads_stop(weir_thread_get_group(asker->thread),
                          WEIR_SECONDS(60));
    }
}

static void make_set(struct asker *asker)
{
    const struct weir_upstreams_options options = {
        .size = sizeof(options),
        .balance = all.balance,
        .seed = 7,
        .shared = all.shared,
    };
    expect_ok(weir_upstreams_new(weir_thread_get_loop(asker->thread), &options,
                                 &asker->set));
    for (int i = 0; i < TARGETS; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        const struct weir_upstream_options upstream = {
            .size = sizeof(upstream),
            .name = name,
            .endpoint = weir_endpoint_addresses(&all.addresses[i], 1)};
        expect_eq(weir_upstreams_add(asker->set, &upstream, NULL), 0);
    }
}

static int run_thread(weir_thread *thread, void *arg)
{
    const struct weir_factory factory = {make_protocol, NULL};
    struct asker asker = {.thread = thread};
    make_set(&asker);
    for (uint32_t i = 0; i < all.asks; i++) {
        const uint32_t key = weir_thread_get_index(thread) * all.asks + i;
        const struct weir_upstreams_connect_options options = {
            .size = sizeof(options), .key = &key, .key_size = sizeof(key)};
        expect_ok(weir_upstreams_connect(asker.set, &factory, &options,
                                         note_end, &asker, NULL));
    }
    expect_eq(weir_sleep(weir_thread_get_loop(thread), UINT64_MAX / 2),
              -ECANCELED);
    expect_eq(asker.slot_count, all.asks);
    for (uint32_t i = 0; i < asker.slot_count; i++) {
        weir_upstream_slot_release(asker.slots[i], 0);
    }
    weir_upstreams_free(asker.set);
    return 0;
}

static void run(enum weir_balance balance, uint32_t threads, uint32_t asks)
{
    const struct weir_threads_options options = {
        .size = sizeof(options), .thread_count = threads, .no_signals = true};
    memset(&all, 0, sizeof(all));
    all.balance = balance;
    all.asks = asks;
    all.total = threads * asks;
    for (int i = 0; i < TARGETS; i++) {
        all.listeners[i] = peer_listen(THREADS, &all.addresses[i]);
    }
    expect_eq(weir_upstreams_shared_new(NULL, &all.shared), 0);
    expect_eq(weir_threads_run(&options, run_thread, NULL), 0);
    weir_upstreams_shared_free(all.shared);
    for (int i = 0; i < TARGETS; i++) {
        close(all.listeners[i]);
    }
    expect_eq(atomic_load(&all.told), all.total);
}

static void expect_even(void)
{
    for (int i = 0; i < TARGETS; i++) {
        expect_eq(atomic_load(&all.chosen[i]), THREADS / TARGETS);
    }
}

/* The target of a thread depends on when it requests; the number for each
 * target does not, because no connection ends. */
static void expect_as_one(enum weir_balance balance)
{
    uint32_t alone[TARGETS];
    run(balance, 1, THREADS);
    for (int i = 0; i < TARGETS; i++) {
        alone[i] = atomic_load(&all.chosen[i]);
    }
    run(balance, THREADS, 1);
    for (int i = 0; i < TARGETS; i++) {
        expect_eq(atomic_load(&all.chosen[i]), alone[i]);
    }
}

UNIT(upstream_balance, threads_take_turns)
{
    run(WEIR_BALANCE_ROUND_ROBIN, THREADS, 1);
    expect_even();
}

UNIT(upstream_balance, threads_know_connections_of_all)
{
    run(WEIR_BALANCE_LEAST_CONNECTIONS, THREADS, 1);
    expect_even();
}

UNIT(upstream_balance, threads_draw_as_one_does)
{
    expect_as_one(WEIR_BALANCE_RANDOM_TWO);
}

UNIT(upstream_balance, threads_choose_by_key_as_one_does)
{
    expect_as_one(WEIR_BALANCE_HASH);
}

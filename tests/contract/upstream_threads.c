/*
 * Limits of two targets that the sets of three loops enforce together, under
 * load: requests arrive in bursts, some for one of the two only, wait, are
 * served, fail and are cancelled; one loop frees its set and makes another, and
 * one ends while its requests wait.
 *
 * Targets are checked and ejected meanwhile. The limits always hold, each
 * request is reported once, and all remaining ones are served. WEIR_TEST_SEED
 * repeats the choices, as far as threads are repeatable. Run it with the
 * address and thread sanitizers.
 */
#include "tests/contract/maker.h"
#include "tests/unit/random.h"

#include <stdatomic.h>
#include <weir/sync.h>
#include <weir/task.h>
#include <weir/threads.h>
#include <weir/upstream.h>

enum { LOOPS = 3, BURSTS = 25, BURST = 8, TARGETS = 3 };

static const int target_limits[TARGETS] = {3, 2, 2};

struct loop_side;

struct ask {
    struct loop_side *side;
    weir_pending *pending;
    weir_upstream_slot *slot;
    int target;
};

struct loop_side {
    weir_loop *loop;
    weir_upstreams *set;
    weir_upstream *targets[TARGETS];
    weir_event *all;
    struct unit_random dice;
    struct ask asks[BURSTS * BURST];
    int asked_count;
    int told_count;
    int served_count;
    int slot_count;
    bool is_leaving;
};

static struct {
    uint64_t seed;
    weir_upstreams_shared *limits;
    struct weir_address address;
    struct loop_side sides[LOOPS];
    atomic_int taken[TARGETS];
    atomic_int most[TARGETS];
} storm;

static uint64_t roll(struct loop_side *side, uint64_t below)
{
    return unit_random_below(&side->dice, below);
}

static int storm_create(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                                  .kind = WEIR_PROTOCOL_STREAM};
    ret->protocol = &protocol;
    return 0;
}

static void check_all(struct loop_side *side)
{
    if (side->told_count == side->asked_count && side->slot_count == 0 &&
        side->all) {
        weir_event_set(side->all);
    }
}

static void end_slot(void *arg)
{
    struct ask *ask = arg;
    if (ask->slot) {
        atomic_fetch_sub(&storm.taken[ask->target], 1);
        weir_upstream_slot_release(ask->slot,
                                   roll(ask->side, 3) == 0 ? -EPIPE : 0);
        ask->slot = NULL;
        ask->side->slot_count--;
        check_all(ask->side);
    }
}

static void cancel(void *arg)
{
    const struct ask *ask = arg;
    if (ask->pending) {
        weir_pending_cancel(ask->pending);
    }
}

static void note_end(void *arg, int err,
                     const struct weir_upstreams_result *result)
{
    struct ask *ask = arg;
    struct loop_side *side = ask->side;
    cr_assert_not_null(ask->pending, "told once");
    ask->pending = NULL;
    side->told_count++;
    if (err == 0) {
        ask->target = weir_upstream_get_name(result->upstream)[0] - 'a';
        const int taken = atomic_fetch_add(&storm.taken[ask->target], 1) + 1;
        int most = atomic_load(&storm.most[ask->target]);
        cr_assert_leq(taken, target_limits[ask->target]);
        while (taken > most && !atomic_compare_exchange_weak(
                                   &storm.most[ask->target], &most, taken)) {
        }
        side->served_count++;
        side->slot_count++;
        ask->slot = result->slot;
        weir_transport_abort(result->transport);
        expect_ok(weir_loop_call_later(side->loop, roll(side, MS), end_slot,
                                       ask, NULL));
    } else {
        expect_eq(err, -ECANCELED);
    }
    check_all(side);
    if (side->is_leaving && side->told_count == side->asked_count) {
        /* At the loop's end: timers that would end slots no longer run. */
        for (int i = 0; i < side->asked_count; i++) {
            end_slot(&side->asks[i]);
        }
        weir_upstreams_free(side->set);
        side->set = NULL;
    }
}

static void ask_for_one(struct loop_side *side)
{
    const struct weir_factory factory = {storm_create, NULL};
    struct ask *ask = &side->asks[side->asked_count];
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .excluded = &side->targets[roll(side, TARGETS)],
        .excluded_count = roll(side, 3) == 0};
    ask->side = side;
    expect_ok(weir_upstreams_connect(side->set, &factory, &options, note_end,
                                     ask, &ask->pending));
    side->asked_count++;
    if (roll(side, 8) == 0) {
        expect_ok(weir_loop_call_later(side->loop, roll(side, 5 * MS), cancel,
                                       ask, NULL));
    }
}

static void make_set(struct loop_side *side)
{
    const struct weir_upstream_check check = {.size = sizeof(check),
                                              .interval_ns = 20 * MS};
    const struct weir_upstreams_options options = {
        .size = sizeof(options),
        .queue_limit = LOOPS * BURSTS * BURST,
        .queue_timeout_ns = UINT64_MAX,
        .fail_limit = 2,
        .eject_ns = MS / 2,
        .eject_max_ns = MS,
        .check = &check,
        .shared = storm.limits};
    expect_eq(weir_upstreams_new(side->loop, &options, &side->set), 0);
    for (int i = 0; i < TARGETS; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        const struct weir_upstream_options upstream = {
            .size = sizeof(upstream),
            .name = name,
            .endpoint = weir_endpoint_addresses(&storm.address, 1),
            .connection_limit = (uint32_t)target_limits[i]};
        expect_ok(weir_upstreams_add(side->set, &upstream, &side->targets[i]));
    }
}

static int run_side(weir_thread *thread, void *arg)
{
    const uint32_t index = weir_thread_get_index(thread);
    struct loop_side *side = &storm.sides[index];
    side->loop = weir_thread_get_loop(thread);
    side->dice.state = storm.seed + index;
    make_set(side);
    for (int i = 0; i < BURSTS; i++) {
        for (int j = 0; j < BURST; j++) {
            ask_for_one(side);
        }
        if (index == 2 && i == BURSTS / 2) {
            side->is_leaving = true;
            return 0;
        }
        if (index == 1 && i == BURSTS / 2) {
            weir_upstreams_free(side->set);
            make_set(side);
        }
        expect_eq(weir_sleep(side->loop, roll(side, 4 * MS)), 0);
    }
    expect_eq(weir_event_new(side->loop, &side->all), 0);
    check_all(side);
    expect_eq(weir_event_wait(side->all), 0);
    weir_event_free(side->all);
    side->all = NULL;
    weir_upstreams_free(side->set);
    side->set = NULL;
    return 0;
}

UNIT(upstream_threads, limits_hold_over_loops_and_all_are_served)
{
    const struct weir_threads_options options = {
        .size = sizeof(options), .thread_count = LOOPS, .no_signals = true};
    struct unit_random random;
    memset(&storm, 0, sizeof(storm));
    storm.seed = unit_random_seed(&random);
    const int listener = peer_listen(SOMAXCONN, &storm.address);
    expect_eq(weir_upstreams_shared_new(NULL, &storm.limits), 0);
    expect_eq(weir_threads_run(&options, run_side, NULL), 0);
    weir_upstreams_shared_free(storm.limits);
    for (int i = 0; i < LOOPS; i++) {
        const struct loop_side *side = &storm.sides[i];
        expect_eq(side->set, NULL);
        expect_eq(side->told_count, side->asked_count);
    }
    expect_gt(storm.sides[0].served_count, BURSTS * BURST / 2);
    for (int i = 0; i < TARGETS; i++) {
        expect_eq(atomic_load(&storm.taken[i]), 0);
        expect_eq(atomic_load(&storm.most[i]), target_limits[i]);
    }
    close(listener);
}

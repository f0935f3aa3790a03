/*
 * The rig of the contract suites: the turns of its loop.
 *
 * Nothing here waits for a time: a test runs its loop until what it waits for
 * has happened, and fails if that takes longer than any machine needs.
 */
#include "tests/contract/harness.h"

#include <poll.h>
#include <time.h>

struct guard {
    weir_predicate_fn *condition;
    void *arg;
    bool expired;
};

static void expire(void *arg)
{
    struct guard *guard = arg;
    guard->expired = true;
}

static bool holds(void *arg)
{
    const struct guard *guard = arg;
    return guard->expired || guard->condition(guard->arg);
}

void run_loop_until(weir_loop *loop, weir_predicate_fn *condition, void *arg)
{
    struct guard guard = {.condition = condition, .arg = arg};
    struct weir_handle handle;

    expect_eq(weir_loop_call_later(loop, RIG_WAIT_NS, expire, &guard, &handle),
              0);
    expect_eq(weir_loop_run_until(loop, holds, &guard), 0);
    if (guard.expired) {
        weir_loop_dump(loop, stderr);
    }
    expect(!guard.expired);
    weir_loop_cancel(loop, handle);
}

void rig_wait(struct rig *rig, weir_predicate_fn *condition)
{
    run_loop_until(rig->loop, condition, rig);
}

static bool is_lost(void *arg)
{
    return ((struct rig *)arg)->lost_count > 0;
}

void rig_wait_lost(struct rig *rig)
{
    rig_wait(rig, is_lost);
}

struct wanted {
    const struct rig *rig;
    const char *event;
    uint64_t bytes;
};

static bool has_event(void *arg)
{
    const struct wanted *wanted = arg;
    return strstr(wanted->rig->events, wanted->event) != NULL;
}

void rig_wait_event(struct rig *rig, const char *event)
{
    struct wanted wanted = {.rig = rig, .event = event};
    run_loop_until(rig->loop, has_event, &wanted);
}

static bool has_received(void *arg)
{
    const struct wanted *wanted = arg;
    return wanted->rig->received >= wanted->bytes;
}

void rig_wait_received(struct rig *rig, uint64_t bytes)
{
    struct wanted wanted = {.rig = rig, .bytes = bytes};
    run_loop_until(rig->loop, has_received, &wanted);
}

static bool has_sent(void *arg)
{
    return rig_pending(arg) == 0;
}

void rig_wait_sent(struct rig *rig)
{
    rig_wait(rig, has_sent);
}

void rig_turn(struct rig *rig)
{
    weir_loop_stop(rig->loop);
    expect_eq(weir_loop_run(rig->loop), 0);
}

void rig_turns(struct rig *rig, int count)
{
    for (int i = 0; i < count; i++) {
        rig_turn(rig);
    }
}

uint64_t rig_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * RIG_S + (uint64_t)ts.tv_nsec;
}

void rig_turn_for(struct rig *rig, uint64_t time_ns)
{
    const uint64_t until_ns = rig_now_ns() + time_ns;
    for (int i = 0; i < RIG_TURNS_MIN || rig_now_ns() < until_ns; i++) {
        rig_turn(rig);
        poll(NULL, 0, 1);
    }
}

struct weir_loop_statistics rig_statistics(const struct rig *rig)
{
    struct weir_loop_statistics stats = {.size = sizeof(stats)};
    expect_eq(weir_loop_get_statistics(rig->loop, &stats), 0);
    return stats;
}

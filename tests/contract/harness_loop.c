/*
 * The rig of the contract suites: iterations of its loop.
 *
 * Nothing waits for a fixed time: a test runs its loop until an event has
 * happened, and fails if that takes longer than any machine needs.
 */
#include "tests/contract/harness.h"

#include <poll.h>
#include <time.h>

void rig_wait_lost(struct rig *rig)
{
    RUN_UNTIL(rig->loop, rig->lost_count > 0);
}

void rig_expect_lost(struct rig *rig, int err)
{
    rig_wait_lost(rig);
    expect_eq(rig->lost_err, err);
}

void rig_wait_event(struct rig *rig, const char *event)
{
    RUN_UNTIL(rig->loop, strstr(rig->events, event) != NULL);
}

void rig_wait_received(struct rig *rig, uint64_t bytes)
{
    RUN_UNTIL(rig->loop, rig->received >= bytes);
}

void rig_receive(struct rig *rig, size_t len)
{
    rig_peer_send(rig, len);
    rig_wait_received(rig, rig->peer_sent);
}

void rig_wait_sent(struct rig *rig)
{
    RUN_UNTIL(rig->loop, rig_pending(rig) == 0);
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
    return statistics_of(rig->loop);
}

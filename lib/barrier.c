/*
 * Barriers: a number of tasks wait for each other.
 *
 * The last one to come wakes the others, each with its place, and the round is
 * over at once: who comes next waits in a new one, though nobody of the old one
 * has run yet. Places follow from the queue at that moment, so a waiter that
 * was cancelled leaves no gap.
 */
#include "../include/weir/error.h"
#include "../include/weir/sync.h"

#include "sync.h"

#include <limits.h>

struct weir_barrier {
    struct wr_sync sync;
    struct wr_list waiters; /* struct party */
    uint32_t parties;
    uint32_t waiting_count;
    bool is_broken; /* set by abort, cleared by reset */
};

struct party {
    struct wr_waiter waiter;
    weir_barrier *barrier;
};

/* The count must be right before this task runs again. */
static void interrupt(struct wr_waiter *waiter)
{
    weir_barrier *barrier =
        wr_container_of(waiter, struct party, waiter)->barrier;

    wr_assert(barrier->waiting_count > 0);
    barrier->waiting_count--;
    wr_waiter_wake(waiter, -ECANCELED);
}

static void end_round(weir_barrier *barrier, int result)
{
    barrier->waiting_count = 0;
    wr_waiters_wake_all(&barrier->waiters, result);
}

static void complete_round(weir_barrier *barrier)
{
    int place = 0;

    while (wr_waiters_wake_first(&barrier->waiters, place)) {
        place++;
    }
    wr_assert((uint32_t)place == barrier->waiting_count);
    barrier->waiting_count = 0;
}

int weir_barrier_new(weir_loop *loop, uint32_t parties, weir_barrier **ret)
{
    struct wr_sync *sync;
    wr_require(ret, -EINVAL);
    wr_require(parties > 0, -EINVAL);
    wr_require(parties <= INT_MAX, -EINVAL); /* places are results */
    int err = wr_sync_new(loop, sizeof(weir_barrier), &sync);
    if (err < 0) {
        return err;
    }
    weir_barrier *barrier = wr_container_of(sync, weir_barrier, sync);
    wr_list_init(&barrier->waiters);
    barrier->parties = parties;
    *ret = barrier;
    return 0;
}

static int wait(weir_barrier *barrier)
{
    struct party party = {.waiter = {.interrupt = interrupt},
                          .barrier = barrier};

    wr_require(!barrier->is_broken, WEIR_EBROKEN);
    wr_assert(barrier->waiting_count < barrier->parties);
    if (barrier->waiting_count == barrier->parties - 1) {
        complete_round(barrier);
        return (int)(barrier->parties - 1);
    }
    barrier->waiting_count++;
    return wr_task_wait(barrier->sync.loop, &party.waiter, &barrier->waiters);
}

int weir_barrier_wait(weir_barrier *barrier)
{
    int err = wr_sync_enter(&barrier->sync);
    if (err < 0) {
        return err;
    }
    err = wait(barrier);
    wr_sync_unref(&barrier->sync);
    return err;
}

void weir_barrier_reset(weir_barrier *barrier)
{
    if (wr_loop_check(barrier->sync.loop) < 0) {
        return;
    }
    barrier->is_broken = false;
    end_round(barrier, WEIR_EBROKEN);
}

void weir_barrier_abort(weir_barrier *barrier)
{
    if (wr_loop_check(barrier->sync.loop) < 0) {
        return;
    }
    barrier->is_broken = true;
    end_round(barrier, WEIR_EBROKEN);
}

uint32_t weir_barrier_waiting_count(const weir_barrier *barrier)
{
    return barrier->waiting_count;
}

void weir_barrier_free(weir_barrier *barrier)
{
    if (!barrier || wr_loop_check(barrier->sync.loop) < 0) {
        return;
    }
    end_round(barrier, -ECANCELED);
    wr_sync_free(&barrier->sync);
}

/*
 * Barriers: a number of tasks wait for each other.
 *
 *     blocked --> waiting --> leaving --> running
 *
 * The last one to come ends the round, and so does a reset or an abort: all
 * that wait are woken with the round's result, and leave. Until the last of
 * them has run, their results may still change to WEIR_EBROKEN, and who comes
 * is blocked. Then the blocked ones are let in, first come, first served.
 *
 * Places follow from the queue when the round is full, so a waiter that was
 * cancelled leaves no gap.
 */
#include "../include/weir/error.h"
#include "../include/weir/sync.h"

#include "sync.h"

#include <limits.h>

struct weir_barrier {
    struct wr_sync sync;
    struct wr_list blocked; /* struct party: came while others left */
    struct wr_list waiters; /* struct party */
    struct wr_list leaving; /* struct party: woken, have not run */
    uint32_t parties;
    uint32_t waiting_count;
    bool is_broken; /* set by abort, cleared by reset */
};

struct party {
    struct wr_waiter waiter;
    struct wr_list leaving;
    weir_barrier *barrier;
    int result;      /* while it leaves */
    bool is_counted; /* it is one of the waiters */
};

static struct party *first_of(const struct wr_list *waiters)
{
    return wr_container_of(waiters->next, struct party, waiter.link);
}

static void count_out(struct party *party)
{
    wr_assert(party->is_counted);
    wr_assert(party->barrier->waiting_count > 0);
    party->is_counted = false;
    party->barrier->waiting_count--;
}

/* The count must be right before this task runs again. */
static void interrupt(struct wr_waiter *waiter)
{
    struct party *party = wr_container_of(waiter, struct party, waiter);

    if (party->is_counted) {
        count_out(party);
    }
    wr_waiter_wake(waiter, -ECANCELED);
}

static void begin_leaving(struct party *party, int result)
{
    party->result = result;
    wr_list_push_back(&party->barrier->leaving, &party->leaving);
    wr_waiter_wake(&party->waiter, 0);
}

static void break_round(weir_barrier *barrier)
{
    struct wr_list *link;

    for (link = barrier->leaving.next; link != &barrier->leaving;
         link = link->next) {
        wr_container_of(link, struct party, leaving)->result = WEIR_EBROKEN;
    }
    while (!wr_list_is_empty(&barrier->waiters)) {
        struct party *party = first_of(&barrier->waiters);
        count_out(party);
        begin_leaving(party, WEIR_EBROKEN);
    }
    wr_assert(barrier->waiting_count == 0);
}

/* Returns the place that is left, which is the last one's. */
static int complete_round(weir_barrier *barrier)
{
    int place = 0;

    while (!wr_list_is_empty(&barrier->waiters)) {
        struct party *party = first_of(&barrier->waiters);
        count_out(party);
        begin_leaving(party, place);
        place++;
    }
    wr_assert(barrier->waiting_count == 0);
    return place;
}

static void count_in(struct party *party)
{
    wr_assert(!party->is_counted);
    party->is_counted = true;
    party->barrier->waiting_count++;
    wr_assert(party->barrier->waiting_count <= party->barrier->parties);
}

/* Lets the blocked ones in, until they make a round full. */
static void unblock(weir_barrier *barrier)
{
    while (wr_list_is_empty(&barrier->leaving) &&
           !wr_list_is_empty(&barrier->blocked)) {
        struct party *party = first_of(&barrier->blocked);
        wr_list_remove(&party->waiter.link);
        wr_list_push_back(&barrier->waiters, &party->waiter.link);
        count_in(party);
        if (barrier->waiting_count == barrier->parties) {
            wr_ignore(complete_round(barrier)); /* all of it waited */
        }
    }
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
    wr_list_init(&barrier->blocked);
    wr_list_init(&barrier->waiters);
    wr_list_init(&barrier->leaving);
    barrier->parties = parties;
    *ret = barrier;
    return 0;
}

static int wait(weir_barrier *barrier)
{
    struct party party = {.waiter = {.interrupt = interrupt},
                          .barrier = barrier};
    struct wr_list *queue = &barrier->blocked;

    wr_require(!barrier->is_broken, WEIR_EBROKEN);
    if (wr_list_is_empty(&barrier->leaving)) {
        wr_assert(barrier->waiting_count < barrier->parties);
        if (barrier->waiting_count == barrier->parties - 1) {
            return complete_round(barrier);
        }
        count_in(&party);
        queue = &barrier->waiters;
    }
    wr_list_init(&party.leaving);
    int err = wr_task_wait(barrier->sync.loop, &party.waiter, queue);
    wr_assert(!party.is_counted);
    if (err < 0) {
        return err;
    }
    wr_assert(wr_list_is_linked(&party.leaving));
    wr_list_remove(&party.leaving);
    unblock(barrier);
    return party.result;
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
    break_round(barrier);
}

void weir_barrier_abort(weir_barrier *barrier)
{
    if (wr_loop_check(barrier->sync.loop) < 0) {
        return;
    }
    barrier->is_broken = true;
    break_round(barrier);
    wr_waiters_wake_all(&barrier->blocked, WEIR_EBROKEN);
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
    while (!wr_list_is_empty(&barrier->waiters)) {
        struct party *party = first_of(&barrier->waiters);
        count_out(party);
        wr_waiter_wake(&party->waiter, -ECANCELED);
    }
    wr_waiters_wake_all(&barrier->blocked, -ECANCELED);
    wr_sync_free(&barrier->sync);
}

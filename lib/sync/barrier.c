/*
 * Barriers: a fixed number of tasks wait for each other.
 *
 *     blocked --> waiting --> leaving --> out
 *        |           |                     |
 *        '-----------'---------------------'  interrupted, aborted, freed
 *
 * The last task to arrive, a reset or an abort ends the round: all waiting
 * tasks become leaving and are woken with a result. Until the last of them has
 * run, tasks that arrive are blocked, and a reset or an abort changes the
 * results that were not returned yet to WEIR_EBROKEN. Blocked tasks are
 * admitted in the next run of the ready queue, so a reset by the last leaving
 * task does not affect them. Positions are assigned when the round is full, so
 * a cancelled waiter leaves no gap.
 */
#include "weir/error.h"
#include "weir/sync.h"

#include "sync.h"

#include <limits.h>

enum barrier_state {
    BARRIER_OUT,
    BARRIER_BLOCKED, /* arrived while others were leaving */
    BARRIER_WAITING, /* counts in waiting_count */
    BARRIER_LEAVING, /* woken with a result, but has not run */
    BARRIER_STATES,
};

/* For each state, a mask of the states that may precede it. */
static const uint8_t barrier_edges[BARRIER_STATES] = {
    [BARRIER_OUT] =
        1u << BARRIER_BLOCKED | 1u << BARRIER_WAITING | 1u << BARRIER_LEAVING,
    [BARRIER_BLOCKED] = 1u << BARRIER_OUT,
    [BARRIER_WAITING] = 1u << BARRIER_OUT | 1u << BARRIER_BLOCKED,
    [BARRIER_LEAVING] = 1u << BARRIER_WAITING,
};

struct weir_barrier {
    struct wr_sync sync;
    struct wr_list blocked;
    struct wr_list waiters;
    struct wr_list leaving; /* struct barrier_visit */
    /* while it is pending, blocked tasks are about to be admitted */
    struct wr_ready unblock;
    uint32_t parties;
    uint32_t waiting_count;
    bool is_broken; /* set by abort, cleared by reset */
};

struct barrier_visit {
    struct wr_waiter waiter; /* in barrier->blocked or barrier->waiters */
    struct wr_list leaving;
    weir_barrier *barrier;
    enum barrier_state state;
    int result; /* valid while LEAVING */
};

static void barrier_set_state(struct barrier_visit *visit,
                              enum barrier_state state)
{
    weir_barrier *barrier = visit->barrier;

    wr_assert(barrier_edges[state] & 1u << visit->state);
    if (visit->state == BARRIER_WAITING) {
        wr_assert(barrier->waiting_count > 0);
        barrier->waiting_count--;
    }
    visit->state = state;
    if (state == BARRIER_WAITING) {
        wr_assert(barrier->waiting_count < barrier->parties);
        barrier->waiting_count++;
    }
}

static bool barrier_is_draining(const weir_barrier *barrier)
{
    return !wr_list_is_empty(&barrier->leaving) ||
           wr_ready_is_pending(&barrier->unblock);
}

static void barrier_check_invariants(const weir_barrier *barrier)
{
    wr_sync_check_invariants(&barrier->sync);
    wr_assert(barrier->waiting_count < barrier->parties);
    wr_assert((barrier->waiting_count == 0) ==
              wr_list_is_empty(&barrier->waiters));
    wr_assert(wr_list_is_empty(&barrier->leaving) ||
              wr_list_is_empty(&barrier->waiters));
    wr_assert(barrier_is_draining(barrier) ||
              wr_list_is_empty(&barrier->blocked));
    wr_assert(!wr_ready_is_pending(&barrier->unblock) ||
              wr_list_is_empty(&barrier->waiters));
}

static struct barrier_visit *barrier_first_of(const struct wr_list *waiters)
{
    return wr_container_of(waiters->next, struct barrier_visit, waiter.link);
}

static void barrier_send_out(struct barrier_visit *visit, int result)
{
    barrier_set_state(visit, BARRIER_OUT);
    wr_waiter_wake(&visit->waiter, result);
}

static void barrier_send_all_out(struct wr_list *waiters, int result)
{
    while (!wr_list_is_empty(waiters)) {
        barrier_send_out(barrier_first_of(waiters), result);
    }
}

/* The count is decremented now, not when the task runs. */
static void barrier_interrupt(struct wr_waiter *waiter)
{
    barrier_send_out(wr_container_of(waiter, struct barrier_visit, waiter),
                     -ECANCELED);
}

/* Makes all waiting tasks leave, with the result @err or, if @err is 0, their
 * position. Returns the number of tasks. */
static int barrier_end_round(weir_barrier *barrier, int err)
{
    int place = 0;

    while (!wr_list_is_empty(&barrier->waiters)) {
        struct barrier_visit *visit = barrier_first_of(&barrier->waiters);
        barrier_set_state(visit, BARRIER_LEAVING);
        visit->result = err < 0 ? err : place;
        wr_list_push_back(&barrier->leaving, &visit->leaving);
        wr_waiter_wake(&visit->waiter, 0);
        place++;
    }
    wr_assert(barrier->waiting_count == 0);
    return place;
}

static void barrier_break_round(weir_barrier *barrier)
{
    for (struct wr_list *link = barrier->leaving.next;
         link != &barrier->leaving; link = link->next) {
        struct barrier_visit *visit =
            wr_container_of(link, struct barrier_visit, leaving);
        wr_assert(visit->state == BARRIER_LEAVING);
        visit->result = WEIR_EBROKEN;
    }
    barrier_end_round(barrier, WEIR_EBROKEN);
}

static void barrier_unblock(struct wr_ready *ready)
{
    weir_barrier *barrier = wr_container_of(ready, weir_barrier, unblock);

    wr_assert(wr_list_is_empty(&barrier->leaving));
    while (wr_list_is_empty(&barrier->leaving) &&
           !wr_list_is_empty(&barrier->blocked)) {
        struct barrier_visit *visit = barrier_first_of(&barrier->blocked);
        wr_list_remove(&visit->waiter.link);
        wr_list_push_back(&barrier->waiters, &visit->waiter.link);
        barrier_set_state(visit, BARRIER_WAITING);
        if (barrier->waiting_count == barrier->parties) {
            barrier_end_round(barrier, 0);
        }
    }
    barrier_check_invariants(barrier);
}

int weir_barrier_new(weir_loop *loop, uint32_t parties, weir_barrier **ret)
{
    struct wr_sync *sync;
    wr_require(ret, -EINVAL);
    wr_require(parties > 0, -EINVAL);
    /* a position is returned as an int */
    wr_require(parties <= INT_MAX, -EINVAL);
    int err = wr_sync_new(loop, sizeof(weir_barrier), &sync);
    if (err < 0) {
        return err;
    }
    weir_barrier *barrier = wr_container_of(sync, weir_barrier, sync);
    wr_list_init(&barrier->blocked);
    wr_list_init(&barrier->waiters);
    wr_list_init(&barrier->leaving);
    wr_ready_init(&barrier->unblock, barrier_unblock);
    barrier->parties = parties;
    *ret = barrier;
    return 0;
}

WEIR_MUST_USE static int barrier_wait(weir_barrier *barrier)
{
    static const struct wr_wait_kind kind = {.name = "barrier",
                                             .interrupt = barrier_interrupt};
    struct barrier_visit visit = {.waiter = {.kind = &kind},
                                  .barrier = barrier};
    struct wr_list *queue = &barrier->blocked;

    barrier_check_invariants(barrier);
    wr_require(!barrier->is_broken, WEIR_EBROKEN);
    if (barrier_is_draining(barrier)) {
        barrier_set_state(&visit, BARRIER_BLOCKED);
    } else if (barrier->waiting_count == barrier->parties - 1) {
        return barrier_end_round(barrier, 0);
    } else {
        barrier_set_state(&visit, BARRIER_WAITING);
        queue = &barrier->waiters;
    }
    wr_list_init(&visit.leaving);
    int err = wr_task_wait(barrier->sync.loop, &visit.waiter, queue);
    if (err < 0) {
        wr_assert(visit.state == BARRIER_OUT);
        return err;
    }
    wr_assert(wr_list_is_linked(&visit.leaving));
    barrier_set_state(&visit, BARRIER_OUT);
    wr_list_remove(&visit.leaving);
    if (wr_list_is_empty(&barrier->leaving) &&
        !wr_list_is_empty(&barrier->blocked)) {
        wr_ready_push(&barrier->sync.loop->ready, &barrier->unblock);
    }
    barrier_check_invariants(barrier);
    return visit.result;
}

int weir_barrier_wait(weir_barrier *barrier)
{
    int err = wr_sync_enter(&barrier->sync);
    if (err < 0) {
        return err;
    }
    err = barrier_wait(barrier);
    wr_sync_unref(&barrier->sync);
    return err;
}

void weir_barrier_reset(weir_barrier *barrier)
{
    if (!wr_loop_admits(barrier->sync.loop)) {
        return;
    }
    barrier_check_invariants(barrier);
    barrier->is_broken = false;
    barrier_break_round(barrier);
}

void weir_barrier_abort(weir_barrier *barrier)
{
    if (!wr_loop_admits(barrier->sync.loop)) {
        return;
    }
    barrier_check_invariants(barrier);
    barrier->is_broken = true;
    barrier_break_round(barrier);
    barrier_send_all_out(&barrier->blocked, WEIR_EBROKEN);
}

uint32_t weir_barrier_get_waiting_count(const weir_barrier *barrier)
{
    return barrier->waiting_count;
}

void weir_barrier_free(weir_barrier *barrier)
{
    if (!barrier || !wr_loop_admits(barrier->sync.loop)) {
        return;
    }
    barrier_check_invariants(barrier);
    barrier_send_all_out(&barrier->waiters, -ECANCELED);
    barrier_send_all_out(&barrier->blocked, -ECANCELED);
    wr_ready_cancel(&barrier->unblock);
    wr_sync_free(&barrier->sync);
}

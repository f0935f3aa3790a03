/*
 * Barriers: what weir/sync.h promises about them.
 *
 * A round takes as many as the barrier does, those who were cancelled not
 * counted, and each has a place of its own in it.
 */
#define TASK_RUN free_after
#include "sync.h"

#include <limits.h>
#include <weir/sync.h>

static weir_barrier *barrier;

static int wait_here(void *object)
{
    return weir_barrier_wait(object);
}

static void make(weir_loop *on, uint32_t parties)
{
    expect_eq(weir_barrier_new(on, parties, &barrier), 0);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
}

static void free_after(void (*body)(void))
{
    body();
    weir_barrier_free(barrier);
}

TASK(barrier, lets_all_go_on_when_the_last_one_comes_round_after_round)
{
    struct worker workers[2];
    make(loop, 3);
    for (int round = 0; round < 3; round++) {
        start_each(workers, 2, wait_here, barrier);
        expect_eq(weir_barrier_get_waiting_count(barrier), 2);
        cr_assert_not(workers[0].is_back);

        const uint64_t turns = rig_statistics().turns;
        expect_eq(weir_barrier_wait(barrier), 2, "the last task's place");
        expect_eq(rig_statistics().turns, turns,
                  "the only party does not suspend");
        expect_eq(weir_barrier_get_waiting_count(barrier), 0);

        expect_eq(finish(&workers[0]), 0);
        expect_eq(finish(&workers[1]), 1);
    }
    expect_str_eq(notes, "ababab");
}

TASK(barrier, begins_the_next_round_before_the_old_one_has_run)
{
    struct worker early;
    struct worker late;
    make(loop, 2);
    start(&early, "a", wait_here, barrier);
    settle();
    expect_eq(weir_barrier_wait(barrier), 1);

    /* No task of the old round has run yet. */
    start(&late, "b", wait_here, barrier);
    expect_eq(weir_barrier_wait(barrier), 0);
    expect_eq(finish(&late), 1);
    expect_eq(finish(&early), 0);
}

TASK(barrier, of_one_never_waits)
{
    make(loop, 1);
    expect_eq(weir_barrier_wait(barrier), 0);
    expect_eq(weir_barrier_wait(barrier), 0);
}

TASK(barrier, cancelled_leaves_and_the_others_wait_on)
{
    make(loop, 3);
    start_both(wait_here, barrier);

    cr_assert(weir_task_cancel(first.task));
    cr_assert(weir_task_cancel(first.task));
    expect_eq(weir_barrier_get_waiting_count(barrier), 1,
              "a cancelled task is not counted any more");
    expect_end(&first, -ECANCELED, 0);
    cr_assert_not(second.is_back, "the other tasks still wait");
    start_first(wait_here, barrier);

    expect_eq(weir_barrier_wait(barrier), 2);
    expect_eq(finish(&second), 0, "the places are 0 to 2 without a gap");
    expect_eq(finish(&first), 1);
}

TASK(barrier, does_not_count_on_who_was_cancelled_but_has_not_run)
{
    make(loop, 2);
    start_first(wait_here, barrier);

    cr_assert(weir_task_cancel(first.task));
    /* It has not run yet, but is not counted any more. */
    struct weir_timeout limit;
    expect_eq(weir_timeout_begin(loop, &limit, MS), 0);
    int64_t result = weir_barrier_wait(barrier);
    expect_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    expect_eq(finish(&first), -ECANCELED);
}

TASK(barrier, cancelled_after_the_round_keeps_its_place)
{
    make(loop, 2);
    start_first(wait_here, barrier);

    expect_eq(weir_barrier_wait(barrier), 1);
    cr_assert(weir_task_cancel(first.task));

    expect_end(&first, 0, -ECANCELED);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
}

TASK(barrier, waited_at_too_long_times_out)
{
    make(loop, 2);
    must_time_out(wait_here, barrier);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
}

TASK(barrier, reset_is_as_new_and_who_waits_is_told)
{
    struct worker workers[2];
    make(loop, 3);
    start_each(workers, 2, wait_here, barrier);

    weir_barrier_reset(barrier);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
    expect_eq(finish(&workers[0]), WEIR_EBROKEN);
    expect_eq(finish(&workers[1]), WEIR_EBROKEN);

    start_each(workers, 2, wait_here, barrier);
    expect_eq(weir_barrier_wait(barrier), 2, "a place of the new round");
    expect_eq(finish(&workers[0]), 0);
    expect_eq(finish(&workers[1]), 1);
}

TASK(barrier, aborted_is_broken_until_it_is_reset)
{
    make(loop, 2);
    start_first(wait_here, barrier);

    weir_barrier_abort(barrier);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
    expect_eq(weir_barrier_wait(barrier), WEIR_EBROKEN);
    expect_eq(weir_barrier_wait(barrier), WEIR_EBROKEN,
              "a broken barrier stays broken");
    expect_eq(finish(&first), WEIR_EBROKEN);

    weir_barrier_reset(barrier);
    start_first(wait_here, barrier);
    cr_assert_not(first.is_back);
    expect_eq(weir_barrier_wait(barrier), 1);
    expect_eq(finish(&first), 0);
}

UNIT_IN(barrier, freed_wakes_who_waits, rig_run_body, void)
{
    make(loop, 3);
    start_both(wait_here, barrier);

    weir_barrier_free(barrier);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), -ECANCELED);
    expect_eq(first.next, 0, "the task was not cancelled");
    weir_barrier_free(NULL);
}

static int wait_until_it_fails(void *object)
{
    int place = 0;
    while (place >= 0) {
        place = weir_barrier_wait(object);
    }
    return place;
}

UNIT_IN(barrier, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
        rig_run_body, void)
{
    make(loop, 1);
    start(&first, "a", wait_until_it_fails, barrier);
    expect_eq(weir_yield(loop), 0);
    cr_assert_not(first.is_back);

    weir_barrier_free(barrier);

    expect_eq(finish(&first), -ECANCELED);
}

static int abort_barrier(void *object)
{
    weir_barrier_abort(object);
    return 0;
}

static int new_barrier(void *object)
{
    weir_barrier *result;
    return weir_barrier_new(object, 2, &result);
}

TASK(barrier, in_the_wrong_place_is_an_error)
{
    weir_barrier *none;
    expect_eq(weir_barrier_new(loop, 0, &none), -EINVAL);
    expect_eq(weir_barrier_new(loop, (uint32_t)INT_MAX + 1, &none), -EINVAL);
    expect_eq(weir_barrier_new(loop, 1, NULL), -EINVAL);
    make(loop, 2);
    start_first(wait_here, barrier);
    expect_eq(in_callback(wait_here, barrier), WEIR_ENOTTASK);
    expect_eq(elsewhere(wait_here, barrier), -EPERM);
    expect_eq(elsewhere(new_barrier, loop), -EPERM);
    expect_eq(weir_barrier_get_waiting_count(barrier), 1);
    expect_eq(in_callback(abort_barrier, barrier), 0);
    expect_eq(finish(&first), WEIR_EBROKEN);
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    make(on, 2);
    start(&left, "a", wait_here, barrier);
    settle();
    weir_task_unref(left.task);
    return 0;
}

UNIT(barrier, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_leave(leave_waiting, NULL);
    expect_eq(left.result, -ECANCELED);
    expect_eq(weir_barrier_get_waiting_count(barrier), 0);
    weir_barrier_free(barrier);
    fake_stop();
}

UNIT(barrier, without_memory_is_not_made)
{
    expect_eq(without_memory(new_barrier), -ENOMEM);
}

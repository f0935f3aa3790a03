/*
 * Barriers: what weir/sync.h promises about them.
 *
 * A round takes as many as the barrier does, those who were cancelled not
 * counted, and each has a place of its own in it.
 */
#include "sync.h"

#include <limits.h>

static weir_barrier *barrier;

static int wait_here(void *object)
{
    return weir_barrier_wait(object);
}

static void make(weir_loop *on, uint32_t parties)
{
    cr_assert_eq(weir_barrier_new(on, parties, &barrier), 0);
    cr_assert_eq(weir_barrier_waiting_count(barrier), 0);
}

static int meet(weir_loop *on, void *arg)
{
    struct worker workers[2];
    (void)arg;
    make(on, 3);
    for (int round = 0; round < 3; round++) {
        start(&workers[0], "a", wait_here, barrier);
        start(&workers[1], "b", wait_here, barrier);
        settle();
        cr_assert_eq(weir_barrier_waiting_count(barrier), 2);
        cr_assert_not(workers[0].is_back);

        const uint64_t turns = rig_statistics().turns;
        cr_assert_eq(weir_barrier_wait(barrier), 2, "the last one");
        cr_assert_eq(rig_statistics().turns, turns, "has not to wait");
        cr_assert_eq(weir_barrier_waiting_count(barrier), 0);

        cr_assert_eq(finish(&workers[0]), 0);
        cr_assert_eq(finish(&workers[1]), 1);
    }
    cr_assert_str_eq(notes, "ababab");
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, lets_all_go_on_when_the_last_one_comes_round_after_round)
{
    cr_assert_eq(rig_run(meet, NULL), 0);
}

static int begin_next_round(weir_loop *on, void *arg)
{
    struct worker early;
    struct worker late;
    (void)arg;
    make(on, 2);
    start(&early, "a", wait_here, barrier);
    settle();
    cr_assert_eq(weir_barrier_wait(barrier), 1);

    /* Nobody of the old round has run yet. */
    start(&late, "b", wait_here, barrier);
    cr_assert_eq(weir_barrier_wait(barrier), 0);
    cr_assert_eq(finish(&late), 1);
    cr_assert_eq(finish(&early), 0);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, begins_the_next_round_before_the_old_one_has_run)
{
    cr_assert_eq(rig_run(begin_next_round, NULL), 0);
}

static int wait_alone(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 1);
    cr_assert_eq(weir_barrier_wait(barrier), 0);
    cr_assert_eq(weir_barrier_wait(barrier), 0);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, of_one_never_waits)
{
    cr_assert_eq(rig_run(wait_alone, NULL), 0);
}

static int cancel_before(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on, 3);
    start(&first, "a", wait_here, barrier);
    start(&second, "b", wait_here, barrier);
    settle();

    cr_assert(weir_task_cancel(first.task));
    cr_assert(weir_task_cancel(first.task));
    cr_assert_eq(weir_barrier_waiting_count(barrier), 1, "at once");
    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0);
    cr_assert_not(second.is_back, "the others wait on");
    start(&first, "c", wait_here, barrier);
    settle();

    cr_assert_eq(weir_barrier_wait(barrier), 2);
    cr_assert_eq(finish(&second), 0, "places have no gaps");
    cr_assert_eq(finish(&first), 1);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, cancelled_leaves_and_the_others_wait_on)
{
    cr_assert_eq(rig_run(cancel_before, NULL), 0);
}

static int cancel_in_the_same_turn(weir_loop *on, void *arg)
{
    struct worker first;
    (void)arg;
    make(on, 2);
    start(&first, "a", wait_here, barrier);
    settle();

    cr_assert(weir_task_cancel(first.task));
    /* It has not run yet, but is nobody to meet any more. */
    struct weir_timeout limit;
    cr_assert_eq(weir_timeout_begin(on, &limit, MS), 0);
    int64_t result = weir_barrier_wait(barrier);
    cr_assert_eq(weir_timeout_end(&limit, result), -ETIMEDOUT);
    cr_assert_eq(finish(&first), -ECANCELED);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, does_not_count_on_who_was_cancelled_but_has_not_run)
{
    cr_assert_eq(rig_run(cancel_in_the_same_turn, NULL), 0);
}

static int cancel_after(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on, 2);
    start(&worker, "a", wait_here, barrier);
    settle();

    cr_assert_eq(weir_barrier_wait(barrier), 1);
    cr_assert(weir_task_cancel(worker.task));

    cr_assert_eq(finish(&worker), 0);
    cr_assert_eq(worker.next, -ECANCELED);
    cr_assert_eq(weir_barrier_waiting_count(barrier), 0);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, cancelled_after_the_round_keeps_its_place)
{
    cr_assert_eq(rig_run(cancel_after, NULL), 0);
}

static int time_out(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 2);
    must_time_out(wait_here, barrier);
    cr_assert_eq(weir_barrier_waiting_count(barrier), 0);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, waited_at_too_long_times_out)
{
    cr_assert_eq(rig_run(time_out, NULL), 0);
}

static int reset_it(weir_loop *on, void *arg)
{
    struct worker workers[2];
    (void)arg;
    make(on, 3);
    start(&workers[0], "a", wait_here, barrier);
    start(&workers[1], "b", wait_here, barrier);
    settle();

    weir_barrier_reset(barrier);
    cr_assert_eq(weir_barrier_waiting_count(barrier), 0);
    cr_assert_eq(finish(&workers[0]), WEIR_EBROKEN);
    cr_assert_eq(finish(&workers[1]), WEIR_EBROKEN);

    start(&workers[0], "a", wait_here, barrier);
    start(&workers[1], "b", wait_here, barrier);
    settle();
    cr_assert_eq(weir_barrier_wait(barrier), 2, "it is as new");
    cr_assert_eq(finish(&workers[0]), 0);
    cr_assert_eq(finish(&workers[1]), 1);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, reset_is_as_new_and_who_waits_is_told)
{
    cr_assert_eq(rig_run(reset_it, NULL), 0);
}

static int abort_it(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on, 2);
    start(&worker, "a", wait_here, barrier);
    settle();

    weir_barrier_abort(barrier);
    cr_assert_eq(weir_barrier_waiting_count(barrier), 0);
    cr_assert_eq(weir_barrier_wait(barrier), WEIR_EBROKEN);
    cr_assert_eq(weir_barrier_wait(barrier), WEIR_EBROKEN, "and again");
    cr_assert_eq(finish(&worker), WEIR_EBROKEN);

    weir_barrier_reset(barrier);
    start(&worker, "b", wait_here, barrier);
    settle();
    cr_assert_not(worker.is_back);
    cr_assert_eq(weir_barrier_wait(barrier), 1);
    cr_assert_eq(finish(&worker), 0);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, aborted_is_broken_until_it_is_reset)
{
    cr_assert_eq(rig_run(abort_it, NULL), 0);
}

static int free_waited_for(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on, 3);
    start(&first, "a", wait_here, barrier);
    start(&second, "b", wait_here, barrier);
    settle();

    weir_barrier_free(barrier);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), -ECANCELED);
    cr_assert_eq(first.next, 0, "the task was not cancelled");
    weir_barrier_free(NULL);
    return 0;
}

UNIT(barrier, freed_wakes_who_waits)
{
    cr_assert_eq(rig_run(free_waited_for, NULL), 0);
}

static int wait_until_it_fails(void *object)
{
    int place = 0;
    while (place >= 0) {
        place = weir_barrier_wait(object);
    }
    return place;
}

static int free_busy(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on, 1);
    start(&worker, "a", wait_until_it_fails, barrier);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_not(worker.is_back);

    weir_barrier_free(barrier);

    cr_assert_eq(finish(&worker), -ECANCELED);
    return 0;
}

UNIT(barrier, freed_inside_a_call_that_lets_others_run_is_not_touched_again)
{
    cr_assert_eq(rig_run(free_busy, NULL), 0);
}

static int reset_barrier(void *object)
{
    weir_barrier_reset(object);
    return 0;
}

static int abort_barrier(void *object)
{
    weir_barrier_abort(object);
    return 0;
}

static int free_barrier(void *object)
{
    weir_barrier_free(object);
    return 0;
}

static int new_barrier(void *object)
{
    weir_barrier *result;
    return weir_barrier_new(object, 2, &result);
}

static int use_wrongly(weir_loop *on, void *arg)
{
    struct worker worker;
    weir_barrier *none;
    (void)arg;
    cr_assert_eq(weir_barrier_new(on, 0, &none), -EINVAL);
    cr_assert_eq(weir_barrier_new(on, (uint32_t)INT_MAX + 1, &none), -EINVAL);
    cr_assert_eq(weir_barrier_new(on, 1, NULL), -EINVAL);
    make(on, 2);
    start(&worker, "a", wait_here, barrier);
    settle();
    cr_assert_eq(in_callback(wait_here, barrier), WEIR_ENOTTASK);
    cr_assert_eq(elsewhere(wait_here, barrier), -EPERM);
    cr_assert_eq(elsewhere(new_barrier, on), -EPERM);
    cr_assert_eq(elsewhere(reset_barrier, barrier), 0);
    cr_assert_eq(elsewhere(abort_barrier, barrier), 0);
    cr_assert_eq(elsewhere(free_barrier, barrier), 0);
    cr_assert_eq(weir_barrier_waiting_count(barrier), 1);
    cr_assert_eq(in_callback(abort_barrier, barrier), 0);
    cr_assert_eq(finish(&worker), WEIR_EBROKEN);
    weir_barrier_free(barrier);
    return 0;
}

UNIT(barrier, in_the_wrong_place_is_an_error)
{
    cr_assert_eq(rig_run(use_wrongly, NULL), 0);
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 2);
    start(&left, "a", wait_here, barrier);
    settle();
    weir_task_detach(left.task);
    return 0;
}

UNIT(barrier, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_start();
    cr_assert_eq(rig_main(leave_waiting, NULL), 0);
    cr_assert_eq(weir_loop_free(loop), 0);
    cr_assert_eq(left.result, -ECANCELED);
    cr_assert_eq(weir_barrier_waiting_count(barrier), 0);
    weir_barrier_free(barrier);
    fake_stop();
}

UNIT(barrier, without_memory_is_not_made)
{
    cr_assert_eq(without_memory(new_barrier), -ENOMEM);
}

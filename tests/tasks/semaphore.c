/*
 * Semaphores: what weir/sync.h promises about them.
 *
 * What is given back goes to the first in line; no permit is lost or made,
 * whoever is cancelled or too late.
 */
#include "sync.h"

static weir_semaphore *semaphore;

static int acquire(void *object)
{
    return weir_semaphore_acquire(object);
}

static int try_acquire(void *object)
{
    return weir_semaphore_acquire_nowait(object);
}

static int release(void *object)
{
    return weir_semaphore_release(object);
}

static void make(weir_loop *on, uint64_t value, bool bounded)
{
    cr_assert_eq(weir_semaphore_new(on, value, bounded, &semaphore), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), value);
}

static int count_down(weir_loop *on, void *arg)
{
    struct worker workers[3];
    (void)arg;
    make(on, 2, false);
    cr_assert_eq(weir_semaphore_acquire(semaphore), 0);
    cr_assert_eq(weir_semaphore_acquire_nowait(semaphore), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 0);
    cr_assert_eq(weir_semaphore_acquire_nowait(semaphore), -EBUSY);
    start(&workers[0], "a", acquire, semaphore);
    start(&workers[1], "b", acquire, semaphore);
    start(&workers[2], "c", acquire, semaphore);
    settle();
    cr_assert_str_eq(notes, "");

    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    settle();
    cr_assert_str_eq(notes, "a");
    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    settle();
    cr_assert_str_eq(notes, "abc");

    for (int i = 0; i < 3; i++) {
        cr_assert_eq(finish(&workers[i]), 0);
    }
    cr_assert_eq(weir_semaphore_get_value(semaphore), 0);
    weir_semaphore_free(semaphore);
    return 0;
}

UNIT(semaphore, gives_what_there_is_and_then_first_come_first_served)
{
    cr_assert_eq(rig_run(count_down, NULL), 0);
}

static int try_to_slip_in(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on, 0, false);
    start(&worker, "a", acquire, semaphore);
    settle();

    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 0);
    cr_assert_eq(weir_semaphore_acquire_nowait(semaphore), -EBUSY);

    cr_assert_eq(finish(&worker), 0);
    weir_semaphore_free(semaphore);
    return 0;
}

UNIT(semaphore, released_belongs_to_the_next_in_line_so_that_nobody_slips_in)
{
    cr_assert_eq(rig_run(try_to_slip_in, NULL), 0);
}

/* Two releases for two that wait; the first of them asks again. */
static weir_semaphore *ordered;

static int take_twice(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    cr_assert_eq(weir_semaphore_acquire(ordered), 0);
    note("2");
    cr_assert_eq(weir_semaphore_acquire(ordered), 0);
    note("4");
    return 0;
}

static int take_and_note(weir_loop *on, void *arg)
{
    (void)on;
    cr_assert_eq(weir_semaphore_acquire(ordered), 0);
    note(arg);
    return 0;
}

static int ask_in_order(weir_loop *on, void *arg)
{
    char one[] = "1";
    char three[] = "3";
    (void)arg;

    cr_assert_eq(weir_semaphore_new(on, 1, false, &ordered), 0);
    weir_task *first = rig_spawn(take_and_note, one);
    weir_task *second = rig_spawn(take_twice, NULL);
    weir_task *third = rig_spawn(take_and_note, three);
    cr_assert_eq(weir_yield(on), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(weir_semaphore_release(ordered), 0);
    }
    cr_assert_eq(rig_join(first), 0);
    cr_assert_eq(rig_join(second), 0);
    cr_assert_eq(rig_join(third), 0);
    cr_assert_str_eq(notes, "1234");
    cr_assert_eq(weir_semaphore_get_value(ordered), 0);
    weir_semaphore_free(ordered);
    return 0;
}

UNIT(semaphore, is_taken_in_the_order_in_which_it_was_asked_for)
{
    cr_assert_eq(rig_run(ask_in_order, NULL), 0);
}

static int release_too_often(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on, 1, true);
    cr_assert_eq(weir_semaphore_release(semaphore), -ERANGE);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 1);
    cr_assert_eq(weir_semaphore_acquire(semaphore), 0);
    start(&worker, "a", acquire, semaphore);
    settle();
    cr_assert_eq(weir_semaphore_release(semaphore), 0, "to the waiter");
    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    cr_assert_eq(weir_semaphore_release(semaphore), -ERANGE);
    cr_assert_eq(finish(&worker), 0);
    weir_semaphore_free(semaphore);

    make(on, 1, false);
    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 2);
    weir_semaphore_free(semaphore);

    make(on, UINT64_MAX, false);
    cr_assert_eq(weir_semaphore_release(semaphore), -ERANGE);
    weir_semaphore_free(semaphore);
    return 0;
}

UNIT(semaphore, that_is_bounded_is_not_released_above_its_first_value)
{
    cr_assert_eq(rig_run(release_too_often, NULL), 0);
}

static int cancel_before(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on, 0, false);
    start(&first, "a", acquire, semaphore);
    start(&second, "b", acquire, semaphore);
    settle();

    cr_assert(weir_task_cancel(first.task));
    cr_assert_eq(weir_semaphore_release(semaphore), 0);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0);
    cr_assert_eq(finish(&second), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 0);
    weir_semaphore_free(semaphore);
    return 0;
}

UNIT(semaphore, cancelled_before_it_is_had_goes_to_the_next)
{
    cr_assert_eq(rig_run(cancel_before, NULL), 0);
}

static int cancel_after(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on, 0, false);
    start(&worker, "a", acquire, semaphore);
    settle();

    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    cr_assert(weir_task_cancel(worker.task));

    cr_assert_eq(finish(&worker), 0);
    cr_assert_eq(worker.next, -ECANCELED);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 0, "it was taken");
    weir_semaphore_free(semaphore);
    return 0;
}

UNIT(semaphore, cancelled_after_it_is_had_stays_had_and_cancels_the_next_call)
{
    cr_assert_eq(rig_run(cancel_after, NULL), 0);
}

static int time_out(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 0, false);
    must_time_out(acquire, semaphore);
    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 1);
    weir_semaphore_free(semaphore);
    return 0;
}

UNIT(semaphore, waited_for_too_long_times_out_and_nothing_is_lost)
{
    cr_assert_eq(rig_run(time_out, NULL), 0);
}

static int free_waited_for(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on, 0, true);
    start(&first, "a", acquire, semaphore);
    start(&second, "b", acquire, semaphore);
    settle();

    weir_semaphore_free(semaphore);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), -ECANCELED);
    cr_assert_eq(first.next, 0, "the task was not cancelled");
    weir_semaphore_free(NULL);
    return 0;
}

UNIT(semaphore, freed_wakes_who_waits)
{
    cr_assert_eq(rig_run(free_waited_for, NULL), 0);
}

static int acquire_until_it_fails(void *object)
{
    int err = 0;
    while (err == 0) {
        err = weir_semaphore_acquire(object);
    }
    return err;
}

static int free_busy(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on, UINT64_MAX, false);
    start(&worker, "a", acquire_until_it_fails, semaphore);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_not(worker.is_back);

    weir_semaphore_free(semaphore);

    cr_assert_eq(finish(&worker), -ECANCELED);
    return 0;
}

UNIT(semaphore, freed_inside_a_call_that_lets_others_run_is_not_touched_again)
{
    cr_assert_eq(rig_run(free_busy, NULL), 0);
}

static int free_semaphore(void *object)
{
    weir_semaphore_free(object);
    return 0;
}

static int new_semaphore(void *object)
{
    weir_semaphore *result;
    return weir_semaphore_new(object, 1, false, &result);
}

static int use_anywhere(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_semaphore_new(on, 1, false, NULL), -EINVAL);
    make(on, 1, false);
    cr_assert_eq(in_callback(acquire, semaphore), WEIR_ENOTTASK);
    cr_assert_eq(in_callback(try_acquire, semaphore), 0);
    start(&worker, "a", acquire, semaphore);
    settle();
    cr_assert_eq(in_callback(release, semaphore), 0);
    cr_assert_eq(finish(&worker), 0);
    cr_assert_eq(elsewhere(new_semaphore, on), -EPERM);
    cr_assert_eq(elsewhere(acquire, semaphore), -EPERM);
    cr_assert_eq(elsewhere(try_acquire, semaphore), -EPERM);
    cr_assert_eq(elsewhere(release, semaphore), -EPERM);
    cr_assert_eq(elsewhere(free_semaphore, semaphore), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 0);
    weir_semaphore_free(semaphore);
    return 0;
}

UNIT(semaphore, is_used_without_waiting_in_callbacks_and_nowhere_else)
{
    cr_assert_eq(rig_run(use_anywhere, NULL), 0);
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    (void)arg;
    make(on, 0, false);
    start(&left, "a", acquire, semaphore);
    settle();
    weir_task_detach(left.task);
    return 0;
}

UNIT(semaphore, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_start();
    cr_assert_eq(rig_main(leave_waiting, NULL), 0);
    cr_assert_eq(weir_loop_free(loop), 0);
    cr_assert_eq(left.result, -ECANCELED);
    cr_assert_eq(weir_semaphore_release(semaphore), 0);
    cr_assert_eq(weir_semaphore_get_value(semaphore), 1);
    weir_semaphore_free(semaphore);
    fake_stop();
}

UNIT(semaphore, without_memory_is_not_made)
{
    cr_assert_eq(without_memory(new_semaphore), -ENOMEM);
}

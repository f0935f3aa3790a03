/*
 * Semaphores: what weir/sync.h promises about them.
 *
 * What is given back goes to the first in line; no permit is lost or made,
 * whoever is cancelled or too late.
 */
#define TASK_RUN free_after
#include "sync.h"

#include <weir/sync.h>

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
    const int err = bounded ? weir_bounded_semaphore_new(on, value, &semaphore)
                            : weir_semaphore_new(on, value, &semaphore);
    expect_eq(err, 0);
    expect_eq(weir_semaphore_get_value(semaphore), value);
}

static void free_after(void (*body)(void))
{
    body();
    weir_semaphore_free(semaphore);
}

TASK(semaphore, gives_what_there_is_and_then_first_come_first_served)
{
    struct worker workers[3];
    make(loop, 2, false);
    expect_eq(weir_semaphore_acquire(semaphore), 0);
    expect_eq(weir_semaphore_acquire_nowait(semaphore), 0);
    expect_eq(weir_semaphore_get_value(semaphore), 0);
    expect_eq(weir_semaphore_acquire_nowait(semaphore), -EBUSY);
    start_each(workers, 3, acquire, semaphore);
    expect_str_eq(notes, "");

    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_settled("a");
    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_settled("abc");

    for (int i = 0; i < 3; i++) {
        expect_eq(finish(&workers[i]), 0);
    }
    expect_eq(weir_semaphore_get_value(semaphore), 0);
}

TASK(semaphore, released_belongs_to_the_next_in_line_and_to_no_other)
{
    make(loop, 0, false);
    start_first(acquire, semaphore);

    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_eq(weir_semaphore_get_value(semaphore), 0);
    expect_eq(weir_semaphore_acquire_nowait(semaphore), -EBUSY);

    expect_eq(finish(&first), 0);
}

/* Two releases for two that wait; the first of them asks again. */
static weir_semaphore *ordered;

static int take_twice(weir_loop *on, void *arg)
{
    expect_eq(weir_semaphore_acquire(ordered), 0);
    note("2");
    expect_eq(weir_semaphore_acquire(ordered), 0);
    note("4");
    return 0;
}

static int take_and_note(weir_loop *on, void *arg)
{
    expect_eq(weir_semaphore_acquire(ordered), 0);
    note(arg);
    return 0;
}

UNIT_IN(semaphore, is_taken_in_the_order_in_which_it_was_asked_for,
        rig_run_body, void)
{
    char one[] = "1";
    char three[] = "3";

    expect_eq(weir_semaphore_new(loop, 1, &ordered), 0);
    weir_task *const tasks[] = {rig_spawn(take_and_note, one),
                                rig_spawn(take_twice, NULL),
                                rig_spawn(take_and_note, three)};
    expect_eq(weir_yield(loop), 0);
    for (int i = 0; i < 3; i++) {
        expect_eq(weir_semaphore_release(ordered), 0);
    }
    for (int i = 0; i < 3; i++) {
        expect_eq(rig_join(tasks[i]), 0);
    }
    expect_str_eq(notes, "1234");
    expect_eq(weir_semaphore_get_value(ordered), 0);
    weir_semaphore_free(ordered);
}

TASK(semaphore, that_is_bounded_is_not_released_above_its_first_value)
{
    make(loop, 1, true);
    expect_eq(weir_semaphore_release(semaphore), -ERANGE);
    expect_eq(weir_semaphore_get_value(semaphore), 1);
    expect_eq(weir_semaphore_acquire(semaphore), 0);
    start_first(acquire, semaphore);
    expect_eq(weir_semaphore_release(semaphore), 0,
              "the value goes to the waiter");
    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_eq(weir_semaphore_release(semaphore), -ERANGE);
    expect_eq(finish(&first), 0);
    weir_semaphore_free(semaphore);

    make(loop, 1, false);
    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_eq(weir_semaphore_get_value(semaphore), 2);
    weir_semaphore_free(semaphore);

    make(loop, UINT64_MAX, false);
    expect_eq(weir_semaphore_release(semaphore), -ERANGE);
}

TASK(semaphore, cancelled_before_it_is_had_goes_to_the_next)
{
    make(loop, 0, false);
    start_both(acquire, semaphore);

    cr_assert(weir_task_cancel(first.task));
    expect_eq(weir_semaphore_release(semaphore), 0);

    expect_end(&first, -ECANCELED, 0);
    expect_eq(finish(&second), 0);
    expect_eq(weir_semaphore_get_value(semaphore), 0);
}

TASK(semaphore, cancelled_after_it_is_had_stays_had_and_cancels_the_next_call)
{
    make(loop, 0, false);
    start_first(acquire, semaphore);

    expect_eq(weir_semaphore_release(semaphore), 0);
    cr_assert(weir_task_cancel(first.task));

    expect_end(&first, 0, -ECANCELED);
    expect_eq(weir_semaphore_get_value(semaphore), 0, "the value was taken");
}

TASK(semaphore, waited_for_too_long_times_out_and_nothing_is_lost)
{
    make(loop, 0, false);
    must_time_out(acquire, semaphore);
    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_eq(weir_semaphore_get_value(semaphore), 1);
}

UNIT_IN(semaphore, freed_wakes_who_waits, rig_run_body, void)
{
    make(loop, 0, true);
    start_both(acquire, semaphore);

    weir_semaphore_free(semaphore);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), -ECANCELED);
    expect_eq(first.next, 0, "the task was not cancelled");
    weir_semaphore_free(NULL);
}

static int acquire_until_it_fails(void *object)
{
    int err = 0;
    while (err == 0) {
        err = weir_semaphore_acquire(object);
    }
    return err;
}

UNIT_IN(semaphore,
        freed_inside_a_call_that_lets_others_run_is_not_touched_again,
        rig_run_body, void)
{
    make(loop, UINT64_MAX, false);
    start(&first, "a", acquire_until_it_fails, semaphore);
    expect_eq(weir_yield(loop), 0);
    cr_assert_not(first.is_back);

    weir_semaphore_free(semaphore);

    expect_eq(finish(&first), -ECANCELED);
}

static int new_semaphore(void *object)
{
    weir_semaphore *result;
    return weir_semaphore_new(object, 1, &result);
}

TASK(semaphore, is_used_without_waiting_in_callbacks_and_nowhere_else)
{
    expect_eq(weir_semaphore_new(loop, 1, NULL), -EINVAL);
    make(loop, 1, false);
    expect_eq(in_callback(acquire, semaphore), WEIR_ENOTTASK);
    expect_eq(in_callback(try_acquire, semaphore), 0);
    start_first(acquire, semaphore);
    expect_eq(in_callback(release, semaphore), 0);
    expect_eq(finish(&first), 0);
    expect_eq(elsewhere(new_semaphore, loop), -EPERM);
    expect_eq(elsewhere(acquire, semaphore), -EPERM);
    expect_eq(elsewhere(try_acquire, semaphore), -EPERM);
    expect_eq(elsewhere(release, semaphore), -EPERM);
    expect_eq(weir_semaphore_get_value(semaphore), 0);
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    make(on, 0, false);
    start(&left, "a", acquire, semaphore);
    settle();
    weir_task_unref(left.task);
    return 0;
}

UNIT(semaphore, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_leave(leave_waiting, NULL);
    expect_eq(left.result, -ECANCELED);
    expect_eq(weir_semaphore_release(semaphore), 0);
    expect_eq(weir_semaphore_get_value(semaphore), 1);
    weir_semaphore_free(semaphore);
    fake_stop();
}

UNIT(semaphore, without_memory_is_not_made)
{
    expect_eq(without_memory(new_semaphore), -ENOMEM);
}

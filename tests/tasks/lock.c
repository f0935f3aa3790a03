/*
 * Locks: what weir/sync.h promises about them.
 *
 * One owner at a time, in the order of asking, whoever is cancelled, too late
 * or gone; and only the owner gives the lock back.
 */
#define TASK_RUN with_lock
#include "sync.h"

#include <weir/sync.h>

static weir_lock *lock;

static int acquire(void *object)
{
    return weir_lock_acquire(object);
}

/* Takes the lock, lets others run, and gives it back. */
static int acquire_and_release(void *object)
{
    int err = weir_lock_acquire(object);
    if (err == 0) {
        expect_eq(weir_yield(loop), 0);
        expect_eq(weir_lock_release(object), 0);
    }
    return err;
}

static int try_acquire(void *object)
{
    return weir_lock_acquire_nowait(object);
}

static int release(void *object)
{
    return weir_lock_release(object);
}

static void with_lock(void (*body)(void))
{
    expect_eq(weir_lock_new(loop, &lock), 0);
    body();
    weir_lock_free(lock);
}

TASK(lock, is_had_by_one_at_a_time_first_come_first_served)
{
    struct worker workers[3];
    cr_assert_not(weir_lock_is_locked(lock));
    expect_eq(weir_lock_acquire(lock), 0);
    cr_assert(weir_lock_is_locked(lock));
    start_each(workers, 3, acquire_and_release, lock);
    expect_str_eq(notes, "");

    expect_eq(weir_lock_release(lock), 0);
    for (int i = 0; i < 3; i++) {
        expect_eq(finish(&workers[i]), 0);
    }

    expect_str_eq(notes, "abc");
    cr_assert_not(weir_lock_is_locked(lock));
}

TASK(lock, released_belongs_to_the_next_in_line_and_to_no_other)
{
    expect_eq(weir_lock_acquire_nowait(lock), 0);
    start_first(acquire_and_release, lock);

    expect_eq(weir_lock_release(lock), 0);
    cr_assert(weir_lock_is_locked(lock), "the waiter is the owner already");
    expect_eq(weir_lock_acquire_nowait(lock), -EBUSY);
    expect_eq(weir_lock_acquire(lock), 0);

    expect_str_eq(notes, "a", "only after the waiter");
    expect_eq(weir_lock_release(lock), 0);
    expect_eq(finish(&first), 0);
}

TASK(lock, is_released_only_by_who_has_it_and_not_taken_twice)
{
    expect_eq(weir_lock_release(lock), -EPERM, "the lock is not locked");
    expect_eq(weir_lock_acquire(lock), 0);
    expect_eq(weir_lock_acquire(lock), -EDEADLK);
    expect_eq(weir_lock_acquire_nowait(lock), -EBUSY);
    start(&first, "a", release, lock);
    expect_eq(finish(&first), -EPERM, "another task is the owner");
    cr_assert(weir_lock_is_locked(lock));
    expect_eq(weir_lock_release(lock), 0);
    expect_eq(weir_lock_release(lock), -EPERM, "the lock was released before");
}

TASK(lock, cancelled_before_it_is_had_goes_to_the_next)
{
    expect_eq(weir_lock_acquire(lock), 0);
    start_both(acquire_and_release, lock);

    cr_assert(weir_task_cancel(first.task));
    expect_eq(weir_lock_release(lock), 0);

    expect_end(&first, -ECANCELED, 0);
    expect_eq(finish(&second), 0);
    cr_assert_not(weir_lock_is_locked(lock));
}

static int acquire_and_keep(void *object)
{
    int err = weir_lock_acquire(object);
    cr_assert(weir_lock_is_locked(object));
    return err;
}

static int release_later(void *object)
{
    int err = acquire_and_keep(object);
    expect_eq(weir_yield(loop), -ECANCELED);
    expect_eq(weir_lock_release(object), 0);
    return err;
}

TASK(lock, cancelled_after_it_is_had_stays_had_and_cancels_the_next_call)
{
    expect_eq(weir_lock_acquire(lock), 0);
    start_first(release_later, lock);

    expect_eq(weir_lock_release(lock), 0);
    cr_assert(weir_task_cancel(first.task));

    expect_eq(finish(&first), 0);
    cr_assert_not(weir_lock_is_locked(lock));
}

TASK(lock, waited_for_too_long_times_out)
{
    expect_eq(weir_lock_acquire(lock), 0);
    must_time_out(acquire, lock);
    expect_eq(weir_lock_release(lock), 0);
    cr_assert_not(weir_lock_is_locked(lock), "a cancelled task is not in line");
}

UNIT_IN(lock, freed_wakes_who_waits, rig_run_body, void)
{
    expect_eq(weir_lock_new(loop, &lock), 0);
    expect_eq(weir_lock_acquire(lock), 0);
    start_both(acquire, lock);

    weir_lock_free(lock);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), -ECANCELED);
    expect_eq(first.next, 0, "the task was not cancelled");
    weir_lock_free(NULL);
}

static int acquire_until_it_fails(void *object)
{
    int err = 0;
    while (err == 0) {
        err = weir_lock_acquire(object);
        if (err == 0) {
            expect_eq(weir_lock_release(object), 0);
        }
    }
    return err;
}

UNIT_IN(lock, freed_inside_a_call_that_lets_others_run_is_not_touched_again,
        rig_run_body, void)
{
    expect_eq(weir_lock_new(loop, &lock), 0);
    start(&first, "a", acquire_until_it_fails, lock);
    expect_eq(weir_yield(loop), 0);
    cr_assert_not(first.is_back);

    weir_lock_free(lock);

    expect_eq(finish(&first), -ECANCELED);
}

/* A task in the place in memory of one that ended with the lock. */
TASK(lock, of_a_task_that_ended_is_not_the_next_tasks)
{
    start(&first, "a", acquire_and_keep, lock);
    expect_eq(finish(&first), 0);
    cr_assert(weir_lock_is_locked(lock));

    start(&second, "b", release, lock);
    expect_eq(finish(&second), -EPERM);
    start(&second, "c", try_acquire, lock);
    expect_eq(finish(&second), -EBUSY);
    must_time_out(acquire, lock);
}

static int new_lock(void *object)
{
    weir_lock *result;
    return weir_lock_new(object, &result);
}

TASK(lock, in_the_wrong_place_is_an_error)
{
    expect_eq(weir_lock_new(loop, NULL), -EINVAL);
    expect_eq(in_callback(acquire, lock), WEIR_ENOTTASK);
    expect_eq(in_callback(try_acquire, lock), WEIR_ENOTTASK);
    expect_eq(in_callback(release, lock), -EPERM);
    expect_eq(elsewhere(new_lock, loop), -EPERM);
    expect_eq(elsewhere(acquire, lock), -EPERM);
    expect_eq(elsewhere(try_acquire, lock), -EPERM);
    cr_assert_not(weir_lock_is_locked(lock));
    expect_eq(weir_lock_acquire(lock), 0);
    expect_eq(elsewhere(release, lock), -EPERM);
    cr_assert(weir_lock_is_locked(lock));
    expect_eq(weir_lock_release(lock), 0);
}

static struct worker left[2];

/* One task sleeps with the lock, another waits for it. */
static int acquire_and_sleep(void *object)
{
    expect_eq(weir_lock_acquire(object), 0);
    expect_eq(weir_sleep(loop, S), -ECANCELED);
    expect_eq(weir_lock_acquire(object), -ECANCELED,
              "every call is cancelled at the loop's end");
    return weir_lock_release(object);
}

static int leave_waiting(weir_loop *on, void *arg)
{
    expect_eq(weir_lock_new(on, &lock), 0);
    start(&left[0], "a", acquire_and_sleep, lock);
    start(&left[1], "b", acquire, lock);
    settle();
    weir_task_unref(left[0].task);
    weir_task_unref(left[1].task);
    return 0;
}

UNIT(lock, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_leave(leave_waiting, NULL);
    expect_eq(left[0].result, 0);
    expect_eq(left[1].result, -ECANCELED);
    cr_assert_not(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    fake_stop();
}

static int leave_owned(weir_loop *on, void *arg)
{
    expect_eq(weir_lock_new(on, &lock), 0);
    return weir_lock_acquire(lock);
}

UNIT(lock, of_a_task_that_ended_may_be_freed_after_its_loop)
{
    rig_leave(leave_owned, NULL);
    cr_assert(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    fake_stop();
}

UNIT(lock, without_memory_is_not_made)
{
    expect_eq(without_memory(new_lock), -ENOMEM);
}

static weir_condition *condition;

static int wait_locked(void *object)
{
    expect_eq(weir_lock_acquire(lock), 0);
    return weir_condition_wait(object);
}

/* The lock is freed when it was passed on and its new owner did not run yet. */
static int free_when_passed(weir_loop *on, void *arg)
{
    const bool *waits_on_condition = arg;
    struct worker worker;
    expect_eq(weir_lock_new(on, &lock), 0);
    expect_eq(weir_condition_new(lock, &condition), 0);
    if (*waits_on_condition) {
        start(&worker, "a", wait_locked, condition);
        settle();
        expect_eq(weir_lock_acquire_nowait(lock), 0);
        expect_eq(weir_condition_notify(condition, 1), 1);
        expect_eq(weir_lock_release(lock), 0);
    } else {
        expect_eq(weir_lock_acquire(lock), 0);
        start(&worker, "a", acquire, lock);
        settle();
        expect_eq(weir_lock_release(lock), 0);
    }
    cr_assert(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    const int result = finish(&worker);
    weir_condition_free(condition);
    return result;
}

UNIT(lock, that_is_freed_before_its_new_owner_runs_is_not_had)
{
    bool waits_on_condition = false;
    expect_eq(rig_run(free_when_passed, &waits_on_condition), -ECANCELED);
}

UNIT(lock, that_is_freed_before_its_new_owner_runs_ends_a_conditions_wait)
{
    bool waits_on_condition = true;
    expect_eq(rig_run(free_when_passed, &waits_on_condition), -ECANCELED);
}

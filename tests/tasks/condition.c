/*
 * Conditions: what weir/sync.h promises about them.
 *
 * Whatever a wait returns, the lock is the task's again; and a notification is
 * not lost with a cancelled task.
 */
#define TASK_RUN with_condition
#include "condition_rig.h"

static int wait_unlocked(void *object)
{
    return weir_condition_wait(object);
}

/* Notifies with the lock, which no other task has. */
static ssize_t notify(size_t count)
{
    expect_eq(weir_lock_acquire_nowait(lock), 0);
    ssize_t woken = weir_condition_notify(condition, count);
    expect_eq(weir_lock_release(lock), 0);
    return woken;
}

static int notify_one(void *object)
{
    return (int)weir_condition_notify(object, 1);
}

static void with_condition(void (*body)(void))
{
    condition_make(loop);
    body();
    end();
}

TASK(condition, notified_wakes_as_many_as_asked_first_come_first_served)
{
    struct worker workers[4];
    expect_eq(notify(SIZE_MAX), 0);
    start_each(workers, 4, wait_once, condition);
    cr_assert_not(weir_lock_is_locked(lock), "the wait releases the lock");
    expect_str_eq(notes, "", "and no earlier notification counts");

    expect_eq(notify(0), 0);
    expect_eq(notify(1), 1);
    expect_settled("a");
    expect_eq(notify(2), 2);
    expect_settled("abc");
    expect_eq(notify(SIZE_MAX), 1);

    for (int i = 0; i < 4; i++) {
        expect_eq(finish(&workers[i]), 0);
    }
    expect_str_eq(notes, "abcd");
}

static int take_and_note(void *object)
{
    expect_eq(weir_lock_acquire(object), 0);
    return weir_lock_release(object);
}

TASK(condition, notified_stands_in_line_for_the_lock_like_all_others)
{
    struct worker waiter;
    struct worker before;
    struct worker after;
    start(&waiter, "w", wait_once, condition);
    settle();
    expect_eq(weir_lock_acquire(lock), 0);
    start(&before, "b", take_and_note, lock);
    settle();
    expect_eq(weir_condition_notify(condition, 1), 1);
    start(&after, "a", take_and_note, lock);
    settle();
    expect_str_eq(notes, "", "notified, but the lock is ours");

    expect_eq(weir_lock_release(lock), 0);

    expect_eq(finish(&after), 0);
    expect_eq(finish(&waiter), 0);
    expect_eq(finish(&before), 0);
    expect_str_eq(notes, "bwa");
}

TASK(condition, cancelled_has_the_lock_all_the_same)
{
    start_both(wait_once, condition);
    expect_eq(weir_lock_acquire(lock), 0);

    cr_assert(weir_task_cancel(first.task));
    settle();
    expect_str_eq(notes, "", "it has to have the lock first");
    cr_assert(weir_task_cancel(first.task),
              "a second cancellation before the task runs");
    expect_eq(weir_condition_notify(condition, 1), 1);
    expect_eq(weir_lock_release(lock), 0);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(first.next, 0, "the cancellation is told once");
    expect_eq(finish(&second), 0, "the notification goes to the second task");
}

TASK(condition, cancelled_twice_before_it_runs_is_told_once)
{
    start_both(wait_once, condition);
    cr_assert(weir_task_cancel(first.task)); /* has the lock at once */
    cr_assert(weir_task_cancel(first.task));
    cr_assert(weir_task_cancel(second.task)); /* and this one stands in line */
    cr_assert(weir_task_cancel(second.task));
    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), -ECANCELED);
    expect_eq(first.next, 0);
    expect_eq(second.next, 0);

    start_first(wait_once, condition);
    expect_eq(weir_lock_acquire(lock), 0);
    cr_assert(weir_task_cancel(first.task));
    expect_eq(weir_lock_release(lock), 0);
    cr_assert(weir_task_cancel(first.task)); /* it has not run yet */
    expect_end(&first, -ECANCELED, 0);
}

UNIT_IN(condition, freed_does_not_hide_a_cancellation, rig_run_body, void)
{
    condition_make(loop);
    start_first(wait_once, condition);
    weir_condition_free(condition);
    expect_eq(cancel(&first), -ECANCELED, "the wait ends with its condition");
    expect_eq(first.next, -ECANCELED,
              "the task's own cancellation is told next");
    weir_lock_free(lock);
}

TASK(condition, cancelled_after_a_notification_passes_it_on)
{
    struct worker third;
    start(&first, "a", wait_once, condition);
    start(&second, "b", wait_once, condition);
    start(&third, "c", wait_once, condition);
    settle();
    expect_eq(weir_lock_acquire(lock), 0);
    expect_eq(weir_condition_notify(condition, 1), 1);

    cr_assert(weir_task_cancel(first.task));
    cr_assert(weir_task_cancel(first.task));
    expect_eq(weir_lock_release(lock), 0);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), 0,
              "the notification is passed to the second task");
    settle();
    cr_assert_not(third.is_back, "the notification is passed once");
    expect_eq(cancel(&third), -ECANCELED);
}

TASK(condition, cancelled_when_it_has_notification_and_lock_keeps_both)
{
    start_both(wait_once, condition);

    expect_eq(notify(1), 1);
    cr_assert(weir_task_cancel(first.task)); /* it has the lock by now */

    expect_end(&first, 0, -ECANCELED);
    settle();
    cr_assert_not(second.is_back,
                  "the notification was used by the first task");
    expect_eq(cancel(&second), -ECANCELED);
}

static int cancel_early(void *object)
{
    expect_eq(weir_lock_acquire(lock), 0);
    cr_assert(weir_task_cancel(weir_task_get_current(loop)));
    int err = weir_condition_wait(object);
    expect_eq(weir_lock_release(lock), 0);
    return err;
}

TASK(condition, of_a_task_that_was_cancelled_keeps_the_lock)
{
    start(&first, "a", cancel_early, condition);
    expect_eq(finish(&first), -ECANCELED);
}

TASK(condition, waited_for_too_long_times_out_with_the_lock)
{
    must_time_out(wait_once, condition);
}

TASK(condition, timed_out_in_line_waits_for_the_lock)
{
    start_limited(&first, 5 * MS, wait_once, condition);
    settle();
    expect_eq(weir_lock_acquire(lock), 0);
    expect_eq(weir_condition_notify(condition, 1), 1);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    cr_assert_not(first.is_back, "the wait for the lock has no time limit");
    expect_eq(weir_lock_release(lock), 0);

    expect_end(&first, -ETIMEDOUT, 0);
}

UNIT_IN(condition, freed_wakes_who_waits_with_the_lock, rig_run_body, void)
{
    condition_make(loop);
    start_both(wait_once, condition);

    weir_condition_free(condition);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), -ECANCELED);
    expect_eq(first.next, 0, "the task was not cancelled");
    cr_assert_not(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    weir_condition_free(NULL);
}

UNIT_IN(condition, freed_with_its_lock_wakes_who_waits_without_it, rig_run_body,
        void)
{
    condition_make(loop);
    start_both(wait_and_lose, condition);
    expect_eq(weir_lock_acquire(lock), 0);
    expect_eq(weir_condition_notify(condition, 1), 1);

    weir_condition_free(condition);
    weir_lock_free(lock);

    expect_eq(finish(&first), -ECANCELED);
    expect_eq(finish(&second), -ECANCELED);
}

UNIT_IN(condition, whose_lock_was_freed_first_cannot_be_notified, rig_run_body,
        void)
{
    condition_make(loop);
    start_first(wait_and_lose, condition);

    weir_lock_free(lock);
    settle();
    cr_assert_not(first.is_back, "the worker waits for a notification");
    expect_eq(weir_condition_notify(condition, 1), -EPERM,
              "the lock has gone, so no task may notify");
    weir_condition_free(condition);

    expect_eq(finish(&first), -ECANCELED, "the wait ends without a lock");
}

TASK(condition, notified_without_the_lock_is_an_error)
{
    start_first(wait_once, condition);

    expect_eq(weir_condition_notify(condition, 1), -EPERM);
    expect_eq(weir_condition_notify(condition, SIZE_MAX), -EPERM);
    expect_eq(weir_condition_notify(condition, 0), -EPERM);
    expect_eq(in_callback(notify_one, condition), -EPERM);
    settle();
    cr_assert_not(first.is_back, "a refused call wakes no task");

    expect_eq(notify(1), 1);
    expect_eq(finish(&first), 0);
}

static int new_condition(void *object)
{
    weir_condition *result;
    return weir_condition_new(object, &result);
}

TASK(condition, in_the_wrong_place_is_an_error)
{
    expect_eq(weir_condition_new(lock, NULL), -EINVAL);
    expect_eq(weir_condition_wait(condition), -EPERM,
              "the task does not have the lock");
    start_first(wait_once, condition);
    expect_eq(in_callback(wait_unlocked, condition), WEIR_ENOTTASK);
    expect_eq(elsewhere(wait_unlocked, condition), -EPERM);
    expect_eq(elsewhere(new_condition, lock), -EPERM);
    expect_eq(elsewhere(notify_one, condition), -EPERM);
    settle();
    cr_assert_not(first.is_back);
    expect_eq(weir_lock_acquire(lock), 0);
    expect_eq(in_callback(notify_one, condition), 1);
    expect_eq(weir_lock_release(lock), 0);
    expect_eq(finish(&first), 0);
}

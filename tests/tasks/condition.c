/*
 * Conditions: what weir/sync.h promises about them.
 *
 * Whatever a wait returns, the lock is the task's again; and a notification is
 * not lost with a cancelled task.
 */
#include "condition.h"

static int wait_unlocked(void *object)
{
    return weir_condition_wait(object);
}

/* Notifies with the lock, which nobody else has. */
static ssize_t notify(size_t count)
{
    cr_assert_eq(weir_lock_acquire_nowait(lock), 0);
    ssize_t woken = weir_condition_notify(condition, count);
    cr_assert_eq(weir_lock_release(lock), 0);
    return woken;
}

static int notify_one(void *object)
{
    return (int)weir_condition_notify(object, 1);
}

static int notify_some(weir_loop *on, void *arg)
{
    struct worker workers[4];
    (void)arg;
    make(on);
    cr_assert_eq(notify(SIZE_MAX), 0);
    start(&workers[0], "a", wait_once, condition);
    start(&workers[1], "b", wait_once, condition);
    start(&workers[2], "c", wait_once, condition);
    start(&workers[3], "d", wait_once, condition);
    settle();
    cr_assert_not(weir_lock_is_locked(lock), "waiting releases it");
    cr_assert_str_eq(notes, "", "and no earlier notification counts");

    cr_assert_eq(notify(0), 0);
    cr_assert_eq(notify(1), 1);
    settle();
    cr_assert_str_eq(notes, "a");
    cr_assert_eq(notify(2), 2);
    settle();
    cr_assert_str_eq(notes, "abc");
    cr_assert_eq(notify(SIZE_MAX), 1);

    for (int i = 0; i < 4; i++) {
        cr_assert_eq(finish(&workers[i]), 0);
    }
    cr_assert_str_eq(notes, "abcd");
    end();
    return 0;
}

UNIT(condition, notified_wakes_so_many_first_come_first_served)
{
    cr_assert_eq(rig_run(notify_some, NULL), 0);
}

static int take_and_note(void *object)
{
    cr_assert_eq(weir_lock_acquire(object), 0);
    return weir_lock_release(object);
}

static int stand_in_line(weir_loop *on, void *arg)
{
    struct worker waiter;
    struct worker before;
    struct worker after;
    (void)arg;
    make(on);
    start(&waiter, "w", wait_once, condition);
    settle();
    cr_assert_eq(weir_lock_acquire(lock), 0);
    start(&before, "b", take_and_note, lock);
    settle();
    cr_assert_eq(weir_condition_notify(condition, 1), 1);
    start(&after, "a", take_and_note, lock);
    settle();
    cr_assert_str_eq(notes, "", "notified, but the lock is ours");

    cr_assert_eq(weir_lock_release(lock), 0);

    cr_assert_eq(finish(&after), 0);
    cr_assert_eq(finish(&waiter), 0);
    cr_assert_eq(finish(&before), 0);
    cr_assert_str_eq(notes, "bwa");
    end();
    return 0;
}

UNIT(condition, notified_stands_in_line_for_the_lock_like_everybody)
{
    cr_assert_eq(rig_run(stand_in_line, NULL), 0);
}

static int cancel_before(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on);
    start(&first, "a", wait_once, condition);
    start(&second, "b", wait_once, condition);
    settle();
    cr_assert_eq(weir_lock_acquire(lock), 0);

    cr_assert(weir_task_cancel(first.task));
    settle();
    cr_assert_str_eq(notes, "", "it has to have the lock first");
    cr_assert(weir_task_cancel(first.task), "once more changes nothing");
    cr_assert_eq(weir_condition_notify(condition, 1), 1);
    cr_assert_eq(weir_lock_release(lock), 0);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0, "it is delivered once");
    cr_assert_eq(finish(&second), 0, "the notification was for this one");
    end();
    return 0;
}

UNIT(condition, cancelled_has_the_lock_all_the_same)
{
    cr_assert_eq(rig_run(cancel_before, NULL), 0);
}

static int cancel_twice(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on);
    start(&first, "a", wait_once, condition);
    start(&second, "b", wait_once, condition);
    settle();
    cr_assert(weir_task_cancel(first.task)); /* has the lock at once */
    cr_assert(weir_task_cancel(first.task));
    cr_assert(weir_task_cancel(second.task)); /* and this one stands in line */
    cr_assert(weir_task_cancel(second.task));
    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), -ECANCELED);
    cr_assert_eq(first.next, 0);
    cr_assert_eq(second.next, 0);

    start(&first, "a", wait_once, condition);
    settle();
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert(weir_task_cancel(first.task));
    cr_assert_eq(weir_lock_release(lock), 0);
    cr_assert(weir_task_cancel(first.task)); /* it has not run yet */
    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0);
    end();
    return 0;
}

UNIT(condition, cancelled_twice_before_it_runs_is_told_once)
{
    cr_assert_eq(rig_run(cancel_twice, NULL), 0);
}

static int free_and_cancel(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on);
    start(&worker, "a", wait_once, condition);
    settle();
    weir_condition_free(condition);
    cr_assert(weir_task_cancel(worker.task));
    cr_assert_eq(finish(&worker), -ECANCELED, "of the freed condition");
    cr_assert_eq(worker.next, -ECANCELED, "and of the task");
    weir_lock_free(lock);
    return 0;
}

UNIT(condition, freed_does_not_hide_a_cancellation)
{
    cr_assert_eq(rig_run(free_and_cancel, NULL), 0);
}

static int cancel_notified(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    struct worker third;
    (void)arg;
    make(on);
    start(&first, "a", wait_once, condition);
    start(&second, "b", wait_once, condition);
    start(&third, "c", wait_once, condition);
    settle();
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert_eq(weir_condition_notify(condition, 1), 1);

    cr_assert(weir_task_cancel(first.task));
    cr_assert(weir_task_cancel(first.task));
    cr_assert_eq(weir_lock_release(lock), 0);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), 0, "the notification was passed on");
    settle();
    cr_assert_not(third.is_back, "once");
    cr_assert_eq(cancel(&third), -ECANCELED);
    end();
    return 0;
}

UNIT(condition, cancelled_after_a_notification_passes_it_on)
{
    cr_assert_eq(rig_run(cancel_notified, NULL), 0);
}

static int cancel_served(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on);
    start(&first, "a", wait_once, condition);
    start(&second, "b", wait_once, condition);
    settle();

    cr_assert_eq(notify(1), 1);
    cr_assert(weir_task_cancel(first.task)); /* it has the lock by now */

    cr_assert_eq(finish(&first), 0);
    cr_assert_eq(first.next, -ECANCELED);
    settle();
    cr_assert_not(second.is_back, "nothing was passed on");
    cr_assert_eq(cancel(&second), -ECANCELED);
    end();
    return 0;
}

UNIT(condition, cancelled_when_it_has_notification_and_lock_keeps_both)
{
    cr_assert_eq(rig_run(cancel_served, NULL), 0);
}

static int cancel_early(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert(weir_task_cancel(weir_task_current(loop)));
    int err = weir_condition_wait(object);
    cr_assert_eq(weir_lock_release(lock), 0);
    return err;
}

static int wait_cancelled(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on);
    start(&worker, "a", cancel_early, condition);
    cr_assert_eq(finish(&worker), -ECANCELED);
    end();
    return 0;
}

UNIT(condition, of_a_task_that_was_cancelled_keeps_the_lock)
{
    cr_assert_eq(rig_run(wait_cancelled, NULL), 0);
}

static int time_out(weir_loop *on, void *arg)
{
    (void)arg;
    make(on);
    must_time_out(wait_once, condition);
    end();
    return 0;
}

UNIT(condition, waited_for_too_long_times_out_with_the_lock)
{
    cr_assert_eq(rig_run(time_out, NULL), 0);
}

static int time_out_in_line(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on);
    start_limited(&worker, 5 * MS, wait_once, condition);
    settle();
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert_eq(weir_condition_notify(condition, 1), 1);
    cr_assert_eq(weir_sleep(on, 20 * MS), 0);
    cr_assert_not(worker.is_back, "the lock is waited for beyond the time");
    cr_assert_eq(weir_lock_release(lock), 0);

    cr_assert_eq(finish(&worker), -ETIMEDOUT);
    cr_assert_eq(worker.next, 0);
    end();
    return 0;
}

UNIT(condition, timed_out_in_line_waits_for_the_lock)
{
    cr_assert_eq(rig_run(time_out_in_line, NULL), 0);
}

static int free_waited_for(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on);
    start(&first, "a", wait_once, condition);
    start(&second, "b", wait_once, condition);
    settle();

    weir_condition_free(condition);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), -ECANCELED);
    cr_assert_eq(first.next, 0, "the task was not cancelled");
    cr_assert_not(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    weir_condition_free(NULL);
    return 0;
}

UNIT(condition, freed_wakes_who_waits_with_the_lock)
{
    cr_assert_eq(rig_run(free_waited_for, NULL), 0);
}

static int free_both(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    make(on);
    start(&first, "a", wait_and_lose, condition);
    start(&second, "b", wait_and_lose, condition);
    settle();
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert_eq(weir_condition_notify(condition, 1), 1);

    weir_condition_free(condition);
    weir_lock_free(lock);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), -ECANCELED);
    return 0;
}

UNIT(condition, freed_with_its_lock_wakes_who_waits_without_it)
{
    cr_assert_eq(rig_run(free_both, NULL), 0);
}

static int free_lock_first(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on);
    start(&worker, "a", wait_and_lose, condition);
    settle();

    weir_lock_free(lock);
    settle();
    cr_assert_not(worker.is_back, "it waits for a notification");
    cr_assert_eq(weir_condition_notify(condition, 1), -EPERM,
                 "which nobody can give any more");
    weir_condition_free(condition);

    cr_assert_eq(finish(&worker), -ECANCELED, "but has no lock");
    return 0;
}

UNIT(condition, whose_lock_was_freed_first_is_notified_by_nobody)
{
    cr_assert_eq(rig_run(free_lock_first, NULL), 0);
}

static int notify_unlocked(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on);
    start(&worker, "a", wait_once, condition);
    settle();

    cr_assert_eq(weir_condition_notify(condition, 1), -EPERM);
    cr_assert_eq(weir_condition_notify(condition, SIZE_MAX), -EPERM);
    cr_assert_eq(weir_condition_notify(condition, 0), -EPERM);
    cr_assert_eq(in_callback(notify_one, condition), -EPERM);
    settle();
    cr_assert_not(worker.is_back, "a call that fails wakes nobody");

    cr_assert_eq(notify(1), 1);
    cr_assert_eq(finish(&worker), 0);
    end();
    return 0;
}

UNIT(condition, notified_while_nobody_has_the_lock_is_an_error)
{
    cr_assert_eq(rig_run(notify_unlocked, NULL), 0);
}

static int free_condition(void *object)
{
    weir_condition_free(object);
    return 0;
}

static int new_condition(void *object)
{
    weir_condition *result;
    return weir_condition_new(object, &result);
}

static int use_wrongly(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    make(on);
    cr_assert_eq(weir_condition_new(lock, NULL), -EINVAL);
    cr_assert_eq(weir_condition_wait(condition), -EPERM, "without the lock");
    start(&worker, "a", wait_once, condition);
    settle();
    cr_assert_eq(in_callback(wait_unlocked, condition), WEIR_ENOTTASK);
    cr_assert_eq(elsewhere(wait_unlocked, condition), -EPERM);
    cr_assert_eq(elsewhere(new_condition, lock), -EPERM);
    cr_assert_eq(elsewhere(notify_one, condition), -EPERM);
    cr_assert_eq(elsewhere(free_condition, condition), 0);
    settle();
    cr_assert_not(worker.is_back);
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert_eq(in_callback(notify_one, condition), 1);
    cr_assert_eq(weir_lock_release(lock), 0);
    cr_assert_eq(finish(&worker), 0);
    end();
    return 0;
}

UNIT(condition, in_the_wrong_place_is_an_error)
{
    cr_assert_eq(rig_run(use_wrongly, NULL), 0);
}

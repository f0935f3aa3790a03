/*
 * Conditions while their loop is being freed.
 *
 * A task that waits for a notification gets the lock once it is released; a
 * lock that is never released does not keep its loop.
 */
#include "condition_rig.h"

static struct worker left[3];

static int sleep_locked(void *object)
{
    expect_eq(weir_lock_acquire(lock), 0);
    int err = weir_sleep(loop, S);
    expect_eq(weir_lock_release(lock), 0);
    return err;
}

static int leave_waiting(weir_loop *on, void *arg)
{
    condition_make(on);
    start(&left[0], "a", wait_once, condition);
    start(&left[1], "b", wait_once, condition);
    settle();
    start(&left[2], "c", sleep_locked, NULL);
    settle();
    expect_eq(weir_condition_notify(condition, 1), 1);
    for (int i = 0; i < 3; i++) {
        weir_task_unref(left[i].task);
    }
    return 0;
}

UNIT(condition_end,
     waited_for_at_the_loops_end_has_the_lock_once_it_is_released)
{
    rig_leave(leave_waiting, NULL);
    for (int i = 0; i < 3; i++) {
        cr_assert(left[i].is_back);
        expect_eq(left[i].result, -ECANCELED);
    }
    end();
    fake_stop();
}

static int leave_with_lock(weir_loop *on, void *arg)
{
    const bool *is_cancelled = arg;
    condition_make(on);
    start(&left[0], "a", wait_and_lose, condition);
    settle();
    expect_eq(weir_lock_acquire(lock), 0);
    if (*is_cancelled) {
        cr_assert(weir_task_cancel(left[0].task));
    }
    settle();
    cr_assert_not(left[0].is_back);
    weir_task_unref(left[0].task);
    return 0;
}

static void must_end_without_the_lock(bool is_cancelled)
{
    rig_leave(leave_with_lock, &is_cancelled);
    cr_assert(left[0].is_back);
    expect_eq(left[0].result, -ECANCELED);
    weir_condition_free(condition);
    weir_lock_free(lock);
    fake_stop();
}

UNIT(condition_end, whose_lock_went_with_a_task_does_not_keep_the_loop)
{
    must_end_without_the_lock(false);
}

UNIT(condition_end, that_was_cancelled_in_line_does_not_keep_the_loop)
{
    must_end_without_the_lock(true);
}

UNIT(condition_end, does_not_keep_a_loop_whose_ring_is_broken)
{
    bool is_cancelled = false;
    rig_start();
    expect_eq(rig_main(leave_with_lock, &is_cancelled), 0);
    fake_break_ring(-EIO);
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(left[0].result, -ECANCELED);
    weir_condition_free(condition);
    weir_lock_free(lock);
    fake_stop();
}

/* This task has the lock that another needs, and waits for its end: one of the
 * two has to stop waiting, which is the one that was started last. */
static int join_locked(void *object)
{
    int result;
    expect_eq(weir_lock_acquire(lock), 0);
    int err = weir_task_join(((struct worker *)object)->task, &result);
    expect_eq(weir_lock_release(lock), 0);
    return err;
}

static int leave_circle(weir_loop *on, void *arg)
{
    condition_make(on);
    start(&left[0], "a", wait_once, condition);
    settle();
    start(&left[1], "b", join_locked, &left[0]);
    settle();
    expect_eq(weir_condition_notify(condition, 1), 1);
    cr_assert(weir_task_cancel(left[1].task));
    settle();
    weir_task_unref(left[1].task);
    return 0;
}

UNIT(condition_end,
     whose_locks_owner_waits_for_the_waiter_does_not_keep_the_loop)
{
    rig_start();
    expect_eq(rig_main(leave_circle, NULL), 0);
    cr_assert_not(left[0].is_back);
    cr_assert_not(left[1].is_back);
    expect_eq(weir_loop_free(loop), 0);
    expect_eq(left[0].result, -ECANCELED);
    cr_assert(left[1].is_back);
    end();
    fake_stop();
}

static int new_beside_lock(void *object)
{
    weir_lock *other;
    weir_condition *result;
    rig_memory.size_limit = SIZE_MAX;
    expect_eq(weir_lock_new(object, &other), 0);
    rig_memory.size_limit = 0;
    int err = weir_condition_new(other, &result);
    weir_lock_free(other);
    return err;
}

UNIT(condition_end, without_memory_is_not_made)
{
    expect_eq(without_memory(new_beside_lock), -ENOMEM);
}

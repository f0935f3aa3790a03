/*
 * Conditions: what weir/sync.h promises about waiting for a predicate.
 *
 * The predicate is a number that has to reach a goal. It counts how often it is
 * asked, and looks whether the lock is taken each time.
 */
#define TASK_RUN end_after
#include "condition_rig.h"

static int level;
static int goal;
static int asked;

static bool is_reached(void *arg)
{
    expect_eq(arg, &goal);
    cr_assert(weir_lock_is_locked(lock));
    cr_assert_null(weir_task_get_current(loop), "it may not suspend");
    expect_eq(weir_yield(loop), WEIR_ENOTTASK);
    asked++;
    return level >= goal;
}

static void open(int needed)
{
    condition_make(loop);
    level = 0;
    goal = needed;
    asked = 0;
}

static int wait_for_level(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    int err = weir_condition_wait_for(object, is_reached, &goal);
    cr_assert_eq(weir_lock_release(lock), 0, "whatever the wait returned");
    return err;
}

static int wait_unlocked(void *object)
{
    return weir_condition_wait_for(object, is_reached, &goal);
}

static void raise_level(int by)
{
    expect_eq(weir_lock_acquire(lock), 0);
    level += by;
    cr_assert_geq(weir_condition_notify(condition, SIZE_MAX), 0);
    expect_eq(weir_lock_release(lock), 0);
    settle();
}

static void end_after(void (*body)(void))
{
    body();
    end();
}

TASK(condition_for, a_predicate_that_holds_is_not_waited_for)
{
    open(0);
    uint64_t switches = rig_statistics().task_switches;
    expect_eq(wait_for_level(condition), 0);
    expect_eq(rig_statistics().task_switches, switches);
    expect_eq(asked, 1);
}

TASK(condition_for, the_wait_goes_on_until_the_predicate_holds)
{
    open(2);
    start_first(wait_for_level, condition);
    expect_eq(asked, 1);
    cr_assert_not(weir_lock_is_locked(lock), "the wait releases the lock");

    raise_level(0);
    expect_eq(asked, 2, "it is asked after each notification");
    raise_level(1);
    cr_assert_not(first.is_back);
    raise_level(1);

    cr_assert(first.is_back);
    expect_eq(asked, 4);
    expect_end(&first, 0, 0);
}

TASK(condition_for, a_cancelled_wait_has_the_lock_and_asks_no_more)
{
    open(1);
    start_first(wait_for_level, condition);

    expect_eq(cancel(&first), -ECANCELED);

    expect_eq(first.next, 0, "it is told once");
    expect_eq(asked, 1);
}

static int wait_cancelled(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert(weir_task_cancel(weir_task_get_current(loop)));
    int err = weir_condition_wait_for(object, is_reached, &goal);
    cr_assert_eq(weir_lock_release(lock), 0);
    return err;
}

TASK(condition_for, a_task_that_was_cancelled_before_does_not_ask)
{
    open(0);
    expect_eq(wait_cancelled(condition), -ECANCELED);
    expect_eq(asked, 0);
}

TASK(condition_for, a_wait_that_takes_too_long_times_out_with_the_lock)
{
    open(1);
    must_time_out(wait_for_level, condition);
}

UNIT_IN(condition_for, the_freed_condition_ends_the_wait, rig_run_body, void)
{
    struct worker waits;
    struct worker notified;
    open(1);
    start(&waits, "w", wait_for_level, condition);
    start(&notified, "n", wait_for_level, condition);
    settle();
    expect_eq(weir_lock_acquire(lock), 0);
    expect_eq(weir_condition_notify(condition, 1), 1);

    weir_condition_free(condition);
    expect_eq(weir_lock_release(lock), 0);

    expect_eq(finish(&waits), -ECANCELED);
    expect_eq(finish(&notified), -ECANCELED);
    expect_eq(asked, 2, "only before they waited");
    weir_lock_free(lock);
}

static int ended_count;

/* Ends with the lock, if it has it. */
static int wait_and_lose_level(weir_loop *on, void *arg)
{
    expect_eq(weir_lock_acquire(lock), 0);
    int err = weir_condition_wait_for(arg, is_reached, &goal);
    ended_count += err == -ECANCELED;
    return err;
}

static int leave_waiting(weir_loop *on, void *arg)
{
    open(1);
    for (int i = 0; i < 2; i++) {
        expect_ok(
            weir_task_spawn(on, wait_and_lose_level, condition, NULL, NULL));
    }
    settle();
    return 0;
}

UNIT(condition_for, the_loops_end_ends_the_wait)
{
    rig_leave(leave_waiting, NULL);
    expect_eq(ended_count, 2);
    expect_eq(asked, 2);
    weir_condition_free(condition);
    weir_lock_free(lock);
    fake_stop();
}

static int wait_for_nothing(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    int err = weir_condition_wait_for(object, NULL, NULL);
    cr_assert_eq(weir_lock_release(lock), 0);
    return err;
}

TASK(condition_for, in_the_wrong_place_it_is_an_error)
{
    open(0);
    expect_eq(wait_unlocked(condition), -EPERM, "the lock is not had");
    expect_eq(wait_for_nothing(condition), -EINVAL);
    expect_eq(in_callback(wait_unlocked, condition), WEIR_ENOTTASK);
    expect_eq(elsewhere(wait_unlocked, condition), -EPERM);
    expect_eq(asked, 0);
}

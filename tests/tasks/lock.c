/*
 * Locks: what weir/sync.h promises about them.
 *
 * One owner at a time, in the order of asking, whoever is cancelled, too late
 * or gone; and only the owner gives the lock back.
 */
#include "sync.h"

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
        cr_assert_eq(weir_yield(loop), 0);
        cr_assert_eq(weir_lock_release(object), 0);
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

static int take_turns(weir_loop *on, void *arg)
{
    struct worker workers[3];
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_not(weir_lock_is_locked(lock));
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert(weir_lock_is_locked(lock));
    start(&workers[0], "a", acquire_and_release, lock);
    start(&workers[1], "b", acquire_and_release, lock);
    start(&workers[2], "c", acquire_and_release, lock);
    settle();
    cr_assert_str_eq(notes, "");

    cr_assert_eq(weir_lock_release(lock), 0);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(finish(&workers[i]), 0);
    }

    cr_assert_str_eq(notes, "abc");
    cr_assert_not(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, is_had_by_one_at_a_time_first_come_first_served)
{
    cr_assert_eq(rig_run(take_turns, NULL), 0);
}

static int try_to_slip_in(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_lock_acquire_nowait(lock), 0);
    start(&worker, "a", acquire_and_release, lock);
    settle();

    cr_assert_eq(weir_lock_release(lock), 0);
    cr_assert(weir_lock_is_locked(lock), "the waiter has it already");
    cr_assert_eq(weir_lock_acquire_nowait(lock), -EBUSY);
    cr_assert_eq(weir_lock_acquire(lock), 0);

    cr_assert_str_eq(notes, "a", "only after the waiter");
    cr_assert_eq(weir_lock_release(lock), 0);
    cr_assert_eq(finish(&worker), 0);
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, released_belongs_to_the_next_in_line_so_that_nobody_slips_in)
{
    cr_assert_eq(rig_run(try_to_slip_in, NULL), 0);
}

static int misuse(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_lock_release(lock), -EPERM, "nobody has it");
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert_eq(weir_lock_acquire(lock), -EDEADLK);
    cr_assert_eq(weir_lock_acquire_nowait(lock), -EBUSY);
    start(&worker, "a", release, lock);
    cr_assert_eq(finish(&worker), -EPERM, "another task");
    cr_assert(weir_lock_is_locked(lock));
    cr_assert_eq(weir_lock_release(lock), 0);
    cr_assert_eq(weir_lock_release(lock), -EPERM, "a second time");
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, is_released_only_by_who_has_it_and_not_taken_twice)
{
    cr_assert_eq(rig_run(misuse, NULL), 0);
}

static int cancel_before(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_lock_acquire(lock), 0);
    start(&first, "a", acquire_and_release, lock);
    start(&second, "b", acquire_and_release, lock);
    settle();

    cr_assert(weir_task_cancel(first.task));
    cr_assert_eq(weir_lock_release(lock), 0);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(first.next, 0);
    cr_assert_eq(finish(&second), 0);
    cr_assert_not(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, cancelled_before_it_is_had_goes_to_the_next)
{
    cr_assert_eq(rig_run(cancel_before, NULL), 0);
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
    cr_assert_eq(weir_yield(loop), -ECANCELED);
    cr_assert_eq(weir_lock_release(object), 0);
    return err;
}

static int cancel_after(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_lock_acquire(lock), 0);
    start(&worker, "a", release_later, lock);
    settle();

    cr_assert_eq(weir_lock_release(lock), 0);
    cr_assert(weir_task_cancel(worker.task));

    cr_assert_eq(finish(&worker), 0);
    cr_assert_not(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, cancelled_after_it_is_had_stays_had_and_cancels_the_next_call)
{
    cr_assert_eq(rig_run(cancel_after, NULL), 0);
}

static int time_out(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_lock_acquire(lock), 0);
    must_time_out(acquire, lock);
    cr_assert_eq(weir_lock_release(lock), 0);
    cr_assert_not(weir_lock_is_locked(lock), "who gave up is not in line");
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, waited_for_too_long_times_out)
{
    cr_assert_eq(rig_run(time_out, NULL), 0);
}

static int free_waited_for(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_lock_acquire(lock), 0);
    start(&first, "a", acquire, lock);
    start(&second, "b", acquire, lock);
    settle();

    weir_lock_free(lock);

    cr_assert_eq(finish(&first), -ECANCELED);
    cr_assert_eq(finish(&second), -ECANCELED);
    cr_assert_eq(first.next, 0, "the task was not cancelled");
    weir_lock_free(NULL);
    return 0;
}

UNIT(lock, freed_wakes_who_waits)
{
    cr_assert_eq(rig_run(free_waited_for, NULL), 0);
}

static int acquire_until_it_fails(void *object)
{
    int err = 0;
    while (err == 0) {
        err = weir_lock_acquire(object);
        if (err == 0) {
            cr_assert_eq(weir_lock_release(object), 0);
        }
    }
    return err;
}

static int free_busy(weir_loop *on, void *arg)
{
    struct worker worker;
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    start(&worker, "a", acquire_until_it_fails, lock);
    cr_assert_eq(weir_yield(on), 0);
    cr_assert_not(worker.is_back);

    weir_lock_free(lock);

    cr_assert_eq(finish(&worker), -ECANCELED);
    return 0;
}

UNIT(lock, freed_inside_a_call_that_lets_others_run_is_not_touched_again)
{
    cr_assert_eq(rig_run(free_busy, NULL), 0);
}

/* A task in the place in memory of one that ended with the lock. */
static int end_with_lock(weir_loop *on, void *arg)
{
    struct worker first;
    struct worker second;
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    start(&first, "a", acquire_and_keep, lock);
    cr_assert_eq(finish(&first), 0);
    cr_assert(weir_lock_is_locked(lock));

    start(&second, "b", release, lock);
    cr_assert_eq(finish(&second), -EPERM);
    start(&second, "c", try_acquire, lock);
    cr_assert_eq(finish(&second), -EBUSY);
    must_time_out(acquire, lock);
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, of_a_task_that_ended_is_not_the_next_tasks)
{
    cr_assert_eq(rig_run(end_with_lock, NULL), 0);
}

static int free_lock(void *object)
{
    weir_lock_free(object);
    return 0;
}

static int new_lock(void *object)
{
    weir_lock *result;
    return weir_lock_new(object, &result);
}

static int use_wrongly(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_lock_new(on, NULL), -EINVAL);
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(in_callback(acquire, lock), WEIR_ENOTTASK);
    cr_assert_eq(in_callback(try_acquire, lock), WEIR_ENOTTASK);
    cr_assert_eq(in_callback(release, lock), -EPERM);
    cr_assert_eq(elsewhere(new_lock, on), -EPERM);
    cr_assert_eq(elsewhere(acquire, lock), -EPERM);
    cr_assert_eq(elsewhere(try_acquire, lock), -EPERM);
    cr_assert_not(weir_lock_is_locked(lock));
    cr_assert_eq(weir_lock_acquire(lock), 0);
    cr_assert_eq(elsewhere(release, lock), -EPERM);
    cr_assert_eq(elsewhere(free_lock, lock), 0);
    cr_assert(weir_lock_is_locked(lock));
    cr_assert_eq(weir_lock_release(lock), 0);
    weir_lock_free(lock);
    return 0;
}

UNIT(lock, in_the_wrong_place_is_an_error)
{
    cr_assert_eq(rig_run(use_wrongly, NULL), 0);
}

static struct worker left[2];

/* One task sleeps with the lock, another waits for it. */
static int acquire_and_sleep(void *object)
{
    cr_assert_eq(weir_lock_acquire(object), 0);
    cr_assert_eq(weir_sleep(loop, S), -ECANCELED);
    cr_assert_eq(weir_lock_acquire(object), -ECANCELED, "always, at the end");
    return weir_lock_release(object);
}

static int leave_waiting(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    start(&left[0], "a", acquire_and_sleep, lock);
    start(&left[1], "b", acquire, lock);
    settle();
    weir_task_detach(left[0].task);
    weir_task_detach(left[1].task);
    return 0;
}

UNIT(lock, may_be_freed_after_its_loop_which_ended_the_wait)
{
    rig_start();
    cr_assert_eq(rig_main(leave_waiting, NULL), 0);
    cr_assert_eq(weir_loop_free(loop), 0);
    cr_assert_eq(left[0].result, 0);
    cr_assert_eq(left[1].result, -ECANCELED);
    cr_assert_not(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    fake_stop();
}

static int leave_owned(weir_loop *on, void *arg)
{
    (void)arg;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    return weir_lock_acquire(lock);
}

UNIT(lock, of_a_task_that_ended_may_be_freed_after_its_loop)
{
    rig_start();
    cr_assert_eq(rig_main(leave_owned, NULL), 0);
    cr_assert_eq(weir_loop_free(loop), 0);
    cr_assert(weir_lock_is_locked(lock));
    weir_lock_free(lock);
    fake_stop();
}

UNIT(lock, without_memory_is_not_made)
{
    cr_assert_eq(without_memory(new_lock), -ENOMEM);
}

static weir_condition *condition;

static int wait_locked(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    return weir_condition_wait(object);
}

/* The lock is freed when it was passed on and its new owner did not run yet. */
static int free_when_passed(weir_loop *on, void *arg)
{
    const bool *waits_on_condition = arg;
    struct worker worker;
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_condition_new(lock, &condition), 0);
    if (*waits_on_condition) {
        start(&worker, "a", wait_locked, condition);
        settle();
        cr_assert_eq(weir_lock_acquire_nowait(lock), 0);
        cr_assert_eq(weir_condition_notify(condition, 1), 1);
        cr_assert_eq(weir_lock_release(lock), 0);
    } else {
        cr_assert_eq(weir_lock_acquire(lock), 0);
        start(&worker, "a", acquire, lock);
        settle();
        cr_assert_eq(weir_lock_release(lock), 0);
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
    cr_assert_eq(rig_run(free_when_passed, &waits_on_condition), -ECANCELED);
}

UNIT(lock, that_is_freed_before_its_new_owner_runs_ends_a_conditions_wait)
{
    bool waits_on_condition = true;
    cr_assert_eq(rig_run(free_when_passed, &waits_on_condition), -ECANCELED);
}

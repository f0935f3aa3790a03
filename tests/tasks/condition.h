/*
 * A lock with a condition, and calls of tasks that wait for it.
 *
 * A wait that returns has the lock, which the call then releases; but not where
 * the test wants the lock to be lost.
 */
#ifndef WEIR_TESTS_TASKS_CONDITION_H
#define WEIR_TESTS_TASKS_CONDITION_H

#include "sync.h"

static weir_lock *lock;
static weir_condition *condition;

static inline void make(weir_loop *on)
{
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_condition_new(lock, &condition), 0);
}

static inline void end(void)
{
    cr_assert_not(weir_lock_is_locked(lock));
    weir_condition_free(condition);
    weir_lock_free(lock);
}

/* Waits once with the lock, which it must have afterwards. */
static inline int wait_once(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    int err = weir_condition_wait(object);
    cr_assert_eq(weir_lock_release(lock), 0, "whatever the wait returned");
    return err;
}

static inline int wait_and_lose(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    return weir_condition_wait(object);
}

#endif

/*
 * One condition with its lock, and the ways to wait for it; see
 * condition_rig.h.
 *
 * Whatever a wait returned, the task must have
 * the lock then, and gives it back.
 */
#include "tests/tasks/condition_rig.h"

weir_lock *lock;
weir_condition *condition;

void condition_make(weir_loop *on)
{
    cr_assert_eq(weir_lock_new(on, &lock), 0);
    cr_assert_eq(weir_condition_new(lock, &condition), 0);
}

void end(void)
{
    cr_assert_not(weir_lock_is_locked(lock));
    weir_condition_free(condition);
    weir_lock_free(lock);
}

int wait_once(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    int err = weir_condition_wait(object);
    cr_assert_eq(weir_lock_release(lock), 0, "whatever the wait returned");
    return err;
}

int wait_and_lose(void *object)
{
    cr_assert_eq(weir_lock_acquire(lock), 0);
    return weir_condition_wait(object);
}

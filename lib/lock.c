/*
 * Locks: owned by one task at a time, first come, first served.
 *
 * The one idea is in lock.h: a release makes the next in line the owner before
 * that task runs. A waiter that is cancelled first is in no line any more; one
 * that was made the owner first has the lock, whatever comes then.
 */
#include "lock.h"

#include "../include/weir/error.h"

static void own(weir_lock *lock, const weir_task *task)
{
    wr_assert(lock->owner == 0);
    lock->owner = task->number;
}

bool wr_lock_is_ours(const weir_lock *lock)
{
    const weir_task *task = lock->sync.loop->current;
    return task && lock->owner == task->number;
}

static void grant(weir_lock *lock, struct wr_waiter *waiter)
{
    own(lock, waiter->task);
    wr_waiter_wake(waiter, waiter->was_interrupted ? -ECANCELED : 0);
}

void wr_lock_pass(weir_lock *lock)
{
    wr_assert(lock->owner != 0);
    lock->owner = 0;
    if (!wr_list_is_empty(&lock->waiters)) {
        grant(lock,
              wr_container_of(lock->waiters.next, struct wr_waiter, link));
    }
}

void wr_lock_queue(weir_lock *lock, struct wr_waiter *waiter)
{
    if (lock->sync.is_freed) {
        wr_waiter_wake(waiter, -ECANCELED);
    } else if (lock->owner == 0) {
        grant(lock, waiter);
    } else {
        wr_list_remove(&waiter->link);
        wr_list_push_back(&lock->waiters, &waiter->link);
    }
}

int weir_lock_new(weir_loop *loop, weir_lock **ret)
{
    struct wr_sync *sync;
    wr_require(ret, -EINVAL);
    int err = wr_sync_new(loop, sizeof(weir_lock), &sync);
    if (err < 0) {
        return err;
    }
    weir_lock *lock = wr_container_of(sync, weir_lock, sync);
    wr_list_init(&lock->waiters);
    *ret = lock;
    return 0;
}

static int acquire(weir_lock *lock)
{
    weir_loop *loop = lock->sync.loop;
    struct wr_waiter waiter = {.interrupt = NULL};

    wr_require(!wr_lock_is_ours(lock), -EDEADLK);
    if (lock->owner != 0) {
        int err = wr_task_wait(loop, &waiter, &lock->waiters);
        return err == 0 && lock->sync.is_freed ? -ECANCELED : err;
    }
    wr_assert(wr_list_is_empty(&lock->waiters));
    own(lock, loop->current);
    return 0;
}

int weir_lock_acquire(weir_lock *lock)
{
    int err = wr_sync_enter(&lock->sync);
    if (err < 0) {
        return err;
    }
    err = acquire(lock);
    wr_sync_unref(&lock->sync);
    return err;
}

int weir_lock_acquire_nowait(weir_lock *lock)
{
    weir_loop *loop = lock->sync.loop;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(loop->current, WEIR_ENOTTASK);
    wr_require(lock->owner == 0, -EBUSY);
    own(lock, loop->current);
    return 0;
}

int weir_lock_release(weir_lock *lock)
{
    int err = wr_loop_check(lock->sync.loop);
    if (err < 0) {
        return err;
    }
    wr_require(wr_lock_is_ours(lock), -EPERM);
    wr_lock_pass(lock);
    return 0;
}

bool weir_lock_is_locked(const weir_lock *lock)
{
    return lock->owner != 0;
}

void weir_lock_free(weir_lock *lock)
{
    if (!lock || wr_loop_check(lock->sync.loop) < 0) {
        return;
    }
    wr_waiters_wake_all(&lock->waiters, -ECANCELED);
    lock->owner = 0;
    wr_sync_free(&lock->sync);
}

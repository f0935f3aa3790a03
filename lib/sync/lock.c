/*
 * Locks: owned by one task at a time, first come, first served.
 *
 * A release makes the next waiter the owner before its task runs; see lock.h. A
 * waiter that is cancelled earlier leaves the queue; a waiter that is cancelled
 * later has the lock all the same.
 */
#include "lock.h"

#include "weir/error.h"

void wr_lock_check_invariants(const weir_lock *lock)
{
    wr_sync_check_invariants(&lock->sync);
    wr_assert(lock->owner != 0 || wr_list_is_empty(&lock->waiters));
}

static void lock_own(weir_lock *lock, const weir_task *task)
{
    wr_assert(lock->owner == 0);
    lock->owner = task->number;
}

bool wr_lock_is_ours(const weir_lock *lock)
{
    const weir_task *task = lock->sync.loop->current;
    return task && lock->owner == task->number;
}

static void lock_grant(weir_lock *lock, struct wr_waiter *waiter)
{
    wr_assert(waiter->task->state == WR_TASK_WAITING);
    lock_own(lock, waiter->task);
    wr_waiter_wake(waiter, waiter->was_interrupted ? -ECANCELED : 0);
}

void wr_lock_pass(weir_lock *lock)
{
    wr_assert(lock->owner != 0);
    wr_debug_assert(wr_lock_is_ours(lock));
    lock->owner = 0;
    if (!wr_list_is_empty(&lock->waiters)) {
        lock_grant(lock,
                   wr_container_of(lock->waiters.next, struct wr_waiter, link));
    }
}

void wr_lock_queue(weir_lock *lock, struct wr_waiter *waiter)
{
    wr_assert(waiter->task->number != lock->owner);
    if (lock->sync.is_freed) {
        wr_waiter_wake(waiter, -ECANCELED);
    } else if (lock->owner == 0) {
        lock_grant(lock, waiter);
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

WEIR_MUST_USE static int lock_acquire(weir_lock *lock)
{
    static const struct wr_wait_kind kind = {.name = "lock"};
    weir_loop *loop = lock->sync.loop;
    struct wr_waiter waiter = {.kind = &kind};

    wr_lock_check_invariants(lock);
    wr_require(!wr_lock_is_ours(lock), -EDEADLK);
    if (lock->owner != 0) {
        int err = wr_task_wait(loop, &waiter, &lock->waiters);
        if (err == 0 && lock->sync.is_freed) {
            return -ECANCELED;
        }
        wr_assert((err == 0) == wr_lock_is_ours(lock));
        return err;
    }
    lock_own(lock, loop->current);
    return 0;
}

int weir_lock_acquire(weir_lock *lock)
{
    int err = wr_sync_enter(&lock->sync);
    if (err < 0) {
        return err;
    }
    err = lock_acquire(lock);
    wr_sync_unref(&lock->sync);
    return err;
}

int weir_lock_acquire_nowait(weir_lock *lock)
{
    weir_loop *loop = lock->sync.loop;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_lock_check_invariants(lock);
    wr_require(loop->current, WEIR_ENOTTASK);
    wr_require(lock->owner == 0, -EBUSY);
    lock_own(lock, loop->current);
    return 0;
}

int weir_lock_release(weir_lock *lock)
{
    int err = wr_loop_check(lock->sync.loop);
    wr_require(err >= 0, err);
    wr_lock_check_invariants(lock);
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
    if (!lock || !wr_loop_admits(lock->sync.loop)) {
        return;
    }
    wr_lock_check_invariants(lock);
    wr_waiters_wake_all(&lock->waiters, -ECANCELED);
    lock->owner = 0;
    wr_sync_free(&lock->sync);
}

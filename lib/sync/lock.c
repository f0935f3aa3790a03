/*
 * Locks: one task at a time owns a lock, in the order of the requests (sync.h).
 * A waiter that is cancelled before it owns the lock leaves the queue
 * (lib/task/task_wait.c); a waiter that is cancelled later still owns it.
 */
#include "sync.h"

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

static bool lock_attempt(struct wr_waitable *what)
{
    weir_lock *lock = what->object;

    wr_lock_check_invariants(lock);
    if (wr_lock_is_ours(lock)) {
        what->result = -EDEADLK;
        return true;
    }
    if (lock->owner != 0) {
        return false;
    }
    lock_own(lock, lock->sync.loop->current);
    what->result = 0;
    return true;
}

/* Returns -ECANCELED if the lock was freed between the wake and the run of the
 * task. */
static int lock_woken(struct wr_waitable *what, int result)
{
    const weir_lock *lock = what->object;

    if (result == 0 && lock->sync.is_freed) {
        return -ECANCELED;
    }
    wr_assert((result == 0) == wr_lock_is_ours(lock));
    return result;
}

static const struct wr_sync_call lock_acquire = {
    .ops = {WR_SYNC_OPS, .kind = {.name = "lock"}, .woken = lock_woken},
    .attempt = lock_attempt,
    .line = offsetof(weir_lock, waiters)};

WR_SYNC_WHOLE int weir_lock_acquire(weir_lock *lock)
{
    return wr_sync_wait(&lock_acquire, &lock->sync, NULL, NULL);
}

struct weir_waitable weir_waitable_lock(weir_lock *lock)
{
    struct wr_waitable what =
        wr_sync_waitable(&lock_acquire, lock ? &lock->sync : NULL);
    return wr_waitable_give(&what);
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

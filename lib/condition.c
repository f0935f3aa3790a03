/*
 * Conditions: wait for a change of what a lock protects.
 *
 *     in the condition's queue --notified, cancelled, freed--> in the lock's
 *     queue --lock released--> running, with the lock
 *
 * A waiter suspends once: who wakes it moves it from one queue to the other,
 * where it stands in line for the lock like everybody else, and it runs when
 * the lock is its own. So a cancellation never takes the waiter out; it only
 * changes what the wait returns, and hands a notification on that was there.
 *
 * There is one exception. While the loop is being freed, tasks give up their
 * locks or end soon; but one that ends with its lock, or that waits in a circle
 * with others, would keep the loop for ever. So the wait for the lock ends
 * without it then, once nothing else is left to happen.
 */
#include "lock.h"

struct weir_condition {
    struct wr_sync sync;
    weir_lock *lock;
    struct wr_list waiters; /* struct wait */
};

struct wait {
    struct wr_waiter waiter; /* in one queue or the other */
    weir_condition *condition;
    int result;      /* once it is in line for the lock */
    bool is_in_line; /* it was moved to the lock's queue */
};

static struct wait *wait_of(struct wr_waiter *waiter)
{
    return wr_container_of(waiter, struct wait, waiter);
}

static void get_in_line(struct wait *wait, int result)
{
    wr_assert(!wait->is_in_line);
    wait->is_in_line = true;
    wait->result = result;
    wr_lock_queue(wait->condition->lock, &wait->waiter);
}

/* Moves the first waiter on; false when there is none. */
static bool move_first(weir_condition *condition, int result)
{
    if (wr_list_is_empty(&condition->waiters)) {
        return false;
    }
    get_in_line(wait_of(wr_container_of(condition->waiters.next,
                                        struct wr_waiter, link)),
                result);
    return true;
}

/* Without the lock. */
static void give_up(struct wr_waiter *waiter)
{
    wr_waiter_wake(waiter, -ECANCELED);
}

static void interrupt(struct wr_waiter *waiter)
{
    struct wait *wait = wait_of(waiter);
    weir_condition *condition = wait->condition;

    if (!wait->is_in_line) {
        get_in_line(wait, -ECANCELED);
    } else if (wait->result == 0) {
        wait->result = -ECANCELED;
        wr_ignore(move_first(condition, 0));
    }
}

int weir_condition_new(weir_lock *lock, weir_condition **ret)
{
    struct wr_sync *sync;
    wr_require(ret, -EINVAL);
    int err =
        wr_sync_new(lock->sync.loop, sizeof(struct weir_condition), &sync);
    if (err < 0) {
        return err;
    }
    weir_condition *condition = wr_container_of(sync, weir_condition, sync);
    wr_list_init(&condition->waiters);
    condition->lock = lock;
    wr_sync_ref(&lock->sync);
    *ret = condition;
    return 0;
}

/* Nothing of the condition is touched after the wait: it may be freed. */
static int wait_and_relock(weir_condition *condition)
{
    weir_loop *loop = condition->sync.loop;
    weir_lock *lock = condition->lock;
    struct wait wait = {.waiter = {.interrupt = interrupt, .give_up = give_up},
                        .condition = condition};

    wr_require(wr_lock_is_ours(lock), -EPERM);
    wr_sync_ref(&lock->sync);
    wr_lock_pass(lock);
    int err = wr_task_wait(loop, &wait.waiter, &condition->waiters);
    wr_assert(wait.is_in_line);
    if (err == 0 && lock->sync.is_freed) {
        err = -ECANCELED; /* it was ours, and then it was freed */
    }
    wr_assert(err < 0 || wr_lock_is_ours(lock));
    wr_assert(err < 0 || wait.result == 0 || !wait.waiter.was_interrupted);
    wr_sync_unref(&lock->sync);
    return err < 0 ? err : wait.result;
}

int weir_condition_wait(weir_condition *condition)
{
    int err = wr_sync_enter(&condition->sync);
    if (err < 0) {
        return err;
    }
    err = wait_and_relock(condition);
    wr_sync_unref(&condition->sync);
    return err;
}

ssize_t weir_condition_notify(weir_condition *condition, size_t count)
{
    size_t moved = 0;

    int err = wr_loop_check(condition->sync.loop);
    if (err < 0) {
        return err;
    }
    wr_require(weir_lock_is_locked(condition->lock), -EPERM);
    while (moved < count && move_first(condition, 0)) {
        moved++;
    }
    return (ssize_t)moved;
}

void weir_condition_free(weir_condition *condition)
{
    if (!condition || wr_loop_check(condition->sync.loop) < 0) {
        return;
    }
    while (move_first(condition, -ECANCELED)) {
    }
    wr_sync_unref(&condition->lock->sync);
    wr_sync_free(&condition->sync);
}

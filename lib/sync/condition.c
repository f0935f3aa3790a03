/*
 * Conditions: tasks wait for a change of data that a lock protects.
 *
 *     in the condition's queue --notified, cancelled, freed--> in the lock's
 *     queue --lock released--> running, with the lock
 *
 * A waiter suspends once: it runs again when it owns the lock. So a
 * cancellation does not end the wait, but changes the result and, if the waiter
 * was already notified, notifies the next waiter instead. Only while the loop
 * is being freed does the wait end without the lock: a deadlock, or a task that
 * ended as the owner of the lock, would otherwise prevent the loop's end.
 */
#include "sync.h"

struct weir_condition {
    struct wr_sync sync;
    weir_lock *lock;
    struct wr_list waiters; /* struct condition_wait */
};

struct condition_wait {
    /* in the condition's or, if is_in_line, the lock's queue */
    struct wr_waiter waiter;
    weir_condition *condition;
    int result;      /* valid while is_in_line */
    bool is_in_line; /* moved to the lock's queue */
};

static void condition_check_invariants(const weir_condition *condition)
{
    wr_sync_check_invariants(&condition->sync);
    wr_assert(condition->lock->sync.loop == condition->sync.loop);
    wr_assert(condition->lock->sync.refs > 0);
}

static struct condition_wait *condition_wait_of(struct wr_waiter *waiter)
{
    return wr_container_of(waiter, struct condition_wait, waiter);
}

static void condition_get_in_line(struct condition_wait *wait, int result)
{
    wr_assert(!wait->is_in_line);
    wr_assert(wait->waiter.task->state == WR_TASK_WAITING);
    wr_assert(wr_list_is_linked(&wait->waiter.link));
    wait->is_in_line = true;
    wait->result = result;
    wr_lock_queue(wait->condition->lock, &wait->waiter);
}

static bool condition_move_first(weir_condition *condition, int result)
{
    if (wr_list_is_empty(&condition->waiters)) {
        return false;
    }
    condition_get_in_line(condition_wait_of(wr_container_of(
                              condition->waiters.next, struct wr_waiter, link)),
                          result);
    return true;
}

static void condition_give_up(struct wr_waiter *waiter)
{
    wr_assert(condition_wait_of(waiter)->is_in_line);
    wr_waiter_wake(waiter, -ECANCELED);
}

static void condition_interrupt(struct wr_waiter *waiter)
{
    struct condition_wait *wait = condition_wait_of(waiter);
    weir_condition *condition = wait->condition;

    if (!wait->is_in_line) {
        condition_get_in_line(wait, -ECANCELED);
    } else if (wait->result == 0) {
        wr_assert(wr_list_is_linked(&waiter->link));
        wait->result = -ECANCELED;
        condition_move_first(condition, 0);
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

/* Releases the lock, waits, and acquires the lock again. The condition may be
 * freed during the wait. */
WEIR_MUST_USE static int condition_wait_and_relock(weir_condition *condition)
{
    static const struct wr_wait_kind kind = {.name = "condition",
                                             .interrupt = condition_interrupt,
                                             .give_up = condition_give_up};
    weir_loop *loop = condition->sync.loop;
    weir_lock *lock = condition->lock;
    struct condition_wait wait = {.waiter = {.kind = &kind},
                                  .condition = condition};

    wr_require(wr_lock_is_ours(lock), -EPERM);
    wr_sync_ref(&lock->sync);
    wr_lock_pass(lock);
    int err = wr_task_wait(loop, &wait.waiter, &condition->waiters);
    wr_assert(wait.is_in_line);
    if (err == 0 && lock->sync.is_freed) {
        err = -ECANCELED; /* freed between the wake and the run of this task */
    }
    wr_assert(err < 0 || wr_lock_is_ours(lock));
    wr_assert(err < 0 || wait.result == 0 || !wait.waiter.was_interrupted);
    wr_sync_unref(&lock->sync);
    return err < 0 ? err : wait.result;
}

/* The caller holds a reference to the condition's memory. Once the condition is
 * freed, its lock may be freed too. */
WEIR_MUST_USE static int condition_wait_for(weir_condition *condition,
                                            weir_predicate_fn *predicate,
                                            void *arg)
{
    wr_require(predicate, -EINVAL);
    wr_require(wr_lock_is_ours(condition->lock), -EPERM);
    while (!condition->sync.is_freed) {
        /* The predicate runs on the task's stack and must not suspend. */
        weir_loop *loop = condition->sync.loop;

        wr_assert(wr_lock_is_ours(condition->lock));
        weir_task *task = wr_loop_begin_callback(loop);
        const bool holds = predicate(arg);
        wr_loop_end_callback(loop, task);
        if (holds) {
            return 0;
        }
        const int err = condition_wait_and_relock(condition);
        if (err < 0) {
            return err;
        }
    }
    return -ECANCELED;
}

int weir_condition_wait(weir_condition *condition)
{
    int err = wr_sync_enter(&condition->sync);
    if (err < 0) {
        return err;
    }
    condition_check_invariants(condition);
    err = condition_wait_and_relock(condition);
    wr_sync_unref(&condition->sync);
    return err;
}

int weir_condition_wait_for(weir_condition *condition,
                            weir_predicate_fn *predicate, void *arg)
{
    int err = wr_sync_enter(&condition->sync);
    if (err < 0) {
        return err;
    }
    condition_check_invariants(condition);
    err = condition_wait_for(condition, predicate, arg);
    wr_sync_unref(&condition->sync);
    return err;
}

ssize_t weir_condition_notify(weir_condition *condition, size_t count)
{
    size_t moved = 0;

    int err = wr_loop_check(condition->sync.loop);
    wr_require(err >= 0, err);
    condition_check_invariants(condition);
    wr_require(weir_lock_is_locked(condition->lock), -EPERM);
    while (moved < count && condition_move_first(condition, 0)) {
        moved++;
    }
    return (ssize_t)moved;
}

void weir_condition_free(weir_condition *condition)
{
    if (!condition || !wr_loop_admits(condition->sync.loop)) {
        return;
    }
    condition_check_invariants(condition);
    while (condition_move_first(condition, -ECANCELED)) {
    }
    wr_sync_unref(&condition->lock->sync);
    wr_sync_free(&condition->sync);
}

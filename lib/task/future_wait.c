/*
 * Waiting for a future: weir_future_await() and weir_future_shield().
 *
 * A wait is an observer and a waiter in one struct, on the task's stack. An
 * interruption of weir_future_await() cancels the future, whose end wakes the
 * task. An interruption of weir_future_shield() wakes the task, and the future
 * continues.
 */
#include "task.h"

#include <limits.h>

#define CIRCLE_MAX 64u

struct future_wait {
    struct wr_observer observer;
    struct wr_waiter waiter;
    weir_future *future; /* may be freed once the future is done */
    int result;          /* valid if is_done */
    bool is_done;
};

static void future_wait_keep_result(struct future_wait *wait,
                                    const weir_future *future)
{
    wr_assert(!wait->is_done);
    wr_assert(future->is_done);
    wait->result = future->result;
    wait->is_done = true;
}

/* Wakes the task with -ECANCELED if the future was cancelled.
 * future_wait_suspend() returns this only if the task was interrupted, too. */
static void future_wait_wake(struct wr_observer *observer, weir_future *future)
{
    struct future_wait *wait =
        wr_container_of(observer, struct future_wait, observer);

    wr_assert(future == wait->future);
    future_wait_keep_result(wait, future);
    wr_waiter_wake(&wait->waiter,
                   future->result == -ECANCELED ? -ECANCELED : 0);
}

static void future_wait_pass_interrupt(struct wr_waiter *waiter)
{
    struct future_wait *wait =
        wr_container_of(waiter, struct future_wait, waiter);

    wr_debug_assert(!wait->future->is_done);
    /* Returns false if a gather is about to end. */
    wr_ignore(weir_future_cancel(wait->future));
}

static void future_wait_give_up(struct wr_waiter *waiter)
{
    struct future_wait *wait =
        wr_container_of(waiter, struct future_wait, waiter);

    wr_assert(!wait->is_done);
    wr_list_remove(&wait->observer.link);
    wr_waiter_wake(waiter, -ECANCELED);
}

static const struct wr_wait_kind future_wait_await_kind = {
    .name = "future",
    .interrupt = future_wait_pass_interrupt,
    .give_up = future_wait_give_up};

/* Returns true if awaiting @future in @task is a deadlock: @future is the end
 * of @task, or of a task that waits for @task, directly or through other tasks.
 * A cycle of more than CIRCLE_MAX tasks, or through a gather, is not
 * detected. */
static bool future_wait_closes_circle(const weir_future *future,
                                      const weir_task *task)
{
    for (uint32_t i = 0; i < CIRCLE_MAX; i++) {
        if (future == &task->future) {
            return true;
        }
        if (future->ops != task->future.ops) {
            return false;
        }
        const weir_task *next = wr_container_of(future, weir_task, future);
        if (next->state != WR_TASK_WAITING ||
            next->waiter->kind != &future_wait_await_kind) {
            return false;
        }
        future =
            wr_container_of(next->waiter, struct future_wait, waiter)->future;
    }
    return false;
}

static int future_wait_suspend(struct future_wait *wait)
{
    weir_future *future = wait->future;

    if (future->is_done) {
        future_wait_keep_result(wait, future);
        return 0;
    }
    wr_future_observe(future, &wait->observer, future_wait_wake);
    int err = wr_task_wait(future->loop, &wait->waiter, NULL);
    wr_debug_assert(wait->is_done || err == -ECANCELED);
    wr_debug_assert(!wr_list_is_linked(&wait->observer.link));
    return wait->waiter.was_interrupted ? err : 0;
}

bool wr_futures_are_usable(const weir_loop *loop, weir_future *const *futures,
                           size_t count)
{
    if (count > INT_MAX || (count > 0 && !futures)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!futures[i] || futures[i]->loop != loop) {
            return false;
        }
        wr_future_debug_check(futures[i]);
    }
    return true;
}

int weir_future_await(weir_future *future, int *ret)
{
    weir_loop *loop = future->loop;
    struct future_wait wait = {.waiter.kind = &future_wait_await_kind,
                               .future = future};
    int err = wr_task_begin(loop);
    if (err < 0) {
        return err;
    }
    /* This call reports an earlier interruption, even if the future is done. */
    const bool tells = wr_task_is_interrupted(loop->current);
    if (!future->is_done && future_wait_closes_circle(future, loop->current)) {
        return tells ? wr_task_tell(loop) : -EDEADLK;
    }
    err = future_wait_suspend(&wait);
    if (ret && wait.is_done) {
        *ret = wait.result;
    }
    return tells ? wr_task_tell(loop) : err;
}

int weir_future_shield(weir_future *future, int *ret)
{
    static const struct wr_wait_kind kind = {.name = "future",
                                             .interrupt = future_wait_give_up};
    struct future_wait wait = {.waiter.kind = &kind, .future = future};
    int err = wr_task_enter(future->loop);
    if (err < 0) {
        return err;
    }
    if (!future->is_done &&
        future_wait_closes_circle(future, future->loop->current)) {
        return -EDEADLK;
    }
    err = future_wait_suspend(&wait);
    if (err == 0 && ret) {
        *ret = wait.result;
    }
    return err;
}

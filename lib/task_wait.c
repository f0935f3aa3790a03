/*
 * How tasks wait and how they are interrupted.
 *
 * This file alone writes a task's state, its budget and its interruptions. An
 * interruption (a cancellation, a time-out that is over, a failure in a group,
 * the loop's end) puts its cause into the task's list. The list is emptied when
 * a suspending call returns -ECANCELED for it, and nowhere else: so whatever a
 * call came to instead, the next one tells. Several causes are told as one.
 *
 * While the loop is being freed one cause stays in the list for good, and every
 * suspending call fails. A task that goes on calling all the same is parked
 * after some thousand calls: it is never entered again, and counts as ended.
 */
#include "task.h"

/* ---- interruptions ---- */

static void interrupt_wait(struct wr_waiter *waiter)
{
    waiter->was_interrupted = true;
    if (waiter->interrupt) {
        waiter->interrupt(waiter);
    } else {
        wr_waiter_wake(waiter, -ECANCELED);
    }
}

void wr_task_interrupt(weir_task *task, struct wr_list *cause)
{
    if (wr_task_has_ended(task)) {
        return;
    }
    if (!wr_list_is_linked(cause)) {
        wr_list_push_back(&task->causes, cause);
    }
    if (task->state == WR_TASK_WAITING) {
        interrupt_wait(task->waiter);
    }
}

int wr_task_tell(weir_loop *loop)
{
    weir_task *task = loop->current;
    const bool is_final = wr_list_is_linked(&task->shutdown);

    while (wr_list_pop_front(&task->causes)) {
    }
    if (is_final) {
        wr_list_push_back(&task->causes, &task->shutdown);
    }
    return -ECANCELED;
}

void wr_task_request(weir_task *task, struct wr_list *cause)
{
    task->requests++;
    if (cause == &task->cancel) {
        task->told_requests = 0;
    }
    wr_task_interrupt(task, cause);
}

void wr_task_request_again(weir_task *task, uint32_t told_requests)
{
    if (task->requests <= told_requests) {
        return;
    }
    if (!wr_list_is_linked(&task->cancel) ||
        told_requests < task->told_requests) {
        task->told_requests = told_requests;
    }
    wr_task_interrupt(task, &task->cancel);
}

void wr_task_withdraw(weir_task *task)
{
    if (task->requests > 0) {
        task->requests--;
    }
    if (task->requests <= task->told_requests) {
        wr_list_remove(&task->cancel);
    }
}

void wr_task_expire(weir_task *task, struct wr_list *cause)
{
    task->expired++;
    wr_task_interrupt(task, cause);
}

void wr_task_forget_expiry(weir_task *task)
{
    wr_assert(task->expired > 0);
    task->expired--;
}

/* ---- waiting ---- */

static void begin_wait(weir_task *task, struct wr_waiter *waiter,
                       struct wr_list *queue)
{
    wr_list_init(&waiter->link);
    if (queue) {
        wr_list_push_back(queue, &waiter->link);
    }
    waiter->task = task;
    waiter->was_interrupted = false;
    task->waiter = waiter;
    wr_task_set_state(task, WR_TASK_RUNNING, WR_TASK_WAITING);
}

/* That it has this waiter says that it is waiting. */
static void end_wait(weir_task *task, const struct wr_waiter *waiter)
{
    wr_assert(task->waiter == waiter);
    task->waiter = NULL;
    task->state = WR_TASK_READY;
}

/* Leaves the fiber; returns when the task runs again. */
static int suspend(weir_task *task, const struct wr_waiter *waiter)
{
    wr_fiber_leave(&task->fiber);
    const int result = task->wake_result;
    if (WR_UNLIKELY(result == -ECANCELED) && waiter->was_interrupted) {
        return wr_task_tell(task->future.loop);
    }
    return result;
}

/* The interruption came before the wait. */
static __attribute__((noinline)) int wait_interrupted(weir_task *task,
                                                      struct wr_waiter *waiter,
                                                      struct wr_list *queue)
{
    if (!waiter->interrupt) {
        return wr_task_tell(task->future.loop);
    }
    begin_wait(task, waiter, queue);
    interrupt_wait(waiter);
    return suspend(task, waiter);
}

int wr_task_wait(weir_loop *loop, struct wr_waiter *waiter,
                 struct wr_list *queue)
{
    weir_task *task = loop->current;

    if (WR_UNLIKELY(wr_task_is_interrupted(task))) {
        return wait_interrupted(task, waiter, queue);
    }
    begin_wait(task, waiter, queue);
    return suspend(task, waiter);
}

void wr_waiter_wake(struct wr_waiter *waiter, int result)
{
    weir_task *task = waiter->task;

    wr_list_remove(&waiter->link);
    task->wake_result = result;
    end_wait(task, waiter);
    wr_ready_push(&task->future.loop->ready, &task->ready);
}

bool wr_waiters_wake_first(struct wr_list *waiters, int result)
{
    if (wr_list_is_empty(waiters)) {
        return false;
    }
    wr_waiter_wake(wr_container_of(waiters->next, struct wr_waiter, link),
                   result);
    return true;
}

void wr_waiters_wake_all(struct wr_list *waiters, int result)
{
    while (wr_waiters_wake_first(waiters, result)) {
    }
}

void wr_task_yield(weir_loop *loop)
{
    weir_task *task = loop->current;

    wr_task_set_state(task, WR_TASK_RUNNING, WR_TASK_READY);
    wr_ready_push(&task->future.loop->ready, &task->ready);
    wr_fiber_leave(&task->fiber);
}

/* ---- the beginning of a suspending call ---- */

/* The call fails as all do while the loop is being freed. That of a task which
 * takes no notice does not return. */
static void count_refusal(weir_task *task)
{
    task->refusals++;
    if (task->refusals > WR_TASK_REFUSALS_MAX) {
        wr_task_set_state(task, WR_TASK_RUNNING, WR_TASK_PARKED);
        wr_fiber_leave(&task->fiber);
        wr_assert(false); /* nobody enters it again */
    }
}

int wr_task_begin_slowly(weir_loop *loop)
{
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    weir_task *task = loop->current;
    wr_require(task, WEIR_ENOTTASK);
    if (wr_list_is_linked(&task->shutdown)) {
        count_refusal(task);
    }
    if (--task->budget < 0) {
        wr_task_yield(loop);
    }
    return 0;
}

int wr_task_enter_slowly(weir_loop *loop)
{
    int err = wr_task_begin_slowly(loop);
    if (err < 0) {
        return err;
    }
    return wr_task_is_interrupted(loop->current) ? wr_task_tell(loop) : 0;
}

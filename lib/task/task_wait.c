/*
 * Waiting and interrupting tasks.
 *
 * An interruption (a cancellation, a time-out, a failure in a group, the loop's
 * end) puts its cause into the task's list. One -ECANCELED reports all causes
 * in the list.
 *
 * While the loop is being freed, the list has a cause that is never removed:
 * every suspending call fails. A task that makes more than WR_TASK_REFUSALS_MAX
 * such calls is parked: it is never entered again, and counts as ended.
 */
#include "task.h"

#include "uring/sys.h"

static void task_wait_check_lists(const weir_task *task)
{
    const weir_loop *loop = task->future.loop;

    wr_debug_assert(!task->waiter || task->waiter->task == task);
    wr_debug_assert(wr_ready_is_pending(&task->ready) ==
                    (task->state == WR_TASK_READY));
    wr_debug_assert(wr_list_is_linked(&task->member.link) ==
                    (task->state != WR_TASK_DONE));
    wr_debug_assert(!wr_list_is_linked(&task->cancel) ||
                    task->requests > task->told_requests);
    wr_debug_assert(!wr_list_is_linked(&task->shutdown) ||
                    wr_loop_is_closing(loop));
    /* During a callback on the task's stack, loop->current is NULL. */
    wr_debug_assert(task->state != WR_TASK_RUNNING || loop->current == task ||
                    (!loop->current && loop->callback_count > 0));
    (void)loop;
}

void wr_task_check_invariants(const weir_task *task)
{
    wr_assert(task->state && task->state <= WR_TASK_DONE);
    wr_assert((task->waiter != NULL) == (task->state == WR_TASK_WAITING));
    wr_assert((task->fiber.stack == NULL) == (task->state == WR_TASK_DONE));
    wr_assert(!task->future.is_done || wr_task_has_ended(task));
    wr_assert(task->number > 0);
    if (task->state == WR_TASK_RUNNING) {
        const weir_loop *loop = task->future.loop;
        const struct wr_task_calls *calls = &loop->calls;

        wr_assert(calls->given <= WR_TASK_CALLS_MAX);
        wr_assert(calls->left + loop->kept_calls <= (int32_t)calls->given);
        wr_assert(calls->left <= 0 || !wr_task_is_interrupted(task));
    }
    wr_assert(task->expired == 0 || task->scope);
    task_wait_check_lists(task);
}

static void task_wait_interrupt(struct wr_waiter *waiter)
{
    wr_assert(waiter->task->waiter == waiter);
    waiter->was_interrupted = true;
    if (waiter->kind->interrupt) {
        waiter->kind->interrupt(waiter);
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
        task_wait_interrupt(task->waiter);
    } else if (task->state == WR_TASK_RUNNING) {
        wr_loop_keep_calls(task->future.loop);
    }
}

int wr_task_tell(weir_loop *loop)
{
    weir_task *task = loop->current;
    const bool is_final = wr_list_is_linked(&task->shutdown);

    wr_assert(task->state == WR_TASK_RUNNING);
    while (wr_list_pop_front(&task->causes)) {
    }
    if (is_final) {
        wr_list_push_back(&task->causes, &task->shutdown);
    }
    return -ECANCELED;
}

void wr_task_request(weir_task *task, struct wr_list *cause)
{
    wr_assert(!wr_task_has_ended(task));
    wr_assert(task->requests < UINT32_MAX);
    task->requests++;
    if (cause == &task->cancel) {
        task->told_requests = 0;
    }
    wr_task_interrupt(task, cause);
}

void wr_task_request_again(weir_task *task, uint32_t told_requests)
{
    wr_assert(task->state == WR_TASK_RUNNING);
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
    wr_assert(task->scope);
    wr_assert(!wr_list_is_linked(cause)); /* a time-out expires once */
    task->expired++;
    wr_task_interrupt(task, cause);
}

void wr_task_forget_expiry(weir_task *task)
{
    wr_assert(task->expired > 0);
    task->expired--;
}

static void task_wait_begin(weir_task *task, struct wr_waiter *waiter,
                            struct wr_list *queue)
{
    wr_task_debug_check(task);
    wr_debug_assert(waiter->kind->name);
    /* Like wr_list_push_back(), but without the initialisation of @link, which
     * would cost two stores in every wait. */
    struct wr_list *link = &waiter->link;
    if (!queue) {
        wr_list_init(link);
    } else {
        wr_debug_assert(queue->prev->next == queue);
        link->prev = queue->prev;
        link->next = queue;
        queue->prev->next = link;
        queue->prev = link;
    }
    waiter->task = task;
    waiter->was_interrupted = false;
    task->waiter = waiter;
    wr_task_set_state(task, WR_TASK_WAITING);
}

static int task_wait_suspend(weir_task *task, const struct wr_waiter *waiter)
{
    wr_fiber_leave(&task->fiber);
    wr_debug_assert(!wr_list_is_linked(&waiter->link));
    wr_task_debug_check(task);
    const int result = task->wake_result;
    if (WR_UNLIKELY(result == -ECANCELED) && waiter->was_interrupted) {
        return wr_task_tell(task->future.loop);
    }
    return result;
}

static __attribute__((noinline)) int
task_wait_interrupted(weir_task *task, struct wr_waiter *waiter,
                      struct wr_list *queue)
{
    if (!waiter->kind->interrupt) {
        return wr_task_tell(task->future.loop);
    }
    task_wait_begin(task, waiter, queue);
    task_wait_interrupt(waiter);
    return task_wait_suspend(task, waiter);
}

int wr_task_wait(weir_loop *loop, struct wr_waiter *waiter,
                 struct wr_list *queue)
{
    weir_task *task = loop->current;

    if (WR_UNLIKELY(wr_task_is_interrupted(task))) {
        return task_wait_interrupted(task, waiter, queue);
    }
    task_wait_begin(task, waiter, queue);
    return task_wait_suspend(task, waiter);
}

static __attribute__((noinline)) void task_wait_serve(struct wr_waiter *served,
                                                      int result)
{
    struct wr_waiter *waiter = served->task->waiter;

    wr_assert(waiter != NULL);
    wr_assert(waiter != served);
    wr_assert(waiter->kind->serve != NULL);
    waiter->kind->serve(waiter, served, result);
    wr_assert(!wr_list_is_linked(&served->link));
}

void wr_waiter_wake(struct wr_waiter *waiter, int result)
{
    weir_task *task = waiter->task;

    if (WR_UNLIKELY(task->waiter != waiter)) {
        task_wait_serve(waiter, result);
        return;
    }
    wr_list_remove(&waiter->link);
    task->wake_result = result;
    task->waiter = NULL;
    wr_task_set_woken_state(task);
    wr_ready_push(&task->future.loop->ready, &task->ready);
    wr_task_debug_check(task);
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

    wr_task_debug_check(task);
    wr_task_set_state(task, WR_TASK_READY);
    wr_ready_push(&task->future.loop->ready, &task->ready);
    wr_fiber_leave(&task->fiber);
}

/* Returns false if the task must yield. */
static bool task_wait_extend(weir_task *task)
{
    const uint64_t now_ns = wr_sys_now();
    weir_loop *loop = task->future.loop;
    struct wr_task_calls *calls = &loop->calls;

    wr_assert(calls->left < 0);
    wr_assert(calls->given <= WR_TASK_CALLS_MAX);
    if (calls->given == loop->given_calls.given) {
        task->extended_ns = now_ns;
    }
    if (calls->given == WR_TASK_CALLS_MAX ||
        now_ns - task->extended_ns >= WR_TASK_SLICE_NS) {
        return false;
    }
    const uint32_t more =
        calls->given < WR_TASK_CALLS ? calls->given : WR_TASK_CALLS;
    calls->left = (int32_t)more - 1;
    calls->given += more;
    return true;
}

int wr_task_begin_slowly(weir_loop *loop)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    loop->calls.left = 0; /* undoes wr_task_try_enter()'s decrement */
    weir_task *task = loop->current;
    wr_require(task, WEIR_ENOTTASK);
    if (wr_list_is_linked(&task->shutdown)) {
        wr_assert(task->refusals <= WR_TASK_REFUSALS_MAX);
        task->refusals++;
        if (task->refusals > WR_TASK_REFUSALS_MAX) {
            wr_task_set_state(task, WR_TASK_PARKED);
            wr_fiber_leave(&task->fiber);
            wr_assert(false); /* a parked task is not entered */
        }
    }
    /* Restores the task's calls (wr_loop_keep_calls()), minus this call. */
    wr_assert(loop->calls.left == 0);
    loop->calls.left = loop->kept_calls - 1;
    loop->kept_calls = 0;
    if (loop->calls.left < 0 && !task_wait_extend(task)) {
        wr_task_yield(loop);
    }
    if (wr_task_is_interrupted(task)) {
        wr_loop_keep_calls(loop);
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

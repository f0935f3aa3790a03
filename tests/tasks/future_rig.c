/*
 * Futures, and tasks that wait for one; see future_rig.h.
 *
 * A waiter records what its call has returned, and what the next suspending
 * call has.
 */
#include "tests/tasks/future_rig.h"

weir_future *pending(void)
{
    weir_future *future = NULL;
    cr_assert_eq(weir_future_new(loop, NULL, NULL, &future), 0);
    return future;
}

weir_future *done_with(int result)
{
    weir_future *future = pending();
    cr_assert_eq(weir_future_set_result(future, result), 0);
    return future;
}

int result_of(const weir_future *future)
{
    int result = 12345;
    cr_assert_eq(weir_future_get_result(future, &result), 0);
    return result;
}

void note_done(void *arg, weir_future *future, int result)
{
    cr_assert(weir_future_is_done(future));
    cr_assert_eq(result_of(future), result);
    cr_assert_null(weir_task_get_current(loop));
    note(arg);
    if (result == -ECANCELED) {
        note("!");
    }
}

void *as_arg(const char *name)
{
    return (void *)(uintptr_t)name;
}

void add(weir_future *future, const char *name)
{
    expect_ok(weir_future_add_done_callback(future, note_done, as_arg(name)));
}

static int wait_once(weir_loop *on, void *arg)
{
    struct waiter *waiter = arg;

    waiter->result = 12345;
    waiter->err =
        waiter->timeout_ns
            ? weir_wait_for(waiter->future, waiter->timeout_ns, &waiter->result)
        : waiter->shields ? weir_future_shield(waiter->future, &waiter->result)
                          : weir_future_await(waiter->future, &waiter->result);
    waiter->returns++;
    note(waiter->name ? waiter->name : "");
    waiter->next = weir_yield(on);
    return waiter->err;
}

void waiter_start(struct waiter *waiter, weir_future *future)
{
    waiter->future = future;
    waiter->task = rig_spawn(wait_once, waiter);
}

void waiter_finish(struct waiter *waiter)
{
    cr_assert_eq(rig_join(waiter->task), waiter->err);
    cr_assert_eq(waiter->returns, 1);
}

static void slow_cancel(void *arg, weir_future *future)
{
    struct slow *slow = arg;

    cr_assert_eq(slow->future, future);
    cr_assert_null(weir_task_get_current(loop));
    slow->asked++;
    if (slow->gives != 0) {
        cr_assert_eq(weir_future_set_result(future, slow->gives), 0);
    }
}

weir_future *slow_future(struct slow *slow)
{
    cr_assert_eq(weir_future_new(loop, slow_cancel, slow, &slow->future), 0);
    return slow->future;
}

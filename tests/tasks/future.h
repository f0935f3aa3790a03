/*
 * What the tests of futures share: futures, tasks that wait for one in one of
 * the ways, and a string of what happened, in order. A test's body is the main
 * task; it lets the others come to their waits with settle().
 */
#ifndef WEIR_TESTS_TASKS_FUTURE_H
#define WEIR_TESTS_TASKS_FUTURE_H

#include "rig.h"

/* What happened, in order. */
static char events[256];

static inline void note(const char *event)
{
    strncat(events, event, sizeof(events) - strlen(events) - 1);
}

static inline weir_future *pending(void)
{
    weir_future *future = NULL;
    cr_assert_eq(weir_future_new(loop, NULL, NULL, &future), 0);
    return future;
}

static inline weir_future *done_with(int result)
{
    weir_future *future = pending();
    cr_assert_eq(weir_future_set_result(future, result), 0);
    return future;
}

static inline int result_of(const weir_future *future)
{
    int result = 12345;
    cr_assert_eq(weir_future_result(future, &result), 0);
    return result;
}

/* The other tasks come to where they wait. */
static inline void settle(void)
{
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(weir_yield(loop), 0);
    }
}

/* Notes its name, and what the future came to when that is not 0. */
static inline void note_done(void *arg, weir_future *future, int result)
{
    cr_assert(weir_future_is_done(future));
    cr_assert_eq(result_of(future), result);
    cr_assert_null(weir_task_current(loop));
    note(arg);
    if (result == -ECANCELED) {
        note("!");
    }
}

static inline void *as_arg(const char *name)
{
    return (void *)(uintptr_t)name;
}

static inline void add(weir_future *future, const char *name)
{
    cr_assert_eq(weir_future_add_done_callback(future, note_done, as_arg(name)),
                 0);
}

/* A task that waits for a future in one of the ways. */
struct waiter {
    weir_future *future;
    const char *name;
    uint64_t timeout_ns; /* of weir_wait_for(); 0: weir_future_await() */
    bool shields;
    weir_task *task;
    int err;
    int result;
    int next; /* of the suspending call after it */
    int returns;
};

static inline int wait_once(weir_loop *on, void *arg)
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

static inline void start(struct waiter *waiter, weir_future *future)
{
    waiter->future = future;
    waiter->task = rig_spawn(wait_once, waiter);
}

static inline void finish(struct waiter *waiter)
{
    cr_assert_eq(rig_join(waiter->task), waiter->err);
    cr_assert_eq(waiter->returns, 1);
}

/* A stand-in for something that takes its time to be cancelled. */
struct slow {
    weir_future *future;
    int asked;
    int gives; /* the result at once when it is not 0 */
};

static inline void slow_cancel(void *arg, weir_future *future)
{
    struct slow *slow = arg;

    cr_assert_eq(slow->future, future);
    cr_assert_null(weir_task_current(loop));
    slow->asked++;
    if (slow->gives != 0) {
        cr_assert_eq(weir_future_set_result(future, slow->gives), 0);
    }
}

static inline weir_future *slow_future(struct slow *slow)
{
    cr_assert_eq(weir_future_new(loop, slow_cancel, slow, &slow->future), 0);
    return slow->future;
}

#endif

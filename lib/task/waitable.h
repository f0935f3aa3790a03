/*
 * One call that a task may wait in, alone or among others.
 *
 * An object says once how such a call is made: at once if that is possible,
 * else by a place in its line of waiters. lib/sync/ makes its calls by that,
 * and so does weir_wait_first(), whose task stands in several lines: in each by
 * a waiter of its own, and the task waits by one more, which is in no line.
 * When an object serves one of the waiters, wr_waiter_wake() tells the task's
 * own (task_wait.c), which takes all others out of their lines: at that moment,
 * not when the task runs. So an object serves a task that waits, or does not
 * see it.
 */
#ifndef WEIR_LIB_TASK_WAITABLE_H
#define WEIR_LIB_TASK_WAITABLE_H

#include "task.h"
#include "weir/waitable.h"

struct wr_waitable;

struct wr_waitable_ops {
    struct wr_wait_kind kind; /* of a task that waits in this call alone */
    /* Makes the call if it need not wait: writes ->result; false: it must. */
    bool (*attempt)(struct wr_waitable *what);
    /* Stands in the line; unlinking ->waiter and ->observer leaves it. */
    void (*stand)(struct wr_waitable *what);
    /* The task runs again after a wait that has ended with @result: the result
     * of the call. NULL: @result is. */
    int (*woken)(struct wr_waitable *what, int result);
    /* Keep the memory of the object, which may be freed meanwhile, and give it
     * back. NULL: the program keeps it. */
    void (*ref)(void *object);
    void (*unref)(void *object);
};

/* The inside of struct weir_waitable. */
struct wr_waitable {
    int result;                        /* the public field */
    const struct wr_waitable_ops *ops; /* NULL: this is no call */
    weir_loop *loop;
    void *object;
    void *item; /* to put, or received */
    void **ret; /* where a received item goes */
    struct wr_waiter waiter;
    struct wr_observer observer; /* of a future */
};

/* @what as the program has it. */
static inline struct weir_waitable
wr_waitable_give(const struct wr_waitable *what)
{
    struct weir_waitable given = {.result = 0};

    wr_assert(what->result == 0);
    wr_assert(!what->ops || what->object);
    __builtin_memcpy(&given, what, sizeof(*what));
    return given;
}

#endif

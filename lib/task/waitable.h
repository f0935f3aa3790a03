/*
 * A call in which a task may wait, alone or together with other calls.
 *
 * An object makes such a call immediately if possible, else by waiting in its
 * queue. The task of weir_wait_any() has a waiter in each queue, and waits with
 * one more waiter, which is in no queue. When an object wakes one of them,
 * wr_waiter_wake() removes all the others from their queues immediately, not
 * when the task runs. So an object never serves a task that no longer waits.
 */
#ifndef WEIR_LIB_TASK_WAITABLE_H
#define WEIR_LIB_TASK_WAITABLE_H

#include "task.h"
#include "weir/waitable.h"

struct wr_waitable;

struct wr_waitable_ops {
    /* How a task waits if this is its only call. */
    struct wr_wait_kind kind;
    /* Makes the call and sets `result`. Returns false if it must wait. */
    bool (*attempt)(struct wr_waitable *what);
    /* Links `waiter` or `observer` into the object's queue. The caller unlinks
     * both to end the wait. */
    void (*stand)(struct wr_waitable *what);
    /* Called when the task runs again after a wait that ended with @result.
     * Returns the result of the call. NULL means that @result is the result. */
    int (*woken)(struct wr_waitable *what, int result);
    /* Keep and release the memory of the object, which may be freed during the
     * wait. NULL means that the program keeps it. */
    void (*ref)(void *object);
    void (*unref)(void *object);
};

struct wr_waitable {
    int result;                        /* the public field */
    const struct wr_waitable_ops *ops; /* NULL in a zeroed struct */
    weir_loop *loop;
    void *object;
    void *item; /* the item to put, or the received item */
    void **ret; /* where to store a received item */
    struct wr_waiter waiter;
    struct wr_observer observer; /* only for futures */
};

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

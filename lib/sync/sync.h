/*
 * Common code of the objects that tasks wait on.
 *
 * The program may free an object while calls on it are suspended. So each call
 * holds a reference to the memory; calls on a freed object return -ECANCELED.
 * An object pins its loop's memory: the program may free the loop first.
 */
#ifndef WEIR_LIB_SYNC_SYNC_H
#define WEIR_LIB_SYNC_SYNC_H

#include "lib/task/waitable.h"
#include "weir/sync.h"

struct wr_sync {
    weir_loop *loop;
    size_t size; /* bytes of the object */
    /* held by the program, calls and, for a lock, conditions */
    uint32_t refs;
    bool is_freed;
};

void wr_sync_check_invariants(const struct wr_sync *sync);

/* Allocates an object of @size bytes, with zeros after struct wr_sync. Returns
 * 0, -ENOMEM, or an error of wr_loop_check(). */
WEIR_MUST_USE int wr_sync_new(weir_loop *loop, size_t size,
                              struct wr_sync **ret);

/* Drops the program's reference. All waiters must have been woken. */
void wr_sync_free(struct wr_sync *sync);

void wr_sync_ref(struct wr_sync *sync);
void wr_sync_unref(struct wr_sync *sync);

/* Like wr_task_enter(), but takes a reference. Returns -ECANCELED if the object
 * was freed while other tasks ran. After 0, wr_sync_unref() must follow. */
WEIR_MUST_USE int wr_sync_enter(struct wr_sync *sync);

/* A kind of call, for wr_sync_wait() and weir_wait_any(). The waitable's object
 * points to the struct wr_sync. */
struct wr_sync_call {
    /* WR_SYNC_OPS, a name, perhaps ->woken */
    struct wr_waitable_ops ops;
    /* Like `attempt` of struct wr_waitable_ops, but only for an object that was
     * not freed. */
    bool (*attempt)(struct wr_waitable *what);
    size_t line; /* offset of the list of waiters in the object */
};

bool wr_sync_attempt(struct wr_waitable *what);
void wr_sync_stand(struct wr_waitable *what);
void wr_sync_ref_object(void *object);
void wr_sync_unref_object(void *object);

#define WR_SYNC_OPS                                                            \
    .attempt = wr_sync_attempt, .stand = wr_sync_stand,                        \
    .ref = wr_sync_ref_object, .unref = wr_sync_unref_object

/* Makes the argument for weir_wait_any(), which fails if @sync is NULL. */
static inline struct wr_waitable
wr_sync_waitable(const struct wr_sync_call *call, struct wr_sync *sync)
{
    wr_assert(call->line >= sizeof(*sync));
    return (struct wr_waitable){.ops = sync ? &call->ops : NULL,
                                .loop = sync ? sync->loop : NULL,
                                .object = sync};
}

static inline struct wr_list *wr_sync_line(const struct wr_sync_call *call,
                                           struct wr_sync *sync)
{
    wr_debug_assert(call->line < sync->size);
    return (struct wr_list *)(void *)((char *)sync + call->line);
}

/* For a function with a constant @call: inlines the functions of @call. */
#define WR_SYNC_WHOLE __attribute__((flatten))

/* Makes the call, and waits if necessary. @call must be a constant. */
WEIR_MUST_USE static inline int wr_sync_wait(const struct wr_sync_call *call,
                                             struct wr_sync *sync, void *item,
                                             void **ret)
{
    struct wr_waitable what; /* only the fields that this call uses are set */
    int err = wr_sync_enter(sync);
    if (err < 0) {
        return err;
    }
    what.object = sync;
    what.item = item;
    what.ret = ret;
    if (!call->attempt(&what)) {
        what.waiter.kind = &call->ops.kind;
        err = wr_task_wait(sync->loop, &what.waiter, wr_sync_line(call, sync));
        what.result = call->ops.woken ? call->ops.woken(&what, err) : err;
    }
    wr_debug_assert(what.object == sync);
    wr_sync_unref(sync);
    return what.result;
}

/* A release makes the first waiter the owner, so no other task can take the
 * lock before the woken task runs. */
struct weir_lock {
    struct wr_sync sync;
    /* Number of the owning task, or 0 if the lock is free. A number is unique
     * in the loop: a new task is not mistaken for an owner that has ended. */
    uint64_t owner;
    struct wr_list waiters; /* struct wr_waiter */
};

void wr_lock_check_invariants(const weir_lock *lock);

bool wr_lock_is_ours(const weir_lock *lock);

/* Makes the first waiter the owner or, without waiters, frees the lock. */
void wr_lock_pass(weir_lock *lock);

/* Moves a waiter to the lock's queue, and wakes it with 0 when it owns the
 * lock. If the lock is free, the waiter owns it immediately and is woken with
 * 0, or with -ECANCELED if it was interrupted. If the lock was freed, the
 * waiter is woken with -ECANCELED. */
void wr_lock_queue(weir_lock *lock, struct wr_waiter *waiter);

#endif

/*
 * The common part of the objects that tasks wait on.
 *
 * The program may free an object while a call is suspended. So each call holds
 * a reference to the memory, and the last reference frees it; calls on a freed
 * object return -ECANCELED. An object pins its loop's memory, so that it may be
 * freed after the loop.
 */
#ifndef WEIR_LIB_SYNC_SYNC_H
#define WEIR_LIB_SYNC_SYNC_H

#include "lib/task/waitable.h"
#include "weir/sync.h"

/* The first field of each object. */
struct wr_sync {
    weir_loop *loop;
    size_t size; /* bytes of the whole object */
    /* References of the program, of calls, of a lock's conditions. */
    uint32_t refs;
    bool is_freed; /* set by wr_sync_free(), never cleared */
};

void wr_sync_check_invariants(const struct wr_sync *sync);

/* Allocates an object of @size bytes, zeroed after struct wr_sync. Returns 0,
 * -ENOMEM, or an error of wr_loop_check(). */
WEIR_MUST_USE int wr_sync_new(weir_loop *loop, size_t size,
                              struct wr_sync **ret);

/* Drops the program's reference. The caller must have woken the waiters. */
void wr_sync_free(struct wr_sync *sync);

void wr_sync_ref(struct wr_sync *sync);
void wr_sync_unref(struct wr_sync *sync);

/* Begins a suspending call like wr_task_enter(), and takes a reference. Returns
 * -ECANCELED if the object was freed while other tasks ran. After 0 the caller
 * must end with wr_sync_unref(). */
WEIR_MUST_USE int wr_sync_enter(struct wr_sync *sync);

/* A call of an object, for wr_sync_wait() and weir_wait_any(). The waitable's
 * ->object is the object, whose first field is its struct wr_sync. */
struct wr_sync_call {
    struct wr_waitable_ops ops; /* WR_SYNC_OPS, a name, perhaps ->woken */
    /* Like ->attempt of struct wr_waitable_ops; the object is not freed. */
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

/* Returns the call for weir_wait_any(). If @sync is NULL, returns a struct that
 * is not a call, which weir_wait_any() refuses. */
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

/* For functions that make a call: inlines the functions of @call. */
#define WR_SYNC_WHOLE __attribute__((flatten))

/* Makes the call, and waits if it must. @call must be a constant. */
WEIR_MUST_USE static inline int wr_sync_wait(const struct wr_sync_call *call,
                                             struct wr_sync *sync, void *item,
                                             void **ret)
{
    struct wr_waitable what; /* only fields that this call needs are set */
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

/*
 * Internals of locks, for conditions.
 *
 * A lock passes from owner to owner: it is never free while a task waits for
 * it, so no other task can take it between a release and the run of the woken
 * task. The lock stores the owner's number, which is unique in the loop, so a
 * new task is not mistaken for a task that ended with the lock.
 */

struct weir_lock {
    struct wr_sync sync;
    uint64_t owner;         /* a task's number; 0 if the lock is free */
    struct wr_list waiters; /* struct wr_waiter */
};

void wr_lock_check_invariants(const weir_lock *lock);

/* True if the running task is the owner. */
bool wr_lock_is_ours(const weir_lock *lock);

/* Makes the first waiter the owner, or the lock free. */
void wr_lock_pass(weir_lock *lock);

/* Moves a waiter from its queue to the lock's queue, and wakes it with 0 when
 * it owns the lock. If the lock is free, wakes it immediately, with -ECANCELED
 * if it was interrupted. If the lock was freed, wakes it with -ECANCELED. */
void wr_lock_queue(weir_lock *lock, struct wr_waiter *waiter);

#endif

/*
 * Internals of futures.
 *
 * A future is embedded in an object that ends (a task, a gather), or is made by
 * the program. An object with a future keeps the loop's memory (wr_loop_pin())
 * until the object is freed, because the program may still use the future after
 * weir_loop_free().
 */
#ifndef WEIR_LIB_TASK_FUTURE_H
#define WEIR_LIB_TASK_FUTURE_H

#include "lib/loop/loop.h"
#include "weir/future.h"

struct wr_future_ops {
    /* Cancels a pending future. Also called when the last reference is dropped.
     * Never called inside another future's cancel. */
    void (*cancel)(weir_future *future);
    /* Returns false if the pending future has nothing left to cancel. NULL
     * means that it can always be cancelled. */
    bool (*can_cancel)(const weir_future *future);
    /* Called when the future is done and the last reference was dropped. */
    void (*free)(weir_future *future);
    bool is_settable; /* by weir_future_set_result() */
};

struct weir_future {
    const struct wr_future_ops *ops;
    weir_loop *loop;
    /* struct wr_observer, in the order in which they are called */
    struct wr_list observers;
    struct wr_list cancel; /* in weir_loop.cancels, or being cancelled */
    uint32_t refs;
    int result;   /* 0 while pending */
    bool is_done; /* set by wr_future_resolve(), never cleared */
};

struct wr_observer;

/* Called inside the call that sets the result, with the observer unlinked. Must
 * not call the program, which may be in that call. The exception is own_task.c:
 * the loop sets a task's result, on the loop's stack. */
typedef void wr_observe_fn(struct wr_observer *observer, weir_future *future);

struct wr_observer {
    struct wr_list link;
    wr_observe_fn *done;
};

void wr_future_check_invariants(const weir_future *future);

static inline void wr_future_debug_check(const weir_future *future)
{
    wr_debug_assert((wr_future_check_invariants(future), true));
    (void)future;
}

static inline void wr_future_init(weir_future *future, weir_loop *loop,
                                  const struct wr_future_ops *ops)
{
    future->ops = ops;
    future->loop = loop;
    wr_list_init(&future->observers);
    wr_list_init(&future->cancel);
    future->refs = 1;
    future->result = 0;
    future->is_done = false;
}

void wr_future_unref(weir_future *future);

static inline void wr_future_ref(weir_future *future)
{
    wr_assert(future->refs > 0);
    future->refs++;
}

void wr_future_resolve(weir_future *future, int result);

/* Returns true if all futures are of this loop and @count fits into an int. */
bool wr_futures_are_usable(const weir_loop *loop, weir_future *const *futures,
                           size_t count);

/* The future must be pending. Unlinking the observer removes it. */
void wr_future_observe(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done);

/* Like wr_future_observe(), but if the future is done, calls @done immediately.
 * The observer is then in no list. */
void wr_future_collect(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done);

#endif

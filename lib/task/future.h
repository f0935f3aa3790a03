/*
 * The inside of futures.
 *
 * A future is embedded in the object whose end it is (a task, a group of
 * futures), or stands alone. It gets a result once. Its observers are then
 * told, in the order in which they were added: tasks that wait become ready,
 * and so do callbacks. No code of the program runs inside the call that gives
 * the result.
 *
 * An object with a future pins the loop until it is freed: futures may outlive
 * their loop.
 */
#ifndef WEIR_LIB_TASK_FUTURE_H
#define WEIR_LIB_TASK_FUTURE_H

#include "lib/loop/loop.h"
#include "weir/future.h"

struct wr_future_ops {
    /* weir_future_cancel() was called while the future is pending. Never called
     * inside another future's cancel. */
    void (*cancel)(weir_future *future);
    /* False of a pending future that has nothing left to cancel; NULL: true. */
    bool (*can_cancel)(const weir_future *future);
    /* The last reference is gone, and the future is done. */
    void (*free)(weir_future *future);
    /* The program gives the result, by weir_future_set_result(). */
    bool is_settable;
};

struct weir_future {
    const struct wr_future_ops *ops;
    weir_loop *loop;
    struct wr_list observers; /* struct wr_observer; see done_callback in .c */
    struct wr_list cancel;    /* in weir_loop.cancels, or being cancelled */
    uint32_t refs;
    int result;   /* 0 while pending */
    bool is_done; /* set by wr_future_resolve(), for good */
};

struct wr_observer;

/* Called inside the call that gives the result, with the observer unlinked:
 * makes something ready and calls no code of the program. */
typedef void wr_observe_fn(struct wr_observer *observer, weir_future *future);

/* The record of one that a pending future tells of its result. */
struct wr_observer {
    struct wr_list link; /* in weir_future.observers */
    wr_observe_fn *done;
};

void wr_future_check_invariants(const weir_future *future);

/* On the way of a task's end: in trees with invariants alone. */
static inline void wr_future_debug_check(const weir_future *future)
{
    wr_debug_assert((wr_future_check_invariants(future), true));
    (void)future;
}

/* One reference, for the caller. */
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

static inline void wr_future_ref(weir_future *future)
{
    wr_assert(future->refs > 0);
    future->refs++;
}

/* Gives the result of a pending future. */
void wr_future_resolve(weir_future *future, int result);

/* True when an array of futures makes sense to a call that takes several: each
 * is one of the loop's, and an index fits into a result. */
bool wr_futures_are_usable(const weir_loop *loop, weir_future *const *futures,
                           size_t count);

/* Adds an observer to a pending future; taken back by unlinking it. */
void wr_future_observe(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done);

#endif

/*
 * The inside of futures.
 *
 * A future is embedded in an object that ends (a task, a gather), or stands
 * alone. Its result is set once. Its observers are called then, in the order in
 * which they were added: they make waiting tasks and callbacks ready. No code
 * of the program runs inside the call that sets the result.
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
    /* False if the pending future has nothing left to cancel; NULL: true. */
    bool (*can_cancel)(const weir_future *future);
    /* The future is done and the last reference was dropped. */
    void (*free)(weir_future *future);
    /* The program sets the result, by weir_future_set_result(). */
    bool is_settable;
};

struct weir_future {
    const struct wr_future_ops *ops;
    weir_loop *loop;
    struct wr_list observers; /* struct wr_observer; see done_callback in .c */
    struct wr_list cancel;    /* in weir_loop.cancels, or being cancelled */
    uint32_t refs;
    int result;   /* 0 while pending */
    bool is_done; /* set by wr_future_resolve(), never cleared */
};

struct wr_observer;

/* Called inside the call that sets the result, with the observer unlinked.
 * Makes something ready; must not call the program's code, except that of
 * own_task.c, as the loop itself sets the result of a task. */
typedef void wr_observe_fn(struct wr_observer *observer, weir_future *future);

/* An entry in a pending future's list: ->done is called with the result. */
struct wr_observer {
    struct wr_list link; /* in weir_future.observers */
    wr_observe_fn *done;
};

void wr_future_check_invariants(const weir_future *future);

/* Every task's end calls it, so it checks only with -Dinvariants=true. */
static inline void wr_future_debug_check(const weir_future *future)
{
    wr_debug_assert((wr_future_check_invariants(future), true));
    (void)future;
}

/* Initialises a future with one reference, the caller's. */
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

/* weir_future_unref() for the library. */
void wr_future_unref(weir_future *future);

static inline void wr_future_ref(weir_future *future)
{
    wr_assert(future->refs > 0);
    future->refs++;
}

/* Sets the result of a pending future. */
void wr_future_resolve(weir_future *future, int result);

/* True if an array of futures is a valid argument: each future is of this loop,
 * and every index fits into an int. */
bool wr_futures_are_usable(const weir_loop *loop, weir_future *const *futures,
                           size_t count);

/* Adds an observer to a pending future; unlinking the observer removes it. */
void wr_future_observe(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done);

/* Adds an observer to a pending future, and calls @done at once if the future
 * is done: the observer is in no list then. */
void wr_future_collect(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done);

#endif

/*
 * The inside of futures.
 *
 * A future is embedded in what it is the end of (a task, a group), or stands
 * alone. Its result is given once; tasks that wait are woken and callbacks made
 * ready, in the order in which they came, and nothing runs inside the call
 * that gives it.
 */
#ifndef WEIR_LIB_FUTURE_H
#define WEIR_LIB_FUTURE_H

#include "../include/weir/future.h"
#include "loop.h"

struct wr_future_ops {
    /* weir_future_cancel() while pending. */
    void (*cancel)(weir_future *future);
    /* The last reference is gone. */
    void (*free)(weir_future *future);
    /* May weir_future_set_result() be called by the program? */
    bool is_settable;
};

struct weir_future {
    const struct wr_future_ops *ops;
    weir_loop *loop;
    struct wr_list waiters;   /* struct wr_waiter (task.h) */
    struct wr_list callbacks; /* struct wr_future_callback */
    uint32_t refs;
    int result;
    bool is_done;
};

/* Runs from the ready queue after the result was given; embedded in its owner,
 * which keeps a reference to the future until then. */
struct wr_future_callback {
    struct wr_list link; /* in weir_future.callbacks, until it is ready */
    struct wr_ready ready;
    weir_future *future;
};

/* One reference, for the caller. */
void wr_future_init(weir_future *future, weir_loop *loop,
                    const struct wr_future_ops *ops);

/* Gives the result of a pending future. */
void wr_future_resolve(weir_future *future, int result);

/* Runs @run from the ready queue when the future is done, or in the next turn
 * if it is. Taken back by wr_future_unwatch(). */
void wr_future_watch(weir_future *future, struct wr_future_callback *callback,
                     wr_ready_fn *run);
void wr_future_unwatch(struct wr_future_callback *callback);

#endif

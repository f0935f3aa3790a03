/*
 * The inside of futures.
 *
 * A future is embedded in what it is the end of (a task, a group), or stands
 * alone. Its result is given once; everybody in its list of observers is then
 * told, in the order in which they came: tasks that wait become ready, and so
 * do callbacks. Nothing of the program's runs inside the call that gives it.
 *
 * Whoever embeds a future counts itself in weir_loop.pinned_count until it is
 * freed: futures may outlive their loop.
 */
#ifndef WEIR_LIB_FUTURE_H
#define WEIR_LIB_FUTURE_H

#include "../include/weir/future.h"
#include "loop.h"

struct wr_future_ops {
    /* weir_future_cancel() while pending. Never called from within another
     * future's cancel. */
    void (*cancel)(weir_future *future);
    /* Is there anything left to cancel? Of a pending future; NULL: yes. */
    bool (*can_cancel)(const weir_future *future);
    /* The last reference is gone, and the future is done. */
    void (*free)(weir_future *future);
    /* May weir_future_set_result() be called by the program? */
    bool is_settable;
};

struct weir_future {
    const struct wr_future_ops *ops;
    weir_loop *loop;
    struct wr_list observers; /* struct wr_observer; see done_callback in .c */
    struct wr_list cancel;    /* in weir_loop.cancels, or being cancelled */
    uint32_t refs;
    int result;
    bool is_done;
};

struct wr_observer;

/* Called inside the call that gives the result, no longer linked: makes
 * something ready and calls nothing of the program's. */
typedef void wr_observe_fn(struct wr_observer *observer, weir_future *future);

/* Somebody who is told of a pending future's result. */
struct wr_observer {
    struct wr_list link; /* in weir_future.observers */
    wr_observe_fn *done;
};

/* One reference, for the caller. */
void wr_future_init(weir_future *future, weir_loop *loop,
                    const struct wr_future_ops *ops);

/* Gives the result of a pending future. */
void wr_future_resolve(weir_future *future, int result);

/* Adds an observer to a pending future; taken back by unlinking it. */
void wr_future_observe(weir_future *future, struct wr_observer *observer,
                       wr_observe_fn *done);

#endif

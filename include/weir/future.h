/**
 * @file future.h
 * Futures: a result that will be given later.
 *
 * A future is pending until it is given an int result, once; negative results
 * are errors. Tasks wait for it, callbacks are called with it, and a group of
 * futures is a future itself. A task's end is a future too
 * (weir_task_get_future()).
 *
 * No task and no callback runs inside the call that gives the result: they run
 * from the ready queue, in the order in which they began to wait.
 *
 * Waiting calls return 0 when the future is done, and give its result by a
 * parameter, so that "I was cancelled" and "it was cancelled" cannot be mixed
 * up. As all suspending calls do (task.h), they also return WEIR_ENOTTASK,
 * -EPERM and -ECHILD.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_FUTURE_H
#define WEIR_FUTURE_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Called when a future is done; @p result is the future's. */
typedef void weir_future_done_fn(void *arg, weir_future *future, int result);

/**
 * Called when weir_future_cancel() was called on a pending future: ends the
 * work that the future stands for. Gives the result now or later; the result
 * need not be -ECANCELED.
 */
typedef void weir_future_cancel_fn(void *arg, weir_future *future);

/**
 * Make a pending future.
 *
 * @param loop    the loop; borrowed
 * @param cancel  ends the work that the future stands for; NULL: cancelling
 *                gives the result -ECANCELED at once
 * @param arg     first argument of @p cancel
 * @param ret     the future; one reference is given
 * @return        0
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_future_new(weir_loop *loop,
                                           weir_future_cancel_fn *cancel,
                                           void *arg, weir_future **ret);

/**
 * Take another reference.
 *
 * @param future  the future; borrowed
 * @return        @p future; one reference is given
 */
WEIR_API weir_future *weir_future_ref(weir_future *future);

/**
 * Give a reference back. With the last reference a pending future is cancelled,
 * because no code could give it a result any more; a group then cancels all of
 * its futures.
 *
 * @param future  taken; NULL is ignored
 */
WEIR_API void weir_future_unref(weir_future *future);

/**
 * Give the result; asyncio's set_result and set_exception.
 *
 * @param future  the future; borrowed
 * @param result  0 or positive: a value; negative: an error
 * @return        0
 * @retval -ESTALE  the future has a result already, which stays
 * @retval -EINVAL  the future is the end of a task or a group
 */
WEIR_API int weir_future_set_result(weir_future *future, int result);

/**
 * Cancel the work that a future stands for. The future is done when that has
 * ended, with the result of it.
 *
 * @param future  the future; borrowed
 * @return        true when it was pending; of a group: when one of its futures
 *                was
 */
WEIR_API bool weir_future_cancel(weir_future *future);

/**
 * Tell whether the future has a result.
 *
 * @param future  the future; borrowed
 * @return        true from then on
 */
WEIR_API bool weir_future_is_done(const weir_future *future);

/**
 * The result of a future that is done.
 *
 * @param future  the future; borrowed
 * @param ret     the result; may be NULL
 * @return        0
 * @retval -EAGAIN  the future is pending
 */
WEIR_API int weir_future_get_result(const weir_future *future, int *ret);

/**
 * Add a callback that runs when the future is done; where it is done already,
 * in the next turn.
 *
 * Callbacks run in the order in which they were added, from the ready queue.
 * The future lives until they have run. After weir_loop_free() they do not run.
 *
 * @param future  the future; borrowed
 * @param done    the function
 * @param arg     its first argument
 * @return        0
 * @retval -EINVAL  no function
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_future_add_done_callback(weir_future *future, weir_future_done_fn *done,
                              void *arg);

/**
 * Take back callbacks that have not run yet.
 *
 * @param future  the future; borrowed
 * @param done    the function
 * @param arg     its first argument
 * @return        how many were taken back
 */
WEIR_API size_t weir_future_remove_done_callback(weir_future *future,
                                                 weir_future_done_fn *done,
                                                 void *arg);

/**
 * Wait for a future.
 *
 * When the waiting task is cancelled the future is cancelled, and the call
 * still waits until the future is done: no work that the future stands for
 * continues behind the task's back. If the future then has another result than
 * -ECANCELED, this call returns 0 and the next one returns -ECANCELED; but
 * where the task was cancelled before this call, this call returns it.
 *
 * @param future  the future; held
 * @param ret     its result, written when it is done, also beside -ECANCELED;
 *                may be NULL
 * @return        0 when it is done
 * @retval -ECANCELED  this task was cancelled, and with it the future
 * @retval -EDEADLK    the future is the end of this task, or of a task that
 *                     waits for this task, also by way of others. Circles of
 *                     more than 64 tasks, or through groups, are not noticed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_future_await(weir_future *future, int *ret);

/**
 * Wait for a future without cancelling it; asyncio's shield.
 *
 * @param future  the future; held
 * @param ret     its result; may be NULL
 * @return        0 when it is done
 * @retval -ECANCELED  this task was cancelled; the future goes on
 * @retval -EDEADLK    as weir_future_await()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_future_shield(weir_future *future, int *ret);

/**
 * Wait for a future for a limited time; asyncio's wait_for.
 *
 * After the time the future is cancelled, and the call waits until it is done.
 *
 * @param future      the future; held
 * @param timeout_ns  0: cancels a future that is pending; UINT64_MAX: no limit
 * @param ret         its result, as in weir_future_await(); may be NULL
 * @return            0 when it is done
 * @retval -ETIMEDOUT  the time is over and the future was cancelled
 * @retval -ECANCELED  this task was cancelled, and with it the future
 * @retval -EDEADLK    as weir_future_await()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_wait_for(weir_future *future,
                                         uint64_t timeout_ns, int *ret);

/** When weir_wait() returns. */
enum weir_return_when {
    /** All are done. */
    WEIR_ALL_COMPLETED = 0,
    /** One of them is done. */
    WEIR_FIRST_COMPLETED,
    /** One has a negative result, or all are done. */
    WEIR_FIRST_EXCEPTION,
};

/**
 * Wait for several futures; asyncio's wait. Never cancels them.
 *
 * @param loop         the loop; borrowed
 * @param futures      the futures; held
 * @param count        how many; 0 returns at once
 * @param timeout_ns   0: does not wait; UINT64_MAX: no limit
 * @param return_when  which of them to wait for
 * @return             how many are done, also when the time is over
 * @retval -ECANCELED  this task was cancelled; the futures go on
 * @retval -EINVAL     a count above INT_MAX, a NULL or one of another loop
 *                     among the futures, or no such @p return_when
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_wait(weir_loop *loop,
                                     weir_future *const *futures, size_t count,
                                     uint64_t timeout_ns,
                                     enum weir_return_when return_when);

/**
 * Futures one by one as they are done; see weir_as_completed_begin(). Lives
 * where the program declares it and stays there from begin to end.
 */
struct weir_as_completed {
    /** The library's. */
    uint64_t opaque[2];
};

/**
 * Begin to take futures in the order in which they are done; asyncio's
 * as_completed. Those that are done already come first, in the order of
 * @p futures:
 *
 *     struct weir_as_completed done;
 *     weir_as_completed_begin(loop, &done, futures, count);
 *     while ((i = weir_as_completed_next(&done)) >= 0) {
 *         weir_future_get_result(futures[i], &result);
 *     }
 *     weir_as_completed_end(&done);
 *
 * No future is cancelled and no reference taken: one whose last reference is
 * given back meanwhile is done with -ECANCELED, as always. An error of this
 * call may be ignored: weir_as_completed_next() returns it too.
 *
 * @param loop     the loop; borrowed
 * @param done     what is begun; held until weir_as_completed_end(), which may
 *                 be called after an error too
 * @param futures  the futures; borrowed
 * @param count    how many; one that is named several times comes as often
 * @return         0
 * @retval -EINVAL  a count above INT_MAX, or a NULL or one of another loop
 *                  among the futures
 * @retval -ENOMEM  no memory
 */
WEIR_API int weir_as_completed_begin(weir_loop *loop,
                                     struct weir_as_completed *done,
                                     weir_future *const *futures, size_t count);

/**
 * Wait for the next future to be done. A time limit is that of
 * weir_timeout_begin(), around this call or around all of them.
 *
 * @param done  what was begun; held
 * @return      its index in the array of futures
 * @retval -ENOENT     all of them have come
 * @retval -ECANCELED  this task was cancelled, and none was taken; or the wait
 *                     was ended by weir_as_completed_end()
 * @retval -ESTALE     nothing was begun, or it was ended
 * @retval -EBUSY      another task waits in this call
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_as_completed_next(struct weir_as_completed *done);

/**
 * End it; must be called. The futures go on. A task that waits in
 * weir_as_completed_next() gets -ECANCELED.
 *
 * @param done  what was begun; one that was ended is ignored
 */
WEIR_API void weir_as_completed_end(struct weir_as_completed *done);

/** How a group of futures gets its result. */
enum weir_gather_kind {
    /** All are done; the result is the first negative one, or 0. The others
     * go on when one fails; asyncio's gather. */
    WEIR_GATHER_ALL = 0,
    /** As WEIR_GATHER_ALL, and the first error cancels the others. */
    WEIR_GATHER_ALL_OR_NONE,
    /** One has a result that is not negative: the group's result is its index,
     * and the others are cancelled. When all fail, the result is the last
     * error. */
    WEIR_GATHER_ANY,
};

/**
 * Make one future of several.
 *
 * The group is done when all of its futures are, so that no work is left
 * running. Cancelling the group cancels all; its result is then -ECANCELED,
 * unless it had one before.
 *
 * @param loop     the loop; borrowed
 * @param kind     how the group gets its result
 * @param futures  the futures, each referenced by the group; borrowed
 * @param count    how many; without any the group is done, with 0 or, for
 *                 WEIR_GATHER_ANY, -ENOENT
 * @param ret      the group; one reference is given
 * @return         0
 * @retval -EINVAL     a count above INT_MAX, a NULL or one of another loop
 *                     among the futures, or no such kind
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_gather(weir_loop *loop,
                                       enum weir_gather_kind kind,
                                       weir_future *const *futures,
                                       size_t count, weir_future **ret);

WEIR_END_DECLS

#endif

/**
 * @file future.h
 * Futures: results that will be set later.
 *
 * A future is pending until its result is set, once; the result is an int, and
 * negative results are errors. Tasks wait for the result, callbacks get it, and
 * a gather of futures is a future itself. A task's end is a future, too
 * (weir_task_get_future()).
 *
 * No task and no callback runs inside the call that sets the result: they run
 * from the ready queue, in the order in which they began to wait.
 *
 * Waiting calls return 0 if the future is done, and store its result in a
 * parameter, so that a cancelled task and a cancelled future can be
 * distinguished.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_FUTURE_H
#define WEIR_FUTURE_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Called when a future is done; @p result is the future's. */
typedef void weir_future_done_fn(void *arg, weir_future *future, int result);

/** Called by weir_future_cancel() on a pending future: ends the future's work.
 * The program sets the result now or later; the result need not be
 * -ECANCELED. */
typedef void weir_future_cancel_fn(void *arg, weir_future *future);

/**
 * Make a pending future.
 *
 * @param cancel  ends the future's work; NULL means that cancelling sets the
 *                result -ECANCELED at once
 * @param arg     first argument of @p cancel
 * @param ret     the future; one reference is given
 */
WEIR_API WEIR_MUST_USE int weir_future_new(weir_loop *loop,
                                           weir_future_cancel_fn *cancel,
                                           void *arg, weir_future **ret);

/** Take another reference. */
WEIR_API weir_future *weir_future_ref(weir_future *future);

/** Release a reference. Releasing the last one cancels a pending future,
 * because no code can set its result any more; a gather then cancels all its
 * futures. */
WEIR_API void weir_future_unref(weir_future *future);

/**
 * Set the result; asyncio's set_result and set_exception.
 *
 * @param result  a value, 0 or positive; or a negative error
 * @retval -ESTALE  the future already has a result, which is kept
 * @retval -EINVAL  the future is a task's end or a gather
 */
WEIR_API int weir_future_set_result(weir_future *future, int result);

/**
 * Cancel the work of a future. The future is done when the work has ended, with
 * the work's result.
 *
 * @return true if it was pending; for a gather, if one of its futures was
 */
WEIR_API bool weir_future_cancel(weir_future *future);

/** Report whether the future has a result. */
WEIR_API bool weir_future_is_done(const weir_future *future);

/**
 * Get the result of a future that is done.
 *
 * @param ret  the result; may be NULL
 * @retval -EAGAIN  the future is pending
 */
WEIR_API int weir_future_get_result(const weir_future *future, int *ret);

/**
 * Add a callback that runs when the future is done; if it is already done, in
 * the next loop iteration.
 *
 * Callbacks run from the ready queue, in the order in which they were added.
 * The future lives until they have run. They do not run after weir_loop_free().
 *
 * @param done  the function
 * @retval -EINVAL  no function
 */
WEIR_API WEIR_MUST_USE int
weir_future_add_done_callback(weir_future *future, weir_future_done_fn *done,
                              void *arg);

/**
 * Remove callbacks that have not run yet.
 *
 * @param done  the function
 * @return      number of removed callbacks
 */
WEIR_API size_t weir_future_remove_done_callback(weir_future *future,
                                                 weir_future_done_fn *done,
                                                 void *arg);

/**
 * Wait for a future.
 *
 * If the waiting task is cancelled, the future is cancelled, and the call still
 * waits until the future is done: so its work does not continue unnoticed. If
 * the future's result is not -ECANCELED then, this call returns 0 and the next
 * suspending call returns -ECANCELED. But if the task was cancelled before this
 * call, this call returns -ECANCELED.
 *
 * @param ret  its result, written if done, even with -ECANCELED; may be NULL
 * @return     0 if it is done
 * @retval -ECANCELED  this task was cancelled, and so was the future
 * @retval -EDEADLK    the future is the end of this task, or of a task that
 *                     waits for this task, directly or through others. Cycles
 *                     of more than 64 tasks, or through gathers, are not
 *                     detected
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_future_await(weir_future *future, int *ret);

/**
 * Wait for a future without cancelling it; asyncio's shield.
 *
 * @param ret  its result; may be NULL
 * @return     0 if it is done
 * @retval -ECANCELED  this task was cancelled; the future was not
 * @retval -EDEADLK    as weir_future_await()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_future_shield(weir_future *future, int *ret);

/**
 * Wait for a future with a time limit; asyncio's wait_for. After the time the
 * future is cancelled, and the call waits until it is done.
 *
 * @param timeout_ns  the limit; 0 cancels a pending future, UINT64_MAX is no
 *                    limit
 * @param ret         its result, as in weir_future_await(); may be NULL
 * @return            0 if it is done
 * @retval -ETIMEDOUT  the time has expired and the future was cancelled
 * @retval -ECANCELED  this task was cancelled, and so was the future
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
 * Wait for several futures without cancelling them; asyncio's wait.
 *
 * @param futures      the futures; held
 * @param count        number of futures; 0 returns at once
 * @param timeout_ns   the limit; 0 does not wait, UINT64_MAX is no limit
 * @param return_when  the condition to return
 * @return             number of futures that are done, even after the time
 * @retval -ECANCELED  this task was cancelled; the futures were not
 * @retval -EINVAL     a count above INT_MAX, a future that is NULL or of
 *                     another loop, or an invalid @p return_when
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_wait(weir_loop *loop,
                                     weir_future *const *futures, size_t count,
                                     uint64_t timeout_ns,
                                     enum weir_return_when return_when);

/** Futures one by one, as they are done; see weir_as_completed_begin(). The
 * program declares it, and must not move it between begin and end. */
struct weir_as_completed {
    /** Used by the library. */
    uint64_t opaque[2];
};

/**
 * Begin to take futures in the order in which they are done; asyncio's
 * as_completed. Futures that are already done come first, in the order of @p
 * futures:
 *
 *     struct weir_as_completed done;
 *     weir_as_completed_begin(loop, &done, futures, count);
 *     while ((i = weir_as_completed_next(&done)) >= 0) {
 *         weir_future_get_result(futures[i], &result);
 *     }
 *     weir_as_completed_end(&done);
 *
 * No future is cancelled and no reference is taken: a future whose last
 * reference is released is done with -ECANCELED, as always. An error of this
 * call may be ignored: weir_as_completed_next() returns it, too.
 *
 * @param done     the iteration; held until weir_as_completed_end(), which may
 *                 be called even after an error
 * @param futures  the futures; borrowed
 * @param count    number of futures; a future that occurs several times is
 *                 returned as often
 * @retval -EINVAL  a count above INT_MAX, or a future that is NULL or of
 *                  another loop
 * @retval -ENOMEM  no memory
 */
WEIR_API int weir_as_completed_begin(weir_loop *loop,
                                     struct weir_as_completed *done,
                                     weir_future *const *futures, size_t count);

/**
 * Wait for the next future to be done. For a time limit use
 * weir_timeout_begin(), around each call or all calls.
 *
 * @param done  the iteration; held
 * @return      its index in the array of futures
 * @retval -ENOENT     all futures were returned
 * @retval -ECANCELED  this task was cancelled, and no future was taken; or
 *                     weir_as_completed_end() was called
 * @retval -ESTALE     the iteration has not begun, or has ended
 * @retval -EBUSY      another task waits in this call
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_as_completed_next(struct weir_as_completed *done);

/**
 * End the iteration; must be called. The futures are not affected. A task that
 * waits in weir_as_completed_next() gets -ECANCELED.
 *
 * @param done  the iteration; ignored if it has ended
 */
WEIR_API void weir_as_completed_end(struct weir_as_completed *done);

/** Rule for the result of a gather. */
enum weir_gather_kind {
    /** The first negative result, or 0 if there is none. A failure does not
     * affect the others; asyncio's gather. */
    WEIR_GATHER_ALL = 0,
    /** As WEIR_GATHER_ALL, but the first error cancels the others. */
    WEIR_GATHER_ALL_OR_NONE,
    /** The index of the first future with a result that is not negative; the
     * others are cancelled. If all fail, the last error. */
    WEIR_GATHER_ANY,
};

/**
 * Combine several futures into one, a gather.
 *
 * The gather is done when all its futures are done, so that no work is left
 * running. Cancelling the gather cancels all its futures; its result is then
 * -ECANCELED, unless it was decided before.
 *
 * @param kind     the rule for the result
 * @param futures  the futures; borrowed, the gather takes references
 * @param count    number of futures; if it is 0 the gather is done at once,
 *                 with 0 or, for WEIR_GATHER_ANY, -ENOENT
 * @param ret      the gather; one reference is given
 * @retval -EINVAL     a count above INT_MAX, a future that is NULL or of
 *                     another loop, or an invalid kind
 */
WEIR_API WEIR_MUST_USE int weir_gather(weir_loop *loop,
                                       enum weir_gather_kind kind,
                                       weir_future *const *futures,
                                       size_t count, weir_future **ret);

WEIR_END_DECLS

#endif

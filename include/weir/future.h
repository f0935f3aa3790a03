/**
 * @file future.h
 * Futures: results that will be set later.
 *
 * A future is pending until its result is set, once. The result is an int, and
 * negative results are errors. Tasks wait for the result, and callbacks get it.
 * A gather combines several futures into one. The end of a task is a future,
 * too (weir_task_get_future()).
 *
 * Tasks and callbacks do not run inside the call that sets the result, but
 * later from the ready queue, in the order in which they began to wait.
 *
 * Calls that wait return 0 if the future is done, and store the future's result
 * in a parameter. So a caller can distinguish a cancelled task from a cancelled
 * future.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_FUTURE_H
#define WEIR_FUTURE_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Called when a future is done; @p result is the result of the future. */
typedef void weir_future_done_fn(void *arg, weir_future *future, int result);

/** Ends the work of a future. Called by weir_future_cancel() if the future is
 * pending. The program sets the result in this call or later; the result need
 * not be -ECANCELED. */
typedef void weir_future_cancel_fn(void *arg, weir_future *future);

/**
 * Make a pending future.
 *
 * @param cancel  ends the future's work. With NULL weir_future_cancel() sets
 *                the result -ECANCELED at once
 * @param arg     first argument of @p cancel
 * @param ret     set to the future; one reference is given
 */
WEIR_API WEIR_MUST_USE int weir_future_new(weir_loop *loop,
                                           weir_future_cancel_fn *cancel,
                                           void *arg, weir_future **ret);

/** Take another reference to a future. */
WEIR_API weir_future *weir_future_ref(weir_future *future);

/** Release a reference to a future. The release of the last reference cancels a
 * pending future, because no code can set its result any more; a gather then
 * cancels all its futures. */
WEIR_API void weir_future_unref(weir_future *future);

/**
 * Set the result of a future; asyncio's set_result and set_exception.
 *
 * @param result  the result: 0 or a positive value, or a negative error
 * @retval -ESTALE  the future already has a result, which is kept
 * @retval -EINVAL  the future is the end of a task, or a gather
 */
WEIR_API int weir_future_set_result(weir_future *future, int result);

/**
 * Cancel the work of a future. The future is done when the work has ended, with
 * the work's result.
 *
 * @return true if the future was pending; for a gather, true if one of its
 *         futures was pending
 */
WEIR_API bool weir_future_cancel(weir_future *future);

/** Report whether the future has a result. */
WEIR_API bool weir_future_is_done(const weir_future *future);

/**
 * Get the result of a future that is done.
 *
 * @param ret  set to the result; may be NULL
 * @retval -EAGAIN  the future is pending
 */
WEIR_API int weir_future_get_result(const weir_future *future, int *ret);

/**
 * Add a callback that runs when the future is done. If the future is already
 * done, the callback runs in the next loop iteration.
 *
 * Callbacks run from the ready queue, in the order in which they were added.
 * The future lives until they have run. They do not run after weir_loop_free().
 *
 * @param done  the function
 * @retval -EINVAL  @p done is NULL
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
 * If the waiting task is cancelled, the future is cancelled, too, and the call
 * still waits until the future is done, so that its work does not continue
 * unnoticed. If the future then has a result other than -ECANCELED, this call
 * returns 0, and the next suspending call returns -ECANCELED. If the task was
 * already cancelled before this call, this call returns -ECANCELED.
 *
 * @param ret  set to the result of the future if the future is done, even if
 *             the call returns -ECANCELED; may be NULL
 * @return     0 when the future is done
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
 * @param ret  set to the result of the future; may be NULL
 * @return     0 when the future is done
 * @retval -ECANCELED  this task was cancelled, but the future was not
 * @retval -EDEADLK    this task would wait for its own end, as in
 *                     weir_future_await()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_future_shield(weir_future *future, int *ret);

/**
 * Wait for a future with a time limit; asyncio's wait_for. When the time has
 * expired, the future is cancelled, and the call waits until it is done.
 *
 * @param timeout_ns  the limit; 0 cancels a pending future at once, UINT64_MAX
 *                    is no limit
 * @param ret         set to the result of the future, as by
 *                    weir_future_await(); may be NULL
 * @return            0 when the future is done
 * @retval -ETIMEDOUT  the time has expired, and the future was cancelled
 * @retval -ECANCELED  this task was cancelled, and so was the future
 * @retval -EDEADLK    this task would wait for its own end, as in
 *                     weir_future_await()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_wait_for(weir_future *future,
                                         uint64_t timeout_ns, int *ret);

/** Conditions on which weir_wait() returns. */
enum weir_return_when {
    /** All futures are done. */
    WEIR_ALL_COMPLETED = 0,
    /** One future is done. */
    WEIR_FIRST_COMPLETED,
    /** One future has a negative result, or all futures are done. */
    WEIR_FIRST_EXCEPTION,
};

/**
 * Wait for several futures without cancelling them; asyncio's wait.
 *
 * @param futures      the futures; held
 * @param count        number of futures; 0 returns at once
 * @param timeout_ns   the longest wait; 0 does not wait, UINT64_MAX is no limit
 * @param return_when  the condition on which the call returns
 * @return             number of futures that are done, even if the time has
 *                     expired
 * @retval -ECANCELED  this task was cancelled, but the futures were not
 * @retval -EINVAL     @p count is above INT_MAX, a future is NULL or of another
 *                     loop, or @p return_when is invalid
 * @retval -ENOMEM     no memory
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_wait(weir_loop *loop,
                                     weir_future *const *futures, size_t count,
                                     uint64_t timeout_ns,
                                     enum weir_return_when return_when);

/** An iteration over futures in the order in which they are done; see
 * weir_as_completed_begin(). The program declares the struct, and must not copy
 * or move it between begin and end. */
struct weir_as_completed {
    /** Used by the library. */
    uint64_t opaque[2];
};

/**
 * Begin an iteration over futures in the order in which they are done;
 * asyncio's as_completed. Futures that are already done come first, in the
 * order of @p futures:
 *
 *     struct weir_as_completed done;
 *     weir_as_completed_begin(loop, &done, futures, count);
 *     while ((i = weir_as_completed_next(&done)) >= 0) {
 *         weir_future_get_result(futures[i], &result);
 *     }
 *     weir_as_completed_end(&done);
 *
 * The iteration does not cancel futures, and takes no references to them. A
 * future whose last reference is released is done with -ECANCELED, as always.
 * An error of this call may be ignored, because weir_as_completed_next()
 * returns it, too.
 *
 * @param done     the iteration; held until weir_as_completed_end(), which may
 *                 be called even after an error of this call
 * @param futures  the futures; borrowed
 * @param count    number of futures. A future that is several times in the
 *                 array is returned several times
 * @retval -EINVAL  @p count is above INT_MAX, or a future is NULL or of another
 *                  loop
 * @retval -ENOMEM  no memory
 */
WEIR_API int weir_as_completed_begin(weir_loop *loop,
                                     struct weir_as_completed *done,
                                     weir_future *const *futures, size_t count);

/**
 * Wait until the next future is done. For a time limit use
 * weir_timeout_begin(), around each call or around all calls.
 *
 * @param done  the iteration; held
 * @return      the index of the future in the array
 * @retval -ENOENT     all futures were returned
 * @retval -ECANCELED  this task was cancelled, and no future was skipped; or
 *                     weir_as_completed_end() was called meanwhile
 * @retval -ESTALE     the iteration has not begun, or has ended
 * @retval -EBUSY      another task waits in this call
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_as_completed_next(struct weir_as_completed *done);

/**
 * End the iteration. Every iteration must be ended. The futures are not
 * affected. If a task waits in weir_as_completed_next(), its call returns
 * -ECANCELED.
 *
 * @param done  the iteration; if it has already ended, the call has no effect
 */
WEIR_API void weir_as_completed_end(struct weir_as_completed *done);

/** Rules for the result of a gather. */
enum weir_gather_kind {
    /** The result is the first negative result, or 0 if there is none. A
     * failure does not affect the other futures; asyncio's gather. */
    WEIR_GATHER_ALL = 0,
    /** The result is the same as for WEIR_GATHER_ALL, but the first error
     * cancels the other futures. */
    WEIR_GATHER_ALL_OR_NONE,
    /** The result is the index of the first future that is done with a result
     * that is not negative; the other futures are cancelled. If all futures
     * fail, the result is the last error. */
    WEIR_GATHER_ANY,
};

/**
 * Combine several futures into one, a gather.
 *
 * The gather is done when all its futures are done, so that no work is left
 * running. weir_future_cancel() of the gather cancels all its futures. The
 * gather's result is then -ECANCELED, unless it was decided before.
 *
 * @param kind     the rule for the result
 * @param futures  the futures; borrowed, but the gather takes references
 * @param count    number of futures. With 0 the gather is done at once, with
 *                 the result 0, or -ENOENT for WEIR_GATHER_ANY
 * @param ret      set to the gather; one reference is given
 * @retval -EINVAL     @p count is above INT_MAX, a future is NULL or of another
 *                     loop, or @p kind is invalid
 */
WEIR_API WEIR_MUST_USE int weir_gather(weir_loop *loop,
                                       enum weir_gather_kind kind,
                                       weir_future *const *futures,
                                       size_t count, weir_future **ret);

WEIR_END_DECLS

#endif

/**
 * @file executor.h
 * Calls that block, on threads of their own.
 *
 * What has no other way of not blocking the loop (a library that reads files,
 * a long computation) runs on a small pool of threads, which exists only once
 * it was asked for. Jobs start first come, first served, and their results
 * come back on the loop.
 */
#ifndef WEIR_EXECUTOR_H
#define WEIR_EXECUTOR_H

#include "base.h"

WEIR_BEGIN_DECLS

/** What runs on a thread of the executor. All signals are blocked there. */
typedef int weir_job_fn(void *arg);

/**
 * Told, on the loop, that a job is over whose task has stopped waiting:
 * @p result is what it returned, -ECANCELED if it never started. The argument
 * is the program's again. Not told when the loop is freed before the job is
 * over: weir_loop_shutdown_executor() first waits for it.
 */
typedef void weir_job_abandoned_fn(void *arg, int result);

/** Options of the executor. */
struct weir_executor_options {
    /** sizeof(struct weir_executor_options). */
    size_t size;
    /** Threads at most; default: CPUs that this process may use and 4 more, no
     * more than 32. */
    uint32_t thread_limit;
    /** Jobs that may wait for a thread; default 65536. */
    uint32_t queue_limit;
};

/**
 * Set up the executor of a loop; not needed for the defaults.
 *
 * @param loop     the loop; borrowed
 * @param options  borrowed
 * @return         0
 * @retval -EINVAL  the size field is not set
 * @retval -E2BIG   options of a newer library with an unknown field set
 * @retval -EBUSY   there are threads or jobs already
 * @retval -ENOMEM  no memory
 * @retval -ESHUTDOWN  the executor was shut down, or the loop is being freed
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_loop_set_executor(weir_loop *loop,
                       const struct weir_executor_options *options);

/**
 * Run a blocking function on a thread and wait for its result; asyncio's
 * run_in_executor and to_thread.
 *
 * A task that is cancelled meanwhile goes on at once. A job that has not
 * started then never does; one that runs cannot be stopped: it runs to its end
 * on its thread, with @p arg, which therefore must not lie on the task's stack
 * unless the task cannot be cancelled. @p abandoned says when it is over.
 *
 * @param loop       the loop; borrowed
 * @param fn         the function
 * @param arg        its argument; held until the call returns 0 or @p abandoned
 *                   was called
 * @param abandoned  called on the loop when this returns -ECANCELED and the job
 *                   is over, perhaps before it returns; may be NULL
 * @param ret        what @p fn returned; may be NULL
 * @return           0 when the function has returned
 * @retval -ECANCELED  the task was cancelled
 * @retval -EINVAL     no function
 * @retval -EAGAIN     no thread could be made
 * @retval -ENOBUFS    more jobs would wait than the limit allows
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the executor was shut down
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_run_in_executor(weir_loop *loop, weir_job_fn *fn, void *arg,
                     weir_job_abandoned_fn *abandoned, int *ret);

/**
 * Take no more jobs, wait until those that wait and run are over, and end the
 * threads; asyncio's shutdown_default_executor.
 *
 * weir_loop_free() does not wait for jobs: those that have not started never
 * do, and the threads of those that run end by themselves.
 *
 * @param loop        the loop; borrowed
 * @param timeout_ns  how long to wait; UINT64_MAX: for ever
 * @return            0 when the threads have ended
 * @retval -ETIMEDOUT  jobs are still running; nothing waits for them any more
 * @retval -ECANCELED  the task was cancelled; likewise
 * @retval -ENOMEM  no memory, where there was no executor yet
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_loop_shutdown_executor(weir_loop *loop,
                                                       uint64_t timeout_ns);

WEIR_END_DECLS

#endif

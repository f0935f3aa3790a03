/**
 * @file executor.h
 * Running blocking calls on threads.
 *
 * Calls that would block the loop, for example a long computation, run on a
 * small pool of threads. Threads are started when jobs need them. Jobs start in
 * the order of their calls, and their results are returned on the loop.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends yes
 */
#ifndef WEIR_EXECUTOR_H
#define WEIR_EXECUTOR_H

#include "base.h"

WEIR_BEGIN_DECLS

/** A job. It runs on a thread of the executor, on which all signals are
 * blocked. */
typedef int weir_job_fn(void *arg);

/** Called on the loop when a job has finished after its task has stopped
 * waiting for it. @p result is the result of the job, or -ECANCELED if the job
 * never started. The library no longer uses @p arg. The function is not called
 * if the loop is freed before the job has finished; to prevent that, call
 * weir_loop_shutdown_executor() first, which waits for jobs. */
typedef void weir_job_abandoned_fn(void *arg, int result);

/** Called on the loop, never inside a task, when a job of
 * weir_executor_submit() has finished. @p result is the result of the job, or
 * -ECANCELED if the job never started. */
typedef weir_job_abandoned_fn weir_job_done_fn;

/** Options of the executor. */
struct weir_executor_options {
    size_t size;
    /** Maximum number of threads; default 4 more than the CPUs that this
     * process may use, but at most 32. */
    uint32_t thread_limit;
    /** Maximum number of jobs that wait for a thread; default 65536. */
    uint32_t queue_limit;
};

/**
 * Set the options of a loop's executor. Without this call the executor has the
 * defaults.
 *
 * @param options  borrowed
 * @retval -EBUSY   the executor already has threads or jobs
 * @retval -ENOMEM  no memory
 * @retval -ESHUTDOWN  the executor was shut down, or the loop is being freed
 * @suspends no
 */
WEIR_API WEIR_MUST_USE int
weir_loop_set_executor(weir_loop *loop,
                       const struct weir_executor_options *options);

/**
 * Run a blocking function on a thread and wait for its result; asyncio's
 * run_in_executor and to_thread.
 *
 * If the task is cancelled while it waits, the call returns at once. A job that
 * has not started is withdrawn. A running job cannot be stopped: it continues
 * to run and to use @p arg, so @p arg must not be on the task's stack unless
 * the task cannot be cancelled. @p abandoned is called when the job has
 * finished.
 *
 * @param fn         the function
 * @param arg        the argument of @p fn; held until the call returns 0 or @p
 *                   abandoned was called
 * @param abandoned  called on the loop when the job has finished, if the call
 *                   returns -ECANCELED; it may be called before the return. May
 *                   be NULL
 * @param ret        set to the result of @p fn; may be NULL
 * @return           0 when @p fn has returned
 * @retval -EINVAL     @p fn is NULL
 * @retval -EAGAIN     no thread could be started
 * @retval -ENOBUFS    queue_limit would be exceeded
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the executor was shut down
 */
WEIR_API WEIR_MUST_USE int
weir_run_in_executor(weir_loop *loop, weir_job_fn *fn, void *arg,
                     weir_job_abandoned_fn *abandoned, int *ret);

/**
 * Run a blocking function on a thread without waiting, and get a future for its
 * result; asyncio's run_in_executor. Any callback or task of the loop may call
 * this.
 *
 * The future gets the function's result. weir_future_cancel() withdraws a job
 * that has not started; the result is then -ECANCELED. A running job cannot be
 * stopped: a cancelled weir_future_await() waits for its end, a cancelled
 * weir_future_shield() does not. A job runs even if the program has no
 * reference to the future.
 *
 * The function @p done is called once, before any other callback of the future.
 * If the loop is freed while the job runs, @p done is never called: no call
 * waits for the job, the future is done with -ECANCELED, and @p arg is in use
 * until the function returns. If the job has finished before the loop is freed,
 * weir_loop_free() calls @p done.
 *
 * @param fn    the function
 * @param arg   the argument of @p fn and @p done; held until @p done was called
 * @param done  called on the loop when the job has finished; may be NULL
 * @param ret   set to the future of the job; a reference is given; may be NULL
 * @retval -EAGAIN     no thread could be started
 * @retval -ENOBUFS    queue_limit would be exceeded
 * @retval -ESHUTDOWN  the executor was shut down, or the loop is being freed
 * @suspends no
 */
WEIR_API WEIR_MUST_USE int weir_executor_submit(weir_loop *loop,
                                                weir_job_fn *fn, void *arg,
                                                weir_job_done_fn *done,
                                                weir_future **ret);

/**
 * Refuse new jobs, wait until all queued and running jobs have finished, and
 * end the threads; asyncio's shutdown_default_executor.
 *
 * weir_loop_free() does not wait for jobs: a job that has not started is
 * withdrawn, and the thread of a running job ends by itself.
 *
 * @param timeout_ns  the longest wait; UINT64_MAX is no limit
 * @return            0 when the threads have ended
 * @retval -ETIMEDOUT  not all jobs have finished in time; the executor still
 *                     refuses new jobs
 * @retval -ECANCELED  the task was cancelled, so the call has not waited for
 *                     all jobs; the executor still refuses new jobs
 * @retval -ENOMEM     there is no memory to make the executor
 */
WEIR_API WEIR_MUST_USE int weir_loop_shutdown_executor(weir_loop *loop,
                                                       uint64_t timeout_ns);

WEIR_END_DECLS

#endif

/**
 * @file executor.h
 * Calls that block, on threads of their own.
 *
 * A call that would block the loop (into a library that reads files, a long
 * computation) runs on a small pool of threads, which are made when the first
 * job needs them. Jobs start first come, first served, and their results come
 * back on the loop.
 *
 * Suspending calls also return WEIR_ENOTTASK, -EPERM and -ECHILD, as all do
 * (task.h).
 *
 * @thread loop
 * @suspends yes
 */
#ifndef WEIR_EXECUTOR_H
#define WEIR_EXECUTOR_H

#include "base.h"

WEIR_BEGIN_DECLS

/** A job: runs on a thread of the executor, where all signals are blocked. */
typedef int weir_job_fn(void *arg);

/**
 * Called on the loop when a job is over whose task has stopped waiting:
 * @p result is what the job returned, -ECANCELED if it never started. The
 * argument is the program's again. Not called when the loop is freed before the
 * job is over; weir_loop_shutdown_executor() before that waits for the job.
 */
typedef void weir_job_abandoned_fn(void *arg, int result);

/**
 * Called on the loop, never inside a task, when a job of weir_executor_submit()
 * is over: @p result is what the job returned, -ECANCELED if it never started.
 */
typedef weir_job_abandoned_fn weir_job_done_fn;

/** Options of the executor. */
struct weir_executor_options {
    /** sizeof(struct weir_executor_options). */
    size_t size;
    /** Threads at most; default: 4 more than the CPUs that this process may
     * use, but no more than 32. */
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
 * @retval -E2BIG   options of a newer library with an unknown field set
 * @retval -EBUSY   there are threads or jobs already
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
 * A task that is cancelled while it waits continues at once. A job that has not
 * started by then never does. A job that runs cannot be stopped: it runs to its
 * end on its thread, with @p arg; so @p arg must not lie on the task's stack
 * unless the task cannot be cancelled. @p abandoned is called when the job is
 * over.
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
 */
WEIR_API WEIR_MUST_USE int
weir_run_in_executor(weir_loop *loop, weir_job_fn *fn, void *arg,
                     weir_job_abandoned_fn *abandoned, int *ret);

/**
 * Run a blocking function on a thread without waiting; asyncio's
 * run_in_executor, whose future this gives. May be called from anywhere on the
 * loop.
 *
 * The future is done with what the function returns. weir_future_cancel() takes
 * back a job that has not started, whose result is -ECANCELED then; one that
 * runs cannot be stopped, so that a cancelled weir_future_await() waits for its
 * end and a cancelled weir_future_shield() does not. A job needs no reference
 * to run.
 *
 * @p done is called once, before any other callback of the future; but not when
 * the loop is freed while the job runs: nothing waits for it then, the future
 * is done with -ECANCELED, and @p arg is in use until the function returns. If
 * the job is over before the loop is freed, @p done is called then, else
 * never.
 *
 * @param loop  the loop; borrowed
 * @param fn    the function
 * @param arg   its argument and that of @p done; held until @p done was called
 * @param done  called on the loop when the job is over; may be NULL
 * @param ret   the job's end, one reference is given; NULL: none
 * @return      0
 * @retval -EINVAL     no function
 * @retval -EAGAIN     no thread could be made
 * @retval -ENOBUFS    more jobs would wait than the limit allows
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the executor was shut down, or the loop is being freed
 * @suspends no
 */
WEIR_API WEIR_MUST_USE int weir_executor_submit(weir_loop *loop,
                                                weir_job_fn *fn, void *arg,
                                                weir_job_done_fn *done,
                                                weir_future **ret);

/**
 * Take no more jobs, wait until all queued and running ones are over, and end
 * the threads; asyncio's shutdown_default_executor.
 *
 * weir_loop_free() does not wait for jobs: a job that has not started never
 * does, and the thread of a running one ends by itself.
 *
 * @param loop        the loop; borrowed
 * @param timeout_ns  how long to wait; UINT64_MAX: for ever
 * @return            0 when the threads have ended
 * @retval -ETIMEDOUT  jobs are still running; nothing waits for them any more
 * @retval -ECANCELED  the task was cancelled; nothing waits for jobs any more
 * @retval -ENOMEM     no memory, where there was no executor yet
 */
WEIR_API WEIR_MUST_USE int weir_loop_shutdown_executor(weir_loop *loop,
                                                       uint64_t timeout_ns);

WEIR_END_DECLS

#endif

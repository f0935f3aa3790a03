/**
 * @file task.h
 * Tasks: functions that may wait as if they blocked, each on its own stack.
 *
 * A task runs until it calls a function that suspends. Then the loop runs other
 * tasks and callbacks. When the function has its result, the loop continues the
 * task from the ready queue, never inside a call of other code. Between two
 * suspending calls of a task nothing else runs on the loop.
 *
 * **Suspending calls** that need not wait return without suspending. But after
 * 128 such calls in a row other tasks run, so that no task blocks the others. A
 * task with quick calls continues for 20 us more, but for at most 2048 calls in
 * all. A loop is busy if its last iteration took more than a millisecond and
 * left work. Then the first limit is 8 calls instead of 128, and the 20 us are
 * checked each time the number of calls has doubled. Do not ignore the results
 * of suspending calls: a C loop that ignores -ECANCELED never ends.
 *
 * **Cancellation** interrupts the innermost wait of the task. Exactly one call
 * returns -ECANCELED for it:
 * - If the task was cancelled before a suspending call, this call returns
 *   -ECANCELED, even if it need not wait.
 * - If the task is cancelled while a call waits, the wait ends and the call
 *   returns -ECANCELED. If the call already has another result (or the awaited
 *   object has ended), it returns this result, and the next call returns
 *   -ECANCELED.
 * - weir_server_serve_forever() returns 0 instead of -ECANCELED after an
 *   announced stop.
 * - After the call that returned -ECANCELED suspending calls work again, so
 *   that a task can clean up.
 * - A task that is cancelled before its first run still runs, and its first
 *   suspending call fails. asyncio does not run it, but in weir the function
 *   must free its argument.
 * - While the loop is being freed, every suspending call returns -ECANCELED.
 *   Calls that wait for the end of a task still wait. If tasks wait for each
 *   other in a cycle, the task that was started last stops waiting.
 *
 * A task that ignores results while the loop is being freed is **parked** after
 * 10 000 suspending calls: it never runs again, its result for other tasks is
 * -ECANCELED, and the exception hook gets its name. Its stack is freed with the
 * loop. If the task serves a connection, the stream is freed, too. Memory,
 * descriptors and handles that only the stack refers to are not released, and
 * such a handle to an object of the loop keeps the loop's memory.
 *
 * **Time-outs** are scopes; see weir_timeout_begin().
 *
 * **Stacks** have a fixed size, 256 KiB by default. A stack takes memory for
 * its touched pages and 2 bytes of page tables for each KiB of addresses; an
 * idle task of the default size costs 5.5 KB in all. Below each stack is its
 * **guard**, 256 KiB of addresses that cannot be used. Limits on addresses
 * (RLIMIT_AS, RLIMIT_DATA, vm.overcommit_memory = 2) count stack and guard, 512
 * KiB for a task of the default size. If such a limit is reached,
 * weir_task_spawn() fails with -ENOMEM.
 *
 * After mlockall(MCL_FUTURE) a whole stack takes memory at once, and stack and
 * guard count as locked memory: a thousand tasks lock 512 MiB, which exceeds
 * the usual RLIMIT_MEMLOCK of a process without CAP_IPC_LOCK. Lock only the
 * necessary memory with mlock() instead, or choose small stacks.
 *
 * A loop keeps up to 64 MiB of touched stack pages of ended tasks for its next
 * tasks. If many tasks have ended, the loop frees these pages a few seconds
 * later. weir_loop_trim() frees them at once.
 *
 * An access to the guard ends the process with SIGSEGV; after
 * weir_loop_report_stack_overflow() the process prints the task's name first.
 * The guard catches:
 * - deep recursion, and frames that are smaller than the guard, always;
 * - larger frames (a local array of megabytes, alloca, a variable-length
 *   array), if their code was compiled with -fstack-clash-protection. weir's
 *   pkg-config file and meson dependency set this flag. Other code can skip the
 *   guard and overwrite the stack of another task unnoticed: compile your
 *   libraries with the flag, or call code with large frames in the executor;
 * - a write to a wrong address, only if it hits a guard by chance.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_TASK_H
#define WEIR_TASK_H

#include "base.h"
#include "future.h"
#include "loop.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/** The function of a task. Its result is the task's result; a negative result
 * is an error. */
typedef int weir_task_fn(weir_loop *loop, void *arg);

/** Options of weir_task_spawn(). */
struct weir_task_options {
    size_t size;
    /** Name for dumps, reports and messages; the first 31 bytes are copied. */
    const char *name;
    /** Stack size in bytes, from 16 KiB to 1 GiB, rounded up to a power of two;
     * default: the stack_size_bytes of the loop, 256 KiB if not set. Only
     * touched pages take memory; see the head of this file. */
    size_t stack_size_bytes;
};

/**
 * Start a task; asyncio's create_task. The task first runs from the ready
 * queue, not inside this call. Callbacks may call this function, too.
 *
 * If the task ends with an error other than -ECANCELED, and the program has no
 * reference to it, the loop calls the exception hook.
 *
 * @param ret  set to the task; one reference is given, see weir_task_ref(); may
 *             be NULL
 * @retval -EINVAL     @p fn is NULL, or the stack size is invalid
 * @retval WEIR_ESTACKLIMIT  no further stack with a guard is possible, because
 *                           vm.max_map_count is reached. Guards need mappings
 *                           before Linux 6.13, and after mlockall()
 */
WEIR_API WEIR_MUST_USE int
weir_task_spawn(weir_loop *loop, weir_task_fn *fn, void *arg,
                const struct weir_task_options *options, weir_task **ret);

/**
 * Wait for a task's end and release a reference to it. If the waiting task is
 * cancelled, @p task is cancelled, too, and the call still waits until @p task
 * has ended; see weir_future_await().
 *
 * @param task  one reference is taken, even on failure, except after
 *              -EPERM and -ECHILD
 * @param ret   set to the result of the task's function, even if the call
 *              returns -ECANCELED; may be NULL
 * @return      0 when the task has ended
 * @retval -EDEADLK    @p task is the running task
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_task_join(weir_task *task, int *ret);

/** Take another reference to a task. weir_task_unref() or weir_task_join()
 * releases each reference, of this call and of weir_task_spawn(), once. A task
 * runs even without references. After its end the release of the last reference
 * frees it. */
WEIR_API weir_task *weir_task_ref(weir_task *task);

/** Release a reference to a task. */
WEIR_API void weir_task_unref(weir_task *task);

/**
 * Cancel a task: the call in which it waits, or its next suspending call,
 * returns -ECANCELED; see the head of this file.
 *
 * @param task  the task; borrowed. If it is the running task, its next
 *              suspending call returns -ECANCELED
 * @return      true unless the task has ended
 */
WEIR_API bool weir_task_cancel(weir_task *task);

/** Get the number of cancellations that the task has received and not withdrawn
 * with weir_task_uncancel(). An expired time-out counts as a cancellation until
 * its scope ends, and cannot be withdrawn. */
WEIR_API uint32_t weir_task_get_cancelling(const weir_task *task);

/**
 * Withdraw a cancellation, because the task has handled it and continues. If no
 * call has returned -ECANCELED for the cancellation yet, and no other such
 * cancellation is left, no call returns -ECANCELED.
 *
 * @return weir_task_get_cancelling() after the call
 */
WEIR_API uint32_t weir_task_uncancel(weir_task *task);

/**
 * Get a future that is done when the task ends, with the result of the task's
 * function.
 *
 * @return the future, borrowed; valid as long as the program has a reference to
 *         the task
 */
WEIR_API weir_future *weir_task_get_future(weir_task *task);

/**
 * Get the name of a task.
 *
 * @return the name, never NULL; borrowed, valid until weir_task_set_name()
 */
WEIR_API const char *weir_task_get_name(const weir_task *task);

/**
 * Name a task.
 *
 * @param name  the first 31 bytes are copied; NULL removes the name
 */
WEIR_API void weir_task_set_name(weir_task *task, const char *name);

/**
 * Get the running task.
 *
 * @return the task, borrowed; NULL if no task runs, for example in a callback
 */
WEIR_API weir_task *weir_task_get_current(const weir_loop *loop);

/**
 * Sleep for some time.
 *
 * @param delay_ns  the time; with 0 the call is the same as weir_yield(), with
 *                  UINT64_MAX it sleeps until the task is cancelled
 * @return          0 when the time has passed
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_sleep(weir_loop *loop, uint64_t delay_ns);

/**
 * Sleep until a time on the clock of weir_loop_get_time().
 *
 * @param when_ns  the time; with a time in the past the call is the same as
 *                 weir_yield()
 * @return         as weir_sleep()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_sleep_until(weir_loop *loop, uint64_t when_ns);

/**
 * Let other tasks run, until the next loop iteration; asyncio's sleep(0).
 *
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_yield(weir_loop *loop);

/** A time-out scope: a time limit for a part of a task; see
 * weir_timeout_begin(). The task declares the struct, usually as a local
 * variable, and must not copy or move it between begin and end. */
struct weir_timeout {
    /** Used by the library. */
    uint64_t opaque[10];
};

/**
 * Begin a time-out scope: the code of the running task between this call and
 * weir_timeout_end() is limited to @p delay_ns. asyncio's timeout().
 *
 * When the time has passed, the task is interrupted: the call that waits, or
 * the next suspending call, returns -ECANCELED, once. Then weir_timeout_end()
 * changes -ECANCELED to -ETIMEDOUT:
 *
 *     struct weir_timeout limit;
 *     weir_timeout_begin(loop, &limit, WEIR_SECONDS(5));
 *     ssize_t n = weir_reader_readline(reader, line, sizeof(line));
 *     n = weir_timeout_end(&limit, n);
 *
 * An error of this call may be ignored, because the suspending calls inside
 * return it, too. Scopes nest, and end in reverse order. If the task was also
 * cancelled, or an enclosing scope has also expired, weir_timeout_end() returns
 * -ECANCELED, so that the enclosing code can handle that.
 *
 * @param timeout   the scope; held until weir_timeout_end(), which may be
 *                  called even after an error of this call
 * @param delay_ns  the limit; 0 interrupts the next suspending call that would
 *                  wait, UINT64_MAX sets no limit yet
 * @retval WEIR_ENOTTASK  no task runs, for example in a callback
 */
WEIR_API int weir_timeout_begin(weir_loop *loop, struct weir_timeout *timeout,
                                uint64_t delay_ns);

/**
 * Begin a time-out scope that expires at a time on the clock of
 * weir_loop_get_time(); asyncio's timeout_at().
 *
 * @param timeout  the scope; held until weir_timeout_end()
 * @param when_ns  the time; UINT64_MAX sets no limit yet
 * @return         as weir_timeout_begin()
 */
WEIR_API int weir_timeout_begin_at(weir_loop *loop,
                                   struct weir_timeout *timeout,
                                   uint64_t when_ns);

/**
 * Change the time at which a scope expires. Any callback or task of the loop
 * may call this.
 *
 * @param when_ns  the new time, on the clock of weir_loop_get_time();
 *                 UINT64_MAX is no limit
 * @retval -ESTALE  the scope has expired or ended, or its task was parked
 */
WEIR_API int weir_timeout_reschedule(struct weir_timeout *timeout,
                                     uint64_t when_ns);

/**
 * Get the time at which the scope expires.
 *
 * @return the time, on the clock of weir_loop_get_time(); UINT64_MAX is no
 *         limit
 */
WEIR_API uint64_t weir_timeout_get_when(const struct weir_timeout *timeout);

/**
 * Report whether the scope expired before its end.
 *
 * @param timeout  the scope, which may have ended; borrowed
 */
WEIR_API bool weir_timeout_is_expired(const struct weir_timeout *timeout);

/**
 * End a time-out scope. Every scope must be ended: if a task returns inside a
 * scope, or ends scopes out of order, the process ends with a message that has
 * the task's name. If the scope has expired and no call has returned -ECANCELED
 * for it yet, no call will.
 *
 * @param timeout  the innermost scope of the running task
 * @param result   the result of the code inside
 * @return         -ETIMEDOUT if @p result is -ECANCELED because this scope
 *                 expired; otherwise @p result
 */
WEIR_API WEIR_MUST_USE ssize_t weir_timeout_end(struct weir_timeout *timeout,
                                                ssize_t result);

/** A group of tasks; see weir_task_group_begin(). The task declares the struct,
 * usually as a local variable, and must not copy or move it between begin and
 * end. */
struct weir_task_group {
    /** Used by the library. */
    uint64_t opaque[16];
};

/**
 * Begin a group of tasks; asyncio's TaskGroup.
 *
 * When weir_task_group_end() returns, all tasks of the group have ended. The
 * first task that fails, with a negative result other than -ECANCELED, cancels
 * the other tasks of the group and interrupts the task that began the group.
 *
 * @param group  the group; held until weir_task_group_end() returns
 * @retval WEIR_ENOTTASK  no task runs, for example in a callback
 */
WEIR_API WEIR_MUST_USE int weir_task_group_begin(weir_loop *loop,
                                                 struct weir_task_group *group);

/**
 * Start a task in a group. Any callback or task of the loop may call this, even
 * a task of the group.
 *
 * @param ret  as weir_task_spawn()
 * @return     as weir_task_spawn()
 * @retval -ESTALE  a task of the group has failed, the group was cancelled, or
 *                  all its tasks have ended and weir_task_group_end() is about
 *                  to return
 */
WEIR_API WEIR_MUST_USE int
weir_task_group_spawn(struct weir_task_group *group, weir_task_fn *fn,
                      void *arg, const struct weir_task_options *options,
                      weir_task **ret);

/** Cancel all tasks of a group, but not the task that began it. */
WEIR_API void weir_task_group_cancel(struct weir_task_group *group);

/**
 * Wait until all tasks of a group have ended. Every group must be ended: if a
 * task returns without this call, the process ends with a message.
 *
 * If @p result is negative, the tasks of the group are cancelled first. If the
 * waiting task is cancelled, the tasks of the group are cancelled, too, and the
 * call still waits until they have ended. If the waiting task was cancelled and
 * the call returns an error other than -ECANCELED, the next suspending call
 * returns -ECANCELED.
 *
 * @param group   the group, begun by the running task
 * @param result  the result of the code between begin and end
 * @return        the first error of a task of the group. If no task has failed:
 *                @p result, if it is an error other than -ECANCELED; otherwise
 *                -ECANCELED, if the waiting task was cancelled; otherwise @p
 *                result
 * @retval -EINVAL  another task has begun the group
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_task_group_end(struct weir_task_group *group,
                                               int result);

/**
 * Run the loop until a task has ended.
 *
 * The task is the **main task** of the run. SIGINT or SIGTERM announces a stop
 * (weir_loop_announce_stop()) and cancels the main task; a second signal of
 * either kind ends the run at once. Other tasks are not affected. If several
 * main tasks run, each on its own thread, each signal reaches all of them
 * without help from the program.
 *
 * While a main task runs, the process has a handler for both signals, which any
 * thread may execute. No signal is blocked. Forked children and executed
 * programs have the default action for both signals. A signal does not cancel
 * the main task if the program has its own sigaction() for it, ignores it, or
 * blocks it in every thread. If the loop has its own handler for the signal
 * (weir_loop_add_signal_handler()), only that handler is called.
 *
 * @param loop  the loop; held
 * @param ret   set to the result of the task; may be NULL
 * @return      0 when the task has ended, or an error of weir_task_spawn() if
 *              the task was not started
 * @retval -EINTR      a second SIGINT or SIGTERM has arrived; the task has not
 *                     ended
 * @retval -ECANCELED  weir_loop_stop() was called first; the task has not ended
 * @retval -EBUSY      the loop is already running
 * @retval WEIR_ERINGLOST  the kernel lost completions; the task has not ended
 */
WEIR_API WEIR_MUST_USE int weir_loop_run_task(weir_loop *loop, weir_task_fn *fn,
                                              void *arg, int *ret);

/**
 * Make a loop, run a task on it, and free the loop; asyncio.run.
 *
 * When the task has ended, all other tasks are cancelled and run to their end
 * before the loop is freed.
 *
 * SIGINT or SIGTERM interrupts the task: a call that waits returns -ECANCELED,
 * and weir_server_serve_forever() returns 0. A second signal ends the run with
 * -EINTR. To log errors that no call returns, set an exception hook at the
 * start of the task (weir_loop_set_exception_handler()). To use more cores,
 * call this function on several threads; each signal reaches all of them (see
 * weir_loop_run_task()).
 *
 * @param options  the options of the loop; borrowed, NULL for all defaults
 * @return         the result of the task, or an error of weir_loop_new() or
 *                 weir_loop_run_task()
 * @thread any
 */
WEIR_API WEIR_MUST_USE int weir_run(const struct weir_loop_options *options,
                                    weir_task_fn *fn, void *arg);

/**
 * Start a task from another thread; asyncio's run_coroutine_threadsafe.
 *
 * The loop must not be freed during this call. If it might be, use
 * weir_mailbox_call_soon() with a callback that spawns the task.
 *
 * If 0 is returned, either @p fn or @p dropped is called, once, on the loop's
 * thread. @p dropped is called in two cases: inside weir_loop_free(), if the
 * loop is freed before the task has started; and from the loop, if there is no
 * memory for the task. In the second case the loop also calls the exception
 * hook.
 *
 * @param fn       the function of the task, which runs on the loop's thread
 * @param dropped  called with @p arg if the task is not started; may be NULL
 * @retval -ENOBUFS    the loop's post_limit is reached
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended; neither @p fn nor @p dropped will be
 *                     called
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_task_spawn_threadsafe(weir_loop *loop, weir_task_fn *fn, void *arg,
                           weir_callback_fn *dropped);

/**
 * Make the process write the name of a task that overflows its stack before it
 * ends.
 *
 * Installs a handler for SIGSEGV and SIGBUS, with an alternate stack for this
 * thread. When a task has overflowed its stack, the handler writes a line with
 * the task's name and its stack's size to @p fd. Then it passes the signal to
 * the previous handler, or to the system. The process has one handler for all
 * loops; only the first call sets the descriptor.
 *
 * @param loop  a loop that runs on this thread; borrowed. When it is freed, the
 *              alternate stack is removed
 * @param fd    the descriptor to write to, usually 2
 * @return      0, even if the handler is already installed
 * @retval -ENOMEM  no memory
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_report_stack_overflow(weir_loop *loop,
                                                           int fd);

WEIR_END_DECLS

#endif

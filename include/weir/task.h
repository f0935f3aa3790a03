/**
 * @file task.h
 * Tasks: functions that may wait as if they blocked, each on a stack of its
 * own.
 *
 * A task runs until it calls a function that suspends; then the loop goes on,
 * and the task continues from the ready queue once there is a result, never
 * inside a call of other code. Between two suspending calls nothing else runs
 * on the loop.
 *
 * **Suspending calls** are marked "suspends yes" and have in common:
 * - WEIR_ENOTTASK outside a task: in a callback of the loop or of a protocol,
 *   or where no loop runs. -EPERM on another thread, -ECHILD after fork().
 * - -ECANCELED when the task was cancelled or an enclosing time-out expired.
 *   Nothing was consumed, taken or lost then.
 * - A call that need not wait returns without suspending; but after 128 of them
 *   other tasks run, so that none can keep the loop to itself. A task whose
 *   calls are quick goes on for 20 us more, and for 2048 calls in all. In a
 *   crowded loop, whose last turn took more than a millisecond and left work,
 *   it is after 8 of them, and the clock is looked at each time their number
 *   has doubled.
 * - Their results are not to be ignored: a loop that does not look at them
 *   never ends.
 *
 * **Cancellation** reaches the innermost wait of the task and is told once, by
 * one call that returns -ECANCELED:
 * - Where the task was cancelled before a suspending call, this call returns
 *   -ECANCELED, also where it would not have had to wait.
 * - Where the task is cancelled while a call waits, the wait ends and the call
 *   returns -ECANCELED. If it has another result nevertheless (a result that
 *   came first, or the end of the awaited object), it returns that, and the
 *   next call returns -ECANCELED.
 * - Later calls work again, so that a task can clean up.
 * - A task that is cancelled before it first ran runs all the same, and its
 *   first suspending call fails (a difference from asyncio: the function must
 *   free what the task was given).
 * - While the loop is being freed, every suspending call returns -ECANCELED.
 *   Waits that go on until a task has ended do so then too, unless tasks wait
 *   for each other in a circle: that is broken at the wait of the task that was
 *   started last.
 *
 * A task that goes on calling while the loop is being freed, without looking at
 * its results, is **parked** after 10 000 such calls: it never runs again, for
 * all others it has ended with -ECANCELED, and the exception hook gets its
 * name. Its stack is freed with the loop, and so is the stream of a
 * connection's handler; but other things that the stack refers to (memory,
 * descriptors, handles) are not released, and a handle to an object of the loop
 * keeps the loop's memory.
 *
 * **Time-outs** are scopes; see weir_timeout_begin().
 *
 * **Stacks** have a fixed size, 256 KiB unless options say otherwise. Memory is
 * taken for the pages that were touched and 2 bytes of page tables for each KiB
 * of addresses; a quiet task of the default size costs 5.5 KB in all. Below
 * each stack are 256 KiB of addresses that cannot be used, its guard. Limits
 * that count addresses and not pages (RLIMIT_AS, RLIMIT_DATA, a
 * vm.overcommit_memory of 2) count both: 512 KiB for a task of the default
 * size; beyond them tasks are refused with -ENOMEM. A touch of the guard ends
 * the process with SIGSEGV, and weir_loop_report_stack_overflow() names the
 * task. The guard catches:
 * - Deep recursion, and any frame that is smaller than the guard: always.
 * - A larger frame (an array of megabytes as a local, alloca, an array of
 *   variable length): where its code was compiled with
 *   -fstack-clash-protection, as all code is that takes its flags from weir's
 *   pkg-config file or meson dependency. Other code can reach beyond the guard
 *   into the stack of another task, and nothing notices: give the flag to
 *   libraries that you build, or call code with such frames in the executor.
 * - A write through a wrong pointer: only if it happens to hit a guard.
 *
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

/** The function of a task, whose result is the task's; negative: an error. */
typedef int weir_task_fn(weir_loop *loop, void *arg);

/** Options of weir_task_spawn(); zero is the default everywhere. */
struct weir_task_options {
    /** sizeof(struct weir_task_options). */
    size_t size;
    /** For dumps, reports and messages; the first 31 bytes are copied. */
    const char *name;
    /** Stack in bytes, from 16 KiB to 1 GiB, rounded up to a power of two;
     * default: the loop's (256 KiB). Only pages that are touched take memory;
     * see the head of this file. */
    size_t stack_size_bytes;
};

/**
 * Start a task; it first runs from the ready queue. May be called from anywhere
 * on the loop, callbacks included; asyncio's create_task.
 *
 * When the task ends with an error other than -ECANCELED and has no handle, the
 * loop calls the exception hook.
 *
 * @param loop     the loop; borrowed
 * @param fn       the function of the task
 * @param arg      passed to it
 * @param options  borrowed; NULL for all defaults
 * @param ret      the task; one reference is given, see weir_task_ref(). NULL:
 *                 none
 * @return         0
 * @retval -EINVAL     no function, or no such stack size
 * @retval -E2BIG      options of a newer library with an unknown field set
 * @retval -ENOMEM     no memory
 * @retval WEIR_ESTACKLIMIT  no more guarded stacks: the kernel is older than
 *                     Linux 6.13 and vm.max_map_count is reached
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int
weir_task_spawn(weir_loop *loop, weir_task_fn *fn, void *arg,
                const struct weir_task_options *options, weir_task **ret);

/**
 * Wait for a task's end and give a reference back.
 *
 * When the waiting task is cancelled, so is @p task, and the call waits until
 * it has ended; see weir_future_await().
 *
 * @param task  one reference is taken, whatever is returned but -EPERM and
 *              -ECHILD
 * @param ret   the result of its function, also beside -ECANCELED; may be NULL
 * @return      0 when it has ended
 * @retval -ECANCELED  this task was cancelled
 * @retval -EDEADLK    a task cannot wait for itself
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_task_join(weir_task *task, int *ret);

/**
 * Give a reference back, as weir_task_unref() does, where it is the handle that
 * the spawn gave: the task goes on by itself.
 *
 * @param task  one reference is taken; NULL is ignored
 */
WEIR_API void weir_task_detach(weir_task *task);

/**
 * Take another reference to a task.
 *
 * Each reference, that of the spawn and those of this call alike, is given back
 * once: by weir_task_unref(), weir_task_detach() or weir_task_join(). The task
 * runs whether there are references or not; the last one frees what is left of
 * it once it has ended.
 *
 * @param task  the task; borrowed
 * @return      @p task; one reference is given
 */
WEIR_API weir_task *weir_task_ref(weir_task *task);

/**
 * Give a reference to a task back.
 *
 * @param task  one reference is taken; NULL is ignored
 */
WEIR_API void weir_task_unref(weir_task *task);

/**
 * Cancel a task; see the head of this file.
 *
 * @param task  the task; borrowed; may be the running one, whose next
 *              suspending call then fails
 * @return      true unless it has ended
 */
WEIR_API bool weir_task_cancel(weir_task *task);

/**
 * How many cancellations the task was sent and has not taken back with
 * weir_task_uncancel(). A time-out that is over counts as one until its scope
 * ends; that one cannot be taken back.
 *
 * @param task  the task; borrowed
 * @return      a count
 */
WEIR_API uint32_t weir_task_get_cancelling(const weir_task *task);

/**
 * Take one cancellation back: the task has caught it and continues.
 *
 * Where none is left, and no call has returned -ECANCELED for the last one yet,
 * none will.
 *
 * @param task  the task; borrowed
 * @return      weir_task_get_cancelling() after it
 */
WEIR_API uint32_t weir_task_uncancel(weir_task *task);

/**
 * The end of a task as a future, done with the result of its function.
 *
 * @param task  the task; borrowed
 * @return      the future; borrowed, lives as long as the handle
 */
WEIR_API weir_future *weir_task_get_future(weir_task *task);

/**
 * The name of a task.
 *
 * @param task  the task; borrowed
 * @return      the name, never NULL; borrowed, changes with
 *              weir_task_set_name()
 */
WEIR_API const char *weir_task_get_name(const weir_task *task);

/**
 * Name a task.
 *
 * @param task  the task; borrowed
 * @param name  the first 31 bytes are copied; NULL for none
 */
WEIR_API void weir_task_set_name(weir_task *task, const char *name);

/**
 * The running task.
 *
 * @param loop  the loop; borrowed
 * @return      the task, borrowed; NULL outside of tasks
 */
WEIR_API weir_task *weir_task_get_current(const weir_loop *loop);

/**
 * Sleep.
 *
 * @param loop      the loop; borrowed
 * @param delay_ns  how long; 0: like weir_yield(); UINT64_MAX: until cancelled
 * @return          0 after that time
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_sleep(weir_loop *loop, uint64_t delay_ns);

/**
 * Sleep until a time on the clock of weir_loop_get_time().
 *
 * @param loop     the loop; borrowed
 * @param when_ns  the time; a past one: like weir_yield()
 * @return         as weir_sleep()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_sleep_until(weir_loop *loop, uint64_t when_ns);

/**
 * Let other tasks run, and go on in the next turn of the loop; asyncio's
 * sleep(0).
 *
 * @param loop  the loop; borrowed
 * @return      0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_yield(weir_loop *loop);

/**
 * A time limit around a part of a task; see weir_timeout_begin(). Lives where
 * the task declares it and stays there from begin to end.
 */
struct weir_timeout {
    /** The library's. */
    uint64_t opaque[10];
};

/**
 * Begin a part of the running task that may take no longer than @p delay_ns.
 *
 * After the time the task is interrupted: its innermost wait, or its next
 * suspending call, returns -ECANCELED, once. weir_timeout_end() then turns that
 * into -ETIMEDOUT where the time was over:
 *
 *     struct weir_timeout limit;
 *     weir_timeout_begin(loop, &limit, WEIR_SECONDS(5));
 *     ssize_t n = weir_reader_readline(reader, line, sizeof(line));
 *     n = weir_timeout_end(&limit, n);
 *
 * An error of this call may be ignored: the suspending calls inside return it
 * too. Scopes nest; they end in the reverse order. When the task is cancelled
 * too, or the time of an enclosing scope is over as well, the result stays
 * -ECANCELED: the outermost reason wins. asyncio's timeout().
 *
 * @param loop      the loop; borrowed
 * @param timeout   the scope; held until weir_timeout_end(), which may be
 * called after an error too
 * @param delay_ns  0: the next suspending call that would wait is interrupted;
 *                  UINT64_MAX: no limit yet
 * @return          0
 * @retval WEIR_ENOTTASK  not in a task
 * @retval -EPERM         another thread than the loop's
 * @retval -ECHILD        the loop was made before fork()
 */
WEIR_API int weir_timeout_begin(weir_loop *loop, struct weir_timeout *timeout,
                                uint64_t delay_ns);

/**
 * Begin a time-out that ends at a time on the clock of weir_loop_get_time();
 * asyncio's timeout_at().
 *
 * @param loop     the loop; borrowed
 * @param timeout  the scope; held until weir_timeout_end()
 * @param when_ns  UINT64_MAX: no limit yet
 * @return         as weir_timeout_begin()
 */
WEIR_API int weir_timeout_begin_at(weir_loop *loop,
                                   struct weir_timeout *timeout,
                                   uint64_t when_ns);

/**
 * Move the limit. May be called from anywhere on the loop.
 *
 * @param timeout  the scope; borrowed
 * @param when_ns  on the clock of weir_loop_get_time(); UINT64_MAX: no limit
 * @return         0
 * @retval -ESTALE  the time was over already, the scope has ended, or its task
 *                  was parked
 */
WEIR_API int weir_timeout_reschedule(struct weir_timeout *timeout,
                                     uint64_t when_ns);

/**
 * The time at which the scope is over.
 *
 * @param timeout  the scope; borrowed
 * @return         on the clock of weir_loop_get_time(); UINT64_MAX: no limit
 */
WEIR_API uint64_t weir_timeout_get_when(const struct weir_timeout *timeout);

/**
 * Tell whether the time was over before the scope ended.
 *
 * @param timeout  the scope, also after its end; borrowed
 * @return         true from then on
 */
WEIR_API bool weir_timeout_is_expired(const struct weir_timeout *timeout);

/**
 * End a scope; must be called: a task that returns inside one ends the process
 * with a message that has its name, as one does that ends scopes out of order.
 *
 * Where its time is over and no call has returned -ECANCELED for that yet, none
 * will.
 *
 * @param timeout  the innermost scope of the running task
 * @param result   the result of the code inside
 * @return         @p result; but -ETIMEDOUT when it is -ECANCELED because the
 *                 time of this scope was over
 */
WEIR_API ssize_t weir_timeout_end(struct weir_timeout *timeout, ssize_t result);

/**
 * Tasks that end together; see weir_task_group_begin(). Lives where the task
 * declares it and stays there from begin to end.
 */
struct weir_task_group {
    /** The library's. */
    uint64_t opaque[16];
};

/**
 * Begin a group of tasks; asyncio's TaskGroup.
 *
 * Tasks that are spawned into the group have ended when weir_task_group_end()
 * returns, whatever happens. The first that fails (with a negative result other
 * than -ECANCELED) cancels its siblings and interrupts the task that began the
 * group.
 *
 * @param loop   the loop; borrowed
 * @param group  the group; held until weir_task_group_end() returns
 * @return       0
 * @retval WEIR_ENOTTASK  not in a task
 */
WEIR_API WEIR_MUST_USE int weir_task_group_begin(weir_loop *loop,
                                                 struct weir_task_group *group);

/**
 * Start a task in a group. May be called from anywhere on the loop, members of
 * the group included.
 *
 * @param group    the group; borrowed
 * @param fn       the function of the task
 * @param arg      passed to it
 * @param options  borrowed; NULL for all defaults
 * @param ret      as weir_task_spawn()
 * @return         as weir_task_spawn()
 * @retval -ESTALE  the group is ending or has ended: a member has failed, it
 *                  was cancelled, or all members have ended in
 *                  weir_task_group_end()
 */
WEIR_API WEIR_MUST_USE int
weir_task_group_spawn(struct weir_task_group *group, weir_task_fn *fn,
                      void *arg, const struct weir_task_options *options,
                      weir_task **ret);

/**
 * Cancel all tasks of a group, without interrupting the one that began it.
 *
 * @param group  the group; borrowed
 */
WEIR_API void weir_task_group_cancel(struct weir_task_group *group);

/**
 * Wait until all tasks of a group have ended; must be called: a task that
 * returns with an open group ends the process.
 *
 * A negative @p result cancels the tasks first. A cancellation of the waiting
 * task cancels them too, and the call still waits until they have ended. Where
 * the call returns an error instead, the next suspending call is cancelled.
 *
 * @param group   the group, begun by the running task
 * @param result  the result of the code between begin and end
 * @return        the first error of a member; otherwise @p result where that is
 *                an error other than -ECANCELED; otherwise -ECANCELED when the
 *                waiting task was cancelled; otherwise @p result
 * @retval -EINVAL  another task began the group
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_task_group_end(struct weir_task_group *group,
                                               int result);

/**
 * Run the loop until a task has ended.
 *
 * SIGINT or SIGTERM cancels the task; a second one of either ends the run at
 * once. Other tasks stay as they are. Where several main tasks run, each on a
 * thread of its own, each signal reaches all of them: the program need do
 * nothing for that.
 *
 * For as long as a main task runs, the process has a handler for both signals,
 * which any thread may execute. No signal is blocked, and programs that this
 * one executes (fork and exec, posix_spawn) start with the default for both, as
 * a forked child does. A signal for which the program has a sigaction() of its
 * own, which it ignores, or which every thread blocks, is left alone. A signal
 * that this loop handles (weir_loop_add_signal_handler()) goes to that handler
 * and not to the task.
 *
 * @param loop  the loop; held
 * @param fn    the function of the task
 * @param arg   passed to it
 * @param ret   its result; may be NULL
 * @return      0 when the task has ended; an error of weir_task_spawn() when it
 *              was not started
 * @retval -EINTR      a second SIGINT or SIGTERM; the task is still there
 * @retval -ECANCELED  weir_loop_stop() came first; the task is still there
 * @retval -EBUSY      the loop is running already
 * @retval -EPERM      another thread than the loop's
 * @retval -ECHILD     the loop was made before fork()
 * @retval WEIR_ERINGLOST  the kernel lost completions; the task is still there
 */
WEIR_API WEIR_MUST_USE int weir_loop_run_task(weir_loop *loop, weir_task_fn *fn,
                                              void *arg, int *ret);

/**
 * Make a loop, run a task on it, and end it; asyncio.run.
 *
 * When the task has ended, all others are cancelled and run to their end
 * before the loop is freed.
 *
 * To learn of failures that no call returns, set an exception hook first thing
 * in the task. SIGINT or SIGTERM makes a task that serves for ever return
 * -ECANCELED, which is its regular end; a second one ends the run with -EINTR.
 * For more cores call this function on several threads: each gets the signals
 * (see weir_loop_run_task()).
 *
 * @param options  of the loop; borrowed, NULL for all defaults
 * @param fn       the function of the task
 * @param arg      passed to it
 * @return         the result of the task, or an error of weir_loop_new() or
 *                 weir_loop_run_task()
 * @thread any
 */
WEIR_API WEIR_MUST_USE int weir_run(const struct weir_loop_options *options,
                                    weir_task_fn *fn, void *arg);

/**
 * Start a task from another thread; asyncio's run_coroutine_threadsafe.
 *
 * The loop must not be freed during the call. Where it might, post a callback
 * that spawns (weir_remote_call_soon()).
 *
 * After 0, exactly one of @p fn and @p dropped is called, once. @p dropped is
 * called on the loop's thread: from inside weir_loop_free() when the loop is
 * freed first, or when there is no memory for the task; then the loop calls the
 * exception hook as well.
 *
 * @param loop     the loop; borrowed
 * @param fn       the function of the task, on the loop's thread
 * @param arg      passed to it
 * @param dropped  called with @p arg when the task is not started; may be NULL
 * @return         0
 * @retval -EINVAL     no function
 * @retval -ENOMEM     no memory
 * @retval -ENOBUFS    as many posts wait as the loop's post_limit allows
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended; neither will be called
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_task_spawn_threadsafe(weir_loop *loop, weir_task_fn *fn, void *arg,
                           weir_callback_fn *dropped);

/**
 * Write the name of a task that overruns its stack.
 *
 * Installs a handler for SIGSEGV and SIGBUS, on an alternate stack for this
 * thread, that writes one line with the task's name and its stack's size to
 * @p fd and then passes the signal on to the handler from before, or to the
 * system. The handler is for the whole process; the first descriptor counts.
 *
 * @param loop  a loop that runs on this thread; borrowed. Its end takes the
 *              alternate stack away
 * @param fd    the descriptor to write to, mostly 2
 * @return      0, also when the handler is installed already
 * @retval -ENOMEM  no memory
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_report_stack_overflow(weir_loop *loop,
                                                           int fd);

WEIR_END_DECLS

#endif

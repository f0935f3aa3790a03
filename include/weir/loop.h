/**
 * @file loop.h
 * The event loop: one thread, one ring.
 *
 * An iteration of the loop submits operations and waits for completions in one
 * system call. Then it passes the completions to their connections, expires
 * timers, and runs the callbacks and tasks that are in the ready queue by then.
 * Finally it sends written bytes and frees closed objects. Callbacks and tasks
 * that completions and timers make ready run in the same iteration; callbacks
 * and tasks that ready callbacks add run in the next iteration. If the ready
 * queue is long, an iteration runs only its first entries, at least 128 and at
 * most 4096. In between it stops when a millisecond has passed and it has run
 * as many entries as it had completions.
 *
 * Before a run returns, written bytes have been passed to the kernel. If an
 * earlier send of the same connection is still in flight, later bytes follow in
 * the next run.
 *
 * The first run binds the loop to its thread. To use more cores, run one loop
 * per thread (threads.h).
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include "base.h"

#include <stdio.h>

WEIR_BEGIN_DECLS

/** The kernel interface of a loop. */
enum weir_engine {
    /** io_uring, or epoll if io_uring is refused. The environment variable
     * WEIR_ENGINE overrides this with "uring" or "poll". */
    WEIR_ENGINE_AUTO,
    /** io_uring. If it is refused, weir_loop_new() fails. */
    WEIR_ENGINE_URING,
    /** epoll with non-blocking calls, and up to four threads for calls that may
     * block, for example on files. It is slower than io_uring, and a call that
     * a thread has begun cannot be cancelled. */
    WEIR_ENGINE_POLL
};

/** Options of weir_loop_new(). */
struct weir_loop_options {
    size_t size;
    /** The source of memory; held; default malloc and free. */
    const struct weir_allocator *allocator;
    /** Submission entries of the ring, at most 32768, rounded up to a power of
     * two; default 512. When all are used, they are submitted before the end of
     * the iteration. */
    uint32_t sq_entries;
    /** Completion entries of the ring, at most 65536, rounded up to a power of
     * two, and at least twice sq_entries; default 4096. If RLIMIT_MEMLOCK is
     * too low, the loop starts with fewer entries. It adds entries later if
     * they did not suffice and the kernel can resize the ring (Linux 6.13). */
    uint32_t cq_entries;
    /** Received bytes that all connections together may hold, at least 1 MiB;
     * default 64 MiB. One connection may hold a sixteenth of the unused part of
     * the first half, but always 8 KiB; the second half is a reserve for these
     * 8 KiB. */
    uint64_t held_limit_bytes;
    /** Report callbacks that run longer than this time, in nanoseconds, to the
     * exception hook; 0 reports none. */
    uint64_t slow_callback_ns;
    /** Stack size of tasks in bytes, from 16 KiB to 1 GiB, rounded up to a
     * power of two; default 256 KiB. Only touched pages take memory; see the
     * head of task.h. */
    size_t stack_size_bytes;
    /** Calls of other threads (weir_loop_call_soon_threadsafe() and similar
     * functions) that may wait to run; default 65536. At this limit the next
     * call is refused with -ENOBUFS, or waits, depending on the function. A
     * waiting call takes 40 bytes and, in a busy loop, about 10 ns for
     * sorting. */
    uint32_t post_limit;
    /** Bytes that may wait to be sent in all connections together, at least 1
     * MiB; default 64 MiB. While more than a quarter of the limit waits, each
     * connection has a share: a sixteenth of the difference between half of
     * the limit and the bytes that wait, but at least 16 KiB. If more bytes
     * of a connection wait than its share, pause_writing is called, and nothing
     * more is received from its peer. */
    uint64_t queued_limit_bytes;
    /** The engine; default WEIR_ENGINE_AUTO. */
    enum weir_engine engine;
};

/**
 * Make a loop.
 *
 * If the kernel refuses io_uring, or a part of it that a loop needs, the loop
 * uses epoll. weir_loop_get_engine() and a notice to the exception hook
 * (WEIR_NOTICE_ENGINE) have the reason: WEIR_ERINGSYSCTL, WEIR_ERINGSECCOMP,
 * WEIR_ERINGABSENT, WEIR_ERINGOLD or WEIR_ERINGMEMLOCK, rarely another error of
 * the kernel. The text of weir_strerror() for the error includes the remedy.
 * Each loop of a program tries io_uring itself. With WEIR_ENGINE_URING the
 * reason is returned as an error instead.
 *
 * The kernel counts the pages of a closed ring for a few more milliseconds. If
 * RLIMIT_MEMLOCK is so low that this matters, for example when a program is
 * restarted, this call blocks the thread until the pages are free. It waits 100
 * ms for memory for all requested entries, then up to a second in all for as
 * many entries as possible, and longer on a busy machine. Because of this wait,
 * a thread that needs two loops should make both before it runs the first one.
 * After a wait without success later calls do not wait.
 *
 * @retval -EINVAL  an option, or the environment variable WEIR_ENGINE, has an
 *                  invalid value
 * @retval -EMFILE  the process has no free descriptor
 * @retval WEIR_ERINGSYSCTL   io_uring is switched off by sysctl
 * @retval WEIR_ERINGSECCOMP  a seccomp filter refuses io_uring
 * @retval WEIR_ERINGABSENT   the kernel has no io_uring
 * @retval WEIR_ERINGOLD      the kernel is older than Linux 6.1
 * @retval WEIR_ERINGMEMLOCK  too little locked memory is allowed
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_loop_new(const struct weir_loop_options *options, weir_loop **ret);

/**
 * Get the engine of a loop, and the reason if it is not io_uring.
 *
 * @param ret_reason  set to the error with which io_uring was refused
 *                    (WEIR_ERINGSECCOMP and others, for weir_strerror()), or to
 *                    0 if it was not tried or not refused; may be NULL
 * @return            WEIR_ENGINE_URING or WEIR_ENGINE_POLL
 * @thread any
 */
WEIR_API enum weir_engine weir_loop_get_engine(const weir_loop *loop,
                                               int *ret_reason);

/**
 * Run until weir_loop_stop(); asyncio's run_forever.
 *
 * @param loop  the loop; held
 * @return      0 after weir_loop_stop(), or the error that made the ring
 *              unusable
 * @retval -EBUSY   the loop is running already
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int weir_loop_run(weir_loop *loop);

/** A condition of weir_loop_run_until(). Returns true when it holds. */
typedef bool weir_predicate_fn(void *arg);

/**
 * Run until a condition holds; asyncio's run_until_complete.
 *
 * @param loop       the loop; held
 * @param condition  called before the first and after each iteration
 * @return           0 if the condition holds
 * @retval -ECANCELED  weir_loop_stop() was called first
 * @retval -EINVAL  @p condition is NULL
 * @retval -EBUSY   the loop is running already
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int
weir_loop_run_until(weir_loop *loop, weir_predicate_fn *condition, void *arg);

/** End the run after the current iteration. If this is called before a run, the
 * run makes exactly one iteration, without waiting. */
WEIR_API void weir_loop_stop(weir_loop *loop);

/**
 * Announce a graceful stop to the tasks of this loop: weir_loop_is_stopping()
 * is true from now on, and tasks that wait for it (weir_waitable_stop()) are
 * woken. Nothing else happens: no task is cancelled, no server is stopped, and
 * the run continues.
 *
 * A program calls this before it stops its servers itself. The library
 * announces a stop, on the loop's thread and before the main task is cancelled,
 * for:
 * - the first SIGINT or SIGTERM in weir_run() and weir_loop_run_task();
 * - weir_threads_stop(), on each of the loops, and therefore for signals that
 *   stop threads and for the error of a main task.
 *
 * Tasks that wait for the stop run before servers of the loop close
 * connections, even if the program stops the servers in the same callback
 * (weir_server_stop(), weir_server_close_clients(),
 * weir_server_serve_forever()). The bytes that such a task writes until it
 * suspends are sent before its connections end. But if the connections are
 * aborted, by weir_server_abort_clients() or because the grace period is 0,
 * these bytes are dropped.
 */
WEIR_API void weir_loop_announce_stop(weir_loop *loop);

/**
 * Report whether a graceful stop was announced.
 *
 * @return true after weir_loop_announce_stop(), until weir_loop_run_task()
 *         begins another main task
 */
WEIR_API bool weir_loop_is_stopping(const weir_loop *loop);

/** Report whether a run of the loop is under way. This is true inside the
 * loop's callbacks and tasks. */
WEIR_API bool weir_loop_is_running(const weir_loop *loop);

/**
 * Get the loop that runs a callback or a task in the calling thread; asyncio's
 * get_running_loop. During weir_loop_free() this is the loop that is being
 * freed. If one loop runs inside a callback or a task of another loop, this is
 * the inner loop.
 *
 * @return  the loop, borrowed; NULL if no loop runs in this thread, for example
 *          in a thread of an executor. In a forked child a loop of the parent
 *          does not count
 * @thread any
 */
WEIR_API weir_loop *weir_get_running_loop(void);

/**
 * Free a loop.
 *
 * Servers are closed, connections are aborted, connection_lost is called for
 * them, and pending callbacks are dropped. Calls of other threads that have not
 * run are dropped, and their @c dropped callbacks are called. The call waits
 * for all operations in the kernel, even if a file system does not answer.
 * Handles and leases stay valid until the program releases its references.
 *
 * @param loop  taken, unless an error is returned; NULL is ignored
 * @return      number of connections that were still open
 * @retval -EBUSY   the loop is running, or being freed already
 * @retval -EPERM   the loop has run in another thread. Only that thread can
 *                  free the loop; if the thread ends before, the loop's memory
 *                  and descriptors are kept until the process ends
 * @retval -ECHILD  the caller is a forked child; nothing is freed, because the
 *                  child shares the ring with its parent
 */
WEIR_API int weir_loop_free(weir_loop *loop);

/** Return idle memory to the system: free unused receive buffers, memory
 * blocks, objects and stacks. The loop does this itself a few seconds after
 * connections were lost or many tasks have ended; this call is for a program
 * that knows that a busy period has ended. With the default allocator this call
 * also calls malloc_trim() if a megabyte or more was freed. The loop itself
 * does not, because malloc_trim() takes milliseconds in a large process. */
WEIR_API int weir_loop_trim(weir_loop *loop);

/**
 * Get the time of the current iteration: CLOCK_MONOTONIC, read once per
 * iteration; outside a run, read at each call.
 *
 * @return nanoseconds
 */
WEIR_API uint64_t weir_loop_get_time(const weir_loop *loop);

/** A callback of the loop. */
typedef void weir_callback_fn(void *arg);

/** Identifies a pending callback. It is a plain value, which needs no release.
 * All zero means no callback. */
struct weir_handle {
    /** The callback's index in the loop's table. */
    uint32_t index;
    /** The number of earlier callbacks at this index, modulo 2^32. */
    uint32_t generation;
};

/**
 * Call a function from the ready queue, in order; never inside this call.
 *
 * A callback that a ready callback adds runs in the next iteration. A callback
 * that a protocol callback or a timer adds runs in the same iteration, unless
 * the ready queue has more work than an iteration takes.
 *
 * @param ret  a handle for cancelling; may be NULL
 */
WEIR_API WEIR_MUST_USE int weir_loop_call_soon(weir_loop *loop,
                                               weir_callback_fn *cb, void *arg,
                                               struct weir_handle *ret);

/**
 * Call a function after some time.
 *
 * The loop adds at most 1.024 us to the delay. An exception: the loop is more
 * than 1 ms late, and the kernel has more completions than one iteration
 * handles. Then the loop handles completions first, for at most 64 iterations
 * or 10 ms.
 *
 * Callbacks whose times differ by more than 1.024 us run in the order of their
 * times. An exception: if callbacks are late, a callback that is then set for a
 * time in the past runs before them. A callback whose time overflows is never
 * called.
 *
 * @param delay_ns  the delay after weir_loop_get_time(), in nanoseconds
 * @param ret       a handle for cancelling; may be NULL
 * @return          as weir_loop_call_soon()
 */
WEIR_API WEIR_MUST_USE int weir_loop_call_later(weir_loop *loop,
                                                uint64_t delay_ns,
                                                weir_callback_fn *cb, void *arg,
                                                struct weir_handle *ret);

/**
 * Call a function at a time.
 *
 * @param when_ns  the time, on the clock of weir_loop_get_time(). Callbacks
 *                 with a time in the past are called without delay, from the
 *                 loop, the earliest first
 * @param ret      a handle for cancelling; may be NULL
 * @return         as weir_loop_call_soon()
 */
WEIR_API WEIR_MUST_USE int weir_loop_call_at(weir_loop *loop, uint64_t when_ns,
                                             weir_callback_fn *cb, void *arg,
                                             struct weir_handle *ret);

/**
 * Cancel a pending callback. The call has no effect if the callback has run or
 * was cancelled before, or if the handle is all zero.
 *
 * @param handle  the callback
 * @return        true if the callback was pending and will not run
 */
WEIR_API bool weir_handle_cancel(weir_loop *loop, struct weir_handle handle);

/**
 * Change the time of a pending callback of weir_loop_call_later() or
 * weir_loop_call_at(). Its handle stays valid.
 *
 * @param handle   the callback
 * @param when_ns  the new time
 * @return         true if the callback was pending
 */
WEIR_API bool weir_handle_reschedule(weir_loop *loop, struct weir_handle handle,
                                     uint64_t when_ns);

/**
 * Call a function on the loop's thread, from any thread; wakes the loop.
 *
 * A **post** is one such call. The function runs from the ready queue of the
 * iteration that finds the post. Posts of one thread run in the order of their
 * calls; posts of the loop's own thread are ordered with weir_loop_call_soon().
 * An iteration runs at most 4096 posts, and more only to keep the order, if a
 * weir_loop_call_soon() follows a post of the loop's own thread. The loop must
 * not be freed during this call; use a weir_mailbox if it might be.
 *
 * If 0 is returned, either @p cb or @p dropped is called, once. @p cb is called
 * from the loop. If the loop is freed before that, @p dropped is called inside
 * weir_loop_free(), on the thread that frees the loop; if
 * weir_loop_cancel_posted() cancels the post, @p dropped is called from the
 * loop. After an error neither is called. A stopped loop keeps its posts for
 * the next run.
 *
 * @param dropped  called with @p arg if @p cb will not run, to free @p arg or
 *                 to notify a waiting thread; it must not use the loop; may be
 *                 NULL
 * @retval -ENOBUFS    the loop's post_limit is reached
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_loop_call_soon_threadsafe(weir_loop *loop, weir_callback_fn *cb, void *arg,
                               weir_callback_fn *dropped);

/**
 * Cancel posts that have not run: the dropped callback of each post is called
 * instead of @p cb, if it has one.
 *
 * All waiting posts with the same @p cb and @p arg are cancelled, so @p arg
 * should identify the post. No post can begin to run during the call, but a
 * post that another thread is about to make is not found. A cancelled post
 * counts against the loop's post_limit until it would have run.
 *
 * @param cb  the function that was posted
 * @return    number of cancelled posts
 */
WEIR_API size_t weir_loop_cancel_posted(weir_loop *loop, weir_callback_fn *cb,
                                        void *arg);

/**
 * Get the loop's mailbox, which outlives the loop.
 *
 * @return the mailbox; one reference is given
 */
WEIR_API weir_mailbox *weir_loop_get_mailbox(weir_loop *loop);

/**
 * Take another reference to a mailbox.
 *
 * @thread any
 */
WEIR_API weir_mailbox *weir_mailbox_ref(weir_mailbox *mailbox);

/**
 * Release a reference to a mailbox.
 *
 * @thread any
 */
WEIR_API void weir_mailbox_unref(weir_mailbox *mailbox);

/**
 * Call a function on the loop's thread, from any thread, like
 * weir_loop_call_soon_threadsafe(); but the loop may have been freed.
 *
 * @param dropped  called with @p arg inside weir_loop_free() if the loop is
 *                 freed first; may be NULL
 * @return         0 if either @p cb or @p dropped will be called
 * @retval -ENOBUFS    the loop's post_limit is reached
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended; neither function will be called
 * @thread any
 */
WEIR_API WEIR_MUST_USE int weir_mailbox_call_soon(weir_mailbox *mailbox,
                                                  weir_callback_fn *cb,
                                                  void *arg,
                                                  weir_callback_fn *dropped);

/**
 * Call a function on the loop's thread, from any thread, like
 * weir_mailbox_call_soon(); but block the calling thread while the post_limit
 * is reached. The loop's own thread is never blocked, because it would wait for
 * itself. Before the first run the loop's own thread is the thread that made
 * the loop.
 *
 * @param dropped     as in weir_mailbox_call_soon()
 * @param timeout_ns  the longest wait; UINT64_MAX is no limit
 * @return            0 if either @p cb or @p dropped will be called
 * @retval -ETIMEDOUT  the limit was reached for the whole time
 * @retval -EDEADLK    the limit is reached, and the caller is the loop's own
 *                     thread
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended; neither function will be called
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_mailbox_call_soon_wait(weir_mailbox *mailbox, weir_callback_fn *cb,
                            void *arg, weir_callback_fn *dropped,
                            uint64_t timeout_ns);

/** Called on the loop when a signal has arrived. */
typedef void weir_signal_fn(void *arg, int signum);

/**
 * Handle a signal on the loop.
 *
 * While a loop handles the signal, the process has a handler for it. Any thread
 * may execute the handler, which notifies the loop: other threads need not
 * block the signal. Calls that the handler interrupts, such as poll() and
 * nanosleep(), may return EINTR, in all threads. The calling thread unblocks
 * the signal if it blocks it. A forked child has the previous action, and
 * executed programs start with the default action.
 *
 * Replaces an earlier handler of this loop for the same signal, and the
 * program's own sigaction(). The signal reaches each loop that handles it. The
 * function is called once for each delivery by the kernel; the kernel may merge
 * signals that arrive together.
 *
 * A program with weir_run() or weir_loop_run_task() needs no handler for SIGINT
 * and SIGTERM: these calls handle both, on any number of threads.
 *
 * @param signum  the signal
 * @param cb      the function
 * @retval -EINVAL  @p signum is not a signal, or is SIGKILL, SIGSTOP, SIGSEGV,
 *                  SIGBUS, SIGFPE or SIGILL; or @p cb is NULL
 */
WEIR_API WEIR_MUST_USE int weir_loop_add_signal_handler(weir_loop *loop,
                                                        int signum,
                                                        weir_signal_fn *cb,
                                                        void *arg);

/**
 * Stop handling a signal.
 *
 * A signal that has arrived but whose function has not been called is dropped,
 * by this call and by weir_loop_free(). Afterwards the thread blocks the signal
 * if it did before; and when no loop handles the signal any more, the previous
 * action is restored, unless the program has set another one.
 *
 * @param signum  the signal
 * @return        true if the loop had a handler for the signal
 */
WEIR_API bool weir_loop_remove_signal_handler(weir_loop *loop, int signum);

/** The subject of a notice to the exception hook. A notice is not an error, but
 * a program may want to log it. */
enum weir_notice {
    /** The hook was called with an error, not with a notice. */
    WEIR_NOTICE_NONE,
    /** A callback ran for duration_ns nanoseconds, longer than
     * slow_callback_ns. */
    WEIR_NOTICE_SLOW,
    /** io_uring was refused, and the loop uses epoll; err is the reason, as
     * from weir_loop_get_engine(). Sent once per process, in the first
     * iteration of a loop that has a hook, because other loops are usually
     * refused for the same reason. Not sent if the program chose epoll. */
    WEIR_NOTICE_ENGINE,
    /** No worker thread for blocking file calls could be started, because of a
     * limit of processes. So the loop's thread makes these calls and blocks in
     * them. err is -EAGAIN. Sent once per loop. */
    WEIR_NOTICE_THREADS
};

/** An error that no call can return, or a notice. */
struct weir_exception {
    /** sizeof(struct weir_exception); the library sets it for the hook. */
    size_t size;
    /** A line that describes the event. */
    const char *message;
    /** The negative error; 0 if the event is a slow callback. */
    int err;
    /** The name of the callback that failed or was slow, such as
     * "data_received"; NULL if there is none. */
    const char *callback;
    /** The duration of a slow callback, in nanoseconds. */
    uint64_t duration_ns;
    /** The connection that the event is about, borrowed; may be NULL. */
    weir_transport *transport;
    /** The server that the event is about, borrowed; may be NULL. */
    weir_server *server;
    /** The task that the event is about, borrowed; may be NULL. */
    weir_task *task;
    /** The subject of a notice; 0 means that this is an error. */
    enum weir_notice notice;
};

/** Called with an error that no call can return, or with a notice, on the
 * loop's thread. Must not free the loop. */
typedef void weir_exception_fn(void *arg, weir_loop *loop,
                               const struct weir_exception *exception);

/**
 * Set the exception hook; asyncio's set_exception_handler. By default there is
 * no hook, and the library prints nothing.
 *
 * The hook also gets notices (enum weir_notice). Notices without a hook are
 * kept, and the first hook gets them in the next iteration.
 *
 * @param hook  the hook, or NULL for none
 */
WEIR_API void weir_loop_set_exception_handler(weir_loop *loop,
                                              weir_exception_fn *hook,
                                              void *arg);

/**
 * An exception hook for weir_loop_set_exception_handler(): writes a line with
 * the message, the names of the error, the callback and the task, and the
 * addresses of the connection or the server.
 *
 * @param arg        a FILE to write to, held; NULL means stderr
 * @param loop       the loop; borrowed
 * @param exception  the exception; borrowed
 */
WEIR_API void weir_print_exception(void *arg, weir_loop *loop,
                                   const struct weir_exception *exception);

/**
 * Report an exception to the hook, as the library does.
 *
 * @param exception  the exception; borrowed
 * @retval -EINVAL   @p exception is NULL
 */
WEIR_API WEIR_MUST_USE int
weir_loop_call_exception_handler(weir_loop *loop,
                                 const struct weir_exception *exception);

WEIR_END_DECLS

#endif

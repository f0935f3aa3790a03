/**
 * @file threads.h
 * Several loops, each on its own thread: a service on all processors.
 *
 * Each thread makes a loop and runs the same main task on it. In
 * weir_threads_run() the calling thread is the first of these threads. A main
 * task does the same as in weir_run(): it opens servers and serves until it is
 * cancelled. To use all processors listen with `reuse_port` on each thread, so
 * that the kernel distributes the connections:
 *
 *     static int serve(weir_thread *thread, void *arg)
 *     {
 *         struct weir_start_server_options options = {
 *             .size = sizeof(options), .server.reuse_port = true};
 *         weir_server *server;
 *         int err = weir_start_server(weir_thread_get_loop(thread), handle,
 *                                     NULL, 8080, &options, &server);
 *         if (err == 0) {
 *             err = weir_server_serve_forever(server);
 *             weir_server_free(server);
 *         }
 *         return err;
 *     }
 *
 *     int main(void)
 *     {
 *         return weir_threads_run(NULL, serve, NULL) < 0;
 *     }
 *
 * Every object of a loop belongs to its thread. Threads share three things:
 * calls from one thread to another (weir_thread_call_soon()), calls that run on
 * each thread in sequence (weir_threads_run_each()), and a configuration that
 * all threads read and that can be replaced while they run
 * (weir_config_publish()).
 *
 * A forked child does not have the threads, and must not use the handles.
 * No thread may use the handles after weir_threads_join() has released them.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_THREADS_H
#define WEIR_THREADS_H

#include "base.h"
#include "inspect.h"
#include "loop.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/** Threads that were started together. */
typedef struct weir_threads weir_threads;

/** One of the threads; it belongs to its weir_threads. */
typedef struct weir_thread weir_thread;

/** A reference to a configuration; it belongs to the thread that took it. */
typedef struct weir_config weir_config;

/** The main task of a thread. A negative result is an error, which stops the
 * other threads. After a stop -ECANCELED is not an error, because calls that
 * the stop has interrupted return it. */
typedef int weir_thread_fn(weir_thread *thread, void *arg);

/** Options of weir_threads_start() and weir_threads_run(). */
struct weir_threads_options {
    size_t size;
    /** Number of threads, at most 1024; default: one for each processor that
     * the process may use. */
    uint32_t thread_count;
    /** Let the kernel move the threads between processors. By default each
     * thread is pinned to one of the processors that the process may use, in
     * order. Threads of a loop's executor and child processes inherit this
     * processor. weir_threads_run() restores the processors of its caller
     * before it returns. */
    bool no_pinning;
    /** Leave SIGINT and SIGTERM to the program. By default either signal stops
     * the threads as weir_threads_stop() does, with @ref grace_ns, and a second
     * signal ends them at once; see weir_loop_run_task() about signals. */
    bool no_signals;
    /** Time that the main tasks have to end after a signal, or after an error
     * of one of them, in nanoseconds; default no limit (but see
     * weir_server_options.grace_ns). */
    uint64_t grace_ns;
    /** Options of each loop; borrowed, NULL for all defaults. An allocator must
     * be thread-safe. */
    const struct weir_loop_options *loop;
    /** The first configuration, see weir_config_publish(); held. */
    const void *config;
    /** Called with @ref config_arg when no thread uses @ref config any more, or
     * when the start has failed; may be NULL. */
    weir_release_fn *config_release;
    /** The argument of @ref config_release. */
    void *config_arg;
};

/**
 * Start threads, and run a main task on each.
 *
 * @p ret is set before the main tasks begin. When every thread has made its
 * loop, the main tasks begin and the call returns. If a thread or a loop cannot
 * be made, no main task runs.
 *
 * @param fn   the function of the main tasks
 * @param arg  the second argument of @p fn, the same for all threads
 * @param ret  the threads, given; end with weir_threads_join()
 * @retval -EINVAL  @p fn is NULL, or there are more than 1024 threads
 * @retval -EAGAIN  the system allows no more threads
 * @retval -ENOMEM  no memory. Other errors are errors of weir_loop_new()
 */
WEIR_API WEIR_MUST_USE int
weir_threads_start(const struct weir_threads_options *options,
                   weir_thread_fn *fn, void *arg, weir_threads **ret);

/**
 * Stop the threads, as SIGINT does: announce a stop on each loop
 * (weir_loop_announce_stop()), and then cancel its main task.
 *
 * weir_server_serve_forever() then stops its server gracefully. A thread ends
 * when its main task has ended; remaining connections of its loop are aborted.
 * The call may be repeated to shorten the time.
 *
 * @param grace_ns  the time in nanoseconds after which a loop is freed even if
 *                  its main task has not ended; 0 frees it at once, UINT64_MAX
 *                  is no limit
 */
WEIR_API void weir_threads_stop(weir_threads *threads, uint64_t grace_ns);

/**
 * Wait until all threads have ended, and release the handle. The calling thread
 * blocks. During the wait signals still stop the threads.
 *
 * @param threads  taken, unless -EDEADLK or -ECHILD is returned
 * @return         0 if all main tasks have ended without an error, or with
 *                 -ECANCELED after a stop; otherwise the first error
 * @retval -EDEADLK    the caller is one of the threads
 * @retval -ECHILD     the caller is a forked child, which does not have the
 *                     threads
 * @retval -EINTR      a second signal has ended a main task
 * @retval -ETIMEDOUT  the grace period of a stop has expired before the end of
 *                     a main task
 */
WEIR_API WEIR_MUST_USE int weir_threads_join(weir_threads *threads);

/**
 * Start threads, run a main task on each, and wait until all have ended.
 *
 * This is the same as weir_threads_start() and weir_threads_join(), but the
 * calling thread is the first of the threads, and keeps its name. So if
 * thread_count is 1, no thread is started.
 *
 * @param fn   the function of the main tasks
 * @param arg  the second argument of @p fn
 * @return     an error of weir_threads_start(), or the result of
 *             weir_threads_join()
 */
WEIR_API WEIR_MUST_USE int
weir_threads_run(const struct weir_threads_options *options, weir_thread_fn *fn,
                 void *arg);

/** Get the number of threads that were started, at least 1. */
WEIR_API uint32_t weir_threads_get_count(const weir_threads *threads);

/**
 * Get one of the threads.
 *
 * @param index  from 0 to weir_threads_get_count() - 1
 * @return       the thread, borrowed; NULL if @p index is out of range
 */
WEIR_API weir_thread *weir_threads_get(weir_threads *threads, uint32_t index);

/** Get the weir_threads that a thread belongs to. */
WEIR_API weir_threads *weir_thread_get_group(const weir_thread *thread);

/** Get the index of a thread in its weir_threads, from 0. */
WEIR_API uint32_t weir_thread_get_index(const weir_thread *thread);

/**
 * Get the loop of a thread.
 *
 * @param thread  the calling thread; borrowed
 * @thread loop
 */
WEIR_API weir_loop *weir_thread_get_loop(const weir_thread *thread);

/**
 * Get the thread that runs a loop.
 *
 * @return the thread, borrowed; NULL if the loop is not run by weir_threads
 * @thread loop
 */
WEIR_API weir_thread *weir_loop_get_thread(const weir_loop *loop);

/**
 * Call a function on the loop of a thread, from any thread, as
 * weir_mailbox_call_soon() does.
 *
 * @param dropped  called with @p arg instead of @p cb if the thread ends before
 *                 @p cb has run; may be NULL
 * @return         0 if either @p cb or @p dropped will be called
 * @retval -ENOBUFS    the loop's post_limit is reached
 * @retval -ECHILD     the caller is a forked child
 * @retval -ESHUTDOWN  the thread has ended; neither function will be called
 */
WEIR_API WEIR_MUST_USE int weir_thread_call_soon(weir_thread *thread,
                                                 weir_callback_fn *cb,
                                                 void *arg,
                                                 weir_callback_fn *dropped);

/**
 * Get the mailbox of a thread's loop, for weir_transport_move() and the
 * functions of loop.h that take a mailbox.
 *
 * @return the mailbox, borrowed; valid as long as the weir_threads. Use
 *         weir_mailbox_ref() to keep it longer
 */
WEIR_API weir_mailbox *weir_thread_get_mailbox(const weir_thread *thread);

/** Called on each thread from its loop, on one thread after the other. */
typedef void weir_threads_each_fn(void *arg, weir_thread *thread);

/** Called when the function has run on all threads. @p result is the number of
 * these threads, or -ECANCELED if the loop of the caller was freed. */
typedef void weir_threads_each_done_fn(void *arg, int result);

/**
 * Call a function on each thread, on one thread after the other. The calls do
 * not overlap, and each call sees all writes of the earlier calls, so the
 * function may change memory at @p arg without a lock. Threads that have ended
 * are skipped.
 *
 * @param loop  the loop of the calling thread, which may be any loop of the
 *              program; borrowed
 * @param fn    the function
 * @param arg   the first argument of @p fn; held
 * @param done  called once after the last call, from @p loop. If @p loop is
 *              freed before, it is called inside weir_loop_free() or on the
 *              thread of the last call. May be NULL
 * @return      0 when the calls have begun
 * @retval -EINVAL  @p fn is NULL
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_threads_run_each(weir_threads *threads, weir_loop *loop,
                      weir_threads_each_fn *fn, void *arg,
                      weir_threads_each_done_fn *done, void *done_arg);

/**
 * Call a function on each thread, on one thread after the other, and wait for
 * the end of all calls; see weir_threads_run_each().
 *
 * When the call returns, even after an interruption, the function does not run
 * on any thread, and is not called any more. So @p arg may be on the task's
 * stack. If the task is interrupted while the function is running, the call
 * waits until the function has returned. If the loop is being freed then, this
 * wait blocks the thread.
 *
 * @param loop  the loop of the task, which may be any loop of the program; held
 * @param fn    the function
 * @param arg   the first argument of @p fn; held
 * @return      the number of threads on which the function was called
 * @retval -ECANCELED  the task was interrupted; the function may have run on
 *                     some threads
 * @retval -EINVAL     @p fn is NULL
 * @thread loop
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_threads_run_each_wait(weir_threads *threads,
                                                      weir_loop *loop,
                                                      weir_threads_each_fn *fn,
                                                      void *arg);

/**
 * Add up the statistics of the loops of all threads, with
 * weir_threads_run_each(). stack_high_water_bytes is the maximum of the loops,
 * each other field the sum.
 *
 * @param loop  the loop of the calling thread; borrowed
 * @param ret   filled in, up to its size, before @p done gets a result that is
 *              not an error; held
 * @param done  as in weir_threads_run_each()
 * @return      as weir_threads_run_each()
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_threads_get_statistics(weir_threads *threads, weir_loop *loop,
                            struct weir_loop_statistics *ret,
                            weir_threads_each_done_fn *done, void *done_arg);

/**
 * Add up the statistics of the loops of all threads, and wait for the result;
 * see weir_threads_get_statistics().
 *
 * @param loop  the loop of the task; held
 * @param ret   filled in, up to its size, unless an error is returned; held
 * @return      as weir_threads_run_each_wait()
 * @thread loop
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_threads_get_statistics_wait(weir_threads *threads, weir_loop *loop,
                                 struct weir_loop_statistics *ret);

/**
 * Replace the configuration that the threads read.
 *
 * The configuration is memory of the program, which must not change any more.
 * Each thread switches to the new configuration in one of its next loop
 * iterations. When no thread uses the earlier configuration any more, and no
 * reference to it is left, the @p release that was passed with it is called, on
 * the thread that used it last. If several threads publish configurations at
 * the same time, all threads get them in the same order.
 *
 * @param config   the configuration, which may be NULL; held
 * @param release  called with @p arg when no thread uses @p config any more;
 *                 may be NULL
 * @return         0; after an error nothing has changed
 * @retval -ECHILD  the caller is a forked child
 */
WEIR_API WEIR_MUST_USE int weir_config_publish(weir_threads *threads,
                                               const void *config,
                                               weir_release_fn *release,
                                               void *arg);

/**
 * Get the configuration that the calling thread uses. It does not change inside
 * a callback, nor in a task before the next suspending call. To read it for
 * longer take a reference with weir_config_ref().
 *
 * @param thread  the calling thread; borrowed
 * @return        the configuration, borrowed; may be NULL
 * @thread loop
 */
WEIR_API const void *weir_config_current(const weir_thread *thread);

/**
 * Take a reference to the configuration that the calling thread uses.
 *
 * @param thread  the calling thread; borrowed
 * @return        the reference, given; end with weir_config_unref(), before the
 *                main task of the thread returns
 * @thread loop
 */
WEIR_API weir_config *weir_config_ref(weir_thread *thread);

/**
 * Get the configuration of a reference.
 *
 * @return the configuration, borrowed; may be NULL
 * @thread loop
 */
WEIR_API const void *weir_config_get(const weir_config *config);

/**
 * Release a reference, on the thread that took it.
 *
 * @thread loop
 */
WEIR_API void weir_config_unref(weir_config *config);

WEIR_END_DECLS

#endif

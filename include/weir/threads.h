/**
 * @file threads.h
 * Several loops, each on its own thread: a service on all processors.
 *
 * Each thread makes a loop and runs the same main task on it. In
 * weir_threads_run() the calling thread is the first of them. A main task is
 * the same as in weir_run(): it opens servers and serves until it is cancelled.
 * To use all processors listen with `reuse_port` on each thread, so that the
 * kernel spreads the connections:
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
 * After fork() the child has none of the threads: it must not use the handles.
 * No other thread may use them once weir_threads_join() can return.
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
 * other threads, except -ECANCELED after a stop, with which a call that the
 * stop has interrupted returns. */
typedef int weir_thread_fn(weir_thread *thread, void *arg);

/** Options of weir_threads_start() and weir_threads_run(). */
struct weir_threads_options {
    size_t size;
    /** Number of threads, at most 1024; default: one for each processor that
     * the process may use. */
    uint32_t thread_count;
    /** Let the kernel move the threads. By default the threads are pinned to
     * the processors that the process may use, one after the other. Threads of
     * a loop's executor and child processes are pinned with it. The caller of
     * weir_threads_run() gets its own processors back afterwards. */
    bool no_pinning;
    /** Leave SIGINT and SIGTERM to the program. By default both stop the
     * threads as weir_threads_stop() does, with @ref grace_ns, and a second
     * signal of either kind ends them at once; see weir_loop_run_task() about
     * signals. */
    bool no_signals;
    /** The time that the main tasks have to end after a signal, or after an
     * error of one of them; default no limit (but see
     * weir_server_options.grace_ns). */
    uint64_t grace_ns;
    /** Options of each loop; borrowed, NULL for all defaults. An allocator must
     * be thread-safe. */
    const struct weir_loop_options *loop;
    /** The first configuration, see weir_config_publish(); held. */
    const void *config;
    /** Called with @ref config_arg when no thread reads @ref config any more,
     * or when the start has failed; may be NULL. */
    weir_release_fn *config_release;
    /** The argument of @ref config_release. */
    void *config_arg;
};

/**
 * Start threads, and run a main task on each.
 *
 * @p ret is set first. When every thread has made its loop the main tasks begin
 * and the call returns. If a thread or a loop cannot be made no main task runs.
 *
 * @param fn   the function of the main tasks
 * @param arg  its second argument, the same for all threads
 * @param ret  the threads, given; end with weir_threads_join()
 * @retval -EINVAL  no function, or more than 1024 threads
 * @retval -EAGAIN  no more threads are allowed
 * @retval -ENOMEM  no memory; other errors are those of weir_loop_new()
 */
WEIR_API WEIR_MUST_USE int
weir_threads_start(const struct weir_threads_options *options,
                   weir_thread_fn *fn, void *arg, weir_threads **ret);

/**
 * Stop: cancel the main task of each thread, as SIGINT does, after the stop was
 * announced on its loop (weir_loop_announce_stop()).
 *
 * weir_server_serve_forever() then stops its server gracefully. A thread ends
 * when its main task has ended; remaining connections of its loop are aborted.
 * The call may be repeated, to shorten the time.
 *
 * @param grace_ns  the time after which loops are freed although their main
 *                  tasks have not ended; 0 means no time, UINT64_MAX no limit
 */
WEIR_API void weir_threads_stop(weir_threads *threads, uint64_t grace_ns);

/**
 * Wait until all threads have ended, and release the handle. The calling thread
 * blocks. Signals still stop the threads meanwhile.
 *
 * @param threads  taken, unless -EDEADLK or -ECHILD is returned
 * @return         0 if all main tasks have ended without an error, or with
 *                 -ECANCELED after a stop; otherwise the first error
 * @retval -EDEADLK    called on one of the threads
 * @retval -ECHILD     in a forked child, which does not have the threads
 * @retval -EINTR      a second signal has ended a main task
 * @retval -ETIMEDOUT  the time of a stop expired before the end of a main task
 */
WEIR_API WEIR_MUST_USE int weir_threads_join(weir_threads *threads);

/**
 * Start threads, run a main task on each, and wait until all have ended.
 *
 * As weir_threads_start() and weir_threads_join(), but the first thread is the
 * calling thread, and keeps its name: with one thread in the options no thread
 * is started.
 *
 * @param fn   the function of the main tasks
 * @param arg  its second argument
 * @return     an error of weir_threads_start(), or the result of
 *             weir_threads_join()
 */
WEIR_API WEIR_MUST_USE int
weir_threads_run(const struct weir_threads_options *options, weir_thread_fn *fn,
                 void *arg);

/** Get the number of threads that were started, at least 1. */
WEIR_API uint32_t weir_threads_get_count(const weir_threads *threads);

/**
 * One of the threads.
 *
 * @param index  from 0 to weir_threads_get_count() - 1
 * @return       the thread, borrowed; NULL if @p index is out of range
 */
WEIR_API weir_thread *weir_threads_get(weir_threads *threads, uint32_t index);

/** Get the threads that a thread was started with. */
WEIR_API weir_threads *weir_thread_get_group(const weir_thread *thread);

/** Get the index of a thread among its threads, from 0. */
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
 * Call a function on another thread's loop; weir_mailbox_call_soon().
 *
 * @param dropped  called with @p arg if the thread ends first; may be NULL
 * @return         0 if either @p cb or @p dropped will be called
 * @retval -ENOBUFS    the loop's post_limit is reached
 * @retval -ECHILD     in a forked child
 * @retval -ESHUTDOWN  the thread has ended; neither will be called
 */
WEIR_API WEIR_MUST_USE int weir_thread_call_soon(weir_thread *thread,
                                                 weir_callback_fn *cb,
                                                 void *arg,
                                                 weir_callback_fn *dropped);

/**
 * Get the mailbox of a thread's loop, for weir_transport_move() and the calls
 * of loop.h.
 *
 * @return the mailbox; borrowed as long as the threads: use weir_mailbox_ref()
 *         to keep it longer
 */
WEIR_API weir_mailbox *weir_thread_get_mailbox(const weir_thread *thread);

/** Called on one thread after the other, from its loop. */
typedef void weir_threads_each_fn(void *arg, weir_thread *thread);

/** Called when the function has run on all threads: @p result is their number,
 * or -ECANCELED if the calling loop was freed. */
typedef void weir_threads_each_done_fn(void *arg, int result);

/**
 * Call a function on each thread, one after the other. No two calls overlap,
 * and each sees all earlier writes: the function may change plain memory at @p
 * arg without a lock. Threads that have ended are skipped.
 *
 * @param loop  the loop of the calling thread, which may be any loop; borrowed
 * @param fn    the function
 * @param arg   its first argument; held
 * @param done  called once after the last call, from @p loop; if @p loop is
 *              freed first, inside weir_loop_free() or on the thread of the
 *              last call; may be NULL
 * @return      0 when it has begun
 * @retval -EINVAL  no function
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_threads_run_each(weir_threads *threads, weir_loop *loop,
                      weir_threads_each_fn *fn, void *arg,
                      weir_threads_each_done_fn *done, void *done_arg);

/**
 * Call a function on each thread, one after the other, and wait for all calls.
 *
 * As weir_threads_run_each(). After an interruption, too, the function is not
 * running on any thread when the call returns, and is not called any more. So
 * @p arg may be on the task's stack. An interrupted call waits while the
 * function is running; a loop that is being freed blocks its thread meanwhile.
 *
 * @param loop  the loop of the task, which may be any loop; held
 * @param fn    the function
 * @param arg   its first argument; held
 * @return      the number of threads on which the function was called
 * @retval -ECANCELED  the task was interrupted; the function may have run on
 *                     some threads
 * @retval -EINVAL     no function
 * @thread loop
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_threads_run_each_wait(weir_threads *threads,
                                                      weir_loop *loop,
                                                      weir_threads_each_fn *fn,
                                                      void *arg);

/**
 * Add up the statistics of all loops, with weir_threads_run_each().
 * stack_high_water_bytes is the maximum, each other field the sum.
 *
 * @param loop  the loop of the calling thread; borrowed
 * @param ret   filled in when @p done is called with a number of threads, up to
 *              its size; held
 * @param done  as in weir_threads_run_each()
 * @return      as weir_threads_run_each()
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_threads_get_statistics(weir_threads *threads, weir_loop *loop,
                            struct weir_loop_statistics *ret,
                            weir_threads_each_done_fn *done, void *done_arg);

/**
 * As weir_threads_get_statistics(), and wait for the result.
 *
 * @param loop  the loop of the task; held
 * @param ret   filled in up to its size, unless an error is returned; held
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
 * Each thread switches to the new configuration in one of its next iterations.
 * When no thread reads the earlier configuration any more, or holds a reference
 * to it, its release is called, on the thread that released it last. If several
 * configurations are set at the same time, all threads see them in one order.
 *
 * @param config   the configuration, or NULL; held
 * @param release  called with @p arg when no thread reads it; may be NULL
 * @return         0; after an error nothing has changed
 * @retval -ECHILD  in a forked child
 */
WEIR_API WEIR_MUST_USE int weir_config_publish(weir_threads *threads,
                                               const void *config,
                                               weir_release_fn *release,
                                               void *arg);

/**
 * Get the configuration as the calling thread sees it. The configuration does
 * not change inside a callback, and in a task until the next suspending call.
 * To read it for longer take a reference: weir_config_ref().
 *
 * @param thread  the calling thread; borrowed
 * @return        the configuration, borrowed; may be NULL
 * @thread loop
 */
WEIR_API const void *weir_config_current(const weir_thread *thread);

/**
 * Take a reference to the configuration as the calling thread sees it.
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

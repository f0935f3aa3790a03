/**
 * @file threads.h
 * Several loops, each on a thread of its own: a service on all processors.
 *
 * Each thread makes a loop and runs a main task on it, the same function on
 * all. weir_threads_run() has the calling thread as the first of them. A main
 * task is as one of weir_run(): it opens servers and serves until it is
 * cancelled. A service of all processors is one that listens with `reuse_port`
 * on each thread, so that the kernel spreads the connections:
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
 * calls that one posts to another (weir_thread_call_soon()), visits that go
 * from thread to thread (weir_threads_visit()), and a configuration that all
 * read and that is replaced while they run (weir_threads_set_config()).
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
typedef struct weir_threads_config weir_threads_config;

/** The main task of a thread. A negative result is an error, which stops the
 * other threads; -ECANCELED after a stop is the regular end of a task that
 * serves until it is cancelled. */
typedef int weir_thread_fn(weir_thread *thread, void *arg);

/** Options of weir_threads_start() and weir_threads_run(). */
struct weir_threads_options {
    size_t size;
    /** Number of threads, at most 1024; default: one for each processor that
     * the process may use. */
    uint32_t thread_count;
    /** Let the kernel move the threads. By default each thread stays on one of
     * the processors that the process may use, in turn. What a thread starts
     * stays there too: threads of its loop's executor, child processes. The
     * caller of weir_threads_run() may use all of its own again afterwards. */
    bool no_pinning;
    /** Leave SIGINT and SIGTERM alone. By default both stop the threads as
     * weir_threads_stop() does, with @ref grace_ns, and a second signal of
     * either kind ends them at once. What weir_loop_run_task() says about
     * signals holds here. */
    bool no_signals;
    /** The time that the main tasks have to end after a signal, or after an
     * error of one of them; default: without limit (but see
     * weir_server_options.grace_ns). */
    uint64_t grace_ns;
    /** Of each loop; borrowed, NULL for all defaults. An allocator must be one
     * that all threads may use. */
    const struct weir_loop_options *loop;
    /** The first configuration, see weir_threads_set_config(); held. */
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
 * The main tasks begin when every thread has made its loop; then the call
 * returns, and @p ret is set before either. If a thread cannot be made, or its
 * loop, no main task runs.
 *
 * @param fn   the function of the main tasks
 * @param arg  its second argument, the same for all threads
 * @param ret  the threads, given; end with weir_threads_join()
 * @retval -EINVAL  no function, or more than 1024 threads
 * @retval -EAGAIN  no more threads are allowed
 * @retval -ENOMEM  no memory
 *                  Other errors are those of weir_loop_new().
 */
WEIR_API WEIR_MUST_USE int
weir_threads_start(const struct weir_threads_options *options,
                   weir_thread_fn *fn, void *arg, weir_threads **ret);

/**
 * Stop: cancel the main task of each thread, as SIGINT does, after the stop was
 * announced on its loop (weir_loop_announce_stop()).
 *
 * weir_server_serve_forever() then stops its server gracefully. A thread ends
 * when its main task has ended; what its loop has left is aborted. The call may
 * be repeated, to shorten the time.
 *
 * @param grace_ns  the time that the main tasks have to end, after which their
 *                  loops are freed although they have not ended; 0 is no time,
 *                  UINT64_MAX no limit
 */
WEIR_API void weir_threads_stop(weir_threads *threads, uint64_t grace_ns);

/**
 * Wait until all threads have ended, and give the handle back.
 *
 * The calling thread blocks. A signal that stops the threads reaches them
 * meanwhile.
 *
 * @param threads  taken, unless -EDEADLK or -ECHILD is returned
 * @return         0 if all main tasks have ended without an error, or as a stop
 *                 has cancelled them; otherwise the first error
 * @retval -EDEADLK    called on one of the threads
 * @retval -ECHILD     in a forked child, which has none of the threads
 * @retval -EINTR      a second signal has ended a main task
 * @retval -ETIMEDOUT  the time of a stop has ended a main task
 */
WEIR_API WEIR_MUST_USE int weir_threads_join(weir_threads *threads);

/**
 * Start threads, run a main task on each, and wait until all have ended.
 *
 * As weir_threads_start() and weir_threads_join(), but for the first thread,
 * which is the calling one and keeps its name: with one thread in the options
 * no thread is started.
 *
 * @param fn   the function of the main tasks
 * @param arg  its second argument
 * @return     an error of weir_threads_start(), or the result of
 *             weir_threads_join()
 */
WEIR_API WEIR_MUST_USE int
weir_threads_run(const struct weir_threads_options *options, weir_thread_fn *fn,
                 void *arg);

/**
 * Number of threads that were started.
 *
 * @return number of threads, at least 1
 */
WEIR_API uint32_t weir_threads_get_count(const weir_threads *threads);

/**
 * One of the threads.
 *
 * @param index  from 0 to weir_threads_get_count() - 1
 * @return       the thread, borrowed; NULL: no such thread
 */
WEIR_API weir_thread *weir_threads_get_thread(weir_threads *threads,
                                              uint32_t index);

/** The threads that a thread was started with. */
WEIR_API weir_threads *weir_thread_get_threads(const weir_thread *thread);

/**
 * The number of a thread among its threads.
 *
 * @return from 0 on
 */
WEIR_API uint32_t weir_thread_get_index(const weir_thread *thread);

/**
 * The loop of a thread.
 *
 * @param thread  the calling thread; borrowed
 * @thread loop
 */
WEIR_API weir_loop *weir_thread_get_loop(const weir_thread *thread);

/**
 * The thread that runs a loop.
 *
 * @return the thread, borrowed; NULL: the loop is no thread's
 * @thread loop
 */
WEIR_API weir_thread *weir_loop_get_thread(const weir_loop *loop);

/**
 * Call a function on another thread's loop; weir_remote_call_soon().
 *
 * @param dropped  called with @p arg if the thread ends first; may be NULL
 * @return         0: either @p cb or @p dropped will be called
 * @retval -ENOBUFS    as many posts wait as the loop's post_limit allows
 * @retval -ECHILD     in a forked child
 * @retval -ESHUTDOWN  the thread has ended; neither will be called
 */
WEIR_API WEIR_MUST_USE int weir_thread_call_soon(weir_thread *thread,
                                                 weir_callback_fn *cb,
                                                 void *arg,
                                                 weir_callback_fn *dropped);

/**
 * The remote of a thread's loop, for weir_transport_move() and the calls of
 * loop.h.
 *
 * @return the remote; borrowed, as long as the threads are: whoever keeps it
 *         takes a reference with weir_remote_ref()
 */
WEIR_API weir_remote *weir_thread_get_remote(const weir_thread *thread);

/** Called on each thread in turn, from its loop. */
typedef void weir_thread_visit_fn(void *arg, weir_thread *thread);

/** Called when a visit has ended: @p result is the number of threads that were
 * visited, or -ECANCELED: the loop that asked has been freed. */
typedef void weir_threads_visited_fn(void *arg, int result);

/**
 * Call a function on each thread, one after the other.
 *
 * No two calls are made at the same time, and each sees what the earlier ones
 * have written: the function may add to plain memory behind @p arg, without a
 * lock. Threads that have ended are left out.
 *
 * @param loop   the loop of the calling thread, which need not be one of the
 *               threads; borrowed
 * @param visit  the function
 * @param arg    its first argument; held
 * @param done   called once after the last, from @p loop; if @p loop is freed
 *               first, inside weir_loop_free() or on the thread that was
 *               visited last; may be NULL
 * @return       0 when it has begun
 * @retval -EINVAL  no function
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_threads_visit(weir_threads *threads, weir_loop *loop,
                   weir_thread_visit_fn *visit, void *arg,
                   weir_threads_visited_fn *done, void *done_arg);

/**
 * Call a function on each thread, one after the other, and wait until all were
 * visited.
 *
 * As weir_threads_visit(). An interruption ends the visit: when the call
 * returns, the function is not running on any thread, and is not called any
 * more. So @p arg may be on the task's stack. An interrupted call waits while
 * the function is running; a loop that is being freed blocks its thread
 * meanwhile.
 *
 * @param loop   the loop of the task, which need not be one of the threads;
 *               held
 * @param visit  the function
 * @param arg    its first argument; held
 * @return       the number of threads that were visited
 * @retval -ECANCELED  the task was interrupted; some threads may have been
 *                     visited
 * @retval -EINVAL     no function
 * @thread loop
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_threads_visit_wait(weir_threads *threads,
                                                   weir_loop *loop,
                                                   weir_thread_visit_fn *visit,
                                                   void *arg);

/**
 * Add up the statistics of all loops, by a visit.
 *
 * stack_high_water_bytes is the largest of all, each other field the sum.
 *
 * @param loop  the loop of the calling thread; borrowed
 * @param ret   filled in when @p done is called with a number of threads, up to
 *              its size; held
 * @param done  as in weir_threads_visit()
 * @return      as weir_threads_visit()
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_threads_get_statistics(weir_threads *threads, weir_loop *loop,
                            struct weir_loop_statistics *ret,
                            weir_threads_visited_fn *done, void *done_arg);

/**
 * Add up the statistics of all loops, and wait for them.
 *
 * As weir_threads_get_statistics().
 *
 * @param loop  the loop of the task; held
 * @param ret   filled in up to its size, unless an error is returned; held
 * @return      as weir_threads_visit_wait()
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
 * Each thread reads the new configuration from one of its next turns on. When
 * no thread reads the earlier configuration any more, or holds a reference to
 * it, its release is called, on the thread that gave it back last. If several
 * configurations are set at the same time, all threads see them in one order.
 *
 * @param config   the configuration; held. NULL: none
 * @param release  called with @p arg when no thread reads it any more; may be
 *                 NULL
 * @return         0; after an error nothing has changed
 * @retval -ECHILD  in a forked child
 */
WEIR_API WEIR_MUST_USE int weir_threads_set_config(weir_threads *threads,
                                                   const void *config,
                                                   weir_release_fn *release,
                                                   void *arg);

/**
 * The configuration as the calling thread sees it.
 *
 * It does not change inside a callback, and in a task until the next suspending
 * call. To read it for longer take a reference: weir_thread_hold_config().
 *
 * @param thread  the calling thread; borrowed
 * @return        the configuration, borrowed; NULL: none
 * @thread loop
 */
WEIR_API const void *weir_thread_get_config(const weir_thread *thread);

/**
 * Take a reference to the configuration as the calling thread sees it.
 *
 * @param thread  the calling thread; borrowed
 * @return        the reference, given; end with weir_threads_config_unref(),
 * before the main task of the thread returns
 * @thread loop
 */
WEIR_API weir_threads_config *weir_thread_hold_config(weir_thread *thread);

/**
 * The configuration that a reference names.
 *
 * @return the configuration, borrowed; NULL: none
 * @thread loop
 */
WEIR_API const void *weir_threads_config_get(const weir_threads_config *config);

/**
 * Give a reference back, on the thread that took it.
 *
 * @thread loop
 */
WEIR_API void weir_threads_config_unref(weir_threads_config *config);

WEIR_END_DECLS

#endif

/*
 * Threads that each run a loop. Calls go only down in this list:
 *
 *     threads.c       starting and joining all threads
 *     thread.c        one thread
 *     stop.c          state that the threads share: errors, the stop
 *     visit.c         a call that is passed from thread to thread
 *     config.c        the configuration that all threads read
 *
 * The mutex protects shared fields. It is locked when threads start, stop and
 * end, and when a configuration is published or released, but never for a
 * connection or a message.
 */
#ifndef WEIR_LIB_THREADS_THREADS_H
#define WEIR_LIB_THREADS_THREADS_H

#include "lib/loop/loop.h"
#include "lib/task/task.h"
#include "uring/wake.h"
#include "weir/threads.h"

#include <pthread.h>
#include <sched.h>

/* The common state of all threads.
 *
 *     starting -> running       every thread has a loop; the main tasks begin
 *     starting -> abandoned     a thread has no loop; no main task begins */
enum wr_threads_state {
    WR_THREADS_STARTING,
    WR_THREADS_RUNNING,
    WR_THREADS_ABANDONED,
    WR_THREADS_STATES,
};

struct weir_thread {
    weir_threads *threads;
    uint32_t index;
    int cpu; /* the processor to which the thread is bound, or -1 */
    pthread_t id;
    /* used only by this thread; NULL before and after it runs */
    weir_loop *loop;
    struct wr_wake *wake; /* the loop's mailbox; NULL before the loop is made */
    struct wr_module module;

    bool has_signals;
    struct wr_run run;
    struct wr_timer stop_timer;
    uint32_t signal_count;
    bool is_cancelled; /* a stop has cancelled the main task */
    struct wr_wake_item stop_item;
    bool is_stop_posted; /* protected by the mutex */

    /* the current part; never NULL while the thread runs */
    weir_config *config;
    struct wr_list configs; /* parts with references */
};

struct weir_threads {
    struct weir_allocator allocator;
    struct weir_loop_options loop_options;
    bool handles_signals;
    uint64_t grace_ns; /* for a stop by a signal or an error */
    weir_thread_fn *fn;
    void *arg;
    uint32_t count;
    bool has_caller; /* the first thread is the caller of weir_threads_run() */
    cpu_set_t cpus;  /* processors of the caller before it was bound to one */
    pthread_mutex_t mutex;
    pthread_cond_t changed;

    /* The mutex protects the fields from here to stop_ns. */
    enum wr_threads_state state : 8;
    /* threads that have made their loop, or failed to */
    uint32_t made_count;
    int err;
    bool is_stopping;
    uint64_t stop_ns; /* deadline of the stop (wr_sys_now()), or UINT64_MAX */

    weir_thread threads[];
};

/* These fail only if the mutex is invalid. */
static inline void wr_threads_lock(weir_threads *threads)
{
    const int err = pthread_mutex_lock(&threads->mutex);
    wr_check(err == 0);
}

static inline void wr_threads_unlock(weir_threads *threads)
{
    const int err = pthread_mutex_unlock(&threads->mutex);
    wr_check(err == 0);
}

void wr_thread_init(weir_thread *thread, weir_threads *threads, uint32_t index);
/* The start routine of a thread; @arg is its weir_thread. */
void *wr_thread_body(void *arg);
/* The two halves of wr_thread_body(), for the caller of weir_threads_run().
 * wr_thread_begin() makes the loop; wr_thread_finish() runs the main task if
 * all threads have a loop, and frees the loop. */
void wr_thread_begin(weir_thread *thread);
void wr_thread_finish(weir_thread *thread);

/* A thread calls this after its loop was made, or with the error @err if the
 * loop could not be made. */
void wr_threads_note_made(weir_threads *threads, int err);
/* Waits until all threads have made their loops. Returns false if one
 * failed. */
WEIR_MUST_USE bool wr_threads_wait_started(weir_threads *threads);
/* Waits until @count threads have made their loops or failed. If @err is 0 and
 * no thread has failed, sets *ret and lets all threads run; otherwise makes
 * them end. Returns the first error, or 0. */
WEIR_MUST_USE int wr_threads_let_run(weir_threads *threads, uint32_t count,
                                     int err, weir_threads **ret);
/* A thread calls this when its main task has ended with @result. */
void wr_threads_note_end(weir_threads *threads, int result);
/* A thread calls this at its second signal. Stops all threads without a grace
 * period; the error is -EINTR. */
void wr_threads_interrupt(weir_threads *threads);
/* Called when stop_item runs. Returns the stop's deadline. */
uint64_t wr_threads_take_stop(weir_thread *thread);

/* Makes the first configuration. Returns 0, or -ENOMEM after it has called
 * @release. */
WEIR_MUST_USE int wr_config_begin(weir_threads *threads, const void *data,
                                  weir_release_fn *release, void *arg);
/* Releases all parts of the thread, whose loop must be freed. */
void wr_config_end(weir_thread *thread);

#endif

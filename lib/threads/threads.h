/*
 * Internals of threads that each run a loop. Calls go only down, from each file
 * to the files below it:
 *
 *     threads.c       starting and joining all of them
 *     thread.c        the body of one thread
 *     stop.c          what the threads share until they end: errors, the stop
 *     visit.c         a call that goes from thread to thread
 *     config.c        the configuration that all read
 *
 * The mutex of the threads protects their shared fields. It is taken when
 * threads start, stop and end, and when a configuration is set or released:
 * never for a connection or a message.
 */
#ifndef WEIR_LIB_THREADS_THREADS_H
#define WEIR_LIB_THREADS_THREADS_H

#include "lib/loop/loop.h"
#include "lib/task/task.h"
#include "uring/wake.h"
#include "weir/threads.h"

#include <pthread.h>
#include <sched.h>

/* The states of the threads together.
 *
 *     starting -> running       every thread has a loop: the main tasks begin
 *     starting -> abandoned     a thread has no loop: no main task begins */
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
    weir_loop *loop;      /* used only by this thread; NULL before and after */
    struct wr_wake *wake; /* the loop's mailbox; NULL before the loop is made */
    struct wr_module module;

    bool has_signals;
    struct wr_run run;
    struct wr_timer stop_timer; /* deadline of the stop */
    uint32_t signal_count;
    bool is_cancelled;             /* a stop has cancelled the main task */
    struct wr_wake_item stop_item; /* in the mailbox while is_stop_posted */
    bool is_stop_posted;           /* shared */

    /* The current part; never NULL while the thread runs. */
    weir_config *config;
    struct wr_list configs; /* weir_config with references */
};

struct weir_threads {
    struct weir_allocator allocator;
    struct weir_loop_options loop_options;
    bool handles_signals;
    uint64_t grace_ns; /* grace period of a stop by a signal or an error */
    weir_thread_fn *fn;
    void *arg;
    uint32_t count;
    bool has_caller; /* the first is the thread that started the others */
    cpu_set_t cpus;  /* processors of the caller before the pinning */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* made_count or state changed */

    /* Shared. */
    enum wr_threads_state state : 8; /* set only by stop_set_state() */
    uint32_t made_count;             /* threads with a loop, or with an error */
    int err;
    bool is_stopping;
    uint64_t stop_ns; /* the stop's deadline (wr_sys_now()), or UINT64_MAX */

    weir_thread threads[];
};

/* These fail only if the mutex is not initialised. */
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

/* thread.c */
void wr_thread_init(weir_thread *thread, weir_threads *threads, uint32_t index);
/* The function of a started thread; its argument is the weir_thread. */
void *wr_thread_body(void *arg);
/* The two halves of wr_thread_body(), for a caller that is the first thread.
 * wr_thread_begin() makes the thread's loop; wr_thread_finish() runs the main
 * task if all threads may run, and frees the loop. */
void wr_thread_begin(weir_thread *thread);
void wr_thread_finish(weir_thread *thread);

/* stop.c */
/* Called by a thread when it has made its loop (@err is 0) or has failed to do
 * so (@err is the error). */
void wr_threads_note_made(weir_threads *threads, int err);
/* Waits until all threads have made their loops. Returns false if one
 * failed. */
WEIR_MUST_USE bool wr_threads_wait_started(weir_threads *threads);
/* Waits until @count threads were made, and lets them run, or end if @err or
 * one of them has failed. Returns the first error. Without an error sets @ret
 * before any thread runs. */
WEIR_MUST_USE int wr_threads_let_run(weir_threads *threads, uint32_t count,
                                     int err, weir_threads **ret);
/* Called by a thread when its main task has ended with @result. */
void wr_threads_note_end(weir_threads *threads, int result);
/* Called by a thread at a second signal: ends all threads. */
void wr_threads_interrupt(weir_threads *threads);
/* Called on a thread when its stop_item runs. Returns the deadline of the
 * stop. */
uint64_t wr_threads_take_stop(weir_thread *thread);

/* config.c */
/* Makes the threads' first configuration, which each of them reads. Returns 0,
 * or -ENOMEM after it has called @release. */
WEIR_MUST_USE int wr_config_begin(weir_threads *threads, const void *data,
                                  weir_release_fn *release, void *arg);
/* Releases all parts of the thread, whose loop must be freed. */
void wr_config_end(weir_thread *thread);

#endif

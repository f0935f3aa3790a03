/*
 * Threads that serve until a stop cancels them, and count what happened to
 * them. A thread says by a semaphore that its main task runs. The struct
 * `served` is shared by the threads of one test.
 */
#ifndef WEIR_TESTS_CONTRACT_THREADS_RIG_H
#define WEIR_TESTS_CONTRACT_THREADS_RIG_H

#include "tests/contract/executor_rig.h"

#include <weir/threads.h>

enum { THREADS = 3 };

/* How a main task behaves. */
struct served {
    sem_t runs;
    sem_t cancels; /* posted for each cancellation */
    int patience;  /* cancellations that it does not obey */
    int result;    /* with which the task of thread `failing` ends */
    int failing;   /* its index; -1: none */
    int started_count[THREADS];
    int cancelled_count[THREADS];
    pthread_t ids[THREADS];
};

extern struct served served;

/* Begins with `served`, whose other fields are set. */
void open_served(void);
/* Sleeps until it is cancelled. */
int serve_until_cancelled(weir_thread *thread, void *arg);
/* Sets `served` up, starts THREADS threads, and waits until their main tasks
 * run. */
weir_threads *start_serving(const struct weir_threads_options *options,
                            int patience);
/* Stops the threads; their main tasks all return 0. */
void end_serving(weir_threads *threads);
/* Waits until a thread has ended whose main task returns. */
void wait_for_end(weir_thread *thread);

#endif

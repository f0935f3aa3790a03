/*
 * Threads that serve until a stop cancels them, and count events.
 *
 * A thread posts a semaphore when its main task runs. The threads of a test
 * share the struct `served`.
 */
#ifndef WEIR_TESTS_CONTRACT_THREADS_RIG_H
#define WEIR_TESTS_CONTRACT_THREADS_RIG_H

#include "tests/contract/executor_rig.h"

#include <weir/threads.h>

enum { THREADS = 3 };

struct served {
    sem_t runs;
    sem_t cancels;
    int patience;
    int result;  /* result of the task of thread `failing` */
    int failing; /* index of that thread; -1 is none */
    int started_count[THREADS];
    int cancelled_count[THREADS];
    pthread_t ids[THREADS];
};

extern struct served served;

void open_served(void);
int serve_until_cancelled(weir_thread *thread, void *arg);
weir_threads *start_serving(const struct weir_threads_options *options,
                            int patience);
void end_serving(weir_threads *threads);
void wait_for_end(weir_thread *thread);

#endif

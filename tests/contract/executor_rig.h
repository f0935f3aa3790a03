/*
 * Jobs that start and end when the test says so, and tasks that wait for them.
 *
 * A job says that it started and waits to be let go, both by semaphores, so
 * that nothing here depends on how long something takes. The test's body is
 * the main task; it may block the loop while it waits for a thread.
 */
#ifndef WEIR_TESTS_CONTRACT_EXECUTOR_RIG_H
#define WEIR_TESTS_CONTRACT_EXECUTOR_RIG_H

#include "tests/contract/loop_rig.h"

#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <weir/executor.h>
#include <weir/task.h>

struct job {
    sem_t started;
    sem_t go;
    int number;
    pthread_t ran_on;
    int order; /* 1 for the job that started first; 0: it never did */
    weir_task *task;
    weir_future *awaited; /* of a task that waits for another end */
    int err;              /* of the call, 1 until it has returned */
    int ret;
    int abandoned_count;
    int abandoned_result;
    bool was_abandoned_inside; /* before the call returned */
    weir_job_abandoned_fn *abandoned;
    weir_job_fn *fn;
};

extern pthread_t loop_thread;
extern pthread_mutex_t order_mutex;

void wait_for(sem_t *sem);
void note_start(struct job *job);
int held_job(void *arg);
int quick_job(void *arg);
void note_abandoned(void *arg, int result);
int run_job(weir_loop *l, void *arg);
void init_job(struct job *job, weir_job_fn *fn, int number);

/* A task that waits for a job; it is given to the executor in the next turn. */
void start_job(struct job *job, weir_job_fn *fn, int number);
void yield(void);

/* A job that runs and waits to be let go. */
void start_held(struct job *job, int number);
void let_go(struct job *job);
int join_job(struct job *job);

/* The job must have come to its result. */
void expect_result(struct job *job);

/* Threads of executors; the system has others, for the ring among them. */
int count_threads(void);

/* The kernel forgets a thread a moment after it was joined. */
void wait_for_threads(int count);
void open_with(uint32_t thread_limit, uint32_t queue_limit);

/* Of the loops of open_counted(): none succeeds from fail_at on. */
extern struct test_allocator counter;

uint64_t live_bytes(void);
void open_counted(uint32_t thread_limit);

/* Runs a test's body as the main task. */
void run_body(weir_task_fn *body, void *arg);
/* The main task of a loop with that many threads. */
void run_with(uint32_t thread_limit, void (*body)(void));

#endif

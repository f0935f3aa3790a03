/*
 * Jobs that start and end when the test decides, and tasks that wait for them.
 *
 * A job signals its start and waits for its release, both with semaphores, so
 * that tests do not depend on time. The test's body is the main task; it may
 * block the loop while it waits for a thread.
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
    int order; /* 1 for the job that started first; 0 if it has not started */
    weir_task *task;
    weir_future *awaited;
    int err; /* result of the call; 1 until it has returned */
    int ret;
    int abandoned_count;
    int abandoned_result;
    bool was_abandoned_inside;
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

/* Starts a task that waits for a job; the executor gets the job in the next
 * iteration. */
void start_job(struct job *job, weir_job_fn *fn, int number);
void yield(void);

void start_held(struct job *job, int number);
void let_go(struct job *job);
int join_job(struct job *job);

void expect_result(struct job *job);

/* Returns the number of executor threads; the system has others, for example
 * for the ring. */
int count_threads(void);

/* Waits until @count executor threads exist. The kernel removes a thread
 * shortly after it was joined. */
void wait_for_threads(int count);
void open_with(uint32_t thread_limit, uint32_t queue_limit);

/* Allocator of the loops of open_counted(). No allocation succeeds from fail_at
 * on. */
extern struct test_allocator counter;

uint64_t live_bytes(void);
void open_counted(uint32_t thread_limit);

void run_body(weir_task_fn *body, void *arg);
void run_with(uint32_t thread_limit, void (*body)(void));

#endif

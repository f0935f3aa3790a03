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

struct job {
    sem_t started;
    sem_t go;
    int number;
    pthread_t ran_on;
    int order; /* 1 for the job that started first; 0: it never did */
    weir_task *task;
    int err; /* of the call, 1 until it has returned */
    int ret;
    int abandoned_count;
    int abandoned_result;
    bool was_abandoned_inside; /* before the call returned */
    weir_job_abandoned_fn *abandoned;
    weir_job_fn *fn;
};

static pthread_t loop_thread;
static pthread_mutex_t order_mutex = PTHREAD_MUTEX_INITIALIZER;
static int order_count;

static inline void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0) {
        cr_assert_eq(errno, EINTR);
    }
}

static inline void note_start(struct job *job)
{
    job->ran_on = pthread_self();
    pthread_mutex_lock(&order_mutex);
    job->order = ++order_count;
    pthread_mutex_unlock(&order_mutex);
}

static inline int held_job(void *arg)
{
    struct job *job = arg;
    note_start(job);
    sem_post(&job->started);
    wait_for(&job->go);
    return job->number;
}

static inline int quick_job(void *arg)
{
    struct job *job = arg;
    note_start(job);
    return job->number;
}

static inline void note_abandoned(void *arg, int result)
{
    struct job *job = arg;
    job->abandoned_count++;
    job->abandoned_result = result;
    job->was_abandoned_inside = job->err == 1;
    cr_assert(pthread_equal(pthread_self(), loop_thread));
    cr_assert_eq(weir_yield(loop), WEIR_ENOTTASK, "it may not suspend");
}

static inline int run_job(weir_loop *l, void *arg)
{
    struct job *job = arg;
    job->err = weir_run_in_executor(l, job->fn, job, job->abandoned, &job->ret);
    return job->err;
}

static inline void init_job(struct job *job, weir_job_fn *fn, int number)
{
    *job = (struct job){.number = number,
                        .fn = fn,
                        .err = 1,
                        .ret = -1,
                        .abandoned = note_abandoned};
    cr_assert_eq(sem_init(&job->started, 0, 0), 0);
    cr_assert_eq(sem_init(&job->go, 0, 0), 0);
}

/* A task that waits for a job; it is given to the executor in the next turn. */
static inline void start_job(struct job *job, weir_job_fn *fn, int number)
{
    init_job(job, fn, number);
    cr_assert_eq(weir_task_spawn(loop, run_job, job, NULL, &job->task), 0);
}

static inline void yield(void)
{
    cr_assert_eq(weir_yield(loop), 0);
}

/* A job that runs and waits to be let go. */
static inline void start_held(struct job *job, int number)
{
    start_job(job, held_job, number);
    yield();
    wait_for(&job->started);
}

static inline void let_go(struct job *job)
{
    cr_assert_eq(sem_post(&job->go), 0);
}

static inline int join_job(struct job *job)
{
    int result = 1;
    cr_assert_eq(weir_task_join(job->task, &result), 0);
    cr_assert_eq(result, job->err);
    return result;
}

/* The job must have come to its result. */
static inline void expect_result(struct job *job)
{
    cr_assert_eq(join_job(job), 0);
    cr_assert_eq(job->ret, job->number);
    cr_assert_eq(job->abandoned_count, 0);
}

/* Threads of executors; the system has others, for the ring among them. */
static inline int count_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    int count = 0;
    cr_assert_not_null(dir);
    while ((entry = readdir(dir))) {
        char path[sizeof(entry->d_name) + 32];
        char name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file) {
            count += fgets(name, sizeof(name), file) &&
                     strcmp(name, "weir-exec\n") == 0;
            fclose(file);
        }
    }
    closedir(dir);
    return count;
}

/* The kernel forgets a thread a moment after it was joined. */
static inline void wait_for_threads(int count)
{
    while (count_threads() != count) {
        sched_yield();
    }
}

static inline void open_with(uint32_t thread_limit, uint32_t queue_limit)
{
    const struct weir_executor_options options = {
        .size = sizeof(options),
        .thread_limit = thread_limit,
        .queue_limit = queue_limit,
    };
    order_count = 0;
    loop_thread = pthread_self();
    open_loop(NULL);
    cr_assert_eq(weir_loop_set_executor(loop, &options), 0);
}

/* An allocator for several threads, that can run out of memory. */
struct counter {
    pthread_mutex_t mutex;
    uint64_t live_bytes;
    uint64_t calls;
    uint64_t fail_from; /* no call from this one on succeeds; 0: all do */
};

static struct counter counter = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static inline void *count_alloc(void *arg, size_t size)
{
    struct counter *self = arg;
    pthread_mutex_lock(&self->mutex);
    self->calls++;
    const bool fails = self->fail_from != 0 && self->calls >= self->fail_from;
    self->live_bytes += fails ? 0 : size;
    pthread_mutex_unlock(&self->mutex);
    return fails ? NULL : malloc(size);
}

static inline void count_free(void *arg, void *ptr, size_t size)
{
    struct counter *self = arg;
    pthread_mutex_lock(&self->mutex);
    self->live_bytes -= size;
    pthread_mutex_unlock(&self->mutex);
    free(ptr);
}

static inline uint64_t live_bytes(void)
{
    pthread_mutex_lock(&counter.mutex);
    const uint64_t bytes = counter.live_bytes;
    pthread_mutex_unlock(&counter.mutex);
    return bytes;
}

static inline void open_counted(uint32_t thread_limit)
{
    static const struct weir_allocator allocator = {
        .alloc = count_alloc, .free = count_free, .arg = &counter};
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .allocator = &allocator};
    const struct weir_executor_options limits = {.size = sizeof(limits),
                                                 .thread_limit = thread_limit};
    order_count = 0;
    loop_thread = pthread_self();
    open_loop(&options);
    if (thread_limit > 0) {
        cr_assert_eq(weir_loop_set_executor(loop, &limits), 0);
    }
}

/* Runs a test's body as the main task. */
static inline void run_body(weir_task_fn *body, void *arg)
{
    int result = 1;
    cr_assert_eq(weir_loop_run_task(loop, body, arg, &result), 0);
    cr_assert_eq(result, 0);
}

static inline void run_with(uint32_t thread_limit, weir_task_fn *body)
{
    open_with(thread_limit, 0);
    run_body(body, NULL);
    close_loop();
    wait_for_threads(0);
}

#endif

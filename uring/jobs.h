/*
 * Threads that run jobs which may block: for the executor, the closer and the
 * poll engine.
 *
 *     push --> queue --a thread--> run --> done --> the owner takes it
 *                '--> withdrawn
 *
 * A push makes a thread if no thread is idle, up to a limit. Threads block all
 * signals. The owner is the thread that pushes jobs and takes finished jobs; a
 * closer's jobs have several owners. Nothing here allocates. A forked child has
 * none of the threads: its owner must call wr_jobs_init() again, or stop using
 * the jobs.
 */
#ifndef WEIR_URING_JOBS_H
#define WEIR_URING_JOBS_H

#include "list.h"

#include "../include/weir/base.h"

#include <pthread.h>

/* Embedded in the owner's object. Only jobs.c uses the flags. */
struct wr_job {
    /* Links the job in the queue and in `done`, else free for the owner. */
    struct wr_list link;
    bool is_queued;   /* no thread has started it */
    bool is_unwanted; /* withdrawn after a thread started it */
};

struct wr_jobs;

struct wr_jobs_kind {
    const char *name;   /* name of the threads, at most 15 bytes */
    size_t stack_bytes; /* the system's default if 0 or too small */
    /* Time after which an idle thread ends, or UINT64_MAX for never. */
    uint64_t idle_ns;
    /* Runs a job on a thread. If `tell` is NULL, the owner may push the job
     * again while it runs. */
    void (*run)(struct wr_jobs *jobs, struct wr_job *job);
    /* Called on a thread when a job is done or a thread has ended, once until
     * wr_jobs_hear(). NULL if finished jobs do not return to the owner. */
    void (*tell)(struct wr_jobs *jobs);
    /* Frees the jobs, on the last thread that outlived wr_jobs_end(). */
    void (*free)(struct wr_jobs *jobs);
};

enum wr_jobs_state {
    WR_JOBS_OPEN,
    WR_JOBS_SHUT, /* accepts no jobs; threads end after the last job */
    WR_JOBS_LEFT, /* the owner has gone; each thread ends after its job */
    WR_JOBS_STATES,
};

struct wr_jobs {
    const struct wr_jobs_kind *kind;
    /* The owner may change it only while there is no thread. */
    uint32_t thread_limit;
    uint32_t queue_limit;

    pthread_mutex_t mutex; /* guards the fields below */
    /* signalled when a job is queued or the state has changed */
    pthread_cond_t work;
    /* signalled when a job is withdrawn, a thread ends or the state changes */
    pthread_cond_t change;
    struct wr_list queue;
    struct wr_list done;
    uint32_t queued_count;
    uint32_t thread_count;
    /* threads without a job, including threads that start */
    uint32_t idle_count;
    enum wr_jobs_state state;
    bool is_told;   /* set before `tell` is called, cleared by wr_jobs_hear() */
    bool has_ended; /* `ended` must be joined */
    /* Thread that ended last. A thread that ends joins the previous one. */
    pthread_t ended;
};

void wr_jobs_init(struct wr_jobs *jobs, const struct wr_jobs_kind *kind,
                  uint32_t thread_limit, uint32_t queue_limit);
void wr_jobs_fini(struct wr_jobs *jobs);

/* Queues a job, and makes a thread if none is idle. Returns 0, -EAGAIN if there
 * is no thread and none can be made, -ENOBUFS if too many jobs wait, or
 * -ESHUTDOWN after wr_jobs_shut(). */
WEIR_MUST_USE int wr_jobs_push(struct wr_jobs *jobs, struct wr_job *job);

/* Removes a job that has not started. Returns false if a thread has started it.
 * If the job still runs, its wr_jobs_rest() then returns true. */
WEIR_MUST_USE bool wr_jobs_withdraw(struct wr_jobs *jobs, struct wr_job *job);

/* Called by a running job to sleep. Returns true if the job should end. */
WEIR_MUST_USE bool wr_jobs_rest(struct wr_jobs *jobs, const struct wr_job *job,
                                uint64_t limit_ns);

WEIR_MUST_USE bool wr_jobs_are_open(struct wr_jobs *jobs);

void wr_jobs_hear(struct wr_jobs *jobs);

void wr_jobs_take_done(struct wr_jobs *jobs, struct wr_list *ret);

/* Returns true if no thread and no job is left. All threads are then joined. */
WEIR_MUST_USE bool wr_jobs_are_over(struct wr_jobs *jobs);

void wr_jobs_shut(struct wr_jobs *jobs);

/* Ends the owner's use of the jobs. Waits until the idle threads have ended, or
 * all threads if @waits is true. Appends the finished jobs to @ret. Returns the
 * number of threads that still run a job. If it is 0, the owner frees the jobs,
 * otherwise the last of these threads does. */
uint32_t wr_jobs_end(struct wr_jobs *jobs, bool waits, struct wr_list *ret);

#endif

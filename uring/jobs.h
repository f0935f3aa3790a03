/*
 * Threads that run jobs which may block: those of the executor, of the closer
 * and of the poll engine.
 *
 *     push --> queue --a thread--> run --> done --> the owner takes it
 *                '--> withdrawn
 *
 * A thread is made when a job is pushed and none is idle, up to a limit. It
 * blocks all signals: they are for the program's threads. It ends when it was
 * idle for a time, or with its owner, which joins it. The owner is the thread
 * that pushes jobs and takes them back; closers have several.
 *
 * Nothing here allocates. A forked child has none of the threads: the owner
 * begins anew there, by wr_jobs_init(), or uses its jobs no more.
 */
#ifndef WEIR_URING_JOBS_H
#define WEIR_URING_JOBS_H

#include "list.h"

#include "../include/weir/base.h"

#include <pthread.h>

/* Embedded in an object that a thread works on. The flags are for jobs.c. */
struct wr_job {
    struct wr_list link; /* in the queue or in `done`; else the owner's */
    bool is_queued;      /* no thread has it yet */
    bool is_unwanted;    /* it was withdrawn while a thread had it */
};

struct wr_jobs;

/* A kind of jobs; its functions are those of the owner's module. */
struct wr_jobs_kind {
    const char *name;   /* of the threads, at most 15 bytes */
    size_t stack_bytes; /* 0: the system's default, as where they are too few */
    uint64_t idle_ns;   /* an idle thread ends then; UINT64_MAX: it stays */
    /* Runs a job, on a thread. Without ->tell it is the owner's again at once,
     * who may push it while this still runs. */
    void (*run)(struct wr_jobs *jobs, struct wr_job *job);
    /* Tells the owner, on a thread, that jobs are done or a thread has ended.
     * Not called again before wr_jobs_hear(). NULL: jobs do not come back. */
    void (*tell)(struct wr_jobs *jobs);
    /* Frees the jobs, on the last of the threads that wr_jobs_end() left. */
    void (*free)(struct wr_jobs *jobs);
};

enum wr_jobs_state {
    WR_JOBS_OPEN,
    WR_JOBS_SHUT, /* takes no jobs; threads end after the last job */
    WR_JOBS_LEFT, /* the owner has gone; threads end after their job */
    WR_JOBS_STATES,
};

struct wr_jobs {
    const struct wr_jobs_kind *kind;
    /* The owner's; they change only while there is no thread. */
    uint32_t thread_limit;
    uint32_t queue_limit; /* jobs that may wait for a thread */

    pthread_mutex_t mutex; /* for all that follows */
    pthread_cond_t work;   /* a job is queued, or the state has changed */
    pthread_cond_t change; /* a job is unwanted, or the state or a thread has
                              ended */
    struct wr_list queue;
    struct wr_list done;
    uint32_t queued_count;
    uint32_t thread_count;
    uint32_t idle_count; /* threads without a job, also starting threads */
    enum wr_jobs_state state;
    bool is_told;    /* set before ->tell, cleared by wr_jobs_hear() */
    bool has_ended;  /* a thread has ended, and is to be joined: ->ended */
    pthread_t ended; /* it joins the one that ended before it */
};

void wr_jobs_init(struct wr_jobs *jobs, const struct wr_jobs_kind *kind,
                  uint32_t thread_limit, uint32_t queue_limit);
/* There are no threads any more. */
void wr_jobs_fini(struct wr_jobs *jobs);

/* Queues a job, and makes a thread if none is idle: 0, -EAGAIN without any
 * thread, -ENOBUFS or, after wr_jobs_shut(), -ESHUTDOWN. */
WEIR_MUST_USE int wr_jobs_push(struct wr_jobs *jobs, struct wr_job *job);

/* Takes back a job that has not started. False: a thread has it or had it, and
 * wr_jobs_rest() says so. */
WEIR_MUST_USE bool wr_jobs_withdraw(struct wr_jobs *jobs, struct wr_job *job);

/* On a job's thread: waits at most @limit_ns. True if the job was withdrawn
 * meanwhile or before, or the jobs are not open any more. */
WEIR_MUST_USE bool wr_jobs_rest(struct wr_jobs *jobs, const struct wr_job *job,
                                uint64_t limit_ns);

/* Any thread. */
WEIR_MUST_USE bool wr_jobs_are_open(struct wr_jobs *jobs);

/* The owner has been told, before it takes what is done. */
void wr_jobs_hear(struct wr_jobs *jobs);

/* Moves the jobs that are done to the end of @ret. */
void wr_jobs_take_done(struct wr_jobs *jobs, struct wr_list *ret);

/* True if there is neither a thread nor a job, not even a job that is done. The
 * threads were joined then. */
WEIR_MUST_USE bool wr_jobs_are_over(struct wr_jobs *jobs);

/* Refuses new jobs; threads end when no job is left. */
void wr_jobs_shut(struct wr_jobs *jobs);

/* Ends the jobs for their owner, who is told nothing more: joins idle threads,
 * and with @waits those that have jobs as well. The jobs that are done are
 * moved to the end of @ret. Returns the number of jobs that still run: with 0
 * the owner frees the jobs, else the last of their threads does. */
uint32_t wr_jobs_end(struct wr_jobs *jobs, bool waits, struct wr_list *ret);

#endif

/*
 * The executor's inside, for the two files it is made of.
 *
 * executor_threads.c has the threads and all that stands behind the mutex;
 * executor.c has the loop's side: tasks that wait, results that return.
 */
#ifndef WEIR_LIB_TASK_EXECUTOR_IMPL_H
#define WEIR_LIB_TASK_EXECUTOR_IMPL_H

#include "lib/loop/loop.h"
#include "weir/executor.h"

struct wr_job_end;
struct wr_waiter;

/* How far the loop's side of a job is; no thread looks at it. */
enum wr_job_state {
    WR_JOB_AWAITED,  /* its task waits: ->waiter is set */
    WR_JOB_LEFT,     /* its task was interrupted, and has not run since */
    WR_JOB_UNWANTED, /* no task waits: its own has gone on, or it had none */
    WR_JOB_BACK,     /* is over; its task was woken, and frees it */
    WR_JOB_STATES,
};

/* By state: a bit for each state that a job may come from. */
static const uint8_t wr_job_edges[WR_JOB_STATES] = {
    [WR_JOB_LEFT] = 1u << WR_JOB_AWAITED,
    [WR_JOB_UNWANTED] = 1u << WR_JOB_LEFT,
    [WR_JOB_BACK] = 1u << WR_JOB_AWAITED | 1u << WR_JOB_LEFT,
};

/* Allocated and, unless the loop has ended, freed by the loop. */
struct wr_job {
    struct wr_list link; /* in queue, done or returned */
    weir_job_fn *fn;
    void *arg;
    weir_job_abandoned_fn *abandoned;
    struct wr_waiter *waiter; /* the loop's; NULL once it was woken */
    struct wr_job_end *end;   /* the loop's; NULL of a task's job */
    int result;               /* when it is over */
    enum wr_job_state state;  /* the loop's */
    bool is_queued;           /* shared; cleared by what takes the job out */
};

static inline void wr_job_set_state(struct wr_job *job, enum wr_job_state state)
{
    wr_assert(wr_job_edges[state] & 1u << job->state);
    job->state = state;
}

enum wr_executor_state {
    WR_EXECUTOR_OPEN,
    WR_EXECUTOR_SHUT,   /* takes no jobs; threads end with the last one */
    WR_EXECUTOR_CLOSED, /* the loop has ended: results go nowhere */
    WR_EXECUTOR_STATES,
};

/* By state: a bit for each state that an executor may come from. */
static const uint8_t wr_executor_edges[WR_EXECUTOR_STATES] = {
    [WR_EXECUTOR_SHUT] = 1u << WR_EXECUTOR_OPEN,
    [WR_EXECUTOR_CLOSED] = 1u << WR_EXECUTOR_OPEN | 1u << WR_EXECUTOR_SHUT,
};

struct wr_executor {
    /* The loop's. */
    struct wr_module module;
    weir_loop *loop;
    struct wr_list workers;
    struct wr_list returned; /* jobs that are over and not handled yet */
    struct wr_list shutdown_waiters;
    struct wr_list ends;   /* struct wr_job_end that are pending */
    struct wr_ready ready; /* more has returned than one turn handles */
    uint32_t thread_count;
    uint32_t thread_limit;
    uint32_t queue_limit;

    /* Set when it is made. */
    struct weir_allocator allocator; /* a copy: the loop may be gone */
    struct wr_wake *wake;
    struct wr_wake_item item;

    /* Shared. */
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a job in the queue, or no longer open */
    struct wr_list queue;
    struct wr_list done;
    uint32_t queued_count;
    uint32_t idle_count; /* threads without a job, those that start included */
    uint32_t refs;       /* the loop and the threads */
    enum wr_executor_state state;
    /* The item is in the mailbox, or on its way. Set by the thread that posts
     * it, cleared when the loop has taken it out. */
    bool is_posted;
};

/* Makes the parts that the threads share; its loop is set: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_executor_init_shared(struct wr_executor *executor);

/* Gives a job to a thread, now or later, and makes threads: 0, -ENOMEM,
 * -EAGAIN, -ENOBUFS or -ESHUTDOWN. */
WEIR_MUST_USE int wr_executor_submit(struct wr_executor *executor,
                                     struct wr_job *job);

/* Takes a job back that has not started; false when it has. */
WEIR_MUST_USE bool wr_executor_withdraw(struct wr_executor *executor,
                                        struct wr_job *job);

/* The item has left the mailbox: the next job that is over posts it again. */
void wr_executor_item_taken(struct wr_executor *executor);

/* Jobs that are over move to `returned`. */
void wr_executor_take_done(struct wr_executor *executor);

/* No more jobs; threads end when there are none left. */
void wr_executor_shut(struct wr_executor *executor);

/* Joins the threads that have ended, which does not wait. */
void wr_executor_join_ended(struct wr_executor *executor);

/* At the loop's end: leaves the threads alone that run a job, and joins the
 * others. Jobs that are over by then are in `returned`. */
void wr_executor_let_go(struct wr_executor *executor);

/* Gives the loop's reference back. */
void wr_executor_unref(struct wr_executor *executor);

#endif

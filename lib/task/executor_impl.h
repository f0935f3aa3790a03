/*
 * The inside of the executor, for its two files.
 *
 * executor_threads.c has the threads and everything that the mutex protects;
 * executor.c has the loop's side: waiting tasks and returned results.
 */
#ifndef WEIR_LIB_TASK_EXECUTOR_IMPL_H
#define WEIR_LIB_TASK_EXECUTOR_IMPL_H

#include "lib/loop/loop.h"
#include "weir/executor.h"

struct wr_job_end;
struct wr_waiter;

/* The state of a job on the loop's side; threads do not read it. */
enum wr_job_state {
    WR_JOB_AWAITED,  /* its task waits: ->waiter is set */
    WR_JOB_LEFT,     /* its task was interrupted, and has not run since */
    WR_JOB_UNWANTED, /* no task waits: its task has run, or it had none */
    WR_JOB_BACK,     /* is finished; its task was woken, and frees it */
    WR_JOB_STATES,
};

/* By state: a bit for each state that a job may come from. */
static const uint8_t wr_job_edges[WR_JOB_STATES] = {
    [WR_JOB_LEFT] = 1u << WR_JOB_AWAITED,
    [WR_JOB_UNWANTED] = 1u << WR_JOB_LEFT,
    [WR_JOB_BACK] = 1u << WR_JOB_AWAITED | 1u << WR_JOB_LEFT,
};

/* Allocated by the loop; freed by the loop or, after its end, by a thread. */
struct wr_job {
    struct wr_list link; /* in queue, done or returned */
    weir_job_fn *fn;
    void *arg;
    weir_job_abandoned_fn *abandoned;
    struct wr_waiter *waiter; /* the loop's; NULL once it was woken */
    struct wr_job_end *end;   /* the loop's; NULL in a task's job */
    int result;               /* when it is finished */
    enum wr_job_state state;  /* the loop's */
    bool is_queued;           /* shared; cleared when the job is taken out */
};

static inline void wr_job_set_state(struct wr_job *job, enum wr_job_state state)
{
    wr_assert(wr_job_edges[state] & 1u << job->state);
    job->state = state;
}

enum wr_executor_state {
    WR_EXECUTOR_OPEN,
    WR_EXECUTOR_SHUT,   /* takes no jobs; threads end after the last job */
    WR_EXECUTOR_CLOSED, /* the loop has ended: results are dropped */
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
    struct wr_list returned; /* finished jobs, not handled yet */
    struct wr_list shutdown_waiters;
    struct wr_list ends;   /* struct wr_job_end, pending */
    struct wr_ready ready; /* more jobs have returned than one turn handles */
    uint32_t thread_count;
    uint32_t thread_limit;
    uint32_t queue_limit;

    /* Set once, by the maker. */
    struct weir_allocator allocator; /* a copy: the loop may be gone */
    struct wr_wake *wake;
    struct wr_wake_item item;

    /* Shared. */
    pthread_mutex_t mutex;
    pthread_cond_t work; /* a job is queued, or the executor is not open */
    struct wr_list queue;
    struct wr_list done;
    uint32_t queued_count;
    uint32_t idle_count; /* threads without a job, also starting threads */
    uint32_t refs;       /* the loop and the threads */
    enum wr_executor_state state;
    /* The item is in the mailbox, or is being posted. Set by the posting
     * thread, cleared by the loop when it takes the item out. */
    bool is_posted;
};

/* Makes the shared parts; ->loop is set: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_executor_init_shared(struct wr_executor *executor);

/* Queues a job, and makes a thread if none is idle: 0, -ENOMEM, -EAGAIN,
 * -ENOBUFS or -ESHUTDOWN. */
WEIR_MUST_USE int wr_executor_submit(struct wr_executor *executor,
                                     struct wr_job *job);

/* Takes back a job that has not started; false if it has started. */
WEIR_MUST_USE bool wr_executor_withdraw(struct wr_executor *executor,
                                        struct wr_job *job);

/* The item has left the mailbox: the next finished job posts it again. */
void wr_executor_item_taken(struct wr_executor *executor);

/* Moves finished jobs to `returned`. */
void wr_executor_take_done(struct wr_executor *executor);

/* Refuses new jobs; threads end when no job is left. */
void wr_executor_shut(struct wr_executor *executor);

/* Joins the threads that have ended; does not wait. */
void wr_executor_join_ended(struct wr_executor *executor);

/* At the loop's end: detaches the threads that run a job, and joins the others.
 * Finished jobs are in `returned` then. */
void wr_executor_let_go(struct wr_executor *executor);

/* Drops the loop's reference. */
void wr_executor_unref(struct wr_executor *executor);

#endif

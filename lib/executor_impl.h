/*
 * The executor's inside, for the two files it is made of.
 *
 * executor_threads.c has the threads and all that stands behind the mutex;
 * executor.c has the loop's side: tasks that wait, results that return.
 */
#ifndef WEIR_LIB_EXECUTOR_IMPL_H
#define WEIR_LIB_EXECUTOR_IMPL_H

#include "../include/weir/executor.h"
#include "loop.h"

struct wr_waiter;

/* Allocated and, unless the loop has ended, freed by the loop. */
struct wr_job {
    struct wr_list link; /* in queue, done or returned */
    weir_job_fn *fn;
    void *arg;
    weir_job_abandoned_fn *abandoned;
    struct wr_waiter *waiter; /* the loop's; NULL once it was woken */
    int result;               /* when it is over */
    bool is_queued;           /* shared; cleared by whoever takes it out */
    bool is_back;             /* the loop's, set by it: no thread knows it */
    bool is_unwanted;         /* the loop's, set by the task that leaves */
};

struct wr_executor {
    /* The loop's. */
    struct wr_part part;
    weir_loop *loop;
    struct wr_list workers;
    struct wr_list returned; /* jobs that are back and not handled yet */
    struct wr_list shutdown_waiters;
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
    pthread_cond_t work; /* a job in the queue, or is_shut */
    struct wr_list queue;
    struct wr_list done;
    uint32_t queued_count;
    uint32_t idle_count; /* threads without a job, those that start included */
    uint32_t refs;       /* the loop and the threads */
    bool is_posted;      /* the item is in the mailbox, or on its way; set by
                          * who posts it, cleared by who took it out */
    bool is_shut;        /* set by the loop: threads end with the last job */
    bool is_closed;      /* set by the loop's end: results go nowhere */
};

/* Makes what the threads share; its loop is set: 0 or -ENOMEM. */
int wr_executor_init_shared(struct wr_executor *executor);

/* Gives a job to a thread, now or later, and makes threads: 0, -ENOMEM,
 * -EAGAIN, -ENOBUFS or -ESHUTDOWN. */
int wr_executor_submit(struct wr_executor *executor, struct wr_job *job);

/* Takes a job back that has not started; false when it has. */
bool wr_executor_withdraw(struct wr_executor *executor, struct wr_job *job);

/* The item has left the mailbox, and only then: the next job that is over posts
 * it again. */
void wr_executor_item_taken(struct wr_executor *executor);

/* Jobs that are over move to `returned`. */
void wr_executor_take_done(struct wr_executor *executor);

/* No more jobs; threads end when there are none left. */
void wr_executor_shut(struct wr_executor *executor);

/* Joins the threads that have ended, which does not wait. */
void wr_executor_join_ended(struct wr_executor *executor);

/* Of the loop's end: threads that run a job are left alone, the others are
 * joined. What was over by then is in `returned`. */
void wr_executor_let_go(struct wr_executor *executor);

/* Gives the loop's reference back. */
void wr_executor_unref(struct wr_executor *executor);

#endif

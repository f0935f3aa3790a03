/*
 * The threads of a ring that make the system calls which can block.
 *
 * An operation is queued, taken by a thread, and finished: then the loop's
 * thread collects it, told by an eventfd that the ring has in its epoll set.
 * Threads are made when operations wait and none is idle, at most
 * WR_EP_WORKERS_MAX, as many as io_uring has for a ring, and end with it. They
 * take no signals. A call that a thread has begun is not interrupted: a cancel
 * reaches only operations that are still queued, and opens of FIFOs.
 */
#ifndef WEIR_URING_POLL_WORKERS_H
#define WEIR_URING_POLL_WORKERS_H

#include "ops.h"

#include <pthread.h>

#define WR_EP_WORKERS_MAX 4u

struct wr_ep_workers {
    pthread_mutex_t mutex; /* for all that follows, but the eventfd */
    pthread_cond_t has_work;
    pthread_cond_t has_cancelled; /* one that rests is to end */
    struct wr_list queued;
    struct wr_list finished;
    uint32_t idle_count;
    uint32_t thread_count;
    bool is_ending;
    pthread_t threads[WR_EP_WORKERS_MAX];
    int eventfd; /* counts when something has finished */
};

WEIR_MUST_USE int wr_ep_workers_open(struct wr_ep_workers *workers);
/* Waits for calls that have begun. Closes that were queued are made, other
 * queued operations are cancelled. All end. */
void wr_ep_workers_close(struct wr_ep_workers *workers, struct wr_ep_ops *ops);

/* Hands an operation over; it is WORKING and in no list. If there is no thread
 * and none can be made, it ends with -ECANCELED, as in a ring of io_uring: the
 * owner makes its call (struct wr_file_op). */
void wr_ep_workers_push(struct wr_ep_workers *workers, struct wr_ep_op *op);
/* Takes a queued operation back; false: a thread has it, and ends it if it
 * can. */
WEIR_MUST_USE bool wr_ep_workers_take_back(struct wr_ep_workers *workers,
                                           struct wr_ep_op *op);
/* The next finished operation, WORKING and in no list, or NULL. */
struct wr_ep_op *wr_ep_workers_collect(struct wr_ep_workers *workers);
/* Resets the eventfd; called before finished operations are collected. */
void wr_ep_workers_hear(struct wr_ep_workers *workers);

#endif

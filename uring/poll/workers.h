/*
 * The threads of a ring that make system calls which can block.
 *
 * An operation is queued, run by a thread, and finished; then the loop's
 * thread, notified by an eventfd in the ring's epoll set, collects it. There
 * are at most WR_EP_WORKERS_MAX threads, as many as io_uring has for a ring,
 * and they end with it (../jobs.h). A call that a thread has begun is not
 * interrupted: a cancel reaches only operations that are still queued, and
 * opens of FIFOs.
 */
#ifndef WEIR_URING_POLL_WORKERS_H
#define WEIR_URING_POLL_WORKERS_H

#include "ops.h"

#define WR_EP_WORKERS_MAX 4u

struct wr_ep_workers {
    struct wr_jobs jobs;
    int eventfd; /* readable when an operation has finished */
};

WEIR_MUST_USE int wr_ep_workers_open(struct wr_ep_workers *workers);
/* Waits for calls that have begun, makes queued closes and cancels other queued
 * operations, so that all end. */
void wr_ep_workers_close(struct wr_ep_workers *workers, struct wr_ep_ops *ops);

/* Passes an operation, which is WORKING and in no list, to the threads. Returns
 * false if there is no thread, and none can be made. Then it ends with
 * -ECANCELED, as in a ring of io_uring, and the owner makes its call (struct
 * wr_file_op). */
WEIR_MUST_USE bool wr_ep_workers_push(struct wr_ep_workers *workers,
                                      struct wr_ep_op *op);
/* Takes back a queued operation. Returns false if a thread has it. */
WEIR_MUST_USE bool wr_ep_workers_take_back(struct wr_ep_workers *workers,
                                           struct wr_ep_op *op);
/* Resets the eventfd, and moves the finished operations to @ret. */
void wr_ep_workers_collect(struct wr_ep_workers *workers, struct wr_list *ret);

#endif

/*
 * The threads of a ring that make the system calls which can block.
 *
 * An operation is queued, taken by a thread, and finished: then the loop's
 * thread collects it, told by an eventfd that the ring has in its epoll set.
 * There are at most WR_EP_WORKERS_MAX threads, as many as io_uring has for a
 * ring, and they end with it (../jobs.h). A call that a thread has begun is not
 * interrupted: a cancel reaches only operations that are still queued, and
 * opens of FIFOs.
 */
#ifndef WEIR_URING_POLL_WORKERS_H
#define WEIR_URING_POLL_WORKERS_H

#include "ops.h"

#define WR_EP_WORKERS_MAX 4u

struct wr_ep_workers {
    struct wr_jobs jobs;
    int eventfd; /* counts when something has finished */
};

WEIR_MUST_USE int wr_ep_workers_open(struct wr_ep_workers *workers);
/* Waits for calls that have begun. Closes that were queued are made, other
 * queued operations are cancelled. All end. */
void wr_ep_workers_close(struct wr_ep_workers *workers, struct wr_ep_ops *ops);

/* Hands an operation over; it is WORKING and in no list. False: there is no
 * thread, and none can be made. Then it ends with -ECANCELED, as in a ring of
 * io_uring: the owner makes its call (struct wr_file_op). */
WEIR_MUST_USE bool wr_ep_workers_push(struct wr_ep_workers *workers,
                                      struct wr_ep_op *op);
/* Takes a queued operation back; false: a thread has it, and ends it if it
 * can. */
WEIR_MUST_USE bool wr_ep_workers_take_back(struct wr_ep_workers *workers,
                                           struct wr_ep_op *op);
/* Resets the eventfd, and moves the finished operations to @ret, by ->link;
 * they are WORKING. */
void wr_ep_workers_collect(struct wr_ep_workers *workers, struct wr_list *ret);

#endif

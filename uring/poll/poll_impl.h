/*
 * The ring of the poll engine, for its own files.
 *
 * Each part (ops.h, interest.h, buffers.h, workers.h) keeps its own state and
 * does not know the others; the functions here move operations between them.
 */
#ifndef WEIR_URING_POLL_POLL_IMPL_H
#define WEIR_URING_POLL_POLL_IMPL_H

#include "../engine.h"
#include "buffers.h"
#include "interest.h"
#include "ops.h"
#include "workers.h"

struct wr_ep_ring {
    struct wr_ring base;
    struct io_uring_sqe *sq; /* prepared entries, the oldest at sq_head */
    uint32_t sq_entries;
    uint32_t sq_head;
    uint32_t sq_tail;
    uint32_t kept_count; /* wait for memory, at the start of sq */
    struct wr_ep_ops ops;
    struct wr_ep_buffers buffers;
    struct wr_ep_workers workers;
    struct wr_list timed;   /* operations, the first due first */
    uint32_t receives_left; /* in this enter */
    /* First receives in a row that found nothing: of accepted sockets, and of
     * sockets that were connected here. */
    uint32_t vain_firsts[2];
    uint32_t vain_looks; /* polls for a second connection that found none */
    int error;           /* sticky */
    bool enabled;
    uint8_t skipped_waits;          /* enters in a row that left out the set */
    bool has_more;                  /* the last wait may have left events */
    struct io_uring_sqe discarded;  /* returned by sqe() after an error */
    struct wr_ep_interest interest; /* last, as it ends with pages of events */
};

/* ---- issue.c ---- */

/* Begins an entry, or returns false if out of memory. Sends, closes and cancels
 * need none. */
WEIR_MUST_USE bool wr_ep_issue(struct wr_ep_ring *ring,
                               struct io_uring_sqe *sqe);

/* Handles an event of a watch. Returns false if its receive must wait until the
 * loop has seen earlier receives, because the provided buffers are used up, or
 * because many connections have received: their bytes are sent on while they
 * are in the CPU's cache. */
WEIR_MUST_USE bool wr_ep_wake(struct wr_ep_ring *ring,
                              struct wr_ep_watch *watch, uint32_t events);

/* Continues or ends the operations of a watch that the set has refused. */
void wr_ep_go_on_without_set(struct wr_ep_ring *ring, struct wr_ep_watch *watch,
                             int err);

/* Called when the threads may have finished operations. */
void wr_ep_collect(struct wr_ep_ring *ring);

/* Ends the operations whose time has expired. */
void wr_ep_expire(struct wr_ep_ring *ring);
/* Returns how long until the next timed operation, at most @limit_ns. */
uint64_t wr_ep_time_left(const struct wr_ep_ring *ring, uint64_t limit_ns);

/* ---- cancel.c ---- */

/* Ends an entry that waits for memory. Returns false if there is none. */
WEIR_MUST_USE bool wr_ep_cancel_kept(struct wr_ep_ring *ring,
                                     uint64_t user_data);
/* Stops an operation's wait. Returns false if a worker has begun it. */
WEIR_MUST_USE bool wr_ep_stop(struct wr_ep_ring *ring, struct wr_ep_op *op);
/* Cancels all operations that wait for a descriptor or a time. */
void wr_ep_cancel_all(struct wr_ep_ring *ring);

#endif

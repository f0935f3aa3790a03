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
    uint32_t kept_count; /* of this submission: they wait for memory, at sq */
    struct wr_ep_ops ops;
    struct wr_ep_buffers buffers;
    struct wr_ep_workers workers;
    struct wr_list timed;   /* operations, the first due first */
    uint32_t receives_left; /* of this enter */
    /* First receives in a row that found nothing: of sockets that were
     * accepted, and of those that were connected here. */
    uint32_t vain_firsts[2];
    uint32_t vain_looks; /* for a second connection, likewise */
    int error;           /* sticky */
    bool enabled;
    uint8_t skipped_waits;          /* enters in a row that did not look */
    bool has_more;                  /* the last wait may have left events */
    struct io_uring_sqe discarded;  /* gets all SQEs after an error */
    struct wr_ep_interest interest; /* with pages of events at its end */
};

/* ---- issue.c ---- */

/* Begins an entry. False: no memory; nothing was done. Sends, closes and
 * cancels need none. */
WEIR_MUST_USE bool wr_ep_issue(struct wr_ep_ring *ring,
                               struct io_uring_sqe *sqe);

/* An event has come for a watch. False: its receive waits until the loop has
 * seen those before it, because the provided buffers are used up, or because
 * many connections have received: their bytes are sent on while they are in
 * the cache. */
WEIR_MUST_USE bool wr_ep_wake(struct wr_ep_ring *ring,
                              struct wr_ep_watch *watch, uint32_t events);

/* The set refused a watch: its operations go on without it, or end. */
void wr_ep_go_on_without_set(struct wr_ep_ring *ring, struct wr_ep_watch *watch,
                             int err);

/* The threads may have finished operations. */
void wr_ep_collect(struct wr_ep_ring *ring);

/* Ends the operations whose time has come. */
void wr_ep_expire(struct wr_ep_ring *ring);
/* How long until the next one, at most @limit_ns. */
uint64_t wr_ep_time_left(const struct wr_ep_ring *ring, uint64_t limit_ns);

/* ---- cancel.c ---- */

/* Ends an entry that waits for memory; false: there is none. */
WEIR_MUST_USE bool wr_ep_cancel_kept(struct wr_ep_ring *ring,
                                     uint64_t user_data);
/* Takes an operation out of what it waits for; false: a worker has begun it. */
WEIR_MUST_USE bool wr_ep_stop(struct wr_ep_ring *ring, struct wr_ep_op *op);
/* Cancels everything that waits for a descriptor or a time. */
void wr_ep_cancel_all(struct wr_ep_ring *ring);

#endif

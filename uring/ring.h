/*
 * The ring: set-up, submit-and-wait, completions, provided buffers.
 *
 * This header and sys.h are the seam of weir. Everything that touches the
 * kernel passes through them, and a test may link another implementation, with
 * peers made of byte pipes and a clock that stands still, in place of ring.c
 * and sys.c. The files above the seam do not know which of the two they use.
 *
 * A ring belongs to the thread that called wr_ring_enable(). No call here is
 * made from elsewhere.
 */
#ifndef WEIR_URING_RING_H
#define WEIR_URING_RING_H

#include "../include/weir/base.h"
#include "feature.h"

#include <stdint.h>

struct io_uring_sqe;
struct wr_ring;

/* Same layout as the kernel's completion entry. */
struct wr_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

struct wr_ring_options {
    const struct weir_allocator *allocator;
    uint32_t sq_entries; /* power of two */
    uint32_t cq_entries; /* power of two, more than sq_entries */
};

/* Opens a ring that is not yet bound to a thread, and finds the features of the
 * kernel. Without memory it waits for the kernel to forget rings that have
 * gone: 100 ms for the size that is asked for, then a second in all for a
 * smaller size, entries halved down to 8 and 64. Errors are the
 * WEIR_ERING... codes where one of those is the cause. */
WEIR_MUST_USE int wr_ring_open(const struct wr_ring_options *options,
                               struct wr_ring **ret,
                               struct wr_features *ret_features);

/* Binds the ring to the calling thread, which alone may use it from now on.
 * Called once, before all other calls. */
WEIR_MUST_USE int wr_ring_enable(struct wr_ring *ring);

/* Cancels all operations in the kernel, waits for them, and frees the ring. */
void wr_ring_close(struct wr_ring *ring);

/* A zeroed submission entry, sent to the kernel at the latest by the next
 * wr_ring_enter(); a full queue is submitted first. Never NULL: after an error
 * of the ring that cannot be mended the entry goes nowhere and wr_ring_enter()
 * returns the error for good. */
struct io_uring_sqe *wr_ring_sqe(struct wr_ring *ring);

/* Entries prepared and not yet handed to the kernel. */
uint32_t wr_ring_unsubmitted(const struct wr_ring *ring);
/* Entry @index of those, the oldest first. */
struct io_uring_sqe *wr_ring_unsubmitted_at(struct wr_ring *ring,
                                            uint32_t index);

/* Hands prepared entries to the kernel and waits, in one system call, until
 * @want completions are there or @timeout_ns has passed (0: do not wait,
 * UINT64_MAX: for ever). An interrupted wait returns 0. A negative result is
 * for good. */
WEIR_MUST_USE int wr_ring_enter(struct wr_ring *ring, uint32_t want,
                                uint64_t timeout_ns);

/* Moves up to @max completions out of the ring. */
WEIR_MUST_USE uint32_t wr_ring_reap(struct wr_ring *ring, struct wr_cqe *ret,
                                    uint32_t max);

/* True when the completion queue overflowed since the last call; then the queue
 * grows where the kernel can. Called with the queue drained. */
bool wr_ring_handle_overflow(struct wr_ring *ring);

/* From now on the kernel adds to this eventfd when the ring has work, unless it
 * is told not to. The ring's own descriptor is no help: nothing that waits for
 * that is woken by work which the owner has yet to run (DEFER_TASKRUN). */
WEIR_MUST_USE int wr_ring_set_eventfd(struct wr_ring *ring, int fd);

/* Switches that off and on; it is on at first. */
void wr_ring_enable_eventfd(struct wr_ring *ring, bool enable);

/* True when completions are there, or work that brings some: one enter does a
 * portion of it. */
bool wr_ring_has_completions(const struct wr_ring *ring);

/* True when an enter would not wait: entries are prepared, completions are
 * there, or work that brings some. After enabling the eventfd, and a system
 * call, whatever this does not see makes the eventfd readable. */
bool wr_ring_has_work(const struct wr_ring *ring);

/* Makes the ring of provided buffers, group 0, of @entries (a power of two).
 * @incremental: a receive takes the part that it fills, which only kernels with
 * WR_FEATURE_BUF_INC can do. */
WEIR_MUST_USE int wr_ring_setup_buffers(struct wr_ring *ring, uint32_t entries,
                                        bool incremental);

/* Gives the kernel a buffer; seen by it after wr_ring_commit_buffers(). */
void wr_ring_provide_buffer(struct wr_ring *ring, void *data, uint32_t len,
                            uint16_t buf_id);
void wr_ring_commit_buffers(struct wr_ring *ring);

/* Calls of wr_ring_enter() that reached the kernel, and entries submitted. */
struct wr_ring_stats {
    uint64_t enters;
    uint64_t submitted;
    uint64_t completions;
    uint64_t overflows;
    uint64_t sq_full; /* submissions made early because the queue was full */
};

const struct wr_ring_stats *wr_ring_stats(const struct wr_ring *ring);

#endif

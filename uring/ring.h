/*
 * The ring: set-up, submit-and-wait, completions, provided buffers.
 *
 * This header and sys.h are weir's seam. All use of the kernel passes through
 * them, so a test may link another implementation, with simulated peers and a
 * virtual clock, in place of ring.c and sys.c. The files above the seam do not
 * know which one they use. There are two engines (engine.h): io_uring, and one
 * that carries out the same entries by epoll where io_uring is refused.
 *
 * A ring belongs to the thread that called wr_ring_enable(); no other thread
 * may call these functions.
 */
#ifndef WEIR_URING_RING_H
#define WEIR_URING_RING_H

#include "../include/weir/base.h"
#include "feature.h"

#include <stdint.h>

struct io_uring_sqe;
struct wr_ring;

/* A completion in the layout of the kernel's CQE. */
struct wr_cqe {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

struct wr_ring_options {
    const struct weir_allocator *allocator;
    uint32_t sq_entries; /* power of two */
    uint32_t cq_entries; /* power of two, more than sq_entries */
    /* Entries of the ring of provided buffers, group 0: a power of two, or 0
     * for none. With WR_FEATURE_BUF_INC a receive consumes only the part of a
     * buffer that it fills. */
    uint32_t buf_entries;
    enum wr_engine_kind engine;
};

/* Opens a ring that is not bound to a thread yet, with its provided buffers,
 * and probes the kernel's features; those without their dependencies are
 * disabled (wr_features_reduce()). WR_ENGINE_AUTO: as WEIR_ENGINE in the
 * environment says, -EINVAL if it has another name than auto, uring and poll;
 * else io_uring, or epoll if any part of io_uring is refused, with the reason
 * in *ret_features. Without memory it waits until the kernel has freed closed
 * rings: about 100 ms for the requested size, then up to about a second in
 * total for smaller sizes, halved down to 8 and 64 entries. Errors are
 * WEIR_ERING... codes if one is the cause. */
WEIR_MUST_USE int wr_ring_open(const struct wr_ring_options *options,
                               struct wr_ring **ret,
                               struct wr_features *ret_features);

/* Binds the ring to the calling thread. No other thread may use it from now on.
 * Called once, before all other calls but wr_ring_open_signal(). */
WEIR_MUST_USE int wr_ring_enable(struct wr_ring *ring);

/* Cancels all operations in the kernel, waits for them, and frees the ring. */
void wr_ring_close(struct wr_ring *ring);

/* A zeroed SQE, submitted by the next wr_ring_enter() at the latest; a full
 * queue is submitted first. Never NULL: after a permanent error of the ring the
 * SQE is discarded, and wr_ring_enter() returns the error. */
struct io_uring_sqe *wr_ring_sqe(struct wr_ring *ring);

/* The number of prepared, unsubmitted SQEs. */
uint32_t wr_ring_unsubmitted(const struct wr_ring *ring);
/* Unsubmitted SQE number @index, the oldest first. */
struct io_uring_sqe *wr_ring_unsubmitted_at(struct wr_ring *ring,
                                            uint32_t index);

/* Submits prepared SQEs and waits, in one system call, until @want completions
 * are there or @timeout_ns has passed (0: do not wait, UINT64_MAX: for ever).
 * An interrupted wait returns 0. A negative result is permanent. */
WEIR_MUST_USE int wr_ring_enter(struct wr_ring *ring, uint32_t want,
                                uint64_t timeout_ns);

/* The owner has work left, and enters again soon: its next enter, which does
 * not wait, may leave events for one of those that follow. */
void wr_ring_set_due(struct wr_ring *ring);

/* Moves up to @max completions out of the ring. */
WEIR_MUST_USE uint32_t wr_ring_reap(struct wr_ring *ring, struct wr_cqe *ret,
                                    uint32_t max);

/* True if the completion queue has overflowed since the last call; the queue
 * grows then if the kernel supports it. Called with the queue drained. */
bool wr_ring_handle_overflow(struct wr_ring *ring);

/* This descriptor is about to be closed by other means than an operation, or to
 * move to another ring; no operation is in flight for it. */
void wr_ring_forget(struct wr_ring *ring, int fd);

/* Makes a descriptor that is readable when the ring has work, for a thread that
 * waits elsewhere; given. May be called before wr_ring_enable(), and should be:
 * io_uring then tells at once. A ring that is enabled keeps its operations, and
 * the kernel may tell of them some 20 ms later. */
WEIR_MUST_USE int wr_ring_open_signal(struct wr_ring *ring);

/* True if an armed receive may miss the end of its connection: in a ring that
 * tells a host at once, where the peer has sent urgent bytes. A poll does not
 * miss it. Does not change any more when the ring is enabled. */
bool wr_ring_misses_ends(const struct wr_ring *ring);

/* Disables or enables the signal of this descriptor; it is disabled at first.
 * Enabling takes back earlier signals. */
void wr_ring_enable_signal(struct wr_ring *ring, int fd, bool enable);

/* True if completions are there, or task work that leads to some; one enter
 * runs a portion of it. */
bool wr_ring_has_completions(const struct wr_ring *ring);

/* True if an enter would not wait: SQEs are prepared, or
 * wr_ring_has_completions(). After enabling the signal and a system call, any
 * work that this does not see makes its descriptor readable. */
bool wr_ring_has_work(const struct wr_ring *ring);

/* Adds a buffer, which the kernel sees after wr_ring_commit_buffers(). */
void wr_ring_provide_buffer(struct wr_ring *ring, void *data, uint32_t len,
                            uint16_t buf_id);
void wr_ring_commit_buffers(struct wr_ring *ring);

/* Frees memory that idle operations have left; returns the bytes that the
 * allocator got back. */
uint64_t wr_ring_trim(struct wr_ring *ring);

/* Counts of a ring: system calls that submit or wait, SQEs and others. */
struct wr_ring_stats {
    uint64_t enters;
    uint64_t submitted;
    uint64_t completions;
    uint64_t overflows;
    uint64_t sq_full; /* early submissions because the queue was full */
};

const struct wr_ring_stats *wr_ring_stats(const struct wr_ring *ring);

#endif

/*
 * The ring: set-up, submit-and-wait, completions, provided buffers.
 *
 * This header and sys.h are weir's seam: all use of the kernel passes through
 * them. A test may link another implementation, with simulated peers and a
 * virtual clock, instead of ring.c and sys.c. There are two engines (engine.h):
 * io_uring, and one that carries out the same entries with epoll if io_uring is
 * refused.
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
    /* Provided buffers of group 0: a power of two, or 0. With
     * WR_FEATURE_BUF_INC a receive consumes only the part of a buffer that it
     * fills. */
    uint32_t buf_entries;
    enum wr_engine_kind engine;
};

/* Opens a ring with its provided buffers, not yet bound to a thread, and probes
 * the kernel's features; features without their dependencies are disabled
 * (wr_features_reduce()). WR_ENGINE_AUTO means the engine in WEIR_ENGINE
 * (-EINVAL if that is not auto, uring or poll). If that is unset or auto, it
 * means io_uring, or epoll if any part of io_uring is refused, with the reason
 * in *ret_features.
 *
 * If memory is short, waits until the kernel has freed closed rings: about 100
 * ms for the requested size, then up to about a second in total for smaller
 * sizes, halved down to 8 and 64 entries. Returns a WEIR_ERING... code if one
 * describes the cause. */
WEIR_MUST_USE int wr_ring_open(const struct wr_ring_options *options,
                               struct wr_ring **ret,
                               struct wr_features *ret_features);

/* Binds the ring to the calling thread. Called once, before all other calls
 * except wr_ring_open_signal(). */
WEIR_MUST_USE int wr_ring_enable(struct wr_ring *ring);

/* Cancels all operations in the kernel, waits for them, and frees the ring. */
void wr_ring_close(struct wr_ring *ring);

/* Returns a zeroed SQE, never NULL. It is submitted by the next wr_ring_enter()
 * at the latest; a full queue is submitted first. After a permanent error of
 * the ring the SQE is discarded, and wr_ring_enter() returns the error. */
struct io_uring_sqe *wr_ring_sqe(struct wr_ring *ring);

uint32_t wr_ring_unsubmitted(const struct wr_ring *ring);
/* Returns the unsubmitted SQE with this index, the oldest first. */
struct io_uring_sqe *wr_ring_unsubmitted_at(struct wr_ring *ring,
                                            uint32_t index);

/* Submits prepared SQEs and waits, in one system call, for @want completions or
 * until @timeout_ns has passed (0: does not wait, UINT64_MAX: for ever). An
 * interrupted wait returns 0. A negative result is permanent. */
WEIR_MUST_USE int wr_ring_enter(struct wr_ring *ring, uint32_t want,
                                uint64_t timeout_ns);

/* Announces that the owner has work left and enters again soon. Its next enter,
 * which does not wait, may leave events for a later enter. */
void wr_ring_set_due(struct wr_ring *ring);

WEIR_MUST_USE uint32_t wr_ring_reap(struct wr_ring *ring, struct wr_cqe *ret,
                                    uint32_t max);

/* Returns true if the completion queue has overflowed since the last call, and
 * enlarges it if the kernel supports that. The queue must be drained. */
bool wr_ring_handle_overflow(struct wr_ring *ring);

/* Announces that this descriptor will be closed without an operation, or moves
 * to another ring. No operation may be in flight for it. */
void wr_ring_forget(struct wr_ring *ring, int fd);

/* Returns a new descriptor that is readable when the ring has work, for a
 * thread that waits elsewhere. The caller owns it. Should be called before
 * wr_ring_enable(), so that io_uring signals completions at once. Otherwise the
 * kernel may signal them 20 ms late. */
WEIR_MUST_USE int wr_ring_open_signal(struct wr_ring *ring);

/* Returns true if an armed receive may miss the end of its connection, which
 * happens after urgent bytes in a ring that signals a host at once. A poll does
 * not miss it. The result is constant once the ring is enabled. */
bool wr_ring_misses_ends(const struct wr_ring *ring);

/* The signal is disabled at first. Enabling it clears earlier signals. */
void wr_ring_enable_signal(struct wr_ring *ring, int fd, bool enable);

/* Returns true if there are completions, or task work that leads to
 * completions. One enter runs a portion of the task work. */
bool wr_ring_has_completions(const struct wr_ring *ring);

/* Returns true if an enter would not wait. After enabling the signal and a
 * system call, work that this misses makes the descriptor readable. */
bool wr_ring_has_work(const struct wr_ring *ring);

/* The kernel sees the buffer after wr_ring_commit_buffers(). */
void wr_ring_provide_buffer(struct wr_ring *ring, void *data, uint32_t len,
                            uint16_t buf_id);
void wr_ring_commit_buffers(struct wr_ring *ring);

/* Frees memory of idle operations. Returns the bytes freed to the allocator. */
uint64_t wr_ring_trim(struct wr_ring *ring);

struct wr_ring_stats {
    uint64_t enters;
    uint64_t submitted;
    uint64_t completions;
    uint64_t overflows;
    uint64_t sq_full; /* early submissions because the queue was full */
};

const struct wr_ring_stats *wr_ring_stats(const struct wr_ring *ring);

#endif

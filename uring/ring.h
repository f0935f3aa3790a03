/*
 * The ring: set-up, submit-and-wait, completions, provided buffers.
 *
 * All input and output passes through this header, sys.h and spawn.h. A test
 * may link another implementation, with simulated peers and a virtual clock,
 * instead of ring.c and sys.c. There are two engines (engine.h): io_uring, and
 * one that carries out the same entries with epoll.
 *
 * A ring belongs to the thread that called wr_ring_enable(). No other thread
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
    /* Number of provided buffers in group 0: a power of two, or 0. */
    uint32_t buf_entries;
    enum wr_engine_kind engine;
};

/* Opens a ring with its provided buffers, not yet bound to a thread, and probes
 * the kernel's features. WR_ENGINE_AUTO means the engine that WEIR_ENGINE names
 * (-EINVAL if that is not auto, uring or poll). If WEIR_ENGINE is unset or
 * auto, it means io_uring, or epoll if io_uring is refused;
 * ret_features->refusal is then the reason.
 *
 * If locked memory is short, waits until the kernel has freed closed rings:
 * about 100 ms for the requested size, then up to about a second in total for
 * smaller sizes, halved down to 8 and 64 entries. Returns 0 or a negative
 * error, which is a WEIR_ERING... code if one describes the cause. */
WEIR_MUST_USE int wr_ring_open(const struct wr_ring_options *options,
                               struct wr_ring **ret,
                               struct wr_features *ret_features);

/* Binds the ring to the calling thread. Must be called once, before any
 * entry. */
WEIR_MUST_USE int wr_ring_enable(struct wr_ring *ring);

/* Cancels all operations in the kernel, waits for them, and frees the ring. */
void wr_ring_close(struct wr_ring *ring);

/* Returns a zeroed SQE, never NULL. It is submitted by the next wr_ring_enter()
 * at the latest; if the queue is full, all others are submitted first. After a
 * permanent error of the ring the SQE is discarded. */
struct io_uring_sqe *wr_ring_sqe(struct wr_ring *ring);

uint32_t wr_ring_unsubmitted(const struct wr_ring *ring);
/* Returns the unsubmitted SQE with this index. The oldest has index 0. */
struct io_uring_sqe *wr_ring_unsubmitted_at(struct wr_ring *ring,
                                            uint32_t index);

/* Submits prepared SQEs and waits, in one system call, for @want completions or
 * until @timeout_ns has passed; UINT64_MAX waits for ever. Returns 0, even if a
 * signal interrupted the wait, or a permanent negative error. */
WEIR_MUST_USE int wr_ring_enter(struct wr_ring *ring, uint32_t want,
                                uint64_t timeout_ns);

/* Announces that the owner has work left. Its next enter does not wait, and may
 * leave events for the enter after it. */
void wr_ring_set_due(struct wr_ring *ring);

WEIR_MUST_USE uint32_t wr_ring_reap(struct wr_ring *ring, struct wr_cqe *ret,
                                    uint32_t max);

/* Returns true if the completion queue has overflowed since the last call. Then
 * enlarges the queue if the kernel supports that. All completions must have
 * been reaped. */
bool wr_ring_handle_overflow(struct wr_ring *ring);

/* Must be called before a descriptor is closed without an operation or moves to
 * another ring. No operation may be in flight for it. */
void wr_ring_forget(struct wr_ring *ring, int fd);

/* Returns a new descriptor, which the caller owns, or a negative error. It is
 * readable when the ring has work. If opened after wr_ring_enable(), it may
 * report completions 20 ms late. */
WEIR_MUST_USE int wr_ring_open_signal(struct wr_ring *ring);

/* Returns true if an armed receive may miss the end of its connection after
 * urgent bytes, because the signal was opened before wr_ring_enable(). A poll
 * does not miss it. The result is constant once the ring is enabled. */
bool wr_ring_misses_ends(const struct wr_ring *ring);

/* The signal is disabled at first. Enabling it clears earlier signals. */
void wr_ring_enable_signal(struct wr_ring *ring, int fd, bool enable);

/* Returns true if there are completions, or kernel work that leads to
 * completions (task work). One enter runs only some of this work. */
bool wr_ring_has_completions(const struct wr_ring *ring);

/* Returns true if an enter would not wait. Should be called after the signal
 * was enabled and then another system call was made: work that this function
 * misses makes the signal's descriptor readable. */
bool wr_ring_has_work(const struct wr_ring *ring);

/* The kernel sees the buffer after wr_ring_commit_buffers(). */
void wr_ring_provide_buffer(struct wr_ring *ring, void *data, uint32_t len,
                            uint16_t buf_id);
void wr_ring_commit_buffers(struct wr_ring *ring);

/* Frees memory of idle operations. Returns the number of bytes freed. */
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

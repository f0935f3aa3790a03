/*
 * Function tables of the two engines, which ring.c calls.
 *
 * The structure of each engine's ring begins with struct wr_ring. ring.h
 * documents the functions.
 */
#ifndef WEIR_URING_ENGINE_H
#define WEIR_URING_ENGINE_H

#include "ring.h"

#include <stdbool.h>
#include <stdint.h>

struct wr_engine {
    /* Sets all of *ret_features except engine and refusal. */
    int (*open)(const struct wr_ring_options *options, struct wr_ring **ret,
                struct wr_features *ret_features);
    int (*enable)(struct wr_ring *ring);
    void (*close)(struct wr_ring *ring);
    struct io_uring_sqe *(*sqe)(struct wr_ring *ring);
    uint32_t (*unsubmitted)(const struct wr_ring *ring);
    struct io_uring_sqe *(*unsubmitted_at)(struct wr_ring *ring,
                                           uint32_t index);
    int (*enter)(struct wr_ring *ring, uint32_t want, uint64_t timeout_ns);
    uint32_t (*reap)(struct wr_ring *ring, struct wr_cqe *ret, uint32_t max);
    bool (*handle_overflow)(struct wr_ring *ring);
    void (*forget)(struct wr_ring *ring, int fd);
    int (*open_signal)(struct wr_ring *ring);
    void (*enable_signal)(struct wr_ring *ring, int fd, bool enable);
    bool (*has_completions)(const struct wr_ring *ring);
    int (*setup_buffers)(struct wr_ring *ring, uint32_t entries,
                         bool incremental);
    void (*provide_buffer)(struct wr_ring *ring, void *data, uint32_t len,
                           uint16_t buf_id);
    void (*commit_buffers)(struct wr_ring *ring);
    uint64_t (*trim)(struct wr_ring *ring);
};

struct wr_ring {
    const struct wr_engine *engine;
    const struct weir_allocator *allocator;
    bool misses_ends; /* set before the ring is enabled; see ring_kernel.c */
    bool is_due;      /* set by wr_ring_set_due(), cleared by an enter */
    struct wr_ring_stats stats;
};

extern const struct wr_engine wr_engine_kernel;
extern const struct wr_engine wr_engine_poll;

/* Opening a ring sleeps for a millisecond and tries again while locked memory
 * is short: some kernels charge a ring to RLIMIT_MEMLOCK until 5 to 15 ms after
 * it was closed or its process was killed. Sleeps are counted, not timed,
 * because on a busy machine the kernel is late too.
 *
 * These are the most sleeps of one ring: before smaller sizes are tried; in
 * total until this process closes a ring; in total afterwards. Until the first
 * close the cause is usually a low RLIMIT_MEMLOCK, and waiting does not help.
 */
#define WR_LOCKED_WAITS_FOR_SIZE 100u
#define WR_LOCKED_WAITS_AT_FIRST 100u
#define WR_LOCKED_WAITS          1000u

/* Sleeps, increments *waits and returns true. Returns false if @err is another
 * error, at @limit, or if an earlier ring has used up its sleeps. */
bool wr_locked_wait(int err, uint32_t *waits, uint32_t limit);

/* Called when a ring was closed. wr_locked_wait() then sleeps again. */
void wr_locked_given_back(void);

#endif

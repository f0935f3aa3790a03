/*
 * The received-data pool of the bare liburing server: few buffers of 256 KiB
 * that the kernel fills bit by bit (incremental consumption) and that return
 * to it, the warmest first, when the last slice of them has been sent.
 *
 * Few are posted, because what costs in bulk is the cache, not the receive.
 */
#ifndef BENCH_URING_POOL_H
#define BENCH_URING_POOL_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#define POOL_BUF_SIZE  (256U * 1024)
#define POOL_BUF_COUNT 64
#define POOL_POSTED    8
#define POOL_GROUP     0
#define POOL_NO_BUF    UINT16_MAX

/* Received bytes; holds one reference to its buffer. */
struct slice {
    uint8_t *data;
    uint32_t len;
    uint16_t buf_id;
};

struct pool_buf {
    uint32_t filled;
    uint32_t refs;
    bool is_posted;
};

struct pool {
    struct io_uring_buf_ring *ring;
    uint8_t *memory;
    struct pool_buf bufs[POOL_BUF_COUNT];
    uint16_t free_ids[POOL_BUF_COUNT];
    uint32_t free_count;
    uint32_t posted_count;
};

void pool_init(struct pool *p, struct io_uring *ring);

/* Give the kernel buffers up to POOL_POSTED, in one step. */
void pool_post(struct pool *p);

/* The bytes of a completion that carries a buffer, with a reference. */
struct slice pool_take(struct pool *p, const struct io_uring_cqe *cqe);

/* Give up a reference; POOL_NO_BUF is none. */
void pool_release(struct pool *p, uint16_t buf_id);

#endif

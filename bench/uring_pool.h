/*
 * The receive buffers of the bare liburing server: few buffers of 256 KiB that
 * the kernel fills incrementally, and that return to it, the most recently used
 * first, when their last slice has been sent.
 *
 * Few buffers are posted, because bulk transfers are limited by the cache.
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

/* Received bytes, with one reference to their buffer. */
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

/* Posts buffers until the kernel has POOL_POSTED of them. */
void pool_post(struct pool *p);

/* Returns the bytes of a completion with a buffer, and takes a reference. */
struct slice pool_take(struct pool *p, const struct io_uring_cqe *cqe);

/* Releases a reference. POOL_NO_BUF is ignored. */
void pool_release(struct pool *p, uint16_t buf_id);

#endif

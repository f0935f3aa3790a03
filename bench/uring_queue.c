/*
 * Slices are in order in an array, which is part of the queue until there are
 * more than a few.
 *
 * This file makes and frees queues, and has the rare cases.
 */
#include "bench/uring_queue.h"

#include "bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SQ_ENTRIES 1024

void queue_init(struct queue *q)
{
    q->slices = q->slices_inline;
    q->capacity = QUEUE_INLINE;
}

void queue_fini(struct queue *q, struct pool *p)
{
    for (uint32_t i = 0; i < q->count; i++) {
        pool_release(p, q->slices[i].buf_id);
    }
    if (q->slices != q->slices_inline) {
        free(q->slices);
    }
}

void queue_grow(struct queue *q)
{
    size_t size = q->capacity * sizeof(struct slice);

    if (q->slices == q->slices_inline) {
        q->slices = bench_malloc(size * 2);
        memcpy(q->slices, q->slices_inline, size);
    } else {
        q->slices = bench_realloc(q->slices, size * 2);
    }
    q->capacity *= 2;
}

void ring_start(struct io_uring *ring, unsigned cq_entries)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
        .cq_entries = cq_entries,
    };
    int ret = io_uring_queue_init_params(SQ_ENTRIES, ring, &params);

    if (ret < 0) {
        bench_die_err("io_uring_queue_init_params", ret);
    }
    io_uring_register_ring_fd(ring);
}

void ring_wait(struct io_uring *ring)
{
    int ret = io_uring_submit_and_wait(ring, 1);

    if (ret < 0 && ret != -EINTR && ret != -EBUSY) {
        bench_die_err("io_uring_submit_and_wait", ret);
    }
}

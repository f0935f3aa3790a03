/*
 * The pool: a buffer is posted, filled, and free again when the kernel has
 * finished with it and its last slice is released.
 *
 * It has no budgets and does not copy. If peers do not read, the server runs
 * out of buffers, its receives end with ENOBUFS, and it arms them again when
 * buffers have returned.
 */
#include "bench/uring_pool.h"

#include "bench/bench.h"

#include <sys/mman.h>

#define RING_ENTRIES 16

static uint8_t *buf_start(const struct pool *p, uint16_t id)
{
    return p->memory + (size_t)id * POOL_BUF_SIZE;
}

void pool_init(struct pool *p, struct io_uring *ring)
{
    int err = 0;

    p->ring = io_uring_setup_buf_ring(ring, RING_ENTRIES, POOL_GROUP,
                                      IOU_PBUF_RING_INC, &err);
    if (p->ring == NULL) {
        bench_die_err("io_uring_setup_buf_ring", err);
    }
    p->memory =
        mmap(NULL, (size_t)POOL_BUF_COUNT * POOL_BUF_SIZE,
             PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p->memory == MAP_FAILED) {
        bench_die("mmap");
    }
    for (uint16_t id = 0; id < POOL_BUF_COUNT; id++) {
        p->free_ids[p->free_count++] = id;
    }
    pool_post(p);
}

void pool_post(struct pool *p)
{
    int added = 0;

    while (p->posted_count < POOL_POSTED && p->free_count > 0) {
        uint16_t id = p->free_ids[--p->free_count];

        p->bufs[id].is_posted = true;
        p->bufs[id].filled = 0;
        io_uring_buf_ring_add(p->ring, buf_start(p, id), POOL_BUF_SIZE, id,
                              io_uring_buf_ring_mask(RING_ENTRIES), added);
        p->posted_count++;
        added++;
    }
    if (added > 0) {
        io_uring_buf_ring_advance(p->ring, added);
    }
}

struct slice pool_take(struct pool *p, const struct io_uring_cqe *cqe)
{
    uint16_t id = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    struct pool_buf *b = &p->bufs[id];
    struct slice slice = {
        .data = buf_start(p, id) + b->filled,
        .len = cqe->res > 0 ? (uint32_t)cqe->res : 0,
        .buf_id = id,
    };

    b->refs++;
    b->filled += slice.len;
    if ((cqe->flags & IORING_CQE_F_BUF_MORE) == 0) {
        b->is_posted = false;
        p->posted_count--;
    }
    return slice;
}

void pool_release(struct pool *p, uint16_t buf_id)
{
    struct pool_buf *b;

    if (buf_id == POOL_NO_BUF) {
        return;
    }
    b = &p->bufs[buf_id];
    b->refs--;
    if (b->refs == 0 && !b->is_posted) {
        p->free_ids[p->free_count++] = buf_id;
    }
}

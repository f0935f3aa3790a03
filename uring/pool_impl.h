/*
 * Declarations shared by the files of the receive pool.
 *
 * pool.c owns the buffers and posts them to the kernel, pool_open.c fills them
 * by system calls. Both take buffers from the same stack and lend their bytes.
 */
#ifndef WEIR_URING_POOL_IMPL_H
#define WEIR_URING_POOL_IMPL_H

#include "lease.h"
#include "pool.h"

/* For each state the bits of its allowed next states. */
extern const uint8_t wr_pool_buf_edges[WR_BUF_STATES];

/* The only writer of a buffer's state. */
static inline void wr_pool_set_state(struct wr_pool_buf *buf,
                                     enum wr_pool_buf_state state)
{
    wr_assert(wr_pool_buf_edges[buf->state] & 1u << state);
    buf->state = state;
}

/* A free, empty buffer; NULL without memory for one. */
struct wr_pool_buf *wr_pool_take_buf(struct wr_pool *pool);

/* Pushes a buffer without references onto the free stack. */
void wr_pool_push_free(struct wr_pool *pool, struct wr_pool_buf *buf);

/* Checks every buffer. */
void wr_pool_check_bufs(const struct wr_pool *pool);

/* A lease whose parent and block are NULL: leases go back to the slab like
 * this, and the slab's memory is zeroed at first. */
static inline weir_lease *wr_pool_take_lease(struct wr_pool *pool)
{
    weir_lease *lease = wr_slab_take_raw(&pool->leases);
    if (WR_LIKELY(lease != NULL)) {
        wr_debug_assert(!lease->parent);
        wr_debug_assert(!lease->block);
        lease->next = NULL;
        lease->pool = pool;
    }
    return lease;
}

/* Makes the lease the only reference to these bytes of the buffer. */
static inline void wr_pool_lend(weir_lease *lease, struct wr_pool_buf *buf,
                                const uint8_t *data, uint32_t len)
{
    wr_debug_assert(len > 0);
    lease->data = data;
    lease->len = len;
    lease->refs = 1;
    lease->buf = buf;
    buf->refs++;
}

#endif

/*
 * The inside of the receive pool, for the files that are it.
 *
 * pool.c keeps the buffers and hands them to the kernel, pool_open.c fills them
 * by system calls. Both take buffers off the same stack and lend their bytes.
 */
#ifndef WEIR_URING_POOL_IMPL_H
#define WEIR_URING_POOL_IMPL_H

#include "lease.h"
#include "pool.h"

/* For each state, the states that may follow, as bits. */
extern const uint8_t wr_pool_buf_edges[WR_BUF_STATES];

/* The only writer of a buffer's state. */
static inline void wr_pool_set_state(struct wr_pool_buf *buf,
                                     enum wr_pool_buf_state state)
{
    wr_assert(wr_pool_buf_edges[buf->state] & 1u << state);
    buf->state = state;
}

/* A free buffer that nothing is in; NULL without memory for one. */
struct wr_pool_buf *wr_pool_take_buf(struct wr_pool *pool);

/* A buffer without references goes onto the stack. */
void wr_pool_push_free(struct wr_pool *pool, struct wr_pool_buf *buf);

/* Looks at every buffer. */
void wr_pool_check_bufs(const struct wr_pool *pool);

/* A lease whose parent and block are NULL: leases are given back to the slab in
 * that condition, and the slab's memory begins with zeros. */
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

/* The lease becomes one reference to these bytes of the buffer. */
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

/*
 * Declarations shared by the files of the receive pool.
 *
 * pool.c posts buffers to the kernel. pool_open.c fills them with system calls.
 * Both make leases on the received bytes.
 */
#ifndef WEIR_URING_POOL_IMPL_H
#define WEIR_URING_POOL_IMPL_H

#include "lease.h"
#include "pool.h"

extern const uint8_t wr_pool_buf_edges[WR_BUF_STATES];

static inline void wr_pool_set_state(struct wr_pool_buf *buf,
                                     enum wr_pool_buf_state state)
{
    wr_assert(wr_pool_buf_edges[buf->state] & 1u << state);
    buf->state = state;
}

/* Returns an empty, unlisted buffer in state FREE, or NULL if out of memory. */
struct wr_pool_buf *wr_pool_take_buf(struct wr_pool *pool);

void wr_pool_push_free(struct wr_pool *pool, struct wr_pool_buf *buf);

void wr_pool_check_bufs(const struct wr_pool *pool);

/* Returns a lease, or NULL if out of memory. Its parent and block are NULL
 * without a store, as leases return to the slab like this and new memory is
 * zeroed. */
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

/*
 * Buffers between the kernel, the connections and the free stack.
 *
 * The kernel names a buffer by its id and consumes posted buffers in order; how
 * far it got in the one at the head is mirrored in `offset`. A buffer is
 * counted in by its leases; only when the kernel has let go of it and the last
 * lease is back does it return to the stack.
 */
#include "pool.h"

#include "guard.h"

#include <errno.h>
#include <string.h>

#define POSTED_INC   10u
#define POSTED_PLAIN 128u

enum buf_state {
    BUF_FREE,    /* on the stack */
    BUF_POSTED,  /* the kernel may write to it beyond offset */
    BUF_RETIRED, /* used up; leases may be out */
};

struct wr_pool_buf {
    struct wr_pool_buf *next;
    uint8_t *data;
    uint32_t offset; /* bytes that the kernel has used */
    uint32_t refs;   /* leases that point into it */
    uint16_t id;
    enum buf_state state;
};

int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                 const struct wr_pool_options *options)
{
    const bool inc = wr_has(&uring->features, WR_FEATURE_BUF_INC);

    memset(pool, 0, sizeof(*pool));
    pool->uring = uring;
    pool->blocks = options->blocks;
    pool->limit_bytes = options->limit_bytes;
    pool->buf_size = inc ? WR_POOL_INC_SIZE : WR_POOL_PLAIN_SIZE;
    pool->posted_goal = inc ? POSTED_INC : POSTED_PLAIN;
    pool->buf_max = (uint32_t)wr_min_u64(options->limit_bytes / pool->buf_size,
                                         UINT16_MAX - WR_POOL_RING_ENTRIES) +
                    pool->posted_goal;
    wr_slab_init(&pool->leases, uring->allocator, sizeof(weir_lease));
    pool->bufs =
        wr_alloc(uring->allocator, pool->buf_max * sizeof(*pool->bufs));
    if (!pool->bufs) {
        return -ENOMEM;
    }
    int err = wr_ring_setup_buffers(uring->ring, WR_POOL_RING_ENTRIES);
    if (err < 0) {
        wr_free(uring->allocator, pool->bufs,
                pool->buf_max * sizeof(*pool->bufs));
        pool->bufs = NULL;
    }
    return err;
}

bool wr_pool_fini(struct wr_pool *pool)
{
    const struct weir_allocator *allocator = pool->uring->allocator;

    if (pool->leases.used_count > 0) {
        return false;
    }
    for (uint32_t i = 0; i < pool->buf_count; i++) {
        struct wr_pool_buf *buf = pool->bufs[i];
        wr_assert(buf->refs == 0);
        wr_guard_free(allocator, buf->data, pool->buf_size);
        wr_free(allocator, buf, sizeof(*buf));
    }
    wr_free(allocator, pool->bufs, pool->buf_max * sizeof(*pool->bufs));
    wr_slab_fini(&pool->leases);
    return true;
}

static struct wr_pool_buf *make_buf(struct wr_pool *pool)
{
    const struct weir_allocator *allocator = pool->uring->allocator;
    if (pool->buf_count == pool->buf_max) {
        return NULL;
    }
    struct wr_pool_buf *buf = wr_alloc(allocator, sizeof(*buf));
    if (!buf) {
        return NULL;
    }
    memset(buf, 0, sizeof(*buf));
    buf->data = wr_guard_alloc(allocator, pool->buf_size);
    if (!buf->data) {
        wr_free(allocator, buf, sizeof(*buf));
        return NULL;
    }
    buf->id = (uint16_t)pool->buf_count;
    pool->bufs[pool->buf_count++] = buf;
    return buf;
}

void wr_pool_post(struct wr_pool *pool)
{
    if (pool->posted_count >= pool->posted_goal) {
        return;
    }
    while (pool->posted_count < pool->posted_goal) {
        struct wr_pool_buf *buf = pool->free_list;
        if (buf) {
            pool->free_list = buf->next;
        } else {
            buf = make_buf(pool);
        }
        if (!buf) {
            break;
        }
        wr_assert(buf->state == BUF_FREE && buf->refs == 0);
        buf->state = BUF_POSTED;
        buf->offset = 0;
        pool->posted_count++;
        wr_ring_provide_buffer(pool->uring->ring, buf->data, pool->buf_size,
                               buf->id);
    }
    wr_ring_commit_buffers(pool->uring->ring);
}

static void free_if_unused(struct wr_pool *pool, struct wr_pool_buf *buf)
{
    if (buf->state == BUF_RETIRED && buf->refs == 0) {
        buf->state = BUF_FREE;
        buf->next = pool->free_list;
        pool->free_list = buf;
    }
}

static weir_lease *make_lease(struct wr_pool *pool, struct wr_account *account,
                              const uint8_t *data, uint32_t len)
{
    weir_lease *lease = wr_slab_take(&pool->leases);
    if (!lease) {
        return NULL;
    }
    lease->data = data;
    lease->len = len;
    lease->refs = 1;
    lease->account = account;
    lease->pool = pool;
    account->held_bytes += len;
    account->lease_count++;
    pool->held_bytes += len;
    return lease;
}

weir_lease *wr_pool_receive(struct wr_pool *pool, struct wr_account *account,
                            int32_t res, uint32_t flags)
{
    const uint32_t id = flags >> WR_CQE_BUFFER_SHIFT;
    wr_check(id < pool->buf_count);
    struct wr_pool_buf *buf = pool->bufs[id];
    const uint32_t len = res > 0 ? (uint32_t)res : 0;
    wr_check(buf->state == BUF_POSTED);
    wr_check(len <= pool->buf_size - buf->offset);

    const uint8_t *data = buf->data + buf->offset;
    buf->offset += len;
    if (!(flags & WR_CQE_BUF_MORE)) {
        buf->state = BUF_RETIRED;
        pool->posted_count--;
    }
    weir_lease *lease = len > 0 ? make_lease(pool, account, data, len) : NULL;
    if (!lease) {
        free_if_unused(pool, buf);
        return NULL;
    }
    lease->buf = buf;
    buf->refs++;
    return lease;
}

weir_lease *wr_pool_lease_copy(struct wr_pool *pool, struct wr_account *account,
                               const void *data, size_t len)
{
    wr_assert(len > 0 && len <= UINT32_MAX);
    struct wr_block *block = wr_block_take(pool->blocks, len);
    if (!block) {
        return NULL;
    }
    memcpy(block->data, data, len);
    weir_lease *lease = make_lease(pool, account, block->data, (uint32_t)len);
    if (!lease) {
        wr_block_give(pool->blocks, block);
        return NULL;
    }
    lease->block = block;
    pool->copied_bytes += len;
    return lease;
}

weir_lease *wr_lease_slice(weir_lease *parent, const uint8_t *data,
                           uint32_t len)
{
    wr_assert(data >= parent->data);
    wr_assert(data + len <= parent->data + parent->len);
    weir_lease *lease = wr_slab_take(&parent->pool->leases);
    if (!lease) {
        return NULL;
    }
    if (parent->parent) { /* a part of a part is a part of the whole */
        weir_lease *whole = parent->parent;
        wr_lease_ref(whole);
        wr_lease_unref(parent);
        parent = whole;
    }
    lease->data = data;
    lease->len = len;
    lease->refs = 1;
    lease->parent = parent;
    lease->account = parent->account;
    lease->pool = parent->pool;
    return lease;
}

/* What is left is shared out so that all connections together, each with its
 * credit in the kernel, stay within half the limit. */
uint32_t wr_pool_credit(const struct wr_pool *pool,
                        const struct wr_account *account)
{
    if (account->held_bytes >= account->limit_bytes ||
        pool->held_bytes >= pool->limit_bytes) {
        return 0;
    }
    const uint64_t own = account->limit_bytes - account->held_bytes;
    const uint64_t common = pool->limit_bytes - pool->held_bytes;
    uint64_t share = WR_CREDIT_MAX;
    if (WR_UNLIKELY(pool->account_count * 2 * WR_CREDIT_MAX >
                    pool->limit_bytes)) {
        share = wr_max_u64(pool->limit_bytes / (pool->account_count * 2),
                           WR_CREDIT_MIN);
    }
    const uint64_t credit = wr_min_u64(wr_min_u64(own, common), share);
    return credit < WR_CREDIT_MIN ? 0 : (uint32_t)credit;
}

void wr_lease_compact(weir_lease *lease)
{
    if (lease->refs != 1 || !lease->buf || lease->len >= WR_COMPACT_BELOW) {
        return;
    }
    struct wr_block *block = wr_block_take(lease->pool->blocks, lease->len);
    if (!block) {
        return;
    }
    memcpy(block->data, lease->data, lease->len);
    lease->pool->copied_bytes += lease->len;
    lease->data = block->data;
    lease->block = block;
    lease->buf->refs--;
    free_if_unused(lease->pool, lease->buf);
    lease->buf = NULL;
}

static void release(weir_lease *lease)
{
    struct wr_pool *pool = lease->pool;
    struct wr_account *account = lease->account;

    if (lease->buf) {
        lease->buf->refs--;
        free_if_unused(pool, lease->buf);
    } else {
        wr_block_give(pool->blocks, lease->block);
    }
    account->held_bytes -= lease->len;
    account->lease_count--;
    pool->held_bytes -= lease->len;
    wr_slab_give(&pool->leases, lease);
    account->released(account); /* may free the account */
}

void wr_lease_unref(weir_lease *lease)
{
    wr_assert(lease->refs > 0);
    if (--lease->refs > 0) {
        return;
    }
    weir_lease *parent = lease->parent;
    if (parent) {
        wr_slab_give(&lease->pool->leases, lease);
        lease = parent;
        wr_assert(lease->refs > 0 && !lease->parent);
        if (--lease->refs > 0) {
            return;
        }
    }
    release(lease);
}

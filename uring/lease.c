/*
 * Leases: who keeps received bytes, where they lie, and what is charged.
 *
 * A lease points into a receive buffer, which counts it, or into a block of its
 * own, or it is a part of one in a block and keeps that. One rule says what may
 * stay where it is when it is kept, may_stay(), and whoever keeps bytes comes
 * by it: protocols, takers, sockets that were paused.
 */
#include "pool.h"

#include <errno.h>
#include <string.h>

/* A lease over a block, nothing charged; len is for the caller. */
static weir_lease *lease_block(struct wr_pool *pool, size_t capacity)
{
    struct wr_block *block = wr_block_take(pool->blocks, capacity);
    weir_lease *lease = block ? wr_slab_take(&pool->leases) : NULL;
    if (!lease) {
        if (block) {
            wr_block_give(pool->blocks, block);
        }
        return NULL;
    }
    lease->data = block->data;
    lease->refs = 1;
    lease->block = block;
    lease->pool = pool;
    return lease;
}

static void charge_block(weir_lease *lease, struct wr_account *account)
{
    struct wr_budget *budget = &lease->pool->budget;
    const uint32_t cost = wr_lease_cost(lease);

    lease->account = account;
    account->held_bytes += cost;
    account->lease_count++;
    *(account == &lease->pool->own ? &budget->kept_bytes
                                   : &budget->held_bytes) += cost;
    if (account->held_bytes > account->limit_bytes && account->over) {
        account->over(account);
    }
}

/* The counterpart of both ways to charge. */
static void discharge(const weir_lease *lease, uint32_t bytes)
{
    struct wr_account *account = lease->account;
    struct wr_budget *budget = &lease->pool->budget;
    uint64_t *sum = account == &lease->pool->own ? &budget->kept_bytes
                                                 : &budget->held_bytes;
    wr_assert(account->held_bytes >= bytes);
    wr_assert(*sum >= bytes);
    account->held_bytes -= bytes;
    *sum -= bytes;
}

weir_lease *wr_pool_lease_copy(struct wr_pool *pool, struct wr_account *account,
                               const void *data, size_t len)
{
    wr_assert(len > 0 && len <= UINT32_MAX);
    weir_lease *lease = lease_block(pool, len);
    if (!lease) {
        return NULL;
    }
    memcpy(lease->block->data, data, len);
    pool->copied_bytes += len;
    lease->len = (uint32_t)len;
    charge_block(lease, account);
    return lease;
}

weir_lease *wr_pool_lease_own(struct wr_pool *pool, size_t capacity)
{
    wr_assert(capacity > 0);
    weir_lease *lease = lease_block(pool, capacity);
    if (!lease) {
        return NULL;
    }
    lease->len = lease->block->capacity;
    charge_block(lease, &pool->own);
    return lease;
}

/* Another lease on the same receive buffer. */
static void share_buf(weir_lease *lease, weir_lease *of)
{
    lease->buf = of->buf;
    lease->buf->refs++;
    wr_lease_charge(lease);
    wr_lease_unref(of);
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
    lease->data = data;
    lease->len = len;
    lease->refs = 1;
    lease->account = parent->account;
    lease->pool = parent->pool;
    if (parent->buf) {
        share_buf(lease, parent);
        return lease;
    }
    if (parent->parent) { /* a part of a part is a part of the whole */
        weir_lease *whole = parent->parent;
        wr_lease_ref(whole);
        wr_lease_unref(parent);
        parent = whole;
    }
    lease->parent = parent;
    return lease;
}

/* May a part stay where it is? A block is pinned, and charged, whole. */
static bool may_stay(const weir_lease *lease, size_t len)
{
    if (lease->buf) {
        return len >= WR_LEASE_LEAST && !wr_pool_is_short(lease->pool);
    }
    const weir_lease *whole = lease->parent ? lease->parent : lease;
    return len >= whole->block->capacity / 2 || len == whole->len;
}

/* A copy where the bytes must not stay; NULL where they may, or where there is
 * no memory for one and they need not move at once. */
static int copy_if_due(const struct weir_buf *buf, weir_lease **ret)
{
    weir_lease *lease = buf->lease;
    wr_assert(buf->len > 0);
    wr_assert(buf->data >= lease->data);
    wr_assert(buf->data + buf->len <= lease->data + lease->len);

    *ret = NULL;
    if (may_stay(lease, buf->len)) {
        return 0;
    }
    *ret = wr_pool_lease_copy(lease->pool, lease->account, buf->data, buf->len);
    return *ret || (lease->buf && !wr_pool_is_short(lease->pool)) ? 0 : -ENOMEM;
}

static weir_lease *slice_of(const struct weir_buf *buf)
{
    wr_lease_ref(buf->lease); /* the slice takes it */
    weir_lease *slice =
        wr_lease_slice(buf->lease, buf->data, (uint32_t)buf->len);
    if (!slice) {
        wr_lease_unref(buf->lease);
    }
    return slice;
}

weir_lease *wr_lease_keep_apart(const struct weir_buf *buf)
{
    weir_lease *copy;
    if (copy_if_due(buf, &copy) < 0) {
        return NULL;
    }
    return copy ? copy : slice_of(buf);
}

int wr_lease_keep(struct weir_buf *buf)
{
    weir_lease *copy;
    int err = copy_if_due(buf, &copy);
    if (err < 0) {
        return err;
    }
    if (copy) {
        buf->data = copy->data;
        buf->lease = copy;
        return 0;
    }
    if (buf->len == buf->lease->len) {
        wr_lease_ref(buf->lease);
        return 0;
    }
    weir_lease *slice = slice_of(buf);
    wr_require(slice, -ENOMEM);
    buf->lease = slice;
    return 0;
}

void wr_lease_trim(weir_lease *lease, uint32_t len)
{
    wr_assert(len < lease->len);
    if (lease->buf && lease->refs == 1) {
        discharge(lease, len);
        lease->data += len;
        lease->len -= len;
    }
}

void wr_lease_compact(weir_lease *lease)
{
    if (lease->refs != 1 || !lease->buf ||
        (lease->len >= WR_COMPACT_BELOW && !wr_pool_is_short(lease->pool))) {
        return;
    }
    struct wr_block *block = wr_block_take(lease->pool->blocks, lease->len);
    if (!block) {
        return;
    }
    memcpy(block->data, lease->data, lease->len);
    lease->pool->copied_bytes += lease->len;
    discharge(lease, lease->len);
    lease->account->lease_count--;
    lease->data = block->data;
    lease->block = block;
    lease->buf->refs--;
    wr_pool_free_if_unused(lease->pool, lease->buf);
    lease->buf = NULL;
    charge_block(lease, lease->account);
}

static void give_lease(weir_lease *lease)
{
    lease->parent = NULL; /* for take_lease() */
    lease->block = NULL;
    wr_slab_give(&lease->pool->leases, lease);
}

/* Of a part, or one over a block. */
static void release_other(weir_lease *lease)
{
    struct wr_pool *pool = lease->pool;
    weir_lease *parent = lease->parent;

    if (parent) {
        give_lease(lease);
        wr_lease_unref(parent);
        return;
    }
    struct wr_account *account = lease->account;
    discharge(lease, wr_lease_cost(lease));
    account->lease_count--;
    wr_block_give(pool->blocks, lease->block);
    give_lease(lease);
    if (WR_UNLIKELY(account->tell_released)) {
        account->released(account); /* may free the account */
    }
}

void wr_lease_release(weir_lease *lease)
{
    if (WR_UNLIKELY(!lease->buf)) {
        release_other(lease);
        return;
    }
    struct wr_pool *pool = lease->pool;
    struct wr_account *account = lease->account;
    wr_assert(!lease->parent && !lease->block);
    account->held_bytes -= lease->len;
    account->lease_count--;
    pool->budget.held_bytes -= lease->len;
    lease->buf->refs--;
    wr_pool_free_if_unused(pool, lease->buf);
    wr_slab_give(&pool->leases, lease);
    if (WR_UNLIKELY(account->tell_released)) {
        account->released(account); /* may free the account */
    }
}

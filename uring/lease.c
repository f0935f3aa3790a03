/*
 * Leases: where kept bytes are stored, and which account they are charged to.
 *
 * lease_may_stay() decides whether kept bytes stay where they are or are copied
 * to a block.
 */
#include "lease.h"

#include <errno.h>
#include <string.h>

static bool lease_is_within(const weir_lease *lease, const uint8_t *from,
                            size_t len)
{
    return lease->data >= from && lease->data + lease->len <= from + len;
}

void wr_lease_check_invariants(const weir_lease *lease)
{
    wr_assert(lease->len > 0);
    wr_assert(lease->account != NULL);
    wr_assert(!!lease->buf + !!lease->parent + !!lease->block == 1);
    if (lease->buf) {
        wr_assert(lease->buf->refs > 0);
        wr_assert(lease->buf->state != WR_BUF_FREE);
        wr_assert(lease_is_within(lease, lease->buf->data, lease->buf->offset));
    } else if (lease->parent) {
        const weir_lease *parent = lease->parent;
        wr_assert(parent->block && parent->refs > 0);
        wr_assert(parent->account == lease->account);
        wr_assert(lease_is_within(lease, parent->data, parent->len));
    } else {
        wr_assert(
            lease_is_within(lease, lease->block->data, lease->block->capacity));
        wr_assert(lease->account->lease_count > 0);
        wr_assert(lease->account->held_bytes >= wr_lease_cost(lease));
    }
}

/* Takes @block, which may be NULL, even on failure. */
static weir_lease *lease_over(struct wr_pool *pool, struct wr_block *block)
{
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

static void lease_charge_bytes(weir_lease *lease, uint32_t bytes)
{
    struct wr_account *account = lease->account;

    wr_assert(lease->block);
    account->held_bytes += bytes;
    if (account != &lease->pool->own) {
        lease->pool->held_bytes += bytes;
    }
    wr_debug_check(wr_lease_check_invariants(lease));
    if (account->held_bytes > account->limit_bytes && account->ops &&
        account->ops->over) {
        account->ops->over(account);
    }
}

static void lease_charge_block(weir_lease *lease, struct wr_account *account)
{
    lease->account = account;
    account->lease_count++;
    lease_charge_bytes(lease, wr_lease_cost(lease));
}

static void lease_discharge(const weir_lease *lease, uint32_t bytes)
{
    struct wr_account *account = lease->account;
    struct wr_pool *pool = lease->pool;

    wr_assert(account->held_bytes >= bytes);
    account->held_bytes -= bytes;
    if (account != &pool->own) {
        wr_assert(pool->held_bytes >= bytes);
        pool->held_bytes -= bytes;
    }
}

weir_lease *wr_lease_copy(struct wr_pool *pool, struct wr_account *account,
                          const void *data, size_t len)
{
    wr_assert(len > 0);
    wr_assert(len <= UINT32_MAX);
    weir_lease *lease = lease_over(pool, wr_block_take(pool->blocks, len));
    if (!lease) {
        return NULL;
    }
    memcpy(lease->block->data, data, len);
    pool->copied_bytes += len;
    lease->len = (uint32_t)len;
    lease_charge_block(lease, account);
    return lease;
}

weir_lease *wr_lease_block(struct wr_pool *pool, struct wr_account *account,
                           struct wr_block *block, size_t len)
{
    wr_assert(len > 0);
    wr_assert(len <= block->capacity);
    weir_lease *lease = lease_over(pool, block);
    if (!lease) {
        return NULL;
    }
    lease->len = (uint32_t)len;
    lease_charge_block(lease, account);
    return lease;
}

weir_lease *wr_lease_own(struct wr_pool *pool, size_t capacity)
{
    wr_assert(capacity > 0);
    weir_lease *lease = lease_over(pool, wr_block_take(pool->blocks, capacity));
    if (!lease) {
        return NULL;
    }
    lease->len = lease->block->capacity;
    lease_charge_block(lease, &pool->own);
    return lease;
}

weir_lease *wr_lease_slice(weir_lease *parent, const uint8_t *data,
                           uint32_t len)
{
    wr_debug_check(wr_lease_check_invariants(parent));
    wr_assert(parent->refs > 0);
    wr_assert(len > 0);
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
        wr_assert(parent->buf->refs > 0);
        wr_assert(parent->buf->state != WR_BUF_FREE);
        lease->buf = parent->buf;
        lease->buf->refs++;
        wr_lease_charge(lease);
        wr_lease_unref(parent);
        return lease;
    }
    if (parent->parent) { /* a part of a part refers to the whole */
        weir_lease *whole = parent->parent;
        wr_lease_ref(whole);
        wr_lease_unref(parent);
        parent = whole;
    }
    wr_assert(parent->block);
    lease->parent = parent;
    return lease;
}

/* A lease on any part of a block pins and charges the whole block, so bytes
 * stay only if they are all bytes of the lease or half of the block. */
static bool lease_may_stay(const weir_lease *lease, size_t len)
{
    if (lease->buf) {
        return len >= WR_LEASE_LEAST && !wr_pool_is_short(lease->pool);
    }
    const weir_lease *whole = lease->parent ? lease->parent : lease;
    return len >= whole->block->capacity / 2 || len == whole->len;
}

/* Sets *ret to a copy of bytes that should not stay, else to NULL. If memory
 * runs out, bytes in a receive buffer stay unless the pool is short. */
static int lease_copy_if_due(const struct weir_buf *buf, weir_lease **ret)
{
    weir_lease *lease = buf->lease;
    wr_assert(buf->len > 0);
    wr_assert(buf->data >= lease->data);
    wr_assert(buf->data + buf->len <= lease->data + lease->len);

    *ret = NULL;
    if (lease_may_stay(lease, buf->len)) {
        return 0;
    }
    *ret = wr_lease_copy(lease->pool, lease->account, buf->data, buf->len);
    return *ret || (lease->buf && !wr_pool_is_short(lease->pool)) ? 0 : -ENOMEM;
}

static weir_lease *lease_slice_of(const struct weir_buf *buf)
{
    wr_lease_ref(buf->lease); /* the slice takes this reference */
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
    if (lease_copy_if_due(buf, &copy) < 0) {
        return NULL;
    }
    return copy ? copy : lease_slice_of(buf);
}

weir_lease *wr_lease_keep_any(struct wr_pool *pool, struct wr_account *account,
                              const struct weir_buf *buf)
{
    wr_assert(buf->data);
    wr_assert(buf->len > 0);
    return buf->lease ? wr_lease_keep_apart(buf)
                      : wr_lease_copy(pool, account, buf->data, buf->len);
}

int wr_lease_keep(struct weir_buf *buf)
{
    weir_lease *copy;
    int err = lease_copy_if_due(buf, &copy);
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
    weir_lease *slice = lease_slice_of(buf);
    wr_require(slice, -ENOMEM);
    buf->lease = slice;
    return 0;
}

void wr_lease_trim(weir_lease *lease, uint32_t len)
{
    wr_debug_check(wr_lease_check_invariants(lease));
    wr_assert(len < lease->len);
    if (lease->buf && lease->refs == 1) {
        lease_discharge(lease, len);
        lease->data += len;
        lease->len -= len;
    }
}

static bool lease_must_move(const weir_lease *lease)
{
    wr_assert(lease->refs > 0);
    return lease->refs == 1 && lease->buf &&
           (lease->len < WR_COMPACT_BELOW || wr_pool_is_short(lease->pool));
}

static void lease_leave_buf(weir_lease *lease)
{
    wr_assert(lease->buf->refs > 0);
    wr_assert(lease->account->lease_count > 0);
    lease_discharge(lease, lease->len);
    lease->account->lease_count--;
    lease->buf->refs--;
    wr_pool_free_if_unused(lease->pool, lease->buf);
    lease->buf = NULL;
}

void wr_lease_move_out(weir_lease *lease, const uint8_t *data, uint32_t len)
{
    wr_debug_check(wr_lease_check_invariants(lease));
    wr_assert(len > 0);
    wr_assert(data >= lease->data && data + len <= lease->data + lease->len);
    if (lease->refs > 1 || !lease->buf) {
        return;
    }
    struct wr_block *block = wr_block_take(lease->pool->blocks, len);
    if (!block) {
        return;
    }
    memcpy(block->data, data, len);
    lease->pool->copied_bytes += len;
    lease_leave_buf(lease);
    lease->data = block->data;
    lease->len = len;
    lease->block = block;
    lease_charge_block(lease, lease->account);
}

void wr_lease_compact(weir_lease *lease)
{
    wr_debug_check(wr_lease_check_invariants(lease));
    if (lease_must_move(lease)) {
        wr_lease_move_out(lease, lease->data, lease->len);
    }
}

static void lease_give(weir_lease *lease)
{
    wr_assert(lease->refs == 0);
    lease->parent = NULL; /* wr_pool_take_lease() expects NULL */
    lease->block = NULL;
    wr_slab_give(&lease->pool->leases, lease);
}

bool wr_lease_pack(weir_lease *last, weir_lease *lease)
{
    wr_debug_check(wr_lease_check_invariants(last));
    wr_debug_check(wr_lease_check_invariants(lease));
    const struct wr_block *block = last->block;
    if (!lease_must_move(lease) || last->account != lease->account || !block ||
        last->refs != 1) { /* other references rely on the length of @last */
        return false;
    }
    const uint32_t cost = wr_lease_cost(last);
    const uint32_t used = (uint32_t)(last->data - block->data) + last->len;
    const uint32_t part =
        (uint32_t)wr_min_u64(block->capacity - used, lease->len);
    if (part == 0) {
        return false;
    }
    memcpy(last->block->data + used, lease->data, part);
    lease->pool->copied_bytes += part;
    last->len += part;
    const bool is_empty = part == lease->len;
    if (is_empty) {
        lease_leave_buf(lease);
        lease->refs = 0;
        lease_give(lease);
    } else {
        wr_lease_trim(lease, part);
    }
    lease_charge_bytes(last, wr_lease_cost(last) - cost);
    return is_empty;
}

static void lease_release_other(weir_lease *lease)
{
    struct wr_pool *pool = lease->pool;
    weir_lease *parent = lease->parent;

    if (parent) {
        lease_give(lease);
        wr_lease_unref(parent);
        return;
    }
    struct wr_account *account = lease->account;
    lease_discharge(lease, wr_lease_cost(lease));
    wr_assert(account->lease_count > 0);
    account->lease_count--;
    wr_block_give(pool->blocks, lease->block);
    lease_give(lease);
    if (WR_UNLIKELY(account->notify_released)) {
        account->ops->released(account); /* may free the account */
    }
}

void wr_lease_release(weir_lease *lease)
{
    wr_debug_check(wr_lease_check_invariants(lease));
    if (WR_UNLIKELY(!lease->buf)) {
        lease_release_other(lease);
        return;
    }
    struct wr_pool *pool = lease->pool;
    struct wr_account *account = lease->account;
    wr_debug_assert(account->held_bytes >= lease->len);
    wr_debug_assert(account->lease_count > 0);
    wr_debug_assert(pool->held_bytes >= lease->len);
    wr_debug_assert(lease->buf->refs > 0);
    account->held_bytes -= lease->len;
    account->lease_count--;
    pool->held_bytes -= lease->len;
    lease->buf->refs--;
    wr_pool_free_if_unused(pool, lease->buf);
    wr_slab_give(&pool->leases, lease);
    if (WR_UNLIKELY(account->notify_released)) {
        account->ops->released(account); /* may free the account */
    }
}

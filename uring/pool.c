/*
 * Buffers between the kernel, the connections and the free stack.
 *
 * The kernel names a buffer by its id and consumes posted buffers in order; how
 * far it got in the one at the head is mirrored in `offset`. A buffer is
 * counted in by its leases; only when the kernel has let go of it and the last
 * lease is back does it return to the stack.
 */
#include "pool.h"

#include "../include/weir/error.h"
#include "guard.h"

#include <errno.h>
#include <string.h>

#define POSTED_INC   8u
#define POSTED_PLAIN 128u
#define HELD_SHARE   16u
#define HELD_LEAST   (2u * WR_CREDIT_MIN)
/* How soon to look for memory again when buffers could not be made. */
#define STARVED_RETRY_NS 10000000u

int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                 const struct wr_pool_options *options)
{
    const bool inc = wr_has(&uring->features, WR_FEATURE_BUF_INC);

    memset(pool, 0, sizeof(*pool));
    wr_list_init(&pool->starved);
    wr_list_init(&pool->hoarders);
    pool->uring = uring;
    pool->blocks = options->blocks;
    pool->limit_bytes = options->limit_bytes;
    pool->buf_size = inc ? WR_POOL_INC_SIZE : WR_POOL_PLAIN_SIZE;
    pool->shared_size = inc ? pool->buf_size : 0;
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
    int err = wr_ring_setup_buffers(uring->ring, WR_POOL_RING_ENTRIES, inc);
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

    if (wr_pool_leases_out(pool) > 0) {
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
    /* Lost buffers may take up entries of the kernel's ring for good. */
    while (pool->posted_count < pool->posted_goal &&
           pool->posted_count + pool->lost_count < WR_POOL_RING_ENTRIES) {
        struct wr_pool_buf *buf = pool->free_list;
        if (buf) {
            pool->free_list = buf->next;
        } else {
            buf = make_buf(pool);
        }
        if (!buf) {
            break;
        }
        wr_assert(buf->state == WR_BUF_FREE && buf->refs == 0);
        buf->state = WR_BUF_POSTED;
        buf->offset = 0;
        pool->posted_count++;
        wr_ring_provide_buffer(pool->uring->ring, buf->data, pool->buf_size,
                               buf->id);
    }
    wr_ring_commit_buffers(pool->uring->ring);
}

/* What one account may hold as things stand. Who holds nothing always gets
 * enough for a message, or those that hold all would starve everybody. */
static uint64_t fair_hold(const struct wr_pool *pool)
{
    const uint64_t left = pool->held_bytes >= pool->limit_bytes
                              ? 0
                              : pool->limit_bytes - pool->held_bytes;
    return wr_max_u64(left / HELD_SHARE, HELD_LEAST);
}

uint64_t wr_pool_wait_ns(const struct wr_pool *pool)
{
    if (WR_LIKELY(wr_list_is_empty(&pool->starved))) {
        return UINT64_MAX;
    }
    if (wr_pool_has_posted(pool) || pool->free_list) {
        return fair_hold(pool) >= WR_CREDIT_MIN &&
                       pool->held_bytes < pool->stuck_bytes
                   ? 0
                   : UINT64_MAX;
    }
    /* Either leases must come back, or memory. */
    return pool->buf_count < pool->buf_max ? STARVED_RETRY_NS : UINT64_MAX;
}

static void feed_starved(struct wr_pool *pool)
{
    if (!wr_pool_has_posted(pool) || wr_pool_wait_ns(pool) != 0) {
        return;
    }
    uint64_t room = (uint64_t)pool->posted_count * pool->buf_size;
    bool fed = false;
    struct wr_list batch;
    struct wr_list *link;
    wr_list_init(&batch);
    wr_list_splice_back(&batch, &pool->starved);
    while (room > 0 && (link = wr_list_pop_front(&batch))) {
        struct wr_account *account =
            wr_container_of(link, struct wr_account, starved_link);
        const uint32_t credit = wr_pool_credit(pool, account);
        room -= wr_min_u64(room, credit);
        fed = fed || credit > 0;
        account->feed(account);
    }
    wr_list_splice_back(&batch, &pool->starved);
    wr_list_splice_back(&pool->starved, &batch);
    /* Those that hold much need more to be free than those that hold little. */
    pool->stuck_bytes = fed ? UINT64_MAX : pool->held_bytes;
}

void wr_pool_feed(struct wr_pool *pool)
{
    struct wr_list *link;

    if (WR_LIKELY(wr_list_is_empty(&pool->starved))) {
        return;
    }
    feed_starved(pool);
    if (wr_list_is_empty(&pool->starved) ||
        wr_pool_wait_ns(pool) != UINT64_MAX) {
        return;
    }
    while ((link = wr_list_pop_front(&pool->hoarders))) {
        pool->relieve(link);
    }
}

/* Where the kernel writes next in this buffer, if it does, is not known. What
 * leases point to in it stays as it is. */
static void lose_buf(struct wr_pool *pool, struct wr_pool_buf *buf)
{
    struct wr_pool_buf **at = &pool->free_list;

    switch (buf->state) {
    case WR_BUF_LOST:
        return;
    case WR_BUF_POSTED:
        pool->posted_count--;
        break;
    case WR_BUF_RETIRED:
        pool->retired_count--;
        break;
    case WR_BUF_FREE:
        while (*at != buf) {
            at = &(*at)->next;
        }
        *at = buf->next;
        break;
    }
    buf->state = WR_BUF_LOST;
    pool->lost_count++;
}

static struct wr_pool_buf *find_buf(const struct wr_pool *pool, uint32_t flags)
{
    const uint32_t id = flags >> WR_CQE_BUFFER_SHIFT;
    return id < pool->buf_count ? pool->bufs[id] : NULL;
}

static __attribute__((noinline, cold)) void refuse(struct wr_pool *pool,
                                                   uint32_t flags)
{
    struct wr_pool_buf *buf = find_buf(pool, flags);
    if (buf) {
        lose_buf(pool, buf);
    }
}

/* The memory of a completed receive; the kernel may have let go of it. NULL
 * when what the completion says cannot be true: only posted buffers are filled,
 * never beyond their size, and an incremental one is used up when it is full.
 */
static inline struct wr_pool_buf *take_bytes(struct wr_pool *pool, uint32_t len,
                                             uint32_t flags,
                                             const uint8_t **ret_data)
{
    const uint32_t id = flags >> WR_CQE_BUFFER_SHIFT;
    struct wr_pool_buf *buf;
    if (WR_UNLIKELY(id >= pool->buf_count ||
                    (buf = pool->bufs[id])->state != WR_BUF_POSTED)) {
        refuse(pool, flags);
        return NULL;
    }
    const uint32_t offset = buf->offset;
    const uint32_t end = offset + len; /* both are less than 2^31 */
    if (WR_LIKELY(flags & WR_CQE_BUF_MORE)) {
        if (WR_UNLIKELY(end >= pool->shared_size)) {
            refuse(pool, flags);
            return NULL;
        }
    } else {
        if (WR_UNLIKELY(end < pool->shared_size || end > pool->buf_size)) {
            refuse(pool, flags);
            return NULL;
        }
        buf->state = WR_BUF_RETIRED;
        pool->posted_count--;
        pool->retired_count++;
    }
    *ret_data = buf->data + offset;
    buf->offset = end;
    return buf;
}

int wr_pool_lost_error(const struct wr_pool *pool, uint32_t flags)
{
    const struct wr_pool_buf *buf = find_buf(pool, flags);
    return buf && buf->state != WR_BUF_LOST ? -ENOMEM : WEIR_EBADBUFFER;
}

/* A lease of which parent and block are NULL: those that are given back keep
 * that, and the slab's memory begins with zeros. */
static inline weir_lease *take_lease(struct wr_pool *pool)
{
    weir_lease *lease = wr_slab_take_raw(&pool->leases);
    if (WR_LIKELY(lease != NULL)) {
        lease->next = NULL;
        lease->pool = pool;
    }
    return lease;
}

weir_lease *wr_pool_borrow(struct wr_pool *pool, struct wr_account *account,
                           int32_t res, uint32_t flags)
{
    const uint8_t *data;
    struct wr_pool_buf *buf = take_bytes(pool, (uint32_t)res, flags, &data);
    if (WR_UNLIKELY(!buf)) {
        return NULL;
    }
    weir_lease *lease = take_lease(pool);
    if (WR_UNLIKELY(!lease)) {
        wr_pool_free_if_unused(pool, buf);
        return NULL;
    }
    lease->data = data;
    lease->len = (uint32_t)res;
    lease->refs = 1;
    lease->buf = buf;
    lease->account = account;
    buf->refs++;
    return lease;
}

weir_lease *wr_pool_receive(struct wr_pool *pool, struct wr_account *account,
                            int32_t res, uint32_t flags)
{
    if (res <= 0) {
        const uint8_t *data;
        struct wr_pool_buf *buf = take_bytes(pool, 0, flags, &data);
        if (buf) {
            wr_pool_free_if_unused(pool, buf);
        }
        return NULL;
    }
    weir_lease *lease = wr_pool_borrow(pool, account, res, flags);
    if (lease) {
        wr_lease_charge(lease);
    }
    return lease;
}

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
    lease->account = account;
    wr_lease_charge(lease);
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
    lease->account = &pool->own;
    pool->own.held_bytes += lease->len;
    pool->own.lease_count++;
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

/* Two rules keep one peer, or many, from taking what all need. What is in the
 * kernel's hands: the credits of all connections together stay within half the
 * limit. What is held: nobody may hold more than a part of what is free, so
 * that n connections that hold all they may leave 1/(1 + n/HELD_SHARE) of it
 * to those that come later. */
uint32_t wr_pool_credit(const struct wr_pool *pool,
                        const struct wr_account *account)
{
    const uint64_t limit = wr_min_u64(account->limit_bytes, fair_hold(pool));
    if (account->held_bytes >= limit) {
        return 0;
    }
    uint64_t share = WR_CREDIT_MAX;
    if (WR_UNLIKELY(pool->account_count * 2 * WR_CREDIT_MAX >
                    pool->limit_bytes)) {
        share = wr_max_u64(pool->limit_bytes / (pool->account_count * 2),
                           WR_CREDIT_MIN);
    }
    const uint64_t credit = wr_min_u64(limit - account->held_bytes, share);
    return credit < WR_CREDIT_MIN ? 0 : (uint32_t)credit;
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
    lease->data = block->data;
    lease->block = block;
    lease->buf->refs--;
    wr_pool_free_if_unused(lease->pool, lease->buf);
    lease->buf = NULL;
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
    account->held_bytes -= lease->len;
    account->lease_count--;
    wr_block_give(pool->blocks, lease->block);
    pool->held_bytes -= account != &pool->own ? lease->len : 0;
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
    pool->held_bytes -= lease->len;
    lease->buf->refs--;
    wr_pool_free_if_unused(pool, lease->buf);
    wr_slab_give(&pool->leases, lease);
    if (WR_UNLIKELY(account->tell_released)) {
        account->released(account); /* may free the account */
    }
}

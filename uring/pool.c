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
/* Buffers that leases may pin: one in so many. */
#define PINNED_SHARE 4u
/* How soon to look for memory again when buffers could not be made. */
#define STARVED_RETRY_NS 10000000u

int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                 const struct wr_pool_options *options)
{
    const bool inc = wr_has(&uring->features, WR_FEATURE_BUF_INC);

    memset(pool, 0, sizeof(*pool));
    wr_list_init(&pool->starved);
    wr_list_init(&pool->stuck);
    wr_list_init(&pool->hoarders);
    pool->uring = uring;
    pool->blocks = options->blocks;
    pool->budget.held_limit_bytes = options->limit_bytes;
    pool->budget.queued_limit_bytes = options->queued_limit_bytes;
    pool->buf_size = inc ? WR_POOL_INC_SIZE : WR_POOL_PLAIN_SIZE;
    pool->shared_size = inc ? pool->buf_size : 0;
    pool->posted_goal = inc ? POSTED_INC : POSTED_PLAIN;
    const uint32_t holdable = (uint32_t)wr_min_u64(
        options->limit_bytes / pool->buf_size, UINT16_MAX / 2);
    /* Each posted one may be pinned by what was kept before buffers were short,
     * and as many others must be left to be posted then. */
    pool->buf_max = holdable + 2 * pool->posted_goal;
    pool->pinnable = (int32_t)(holdable / PINNED_SHARE);
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

uint64_t wr_pool_trim(struct wr_pool *pool)
{
    for (struct wr_pool_buf *buf = pool->free_list; buf; buf = buf->next) {
        wr_assert(buf->state == WR_BUF_FREE);
        if (!buf->is_discarded) {
            wr_ignore(wr_guard_discard(buf->data, pool->buf_size) == 0);
            buf->is_discarded = true;
        }
    }
    return wr_slab_trim(&pool->leases);
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
        buf->is_discarded = false;
        buf->offset = 0;
        pool->posted_count++;
        wr_ring_provide_buffer(pool->uring->ring, buf->data, pool->buf_size,
                               buf->id);
    }
    wr_ring_commit_buffers(pool->uring->ring);
}

enum wr_pool_feed wr_pool_next_feed(const struct wr_pool *pool)
{
    if (WR_LIKELY(wr_list_is_empty(&pool->starved))) {
        return WR_FEED_NOBODY;
    }
    if (wr_pool_has_posted(pool) || pool->free_list) {
        return pool->budget.held_bytes < pool->unfed_bytes ? WR_FEED_NOW
                                                           : WR_FEED_NOBODY;
    }
    /* Either leases must come back, or memory. */
    return pool->buf_count < pool->buf_max ? WR_FEED_LATER : WR_FEED_NOBODY;
}

uint64_t wr_pool_wait_ns(const struct wr_pool *pool)
{
    static const uint64_t waits_ns[] = {
        [WR_FEED_NOBODY] = UINT64_MAX,
        [WR_FEED_NOW] = 0,
        [WR_FEED_LATER] = STARVED_RETRY_NS,
    };
    return waits_ns[wr_pool_next_feed(pool)];
}

static void feed_first(struct wr_list *list)
{
    struct wr_account *account = wr_container_of(
        wr_list_pop_front(list), struct wr_account, starved_link);
    account->feed(account);
}

static void feed_starved(struct wr_pool *pool)
{
    uint64_t room = (uint64_t)pool->posted_count * pool->buf_size;
    bool fed = false;
    struct wr_list batch;
    wr_list_init(&batch);
    wr_list_splice_back(&batch, &pool->starved);
    while (room > 0 && !wr_list_is_empty(&batch)) {
        const struct wr_account *account =
            wr_container_of(batch.next, struct wr_account, starved_link);
        const uint32_t credit = wr_pool_credit(pool, account);
        room -= wr_min_u64(room, credit);
        fed = fed || credit > 0;
        feed_first(&batch);
    }
    wr_list_splice_back(&batch, &pool->starved);
    wr_list_splice_back(&pool->starved, &batch);
    /* Those that hold much need more to be free than those that hold little. */
    pool->unfed_bytes = fed ? UINT64_MAX : pool->budget.held_bytes;
}

/* They may not get more than they had, now that all may have some. */
static void feed_stuck(struct wr_pool *pool)
{
    struct wr_list batch;
    wr_list_init(&batch);
    wr_list_splice_back(&batch, &pool->stuck);
    while (!wr_list_is_empty(&batch)) {
        feed_first(&batch);
    }
}

void wr_pool_feed_some(struct wr_pool *pool)
{
    struct wr_list *link;

    if (!wr_budget_is_queue_short(&pool->budget)) {
        feed_stuck(pool);
    }
    if (wr_pool_has_posted(pool) && wr_pool_next_feed(pool) == WR_FEED_NOW) {
        feed_starved(pool);
    }
    if (wr_list_is_empty(&pool->starved) ||
        wr_pool_next_feed(pool) != WR_FEED_NOBODY) {
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
        pool->pinnable++;
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
        pool->pinnable--;
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

static struct wr_demand demand_of(const struct wr_account *account)
{
    return (struct wr_demand){
        .held_bytes = account->held_bytes,
        .limit_bytes = account->limit_bytes,
        .stuck_bytes = account->stuck_bytes,
        .window = account->window ? account->window : WR_CREDIT_START,
    };
}

uint32_t wr_pool_credit(const struct wr_pool *pool,
                        const struct wr_account *account)
{
    const struct wr_demand demand = demand_of(account);
    uint32_t credit;
    wr_ignore(wr_budget_credit(&pool->budget, &demand, &credit) !=
              WR_VERDICT_CREDIT);
    return credit;
}

enum wr_verdict wr_pool_ask(const struct wr_pool *pool,
                            struct wr_account *account, uint32_t *ret_credit)
{
    account->window =
        wr_budget_window(account->window, account->last_credit,
                         account->held_bytes + account->stuck_bytes);
    const struct wr_demand demand = demand_of(account);
    enum wr_verdict verdict =
        wr_budget_credit(&pool->budget, &demand, ret_credit);
    if (verdict == WR_VERDICT_CREDIT) {
        account->last_credit = *ret_credit;
    }
    return verdict;
}

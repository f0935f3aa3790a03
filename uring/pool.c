/*
 * The receive pool: states of buffers, and completions of receives.
 *
 * A completion identifies a buffer by its id. The kernel fills a posted buffer
 * in order, so `offset` is the kernel's position in it.
 */
#include "pool_impl.h"

#include "../include/weir/error.h"
#include "guard.h"

#include <errno.h>
#include <string.h>

#define POSTED_INC   8u
#define POSTED_PLAIN 128u
/* Leases may pin 1/PINNED_SHARE of the buffers for the limit. */
#define PINNED_SHARE 4u

const uint8_t wr_pool_buf_edges[WR_BUF_STATES] = {
    [WR_BUF_FREE] = 1u << WR_BUF_POSTED | 1u << WR_BUF_OPEN | 1u << WR_BUF_LOST,
    [WR_BUF_POSTED] = 1u << WR_BUF_RETIRED | 1u << WR_BUF_LOST,
    [WR_BUF_OPEN] =
        1u << WR_BUF_RETIRED | 1u << WR_BUF_FREE | 1u << WR_BUF_LOST,
    [WR_BUF_RETIRED] = 1u << WR_BUF_FREE | 1u << WR_BUF_LOST,
};

static void pool_check_buf(const struct wr_pool *pool,
                           const struct wr_pool_buf *buf)
{
    wr_assert(pool->bufs[buf->id] == buf);
    wr_assert(buf->offset <= pool->buf_size);
    wr_assert(buf->state != WR_BUF_FREE || buf->refs == 0);
    wr_assert(buf->state != WR_BUF_POSTED || buf->offset < pool->buf_size);
    wr_assert(buf->state != WR_BUF_POSTED || !buf->is_discarded);
    wr_assert((buf->state == WR_BUF_OPEN) == (pool->open == buf));
    wr_assert(buf->state != WR_BUF_RETIRED || buf->refs > 0);
}

void wr_pool_check_bufs(const struct wr_pool *pool)
{
    uint32_t counts[WR_BUF_STATES] = {0};
    uint64_t refs = 0;
    uint32_t free_count = 0;

    for (uint32_t i = 0; i < pool->buf_count; i++) {
        pool_check_buf(pool, pool->bufs[i]);
        counts[pool->bufs[i]->state]++;
        refs += pool->bufs[i]->refs;
    }
    for (const struct wr_pool_buf *buf = pool->free_list; buf;
         buf = buf->next) {
        wr_assert(buf->state == WR_BUF_FREE);
        free_count++;
        wr_assert(free_count <= pool->buf_count);
    }
    const uint32_t holdable = pool->buf_max - 2 * pool->posted_goal;
    wr_assert(counts[WR_BUF_FREE] == free_count);
    wr_assert(counts[WR_BUF_POSTED] == pool->posted_count);
    wr_assert(counts[WR_BUF_LOST] == pool->lost_count);
    wr_assert(pool->pinnable + (int64_t)counts[WR_BUF_RETIRED] ==
              holdable / PINNED_SHARE);
    wr_assert(refs <= wr_pool_leases_out(pool));
}

void wr_pool_check_invariants(const struct wr_pool *pool)
{
    wr_assert(pool->buf_count <= pool->buf_max);
    wr_assert(pool->posted_count <= pool->posted_goal);
    wr_assert(pool->posted_count + pool->lost_count <= pool->buf_count);
    wr_assert(pool->shared_size == 0 || pool->shared_size == pool->buf_size);
    wr_assert(pool->own.lease_count > 0 || pool->own.held_bytes == 0);
    wr_assert(wr_pool_leases_out(pool) > 0 || pool->held_bytes == 0);
    wr_debug_check(wr_pool_check_bufs(pool));
}

int wr_pool_init(struct wr_pool *pool, struct wr_uring *uring,
                 uint64_t limit_bytes, struct wr_blocks *blocks)
{
    const bool inc = wr_has(&uring->features, WR_FEATURE_BUF_INC);

    memset(pool, 0, sizeof(*pool));
    pool->uring = uring;
    pool->blocks = blocks;
    pool->buf_size = inc ? WR_POOL_INC_SIZE : WR_POOL_PLAIN_SIZE;
    pool->shared_size = inc ? pool->buf_size : 0;
    pool->posted_goal = inc ? POSTED_INC : POSTED_PLAIN;
    const uint32_t holdable =
        (uint32_t)wr_min_u64(limit_bytes / pool->buf_size, UINT16_MAX / 2);
    /* Kept bytes may pin all posted buffers before the pool counts as short. So
     * there are twice posted_goal buffers besides those for the limit: the
     * second half can be posted then. */
    pool->buf_max = holdable + 2 * pool->posted_goal;
    pool->pinnable = (int32_t)(holdable / PINNED_SHARE);
    wr_slab_init(&pool->leases, uring->allocator, sizeof(weir_lease));
    pool->bufs =
        wr_alloc(uring->allocator, pool->buf_max * sizeof(*pool->bufs));
    if (!pool->bufs) {
        return -ENOMEM;
    }
    wr_assert(pool->buf_max <= UINT16_MAX);
    wr_pool_check_invariants(pool);
    return 0;
}

bool wr_pool_fini(struct wr_pool *pool)
{
    const struct weir_allocator *allocator = pool->uring->allocator;

    wr_pool_check_invariants(pool);
    if (wr_pool_leases_out(pool) > 0) {
        return false;
    }
    for (uint32_t i = 0; i < pool->buf_count; i++) {
        struct wr_pool_buf *buf = pool->bufs[i];
        wr_assert(buf->refs == 0);
        wr_assert(buf->state != WR_BUF_RETIRED);
        wr_guard_free(allocator, buf->data, pool->buf_size);
        wr_free(allocator, buf, sizeof(*buf));
    }
    wr_free(allocator, pool->bufs, pool->buf_max * sizeof(*pool->bufs));
    wr_slab_fini(&pool->leases);
    return true;
}

static struct wr_pool_buf *pool_make_buf(struct wr_pool *pool)
{
    const struct weir_allocator *allocator = pool->uring->allocator;
    if (!wr_pool_can_grow(pool)) {
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

void wr_pool_push_free(struct wr_pool *pool, struct wr_pool_buf *buf)
{
    wr_assert(buf->refs == 0);
    wr_pool_set_state(buf, WR_BUF_FREE);
    buf->next = pool->free_list;
    pool->free_list = buf;
}

static void pool_free_open(struct wr_pool *pool)
{
    if (pool->open && pool->open->refs == 0) {
        wr_pool_push_free(pool, pool->open);
        pool->open = NULL;
    }
}

uint64_t wr_pool_trim(struct wr_pool *pool)
{
    wr_pool_check_invariants(pool);
    pool_free_open(pool);
    for (struct wr_pool_buf *buf = pool->free_list; buf; buf = buf->next) {
        wr_assert(buf->state == WR_BUF_FREE);
        if (!buf->is_discarded) {
            wr_guard_discard(buf->data, pool->buf_size);
            buf->is_discarded = true;
        }
    }
    return wr_slab_trim(&pool->leases);
}

struct wr_pool_buf *wr_pool_take_buf(struct wr_pool *pool)
{
    struct wr_pool_buf *buf = pool->free_list ? NULL : pool_make_buf(pool);

    if (!buf) {
        if (!pool->free_list) {
            pool_free_open(pool);
        }
        buf = pool->free_list;
        pool->free_list = buf ? buf->next : NULL;
    }
    if (buf) {
        wr_assert(buf->state == WR_BUF_FREE);
        wr_assert(buf->refs == 0);
        buf->is_discarded = false;
        buf->offset = 0;
    }
    return buf;
}

void wr_pool_post(struct wr_pool *pool)
{
    wr_debug_check(wr_pool_check_bufs(pool));
    wr_assert(pool->posted_count <= pool->posted_goal);
    if (pool->posted_count >= pool->posted_goal) {
        return;
    }
    /* Lost buffers may occupy entries of the kernel's ring for ever. */
    while (pool->posted_count < pool->posted_goal &&
           pool->posted_count + pool->lost_count < WR_POOL_RING_ENTRIES) {
        struct wr_pool_buf *buf = wr_pool_take_buf(pool);
        if (!buf) {
            break;
        }
        wr_pool_set_state(buf, WR_BUF_POSTED);
        pool->posted_count++;
        wr_ring_provide_buffer(pool->uring->ring, buf->data, pool->buf_size,
                               buf->id);
    }
    wr_ring_commit_buffers(pool->uring->ring);
}

void wr_pool_free_buf(struct wr_pool *pool, struct wr_pool_buf *buf)
{
    wr_assert(buf->state == WR_BUF_RETIRED);
    wr_pool_push_free(pool, buf);
    pool->pinnable++;
}

/* Marks a buffer as lost, because the kernel may write anywhere in it. Leases
 * keep their bytes. */
static void pool_lose_buf(struct wr_pool *pool, struct wr_pool_buf *buf)
{
    struct wr_pool_buf **at = &pool->free_list;

    switch (buf->state) {
    case WR_BUF_LOST:
        return;
    case WR_BUF_POSTED:
        wr_assert(pool->posted_count > 0);
        pool->posted_count--;
        break;
    case WR_BUF_OPEN:
        pool->open = NULL;
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
    case WR_BUF_STATES:
        wr_assert(buf->state < WR_BUF_STATES);
    }
    wr_pool_set_state(buf, WR_BUF_LOST);
    pool->lost_count++;
    wr_pool_check_invariants(pool);
}

static struct wr_pool_buf *pool_find_buf(const struct wr_pool *pool,
                                         uint32_t flags)
{
    const uint32_t id = flags >> WR_CQE_BUFFER_SHIFT;
    return id < pool->buf_count ? pool->bufs[id] : NULL;
}

static __attribute__((noinline, cold)) void pool_refuse(struct wr_pool *pool,
                                                        uint32_t flags)
{
    struct wr_pool_buf *buf = pool_find_buf(pool, flags);
    if (buf) {
        pool_lose_buf(pool, buf);
    }
}

/* Takes the bytes of a completed receive, which may use up the buffer. Returns
 * NULL if the completion contradicts the pool's counts: the buffer was not
 * posted, is too small, or is incremental and used up before it is full. */
static inline struct wr_pool_buf *pool_take_bytes(struct wr_pool *pool,
                                                  uint32_t len, uint32_t flags,
                                                  const uint8_t **ret_data)
{
    const uint32_t id = flags >> WR_CQE_BUFFER_SHIFT;
    struct wr_pool_buf *buf;
    if (WR_UNLIKELY(id >= pool->buf_count ||
                    (buf = pool->bufs[id])->state != WR_BUF_POSTED)) {
        pool_refuse(pool, flags);
        return NULL;
    }
    wr_debug_assert(flags & WR_CQE_BUFFER);
    wr_debug_assert(pool->posted_count > 0);
    const uint32_t offset = buf->offset;
    const uint32_t end = offset + len; /* both are less than 2^31 */
    if (WR_LIKELY(flags & WR_CQE_BUF_MORE)) {
        if (WR_UNLIKELY(end >= pool->shared_size)) {
            pool_refuse(pool, flags);
            return NULL;
        }
    } else {
        if (WR_UNLIKELY(end < pool->shared_size || end > pool->buf_size)) {
            pool_refuse(pool, flags);
            return NULL;
        }
        wr_pool_set_state(buf, WR_BUF_RETIRED);
        pool->posted_count--;
        pool->pinnable--;
    }
    *ret_data = buf->data + offset;
    buf->offset = end;
    return buf;
}

int wr_pool_lost_error(const struct wr_pool *pool, uint32_t flags)
{
    const struct wr_pool_buf *buf = pool_find_buf(pool, flags);
    return buf && buf->state != WR_BUF_LOST ? -ENOMEM : WEIR_EBADBUFFER;
}

weir_lease *wr_pool_borrow(struct wr_pool *pool, struct wr_account *account,
                           int32_t res, uint32_t flags)
{
    const uint8_t *data;
    wr_debug_assert(res > 0);
    struct wr_pool_buf *buf =
        pool_take_bytes(pool, (uint32_t)res, flags, &data);
    if (WR_UNLIKELY(!buf)) {
        return NULL;
    }
    weir_lease *lease = wr_pool_take_lease(pool);
    if (WR_UNLIKELY(!lease)) {
        wr_pool_free_if_unused(pool, buf);
        return NULL;
    }
    wr_pool_lend(lease, buf, data, (uint32_t)res);
    lease->account = account;
    wr_debug_check(pool_check_buf(pool, buf));
    return lease;
}

weir_lease *wr_pool_receive(struct wr_pool *pool, struct wr_account *account,
                            int32_t res, uint32_t flags)
{
    if (res <= 0) {
        const uint8_t *data;
        struct wr_pool_buf *buf = pool_take_bytes(pool, 0, flags, &data);
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

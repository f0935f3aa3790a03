/*
 * Receives with a system call, into buffers that are still in the CPU's cache.
 *
 * A stream fills the rest of the open buffer, then free buffers, completely and
 * in order. Datagrams get slots of one size, because the length of the next
 * datagram is unknown. The rest of a slot stays unused until the buffer is free
 * again.
 */
#include "pool_impl.h"

#include <errno.h>

/* A buffer with fewer free bytes does not stay open. */
#define OPEN_LEAST (16u << 10)

static struct wr_pool_buf *pool_open_take(struct wr_pool *pool)
{
    struct wr_pool_buf *buf = pool->open;

    if (!buf) {
        buf = wr_pool_take_buf(pool);
        if (buf) {
            wr_pool_set_state(buf, WR_BUF_OPEN);
        }
        return buf;
    }
    pool->open = NULL;
    if (buf->refs == 0) {
        buf->offset = 0;
    }
    return buf;
}

static void pool_open_retire(struct wr_pool *pool, struct wr_pool_buf *buf)
{
    wr_pool_set_state(buf, WR_BUF_RETIRED);
    pool->pinnable--;
    wr_pool_free_if_unused(pool, buf);
}

static void pool_open_end(struct wr_pool *pool, struct wr_pool_buf *buf)
{
    wr_assert(buf->offset <= pool->buf_size);
    if (buf->offset == 0) {
        wr_pool_push_free(pool, buf);
    } else if (pool->buf_size - buf->offset >= OPEN_LEAST) {
        wr_assert(!pool->open); /* only the last buffer has free bytes */
        pool->open = buf;
    } else {
        pool_open_retire(pool, buf);
    }
}

/* Returns a lease on all free bytes of a buffer, or NULL if out of memory. */
static weir_lease *pool_open_lend(struct wr_pool *pool)
{
    struct wr_pool_buf *buf = pool_open_take(pool);
    if (!buf) {
        return NULL;
    }
    weir_lease *lease = wr_pool_take_lease(pool);
    if (!lease) {
        pool_open_end(pool, buf);
        return NULL;
    }
    wr_assert(buf->offset < pool->buf_size);
    wr_pool_lend(lease, buf, buf->data + buf->offset,
                 pool->buf_size - buf->offset);
    return lease;
}

static uint32_t pool_open_lend_several(struct wr_pool *pool, uint32_t most,
                                       weir_lease **leases, struct iovec *iov)
{
    uint32_t count = 0;

    wr_assert(most > 0);
    while (count < WR_ROOM_BUFS && most > 0) {
        weir_lease *lease = pool_open_lend(pool);
        if (!lease) {
            break;
        }
        lease->len = most < lease->len ? most : lease->len;
        iov[count].iov_base = lease->buf->data + lease->buf->offset;
        iov[count].iov_len = lease->len;
        leases[count++] = lease;
        most -= lease->len;
    }
    return count;
}

bool wr_pool_open_room(struct wr_pool *pool, struct wr_room *room,
                       uint32_t most)
{
    room->most = most;
    room->count = pool_open_lend_several(pool, most, room->leases, room->iov);
    return room->count > 0;
}

weir_lease *wr_pool_close_room(struct wr_pool *pool, struct wr_account *account,
                               struct wr_room *room, int32_t res)
{
    weir_lease *head = NULL;
    weir_lease **next = &head;
    uint32_t left = res > 0 ? (uint32_t)res : 0;
    uint32_t used = 0;

    wr_check(left <= room->most);
    for (; left > 0; used++) {
        weir_lease *lease = room->leases[used];
        lease->len = left < lease->len ? left : lease->len;
        lease->account = account;
        lease->buf->offset += lease->len;
        left -= lease->len;
        pool_open_end(pool, lease->buf);
        *next = lease;
        next = &lease->next;
    }
    /* Backwards, so that the first buffer, which is in the CPU's cache, is on
     * top of the free list. */
    for (uint32_t i = room->count; i > used; i--) {
        weir_lease *lease = room->leases[i - 1];
        struct wr_pool_buf *buf = lease->buf;

        wr_assert(buf->refs > 0);
        buf->refs--;
        wr_slab_give(&pool->leases, lease);
        pool_open_end(pool, buf);
    }
    wr_debug_check(wr_pool_check_bufs(pool));
    return head;
}

int32_t wr_pool_recv(struct wr_pool *pool, struct wr_account *account,
                     wr_pool_call_fn *call, int fd, uint32_t most,
                     weir_lease **ret)
{
    struct wr_room room;
    if (!wr_pool_open_room(pool, &room, most)) {
        return -ENOBUFS;
    }
    const int32_t res = call(fd, room.iov, room.count);
    *ret = wr_pool_close_room(pool, account, &room, res);
    return res;
}

static inline uint32_t pool_open_align(uint32_t offset)
{
    return (offset + WR_SLOT_ALIGN - 1) & ~(WR_SLOT_ALIGN - 1);
}

bool wr_pool_open_slots(struct wr_pool *pool, struct wr_slots *slots,
                        uint32_t stride, uint32_t most)
{
    wr_assert(stride > 0 && stride <= pool->buf_size);
    wr_assert(stride % WR_SLOT_ALIGN == 0);
    wr_assert(most > 0 && most <= WR_SLOTS_MAX);
    slots->count = 0;
    slots->buf_count = 0;
    if (!wr_slab_reserve(&pool->leases, most)) {
        return false;
    }
    while (slots->count < most && slots->buf_count < WR_SLOTS_BUFS) {
        struct wr_pool_buf *buf = pool_open_take(pool);

        if (buf && pool->buf_size - pool_open_align(buf->offset) < stride) {
            pool_open_retire(pool, buf);
            buf = pool_open_take(pool);
        }
        wr_debug_assert(!buf || buf->state == WR_BUF_OPEN);
        if (!buf) {
            break;
        }
        uint32_t offset = pool_open_align(buf->offset);
        while (slots->count < most && pool->buf_size - offset >= stride) {
            slots->data[slots->count++] = buf->data + offset;
            offset += stride;
        }
        slots->ends[slots->buf_count] = slots->count;
        slots->bufs[slots->buf_count++] = buf;
    }
    return slots->count > 0;
}

/* Returns the link for the next lease. */
static weir_lease **pool_open_lend_slots(struct wr_pool *pool,
                                         struct wr_account *account,
                                         const struct wr_slots *slots,
                                         uint32_t at, weir_lease **ret)
{
    struct wr_pool_buf *buf = slots->bufs[at];
    uint32_t i = at > 0 ? slots->ends[at - 1] : 0;

    for (; i < slots->ends[at] && i < slots->used; i++) {
        weir_lease *lease = wr_pool_take_lease(pool);
        wr_assert(lease != NULL); /* reserved by wr_pool_open_slots() */
        wr_pool_lend(lease, buf, slots->data[i], slots->lens[i]);
        lease->account = account;
        buf->offset = pool_open_align((uint32_t)(slots->data[i] - buf->data) +
                                      slots->lens[i]);
        *ret = lease;
        ret = &lease->next;
    }
    return ret;
}

weir_lease *wr_pool_close_slots(struct wr_pool *pool,
                                struct wr_account *account,
                                const struct wr_slots *slots)
{
    weir_lease *head = NULL;
    weir_lease **next = &head;
    uint32_t last = 0;

    while (slots->ends[last] < slots->used) {
        last++;
    }
    wr_assert(last < slots->buf_count);

    wr_assert(slots->used <= slots->count);
    for (uint32_t at = 0; at <= last; at++) {
        next = pool_open_lend_slots(pool, account, slots, at, next);
        if (at < last) { /* the rest of the buffer is shorter than a slot */
            pool_open_retire(pool, slots->bufs[at]);
        }
    }
    /* Backwards for the same reason as in wr_pool_close_room(). */
    for (uint32_t at = slots->buf_count; at > last; at--) {
        pool_open_end(pool, slots->bufs[at - 1]);
    }
    wr_debug_check(wr_pool_check_bufs(pool));
    return head;
}

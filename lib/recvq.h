/*
 * What a reader has: received bytes in the order in which they came.
 *
 * A ring of segments, each a part of a lease. Bytes are used where the kernel
 * put them. Two things are copied: a match that straddles segments is put
 * together in a block of the queue's own, and what is kept for long is moved
 * out of the receive pool, small pieces packed together, so that a slow reader
 * pins no large buffer and many tiny receives cost no more than their bytes.
 * What lies in blocks of its own is charged to nobody's receive budget: it is
 * bounded by the reader's limit.
 *
 * The bytes of the last view are consumed but stay where they are until the
 * next call, `is_shown`: by the segment that they were cut from or, when
 * nothing is left of that, by `spent`. Pure bookkeeping: no task, no transport,
 * no clock.
 */
#ifndef WEIR_LIB_RECVQ_H
#define WEIR_LIB_RECVQ_H

#include "../include/weir/buffer.h"
#include "../include/weir/stream.h"
#include "../uring/pool.h"

#include <errno.h>

#define WR_RECVQ_INLINE 4u

struct wr_recvq_segment {
    const uint8_t *data;
    uint32_t len;  /* not 0 */
    uint32_t room; /* bytes behind them that may be appended to; 0: a lease */
    weir_lease *lease;
};

struct wr_recvq {
    struct wr_recvq_segment *head; /* the first one, or where it will be */
    size_t total;                  /* bytes in all segments */
    weir_lease *spent; /* keeps what was shown or peeked at last, or NULL */
    bool is_shown;     /* set by a view, cleared by the next call */
    uint32_t first;    /* index of head */
    uint32_t count;
    uint32_t capacity;                 /* a power of two */
    struct wr_recvq_segment *segments; /* a ring of capacity entries */
    struct wr_pool *pool;
    const struct weir_allocator *allocator;
    uint64_t *copied; /* where bytes that were copied are counted */
    struct wr_recvq_segment inline_segments[WR_RECVQ_INLINE];
};

void wr_recvq_init(struct wr_recvq *q, struct wr_pool *pool,
                   const struct weir_allocator *allocator, uint64_t *copied);
void wr_recvq_fini(struct wr_recvq *q);

/* Makes room for one more segment: 0 or -ENOMEM. */
int wr_recvq_grow(struct wr_recvq *q);

/* wr_recvq_push() where buffers are short: a copy of the bytes. */
int wr_recvq_push_moved(struct wr_recvq *q, const struct weir_buf *buf);

/* Gives the memory of many segments back when few are left. */
void wr_recvq_shrink(struct wr_recvq *q);

static inline struct wr_recvq_segment *wr_recvq_at(const struct wr_recvq *q,
                                                   uint32_t index)
{
    return &q->segments[(q->first + index) & (q->capacity - 1)];
}

/* Forgets the first segment; its reference is the caller's. */
static inline void wr_recvq_pop(struct wr_recvq *q)
{
    wr_assert(q->count > 0);
    q->count--;
    q->first++;
    q->head++;
    if (q->first == q->capacity) {
        q->first = 0;
        q->head = q->segments;
    }
}

/* Puts a copy of bytes that were read before all others: 0, or -ENOMEM, and
 * then some of their end may be there. */
int wr_recvq_unread(struct wr_recvq *q, const void *data, size_t len);

/* Appends received bytes with a reference of its own to their lease, or, where
 * receive buffers are short, a copy; not 0 of them. 0 or -ENOMEM; then nothing
 * was appended. */
static inline int wr_recvq_push(struct wr_recvq *q, const struct weir_buf *buf)
{
    wr_assert(buf->len > 0);
    if (WR_UNLIKELY(wr_pool_is_short(q->pool)) && buf->lease->buf) {
        return wr_recvq_push_moved(q, buf);
    }
    struct wr_recvq_segment *last = q->head;
    if (WR_UNLIKELY(q->count > 0)) {
        if (q->count == q->capacity && wr_recvq_grow(q) < 0) {
            return -ENOMEM;
        }
        last = wr_recvq_at(q, q->count);
    }
    wr_lease_ref(buf->lease);
    last->data = buf->data;
    last->len = (uint32_t)buf->len;
    last->room = 0;
    last->lease = buf->lease;
    q->count++;
    q->total += buf->len;
    return 0;
}

/* Appends a copy of bytes; the same in all else. */
int wr_recvq_push_copy(struct wr_recvq *q, const void *data, size_t len);

/* Lets go of the bytes of the last view. */
static inline void wr_recvq_drop_shown(struct wr_recvq *q)
{
    weir_lease *spent = q->spent;
    q->is_shown = false;
    if (spent) {
        q->spent = NULL;
        wr_lease_unref(spent);
    }
}

/* In all that follows nothing is shown, unless it says so. */

/* The bytes that lie together at @offset; their number, 0 beyond the end. */
size_t wr_recvq_peek(const struct wr_recvq *q, size_t offset,
                     struct weir_buf *ret);

/* Keeps what was peeked at where it is until wr_recvq_drop_shown(). */
static inline void wr_recvq_hold(struct wr_recvq *q, const struct weir_buf *buf)
{
    wr_assert(!q->spent);
    wr_lease_ref(buf->lease);
    q->spent = buf->lease;
}

/* Copies the first @len bytes, which are there, and consumes them. */
void wr_recvq_read(struct wr_recvq *q, void *buf, size_t len);

/* Consumes the first @len bytes, which are there. */
void wr_recvq_consume(struct wr_recvq *q, size_t len);

/* wr_recvq_join() where they do not lie together. */
int wr_recvq_join_segments(struct wr_recvq *q, size_t len);

/* Makes the first @len bytes, which are there, lie together: 0 or -ENOMEM;
 * then they lie as before. */
static inline int wr_recvq_join(struct wr_recvq *q, size_t len)
{
    if (WR_LIKELY(q->head->len >= len)) {
        return 0;
    }
    return wr_recvq_join_segments(q, len);
}

/* How many bytes lie together at the begin; there are some. */
static inline size_t wr_recvq_first_len(const struct wr_recvq *q)
{
    wr_assert(q->count > 0);
    return q->head->len;
}

/* Consumes the first @len bytes, which lie together, and shows them. */
static inline void wr_recvq_show(struct wr_recvq *q, size_t len,
                                 struct weir_buf *ret)
{
    struct wr_recvq_segment *segment = q->head;
    weir_lease *lease = segment->lease;
    ret->data = segment->data;
    ret->len = len;
    ret->lease = lease;
    q->total -= len;
    q->is_shown = true;
    if (len == segment->len) {
        wr_recvq_pop(q);
        q->spent = lease;
        return;
    }
    wr_assert(len < segment->len);
    segment->data += len;
    segment->len -= (uint32_t)len;
}

/* Consumes the first @len bytes, which lie together, and gives them with a
 * reference to their lease: 0 or -ENOMEM; then nothing was consumed. */
int wr_recvq_take(struct wr_recvq *q, size_t len, struct weir_buf *ret);

/* Moves bytes out of the receive pool: pieces shorter than WR_COMPACT_BELOW
 * that nobody else keeps, or with @all every one. What is shown stays where it
 * is. False when there was no memory: then some stay too. */
bool wr_recvq_compact(struct wr_recvq *q, bool all);

/* Where a search for separators stands, so that bytes are looked at once. */
struct wr_search {
    size_t offset; /* no match begins before it */
};

/*
 * Looks for the match that ends first, and of those the shortest: its end
 * (offset of the first byte after it), its begin in @ret_begin; or 0 when
 * there is none, and @search goes on from there with more bytes.
 */
size_t wr_recvq_find(const struct wr_recvq *q,
                     const struct weir_separator *separators, size_t count,
                     struct wr_search *search, size_t *ret_begin);

#endif

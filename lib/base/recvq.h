/*
 * The received bytes of a reader that were not read yet.
 *
 * A queue is a ring of segments, each a part of a lease. Most bytes stay in the
 * receive buffer. They are copied to blocks of the queue to make bytes
 * contiguous that a call must return as one piece, and to free receive buffers
 * when bytes stay for long or the pool is short. These blocks are charged to no
 * connection; the reader's limit bounds them.
 *
 * A view consumes its bytes, but they stay valid until the next call
 * (`is_shown`). `spent` holds their lease if their segment was removed. The
 * window is a part of the first segment whose newlines were all found at once,
 * so that reading lines inspects each byte once. It must be closed before
 * anything but a line is taken.
 */
#ifndef WEIR_LIB_BASE_RECVQ_H
#define WEIR_LIB_BASE_RECVQ_H

#include "uring/lease.h"
#include "weir/buffer.h"
#include "weir/reader.h"

#include <errno.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define WR_RECVQ_INLINE 4u
#define WR_WINDOW_SIZE  64u /* searched for newlines at once */

struct wr_recvq_segment {
    const uint8_t *data;
    uint32_t len;
    /* Unused bytes after the data that can be filled; 0 in a received lease. */
    uint32_t room;
    weir_lease *lease;
};

struct wr_recvq {
    struct wr_recvq_segment *head;
    size_t total;
    weir_lease *spent; /* lease of the bytes last shown or held, or NULL */
    bool is_shown;     /* set by a view, cleared by the next call */
    uint32_t first;
    uint32_t count;
    uint32_t capacity; /* a power of two */
    struct wr_recvq_segment *segments;
    struct wr_pool *pool;
    const struct weir_allocator *allocator;
    uint64_t *copied;
    /* a bit for each newline in the window whose line was not read, the lowest
     * for the window's first byte; 0 without a window */
    uint64_t newlines;
    const uint8_t *window_end;
    /* While window_end is before this address, enough bytes follow for the next
     * window. NULL if there is no window. */
    const uint8_t *window_stop;
    struct wr_recvq_segment inline_segments[WR_RECVQ_INLINE];
};

void wr_recvq_init(struct wr_recvq *q, struct wr_pool *pool,
                   const struct weir_allocator *allocator, uint64_t *copied);
void wr_recvq_fini(struct wr_recvq *q);

void wr_recvq_check_invariants(const struct wr_recvq *q);

WEIR_MUST_USE int wr_recvq_grow(struct wr_recvq *q);

/* wr_recvq_push() of a copy, for when the pool is short of buffers. */
WEIR_MUST_USE int wr_recvq_push_moved(struct wr_recvq *q,
                                      const struct weir_buf *buf);

void wr_recvq_shrink(struct wr_recvq *q);

static inline struct wr_recvq_segment *wr_recvq_at(const struct wr_recvq *q,
                                                   uint32_t index)
{
    return &q->segments[(q->first + index) & (q->capacity - 1)];
}

/* Removes the first segment. The caller takes its reference to the lease. */
static inline void wr_recvq_pop(struct wr_recvq *q)
{
    wr_assert(q->count > 0);
    wr_debug_assert(q->head == &q->segments[q->first]);
    q->count--;
    q->first++;
    q->head++;
    if (q->first == q->capacity) {
        q->first = 0;
        q->head = q->segments;
    }
}

/* Puts a copy of bytes back before all others. After -ENOMEM the last part of
 * them may have been put back. */
WEIR_MUST_USE int wr_recvq_unread(struct wr_recvq *q, const void *data,
                                  size_t len);

/* Appends at least 1 received byte with a reference to the lease, or a copy if
 * the pool is short. Returns 0, or -ENOMEM without effect. */
WEIR_MUST_USE static inline int wr_recvq_push(struct wr_recvq *q,
                                              const struct weir_buf *buf)
{
    wr_debug_check(wr_recvq_check_invariants(q));
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

WEIR_MUST_USE int wr_recvq_push_copy(struct wr_recvq *q, const void *data,
                                     size_t len);

static inline void wr_recvq_close_window(struct wr_recvq *q)
{
    q->window_stop = NULL;
    q->newlines = 0;
}

static inline bool wr_recvq_has_window(const struct wr_recvq *q)
{
    return q->window_stop != NULL;
}

/* Releases the bytes of the last view, and closes the window. */
static inline void wr_recvq_drop_shown(struct wr_recvq *q)
{
    weir_lease *spent = q->spent;
    wr_debug_check(wr_recvq_check_invariants(q));
    q->is_shown = false;
    wr_recvq_close_window(q);
    if (spent) {
        q->spent = NULL;
        wr_lease_unref(spent);
    }
}

/* While is_shown is true, only wr_recvq_compact() and the functions of the
 * window may be called of the functions below. */

/* Returns the number of contiguous bytes at @offset; 0 at or after the end. */
size_t wr_recvq_peek(const struct wr_recvq *q, size_t offset,
                     struct weir_buf *ret);

/* Keeps peeked bytes valid until wr_recvq_drop_shown(). */
static inline void wr_recvq_hold(struct wr_recvq *q, const struct weir_buf *buf)
{
    wr_assert(!q->spent);
    wr_lease_ref(buf->lease);
    q->spent = buf->lease;
}

void wr_recvq_read(struct wr_recvq *q, void *buf, size_t len);

void wr_recvq_consume(struct wr_recvq *q, size_t len);

WEIR_MUST_USE int wr_recvq_join_segments(struct wr_recvq *q, size_t len);

/* Makes the first @len bytes contiguous; total must be at least @len. */
WEIR_MUST_USE static inline int wr_recvq_join(struct wr_recvq *q, size_t len)
{
    wr_debug_assert(len > 0);
    wr_debug_assert(len <= q->total);
    if (WR_LIKELY(q->head->len >= len)) {
        return 0;
    }
    return wr_recvq_join_segments(q, len);
}

static inline size_t wr_recvq_first_len(const struct wr_recvq *q)
{
    wr_assert(q->count > 0);
    return q->head->len;
}

/* Returns a bit for each newline in a window, the lowest for the first byte. */
static inline uint64_t wr_find_newlines(const uint8_t *window)
{
    uint64_t found = 0;
#ifdef __SSE2__
    const __m128i newline = _mm_set1_epi8('\n');
    for (unsigned i = 0; i < WR_WINDOW_SIZE; i += 16) {
        __m128i part;
        memcpy(&part, window + i, sizeof(part));
        const int bits = _mm_movemask_epi8(_mm_cmpeq_epi8(part, newline));
        found |= (uint64_t)(unsigned)bits << i;
    }
#else
    for (unsigned i = 0; i < WR_WINDOW_SIZE; i++) {
        found |= (uint64_t)(window[i] == '\n') << i;
    }
#endif
    return found;
}

/* Consumes @len bytes of the first segment, which must have more. Takes no
 * reference. A comparison would cost one more instruction than this
 * assertion. */
static inline void wr_recvq_take_part(struct wr_recvq *q, size_t len,
                                      struct weir_buf *ret)
{
    struct wr_recvq_segment *segment = q->head;
    const uint8_t *data = segment->data;

    wr_debug_assert(len > 0);
    wr_debug_assert(len < segment->len);
    wr_assert(
        !__builtin_sub_overflow(segment->len, (uint32_t)len, &segment->len));
    segment->data = data + len;
    ret->lease = segment->lease;
    ret->data = data;
    ret->len = len;
    q->total -= len;
}

/* Opens an empty window at the first byte. The queue must not be empty. */
static inline void wr_recvq_open_window(struct wr_recvq *q)
{
    const struct wr_recvq_segment *head = q->head;

    wr_assert(q->count > 0);
    wr_assert(!q->spent);
    q->newlines = 0;
    q->window_end = head->data;
    q->window_stop = head->len > WR_WINDOW_SIZE
                         ? head->data + head->len - WR_WINDOW_SIZE
                         : head->data;
}

/* Moves the window to the next WR_WINDOW_SIZE bytes. newlines must be 0.
 * Returns false if too few bytes follow, or if they have no newline. */
WEIR_MUST_USE static inline bool wr_recvq_move_window(struct wr_recvq *q)
{
    const uint8_t *window = q->window_end;

    wr_debug_assert(q->newlines == 0);
    if (WR_UNLIKELY(window >= q->window_stop)) {
        return false;
    }
    q->newlines = wr_find_newlines(window);
    q->window_end = window + WR_WINDOW_SIZE;
    return q->newlines != 0;
}

/* Moves the window so that the next newline is its last byte. Returns false if
 * the first segment has no newline, or only as its last byte. */
WEIR_MUST_USE bool wr_recvq_find_newline(struct wr_recvq *q);

/* The first line ends at the window's next newline. */
static inline size_t wr_recvq_line_len(const struct wr_recvq *q)
{
    const size_t until = (size_t)(q->window_end - q->head->data);

    wr_debug_assert(q->newlines != 0);
    wr_debug_assert(until <= q->head->len);
    return (uint32_t)until - (WR_WINDOW_SIZE - 1) +
           (uint32_t)__builtin_ctzll(q->newlines);
}

/* The segment must have more bytes. Takes no reference. */
static inline void wr_recvq_take_line(struct wr_recvq *q, size_t len,
                                      struct weir_buf *ret)
{
    wr_debug_assert(len == wr_recvq_line_len(q));
    wr_debug_assert(q->head->data[len - 1] == '\n');
    q->newlines &= q->newlines - 1;
    wr_recvq_take_part(q, len, ret);
}

/* Consumes the first @len bytes, which must be contiguous, and shows them. */
static inline void wr_recvq_show(struct wr_recvq *q, size_t len,
                                 struct weir_buf *ret)
{
    const struct wr_recvq_segment *segment = q->head;
    weir_lease *lease = segment->lease;

    wr_debug_assert(!q->is_shown);
    wr_debug_assert(!q->spent);
    wr_debug_assert(len > 0);
    if (len != segment->len) {
        wr_assert(len < segment->len);
        wr_recvq_take_part(q, len, ret);
        q->is_shown = true;
        return;
    }
    ret->data = segment->data;
    ret->len = len;
    ret->lease = lease;
    q->total -= len;
    q->is_shown = true;
    wr_recvq_pop(q);
    q->spent = lease;
}

/* Consumes the first @len bytes, which must be contiguous. *ret has a reference
 * to their lease. Returns 0, or -ENOMEM without effect. */
WEIR_MUST_USE int wr_recvq_take(struct wr_recvq *q, size_t len,
                                struct weir_buf *ret);

/* Moves bytes out of the receive pool: all bytes if @all is true, else pieces
 * below WR_COMPACT_BELOW that only the queue refers to. Shown bytes stay.
 * Returns false if memory ran out before all were moved. */
WEIR_MUST_USE bool wr_recvq_compact(struct wr_recvq *q, bool all);

struct wr_search {
    size_t offset; /* no match begins before this offset */
};

/* Finds the match that ends first; of several that end there, the shortest.
 * Returns the offset after the match and sets *ret_begin, or returns 0. The
 * next call with @search continues the search. */
size_t wr_recvq_find(const struct wr_recvq *q,
                     const struct weir_separator *separators, size_t count,
                     struct wr_search *search, size_t *ret_begin);

#endif

/*
 * The queue of received bytes: storing, joining and moving.
 *
 * A block of the queue is a lease that is charged to the pool's own account.
 * Bytes may be appended to it after the last segment; views and taken pieces
 * refer only to earlier bytes, so their contents never change. The unused part
 * of a block is never larger than the bytes that have arrived, whatever length
 * a caller requested.
 */
#include "recvq.h"

#include "uring/alloc.h"

#include <string.h>

/* Maximum size of a block, unless a join or one piece needs a larger block. */
#define BLOCK_MAX ((size_t)1 << 28)
/* Maximum size of a block of bytes put back. Larger blocks fail more often. */
#define UNREAD_MAX ((size_t)1 << 20)
/* A queue of n bytes has about SHARES * log n blocks. */
#define SHARES 16u

static void recvq_check_segments(const struct wr_recvq *q)
{
    size_t total = 0;

    for (uint32_t i = 0; i < q->count; i++) {
        const struct wr_recvq_segment *segment = wr_recvq_at(q, i);
        wr_assert(segment->len > 0);
        wr_assert(segment->lease->refs > 0);
        wr_assert(segment->room == 0 || segment->lease->block);
        total += segment->len;
    }
    wr_assert(total == q->total);
}

void wr_recvq_check_invariants(const struct wr_recvq *q)
{
    wr_assert(q->first < q->capacity);
    wr_assert(q->count <= q->capacity);
    wr_assert(q->head == &q->segments[q->first]);
    wr_assert((q->count == 0) == (q->total == 0));
    wr_assert((q->capacity & (q->capacity - 1)) == 0);
    wr_assert((q->segments == q->inline_segments) ==
              (q->capacity == WR_RECVQ_INLINE));
    wr_assert(!q->is_shown || q->spent || q->count > 0);
    if (wr_recvq_has_window(q)) {
        wr_assert(!q->spent);
        wr_assert(q->count > 0);
        wr_assert(q->window_end >= q->head->data);
        wr_assert(q->window_end <= q->head->data + q->head->len);
        wr_assert(q->window_stop <= q->head->data + q->head->len);
    } else {
        wr_assert(q->newlines == 0);
    }
    wr_debug_check(recvq_check_segments(q));
}

void wr_recvq_init(struct wr_recvq *q, struct wr_pool *pool,
                   const struct weir_allocator *allocator, uint64_t *copied)
{
    memset(q, 0, sizeof(*q));
    q->segments = q->inline_segments;
    q->head = q->segments;
    q->capacity = WR_RECVQ_INLINE;
    q->pool = pool;
    q->allocator = allocator;
    q->copied = copied;
}

static void recvq_free_segments(struct wr_recvq *q)
{
    if (q->segments != q->inline_segments) {
        wr_free(q->allocator, q->segments, q->capacity * sizeof(*q->segments));
    }
}

void wr_recvq_fini(struct wr_recvq *q)
{
    wr_recvq_check_invariants(q);
    wr_recvq_drop_shown(q);
    while (q->count > 0) {
        weir_lease *lease = q->head->lease;
        wr_recvq_pop(q);
        wr_lease_unref(lease);
    }
    recvq_free_segments(q);
    q->segments = q->inline_segments;
    q->head = q->segments;
    q->capacity = WR_RECVQ_INLINE;
    q->first = 0;
    q->total = 0;
}

static void recvq_move_segments(struct wr_recvq *q, struct wr_recvq_segment *to,
                                uint32_t capacity)
{
    wr_assert(capacity >= q->count);
    for (uint32_t i = 0; i < q->count; i++) {
        to[i] = *wr_recvq_at(q, i);
    }
    recvq_free_segments(q);
    q->segments = to;
    q->head = to;
    q->capacity = capacity;
    q->first = 0;
}

int wr_recvq_grow(struct wr_recvq *q)
{
    wr_assert(q->count == q->capacity);
    if (q->capacity > UINT32_MAX / 4) {
        return -ENOMEM;
    }
    const uint32_t capacity = q->capacity * 2;
    struct wr_recvq_segment *to =
        wr_alloc(q->allocator, capacity * sizeof(*to));
    if (!to) {
        return -ENOMEM;
    }
    recvq_move_segments(q, to, capacity);
    return 0;
}

void wr_recvq_shrink(struct wr_recvq *q)
{
    if (q->segments != q->inline_segments && q->count <= WR_RECVQ_INLINE) {
        recvq_move_segments(q, q->inline_segments, WR_RECVQ_INLINE);
    }
}

static void recvq_append(struct wr_recvq_segment *segment, const uint8_t *data,
                         size_t len)
{
    wr_assert(len <= segment->room);
    wr_assert(segment->lease->block != NULL);
    const size_t used =
        (size_t)(segment->data - segment->lease->block->data) + segment->len;
    wr_assert(used + len <= segment->lease->block->capacity);
    memcpy(segment->lease->block->data + used, data, len);
    segment->len += (uint32_t)len;
    segment->room -= (uint32_t)len;
}

static bool recvq_new_segment(struct wr_recvq *q, size_t capacity,
                              struct wr_recvq_segment *ret)
{
    weir_lease *lease = wr_lease_own(q->pool, capacity);
    if (!lease) {
        return false;
    }
    *ret = (struct wr_recvq_segment){
        .data = lease->data, .room = lease->len, .lease = lease};
    return true;
}

/* Returns the spare bytes of a new block: at most as many as the queue holds,
 * and for a large queue a fixed share, so that there are few blocks. */
static size_t recvq_spare(const struct wr_recvq *q)
{
    const size_t share = wr_min_u64(q->total / SHARES, BLOCK_MAX);
    return wr_max_u64(share, wr_min_u64(q->total, WR_BLOCK_SMALL));
}

static int recvq_push_copy(struct wr_recvq *q, const uint8_t *bytes, size_t len)
{
    struct wr_recvq_segment *last =
        q->count > 0 ? wr_recvq_at(q, q->count - 1) : NULL;
    const size_t fits = last ? wr_min_u64(last->room, len) : 0;
    struct wr_recvq_segment added = {0};

    if (len > fits) {
        if (q->count == q->capacity && wr_recvq_grow(q) < 0) {
            return -ENOMEM;
        }
        if (!recvq_new_segment(q, wr_max_u64(len - fits, recvq_spare(q)),
                               &added)) {
            return -ENOMEM;
        }
    }
    if (fits > 0) {
        recvq_append(wr_recvq_at(q, q->count - 1), bytes, fits);
    }
    if (added.lease) {
        recvq_append(&added, bytes + fits, len - fits);
        *wr_recvq_at(q, q->count) = added;
        q->count++;
    }
    q->total += len;
    return 0;
}

static int recvq_unread_piece(struct wr_recvq *q, const uint8_t *data,
                              size_t len)
{
    struct wr_recvq_segment piece;

    if (q->count == q->capacity && wr_recvq_grow(q) < 0) {
        return -ENOMEM;
    }
    if (!recvq_new_segment(q, len, &piece)) {
        return -ENOMEM;
    }
    recvq_append(&piece, data, len);
    piece.room = 0;
    q->first = (q->first + q->capacity - 1) & (q->capacity - 1);
    q->head = &q->segments[q->first];
    *q->head = piece;
    q->count++;
    q->total += len;
    *q->copied += len;
    return 0;
}

int wr_recvq_unread(struct wr_recvq *q, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    wr_assert(!q->is_shown);
    wr_recvq_check_invariants(q);
    while (len > 0) {
        const size_t piece = wr_min_u64(len, UNREAD_MAX);
        len -= piece;
        int err = recvq_unread_piece(q, bytes + len, piece);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int wr_recvq_push_copy(struct wr_recvq *q, const void *data, size_t len)
{
    wr_recvq_check_invariants(q);
    wr_assert(len > 0);
    int err = recvq_push_copy(q, data, len);
    *q->copied += err == 0 ? len : 0;
    return err;
}

int wr_recvq_push_moved(struct wr_recvq *q, const struct weir_buf *buf)
{
    wr_assert(buf->len > 0);
    int err = recvq_push_copy(q, buf->data, buf->len);
    q->pool->copied_bytes += err == 0 ? buf->len : 0;
    return err;
}

size_t wr_recvq_peek(const struct wr_recvq *q, size_t offset,
                     struct weir_buf *ret)
{
    wr_assert(!q->is_shown);
    for (uint32_t i = 0; i < q->count; i++) {
        const struct wr_recvq_segment *segment = wr_recvq_at(q, i);
        if (offset < segment->len) {
            *ret = (struct weir_buf){.data = segment->data + offset,
                                     .len = segment->len - offset,
                                     .lease = segment->lease};
            return ret->len;
        }
        offset -= segment->len;
    }
    *ret = (struct weir_buf){0};
    return 0;
}

static void recvq_consume_first(struct wr_recvq *q, size_t len)
{
    struct wr_recvq_segment *segment = q->head;
    wr_assert(len > 0);
    wr_assert(len <= segment->len);
    q->total -= len;
    if (len == segment->len) {
        weir_lease *lease = segment->lease;
        wr_recvq_pop(q);
        wr_lease_unref(lease);
        return;
    }
    segment->data += len;
    segment->len -= (uint32_t)len;
}

void wr_recvq_read(struct wr_recvq *q, void *buf, size_t len)
{
    uint8_t *to = buf;
    wr_debug_check(wr_recvq_check_invariants(q));
    wr_assert(!q->is_shown);
    wr_assert(len <= q->total);
    while (len > 0) {
        const struct wr_recvq_segment *segment = q->head;
        const size_t part = wr_min_u64(segment->len, len);
        memcpy(to, segment->data, part);
        to += part;
        len -= part;
        recvq_consume_first(q, part);
    }
}

void wr_recvq_consume(struct wr_recvq *q, size_t len)
{
    wr_debug_check(wr_recvq_check_invariants(q));
    wr_assert(!q->is_shown);
    wr_assert(len <= q->total);
    while (len > 0) {
        const size_t part = wr_min_u64(q->head->len, len);
        len -= part;
        recvq_consume_first(q, part);
    }
}

int wr_recvq_take(struct wr_recvq *q, size_t len, struct weir_buf *ret)
{
    const struct wr_recvq_segment *segment = q->head;
    struct weir_buf taken = {
        .data = segment->data, .len = len, .lease = segment->lease};

    wr_assert(!q->is_shown);
    wr_assert(len > 0);
    wr_assert(len <= segment->len);
    wr_recvq_check_invariants(q);
    int err = wr_lease_keep(&taken);
    if (err < 0) {
        return err;
    }
    if (len < segment->len && taken.lease != segment->lease) {
        const uint8_t *end = segment->data + len;
        wr_lease_trim(segment->lease, (uint32_t)(end - segment->lease->data));
    }
    recvq_consume_first(q, len);
    *ret = taken;
    return 0;
}

/* Moves the first @len bytes to the end of @to, which is not in the ring. */
static void recvq_move_bytes(struct wr_recvq *q, struct wr_recvq_segment *to,
                             size_t len)
{
    *q->copied += len;
    while (len > 0) {
        const struct wr_recvq_segment *segment = q->head;
        const size_t part = wr_min_u64(segment->len, len);
        recvq_append(to, segment->data, part);
        len -= part;
        recvq_consume_first(q, part);
    }
}

int wr_recvq_join_segments(struct wr_recvq *q, size_t len)
{
    struct wr_recvq_segment joined = *q->head;

    wr_assert(!q->is_shown);
    wr_assert(len <= q->total);
    wr_assert(len > joined.len);
    wr_recvq_check_invariants(q);
    const size_t missing = len - joined.len;
    if (joined.room >= missing) {
        q->total -= joined.len;
        wr_recvq_pop(q);
        recvq_move_bytes(q, &joined, missing);
    } else {
        /* Spare space, so that a later join needs no new block. */
        const size_t slack = wr_min_u64(len / 2, q->total - len);
        struct wr_recvq_segment first;
        if (!recvq_new_segment(q, len + slack, &first)) {
            return -ENOMEM;
        }
        recvq_move_bytes(q, &first, len);
        joined = first;
    }
    /* At least one slot of the ring is free, because a segment was removed. */
    wr_assert(q->count < q->capacity);
    q->first = (q->first - 1) & (q->capacity - 1);
    q->head = &q->segments[q->first];
    *q->head = joined;
    q->count++;
    q->total += joined.len;
    wr_recvq_check_invariants(q);
    return 0;
}

static bool recvq_is_alone(const weir_lease *lease)
{
    return lease->refs == 1 && (!lease->parent || lease->parent->refs == 1);
}

static bool recvq_should_move(const struct wr_recvq *q,
                              const struct wr_recvq_segment *segment, bool all)
{
    const weir_lease *lease = segment->lease;
    if (lease->account == &q->pool->own) {
        /* Move bytes if they keep a block that is mostly unused. */
        const weir_lease *whole = lease->parent ? lease->parent : lease;
        return whole->len / 2 > q->total + WR_COMPACT_BELOW &&
               recvq_is_alone(lease);
    }
    return all || (segment->len < WR_COMPACT_BELOW && recvq_is_alone(lease));
}

/* Only the last block of the queue has spare bytes. */
static size_t recvq_block_size_at(const struct wr_recvq *q, uint32_t index,
                                  bool all)
{
    size_t len = wr_recvq_at(q, index)->len;
    for (uint32_t i = index + 1; i < q->count; i++) {
        const struct wr_recvq_segment *segment = wr_recvq_at(q, i);
        if (len + segment->len > BLOCK_MAX ||
            !recvq_should_move(q, segment, all)) {
            return len; /* other segments follow */
        }
        len += segment->len;
    }
    return wr_max_u64(len,
                      all ? wr_min_u64(q->total, BLOCK_MAX) : recvq_spare(q));
}

/* If all of @from fits into @to, drops the lease of @from and returns true. */
static bool recvq_pack(struct wr_recvq *q, struct wr_recvq_segment *to,
                       struct wr_recvq_segment *from)
{
    const uint32_t part = (uint32_t)wr_min_u64(to->room, from->len);
    if (part > 0) {
        recvq_append(to, from->data, part);
        q->pool->copied_bytes += part;
        from->data += part;
        from->len -= part;
    }
    if (from->len > 0) {
        return false;
    }
    wr_lease_unref(from->lease);
    return true;
}

bool wr_recvq_compact(struct wr_recvq *q, bool all)
{
    wr_recvq_check_invariants(q);
    wr_assert(!wr_recvq_has_window(q));
    /* number of finished entries, with the entry whose bytes are shown */
    uint32_t kept = q->is_shown && !q->spent && q->count > 0 ? 1 : 0;
    bool has_memory = true;

    for (uint32_t i = kept; i < q->count; i++) {
        struct wr_recvq_segment *segment = wr_recvq_at(q, i);
        struct wr_recvq_segment block;
        bool moved = has_memory && recvq_should_move(q, segment, all);
        if (moved) {
            if (kept > 0 && recvq_pack(q, wr_recvq_at(q, kept - 1), segment)) {
                continue;
            }
            moved = has_memory =
                recvq_new_segment(q, recvq_block_size_at(q, i, all), &block);
        }
        if (moved) {
            const bool whole = recvq_pack(q, &block, segment);
            wr_assert(whole);
        }
        *wr_recvq_at(q, kept++) = moved ? block : *segment;
    }
    q->count = kept;
    wr_recvq_shrink(q);
    wr_recvq_check_invariants(q);
    return has_memory;
}

/*
 * The queue of bytes to send. A copy first fills the last block, then takes new
 * blocks, each twice as large as the block before: a connection with few queued
 * bytes uses little memory, and a connection with many needs few blocks.
 */
#include "sendq.h"

#include "uring/check.h"
#include "uring/lease.h"

#include <errno.h>
#include <string.h>

#define BLOCK_LARGEST ((1u << WR_BLOCK_MAX_BITS) - sizeof(struct wr_block))

void wr_sendq_init(struct wr_sendq *q)
{
    *q = (struct wr_sendq){0};
}

static void sendq_check_chunks(const struct wr_sendq *q)
{
    const struct wr_chunk *last = NULL;
    uint64_t bytes = 0;

    for (const struct wr_chunk *chunk = q->head; chunk; chunk = chunk->next) {
        wr_assert(chunk->kind < WR_CHUNK_KINDS);
        wr_assert(chunk->len > 0);
        bytes += chunk->len;
        last = chunk;
    }
    wr_assert(last == q->tail);
    wr_assert(q->bytes == bytes);
}

void wr_sendq_check_invariants(const struct wr_sendq *q)
{
    wr_assert(!q->head == !q->tail);
    wr_assert(q->head || q->bytes == 0);
    wr_assert(!q->tail || !q->tail->next);
    wr_debug_check(sendq_check_chunks(q));
}

static void sendq_append(struct wr_sendq *q, struct wr_chunk *first,
                         struct wr_chunk *last, size_t bytes)
{
    wr_assert(!last->next);
    wr_assert(!q->tail == !q->head);
    if (q->tail) {
        q->tail->next = first;
    } else {
        q->head = first;
    }
    q->tail = last;
    q->bytes += bytes;
}

static void sendq_free_chunk(const struct wr_sendq_memory *memory,
                             struct wr_chunk *chunk)
{
    weir_release_fn *release = NULL;
    void *release_arg = NULL;

    if (chunk->kind == WR_CHUNK_COPY) {
        wr_block_give(memory->blocks, wr_chunk_block(chunk));
        return;
    }
    if (chunk->kind == WR_CHUNK_LEASE) {
        wr_lease_unref(chunk->lease);
    } else {
        release = chunk->release;
        release_arg = chunk->release_arg;
    }
    wr_slab_give(memory->chunks, chunk);
    if (release) {
        release(release_arg);
    }
}

static size_t sendq_tail_room(const struct wr_sendq *q)
{
    if (!q->tail || q->tail->kind != WR_CHUNK_COPY) {
        return 0;
    }
    const struct wr_block *block = wr_chunk_block(q->tail);
    wr_assert(block->used <= block->capacity);
    return block->capacity - block->used;
}

static struct wr_chunk *
sendq_make_copy_chunk(const struct wr_sendq_memory *memory, size_t capacity)
{
    struct wr_block *block = wr_block_take(memory->blocks, capacity);
    if (!block) {
        return NULL;
    }
    struct wr_chunk *chunk = (struct wr_chunk *)(void *)block->data;
    block->used = sizeof(*chunk);
    *chunk = (struct wr_chunk){.kind = WR_CHUNK_COPY,
                               .data = block->data + sizeof(*chunk)};
    return chunk;
}

/* Returns a chain of empty chunks with space for @needed bytes, or NULL. The
 * first block has at least @capacity bytes. */
static struct wr_chunk *sendq_make_room(const struct wr_sendq_memory *memory,
                                        size_t needed, size_t capacity)
{
    struct wr_chunk *first = NULL;
    struct wr_chunk **link = &first;

    while (needed > 0) {
        capacity = (size_t)wr_max_u64(capacity, needed + sizeof(**link));
        capacity = (size_t)wr_min_u64(capacity, BLOCK_LARGEST);
        struct wr_chunk *chunk = sendq_make_copy_chunk(memory, capacity);
        if (!chunk) {
            while (first) {
                struct wr_chunk *next = first->next;
                sendq_free_chunk(memory, first);
                first = next;
            }
            return NULL;
        }
        *link = chunk;
        link = &chunk->next;
        const struct wr_block *block = wr_chunk_block(chunk);
        needed -= (size_t)wr_min_u64(needed, block->capacity - block->used);
    }
    return first;
}

static void sendq_fill(struct wr_chunk *chunk, const struct iovec *iov,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *from = iov[i].iov_base;
        size_t left = iov[i].iov_len;
        while (left > 0) {
            struct wr_block *block = wr_chunk_block(chunk);
            const size_t room = block->capacity - block->used;
            if (room == 0) {
                chunk = chunk->next;
                continue;
            }
            const size_t part = left < room ? left : room;
            memcpy(block->data + block->used, from, part);
            block->used += (uint32_t)part;
            chunk->len += part;
            from += part;
            left -= part;
        }
    }
    wr_assert(!chunk->next);
}

/* The size is 0 after a chunk that is not copied bytes: a program that writes a
 * few bytes between pieces of its own memory needs a block for each. */
static size_t sendq_next_capacity(const struct wr_sendq *q)
{
    if (!q->tail) {
        return WR_BLOCK_SMALL;
    }
    return q->tail->kind == WR_CHUNK_COPY
               ? wr_chunk_block(q->tail)->capacity * (size_t)2
               : 0;
}

struct wr_chunk *wr_sendq_make_chunk(const struct wr_sendq_memory *memory,
                                     size_t len)
{
    wr_assert(len > 0);
    wr_assert(len <= BLOCK_LARGEST - sizeof(struct wr_chunk));
    return sendq_make_copy_chunk(memory, len + sizeof(struct wr_chunk));
}

void wr_sendq_append_chunk(struct wr_sendq *q, struct wr_chunk *chunk,
                           size_t len)
{
    struct wr_block *block = wr_chunk_block(chunk);

    wr_assert(len > 0 && chunk->len == 0);
    wr_assert(len <= block->capacity - block->used);
    block->used += (uint32_t)len;
    chunk->len = len;
    sendq_append(q, chunk, chunk, len);
}

void wr_sendq_drop_last(struct wr_sendq *q,
                        const struct wr_sendq_memory *memory)
{
    struct wr_chunk *last = q->tail;
    struct wr_chunk *before = NULL;

    wr_assert(last && last->kind == WR_CHUNK_COPY);
    for (struct wr_chunk *chunk = q->head; chunk != last; chunk = chunk->next) {
        before = chunk;
    }
    if (before) {
        before->next = NULL;
    } else {
        q->head = NULL;
    }
    q->tail = before;
    q->bytes -= last->len;
    sendq_free_chunk(memory, last);
}

void wr_sendq_drop_chunk(const struct wr_sendq_memory *memory,
                         struct wr_chunk *chunk)
{
    wr_assert(chunk->len == 0);
    sendq_free_chunk(memory, chunk);
}

int wr_sendq_copy(struct wr_sendq *q, const struct wr_sendq_memory *memory,
                  const struct iovec *iov, size_t count, size_t total)
{
    wr_assert(total > 0);
    wr_assert(count > 0);
    wr_sendq_check_invariants(q);
    const size_t room = sendq_tail_room(q);
    struct wr_chunk *start = q->tail;

    if (total > room) {
        struct wr_chunk *first =
            sendq_make_room(memory, total - room, sendq_next_capacity(q));
        if (!first) {
            return -ENOMEM;
        }
        struct wr_chunk *last = first;
        while (last->next) {
            last = last->next;
        }
        sendq_append(q, first, last, 0);
        if (room == 0) {
            start = first;
        }
    }
    sendq_fill(start, iov, count);
    q->bytes += total;
    wr_sendq_check_invariants(q);
    return 0;
}

int wr_sendq_ref(struct wr_sendq *q, const struct wr_sendq_memory *memory,
                 const struct iovec *piece, weir_release_fn *release,
                 void *release_arg)
{
    wr_assert(piece->iov_len > 0);
    wr_sendq_check_invariants(q);
    struct wr_chunk *chunk = wr_slab_take_raw(memory->chunks);
    if (!chunk) {
        return -ENOMEM;
    }
    *chunk = (struct wr_chunk){.data = piece->iov_base,
                               .len = piece->iov_len,
                               .kind = WR_CHUNK_REF,
                               .release = release,
                               .release_arg = release_arg};
    sendq_append(q, chunk, chunk, piece->iov_len);
    return 0;
}

int wr_sendq_lease(struct wr_sendq *q, const struct wr_sendq_memory *memory,
                   const struct weir_buf *buf)
{
    wr_assert(buf->len > 0);
    wr_assert(buf->data >= buf->lease->data);
    wr_assert(buf->data + buf->len <= buf->lease->data + buf->lease->len);
    struct wr_chunk *chunk = wr_slab_take_raw(memory->chunks);
    if (!chunk) {
        return -ENOMEM;
    }
    *chunk = (struct wr_chunk){.data = buf->data,
                               .len = buf->len,
                               .kind = WR_CHUNK_LEASE,
                               .lease = buf->lease};
    wr_lease_ref(buf->lease);
    sendq_append(q, chunk, chunk, buf->len);
    wr_sendq_check_invariants(q);
    return 0;
}

void wr_sendq_move_out(struct wr_sendq *q)
{
    struct wr_chunk *chunk = q->head;

    wr_sendq_check_invariants(q);
    for (uint32_t i = 0; chunk && i < WR_SENDQ_MOVED; i++) {
        if (chunk->kind == WR_CHUNK_LEASE) {
            weir_lease *lease = chunk->lease;

            if (wr_lease_wastes(lease, chunk->len)) {
                wr_lease_move_out(lease, chunk->data, (uint32_t)chunk->len);
                chunk->data = lease->buf ? chunk->data : lease->data;
            }
        }
        chunk = chunk->next;
    }
}

uint64_t wr_sendq_held_bytes(const struct wr_sendq *q)
{
    uint64_t bytes = 0;

    wr_sendq_check_invariants(q);
    for (const struct wr_chunk *chunk = q->head; chunk; chunk = chunk->next) {
        if (chunk->kind == WR_CHUNK_LEASE &&
            chunk->lease->account != &chunk->lease->pool->own) {
            bytes += chunk->len;
        }
    }
    return bytes;
}

uint32_t wr_sendq_gather(const struct wr_sendq *q, struct iovec *iov,
                         uint32_t max_count, uint64_t max_bytes)
{
    uint32_t count = 0;
    const struct wr_chunk *chunk = q->head;

    wr_debug_check(wr_sendq_check_invariants(q));
    while (chunk && count < max_count && max_bytes > 0) {
        const size_t len = (size_t)wr_min_u64(chunk->len, max_bytes);
        if (len > 0) {
            iov[count++] = (struct iovec){
                .iov_base = (void *)(uintptr_t)chunk->data, .iov_len = len};
            max_bytes -= len;
        }
        chunk = chunk->next;
    }
    return count;
}

bool wr_sendq_consume_ref(struct wr_sendq *q,
                          const struct wr_sendq_memory *memory, uint64_t bytes)
{
    struct wr_chunk *chunk = q->head;

    wr_debug_assert(wr_sendq_starts_unreleased(q));
    if (chunk->next || chunk->len != bytes) {
        return false;
    }
    wr_debug_check(wr_sendq_check_invariants(q));
    q->head = NULL;
    q->tail = NULL;
    q->bytes = 0;
    wr_slab_give(memory->chunks, chunk);
    return true;
}

void wr_sendq_consume_some(struct wr_sendq *q,
                           const struct wr_sendq_memory *memory, uint64_t bytes)
{
    wr_debug_check(wr_sendq_check_invariants(q));
    wr_assert(bytes <= q->bytes);
    q->bytes -= bytes;
    struct wr_chunk *chunk = q->head;
    struct wr_chunk *rest = chunk;
    while (rest && rest->len <= bytes) {
        bytes -= rest->len;
        rest = rest->next;
    }
    q->head = rest;
    if (!rest) {
        q->tail = NULL;
    } else if (bytes > 0) {
        rest->data += bytes;
        rest->len -= bytes;
    }
    /* Release callbacks may use the queue, so it must be consistent here. */
    while (chunk != rest) {
        struct wr_chunk *next = chunk->next;
        sendq_free_chunk(memory, chunk);
        chunk = next;
    }
}

void wr_sendq_clear(struct wr_sendq *q, const struct wr_sendq_memory *memory)
{
    while (q->head) {
        wr_sendq_consume(q, memory, q->head->len);
    }
    wr_assert(q->bytes == 0);
}

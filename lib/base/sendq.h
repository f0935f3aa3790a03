/*
 * The bytes that wait to be sent on one connection.
 *
 * A chunk is a block of copied bytes, memory of the caller, or a lease of the
 * receive pool. Small writes are copied to the last block. Bytes stay in the
 * queue until the kernel has accepted them, so `bytes` includes bytes in
 * flight. Release callbacks are called after the chunk has left the queue, so
 * they may write again.
 */
#ifndef WEIR_LIB_BASE_SENDQ_H
#define WEIR_LIB_BASE_SENDQ_H

#include "uring/block.h"
#include "uring/check.h"
#include "uring/slab.h"
#include "weir/buffer.h"
#include "weir/transport.h"

#include <string.h>
#include <sys/uio.h>

/* A queue within its limits has fewer chunks. */
#define WR_SENDQ_MOVED    1024u
#define WR_SEND_BYTES_MIN (256u << 10)

enum wr_chunk_kind {
    WR_CHUNK_COPY,
    WR_CHUNK_REF,
    WR_CHUNK_LEASE,
    WR_CHUNK_KINDS,
};

/* In a chunk of copied bytes, this struct is at the start of the block. */
struct wr_chunk {
    struct wr_chunk *next;
    const uint8_t *data; /* the first byte that the kernel has not accepted */
    size_t len;
    enum wr_chunk_kind kind;
    union {
        weir_lease *lease;
        struct {
            weir_release_fn *release;
            void *release_arg;
        };
    };
};

struct wr_sendq {
    struct wr_chunk *head;
    struct wr_chunk *tail;
    uint64_t bytes;
};

struct wr_sendq_memory {
    struct wr_blocks *blocks;
    struct wr_slab *chunks;
};

void wr_sendq_init(struct wr_sendq *q);

void wr_sendq_check_invariants(const struct wr_sendq *q);

static inline bool wr_sendq_is_empty(const struct wr_sendq *q)
{
    return q->head == NULL;
}

/* Appends copies of @count pieces, together @total bytes, at least 1. Returns
 * 0, or -ENOMEM without effect. */
WEIR_MUST_USE int wr_sendq_copy(struct wr_sendq *q,
                                const struct wr_sendq_memory *memory,
                                const struct iovec *iov, size_t count,
                                size_t total);

/* Makes a chunk for @len copied bytes, or returns NULL. wr_sendq_append_chunk()
 * or wr_sendq_drop_chunk() must follow. */
WEIR_MUST_USE struct wr_chunk *
wr_sendq_make_chunk(const struct wr_sendq_memory *memory, size_t len);
/* Appends a chunk of wr_sendq_make_chunk() that has @len written bytes. */
void wr_sendq_append_chunk(struct wr_sendq *q, struct wr_chunk *chunk,
                           size_t len);
void wr_sendq_drop_last(struct wr_sendq *q,
                        const struct wr_sendq_memory *memory);
void wr_sendq_drop_chunk(const struct wr_sendq_memory *memory,
                         struct wr_chunk *chunk);

static inline void *wr_chunk_room(struct wr_chunk *chunk)
{
    return chunk + 1;
}

/* Appends memory of the caller. After -ENOMEM @release is not called. */
WEIR_MUST_USE int wr_sendq_ref(struct wr_sendq *q,
                               const struct wr_sendq_memory *memory,
                               const struct iovec *piece,
                               weir_release_fn *release, void *release_arg);

/* Takes a reference to the lease. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_sendq_lease(struct wr_sendq *q,
                                 const struct wr_sendq_memory *memory,
                                 const struct weir_buf *buf);

/* Moves leases for which wr_lease_wastes() returns true out of their receive
 * buffers, among the first WR_SENDQ_MOVED chunks. No byte may be in flight. A
 * lease stays if it has other references or memory runs out. */
void wr_sendq_move_out(struct wr_sendq *q);

/* Counts the bytes in leases that are charged to a receiving connection. */
uint64_t wr_sendq_held_bytes(const struct wr_sendq *q);

/* Fills @iov with the first bytes, at most @max_bytes. Returns the number of
 * vectors, at most @max_count. */
WEIR_MUST_USE uint32_t wr_sendq_gather(const struct wr_sendq *q,
                                       struct iovec *iov, uint32_t max_count,
                                       uint64_t max_bytes);

void wr_sendq_consume_some(struct wr_sendq *q,
                           const struct wr_sendq_memory *memory,
                           uint64_t bytes);

/* No byte may be in flight. */
void wr_sendq_clear(struct wr_sendq *q, const struct wr_sendq_memory *memory);

static inline struct wr_block *wr_chunk_block(const struct wr_chunk *chunk)
{
    wr_assert(chunk->kind == WR_CHUNK_COPY);
    return wr_container_of(chunk, struct wr_block, data);
}

/* The fast path of small writes: appends @len bytes and returns where to write
 * them. Returns NULL if another block is needed; then call wr_sendq_copy(). */
WEIR_MUST_USE static inline void *
wr_sendq_extend(struct wr_sendq *q, const struct wr_sendq_memory *memory,
                size_t len)
{
    struct wr_chunk *chunk = q->tail;
    struct wr_block *block;

    wr_debug_assert(len > 0);
    wr_debug_check(wr_sendq_check_invariants(q));
    if (!chunk) {
        if (len > WR_BLOCK_SMALL - sizeof(*chunk) ||
            !(block = wr_block_take_small(memory->blocks))) {
            return NULL;
        }
        chunk = (struct wr_chunk *)(void *)block->data;
        block->used = sizeof(*chunk) + (uint32_t)len;
        chunk->next = NULL;
        chunk->data = block->data + sizeof(*chunk);
        chunk->len = len;
        chunk->kind = WR_CHUNK_COPY;
        q->head = chunk;
        q->tail = chunk;
        q->bytes = len;
        return (uint8_t *)(chunk + 1);
    }
    if (chunk->kind != WR_CHUNK_COPY) {
        return NULL;
    }
    block = wr_chunk_block(chunk);
    const uint32_t used = block->used;
    wr_debug_assert(used <= block->capacity);
    if (len > block->capacity - used) {
        return NULL;
    }
    block->used = used + (uint32_t)len;
    chunk->len += len;
    q->bytes += len;
    return block->data + used;
}

/* If the queue is one chunk of @bytes copied bytes, empties it. */
WEIR_MUST_USE static inline bool
wr_sendq_consume_all(struct wr_sendq *q, const struct wr_sendq_memory *memory,
                     uint64_t bytes)
{
    struct wr_chunk *chunk = q->head;

    if (WR_UNLIKELY(!chunk || chunk->next || chunk->len != bytes ||
                    chunk->kind != WR_CHUNK_COPY)) {
        return false;
    }
    wr_debug_assert(q->tail == chunk);
    wr_debug_assert(q->bytes == bytes);
    q->head = NULL;
    q->tail = NULL;
    q->bytes = 0;
    wr_block_give(memory->blocks,
                  wr_container_of(chunk, struct wr_block, data));
    return true;
}

/* Memory without a release callback is common if many peers get one message. */
WEIR_MUST_USE static inline bool
wr_sendq_starts_unreleased(const struct wr_sendq *q)
{
    return q->head && q->head->kind == WR_CHUNK_REF && !q->head->release;
}

WEIR_MUST_USE bool wr_sendq_consume_ref(struct wr_sendq *q,
                                        const struct wr_sendq_memory *memory,
                                        uint64_t bytes);

static inline void wr_sendq_consume(struct wr_sendq *q,
                                    const struct wr_sendq_memory *memory,
                                    uint64_t bytes)
{
    if (!wr_sendq_consume_all(q, memory, bytes)) {
        wr_sendq_consume_some(q, memory, bytes);
    }
}

#endif

/*
 * Objects of one size, and blocks of bytes of a few sizes, kept for reuse.
 *
 * A slab cuts chunks of memory into equal objects and keeps the ones given
 * back, last in, first out, because the last one is still in the cache. It
 * returns memory to the allocator only at its end: what a busy hour needed is
 * what the next one will need. Blocks hold bytes that were copied for sending;
 * they come in powers of two, and only a bounded number of each is kept.
 *
 * Both take memory from the loop's allocator. Blocks can be read by the kernel
 * while a send is in flight: they go through wr_guard_alloc(), which a guard
 * build puts on pages of their own (guard.h).
 */
#ifndef WEIR_URING_SLAB_H
#define WEIR_URING_SLAB_H

#include "../include/weir/base.h"

#include <stdint.h>

struct wr_slab_chunk;

struct wr_slab {
    const struct weir_allocator *allocator;
    void *free_list;
    struct wr_slab_chunk *chunks;
    uint32_t object_size; /* rounded up to 16 */
    uint32_t per_chunk;
    uint64_t used_count;
    uint64_t total_count;
};

void wr_slab_init(struct wr_slab *slab, const struct weir_allocator *allocator,
                  size_t object_size);

/* A zeroed object, or NULL when there is no memory. */
void *wr_slab_take(struct wr_slab *slab);

void wr_slab_give(struct wr_slab *slab, void *object);

/* All objects must have been given back. */
void wr_slab_fini(struct wr_slab *slab);

#define WR_BLOCK_MIN_BITS 10u /* 1 KiB */
#define WR_BLOCK_MAX_BITS 16u /* 64 KiB; larger ones are made to measure */
#define WR_BLOCK_CLASSES  (WR_BLOCK_MAX_BITS - WR_BLOCK_MIN_BITS + 1u)
/* Bytes kept of each class at most. */
#define WR_BLOCK_KEPT_BYTES (1u << 20)

struct wr_block {
    struct wr_block *next; /* for the owner while taken, free list otherwise */
    uint32_t capacity;     /* bytes in data */
    uint32_t used;         /* for the owner */
    uint8_t data[];
};

struct wr_blocks {
    const struct weir_allocator *allocator;
    struct wr_block *kept[WR_BLOCK_CLASSES];
    uint32_t kept_count[WR_BLOCK_CLASSES];
    uint64_t used_bytes; /* capacity of the blocks that are taken */
};

void wr_blocks_init(struct wr_blocks *blocks,
                    const struct weir_allocator *allocator);

/* A block with room for at least @min_capacity bytes (whole allocation a power
 * of two up to 64 KiB), used = 0, next = NULL; or NULL. */
struct wr_block *wr_block_take(struct wr_blocks *blocks, size_t min_capacity);

void wr_block_give(struct wr_blocks *blocks, struct wr_block *block);

/* All blocks must have been given back. */
void wr_blocks_fini(struct wr_blocks *blocks);

#endif

/*
 * Blocks: bytes of a few sizes, kept for reuse.
 *
 * A block holds bytes that were copied, to be sent or to be read later. Blocks
 * come in powers of two, and a bounded number of each size is kept. The kernel
 * reads them while a send is in flight: so they go through wr_guard_alloc(),
 * which a guard build puts on pages of their own (guard.h).
 */
#ifndef WEIR_URING_BLOCK_H
#define WEIR_URING_BLOCK_H

#include "../include/weir/base.h"
#include "check.h"

#include <stdint.h>

#define WR_BLOCK_MIN_BITS 8u  /* 256 bytes */
#define WR_BLOCK_MAX_BITS 16u /* 64 KiB; larger ones are made to measure */
#define WR_BLOCK_CLASSES  (WR_BLOCK_MAX_BITS - WR_BLOCK_MIN_BITS + 1u)
/* Bytes kept of each class at most. */
#define WR_BLOCK_KEPT_BYTES (1u << 20)

struct wr_block {
    struct wr_block *next; /* the owner's while taken, else the free list */
    uint32_t capacity;     /* bytes in data */
    uint32_t used;         /* the owner's */
    uint8_t data[];
};

struct wr_blocks {
    const struct weir_allocator *allocator;
    struct wr_block *kept[WR_BLOCK_CLASSES];
    uint32_t kept_count[WR_BLOCK_CLASSES];
    uint64_t used_bytes; /* capacity of the blocks that are taken */
    bool keeps_none;     /* guard build: so that a late access is found */
};

void wr_blocks_init(struct wr_blocks *blocks,
                    const struct weir_allocator *allocator);

/* The counts, and the blocks that are kept. */
void wr_blocks_check_invariants(const struct wr_blocks *blocks);

/* A block with room for at least @min_capacity bytes (up to 64 KiB the whole
 * allocation is a power of two), used = 0, next = NULL; NULL without memory. */
WEIR_MUST_USE struct wr_block *wr_block_take(struct wr_blocks *blocks,
                                             size_t min_capacity);

/* wr_block_give() beyond the small class. */
void wr_block_give_slowly(struct wr_blocks *blocks, struct wr_block *block);

/* The class that small writes use, 4 KiB with the header. */
#define WR_BLOCK_SMALL_BITS  12u
#define WR_BLOCK_SMALL_CLASS (WR_BLOCK_SMALL_BITS - WR_BLOCK_MIN_BITS)
#define WR_BLOCK_SMALL       (4096u - sizeof(struct wr_block))

/* wr_block_take() of a block of the small class, without the search for it. */
WEIR_MUST_USE static inline struct wr_block *
wr_block_take_small(struct wr_blocks *blocks)
{
    struct wr_block *block = blocks->kept[WR_BLOCK_SMALL_CLASS];
    if (WR_UNLIKELY(!block)) {
        return wr_block_take(blocks, WR_BLOCK_SMALL);
    }
    wr_debug_assert(block->capacity == WR_BLOCK_SMALL);
    wr_debug_assert(blocks->kept_count[WR_BLOCK_SMALL_CLASS] > 0);
    blocks->kept[WR_BLOCK_SMALL_CLASS] = block->next;
    blocks->kept_count[WR_BLOCK_SMALL_CLASS]--;
    blocks->used_bytes += WR_BLOCK_SMALL;
    block->next = NULL;
    block->used = 0;
    return block;
}

static inline void wr_block_give(struct wr_blocks *blocks,
                                 struct wr_block *block)
{
    const uint32_t most = WR_BLOCK_KEPT_BYTES >> WR_BLOCK_SMALL_BITS;
    uint32_t *count = &blocks->kept_count[WR_BLOCK_SMALL_CLASS];

    if (WR_UNLIKELY(blocks->keeps_none || block->capacity != WR_BLOCK_SMALL ||
                    *count >= most)) {
        wr_block_give_slowly(blocks, block);
        return;
    }
    wr_debug_assert(blocks->used_bytes >= WR_BLOCK_SMALL);
    wr_debug_assert(block != blocks->kept[WR_BLOCK_SMALL_CLASS]);
    blocks->used_bytes -= WR_BLOCK_SMALL;
    block->next = blocks->kept[WR_BLOCK_SMALL_CLASS];
    blocks->kept[WR_BLOCK_SMALL_CLASS] = block;
    (*count)++;
}

/* Gives back all blocks that are kept; returns their bytes. */
uint64_t wr_blocks_trim(struct wr_blocks *blocks);

/* All blocks must have been given back. */
void wr_blocks_fini(struct wr_blocks *blocks);

#endif

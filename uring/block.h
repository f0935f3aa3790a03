/*
 * Blocks: memory for copied bytes, in a few sizes, kept for reuse.
 *
 * Sizes are powers of two up to 16 KiB, then eight sizes for each doubling up
 * to 64 KiB, so that a TLS record wastes at most an eighth. The kernel reads
 * blocks while a send is in flight, so they come from wr_guard_alloc().
 */
#ifndef WEIR_URING_BLOCK_H
#define WEIR_URING_BLOCK_H

#include "../include/weir/base.h"
#include "check.h"

#include <stdint.h>

#define WR_BLOCK_MIN_BITS  8u
#define WR_BLOCK_MAX_BITS  16u /* 64 KiB; larger blocks have exact sizes */
#define WR_BLOCK_FINE_BITS 14u
#define WR_BLOCK_CLASSES                                                       \
    (WR_BLOCK_FINE_BITS - WR_BLOCK_MIN_BITS + 1u +                             \
     8u * (WR_BLOCK_MAX_BITS - WR_BLOCK_FINE_BITS))
/* Maximum number of bytes kept for reuse in each class. */
#define WR_BLOCK_KEPT_BYTES (1u << 20)

struct wr_block {
    struct wr_block *next;
    uint32_t capacity;
    uint32_t used;
    uint8_t data[];
};

struct wr_blocks {
    const struct weir_allocator *allocator;
    struct wr_block *kept[WR_BLOCK_CLASSES];
    uint32_t kept_count[WR_BLOCK_CLASSES];
    uint64_t used_bytes;
    bool keeps_none; /* true in a guard build, to detect late accesses */
};

void wr_blocks_init(struct wr_blocks *blocks,
                    const struct weir_allocator *allocator);

void wr_blocks_check_invariants(const struct wr_blocks *blocks);

/* Returns a block with used = 0 and next = NULL, or NULL if out of memory. */
WEIR_MUST_USE struct wr_block *wr_block_take(struct wr_blocks *blocks,
                                             size_t min_capacity);

void wr_block_give_slowly(struct wr_blocks *blocks, struct wr_block *block);

/* The class for small writes, 4 KiB with the header. */
#define WR_BLOCK_SMALL_BITS  12u
#define WR_BLOCK_SMALL_CLASS (WR_BLOCK_SMALL_BITS - WR_BLOCK_MIN_BITS)
#define WR_BLOCK_SMALL       (4096u - sizeof(struct wr_block))

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

/* Frees all kept blocks and returns their size in bytes. */
uint64_t wr_blocks_trim(struct wr_blocks *blocks);

void wr_blocks_fini(struct wr_blocks *blocks);

#endif

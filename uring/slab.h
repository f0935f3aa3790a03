/*
 * Objects of one size, and blocks of bytes of a few sizes, kept for reuse.
 *
 * A slab cuts chunks of memory into equal objects and keeps the ones given
 * back, last in, first out, because the last one is still in the cache. It
 * returns memory to the allocator when it is trimmed, chunks of which no object
 * is in use, and at its end. Blocks hold bytes that were copied for sending;
 * they come in powers of two, and only a bounded number of each is kept.
 *
 * Both take memory from the loop's allocator. Blocks can be read by the kernel
 * while a send is in flight: they go through wr_guard_alloc(), which a guard
 * build puts on pages of their own (guard.h).
 */
#ifndef WEIR_URING_SLAB_H
#define WEIR_URING_SLAB_H

#include "../include/weir/base.h"
#include "check.h"

#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define WR_HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WR_HAS_ASAN 1
#endif
#endif

/* To the sanitizer a whole chunk is one live allocation. */
#ifdef WR_HAS_ASAN
#include <sanitizer/asan_interface.h>
#define WR_POISON(ptr, size)   ASAN_POISON_MEMORY_REGION(ptr, size)
#define WR_UNPOISON(ptr, size) ASAN_UNPOISON_MEMORY_REGION(ptr, size)
#else
#define WR_POISON(ptr, size)   ((void)0)
#define WR_UNPOISON(ptr, size) ((void)0)
#endif

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

/* Takes one more chunk from the allocator; false when there is no memory. */
bool wr_slab_grow(struct wr_slab *slab);

/* An object with what was in it when it was given back but for its first word,
 * zeros if it never was; or NULL when there is no memory. */
static inline void *wr_slab_take_raw(struct wr_slab *slab)
{
    if (WR_UNLIKELY(!slab->free_list) && !wr_slab_grow(slab)) {
        return NULL;
    }
    void *object = slab->free_list;
    WR_UNPOISON(object, slab->object_size);
    slab->free_list = *(void **)object;
    slab->used_count++;
    return object;
}

/* A zeroed object, or NULL when there is no memory. */
void *wr_slab_take(struct wr_slab *slab);

static inline void wr_slab_give(struct wr_slab *slab, void *object)
{
    wr_assert(slab->used_count > 0);
    slab->used_count--;
    *(void **)object = slab->free_list;
    slab->free_list = object;
    WR_POISON(object, slab->object_size);
}

/* Gives chunks back of which no object is in use; returns their bytes. Takes
 * memory of two words a chunk meanwhile, and does nothing without it. */
uint64_t wr_slab_trim(struct wr_slab *slab);

/* All objects must have been given back. */
void wr_slab_fini(struct wr_slab *slab);

#define WR_BLOCK_MIN_BITS 8u  /* 256 bytes */
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
    bool keeps_none;     /* guard build: so that a late access is found */
};

void wr_blocks_init(struct wr_blocks *blocks,
                    const struct weir_allocator *allocator);

/* A block with room for at least @min_capacity bytes (whole allocation a power
 * of two up to 64 KiB), used = 0, next = NULL; or NULL. */
struct wr_block *wr_block_take(struct wr_blocks *blocks, size_t min_capacity);

/* wr_block_give() beyond the small class. */
void wr_block_return(struct wr_blocks *blocks, struct wr_block *block);

/* The class that small writes use, 4 KiB with the header, without the search
 * for it. As above in all else. */
#define WR_BLOCK_SMALL_BITS  12u
#define WR_BLOCK_SMALL_CLASS (WR_BLOCK_SMALL_BITS - WR_BLOCK_MIN_BITS)
#define WR_BLOCK_SMALL       (4096u - sizeof(struct wr_block))

static inline struct wr_block *wr_block_take_small(struct wr_blocks *blocks)
{
    struct wr_block *block = blocks->kept[WR_BLOCK_SMALL_CLASS];
    if (WR_UNLIKELY(!block)) {
        return wr_block_take(blocks, WR_BLOCK_SMALL);
    }
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
        wr_block_return(blocks, block);
        return;
    }
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

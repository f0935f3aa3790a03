/*
 * Slabs and blocks: the free lists behind slab.h.
 *
 * A slab's free objects are linked through their first word. Under
 * AddressSanitizer they are poisoned while they are free, because to the
 * sanitizer the whole chunk is one live allocation.
 *
 * A block's size in bytes, header included, tells its class, so that a block
 * carries no other mark: powers of two up to 64 KiB are classes, all above is
 * made to measure and never kept.
 */
#include "slab.h"

#include "check.h"
#include "guard.h"

#include <stdlib.h>
#include <string.h>

#define OBJECT_ALIGN      16u
#define CHUNK_BYTES       (16u << 10)
#define CHUNK_OBJECTS_MIN 4u

struct wr_slab_chunk {
    struct wr_slab_chunk *next;
    uint64_t pad; /* objects start at a multiple of OBJECT_ALIGN */
    uint8_t objects[];
};

_Static_assert(sizeof(struct wr_slab_chunk) % OBJECT_ALIGN == 0,
               "objects are aligned when the chunk is");
_Static_assert(WR_BLOCK_SMALL + sizeof(struct wr_block) ==
                   1u << WR_BLOCK_SMALL_BITS,
               "the small class is one of the classes");
_Static_assert(sizeof(struct wr_block) < (1u << WR_BLOCK_MIN_BITS),
               "the smallest block has room for data");

static size_t chunk_size(const struct wr_slab *slab)
{
    return sizeof(struct wr_slab_chunk) +
           (size_t)slab->per_chunk * slab->object_size;
}

bool wr_slab_grow(struct wr_slab *slab)
{
    struct wr_slab_chunk *chunk = wr_alloc(slab->allocator, chunk_size(slab));
    if (!chunk) {
        return false;
    }
    wr_assert((uintptr_t)chunk % OBJECT_ALIGN == 0);
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    slab->total_count += slab->per_chunk;
    memset(chunk->objects, 0, (size_t)slab->per_chunk * slab->object_size);
    /* From the last to the first, so that objects are taken in order. */
    for (uint32_t i = slab->per_chunk; i > 0; i--) {
        void *object = chunk->objects + (size_t)(i - 1) * slab->object_size;
        *(void **)object = slab->free_list;
        slab->free_list = object;
        WR_POISON(object, slab->object_size);
    }
    return true;
}

void wr_slab_init(struct wr_slab *slab, const struct weir_allocator *allocator,
                  size_t object_size)
{
    wr_assert(object_size > 0 && object_size <= UINT32_MAX / 2);
    size_t size = (object_size + OBJECT_ALIGN - 1) & ~(OBJECT_ALIGN - 1u);
    size_t fitting = (CHUNK_BYTES - sizeof(struct wr_slab_chunk)) / size;
    *slab = (struct wr_slab){
        .allocator = allocator,
        .object_size = (uint32_t)size,
        .per_chunk = (uint32_t)wr_max_u64(fitting, CHUNK_OBJECTS_MIN),
    };
}

void *wr_slab_take(struct wr_slab *slab)
{
    void *object = wr_slab_take_raw(slab);
    return object ? memset(object, 0, slab->object_size) : NULL;
}

/* A chunk and how many of its objects are free, while a slab is trimmed. */
struct chunk_use {
    struct wr_slab_chunk *chunk;
    uint32_t free_count;
};

static int compare_chunks(const void *a, const void *b)
{
    const uintptr_t left = (uintptr_t)((const struct chunk_use *)a)->chunk;
    const uintptr_t right = (uintptr_t)((const struct chunk_use *)b)->chunk;

    return (left > right) - (left < right);
}

/* The chunk that an object lies in: the last one that begins before it. */
static struct chunk_use *chunk_of(struct chunk_use *uses, size_t count,
                                  const void *object)
{
    size_t first = 0;

    while (count > 1) {
        const size_t half = count / 2;
        if ((uintptr_t)uses[first + half].chunk <= (uintptr_t)object) {
            first += half;
            count -= half;
        } else {
            count = half;
        }
    }
    return &uses[first];
}

static size_t list_chunks(const struct wr_slab *slab, struct chunk_use *uses)
{
    size_t count = 0;

    for (struct wr_slab_chunk *chunk = slab->chunks; chunk;
         chunk = chunk->next) {
        uses[count++] = (struct chunk_use){.chunk = chunk};
    }
    qsort(uses, count, sizeof(*uses), compare_chunks);
    return count;
}

/* The word in a free object that links it to the next one. */
static void **link_of(void *object)
{
    WR_UNPOISON(object, sizeof(void *));
    return object;
}

static void count_free(const struct wr_slab *slab, struct chunk_use *uses,
                       size_t count)
{
    for (void *object = slab->free_list; object;) {
        void *next = *link_of(object);
        WR_POISON(object, slab->object_size);
        chunk_of(uses, count, object)->free_count++;
        object = next;
    }
}

/* Takes the objects of chunks without an object in use out of the free list,
 * whose order stays. */
static void unlink_unused(struct wr_slab *slab, struct chunk_use *uses,
                          size_t count)
{
    void **end = &slab->free_list;

    for (void *object = slab->free_list; object;) {
        void **link = link_of(object);
        void *next = *link;
        if (chunk_of(uses, count, object)->free_count < slab->per_chunk) {
            *end = object;
            end = link;
        }
        object = next;
    }
    *end = NULL;
    for (void *object = slab->free_list; object;) {
        void *next = *(void **)object;
        WR_POISON(object, slab->object_size);
        object = next;
    }
}

/* Frees them; the others stay in the slab's list. */
static uint64_t free_unused(struct wr_slab *slab, const struct chunk_use *uses,
                            size_t count)
{
    uint64_t bytes = 0;

    slab->chunks = NULL;
    for (size_t i = count; i > 0; i--) {
        struct wr_slab_chunk *chunk = uses[i - 1].chunk;
        if (uses[i - 1].free_count < slab->per_chunk) {
            chunk->next = slab->chunks;
            slab->chunks = chunk;
            continue;
        }
        bytes += chunk_size(slab);
        slab->total_count -= slab->per_chunk;
        WR_UNPOISON(chunk, chunk_size(slab));
        wr_free(slab->allocator, chunk, chunk_size(slab));
    }
    return bytes;
}

uint64_t wr_slab_trim(struct wr_slab *slab)
{
    const uint64_t chunk_count =
        slab->per_chunk > 0 ? slab->total_count / slab->per_chunk : 0;
    if (slab->total_count - slab->used_count < slab->per_chunk ||
        chunk_count == 0) {
        return 0; /* there can be no chunk that nobody uses */
    }
    struct chunk_use *uses =
        wr_alloc(slab->allocator, chunk_count * sizeof(*uses));
    if (!uses) {
        return 0;
    }
    const size_t count = list_chunks(slab, uses);
    wr_assert(count == chunk_count);
    count_free(slab, uses, count);
    unlink_unused(slab, uses, count);
    const uint64_t bytes = free_unused(slab, uses, count);
    wr_assert(slab->total_count >= slab->used_count);
    wr_free(slab->allocator, uses, chunk_count * sizeof(*uses));
    return bytes;
}

void wr_slab_fini(struct wr_slab *slab)
{
    wr_assert(slab->used_count == 0);
    while (slab->chunks) {
        struct wr_slab_chunk *chunk = slab->chunks;
        slab->chunks = chunk->next;
        WR_UNPOISON(chunk, chunk_size(slab));
        wr_free(slab->allocator, chunk, chunk_size(slab));
    }
    slab->free_list = NULL;
    slab->total_count = 0;
}

/* ---- blocks ---- */

static size_t block_size(const struct wr_block *block)
{
    return sizeof(*block) + block->capacity;
}

/* The class whose blocks have at least @size bytes, header included; not less
 * than WR_BLOCK_CLASSES when there is none. */
static unsigned class_of(size_t size)
{
    unsigned bits = 64u - (unsigned)__builtin_clzll(size - 1);
    return bits <= WR_BLOCK_MIN_BITS ? 0 : bits - WR_BLOCK_MIN_BITS;
}

static struct wr_block *new_block(struct wr_blocks *blocks, size_t size)
{
    struct wr_block *block = wr_guard_alloc(blocks->allocator, size);
    if (block) {
        block->capacity = (uint32_t)(size - sizeof(*block));
    }
    return block;
}

void wr_blocks_init(struct wr_blocks *blocks,
                    const struct weir_allocator *allocator)
{
    *blocks = (struct wr_blocks){.allocator = allocator};
#ifdef WR_GUARD
    blocks->keeps_none = true;
#endif
}

struct wr_block *wr_block_take(struct wr_blocks *blocks, size_t min_capacity)
{
    if (min_capacity > UINT32_MAX) {
        return NULL;
    }
    size_t size = min_capacity + sizeof(struct wr_block);
    unsigned class = class_of(size);
    struct wr_block *block = NULL;
    if (class >= WR_BLOCK_CLASSES) {
        block = new_block(blocks, size);
    } else if (blocks->kept[class]) {
        block = blocks->kept[class];
        blocks->kept[class] = block->next;
        blocks->kept_count[class]--;
    } else {
        block = new_block(blocks, (size_t)1 << (class + WR_BLOCK_MIN_BITS));
    }
    if (!block) {
        return NULL;
    }
    wr_assert(block->capacity >= min_capacity);
    block->next = NULL;
    block->used = 0;
    blocks->used_bytes += block->capacity;
    return block;
}

void wr_block_return(struct wr_blocks *blocks, struct wr_block *block)
{
    size_t size = block_size(block);
    unsigned class = class_of(size);
    wr_assert(blocks->used_bytes >= block->capacity);
    blocks->used_bytes -= block->capacity;
    if (blocks->keeps_none || class >= WR_BLOCK_CLASSES ||
        (blocks->kept_count[class] + 1) * size > WR_BLOCK_KEPT_BYTES) {
        wr_guard_free(blocks->allocator, block, size);
        return;
    }
    block->next = blocks->kept[class];
    blocks->kept[class] = block;
    blocks->kept_count[class]++;
}

uint64_t wr_blocks_trim(struct wr_blocks *blocks)
{
    uint64_t bytes = 0;

    for (unsigned class = 0; class < WR_BLOCK_CLASSES; class ++) {
        while (blocks->kept[class]) {
            struct wr_block *block = blocks->kept[class];
            blocks->kept[class] = block->next;
            bytes += block_size(block);
            wr_guard_free(blocks->allocator, block, block_size(block));
        }
        blocks->kept_count[class] = 0;
    }
    return bytes;
}

void wr_blocks_fini(struct wr_blocks *blocks)
{
    wr_assert(blocks->used_bytes == 0);
    wr_ignore(wr_blocks_trim(blocks) > 0); /* nobody counts any more */
}

/*
 * Slabs: free lists and chunks.
 *
 * Free objects are linked through their first word. AddressSanitizer regards a
 * chunk as one live allocation, so free objects are poisoned explicitly.
 */
#include "slab.h"

#include "alloc.h"
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define OBJECT_ALIGN      16u
#define CHUNK_BYTES       (16u << 10)
#define CHUNK_OBJECTS_MIN 4u

struct wr_slab_chunk {
    struct wr_slab_chunk *next;
    uint64_t pad; /* aligns objects to OBJECT_ALIGN */
    uint8_t objects[];
};

_Static_assert(sizeof(struct wr_slab_chunk) % OBJECT_ALIGN == 0,
               "objects are aligned when the chunk is");

static size_t slab_pad_size(size_t object_size)
{
    return object_size % WR_SLAB_LINE == 0 ? WR_SLAB_LINE - OBJECT_ALIGN : 0;
}

static size_t slab_chunk_size(const struct wr_slab *slab)
{
    return sizeof(struct wr_slab_chunk) + slab_pad_size(slab->object_size) +
           (size_t)slab->per_chunk * slab->object_size;
}

static void slab_check_chunks(const struct wr_slab *slab)
{
    uint64_t total = 0;

    for (const struct wr_slab_chunk *chunk = slab->chunks; chunk;
         chunk = chunk->next) {
        wr_assert((uintptr_t)chunk % OBJECT_ALIGN == 0);
        total += slab->per_chunk;
    }
    wr_assert(total == slab->total_count);
}

void wr_slab_check_invariants(const struct wr_slab *slab)
{
    wr_assert(slab->object_size % OBJECT_ALIGN == 0);
    wr_assert(slab->used_count <= slab->total_count);
    wr_assert(!slab->free_list == (slab->used_count == slab->total_count));
    wr_debug_check(slab_check_chunks(slab));
}

bool wr_slab_grow(struct wr_slab *slab)
{
    wr_debug_check(wr_slab_check_invariants(slab));
    struct wr_slab_chunk *chunk =
        wr_alloc(slab->allocator, slab_chunk_size(slab));
    if (!chunk) {
        return false;
    }
    wr_assert((uintptr_t)chunk % OBJECT_ALIGN == 0);
    chunk->next = slab->chunks;
    slab->chunks = chunk;
    slab->total_count += slab->per_chunk;
    const size_t pad = slab_pad_size(slab->object_size);
    const size_t past = (uintptr_t)chunk->objects % WR_SLAB_LINE;

    wr_assert(past % OBJECT_ALIGN == 0);
    uint8_t *objects =
        chunk->objects + (pad > 0 && past > 0 ? WR_SLAB_LINE - past : 0);
    memset(objects, 0, (size_t)slab->per_chunk * slab->object_size);
    /* Backwards, so that objects are taken in order of address. */
    for (uint32_t i = slab->per_chunk; i > 0; i--) {
        void *object = objects + (size_t)(i - 1) * slab->object_size;
        *(void **)object = slab->free_list;
        slab->free_list = object;
        WR_POISON(object, slab->object_size);
    }
    return true;
}

void wr_slab_init(struct wr_slab *slab, const struct weir_allocator *allocator,
                  size_t object_size)
{
    wr_assert(object_size > 0);
    wr_assert(object_size <= UINT32_MAX / 2);
    size_t size = (object_size + OBJECT_ALIGN - 1) & ~(OBJECT_ALIGN - 1u);
    size_t used = sizeof(struct wr_slab_chunk) + slab_pad_size(size);
    size_t fitting = (CHUNK_BYTES - used) / size;
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

struct chunk_use {
    struct wr_slab_chunk *chunk;
    uint32_t free_count;
};

static int slab_compare_chunks(const void *a, const void *b)
{
    const uintptr_t left = (uintptr_t)((const struct chunk_use *)a)->chunk;
    const uintptr_t right = (uintptr_t)((const struct chunk_use *)b)->chunk;

    return (left > right) - (left < right);
}

static struct chunk_use *slab_chunk_of(struct chunk_use *uses, size_t count,
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
    wr_assert((uintptr_t)uses[first].chunk < (uintptr_t)object);
    return &uses[first];
}

static void **slab_link_of(void *object)
{
    WR_UNPOISON(object, sizeof(void *));
    return object;
}

static void slab_count_free(const struct wr_slab *slab, struct chunk_use *uses,
                            size_t count)
{
    uint64_t free_count = 0;

    for (void *object = slab->free_list; object;) {
        void *next = *slab_link_of(object);
        WR_POISON(object, slab->object_size);
        slab_chunk_of(uses, count, object)->free_count++;
        free_count++;
        object = next;
    }
    wr_assert(free_count == slab->total_count - slab->used_count);
}

static void slab_unlink_unused(struct wr_slab *slab, struct chunk_use *uses,
                               size_t count)
{
    void **end = &slab->free_list;

    for (void *object = slab->free_list; object;) {
        void **link = slab_link_of(object);
        void *next = *link;
        if (slab_chunk_of(uses, count, object)->free_count < slab->per_chunk) {
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

static uint64_t slab_free_unused(struct wr_slab *slab,
                                 const struct chunk_use *uses, size_t count)
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
        wr_assert(uses[i - 1].free_count == slab->per_chunk);
        bytes += slab_chunk_size(slab);
        slab->total_count -= slab->per_chunk;
        WR_UNPOISON(chunk, slab_chunk_size(slab));
        wr_free(slab->allocator, chunk, slab_chunk_size(slab));
    }
    return bytes;
}

uint64_t wr_slab_trim(struct wr_slab *slab)
{
    const uint64_t chunk_count =
        slab->per_chunk > 0 ? slab->total_count / slab->per_chunk : 0;
    if (slab->total_count - slab->used_count < slab->per_chunk ||
        chunk_count == 0) {
        return 0; /* each chunk has an object in use */
    }
    wr_slab_check_invariants(slab);
    struct chunk_use *uses =
        wr_alloc(slab->allocator, chunk_count * sizeof(*uses));
    if (!uses) {
        return 0;
    }
    size_t count = 0;

    for (struct wr_slab_chunk *chunk = slab->chunks; chunk;
         chunk = chunk->next) {
        uses[count++] = (struct chunk_use){.chunk = chunk};
    }
    qsort(uses, count, sizeof(*uses), slab_compare_chunks);
    wr_assert(count == chunk_count);
    slab_count_free(slab, uses, count);
    slab_unlink_unused(slab, uses, count);
    const uint64_t bytes = slab_free_unused(slab, uses, count);
    wr_slab_check_invariants(slab);
    wr_free(slab->allocator, uses, chunk_count * sizeof(*uses));
    return bytes;
}

void wr_slab_fini(struct wr_slab *slab)
{
    wr_assert(slab->used_count == 0);
    wr_debug_check(slab_check_chunks(slab));
    while (slab->chunks) {
        struct wr_slab_chunk *chunk = slab->chunks;
        slab->chunks = chunk->next;
        WR_UNPOISON(chunk, slab_chunk_size(slab));
        wr_free(slab->allocator, chunk, slab_chunk_size(slab));
    }
    slab->free_list = NULL;
    slab->total_count = 0;
}

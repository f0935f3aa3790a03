/*
 * Slabs: objects of one size, kept for reuse.
 *
 * A slab divides chunks of memory into equal objects and keeps returned objects
 * for reuse, last in, first out, because the last one is still in the cache. It
 * frees its chunks at its end, and unused chunks when it is trimmed.
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

/* AddressSanitizer sees a chunk as one live allocation. */
#ifdef WR_HAS_ASAN
#include <sanitizer/asan_interface.h>
#define WR_POISON(ptr, size)   ASAN_POISON_MEMORY_REGION(ptr, size)
#define WR_UNPOISON(ptr, size) ASAN_UNPOISON_MEMORY_REGION(ptr, size)
#else
#define WR_POISON(ptr, size)   ((void)0)
#define WR_UNPOISON(ptr, size) ((void)0)
#endif

/* A cache line: objects whose size is a multiple of it begin with one. */
#define WR_SLAB_LINE 64u

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

/* Checks the counts and the chunks. */
void wr_slab_check_invariants(const struct wr_slab *slab);

/* Allocates one more chunk; false: no memory. */
WEIR_MUST_USE bool wr_slab_grow(struct wr_slab *slab);

/* An object, or NULL without memory. Except for the first word its contents are
 * those at its return; a new object is zeroed. */
WEIR_MUST_USE static inline void *wr_slab_take_raw(struct wr_slab *slab)
{
    if (WR_UNLIKELY(!slab->free_list) && !wr_slab_grow(slab)) {
        return NULL;
    }
    wr_debug_assert(slab->used_count < slab->total_count);
    void *object = slab->free_list;
    WR_UNPOISON(object, slab->object_size);
    slab->free_list = *(void **)object;
    slab->used_count++;
    return object;
}

/* A zeroed object, or NULL without memory. */
WEIR_MUST_USE void *wr_slab_take(struct wr_slab *slab);

/* Ensures that @count objects can be taken; false: no memory. */
WEIR_MUST_USE static inline bool wr_slab_reserve(struct wr_slab *slab,
                                                 uint64_t count)
{
    while (WR_UNLIKELY(slab->total_count - slab->used_count < count)) {
        if (!wr_slab_grow(slab)) {
            return false;
        }
    }
    return true;
}

static inline void wr_slab_give(struct wr_slab *slab, void *object)
{
    wr_assert(slab->used_count > 0);
    wr_debug_assert(object != slab->free_list);
    slab->used_count--;
    *(void **)object = slab->free_list;
    slab->free_list = object;
    WR_POISON(object, slab->object_size);
}

/* Frees unused chunks; returns their bytes. Needs two words of memory per chunk
 * meanwhile, and does nothing without memory. */
uint64_t wr_slab_trim(struct wr_slab *slab);

/* All objects must have been given back. */
void wr_slab_fini(struct wr_slab *slab);

#endif

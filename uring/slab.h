/*
 * Slabs: objects of one size, kept for reuse.
 *
 * A slab divides chunks of memory into equal objects. It reuses the object that
 * was returned last, because that is still in the CPU's cache.
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

#ifdef WR_HAS_ASAN
#include <sanitizer/asan_interface.h>
#define WR_POISON(ptr, size)   ASAN_POISON_MEMORY_REGION(ptr, size)
#define WR_UNPOISON(ptr, size) ASAN_UNPOISON_MEMORY_REGION(ptr, size)
#else
#define WR_POISON(ptr, size)   ((void)0)
#define WR_UNPOISON(ptr, size) ((void)0)
#endif

/* A cache line. Objects are aligned to it if their size is a multiple of it. */
#define WR_SLAB_LINE 64u

struct wr_slab_chunk;

struct wr_slab {
    const struct weir_allocator *allocator;
    void *free_list;
    struct wr_slab_chunk *chunks;
    uint32_t object_size; /* a multiple of 16 */
    uint32_t per_chunk;
    uint64_t used_count;
    uint64_t total_count;
};

void wr_slab_init(struct wr_slab *slab, const struct weir_allocator *allocator,
                  size_t object_size);

void wr_slab_check_invariants(const struct wr_slab *slab);

WEIR_MUST_USE bool wr_slab_grow(struct wr_slab *slab);

/* Returns an object, or NULL if out of memory. A new object is zeroed. A reused
 * one keeps its contents, except for the first word. */
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

WEIR_MUST_USE void *wr_slab_take(struct wr_slab *slab);

/* Ensures that @count objects can be taken. Returns false if out of memory. */
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

/* Frees unused chunks and returns their size in bytes. Allocates two words per
 * chunk during the call, and does nothing if out of memory. */
uint64_t wr_slab_trim(struct wr_slab *slab);

void wr_slab_fini(struct wr_slab *slab);

#endif

/*
 * Memory from an allocator.
 *
 * All allocations of weir go through these two functions, except those of some
 * memory that belongs to no loop and comes from malloc().
 */
#ifndef WEIR_URING_ALLOC_H
#define WEIR_URING_ALLOC_H

#include "../include/weir/base.h"
#include "check.h"

const struct weir_allocator *wr_default_allocator(void);

WEIR_MUST_USE static inline void *
wr_alloc(const struct weir_allocator *allocator, size_t size)
{
    wr_debug_assert(size > 0);
    return allocator->alloc(allocator->arg, size);
}

/* @size must be the allocated size. @ptr may be NULL. */
static inline void wr_free(const struct weir_allocator *allocator, void *ptr,
                           size_t size)
{
    if (ptr) {
        wr_debug_assert(size > 0);
        allocator->free(allocator->arg, ptr, size);
    }
}

#endif

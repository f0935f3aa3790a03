/*
 * Memory from a loop's allocator.
 *
 * Every allocation of the library uses these two functions, so that a program's
 * own allocator sees all of them, and gets the size at each free.
 */
#ifndef WEIR_URING_ALLOC_H
#define WEIR_URING_ALLOC_H

#include "../include/weir/base.h"
#include "check.h"

const struct weir_allocator *wr_default_allocator(void);

/* Returns NULL if out of memory. */
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

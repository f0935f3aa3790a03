/*
 * Memory from the allocator that a loop was given.
 *
 * Every allocation of the library goes through these two functions, so that a
 * program's own allocator sees all of them, with the size when one is freed.
 */
#ifndef WEIR_URING_ALLOC_H
#define WEIR_URING_ALLOC_H

#include "../include/weir/base.h"
#include "check.h"

/* The allocator of a loop for which the program names none: malloc and free. */
const struct weir_allocator *wr_default_allocator(void);

/* NULL when there is no memory. */
WEIR_MUST_USE static inline void *
wr_alloc(const struct weir_allocator *allocator, size_t size)
{
    wr_debug_assert(size > 0);
    return allocator->alloc(allocator->arg, size);
}

/* @size as it was asked for; NULL is ignored. */
static inline void wr_free(const struct weir_allocator *allocator, void *ptr,
                           size_t size)
{
    if (ptr) {
        wr_debug_assert(size > 0);
        allocator->free(allocator->arg, ptr, size);
    }
}

#endif

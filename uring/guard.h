/*
 * Memory that the kernel reads or writes behind the program's back.
 *
 * Sanitizers cannot see the kernel write into a buffer that was freed too
 * early: the next owner of the memory silently gets a peer's bytes. In a guard
 * build (meson option `guard`) each such buffer has pages of its own, which
 * become inaccessible when it is freed and stay so for a while; a late
 * completion then ends with -EFAULT, which the operation's owner reports, and
 * a late access of the program faults. In other builds this is the allocator.
 */
#ifndef WEIR_URING_GUARD_H
#define WEIR_URING_GUARD_H

#include "../include/weir/base.h"

/* Aligned to 64 bytes; NULL when there is no memory. */
void *wr_guard_alloc(const struct weir_allocator *allocator, size_t size);

/* @size as it was asked for; NULL is ignored. */
void wr_guard_free(const struct weir_allocator *allocator, void *ptr,
                   size_t size);

/* What is in the memory is not needed any more: its whole pages go back to the
 * system until they are touched again. Returns their bytes. */
size_t wr_guard_discard(void *ptr, size_t size);

/* The allocator that is used when the caller names none: malloc and free. */
const struct weir_allocator *wr_default_allocator(void);

static inline void *wr_alloc(const struct weir_allocator *allocator,
                             size_t size)
{
    return allocator->alloc(allocator->arg, size);
}

static inline void wr_free(const struct weir_allocator *allocator, void *ptr,
                           size_t size)
{
    if (ptr) {
        allocator->free(allocator->arg, ptr, size);
    }
}

#endif

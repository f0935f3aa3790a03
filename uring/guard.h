/*
 * Memory that the kernel reads or writes asynchronously.
 *
 * Sanitizers do not see it when the kernel writes to a buffer that was freed
 * too early. In a guard build (meson option `guard`) each buffer has its own
 * pages, which become inaccessible for a while when it is freed. A late
 * operation then completes with -EFAULT, and a late access of the program
 * faults. Other builds use the allocator.
 */
#ifndef WEIR_URING_GUARD_H
#define WEIR_URING_GUARD_H

#include "alloc.h"

/* Returns memory aligned to 64 bytes, or NULL if out of memory. */
WEIR_MUST_USE void *wr_guard_alloc(const struct weir_allocator *allocator,
                                   size_t size);

void wr_guard_free(const struct weir_allocator *allocator, void *ptr,
                   size_t size);

/* Discards the whole pages within the memory. Returns their size in bytes. */
size_t wr_guard_discard(void *ptr, size_t size);

#endif

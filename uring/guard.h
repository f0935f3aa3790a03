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

#include "alloc.h"

/* Aligned to 64 bytes; NULL when there is no memory. */
WEIR_MUST_USE void *wr_guard_alloc(const struct weir_allocator *allocator,
                                   size_t size);

/* @size as it was asked for; NULL is ignored. */
void wr_guard_free(const struct weir_allocator *allocator, void *ptr,
                   size_t size);

/* Forgets the contents: the whole pages of the memory go back to the system
 * until they are touched again. Returns their bytes. */
size_t wr_guard_discard(void *ptr, size_t size);

#endif

/*
 * The descriptors that belong to the loop's transports: a bitmap.
 *
 * A transport enlarges the bitmap before it opens, so that setting its bit
 * cannot fail, and clears the bit when it gives up the descriptor. Calls on the
 * program's descriptors refuse a descriptor that is in the bitmap.
 */
#ifndef WEIR_LIB_LOOP_OWNED_H
#define WEIR_LIB_LOOP_OWNED_H

#include "uring/check.h"
#include "weir/base.h"

#include <stdbool.h>

struct wr_owned {
    uint64_t *words;
    uint32_t word_count;
};

WEIR_MUST_USE int wr_owned_grow(struct wr_owned *owned,
                                const struct weir_allocator *allocator, int fd);
void wr_owned_free(struct wr_owned *owned,
                   const struct weir_allocator *allocator);

WEIR_MUST_USE static inline int
wr_owned_make_room(struct wr_owned *owned,
                   const struct weir_allocator *allocator, int fd)
{
    wr_assert(fd >= 0);
    return WR_LIKELY((uint32_t)fd / 64 < owned->word_count)
               ? 0
               : wr_owned_grow(owned, allocator, fd);
}

static inline uint64_t wr_owned_bit(int fd)
{
    return (uint64_t)1 << ((uint32_t)fd % 64);
}

static inline void wr_owned_add(struct wr_owned *owned, int fd)
{
    wr_assert((uint32_t)fd / 64 < owned->word_count);
    owned->words[(uint32_t)fd / 64] |= wr_owned_bit(fd);
}

static inline void wr_owned_remove(struct wr_owned *owned, int fd)
{
    wr_debug_assert((uint32_t)fd / 64 < owned->word_count);
    owned->words[(uint32_t)fd / 64] &= ~wr_owned_bit(fd);
}

static inline bool wr_owned_has(const struct wr_owned *owned, int fd)
{
    wr_assert(fd >= 0);
    return (uint32_t)fd / 64 < owned->word_count &&
           (owned->words[(uint32_t)fd / 64] & wr_owned_bit(fd)) != 0;
}

#endif

/*
 * A tree in which entries are found by their hashes: at each level one bit of
 * the hash selects the side.
 *
 * Hashes are mixed, so the tree of n entries is about log n deep without being
 * balanced, and needs no memory. Entries with the same hash are on one path: a
 * lookup follows it and compares.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_HASHED_H
#define WEIR_LIB_PROXY_UPSTREAM_HASHED_H

#include "lib/proxy/libweir.h"

#include <stddef.h>

/* Embedded in its owner; the hash must be set before it is added. */
struct wr_hashed {
    uint64_t hash;
    struct wr_hashed *below[2];
};

/* A position on the path of a hash, initially {&top, hash}. */
struct wr_hashed_way {
    struct wr_hashed **place;
    uint64_t bits;
};

static inline void wr_hashed_go_on(struct wr_hashed_way *way)
{
    wr_assert(*way->place);
    way->place = &(*way->place)->below[way->bits & 1];
    way->bits >>= 1;
}

static inline void wr_hashed_add(struct wr_hashed **top, struct wr_hashed *one)
{
    struct wr_hashed_way way = {top, one->hash};

    while (*way.place) {
        wr_assert(*way.place != one);
        wr_hashed_go_on(&way);
    }
    one->below[0] = NULL;
    one->below[1] = NULL;
    *way.place = one;
}

/* Replaces the removed entry by a leaf below it. */
static inline void wr_hashed_remove(struct wr_hashed **top,
                                    struct wr_hashed *one)
{
    struct wr_hashed_way way = {top, one->hash};

    while (*way.place != one) {
        wr_hashed_go_on(&way);
    }
    struct wr_hashed **end = way.place;
    while ((*end)->below[0] || (*end)->below[1]) {
        end = &(*end)->below[!(*end)->below[0]];
    }
    struct wr_hashed *last = *end;
    *end = NULL;
    if (last != one) {
        last->below[0] = one->below[0];
        last->below[1] = one->below[1];
        *way.place = last;
    }
}

#endif

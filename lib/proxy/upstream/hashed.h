/*
 * A tree in which things are found by their hashes: on each level one bit of
 * the hash says on which side it goes on.
 *
 * Hashes are mixed, so that the tree of n things is about log n deep without
 * being balanced, and needs no memory. Things of one hash are on one way:
 * whoever looks one up goes along it, and compares.
 */
#ifndef WEIR_LIB_PROXY_UPSTREAM_HASHED_H
#define WEIR_LIB_PROXY_UPSTREAM_HASHED_H

#include "uring/check.h"

#include <stddef.h>

/* In its owner; the hash is written before it is added. */
struct wr_hashed {
    uint64_t hash;
    struct wr_hashed *below[2];
};

/* A place on the way of a hash: at first {&top, hash}. */
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

/* One with none below it takes its place. */
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

/*
 * An allocator that counts, checks and fails on request.
 *
 * It knows every block that is out, compares the size given back with the size
 * asked for, overwrites memory on both ways, and fails the n-th allocation (or
 * that one and all later ones) so that a test can walk through every place
 * where memory may run out.
 */
#ifndef WEIR_TESTS_FAKE_ALLOC_H
#define WEIR_TESTS_FAKE_ALLOC_H

#include "weir/base.h"

#include <stdint.h>

struct fake_alloc {
    struct weir_allocator hooks;
    uint64_t count;      /* allocations asked for so far */
    uint64_t fail_at;    /* this one fails, counted from 1; 0: none */
    bool fail_after;     /* and so do all later ones */
    uint64_t failed;     /* how many did fail */
    uint64_t live_count; /* blocks that are out */
    uint64_t live_bytes;
    uint64_t peak_bytes;
};

void fake_alloc_init(struct fake_alloc *alloc);

/* Fails when a block is out. */
void fake_alloc_check(const struct fake_alloc *alloc);

#endif

/*
 * An allocator for unit tests: it counts, and it fails where it is told to.
 *
 * Each allocation is numbered from 1; the one whose number is fail_at gives
 * NULL. Sizes given back are compared with the sizes asked for, and memory is
 * handed out dirty, so that code which counts on zeroes is found out.
 */
#ifndef WEIR_TESTS_UNIT_ALLOCATOR_H
#define WEIR_TESTS_UNIT_ALLOCATOR_H

#include "tests/unit.h"

#include <malloc.h>
#include <stdint.h>
#include <weir/base.h>

struct unit_allocator {
    struct weir_allocator hooks;
    uint64_t calls;
    uint64_t fail_at;
    uint64_t live_count;
    uint64_t live_bytes;
};

static inline void *unit_alloc(void *arg, size_t size)
{
    struct unit_allocator *self = arg;
    self->calls++;
    if (self->calls == self->fail_at) {
        return NULL;
    }
    void *ptr = malloc(size);
    cr_assert_not_null(ptr);
    memset(ptr, 0xa5, size);
    self->live_count++;
    self->live_bytes += size;
    return ptr;
}

static inline void unit_free(void *arg, void *ptr, size_t size)
{
    struct unit_allocator *self = arg;
    cr_assert(malloc_usable_size(ptr) >= size, "freed with another size");
    cr_assert_gt(self->live_count, 0);
    cr_assert_geq(self->live_bytes, size);
    self->live_count--;
    self->live_bytes -= size;
    free(ptr);
}

static inline void unit_allocator_init(struct unit_allocator *self)
{
    *self = (struct unit_allocator){
        .hooks = {.alloc = unit_alloc, .free = unit_free, .arg = self},
    };
}

/* All that was allocated came back, byte for byte. */
static inline void unit_allocator_check(const struct unit_allocator *self)
{
    cr_assert_eq(self->live_count, 0);
    cr_assert_eq(self->live_bytes, 0);
}

#endif

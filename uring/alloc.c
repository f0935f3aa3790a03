/*
 * The default allocator: malloc() and free().
 *
 * free() finds out by itself how large the memory is that it frees. The size
 * that callers name is for allocators that do not keep it.
 */
#include "alloc.h"

#include <stdlib.h>

static void *alloc_default_alloc(void *arg, size_t size)
{
    (void)arg;
    wr_assert(size > 0); /* base.h promises so */
    return malloc(size);
}

static void alloc_default_free(void *arg, void *ptr, size_t size)
{
    (void)arg;
    (void)size;
    free(ptr);
}

const struct weir_allocator *wr_default_allocator(void)
{
    static const struct weir_allocator allocator = {
        .alloc = alloc_default_alloc,
        .free = alloc_default_free,
    };
    return &allocator;
}

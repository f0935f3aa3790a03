/*
 * The default allocator: malloc() and free().
 *
 * It ignores the size that callers pass to free memory. An allocator of the
 * program may need it.
 */
#include "alloc.h"

#include <stdlib.h>

static void *alloc_default_alloc(void *arg, size_t size)
{
    (void)arg;
    wr_assert(size > 0);
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

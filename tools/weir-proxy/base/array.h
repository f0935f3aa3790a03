/*
 * Arrays that grow by one element at a time.
 *
 * Their memory doubles whenever their count is a power of two, so their
 * capacity is not stored. An array that was allocated otherwise must not grow.
 */
#ifndef WEIR_PROXY_ARRAY_H
#define WEIR_PROXY_ARRAY_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Appends a zeroed element of @size bytes to the array to which the pointer at
 * @array points, and counts it. Returns NULL if out of memory; the array is
 * then unchanged. The caller frees the array with free(). */
static inline void *array_add(void *array, size_t *count, size_t size)
{
    char *all;

    memcpy(&all, array, sizeof(all));
    if ((*count & (*count - 1)) == 0) {
        all = realloc(all, (*count > 0 ? 2 * *count : 1) * size);
        if (!all) {
            return NULL;
        }
        memcpy(array, &all, sizeof(all));
    }
    return memset(all + (*count)++ * size, 0, size);
}

#endif

/*
 * Arrays that grow by one element at a time, and memory that is freed as a
 * whole.
 *
 * The memory of an array doubles whenever its count is a power of two, so its
 * capacity is not stored. An array that was allocated otherwise must not grow.
 */
#ifndef WEIR_PROXY_ARENA_H
#define WEIR_PROXY_ARENA_H

#include <stddef.h>

/* A zero-initialised arena is empty. It must not be moved. */
struct arena {
    struct arena_block *first;
};

/* Appends a copy of @element, of @size bytes, to the array to which the pointer
 * at @array points, and counts it. Returns the copy, or NULL if out of memory;
 * the array is then unchanged. The array belongs to @arena or, if that is NULL,
 * to the caller, who frees it with free(). */
void *arena_add(struct arena *arena, void *array, size_t *count,
                const void *element, size_t size);

/* Returns a copy of @size bytes with a NUL behind them, or NULL if out of
 * memory. */
void *arena_copy(struct arena *arena, const void *bytes, size_t size);
char *arena_copy_text(struct arena *arena, const char *text);

void arena_free(struct arena *arena);

#endif

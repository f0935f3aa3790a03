/*
 * The first bytes of an answer, which readers of all protocols keep for the
 * message about a wrong one. They are raw: whoever prints them quotes them
 * first.
 */
#ifndef WEIR_LOAD_SHOWN_H
#define WEIR_LOAD_SHOWN_H

#include <stddef.h>
#include <string.h>

/* Appends bytes to @shown, which has @len of @size, as far as they fit. Returns
 * the new length. */
static inline size_t shown_add(void *shown, size_t size, size_t len,
                               const void *bytes, size_t count)
{
    const size_t part = count < size - len ? count : size - len;

    memcpy((char *)shown + len, bytes, part);
    return len + part;
}

#endif

/*
 * A piece of bytes that another owns, and the fields taken off its front as
 * TLS writes them (RFC 8446, 3.3 and 3.4): numbers in network order, and
 * vectors behind their length. Pure.
 *
 * Each function takes all of its field, or returns false and leaves @from
 * somewhere inside it.
 */
#ifndef WEIR_LIB_BASE_BYTES_H
#define WEIR_LIB_BASE_BYTES_H

#include "uring/check.h"
#include "weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* data NULL: there are none. */
struct wr_bytes {
    const uint8_t *data;
    size_t size;
};

/* Takes @size bytes. */
static inline bool wr_bytes_take(struct wr_bytes *from, size_t size,
                                 struct wr_bytes *ret)
{
    wr_assert(ret != from);
    if (from->size < size) {
        return false;
    }
    *ret = (struct wr_bytes){.data = from->data, .size = size};
    from->data += size;
    from->size -= size;
    return true;
}

/* Takes a number of @size bytes, at most three. */
static inline bool wr_bytes_take_number(struct wr_bytes *from, size_t size,
                                        size_t *ret)
{
    struct wr_bytes bytes;

    wr_assert(size > 0 && size <= 3);
    if (!wr_bytes_take(from, size, &bytes)) {
        return false;
    }
    *ret = 0;
    for (size_t i = 0; i < size; i++) {
        *ret = *ret << 8 | bytes.data[i];
    }
    return true;
}

/* Takes a number of two bytes. */
static inline bool wr_bytes_take_u16(struct wr_bytes *from, uint16_t *ret)
{
    size_t number;

    if (!wr_bytes_take_number(from, sizeof(*ret), &number)) {
        return false;
    }
    *ret = (uint16_t)number;
    return true;
}

/* Takes the bytes behind their length, which has @size bytes. */
static inline bool wr_bytes_take_vector(struct wr_bytes *from, size_t size,
                                        struct wr_bytes *ret)
{
    size_t len;

    return wr_bytes_take_number(from, size, &len) &&
           wr_bytes_take(from, len, ret);
}

/* True if one of the vectors of a list, each behind its length of one byte, has
 * these bytes. A malformed list ends at its first fault. */
static inline bool wr_bytes_list_has(struct wr_bytes list,
                                     struct wr_bytes wanted)
{
    struct wr_bytes one;

    wr_assert(wanted.data && wanted.size > 0);
    while (wr_bytes_take_vector(&list, 1, &one)) {
        if (one.size == wanted.size &&
            memcmp(one.data, wanted.data, one.size) == 0) {
            return true;
        }
    }
    return false;
}

#endif

/*
 * Borrowed bytes, and functions that remove fields from their front in TLS's
 * encoding (RFC 8446, 3.3 and 3.4): numbers in network order, and vectors after
 * their length. A function that returns false may leave @from inside the field.
 */
#ifndef WEIR_LIB_BASE_BYTES_H
#define WEIR_LIB_BASE_BYTES_H

#include "uring/check.h"
#include "weir/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* data may be NULL if size is 0. */
struct wr_bytes {
    const uint8_t *data;
    size_t size;
};

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

static inline bool wr_bytes_take_u16(struct wr_bytes *from, uint16_t *ret)
{
    size_t number;

    if (!wr_bytes_take_number(from, sizeof(*ret), &number)) {
        return false;
    }
    *ret = (uint16_t)number;
    return true;
}

static inline bool wr_bytes_take_vector(struct wr_bytes *from, size_t size,
                                        struct wr_bytes *ret)
{
    size_t len;

    return wr_bytes_take_number(from, size, &len) &&
           wr_bytes_take(from, len, ret);
}

/* Returns true if a list of vectors, each after a length of one byte, has a
 * vector with these bytes. A malformed list ends at its first fault. */
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

/*
 * DER with tags of one byte and with lengths of up to three bytes in their
 * shortest form. Certificates need no other forms, and no other form is read,
 * so that there is one encoding of each value.
 */
#include "der.h"

#include "uring/check.h"

#include <string.h>

enum {
    DER_LONG_TAG = 0x1f, /* marks a tag of several bytes */
};

/* Takes the length of an element; DER demands the shortest form. */
static bool der_take_length(struct wr_bytes *from, size_t *ret)
{
    size_t first;

    wr_assert(from->data != NULL);
    if (!wr_bytes_take_number(from, 1, &first)) {
        return false;
    }
    if (first < 0x80) {
        *ret = first;
        return true;
    }
    const size_t count = first & 0x7f;
    return count > 0 && count <= 3 && wr_bytes_take_number(from, count, ret) &&
           *ret >= 0x80 && *ret >> 8 * (count - 1) > 0;
}

bool wr_der_take_any(struct wr_bytes *from, uint8_t *ret_tag,
                     struct wr_bytes *ret)
{
    size_t tag;
    size_t len;

    wr_assert(from->data != NULL);
    if (!wr_bytes_take_number(from, 1, &tag) ||
        (tag & DER_LONG_TAG) == DER_LONG_TAG) {
        return false;
    }
    *ret_tag = (uint8_t)tag;
    return der_take_length(from, &len) && wr_bytes_take(from, len, ret);
}

bool wr_der_sees(const struct wr_bytes *from, uint8_t tag)
{
    wr_assert(from->data != NULL);
    return from->size > 0 && from->data[0] == tag;
}

bool wr_der_take(struct wr_bytes *from, uint8_t tag, struct wr_bytes *ret)
{
    uint8_t seen = 0;

    return wr_der_sees(from, tag) && wr_der_take_any(from, &seen, ret);
}

bool wr_der_take_whole(struct wr_bytes *from, uint8_t tag, struct wr_bytes *ret)
{
    struct wr_bytes inside;
    const uint8_t *start = from->data;

    if (!wr_der_take(from, tag, &inside)) {
        return false;
    }
    wr_assert(from->data > start);
    *ret =
        (struct wr_bytes){.data = start, .size = (size_t)(from->data - start)};
    return true;
}

bool wr_der_take_flag(struct wr_bytes *from, bool *ret)
{
    struct wr_bytes flag;

    *ret = false;
    if (!wr_der_sees(from, WR_DER_BOOLEAN)) {
        return true;
    }
    if (!wr_der_take(from, WR_DER_BOOLEAN, &flag) || flag.size != 1) {
        return false;
    }
    wr_assert(flag.data != NULL);
    *ret = flag.data[0] != 0;
    return true;
}

bool wr_der_is_of(const struct wr_bytes *oid, const uint8_t *family,
                  size_t size, uint8_t *ret_last)
{
    wr_assert(size > 0);
    if (oid->size != size + 1 || memcmp(oid->data, family, size) != 0) {
        return false;
    }
    *ret_last = oid->data[size];
    return true;
}

bool wr_der_is_equal(const struct wr_bytes *a, const struct wr_bytes *b)
{
    wr_assert((a->data && b->data) || a->size != b->size || a->size == 0);
    return a->size == b->size &&
           (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

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
static bool der_take_length(struct wr_der *from, size_t *ret)
{
    wr_assert(from->data != NULL);
    if (from->size < 1) {
        return false;
    }
    const uint8_t first = from->data[0];
    const size_t count = first & 0x80 ? first & 0x7f : 0;
    size_t len = count > 0 ? 0 : first;
    if (first == 0x80 || count > 3 || from->size < 1 + count) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        len = len << 8 | from->data[1 + i];
    }
    from->data += 1 + count;
    from->size -= 1 + count;
    *ret = len;
    return (count == 0 || len >= 0x80) && (count < 2 || len >> 8 * (count - 1));
}

bool wr_der_take_any(struct wr_der *from, uint8_t *ret_tag, struct wr_der *ret)
{
    size_t len = 0;

    wr_assert(from->data != NULL);
    if (from->size < 2 || (from->data[0] & DER_LONG_TAG) == DER_LONG_TAG) {
        return false;
    }
    *ret_tag = from->data[0];
    from->data++;
    from->size--;
    if (!der_take_length(from, &len) || len > from->size) {
        return false;
    }
    *ret = (struct wr_der){.data = from->data, .size = len};
    from->data += len;
    from->size -= len;
    return true;
}

bool wr_der_sees(const struct wr_der *from, uint8_t tag)
{
    wr_assert(from->data != NULL);
    return from->size > 0 && from->data[0] == tag;
}

bool wr_der_take(struct wr_der *from, uint8_t tag, struct wr_der *ret)
{
    uint8_t seen = 0;

    return wr_der_sees(from, tag) && wr_der_take_any(from, &seen, ret);
}

bool wr_der_take_whole(struct wr_der *from, uint8_t tag, struct wr_der *ret)
{
    struct wr_der inside;
    const uint8_t *start = from->data;

    if (!wr_der_take(from, tag, &inside)) {
        return false;
    }
    wr_assert(from->data > start);
    *ret = (struct wr_der){.data = start, .size = (size_t)(from->data - start)};
    return true;
}

bool wr_der_take_flag(struct wr_der *from, bool *ret)
{
    struct wr_der flag;

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

bool wr_der_is_of(const struct wr_der *oid, const uint8_t *family, size_t size,
                  uint8_t *ret_last)
{
    wr_assert(size > 0);
    if (oid->size != size + 1 || memcmp(oid->data, family, size) != 0) {
        return false;
    }
    *ret_last = oid->data[size];
    return true;
}

bool wr_der_is_equal(const struct wr_der *a, const struct wr_der *b)
{
    wr_assert((a->data && b->data) || a->size != b->size || a->size == 0);
    return a->size == b->size &&
           (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

/*
 * DER with one-byte tags and lengths of up to three bytes in their shortest
 * form. Certificates need nothing else, and nothing else is accepted, so that
 * each value has one encoding.
 */
#include "der.h"

#include "uring/check.h"

#include <string.h>

enum {
    DER_LONG_TAG = 0x1f,
    DER_TRUE = 0xff,
};

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
    *ret = flag.data[0] == DER_TRUE;
    return *ret || flag.data[0] == 0;
}

bool wr_der_take_integer(struct wr_bytes *from, uint8_t tag,
                         struct wr_bytes *ret)
{
    if (!wr_der_take(from, tag, ret) || ret->size == 0) {
        return false;
    }
    wr_assert(ret->data != NULL);
    const bool is_high = ret->size > 1 && (ret->data[1] & 0x80);
    return ret->size == 1 || ret->data[0] != (is_high ? 0xff : 0);
}

bool wr_der_is_oid(struct wr_bytes content)
{
    bool is_start = true;

    for (size_t i = 0; i < content.size; i++) {
        if (is_start && content.data[i] == 0x80) {
            return false; /* leading zeros */
        }
        is_start = !(content.data[i] & 0x80);
    }
    return content.size > 0 && is_start;
}

bool wr_der_take_oid(struct wr_bytes *from, struct wr_bytes *ret)
{
    return wr_der_take(from, WR_DER_OID, ret) && wr_der_is_oid(*ret);
}

bool wr_der_take_bits(struct wr_bytes *from, uint8_t tag, struct wr_bytes *ret,
                      uint8_t *ret_unused)
{
    struct wr_bytes head;

    if (!wr_der_take(from, tag, ret) || !wr_bytes_take(ret, 1, &head)) {
        return false;
    }
    *ret_unused = head.data[0];
    return *ret_unused == 0 ||
           (*ret_unused < 8 && ret->size > 0 &&
            !(ret->data[ret->size - 1] & ((1u << *ret_unused) - 1)));
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

/*
 * Parses DER, the encoding of certificates (ITU-T X.690). The functions
 * wr_der_take...() take an element off the front of @from, and return false if
 * the next element is another one. Pure functions.
 */
#ifndef WEIR_LIB_X509_DER_H
#define WEIR_LIB_X509_DER_H

#include "lib/base/bytes.h"

enum {
    WR_DER_BOOLEAN = 0x01,
    WR_DER_INTEGER = 0x02,
    WR_DER_BIT_STRING = 0x03,
    WR_DER_OCTET_STRING = 0x04,
    WR_DER_NULL = 0x05,
    WR_DER_OID = 0x06,
    WR_DER_UTC_TIME = 0x17,
    WR_DER_TIME = 0x18,
    WR_DER_SEQUENCE = 0x30,
    WR_DER_SET = 0x31,
    WR_DER_EXPLICIT = 0xa0, /* plus a number */
};

bool wr_der_sees(const struct wr_bytes *from, uint8_t tag);

/* *ret is the content of the element. */
bool wr_der_take(struct wr_bytes *from, uint8_t tag, struct wr_bytes *ret);

bool wr_der_take_any(struct wr_bytes *from, uint8_t *ret_tag,
                     struct wr_bytes *ret);

/* *ret is the element with its header. */
bool wr_der_take_whole(struct wr_bytes *from, uint8_t tag,
                       struct wr_bytes *ret);

/* Takes an optional boolean, false by default: one byte, 0xff or 0. DER omits a
 * default value, but many certificates have it. */
bool wr_der_take_flag(struct wr_bytes *from, bool *ret);

/* Refuses a number that is not in its shortest form. */
bool wr_der_take_integer(struct wr_bytes *from, uint8_t tag,
                         struct wr_bytes *ret);

bool wr_der_take_oid(struct wr_bytes *from, struct wr_bytes *ret);

bool wr_der_is_oid(struct wr_bytes content);

/* *ret is the bytes of the bit string, whose last *ret_unused bits are unused
 * and 0. */
bool wr_der_take_bits(struct wr_bytes *from, uint8_t tag, struct wr_bytes *ret,
                      uint8_t *ret_unused);

/* Returns true if the object identifier is the @size bytes of @family and one
 * more byte, which is stored in *ret_last. */
bool wr_der_is_of(const struct wr_bytes *oid, const uint8_t *family,
                  size_t size, uint8_t *ret_last);

bool wr_der_is_equal(const struct wr_bytes *a, const struct wr_bytes *b);

#define WR_DER_IS_OF(oid, family, ret_last)                                    \
    wr_der_is_of(oid, family, sizeof(family), ret_last)

#endif

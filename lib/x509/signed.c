/*
 * Parses signed data: a body, the algorithm and the signature, in this order.
 * Bytes after the signature, or unused bits in it, make the data malformed.
 *
 * The caller verifies the signature.
 */
#include "signed.h"

#include "uring/check.h"

bool wr_x509_signed_read(struct wr_x509_signed *ret, struct wr_bytes whole,
                         struct wr_bytes *ret_body)
{
    struct wr_bytes inside;

    wr_assert(whole.data != NULL);
    if (!wr_der_take(&whole, WR_DER_SEQUENCE, &inside) || whole.size > 0 ||
        !wr_der_take_whole(&inside, WR_DER_SEQUENCE, &ret->body) ||
        !wr_der_take(&inside, WR_DER_SEQUENCE, &ret->algorithm) ||
        !wr_der_take(&inside, WR_DER_BIT_STRING, &ret->bits) ||
        inside.size > 0 || ret->bits.size < 2 || ret->bits.data[0] != 0) {
        return false;
    }
    ret->hash = NULL;
    ret->bits.data++;
    ret->bits.size--;
    struct wr_bytes body = ret->body;
    return wr_der_take(&body, WR_DER_SEQUENCE, ret_body);
}

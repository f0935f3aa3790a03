/*
 * Data that an issuer has signed: a certificate or a revocation list (RFC 5280,
 * 4.1.1). The parser verifies nothing. The fields point into the parsed bytes.
 * Pure functions.
 */
#ifndef WEIR_LIB_X509_SIGNED_H
#define WEIR_LIB_X509_SIGNED_H

#include "der.h"

struct wr_x509_signed {
    struct wr_bytes body;      /* the signed bytes, with their header */
    struct wr_bytes algorithm; /* content of the AlgorithmIdentifier */
    struct wr_bytes bits;
    /* Hash of the body, borrowed, or NULL before it is computed. */
    const uint8_t *hash;
};

/* Parses a Certificate or a CertificateList. *ret_body is the content of its
 * body. Returns false if @whole is malformed. */
WEIR_MUST_USE bool wr_x509_signed_read(struct wr_x509_signed *ret,
                                       struct wr_bytes whole,
                                       struct wr_bytes *ret_body);

#endif

/*
 * Data that an issuer has signed: a certificate or a revocation list (RFC 5280,
 * 4.1.1). Pure functions.
 *
 * Body, algorithm and signature are separated; nothing is verified.
 */
#ifndef WEIR_LIB_X509_SIGNED_H
#define WEIR_LIB_X509_SIGNED_H

#include "der.h"

/* Signed data; the fields point into the parsed bytes. */
struct wr_x509_signed {
    struct wr_bytes body;      /* the signed bytes, with their header */
    struct wr_bytes algorithm; /* content of the AlgorithmIdentifier */
    struct wr_bytes bits;      /* the signature */
    /* The body's hash by the algorithm, borrowed, or NULL if not computed
     * yet. */
    const uint8_t *hash;
};

/* Parses a whole Certificate or CertificateList. *ret_body is the content of
 * its body. Returns false if it is malformed. */
WEIR_MUST_USE bool wr_x509_signed_read(struct wr_x509_signed *ret,
                                       struct wr_bytes whole,
                                       struct wr_bytes *ret_body);

#endif

/*
 * A text that an issuer has signed: a certificate, or a list of revocations
 * (RFC 5280, 4.1.1).
 *
 * Pure: a body, its signature and the algorithm are told apart, and nothing is
 * verified.
 */
#ifndef WEIR_LIB_X509_SIGNED_H
#define WEIR_LIB_X509_SIGNED_H

#include "der.h"

/* A text and its signature; the bytes are of what was read. */
struct wr_x509_signed {
    struct wr_der body;      /* that is signed, with its header */
    struct wr_der algorithm; /* the inside of the AlgorithmIdentifier */
    struct wr_der bits;      /* the signature */
    /* Of the body, by the hash of the algorithm, where it was hashed before;
     * or NULL. Borrowed. */
    const uint8_t *hash;
};

/* Reads what is signed, the whole of a Certificate or a CertificateList.
 * *ret_body: the inside of its body. False of what is none. */
WEIR_MUST_USE bool wr_x509_signed_read(struct wr_x509_signed *ret,
                                       struct wr_der whole,
                                       struct wr_der *ret_body);

#endif

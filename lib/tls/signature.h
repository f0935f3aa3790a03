/*
 * Signatures of certificates and of lists of revocations (RFC 5280, 4.1.1).
 *
 * Reading is pure; verifying is done by wolfCrypt, which keeps nothing from one
 * call to the next, so that threads may do it side by side.
 */
#ifndef WEIR_LIB_TLS_SIGNATURE_H
#define WEIR_LIB_TLS_SIGNATURE_H

#include "der.h"

/* A text and its signature; the bytes are of what was read. */
struct wr_tls_signed {
    struct wr_tls_der body;      /* that is signed, with its header */
    struct wr_tls_der algorithm; /* the inside of the AlgorithmIdentifier */
    struct wr_tls_der bits;      /* the signature */
    /* Of the body, as wr_tls_signature_hash() writes it; or NULL. Borrowed. */
    const uint8_t *hash;
};

#define WR_TLS_SIGNATURE_HASH_MAX 64u

/* Reads what is signed, the whole of a Certificate or a CertificateList.
 * *ret_body: the inside of its body. False of what is none. */
WEIR_MUST_USE bool wr_tls_signed_read(struct wr_tls_signed *ret,
                                      struct wr_tls_der whole,
                                      struct wr_tls_der *ret_body);

/* Writes the hash that is signed, with which no verification reads the body
 * again. False where the signature is not of a hash, or the algorithm is not
 * known. */
WEIR_MUST_USE bool
wr_tls_signature_hash(const struct wr_tls_signed *sign,
                      uint8_t ret[WR_TLS_SIGNATURE_HASH_MAX]);

/* Verifies that the key, a SubjectPublicKeyInfo with its header, has signed. 0,
 * -ENOMEM, -EOPNOTSUPP for an algorithm that is not strong or not known, or
 * -EBADMSG: another key has signed, or another body. */
WEIR_MUST_USE int wr_tls_signature_verify(const struct wr_tls_signed *sign,
                                          struct wr_tls_der key_info);

#endif

/*
 * The signatures of certificates and of lists of revocations, verified.
 *
 * wolfCrypt does it, which keeps nothing from one call to the next, so that
 * threads may do it side by side. What is signed is read by lib/x509/signed.h.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_SIGNATURE_H
#define WEIR_LIB_TLS_CONTEXT_SIGNATURE_H

#include "lib/x509/signed.h"

#define WR_TLS_SIGNATURE_HASH_MAX 64u

/* Writes the hash that is signed, with which no verification reads the body
 * again. False where the signature is not of a hash, or the algorithm is not
 * known. */
WEIR_MUST_USE bool
wr_tls_signature_hash(const struct wr_x509_signed *sign,
                      uint8_t ret[WR_TLS_SIGNATURE_HASH_MAX]);

/* Verifies that the key, a SubjectPublicKeyInfo with its header, has signed. 0,
 * -ENOMEM, -EOPNOTSUPP for an algorithm that is not strong or not known, or
 * -EBADMSG: another key has signed, or another body. */
WEIR_MUST_USE int wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                          struct wr_der key_info);

#endif

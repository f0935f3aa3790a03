/*
 * Verifies the signatures of certificates and revocation lists.
 *
 * A backend verifies without state between calls, so several threads may verify
 * at the same time. lib/x509/signed.h reads the signed data.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_SIGNATURE_H
#define WEIR_LIB_TLS_CONTEXT_SIGNATURE_H

#include "lib/x509/signed.h"

#define WR_TLS_SIGNATURE_HASH_MAX 64u

/* Computes the signed hash, so that verifications need not read the body again.
 * Returns false if the algorithm does not sign a hash or is not known. */
WEIR_MUST_USE bool
wr_tls_signature_hash(const struct wr_x509_signed *sign,
                      uint8_t ret[WR_TLS_SIGNATURE_HASH_MAX]);

/* Verifies a signature with a key (a SubjectPublicKeyInfo with its header).
 * Returns 0, -ENOMEM, -EOPNOTSUPP for a weak or unknown algorithm, or -EBADMSG
 * if the key or the body does not match. */
WEIR_MUST_USE int wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                          struct wr_bytes key_info);

#endif

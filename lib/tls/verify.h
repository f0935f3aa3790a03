/*
 * The demands of weir on a peer's certificates, beyond those of wolfSSL.
 *
 * wolfSSL checks signatures, dates, name constraints, path lengths and
 * revocation, and says what it found by one number. weir's own rules come on
 * top: names are compared strictly (hostname.h), keys and signatures must be
 * strong, usages must fit, unknown critical extensions are refused. A
 * certificate that wolfSSL refuses is never accepted here.
 */
#ifndef WEIR_LIB_TLS_VERIFY_H
#define WEIR_LIB_TLS_VERIFY_H

#include "verdict.h"

/* The demands of one connection on its peer. */
struct wr_tls_policy {
    bool peer_is_client;
    const char *hostname; /* name or literal address of a server; NULL: any */
};

/* Looks at one certificate of the peer's chain, @depth 0 being the leaf: called
 * from wolfSSL's verify callback for each of them, the leaf last. @error is
 * what wolfSSL found, 0 for nothing. The certificate is kept in @verdict, where
 * the precise cause is noted if it is refused. True: accepted. */
WEIR_MUST_USE bool wr_tls_verify_certificate(const struct wr_tls_policy *policy,
                                             struct wr_tls_verdict *verdict,
                                             uint32_t depth, const uint8_t *der,
                                             size_t size, int error);

/* True of a certificate that is for the host of this name. */
WEIR_MUST_USE bool wr_tls_certificate_is_for(const uint8_t *der, size_t size,
                                             const char *hostname);

#endif

/*
 * The verification of a peer's certificates: the path to an authority
 * (lib/x509/path.h), the rules of weir for each of its certificates (rules.h
 * there), and the name of the peer, which is compared strictly (hostname.h
 * there).
 */
#ifndef WEIR_LIB_TLS_CONTEXT_VERIFY_H
#define WEIR_LIB_TLS_CONTEXT_VERIFY_H

#include "verdict.h"

/* The demands of one connection on its peer. */
struct wr_tls_policy {
    struct wr_x509_rules rules;
    const char *hostname; /* name or literal address of a server; NULL: any */
    const struct wr_x509_trust *trust;
    wr_x509_link_fn *link; /* verifies signatures */
    wr_x509_link_fn
        *revoked; /* asks lists of revocations; NULL: there are none */
    void *user;   /* of both */
};

/* True if the verdict's chain is one path that keeps all demands; wolfSSL has
 * verified each certificate in it by the next one. False is inconclusive: then
 * a path is looked for. */
WEIR_MUST_USE bool wr_tls_verify_plain(const struct wr_tls_policy *policy,
                                       struct wr_tls_verdict *verdict);

/* True where certificate @index of the verdict's chain may be an issuer's. */
WEIR_MUST_USE bool wr_tls_verify_issuer(const struct wr_tls_policy *policy,
                                        const struct wr_tls_verdict *verdict,
                                        uint32_t index);

/* Looks for a path among the certificates in the verdict's chain; the leaf is
 * the first. True: there is one, and the chain is that path from now on. False:
 * the cause is noted in the verdict. */
WEIR_MUST_USE bool wr_tls_verify_search(const struct wr_tls_policy *policy,
                                        struct wr_tls_verdict *verdict);

#endif

/*
 * The verification of a peer's certificates: the path to an authority
 * (lib/x509/path.h), weir's rules for each certificate (lib/x509/rules.h), and
 * the strict comparison of the peer's name (lib/x509/hostname.h).
 */
#ifndef WEIR_LIB_TLS_CONTEXT_VERIFY_H
#define WEIR_LIB_TLS_CONTEXT_VERIFY_H

#include "verdict.h"

/* The policy of one connection for its peer. */
struct wr_tls_policy {
    struct wr_x509_rules rules;
    const char *hostname; /* name or literal address of a server; NULL: any */
    const struct wr_x509_trust *trust;
    wr_x509_link_fn *link;    /* verifies signatures */
    wr_x509_link_fn *revoked; /* asks revocation lists; NULL: none */
    void *user;               /* for both */
};

/* Searches for a path from the first certificate of the verdict's chain, the
 * leaf. True: found, and the chain is that path from now on. False: the cause
 * is noted in the verdict. */
WEIR_MUST_USE bool wr_tls_verify_search(const struct wr_tls_policy *policy,
                                        struct wr_tls_verdict *verdict);

#endif

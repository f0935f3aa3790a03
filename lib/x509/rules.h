/*
 * weir's rules for one certificate of a path, taken alone.
 *
 * Pure. Signatures, revocation, names and the length of the path are checked
 * elsewhere (path.h, certificate.h).
 */
#ifndef WEIR_LIB_X509_RULES_H
#define WEIR_LIB_X509_RULES_H

#include "certificate.h"

/* Why a certificate is refused. */
struct wr_x509_reason {
    int err;          /* a WEIR_ETLS code or -ENOMEM; 0: it is not */
    const char *text; /* follows "The peer's certificate" */
};

/* The peer's role, and the present time. */
struct wr_x509_rules {
    bool peer_is_client;
    int64_t now; /* seconds since 1970 */
};

/* True if a certificate keeps the rules: the peer's own (@is_leaf), or an
 * issuer's that is not an anchor. */
WEIR_MUST_USE bool wr_x509_rules_check(const struct wr_x509_rules *rules,
                                       const struct wr_x509 *x509, bool is_leaf,
                                       struct wr_x509_reason *ret);

/* True if an anchor has a strong key, valid dates and purposes, and nothing
 * critical that is not known. */
WEIR_MUST_USE bool wr_x509_rules_check_anchor(const struct wr_x509_rules *rules,
                                              const struct wr_x509 *x509,
                                              struct wr_x509_reason *ret);

#endif

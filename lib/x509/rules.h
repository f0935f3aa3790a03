/*
 * weir's rules for one certificate of a path, whatever stands around it.
 *
 * Pure. Signatures, revocation, names and the length of the path are looked at
 * elsewhere (path.h, certificate.h).
 */
#ifndef WEIR_LIB_X509_RULES_H
#define WEIR_LIB_X509_RULES_H

#include "certificate.h"

/* Why a certificate is refused. */
struct wr_x509_reason {
    int err;          /* a WEIR_ETLS… code */
    const char *text; /* what goes after "The peer's certificate" */
};

/* The side that shows certificates, and when it is. */
struct wr_x509_rules {
    bool peer_is_client;
    int64_t now; /* seconds since 1970 */
};

/* True of a certificate that keeps the rules, as the peer's own or as one of an
 * issuer that is not trusted by itself. */
WEIR_MUST_USE bool wr_x509_rules_check(const struct wr_x509_rules *rules,
                                       const struct wr_x509 *x509, bool is_leaf,
                                       struct wr_x509_reason *ret);

/* True of a trusted authority whose key is strong, and whose dates and purposes
 * allow it. */
WEIR_MUST_USE bool wr_x509_rules_check_anchor(const struct wr_x509_rules *rules,
                                              const struct wr_x509 *x509,
                                              struct wr_x509_reason *ret);

#endif

/*
 * weir's rules for a single certificate of a path. Signatures, revocation, name
 * constraints and the length of the path are checked by the search (path.h).
 * Pure functions.
 */
#ifndef WEIR_LIB_X509_RULES_H
#define WEIR_LIB_X509_RULES_H

#include "certificate.h"

struct wr_x509_reason {
    int err;          /* a WEIR_ETLS code, -ENOMEM, or 0 */
    const char *text; /* a predicate, such as "has expired" */
};

struct wr_x509_rules {
    bool peer_is_client;
    int64_t now; /* seconds since 1970 */
};

/* Checks the leaf (@is_leaf is true), or an issuer that is not an anchor.
 * Returns false and sets *ret if the certificate violates a rule. */
WEIR_MUST_USE bool wr_x509_rules_check(const struct wr_x509_rules *rules,
                                       const struct wr_x509 *x509, bool is_leaf,
                                       struct wr_x509_reason *ret);

/* Checks that an anchor has a strong key, valid dates and purposes, and no
 * unknown critical extension. */
WEIR_MUST_USE bool wr_x509_rules_check_anchor(const struct wr_x509_rules *rules,
                                              const struct wr_x509 *x509,
                                              struct wr_x509_reason *ret);

#endif

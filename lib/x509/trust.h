/*
 * The trusted authorities (anchors), as certificates. path.h checks the dates
 * and purposes of an anchor, and its limits for the certificates below it. Once
 * all anchors are added, any thread may read them.
 */
#ifndef WEIR_LIB_X509_TRUST_H
#define WEIR_LIB_X509_TRUST_H

#include "certificate.h"

struct wr_x509_trust {
    struct wr_x509 *anchors; /* each anchor owns its bytes */
    size_t count;
    size_t capacity;
};

/* Adds a certificate, unless the list has it already. Takes ownership of @der,
 * which must be from malloc(), even after an error. Returns 1, 0 if the
 * certificate cannot be parsed, or -ENOMEM. */
WEIR_MUST_USE int wr_x509_trust_add(struct wr_x509_trust *trust,
                                    struct wr_bytes der);

/* Returns the next anchor with this name after @after (NULL means the first
 * anchor), or NULL. */
const struct wr_x509 *wr_x509_trust_find(const struct wr_x509_trust *trust,
                                         const struct wr_bytes *name,
                                         const struct wr_x509 *after);

bool wr_x509_trust_has(const struct wr_x509_trust *trust,
                       const struct wr_x509 *x509);

void wr_x509_trust_fini(struct wr_x509_trust *trust);

#endif

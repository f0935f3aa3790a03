/*
 * The trusted authorities (anchors), as certificates. An authority's
 * certificate has not only a name and a key, but also dates, purposes and
 * limits for the certificates below it; path.h checks them. Once all are added,
 * any thread may read them.
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
 * which must be malloc()'s. Returns 1, 0 if the certificate cannot be parsed,
 * or -ENOMEM. */
WEIR_MUST_USE int wr_x509_trust_add(struct wr_x509_trust *trust,
                                    struct wr_bytes der);

/* Returns the first anchor with this name after @after, which may be NULL.
 * Returns NULL if there is none. */
const struct wr_x509 *wr_x509_trust_find(const struct wr_x509_trust *trust,
                                         const struct wr_bytes *name,
                                         const struct wr_x509 *after);

bool wr_x509_trust_has(const struct wr_x509_trust *trust,
                       const struct wr_x509 *x509);

void wr_x509_trust_fini(struct wr_x509_trust *trust);

#endif

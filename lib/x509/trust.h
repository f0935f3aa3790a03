/*
 * The authorities that are trusted, as certificates.
 *
 * An authority is more than a name and a key: its certificate says how long it
 * holds, which names and how many issuers it allows below it, and for what;
 * path.h asks for that. Once all are added, any thread may read them.
 */
#ifndef WEIR_LIB_X509_TRUST_H
#define WEIR_LIB_X509_TRUST_H

#include "certificate.h"

struct wr_x509_trust {
    struct wr_x509 *anchors; /* their bytes are theirs */
    size_t count;
    size_t capacity;
};

/* Adds a certificate, but for one that is there. @der: malloc()'s, taken. 1, 0
 * for what cannot be read, or -ENOMEM. */
WEIR_MUST_USE int wr_x509_trust_add(struct wr_x509_trust *trust,
                                    struct wr_der der);

/* The next anchor with this name, after the anchor @after, from the first one
 * on where that is NULL; NULL: no more. */
const struct wr_x509 *wr_x509_trust_find(const struct wr_x509_trust *trust,
                                         const struct wr_der *name,
                                         const struct wr_x509 *after);

/* True where this very certificate is an anchor. */
bool wr_x509_trust_has(const struct wr_x509_trust *trust,
                       const struct wr_x509 *x509);

void wr_x509_trust_fini(struct wr_x509_trust *trust);

#endif

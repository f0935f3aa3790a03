/*
 * The authorities that a context trusts, as certificates.
 *
 * wolfSSL keeps of an authority its name and its key. The certificate says
 * more: how long it holds, which names and how many issuers it allows below it,
 * and for what; path.h asks for that. Filled while the context is made, and
 * read by any thread from then on.
 */
#ifndef WEIR_LIB_TLS_TRUST_H
#define WEIR_LIB_TLS_TRUST_H

#include "certificate.h"

struct wr_tls_trust {
    struct wr_tls_x509 *anchors; /* their bytes are theirs */
    size_t count;
    size_t capacity;
};

/* Adds the certificates of a text, PEM, but for those that are there. The
 * number of those that can be read, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_trust_add(struct wr_tls_trust *trust,
                                   const uint8_t *text, size_t size);

/* The next anchor with this name, after the anchor @after, from the first one
 * on where that is NULL; NULL: no more. */
const struct wr_tls_x509 *wr_tls_trust_find(const struct wr_tls_trust *trust,
                                            const struct wr_tls_der *name,
                                            const struct wr_tls_x509 *after);

/* True where this very certificate is an anchor. */
bool wr_tls_trust_has(const struct wr_tls_trust *trust,
                      const struct wr_tls_x509 *x509);

void wr_tls_trust_fini(struct wr_tls_trust *trust);

#endif

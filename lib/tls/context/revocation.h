/*
 * The lists of revocations of a context.
 *
 * They are read while the context is made. A list of a trusted authority must
 * be signed by it then; that of another issuer is held against the certificate
 * that the peer shows, once a path has been found over it. A list is hashed
 * once, whoever may have signed it, and by whom it was is remembered. Any
 * thread may ask.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_REVOCATION_H
#define WEIR_LIB_TLS_CONTEXT_REVOCATION_H

#include "lib/x509/crl.h"
#include "lib/x509/rules.h"
#include "lib/x509/trust.h"
#include "signature.h"

#include <pthread.h>

/* Of a key, by which it is known again. */
#define WR_TLS_KEY_HASH_SIZE 32u

struct wr_tls_revocation_list {
    struct wr_x509_crl crl;
    void *memory; /* of its bytes */
    uint8_t hash[WR_TLS_SIGNATURE_HASH_MAX];
    bool has_hash; /* else its signature is of all its bytes */
    /* Of the key that has signed it; under the mutex. */
    uint8_t signer[WR_TLS_KEY_HASH_SIZE];
    bool has_signer;
};

struct wr_tls_revocation {
    pthread_mutex_t mutex;
    struct wr_tls_revocation_list *lists;
    size_t count;
    size_t capacity;
};

void wr_tls_revocation_init(struct wr_tls_revocation *revocation);
void wr_tls_revocation_fini(struct wr_tls_revocation *revocation);

/* Adds the lists of a text, PEM. One that is not valid now is left out if its
 * issuer has another one that is. 0, -ENOMEM, WEIR_ETLSFILE, WEIR_ETLSEXPIRED
 * or WEIR_ETLSNOTYET; *ret_why: a reason, or NULL. */
WEIR_MUST_USE int wr_tls_revocation_add(struct wr_tls_revocation *revocation,
                                        struct wr_der text,
                                        const struct wr_x509_trust *trust,
                                        int64_t now, const char **ret_why);

/* Whether a certificate of this issuer, whose key has signed it, was revoked:
 * err 0, WEIR_ETLSREVOKED, or WEIR_ETLSNOCRL where no list says. */
struct wr_x509_reason
wr_tls_revocation_ask(struct wr_tls_revocation *revocation,
                      const struct wr_x509 *child, const struct wr_x509 *issuer,
                      int64_t now);

#endif

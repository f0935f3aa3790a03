/*
 * The revocation lists (CRLs) of a context.
 *
 * The lists are read when the context is created. A trusted authority's list
 * must be signed by the authority then. Another issuer's list is verified with
 * the issuer's certificate from the peer, once a path contains it. A list is
 * hashed once, and the key that signed it is remembered. All functions may be
 * called on any thread.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_REVOCATION_H
#define WEIR_LIB_TLS_CONTEXT_REVOCATION_H

#include "lib/x509/crl.h"
#include "lib/x509/rules.h"
#include "lib/x509/trust.h"
#include "signature.h"

#include <pthread.h>

/* Size of the hash that identifies a key. */
#define WR_TLS_KEY_HASH_SIZE 32u

struct wr_tls_revocation_list {
    struct wr_x509_crl crl;
    void *memory;
    uint8_t hash[WR_TLS_SIGNATURE_HASH_MAX];
    bool has_hash; /* false if the signature covers all bytes */
    /* Hash of the key that signed the list; guarded by the mutex. */
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

/* Adds the lists of a PEM text. A list that is not current is an error unless
 * its issuer has a current one. Returns 0, -ENOMEM, WEIR_ETLSFILE,
 * WEIR_ETLSEXPIRED or WEIR_ETLSNOTYET, with a reason or NULL in *ret_why. */
WEIR_MUST_USE int wr_tls_revocation_add(struct wr_tls_revocation *revocation,
                                        struct wr_bytes text,
                                        const struct wr_x509_trust *trust,
                                        int64_t now, const char **ret_why);

/* Checks whether a certificate signed by @issuer was revoked. The result's err
 * is 0, WEIR_ETLSREVOKED, -ENOMEM, or WEIR_ETLSNOCRL if there is no valid
 * list. */
struct wr_x509_reason
wr_tls_revocation_ask(struct wr_tls_revocation *revocation,
                      const struct wr_x509 *child, const struct wr_x509 *issuer,
                      int64_t now);

#endif

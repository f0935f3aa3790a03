/*
 * Verifies a peer's certificates: the path to an authority (lib/x509/path.h),
 * weir's rules for each certificate (lib/x509/rules.h), and the strict
 * comparison of the peer's name (lib/x509/hostname.h).
 *
 * The context writes the cause of a refusal into the verdict, and the engine
 * makes it the sticky error. The first cause is kept, as are the peer's
 * certificates. For a server the verdict also passes facts about the client
 * between context and engine during the handshake.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_VERIFY_H
#define WEIR_LIB_TLS_CONTEXT_VERIFY_H

#include "lib/x509/crl.h"
#include "lib/x509/path.h"
#include "lib/x509/rules.h"
#include "lib/x509/signed.h"
#include "lib/x509/trust.h"
#include "ticket.h"
#include "uring/alloc.h"

#include <weir/base.h>

#include <pthread.h>

struct wr_tls_certificate {
    uint8_t *der;
    size_t size;
};

/* The one client of all tickets that were accepted in a handshake. */
struct wr_tls_returning {
    uint8_t id[WR_TLS_TICKET_CLIENT];
    struct wr_tls_certificate *chain; /* like the verdict's, or NULL */
    uint32_t chain_count;
    enum wr_x509_key_kind key_kind;
};

struct wr_tls_verdict {
    const struct weir_allocator *allocator;
    int err;
    char *text; /* details, or NULL for weir_strerror(err) */
    struct wr_tls_certificate *chain; /* leaf first, or NULL */
    uint32_t chain_count;
    char *hostname; /* name that a server's certificate must have, or NULL */
    bool peer_is_client;
    bool is_judged; /* the peer's certificates were verified */
    bool is_accepted;
    enum wr_x509_key_kind key_kind;
    bool has_none;         /* an optional client certificate was not sent */
    bool has_chosen;       /* wr_tls_context_choose() was called */
    uint8_t lacking_kinds; /* keys that the client cannot use (suites.h) */
    bool knows_asked_name;
    /* Digest of the name that a client with a TLS 1.2 ticket requests. The
     * engine reads the name before the backend reads the hello. */
    uint8_t asked_name[WR_TLS_TICKET_DIGEST];
    /* Alert for the peer. If it is 0, the backend chooses. */
    uint8_t alert;
    uint8_t tickets_judged;    /* number of tickets whose client was verified */
    weir_tls_context *context; /* context of the verification; borrowed */
    struct wr_tls_conn *conn;  /* the connection that is verified; borrowed */
    weir_tls_context *chosen;  /* the program's choice, a reference, or NULL */
    struct wr_tls_returning *returning;
};

void wr_tls_verdict_init(struct wr_tls_verdict *verdict,
                         const struct weir_allocator *allocator);
/* Keeps the reference in ->chosen, which the engine releases. */
void wr_tls_verdict_fini(struct wr_tls_verdict *verdict);

/* Sets @err (a WEIR_ETLS code or -errno) and a text, unless an error is already
 * set. */
void wr_tls_verdict_fail(struct wr_tls_verdict *verdict, int err,
                         const char *format, ...) WEIR_PRINTF(3, 4);

WEIR_MUST_USE int wr_tls_verdict_set_hostname(struct wr_tls_verdict *verdict,
                                              const char *hostname);

/* Copies a certificate to the chain at @index (0 is the leaf), and frees the
 * previous one there. Returns 0, -ENOMEM, or -E2BIG beyond
 * WR_X509_CHAIN_MAX. */
WEIR_MUST_USE int wr_tls_verdict_keep(struct wr_tls_verdict *verdict,
                                      uint32_t index, const uint8_t *der,
                                      size_t size);

/* Reduces the chain to the certificates at these indexes, in this order. */
void wr_tls_verdict_select(struct wr_tls_verdict *verdict,
                           const uint32_t *places, uint32_t count);

/* Moves the chain of a ticket's client from @again to the verdict. Returns 0 or
 * -ENOMEM. */
WEIR_MUST_USE int wr_tls_verdict_expect(struct wr_tls_verdict *verdict,
                                        const uint8_t id[WR_TLS_TICKET_CLIENT],
                                        struct wr_tls_verdict *again);

void wr_tls_verdict_forget(struct wr_tls_verdict *verdict);

/* Called when the session of a ticket was resumed. Makes the client of
 * wr_tls_verdict_expect() the peer. Returns false if there is none. */
bool wr_tls_verdict_welcome(struct wr_tls_verdict *verdict);

struct wr_tls_policy {
    struct wr_x509_rules rules;
    const char *hostname; /* name or literal address of a server, or NULL */
    const struct wr_x509_trust *trust;
    wr_x509_link_fn *link;
    wr_x509_link_fn *revoked; /* checks revocation lists, or NULL */
    void *user;               /* for both functions */
};

/* Searches for a path from the first certificate of the verdict's chain, the
 * leaf. If a path is found, returns true and replaces the chain by the path.
 * Otherwise returns false, and the verdict has the cause. */
WEIR_MUST_USE bool wr_tls_verify_search(const struct wr_tls_policy *policy,
                                        struct wr_tls_verdict *verdict);

/* ---- signatures; several threads may verify at the same time ---- */

#define WR_TLS_SIGNATURE_HASH_MAX 64u

/* Computes the signed hash, so that verifications need not read the body again.
 * Returns false if the algorithm does not sign a hash or is not known, or if
 * hashing fails. */
WEIR_MUST_USE bool
wr_tls_signature_hash(const struct wr_x509_signed *sign,
                      uint8_t ret[WR_TLS_SIGNATURE_HASH_MAX]);

/* Verifies a signature with a key (a SubjectPublicKeyInfo with its header).
 * Returns 0, -ENOMEM, -EOPNOTSUPP for a weak or unknown algorithm, or -EBADMSG
 * if the key or the body does not match. */
WEIR_MUST_USE int wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                          struct wr_bytes key_info);

/* ---- revocation lists (CRLs) of a context ----
 *
 * A trusted authority's list must be signed by the authority when the context
 * is created. Another issuer's list is verified with the issuer's certificate
 * from the peer, once a path contains it. A list is hashed once, and the key
 * that signed it is remembered. wr_tls_revocation_ask() may be called on
 * several threads at the same time. */

#define WR_TLS_KEY_HASH_SIZE 32u

struct wr_tls_revocation_list {
    struct wr_x509_crl crl;
    void *memory;
    uint8_t hash[WR_TLS_SIGNATURE_HASH_MAX];
    bool has_hash; /* false if wr_tls_signature_hash() failed */
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

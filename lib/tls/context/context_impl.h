/*
 * The context's parts, for each other: context.c makes it, context_life.c
 * counts its references, context_load.c reads texts into it, context_ticket.c
 * seals sessions, context_open.c makes the WOLFSSL of a connection.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H
#define WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H

#include "context.h"
#include "lib/x509/trust.h"
#include "revocation.h"
#include "ticket.h"
#include "verdict.h"

#include <weir/tls.h>

#include <pthread.h>
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

/* Bytes of a line on what failed; one has the names of all suites. */
#define WR_TLS_CONTEXT_TEXT_MAX 512

struct wr_tls_rsa_key;

/* A certificate that is chosen by the name that a client asks for. */
struct wr_tls_identity {
    uint8_t *chain; /* PEM */
    long chain_size;
    uint8_t *key; /* PEM */
    long key_size;
    uint8_t *leaf; /* DER; the names are read from it */
    size_t leaf_size;
    bool is_rsa; /* the kind of the key; else it is on a curve */
    struct wr_tls_rsa_key *rsa_key; /* NULL: wolfSSL signs */
};

struct weir_tls_context {
    const struct wr_secure_ops *ops; /* first: see lib/transport/secure.h */
    WOLFSSL_CTX *ctx;
    struct wr_tls_rsa_key *rsa_key; /* of @ctx; NULL: wolfSSL signs */
    /* Of the next five; the rest does not change. */
    pthread_mutex_t mutex;
    uint32_t references;
    uint32_t steps; /* of handshakes, at which threads are now */
    uint64_t turns; /* peers whose certificates were verified so far */
    /* The peer whose issuers wolfSSL added to @ctx in these steps; 0: none. */
    uint64_t adder;
    bool has_adders;            /* several */
    struct wr_x509_trust trust; /* the authorities that @ctx has */
    struct wr_tls_revocation revocation;
    const char *why; /* a text that is read cannot be used; NULL: no word */
    bool is_server;
    bool verifies; /* the peer's certificates, where it has any */
    void (*keylog)(void *user, const char *line); /* or NULL */
    void *keylog_user;
    bool refuses_unknown_names;
    char *alpn; /* NULL: none */
    /* Server: all its certificates; the first one is the one without a name. */
    struct wr_tls_identity *identities;
    size_t identity_count;
    /* Suites for a certificate whose key is of another kind than that of the
     * first one; NULL: there are none. */
    char *suites_of_others;
    weir_tls_choose_fn *choose; /* or NULL */
    void *choose_user;
    struct wr_tls_ticket_keys ticket_keys; /* under the mutex, too */
};

/* A line on a failure, for the caller of weir_tls_context_new(). */
struct wr_tls_context_text {
    char line[WR_TLS_CONTEXT_TEXT_MAX];
    const char *why; /* of the error of a text; NULL: its code says it */
};

/* The verdict of a connection, for callbacks that wolfSSL gives no argument of
 * its own: that of the I/O callbacks begins with it. */
static inline struct wr_tls_verdict *wr_tls_context_verdict_of(WOLFSSL *ssl)
{
    return wolfSSL_GetIOReadCtx(ssl);
}

/* ---- context_life.c ---- */

/* Frees a context without references, made as far as it came. */
void wr_tls_context_free(weir_tls_context *context);

/* ---- context_load.c ---- */

/* Reads certificate and key into the context: 0, -errno of a file, -ENOMEM, or
 * a WEIR_ETLS code. */
WEIR_MUST_USE int wr_tls_context_load(weir_tls_context *context,
                                      const struct weir_tls_options *options,
                                      struct wr_tls_context_text *text);

typedef int wr_tls_context_use(weir_tls_context *context, const uint8_t *data,
                               long size);

/* Says what failed, "key: server.key: the key is not ...". */
void wr_tls_context_say(struct wr_tls_context_text *text, const char *label,
                        const char *name, int err);

/* Trusts the authorities of a text; at least one must be good. */
wr_tls_context_use wr_tls_context_use_authorities;

bool wr_tls_context_has(const struct weir_tls_pem *pem);

/* Reads a text, not an empty one, and lets @use have it: what @use returns, an
 * error if it is negative, or the error of reading. */
WEIR_MUST_USE int wr_tls_context_load_one(weir_tls_context *context,
                                          const struct weir_tls_pem *pem,
                                          const char *label,
                                          wr_tls_context_use *use,
                                          struct wr_tls_context_text *text);

/* ---- context_trust.c ---- */

/* Reads what a peer is verified by into the context: authorities, and lists of
 * revocations, which they have signed. As above. */
WEIR_MUST_USE int
wr_tls_context_load_trust(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* ---- context_folder.c ---- */

/* Trusts the authorities in the files of a folder. */
WEIR_MUST_USE int wr_tls_context_load_folder(weir_tls_context *context,
                                             const char *folder,
                                             struct wr_tls_context_text *text);

/* Trusts the authorities of the system. */
WEIR_MUST_USE int wr_tls_context_load_system(weir_tls_context *context,
                                             struct wr_tls_context_text *text);

/* ---- context_alpn.c ---- */

/* The connection offers, or takes, protocols of a list: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_tls_context_use_protocols(WOLFSSL *ssl, const char *list,
                                               size_t len);

/* Server: 0 where wolfSSL can look for a protocol in the list that the client
 * sent; WEIR_ETLSPROTOCOL where a name is longer than the list. */
WEIR_MUST_USE int
wr_tls_context_check_protocols(const weir_tls_context *context, WOLFSSL *ssl);

/* ---- context_names.c ---- */

/* Reads the certificates of a server, which are chosen by name. */
WEIR_MUST_USE int
wr_tls_context_load_names(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* ---- context_ticket.c ---- */

/* 0, or -EINVAL where the options about tickets are out of range. */
WEIR_MUST_USE int
wr_tls_context_check_tickets(const struct weir_tls_options *options);

/* Sets a server up to use tickets, or to refuse them. */
WEIR_MUST_USE int
wr_tls_context_use_tickets(weir_tls_context *context,
                           const struct weir_tls_options *options);

/* ---- context_keylog.c ---- */

/* -EOPNOTSUPP where wolfSSL does not tell the secrets. */
WEIR_MUST_USE int
wr_tls_context_check_keylog(const struct weir_tls_options *options);

/* Lets the secrets of a connection be logged, where the context wants it. */
WEIR_MUST_USE int wr_tls_context_log_keys(weir_tls_context *context,
                                          WOLFSSL *ssl);

/* ---- context_rsa.c; context_no_rsa.c where wolfSSL signs ---- */

/* Gives the private key in a text that wolfSSL has accepted to libcrypto, if it
 * is one of RSA; else *ret is NULL. 0, -ENOMEM, or a WEIR_ETLS code. */
WEIR_MUST_USE int wr_tls_context_read_rsa(const uint8_t *pem, long size,
                                          struct wr_tls_rsa_key **ret);
void wr_tls_context_free_rsa(struct wr_tls_rsa_key *key);

/* Lets connections sign by their keys, once the context has read its own. */
void wr_tls_context_use_rsa(weir_tls_context *context);

/* The connection signs with @key from now on, held until it has another one;
 * NULL: it has no RSA key. */
void wr_tls_context_set_rsa(WOLFSSL *ssl, struct wr_tls_rsa_key *key);

/* ---- context_verify.c ---- */

/* wolfSSL's callback for each certificate of a peer. */
int wr_tls_context_verify(int is_good, WOLFSSL_X509_STORE_CTX *store);

#endif

/*
 * Declarations shared by the context's files: context.c makes a context, and of
 * it a connection's WOLFSSL, context_life.c counts its references,
 * context_load.c reads texts into it, ticket.c seals sessions.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H
#define WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H

#include "context.h"
#include "lib/x509/trust.h"
#include "name_index.h"
#include "offer.h"
#include "revocation.h"
#include "ticket.h"
#include "verify.h"

#include <weir/tls.h>

#include <pthread.h>
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

/* Bytes of an error line; one line has the names of all suites. */
#define WR_TLS_CONTEXT_TEXT_MAX 512

struct wr_tls_rsa_key;

/* A certificate that is chosen by the name in the ClientHello. */
struct wr_tls_identity {
    uint8_t *chain; /* PEM */
    long chain_size;
    uint8_t *key; /* PEM */
    long key_size;
    uint8_t *leaf; /* DER; the names are read from it */
    size_t leaf_size;
    bool is_rsa;     /* the key's kind; false: elliptic curve */
    bool is_default; /* the first one, or one that shares a name with it */
    uint8_t kind;    /* of the key, among those of offer.h */
    struct wr_tls_rsa_key *rsa_key; /* NULL: wolfSSL signs */
};

struct weir_tls_context {
    const struct wr_secure_ops *ops; /* first: see lib/transport/secure.h */
    WOLFSSL_CTX *ctx;
    struct wr_tls_rsa_key *rsa_key; /* the key of @ctx; NULL: wolfSSL signs */
    /* Guards the references and the ticket keys; the rest is constant. */
    pthread_mutex_t mutex;
    uint32_t references;
    int verify_mode;            /* wolfSSL's */
    struct wr_x509_trust trust; /* the authorities; @ctx has none */
    struct wr_tls_revocation revocation;
    const char *why; /* reason why the text being read is refused, or NULL */
    bool is_server;
    bool verifies; /* the peer's certificates, if it has any */
    void (*keylog)(void *user, const char *line); /* or NULL */
    void *keylog_user;
    bool refuses_unknown_names;
    char *alpn; /* NULL: none */
    /* Server: all certificates; the first is the default. */
    struct wr_tls_identity *identities;
    size_t identity_count;
    struct wr_tls_name_index index; /* of their names */
    /* Suites for certificates whose key is of the other kind than the first
     * certificate's; NULL: none. */
    char *suites_of_others;
    uint32_t old_suites;        /* of TLS 1.2 (suites.h) */
    bool has_newest;            /* TLS 1.3 */
    weir_tls_choose_fn *choose; /* or NULL */
    void *choose_user;
    struct wr_tls_ticket_keys ticket_keys; /* under the mutex */
};

/* The error line for the caller of weir_tls_context_new(). */
struct wr_tls_context_text {
    char line[WR_TLS_CONTEXT_TEXT_MAX];
    const char *why; /* reason for refusing a text; NULL: see the code */
};

/* The verdict of a connection, for wolfSSL callbacks without an argument: the
 * argument of the I/O callbacks begins with the verdict. */
static inline struct wr_tls_verdict *wr_tls_context_verdict_of(WOLFSSL *ssl)
{
    return wolfSSL_GetIOReadCtx(ssl);
}

/* ---- context_life.c ---- */

/* Frees a context without references, also a partly made one. */
void wr_tls_context_free(weir_tls_context *context);

/* ---- context_load.c ---- */

/* Reads certificate and key into the context: 0, -errno of a file, -ENOMEM, or
 * a WEIR_ETLS code. */
WEIR_MUST_USE int wr_tls_context_load(weir_tls_context *context,
                                      const struct weir_tls_options *options,
                                      struct wr_tls_context_text *text);

typedef int wr_tls_context_use(weir_tls_context *context, const uint8_t *data,
                               long size);

/* Writes the error line, "key: server.key: the key is not ...". */
void wr_tls_context_say(struct wr_tls_context_text *text, const char *label,
                        const char *name, int err);

/* Trusts the authorities of a text; at least one must be usable. */
wr_tls_context_use wr_tls_context_use_authorities;

bool wr_tls_context_has(const struct weir_tls_pem *pem);

/* Reads a text and passes it to @use. Returns the result of @use, or the error
 * of reading; an empty text is an error. */
WEIR_MUST_USE int wr_tls_context_load_one(weir_tls_context *context,
                                          const struct weir_tls_pem *pem,
                                          const char *label,
                                          wr_tls_context_use *use,
                                          struct wr_tls_context_text *text);

/* Reads authorities and revocation lists into the context. Returns as
 * wr_tls_context_load(). */
WEIR_MUST_USE int
wr_tls_context_load_trust(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* Trusts the authorities in the files of a folder. */
WEIR_MUST_USE int wr_tls_context_load_folder(weir_tls_context *context,
                                             const char *folder,
                                             struct wr_tls_context_text *text);

/* Trusts the authorities of the system. */
WEIR_MUST_USE int wr_tls_context_load_system(weir_tls_context *context,
                                             struct wr_tls_context_text *text);

/* ---- context.c ---- */

/* Sets the protocols that the connection offers or accepts: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_tls_context_use_protocols(WOLFSSL *ssl, const char *list,
                                               size_t len);

/* ---- context_names.c ---- */

/* Reads a server's certificates. */
WEIR_MUST_USE int
wr_tls_context_load_names(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* ---- ticket.c ---- */

/* Returns 0, or -EINVAL if the ticket options are out of range. */
WEIR_MUST_USE int
wr_tls_context_check_tickets(const struct weir_tls_options *options);

/* Makes a server use tickets, or refuse them. */
WEIR_MUST_USE int
wr_tls_context_use_tickets(weir_tls_context *context,
                           const struct weir_tls_options *options);

/* ---- context_keylog.c ---- */

/* -EOPNOTSUPP if a key log is wanted and wolfSSL does not report secrets. */
WEIR_MUST_USE int
wr_tls_context_check_keylog(const struct weir_tls_options *options);

/* Logs the secrets of a connection, if the context has a key log. */
WEIR_MUST_USE int wr_tls_context_log_keys(weir_tls_context *context,
                                          WOLFSSL *ssl);

/* ---- context_rsa.c; context_no_rsa.c where wolfSSL signs ---- */

/* Loads a private key, which wolfSSL has accepted, into libcrypto if it is an
 * RSA key; else *ret is NULL. 0, -ENOMEM, or a WEIR_ETLS code. */
WEIR_MUST_USE int wr_tls_context_read_rsa(const uint8_t *pem, long size,
                                          struct wr_tls_rsa_key **ret);
void wr_tls_context_free_rsa(struct wr_tls_rsa_key *key);

/* Sets the signing callbacks, once the context has read its keys. */
void wr_tls_context_use_rsa(weir_tls_context *context);

/* The connection signs with @key from now on, and holds a reference until the
 * next call; NULL: no RSA key. */
void wr_tls_context_set_rsa(WOLFSSL *ssl, struct wr_tls_rsa_key *key);

/* ---- verify.c ---- */

/* wolfSSL calls this for each certificate of a peer. */
int wr_tls_context_verify(int is_good, WOLFSSL_X509_STORE_CTX *store);

#endif

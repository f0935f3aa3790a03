/*
 * Declarations shared by the context's files: context.c creates contexts and
 * opens connections, context_life.c counts references, context_load.c reads
 * certificates and lists, context_names.c the context's own certificates,
 * ticket.c seals sessions, signer.c signs with keys that are outside.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H
#define WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H

#include "client.h"
#include "context.h"
#include "lib/x509/certificate.h"
#include "lib/x509/trust.h"
#include "name_index.h"
#include "offer.h"
#include "revocation.h"
#include "suites.h"
#include "ticket.h"
#include "verify.h"

#include <weir/tls.h>

#include <pthread.h>

/* Bytes of an error line, which may list all suites. */
#define WR_TLS_CONTEXT_TEXT_MAX 512

/* A certificate that is chosen by the name in the ClientHello. */
struct wr_tls_identity {
    struct wr_tls_credential *credential;
    struct wr_x509 leaf; /* ->der is owned by the identity */
    bool is_rsa;         /* key type; false: elliptic curve */
    bool is_default; /* the first identity, or one that shares a name with it */
    uint8_t kind;    /* of the key (WR_TLS_OFFER_...) */
    struct wr_tls_outside *outside; /* or NULL */
};

/* Signatures made by functions of the program. */
struct wr_tls_signed_stats {
    uint64_t count;
    uint64_t failed;
    uint64_t total_ns;
    uint64_t longest_ns;
};

struct weir_tls_context {
    const struct wr_secure_ops *ops; /* first: see lib/transport/secure.h */
    const struct wr_tls_backend *backend;
    struct wr_tls_shared *shared;
    /* Guards the references, the ticket keys, the clients and the signature
     * counters; the rest is constant. */
    pthread_mutex_t mutex;
    uint32_t references;
    struct wr_x509_trust trust;
    struct wr_tls_revocation revocation;
    const char *why;      /* why the text being read is refused, or NULL */
    const char *notice;   /* a warning about the text being read, or NULL */
    const char *key_hint; /* why the newest certificate's key may be refused */
    struct wr_tls_asking *asking; /* while keys are read, or NULL */
    bool is_server;
    bool verifies; /* the peer's certificates, if it has any */
    bool demands;  /* a client without a certificate is refused */
    void (*keylog)(void *user, const char *line); /* or NULL */
    void *keylog_user;
    bool refuses_unknown_names;
    bool has_signers; /* the key of a certificate may be outside */
    struct wr_tls_signed_stats signatures; /* guarded by the mutex */
    char *alpn;                            /* or NULL */
    /* The context's own certificates; a client has at most one. The first is
     * the default. */
    struct wr_tls_identity *identities;
    size_t identity_count;
    struct wr_tls_name_index index; /* of the names of ->identities */
    /* Suites for certificates whose key is RSA if the first certificate's is
     * not, and vice versa, or NULL. */
    char *suites_of_others;
    uint32_t old_suites; /* TLS 1.2 suites (suites.h) */
    bool has_newest;     /* TLS 1.3 is enabled */
    uint16_t groups[WR_TLS_GROUPS_MAX];
    size_t group_count;
    weir_tls_choose_fn *choose; /* or NULL */
    void *choose_user;
    struct wr_tls_ticket_keys ticket_keys; /* under the mutex, but lifetime */
    struct wr_tls_clients clients;         /* under the mutex */
    /* WR_TLS_KEY_RECORDS; a test may set a smaller number before the first
     * connection. */
    uint32_t key_records;
};

/* The error line for the caller of weir_tls_context_new(). */
struct wr_tls_context_text {
    char line[WR_TLS_CONTEXT_TEXT_MAX];
    const char *why; /* why a text is refused; NULL: see the error code */
    char notice[WR_TLS_CONTEXT_TEXT_MAX]; /* the first warning, or empty */
};

/* Frees a context without references, even one that is only partly
 * initialized. */
void wr_tls_context_free(weir_tls_context *context);

/* ---- context_load.c ---- */

typedef int wr_tls_context_use(weir_tls_context *context, const uint8_t *data,
                               long size);

/* Writes the error line, such as "key: server.key: the key is not ...". */
void wr_tls_context_say(struct wr_tls_context_text *text, const char *label,
                        const char *name, int err);

/* Trusts the authorities of a text, at least one of which must be usable. */
wr_tls_context_use wr_tls_context_use_authorities;

bool wr_tls_context_has(const struct weir_tls_pem *pem);

/* Reads a text and passes it to @use. Returns the result of @use, or the error
 * of reading; an empty text is an error. */
WEIR_MUST_USE int wr_tls_context_load_one(weir_tls_context *context,
                                          const struct weir_tls_pem *pem,
                                          const char *label,
                                          wr_tls_context_use *use,
                                          struct wr_tls_context_text *text);

/* Reads authorities and revocation lists into the context. Returns the same
 * errors as wr_tls_context_load_names(). */
WEIR_MUST_USE int
wr_tls_context_load_trust(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

WEIR_MUST_USE int wr_tls_context_load_folder(weir_tls_context *context,
                                             const char *folder,
                                             struct wr_tls_context_text *text);

WEIR_MUST_USE int wr_tls_context_load_system(weir_tls_context *context,
                                             struct wr_tls_context_text *text);

/* ---- context_key.c ---- */

/* Keys may be read after begin_keys(), which reads the passphrase of the
 * options, and until end_keys(), which must be called even after an error. */
WEIR_MUST_USE int
wr_tls_context_begin_keys(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);
void wr_tls_context_end_keys(weir_tls_context *context);

/* Sets the file name of the next key; NULL means memory. */
void wr_tls_context_set_key_file(weir_tls_context *context, const char *file);

/* Sets the key of a certificate from a text. */
WEIR_MUST_USE int wr_tls_context_use_key(weir_tls_context *context,
                                         struct wr_tls_credential *credential,
                                         struct wr_bytes text);

/* ---- context_names.c ---- */

/* Reads the context's own certificates and their keys. Returns 0, -errno for a
 * file, -ENOMEM or a WEIR_ETLS code. */
WEIR_MUST_USE int
wr_tls_context_load_names(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* ---- signer.c ---- */

/* Creates the signer for a key with which the function of @from signs. Returns
 * 0 or -ENOMEM. The signer must be freed after the credential, which points to
 * it. */
WEIR_MUST_USE int wr_tls_outside_new(weir_tls_context *context,
                                     const struct weir_tls_identity *from,
                                     struct wr_tls_outside **ret);

/* Sets the outside key of a certificate whose leaf was read. Returns 0,
 * -ENOMEM, -EOPNOTSUPP or WEIR_ETLSFILE. */
WEIR_MUST_USE int wr_tls_context_use_signer(weir_tls_context *context,
                                            struct wr_tls_identity *identity);

/* ---- ticket.c ---- */

/* Returns 0, or -EINVAL if the ticket options are out of range. */
WEIR_MUST_USE int
wr_tls_context_check_tickets(const struct weir_tls_options *options,
                             const char **ret_why);

/* Creates the ticket keys of a server, and enables tickets in @settings. */
WEIR_MUST_USE int
wr_tls_context_use_tickets(weir_tls_context *context,
                           const struct weir_tls_options *options,
                           struct wr_tls_settings *settings);

/* Returns true if a full handshake at @since, in seconds, may still be
 * resumed. */
bool wr_tls_context_is_lasting(const weir_tls_context *context, uint32_t since);

/* ---- verify.c ---- */

/* Verifies again the chain of a verdict that a client has shown before. */
bool wr_tls_context_judge_again(struct wr_tls_verdict *verdict);

#endif

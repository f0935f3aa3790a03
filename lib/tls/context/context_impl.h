/*
 * Declarations shared by the context's files: context.c makes a context, and by
 * it a connection, context_life.c counts its references, context_load.c reads
 * texts into it, context_names.c its certificates, ticket.c seals sessions,
 * signer.c signs by keys that are elsewhere.
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

/* Bytes of an error line; one line has the names of all suites. */
#define WR_TLS_CONTEXT_TEXT_MAX 512

/* A certificate that is chosen by the name in the ClientHello. */
struct wr_tls_identity {
    struct wr_tls_credential *credential;
    struct wr_x509 leaf; /* the identity owns its DER */
    bool is_rsa;         /* the key's kind; false: elliptic curve */
    bool is_default;     /* the first one, or one that shares a name with it */
    uint8_t kind;        /* of the key, among those of offer.h */
    struct wr_tls_outside *outside; /* the key is elsewhere; or NULL */
};

/* How often functions of the program have signed. */
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
    /* Guards the references, the ticket keys and the clients; the rest is
     * constant. */
    pthread_mutex_t mutex;
    uint32_t references;
    struct wr_x509_trust trust; /* the authorities */
    struct wr_tls_revocation revocation;
    const char *why;    /* reason why the text being read is refused, or NULL */
    const char *notice; /* what is odd about the text being read, or NULL */
    const char *key_hint; /* why the newest certificate's key may be refused */
    struct wr_tls_asking *asking; /* while keys are read, or NULL */
    bool is_server;
    bool verifies; /* the peer's certificates, if it has any */
    bool demands;  /* a client without a certificate is refused */
    void (*keylog)(void *user, const char *line); /* or NULL */
    void *keylog_user;
    bool refuses_unknown_names;
    bool has_signers; /* a certificate may be shown whose key is elsewhere */
    struct wr_tls_signed_stats signatures; /* under the mutex */
    char *alpn;                            /* NULL: none */
    /* The own certificates, of a client one at most; the first is the
     * default. */
    struct wr_tls_identity *identities;
    size_t identity_count;
    struct wr_tls_name_index index; /* of their names */
    /* Suites for certificates whose key is of the other kind than the first
     * certificate's; NULL: none. */
    char *suites_of_others;
    uint32_t old_suites; /* of TLS 1.2 (suites.h) */
    bool has_newest;     /* TLS 1.3 */
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
    const char *why; /* reason for refusing a text; NULL: see the code */
    char notice[WR_TLS_CONTEXT_TEXT_MAX]; /* the first one; else empty */
};

/* ---- context_life.c ---- */

/* Frees a context without references, also a partly made one. */
void wr_tls_context_free(weir_tls_context *context);

/* ---- context_load.c ---- */

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
 * wr_tls_context_load_names(). */
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

/* ---- context_key.c ---- */

/* Keys are read after begin_keys(), which takes the passphrase of the options,
 * and until end_keys(), which is called after an error, too. */
WEIR_MUST_USE int
wr_tls_context_begin_keys(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);
void wr_tls_context_end_keys(weir_tls_context *context);

/* Says which file the next key is in; NULL: none. */
void wr_tls_context_set_key_file(weir_tls_context *context, const char *file);

/* Gives a certificate the key in a text. */
WEIR_MUST_USE int wr_tls_context_use_key(weir_tls_context *context,
                                         struct wr_tls_credential *credential,
                                         struct wr_bytes text);

/* ---- context_names.c ---- */

/* Reads the own certificates and their keys: 0, -errno of a file, -ENOMEM, or a
 * WEIR_ETLS code. */
WEIR_MUST_USE int
wr_tls_context_load_names(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* ---- signer.c ---- */

/* A key that the function of @from signs by: 0 or -ENOMEM. It is freed behind
 * the credential, which has it. */
WEIR_MUST_USE int wr_tls_outside_new(weir_tls_context *context,
                                     const struct weir_tls_identity *from,
                                     struct wr_tls_outside **ret);

/* Gives a certificate, whose leaf was read, its key, which is elsewhere: 0,
 * -ENOMEM, -EOPNOTSUPP, WEIR_ETLSFILE. */
WEIR_MUST_USE int wr_tls_context_use_signer(weir_tls_context *context,
                                            struct wr_tls_identity *identity);

/* ---- ticket.c ---- */

/* Returns 0, or -EINVAL if the ticket options are out of range. */
WEIR_MUST_USE int
wr_tls_context_check_tickets(const struct weir_tls_options *options,
                             const char **ret_why);

/* Makes the keys of a server that issues tickets, and says so in @settings. */
WEIR_MUST_USE int
wr_tls_context_use_tickets(weir_tls_context *context,
                           const struct weir_tls_options *options,
                           struct wr_tls_settings *settings);

/* True if a full handshake at @since, in seconds, may still be resumed. */
bool wr_tls_context_is_lasting(const weir_tls_context *context, uint32_t since);

/* ---- verify.c ---- */

/* Judges the chain of a verdict that a client has shown before. */
bool wr_tls_context_judge_again(struct wr_tls_verdict *verdict);

#endif

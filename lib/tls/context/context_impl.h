/*
 * Declarations shared by the context's files: context.c creates contexts, opens
 * connections and counts references, context_load.c reads texts, keys and
 * lists, context_names.c has the context's own certificates, verify.c verifies
 * those of peers, ticket.c seals sessions, signature.c verifies signatures and
 * signs with keys outside weir.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H
#define WEIR_LIB_TLS_CONTEXT_CONTEXT_IMPL_H

#include "context.h"
#include "lib/x509/certificate.h"
#include "lib/x509/trust.h"
#include "suites.h"
#include "ticket.h"
#include "verify.h"

#include <weir/tls.h>

#include <pthread.h>

/* Bytes of an error line, which may list all suites. */
#define WR_TLS_CONTEXT_TEXT_MAX 512

/* An index of certificates by name.
 *
 * Each DNS name and address of a certificate is an entry with its hash; a
 * wildcard is hashed without its '*'. A host has at most three hashes: its
 * name, the wildcard that covers it, and the address if the host is a literal
 * one. A result may have another name with the same hash, so the caller must
 * compare the names. */
struct wr_tls_name_entry {
    uint64_t hash;
    size_t number; /* of the certificate */
};

struct wr_tls_name_index {
    struct wr_tls_name_entry *entries;
    size_t count;
    size_t capacity;
};

struct wr_tls_name_keys {
    uint64_t hashes[3];
    size_t count;
};

/* A certificate of the context. A server chooses among its certificates by the
 * name in the ClientHello. */
struct wr_tls_identity {
    struct wr_tls_credential *credential;
    struct wr_x509 leaf; /* ->der is owned by the identity */
    bool is_rsa;
    bool is_default; /* the first identity, or one that shares a name with it */
    uint8_t kind;    /* kind of the key (WR_TLS_OFFER_...) */
    struct wr_tls_outside *outside; /* may be NULL */
};

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
     * counters. ->revocation has its own mutex; the rest is constant. */
    pthread_mutex_t mutex;
    uint32_t references;
    struct wr_x509_trust trust;
    struct wr_tls_revocation revocation;
    const char *why;      /* why the text being read is refused, or NULL */
    const char *notice;   /* a warning about the text being read, or NULL */
    const char *key_hint; /* why the newest certificate's key may be refused */
    struct wr_tls_asking *asking; /* while keys are read, or NULL */
    bool is_server;
    /* Verifies the peer's certificates, if the peer has sent any. */
    bool verifies;
    bool demands; /* a client without a certificate is refused */
    void (*keylog)(void *user, const char *line); /* may be NULL */
    void *keylog_user;
    bool refuses_unknown_names;
    bool has_signers; /* the key of a certificate may be outside */
    struct wr_tls_signed_stats signatures; /* guarded by the mutex */
    char *alpn;                            /* may be NULL */
    /* The context's own certificates; a client has at most one. The first is
     * the default. */
    struct wr_tls_identity *identities;
    size_t identity_count;
    struct wr_tls_name_index index; /* index of the names of ->identities */
    /* Suites for certificates whose key is of the other kind than the first
     * certificate's: RSA or elliptic curve. NULL if the context has no such
     * suites. */
    char *suites_of_others;
    uint32_t old_suites; /* TLS 1.2 suites (suites.h) */
    bool has_newest;     /* TLS 1.3 is enabled */
    uint16_t groups[WR_TLS_GROUPS_MAX];
    size_t group_count;
    weir_tls_choose_fn *choose; /* may be NULL */
    void *choose_user;
    /* Guarded by the mutex, except ->lifetime. */
    struct wr_tls_ticket_keys ticket_keys;
    struct wr_tls_clients clients; /* guarded by the mutex */
    /* WR_TLS_KEY_RECORDS; a test may set a smaller number before the first
     * connection. */
    uint32_t key_records;
};

/* The error or the warning for the caller of weir_tls_context_new(). */
struct wr_tls_context_text {
    char line[WR_TLS_CONTEXT_TEXT_MAX];
    const char *why;                      /* why a text is refused, or NULL */
    char notice[WR_TLS_CONTEXT_TEXT_MAX]; /* the first warning, or empty */
};

/* ---- context_load.c ---- */

typedef int wr_tls_context_use(weir_tls_context *context, const uint8_t *data,
                               long size);

/* Writes the error line, such as "key: server.key: the key is not ...". */
void wr_tls_context_say(struct wr_tls_context_text *text, const char *label,
                        const char *name, int err);

/* Adds the authorities of a text to the trusted ones. At least one must be
 * valid now. */
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

/* Keys may be read after wr_tls_context_begin_keys(), which reads the
 * passphrase of the options, and until wr_tls_context_end_keys(), which must be
 * called even after an error. */
WEIR_MUST_USE int
wr_tls_context_begin_keys(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);
void wr_tls_context_end_keys(weir_tls_context *context);

/* Sets the file name of the next key; NULL means memory. */
void wr_tls_context_set_key_file(weir_tls_context *context, const char *file);

WEIR_MUST_USE int wr_tls_context_use_key(weir_tls_context *context,
                                         struct wr_tls_credential *credential,
                                         struct wr_bytes text);

/* ---- context_names.c ---- */

/* Adds the names of a certificate and, if it is a default, an entry for clients
 * without a name. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_tls_name_index_add(struct wr_tls_name_index *index,
                                        const struct wr_x509 *x509,
                                        size_t number, bool is_default);
/* Must be called once after the last wr_tls_name_index_add(). */
void wr_tls_name_index_sort(struct wr_tls_name_index *index);
void wr_tls_name_index_fini(struct wr_tls_name_index *index);

void wr_tls_name_keys_of(struct wr_tls_name_keys *ret, const char *host);

/* Returns the first certificate, starting at @number, that has one of the keys,
 * or SIZE_MAX. */
size_t wr_tls_name_index_next(const struct wr_tls_name_index *index,
                              const struct wr_tls_name_keys *keys,
                              size_t number);

/* Reads the context's own certificates and their keys. Returns 0, -errno for a
 * file, -ENOMEM or a WEIR_ETLS code. */
WEIR_MUST_USE int
wr_tls_context_load_names(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* Makes the connection of @verdict present the certificate that @from has for
 * @host. The connection already presents the first certificate of @context.
 * Returns 0, -ENOMEM, WEIR_ETLSNONAME or WEIR_ETLSCIPHER. */
WEIR_MUST_USE int wr_tls_context_show(const weir_tls_context *context,
                                      const weir_tls_context *from,
                                      const char *host,
                                      const struct wr_tls_verdict *verdict);

/* ---- signature.c ---- */

/* Creates the signer that calls the function of @from. Returns 0 or -ENOMEM.
 * The signer must be freed after the credential, which points to it. */
WEIR_MUST_USE int wr_tls_outside_new(weir_tls_context *context,
                                     const struct weir_tls_identity *from,
                                     struct wr_tls_outside **ret);

/* Lets the program's signer (struct wr_tls_outside) sign for a certificate
 * whose leaf was read. Returns 0, -ENOMEM, -EOPNOTSUPP or WEIR_ETLSFILE. */
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

/* Verifies again a chain, in @verdict, that a client presented in an earlier
 * handshake. */
bool wr_tls_context_judge_again(struct wr_tls_verdict *verdict);

#endif

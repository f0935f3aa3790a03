/*
 * Declarations shared by the context's files.
 *
 * Each section has the name of its file. context.c itself creates contexts,
 * opens connections and counts references.
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

/* Size of an error line, which may list all suites. */
#define WR_TLS_CONTEXT_TEXT_MAX 512

/* An index of certificates by name. Each DNS name and address of a certificate
 * is an entry with its hash; a wildcard is hashed without its '*'. A host has
 * up to three hashes: its name, the wildcard that covers it, and its address if
 * the host is a literal address. A found certificate may have another name with
 * the same hash, so the caller must compare the names. */
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

struct wr_tls_identity {
    struct wr_tls_credential *credential;
    struct wr_x509 leaf; /* the identity owns ->der */
    bool is_rsa;
    bool is_default; /* the first identity, or one that shares a name with it */
    uint8_t kind;
    struct wr_tls_outside *outside;
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
    /* Guards ->references, ->ticket_keys, ->clients and ->signatures.
     * ->revocation has its own mutex. All else is constant. */
    pthread_mutex_t mutex;
    uint32_t references;
    struct wr_x509_trust trust;
    struct wr_tls_revocation revocation;
    const char *why;      /* why the current text is refused, or NULL */
    const char *notice;   /* a warning about the current text, or NULL */
    const char *key_hint; /* why the newest certificate's key may be refused */
    struct wr_tls_asking *asking; /* set while keys are read */
    bool is_server;
    bool verifies;
    bool demands; /* a client without a certificate is refused */
    void (*keylog)(void *user, const char *line);
    void *keylog_user;
    bool refuses_unknown_names;
    bool has_signers; /* the key of a certificate may be outside */
    struct wr_tls_signed_stats signatures;
    char *alpn;
    /* The context's own certificates, the default first. A client has one or
     * none. */
    struct wr_tls_identity *identities;
    size_t identity_count;
    struct wr_tls_name_index index;
    /* Suites for certificates whose key is RSA if the first certificate's is
     * not, or vice versa. NULL if the context has no such suites. */
    char *suites_of_others;
    uint32_t old_suites; /* TLS 1.2 suites (suites.h) */
    bool has_newest;     /* TLS 1.3 is enabled */
    uint16_t groups[WR_TLS_GROUPS_MAX];
    size_t group_count;
    weir_tls_choose_fn *choose;
    void *choose_user;
    /* ->lifetime never changes and may be read without the mutex. */
    struct wr_tls_ticket_keys ticket_keys;
    struct wr_tls_clients clients;
    /* WR_TLS_KEY_RECORDS; a test may set a smaller number before the first
     * connection. */
    uint32_t key_records;
};

struct wr_tls_context_text {
    char line[WR_TLS_CONTEXT_TEXT_MAX];
    const char *why;
    char notice[WR_TLS_CONTEXT_TEXT_MAX]; /* the first warning, or empty */
};

/* ---- context_load.c ---- */

typedef int wr_tls_context_use(weir_tls_context *context, const uint8_t *data,
                               long size);

void wr_tls_context_say(struct wr_tls_context_text *text, const char *label,
                        const char *name, int err);

/* Adds trusted authorities. At least one authority in the text must be valid
 * now. */
wr_tls_context_use wr_tls_context_use_authorities;

bool wr_tls_context_has(const struct weir_tls_pem *pem);

/* Reads a text and passes it to @use. Returns the result of @use, or an error
 * if the text cannot be read or is empty. */
WEIR_MUST_USE int wr_tls_context_load_one(weir_tls_context *context,
                                          const struct weir_tls_pem *pem,
                                          const char *label,
                                          wr_tls_context_use *use,
                                          struct wr_tls_context_text *text);

/* Returns the same errors as wr_tls_context_load_names(). */
WEIR_MUST_USE int
wr_tls_context_load_trust(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

WEIR_MUST_USE int wr_tls_context_load_folder(weir_tls_context *context,
                                             const char *folder,
                                             struct wr_tls_context_text *text);

WEIR_MUST_USE int wr_tls_context_load_system(weir_tls_context *context,
                                             struct wr_tls_context_text *text);

/* Keys may be read only between these two functions.
 * wr_tls_context_begin_keys() reads the passphrase of the options.
 * wr_tls_context_end_keys() must be called even after an error. */
WEIR_MUST_USE int
wr_tls_context_begin_keys(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);
void wr_tls_context_end_keys(weir_tls_context *context);

/* Sets the file name of the next key, or NULL for a key in memory. */
void wr_tls_context_set_key_file(weir_tls_context *context, const char *file);

WEIR_MUST_USE int wr_tls_context_use_key(weir_tls_context *context,
                                         struct wr_tls_credential *credential,
                                         struct wr_bytes text);

/* ---- context_names.c ---- */

/* Adds the names of a certificate and, if it is a default, an entry for clients
 * that request no name. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_tls_name_index_add(struct wr_tls_name_index *index,
                                        const struct wr_x509 *x509,
                                        size_t number, bool is_default);
/* Must be called once after the last wr_tls_name_index_add(). */
void wr_tls_name_index_sort(struct wr_tls_name_index *index);
void wr_tls_name_index_fini(struct wr_tls_name_index *index);

void wr_tls_name_keys_of(struct wr_tls_name_keys *ret, const char *host);

/* Returns the number of the first certificate, from @number on, that has one of
 * the keys, or SIZE_MAX. */
size_t wr_tls_name_index_next(const struct wr_tls_name_index *index,
                              const struct wr_tls_name_keys *keys,
                              size_t number);

/* Reads the context's own certificates and their keys. Returns 0, -errno for a
 * file, -ENOMEM or a WEIR_ETLS code. */
WEIR_MUST_USE int
wr_tls_context_load_names(weir_tls_context *context,
                          const struct weir_tls_options *options,
                          struct wr_tls_context_text *text);

/* Makes the connection of @verdict, which presents the first certificate of
 * @context, present the certificate that @from has for @host. Returns 0,
 * -ENOMEM, WEIR_ETLSNONAME or WEIR_ETLSCIPHER. */
WEIR_MUST_USE int wr_tls_context_show(const weir_tls_context *context,
                                      const weir_tls_context *from,
                                      const char *host,
                                      const struct wr_tls_verdict *verdict);

/* ---- signature.c ---- */

/* Creates the signer that calls the function of @from. Returns 0 or -ENOMEM.
 * Free the signer after the credential, which points to it. */
WEIR_MUST_USE int wr_tls_outside_new(weir_tls_context *context,
                                     const struct weir_tls_identity *from,
                                     struct wr_tls_outside **ret);

/* Lets the program's signer sign for a certificate. Must be called after its
 * leaf was read. Returns 0, -ENOMEM, -EOPNOTSUPP or WEIR_ETLSFILE. */
WEIR_MUST_USE int wr_tls_context_use_signer(weir_tls_context *context,
                                            struct wr_tls_identity *identity);

/* ---- ticket.c ---- */

/* Returns 0, or -EINVAL and a reason. */
WEIR_MUST_USE int
wr_tls_context_check_tickets(const struct weir_tls_options *options,
                             const char **ret_why);

/* Creates the ticket keys of a server, and enables tickets in @settings. */
WEIR_MUST_USE int
wr_tls_context_use_tickets(weir_tls_context *context,
                           const struct weir_tls_options *options,
                           struct wr_tls_settings *settings);

/* Returns true if the session of a full handshake at @since, in seconds, may
 * still be resumed. */
bool wr_tls_context_is_lasting(const weir_tls_context *context, uint32_t since);

/* ---- verify.c ---- */

/* Verifies the chain in @verdict, which a client presented in an earlier
 * handshake. */
bool wr_tls_context_judge_again(struct wr_tls_verdict *verdict);

#endif

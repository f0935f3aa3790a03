/*
 * Declarations shared by the files of OpenSSL's backend: start.c starts the
 * library, shared.c makes the common part of connections, credential.c own
 * certificates, ssl.c has a connection's life and steps, bio.c its bytes,
 * chain.c hands the peer's certificates up, ticket.c seals sessions, secret.c
 * reads the key log, facts.c has the getters, signature.c and aead.c the
 * primitives, signer.c keys that are elsewhere, error.c OpenSSL's errors.
 * table.c is the table.
 */
#ifndef WEIR_LIB_TLS_OPENSSL_OPENSSL_H
#define WEIR_LIB_TLS_OPENSSL_OPENSSL_H

#include "lib/tls/backend/backend.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

/* Of the group of two kinds of keys, as IANA and OpenSSL call it. */
#define WR_OPENSSL_HYBRID "X25519MLKEM768"
enum { WR_OPENSSL_HYBRID_GROUP = 4588 };

struct wr_tls_credential {
    X509 *leaf; /* NULL: none yet */
    STACK_OF(X509) * issuers;
    EVP_PKEY *key;   /* NULL: none yet */
    bool has_signer; /* the key is elsewhere */
};

struct wr_tls_shared {
    SSL_CTX *ctx;
};

/* The parts of a connection that libssl has no place for. */
struct wr_openssl_own {
    SSL_SESSION *session; /* client: the newest one, or NULL */
    const char
        *protocol; /* server: the one to take; NULL: any is passed over */
    size_t protocol_len;
    uint8_t *offered; /* client: its protocols, as ALPN has them; NULL: none */
    size_t offered_size;
    char *name; /* server: the one that the client asks for, or NULL */
    int16_t alert_received; /* newest fatal one; -1: none */
    int16_t alert_sent;     /* first fatal one; -1: none */
    uint8_t first[7];       /* bytes of the first record, of an alert all */
    uint8_t first_len;
    bool wants_bytes; /* the wire had none in this step */
    bool verifies;
    bool is_judged; /* the event chain() was called */
    bool is_failed; /* an event has failed in a callback without a result */
};

static inline struct wr_openssl_own *
wr_openssl_own_of(const struct wr_tls_conn *conn)
{
    return conn->own;
}

/* The connection of libssl's callbacks. */
static inline struct wr_tls_conn *wr_openssl_conn_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

/* ---- start.c ---- */

int wr_openssl_start(void);
const char *wr_openssl_start_text(void);
const char *wr_openssl_version(void);
bool wr_openssl_is_fips(void);
/* X25519MLKEM768, which OpenSSL has from 3.5 on. */
bool wr_openssl_has_hybrid(void);

/* Fetched once; NULL: the library has none. WR_X509_HASH_NONE is SHA-1, for the
 * mask of PSS alone. */
const EVP_MD *wr_openssl_hash(enum wr_x509_hash hash);
const EVP_CIPHER *wr_openssl_aead(enum wr_tls_aead_kind kind);
/* AES-256-CBC, of tickets. */
const EVP_CIPHER *wr_openssl_cbc(void);

/* ---- bio.c ---- */

int wr_openssl_start_bio(void);
/* The BIO of a connection; NULL: no memory. */
BIO *wr_openssl_new_bio(struct wr_tls_conn *conn);

/* ---- error.c ---- */

/* The errors of calls into OpenSSL. */
struct wr_openssl_errors {
    bool has_mark;        /* the program had errors of its own before */
    bool lacks_memory;    /* one of them was that */
    unsigned long newest; /* 0: none */
};

/* Calls into OpenSSL are made between these; they may be nested. */
void wr_openssl_enter(struct wr_openssl_errors *errors);
void wr_openssl_leave(struct wr_openssl_errors *errors);
/* The newest error is one without a meaning, and the one before it is lost. */
bool wr_openssl_is_vague(unsigned long number);
/* One of our codes. */
int wr_openssl_code_of(unsigned long number);
const char *wr_openssl_text_of(int number);

/* ---- credential.c ---- */

int wr_openssl_credential_new(struct wr_tls_credential **ret);
int wr_openssl_credential_use_chain(struct wr_tls_credential *credential,
                                    const uint8_t *pem, size_t size);
int wr_openssl_credential_use_key(struct wr_tls_credential *credential,
                                  const uint8_t *pem, size_t size);
int wr_openssl_credential_use_signer(struct wr_tls_credential *credential,
                                     struct wr_tls_signer *signer,
                                     struct wr_bytes key_info);
int wr_openssl_credential_check(struct wr_tls_credential *credential);
void wr_openssl_credential_free(struct wr_tls_credential *credential);

/* ---- signer.c ---- */

/* A key by which @signer signs for the public key @shown, of RSA or of a curve;
 * the signer outlives it. NULL: no memory. */
EVP_PKEY *wr_openssl_signer_key(EVP_PKEY *shown, struct wr_tls_signer *signer);
/* True if a signer has failed on this thread since the last call. */
bool wr_openssl_take_sign_failure(void);

/* ---- shared.c ---- */

int wr_openssl_shared_new(const struct wr_tls_settings *settings,
                          struct wr_tls_shared **ret);
void wr_openssl_shared_free(struct wr_tls_shared *shared);
/* The least security level of weir's, unless the system's is higher. */
void wr_openssl_raise_level(SSL_CTX *ctx);

/* ---- chain.c ---- */

/* Hands the peer's certificates to weir in the place of OpenSSL's own
 * verification. */
void wr_openssl_use_chain(SSL_CTX *ctx);

/* ---- ticket.c ---- */

/* A server seals and opens its tickets by weir's keys. False: no memory. */
bool wr_openssl_use_tickets(SSL_CTX *ctx);

/* ---- secret.c ---- */

/* Reports secrets by the event secret(). */
void wr_openssl_use_secrets(SSL_CTX *ctx);

/* ---- ssl.c ---- */

/* Sets the callbacks of connections: alerts, protocols, sessions. */
void wr_openssl_use_callbacks(SSL_CTX *ctx, bool is_server);

int wr_openssl_open(struct wr_tls_conn *conn, const struct wr_tls_peer *peer);
void wr_openssl_close(struct wr_tls_conn *conn);
int wr_openssl_handshake(struct wr_tls_conn *conn);
int wr_openssl_read(struct wr_tls_conn *conn, void *buf, size_t size);
size_t wr_openssl_pending(const struct wr_tls_conn *conn);
int wr_openssl_write(struct wr_tls_conn *conn, const void *data, size_t len);
int wr_openssl_shutdown(struct wr_tls_conn *conn);
int wr_openssl_update_keys(struct wr_tls_conn *conn);
void wr_openssl_rest(struct wr_tls_conn *conn);
int wr_openssl_show(struct wr_tls_conn *conn,
                    struct wr_tls_credential *credential, const char *suites);
int wr_openssl_choose_protocol(struct wr_tls_conn *conn, const char *name,
                               size_t len);

/* ---- facts.c ---- */

uint16_t wr_openssl_get_version(const struct wr_tls_conn *conn);
uint16_t wr_openssl_get_suite(const struct wr_tls_conn *conn);
uint16_t wr_openssl_get_group(const struct wr_tls_conn *conn);
bool wr_openssl_was_resumed(const struct wr_tls_conn *conn);
const char *wr_openssl_get_protocol(const struct wr_tls_conn *conn,
                                    size_t *ret_len);
const char *wr_openssl_get_name(const struct wr_tls_conn *conn);
void wr_openssl_get_alerts(const struct wr_tls_conn *conn, int *ret_received,
                           int *ret_sent);
bool wr_openssl_get_client_random(const struct wr_tls_conn *conn,
                                  uint8_t ret[32]);
int wr_openssl_export_keys(struct wr_tls_conn *conn,
                           const struct wr_tls_export *job);
int wr_openssl_session_take(struct wr_tls_conn *conn,
                            struct wr_tls_known **ret);
void wr_openssl_session_free(struct wr_tls_known *session);

/* ---- unlock.c ---- */

int wr_openssl_derive(const struct wr_tls_derive *job);
int wr_openssl_open_cbc(struct wr_bytes key, const uint8_t iv[WR_TLS_CBC_BLOCK],
                        uint8_t *data, size_t size);

/* ---- signature.c, aead.c ---- */

int wr_openssl_hash_data(enum wr_x509_hash kind, struct wr_bytes data,
                         uint8_t ret[WR_TLS_HASH_MAX]);
int wr_openssl_expand(enum wr_x509_hash kind, struct wr_bytes secret,
                      const char *label, uint8_t *ret, size_t size);
/* A public key; NULL: libcrypto refuses the numbers, or has no memory. */
EVP_PKEY *wr_openssl_make_key(const char *kind, const OSSL_PARAM *params);
int wr_openssl_verify(const struct wr_tls_signed *job);
int wr_openssl_seal(const struct wr_tls_aead *job);
int wr_openssl_open_sealed(const struct wr_tls_aead *job);

#endif

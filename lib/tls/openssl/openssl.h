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
    uint8_t *key; /* of the peer's leaf, as weir has judged it; NULL: none */
    size_t key_size;
    char *name; /* server: the one that the client asks for, or NULL */
    int16_t alert_received; /* newest fatal one; -1: none */
    int16_t alert_sent;     /* first fatal one; -1: none */
    uint8_t alert;          /* for a refused peer; 0: any */
    uint8_t first[7];       /* bytes of the first record, of an alert all */
    uint8_t first_len;
    bool wants_bytes; /* the wire had none in this step */
    bool has_buffers; /* a step has perhaps made some */
    bool verifies : 1;
    bool is_judged : 1;   /* the event chain() was called */
    bool has_verdict : 1; /* for the message that libssl reads now */
    bool is_accepted : 1; /* by it */
    bool is_failed : 1; /* an event has failed in a callback without a result */
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

/* ---- the entries of the table ---- */

WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_DECLARE, openssl)

/* ---- start.c ---- */

int wr_openssl_start(void);
const char *wr_openssl_start_text(void);
const char *wr_openssl_version(void);
bool wr_openssl_is_fips(void);
/* X25519MLKEM768, which OpenSSL has from 3.5 on. */
bool wr_openssl_has_hybrid(void);

/* Fetched once; NULL: the library has none. WR_X509_HASH_NONE is SHA-1, for the
 * mask of PSS alone. */
const EVP_MD *wr_openssl_digest(enum wr_x509_hash hash);
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

/* ---- signer.c ---- */

/* A key by which @signer signs for the public key @shown, of RSA or of a curve;
 * the signer outlives it. NULL: no memory. */
EVP_PKEY *wr_openssl_signer_key(EVP_PKEY *shown, struct wr_tls_signer *signer);
/* True if a signer has failed on this thread since the last call. */
bool wr_openssl_take_sign_failure(void);

/* ---- shared.c ---- */

/* The least security level of weir's, unless the system's is higher. */
void wr_openssl_raise_level(SSL_CTX *ctx);

/* ---- chain.c ---- */

/* Hands the peer's certificates to weir in the place of OpenSSL's own
 * verification. */
void wr_openssl_use_chain(SSL_CTX *ctx);
/* Frees the key of the peer's leaf. */
void wr_openssl_forget_key(struct wr_tls_conn *conn);

/* ---- ticket.c ---- */

/* A server seals and opens its tickets by weir's keys. False: no memory. */
bool wr_openssl_use_tickets(SSL_CTX *ctx);

/* ---- secret.c ---- */

/* Reports secrets by the event secret(). */
void wr_openssl_use_secrets(SSL_CTX *ctx);

/* ---- ssl.c ---- */

/* Sets the callbacks of connections: alerts, protocols, sessions. */
void wr_openssl_use_callbacks(SSL_CTX *ctx, bool is_server);
void wr_openssl_rest(struct wr_tls_conn *conn);

/* ---- signature.c ---- */

/* A public key; NULL: libcrypto refuses the numbers, or has no memory. */
EVP_PKEY *wr_openssl_make_key(const char *kind, const OSSL_PARAM *params);

#endif

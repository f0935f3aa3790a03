/*
 * Declarations shared by the files of OpenSSL's backend.
 *
 * lib/tls/backend/backend.h has the contracts of the functions in the table,
 * which the files of this folder define.
 */
#ifndef WEIR_LIB_TLS_OPENSSL_OPENSSL_H
#define WEIR_LIB_TLS_OPENSSL_OPENSSL_H

#include "lib/tls/backend/backend.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>

#define WR_OPENSSL_HYBRID "X25519MLKEM768"
enum { WR_OPENSSL_HYBRID_GROUP = 4588 };

struct wr_tls_credential {
    X509 *leaf;
    STACK_OF(X509) * issuers;
    EVP_PKEY *key;
    bool has_signer; /* the key is a wr_tls_signer */
};

struct wr_tls_shared {
    SSL_CTX *ctx;
};

struct wr_openssl_own {
    SSL_SESSION *session; /* client: the newest session, or NULL */
    const char
        *protocol; /* server: set by choose_protocol(); NULL ignores ALPN */
    size_t protocol_len;
    uint8_t *offered; /* client: its protocols in ALPN's format, or NULL */
    size_t offered_size;
    uint8_t *key; /* key of the peer's leaf, as weir has verified it, or NULL */
    size_t key_size;
    char *name; /* server: the name that the client requests, or NULL */
    int16_t alert_received; /* newest alert that is an error, or -1 */
    int16_t alert_sent;     /* first fatal alert, or -1 */
    uint8_t alert;
    uint8_t first[7]; /* first received bytes; an alert's record fits */
    uint8_t first_len;
    bool wants_bytes; /* take() had no bytes in this step */
    bool has_buffers; /* libssl may have buffers */
    bool verifies : 1;
    bool is_judged : 1; /* chain() was called at least once */
    /* chain() was called for the certificates that libssl verifies now. */
    bool has_verdict : 1;
    bool is_accepted : 1; /* the verdict's result */
    bool is_failed : 1; /* an event failed in a callback that returns nothing */
};

static inline struct wr_openssl_own *
wr_openssl_own_of(const struct wr_tls_conn *conn)
{
    return conn->own;
}

static inline struct wr_tls_conn *wr_openssl_conn_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_DECLARE, openssl)

/* ---- start.c ---- */

int wr_openssl_start(void);
const char *wr_openssl_start_text(void);
const char *wr_openssl_version(void);
bool wr_openssl_is_fips(void);
bool wr_openssl_has_hybrid(void);

/* Return objects that are fetched once, or NULL if no provider has the
 * algorithm. WR_X509_HASH_NONE is SHA-1, used only for the mask of PSS and for
 * PBKDF2. */
const EVP_MD *wr_openssl_digest(enum wr_x509_hash hash);
const EVP_CIPHER *wr_openssl_aead(enum wr_tls_aead_kind kind);
/* AES-256-CBC, for tickets. */
const EVP_CIPHER *wr_openssl_cbc(void);

/* ---- bio.c ---- */

int wr_openssl_start_bio(void);
BIO *wr_openssl_new_bio(struct wr_tls_conn *conn);

/* ---- error.c ---- */

struct wr_openssl_errors {
    /* The queue has errors of the program, which are kept. */
    bool has_mark;
    bool lacks_memory;    /* one of the errors is out of memory */
    unsigned long newest; /* code of the newest error, or 0 */
};

/* Each call to OpenSSL is made between these two; pairs may be nested.
 * wr_openssl_leave() sets the result of the calls. */
void wr_openssl_enter(struct wr_openssl_errors *errors);
void wr_openssl_leave(struct wr_openssl_errors *errors);
/* Returns true if this error only reports that a record was refused, and the
 * error before it has the reason. */
bool wr_openssl_is_vague(unsigned long number);
int wr_openssl_code_of(unsigned long number);

/* ---- signer.c ---- */

/* Returns a key whose signatures @signer makes, for the public key @shown (RSA
 * or elliptic curve), or NULL if memory runs out. The signer must outlive the
 * key. */
EVP_PKEY *wr_openssl_signer_key(EVP_PKEY *shown, struct wr_tls_signer *signer);
/* Returns true if a signer has failed on this thread since the last call. */
bool wr_openssl_take_sign_failure(void);

/* ---- shared.c ---- */

/* Sets weir's minimum security level, unless the system's is higher. */
void wr_openssl_raise_level(SSL_CTX *ctx);

/* ---- chain.c ---- */

/* Lets weir verify the peer's certificates instead of OpenSSL. */
void wr_openssl_use_chain(SSL_CTX *ctx);
void wr_openssl_forget_key(struct wr_tls_conn *conn);

/* ---- ticket.c ---- */

/* Returns false if memory runs out. */
bool wr_openssl_use_tickets(SSL_CTX *ctx);

/* ---- secret.c ---- */

void wr_openssl_use_secrets(SSL_CTX *ctx);

/* ---- ssl.c ---- */

void wr_openssl_use_callbacks(SSL_CTX *ctx, bool is_server);
void wr_openssl_rest(struct wr_tls_conn *conn);

/* ---- signature.c ---- */

/* Returns a public key, or NULL if libcrypto refuses @params or runs out of
 * memory. */
EVP_PKEY *wr_openssl_make_key(const char *kind, const OSSL_PARAM *params);

#endif

/*
 * Declarations shared by the files of wolfSSL's backend. The contracts are
 * those of the table (lib/tls/backend/backend.h).
 *
 *     table.c       the table
 *     primitive.c   hashes, signatures, sealing, secrets
 *     credential.c  own certificates and keys; rsa.c signs with libcrypto,
 *                   signer.c by a function of weir
 *     shared.c      the WOLFSSL_CTX of a context
 *     conn.c        the WOLFSSL of a connection: its life and its steps
 *     facts.c       what was agreed on, sessions, exported keys
 *     callback.c    wolfSSL's calls up: bytes, certificates, tickets, secrets
 *     error.c       wolfSSL's numbers as weir's codes
 *     memory.c      wolfSSL's memory, counted
 *
 * The files of a connection find it by the argument of the I/O callbacks.
 */
#ifndef WEIR_LIB_TLS_WOLFSSL_WOLFSSL_H
#define WEIR_LIB_TLS_WOLFSSL_WOLFSSL_H

#include "lib/tls/backend/backend.h"
#include "memory.h"
#include "uring/check.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

struct wr_tls_rsa_key;

/* Certificates and their key, which each connection that shows them reads
 * again. */
struct wr_tls_credential {
    uint8_t *chain; /* PEM */
    long chain_size;
    uint8_t *key; /* PEM; with a signer the public one, DER */
    long key_size;
    WOLFSSL_CTX *trial;             /* NULL once check() is done */
    struct wr_tls_rsa_key *rsa_key; /* NULL: wolfSSL signs */
    struct wr_tls_signer *signer;   /* or NULL */
};

/* The format of its key. */
static inline int
wr_wolfssl_key_format(const struct wr_tls_credential *credential)
{
    wr_debug_assert(credential->key);
    return credential->signer ? WOLFSSL_FILETYPE_ASN1 : WOLFSSL_FILETYPE_PEM;
}

/* Flags of a connection. */
enum {
    WR_WOLFSSL_VERIFIES = 1 << 0,
    WR_WOLFSSL_DEMANDS = 1 << 1, /* a client's certificate */
    /* Client, TLS 1.3: the arrays of the handshake, which hold the parts of a
     * ticket, are kept until the first data. */
    WR_WOLFSSL_KEEPS_ARRAYS = 1 << 2,
    /* The first fatal alert was sent; its number stands in the highest byte. */
    WR_WOLFSSL_SENT_ALERT = 1 << 3,
    WR_WOLFSSL_ALERT_SHIFT = 24,
};

static inline WOLFSSL *wr_wolfssl_of(const struct wr_tls_conn *conn)
{
    wr_debug_assert(conn->ssl);
    return conn->ssl;
}

static inline struct wr_tls_memory *
wr_wolfssl_memory_of(const struct wr_tls_conn *conn)
{
    return wr_tls_memory_of(conn->account);
}

/* wolfSSL's mode of verification. */
static inline int wr_wolfssl_mode(bool verifies, bool demands_certificate)
{
    wr_assert(verifies || !demands_certificate);
    return demands_certificate
               ? WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT
           : verifies ? WOLFSSL_VERIFY_PEER
                      : WOLFSSL_VERIFY_NONE;
}

/* ---- the entries of the table ---- */

WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_DECLARE, wolfssl)

/* ---- rsa.c; no_rsa.c where wolfSSL signs ---- */

/* Loads a private key, which wolfSSL has accepted, into libcrypto if it is an
 * RSA key; else *ret is NULL. 0, -ENOMEM, or a WEIR_ETLS code. */
WEIR_MUST_USE int wr_wolfssl_read_rsa(const uint8_t *pem, long size,
                                      struct wr_tls_rsa_key **ret);
void wr_wolfssl_free_rsa(struct wr_tls_rsa_key *key);

/* Sets the signing callbacks, once the context has read its key. */
void wr_wolfssl_use_rsa(WOLFSSL_CTX *ctx);

/* The connection signs with @key from now on, and holds a reference until the
 * next call; NULL: no RSA key. */
void wr_wolfssl_set_rsa(WOLFSSL *ssl, struct wr_tls_rsa_key *key);

/* False: signatures of RSA are wolfSSL's alone. */
bool wr_wolfssl_leaves_rsa(void);

/* ---- signer.c ---- */

/* Sets the callback for ECDSA, by which own keys sign, too. */
void wr_wolfssl_use_signers(WOLFSSL_CTX *ctx);

/* The signer of what a connection shows, or NULL. */
struct wr_tls_signer *wr_wolfssl_signer_of(WOLFSSL *ssl);

/* Signs by it: 0 or RSA_SIGN_FAULT, which becomes WEIR_ETLSSIGN. *@size is the
 * room at @out, and then what was used. */
int wr_wolfssl_sign(struct wr_tls_signer *signer,
                    const struct wr_x509_signature_kind *kind,
                    struct wr_bytes hash, uint8_t *out, word32 *size);

/* The hash of as many bytes; WR_X509_HASH_NONE: there is none. */
enum wr_x509_hash wr_wolfssl_hash_of(size_t size);

/* ---- shared.c; the struct of the seam is the WOLFSSL_CTX itself ---- */

/* Sets the minimum key sizes, for own and peers' keys: 0 or WEIR_ETLSENGINE. */
WEIR_MUST_USE int wr_wolfssl_set_strength(WOLFSSL_CTX *ctx);

/* ---- callback.c ---- */

int wr_wolfssl_on_recv(WOLFSSL *ssl, char *buf, int size, void *arg);
int wr_wolfssl_on_send(WOLFSSL *ssl, char *buf, int size, void *arg);
/* In the handshake: notes the first alert. */
int wr_wolfssl_on_send_first(WOLFSSL *ssl, char *buf, int size, void *arg);
int wr_wolfssl_on_certificate(int is_good, WOLFSSL_X509_STORE_CTX *store);
/* Lets weir judge what wolfSSL cannot read, too, if wolfSSL is built so. */
void wr_wolfssl_use_chain(WOLFSSL_CTX *ctx);
int wr_wolfssl_on_name(WOLFSSL *ssl, int *ret_alert, void *arg);
int wr_wolfssl_on_ticket(WOLFSSL *ssl, unsigned char *name, unsigned char *iv,
                         unsigned char *mac, int seals, unsigned char *data,
                         int size, int *ret_size, void *arg);
int wr_wolfssl_on_session(WOLFSSL *ssl, const unsigned char *ticket, int size,
                          void *arg);
/* Both do nothing where wolfSSL reports no secrets. */
void wr_wolfssl_hear_secrets(struct wr_tls_conn *conn);
WEIR_MUST_USE int wr_wolfssl_log_keys(struct wr_tls_conn *conn);

/* ---- error.c ---- */

/* The code of wolfSSL's error number @number. */
int wr_wolfssl_code_of(int number);

#endif

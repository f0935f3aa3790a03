/*
 * Declarations shared by the files of wolfSSL's backend.
 *
 * lib/tls/backend/backend.h has the contracts of the functions in the table.
 * Callbacks find their connection in the argument of the I/O callbacks.
 */
#ifndef WEIR_LIB_TLS_WOLFSSL_WOLFSSL_H
#define WEIR_LIB_TLS_WOLFSSL_WOLFSSL_H

#include "lib/tls/backend/backend.h"
#include "uring/check.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

/*
 * Counts the memory of wolfSSL.
 *
 * wolfSSL has one set of allocator functions for the whole process and passes
 * them no argument. So each call to wolfSSL is made between
 * wr_tls_memory_enter() and wr_tls_memory_leave(), which set the account to
 * charge. A header before each allocation names its account, for the free.
 * Without an account, memory comes from malloc(): for contexts, which threads
 * share, and for sessions, which may be freed on another thread.
 *
 * An open connection seals and opens records in buffers that live for one call.
 * They come from the loop's blocks (WR_TLS_MEMORY_BLOCKS), so that steady
 * traffic allocates nothing, and a sealed record is sent in the buffer in which
 * wolfSSL sealed it (wr_tls_memory_claim()).
 *
 * If weir is linked with the system's wolfSSL, other code of the program may
 * use it, too. Then weir does not replace wolfSSL's allocator, counts nothing,
 * and claims no record.
 */

struct wr_tls_memory {
    struct wr_tls_account account;
    uint64_t bytes; /* live bytes, as requested */
    uint64_t count;
    void *spare;  /* a freed buffer of WR_TLS_MEMORY_SPARE bytes */
    void *newest; /* newest live allocation in a block */
    /* The claimed block; becomes ->ready when wolfSSL frees it. */
    void *claimed;
    bool failed; /* an allocation failed since wr_tls_memory_enter() */
    struct wr_block *ready;
};

enum wr_tls_memory_mode {
    WR_TLS_MEMORY_PLAIN,  /* long-lived memory: the exact size */
    WR_TLS_MEMORY_BLOCKS, /* memory for one call: from the blocks */
};

/* Size of a spare buffer, for a received record of up to this size. Such a
 * record is too large for one block size and wastes most of the next, so one
 * buffer is kept. */
#define WR_TLS_MEMORY_SPARE ((16u << 10) + 512u)

static inline struct wr_tls_memory *
wr_tls_memory_of(const struct wr_tls_account *account)
{
    return (struct wr_tls_memory *)(uintptr_t)account;
}

void wr_tls_memory_init(struct wr_tls_account *account,
                        struct wr_blocks *blocks);

void wr_tls_memory_fini(struct wr_tls_account *account);

void wr_tls_memory_check_invariants(const struct wr_tls_account *account);

WEIR_MUST_USE int wr_tls_memory_start_library(void);

struct wr_tls_memory_scope {
    struct wr_tls_memory *memory;
    enum wr_tls_memory_mode mode;
};

/* Charges this thread's calls to wolfSSL to @memory from now on, or to no
 * account if @memory is NULL. */
WEIR_MUST_USE struct wr_tls_memory_scope
wr_tls_memory_enter(struct wr_tls_memory *memory, enum wr_tls_memory_mode mode);

void wr_tls_memory_leave(struct wr_tls_memory_scope before);

/* Returns true if an allocation without an account has failed on this thread
 * since the last call. wolfSSL often reports another error for such a
 * failure. */
bool wr_tls_memory_take_failure(void);

/* If @data was sealed in wolfSSL's newest block, claims the block and returns
 * true. */
WEIR_MUST_USE bool wr_tls_memory_claim(struct wr_tls_account *account,
                                       const void *data);

/* Returns the claimed block, or NULL if none was claimed. Must be called after
 * wolfSSL has freed the block. The caller owns the block; ->used is 0. */
struct wr_block *wr_tls_memory_take_claimed(struct wr_tls_account *account);

struct wr_tls_rsa_key;

/* Certificates and their key, not parsed. Each context and each connection that
 * gets them parses them again. */
struct wr_tls_credential {
    uint8_t *chain; /* PEM */
    long chain_size;
    uint8_t *key; /* PEM, or, with a signer, the public key as DER */
    long key_size;
    WOLFSSL_CTX *trial;             /* NULL after check() */
    struct wr_tls_rsa_key *rsa_key; /* NULL if wolfSSL signs */
    struct wr_tls_signer *signer;
};

static inline int
wr_wolfssl_key_format(const struct wr_tls_credential *credential)
{
    wr_debug_assert(credential->key);
    return credential->signer ? WOLFSSL_FILETYPE_ASN1 : WOLFSSL_FILETYPE_PEM;
}

enum {
    WR_WOLFSSL_VERIFIES = 1 << 0,
    WR_WOLFSSL_DEMANDS = 1 << 1,
    /* Client, TLS 1.3: wolfSSL's arrays of the handshake, which hold the parts
     * of a ticket, are kept until the first data arrives. */
    WR_WOLFSSL_KEEPS_ARRAYS = 1 << 2,
    /* The handshake's first fatal alert was sent; its number is in the highest
     * byte. */
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

static inline int wr_wolfssl_mode(bool verifies, bool demands_certificate)
{
    wr_assert(verifies || !demands_certificate);
    return demands_certificate
               ? WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT
           : verifies ? WOLFSSL_VERIFY_PEER
                      : WOLFSSL_VERIFY_NONE;
}

WR_TLS_BACKEND_ENTRIES(WR_TLS_BACKEND_DECLARE, wolfssl)

/* ---- rsa.c; or no_rsa.c if wolfSSL signs ---- */

/* Loads the private key @pem, which wolfSSL has accepted, into libcrypto, or
 * sets *ret to NULL if it is not an RSA key. Returns 0, -ENOMEM or a WEIR_ETLS
 * code. */
WEIR_MUST_USE int wr_wolfssl_read_rsa(const uint8_t *pem, long size,
                                      struct wr_tls_rsa_key **ret);
void wr_wolfssl_free_rsa(struct wr_tls_rsa_key *key);

/* Sets the callbacks for signing with RSA. wolfSSL then accepts a public key as
 * a private key, so the key must have been checked in another context
 * before. */
void wr_wolfssl_use_rsa(WOLFSSL_CTX *ctx);

/* Makes the connection sign with @key, and hold a reference to it until the
 * next call. NULL means no RSA key. */
void wr_wolfssl_set_rsa(WOLFSSL *ssl, struct wr_tls_rsa_key *key);

bool wr_wolfssl_leaves_rsa(void);

/* ---- signer.c ---- */

/* Sets the callback for ECDSA, which then also signs with keys inside weir. */
void wr_wolfssl_use_signers(WOLFSSL_CTX *ctx);

struct wr_tls_signer *wr_wolfssl_signer_of(WOLFSSL *ssl);

/* *@size is the space at @out, and is set to the size of the signature. Returns
 * 0, or RSA_SIGN_FAULT, which becomes WEIR_ETLSSIGN. */
int wr_wolfssl_sign(struct wr_tls_signer *signer,
                    const struct wr_x509_signature_kind *kind,
                    struct wr_bytes hash, uint8_t *out, word32 *size);

enum wr_x509_hash wr_wolfssl_hash_of(size_t size);

/* ---- shared.c; struct wr_tls_shared is the WOLFSSL_CTX itself ---- */

WEIR_MUST_USE int wr_wolfssl_set_strength(WOLFSSL_CTX *ctx);

/* ---- callback.c ---- */

int wr_wolfssl_on_recv(WOLFSSL *ssl, char *buf, int size, void *arg);
int wr_wolfssl_on_send(WOLFSSL *ssl, char *buf, int size, void *arg);
/* Also stores the first alert. Used during the handshake. */
int wr_wolfssl_on_send_first(WOLFSSL *ssl, char *buf, int size, void *arg);
int wr_wolfssl_on_certificate(int is_good, WOLFSSL_X509_STORE_CTX *store);
/* Lets weir verify certificates that wolfSSL cannot parse, if wolfSSL is built
 * with WOLFSSL_PUBLIC_ASN. */
void wr_wolfssl_use_chain(WOLFSSL_CTX *ctx);
int wr_wolfssl_on_name(WOLFSSL *ssl, int *ret_alert, void *arg);
int wr_wolfssl_on_ticket(WOLFSSL *ssl, unsigned char *name, unsigned char *iv,
                         unsigned char *mac, int seals, unsigned char *data,
                         int size, int *ret_size, void *arg);
int wr_wolfssl_on_session(WOLFSSL *ssl, const unsigned char *ticket, int size,
                          void *arg);
/* wr_wolfssl_hear_secrets() enables reports of TLS 1.3 secrets,
 * wr_wolfssl_log_keys() of all secrets. If wolfSSL is built without such
 * reports, the first does nothing, and the second returns WEIR_ETLSENGINE. */
void wr_wolfssl_hear_secrets(struct wr_tls_conn *conn);
WEIR_MUST_USE int wr_wolfssl_log_keys(struct wr_tls_conn *conn);

int wr_wolfssl_code_of(int number);

#endif

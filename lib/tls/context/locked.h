/*
 * Private keys that a passphrase encrypts, in PEM texts.
 *
 * Two forms are read: PKCS #8 with PBES2 (RFC 8018: PBKDF2 by HMAC with SHA-1,
 * SHA-256, SHA-384 or SHA-512, then AES-CBC), as of "openssl genpkey -aes256";
 * and the older one of OpenSSL (DEK-Info: AES-CBC by a key of MD5), as of
 * "openssl rsa -aes256 -traditional" and "ssh-keygen -m PEM".
 *
 * A backend never sees a passphrase: it gets a PEM text that is not encrypted.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_LOCKED_H
#define WEIR_LIB_TLS_CONTEXT_LOCKED_H

#include "lib/tls/backend/backend.h"

/* The most bytes of a passphrase, and the most rounds of PBKDF2: some seconds.
 */
#define WR_TLS_PASSPHRASE_MAX 1024u
#define WR_TLS_ROUNDS_MAX     10000000u

/* An encrypted key. */
struct wr_tls_locked {
    const char *label; /* of the block that it becomes */
    enum wr_tls_derive_kind kind;
    uint32_t rounds;
    uint32_t key_size; /* of AES: 16, 24 or 32 */
    uint8_t salt[64];
    uint32_t salt_size;
    uint8_t iv[WR_TLS_CBC_BLOCK];
    uint8_t *data; /* malloc()'s; the sealed bytes begin at @at */
    size_t size;
    size_t at;
};

/* Reads the first private key of a text, if it is encrypted. Returns 1, 0 if
 * it is not, -ENOMEM, or WEIR_ETLSFILE with *ret_why. */
WEIR_MUST_USE int wr_tls_locked_read(struct wr_bytes text,
                                     struct wr_tls_locked *ret,
                                     const char **ret_why);

/* Opens it in place, and writes *ret, a PEM text, malloc()'s. Once. 0, -ENOMEM,
 * -EOPNOTSUPP if the library lacks an algorithm, or WEIR_ETLSPASSWORD: another
 * passphrase was used. */
WEIR_MUST_USE int wr_tls_locked_open(struct wr_tls_locked *locked,
                                     struct wr_bytes passphrase,
                                     struct wr_bytes *ret);

/* Wipes it, and frees its memory. */
void wr_tls_locked_fini(struct wr_tls_locked *locked);

/* Wipes a text, and frees it. */
void wr_tls_locked_wipe(struct wr_bytes *text);

#endif

/*
 * Texts in the PEM format (RFC 7468).
 *
 * wr_tls_pem_next() takes blocks with one label off a text, one by one, and
 * skips everything else.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_PEM_H
#define WEIR_LIB_TLS_CONTEXT_PEM_H

#include "lib/tls/backend/backend.h"
#include "lib/x509/der.h"

/* Removes the next block with this label, such as "CERTIFICATE", and everything
 * before it from *text. Decodes the block into *ret, whose data the caller
 * frees with free(); the data is NULL if the base64 is invalid. Returns 1, 0 if
 * there is no such block, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_pem_next(struct wr_bytes *text, const char *label,
                                  struct wr_bytes *ret);

/* Decodes base64 to @ret, which must have as much space as the text. White
 * space is ignored. Returns the number of bytes, or 0 if the text is invalid or
 * empty. */
size_t wr_tls_pem_decode(struct wr_bytes text, uint8_t *ret);

/* ---- encrypted keys ----
 *
 * Two formats of private keys are read: PKCS #8 with PBES2 (RFC 8018: PBKDF2
 * with HMAC and SHA-1 or SHA-2, then AES-CBC), as written by "openssl genpkey
 * -aes256"; and OpenSSL's traditional format (DEK-Info: AES-CBC with a key
 * derived by MD5), as written by "openssl rsa -aes256 -traditional" and
 * "ssh-keygen -m PEM". */

/* Maximum size of a passphrase, and maximum number of PBKDF2 rounds (some
 * seconds of work). */
#define WR_TLS_PASSPHRASE_MAX 1024u
#define WR_TLS_ROUNDS_MAX     10000000u

struct wr_tls_locked {
    const char *label;
    enum wr_tls_derive_kind kind;
    uint32_t rounds;
    uint32_t key_size;
    uint8_t salt[64];
    uint32_t salt_size;
    uint8_t iv[WR_TLS_CBC_BLOCK];
    uint8_t *data; /* from malloc(); encrypted bytes start at ->at */
    size_t size;
    size_t at;
};

/* Reads the first private key of a text. Returns 1 if the key is encrypted, 0
 * if it is not or the text has no key, -ENOMEM, or WEIR_ETLSFILE with a reason
 * in *ret_why. */
WEIR_MUST_USE int wr_tls_locked_read(struct wr_bytes text,
                                     struct wr_tls_locked *ret,
                                     const char **ret_why);

/* Decrypts the key in place and writes a PEM text to *ret, which the caller
 * frees with wr_tls_locked_wipe(). Call it once for a key. Returns 0, -ENOMEM,
 * -EOPNOTSUPP if the library has no such algorithm, or WEIR_ETLSPASSWORD if the
 * passphrase is wrong. */
WEIR_MUST_USE int wr_tls_locked_open(struct wr_tls_locked *locked,
                                     struct wr_bytes passphrase,
                                     struct wr_bytes *ret);

void wr_tls_locked_fini(struct wr_tls_locked *locked);

void wr_tls_locked_wipe(struct wr_bytes *text);

#endif

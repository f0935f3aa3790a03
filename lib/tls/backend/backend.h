/*
 * The seam between weir's TLS and the library that does the cryptography: a
 * table of functions for each library, a backend. No file outside the folder of
 * a library need name it.
 *
 * Primitives keep no state between calls, so any thread may call them.
 */
#ifndef WEIR_LIB_TLS_BACKEND_BACKEND_H
#define WEIR_LIB_TLS_BACKEND_BACKEND_H

#include "lib/x509/strength.h"

#include <weir/base.h>

/* ---- primitives ---- */

enum { WR_TLS_HASH_MAX = 64 }; /* bytes of a hash, at most */

enum wr_tls_aead_kind {
    WR_TLS_AEAD_AES_128_GCM,
    WR_TLS_AEAD_AES_256_GCM,
    WR_TLS_AEAD_CHACHA20,
};

enum { WR_TLS_AEAD_NONCE = 12, WR_TLS_AEAD_TAG = 16 };

/* One message that is sealed or opened; @in and @out may be the same. */
struct wr_tls_aead {
    enum wr_tls_aead_kind kind;
    const uint8_t *key; /* 16 bytes with AES-128, else 32 */
    const uint8_t *nonce;
    struct wr_bytes beside; /* authenticated, not sealed */
    const uint8_t *in;
    uint8_t *out;
    size_t size;  /* of both */
    uint8_t *tag; /* written by seal(), read by open_sealed() */
};

/* A signature that is verified. The key is of the signature's kind, which was
 * compared before. */
struct wr_tls_signed {
    const struct wr_x509_signature_kind *kind;
    struct wr_bytes key_info;       /* a SubjectPublicKeyInfo with its header */
    struct wr_x509_rsa_numbers rsa; /* of an RSA key; else empty */
    struct wr_bytes message;        /* the hash; with Ed25519 the whole body */
    struct wr_bytes bits;           /* the signature; with ECDSA in DER */
};

/* ---- the table ---- */

struct wr_tls_backend {
    const char *name;             /* "wolfSSL" */
    const char *(*version)(void); /* of the library that runs: "5.7.2" */

    /* Returns the size of the hash, or -ENOMEM, -EOPNOTSUPP. */
    int (*hash)(enum wr_x509_hash kind, struct wr_bytes data,
                uint8_t ret[WR_TLS_HASH_MAX]);
    /* 0; -ENOMEM; -EOPNOTSUPP: the library lacks the algorithm; -EBADMSG: the
     * key has not signed this, or is none. */
    int (*verify)(const struct wr_tls_signed *job);
    /* 0 or an error; open_sealed(): -EBADMSG if the message was not sealed so,
     * another error tells nothing about that. */
    int (*seal)(const struct wr_tls_aead *job);
    int (*open_sealed)(const struct wr_tls_aead *job);
    /* HKDF-Expand-Label of TLS 1.3, with "tls13 " before the label and no
     * context (RFC 8446, 7.1), by SHA-256 or SHA-384. 0 or an error. */
    int (*expand)(enum wr_x509_hash kind, struct wr_bytes secret,
                  const char *label, uint8_t *ret, size_t size);
};

/* ---- the backend of this library ---- */

extern const struct wr_tls_backend wr_tls_wolfssl; /* lib/tls/wolfssl */

/* The backend of contexts, accounts and primitives, the same for the whole life
 * of the process. A file of a test may stand for backend.c. */
const struct wr_tls_backend *wr_tls_backend_get(void);

#endif

/*
 * A private RSA key in libcrypto, which signs two to three times as fast as
 * wolfSSL: it has code for AVX-512 IFMA and keeps a key's precomputed numbers.
 * libcrypto only signs; wolfSSL reads and checks keys, and verifies.
 *
 * Several threads may sign with a key. libcrypto blinds each operation, works
 * in constant time, checks the result with the public key, and wipes a key's
 * numbers when it is freed. Its memory comes from malloc(), about 5 KiB for a
 * key and 330 KiB once per process, and no loop counts it.
 */
#ifndef WEIR_LIB_TLS_WOLFSSL_RSA_KEY_H
#define WEIR_LIB_TLS_WOLFSSL_RSA_KEY_H

#include <weir/base.h>

#include <stddef.h>
#include <stdint.h>

/* libcrypto's EVP_PKEY, reference counted; may be used on any thread. */
struct wr_tls_rsa_key;

/* The numbers of a key (RFC 8017, 3.2), in the order of RSAPrivateKey. */
enum wr_tls_rsa_number {
    WR_TLS_RSA_N,  /* modulus */
    WR_TLS_RSA_E,  /* public exponent */
    WR_TLS_RSA_D,  /* private exponent */
    WR_TLS_RSA_P,  /* first prime */
    WR_TLS_RSA_Q,  /* second prime */
    WR_TLS_RSA_DP, /* exponent of the first prime */
    WR_TLS_RSA_DQ, /* exponent of the second prime */
    WR_TLS_RSA_U,  /* coefficient: the inverse of the second prime */
    WR_TLS_RSA_NUMBERS,
};

/* Bytes of the longest modulus, as wolfSSL is built. */
#define WR_TLS_RSA_SIZE_MAX 512u

struct wr_tls_rsa_bytes {
    uint8_t data[WR_TLS_RSA_SIZE_MAX];
    size_t size;
};

/* Creates a key and tries to sign with it. Returns 0, -ENOMEM, WEIR_ETLSENGINE
 * if libcrypto refuses the numbers, or WEIR_ETLSSIGN. */
WEIR_MUST_USE int
wr_tls_rsa_key_new(const struct wr_tls_rsa_bytes numbers[WR_TLS_RSA_NUMBERS],
                   struct wr_tls_rsa_key **ret);

struct wr_tls_rsa_key *wr_tls_rsa_key_ref(struct wr_tls_rsa_key *key);
void wr_tls_rsa_key_unref(struct wr_tls_rsa_key *key);

enum wr_tls_rsa_scheme {
    WR_TLS_RSA_PKCS1,      /* data is a DigestInfo */
    WR_TLS_RSA_PSS_SHA256, /* data is a digest, and the salt has its size */
    WR_TLS_RSA_PSS_SHA384,
    WR_TLS_RSA_PSS_SHA512,
};

struct wr_tls_rsa_digest {
    enum wr_tls_rsa_scheme scheme;
    const uint8_t *data;
    size_t size;
};

/* Signs into @ret, of *@ret_size bytes, and sets *@ret_size to the number of
 * bytes used. Returns 0 or WEIR_ETLSSIGN. */
WEIR_MUST_USE int wr_tls_rsa_key_sign(struct wr_tls_rsa_key *key,
                                      const struct wr_tls_rsa_digest *digest,
                                      uint8_t *ret, size_t *ret_size);

#endif

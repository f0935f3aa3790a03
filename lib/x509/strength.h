/*
 * The strength of the keys and signatures of certificates. Only algorithms and
 * sizes are read. Strong keys are RSA of 2048 to 4096 bits with an exponent of
 * up to 64 bits, the NIST curves P-256 and larger, and Ed25519. Strong hashes
 * are SHA-256 and longer. Pure functions.
 */
#ifndef WEIR_LIB_X509_STRENGTH_H
#define WEIR_LIB_X509_STRENGTH_H

#include "der.h"

enum wr_x509_strength {
    WR_X509_STRONG,
    WR_X509_WEAK_RSA,   /* RSA with another size */
    WR_X509_WEAK_CURVE, /* not a NIST curve of 256 bits or more */
    WR_X509_WEAK_POINT, /* compressed, or of another size than its curve's */
    WR_X509_WEAK_HASH,  /* MD5, SHA-1 and similar hashes */
    WR_X509_WEAK_ALGORITHM,
};

enum wr_x509_hash {
    WR_X509_HASH_NONE,
    WR_X509_HASH_SHA256,
    WR_X509_HASH_SHA384,
    WR_X509_HASH_SHA512,
};

enum wr_x509_key_kind {
    WR_X509_KEY_RSA,
    WR_X509_KEY_CURVE,
    WR_X509_KEY_EDWARDS,
    WR_X509_KEY_OTHER, /* unknown; can verify nothing */
};

/* Strong curves, with IANA's numbers. */
enum {
    WR_X509_CURVE_P256 = 23,
    WR_X509_CURVE_P384 = 24,
    WR_X509_CURVE_P521 = 25,
};

struct wr_x509_signature_kind {
    enum wr_x509_key_kind key;
    enum wr_x509_hash hash; /* WR_X509_HASH_NONE for Ed25519 */
    bool is_pss;
    enum wr_x509_hash mask; /* hash of the PSS mask; NONE means SHA-1 */
    uint32_t salt_size;
};

struct wr_x509_key_strength {
    enum wr_x509_strength strength;
    enum wr_x509_key_kind kind;
    uint32_t rsa_bits; /* or 0 */
    bool is_pss_alone;
    uint16_t curve; /* number of a strong curve, or 0 */
    /* Cost of a verification in addition to 1, the cost with P-256. */
    uint32_t extra_cost;
};

struct wr_x509_rsa_numbers {
    struct wr_bytes modulus;
    struct wr_bytes exponent;
    bool is_pss_alone; /* the key must not sign with PKCS #1 1.5 */
};

/* In these functions @algorithm is the content of an AlgorithmIdentifier, and
 * @info is a SubjectPublicKeyInfo with its header. They return false if
 * @algorithm or @info is malformed. */
WEIR_MUST_USE bool wr_x509_strength_of_signature(struct wr_bytes algorithm,
                                                 enum wr_x509_strength *ret);

/* Returns true and sets *ret if the signature is strong. */
WEIR_MUST_USE bool
wr_x509_strength_find_signature(struct wr_bytes algorithm,
                                struct wr_x509_signature_kind *ret);

WEIR_MUST_USE bool wr_x509_strength_of_key(struct wr_bytes info,
                                           struct wr_x509_key_strength *ret);

/* Returns false if the key is not RSA. */
WEIR_MUST_USE bool wr_x509_strength_find_rsa(struct wr_bytes info,
                                             struct wr_x509_rsa_numbers *ret);

/* Finds the encoded point of an elliptic curve key, or the bytes of an Ed25519
 * key. */
WEIR_MUST_USE bool wr_x509_strength_find_point(struct wr_bytes info,
                                               struct wr_bytes *ret);

#endif

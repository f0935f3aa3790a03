/*
 * How strong the keys and the signatures of certificates are.
 *
 * Pure: it looks at which algorithm is said to be used, and verifies nothing.
 * RSA of 2048 to 4096 bits with an exponent of up to 64, the NIST curves from
 * P-256 on and Ed25519 are strong, with SHA-256 or a longer hash.
 */
#ifndef WEIR_LIB_TLS_STRENGTH_H
#define WEIR_LIB_TLS_STRENGTH_H

#include "der.h"

/* The strength of a key or a signature. */
enum wr_tls_strength {
    WR_TLS_STRONG,
    WR_TLS_WEAK_RSA,       /* RSA of other sizes than those above */
    WR_TLS_WEAK_CURVE,     /* no NIST curve of 256 bits or more */
    WR_TLS_WEAK_HASH,      /* MD5, SHA-1 and the like */
    WR_TLS_WEAK_ALGORITHM, /* one that is not known here, DSA among them */
};

enum wr_tls_hash {
    WR_TLS_HASH_NONE,
    WR_TLS_HASH_SHA256,
    WR_TLS_HASH_SHA384,
    WR_TLS_HASH_SHA512,
};

enum wr_tls_key_kind {
    WR_TLS_KEY_RSA,
    WR_TLS_KEY_CURVE,
    WR_TLS_KEY_EDWARDS,
};

/* A strong signature. */
struct wr_tls_signature_kind {
    enum wr_tls_key_kind key;
    enum wr_tls_hash hash; /* WR_TLS_HASH_NONE: of an Edwards curve */
    bool is_pss;
    enum wr_tls_hash mask; /* of PSS; WR_TLS_HASH_NONE: by SHA-1 */
    uint32_t salt_size;    /* of PSS */
};

struct wr_tls_key_strength {
    enum wr_tls_strength strength;
    uint32_t rsa_bits; /* 0: another key */
};

struct wr_tls_rsa_numbers {
    struct wr_tls_der modulus;
    struct wr_tls_der exponent;
    bool is_pss_alone; /* such a key signs nothing by PKCS #1 1.5 */
};

/* @algorithm: the inside of a signature's AlgorithmIdentifier. False of what is
 * none. */
WEIR_MUST_USE bool wr_tls_strength_of_signature(struct wr_tls_der algorithm,
                                                enum wr_tls_strength *ret);

/* True of a strong signature; @algorithm as above. */
WEIR_MUST_USE bool
wr_tls_strength_find_signature(struct wr_tls_der algorithm,
                               struct wr_tls_signature_kind *ret);

/* @info: a SubjectPublicKeyInfo, with its header. False of what is none. */
WEIR_MUST_USE bool wr_tls_strength_of_key(struct wr_tls_der info,
                                          struct wr_tls_key_strength *ret);

/* The numbers of an RSA key; @info as above. False of another key. */
WEIR_MUST_USE bool wr_tls_strength_find_rsa(struct wr_tls_der info,
                                            struct wr_tls_rsa_numbers *ret);

#endif

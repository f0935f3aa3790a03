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

struct wr_tls_key_strength {
    enum wr_tls_strength strength;
    uint32_t rsa_bits; /* 0: another key */
};

/* @algorithm: the inside of a signature's AlgorithmIdentifier. False of what is
 * none. */
WEIR_MUST_USE bool wr_tls_strength_of_signature(struct wr_tls_der algorithm,
                                                enum wr_tls_strength *ret);

/* @info: the inside of a SubjectPublicKeyInfo. False of what is none. */
WEIR_MUST_USE bool wr_tls_strength_of_key(struct wr_tls_der info,
                                          struct wr_tls_key_strength *ret);

#endif

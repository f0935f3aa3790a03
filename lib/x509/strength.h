/*
 * How strong the keys and the signatures of certificates are.
 *
 * Pure: it looks at which algorithm is said to be used, and verifies nothing.
 * RSA of 2048 to 4096 bits with an exponent of up to 64, the NIST curves from
 * P-256 on and Ed25519 are strong, with SHA-256 or a longer hash.
 */
#ifndef WEIR_LIB_X509_STRENGTH_H
#define WEIR_LIB_X509_STRENGTH_H

#include "der.h"

/* The strength of a key or a signature. */
enum wr_x509_strength {
    WR_X509_STRONG,
    WR_X509_WEAK_RSA,       /* RSA of other sizes than those above */
    WR_X509_WEAK_CURVE,     /* no NIST curve of 256 bits or more */
    WR_X509_WEAK_HASH,      /* MD5, SHA-1 and the like */
    WR_X509_WEAK_ALGORITHM, /* one that is not known here, DSA among them */
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
};

/* A strong signature. */
struct wr_x509_signature_kind {
    enum wr_x509_key_kind key;
    enum wr_x509_hash hash; /* WR_X509_HASH_NONE: of an Edwards curve */
    bool is_pss;
    enum wr_x509_hash mask; /* of PSS; WR_X509_HASH_NONE: by SHA-1 */
    uint32_t salt_size;     /* of PSS */
};

struct wr_x509_key_strength {
    enum wr_x509_strength strength;
    uint32_t rsa_bits; /* 0: another key */
};

struct wr_x509_rsa_numbers {
    struct wr_der modulus;
    struct wr_der exponent;
    bool is_pss_alone; /* such a key signs nothing by PKCS #1 1.5 */
};

/* @algorithm: the inside of a signature's AlgorithmIdentifier. False of what is
 * none. */
WEIR_MUST_USE bool wr_x509_strength_of_signature(struct wr_der algorithm,
                                                 enum wr_x509_strength *ret);

/* True of a strong signature; @algorithm as above. */
WEIR_MUST_USE bool
wr_x509_strength_find_signature(struct wr_der algorithm,
                                struct wr_x509_signature_kind *ret);

/* @info: a SubjectPublicKeyInfo, with its header. False of what is none. */
WEIR_MUST_USE bool wr_x509_strength_of_key(struct wr_der info,
                                           struct wr_x509_key_strength *ret);

/* The numbers of an RSA key; @info as above. False of another key. */
WEIR_MUST_USE bool wr_x509_strength_find_rsa(struct wr_der info,
                                             struct wr_x509_rsa_numbers *ret);

#endif

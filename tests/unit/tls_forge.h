/*
 * Forged certificates and lists of revocations.
 *
 * A forged one says that it is signed by another algorithm than its issuer's
 * key is for. Its signature is made of the issuer's public key alone: a
 * verifier that takes the hash by the algorithm, for Ed25519 none, and the
 * arithmetic by the key verifies an ECDSA signature over nothing, a number 0.
 * With R = k * Q, r = x(R) and s = r / k any k makes one that is good.
 */
#ifndef WEIR_TESTS_UNIT_TLS_FORGE_H
#define WEIR_TESTS_UNIT_TLS_FORGE_H

#include "lib/x509/der.h"

#include <stdint.h>

/* The content of an AlgorithmIdentifier. */
struct tls_forge_algorithm {
    const char *name;
    uint8_t size;
    uint8_t data[16];
};

/* The certificate or list @der with another algorithm, "signed" by the public
 * key of @issuer, a SubjectPublicKeyInfo. The result is malloc()'s, given. */
struct wr_bytes tls_forge(struct wr_bytes der,
                          const struct tls_forge_algorithm *algorithm,
                          struct wr_bytes issuer);

/* Appends a block of PEM to a text; returns the text's new size. */
size_t tls_forge_pem(struct wr_bytes der, const char *label, char *text,
                     size_t size, size_t capacity);

/* True if OpenSSL takes the signature for one over the number 0. */
bool tls_forge_is_over_nothing(struct wr_bytes der, struct wr_bytes issuer);

#endif

/*
 * Forged certificates and revocation lists.
 *
 * A forged certificate claims a signature algorithm that does not match its
 * issuer's key. The signature is made from the issuer's public key alone: a
 * verifier that takes the hash from the algorithm (none for Ed25519) but the
 * arithmetic from the key verifies an ECDSA signature over nothing, the number
 * 0. With R = k * Q, r = x(R) and s = r / k, any k gives a valid one.
 */
#ifndef WEIR_TESTS_UNIT_TLS_FORGE_H
#define WEIR_TESTS_UNIT_TLS_FORGE_H

#include "lib/x509/der.h"

#include <stdint.h>

/* Content of an AlgorithmIdentifier. */
struct tls_forge_algorithm {
    const char *name;
    uint8_t size;
    uint8_t data[16];
};

/* Returns the certificate or list @der with another algorithm, "signed" with
 * the public key of @issuer, a SubjectPublicKeyInfo. The caller frees the
 * result. */
struct wr_bytes tls_forge(struct wr_bytes der,
                          const struct tls_forge_algorithm *algorithm,
                          struct wr_bytes issuer);

/* Appends a PEM block to a text. Returns the new size. */
size_t tls_forge_pem(struct wr_bytes der, const char *label, char *text,
                     size_t size, size_t capacity);

/* Returns true if OpenSSL accepts the signature over the number 0. */
bool tls_forge_is_over_nothing(struct wr_bytes der, struct wr_bytes issuer);

#endif

/*
 * Checks whether a peer's share of a key exchange is a point of its group. Pure
 * functions.
 *
 * RFC 8446, 4.2.8.2 and 7.4.2: a point of P-256, P-384 and P-521 must be on the
 * curve, and a share of X25519 must not make the common secret zero. wolfSSL
 * does not check this unless it is built to validate each key that it imports.
 * Such a build doubles the time of a handshake, since wolfSSL multiplies each
 * key by the group's order, including its own key and the keys of certificates.
 */
#ifndef WEIR_LIB_TLS_ENGINE_POINT_H
#define WEIR_LIB_TLS_ENGINE_POINT_H

#include "weir/base.h"

enum {
    WR_TLS_GROUP_P256 = 23,
    WR_TLS_GROUP_P384 = 24,
    WR_TLS_GROUP_P521 = 25,
    WR_TLS_GROUP_X25519 = 29,
    WR_TLS_GROUP_X25519_MLKEM = 4588, /* X25519MLKEM768 */
};

/* Returns true for each of the groups above except the hybrid group. */
bool wr_tls_point_knows(uint16_t group);

/* Returns true if this is a share of X25519MLKEM768: a client's ML-KEM-768 key,
 * or a server's ciphertext, followed by a valid share of X25519. The TLS
 * library checks the ML-KEM key (FIPS 203, 7.2). */
WEIR_MUST_USE bool wr_tls_point_is_hybrid(const uint8_t *data, size_t size,
                                          bool is_of_client);

/* Returns true if the share is valid in its group, which must be known. */
WEIR_MUST_USE bool wr_tls_point_is_good(uint16_t group, const uint8_t *data,
                                        size_t size);

/* Returns true if this is a point of a curve in the compressed form, which only
 * TLS 1.2 has (RFC 4492, 5.1.2). Costs a square root modulo p. */
WEIR_MUST_USE bool wr_tls_point_is_compressed(uint16_t group,
                                              const uint8_t *data, size_t size);

#endif

/*
 * Whether a peer's share of a key exchange is a point of its group.
 *
 * RFC 8446, 4.2.8.2 and 7.4.2: a point of P-256, P-384 and P-521 must be on the
 * curve, and a share of X25519 must not make the common secret zero. wolfSSL
 * computes with what it gets, unless it is built to validate each key that it
 * imports; then a handshake takes twice as long, since it multiplies each by
 * the group's order, also certificates' keys and the own one. Pure.
 */
#ifndef WEIR_LIB_TLS_ENGINE_POINT_H
#define WEIR_LIB_TLS_ENGINE_POINT_H

#include "weir/base.h"

/* IANA's numbers of the groups that are known here. */
enum {
    WR_TLS_GROUP_P256 = 23,
    WR_TLS_GROUP_P384 = 24,
    WR_TLS_GROUP_P521 = 25,
    WR_TLS_GROUP_X25519 = 29,
    WR_TLS_GROUP_X25519_MLKEM = 4588, /* X25519MLKEM768 */
};

/* True for all of them but the hybrid one. */
bool wr_tls_point_knows(uint16_t group);

/* True if this is a share of X25519MLKEM768: a key of ML-KEM-768 of a client,
 * or a ciphertext of a server, and a good share of X25519 behind it. Whether
 * the key is one only the library finds out (FIPS 203, 7.2). */
WEIR_MUST_USE bool wr_tls_point_is_hybrid(const uint8_t *data, size_t size,
                                          bool is_of_client);

/* True if the share is one of its group, which is known. */
WEIR_MUST_USE bool wr_tls_point_is_good(uint16_t group, const uint8_t *data,
                                        size_t size);

/* True if this is a point of a curve in the compressed form, which TLS 1.2 has
 * alone (RFC 4492, 5.1.2). It takes a square root. */
WEIR_MUST_USE bool wr_tls_point_is_compressed(uint16_t group,
                                              const uint8_t *data, size_t size);

#endif

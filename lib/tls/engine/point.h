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
};

bool wr_tls_point_knows(uint16_t group);

/* True if the share is one of its group, which is known. */
WEIR_MUST_USE bool wr_tls_point_is_good(uint16_t group, const uint8_t *data,
                                        size_t size);

#endif

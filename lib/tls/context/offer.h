/*
 * Determines from a client's hello which kinds of keys the client can use in a
 * server's certificate: by its signature schemes, and with TLS 1.2 also by its
 * suites and curves. Pure functions.
 *
 * A server with several certificates for a name shows one that the client can
 * use. The client's schemes for signatures on certificates
 * (signature_algorithms_cert) are ignored.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_OFFER_H
#define WEIR_LIB_TLS_CONTEXT_OFFER_H

#include "lib/x509/strength.h"

#include <stdint.h>

/* Kinds of keys, a bit each. */
enum {
    WR_TLS_OFFER_RSA = 1 << 0,
    WR_TLS_OFFER_P256 = 1 << 1,
    WR_TLS_OFFER_P384 = 1 << 2,
    WR_TLS_OFFER_P521 = 1 << 3,
    WR_TLS_OFFER_EDWARDS = 1 << 4,
};

/* Well-formed parts of a hello; data is NULL if the hello has no such part. */
struct wr_tls_offer {
    struct wr_bytes suites;  /* two-byte numbers */
    struct wr_bytes schemes; /* these are bodies of extensions */
    struct wr_bytes groups;
    struct wr_bytes versions;
};

/* Returns the bit of a key, or 0 if the key is not supported. */
uint8_t wr_tls_offer_kind_of(const struct wr_x509_key_strength *key);

/* Returns the kinds that the client cannot use. If @has_newest the server
 * supports TLS 1.3; @suites are its TLS 1.2 suites (suites.h). Malformed parts
 * exclude nothing, because wolfSSL refuses them. */
uint8_t wr_tls_offer_lacks(const struct wr_tls_offer *offer, bool has_newest,
                           uint32_t suites);

#endif

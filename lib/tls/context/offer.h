/*
 * The kinds of keys that a client can use in a server's certificate, by its
 * hello: by the schemes of signatures, and with TLS 1.2 by suites and curves
 * too. Pure.
 *
 * A server with several certificates for a name shows one that the client can
 * use. What the client says about signatures on certificates
 * (signature_algorithms_cert) is not asked.
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

/* Parts of a hello that can be read; data NULL: the hello has no such part. */
struct wr_tls_offer {
    struct wr_bytes suites;  /* numbers of two bytes */
    struct wr_bytes schemes; /* bodies of extensions */
    struct wr_bytes groups;
    struct wr_bytes versions;
};

/* The bit of a key; 0: of a key that is not known here. */
uint8_t wr_tls_offer_kind_of(const struct wr_x509_key_strength *key);

/* The kinds that the client cannot use. The server's highest version is TLS 1.3
 * where it @has_newest, and @suites are its suites of TLS 1.2 (suites.h). Parts
 * that cannot be read exclude nothing: wolfSSL refuses them. */
uint8_t wr_tls_offer_lacks(const struct wr_tls_offer *offer, bool has_newest,
                           uint32_t suites);

#endif

/*
 * wolfCrypt's primitives, with the contracts of the table of backends
 * (lib/tls/backend/backend.h). They keep no state between calls, so that any
 * thread may call them.
 */
#ifndef WEIR_LIB_TLS_WOLFSSL_PRIMITIVE_H
#define WEIR_LIB_TLS_WOLFSSL_PRIMITIVE_H

#include "lib/tls/backend/backend.h"

WEIR_MUST_USE int wr_wolfssl_hash(enum wr_x509_hash kind, struct wr_bytes data,
                                  uint8_t ret[WR_TLS_HASH_MAX]);
WEIR_MUST_USE int wr_wolfssl_verify(const struct wr_tls_signed *job);
WEIR_MUST_USE int wr_wolfssl_seal(const struct wr_tls_aead *job);
WEIR_MUST_USE int wr_wolfssl_open_sealed(const struct wr_tls_aead *job);
WEIR_MUST_USE int wr_wolfssl_expand(enum wr_x509_hash kind,
                                    struct wr_bytes secret, const char *label,
                                    uint8_t *ret, size_t size);

/* unlock.c */
WEIR_MUST_USE int wr_wolfssl_derive(const struct wr_tls_derive *job);
WEIR_MUST_USE int wr_wolfssl_open_cbc(struct wr_bytes key,
                                      const uint8_t iv[WR_TLS_CBC_BLOCK],
                                      uint8_t *data, size_t size);

#endif

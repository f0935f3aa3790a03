/*
 * A certificate that has a key and nothing else, for a library that needs only
 * the key of a peer's certificate. The library gets it instead of the peer's
 * certificate, which weir has verified: a parser that reads the peer's
 * certificate differently could accept or refuse something else. Pure
 * functions.
 */
#ifndef WEIR_LIB_X509_BARE_H
#define WEIR_LIB_X509_BARE_H

#include "lib/base/bytes.h"

#include "weir/base.h"

/* Maximum sizes of a key, larger than any that weir accepts, and of a
 * certificate. */
#define WR_X509_BARE_KEY_MAX 2048u
#define WR_X509_BARE_MAX     (WR_X509_BARE_KEY_MAX + 256u)

/* Writes a certificate of version 3 with the key @info, a SubjectPublicKeyInfo
 * with its header. If the data of @info is NULL, the key is unknown. Returns
 * the size. */
size_t wr_x509_bare_make(uint8_t ret[WR_X509_BARE_MAX], struct wr_bytes info);

/* Writes the same certificate with exactly @size bytes. The signature fills the
 * rest, and lengths have more bytes than DER allows, which the library's parser
 * must accept. Returns false if the certificate does not fit. */
WEIR_MUST_USE bool wr_x509_bare_write(uint8_t *ret, size_t size,
                                      struct wr_bytes info);

#endif

/*
 * A certificate that has a key and says nothing else, for a library that reads
 * a peer's certificate for its key alone.
 *
 * weir has judged the certificate as it was sent. What another reader thinks of
 * it can only make two libraries differ; so none gets it. Pure.
 */
#ifndef WEIR_LIB_X509_BARE_H
#define WEIR_LIB_X509_BARE_H

#include "lib/base/bytes.h"

#include "weir/base.h"

/* The most bytes of a key, more than any has that weir accepts, and those of a
 * certificate. */
#define WR_X509_BARE_KEY_MAX 2048u
#define WR_X509_BARE_MAX     (WR_X509_BARE_KEY_MAX + 256u)

/* Writes a certificate of version 3 with the key @info, a SubjectPublicKeyInfo
 * with its header; data NULL: with a key of no kind. Returns its size. */
size_t wr_x509_bare_make(uint8_t ret[WR_X509_BARE_MAX], struct wr_bytes info);

/* Writes one of exactly @size bytes, for a reader that takes lengths which are
 * longer than they need be. False: it has no room. */
WEIR_MUST_USE bool wr_x509_bare_write(uint8_t *ret, size_t size,
                                      struct wr_bytes info);

#endif

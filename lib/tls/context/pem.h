/*
 * Texts in the PEM format (RFC 7468).
 *
 * Blocks with one label are taken off a text one by one, as bytes; blocks with
 * other labels and text between blocks are skipped.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_PEM_H
#define WEIR_LIB_TLS_CONTEXT_PEM_H

#include "lib/x509/der.h"

/* Takes the next block with this label, e.g. "CERTIFICATE", off a text, and all
 * before it. *ret: the block's bytes, malloc()'s, given; data NULL: invalid
 * base64. Returns 1, 0 if there is none, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_pem_next(struct wr_bytes *text, const char *label,
                                  struct wr_bytes *ret);

/* Writes the bytes of base64 to @ret, which has room for as many as the text
 * has. Between letters there may be white space. Returns how many bytes; 0: it
 * is no base64, or an empty one. */
size_t wr_tls_pem_decode(struct wr_bytes text, uint8_t *ret);

#endif

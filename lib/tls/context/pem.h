/*
 * Texts in the PEM format (RFC 7468).
 *
 * Blocks with one label are taken off a text one by one and decoded; blocks
 * with other labels and text between blocks are skipped.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_PEM_H
#define WEIR_LIB_TLS_CONTEXT_PEM_H

#include "lib/x509/der.h"

/* Takes the next block with this label, such as "CERTIFICATE", off a text, with
 * everything before it. The caller frees the bytes in *ret with free(); the
 * data is NULL if the base64 is invalid. Returns 1, 0 if there is no such
 * block, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_pem_next(struct wr_bytes *text, const char *label,
                                  struct wr_bytes *ret);

/* Decodes base64 to @ret, which must have as much space as the text. White
 * space is ignored. Returns the number of bytes, or 0 if the text is invalid or
 * empty. */
size_t wr_tls_pem_decode(struct wr_bytes text, uint8_t *ret);

#endif

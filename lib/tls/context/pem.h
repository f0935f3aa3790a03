/*
 * Texts in the PEM format (RFC 7468).
 *
 * Blocks with one label are taken off a text, one after the other, as bytes;
 * blocks with other labels, and words between them, are passed over.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_PEM_H
#define WEIR_LIB_TLS_CONTEXT_PEM_H

#include "lib/x509/der.h"

/* Takes the next block with this label, "CERTIFICATE", off a text, whatever
 * stands before it. *ret: its bytes, malloc()'s, given; data NULL: what is in
 * it is no base64. 1, 0 where there is none, or -ENOMEM. */
WEIR_MUST_USE int wr_tls_pem_next(struct wr_der *text, const char *label,
                                  struct wr_der *ret);

#endif

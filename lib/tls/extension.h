/*
 * The extensions of certificates (RFC 5280, 4.2).
 *
 * Pure. Each is read into the fields of the certificate that it is in, and only
 * what it says is written: what is left out keeps its default.
 */
#ifndef WEIR_LIB_TLS_EXTENSION_H
#define WEIR_LIB_TLS_EXTENSION_H

#include "certificate.h"

/* Reads the inside of an Extension into @x509. @seen: a bit for each one that
 * came before. False of one that is malformed, or comes again. */
WEIR_MUST_USE bool wr_tls_extension_read(struct wr_tls_x509 *x509,
                                         struct wr_tls_der extension,
                                         uint64_t *seen);

#endif

/*
 * Whether a certificate's name is that of a host, by the strict reading of RFC
 * 9525: a pure comparison of texts.
 *
 * Case does not matter, nor a dot at the end of the host. A wildcard is a whole
 * first label, covers exactly one label, and has two labels or more after it.
 * Names beyond ASCII are compared in the form that DNS has ("xn--...").
 */
#ifndef WEIR_LIB_X509_HOSTNAME_H
#define WEIR_LIB_X509_HOSTNAME_H

#include "weir/base.h"

/* Bytes of the longest address. */
#define WR_X509_IP_SIZE 16u

/* True when @len bytes of two names are the same but for capital letters of
 * ASCII; the functions of the C library follow the locale instead. */
WEIR_MUST_USE bool wr_x509_hostname_is_same(const char *a, const char *b,
                                            size_t len);

/* True when @host is the host that @name, a DNS name of a certificate of @len
 * bytes, stands for. A literal address is no DNS name. */
WEIR_MUST_USE bool wr_x509_hostname_matches(const char *host, const char *name,
                                            size_t len);

/* The bytes of a literal address, IPv4 or IPv6 with or without a zone, in
 * network order: 4 or 16 of them, or 0 for text that is no address. */
WEIR_MUST_USE size_t wr_x509_hostname_read_ip(const char *host,
                                              uint8_t ret[WR_X509_IP_SIZE]);

#endif

/*
 * Compares a certificate's names with a host, strictly by RFC 9525. Case and a
 * dot at the end of the host are ignored. A wildcard is the whole first label,
 * covers exactly one label, and is followed by at least two labels. Names
 * outside ASCII are compared in their DNS form ("xn--..."). Pure functions.
 */
#ifndef WEIR_LIB_X509_HOSTNAME_H
#define WEIR_LIB_X509_HOSTNAME_H

#include "weir/base.h"

#define WR_X509_IP_SIZE 16u

/* Ignores the case of ASCII letters. The C library's functions depend on the
 * locale. */
WEIR_MUST_USE bool wr_x509_hostname_is_same(const char *a, const char *b,
                                            size_t len);

/* @name is a certificate's DNS name of @len bytes. A literal address matches no
 * DNS name. */
WEIR_MUST_USE bool wr_x509_hostname_matches(const char *host, const char *name,
                                            size_t len);

/* Returns true if @base is valid in a name constraint (RFC 5280, 4.2.1.10),
 * which permits or excludes a subtree of hosts: a name, a dot and a name, or an
 * empty base, which means all hosts. */
WEIR_MUST_USE bool wr_x509_hostname_is_base(const char *base, size_t len);

/* Parses a literal IPv4 or IPv6 address into network order, without its zone.
 * Returns 4 or 16, the bytes of the address, or 0 if @host is not an
 * address. */
WEIR_MUST_USE size_t wr_x509_hostname_read_ip(const char *host,
                                              uint8_t ret[WR_X509_IP_SIZE]);

#endif

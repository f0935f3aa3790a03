/*
 * Addresses: text to sockaddr and back.
 *
 * Only literal addresses are understood here, IPv4, IPv6 with an optional zone
 * ("fe80::1%eth0"), port numbers, and the names of Unix sockets; host names
 * belong to the resolver. Nothing in this file asks the network or a file.
 */
#ifndef WEIR_LIB_BASE_ADDRESS_H
#define WEIR_LIB_BASE_ADDRESS_H

#include "weir/address.h"

/* weir_address_parse() that also takes NULL or "": the wildcard address of
 * @family (AF_UNSPEC: IPv6's). */
WEIR_MUST_USE int wr_address_passive(int family, const char *host,
                                     uint16_t port, struct weir_address *ret);

/* True if the family is one that weir knows and the length fits it. */
bool wr_address_is_valid(const struct weir_address *addr);

/* True for a Unix address without a name: no socket can connect to it. */
bool wr_address_is_unnamed(const struct weir_address *addr);

/* The length of a Unix address's path in sun_path, where a NUL may be missing;
 * 0 if the address names no file. */
size_t wr_address_get_path_len(const struct weir_address *addr);

/* The port; 0 for a Unix address. A Unix address has no port to set. */
uint16_t wr_address_port(const struct weir_address *addr);
void wr_address_set_port(struct weir_address *addr, uint16_t port);

#endif

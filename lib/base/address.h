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

/* weir_address_parse() with NULL or "" for all addresses of @family (AF_UNSPEC:
 * the IPv6 one). */
WEIR_MUST_USE int wr_address_passive(int family, const char *host,
                                     uint16_t port, struct weir_address *ret);

/* True of an address that a program may hand in: of a family that weir knows,
 * with its length. */
bool wr_address_is_valid(const struct weir_address *addr);

/* True of a Unix address without a name, which no socket can connect to. */
bool wr_address_is_unnamed(const struct weir_address *addr);

/* The length of the path of a Unix address in sun_path, which need not be
 * terminated; 0 of an address that is no file's. */
size_t wr_address_get_path_len(const struct weir_address *addr);

/* The port; 0 of a Unix address, which has none to set. */
uint16_t wr_address_port(const struct weir_address *addr);
void wr_address_set_port(struct weir_address *addr, uint16_t port);

#endif

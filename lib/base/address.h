/*
 * Addresses: text to sockaddr and back.
 *
 * Only literal addresses are parsed here: IPv4, IPv6 with an optional zone
 * ("fe80::1%eth0"), port numbers, and the names of Unix sockets. No function
 * uses the network or a file.
 */
#ifndef WEIR_LIB_BASE_ADDRESS_H
#define WEIR_LIB_BASE_ADDRESS_H

#include "weir/address.h"

/* Like weir_address_parse(). If @host is NULL or "", returns the wildcard
 * address of @family, or of IPv6 for AF_UNSPEC. */
WEIR_MUST_USE int wr_address_passive(int family, const char *host,
                                     uint16_t port, struct weir_address *ret);

/* Returns true if weir knows the family and the length fits it. */
bool wr_address_is_valid(const struct weir_address *addr);

/* Returns true for an unnamed Unix address, to which no socket can connect. */
bool wr_address_is_unnamed(const struct weir_address *addr);

static inline bool wr_address_is_among(const struct weir_address *addr,
                                       const struct weir_address *all,
                                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (weir_address_is_equal(&all[i], addr)) {
            return true;
        }
    }
    return false;
}

/* Returns 0 if @addr names no file. The path may not be terminated. */
size_t wr_address_get_path_len(const struct weir_address *addr);

/* The port of a Unix address is 0 and cannot be set. */
uint16_t wr_address_port(const struct weir_address *addr);
void wr_address_set_port(struct weir_address *addr, uint16_t port);

#endif

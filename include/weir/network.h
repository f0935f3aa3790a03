/**
 * @file network.h
 * Networks as values, such as "10.0.0.0/8", "2001:db8::/32" and "unix". A
 * program uses them to decide by the address of a peer whether to trust it.
 *
 * A server that trusts only its proxies checks the peer of each connection:
 *
 * @code{.c}
 * if (!weir_network_list_contains(trusted, trusted_count, &peer)) {
 *     weir_transport_abort(t); // before its PROXY header is read
 * }
 * @endcode
 *
 * **IPv4 in IPv6.** A socket for both families shows an IPv4 peer as
 * "::ffff:192.0.2.1". Such an address counts as an IPv4 address: IPv4 networks
 * contain it, and "::/0" does not. A network "::ffff:10.0.0.0/104" is read as
 * "10.0.0.0/8".
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_NETWORK_H
#define WEIR_NETWORK_H

#include "address.h"
#include "base.h"

WEIR_BEGIN_DECLS

/** Size of a buffer that is large enough for every text of
 * weir_network_format(), with the NUL. */
#define WEIR_NETWORK_TEXT_SIZE 52

/** A range of IPv4 or IPv6 addresses, or all Unix addresses. */
struct weir_network {
    /** The family: AF_INET, AF_INET6 or AF_UNIX. A network with the family 0
     * contains no address. */
    sa_family_t family;
    /** Number of leading bits that all addresses of the network have in common,
     * at most 32 for AF_INET and 128 for AF_INET6; 0 for AF_UNIX. */
    uint8_t prefix_bits;
    /** The first address of the network, in network byte order; 4 bytes for
     * AF_INET. All bits after the prefix are 0. */
    uint8_t bytes[16];
};

/**
 * Read a network from text: an address and the number of common bits, as in
 * "10.0.0.0/8" and "2001:db8::/32"; an address alone, which is a network of one
 * address; or "unix" for all Unix addresses.
 *
 * @param text  the text; borrowed
 * @param ret   the network, written on success only
 * @retval WEIR_ENOTLITERAL  the text before the slash is not a literal address,
 *                           or has brackets or a zone
 * @retval -EINVAL           the text after the slash is not a number, is above
 *                           32 for IPv4 or 128 for IPv6, or has leading zeros;
 *                           or the address has bits after the prefix, as in
 *                           "10.0.0.1/8"
 */
WEIR_API WEIR_MUST_USE int weir_network_parse(const char *text,
                                              struct weir_network *ret);

/**
 * Report whether an address is in a network. Port and zone are ignored. An
 * address of another family, or an empty address, is not in the network.
 *
 * @param addr  the address; borrowed
 */
WEIR_API bool weir_network_contains(const struct weir_network *network,
                                    const struct weir_address *addr);

/**
 * Report whether an address is in at least one of several networks.
 *
 * @param networks  the networks; borrowed, NULL if @p count is 0
 * @param count     number of networks
 * @param addr      the address; borrowed
 */
WEIR_API bool weir_network_list_contains(const struct weir_network *networks,
                                         size_t count,
                                         const struct weir_address *addr);

/**
 * Write a network as text. weir_network_parse() can read the text, which is an
 * address with the number of bits, or "unix". An empty network is written as
 * "-".
 *
 * @param buf   memory for the text, which is always terminated by a NUL
 * @param size  size of @p buf in bytes; WEIR_NETWORK_TEXT_SIZE is always enough
 * @return      @p buf
 */
WEIR_API const char *weir_network_format(const struct weir_network *network,
                                         char *buf, size_t size);

WEIR_END_DECLS

#endif

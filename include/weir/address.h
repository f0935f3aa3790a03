/**
 * @file address.h
 * Socket addresses as values.
 *
 * Literal addresses only: these functions read and write text, and look no name
 * up.
 * All functions may be called from any thread.
 */
#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

#include "base.h"

#include <netinet/in.h>
#include <sys/socket.h>

WEIR_BEGIN_DECLS

/** Room for every text that weir_address_format() writes, the NUL included. */
#define WEIR_ADDRESS_TEXT_SIZE 128

/** An IPv4 or IPv6 address with its port. */
struct weir_address {
    /** Bytes used in storage; 0 means "no address". */
    socklen_t len;
    /** The address as the kernel wants it. */
    union {
        /** Family and nothing else. */
        struct sockaddr any;
        /** When the family is AF_INET. */
        struct sockaddr_in inet;
        /** When the family is AF_INET6. */
        struct sockaddr_in6 inet6;
    } storage;
};

/**
 * Read a literal address.
 *
 * Understands dotted IPv4 ("192.0.2.1") and IPv6 ("2001:db8::1", with or
 * without brackets, with a zone as in "fe80::1%eth0"; RFC 4007).
 *
 * @param host  the text; borrowed
 * @param port  port in host byte order
 * @param ret   the address, written on success only
 * @return      0 or a negative error
 * @retval WEIR_ENOTLITERAL  @p host is not a literal address (a name, perhaps)
 * @retval -ENODEV           the zone names no interface of this machine
 * @suspends no
 * @thread any
 */
WEIR_API WEIR_MUST_USE int weir_address_parse(const char *host, uint16_t port,
                                              struct weir_address *ret);

/**
 * Read an address and a port from one text, as in "127.0.0.1:80" and
 * "[::1]:80".
 *
 * @param text  the text; borrowed
 * @param ret   the address, written on success only
 * @return      0 or a negative error
 * @retval -EINVAL           no port, or a port that is no number up to 65535
 * @retval WEIR_ENOTLITERAL  the host is not a literal address
 * @retval -ENODEV           the zone names no interface of this machine
 * @suspends no
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_address_parse_with_port(const char *text, struct weir_address *ret);

/**
 * Write an address as text: "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80",
 * or "-" when there is none.
 *
 * @param addr  the address; borrowed
 * @param buf   destination, always terminated
 * @param size  bytes in @p buf, WEIR_ADDRESS_TEXT_SIZE is always enough
 * @return      @p buf
 * @suspends no
 * @thread any
 */
WEIR_API const char *weir_address_format(const struct weir_address *addr,
                                         char *buf, size_t size);

WEIR_END_DECLS

#endif

/**
 * @file address.h
 * Socket addresses as values: IPv4, IPv6 and Unix.
 *
 * These functions read and write literal addresses and do not resolve names.
 * Calls that connect accept these values as well as text; see connect.h.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

#include "base.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

WEIR_BEGIN_DECLS

/** Size of a buffer that is large enough for every text of
 * weir_address_format(), with the NUL. */
#define WEIR_ADDRESS_TEXT_SIZE 448

/** An IPv4 or IPv6 address with its port, or a Unix address. */
struct weir_address {
    /** Number of bytes that are used in storage; 0 means that there is no
     * address. */
    socklen_t len;
    /** The address in the kernel's format. */
    union {
        /** Only the family. */
        struct sockaddr any;
        /** The address if the family is AF_INET. */
        struct sockaddr_in inet;
        /** The address if the family is AF_INET6. */
        struct sockaddr_in6 inet6;
        /** The address if the family is AF_UNIX. len includes the used bytes of
         * sun_path; a path ends before its first NUL, if it has one. */
        struct sockaddr_un local;
    } storage;
};

/**
 * Read a literal address from text: IPv4 in dotted form ("192.0.2.1"), or IPv6
 * ("2001:db8::1"), with or without brackets, and with or without a zone as in
 * "fe80::1%eth0" (RFC 4007).
 *
 * @param host  the text; borrowed
 * @param port  the port in host byte order
 * @param ret   the address, written on success only
 * @retval WEIR_ENOTLITERAL  @p host is not a literal address; it may be a name
 * @retval -ENODEV           the zone names no interface of this machine
 */
WEIR_API WEIR_MUST_USE int weir_address_parse(const char *host, uint16_t port,
                                              struct weir_address *ret);

/**
 * Read an address and a port from one text, as in "127.0.0.1:80" and
 * "[::1]:80".
 *
 * @param text  the text; borrowed
 * @param ret   the address, written on success only
 * @retval -EINVAL           there is no port, or it is not a number up to 65535
 * @retval WEIR_ENOTLITERAL  the host is not a literal address
 * @retval -ENODEV           the zone names no interface of this machine
 */
WEIR_API WEIR_MUST_USE int
weir_address_parse_with_port(const char *text, struct weir_address *ret);

/**
 * Make a Unix address of a path or of an abstract name.
 *
 * An abstract name begins with a NUL byte, may contain any bytes, and is not a
 * file. If @p len is 0, the address has no name; a socket that is bound to such
 * an address gets an abstract name from the kernel.
 *
 * @param path  the bytes, which need no NUL at the end; borrowed
 * @param len   number of bytes
 * @param ret   the address, written on success only
 * @retval -ENAMETOOLONG  a path has more than 107 bytes, or an abstract name
 *                        with its leading NUL more than 108 bytes
 * @retval -EINVAL        a path has a NUL byte inside
 */
WEIR_API WEIR_MUST_USE int weir_address_from_unix(const char *path, size_t len,
                                                  struct weir_address *ret);

/**
 * Read a Unix address: a path as in "/run/echo.sock", an abstract name as in
 * "@echo", or "" for an address without a name.
 *
 * The text has no escapes. Write a path that begins with '@' as "./@echo".
 * "@echo" is the same abstract name as HAProxy's `abnsz\@echo`. HAProxy's
 * `abns\@echo` is another name, which is filled up with NUL bytes to 108 bytes;
 * use weir_address_from_unix() for such names.
 *
 * @param text  the text; borrowed
 * @param ret   the address, written on success only
 * @retval -ENAMETOOLONG  the path or the abstract name is too long, as for
 *                        weir_address_from_unix()
 */
WEIR_API WEIR_MUST_USE int weir_address_parse_unix(const char *text,
                                                   struct weir_address *ret);

/**
 * Compare two addresses: family, host, port and zone, or the name of a Unix
 * address. Paths are compared as text. Two Unix addresses without a name are
 * equal, as are two empty addresses.
 *
 * @param a  an address; borrowed
 * @param b  another address; borrowed
 * @return   true if they are equal
 */
WEIR_API bool weir_address_is_equal(const struct weir_address *a,
                                    const struct weir_address *b);

/**
 * Compare two addresses without their ports: family, host and zone. Unix
 * addresses are compared as in weir_address_is_equal(), so all Unix peers
 * without a name count as one host.
 *
 * An IPv4-mapped IPv6 address differs from the IPv4 address: call
 * weir_address_unmap() first for addresses of a socket for both families.
 *
 * @param a  an address; borrowed
 * @param b  another address; borrowed
 * @return   true if they are addresses of the same host
 */
WEIR_API bool weir_address_is_same_host(const struct weir_address *a,
                                        const struct weir_address *b);

/**
 * Change an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2) into the IPv4 address.
 * Sockets for both families report IPv4 peers as IPv4-mapped addresses.
 *
 * @param addr  an address, changed if it is IPv4-mapped; borrowed
 * @return      true if the address was changed
 */
WEIR_API bool weir_address_unmap(struct weir_address *addr);

/**
 * Write an address as text: "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80",
 * "unix:/run/echo.sock", "unix:@abstract", "unix:" for a Unix address without a
 * name, or "-" if there is no address.
 *
 * Backslashes and non-printable or non-ASCII bytes are written as "\x0a".
 *
 * @param buf   memory for the text, which is always terminated by a NUL
 * @param size  size of @p buf in bytes; WEIR_ADDRESS_TEXT_SIZE is always enough
 * @return      @p buf
 */
WEIR_API const char *weir_address_format(const struct weir_address *addr,
                                         char *buf, size_t size);

WEIR_END_DECLS

#endif

/**
 * @file endpoint.h
 * Endpoints: the hosts, addresses, paths and descriptors to connect to, listen
 * on, or bind to.
 *
 * asyncio has different arguments and functions for host and port, path and
 * sock. In weir one value, the endpoint, stands for any of them. Calls whose
 * name ends with `_at` take an endpoint, and so do the options of an upstream:
 *
 * @code{.c}
 * err = weir_open_connection_at(loop, weir_endpoint_fd(fd), NULL, &reader,
 *                               &writer);
 * @endcode
 *
 * An endpoint borrows the data that it points to. The call that gets the
 * endpoint copies the data, or holds it if the call suspends. That call takes
 * the descriptor of an endpoint, even if it fails.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_ENDPOINT_H
#define WEIR_ENDPOINT_H

#include "address.h"
#include "base.h"

WEIR_BEGIN_DECLS

/** The kinds of endpoints. */
enum weir_endpoint_kind {
    /** A name or a literal address, and a port. */
    WEIR_ENDPOINT_HOST,
    /** Addresses of any family. */
    WEIR_ENDPOINT_ADDRESSES,
    /** The path or the abstract name of a Unix socket. */
    WEIR_ENDPOINT_UNIX,
    /** An existing socket of the program. */
    WEIR_ENDPOINT_FD,
    /** A descriptor of the program from which bytes are read (pipe.h). */
    WEIR_ENDPOINT_READ_PIPE,
    /** A descriptor of the program to which bytes are written (pipe.h). */
    WEIR_ENDPOINT_WRITE_PIPE,
};

/** An endpoint; made by weir_endpoint_host() and the other functions of this
 * header. */
struct weir_endpoint {
    /** The kind, which selects the other fields. */
    enum weir_endpoint_kind kind;
    /** The port of a host, in host byte order. */
    uint16_t port;
    /** The descriptor of a socket or a pipe. */
    int fd;
    /** The name or literal address of a host. */
    const char *host;
    /** The path of a Unix socket, as for weir_address_parse_unix(). */
    const char *path;
    /** The first of the addresses. */
    const struct weir_address *addresses;
    /** Number of addresses. */
    size_t address_count;
};

/**
 * Make an empty endpoint, for a datagram endpoint without a local address or
 * without a peer.
 *
 * @return  an endpoint without a host, with port 0
 */
WEIR_API struct weir_endpoint weir_endpoint_none(void);

/**
 * Make the endpoint of a host.
 *
 * @param host  a name or a literal address; NULL makes a server listen on all
 *              addresses; borrowed
 * @param port  the port in host byte order; with 0 the kernel chooses a
 *              server's port
 * @return      the endpoint
 */
WEIR_API struct weir_endpoint weir_endpoint_host(const char *host,
                                                 uint16_t port);

/**
 * Make an endpoint of several addresses of one host.
 *
 * @param addresses  addresses of any family; borrowed
 * @param count      number of addresses, at least 1
 * @return           the endpoint
 */
WEIR_API struct weir_endpoint
weir_endpoint_addresses(const struct weir_address *addresses, size_t count);

/**
 * Make the endpoint of a Unix socket.
 *
 * @param path  a path, or an abstract name as in "@echo" (unix.h); borrowed
 * @return      the endpoint
 */
WEIR_API struct weir_endpoint weir_endpoint_unix(const char *path);

/**
 * Make the endpoint of an existing socket (asyncio's sock).
 *
 * @param fd  the socket; taken by the call that gets the endpoint
 * @return    the endpoint
 */
WEIR_API struct weir_endpoint weir_endpoint_fd(int fd);

/**
 * Make an endpoint for reading a pipe, a terminal or a file, for example
 * standard input (pipe.h).
 *
 * @param fd  a descriptor that is open for reading; taken by the call that gets
 *            the endpoint. To use the descriptor afterwards, pass a duplicate
 * @return    the endpoint
 */
WEIR_API struct weir_endpoint weir_endpoint_read_pipe(int fd);

/**
 * Make an endpoint for writing a pipe, a terminal or a file, for example
 * standard output (pipe.h).
 *
 * @param fd  a descriptor that is open for writing; taken by the call that gets
 *            the endpoint
 * @return    the endpoint
 */
WEIR_API struct weir_endpoint weir_endpoint_write_pipe(int fd);

WEIR_END_DECLS

#endif

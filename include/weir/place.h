/**
 * @file place.h
 * Places: where something connects to, listens, or is bound to.
 *
 * asyncio says that by the arguments host and port, path and sock, each with a
 * function or an overload of its own. Here a place is one value that has either
 * of them, and a call whose name ends with `_at` takes a place, as an upstream
 * has one in its options:
 *
 * @code{.c}
 * err = weir_open_connection_at(loop, weir_place_fd(fd), NULL, &reader,
 * &writer);
 * @endcode
 *
 * A place borrows what it points to, which the call that takes the place copies
 * (calls of tasks: holds). A descriptor is taken by that call, whatever the
 * call returns.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_PLACE_H
#define WEIR_PLACE_H

#include "address.h"
#include "base.h"

WEIR_BEGIN_DECLS

/** The kinds of places. */
enum weir_place_kind {
    /** A name or a literal address, and a port. */
    WEIR_PLACE_HOST,
    /** Addresses of any family. */
    WEIR_PLACE_ADDRESSES,
    /** The path or the abstract name of a Unix socket. */
    WEIR_PLACE_UNIX,
    /** A socket of the program. */
    WEIR_PLACE_FD,
    /** A descriptor of the program that is read (pipe.h). */
    WEIR_PLACE_READ_PIPE,
    /** A descriptor of the program that is written (pipe.h). */
    WEIR_PLACE_WRITE_PIPE,
};

/** A place. The functions below make one. */
struct weir_place {
    /** Which of the others there is. */
    enum weir_place_kind kind;
    /** The port of a host, in host byte order. */
    uint16_t port;
    /** If it is a descriptor. */
    int fd;
    /** If it is a host: a name or a literal address. */
    const char *host;
    /** If it is a Unix socket: as for weir_address_parse_unix(). */
    const char *path;
    /** If it has addresses: the first of them. */
    const struct weir_address *addresses;
    /** How many addresses. */
    size_t address_count;
};

/**
 * No place: a datagram endpoint without an own address, or without a peer.
 *
 * @return  the place of no host, with port 0
 */
WEIR_API struct weir_place weir_place_none(void);

/**
 * The place of a host.
 *
 * @param host  a name or a literal address; NULL, where a server listens, for
 *              all addresses; borrowed
 * @param port  the port in host byte order; 0, where a server listens, to let
 *              the kernel choose
 * @return      the place
 */
WEIR_API struct weir_place weir_place_host(const char *host, uint16_t port);

/**
 * The place of a host that has these addresses.
 *
 * @param addresses  addresses of any family; borrowed
 * @param count      how many, at least 1
 * @return           the place
 */
WEIR_API struct weir_place
weir_place_addresses(const struct weir_address *addresses, size_t count);

/**
 * The place of a Unix socket.
 *
 * @param path  a path, or an abstract name as in "@echo" (unix.h); borrowed
 * @return      the place
 */
WEIR_API struct weir_place weir_place_unix(const char *path);

/**
 * The place at which a socket is (asyncio's sock).
 *
 * @param fd  the socket; taken by the call that takes the place
 * @return    the place
 */
WEIR_API struct weir_place weir_place_fd(int fd);

/**
 * The place at which a pipe, a terminal or a file is read, standard input for
 * example; to connect to, as pipe.h says.
 *
 * @param fd  a descriptor that is open for reading; taken by the call that
 *            takes the place: pass a duplicate to use it afterwards
 * @return    the place
 */
WEIR_API struct weir_place weir_place_read_pipe(int fd);

/**
 * The place at which a pipe, a terminal or a file is written, standard output
 * for example; to connect to, as pipe.h says.
 *
 * @param fd  a descriptor that is open for writing; taken by the call that
 *            takes the place
 * @return    the place
 */
WEIR_API struct weir_place weir_place_write_pipe(int fd);

WEIR_END_DECLS

#endif

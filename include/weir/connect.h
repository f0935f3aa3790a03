/**
 * @file connect.h
 * Connecting stream sockets, and making transports of sockets that are already
 * connected.
 *
 * Tasks use the functions of stream.h instead, such as weir_open_connection(),
 * with the same options.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_CONNECT_H
#define WEIR_CONNECT_H

#include "base.h"
#include "connect_options.h"
#include "endpoint.h"
#include "pending.h"
#include "protocol.h"

WEIR_BEGIN_DECLS

/**
 * Connect to a host (asyncio's create_connection).
 *
 * A host name is looked up (resolver.h), and its addresses are tried as in RFC
 * 8305 ("Happy Eyeballs"): IPv6 and IPv4 alternately. The next address is tried
 * when an attempt has failed or takes longer than 250 ms, and no attempt waits
 * for the slower of the two lookups. The first connection is used, and the
 * others are closed.
 *
 * If no socket listens and the kernel chooses the destination's port as the
 * local port, TCP connects the socket with itself. weir treats this as the
 * error -ECONNREFUSED.
 *
 * If all addresses have failed, @p done gets the first of these errors that
 * exists:
 * - the error of an address that was not tried because descriptors, memory or
 *   threads ran out;
 * - the error of the first address for which this machine has the family and a
 *   route;
 * - the error of the first address.
 *
 * weir_pending_get_attempt() and error_text have all errors; error_text begins
 * with the error that @p done gets. If the peer has refused the TLS handshake,
 * error_text and weir_connect_get_tls_alert() have its alert.
 *
 * @param factory  called once the connection is established; copied
 * @param host     a name or a literal address; borrowed
 * @param port     the port in host byte order
 * @param ret      set to a handle for weir_pending_cancel(), and inside @p done
 *                 for weir_pending_get_attempt() and
 *                 weir_connect_get_tls_alert(); may be NULL, and must be NULL
 *                 without @p done
 * @retval WEIR_EDNSBADNAME  @p host is neither an address nor a host name
 * @retval -EINVAL      @p factory or @p host is NULL; the address has another
 *                      family than requested; the local address is invalid;
 *                      proto is neither TCP nor Multipath TCP; fast_open is set
 *                      with Multipath TCP; or @p ret is given without @p done
 */
WEIR_API WEIR_MUST_USE int weir_create_connection(
    weir_loop *loop, const struct weir_factory *factory, const char *host,
    uint16_t port, const struct weir_connect_options *options,
    weir_connect_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Connect to an endpoint, or make a transport of a connected stream socket
 * (asyncio's create_connection with sock, and connect_accepted_socket) or of a
 * pipe.
 *
 * Several addresses are tried like the addresses of a host. Addresses of
 * another family than requested are skipped. For TLS on an existing socket the
 * kind of the context decides whether this side is the client or the server.
 *
 * @param factory   called once the connection is established; copied
 * @param endpoint  up to 4096 addresses, a Unix socket as in
 *                  weir_create_unix_connection(), a host, a connected IPv4,
 *                  IPv6 or Unix socket, or a pipe. For a connected socket there
 *                  are no attempts, and the options must have no local address,
 *                  no proto and no fast_open. For a pipe see
 *                  weir_connect_read_pipe()
 * @param ret       as in weir_create_connection()
 * @return          as weir_create_connection()
 * @retval -EINVAL  the endpoint has no address, or none of the requested
 *                  family, or an address is invalid or unnamed; the descriptor
 *                  is not a connected stream socket, or has another family than
 *                  requested; or another cause that
 *                  weir_create_connection() lists
 * @retval -EBADF   the descriptor is not open
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_connection_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_endpoint endpoint, const struct weir_connect_options *options,
    weir_connect_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Get the TLS alert with which the peer has refused the handshake, inside a @c
 * done that gets WEIR_ETLSALERT.
 *
 * @param connect  the handle of the operation that connects; borrowed
 * @return         the name of the alert, for example "unknown_ca", a static
 *                 string; NULL if @c done has not been called or there was no
 *                 alert
 */
WEIR_API const char *weir_connect_get_tls_alert(const weir_pending *connect);

WEIR_END_DECLS

#endif

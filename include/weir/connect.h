/**
 * @file connect.h
 * Connecting stream sockets, and adopting connected ones.
 *
 * Tasks connect with the functions of stream.h, such as weir_open_connection(),
 * and the same options.
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
 * local port, TCP connects the socket with itself: weir returns -ECONNREFUSED.
 *
 * If every address failed, done gets one error, chosen in this order: (1) the
 * error of an address that was not tried because descriptors, memory or threads
 * ran out; (2) the error of the first address whose family and route this
 * machine has; (3) the error of the first address. weir_pending_get_attempt()
 * and error_text have all errors; the text begins with the error of done.
 * error_text and weir_connect_get_tls_alert() have the alert of a peer whose
 * TLS refused.
 *
 * @param factory  called once the connection is established; copied
 * @param host     a name or a literal address; borrowed
 * @param port     the port in host byte order
 * @param ret      a handle for weir_pending_cancel(), and inside done for
 *                 weir_pending_get_attempt() and weir_connect_get_tls_alert();
 *                 it needs a @p done; NULL if no handle is wanted
 * @retval WEIR_EDNSBADNAME  @p host is neither an address nor a host name
 * @retval -EINVAL      no factory, no host, an address of another family than
 *                      requested, an invalid local address, another protocol
 *                      than TCP and MPTCP, fast_open with MPTCP, or a handle
 *                      without done
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
 * another family than requested are skipped. With a descriptor and TLS, the
 * kind of the context decides whether this side is the client or the server.
 *
 * @param factory   called once the connection is established; copied
 * @param endpoint  up to 4096 addresses, a Unix socket as in
 *                  weir_create_unix_connection(), a host, a connected IPv4,
 *                  IPv6 or Unix socket, or a pipe. A socket has no attempts;
 *                  with it a local address, a proto and fast_open are refused.
 *                  For a pipe see weir_connect_read_pipe()
 * @param ret       as in weir_create_connection()
 * @return          as weir_create_connection()
 * @retval -EINVAL  no address, no address of the requested family, or an
 *                  invalid or unnamed address; a descriptor that is not a
 *                  connected stream socket or has another family than
 *                  requested; or as weir_create_connection()
 * @retval -EBADF   the descriptor is not open
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_connection_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_endpoint endpoint, const struct weir_connect_options *options,
    weir_connect_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Get the alert with which the peer's TLS refused, if done gets WEIR_ETLSALERT.
 *
 * @param connect  the handle of a connection attempt; borrowed
 * @return         its name, for example "unknown_ca", a string with static life
 *                 time; NULL if done has not been called, or there was no alert
 */
WEIR_API const char *weir_connect_get_tls_alert(const weir_pending *connect);

WEIR_END_DECLS

#endif

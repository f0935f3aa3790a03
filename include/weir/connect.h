/**
 * @file connect.h
 * Connecting stream sockets, and adopting connected ones.
 *
 * Tasks connect by weir_open_connection() and its like (stream.h), with the
 * same options.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_CONNECT_H
#define WEIR_CONNECT_H

#include "base.h"
#include "connect_options.h"
#include "pending.h"
#include "place.h"
#include "protocol.h"

WEIR_BEGIN_DECLS

/**
 * Connect to a host (asyncio's create_connection).
 *
 * A host name is looked up (resolver.h), and its addresses are tried as in RFC
 * 8305 ("Happy Eyeballs"): IPv6 and IPv4 in turns. The next address is tried
 * when an attempt has failed or hangs for 250 ms, and no attempt waits for the
 * slower of the two lookups. The first connection that is made is used, and the
 * others are closed.
 *
 * Where no socket listens, TCP may connect a socket with itself, if the kernel
 * chose the same port as its own: to weir that is -ECONNREFUSED.
 *
 * If no address was reached, done gets the error of the first address, or of a
 * later one if this machine only lacks the first one's family or route; before
 * these that of an address for which it lacked descriptors, memory or threads,
 * as that one might have answered. weir_pending_get_attempt() and error_text
 * have all errors, the text with that of done first. error_text and
 * weir_connect_get_tls_alert() have the alert of a peer whose TLS refused.
 *
 * @param factory  called once the connection stands; copied
 * @param host     a name or a literal address; borrowed
 * @param port     the port in host byte order
 * @param ret      a handle for weir_pending_cancel(), and inside done for
 *                 weir_pending_get_attempt() and weir_connect_get_tls_alert();
 *                 it needs a @p done; NULL when none is wanted
 * @retval WEIR_EDNSBADNAME  @p host is neither an address nor a host name
 * @retval -EINVAL      no factory, no host, an address of another family than
 *                      was asked for, an invalid local address, another
 *                      protocol than TCP and MPTCP, fast_open by MPTCP, or a
 *                      handle without done
 */
WEIR_API WEIR_MUST_USE int weir_create_connection(
    weir_loop *loop, const struct weir_factory *factory, const char *host,
    uint16_t port, const struct weir_connect_options *options,
    weir_connect_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Connect to a place, or make a transport of a connected stream socket
 * (asyncio's create_connection with sock, and connect_accepted_socket) or of a
 * pipe.
 *
 * Several addresses are tried as those of a host are. Addresses of another
 * family than the options ask for are left out. With a descriptor and TLS this
 * side is what the context is for, client or server.
 *
 * @param factory  called once the connection stands; copied
 * @param place    up to 4096 addresses, a Unix socket as in
 *                 weir_create_unix_connection(), a host, a connected IPv4, IPv6
 *                 or Unix socket, or a pipe. There are no attempts of a socket;
 *                 an own address, a proto and fast_open are refused. A pipe is
 *                 as in weir_connect_read_pipe()
 * @param ret      as in weir_create_connection()
 * @return         as weir_create_connection()
 * @retval -EINVAL  no address, none of the family that was asked for, an
 * invalid or unnamed one; no connected stream socket, or of another family than
 * was asked for; or as weir_create_connection()
 * @retval -EBADF   no descriptor that is open
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_connection_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_place place, const struct weir_connect_options *options,
    weir_connect_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * The alert by which the peer's TLS has refused, where done gets
 * WEIR_ETLSALERT.
 *
 * @param connect  the handle of a connection attempt; borrowed
 * @return         its name, "unknown_ca" for example, a string with static life
 *                 time; NULL: done has not been called, or there was no alert
 */
WEIR_API const char *weir_connect_get_tls_alert(const weir_pending *connect);

WEIR_END_DECLS

#endif

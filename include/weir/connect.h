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

#include "address.h"
#include "base.h"
#include "pending.h"
#include "place.h"
#include "protocol.h"
#include "transport.h"

WEIR_BEGIN_DECLS

struct weir_tls_settings;

/** Settings that a new connection starts with. */
struct weir_connection_options {
    size_t size;
    /** Leave Nagle's algorithm on (TCP_NODELAY is set otherwise). */
    bool no_nodelay;
    /** Set SO_KEEPALIVE: when nothing has been received for a time, TCP asks
     * the peer's kernel whether the connection is still there. A peer that
     * vanished or restarted ends it so with -ETIMEDOUT or -ECONNRESET, where
     * neither side sends. Default: off; then such a connection stays, unless a
     * time limit ends it (struct weir_timeouts). While sent bytes are not
     * acknowledged nothing is asked: the kernel repeats them, for about 15
     * minutes; write_stall_ns ends that earlier if more bytes wait. Unix
     * sockets, whose kernel knows each end at once, take no part. */
    bool keep_alive;
    /** How many questions in a row may stay without an answer (TCP_KEEPCNT), up
     * to 127; 0: as the system has it, usually 9. -EINVAL without keep_alive,
     * as for the two times below. */
    uint32_t keep_alive_count;
    /** The silence before the first question, in nanoseconds, in whole seconds
     * rounded up, to 32,767 s (TCP_KEEPIDLE); 0: as the system has it, usually
     * 2 hours. */
    uint64_t keep_alive_idle_ns;
    /** The time from one question to the next, in nanoseconds, in whole seconds
     * rounded up, to 32,767 s (TCP_KEEPINTVL); 0: as the system has it, usually
     * 75 s. */
    uint64_t keep_alive_interval_ns;
    /** TCP_NOTSENT_LOWAT in bytes; 0 leaves the system's value. */
    uint32_t notsent_lowat_bytes;
    /** Received bytes that a connection may hold; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Bytes that may wait to be sent; default 64 MiB. */
    uint64_t write_hard_limit_bytes;
    /** Descriptors that one receive from a Unix socket takes at most, up to
     * WEIR_FDS_MAX, for fds_received of the protocol; further ones are closed.
     * 0: all are closed. With a limit each connection receives by a system
     * call of its own, which copies the bytes. */
    uint32_t fd_limit;
    /** Time limits. */
    struct weir_timeouts timeouts;
};

/**
 * The end of a connection attempt.
 *
 * @p err is 0 and @p t the new transport (borrowed), after its
 * connection_made; or @p err is negative and @p t NULL. -ECANCELED means
 * weir_pending_cancel(), -ETIMEDOUT a connect time-out, a WEIR_EDNS... code
 * that the name has no address (resolver.h). -EPROTONOSUPPORT and -ENOPROTOOPT
 * mean that this kernel has no Multipath TCP, or that it is switched off.
 */
typedef void weir_connect_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_create_connection() and its like. */
struct weir_connect_options {
    size_t size;
    /** Give up after this time, in nanoseconds: -ETIMEDOUT. It includes the
     * lookup of the name and a TLS handshake. 0: the lookup ends after 10 s,
     * and each attempt after attempt_timeout_ns. */
    uint64_t timeout_ns;
    /** Give one address up after this time, in nanoseconds; 0: when the kernel
     * does, after about two minutes. The kernel never gives up on a Unix server
     * that does not accept. */
    uint64_t attempt_timeout_ns;
    /** The time after which the next address is tried beside an attempt that
     * has not ended, in nanoseconds; default 250 ms, UINT64_MAX: one address is
     * tried after the other. */
    uint64_t happy_eyeballs_delay_ns;
    /** Addresses of the first family that are tried before the families take
     * turns; default 1. */
    uint32_t interleave;
    /** Try addresses in their given order; families do not take turns. */
    bool no_interleave;
    /** AF_INET, AF_INET6 or AF_UNIX to insist on one; 0: any. */
    int family;
    /** Own address, borrowed; NULL: any. Peers of another family are left
     * out. */
    const struct weir_address *local_address;
    /** Own port, where local_address is NULL; 0: any. */
    uint16_t local_port;
    /** Memory for a line with the errors of all attempts and of a TLS
     * handshake: "192.0.2.1:80: Connection refused (from 198.51.100.7:40312);
     * ...". The line is written before done is called; held until then. NULL:
     * not wanted. */
    char *error_text;
    /** Bytes of error_text; a longer line is cut. */
    size_t error_text_size;
    /** TLS on the connection (tls_connection.h), borrowed; NULL: none. done is
     * called after the handshake. */
    const struct weir_tls_settings *tls;
    /** IPPROTO_MPTCP: Multipath TCP, if the kernel has it and
     * net.mptcp.enabled is 1; with a peer that does not speak it the connection
     * is plain TCP. 0 or IPPROTO_TCP: TCP. Must be 0 if a socket is adopted; if
     * it is not 0, Unix addresses are left out. An abort of Multipath TCP is a
     * reset since Linux 7.1 (and stable kernels of 2026); before, the peer may
     * see an end of stream. */
    int proto;
    /** TCP Fast Open (RFC 7413): the first bytes go with the SYN, a round trip
     * earlier. It takes one address to connect to (of a name or a list with
     * more, none is tried so), a server that has been connected to before with
     * this option and has given a cookie, and net.ipv4.tcp_fastopen with 1 in
     * it; otherwise, and for Unix sockets, the connection is made as without
     * it. Then done comes at once, and tells nothing of the server. The SYN
     * leaves at the end of that turn, with the bytes that were written until
     * then (TLS writes at once), or alone. An error of connecting, such as
     * -ECONNREFUSED, or -ETIMEDOUT of the kernel, ends the connection as other
     * errors do; of the time limits only those of TLS and of the connection
     * hold (write_stall_ns). The server may get the bytes of a SYN twice:
     * repeating them must do no harm. Whether they went with the SYN is
     * TCPI_OPT_SYN_DATA in tcpi_options of TCP_INFO. It must be false with
     * IPPROTO_MPTCP, and if a socket is adopted. */
    bool fast_open;
    /** Settings of the connection. */
    struct weir_connection_options connection;
};

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
 * have all errors, and error_text and weir_connect_get_tls_alert() the alert of
 * a peer whose TLS refused.
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

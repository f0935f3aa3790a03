/**
 * @file server.h
 * Makers: connecting, accepting, and servers.
 *
 * A maker returns at once with a handle; its callback runs exactly once, from
 * the loop, after connection_made of the new connection or with an error.
 * Usage errors come from the call itself.
 *
 * A server accepts connections on one or several addresses and makes a
 * protocol for each through its factory. It remembers the connections that it
 * made, so that they can be closed with it.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include "address.h"
#include "base.h"
#include "protocol.h"
#include "transport.h"

WEIR_BEGIN_DECLS

struct weir_tls_settings;

/** Settings that a new connection starts with; zero is the default everywhere.
 */
struct weir_connection_options {
    /** sizeof(struct weir_connection_options). */
    size_t size;
    /** Leave Nagle's algorithm on (TCP_NODELAY is set otherwise). */
    bool no_nodelay;
    /** Set SO_KEEPALIVE. */
    bool keep_alive;
    /** TCP_NOTSENT_LOWAT in bytes; 0 leaves the system's value. */
    uint32_t notsent_lowat_bytes;
    /** Received bytes that a connection may hold; default 1 MiB. */
    uint64_t read_limit_bytes;
    /** Bytes that may wait to be sent; default 64 MiB. */
    uint64_t write_hard_limit_bytes;
    /** Descriptors that one receive from a Unix socket takes at most, up to
     * WEIR_FDS_MAX, for fds_received of the protocol; others are closed. 0:
     * all are. Bytes are copied from the kernel by a system call of each
     * connection then. */
    uint32_t fd_limit;
    /** Time limits. */
    struct weir_timeouts timeouts;
};

/**
 * The end of a connection attempt.
 *
 * @p err is 0 and @p t the new transport (borrowed), after its
 * connection_made; or @p err is negative and @p t NULL. -ECANCELED means
 * weir_connect_cancel(), -ETIMEDOUT a connect time-out; a WEIR_EDNS... code,
 * that the name has no address (resolver.h); -EPROTONOSUPPORT or -ENOPROTOOPT,
 * that this kernel has no Multipath TCP or it is switched off.
 */
typedef void weir_connect_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_create_connection(). */
struct weir_connect_options {
    /** sizeof(struct weir_connect_options). */
    size_t size;
    /** Called once, when the attempt has ended; may be NULL when no handle is
     * asked for. */
    weir_connect_done_fn *done;
    /** First argument of done. */
    void *done_arg;
    /** Give up after this time, in nanoseconds, looking the name up and a TLS
     * handshake included: -ETIMEDOUT; 0: after 10 s without an answer about the
     * name, and for each address when attempt_timeout_ns says so. */
    uint64_t timeout_ns;
    /** Give one address up after this time, in nanoseconds; 0: when the kernel
     * does (about two minutes, or never while a Unix server does not accept).
     */
    uint64_t attempt_timeout_ns;
    /** How long an attempt is waited for before the next address is tried
     * beside it, in nanoseconds; default 250 ms, UINT64_MAX: one address is
     * tried after the other. */
    uint64_t happy_eyeballs_delay_ns;
    /** How many addresses of the first family are tried before the families
     * take turns; default 1. */
    uint32_t interleave;
    /** Try addresses in the order they come in, without turns. */
    bool no_interleave;
    /** AF_INET, AF_INET6 or AF_UNIX to insist on one; 0: any. */
    int family;
    /** Own address, a literal one, and port; NULL: any. */
    const char *local_host;
    /** Own port; 0: any. */
    uint16_t local_port;
    /** Own address as a value, in place of the two above; borrowed; NULL: any.
     */
    const struct weir_address *local_address;
    /** Peers to try, as values, borrowed; then host must be NULL and port 0.
     * Those of another family than family, or than the own address, are left
     * out. */
    const struct weir_address *addresses;
    /** Number of addresses; 0: host is meant. */
    size_t address_count;
    /** Use the connected stream socket in sock; then host must be NULL and port
     * 0. */
    bool use_sock;
    /** A connected socket, taken by the call, whatever it returns; it stays
     * the caller's only where a size field is unset. */
    int sock;
    /** Memory for the errors of all attempts as one line, written before done
     * is called: "192.0.2.1:80: Connection refused; ...", and for that of a
     * TLS handshake; held until then. NULL: not wanted. */
    char *error_text;
    /** Bytes of error_text; what does not fit is cut. */
    size_t error_text_size;
    /** TLS on the connection (tls_connection.h), borrowed; NULL: none. done is
     * called after the handshake. */
    const struct weir_tls_settings *tls;
    /** IPPROTO_MPTCP: Multipath TCP (where it is built in and
     * net.mptcp.enabled is 1), which is plain TCP with a peer that does not
     * speak it; 0 or IPPROTO_TCP: TCP. It must be 0 with a sock; Unix addresses
     * are left out where it is not. An abort is a reset by it since Linux 7.1
     * (and stable kernels of 2026); before, the peer may see an end of
     * stream. */
    int proto;
    /** Settings of the connection. */
    struct weir_connection_options connection;
};

/**
 * Connect a stream socket, or adopt a connected one (asyncio's
 * create_connection and connect_accepted_socket).
 *
 * A host name is looked up (resolver.h), and its addresses are tried as RFC
 * 8305 has it ("Happy Eyeballs"): IPv6 and IPv4 in turns, the next one when an
 * attempt has failed or hangs for 250 ms, without waiting for the slower of the
 * two lookups; the first connection that is made is used, and the others are
 * closed. Several addresses as values are tried alike.
 *
 * Where no address was reached done gets the error that says most: that of the
 * first address, unless this machine just has no such family or route.
 * weir_connect_get_error() and error_text have all of them.
 *
 * @param loop     the loop; borrowed
 * @param factory  called once the connection stands; copied
 * @param host     a name or a literal address; NULL with addresses or use_sock
 * @param port     the port in host byte order
 * @param options  borrowed; NULL for all defaults
 * @param ret      a handle for weir_connect_cancel(), which may be used until
 *                 options->done returns, and needs a done for that reason; NULL
 *                 when none is wanted
 * @return         0 when the attempt has started; options->done tells how it
 *                 ends
 * @retval WEIR_EDNSBADNAME  @p host is neither an address nor a host name
 * @retval WEIR_ENOTLITERAL  the own address is not a literal one
 * @retval -E2BIG       options of a newer library with an unknown field set
 * @retval -EINVAL      no factory, none or two of host,
 *                      addresses and sock, the socket is no connected stream
 *                      socket, no address of the family asked for, one that is
 *                      none or has no name, another protocol than TCP and
 *                      MPTCP, or one with a socket, or a handle without done
 * @retval -EBADF       sock is no descriptor that is open
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 * @retval -ESHUTDOWN   the loop is being freed
 * @retval -ENOMEM      no memory
 */
WEIR_API WEIR_MUST_USE int
weir_create_connection(weir_loop *loop, const struct weir_factory *factory,
                       const char *host, uint16_t port,
                       const struct weir_connect_options *options,
                       weir_connect **ret);

/**
 * Give up a connection attempt: its done follows with -ECANCELED, from the
 * loop. A connection that was made at the same moment is closed.
 *
 * @param connect  the handle, before its done has returned; borrowed
 */
WEIR_API void weir_connect_cancel(weir_connect *connect);

/**
 * How many addresses were tried and have failed.
 *
 * @param connect  the handle, before its done has returned; borrowed
 * @return         the number, for weir_connect_get_error()
 */
WEIR_API size_t weir_connect_get_error_count(const weir_connect *connect);

/**
 * The error of one address that was tried (asyncio's all_errors).
 *
 * @param connect  the handle, before its done has returned; borrowed
 * @param index    from 0 to weir_connect_get_error_count() - 1
 * @param ret      the address; may be NULL
 * @return         its error, negative
 * @retval -EINVAL  no such index
 */
WEIR_API int weir_connect_get_error(const weir_connect *connect, size_t index,
                                    struct weir_address *ret);

/** Called when a server's start has ended: @p err is 0 if it listens (with
 * no_start_serving: is bound), or a negative error; -EPROTONOSUPPORT or
 * -ENOPROTOOPT say that this kernel has no Multipath TCP or it is switched off.
 */
typedef void weir_server_done_fn(void *arg, int err, weir_server *server);

/** Called when a server is closed and its last connection is lost. */
typedef void weir_server_closed_fn(void *arg, weir_server *server);

/** Options of weir_create_server(). */
struct weir_server_options {
    /** sizeof(struct weir_server_options). */
    size_t size;
    /** Called once, when the start has ended; may be NULL. */
    weir_server_done_fn *done;
    /** First argument of done. */
    void *done_arg;
    /** More hosts to listen on, names or literal addresses; NULL when there are
     * none. */
    const char *const *hosts;
    /** Number of addresses in hosts. */
    size_t host_count;
    /** Addresses to listen on, as values, borrowed; then host and hosts must be
     * NULL and port 0. */
    const struct weir_address *addresses;
    /** Number of addresses; 0: host and hosts are meant. */
    size_t address_count;
    /** AF_INET, AF_INET6 or AF_UNIX to insist on one; 0: AF_INET and AF_INET6
     * where both exist. */
    int family;
    /** Connections waiting to be accepted; default 4096, the kernel caps it. */
    int backlog;
    /** Leave SO_REUSEADDR unset. */
    bool no_reuse_address;
    /** Set SO_REUSEPORT: several loops listen on one port. */
    bool reuse_port;
    /** Only bind: clients are refused before weir_server_start_serving(). */
    bool no_start_serving;
    /** Listen on the bound stream socket in sock; then host must be NULL and
     * port 0. */
    bool use_sock;
    /** A bound, perhaps listening socket, taken whatever is returned; it stays
     * the caller's only where a size field is unset. */
    int sock;
    /** Accept a TCP connection when its first bytes are there, or after this
     * time (TCP_DEFER_ACCEPT), rounded up to whole seconds; 0: at once. */
    uint64_t defer_accept_ns;
    /** Permissions of a Unix socket's file, as in 0660, whatever the umask; 0:
     * those that the umask leaves. */
    uint32_t socket_mode;
    /** Leave a Unix socket's file where it is when the server is closed. */
    bool no_cleanup_socket;
    /** Connections at once, at most; 0: as many as there are descriptors. */
    uint64_t connection_limit;
    /** How long weir_server_serve_forever(), once cancelled, leaves connections
     * that are not idle; default 30 s, UINT64_MAX: for ever. */
    uint64_t grace_ns;
    /** TLS on each connection (tls_connection.h), borrowed; NULL: none. Later:
     * weir_server_set_tls(). */
    const struct weir_tls_settings *tls;
    /** IPPROTO_MPTCP: Multipath TCP (where it is built in and
     * net.mptcp.enabled is 1), which is plain TCP with clients that do not
     * speak it; 0 or IPPROTO_TCP: TCP. It must be 0 with a sock or a Unix
     * address. Aborts by it: see weir_connect_options. */
    int proto;
    /** Settings of each connection. */
    struct weir_connection_options connection;
};

/**
 * Listen for connections.
 *
 * Host names are looked up (resolver.h); the server listens on all addresses of
 * all of them, and a name without an address is an error of the start. With no
 * host at all: one socket for each family, on all addresses. With port
 * 0 the kernel chooses; several addresses get the same port when they can.
 * IPv6 sockets take IPv6 only. An address that this machine does not have is
 * skipped while another one works. A port that is still bound by a process that
 * has just died is tried again for 200 ms.
 *
 * Without descriptors or memory for more connections, the server tries to
 * accept again every 100 ms and calls the exception hook once; clients wait in
 * the kernel's queue meanwhile.
 *
 * @param loop     the loop; borrowed
 * @param factory  makes the protocol of each connection; copied
 * @param host     a name or a literal address, NULL or "" for all
 * @param port     the port in host byte order, 0 to let the kernel choose
 * @param options  borrowed; NULL for all defaults
 * @param ret      the server, given; end with weir_server_free()
 * @return         0 when it has begun; options->done tells whether it listens
 * @retval WEIR_EDNSBADNAME  a host is neither an address nor a host name
 * @retval -E2BIG   options of a newer library, with a field set unknown here
 * @retval -EINVAL  no factory, two of host, addresses and
 *                  sock, not a stream socket, an address that is none or is of
 *                  another family than asked for, another protocol than TCP and
 *                  MPTCP, or one with a socket or a Unix address
 * @retval -EBADF   sock is no descriptor that is open
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -ENOMEM  no memory
 */
WEIR_API WEIR_MUST_USE int
weir_create_server(weir_loop *loop, const struct weir_factory *factory,
                   const char *host, uint16_t port,
                   const struct weir_server_options *options,
                   weir_server **ret);

/**
 * Listen and accept, where the options said no_start_serving; does nothing on a
 * server that does. A server that is starting will when it is bound.
 *
 * @param server  the server; borrowed
 * @return        0, or the error of listening; then the server listens on none
 *                of its addresses, and it may be tried again
 * @retval -EADDRINUSE  another socket listens on the address that this one is
 *                      bound to
 * @retval -ESHUTDOWN  the server is closed
 */
WEIR_API WEIR_MUST_USE int weir_server_start_serving(weir_server *server);

/**
 * Replace the TLS settings of a server while it runs, for a renewed certificate
 * for instance.
 *
 * Connections that are accepted from now on get the new settings. Those that
 * were accepted before go on with the old ones, a handshake that is under way
 * included; the last of them gives the old context back. A new context has its
 * own ticket keys, unless the options of both name the same
 * (weir_tls_options.ticket_keys): sessions of the old one are not resumed.
 *
 * @param server    a server that was made with TLS; borrowed
 * @param settings  all the settings, not only those that change; borrowed
 * @return          0; after an error the old settings are in force
 * @retval -EINVAL  no settings, no context or one for clients, or a server that
 *                  was made without TLS
 * @retval -ESHUTDOWN  the server is closed
 */
WEIR_API WEIR_MUST_USE int
weir_server_set_tls(weir_server *server,
                    const struct weir_tls_settings *settings);

/**
 * Whether the server accepts connections.
 *
 * @param server  the server; borrowed
 * @return        true between start and close
 */
WEIR_API bool weir_server_is_serving(const weir_server *server);

/**
 * Accept no more and close the listening sockets; idempotent. Connections stay.
 *
 * @param server  the server; borrowed
 */
WEIR_API void weir_server_close(weir_server *server);

/**
 * Close every connection of the server, as weir_transport_close() does.
 *
 * @param server  the server; borrowed
 */
WEIR_API void weir_server_close_clients(weir_server *server);

/**
 * Abort every connection of the server, as weir_transport_abort() does.
 *
 * @param server  the server; borrowed
 */
WEIR_API void weir_server_abort_clients(weir_server *server);

/**
 * Be told when the server is closed and has no connections left, nor a task
 * that serves one (stream.h). This does not close the server. Any number of
 * functions may be given; each is called once, from the loop.
 *
 * @param server  the server; borrowed
 * @param closed  called then
 * @param arg     its first argument
 * @return        0
 * @retval -EINVAL  no function
 * @retval -ENOMEM  no memory
 * @retval -ESHUTDOWN  the loop has ended
 */
WEIR_API WEIR_MUST_USE int weir_server_on_closed(weir_server *server,
                                                 weir_server_closed_fn *closed,
                                                 void *arg);

/**
 * Stop gracefully: accept no more, close idle connections, let the others
 * finish and send their answers, and after a time of grace abort the rest.
 *
 * A connection that is idle is closed at once, another one as soon as it is
 * idle; closing sends the bytes that were written. Idle is
 * - a connection that a task serves (stream.h), while some task waits in a
 *   reading call of its reader and has been given every byte that arrived: it
 *   waits for the first byte of the next request. Bytes that arrive later are
 *   not served;
 * - any other connection, at any time: a protocol answers in its callbacks;
 * - no connection that the program called busy with weir_transport_set_busy(),
 *   until it says that it is no longer.
 * A task may serve on after its connection is gone. At the end of the grace all
 * connections are aborted and the tasks that still serve are cancelled.
 *
 * The call may be repeated to shorten the grace.
 *
 * @param server    the server; borrowed
 * @param grace_ns  time in nanoseconds for connections that are not idle, or
 *                  have not sent everything; 0: none, UINT64_MAX: for ever
 * @param closed    called when the server is closed and the last connection and
 *                  its task have ended; may be NULL
 * @param arg       its first argument
 * @return          0
 * @retval -ENOMEM  no memory; nothing has changed
 */
WEIR_API WEIR_MUST_USE int weir_server_stop(weir_server *server,
                                            uint64_t grace_ns,
                                            weir_server_closed_fn *closed,
                                            void *arg);

/**
 * Number of sockets that the server listens on; 0 after close.
 *
 * @param server  the server; borrowed
 * @return        number of sockets
 */
WEIR_API size_t weir_server_get_socket_count(const weir_server *server);

/**
 * One of the sockets that the server listens on.
 *
 * @param server       the server; borrowed
 * @param index        from 0 to weir_server_get_socket_count() - 1
 * @param ret_address  the address it is bound to; may be NULL
 * @return             the descriptor, to look at only
 * @retval -EINVAL     no such socket
 */
WEIR_API int weir_server_get_socket(const weir_server *server, size_t index,
                                    struct weir_address *ret_address);

/**
 * Number of connections that the server made and that are not lost yet.
 *
 * @param server  the server; borrowed
 * @return        number of connections
 */
WEIR_API uint64_t weir_server_get_connection_count(const weir_server *server);

/**
 * The loop that the server belongs to.
 *
 * @param server  the server; borrowed
 * @return        the loop; borrowed
 */
WEIR_API weir_loop *weir_server_get_loop(const weir_server *server);

/**
 * Close the server and give the handle back. Its connections stay; the
 * functions of weir_server_on_closed() are still called.
 *
 * @param server  taken; NULL is ignored
 */
WEIR_API void weir_server_free(weir_server *server);

WEIR_END_DECLS

#endif

/**
 * @file server.h
 * Servers, which accept connections.
 *
 * A server accepts connections on one or several addresses and makes a protocol
 * for each through its factory. It keeps a list of its connections, so that a
 * stop of the server can close them.
 *
 * Tasks use weir_start_server() and others (stream.h), with the same options.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_SERVER_H
#define WEIR_SERVER_H

#include "address.h"
#include "base.h"
#include "connect_options.h"
#include "endpoint.h"
#include "pending.h"
#include "protocol.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/** Called when a server's start has ended. @p err is 0 if the server listens,
 * or with no_start_serving if it is bound; otherwise it is a negative error.
 * -EPROTONOSUPPORT and -ENOPROTOOPT mean that this kernel has no Multipath TCP,
 * or that it is switched off. */
typedef void weir_server_done_fn(void *arg, int err, weir_server *server);

/** Called when a server is closed, its last connection is lost, and the tasks
 * that served its connections have ended. */
typedef void weir_server_closed_fn(void *arg, weir_server *server);

/** Called with the descriptor @p fd of an accepted connection. The descriptor
 * is given: close it, or pass it to weir_server_add_fd(). The function may free
 * the server. */
typedef void weir_server_accepted_fn(void *arg, weir_server *server, int fd);

/** Options of all calls that make a server. */
struct weir_server_options {
    size_t size;
    /** Hosts to listen on in addition to the host of the call: names or literal
     * addresses; may be NULL. */
    const char *const *hosts;
    /** Number of elements in hosts. */
    size_t host_count;
    /** Use only this family: AF_INET, AF_INET6 or AF_UNIX. 0 means AF_INET and
     * AF_INET6, if both exist. */
    int family;
    /** Maximum number of connections that wait in the kernel to be accepted;
     * default 4096. The kernel limits it to net.core.somaxconn. */
    int backlog;
    /** Do not set SO_REUSEADDR, which is set by default. */
    bool no_reuse_address;
    /** Set SO_REUSEPORT, so that several loops or processes can listen on one
     * port. When one of the sockets is closed, the kernel resets the
     * connections that wait to be accepted there. In a test of 12 restarts the
     * new socket was open before the old one was closed; still 170 of about
     * 2500 connections were lost. None was lost with the sysctl
     * net.ipv4.tcp_migrate_req set to 1. Nothing is lost if the listening
     * socket is passed to the new process and stays open. */
    bool reuse_port;
    /** Only bind the sockets. They listen after weir_server_start_serving();
     * until then clients are refused. */
    bool no_start_serving;
    /** Make a server that does not listen, but serves connections that were
     * accepted elsewhere; see weir_server_add_fd(). Such a server has neither a
     * host nor a port. */
    bool no_sockets;
    /** Accept a TCP connection when its first bytes have arrived, or after this
     * time (TCP_DEFER_ACCEPT), rounded up to whole seconds; 0 accepts it at
     * once. */
    uint64_t defer_accept_ns;
    /** TCP Fast Open (RFC 7413): maximum number of connections that are served
     * before the end of their TCP handshake, because their first bytes arrived
     * with the SYN; at most the backlog. 0 switches Fast Open off. Without flag
     * 2 in net.ipv4.tcp_fastopen the kernel ignores the option. The bytes of a
     * SYN may arrive twice, so serving them twice must do no harm. */
    uint32_t fast_open_limit;
    /** Permissions of a Unix socket's file, for example 0660, whatever the
     * umask; 0 means 0777 without the bits of the umask. */
    uint32_t socket_mode;
    /** Keep a Unix socket's file when the server is closed. */
    bool no_cleanup_socket;
    /** Maximum number of connections at a time; with 0 only the number of
     * descriptors is a limit. Further connections wait in the kernel's queue,
     * where another process that shares the socket may accept them. A few
     * connections that the server had accepted before it noticed the limit wait
     * without being read. */
    uint64_t connection_limit;
    /** Grace period for connections that are not idle when
     * weir_server_serve_forever() is cancelled, in nanoseconds; default 30 s;
     * UINT64_MAX is no limit. */
    uint64_t grace_ns;
    /** TLS settings of each connection (tls_connection.h), borrowed; NULL means
     * no TLS. weir_server_set_tls() replaces them later. */
    const struct weir_tls_settings *tls;
    /** The protocol of the sockets: 0 or IPPROTO_TCP for TCP, IPPROTO_MPTCP for
     * Multipath TCP. Multipath TCP needs a kernel with net.mptcp.enabled = 1,
     * and falls back to TCP for clients that do not support it. It must be 0
     * with a Unix address and with an existing socket. For aborts of Multipath
     * TCP see struct weir_connect_options. */
    int proto;
    /** Called for each accepted connection instead of serving it, for a
     * listener that passes its connections to other threads or processes; the
     * first argument is @ref accepted_arg. With NULL the server serves all
     * connections itself. If this is set, the factory or the handler of the
     * server may be NULL; if it is not NULL, it serves the connections of
     * weir_server_add_fd(). */
    weir_server_accepted_fn *accepted;
    /** The first argument of @ref accepted. */
    void *accepted_arg;
    /** Memory for a line with the address and the error of a failed start, such
     * as "192.0.2.1:80: Address already in use" or "name.example: No such host
     * name". The line is written before @c done is called, and is empty after a
     * success. The memory is held until then. May be NULL. */
    char *error_text;
    /** Size of error_text in bytes; a longer line is cut. */
    size_t error_text_size;
    /** Settings of each connection. */
    struct weir_connection_options connection;
};

/**
 * Listen for connections.
 *
 * Host names are looked up (resolver.h). The server listens on all addresses of
 * all names, and the start fails if a name has no address. Without a host there
 * is one socket for each family, on all addresses. With port 0 the kernel
 * chooses a port, which is the same for all addresses if it is free on all of
 * them. IPv6 sockets accept only IPv6. An address that this machine does not
 * have is skipped if another address works. If an address is in use, the bind
 * is repeated for two seconds, because the kernel may keep the sockets of a
 * killed process for a moment after its end.
 *
 * If descriptors or memory run out, the server calls the exception hook once,
 * and tries to accept again every 100 ms; clients wait in the kernel's queue
 * meanwhile.
 *
 * @param factory  makes the protocol of each connection; copied. May be NULL
 *                 only with weir_server_options.accepted
 * @param host     a name or a literal address; NULL or "" for all addresses
 * @param port     the port in host byte order, 0 to let the kernel choose
 * @param done     called once, when the start has ended; may be NULL
 * @return         0 if the start has begun; then @p done gets its result
 * @retval WEIR_EDNSBADNAME  a host is neither an address nor a host name
 * @retval -EINVAL  there is neither a factory nor accepted; an address has
 *                  another family than requested; proto is neither TCP nor
 *                  Multipath TCP; or there is no_sockets together with a host,
 *                  a port, addresses or a socket
 */
WEIR_API WEIR_MUST_USE int weir_create_server(
    weir_loop *loop, const struct weir_factory *factory, const char *host,
    uint16_t port, const struct weir_server_options *options,
    weir_server_done_fn *done, void *done_arg, weir_server **ret);

/**
 * Listen at an endpoint: on all of its addresses, or on a bound socket, for
 * example one that a service manager has passed.
 *
 * @param factory   makes the protocol of each connection; copied
 * @param endpoint  a host as in weir_create_server(), addresses of any family,
 *                  a Unix socket as in weir_create_unix_server(), or a bound
 *                  stream socket, which may listen already. The connections of
 *                  such a listening socket inherit its TCP_NODELAY and the
 *                  socket options of keep_alive and notsent_lowat_bytes; the
 *                  server does not set inherited options again
 * @param options   borrowed; NULL for all defaults. hosts may be set only if
 *                  the endpoint is a host
 * @param done      as in weir_create_server()
 * @return          as weir_create_server()
 * @retval -EINVAL  the endpoint has no address, or an address is invalid or has
 *                  another family than requested; the descriptor is not a
 *                  stream socket or is connected; the options have hosts
 *                  although the endpoint is not a host, or a proto although it
 *                  is a descriptor; or another cause that weir_create_server()
 *                  lists
 * @retval -EBADF   the descriptor is not open
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_server_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_endpoint endpoint, const struct weir_server_options *options,
    weir_server_done_fn *done, void *done_arg, weir_server **ret);

/**
 * Start to listen and accept on a server that was made with no_start_serving.
 * The call has no effect on a server that accepts. A server that is still
 * starting will accept when it is bound.
 *
 * @return 0, or the error of listen(2). After an error the server listens on
 *         none of its addresses, and the call may be repeated
 * @retval -EADDRINUSE  another socket listens on one of the addresses
 * @retval -ESHUTDOWN  the server is closed
 */
WEIR_API WEIR_MUST_USE int weir_server_start_serving(weir_server *server);

/**
 * Add a connection that moves to the server's loop (move.h) to the server's
 * connections, so that a stop of the server ends it, too. The factory of the
 * move calls this, and must not free the server afterwards.
 *
 * @param t  the transport that the factory was called with; borrowed
 * @return   0 if the connection will be added, which happens when the factory
 *           returns without an error
 * @retval -EINVAL     @p t is not the transport of the factory that is running,
 *                     is not a stream, or belongs to a server already
 * @retval -ESHUTDOWN  the server is closed, or its start has not ended
 * @retval -EBUSY      connection_limit is reached
 */
WEIR_API WEIR_MUST_USE int weir_server_add_transport(weir_server *server,
                                                     weir_transport *t);

/**
 * Serve a connection that was accepted elsewhere, by another thread or by
 * another process (asyncio's connect_accepted_socket, in a server).
 *
 * The connection is served as if the server had accepted it: by the server's
 * factory or handler, with the server's settings and TLS. It counts as one of
 * the server's connections. No callback runs inside this call. The connection
 * waits while connection_limit is reached, and until the server has started. If
 * the server is closed before that, or cannot start, the connection is closed;
 * a TCP client gets a reset.
 *
 * @param fd  a connected IPv4, IPv6 or Unix socket; taken, even after an error
 * @return    0 if the connection will be served
 * @retval -EBADF     @p fd is not open
 * @retval -EINVAL    @p fd is not a stream socket, or listens; or the server
 *                    has neither a factory nor a handler
 * @retval -ENOTCONN  @p fd is not connected, or its connection is broken
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 * @retval -ESHUTDOWN  the server is closed
 * @retval -ENOMEM    no memory
 */
WEIR_API WEIR_MUST_USE int weir_server_add_fd(weir_server *server, int fd);

/**
 * Replace the TLS settings of a running server, for example for a renewed
 * certificate.
 *
 * Connections that are accepted after this call get the new settings. Earlier
 * connections keep the old settings, even during their handshake; the last of
 * them releases the old context. A new context has its own ticket keys, so
 * sessions of the old context are not resumed, unless both contexts were made
 * with the same keys (weir_tls_options.ticket_keys).
 *
 * @param server    a server that was made with TLS; borrowed
 * @param settings  all settings, including those that do not change; borrowed
 * @return          0; after an error the old settings still apply
 * @retval -EINVAL  @p settings is NULL, or has no context or a context for
 *                  clients; or the server was made without TLS
 * @retval -ESHUTDOWN  the server is closed
 */
WEIR_API WEIR_MUST_USE int
weir_server_set_tls(weir_server *server,
                    const struct weir_tls_settings *settings);

/** Report whether the server accepts connections. */
WEIR_API bool weir_server_is_serving(const weir_server *server);

/** Accept no more connections, and close the listening sockets. The server's
 * connections continue. Further calls have no effect. */
WEIR_API void weir_server_close(weir_server *server);

/** Close every connection of the server, as weir_transport_close() does. If a
 * stop was announced (weir_loop_announce_stop()), the tasks that wait for it
 * run first. */
WEIR_API void weir_server_close_clients(weir_server *server);

/** Abort every connection of the server, as weir_transport_abort() does. */
WEIR_API void weir_server_abort_clients(weir_server *server);

/**
 * Call a function when the server is closed, has no connections left, and the
 * tasks that served them (stream.h) have ended. This call does not close the
 * server. Any number of functions may be added; each is called once, from the
 * loop.
 *
 * @param closed  the function
 * @retval -EINVAL  @p closed is NULL
 * @retval -ESHUTDOWN  the loop has ended
 */
WEIR_API WEIR_MUST_USE int
weir_server_add_closed_callback(weir_server *server,
                                weir_server_closed_fn *closed, void *arg);

/**
 * Stop gracefully: accept no more connections, close idle connections, let the
 * others finish and send their responses, and after a grace period abort the
 * rest.
 *
 * A connection is closed as soon as it is idle; closing sends the written
 * bytes. These connections are idle:
 * - a connection that a task serves (stream.h), while the task waits in a call
 *   that reads, and every byte that has arrived was read: the task waits for
 *   the first byte of the next request. Bytes that arrive later are not served;
 * - a connection with a protocol of the program, at any time, because a
 *   protocol responds in its callbacks.
 *
 * These connections are not idle:
 * - a connection that weir_transport_set_busy() has marked busy, until it is
 *   marked not busy;
 * - a connection whose TLS handshake is under way. Its connection_made is
 *   called after the handshake, and may mark it busy.
 *
 * Connections that an accept under way has already taken from the kernel are
 * still served. A task may continue after the end of its connection. At the end
 * of the grace period all connections are aborted, and the tasks that still
 * serve a connection are cancelled.
 *
 * The call may be repeated to shorten the grace period.
 *
 * @param grace_ns  the grace period in nanoseconds, for connections that are
 *                  not idle or have not sent everything; 0 aborts them at once,
 *                  UINT64_MAX is no limit
 * @param closed    called when the server is closed and the last connection and
 *                  its task have ended; may be NULL
 * @retval -ENOMEM  no memory; nothing has changed
 */
WEIR_API WEIR_MUST_USE int weir_server_stop(weir_server *server,
                                            uint64_t grace_ns,
                                            weir_server_closed_fn *closed,
                                            void *arg);

/**
 * Serve until cancelled.
 *
 * A server that was only bound starts to accept. When the task is cancelled,
 * the server is stopped as by weir_server_stop(), with the grace_ns of the
 * server's options (default 30 s). The call then waits until all connections
 * and the tasks that serve them have ended, so that the program may free data
 * that these tasks share after the return. A second cancellation ends the wait.
 *
 * @return 0 if a stop was announced (weir_loop_announce_stop()), for example
 *         because of SIGINT in weir_run()
 * @retval -ECANCELED  the task was interrupted and no stop was announced, or it
 *                     was interrupted again; the server is closed
 * @retval -ESHUTDOWN  the server was closed by another call, or did not start
 * @retval -EBUSY      another task is in this call for the same server
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_server_serve_forever(weir_server *server);

/**
 * Wait until the server is closed, has no connections left, and the tasks that
 * served them have ended. A task that serves a connection must not call this:
 * it would wait for itself. The call does not close the server.
 *
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_server_wait_closed(weir_server *server);

/**
 * Get one attempt to listen, with its address and its error. The attempts show
 * which of several addresses was in use, and which was skipped because this
 * machine does not have it. While the bind to an address in use is repeated,
 * the latest attempts are returned.
 *
 * @param server  the server, which may still be starting; borrowed
 * @param index   number of the attempt, from 0, in the order of the addresses
 * @param ret     set to the attempt. Its own_address is the bound address with
 *                the port that the kernel has chosen; the len of own_address is
 *                0 if the attempt failed
 * @retval -EINVAL  @p index is out of range
 */
WEIR_API WEIR_MUST_USE int weir_server_get_attempt(const weir_server *server,
                                                   size_t index,
                                                   struct weir_attempt *ret);

/** Get the number of listening sockets; 0 after weir_server_close(). */
WEIR_API size_t weir_server_get_socket_count(const weir_server *server);

/**
 * Get one of the listening sockets.
 *
 * @param index        from 0 to weir_server_get_socket_count() - 1
 * @param ret_address  set to the address that the socket is bound to; may be
 *                     NULL
 * @return             the descriptor, for queries only
 * @retval -EINVAL     @p index is out of range
 */
WEIR_API int weir_server_get_socket(const weir_server *server, size_t index,
                                    struct weir_address *ret_address);

/** Get the number of the server's connections that are not lost yet. */
WEIR_API uint64_t weir_server_get_connection_count(const weir_server *server);

/** Get the loop of the server. */
WEIR_API weir_loop *weir_server_get_loop(const weir_server *server);

/** Close the server and release the handle. The server's connections continue,
 * and the functions of weir_server_add_closed_callback() are still called. */
WEIR_API void weir_server_free(weir_server *server);

WEIR_END_DECLS

#endif

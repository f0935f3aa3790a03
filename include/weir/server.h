/**
 * @file server.h
 * Servers.
 *
 * A server accepts connections on one or several addresses and makes a
 * protocol for each through its factory. It remembers the connections that it
 * made, so that they can be closed with it.
 *
 * Tasks use weir_start_server() and its like (stream.h), which serve each
 * connection with a task, with the same options.
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
#include "pending.h"
#include "place.h"
#include "protocol.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/** Called when a server's start has ended: @p err is 0 if it listens (with
 * no_start_serving: is bound), or a negative error; -EPROTONOSUPPORT or
 * -ENOPROTOOPT say that this kernel has no Multipath TCP or it is switched off.
 */
typedef void weir_server_done_fn(void *arg, int err, weir_server *server);

/** Called when a server is closed and its last connection is lost. */
typedef void weir_server_closed_fn(void *arg, weir_server *server);

/** Called with the descriptor of an accepted connection, taken: close it, or
 * give it to a server (weir_server_adopt_connection()). May end the server. */
typedef void weir_server_accepted_fn(void *arg, weir_server *server, int fd);

/** Options of weir_create_server() and its like. */
struct weir_server_options {
    size_t size;
    /** More hosts to listen on besides that of the call, names or literal
     * addresses; NULL when there are none. */
    const char *const *hosts;
    /** Number of addresses in hosts. */
    size_t host_count;
    /** AF_INET, AF_INET6 or AF_UNIX to insist on one family; 0: AF_INET and
     * AF_INET6, if both exist. */
    int family;
    /** Connections waiting to be accepted; default 4096, the kernel caps it. */
    int backlog;
    /** Leave SO_REUSEADDR unset. */
    bool no_reuse_address;
    /** Set SO_REUSEPORT: several loops listen on one port. When one of the
     * sockets is closed, the kernel resets the connections that wait to be
     * accepted there: 12 restarts, the new socket open before the old one was
     * closed, lost 170 of some 2500 connections, and none with the sysctl
     * net.ipv4.tcp_migrate_req set to 1. Nothing is lost either way where the
     * listening socket itself is passed on and stays open. */
    bool reuse_port;
    /** Only bind: clients are refused before weir_server_start_serving(). */
    bool no_start_serving;
    /** Listen nowhere: the server serves connections that were accepted
     * elsewhere, see weir_server_adopt_connection(). Then there is neither a
     * host nor a port. */
    bool no_sockets;
    /** Accept a TCP connection when its first bytes are there, or after this
     * time (TCP_DEFER_ACCEPT), rounded up to whole seconds; 0: at once. */
    uint64_t defer_accept_ns;
    /** TCP Fast Open (RFC 7413): connections whose first bytes came with the
     * SYN, and that may wait for the end of their handshake, at most; 0
     * switches it off. They are served at once. Without the bit 2 in
     * net.ipv4.tcp_fastopen the kernel ignores the option; the number is capped
     * by the backlog. The bytes of a SYN may come twice: serving them twice
     * must do no harm. */
    uint32_t fast_open_limit;
    /** Permissions of a Unix socket's file, for example 0660, regardless of the
     * umask; 0: the permissions that the umask leaves. */
    uint32_t socket_mode;
    /** Keep a Unix socket's file when the server is closed. */
    bool no_cleanup_socket;
    /** Connections at once, at most; 0: as many as there are descriptors.
     * Others wait, in the kernel's queue, where another process that shares the
     * socket may take them, or, accepted while the server filled up, unread. */
    uint64_t connection_limit;
    /** The time that weir_server_serve_forever(), when cancelled, gives to
     * connections that are not idle; default 30 s, UINT64_MAX: no limit. */
    uint64_t grace_ns;
    /** TLS on each connection (tls_connection.h), borrowed; NULL: none. Later:
     * weir_server_set_tls(). */
    const struct weir_tls_settings *tls;
    /** IPPROTO_MPTCP: Multipath TCP (where it is built in and
     * net.mptcp.enabled is 1), which is plain TCP with clients that do not
     * speak it; 0 or IPPROTO_TCP: TCP. It must be 0 where a socket is adopted,
     * and with a Unix address. Aborts by it: see weir_connect_options. */
    int proto;
    /** Called with @ref accepted_arg for each connection that is accepted,
     * instead of serving it; for a listener that hands connections over to
     * other threads or processes. Then a factory or a function for tasks may be
     * left out, and with it the server serves what it adopts. NULL: serve. */
    weir_server_accepted_fn *accepted;
    /** The first argument of @ref accepted. */
    void *accepted_arg;
    /** Memory for a line that tells where a start has failed, and why:
     * "192.0.2.1:80: Address already in use", "name.example: No such host
     * name". It is written before done is called, empty after a success, and
     * held until then. NULL: not wanted. */
    char *error_text;
    /** Bytes of error_text; a longer line is cut. */
    size_t error_text_size;
    /** Settings of each connection. */
    struct weir_connection_options connection;
};

/**
 * Listen for connections.
 *
 * Host names are looked up (resolver.h). The server listens on all addresses of
 * all names, and a name without an address is an error of the start. Without a
 * host there is one socket for each family, on all addresses. With port 0 the
 * kernel chooses a port, the same for all addresses if it is free on them. IPv6
 * sockets take IPv6 only. An address that this machine does not have is skipped
 * if another address works. A bind to an address that is in use is retried for
 * two seconds: the kernel may keep the sockets of a process that was killed for
 * a moment after the process is gone.
 *
 * Without descriptors or memory for more connections, the server calls the
 * exception hook once, and tries to accept again every 100 ms; clients wait in
 * the kernel's queue meanwhile.
 *
 * @param factory  makes the protocol of each connection; copied. NULL only with
 *                 weir_server_options.accepted
 * @param host     a name or a literal address, NULL or "" for all
 * @param port     the port in host byte order, 0 to let the kernel choose
 * @param done     called once, when the start has ended; may be NULL
 * @param ret      the server, given; end with weir_server_free()
 * @return         0 when it has begun; @p done tells whether it listens
 * @retval WEIR_EDNSBADNAME  a host is neither an address nor a host name
 * @retval -EINVAL  no factory and no accepted, an address of another family
 *                  than was asked for, another protocol than TCP and MPTCP, or
 *                  no_sockets with a host, a port, addresses or a socket
 */
WEIR_API WEIR_MUST_USE int weir_create_server(
    weir_loop *loop, const struct weir_factory *factory, const char *host,
    uint16_t port, const struct weir_server_options *options,
    weir_server_done_fn *done, void *done_arg, weir_server **ret);

/**
 * Listen at a place: on all of its addresses, or on a socket that is bound, one
 * of a service manager for example.
 *
 * @param factory  makes the protocol of each connection; copied
 * @param place    a host as in weir_create_server(), addresses of any family, a
 *                 Unix socket as in weir_create_unix_server(), or a bound
 *                 stream socket, which may listen already. If it listens and
 *                 has TCP_NODELAY and what keep_alive and notsent_lowat_bytes
 *                 ask for, the connections in its queue are taken to have it
 *                 too, and it is not set for each.
 * @param options  borrowed; hosts only beside a host; NULL for all defaults
 * @param done     as in weir_create_server()
 * @param ret      the server, given; end with weir_server_free()
 * @return         as weir_create_server()
 * @retval -EINVAL  no address, an invalid one, or one of another family than
 *                  was asked for; no stream socket, or one that is connected,
 * or a proto with it; hosts in the options; or as weir_create_server()
 * @retval -EBADF   no descriptor that is open
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 */
WEIR_API WEIR_MUST_USE int weir_create_server_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_place place, const struct weir_server_options *options,
    weir_server_done_fn *done, void *done_arg, weir_server **ret);

/**
 * Listen and accept on a server with no_start_serving. No effect on a server
 * that accepts. A server that is starting will accept when it is bound.
 *
 * @return 0, or the error of listening; then the server listens on none of its
 *         addresses, and the call may be repeated
 * @retval -EADDRINUSE  another socket listens on one of the addresses
 * @retval -ESHUTDOWN  the server is closed
 */
WEIR_API WEIR_MUST_USE int weir_server_start_serving(weir_server *server);

/**
 * Count a connection that moves to the server's loop (move.h) as one of the
 * server's, so that weir_server_stop() and its like end it. For the factory of
 * the move, which must not end the server afterwards.
 *
 * @param t  the transport that the factory was called with; borrowed
 * @return   0; if the factory fails nonetheless, it is not counted
 * @retval -EINVAL     @p t is none that a factory was just called with, none of
 *                     a stream, or one of a server's already
 * @retval -ESHUTDOWN  the server does not serve, or not yet
 * @retval -EBUSY      it has as many connections as its limit allows
 */
WEIR_API WEIR_MUST_USE int weir_server_take_connection(weir_server *server,
                                                       weir_transport *t);

/**
 * Serve a connection that was accepted elsewhere, by another thread or by
 * another process (asyncio's connect_accepted_socket, in a server).
 *
 * The connection is served as if the server had accepted it: by the server's
 * factory or task, with its settings and its TLS, and it counts as one of the
 * server's connections. Nothing is called inside this call. The connection
 * waits while the server has as many connections as its limit allows, and until
 * the server has started. If the server is closed first, or cannot start, it is
 * closed; a client of TCP gets a reset.
 *
 * @param fd  a connected IPv4, IPv6 or Unix socket; taken, whatever is returned
 * @return    0: it will be served
 * @retval -EBADF     @p fd is no descriptor that is open
 * @retval -EINVAL    @p fd is no stream socket, or listens; or the server has
 *                    neither a factory nor a function for tasks
 * @retval -ENOTCONN  the connection is broken already, or there never was one
 * @retval -EAFNOSUPPORT  the socket is neither IPv4, IPv6 nor Unix
 * @retval -ESHUTDOWN  the server is closed
 * @retval -ENOMEM    no memory
 */
WEIR_API WEIR_MUST_USE int weir_server_adopt_connection(weir_server *server,
                                                        int fd);

/**
 * Replace the TLS settings of a server while it runs, for a renewed certificate
 * for instance.
 *
 * Connections that are accepted from now on get the new settings. Earlier
 * connections keep the old settings, even during their handshake; the last one
 * gives the old context back. A new context has ticket keys of its own, so that
 * sessions of the old context are not resumed, unless the options of both
 * contexts name the same keys (weir_tls_options.ticket_keys).
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
 * @return true between start and close
 */
WEIR_API bool weir_server_is_serving(const weir_server *server);

/**
 * Accept no more and close the listening sockets; idempotent. Connections stay.
 */
WEIR_API void weir_server_close(weir_server *server);

/**
 * Close every connection of the server, as weir_transport_close() does. After
 * weir_loop_announce_stop() the tasks that wait for the stop run first.
 */
WEIR_API void weir_server_close_clients(weir_server *server);

/** Abort every connection of the server, as weir_transport_abort() does. */
WEIR_API void weir_server_abort_clients(weir_server *server);

/**
 * Call a function when the server is closed and has neither connections left
 * nor tasks that serve them (stream.h). This does not close the server. Any
 * number of functions may be given; each is called once, from the loop.
 *
 * @param closed  called then
 * @retval -EINVAL  no function
 * @retval -ESHUTDOWN  the loop has ended
 */
WEIR_API WEIR_MUST_USE int weir_server_on_closed(weir_server *server,
                                                 weir_server_closed_fn *closed,
                                                 void *arg);

/**
 * Stop gracefully: accept no more, close idle connections, let the others
 * finish and send their answers, and after a time of grace abort the rest.
 *
 * A connection is closed as soon as it is idle; closing sends the written
 * bytes. Idle are
 * - a connection that a task serves (stream.h), while a task waits in a reading
 *   call of its reader for the first byte of the next request, and every byte
 *   that arrived was read. Bytes that arrive later are not served;
 * - any other connection, at any time: a protocol answers in its callbacks.
 *
 * Never idle are
 * - a connection that the program called busy with weir_transport_set_busy(),
 *   until the program calls it not busy;
 * - a connection whose TLS handshake is under way: connection_made is called
 *   after it, and may call it busy.
 *
 * Connections that the kernel has accepted before are still made.
 * A task may continue after its connection is gone. At the end of the grace all
 * connections are aborted and the tasks that still serve are cancelled.
 *
 * The call may be repeated to shorten the grace.
 *
 * @param grace_ns  time in nanoseconds for connections that are not idle, or
 *                  have not sent everything; 0 is no time, UINT64_MAX no limit
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
 * server's options (30 s). The call then waits until all connections and the
 * tasks that serve them have ended: after its return the program may free what
 * these tasks share. A second cancellation ends the wait. In a program that
 * runs until SIGINT (weir_run()) -ECANCELED is the regular end.
 *
 * @return a negative error
 * @retval -ECANCELED  the task was interrupted, and the server is closed
 * @retval -ESHUTDOWN  the server was closed by another call, or did not start
 * @retval -EBUSY      another task is in this call, and this one was not
 *                     interrupted
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
 * An address that the start of a server has tried to listen on, and how that
 * has ended: which of several is in use, or is skipped as this machine lacks
 * it. While an address in use is tried again, the latest attempts count.
 *
 * @param server  borrowed; as of weir_create_server() also while it starts
 * @param index   from 0 on, in the order of the addresses
 * @param ret     its own_address: what the socket is bound to, with the port
 *                that the kernel chose; len 0: it has failed
 * @retval -EINVAL  no more were tried
 */
WEIR_API WEIR_MUST_USE int weir_server_get_attempt(const weir_server *server,
                                                   size_t index,
                                                   struct weir_attempt *ret);

/**
 * Number of sockets that the server listens on; 0 after close.
 *
 * @return number of sockets
 */
WEIR_API size_t weir_server_get_socket_count(const weir_server *server);

/**
 * One of the sockets that the server listens on.
 *
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
 * @return number of connections
 */
WEIR_API uint64_t weir_server_get_connection_count(const weir_server *server);

/** The loop that the server belongs to. */
WEIR_API weir_loop *weir_server_get_loop(const weir_server *server);

/**
 * Close the server and give the handle back. Its connections stay; the
 * functions of weir_server_on_closed() are still called.
 */
WEIR_API void weir_server_free(weir_server *server);

WEIR_END_DECLS

#endif

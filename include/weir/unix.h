/**
 * @file unix.h
 * Unix stream sockets: connecting and listening by path or abstract name, the
 * peer's credentials, and passing descriptors.
 *
 * A name is a text, as for weir_address_parse_unix(): a path, "@name" for an
 * abstract name, which is not a file, or "" for a name that the kernel chooses.
 * The calls of connect.h and server.h that take addresses also take Unix
 * addresses.
 *
 * **Paths.** The loop's thread looks up paths, and makes and removes the files
 * of servers. It waits for the file system, so keep sockets on a local file
 * system. The same applies to each datagram that is sent to a path
 * (datagram.h), and to the calls of sock.h.
 *
 * **Descriptors** can be received with bytes (SCM_RIGHTS), if fd_limit of
 * struct weir_connection_options is set. Without fd_limit a peer that sends
 * descriptors gets EPERM; before Linux 6.16 its send succeeds, and the kernel
 * drops the descriptors. weir sets the socket option SO_PASSRIGHTS according to
 * fd_limit on every Unix socket that it gets. The option keeps this value when
 * the program passes the socket to another program.
 *
 * **Closing descriptors.** A peer chooses the files that it sends. The last
 * close of a file can block as long as the peer wants, for example of a TCP
 * socket with SO_LINGER or of a file on FUSE. A close() on the loop's thread
 * then delays all connections. So unless you trust the peer, close received
 * descriptors in another thread (weir_run_in_executor()).
 *
 * weir itself closes these descriptors in other threads:
 * - descriptors that arrive on a connection with fd_limit, if they are above
 *   the limit, if the program does not take them, or if they are in the
 *   socket's queue when the connection ends;
 * - connected Unix sockets that do not become a transport, because of a limit
 *   of the server, an error or a cancelled call.
 *
 * A process has at most 8 of these threads, and 8 more for sockets with empty
 * queues. They are started on demand, block all signals, and end after a second
 * without work.
 *
 * One thread closes the descriptors of one connection. Until all of them are
 * closed, weir does not receive from the connection: its protocol gets neither
 * bytes nor the end of the stream, and connection_lost is not called if the
 * connection breaks; but its time-outs run. If all threads block, further
 * closes wait, and so do their connections, but no other connections. A socket
 * that is closed with unread bytes also waits, and its peer sees the end late.
 * The end of a loop does not wait for the threads. exit() and execve() may wait
 * for a file on FUSE whose process hangs.
 *
 * **The descriptor table.** Descriptors that wait to be closed remain in the
 * process's table, up to WEIR_FDS_MAX (253) for each connection, even after its
 * loss. So limit the number of connections of untrusted peers: 100 connections
 * can use 25 300 descriptors of RLIMIT_NOFILE, in addition to the descriptors
 * of lost connections.
 *
 * **Closes on the loop's thread.** The loop's thread closes descriptors itself
 * if memory runs out or no thread can be started. The kernel closes descriptors
 * on the loop's thread in three cases: if the descriptor table is full; if a
 * server closes and the descriptors are in connections that were not accepted;
 * and, before Linux 6.16, if fd_limit is 0. Before Linux 6.16 set fd_limit to 1
 * for untrusted peers: for a protocol without fds_received threads then close
 * the descriptors, and the task of a stream takes them (weir_reader_take_fds())
 * and closes them. Datagram endpoints do not need this (datagram.h).
 *
 * If a connection has an fd_limit, weir receives with poll and recvmsg(2), so
 * it neither reads ahead nor reads directly into a protocol's memory. The
 * connection is lost with -ENOMEM if there is no memory to wait for closes.
 *
 * On connections with fd_limit an urgent byte (MSG_OOB) is part of the stream,
 * because descriptors may be attached to it. For this SO_OOBINLINE is set, and
 * remains set. Other connections drop urgent bytes.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_UNIX_H
#define WEIR_UNIX_H

#include "base.h"
#include "connect_options.h"
#include "pending.h"
#include "protocol.h"
#include "reader.h"
#include "server.h"
#include "transport.h"
#include "writer.h"

WEIR_BEGIN_DECLS

/**
 * Connect to a Unix stream socket. While the server's queue is full, the
 * connect is repeated until timeout_ns has expired, first after 1 ms, finally
 * every 64 ms.
 *
 * @param factory  called once the connection is established; copied
 * @param path     a path or an abstract name; borrowed
 * @param ret      as in weir_create_connection()
 * @return         0 if the attempt has started; then @p done gets its result,
 *                 for example -ENOENT (no such file), -ECONNREFUSED (no socket
 *                 listens there), -EACCES or -EPROTOTYPE (not a stream socket)
 * @retval -ENAMETOOLONG  the path is longer than 107 bytes
 * @retval -EINVAL        @p path is NULL or empty, or another cause that
 *                        weir_create_connection() lists
 */
WEIR_API WEIR_MUST_USE int weir_create_unix_connection(
    weir_loop *loop, const struct weir_factory *factory, const char *path,
    const struct weir_connect_options *options, weir_connect_done_fn *done,
    void *done_arg, weir_pending **ret);

/**
 * Listen on a Unix stream socket.
 *
 * If the file exists and is a socket to which no process is bound, because its
 * server has died, it is removed. The check makes no connection, so a running
 * server is not disturbed, and two servers that start at the same time cannot
 * take the path from each other (asyncio removes any socket). All other files
 * remain, and the start fails with -EADDRINUSE after two seconds.
 *
 * weir_server_close() removes the file, even if the program has passed an
 * existing socket, unless another file has replaced it or no_cleanup_socket is
 * set. Set no_cleanup_socket if a service manager has passed the socket and
 * listens on it again later.
 *
 * @param factory  makes the protocol of each connection; copied
 * @param path     a path, an abstract name, or "" for an abstract name that the
 *                 kernel chooses (see weir_server_get_socket()); borrowed
 * @param options  borrowed; must have no hosts; NULL for all defaults
 * @param done     as in weir_create_server()
 * @return         0 if the start has begun; then @p done gets its result
 * @retval -ENAMETOOLONG  the path is longer than 107 bytes
 * @retval -EINVAL        @p path is NULL, or another cause that
 *                        weir_create_server() lists
 */
WEIR_API WEIR_MUST_USE int weir_create_unix_server(
    weir_loop *loop, const struct weir_factory *factory, const char *path,
    const struct weir_server_options *options, weir_server_done_fn *done,
    void *done_arg, weir_server **ret);

/**
 * Get the process, the user and the group of a Unix socket's peer
 * (SO_PEERCRED). They are kept after the loss, unless there was no memory for
 * them.
 *
 * @param ret  the credentials, written on success only
 * @retval -EOPNOTSUPP  the transport has no Unix socket
 * @retval -ENODATA     the credentials were not kept after the loss; or the
 *                      peer's process is in a namespace that is not visible
 *                      here
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_peercred(const weir_transport *t, struct weir_peercred *ret);

/** Maximum number of descriptors in one message (the kernel's SCM_MAX_FD), and
 * of descriptors that wait on one connection. */
#define WEIR_FDS_MAX 253

/**
 * Send copies of bytes together with descriptors; Python's socket.send_fds().
 *
 * The descriptors are duplicated before the call returns, so the caller may
 * close its own descriptors at once. The peer gets the descriptors with the
 * first of the bytes, and after the descriptors of earlier calls. Bytes that
 * were written before may arrive in the same receive.
 *
 * If the bytes are refused, later writes fail, as after weir_transport_write();
 * if only the descriptors are refused, later writes do not fail. If this user
 * has more than RLIMIT_NOFILE descriptors in flight in sockets, the kernel
 * refuses to send more, and the connection breaks with -ETOOMANYREFS.
 *
 * @param data   the bytes; borrowed
 * @param len    number of bytes; not 0 if there are descriptors
 * @param fds    the descriptors; borrowed
 * @param count  number of descriptors, at most WEIR_FDS_MAX; with 0 the call is
 *               the same as weir_transport_write()
 * @return       0 if the bytes and the descriptors were accepted; after an
 *               error nothing was accepted
 * @retval -EOPNOTSUPP  the transport has no Unix stream socket
 * @retval -EINVAL      there are too many descriptors, or there is no byte to
 *                      send them with; or a descriptor is an io_uring, which
 *                      cannot be passed
 * @retval -EBADF       a descriptor is not open
 * @retval -EMFILE      the process has no free descriptors for the duplicates
 * @retval -ENOBUFS     more than WEIR_FDS_MAX descriptors would wait, or the
 *                      hard limit would be exceeded
 * @retval -ENOMEM      there is no memory for the descriptors or for the bytes;
 *                      weir_transport_take_write_error() returns the error only
 *                      if there was no memory for the bytes
 * @retval -ESHUTDOWN, -EPIPE, -EBUSY as from weir_transport_write()
 */
WEIR_API WEIR_MUST_USE int weir_transport_send_fds(weir_transport *t,
                                                   const void *data, size_t len,
                                                   const int *fds,
                                                   size_t count);

/**
 * Take descriptors that have arrived with bytes, on a stream over a Unix socket
 * with fd_limit (struct weir_connection_options); Python's socket.recv_fds().
 *
 * Descriptors are taken in the order in which they were sent. A descriptor can
 * be taken as soon as the byte that it was sent with can be read. So a task
 * reads a message, and then takes the descriptors of that message. At most
 * WEIR_FDS_MAX descriptors wait in the reader. While a descriptor waits, weir
 * does not receive from the connection, unless a task waits for more bytes.
 * Waiting descriptors are closed when the stream is freed or detached.
 *
 * @param fds        memory for the descriptors, which are given, and are
 *                   close-on-exec
 * @param max_count  maximum number of descriptors
 * @return           number of descriptors that were taken; 0 if no descriptor
 *                   waits
 * @retval -ENOBUFS  the next descriptors are lost, because more than fd_limit
 *                   arrived at once, too many waited, or memory or the
 *                   process's descriptors ran out. The error is returned once,
 *                   after the descriptors that arrived before; descriptors that
 *                   arrive until then are closed, too
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_take_fds(weir_reader *reader,
                                                    int *fds, size_t max_count);

/**
 * Send copies of bytes together with descriptors, on a stream over a Unix
 * socket; see weir_transport_send_fds(). After weir_writer_flush() no
 * descriptor waits to be sent.
 *
 * @param data   the bytes; borrowed
 * @param len    number of bytes; not 0 if there are descriptors
 * @param fds    the descriptors; borrowed
 * @param count  number of descriptors, at most WEIR_FDS_MAX
 * @return       as weir_transport_send_fds()
 * @retval -ENOTCONN  there is no connection yet
 */
WEIR_API WEIR_MUST_USE int weir_writer_send_fds(weir_writer *writer,
                                                const void *data, size_t len,
                                                const int *fds, size_t count);

WEIR_END_DECLS

#endif

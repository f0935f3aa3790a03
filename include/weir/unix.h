/**
 * @file unix.h
 * Unix stream sockets: connecting and listening by path or abstract name, the
 * peer's credentials, and passing descriptors.
 *
 * Names are texts for weir_address_parse_unix(): a path, "@name" for an
 * abstract name, which is not a file, or "" for a name that the kernel chooses.
 * The calls of connect.h and server.h that take addresses take Unix addresses
 * too.
 *
 * **Paths.** The loop's thread looks up paths, makes and removes the files of
 * servers, and waits for the file system: keep sockets on a local one. The same
 * applies to each datagram that is sent to a path (datagram.h), and to the
 * calls of sock.h.
 *
 * **Descriptors** can be received with bytes (SCM_RIGHTS), if fd_limit of
 * struct weir_connection_options is set. Without fd_limit a peer's send of
 * descriptors fails with EPERM; before Linux 6.16 the kernel drops the
 * descriptors. weir sets the socket option SO_PASSRIGHTS according to fd_limit
 * on every socket that it gets, and the option stays set when a program passes
 * the socket to another one.
 *
 * **Closing descriptors.** A peer chooses the files that it sends, and the last
 * close of a file can block as long as the peer wants: a TCP socket with
 * SO_LINGER, or a file on FUSE. Unless you trust the peer, close received
 * descriptors in a thread (weir_run_in_executor()): a close() on the loop's
 * thread delays all connections.
 *
 * weir itself closes in threads:
 * - on connections with fd_limit: descriptors above the limit, descriptors that
 *   the program does not take, and descriptors that are in a socket's queue at
 *   its end;
 * - connected Unix sockets that do not become a transport, because of a limit
 *   of the server, an error or a cancelled call.
 *
 * A process has at most 8 of these threads, and 8 more for sockets with empty
 * queues. They are started on demand, block all signals, and end after a second
 * without work.
 *
 * One thread closes the descriptors of one connection. Until all are closed
 * weir does not receive from the connection: its protocol gets neither bytes
 * nor the end, nor the loss if it breaks meanwhile; its time-outs run. If all
 * threads block, further closes and their connections wait, but no others. A
 * socket that is closed with unread bytes also waits, and its peer sees the end
 * late. The end of a loop does not wait for the threads; exit() and execve()
 * may wait for a file on FUSE whose process hangs.
 *
 * **The descriptor table.** Descriptors that wait to be closed stay in the
 * process's table: up to WEIR_FDS_MAX (253) for each connection, even after its
 * loss. So limit the connections of untrusted peers: 100 of them can use 25 300
 * descriptors of RLIMIT_NOFILE, in addition to the descriptors of lost
 * connections.
 *
 * **Closes without a thread.** The loop's thread closes descriptors if memory
 * runs out or no thread can be started. The kernel closes them on the loop's
 * thread if the table is full, if they are in connections that were not
 * accepted when a server closes and, before Linux 6.16, if fd_limit is 0. With
 * untrusted peers set fd_limit to 1 there: threads close the descriptors for a
 * protocol without fds_received, and the task of a stream takes them
 * (weir_reader_take_fds()) and closes them. weir receives from a connection
 * with fd_limit with poll and recvmsg(2): it does not read ahead, or into a
 * protocol's memory. A connection is lost with -ENOMEM if there is no memory to
 * wait for its closes. Datagram endpoints do not need fd_limit for this
 * (datagram.h).
 *
 * On connections with fd_limit an urgent byte (MSG_OOB) is a byte of the
 * stream, because descriptors may be attached to it (SO_OOBINLINE is set and
 * stays set); other connections drop it.
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
 * Connect to a Unix stream socket. While the server's queue is full the connect
 * is retried, first after 1 ms, finally every 64 ms, until timeout_ns has
 * expired.
 *
 * @param factory  called once the connection is established; copied
 * @param path     a path or an abstract name; borrowed
 * @param ret      as in weir_create_connection()
 * @return         0 if the attempt has started; @p done gets its result:
 *                 -ENOENT (no such file), -ECONNREFUSED (no socket listens
 *                 there), -EACCES, -EPROTOTYPE (not a stream socket) ...
 * @retval -ENAMETOOLONG  the path is longer than 107 bytes
 * @retval -EINVAL        no path or an empty one, or as from
 *                        weir_create_connection()
 */
WEIR_API WEIR_MUST_USE int weir_create_unix_connection(
    weir_loop *loop, const struct weir_factory *factory, const char *path,
    const struct weir_connect_options *options, weir_connect_done_fn *done,
    void *done_arg, weir_pending **ret);

/**
 * Listen on a Unix stream socket.
 *
 * An existing file is removed if it is a socket to which no process is bound,
 * left by a server that has died. The check makes no connection, so a running
 * server is not disturbed, and two servers that start at the same time cannot
 * take the path from each other (asyncio removes any socket). Any other file is
 * never removed; the start fails with -EADDRINUSE after two seconds.
 *
 * weir_server_close() removes the file, even of an adopted socket, unless
 * another file has replaced it or no_cleanup_socket is set. Set
 * no_cleanup_socket for a socket from a service manager that listens on it
 * again later.
 *
 * @param factory  makes the protocol of each connection; copied
 * @param path     a path, an abstract name, or "" for an abstract name that the
 *                 kernel chooses (see weir_server_get_socket()); borrowed
 * @param options  borrowed, without hosts; NULL for all defaults
 * @param done     as in weir_create_server()
 * @return         0 when the start has begun; @p done gets its result
 * @retval -ENAMETOOLONG  the path is longer than 107 bytes
 * @retval -EINVAL        no path, or as from weir_create_server()
 */
WEIR_API WEIR_MUST_USE int weir_create_unix_server(
    weir_loop *loop, const struct weir_factory *factory, const char *path,
    const struct weir_server_options *options, weir_server_done_fn *done,
    void *done_arg, weir_server **ret);

/**
 * Get process, user and group of a Unix socket's peer (SO_PEERCRED). They are
 * kept after the loss, unless there was no memory for them then.
 *
 * @param ret  the credentials, written on success only
 * @retval -EOPNOTSUPP  not a Unix socket
 * @retval -ENODATA     not kept after the loss; or the peer's process is in a
 *                      namespace that is not visible here
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_peercred(const weir_transport *t, struct weir_peercred *ret);

/** Maximum number of descriptors in one message (the kernel's SCM_MAX_FD), and
 * of descriptors that wait on one connection. */
#define WEIR_FDS_MAX 253

/**
 * Send bytes with descriptors, copies of both; Python's socket.send_fds().
 *
 * The descriptors are duplicated before this returns, so the caller keeps its
 * own and may close them at once. The peer gets them with the first of the
 * bytes, not later, and after the descriptors of earlier calls. Bytes that were
 * written before may arrive in the same receive.
 *
 * If the bytes are refused later writes fail, as after weir_transport_write();
 * if the descriptors are refused they do not. If this user has more than
 * RLIMIT_NOFILE descriptors in flight in sockets, the kernel refuses to send
 * more, which breaks the connection with -ETOOMANYREFS.
 *
 * @param data   the bytes; borrowed
 * @param len    bytes, not 0 if there are descriptors
 * @param fds    the descriptors; borrowed
 * @param count  number of descriptors, at most WEIR_FDS_MAX; 0 is just a write
 * @return       0 when accepted, or a negative error; then nothing was accepted
 * @retval -EOPNOTSUPP  not a Unix stream socket
 * @retval -EINVAL      too many descriptors, or no byte to send them with; or a
 *                      descriptor of an io_uring, which cannot be passed
 * @retval -EBADF       a descriptor is not open
 * @retval -EMFILE      the process has no free descriptors for the duplicates
 * @retval -ENOBUFS     WEIR_FDS_MAX waiting descriptors or the hard limit would
 *                      be exceeded
 * @retval -ENOMEM      no memory for the descriptors, or for the bytes;
 *                      weir_transport_take_write_error() reports only the
 *                      latter
 * @retval -ESHUTDOWN, -EPIPE, -EBUSY as from weir_transport_write()
 */
WEIR_API WEIR_MUST_USE int weir_transport_send_fds(weir_transport *t,
                                                   const void *data, size_t len,
                                                   const int *fds,
                                                   size_t count);

/**
 * Take descriptors that arrived with bytes, on a stream over a Unix socket with
 * fd_limit (struct weir_connection_options); Python's socket.recv_fds().
 *
 * Descriptors are taken in the order in which they were sent. A descriptor can
 * be taken as soon as the byte that it was sent with can be read: a task reads
 * a message and then takes the descriptors of that message. At most
 * WEIR_FDS_MAX wait. While a descriptor waits weir does not receive from the
 * connection, unless a task waits for more bytes. Waiting descriptors are
 * closed when the stream is freed or detached.
 *
 * @param fds        the descriptors; given, close-on-exec
 * @param max_count  number of descriptors at most
 * @return           number of descriptors that were taken, 0 if none waits
 * @retval -ENOBUFS  the next descriptors were closed and are lost: more than
 *                   fd_limit arrived at once, too many waited, or memory or the
 *                   process's descriptors ran out. Returned once, after the
 *                   descriptors that arrived before; descriptors that arrive
 *                   until then are closed, too
 */
WEIR_API WEIR_MUST_USE ssize_t weir_reader_take_fds(weir_reader *reader,
                                                    int *fds, size_t max_count);

/**
 * Send bytes with descriptors, copies of both, on a stream over a Unix socket;
 * see weir_transport_send_fds(). After weir_writer_flush() no descriptor waits
 * to be sent.
 *
 * @param data   the bytes; borrowed
 * @param len    number of bytes, not 0 if there are descriptors
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

/**
 * @file unix.h
 * Unix stream sockets: makers by path or abstract name, and who the peer is.
 *
 * A Unix socket is a transport like any other. Names are text as
 * weir_address_parse_unix() reads it: a path, "@name" for an abstract name,
 * which is no file, or "" for a name that the kernel chooses. The makers of
 * server.h take Unix addresses too, as values.
 *
 * **Paths.** The loop's thread looks paths up, makes and removes the files of
 * servers, and waits for the file system: keep sockets on a local one. The same
 * is true of each datagram that is sent to a path (datagram.h), and of the
 * calls of sock.h.
 *
 * **Descriptors** can go along with bytes (SCM_RIGHTS), if fd_limit of struct
 * weir_connection_options asks for them. Otherwise a peer cannot send any since
 * Linux 6.16 (its send fails with EPERM), and before that the kernel drops
 * them. The kernel's option for that (SO_PASSRIGHTS) belongs to the socket:
 * weir sets it as fd_limit says wherever it gets a socket, and a program that
 * hands a socket on finds what weir set last.
 *
 * **Closing them.** A peer chooses the files that it sends, and the last close
 * of a file may take as long as the peer likes: a TCP socket with SO_LINGER, or
 * a file on FUSE. Unless you trust the peer, close the descriptors that you get
 * in a thread (weir_run_in_executor()): a close() on the loop's thread holds up
 * all connections.
 *
 * weir closes in threads, too, what it drops:
 * - on connections with fd_limit: descriptors above the limit, descriptors that
 *   nothing takes, and those that lie in a socket at its end;
 * - connected Unix sockets that become no transport, because of a limit of the
 *   server, an error or a cancelled call.
 *
 * It starts at most 8 threads for that in a process, when there is something to
 * close, and 8 more for sockets in which nothing lay. The threads have all
 * signals blocked, and end when there has been nothing to close for a second.
 *
 * The descriptors of one connection wait in one thread. While any of them waits
 * weir does not receive from that connection: its protocol gets neither bytes
 * nor the end, nor the loss of a connection that has broken meanwhile; its
 * time-outs run. When all threads wait, further closes wait for them, and so do
 * the connections that they belong to, but no others. A socket that is closed
 * with unread bytes in it waits as well, and its peer sees the end late. The
 * end of a loop waits for no thread; exit() and execve() may, for a file on
 * FUSE whose process hangs.
 *
 * **The process's table.** Descriptors that wait to be closed are in it: up to
 * WEIR_FDS_MAX (253) for each connection, also after its loss. So limit the
 * connections of peers that you do not trust: 100 of them can fill 25 300
 * places of RLIMIT_NOFILE, and descriptors of lost connections come on top.
 *
 * **Where no thread helps.** The loop's thread closes descriptors if the
 * process has no memory or no thread left. The kernel does, on the loop's
 * thread, if the table has no room, with what lies in connections that were not
 * accepted when a server closes and, before Linux 6.16, with descriptors that
 * no one asked for. If you do not trust peers there, ask for descriptors by a
 * fd_limit of 1: threads close them for a protocol without fds_received, and
 * the task of a stream takes them (weir_reader_take_fds()) and closes them.
 * weir receives from such a connection by poll and recvmsg(2): it reads no
 * bytes ahead, and none into memory that a protocol lends. A connection for
 * which there is no memory to wait for its descriptors is lost with -ENOMEM.
 * Datagram endpoints need not ask (datagram.h).
 *
 * On connections with fd_limit an urgent byte (MSG_OOB) of the peer is a byte
 * of the stream, since descriptors may come with it (SO_OOBINLINE is set, for
 * good); other connections drop it.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_UNIX_H
#define WEIR_UNIX_H

#include "base.h"
#include "protocol.h"
#include "server.h"
#include "transport.h"

WEIR_BEGIN_DECLS

/**
 * Connect to a Unix stream socket, or adopt a connected one.
 *
 * While the queue of the server is full, the connect is tried again, after 1 ms
 * at first and every 64 ms at last, until timeout_ns is over.
 *
 * @param loop     the loop; borrowed
 * @param factory  called once the connection stands; copied
 * @param path     a path or an abstract name, borrowed; NULL with addresses or
 *                 use_sock
 * @param options  borrowed; NULL for all defaults; the own port and host are
 * not for Unix sockets
 * @param ret      as in weir_create_connection()
 * @return         0 when the attempt has started; options->done tells how it
 *                 ends: -ENOENT (no such file), -ECONNREFUSED (no socket
 * listens there), -EACCES, -EPROTOTYPE (it is no stream socket) ...
 * @retval -ENAMETOOLONG  the path is longer than 107 bytes
 * @retval -EINVAL        an empty path, a path and a socket together, or
 * neither, or as from weir_create_connection()
 */
WEIR_API WEIR_MUST_USE int weir_create_unix_connection(
    weir_loop *loop, const struct weir_factory *factory, const char *path,
    const struct weir_connect_options *options, weir_connect **ret);

/**
 * Listen on a Unix stream socket.
 *
 * A file that is in the way is removed if it is a socket that no process is
 * bound to: one that its server left when it died. That is found out without a
 * connection, so a server that is there is not disturbed, and two that start at
 * the same moment cannot take the path from each other (a difference from
 * asyncio, which removes any socket). Anything else in the way is -EADDRINUSE,
 * after 200 ms, and is never removed.
 *
 * weir_server_close() removes the file, unless another one has taken its place
 * meanwhile or no_cleanup_socket is set; so it does with that of a socket that
 * was handed in. For a socket that a service manager handed in and listens on
 * again later, set no_cleanup_socket.
 *
 * @param loop     the loop; borrowed
 * @param factory  makes the protocol of each connection; copied
 * @param path     a path, an abstract name, or "" for an abstract name that the
 *                 kernel chooses and weir_server_get_socket() tells; borrowed;
 *                 NULL with addresses or use_sock
 * @param options  borrowed; NULL for all defaults; socket_mode is for this
 * maker
 * @param ret      the server, given; end with weir_server_free()
 * @return         0 when it has begun; options->done tells whether it listens
 * @retval -ENAMETOOLONG  the path is longer than 107 bytes
 * @retval -EINVAL        a path and a socket together, or neither, or as from
 *                        weir_create_server()
 */
WEIR_API WEIR_MUST_USE int weir_create_unix_server(
    weir_loop *loop, const struct weir_factory *factory, const char *path,
    const struct weir_server_options *options, weir_server **ret);

/**
 * Process, user and group of the peer of a Unix socket; asyncio's users ask the
 * socket for SO_PEERCRED. Kept after the loss, unless there was no memory for
 * it then.
 *
 * @param t    the transport; borrowed
 * @param ret  the credentials, written on success only
 * @return     0
 * @retval -EOPNOTSUPP  it is no Unix socket
 * @retval -ENODATA     after the loss, where they were not kept; or the peer's
 *                      process is in a namespace that cannot be seen from here
 */
WEIR_API int weir_transport_get_peercred(const weir_transport *t,
                                         struct weir_peercred *ret);

/** Descriptors that one message carries at most (the kernel's SCM_MAX_FD), and
 * that wait on one connection at most. */
#define WEIR_FDS_MAX 253

/**
 * Send copies of some bytes and descriptors along with them; Python's
 * socket.send_fds().
 *
 * The descriptors are duplicated before this returns, so the caller keeps its
 * own and may close them at once. The peer gets them with the first of the
 * bytes: no later, and not before the descriptors of an earlier call. Bytes
 * that were written before may arrive in the same receive.
 *
 * A refusal of the bytes is remembered as weir_transport_write() says; one that
 * concerns the descriptors is not, and the next write may follow. The kernel
 * passes none on while this user has more than RLIMIT_NOFILE of them on their
 * way in sockets: that breaks the connection when they are sent, with
 * -ETOOMANYREFS.
 *
 * @param t      the transport; borrowed
 * @param data   the bytes; borrowed
 * @param len    how many, not 0 where there are descriptors
 * @param fds    the descriptors; borrowed
 * @param count  how many, at most WEIR_FDS_MAX; with 0 it is a write
 * @return       0 when accepted, or a negative error; then nothing was taken
 * @retval -EOPNOTSUPP  it is no Unix stream socket
 * @retval -EINVAL      too many descriptors, or no byte to send them with; or
 *                      one is an instance of io_uring, which cannot be passed
 * @retval -EBADF       one of them is not open
 * @retval -EMFILE      the process has no room for the duplicates
 * @retval -ENOBUFS     more than WEIR_FDS_MAX would wait, or more bytes than
 * the hard limit
 * @retval -ENOMEM      no memory: for the descriptors, or for the bytes, which
 *                      alone weir_transport_take_write_error() tells of
 * @retval -ESHUTDOWN, -EPIPE, -EBUSY  as from weir_transport_write()
 */
WEIR_API WEIR_MUST_USE int weir_transport_send_fds(weir_transport *t,
                                                   const void *data, size_t len,
                                                   const int *fds,
                                                   size_t count);

WEIR_END_DECLS

#endif

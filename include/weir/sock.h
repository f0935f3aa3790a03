/**
 * @file sock.h
 * Suspending calls on sockets of the program: asyncio's loop.sock_recv(),
 * loop.sock_sendall() and others.
 *
 * The sockets have no transport. They may be of any family and type, blocking
 * or not; their flags are not changed. A call does not suspend if it can
 * complete at once. Calls on one socket are served in order, in each of two
 * directions: receiving and accepting, and sending and connecting.
 *
 * A cancelled call has consumed nothing: no byte, datagram or connection is
 * lost. If a call has succeeded before the cancellation takes effect, it
 * returns its result, and the next suspending call returns -ECANCELED.
 *
 * All calls return -EBUSY if a transport of this loop owns the socket. Close a
 * socket only when no call waits on it. weir_sock_connect() takes only
 * addresses; look up host names with weir_getaddrinfo(). The loop's thread
 * looks up the paths of Unix sockets itself, and waits for their file system.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends yes
 */
#ifndef WEIR_SOCK_H
#define WEIR_SOCK_H

#include "address.h"
#include "sendfile.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/**
 * Receive bytes or a datagram; asyncio's sock_recv and sock_recv_into.
 *
 * @param fd    the socket; held
 * @param buf   memory for the bytes; held
 * @param len   size of @p buf in bytes; at most 2^31 - 1 are used
 * @return      number of bytes received, 0 at the end of a stream, or a
 *              negative error
 * @retval -EINVAL      @p buf is NULL, although @p len is not 0
 * @retval -EBADF       @p fd is not open
 * @retval -ENOTSOCK    @p fd is not a socket
 * @retval -ENOMEM      no memory
 */
WEIR_API WEIR_MUST_USE ssize_t weir_sock_recv(weir_loop *loop, int fd,
                                              void *buf, size_t len);

/**
 * Receive a datagram and the sender's address; asyncio's sock_recvfrom and
 * sock_recvfrom_into. If a datagram is longer than @p len, its rest is dropped.
 *
 * @param fd        the socket; held
 * @param buf       memory for the bytes; held
 * @param len       size of @p buf in bytes
 * @param ret_from  set to the sender's address, whose len is 0 if the sender
 *                  has none; held; may be NULL
 * @return          as weir_sock_recv()
 */
WEIR_API WEIR_MUST_USE ssize_t
weir_sock_recvfrom(weir_loop *loop, int fd, void *buf, size_t len,
                   struct weir_address *ret_from);

/**
 * Send all bytes; asyncio's sock_sendall.
 *
 * @param fd        a stream socket; held
 * @param data      the bytes; held
 * @param len       number of bytes
 * @param ret_sent  set to the number of bytes that the kernel has accepted,
 *                  even after an error; may be NULL
 * @retval -EPIPE       nothing more can be written to the connection; no
 *                      SIGPIPE is raised
 * @retval -ECANCELED   the task was cancelled; *@p ret_sent bytes were sent
 */
WEIR_API WEIR_MUST_USE int weir_sock_sendall(weir_loop *loop, int fd,
                                             const void *data, size_t len,
                                             size_t *ret_sent);

/**
 * Send a part of a file; asyncio's sock_sendfile.
 *
 * Bytes in the page cache are sent from there; other bytes are first read by
 * the ring (sendfile.h). A blocking socket is made non-blocking for each system
 * call, which other processes that share the socket could notice.
 *
 * @param fd      a stream socket; held
 * @param file    a regular file, open for reading, without O_DIRECT; its
 *                position is not used; held
 * @param offset  the offset of the first byte; held. Set to the offset after
 *                the last byte that was sent, even after an error
 * @param count   number of bytes, or WEIR_TO_END; 0 sends none
 * @return        number of bytes sent, fewer than @p count if the file ended
 *                earlier; or a negative error
 * @retval -EINVAL      @p offset is NULL, the end of the part is beyond
 *                      INT64_MAX, or the file was opened with O_DIRECT
 * @retval -EBADF       @p fd is not open, or the file is not open for reading
 * @retval -EISDIR      the file is a directory
 * @retval -ESPIPE      the file is a pipe, a socket or a device
 * @retval -ENOTSOCK    @p fd is not a socket
 * @retval -EOPNOTSUPP  @p fd is not a stream socket
 * @retval -EPIPE       nothing more can be written to the connection; no
 *                      SIGPIPE is raised
 * @retval -EIO         the file could not be read
 * @retval -ECANCELED   the task was cancelled; *@p offset is set, and the
 *                      socket can still be used
 * @retval -ENOMEM      no memory; *@p offset is set
 */
WEIR_API WEIR_MUST_USE int64_t weir_sock_sendfile(weir_loop *loop, int fd,
                                                  int file, uint64_t *offset,
                                                  uint64_t count);

/**
 * Send a datagram; asyncio's sock_sendto.
 *
 * @param fd    the socket; held
 * @param data  the bytes; held
 * @param len   number of bytes
 * @param to    the receiver's address, borrowed; may be NULL on a connected
 *              socket
 * @return      number of bytes sent, or a negative error
 * @retval -EINVAL      the address has an unknown family
 * @retval -EMSGSIZE    the datagram is too long
 */
WEIR_API WEIR_MUST_USE ssize_t weir_sock_sendto(weir_loop *loop, int fd,
                                                const void *data, size_t len,
                                                const struct weir_address *to);

/**
 * Connect a socket to an address; asyncio's sock_connect. After a cancelled
 * call no operation uses the socket any more, and the program can only close
 * it.
 *
 * @param fd    the socket; held
 * @param to    the address; borrowed
 * @retval -EINVAL        the address has an unknown family
 * @retval -ECONNREFUSED  no socket listens at the address, or TCP has connected
 *                        the socket with itself (connect.h)
 */
WEIR_API WEIR_MUST_USE int weir_sock_connect(weir_loop *loop, int fd,
                                             const struct weir_address *to);

/**
 * Accept a connection; asyncio's sock_accept.
 *
 * @param fd        the listening socket; held
 * @param ret_peer  set to the peer's address, whose len is 0 if the peer has
 *                  none; held; may be NULL
 * @return          the descriptor of the connection, given, which is blocking
 *                  and close-on-exec; or a negative error
 * @retval -EMFILE      the process has no free descriptor; the connection
 *                      remains in the kernel's queue
 * @retval -ECANCELED   the task was cancelled; a connection that has arrived
 *                      remains in the kernel's queue
 */
WEIR_API WEIR_MUST_USE int weir_sock_accept(weir_loop *loop, int fd,
                                            struct weir_address *ret_peer);

WEIR_END_DECLS

#endif

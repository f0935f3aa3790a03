/**
 * @file sock.h
 * Suspending calls on sockets of the program: asyncio's loop.sock_recv() and
 * its like.
 *
 * For sockets that are no transport's, of any family and type, whether they
 * block or not; their flags are left alone. Where something can be done at once
 * the call does not suspend. Calls on one socket wait for each other in each
 * direction, first come, first served: those that receive and accept, and those
 * that send and connect.
 *
 * A call that is cancelled has taken nothing: no byte, no datagram and no
 * connection is lost. Where it had succeeded before the cancellation took
 * effect it returns what it got, and the next suspending call returns
 * -ECANCELED.
 *
 * Close a socket only when no call waits on it. Host names: weir_getaddrinfo()
 * first; weir_sock_connect() takes addresses alone. Paths of Unix sockets are
 * looked up by the loop's thread, which waits for their file system.
 *
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
 * Receive; asyncio's sock_recv and sock_recv_into.
 *
 * @param loop  the loop; held
 * @param fd    the socket; held until the call returns
 * @param buf   destination; held until the call returns
 * @param len   size of @p buf in bytes; of more than 2^31 - 1 as many are used
 * @return      bytes received, 0 at the end of a stream, or a negative error
 * @retval -EINVAL      no memory for @p len bytes
 * @retval -EBADF       no such descriptor
 * @retval -ENOTSOCK    no socket
 * @retval -EBUSY       a transport of this loop owns it
 * @retval -ENOMEM      no memory
 * @retval -ECANCELED   the task was cancelled; nothing was received
 * @retval WEIR_ENOTTASK  not called by a task
 */
WEIR_API WEIR_MUST_USE ssize_t weir_sock_recv(weir_loop *loop, int fd,
                                              void *buf, size_t len);

/**
 * Receive, and learn from whom; asyncio's sock_recvfrom and sock_recvfrom_into.
 * Of a datagram that is longer than @p len the rest is dropped.
 *
 * @param loop      the loop; held
 * @param fd        the socket; held until the call returns
 * @param buf       destination; held until the call returns
 * @param len       size of @p buf in bytes
 * @param ret_from  the sender's address, its length 0 where it has none; held;
 *                  may be NULL
 * @return          as weir_sock_recv()
 */
WEIR_API WEIR_MUST_USE ssize_t
weir_sock_recvfrom(weir_loop *loop, int fd, void *buf, size_t len,
                   struct weir_address *ret_from);

/**
 * Send all bytes; asyncio's sock_sendall.
 *
 * @param loop      the loop; held
 * @param fd        a stream socket; held until the call returns
 * @param data      the bytes; held until the call returns
 * @param len       how many
 * @param ret_sent  how many the kernel has taken, also after an error; may be
 *                  NULL
 * @return          0
 * @retval -EPIPE       the connection can take no more; there is no SIGPIPE
 * @retval -ECANCELED   the task was cancelled; @p ret_sent bytes are sent
 * @retval -EBUSY       a transport of this loop owns it
 * @retval WEIR_ENOTTASK  not called by a task
 */
WEIR_API WEIR_MUST_USE int weir_sock_sendall(weir_loop *loop, int fd,
                                             const void *data, size_t len,
                                             size_t *ret_sent);

/**
 * Send a part of a file; asyncio's sock_sendfile.
 *
 * Where the bytes are in the page cache they go from there to the socket, and
 * otherwise they are read by the ring first, as sendfile.h tells. A socket that
 * blocks is non-blocking for the time of each system call, which others who
 * share it could see.
 *
 * @param loop    the loop; held
 * @param fd      a stream socket; held until the call returns
 * @param file    a regular file, open for reading and not with O_DIRECT, whose
 *                position is neither used nor changed; held until the call
 *                returns
 * @param offset  in: the first byte; out, whatever is returned: the byte after
 *                the last one that was sent; held
 * @param count   how many bytes, or WEIR_TO_END; 0 sends none
 * @return        bytes sent, fewer when the file has fewer; or a negative error
 * @retval -EINVAL      no @p offset, one beyond INT64_MAX, or O_DIRECT
 * @retval -EBADF       no such descriptor, or the file is not open for reading
 * @retval -EISDIR      the file is a directory
 * @retval -ESPIPE      it is a pipe, a socket or a device
 * @retval -ENOTSOCK    @p fd is no socket
 * @retval -EOPNOTSUPP  it is no stream socket
 * @retval -EPIPE       the connection can take no more; there is no SIGPIPE
 * @retval -EIO         the file could not be read
 * @retval -ECANCELED   the task was cancelled; *@p offset tells how far the
 *                      file was sent, and the socket can be used
 * @retval -EBUSY       a transport of this loop owns the socket
 * @retval -ENOMEM      no memory; *@p offset tells as after a cancellation
 * @retval WEIR_ENOTTASK  not called by a task
 */
WEIR_API WEIR_MUST_USE int64_t weir_sock_sendfile(weir_loop *loop, int fd,
                                                  int file, uint64_t *offset,
                                                  uint64_t count);

/**
 * Send a datagram; asyncio's sock_sendto.
 *
 * @param loop  the loop; held
 * @param fd    the socket; held until the call returns
 * @param data  the bytes; held until the call returns
 * @param len   how many
 * @param to    to whom, or NULL on a connected socket; borrowed
 * @return      bytes sent, or a negative error
 * @retval -EINVAL      no address of a family that weir knows
 * @retval -EMSGSIZE    longer than a datagram can be
 * @retval -ECANCELED   the task was cancelled; nothing was sent
 * @retval -EBUSY       a transport of this loop owns it
 * @retval WEIR_ENOTTASK  not called by a task
 */
WEIR_API WEIR_MUST_USE ssize_t weir_sock_sendto(weir_loop *loop, int fd,
                                                const void *data, size_t len,
                                                const struct weir_address *to);

/**
 * Connect; asyncio's sock_connect, for addresses.
 *
 * A call that was cancelled leaves the socket unusable: close it. Nothing of it
 * is in the kernel then.
 *
 * @param loop  the loop; held
 * @param fd    the socket; held until the call returns
 * @param to    whereto; borrowed
 * @return      0
 * @retval -EINVAL        no address of a family that weir knows
 * @retval -ECONNREFUSED  nothing listens there
 * @retval -ECANCELED     the task was cancelled
 * @retval -EBUSY         a transport of this loop owns it
 * @retval WEIR_ENOTTASK  not called by a task
 */
WEIR_API WEIR_MUST_USE int weir_sock_connect(weir_loop *loop, int fd,
                                             const struct weir_address *to);

/**
 * Accept a connection; asyncio's sock_accept.
 *
 * @param loop      the loop; held
 * @param fd        the listening socket; held until the call returns
 * @param ret_peer  the peer's address, its length 0 where it has none; held;
 *                  may be NULL
 * @return          a descriptor that blocks and is close-on-exec, given, or a
 *                  negative error
 * @retval -EMFILE      no descriptors left; the connection stays in the queue
 * @retval -ECANCELED   the task was cancelled; the connection stays there too
 * @retval -EBUSY       a transport of this loop owns it
 * @retval WEIR_ENOTTASK  not called by a task
 */
WEIR_API WEIR_MUST_USE int weir_sock_accept(weir_loop *loop, int fd,
                                            struct weir_address *ret_peer);

WEIR_END_DECLS

#endif

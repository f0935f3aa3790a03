/**
 * @file pipe.h
 * Pipes: transports that move bytes one way.
 *
 * A read pipe delivers the bytes of a descriptor to its protocol, a write pipe
 * writes to a descriptor. Each is an endpoint (endpoint.h) for
 * weir_create_connection_at(), and weir_open_connection_at() in tasks. The
 * descriptor may be one end of a pipe, a FIFO, a terminal, another character
 * device, a connected stream socket or a regular file. Calls of the other
 * direction return -EOPNOTSUPP, and weir_transport_write_eof() is
 * weir_transport_close().
 *
 * **The file's flags are not changed.** asyncio makes the file non-blocking for
 * every process that shares it, for example the shell on a terminal. weir reads
 * and writes without this flag and never waits: for FIFOs that were opened by
 * name, terminals, regular files, and all pipes before Linux 6.4, worker
 * threads of the kernel read and write. Before Linux 6.3 these threads need two
 * more descriptors for each pipe; if the process has none left, the connection
 * is lost with -EMFILE. If no thread can be started, the loop's thread reads
 * and writes what needs no wait, see file.h. At a terminal that it cannot open
 * again, such as another user's or the master of a pseudo-terminal, it waits if
 * another process takes the bytes or the space at the same moment. One option
 * of a Unix socket is changed, for every process that shares the socket: its
 * peer can no longer send descriptors (SO_PASSRIGHTS, since Linux 6.16),
 * because closing them could block the loop. The last close of a serial line
 * blocks the loop until the written bytes have left, for 30 s at most (its
 * closing_wait).
 *
 * **The end.** At the end of a read pipe eof_received is called, and
 * connection_lost follows. When all readers of a write pipe have closed it, the
 * connection is lost, even if nothing is being written: with -EPIPE if bytes
 * were waiting, otherwise with 0 and WEIR_END_EOF. No write raises SIGPIPE or
 * SIGXFSZ. A closed read pipe is lost at once; a closed write pipe is lost when
 * all bytes are written, however long its reader takes, unless close_ns or
 * write_stall_ns is set. A terminal that hangs up ends both directions; on the
 * master of a pseudo-terminal the kernel reports -EIO.
 *
 * Written bytes are a stream: several writes may reach the file as one, and one
 * write as several.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_PIPE_H
#define WEIR_PIPE_H

#include "base.h"
#include "connect_options.h"
#include "pending.h"
#include "protocol.h"

WEIR_BEGIN_DECLS

/**
 * Read a pipe (asyncio's connect_read_pipe): weir_create_connection_at() of
 * weir_endpoint_read_pipe().
 *
 * @param factory  makes the protocol, a stream or a buffered one; copied
 * @param fd       a descriptor open for reading; taken, even after an error
 * @param options  borrowed; NULL for all defaults. A family, a local address, a
 *                 proto, fast_open and TLS are refused; other settings of
 *                 sockets, and the time to linger, have no effect
 * @param done     called once, after connection_made or with an error; may be
 *                 NULL if no handle is wanted
 * @retval -EBADF      @p fd is not open, or not for reading
 * @retval -EINVAL     a file of another type (a directory, an eventfd) or a
 *                     socket of another type; no factory, or a handle without
 *                     done
 */
WEIR_API WEIR_MUST_USE int
weir_connect_read_pipe(weir_loop *loop, const struct weir_factory *factory,
                       int fd, const struct weir_connect_options *options,
                       weir_connect_done_fn *done, void *done_arg,
                       weir_pending **ret);

/**
 * Write to a pipe (asyncio's connect_write_pipe): weir_create_connection_at()
 * of weir_endpoint_write_pipe().
 *
 * @param factory  makes the protocol, without data_received calls; copied
 * @param fd       a descriptor open for writing; taken, even after an error
 * @param options  as in weir_connect_read_pipe(); borrowed
 * @param done     as in weir_connect_read_pipe()
 * @return         as weir_connect_read_pipe()
 * @retval -EBADF  @p fd is not open, or not for writing
 */
WEIR_API WEIR_MUST_USE int
weir_connect_write_pipe(weir_loop *loop, const struct weir_factory *factory,
                        int fd, const struct weir_connect_options *options,
                        weir_connect_done_fn *done, void *done_arg,
                        weir_pending **ret);

WEIR_END_DECLS

#endif

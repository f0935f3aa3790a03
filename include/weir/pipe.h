/**
 * @file pipe.h
 * Pipes: transports that move bytes one way.
 *
 * A read pipe shows its protocol the bytes of a descriptor, a write pipe writes
 * to one. The descriptor may be one end of a pipe, a FIFO, a terminal, another
 * character device, a connected stream socket or a regular file. Calls of the
 * other direction return -EOPNOTSUPP, and weir_transport_write_eof() is
 * weir_transport_close().
 *
 * **The flags of the file stay as they are.** asyncio makes it non-blocking,
 * and with it everything that shares it: the shell's terminal, for example.
 * weir reads and writes without that, and never waits: where the file does not
 * let it, which is so for FIFOs that were opened by name, terminals, regular
 * files and all pipes before Linux 6.4, worker threads of the kernel read and
 * write. Before Linux 6.3 those need two descriptors more for each pipe: where
 * the process has none left, the connection is lost with -EMFILE. One option of
 * a Unix socket changes, for all that share it: its peer cannot send
 * descriptors any more (SO_PASSRIGHTS, since Linux 6.16), since the close of
 * those could hold up the loop. The last close of a serial line does: it waits
 * until what was written has left, for 30 s at most (its closing_wait).
 *
 * **The end.** At the end of what can be read, eof_received is called, and
 * connection_lost follows whatever it returns, but for an error; there is no
 * other direction. When all readers of a write pipe have gone, which is noticed
 * while nothing is written too, the connection is lost: with -EPIPE if bytes
 * were waiting, with 0 and WEIR_END_EOF if none were. No write raises SIGPIPE.
 * A terminal that hangs up ends both directions; the kernel gives the master of
 * a pseudo-terminal -EIO.
 *
 * Bytes that were written are one stream: several writes may reach the file as
 * one, and one as several.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_PIPE_H
#define WEIR_PIPE_H

#include "base.h"
#include "connect.h"
#include "protocol.h"

WEIR_BEGIN_DECLS

/**
 * Read a pipe (asyncio's connect_read_pipe).
 *
 * @param loop      the loop; borrowed
 * @param factory   makes the protocol, a stream or a buffered one; copied
 * @param fd        a descriptor that is open for reading; taken, whatever is
 *                  returned
 * @param options   borrowed; NULL for all defaults. Settings of sockets, and
 *                  the time to linger, mean nothing here
 * @param done      called once, after connection_made or with an error; may be
 *                  NULL when no handle is asked for
 * @param done_arg  its first argument
 * @param ret       a handle for weir_pending_cancel(), which needs a @p done;
 *                  NULL when none is wanted
 * @return          0 when it has begun; @p done tells how it ends
 * @retval -EBADF      @p fd is not open, or not for reading
 * @retval -EINVAL     it is a file of another type (a directory, an eventfd), a
 *                     socket of another type; no factory, or a handle without
 *                     done
 * @retval -E2BIG      options of a newer library with an unknown field set
 * @retval -ESHUTDOWN  the loop is being freed
 * @retval -ENOMEM     no memory
 */
WEIR_API WEIR_MUST_USE int
weir_connect_read_pipe(weir_loop *loop, const struct weir_factory *factory,
                       int fd, const struct weir_connection_options *options,
                       weir_connect_done_fn *done, void *done_arg,
                       weir_pending **ret);

/**
 * Write to a pipe (asyncio's connect_write_pipe).
 *
 * @param loop      the loop; borrowed
 * @param factory   makes the protocol, whose data_received is never called;
 *                  copied
 * @param fd        a descriptor that is open for writing; taken, whatever is
 *                  returned
 * @param options   as in weir_connect_read_pipe(); borrowed
 * @param done      as in weir_connect_read_pipe()
 * @param done_arg  its first argument
 * @param ret       as in weir_connect_read_pipe()
 * @return          as weir_connect_read_pipe()
 * @retval -EBADF  @p fd is not open, or not for writing
 */
WEIR_API WEIR_MUST_USE int
weir_connect_write_pipe(weir_loop *loop, const struct weir_factory *factory,
                        int fd, const struct weir_connection_options *options,
                        weir_connect_done_fn *done, void *done_arg,
                        weir_pending **ret);

WEIR_END_DECLS

#endif

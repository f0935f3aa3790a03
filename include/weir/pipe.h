/**
 * @file pipe.h
 * Pipes: transports that only read from a descriptor, or only write to it.
 *
 * A read pipe delivers the bytes of a descriptor to its protocol, a write pipe
 * writes to a descriptor. Each is an endpoint (endpoint.h) for
 * weir_create_connection_at(), and in tasks for weir_open_connection_at(). The
 * descriptor may be one end of a pipe, a FIFO, a terminal, another character
 * device, a connected stream socket or a regular file. Functions for the other
 * direction return -EOPNOTSUPP, and weir_transport_write_eof() does the same as
 * weir_transport_close().
 *
 * **The file's flags are not changed.** asyncio makes the file non-blocking for
 * every process that shares it, for example the shell on a terminal. weir does
 * not set this flag, and the loop still does not wait: for FIFOs that were
 * opened by name, terminals, regular files, and all pipes before Linux 6.4,
 * worker threads of the kernel read and write. Before Linux 6.3 these threads
 * need two more descriptors for each pipe; if the process has no free
 * descriptors, the connection is lost with -EMFILE.
 *
 * **Exceptions.** If no thread can be started, the loop's thread reads and
 * writes as far as it need not wait (file.h). Some terminals cannot be opened
 * again, such as the terminal of another user or the master of a
 * pseudo-terminal. There the loop's thread waits if another process takes the
 * bytes or the space at the same moment. The last close of a serial line blocks
 * the loop until the written bytes are sent, for at most 30 s (its
 * closing_wait). One option of a Unix socket is changed, for every process that
 * shares the socket: its peer can no longer send descriptors (SO_PASSRIGHTS,
 * since Linux 6.16), because closing them could block the loop.
 *
 * **The end.** When a read pipe has no more bytes and no writer, eof_received
 * is called, and then connection_lost. When all readers of a write pipe have
 * closed it, connection_lost is called, even if the program writes nothing:
 * with -EPIPE if bytes were waiting, otherwise with 0 and WEIR_END_EOF. No
 * write raises SIGPIPE or SIGXFSZ. weir_transport_close() ends a read pipe at
 * once. It ends a write pipe when all bytes are written, however long the
 * reader takes, unless close_ns or write_stall_ns is set. If a terminal hangs
 * up, both directions end; on the master of a pseudo-terminal the kernel
 * reports -EIO.
 *
 * Written bytes are a stream: several writes may be joined into one system
 * call, and one write may be divided into several.
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
 * Make a transport that reads a pipe; asyncio's connect_read_pipe. The same as
 * weir_create_connection_at() with weir_endpoint_read_pipe().
 *
 * @param factory  makes the protocol, stream or buffered; copied
 * @param fd       a descriptor open for reading; taken, even after an error
 * @param options  borrowed; NULL for all defaults. A family, a local address, a
 *                 proto, fast_open and TLS must not be set; other settings for
 *                 sockets, and linger_ns, have no effect
 * @param done     called once, after connection_made or with an error; may be
 *                 NULL if @p ret is NULL
 * @retval -EBADF      @p fd is not open, or not for reading
 * @retval -EINVAL     @p fd is a file of another type (a directory, an eventfd)
 *                     or a socket of another type; an option is set that must
 *                     not be; @p factory is NULL; or @p ret is given without @p
 *                     done
 */
WEIR_API WEIR_MUST_USE int
weir_connect_read_pipe(weir_loop *loop, const struct weir_factory *factory,
                       int fd, const struct weir_connect_options *options,
                       weir_connect_done_fn *done, void *done_arg,
                       weir_pending **ret);

/**
 * Make a transport that writes to a pipe; asyncio's connect_write_pipe. The
 * same as weir_create_connection_at() with weir_endpoint_write_pipe().
 *
 * @param factory  makes the protocol, whose data_received is never called;
 *                 copied
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

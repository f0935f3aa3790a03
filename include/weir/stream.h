/**
 * @file stream.h
 * Streams: reading and writing a connection from a task; asyncio's streams.
 *
 * A stream is a reader (reader.h) and a writer (writer.h) for one transport of
 * any kind. The reader keeps received bytes until a task reads them, and pauses
 * the transport when it has too many. A task can wait in the writer until a
 * slow peer has received enough.
 *
 * The calls of this header make streams: for a new connection, for each
 * connection of a server, for a connected socket, and for a pipe.
 * weir_stream_protocol_new() makes a stream for any other transport: it returns
 * a protocol that passes the bytes of the transport to a reader.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends yes
 */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include "base.h"
#include "connect_options.h"
#include "endpoint.h"
#include "reader.h"
#include "server.h"
#include "writer.h"

WEIR_BEGIN_DECLS

/**
 * A handler: serves one connection, in its own task or as a callback.
 *
 * Reader and writer are borrowed; to use the stream after the return take a
 * reference (weir_writer_ref()). When the function returns, its stream is
 * closed (a difference from asyncio): all written bytes are sent, even if bytes
 * of the peer were not read (weir_transport_close()).
 *
 * A negative result is reported to the exception hook, unless it is -ECANCELED
 * or a consequence of the connection's end:
 * - the first error of the connection;
 * - -EPIPE, if the connection is broken;
 * - WEIR_EPEERCLOSED, if the peer has ended it;
 * - -ESHUTDOWN or -ECONNABORTED, if it was closed or aborted.
 */
typedef int weir_client_connected_fn(void *arg, weir_reader *reader,
                                     weir_writer *writer);

/** Options of streams. */
struct weir_stream_options {
    size_t size;
    /** The reader's limit; default WEIR_STREAM_LIMIT. */
    uint64_t limit_bytes;
    /** The handler, which is called with the new connection; may be NULL. */
    weir_client_connected_fn *client_connected;
    /** First argument of client_connected. */
    void *arg;
    /** Call client_connected from connection_made, without a task. The function
     * must not suspend. If it returns a negative error, or has not taken a
     * reference, the stream is closed. */
    bool no_task;
    /** Stack size of the task, see struct weir_task_options; default: the
     * stack_size_bytes of the loop. */
    size_t stack_size_bytes;
};

/**
 * Make the protocol of a stream; asyncio's StreamReaderProtocol. Either a
 * factory returns the protocol, or the program sets it on a transport of any
 * kind and then calls its connection_made:
 *
 * @code{.c}
 * if (weir_transport_set_protocol(t, &stream, NULL, 0) == 0) {
 *     stream.protocol->connection_made(stream.user, t);
 * }
 * @endcode
 *
 * The protocol is for one connection. Before connection_made only references to
 * the writer keep the stream: a protocol that never gets a connection is freed
 * with the last reference. If @p ret_writer is NULL, the protocol must get a
 * connection, as it does in a factory that returns 0.
 *
 * To replace the protocol later use weir_stream_detach().
 *
 * @param ret         set to the protocol and its user pointer
 * @param ret_writer  set to the writer; one reference is given. With NULL only
 *                    the handler keeps the stream
 * @retval -EINVAL     limit_bytes is above INT64_MAX, the stack size is
 *                     invalid, or there is neither a handler nor @p ret_writer
 * @suspends no
 */
WEIR_API WEIR_MUST_USE int weir_stream_protocol_new(
    weir_loop *loop, const struct weir_stream_options *options,
    struct weir_protocol_binding *ret, weir_writer **ret_writer);

/**
 * Remove the connection from a stream, and set another protocol on the
 * connection.
 *
 * The connection stays open. Unread bytes of the reader are delivered to the
 * new protocol first, from the loop; its connection_made is not called, and
 * reading is resumed if the reader had paused it. Written bytes are still sent:
 * resume_writing may be called without an earlier pause_writing.
 *
 * The stream then has no connection: calls on the writer return -ENOTCONN,
 * reading ends, and the only useful call on the writer is weir_writer_unref().
 * Views of the reader end with this call. Descriptors that wait in the reader
 * are closed, so take them before.
 *
 * A handler may detach the stream that it serves and then return. The
 * connection still belongs to its server. weir_server_stop() closes it at once,
 * because it counts as idle, unless weir_transport_set_busy() has marked it
 * busy.
 *
 * @param binding  the new protocol; copied
 * @retval -EBUSY      a task waits in a call on the reader or the writer, or a
 *                     TLS handshake is under way
 * @retval WEIR_EPEERCLOSED  the end of the peer's stream was received
 * @retval WEIR_EREPLACED    the program has started TLS on the transport
 * @retval -ENOTCONN   the stream has no connection, or was detached before
 * @retval -ESHUTDOWN  the connection is closing or lost
 * @retval -EINVAL     the table is not valid
 * @retval -EOPNOTSUPP  the connection is a pipe of a child process
 * @retval -ENOMEM     no memory; nothing has changed
 * @suspends no
 */
WEIR_API WEIR_MUST_USE int
weir_stream_detach(weir_writer *writer,
                   const struct weir_protocol_binding *binding);

/** Options of weir_open_connection() and similar functions. */
struct weir_open_options {
    size_t size;
    /** The reader's limit; default WEIR_STREAM_LIMIT. */
    uint64_t limit_bytes;
    /** The address of a variable that is set to the name of the TLS alert with
     * which the peer has refused the handshake, a static string. The variable
     * is set to NULL if there was no alert. The address is held; NULL if the
     * name is not wanted. */
    const char **tls_alert;
    /** Options of the connection. */
    struct weir_connect_options connect;
};

/**
 * Connect to a host, and get a reader and a writer for the connection;
 * asyncio's open_connection.
 *
 * @param host        a name or a literal address; borrowed
 * @param port        the port in host byte order
 * @return            0 when the connection is established, or an error of
 *                    weir_create_connection() or of the connect
 */
WEIR_API WEIR_MUST_USE int
weir_open_connection(weir_loop *loop, const char *host, uint16_t port,
                     const struct weir_open_options *options,
                     weir_reader **ret_reader, weir_writer **ret_writer);

/**
 * Connect to an endpoint, or take a connected socket or a pipe, and get a
 * reader and a writer for the connection.
 *
 * For a read pipe the writer is only the handle of the stream; its writes fail
 * with -EOPNOTSUPP. When all readers of a write pipe have closed it, writes
 * fail with -EPIPE, and calls that wait return WEIR_EPEERCLOSED if all bytes
 * were written, else -EPIPE.
 *
 * @param endpoint    as in weir_create_connection_at(); held with everything
 *                    that it points to
 * @return            0 when the connection is established, or an error of
 *                    weir_create_connection_at() or of the connect
 */
WEIR_API WEIR_MUST_USE int
weir_open_connection_at(weir_loop *loop, struct weir_endpoint endpoint,
                        const struct weir_open_options *options,
                        weir_reader **ret_reader, weir_writer **ret_writer);

/**
 * Connect to a Unix stream socket, and get a reader and a writer for the
 * connection.
 *
 * @param path        a path or an abstract name; borrowed
 * @return            0 when the connection is established, or an error of
 *                    weir_create_unix_connection() or of the connect
 */
WEIR_API WEIR_MUST_USE int
weir_open_unix_connection(weir_loop *loop, const char *path,
                          const struct weir_open_options *options,
                          weir_reader **ret_reader, weir_writer **ret_writer);

/** Options of weir_start_server(). */
struct weir_start_server_options {
    size_t size;
    /** The limit of each connection's reader; default WEIR_STREAM_LIMIT. */
    uint64_t limit_bytes;
    /** First argument of the handler. */
    void *arg;
    /** Call the handler from connection_made, without a task; see struct
     * weir_stream_options. */
    bool no_task;
    /** Stack size of each task; default: the stack_size_bytes of the loop. */
    size_t stack_size_bytes;
    /** Options of the server. */
    struct weir_server_options server;
};

/**
 * Listen on a host and a port, and serve each connection with a task; asyncio's
 * start_server.
 *
 * @param connected  the handler of each connection; the options have its first
 *                   argument. May be NULL only with
 *                   weir_server_options.accepted
 * @param host       a name or a literal address, in addition to the hosts of
 *                   the options; NULL or "" for all addresses
 * @param port       the port in host byte order, 0 to let the kernel choose
 * @return           0 when the server listens, or an error of
 *                   weir_create_server() or of the start
 * @retval -EINVAL     there is neither @p connected nor
 *                     weir_server_options.accepted, limit_bytes is above
 *                     INT64_MAX, or the stack size is invalid
 * @retval -ECANCELED  the task was interrupted; nothing listens
 */
WEIR_API WEIR_MUST_USE int
weir_start_server(weir_loop *loop, weir_client_connected_fn *connected,
                  const char *host, uint16_t port,
                  const struct weir_start_server_options *options,
                  weir_server **ret);

/**
 * Listen at an endpoint, and serve each connection with a task.
 *
 * @param connected  the handler of each connection; the options have its first
 *                   argument
 * @param endpoint   as in weir_create_server_at()
 * @return           0 when the server listens, or an error of
 *                   weir_create_server_at() or of the start
 * @retval -EINVAL     there is neither @p connected nor
 *                     weir_server_options.accepted, limit_bytes is above
 *                     INT64_MAX, or the stack size is invalid
 * @retval -ECANCELED  the task was interrupted; nothing listens
 */
WEIR_API WEIR_MUST_USE int
weir_start_server_at(weir_loop *loop, weir_client_connected_fn *connected,
                     struct weir_endpoint endpoint,
                     const struct weir_start_server_options *options,
                     weir_server **ret);

/**
 * Listen on a Unix stream socket, and serve each connection with a task.
 *
 * @param connected  the handler of each connection; the options have its first
 *                   argument
 * @param path       a path or an abstract name, as for
 *                   weir_create_unix_server()
 * @return           0 when the server listens, or an error of
 *                   weir_create_unix_server() or of the start
 * @retval -EINVAL     there is neither @p connected nor
 *                     weir_server_options.accepted, limit_bytes is above
 *                     INT64_MAX, or the stack size is invalid
 * @retval -ECANCELED  the task was interrupted; nothing listens, and no file is
 *                     left
 */
WEIR_API WEIR_MUST_USE int weir_start_unix_server(
    weir_loop *loop, weir_client_connected_fn *connected, const char *path,
    const struct weir_start_server_options *options, weir_server **ret);

WEIR_END_DECLS

#endif

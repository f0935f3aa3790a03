/**
 * @file stream.h
 * Streams: reading and writing a connection from a task; asyncio's streams.
 *
 * A stream is a pair of a reader (reader.h) and a writer (writer.h) over one
 * transport of any kind. The reader keeps what arrived until somebody asks for
 * it, and stops the transport when that is too much; the writer waits where the
 * peer is slow. Here is how a stream comes about: by connecting, by a server
 * that serves each connection with a task, or as a protocol that is put on any
 * transport.
 */
#ifndef WEIR_STREAM_H
#define WEIR_STREAM_H

#include "base.h"
#include "reader.h"
#include "server.h"
#include "writer.h"

WEIR_BEGIN_DECLS

/**
 * Serves a connection, in a task of its own or as a callback.
 *
 * Reader and writer are borrowed; take a reference (weir_writer_ref()) to keep
 * the stream beyond the return. A task that returns has its stream closed
 * gracefully (a difference from asyncio). Bytes that the peer sent and nobody
 * read make the kernel send a reset then, which can destroy an answer on its
 * way: where that matters set linger_ns (struct weir_timeouts).
 *
 * A negative result is reported to the exception hook, but for -ECANCELED and
 * for what the connection itself has come to: its first error, -EPIPE when it
 * is broken (as writes say), WEIR_EPEERCLOSED when the peer has ended it, or
 * that it was closed or aborted (-ESHUTDOWN, -ECONNABORTED).
 */
typedef int weir_client_connected_fn(void *arg, weir_reader *reader,
                                     weir_writer *writer);

/** Options of streams; zero is the default everywhere. */
struct weir_stream_protocol_options {
    /** sizeof(struct weir_stream_protocol_options). */
    size_t size;
    /** The reader's limit; default WEIR_STREAM_LIMIT; less than 0 is -EINVAL.
     */
    int64_t limit_bytes;
    /** Called with each new connection; NULL: nothing is. */
    weir_client_connected_fn *client_connected;
    /** First argument of client_connected. */
    void *arg;
    /** Call client_connected from connection_made, not as a task: it must not
     * suspend, and a good return does not close the stream, while a negative
     * one does. Who keeps the stream takes a reference; without one it is
     * closed. */
    bool no_task;
    /** Stack of the task, as in struct weir_task_options; default: the
     * loop's. */
    size_t stack_size_bytes;
};

/**
 * Make the protocol of a stream; asyncio's StreamReaderProtocol.
 *
 * To be returned by a factory, or set on a transport of any kind with
 * weir_transport_set_protocol(), after which its connection_made is to be
 * called: `binding.protocol->connection_made(binding.user, t)`.
 *
 * It is for one connection. Until that is made, only the references of
 * @p ret_writer keep the stream: a protocol that never gets a connection is
 * given up with the last of them. Without @p ret_writer it must get one, as it
 * does in a factory that returns 0. Who binds another protocol later ends the
 * stream by hand, with connection_lost and an error of 0: giving it back then
 * does not close the connection, which may have to be resumed.
 *
 * @param loop     the loop; borrowed
 * @param options  borrowed; NULL for all defaults
 * @param ret      the protocol and its user pointer
 * @param ret_writer  the writer, one reference is given; NULL when nobody keeps
 *                    the stream but its handler
 * @return         0
 * @retval -EINVAL     a limit below 0, no such stack size, an unset size field,
 *                     or neither a handler nor @p ret_writer
 * @retval -E2BIG      options of a newer library with an unknown field set
 * @retval -ENOMEM     no memory
 * @retval -ESHUTDOWN  the loop is being freed
 * @suspends no
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_stream_protocol_new(
    weir_loop *loop, const struct weir_stream_protocol_options *options,
    struct weir_protocol_binding *ret, weir_writer **ret_writer);

/** Options of weir_open_connection(). */
struct weir_open_options {
    /** sizeof(struct weir_open_options). */
    size_t size;
    /** The reader's limit; default WEIR_STREAM_LIMIT; less than 0 is -EINVAL.
     */
    int64_t limit_bytes;
    /** How to connect. Its done is not used and must be NULL. */
    struct weir_connect_options connect;
};

/**
 * Connect, and read and write the connection.
 *
 * @param loop        the loop; borrowed
 * @param host        as weir_create_connection()
 * @param port        the port in host byte order
 * @param options     borrowed; NULL for all defaults
 * @param ret_reader  the reader, borrowed from the writer; may be NULL
 * @param ret_writer  the writer, given; end with weir_writer_unref()
 * @return            0 when connected; other errors are those of
 *                    weir_create_connection() and of its attempt
 * @retval -ECANCELED  the task was cancelled; a socket that was passed is
 *                     closed
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_open_connection(weir_loop *loop, const char *host, uint16_t port,
                     const struct weir_open_options *options,
                     weir_reader **ret_reader, weir_writer **ret_writer);

/** Options of weir_start_server(). */
struct weir_start_server_options {
    /** sizeof(struct weir_start_server_options). */
    size_t size;
    /** The readers' limit; default WEIR_STREAM_LIMIT; less than 0 is -EINVAL.
     */
    int64_t limit_bytes;
    /** First argument of the function that serves a connection. */
    void *arg;
    /** As in struct weir_stream_protocol_options. */
    bool no_task;
    /** Stack of each task; default: the loop's. */
    size_t stack_size_bytes;
    /** How to listen. Its done is not used and must be NULL. */
    struct weir_server_options server;
};

/**
 * Listen, and serve each connection with a task.
 *
 * @param loop       the loop; borrowed
 * @param connected  serves a connection; its first argument is in the options
 * @param host       as weir_create_server(); more of them in the options
 * @param port       the port in host byte order, 0 to let the kernel choose
 * @param options    borrowed; NULL for all defaults
 * @param ret        the server, given; end with weir_server_free()
 * @return           0 when it listens; other errors are those of
 *                   weir_create_server() and of its start
 * @retval -EINVAL     nothing to serve with, a limit below 0, or no such stack
 *                     size
 * @retval -ECANCELED  the task was cancelled; nothing listens
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int
weir_start_server(weir_loop *loop, weir_client_connected_fn *connected,
                  const char *host, uint16_t port,
                  const struct weir_start_server_options *options,
                  weir_server **ret);

/**
 * Serve until cancelled.
 *
 * Starts to accept if need be. Cancelled, it stops the server as
 * weir_server_stop() does, with the grace_ns of the server's options (30 s),
 * and waits until all connections have ended and the tasks that serve them
 * too, so that what they share may be gone when it has returned; a second
 * cancellation ends that wait. To a program that runs until SIGINT
 * (weir_run()) -ECANCELED is the regular end.
 *
 * @param server  the server; held
 * @return        a negative error
 * @retval -ECANCELED  the task was cancelled, and the server is closed
 * @retval -ESHUTDOWN  the server was closed, by somebody else or before
 * @retval -EBUSY      another task does that already, and this one was not
 *                     cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_server_serve_forever(weir_server *server);

/**
 * Wait until the server is closed, has no connections left, and the tasks that
 * served them have ended; so not from one of these. Does not close it.
 *
 * @param server  the server; held
 * @return        0
 * @retval -ECANCELED  the task was cancelled
 * @suspends yes
 * @thread loop
 */
WEIR_API WEIR_MUST_USE int weir_server_join(weir_server *server);

WEIR_END_DECLS

#endif

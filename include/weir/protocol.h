/**
 * @file protocol.h
 * Protocols: the callbacks of a program for a connection.
 *
 * A protocol is a constant table of callbacks, with a user pointer for each
 * connection. The names and the order are asyncio's:
 *
 *     connection_made  [ data_received* ]  [ eof_received ]  connection_lost
 *
 * After a move (move.h) connection_moved is called instead of connection_lost.
 * pause_writing and resume_writing alternate in between. Any entry may be NULL;
 * without eof_received an end of stream closes the transport.
 *
 * Rules of all headers: include/guide/rules.md.
 */
#ifndef WEIR_PROTOCOL_H
#define WEIR_PROTOCOL_H

#include "base.h"
#include "buffer.h"

WEIR_BEGIN_DECLS

struct weir_address;
struct weir_datagram;

/** Kinds of protocol tables, by their receiving callbacks. */
enum weir_protocol_kind {
    /** data_received: bytes are passed in receive buffers. */
    WEIR_PROTOCOL_STREAM = 1,
    /** get_buffer and buffer_updated: bytes go to the protocol's memory. */
    WEIR_PROTOCOL_BUFFERED = 2,
    /** datagram_received and error_received, for datagram endpoints. */
    WEIR_PROTOCOL_DATAGRAM = 3,
    /** pipe_data_received, pipe_connection_lost and process_exited, for
     * subprocesses. */
    WEIR_PROTOCOL_SUBPROCESS = 4,
};

/** The callbacks of a protocol; constant, and valid as long as it is used. */
struct weir_protocol {
    /** sizeof(struct weir_protocol), so that the table can grow. A smaller one
     * is complete if it has the entries of its kind. */
    size_t size;
    /** The kind, which selects the receiving callbacks. */
    enum weir_protocol_kind kind;

    /** The connection is open. The first callback. */
    void (*connection_made)(void *user, weir_transport *t);
    /** The connection has ended: the last callback, called exactly once. @p err
     * is 0 after a close by the program or the peer's end of stream, otherwise
     * the first error. The descriptor is still open, and the transport's
     * getters work. The user pointer is no longer used. */
    void (*connection_lost)(void *user, weir_transport *t, int err);
    /** More bytes than the high mark wait to be sent: stop writing. */
    void (*pause_writing)(void *user, weir_transport *t);
    /** No more bytes than the low mark wait: continue to write. Also called if
     * the connection broke and the queue was dropped while reading is paused or
     * at its limit, because earlier bytes may still have to be read. */
    void (*resume_writing)(void *user, weir_transport *t);

    /** Bytes have arrived; they all count as consumed. @p buf is borrowed. A
     * negative result aborts the connection with this error. */
    int (*data_received)(void *user, weir_transport *t,
                         const struct weir_buf *buf);
    /** The peer has ended its stream. The result 0 closes the transport when
     * all writes are sent, a positive result keeps the writing side open, a
     * negative result aborts the connection with this error. Called at most
     * once. While the writing side is open, connection_lost reports a reset,
     * with a delay of up to 20 ms in the first 20 ms. */
    int (*eof_received)(void *user, weir_transport *t);

    /** Buffered only: returns memory for up to @p hint bytes (0 means any
     * number), and its size, which must not be 0. A negative result, or no
     * memory, aborts the connection. */
    int (*get_buffer)(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size);
    /** Buffered only: @p len bytes were received into the memory of get_buffer.
     * A negative result aborts the connection with this error. */
    int (*buffer_updated)(void *user, weir_transport *t, size_t len);
    /** Buffered only, optional. Without this entry bytes are received into the
     * pool and then copied to the memory of get_buffer. With it the kernel
     * receives directly into that memory, and the protocol must keep the memory
     * valid, even after the connection's end, until buffer_updated or this
     * callback is called for it. May be called after connection_lost. */
    void (*release_buffer)(void *user, void *buf);

    /** Datagram only: a datagram has arrived; it may be empty. @p datagram is
     * borrowed. A negative result aborts the endpoint with this error. */
    int (*datagram_received)(void *user, weir_transport *t,
                             const struct weir_datagram *datagram);
    /** Datagram only: a send or a receive failed with @p err. The endpoint
     * stays open. @p peer is borrowed: the destination of the failed or refused
     * datagram; NULL if the kernel does not report it, or the error has no
     * peer. */
    void (*error_received)(void *user, weir_transport *t, int err,
                           const struct weir_address *peer);

    /** Subprocess only: the child wrote to its descriptor @p fd. @p buf is
     * borrowed. A negative result aborts the subprocess transport with this
     * error. */
    int (*pipe_data_received)(void *user, weir_transport *t, int fd,
                              const struct weir_buf *buf);
    /** Subprocess only: the pipe of the child's descriptor @p fd has ended; no
     * pipe_data_received for @p fd follows. @p err is 0 at the end of the
     * stream or after a close, otherwise the pipe's first error. */
    void (*pipe_connection_lost)(void *user, weir_transport *t, int fd,
                                 int err);
    /** Subprocess only: the child has ended. Its pipes may still have bytes. */
    void (*process_exited)(void *user, weir_transport *t);

    /** Stream and buffered, on a Unix socket that was made with fd_limit: @p
     * count descriptors have arrived with bytes, which are delivered next. Each
     * descriptor is given once, in the order of sending, before the byte that
     * it was sent with; earlier bytes may be delivered together with this byte.
     * The array is borrowed; the descriptors are given, close-on-exec,
     * regardless of the result. @p lost is true if more descriptors followed
     * and were closed, because of fd_limit or because the process has no free
     * descriptor; then @p count may be 0. A negative result aborts the
     * connection with this error. Not called while reading is paused. Without
     * this entry descriptors are closed. */
    int (*fds_received)(void *user, weir_transport *t, const int *fds,
                        size_t count, bool lost);

    /** Stream and buffered: weir_transport_move() has given the connection to
     * another loop. The last callback, instead of connection_lost; the user
     * pointer is no longer used here, but the factory of the move may use it in
     * the other loop. Without this entry the connection cannot move. */
    void (*connection_moved)(void *user, weir_transport *t);
};

/** A protocol table and the argument of its callbacks. */
struct weir_protocol_binding {
    /** The table; held while it is bound. */
    const struct weir_protocol *protocol;
    /** First argument of every callback. */
    void *user;
};

/** Makes the protocol of a new connection. Called when the connection is
 * established, before connection_made. @p t is only for queries (addresses,
 * loop). After a result of 0 both connection_made and connection_lost will be
 * called. After a negative result neither is called, the descriptor is closed,
 * and the error is passed to the done of the call or, in a server, to the
 * exception hook; a TCP client of the server gets a reset. */
typedef int weir_factory_fn(void *arg, weir_transport *t,
                            struct weir_protocol_binding *ret);

/** A factory and its argument. */
struct weir_factory {
    /** The function. */
    weir_factory_fn *create;
    /** Its first argument. */
    void *arg;
};

WEIR_END_DECLS

#endif

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

/** Kinds of protocols; they differ in the callbacks that receive data. */
enum weir_protocol_kind {
    /** Received bytes are passed to data_received, in buffers of the
     * library. */
    WEIR_PROTOCOL_STREAM = 1,
    /** Bytes are received into memory of the protocol: get_buffer returns the
     * memory, and buffer_updated reports the bytes. */
    WEIR_PROTOCOL_BUFFERED = 2,
    /** The protocol of a datagram endpoint, with datagram_received and
     * error_received. */
    WEIR_PROTOCOL_DATAGRAM = 3,
    /** The protocol of a child process, with pipe_data_received,
     * pipe_connection_lost and process_exited. */
    WEIR_PROTOCOL_SUBPROCESS = 4,
};

/** The callbacks of a protocol; constant, and valid as long as it is used. */
struct weir_protocol {
    /** sizeof(struct weir_protocol). A smaller table, of a program that was
     * compiled with an earlier version, is accepted if it has the entries of
     * its kind. */
    size_t size;
    /** The kind, which selects the receiving callbacks. */
    enum weir_protocol_kind kind;

    /** The connection is open. This is the first callback. */
    void (*connection_made)(void *user, weir_transport *t);
    /** The connection has ended: the last callback, called exactly once. @p err
     * is 0 after a close by the program or the peer's end of stream, otherwise
     * the first error. The descriptor is still open, and the transport's
     * getters work. The user pointer is no longer used. */
    void (*connection_lost)(void *user, weir_transport *t, int err);
    /** The queue has grown above the high mark: stop writing. */
    void (*pause_writing)(void *user, weir_transport *t);
    /** The queue has shrunk to the low mark or below: continue to write. It is
     * also called if the connection breaks while reading is paused or at its
     * limit: the queue is dropped, and connection_lost waits until the bytes
     * that arrived before the error were read. */
    void (*resume_writing)(void *user, weir_transport *t);

    /** Bytes have arrived. All of them count as consumed when the callback
     * returns. @p buf is borrowed. A negative result aborts the connection with
     * this error. */
    int (*data_received)(void *user, weir_transport *t,
                         const struct weir_buf *buf);
    /** The peer has ended its stream. The result 0 closes the transport when
     * all writes are sent, a positive result keeps the writing side open, a
     * negative result aborts the connection with this error. Called at most
     * once. If the writing side was kept open, connection_lost reports a later
     * reset; a reset in the first 20 ms is reported up to 20 ms late. */
    int (*eof_received)(void *user, weir_transport *t);

    /** Buffered only: sets @p ret_buf to memory for received bytes and @p
     * ret_size to the size of this memory, which must not be 0. Up to @p hint
     * bytes are expected; 0 means any number. If the result is negative, or @p
     * ret_buf remains NULL, the connection is aborted. */
    int (*get_buffer)(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size);
    /** Buffered only: @p len bytes were received into the memory of get_buffer.
     * A negative result aborts the connection with this error. */
    int (*buffer_updated)(void *user, weir_transport *t, size_t len);
    /** Buffered only, optional. Without this entry bytes are received into the
     * loop's receive pool and then copied to the memory of get_buffer. With
     * this entry the kernel receives directly into that memory. The protocol
     * must keep the memory valid until buffer_updated or this callback is
     * called for it, even after the connection's end. May be called after
     * connection_lost. */
    void (*release_buffer)(void *user, void *buf);

    /** Datagram only: a datagram has arrived; it may be empty. @p datagram is
     * borrowed. A negative result aborts the endpoint with this error. */
    int (*datagram_received)(void *user, weir_transport *t,
                             const struct weir_datagram *datagram);
    /** Datagram only: a send or a receive failed with @p err. The endpoint
     * stays open. @p peer is the destination of the failed or refused datagram,
     * borrowed; it is NULL if the kernel does not report the destination, or
     * the error has none. */
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

    /** Stream and buffered only, on a Unix socket with fd_limit (struct
     * weir_connection_options): @p count descriptors have arrived. Each
     * descriptor is passed once, in the order of sending, before the byte that
     * it was sent with is delivered; bytes that were sent earlier may be
     * delivered together with that byte. The array is borrowed. The descriptors
     * are given, whatever the result, and are close-on-exec. @p lost is true if
     * further descriptors were closed because of fd_limit, or because the
     * process had no free descriptor; then @p count may be 0. A negative result
     * aborts the connection with this error. Not called while reading is
     * paused. Without this entry received descriptors are closed. */
    int (*fds_received)(void *user, weir_transport *t, const int *fds,
                        size_t count, bool lost);

    /** Stream and buffered only: weir_transport_move() has moved the connection
     * to another loop. This is the last callback, instead of connection_lost.
     * The user pointer is no longer used on this loop, but the factory of the
     * move may use it on the other loop. Without this entry the connection
     * cannot move. */
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
 * established, before connection_made. Only getters may be called on @p t, for
 * example for its addresses and its loop. After a result of 0 both
 * connection_made and connection_lost will be called. After a negative result
 * neither is called, the descriptor is closed, and the error is passed to the
 * @c done callback of the call that makes the connection. In a server it is
 * passed to the exception hook, and a TCP client gets a reset. */
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

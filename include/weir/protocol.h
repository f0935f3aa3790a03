/**
 * @file protocol.h
 * Protocols: what a program does with a connection.
 *
 * A protocol is a constant table of callbacks and a user pointer for each
 * connection. The names and the order are asyncio's:
 *
 *     connection_made  [ data_received* ]  [ eof_received ]  connection_lost
 *
 * pause_writing and resume_writing alternate anywhere in between. All run on
 * the loop's thread. None is nested in another, but for pause_writing, which
 * is called from inside the write that crossed the high mark. Any entry may be
 * NULL; then nothing happens, and an end of stream closes the transport.
 * Callbacks may write, pause, close, abort and switch the protocol.
 */
#ifndef WEIR_PROTOCOL_H
#define WEIR_PROTOCOL_H

#include "base.h"
#include "buffer.h"

WEIR_BEGIN_DECLS

struct weir_address;
struct weir_datagram;

/** Which callbacks a protocol table has. */
enum weir_protocol_kind {
    /** data_received: bytes are shown in the receive pool. */
    WEIR_PROTOCOL_STREAM = 1,
    /** get_buffer and buffer_updated: bytes go to memory of the protocol. */
    WEIR_PROTOCOL_BUFFERED = 2,
    /** datagram_received and error_received, for datagram endpoints. */
    WEIR_PROTOCOL_DATAGRAM = 3,
    /** pipe_data_received, pipe_connection_lost and process_exited, for
     * subprocesses. */
    WEIR_PROTOCOL_SUBPROCESS = 4,
};

/** The callbacks of a protocol; constant, and alive as long as it is used. */
struct weir_protocol {
    /** sizeof(struct weir_protocol), so that the table can grow. A smaller one
     * is complete if it has the entries of its kind. */
    size_t size;
    /** Which of the receiving callbacks are used. */
    enum weir_protocol_kind kind;

    /** The connection is there. First of all callbacks. */
    void (*connection_made)(void *user, weir_transport *t);
    /**
     * The connection is gone: the last of all callbacks, exactly once. @p err
     * is 0 when it was closed by us or by the peer's end of stream, otherwise
     * the first error. The descriptor is still open, and the transport's
     * getters work. The user pointer is the program's again.
     */
    void (*connection_lost)(void *user, weir_transport *t, int err);
    /** More than the high mark is waiting to be sent: stop writing. */
    void (*pause_writing)(void *user, weir_transport *t);
    /**
     * No more than the low mark is waiting: write on. Also called when the
     * connection broke and the queue was dropped while reading is paused or at
     * its limit: bytes that arrived before may be waiting to be read.
     */
    void (*resume_writing)(void *user, weir_transport *t);

    /**
     * Bytes arrived; all of them count as consumed. @p buf is borrowed. A
     * negative result aborts the connection with that error.
     */
    int (*data_received)(void *user, weir_transport *t,
                         const struct weir_buf *buf);
    /**
     * The peer has sent its last byte. 0 closes the transport once all writes
     * are sent, a positive result keeps the writing side open, a negative one
     * aborts the connection with that error. Called once at most.
     */
    int (*eof_received)(void *user, weir_transport *t);

    /**
     * Buffered only: gives memory for up to @p hint bytes (0: any number), and
     * its size, which must not be 0. A negative result, or no memory, aborts
     * the connection.
     */
    int (*get_buffer)(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size);
    /**
     * Buffered only: @p len bytes were put into the memory of get_buffer. A
     * negative result aborts the connection with that error.
     */
    int (*buffer_updated)(void *user, weir_transport *t, size_t len);
    /**
     * Buffered only, and a promise. Without it bytes are received into the
     * pool and copied to the memory of get_buffer when they are there. With it
     * the kernel receives straight into that memory, and the protocol keeps
     * the memory, whatever happens to the connection, until either
     * buffer_updated was called for it or this callback returns it; it may be
     * called after connection_lost.
     */
    void (*release_buffer)(void *user, void *buf);

    /**
     * Datagram only: one datagram arrived, perhaps an empty one. @p datagram is
     * borrowed. A negative result aborts the endpoint with that error.
     */
    int (*datagram_received)(void *user, weir_transport *t,
                             const struct weir_datagram *datagram);
    /**
     * Datagram only: a send or a receive failed with @p err. The endpoint
     * stays open. @p peer is borrowed: where the datagram was to go that failed
     * or was refused; NULL where the kernel does not tell, or none is to blame.
     */
    void (*error_received)(void *user, weir_transport *t, int err,
                           const struct weir_address *peer);

    /**
     * Subprocess only: the child wrote to its descriptor @p fd. @p buf is
     * borrowed. A negative result aborts the subprocess transport with that
     * error.
     */
    int (*pipe_data_received)(void *user, weir_transport *t, int fd,
                              const struct weir_buf *buf);
    /**
     * Subprocess only: the pipe of the child's descriptor @p fd is closed; no
     * pipe_data_received of this descriptor follows. @p err is 0 at the end of
     * the stream or after a close, otherwise the pipe's first error.
     */
    void (*pipe_connection_lost)(void *user, weir_transport *t, int fd,
                                 int err);
    /** Subprocess only: the child has ended. Its pipes may still have bytes. */
    void (*process_exited)(void *user, weir_transport *t);

    /**
     * Stream and buffered, on a Unix socket that was made with fd_limit: @p
     * count descriptors came along with bytes, which are shown next. Each comes
     * once, in the order of sending, before the byte that it was sent with;
     * bytes that were sent before may come together with that one. The array is
     * borrowed; the descriptors are given, whatever is returned, close-on-exec.
     * With @p lost others came and are closed, behind these: more than
     * fd_limit, or more than the process's table had room for; then @p count
     * may be 0. A negative result aborts the connection with that error. None
     * comes while reading is paused. Without this entry they are closed.
     */
    int (*fds_received)(void *user, weir_transport *t, const int *fds,
                        size_t count, bool lost);
};

/** A protocol table and the pointer that its callbacks get. */
struct weir_protocol_binding {
    /** The table; held as long as it is bound. */
    const struct weir_protocol *protocol;
    /** First argument of every callback. */
    void *user;
};

/**
 * Makes the protocol of a new connection.
 *
 * Called once the connection stands, before connection_made. @p t is for
 * inspection (addresses, loop) only. After a result of 0 both connection_made
 * and connection_lost will be called; after a negative one neither, the
 * descriptor is closed, and the error reaches the maker's callback or, in a
 * server, the exception hook.
 */
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

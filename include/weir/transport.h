/**
 * @file transport.h
 * Transports: one end of a connection.
 *
 * A transport sends written bytes in order, and calls its protocol with
 * received bytes. No call here suspends: writes are queued and sent together at
 * the end of the loop iteration, and callbacks report progress.
 *
 * **Life.** The library holds one reference until connection_lost has returned.
 * A program that keeps the pointer longer takes a reference with
 * weir_transport_ref(). After the loss writes return an error, and getters
 * still work.
 *
 * **The end.** The first cause of a connection's end is kept for ever:
 * weir_transport_get_end() distinguishes closed here, end of stream, broken and
 * aborted; weir_transport_get_error() has the error. A reset is an error even
 * if bytes that arrived before it are delivered later.
 *
 * **Kinds.** The kind of a transport never changes. A call of this header that
 * a kind does not support returns -EOPNOTSUPP.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_TRANSPORT_H
#define WEIR_TRANSPORT_H

#include "address.h"
#include "base.h"
#include "protocol.h"

#include <sys/types.h>
#include <sys/uio.h>

WEIR_BEGIN_DECLS

/** Causes of a connection's end. */
enum weir_end {
    /** Not ended. */
    WEIR_END_NONE = 0,
    /** weir_transport_close() was called here. */
    WEIR_END_CLOSED,
    /** The peer ended its stream, and eof_received did not keep the
     * connection. */
    WEIR_END_EOF,
    /** weir_transport_abort() was called here, or the loop was freed. */
    WEIR_END_ABORTED,
    /** An error of the peer, the network, a time-out or a callback. */
    WEIR_END_BROKEN,
    /** weir_transport_move() has given the connection to another loop. */
    WEIR_END_MOVED,
};

/** The queue sizes at which writing is paused and resumed. */
struct weir_water_marks {
    /** Pause if more than this number of bytes is queued. May be WEIR_DEFAULT.
     */
    int64_t high_bytes;
    /** Resume if at most this number of bytes is queued. May be WEIR_DEFAULT.
     */
    int64_t low_bytes;
};

/** Time limits, in nanoseconds; 0 means no limit. If the loop is late, because
 * a callback was slow or the process was stopped, this does not count against
 * the peer: while reading, bytes that wait in the kernel count as received, and
 * write_stall_ns and close_ns restart if the peer has received all bytes from
 * the kernel. */
struct weir_timeouts {
    size_t size;
    /** End with WEIR_EIDLE if no byte moved either way for this time. */
    uint64_t idle_ns;
    /** End with WEIR_EREADTIMEOUT if reading got no byte for this time. */
    uint64_t read_ns;
    /** End with WEIR_EWRITESTALL if bytes wait and the peer receives none for
     * this time. */
    uint64_t write_stall_ns;
    /** Limit of a close; then unsent bytes are dropped, with
     * WEIR_ECLOSETIMEOUT. */
    uint64_t close_ns;
    /** In a close, after the last byte was sent: end the writing side, then
     * read and drop any number of bytes until the peer's end of stream or for
     * this time. Ends with WEIR_ECLOSETIMEOUT if the peer's kernel has not
     * acknowledged all bytes then. With 0 a close waits only for
     * acknowledgements; see weir_transport_close(). */
    uint64_t linger_ns;
};

/**
 * Send a copy of some bytes.
 *
 * The bytes are sent together with everything else that is written in this loop
 * iteration. May call pause_writing before it returns. While a close sends the
 * waiting bytes, writes are refused, except inside resume_writing.
 *
 * After a write that is refused with -ENOBUFS or -ENOMEM the stream has a gap.
 * So every later write of any kind, and weir_transport_write_eof(), fails with
 * the same error until weir_transport_take_write_error(), weir_writer_drain()
 * or weir_writer_flush() has returned it. A close before that aborts the
 * connection.
 *
 * @param data  the bytes; borrowed
 * @param len   number of bytes; 0 only checks the state
 * @return      0 if accepted, or a negative error and no byte is sent
 * @retval -ESHUTDOWN  after weir_transport_write_eof(), close or abort
 * @retval -EPIPE      the connection is broken, see weir_transport_get_error()
 * @retval -ENOBUFS    the hard limit would be exceeded
 * @retval -ENOMEM     no memory for the copy
 * @retval -EBUSY      a file is being sent (sendfile.h), or the connection
 *                     moves to another loop (move.h)
 */
WEIR_API int weir_transport_write(weir_transport *t, const void *data,
                                  size_t len);

/**
 * Send copies of several pieces, as one write; asyncio's writelines.
 *
 * @param iov    the pieces, which may be empty; borrowed with their bytes
 * @param count  number of pieces
 * @return       as weir_transport_write(): all pieces or none
 * @retval -EOVERFLOW  the sizes do not fit into a size_t
 */
WEIR_API int weir_transport_writelines(weir_transport *t,
                                       const struct iovec *iov, size_t count);

/**
 * Take the error of a refused write, so that writes are accepted again. For a
 * protocol that can continue without the bytes of the refused write. In tasks
 * weir_writer_drain() and weir_writer_flush() return the same error.
 *
 * @return the error of the first refused write, once; 0 if none was refused
 * @retval -ENOBUFS, -ENOMEM as from weir_transport_write()
 */
WEIR_API int weir_transport_take_write_error(weir_transport *t);

/** Called when the library no longer needs the memory of a write. */
typedef void weir_release_fn(void *arg);

/**
 * Send bytes of the caller without copying them.
 *
 * @param data     the bytes; held and unchanged until @p release is called. If
 *                 they are a mapped file, the loop waits for the file's device
 * @param len      number of bytes; with 0 @p release is called at once
 * @param release  called once, after a failure before this returns; may be NULL
 * @param arg      passed to @p release
 * @return         as weir_transport_write()
 */
WEIR_API int weir_transport_write_ref(weir_transport *t, const void *data,
                                      size_t len, weir_release_fn *release,
                                      void *arg);

/**
 * Forward received bytes without copying them.
 *
 * Holds a reference to the lease while the bytes wait. They are charged to the
 * connection that received them until they are sent, so a relay stops reading
 * if its far end does not read. These bytes are copied: fewer than 256 bytes,
 * bytes that wait because the far end does not read and that use less than half
 * of their receive buffer, and any bytes while receive buffers are short; see
 * buffer.h.
 *
 * @param buf  received bytes or a part, with their lease; borrowed
 * @return     as weir_transport_write()
 * @retval -EINVAL  there are bytes and no lease
 */
WEIR_API int weir_transport_write_buf(weir_transport *t,
                                      const struct weir_buf *buf);

/**
 * End the writing side after all written bytes; reading continues.
 *
 * @return 0, even if called again or the transport is closing
 * @retval -EOPNOTSUPP  this kind cannot, see weir_transport_can_write_eof()
 * @retval -ENOBUFS, -ENOMEM a write was refused, and its bytes are missing
 */
WEIR_API int weir_transport_write_eof(weir_transport *t);

/** Report whether the transport can end its writing side and still read, as
 * stream sockets can. */
WEIR_API bool weir_transport_can_write_eof(const weir_transport *t);

/** Stop calling data_received; bytes that arrive are kept, or left in the
 * kernel. No effect if paused or closing. May be called in connection_made. If
 * the connection breaks, bytes that arrived before the error are kept, too, and
 * connection_lost waits until they were delivered. */
WEIR_API int weir_transport_pause_reading(weir_transport *t);

/** Call data_received again, from the loop, first with the kept bytes. No
 * effect if reading or closing. No byte follows the end of stream. */
WEIR_API int weir_transport_resume_reading(weir_transport *t);

/** Report whether data_received may be called: the transport is not paused, not
 * closing, and before the end of the stream. */
WEIR_API bool weir_transport_is_reading(const weir_transport *t);

/**
 * Set how many received bytes the connection may hold: reading stops when fewer
 * than 4096 bytes of this limit are left.
 *
 * @param limit_bytes  at least 4096; 0 is the default, 1 MiB
 * @retval -EINVAL  less than 4096 and not 0
 */
WEIR_API int weir_transport_set_read_buffer_limit(weir_transport *t,
                                                  uint64_t limit_bytes);

/** Get the number of received bytes that are held, kept while paused or under
 * leases. The transports below a TLS transport are included, and the limit of
 * received bytes applies to each of the transports. */
WEIR_API uint64_t weir_transport_get_read_buffer_size(const weir_transport *t);

/**
 * Set the marks at which pause_writing and resume_writing are called.
 *
 * Writing is paused if more bytes wait than the high mark, and resumed if no
 * more bytes wait than the low mark. Bytes wait from the write until the kernel
 * has accepted them. If only the high mark is given, the low mark is a quarter
 * of it; if only the low mark is given, the high mark is four times as much. If
 * both are WEIR_DEFAULT, they are 64 KiB and 16 KiB. May call pause_writing at
 * once; resume_writing is called only when bytes are sent. While all
 * connections together have many bytes to send, pause_writing is called
 * earlier, but not below the low mark; see queued_limit_bytes of struct
 * weir_loop_options. A mark of 4 GiB - 1 or more is never reached.
 *
 * @param marks  both marks
 * @retval -EINVAL  the low mark is above the high mark, or a mark is negative
 */
WEIR_API int
weir_transport_set_write_buffer_limits(weir_transport *t,
                                       struct weir_water_marks marks);

/**
 * Get the marks at which pause_writing and resume_writing are called.
 *
 * @return the marks in bytes, never WEIR_DEFAULT
 */
WEIR_API struct weir_water_marks
weir_transport_get_write_buffer_limits(const weir_transport *t);

/** Get the number of written bytes that the kernel has not accepted, including
 * bytes in flight. */
WEIR_API uint64_t weir_transport_get_write_buffer_size(const weir_transport *t);

/**
 * Set how many bytes may wait to be sent; a write beyond fails with -ENOBUFS.
 *
 * @param limit_bytes  0 is the default, 64 MiB; 4 GiB - 1 or more is no limit
 */
WEIR_API int weir_transport_set_write_hard_limit(weir_transport *t,
                                                 uint64_t limit_bytes);

/**
 * Change the time limits; they begin now.
 *
 * @param timeouts  borrowed; NULL means no limits
 * @retval -ENOMEM  no memory; the limits are unchanged
 */
WEIR_API WEIR_MUST_USE int
weir_transport_set_timeouts(weir_transport *t,
                            const struct weir_timeouts *timeouts);

/**
 * Stop reading, send the waiting bytes, then end the connection; idempotent.
 *
 * No data_received follows. connection_lost is called from the loop, never
 * inside this call.
 *
 * Written bytes arrive at the peer, or connection_lost gets an error. If a
 * descriptor is closed with unread bytes, or bytes arrive after that, the
 * kernel sends a reset, and a reset drops bytes that the peer has not received.
 * So while sent bytes are not acknowledged, or received bytes not read, the
 * close lingers: it ends the writing side, reads and drops until the peer's
 * kernel has everything or the peer has ended, and then ends the connection.
 * After 30 s without an acknowledgement, or 5 minutes in all, it fails with
 * WEIR_ECLOSETIMEOUT; close_ns replaces the 5 minutes. When everything is
 * acknowledged, a peer that still sends is read for 2 s or 1 MiB more,
 * whichever comes first. The same limits apply to a close of TLS that waits for
 * the peer's close_notify (tls_connection.h). A close does not linger after the
 * peer's end, nor if nothing was written; but with SO_LINGER the loop's thread
 * waits in the close.
 *
 * While written bytes wait because the peer does not read, a close also reads
 * and drops bytes, up to 64 MiB each time until the peer reads again. So two
 * sides that close at the same time, with unsent bytes in both directions, do
 * not block each other: one has sent everything and ends, and the other one
 * sends the rest or gets an error. The close waits for a peer that neither
 * reads nor ends as long as bytes are unsent; close_ns and write_stall_ns limit
 * that.
 *
 * If a write was refused and no call has returned its error yet
 * (weir_transport_write()), the connection is aborted instead, so that the peer
 * does not take a part for the whole: connection_lost gets the error, and the
 * exception hook is called.
 *
 * @return 0, or the error of the refused write
 * @retval -ENOBUFS, -ENOMEM a write was refused
 */
WEIR_API int weir_transport_close(weir_transport *t);

/**
 * Drop the waiting bytes and end the connection; idempotent, even after close.
 *
 * The peer gets a reset (SO_LINGER with no time), so that it does not take the
 * received bytes for the whole. The kernel has no such reset for Unix sockets:
 * the peer gets all sent bytes and an end of stream, or a reset if it has sent
 * bytes that were not read here. A peer with Multipath TCP may get an end of
 * stream (weir_connect_options). If another descriptor of the same socket is
 * open, the reset is sent when the last descriptor is closed, or at once if a
 * send was in flight. weir_loop_free() aborts in the same way. After a
 * time-out, a failed callback or a refused write the peer also gets a reset if
 * written bytes are dropped; otherwise the descriptor is closed.
 */
WEIR_API int weir_transport_abort(weir_transport *t);

/**
 * Mark the connection as busy or not: whether a request is being served.
 *
 * weir_server_stop() and weir_server_serve_forever() end idle connections at
 * once, and other connections when they are idle or the grace period has
 * expired. weir_server_stop() describes which connections are idle by default.
 * Use it in protocols that respond after the callback, and in tasks that read a
 * request with several calls.
 *
 * @param busy  true if a request is being served
 */
WEIR_API int weir_transport_set_busy(weir_transport *t, bool busy);

/**
 * Report whether close or abort was called, or the connection is broken or
 * lost, or moves to another loop (move.h).
 *
 * @return true if so; false again if a move fails
 */
WEIR_API bool weir_transport_is_closing(const weir_transport *t);

/**
 * Bind another protocol to the connection.
 *
 * Takes effect with the next callback; neither connection_made nor
 * connection_lost is called for the switch. Bytes that the old protocol has
 * received but not used can be passed, and are delivered to the new protocol
 * first, from the loop. If writing is paused, resume_writing follows without a
 * pause_writing. The protocol of a stream is replaced by weir_stream_detach();
 * a program that replaces it by this call must call its connection_lost.
 *
 * @param binding  the new protocol; copied
 * @param initial  buffers to deliver first, or NULL; borrowed, the library
 *                 keeps their bytes
 * @param count    number of buffers
 * @retval -EINVAL     the table is not valid, or initial bytes have no lease
 * @retval -EBUSY      a TLS handshake is under way (start_tls.h)
 * @retval -ESHUTDOWN  the transport is closing
 * @retval -ENOMEM     no memory; nothing was changed
 * @retval -EOPNOTSUPP  the transport is a child's pipe, or a side of a relay
 */
WEIR_API WEIR_MUST_USE int
weir_transport_set_protocol(weir_transport *t,
                            const struct weir_protocol_binding *binding,
                            const struct weir_buf *initial, size_t count);

/** Get the bound protocol. */
WEIR_API struct weir_protocol_binding
weir_transport_get_protocol(const weir_transport *t);

/**
 * Get the peer's address, with a system call. A Unix socket that was not bound,
 * such as most clients', has an address without a name. The address is kept
 * after the loss, unless there was no memory for it then.
 *
 * @param ret  the address; its len is 0 if there is none
 */
WEIR_API void weir_transport_get_peername(const weir_transport *t,
                                          struct weir_address *ret);

/**
 * Get the socket's local address, with a system call. It is kept after the
 * loss, unless there was no memory for it then.
 *
 * @param ret  the address; its len is 0 if there is none
 */
WEIR_API void weir_transport_get_sockname(const weir_transport *t,
                                          struct weir_address *ret);

/**
 * Get the descriptor, only for queries and socket options: it must not be read,
 * written, closed or made non-blocking.
 *
 * @return the descriptor, or -EBADF after the loss
 */
WEIR_API int weir_transport_get_socket(const weir_transport *t);

/** The process at the other end of a Unix socket when it called connect(),
 * listen() or socketpair(). */
struct weir_peercred {
    /** The process id. */
    pid_t pid;
    /** The effective user. */
    uid_t uid;
    /** The effective group. */
    gid_t gid;
};

/** The result of weir_transport_get_extra_info(). */
struct weir_extra_info {
    size_t size;
    /** For "peername" and "sockname". */
    struct weir_address address;
    /** For "socket" and "pipe". */
    int fd;
    /** For "peercred". */
    struct weir_peercred peercred;
    /** For "tls_version", "cipher", "tls_group", "alpn", "server_name",
     * "tls_error" and "tls_alert": a text of @p len bytes, valid as long as the
     * transport lives. */
    const char *text;
    /** For "peercert": the certificate as DER, @p len bytes, valid as long as
     * the transport lives. */
    const void *data;
    /** Bytes of text or data. */
    size_t len;
    /** For "cipher": the bits of its key. For "tls_resumed": 1 or 0. For
     * "tls_alert": its number. */
    int number;
    /** For "tls_handshake": its duration in nanoseconds. */
    uint64_t time_ns;
};

/**
 * Get a piece of information by its name; asyncio's get_extra_info.
 *
 * @param name  "peername", "sockname" or "socket" of a socket, "peercred" of a
 *              Unix socket (unix.h), "pipe" of a pipe (its descriptor, with the
 *              rules of weir_transport_get_socket()); borrowed
 * @param ret   the result, written on success only
 * @retval -ENOENT  this transport has no information of this name
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_extra_info(const weir_transport *t, const char *name,
                              struct weir_extra_info *ret);

/**
 * Get the first cause of the connection's end, kept for ever.
 *
 * @return WEIR_END_NONE before the end
 */
WEIR_API enum weir_end weir_transport_get_end(const weir_transport *t);

/**
 * Get the first error of the connection, kept for ever.
 *
 * @return 0, or any negative error
 */
WEIR_API int weir_transport_get_error(const weir_transport *t);

/**
 * Write a line about the connection's end: the failed call, the error, the
 * addresses.
 *
 * @param buf   destination, always terminated
 * @param size  bytes in @p buf
 * @return      @p buf
 */
WEIR_API const char *weir_transport_get_error_text(const weir_transport *t,
                                                   char *buf, size_t size);

/** Get the loop of the transport. */
WEIR_API weir_loop *weir_transport_get_loop(const weir_transport *t);

/** Keep the handle beyond connection_lost. */
WEIR_API weir_transport *weir_transport_ref(weir_transport *t);

/** Release a reference; the last release frees the transport. */
WEIR_API void weir_transport_unref(weir_transport *t);

WEIR_END_DECLS

#endif

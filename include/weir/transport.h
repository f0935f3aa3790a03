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
 * **The end.** The first cause of a connection's end is kept as long as the
 * transport. weir_transport_get_end() returns the cause, for example a close by
 * this program or an end of stream, and weir_transport_get_error() the error. A
 * reset is an error even if bytes that arrived before it are delivered later.
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
    /** The connection has not ended. */
    WEIR_END_NONE = 0,
    /** This program called weir_transport_close(). */
    WEIR_END_CLOSED,
    /** The peer ended its stream, and eof_received did not keep the connection
     * open. */
    WEIR_END_EOF,
    /** This program called weir_transport_abort() or freed the loop. */
    WEIR_END_ABORTED,
    /** An error of the peer, the network, a time-out or a callback. */
    WEIR_END_BROKEN,
    /** weir_transport_move() has moved the connection to another loop. */
    WEIR_END_MOVED,
};

/** The queue sizes at which writing is paused and resumed. */
struct weir_water_marks {
    /** Writing is paused if more than this number of bytes is queued. May be
     * WEIR_DEFAULT. */
    int64_t high_bytes;
    /** Writing is resumed if at most this number of bytes is queued. May be
     * WEIR_DEFAULT. */
    int64_t low_bytes;
};

/** Time limits of a connection, in nanoseconds; 0 means no limit. A late loop
 * (a slow callback, a stopped process) does not shorten the peer's time: bytes
 * that wait in the kernel count as received, and write_stall_ns and close_ns
 * restart if the peer has received all bytes from the kernel. */
struct weir_timeouts {
    size_t size;
    /** End with WEIR_EIDLE if no byte was sent or received for this time. */
    uint64_t idle_ns;
    /** End with WEIR_EREADTIMEOUT if no byte was received for this time. The
     * time in which reading is paused does not count. */
    uint64_t read_ns;
    /** End with WEIR_EWRITESTALL if bytes wait and the peer receives none for
     * this time. */
    uint64_t write_stall_ns;
    /** Maximum duration of a close. After this time unsent bytes are dropped,
     * and the connection ends with WEIR_ECLOSETIMEOUT. */
    uint64_t close_ns;
    /** After a close has sent the last byte, it ends the writing side. Then it
     * reads and drops any number of bytes until the peer's end of stream, but
     * not longer than this time. The connection ends with WEIR_ECLOSETIMEOUT if
     * the peer's kernel has not acknowledged all bytes by then. With 0 a close
     * waits only for acknowledgements; see weir_transport_close(). */
    uint64_t linger_ns;
};

/**
 * Send a copy of some bytes.
 *
 * The bytes are sent together with all other bytes that are written in this
 * loop iteration. The call may call pause_writing before it returns. While a
 * close sends the waiting bytes, writes are refused, except inside
 * resume_writing.
 *
 * After a write that is refused with -ENOBUFS or -ENOMEM the stream has a gap.
 * So every later write of any kind, and weir_transport_write_eof(), fails with
 * the same error until weir_transport_take_write_error(), weir_writer_drain()
 * or weir_writer_flush() has returned it. If the program closes the
 * connection before that, the connection is aborted.
 *
 * @param data  the bytes; borrowed
 * @param len   number of bytes; 0 only checks the state
 * @return      0 if the bytes were accepted; after an error none of them is
 *              sent
 * @retval -ESHUTDOWN  weir_transport_write_eof(), weir_transport_close() or
 *                     weir_transport_abort() was called before
 * @retval -EPIPE      the connection is broken, see weir_transport_get_error()
 * @retval -ENOBUFS    the hard limit would be exceeded
 * @retval -ENOMEM     there is no memory for the copy
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
 * Return and clear the error of a refused write, so that writes are accepted
 * again. This is for a protocol that can continue without the bytes of the
 * refused write. In tasks weir_writer_drain() and weir_writer_flush() do the
 * same.
 *
 * @return the error of the first write that was refused; 0 if no write was
 *         refused since the last call
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
 * @param release  called once; if this call fails, before it returns; may be
 *                 NULL
 * @param arg      passed to @p release
 * @return         as weir_transport_write()
 */
WEIR_API int weir_transport_write_ref(weir_transport *t, const void *data,
                                      size_t len, weir_release_fn *release,
                                      void *arg);

/**
 * Forward received bytes without copying them.
 *
 * The transport holds a reference to the lease while the bytes wait. Until they
 * are sent, they count against the limit of the connection that received them.
 * So a program that forwards bytes stops reading from one peer if the other
 * peer does not read. Bytes are copied nevertheless in these cases:
 * - there are fewer than 256 bytes;
 * - the bytes wait because the peer does not read, and they use less than half
 *   of their receive buffer;
 * - the loop has few free receive buffers (buffer.h).
 *
 * @param buf  received bytes, or a part of them, with their lease; borrowed
 * @return     as weir_transport_write()
 * @retval -EINVAL  there are bytes and no lease
 */
WEIR_API int weir_transport_write_buf(weir_transport *t,
                                      const struct weir_buf *buf);

/**
 * End the writing side after all written bytes; reading continues.
 *
 * @return 0, even if called again or the transport is closing
 * @retval -EOPNOTSUPP  this kind of transport cannot end its writing side
 *                      alone, see weir_transport_can_write_eof()
 * @retval -ENOBUFS, -ENOMEM a write was refused, and its bytes are missing
 */
WEIR_API int weir_transport_write_eof(weir_transport *t);

/** Report whether the transport can end its writing side and still read, as
 * stream sockets can. */
WEIR_API bool weir_transport_can_write_eof(const weir_transport *t);

/** Stop calling data_received. Bytes that arrive meanwhile are kept, or stay in
 * the kernel. The call has no effect if reading is paused already or the
 * transport is closing. It may be called in connection_made. If the connection
 * breaks, bytes that arrived before the error are kept, too, and
 * connection_lost waits until they were delivered. */
WEIR_API int weir_transport_pause_reading(weir_transport *t);

/** Call data_received again, from the loop, first with the bytes that were
 * received while reading was paused. The call has no effect if reading is not
 * paused, or the transport is closing. */
WEIR_API int weir_transport_resume_reading(weir_transport *t);

/** Report whether data_received may be called: reading is not paused, the
 * transport is not closing, and the stream has not ended. */
WEIR_API bool weir_transport_is_reading(const weir_transport *t);

/**
 * Set how many received bytes the connection may hold. Reading stops when fewer
 * than 4096 bytes are left below the limit.
 *
 * @param limit_bytes  at least 4096; 0 is the default, 1 MiB
 * @retval -EINVAL  @p limit_bytes is below 4096 and not 0
 */
WEIR_API int weir_transport_set_read_buffer_limit(weir_transport *t,
                                                  uint64_t limit_bytes);

/** Get the number of received bytes that the connection holds: bytes that are
 * kept while reading is paused, and bytes that a lease keeps. With TLS the
 * bytes of the transports below are included, but the limit of received bytes
 * applies to each transport alone. */
WEIR_API uint64_t weir_transport_get_read_buffer_size(const weir_transport *t);

/**
 * Set the marks at which pause_writing and resume_writing are called.
 *
 * Writing is paused if more bytes wait than the high mark, and resumed if no
 * more bytes wait than the low mark. Bytes wait from the write until the kernel
 * has accepted them. If the low mark is WEIR_DEFAULT, it is a quarter of the
 * high mark; if the high mark is WEIR_DEFAULT, it is four times the low mark.
 * If both are WEIR_DEFAULT, they are 64 KiB and 16 KiB. A mark of 4 GiB - 1 or
 * more is never reached.
 *
 * This call may call pause_writing; resume_writing is called only when bytes
 * are sent. While all connections of the loop together have many bytes to send,
 * pause_writing is called earlier, but not below the low mark; see
 * queued_limit_bytes of struct weir_loop_options.
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
 * Set how many bytes may wait to be sent. A write that would exceed this limit
 * fails with -ENOBUFS.
 *
 * @param limit_bytes  0 is the default, 64 MiB; 4 GiB - 1 or more is no limit
 */
WEIR_API int weir_transport_set_write_hard_limit(weir_transport *t,
                                                 uint64_t limit_bytes);

/**
 * Change the time limits of a connection. The times of idle_ns, read_ns and
 * write_stall_ns start again with this call.
 *
 * @param timeouts  borrowed; NULL means no limits
 * @retval -ENOMEM  no memory; the limits are unchanged
 */
WEIR_API WEIR_MUST_USE int
weir_transport_set_timeouts(weir_transport *t,
                            const struct weir_timeouts *timeouts);

/**
 * Stop reading, send the waiting bytes, then end the connection. Further calls
 * have no effect.
 *
 * No data_received follows. connection_lost is called from the loop, never
 * inside this call.
 *
 * Either all written bytes arrive at the peer, or connection_lost gets an
 * error. The kernel sends a reset if a descriptor is closed before all received
 * bytes were read, and if bytes arrive after that; a reset drops bytes that the
 * peer has not received. So the close **lingers** while sent bytes are not
 * acknowledged, or received bytes are not read: it ends the writing side, then
 * reads and drops bytes until the peer's kernel has acknowledged everything or
 * the peer has ended its stream, and then ends the connection. These limits
 * apply:
 * - after 30 s without an acknowledgement, or 5 minutes in all, the close fails
 *   with WEIR_ECLOSETIMEOUT. close_ns replaces the 5 minutes;
 * - when everything is acknowledged and the peer still sends, the close drops
 *   these bytes for 2 s or 1 MiB, whichever is less;
 * - the same limits apply to a close of TLS that waits for the peer's
 *   close_notify (tls_connection.h).
 *
 * A close does not linger after the peer's end of stream, nor if nothing was
 * written. If the program has set SO_LINGER, the loop's thread waits while the
 * descriptor is closed.
 *
 * While written bytes wait because the peer does not read, a close also reads
 * and drops bytes of the peer. It stops after 64 MiB, and continues when the
 * peer has read something, for up to 64 MiB more. So two sides that close at
 * the same time, with unsent bytes in both directions, do not block each other.
 * A peer that neither reads nor ends its stream keeps a close with unsent bytes
 * waiting; close_ns and write_stall_ns limit that time.
 *
 * If a write was refused and no call has returned its error yet
 * (weir_transport_write()), the connection is aborted instead, so that the peer
 * does not take incomplete data for complete data. connection_lost gets the
 * error, and the exception hook is called.
 *
 * @return 0, or the error of the refused write
 * @retval -ENOBUFS, -ENOMEM a write was refused
 */
WEIR_API int weir_transport_close(weir_transport *t);

/**
 * Drop the waiting bytes and end the connection at once. May be called after
 * weir_transport_close(); further calls have no effect.
 *
 * The peer gets a reset (SO_LINGER with time 0), so that it does not take
 * incomplete data for complete data. Unix sockets have no such reset: the peer
 * gets all sent bytes and an end of stream, or a reset if it has sent bytes
 * that were not read here. A peer with Multipath TCP may get an end of stream
 * (weir_connect_options). If another descriptor of the same socket is open, the
 * reset is sent when the last descriptor is closed, or at once if a send was in
 * flight. weir_loop_free() aborts in the same way. After a time-out, a failed
 * callback or a refused write the peer also gets a reset if written bytes are
 * dropped; otherwise the descriptor is closed.
 */
WEIR_API int weir_transport_abort(weir_transport *t);

/**
 * Mark the connection as busy, because a request is being served, or as not
 * busy.
 *
 * weir_server_stop() and weir_server_serve_forever() end idle connections at
 * once, and other connections when they are idle or the grace period has
 * expired. weir_server_stop() describes which connections are idle by default.
 * Use this call in protocols that respond after the callback, and in tasks that
 * read a request with several calls.
 *
 * @param busy  true if a request is being served
 */
WEIR_API int weir_transport_set_busy(weir_transport *t, bool busy);

/**
 * Report whether close or abort was called, or the connection is broken or
 * lost, or moves to another loop (move.h).
 *
 * @return true if so; after a move that has failed it is false again
 */
WEIR_API bool weir_transport_is_closing(const weir_transport *t);

/**
 * Bind another protocol to the connection.
 *
 * The new protocol gets the next callback; neither connection_made nor
 * connection_lost is called because of the change. Bytes that the old protocol
 * has received but not used can be passed, and are delivered to the new
 * protocol first, from the loop. If writing is paused, resume_writing follows
 * without a pause_writing. To replace the protocol of a stream (stream.h) use
 * weir_stream_detach(). A program that uses this call instead must call the
 * stream's connection_lost itself.
 *
 * @param binding  the new protocol; copied
 * @param initial  buffers to deliver first; borrowed, but the library keeps
 *                 their bytes; NULL if there are none
 * @param count    number of buffers
 * @retval -EINVAL     the table is not valid, or an initial buffer has no lease
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
 * as in most clients, has an address without a name. The address is kept after
 * the loss, unless there was no memory for it.
 *
 * @param ret  set to the address, whose len is 0 if there is none
 */
WEIR_API void weir_transport_get_peername(const weir_transport *t,
                                          struct weir_address *ret);

/**
 * Get the socket's local address, with a system call. The address is kept after
 * the loss, unless there was no memory for it.
 *
 * @param ret  set to the address, whose len is 0 if there is none
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

/** Credentials of a Unix socket's peer, from the time when the peer called
 * connect(), listen() or socketpair(). */
struct weir_peercred {
    /** The process id. */
    pid_t pid;
    /** The effective user id. */
    uid_t uid;
    /** The effective group id. */
    gid_t gid;
};

/** The result of weir_transport_get_extra_info(). */
struct weir_extra_info {
    size_t size;
    /** The address, for "peername" and "sockname". */
    struct weir_address address;
    /** The descriptor, for "socket" and "pipe". */
    int fd;
    /** The credentials of the peer, for "peercred". */
    struct weir_peercred peercred;
    /** For "tls_version", "cipher", "tls_group", "alpn", "server_name",
     * "tls_error" and "tls_alert": a text of @p len bytes, valid as long as the
     * transport lives. */
    const char *text;
    /** For "peercert": the certificate as DER, @p len bytes, valid as long as
     * the transport lives. */
    const void *data;
    /** Number of bytes at text or data. */
    size_t len;
    /** For "cipher": the number of bits of its key. For "tls_resumed": 1 if a
     * session was resumed, else 0. For "tls_alert": the number of the alert. */
    int number;
    /** For "tls_handshake": the duration of the handshake in nanoseconds. */
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
 * Get the first cause of the connection's end, which never changes.
 *
 * @return WEIR_END_NONE before the end
 */
WEIR_API enum weir_end weir_transport_get_end(const weir_transport *t);

/**
 * Get the first error of the connection, which never changes.
 *
 * @return 0, or any negative error
 */
WEIR_API int weir_transport_get_error(const weir_transport *t);

/**
 * Write a line about the connection's end, with the peer's address, and with
 * the failed call and its error, if there is one.
 *
 * @param buf   memory for the line, which is cut if it is too long; always
 *              terminated by a NUL
 * @param size  bytes in @p buf
 * @return      @p buf
 */
WEIR_API const char *weir_transport_get_error_text(const weir_transport *t,
                                                   char *buf, size_t size);

/** Get the loop of the transport. */
WEIR_API weir_loop *weir_transport_get_loop(const weir_transport *t);

/** Take a reference, so that the handle stays valid after connection_lost. */
WEIR_API weir_transport *weir_transport_ref(weir_transport *t);

/** Release a reference; the last release frees the transport. */
WEIR_API void weir_transport_unref(weir_transport *t);

WEIR_END_DECLS

#endif

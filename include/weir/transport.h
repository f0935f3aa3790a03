/**
 * @file transport.h
 * Transports: one end of a connection.
 *
 * A transport sends the bytes that it is given, in order, and shows its
 * protocol those that arrive. No call here suspends: writes are queued and
 * leave together at the end of the loop's turn, and callbacks tell how it went
 * on.
 *
 * **Life.** The library holds one reference until connection_lost has
 * returned. A program that keeps the pointer longer takes another one with
 * weir_transport_ref(). After the loss writes return an error and getters still
 * answer.
 *
 * **The end.** The first cause of a connection's end is kept for good:
 * weir_transport_get_end() tells closed by us, end of stream, broken and
 * aborted apart, weir_transport_get_error() has the error. A reset is an error
 * even when bytes that came before it are delivered later.
 *
 * **Kinds.** The kind of a transport is fixed at its birth, and some kinds lack
 * calls of this header: such a call returns -EOPNOTSUPP.
 *
 * All calls may return -EPERM (another thread than the loop's) and -ECHILD
 * (a child process after fork()), which is not repeated below.
 *
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

/** How a connection ended. */
enum weir_end {
    /** It has not ended. */
    WEIR_END_NONE = 0,
    /** weir_transport_close() was called here. */
    WEIR_END_CLOSED,
    /** The peer sent its last byte and the protocol let that be the end. */
    WEIR_END_EOF,
    /** weir_transport_abort() was called here, or the loop was freed. */
    WEIR_END_ABORTED,
    /** An error of the peer, the network, a time-out or a callback. */
    WEIR_END_BROKEN,
};

/** How much was written that the kernel has not taken. */
struct weir_depth {
    /** Bytes that the kernel has not accepted, those in flight included. */
    uint64_t bytes;
    /** Sends that the kernel has and has not completed. */
    uint32_t operations;
};

/** The depths at which writing is paused and resumed. */
struct weir_water_marks {
    /** Pause when more bytes wait; 0: whenever a byte does; or WEIR_DEFAULT. */
    int64_t high_bytes;
    /** Resume when no more bytes wait; 0: when none does; or WEIR_DEFAULT. */
    int64_t low_bytes;
};

/**
 * Limits in time, in nanoseconds; 0 is "none".
 *
 * A limit that the loop comes to late, because a callback was slow or the
 * process stood still, blames no peer that did its part meanwhile: bytes that
 * wait in the kernel while reading count as received, and the limits of a stall
 * and of a close begin anew when the peer has taken all that the kernel had.
 */
struct weir_timeouts {
    /** sizeof(struct weir_timeouts). */
    size_t size;
    /** With no byte in either direction for this time: WEIR_EIDLE. */
    uint64_t idle_ns;
    /** With no byte received for this time while reading: WEIR_EREADTIMEOUT. */
    uint64_t read_ns;
    /** When bytes wait and the peer takes none for this time: WEIR_EWRITESTALL.
     */
    uint64_t write_stall_ns;
    /** From close to the loss: the rest is dropped, WEIR_ECLOSETIMEOUT. */
    uint64_t close_ns;
    /**
     * When closing, after the last byte was sent: end the writing side, then
     * read and drop what the peer still sends, until its end of stream or for
     * this time; WEIR_ECLOSETIMEOUT if its kernel has not all then. Without it
     * a close waits for acknowledgements alone, see weir_transport_close().
     */
    uint64_t linger_ns;
};

/**
 * Send a copy of some bytes.
 *
 * They leave together with everything else that is written in this turn of the
 * loop. May call pause_writing before it returns. While a close sends the bytes
 * that wait, writes are refused, but for those from inside resume_writing.
 *
 * A write that is refused for want of room or memory is remembered, so that
 * no later write takes its place unnoticed: every later write of any kind, and
 * weir_transport_write_eof(), fails with the same error until
 * weir_transport_take_write_error(), weir_writer_drain() or weir_writer_flush()
 * has told it. A close before that aborts the connection.
 *
 * @param t     the transport; borrowed
 * @param data  the bytes; borrowed
 * @param len   how many; with 0 only the state is checked
 * @return      0 when accepted, or a negative error; then nothing was taken
 * @retval -ESHUTDOWN  after weir_transport_write_eof(), close or abort
 * @retval -EPIPE      the connection is broken, see weir_transport_get_error()
 * @retval -ENOBUFS    more than the hard limit would wait
 * @retval -ENOMEM     no memory for the copy
 */
WEIR_API int weir_transport_write(weir_transport *t, const void *data,
                                  size_t len);

/**
 * Send copies of several pieces, as one write; asyncio's writelines.
 *
 * @param t      the transport; borrowed
 * @param iov    the pieces, empty ones are skipped; borrowed with their bytes
 * @param count  how many pieces
 * @return       as weir_transport_write(): all pieces or none
 * @retval -EOVERFLOW  the sizes do not fit into a size_t
 */
WEIR_API int weir_transport_writelines(weir_transport *t,
                                       const struct iovec *iov, size_t count);

/**
 * Look at the write that was refused, and go on without it.
 *
 * To be called by a protocol that can do without the bytes of a write that
 * failed with -ENOBUFS or -ENOMEM; it may write again then. In tasks
 * weir_writer_drain() and weir_writer_flush() tell the same.
 *
 * @param t  the transport; borrowed
 * @return   the error of the first write that was refused, once; 0 when none
 *           was
 */
WEIR_API int weir_transport_take_write_error(weir_transport *t);

/** Called once the library needs the memory of a write no more. */
typedef void weir_release_fn(void *arg);

/**
 * Send bytes of the caller without copying them.
 *
 * @param t        the transport; borrowed
 * @param data     the bytes; held and unchanged until @p release is called. For
 *                 those of a mapped file the loop waits for its device
 * @param len      how many; with 0 @p release is called before the return
 * @param release  called once, on failure before this returns; may be NULL
 * @param arg      passed to @p release
 * @return         as weir_transport_write()
 */
WEIR_API int weir_transport_write_ref(weir_transport *t, const void *data,
                                      size_t len, weir_release_fn *release,
                                      void *arg);

/**
 * Send received bytes on without copying them.
 *
 * Takes a reference to the lease for as long as the bytes wait. They count
 * against the connection that received them until they are sent, so a relay
 * whose far end does not read stops reading by itself. Fewer than 256 bytes are
 * copied, and any while receive buffers are short; see buffer.h.
 *
 * @param t    the transport; borrowed
 * @param buf  the bytes, or a part of them with the same lease; borrowed
 * @return     as weir_transport_write()
 */
WEIR_API int weir_transport_write_buf(weir_transport *t,
                                      const struct weir_buf *buf);

/**
 * End the writing side once all that was written is sent; reading goes on.
 *
 * @param t  the transport; borrowed
 * @return   0, also when it was called before or the transport is closing
 * @retval -EOPNOTSUPP  this kind cannot, see weir_transport_can_write_eof()
 * @retval -ENOBUFS, -ENOMEM  a write was refused, and its bytes are missing
 */
WEIR_API int weir_transport_write_eof(weir_transport *t);

/**
 * Whether the writing side can be ended alone.
 *
 * @param t  the transport; borrowed
 * @return   true for stream sockets
 */
WEIR_API bool weir_transport_can_write_eof(const weir_transport *t);

/**
 * Stop calling data_received; bytes that arrive meanwhile are kept, or left in
 * the kernel. Does nothing when paused or closing. May be called in
 * connection_made. On a connection that breaks, bytes that came before the
 * error are kept too, and the loss waits until they were delivered.
 *
 * @param t  the transport; borrowed
 * @return   0
 */
WEIR_API int weir_transport_pause_reading(weir_transport *t);

/**
 * Call data_received again, from the loop, and with the bytes that were kept
 * first. Does nothing when reading or closing. No byte follows the end of
 * stream.
 *
 * @param t  the transport; borrowed
 * @return   0
 */
WEIR_API int weir_transport_resume_reading(weir_transport *t);

/**
 * Whether the transport is reading: not paused, not closing, not past the end.
 *
 * @param t  the transport; borrowed
 * @return   true when data_received may be called
 */
WEIR_API bool weir_transport_is_reading(const weir_transport *t);

/**
 * How many received bytes the connection may hold: reading stops once less
 * than 4096 of them are left.
 *
 * @param t            the transport; borrowed
 * @param limit_bytes  at least 4096; 0 is the default, 1 MiB
 * @return       0
 * @retval -EINVAL  less than 4096 and not 0
 */
WEIR_API int weir_transport_set_read_buffer_limit(weir_transport *t,
                                                  uint64_t limit_bytes);

/**
 * Bytes that were received and are held: kept while paused, or under leases.
 *
 * @param t  the transport; borrowed
 * @return   bytes
 */
WEIR_API uint64_t weir_transport_get_read_buffer_size(const weir_transport *t);

/**
 * Set the marks at which pause_writing and resume_writing are called.
 *
 * Writing is paused when more bytes wait than the high mark says, and resumed
 * when no more do than the low one says. Bytes wait from the write until the
 * kernel has accepted them. If only the high mark is given, the low one is a
 * quarter of it; if only the low mark is, the high one is four times as much.
 * If both are WEIR_DEFAULT, they are 64 KiB and 16 KiB. May call pause_writing
 * at once, resume_writing only as bytes are sent. While all connections
 * together have much to send, pause_writing comes earlier, though not below the
 * low mark; see queued_limit_bytes of struct weir_loop_options.
 *
 * @param t      the transport; borrowed
 * @param marks  both of them
 * @return       0
 * @retval -EINVAL  the low mark above the high one, or one negative
 */
WEIR_API int
weir_transport_set_write_buffer_limits(weir_transport *t,
                                       struct weir_water_marks marks);

/**
 * The marks at which pause_writing and resume_writing are called.
 *
 * @param t  the transport; borrowed
 * @return   the marks, neither of which is WEIR_DEFAULT
 */
WEIR_API struct weir_water_marks
weir_transport_get_write_buffer_limits(const weir_transport *t);

/**
 * Bytes written and not yet accepted by the kernel, in flight included.
 *
 * @param t  the transport; borrowed
 * @return   bytes
 */
WEIR_API uint64_t weir_transport_get_write_buffer_size(const weir_transport *t);

/**
 * The most that may wait to be sent; a write beyond it fails with -ENOBUFS.
 *
 * @param t            the transport; borrowed
 * @param limit_bytes  0 is the default, 64 MiB
 * @return       0
 */
WEIR_API int weir_transport_set_write_hard_limit(weir_transport *t,
                                                 uint64_t limit_bytes);

/**
 * Change the time limits; they count from now.
 *
 * @param t         the transport; borrowed
 * @param timeouts  borrowed; NULL takes all away
 * @return          0
 * @retval -ENOMEM  no memory; the limits are as they were
 * @retval -E2BIG   made for a newer library, with a field set unknown here
 */
WEIR_API int weir_transport_set_timeouts(weir_transport *t,
                                         const struct weir_timeouts *timeouts);

/**
 * Stop reading, send the bytes that wait, then lose the connection; idempotent.
 *
 * No data_received follows. connection_lost comes from the loop, never from
 * inside this call.
 *
 * The bytes that were written arrive, or connection_lost gets an error. The
 * kernel answers bytes that are not read, or that come after the descriptor is
 * closed, by a reset, and a reset drops what the peer has not got. So while
 * sent bytes are not acknowledged, or received ones not read, the close
 * lingers: it ends the writing side, reads and drops until the peer's kernel
 * has all or the peer has ended, and then loses the connection. 30 s without an
 * acknowledgement, or 5 minutes in all, are WEIR_ECLOSETIMEOUT; close_ns
 * replaces the 5 minutes. A close does not linger after the peer's end, nor
 * where nothing was written; but with SO_LINGER the loop's thread waits in the
 * close.
 *
 * If a write was refused and no call has returned that error yet
 * (weir_transport_write()), the peer would take a part for the whole: the
 * connection is aborted instead, connection_lost gets the error, and the
 * exception hook is called.
 *
 * @param t  the transport; borrowed
 * @return   0, or the error of the write that was refused
 */
WEIR_API int weir_transport_close(weir_transport *t);

/**
 * Drop the bytes that wait and lose the connection; idempotent, also after
 * close.
 *
 * The peer gets a reset (SO_LINGER with no time), so that what it received
 * cannot pass for the whole; a Unix socket's peer gets an end of stream, and
 * one by Multipath TCP may (weir_connect_options).
 * Where another descriptor of the same socket is open, that happens when the
 * last one is closed, or at once if the kernel was in the middle of a send.
 * weir_loop_free() aborts in the same way. An end by a time-out, a failed
 * callback or a write that was refused is a reset too if bytes are dropped that
 * were written; otherwise it closes the descriptor.
 *
 * @param t  the transport; borrowed
 * @return   0
 */
WEIR_API int weir_transport_abort(weir_transport *t);

/**
 * Say that a request is being served on the connection, or no longer.
 *
 * For weir_server_stop() and weir_server_serve_forever(), which end idle
 * connections at once and leave the others until they are idle, or until the
 * time of grace is over. weir_server_stop() tells what counts as idle unless
 * this was called: it is needed by protocols that answer later than in the
 * callback, and by tasks that read one request by several calls.
 *
 * @param t     the transport; borrowed
 * @param busy  whether one is being served
 * @return      0
 */
WEIR_API int weir_transport_set_busy(weir_transport *t, bool busy);

/**
 * Whether close or abort was called, or the connection is broken or lost.
 *
 * @param t  the transport; borrowed
 * @return   true from then on
 */
WEIR_API bool weir_transport_is_closing(const weir_transport *t);

/**
 * Hand the connection to another protocol.
 *
 * Holds from the next callback on; neither connection_made nor
 * connection_lost is called for the switch. Bytes that the old protocol has
 * read but not used can be given along and are delivered to the new one first,
 * from the loop.
 *
 * @param t        the transport; borrowed
 * @param binding  the new protocol; copied
 * @param initial  buffers to deliver first; borrowed, what they name is kept;
 *                 NULL when there are none
 * @param count    how many
 * @return         0
 * @retval -EINVAL     the table is not valid
 * @retval -ESHUTDOWN  the transport is closing
 * @retval -ENOMEM     no memory; nothing has changed
 * @retval -EOPNOTSUPP  the transport is a pipe of a child process
 */
WEIR_API WEIR_MUST_USE int
weir_transport_set_protocol(weir_transport *t,
                            const struct weir_protocol_binding *binding,
                            const struct weir_buf *initial, size_t count);

/**
 * The protocol that is bound now.
 *
 * @param t  the transport; borrowed
 * @return   table and user pointer
 */
WEIR_API struct weir_protocol_binding
weir_transport_get_protocol(const weir_transport *t);

/**
 * The peer's address. The kernel is asked at each call. A Unix socket that was
 * not bound, as a client's mostly is not, has an address without a name.
 *
 * It is kept after the loss, unless there was no memory for it then.
 *
 * @param t    the transport; borrowed
 * @param ret  the address; its len is 0 when there is none
 */
WEIR_API void weir_transport_get_peername(const weir_transport *t,
                                          struct weir_address *ret);

/**
 * The own address. The kernel is asked at each call.
 *
 * It is kept after the loss, unless there was no memory for it then.
 *
 * @param t    the transport; borrowed
 * @param ret  the address; its len is 0 when there is none
 */
WEIR_API void weir_transport_get_sockname(const weir_transport *t,
                                          struct weir_address *ret);

/**
 * The descriptor, for looking at and for socket options only: it must not be
 * read, written, closed or made non-blocking.
 *
 * @param t  the transport; borrowed
 * @return   the descriptor, or -EBADF after the loss
 */
WEIR_API int weir_transport_get_socket(const weir_transport *t);

/** The process at the other end of a Unix socket, as it was when it connected,
 * or began to listen, or made the pair. */
struct weir_peercred {
    /** Its process. */
    pid_t pid;
    /** Its effective user. */
    uid_t uid;
    /** Its effective group. */
    gid_t gid;
};

/** The answer of weir_transport_get_extra_info(). */
struct weir_extra_info {
    /** sizeof(struct weir_extra_info). */
    size_t size;
    /** For "peername" and "sockname". */
    struct weir_address address;
    /** For "socket" and "pipe". */
    int fd;
    /** For "peercred". */
    struct weir_peercred peercred;
    /** For "tls_version", "cipher", "alpn", "server_name" and "tls_error": of
     * @p len bytes, as long as the transport lives. */
    const char *text;
    /** For "peercert": the certificate as DER, of @p len bytes, as long as the
     * transport lives. */
    const void *data;
    /** Bytes of text or data. */
    size_t len;
    /** For "cipher": the bits of its key. For "tls_resumed": 1 or 0. */
    int number;
    /** For "tls_handshake": how long it took, in nanoseconds. */
    uint64_t time_ns;
};

/**
 * asyncio's get_extra_info: a piece of information by its name.
 *
 * @param t     the transport; borrowed
 * @param name  "peername", "sockname" or "socket" of a socket, "peercred" of a
 *              Unix socket (unix.h), "pipe" of a pipe (its descriptor, with the
 *              rules of weir_transport_get_socket()); borrowed
 * @param ret   the answer, written on success only
 * @return      0
 * @retval -ENOENT  this transport has no information of that name
 */
WEIR_API int weir_transport_get_extra_info(const weir_transport *t,
                                           const char *name,
                                           struct weir_extra_info *ret);

/**
 * How the connection ended; the first cause, kept for good.
 *
 * @param t  the transport; borrowed
 * @return   WEIR_END_NONE while it has not
 */
WEIR_API enum weir_end weir_transport_get_end(const weir_transport *t);

/**
 * The first error of the connection, kept for good.
 *
 * @param t  the transport; borrowed
 * @return   a negative error, or 0 when there was none
 */
WEIR_API int weir_transport_get_error(const weir_transport *t);

/**
 * One line about the connection's end: what failed, the error, the addresses.
 *
 * @param t     the transport; borrowed
 * @param buf   destination, always terminated
 * @param size  bytes in @p buf
 * @return      @p buf
 */
WEIR_API const char *weir_transport_get_error_text(const weir_transport *t,
                                                   char *buf, size_t size);

/**
 * The loop that the transport belongs to.
 *
 * @param t  the transport; borrowed
 * @return   the loop; borrowed
 */
WEIR_API weir_loop *weir_transport_get_loop(const weir_transport *t);

/**
 * Keep the handle beyond connection_lost.
 *
 * @param t  the transport; borrowed
 * @return   @p t; one reference is given
 */
WEIR_API weir_transport *weir_transport_ref(weir_transport *t);

/**
 * Give a reference back; the last one frees.
 *
 * @param t  taken; NULL is ignored
 */
WEIR_API void weir_transport_unref(weir_transport *t);

WEIR_END_DECLS

#endif

/**
 * @file relay.h
 * Relays, which forward bytes between two connections in both directions.
 *
 * A proxy accepts a connection, opens another one, and passes both to a relay.
 * The relay forwards the bytes of each side to the other side, without a copy
 * if they are in receive buffers, until both sides have ended.
 *
 * @code{.c}
 * int err = weir_relay(client, upstream, NULL, relayed, session, NULL);
 * @endcode
 *
 * **Sides.** Any two transports that send and receive a stream of bytes can be
 * relayed: TCP, Unix sockets, TLS and ends of a pair (pair.h), in any pairing.
 * The relay becomes the protocol of both, as by weir_transport_set_protocol():
 * the callbacks of the old protocols are not called any more. If an old
 * protocol has received bytes that it does not use, set them in the options
 * (a_initial, b_initial); they are forwarded first. Bytes that were written
 * before the relay are sent before the relay's bytes. During the relay the
 * program may only call getters of the two transports and set their time-outs.
 * weir_pending_cancel() ends the relay. Descriptors that a Unix socket receives
 * are closed.
 *
 * **Back-pressure.** Each direction is limited: while more than `buffer_bytes`
 * wait to be sent to one side, the other side is not read. For this the relay
 * sets the write buffer limits and the read buffer limits of both transports to
 * this number of bytes; to fewer bytes with TLS, where bytes wait both before
 * and after encryption. At first at most 32 KiB may wait. This limit rises to
 * `buffer_bytes` when the kernel has space for twice `buffer_bytes`. When the
 * kernel refuses bytes, the limit falls to 32 KiB again, and nothing is
 * received until the kernel accepts these bytes. If a side's read_limit_bytes
 * (struct weir_connection_options) is larger than the new limit, the relay
 * cancels the side's receive in flight and begins another one.
 *
 * **The end of one direction.** If a side ends its stream, the end is forwarded
 * after all its bytes (weir_transport_write_eof(); with TLS a close_notify),
 * and the other direction continues. If both directions have ended, both
 * transports are closed, after sending all bytes.
 *
 * **Errors are forwarded, too.** If a side is reset or breaks, all bytes that
 * arrived before the error are sent to the other side. When the kernel of the
 * other side's peer has acknowledged these bytes, the other side is aborted.
 * Its peer gets a reset, and does not take incomplete data for complete data;
 * weir_transport_abort() lists the peers that see an end of stream instead.
 * Meanwhile bytes for the broken side are read and dropped, no faster than the
 * rate of their direction.
 *
 * The wait for acknowledgements ends if no byte is acknowledged for the side's
 * write_stall_ns, or for 30 s if it is not set. It ends at the latest after the
 * side's close_ns, or after 5 minutes if it is not set. While bytes wait only
 * for a rate limit, and all earlier bytes are acknowledged, only the total time
 * counts.
 *
 * Both sides are aborted at once if memory runs out, at a limit of the relay or
 * a time-out of a transport, and when the relay is cancelled. A TLS connection
 * that ends without a close_notify is an error (WEIR_ETLSTRUNCATED), unless its
 * settings or the relay's options ignore it.
 *
 * **Time-outs** of the two transports still apply. For weir_server_stop() both
 * transports are busy until the end of the relay.
 *
 * These functions are in libweir-proxy (pkg-config weir-proxy).
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_RELAY_H
#define WEIR_RELAY_H

#include "base.h"
#include "buffer.h"
#include "pending.h"
#include "transport.h"
#include "writer.h"

WEIR_BEGIN_DECLS

/** The side or cause that has ended a relay. */
enum weir_relay_party {
    /** The first transport of the call, or its peer. */
    WEIR_RELAY_A = 0,
    /** The second transport of the call, or its peer. */
    WEIR_RELAY_B,
    /** A time limit of the relay's options. */
    WEIR_RELAY_LIMIT,
    /** The program: a cancellation, a close or an abort of a transport, or the
     * end of the loop. */
    WEIR_RELAY_PROGRAM,
};

/** Reasons for the end of a relay. */
enum weir_relay_cause {
    /** Both streams have ended, and all bytes were sent. */
    WEIR_RELAY_EOF = 0,
    /** A peer has reset the connection, or no longer receives. */
    WEIR_RELAY_RESET,
    /** A time-out of a transport has expired, except in the case of
     * WEIR_RELAY_HELD_UP. */
    WEIR_RELAY_TIMEOUT,
    /** A transport has failed with another error. */
    WEIR_RELAY_ERROR,
    /** No byte moved for the `idle_ns` of the options. */
    WEIR_RELAY_IDLE,
    /** No byte moved for the `half_closed_ns` of the options, after the end of
     * one direction. */
    WEIR_RELAY_HALF_CLOSED,
    /** The `lifetime_ns` of the options has passed. */
    WEIR_RELAY_LIFETIME,
    /** The program has ended the relay. */
    WEIR_RELAY_CANCELED,
    /** The write_stall_ns of a transport has expired while bytes from its peer
     * wait for the other side or for their rate limit. Such a peer often does
     * not read because it cannot write, so that the other side is the real
     * cause. */
    WEIR_RELAY_HELD_UP,
};

/** Details of a relay: bytes, times, and the reason of its end. Times are on
 * the clock of weir_loop_get_time(). */
struct weir_relay_record {
    /** sizeof(struct weir_relay_record); the library sets it for done. */
    size_t size;
    /** Number of bytes from A that were forwarded to B. After an error of B or
     * a limit of the relay some of them may not have been sent. */
    uint64_t a_bytes;
    /** Number of bytes from B that were forwarded to A. */
    uint64_t b_bytes;
    /** Time at which the relay started. */
    uint64_t start_ns;
    /** Time at which the first byte from A was relayed; 0 if A has sent
     * nothing. */
    uint64_t a_first_ns;
    /** Time at which the first byte from B was relayed; 0 if B has sent
     * nothing. */
    uint64_t b_first_ns;
    /** Time at which the relay ended, which is when both transports were
     * lost. */
    uint64_t end_ns;
    /** The side or the limit that caused the end. If both sides ended their
     * streams, it is the side that ended first. */
    enum weir_relay_party ended_by;
    /** The reason for the end. */
    enum weir_relay_cause cause;
    /** The error, negative; 0 if both directions have ended cleanly. */
    int err;
    /** The part of a_bytes that was forwarded inside the kernel; see `splice`
     * of the options. */
    uint64_t a_spliced_bytes;
    /** The part of b_bytes that was forwarded inside the kernel; see `splice`
     * of the options. */
    uint64_t b_spliced_bytes;
};

/**
 * Called once, from the loop, when the relay has ended and both transports are
 * lost. The getters of the transports may be used until it returns.
 *
 * @param arg     the done_arg of the call
 * @param err     0 if both directions have ended cleanly; -ECANCELED if the
 *                program has ended the relay; WEIR_EIDLE after idle_ns or
 *                half_closed_ns; -ETIMEDOUT after lifetime_ns; or the error of
 *                a transport
 * @param record  details; borrowed
 */
typedef void weir_relay_done_fn(void *arg, int err,
                                const struct weir_relay_record *record);

/**
 * Called with bytes before they are forwarded. The callback must not write to
 * the transports; it may cancel the relay, and then the bytes are not
 * forwarded.
 *
 * @param arg   the tap_arg of the options
 * @param from  the side that sent the bytes: WEIR_RELAY_A or WEIR_RELAY_B
 * @param buf   the bytes, at least 1; borrowed
 */
typedef void weir_relay_tap_fn(void *arg, enum weir_relay_party from,
                               const struct weir_buf *buf);

/** Options of relays. */
struct weir_relay_options {
    size_t size;
    /** Number of bytes that may wait in each direction, received from one side
     * but not yet accepted by the kernel for the other side. At least 4096;
     * default 64 KiB. If bytes are copied because they arrive in pieces of
     * fewer than 256 bytes, twice as many may wait. */
    uint64_t buffer_bytes;
    /** End the relay if no byte moved in either direction for this time, in
     * nanoseconds; the relay may notice it up to a quarter of the time later. 0
     * means no limit. A byte moves when it arrives, and when the kernel accepts
     * it for sending. */
    uint64_t idle_ns;
    /** Like idle_ns, but for the time after the end of one direction; 0 means
     * no limit. If both limits are set, the smaller one applies after the end
     * of one direction. */
    uint64_t half_closed_ns;
    /** End the relay after this time, in nanoseconds; 0 means no limit. */
    uint64_t lifetime_ns;
    /** Maximum rate in bytes per second at which bytes from A are forwarded, or
     * dropped after an error of B; 0 means no limit. The relay reads no faster
     * than that. After a pause the bytes of an eighth of a second (at least
     * 4096 bytes) may pass at once, plus up to one receive. */
    uint64_t a_rate_bytes;
    /** Maximum rate in bytes per second at which bytes from B are forwarded; 0
     * means no limit. */
    uint64_t b_rate_bytes;
    /** Bytes that the program has received from A before the relay, in order.
     * They are forwarded first. Borrowed; bytes without a lease are copied. */
    const struct weir_buf *a_initial;
    /** Number of buffers in a_initial. */
    size_t a_initial_count;
    /** Bytes that the program has received from B before the relay, in order.
     * They are forwarded first. Borrowed; bytes without a lease are copied. */
    const struct weir_buf *b_initial;
    /** Number of buffers in b_initial. */
    size_t b_initial_count;
    /** Close both sides when one side has ended its stream. Bytes that were
     * forwarded before are still sent, other bytes are dropped. */
    bool close_at_first_end;
    /** Called with all bytes that are forwarded, in both directions. May be
     * NULL. */
    weir_relay_tap_fn *tap;
    /** First argument of tap. */
    void *tap_arg;
    /** Forward bulk data inside the kernel with splice(2). This works between
     * two TCP or Unix sockets, in a direction without a rate limit, if there is
     * no tap and no Unix socket that receives descriptors (struct
     * weir_connection_options). After the first 64 KiB of a direction the relay
     * splices whenever at least 128 KiB wait to be received. All relays of a
     * loop share one pipe; if the pipe cannot be made, bytes are copied. If the
     * kernel accepts fewer bytes than it had space for, up to 256 KiB more than
     * buffer_bytes may wait. */
    bool splice;
    /** Treat the end of a TLS connection without a close_notify as a normal end
     * of its stream, on both sides of the relay. This is the same as
     * ignore_unexpected_eof of struct weir_tls_settings (tls_connection.h),
     * with the same risk. */
    bool ignore_unexpected_eof;
};

/**
 * Forward bytes in both directions between two connections, until both have
 * ended. An end of stream that was received before is forwarded, too. If the
 * call fails, nothing has changed, and the transports keep their protocols.
 *
 * @param a     a transport, whose connection_made was called; borrowed, but the
 *              library keeps a reference until @p done has returned
 * @param b     the other transport, with the same rules
 * @param done  called once, when the relay has ended; may be NULL if @p ret is
 *              NULL
 * @return      0 if the relay has started; then @p done will be called
 * @retval -EINVAL      the transports are the same or belong to two loops;
 *                      buffer_bytes is below 4096 or above 1 GiB; a rate is
 *                      above 1 TiB per second; or @p ret is given without @p
 *                      done
 * @retval -EOPNOTSUPP  a transport does not send and receive a stream, or
 *                      cannot end its writing side alone (pipes, datagram
 *                      endpoints, child processes); or it is in a relay already
 * @retval -EBUSY       the connection_made of a transport was not called yet, a
 *                      transport has a TLS handshake under way, or it sends a
 *                      file
 * @retval -ESHUTDOWN   a transport was closed or aborted, or
 *                      weir_transport_write_eof() was called on it; or the loop
 *                      is being freed
 * @retval -EPIPE       a connection is broken
 * @retval -ENOBUFS     a write was refused, see weir_transport_write()
 * @retval -ENOMEM      no memory, or a write was refused
 * @retval WEIR_EREPLACED  TLS was started on a transport
 */
WEIR_API WEIR_MUST_USE int weir_relay(weir_transport *a, weir_transport *b,
                                      const struct weir_relay_options *options,
                                      weir_relay_done_fn *done, void *done_arg,
                                      weir_pending **ret);

/**
 * Get the details of a running relay, for example for a list of connections.
 * While the relay runs, end_ns is 0, and ended_by, cause and err have no
 * meaning.
 *
 * @param relay  the handle from weir_relay(); borrowed
 * @retval -EINVAL  @p relay is the handle of another operation
 */
WEIR_API int weir_relay_get_record(const weir_pending *relay,
                                   struct weir_relay_record *ret);

/**
 * Relay the connections of two streams, and wait until both have ended.
 *
 * The streams lose their connections, as by weir_stream_detach(), and the
 * program must still release the writers. Unread bytes of a reader are
 * forwarded first; descriptors that wait in a reader are closed. If the relay
 * cannot start, nothing has changed.
 *
 * @param a        the writer of a stream; held
 * @param b        the writer of the other stream; held
 * @param options  as for weir_relay(), but without initial bytes; held
 * @param ret      set to the details when a relay that has started has ended;
 *                 the caller sets the size; may be NULL
 * @return         0 if both directions have ended cleanly, an error that
 *                 weir_relay_done_fn lists, or an error of weir_relay()
 * @retval -EINVAL     the options have initial bytes, or another cause that
 *                     weir_relay() lists
 * @retval -ENOTCONN   a stream has no connection, or weir_stream_detach() has
 *                     removed it
 * @retval -EBUSY      another task waits in a call on one of the readers or
 *                     writers, or another cause that weir_relay() lists
 * @retval -ECANCELED  the task was interrupted, and a relay that had started
 *                     was aborted; or the program has ended the relay
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_writer_relay(weir_writer *a, weir_writer *b,
                  const struct weir_relay_options *options,
                  struct weir_relay_record *ret);

WEIR_END_DECLS

#endif

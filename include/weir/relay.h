/**
 * @file relay.h
 * Relays: bytes forwarded between two connections, both ways.
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
 * the callbacks of the old protocols are not called any more. Pass bytes that
 * an old protocol has received and not used in the options; they are forwarded
 * first. Bytes that were written before the relay are sent before its bytes.
 * During the relay the program may call only getters of the transports and set
 * their time-outs; weir_pending_cancel() ends the relay. Descriptors that a
 * Unix socket receives are closed.
 *
 * **Back-pressure.** Each direction is bounded: while more than `buffer_bytes`
 * wait to be sent to one side, the other side is not read. For this the relay
 * sets the write buffer limits of both transports, and the read buffer limits
 * to the same number of bytes; to fewer with TLS, where bytes wait both before
 * and after encryption. Until the kernel has space for twice as many bytes, and
 * again after it has refused some, at most 32 KiB are received ahead; and none
 * while the kernel accepts no byte. If a side's read_limit_bytes (struct
 * weir_connection_options) is above this, the relay ends its receive in flight
 * and begins another.
 *
 * **The end of one direction.** If a side ends its stream, the end is forwarded
 * after all its bytes (weir_transport_write_eof(); with TLS a close_notify),
 * and the other direction continues. If both directions have ended, both
 * transports are closed, after sending all bytes.
 *
 * **Errors stay errors.** If a side is reset or breaks, the other side gets all
 * bytes from before the error. It is aborted when its peer's kernel has
 * acknowledged them, so that its peer gets a reset and does not take a part for
 * the whole; weir_transport_abort() lists the peers that see an end of stream
 * instead. If memory runs out both are aborted at once. The relay waits as long
 * as bytes are acknowledged, but without an acknowledgement at most the side's
 * write_stall_ns, or 30 s if it is not set, and in all at most its close_ns, or
 * 5 minutes. While all bytes that the rate has let pass are acknowledged, only
 * the total time counts. Meanwhile bytes for the broken side are read and
 * dropped, no faster than the rate of their direction. A TLS connection that
 * ends without a close_notify is an error (WEIR_ETLSTRUNCATED), unless its
 * settings or the relay's options ignore it. The relay's limits, the time-outs
 * of the two transports and a cancellation abort both sides at once.
 *
 * **Time-outs** of the two transports still apply. For weir_server_stop() both
 * transports are busy until the end of the relay.
 *
 * In libweir-proxy (pkg-config weir-proxy).
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
    /** A limit of the relay's options. */
    WEIR_RELAY_LIMIT,
    /** The program: a cancellation, a close or an abort of a transport, or the
     * end of the loop. */
    WEIR_RELAY_PROGRAM,
};

/** Reasons for the end of a relay. */
enum weir_relay_cause {
    /** Both streams have ended, and all bytes were sent. */
    WEIR_RELAY_EOF = 0,
    /** A reset, or the peer no longer receives. */
    WEIR_RELAY_RESET,
    /** A time-out of a transport, except WEIR_RELAY_HELD_UP. */
    WEIR_RELAY_TIMEOUT,
    /** Another error of a transport. */
    WEIR_RELAY_ERROR,
    /** `idle_ns`. */
    WEIR_RELAY_IDLE,
    /** `half_closed_ns`. */
    WEIR_RELAY_HALF_CLOSED,
    /** `lifetime_ns`. */
    WEIR_RELAY_LIFETIME,
    /** The program. */
    WEIR_RELAY_CANCELED,
    /** The write-stall time-out of a transport while bytes from its peer wait
     * for the other side or for their rate. Such a peer often reads nothing
     * because it cannot write, so that the other side is the cause. */
    WEIR_RELAY_HELD_UP,
};

/** The record of a relay that has ended. Times are on the clock of
 * weir_loop_get_time(). */
struct weir_relay_record {
    /** sizeof(struct weir_relay_record); the library sets it for done. */
    size_t size;
    /** Bytes of A that were forwarded to B. After an error of B or a limit
     * fewer may have been sent. */
    uint64_t a_bytes;
    /** Bytes of B that were forwarded to A. */
    uint64_t b_bytes;
    /** The start of the relay. */
    uint64_t start_ns;
    /** The first byte of A; 0 if A sent nothing. */
    uint64_t a_first_ns;
    /** The first byte of B; 0 if B sent nothing. */
    uint64_t b_first_ns;
    /** The end of the relay: both transports are lost. */
    uint64_t end_ns;
    /** The side that caused the end, and the error if there is one. If both
     * sides ended their streams, the side that ended first. */
    enum weir_relay_party ended_by;
    /** The reason for the end. */
    enum weir_relay_cause cause;
    /** The error, negative; 0 if both directions have ended cleanly. */
    int err;
    /** The part of a_bytes that was spliced inside the kernel; see `splice` of
     * the options. */
    uint64_t a_spliced_bytes;
    /** The part of b_bytes that was spliced inside the kernel. */
    uint64_t b_spliced_bytes;
};

/**
 * The relay has ended. Called once, from the loop, when both transports are
 * lost. Their getters may be used until the return.
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
    /** Bytes that may wait in each direction: received from one side and not
     * accepted by the kernel for the other side. Pieces of fewer than 256 bytes
     * are copied, and then as many bytes again may wait unread. At least 4096;
     * default 64 KiB. */
    uint64_t buffer_bytes;
    /** End the relay if no byte moved, either way, for this time, or up to a
     * quarter longer; 0 means no limit. A byte moves when it arrives, and when
     * the kernel accepts it. */
    uint64_t idle_ns;
    /** As idle_ns, but after the end of one direction; 0 means no limit. If
     * both are set the smaller one applies then. */
    uint64_t half_closed_ns;
    /** End the relay after this time; 0 means no limit. */
    uint64_t lifetime_ns;
    /** Rate limit of A in bytes per second, for bytes that are forwarded, or
     * dropped after an error of B; 0 means no limit. The relay reads no faster.
     * Bursts: an eighth of the rate, at least 4096 bytes, and one receive. */
    uint64_t a_rate_bytes;
    /** Rate limit of B in bytes per second; 0 means no limit. */
    uint64_t b_rate_bytes;
    /** Bytes that were received from A and not used, in order; borrowed. Bytes
     * without a lease are copied. */
    const struct weir_buf *a_initial;
    /** Number of buffers of A. */
    size_t a_initial_count;
    /** Bytes that were received from B and not used. */
    const struct weir_buf *b_initial;
    /** Number of buffers of B. */
    size_t b_initial_count;
    /** Close both sides when the first one has ended its stream. Bytes that
     * were forwarded before are still sent, other bytes are dropped. */
    bool close_at_first_end;
    /** Called with the bytes of both directions; may be NULL. */
    weir_relay_tap_fn *tap;
    /** First argument of tap. */
    void *tap_arg;
    /** Forward bulk data inside the kernel with splice(2), between two TCP or
     * Unix sockets, in a direction without a rate, if there is no tap. Used
     * when at least 128 KiB wait to be received, after the first 64 KiB of a
     * direction. All relays of a loop share one pipe; if it cannot be made,
     * bytes are copied. If the kernel accepts fewer bytes than it had space
     * for, up to 256 KiB more than buffer_bytes may wait. No effect on Unix
     * sockets that receive descriptors (weir_connection_options). */
    bool splice;
    /** Treat the end of a side's TLS without a close_notify as an end of its
     * stream, as ignore_unexpected_eof of struct weir_tls_settings
     * (tls_connection.h) does, with the same risk. Applies to both sides during
     * the relay. */
    bool ignore_unexpected_eof;
};

/**
 * Forward bytes both ways between two connections, until both have ended. An
 * end of stream that was received before is forwarded, too. On failure nothing
 * has changed, and the transports keep their protocols.
 *
 * @param a     a transport, after its connection_made; held, the library has a
 *              reference until done has returned
 * @param b     the other transport, likewise
 * @param done  called once, when the relay has ended; may be NULL without a
 *              handle
 * @return      0, and @p done follows; or a negative error
 * @retval -EINVAL      the transports are the same or of two loops, a buffer
 *                      below 4096 or above 1 GiB, a rate above 1 TiB, or a
 *                      handle without done
 * @retval -EOPNOTSUPP  a transport does not send and receive a stream, or
 *                      cannot end its writing side alone: pipes, datagram
 *                      endpoints, children; or it is relayed already
 * @retval -EBUSY       a transport is before connection_made, has a TLS
 *                      handshake under way, or sends a file
 * @retval -ESHUTDOWN   after weir_transport_write_eof(), close or abort of one,
 *                      or the loop is being freed
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
 * Get the record of a running relay, for example for a list of connections.
 * While the relay runs, end_ns is 0, and ended_by, cause and err are
 * meaningless.
 *
 * @param relay  the handle of a relay; borrowed
 * @retval -EINVAL  the handle of something else
 */
WEIR_API int weir_relay_get_record(const weir_pending *relay,
                                   struct weir_relay_record *ret);

/**
 * Relay the connections of two streams, and wait until both have ended.
 *
 * The streams lose their connections, as by weir_stream_detach(). Unread bytes
 * of a reader are forwarded first; descriptors that wait in a reader are
 * closed. The program still releases the writers. If the relay cannot start
 * nothing has changed.
 *
 * @param a        the writer of a stream; held
 * @param b        the writer of the other stream; held
 * @param options  as weir_relay(), without initial bytes; held
 * @param ret      details, written when the relay has begun and ended; the
 *                 caller sets its size; NULL if not wanted
 * @return         as the @p err of weir_relay_done_fn, or an error of
 *                 weir_relay()
 * @retval -EINVAL     initial bytes, or as weir_relay()
 * @retval -ENOTCONN   there is no connection, or it was detached
 * @retval -EBUSY      a task waits in a call on a reader or a writer, or as
 *                     weir_relay()
 * @retval -ECANCELED  the task was interrupted, and the relay, if it had begun,
 *                     was aborted; or as weir_relay_done_fn
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_writer_relay(weir_writer *a, weir_writer *b,
                  const struct weir_relay_options *options,
                  struct weir_relay_record *ret);

WEIR_END_DECLS

#endif

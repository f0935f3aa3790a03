/**
 * @file relay.h
 * Relays: the bytes of two connections, moved both ways.
 *
 * A proxy accepts a connection, makes another one, and hands both to a relay.
 * The relay passes the bytes of each side to the other side, without a copy
 * where the bytes lie in receive buffers, until both sides have ended.
 *
 * @code{.c}
 * int err = weir_relay(client, upstream, NULL, relayed, session, NULL);
 * @endcode
 *
 * **Sides.** Any two transports that send and receive a stream of bytes can be
 * relayed: TCP, Unix sockets, TLS and ends of a pair (pair.h), in any pairing.
 * The relay becomes the protocol of both, as by weir_transport_set_protocol():
 * the old protocols are not told, and none of their callbacks is called any
 * more. Bytes that an old protocol has received and not used are given in the
 * options, and are passed on first. Bytes that were written before are still
 * sent, before those of the relay. From now on the program calls the two
 * transports only for getters and time-outs; weir_pending_cancel() ends the
 * relay. Descriptors that a Unix socket receives are closed.
 *
 * **Back-pressure.** Each direction is bounded: while more than `buffer_bytes`
 * wait to be sent to one side, the other side is not read. For this the relay
 * sets the write buffer limits of both transports, and the read buffer limits
 * to the same number of bytes; to fewer where bytes are sealed for TLS, which
 * wait for it sealed and unsealed. Until the kernel has room for twice as many
 * bytes, and again after it has refused some, at most 32 KiB are received
 * ahead; and none while it takes nothing. A side whose read_limit_bytes (struct
 * weir_connection_options) is no more than that keeps the receive that it has;
 * otherwise the relay ends it and begins another.
 *
 * **The end of one direction.** If a side ends its stream, the end is passed on
 * after all its bytes (weir_transport_write_eof(); with TLS a close_notify),
 * and the other direction continues. If both directions have ended, both
 * transports are closed, and what they have to send is sent.
 *
 * **Errors stay errors.** If a side is reset or breaks, the other side gets all
 * bytes that came before the error, as on one connection. It is aborted when
 * its peer's kernel has acknowledged them, so that its peer gets a reset and
 * does not take a part for the whole; weir_transport_abort() says which peers
 * see an end of stream instead. Without memory both are aborted at once. The
 * relay waits as long as bytes are acknowledged, but no longer without an
 * acknowledgement than the side's write_stall_ns, or 30 s if there is none, and
 * no longer in all than its close_ns, or 5 minutes. While all that the rate has
 * let pass is acknowledged, only the time in all runs. Bytes for the side that
 * broke are read and dropped meanwhile, no faster than the rate of their
 * direction. A TLS connection that was cut off, without a close_notify, is an
 * error (WEIR_ETLSTRUNCATED), except if its settings or the relay's ignore
 * this. The relay's own limits, the time-outs of the two transports and a
 * cancellation abort both sides at once.
 *
 * **Time-outs** of the two transports stay in force. For weir_server_stop()
 * both transports are busy until the end of the relay.
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

/** The party that has ended a relay. */
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

/** How a relay has ended. */
enum weir_relay_cause {
    /** By ends of stream, and all bytes were sent. */
    WEIR_RELAY_EOF = 0,
    /** By a reset, or because the peer no longer receives. */
    WEIR_RELAY_RESET,
    /** By a time-out of a transport, unless it was held up. */
    WEIR_RELAY_TIMEOUT,
    /** By another error of a transport. */
    WEIR_RELAY_ERROR,
    /** By `idle_ns`. */
    WEIR_RELAY_IDLE,
    /** By `half_closed_ns`. */
    WEIR_RELAY_HALF_CLOSED,
    /** By `lifetime_ns`. */
    WEIR_RELAY_LIFETIME,
    /** By the program. */
    WEIR_RELAY_CANCELED,
    /** By the write-stall time-out of a transport whose own bytes have not all
     * reached the other side's peer, or wait for their rate. Such a peer often
     * reads nothing because it cannot write, so that the other side is the
     * cause. */
    WEIR_RELAY_HELD_UP,
};

/** The record of a relay that has ended. Times are those of
 * weir_loop_get_time(). */
struct weir_relay_record {
    /** sizeof(struct weir_relay_record); the library sets it for done. */
    size_t size;
    /** Bytes of A that were passed on to B. After an error of B or a limit
     * fewer may have been sent. */
    uint64_t a_bytes;
    /** Bytes of B that were passed on to A. */
    uint64_t b_bytes;
    /** The begin of the relay. */
    uint64_t start_ns;
    /** The first byte of A; 0 if A sent nothing. */
    uint64_t a_first_ns;
    /** The first byte of B; 0 if B sent nothing. */
    uint64_t b_first_ns;
    /** The end of the relay: both transports are lost. */
    uint64_t end_ns;
    /** The party that ended the relay first, and had the error if there is one.
     * After two ends of stream, the side that ended first. */
    enum weir_relay_party ended_by;
    /** How it was ended. */
    enum weir_relay_cause cause;
    /** The error, negative; 0: both directions have ended cleanly. */
    int err;
    /** The part of a_bytes that was spliced inside the kernel; see `splice` of
     * the options. */
    uint64_t a_spliced_bytes;
    /** The part of b_bytes that was spliced inside the kernel. */
    uint64_t b_spliced_bytes;
};

/**
 * The relay has ended.
 *
 * Called once, from the loop, when both transports are lost. Their getters may
 * be used until the return.
 *
 * @param arg     the done_arg of the call
 * @param err     0: both directions have ended cleanly; -ECANCELED: the program
 *                has ended the relay; WEIR_EIDLE: idle_ns or half_closed_ns;
 *                -ETIMEDOUT: lifetime_ns; or the error of a transport
 * @param record  details; borrowed
 */
typedef void weir_relay_done_fn(void *arg, int err,
                                const struct weir_relay_record *record);

/**
 * Sees bytes before they are passed on.
 *
 * The callback must not write to the transports; it may cancel the relay, and
 * then the bytes are not passed on.
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
     * taken by the kernel for the other side. Pieces of fewer than 256 bytes
     * are copied, and then as many bytes again may wait unread. At least 4096;
     * default 64 KiB. */
    uint64_t buffer_bytes;
    /** End the relay if no byte moved, either way, for this time, or up to a
     * quarter longer; 0: never. A byte moves when it arrives, and when the
     * kernel takes it. */
    uint64_t idle_ns;
    /** As idle_ns, but after the end of one direction; 0: never. If both are
     * set, the smaller one is in force then. */
    uint64_t half_closed_ns;
    /** End the relay after this time; 0: never. */
    uint64_t lifetime_ns;
    /** Bytes of A a second that are passed on in the long run, or dropped after
     * an error of B; 0: no limit. The relay reads no more meanwhile. An eighth
     * of them, at least 4096, may be passed on at once, and what one receive
     * brings. */
    uint64_t a_rate_bytes;
    /** Bytes of B a second; 0: no limit. */
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
     * were passed on before are still sent, other bytes are dropped. */
    bool close_at_first_end;
    /** Called with the bytes of both directions; NULL: none. */
    weir_relay_tap_fn *tap;
    /** First argument of tap. */
    void *tap_arg;
    /** Move bulk inside the kernel, by splice(2), between two TCP or Unix
     * sockets, in a direction without a rate and if there is no tap. It costs
     * less where much waits to be received, as for messages of a MiB, and
     * nothing is moved so where less than 128 KiB waits, or before 64 KiB have
     * passed in that direction. The loop has one pipe
     * for all its relays; where it cannot be made, bytes are copied. If the
     * kernel takes fewer bytes than it had room for, up to 256 KiB more than
     * buffer_bytes may wait. Unix sockets that receive descriptors
     * (weir_connection_options) are read as without this. */
    bool splice;
    /** Take the end of a side's TLS without a close_notify for an end of its
     * stream, as ignore_unexpected_eof of struct weir_tls_settings
     * (tls_connection.h), whose warning holds here, too. It is in force for
     * both sides from the begin of the relay on. */
    bool ignore_unexpected_eof;
};

/**
 * Move bytes both ways between two connections, until both have ended.
 *
 * The end of a stream that was received before is passed on as well. On failure
 * nothing has changed, and the transports keep their protocols.
 *
 * @param a     a transport, after its connection_made; held, the library has a
 *              reference until done has returned
 * @param b     the other transport, likewise
 * @param done  called once, when the relay has ended; may be NULL when no
 *              handle is asked for
 * @return      0, and @p done follows; or a negative error
 * @retval -EINVAL      the transports are the same or of two loops, a
 *                      buffer below 4096 or above 1 GiB, a rate above 1 TiB, or
 *                      a handle without done
 * @retval -EOPNOTSUPP  a transport does not send and receive a stream, or
 *                      cannot end its writing side alone: pipes, datagram
 *                      endpoints, children; or it is relayed already
 * @retval -EBUSY       a transport has not been made yet, has a TLS handshake
 *                      under way, or sends a file
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
 * Get what a relay has done so far, for a list of connections.
 *
 * Of a relay that goes on end_ns is 0, and who ended it, how and the error say
 * nothing.
 *
 * @param relay  the handle of a relay; borrowed
 * @retval -EINVAL  the handle of something else
 */
WEIR_API int weir_relay_get_record(const weir_pending *relay,
                                   struct weir_relay_record *ret);

/**
 * Relay the connections of two streams, and wait until both have ended.
 *
 * The streams have no connection any more, as after weir_stream_detach(). Bytes
 * that a reader has and that were not read are passed on first; descriptors
 * that wait in a reader are closed. The writers are given back by the program
 * as before. On failure before the begin nothing has changed.
 *
 * @param a        the writer of a stream; held
 * @param b        the writer of the other stream; held
 * @param options  as weir_relay(), without initial bytes; held
 * @param ret      details, written when the relay has begun and ended, its size
 *                 set by the caller; NULL: not wanted
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

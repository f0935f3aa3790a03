/**
 * @file start_tls.h
 * Upgrade of a connection to TLS: asyncio's start_tls.
 *
 * A connection begins in plain text, and the two sides agree to continue with
 * TLS (STARTTLS of SMTP, IMAP and LDAP, CONNECT of a proxy). Then a new
 * transport, on top of the old transport, replaces it for the loop, the server
 * and the protocol. For TLS inside TLS call the same function on a transport
 * with TLS.
 *
 * No plain text is mixed with TLS. Bytes of the program that wait to be sent
 * are sent before the handshake. Bytes of the peer that have arrived, and were
 * not used yet, are passed to TLS. So if an attacker inserts plain text after
 * the command that starts TLS, the handshake fails, and the text is never used
 * (CVE-2011-0411). A protocol that finds the command inside the bytes of
 * data_received must therefore pass the bytes after the command as `initial`,
 * and must not use them itself. Streams do this with all bytes of their reader.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends yes
 */
#ifndef WEIR_START_TLS_H
#define WEIR_START_TLS_H

#include "base.h"
#include "buffer.h"
#include "transport.h"
#include "writer.h"

struct weir_tls_settings;

WEIR_BEGIN_DECLS

/**
 * Called once, from the loop, when the handshake of weir_transport_start_tls()
 * has ended; before connection_lost.
 *
 * @param arg  the done_arg of the call
 * @param err  0 after a complete handshake. After an error the connection is
 *             closed, and connection_lost follows. The error is the error of
 *             the handshake or of the connection below, WEIR_ETLSTIMEOUT, or
 *             -ECANCELED if the program has closed or aborted the new transport
 * @param t    the new transport; borrowed
 */
typedef void weir_start_tls_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_transport_start_tls(). */
struct weir_start_tls_options {
    size_t size;
    /** Bytes that the protocol has received but not used, in order. They are
     * the first bytes of TLS. Borrowed; buffers without a lease are copied. */
    const struct weir_buf *initial;
    /** Number of buffers in initial. */
    size_t initial_count;
};

/**
 * Start TLS on a connection, with a callback at the end of the handshake.
 *
 * The new transport exists when the call returns. It has the protocol, the
 * marks, the limits and the time-outs of the old transport. The protocol is
 * called with the new transport from then on; connection_made is not called
 * again. Until the handshake has ended nothing is delivered, and written bytes
 * wait, to be sent over TLS. Paused reading and paused writing stay paused.
 * Closing or aborting the new transport ends the handshake.
 *
 * The program must no longer use the old transport: each call that would change
 * it returns WEIR_EREPLACED. Its getters still work, and references to it must
 * be released as before.
 *
 * If the handshake fails, the connection is closed, and the protocol's
 * connection_lost is called with the same error.
 *
 * @param t     the transport of a stream socket, with or without TLS, or an end
 *              of a pair (pair.h); its connection_made was called; borrowed
 * @param tls   the settings, copied. A context for servers makes this side the
 *              server; a client sets server_hostname
 * @param done  called once, when the handshake has ended
 * @param ret   set to the new transport, borrowed; valid until connection_lost;
 *              may be NULL
 * @return      0 if the handshake has started; then @p done will be called.
 *              After an error nothing has changed
 * @retval -EINVAL      @p tls has no context, or is for a client and has no
 *                      name to verify; or @p done is NULL
 * @retval -EBUSY       a file is being sent, a handshake is under way, or
 *                      connection_made was not called yet for the end of a pair
 * @retval -ESHUTDOWN   the transport was closed or aborted, or
 *                      weir_transport_write_eof() was called on it
 * @retval -EPIPE       the connection is broken
 * @retval -ENOBUFS, -ENOMEM a write was refused, or there is no memory
 * @retval WEIR_EPEERCLOSED   the end of the peer's stream was received
 * @retval WEIR_EREPLACED     TLS was started on the transport before
 * @retval -EOPNOTSUPP  this kind of transport cannot have TLS, or it is a side
 *                      of a relay
 * @suspends no
 */
WEIR_API WEIR_MUST_USE int
weir_transport_start_tls(weir_transport *t, const struct weir_tls_settings *tls,
                         const struct weir_start_tls_options *options,
                         weir_start_tls_done_fn *done, void *done_arg,
                         weir_transport **ret);

/**
 * Start TLS on a connection like weir_transport_start_tls(), and wait until the
 * handshake has ended. This is for transports with a protocol of the program;
 * streams use weir_writer_start_tls().
 *
 * @param t        as weir_transport_start_tls()
 * @param tls      as weir_transport_start_tls()
 * @param options  as weir_transport_start_tls(); held
 * @param ret      set to the new transport after a success, borrowed; valid
 *                 until connection_lost
 * @return         0 after a complete handshake; an error of
 *                 weir_transport_start_tls(), after which nothing has changed;
 *                 or an error of the handshake (weir_start_tls_done_fn), after
 *                 which the connection is closed
 * @retval -ECONNRESET, -EPIPE the connection has broken during the handshake;
 *                      it may be any other error of a socket, too
 * @retval WEIR_ETLSTRUNCATED   the peer has ended its stream during the
 *                              handshake
 * @retval WEIR_ETLSTIMEOUT     the handshake has timed out
 * @retval WEIR_ETLSALERT       the peer has refused the handshake with an alert
 * @retval WEIR_ETLSPROTOCOL    the peer has sent bytes that are not TLS
 * @retval -ECANCELED  the task was interrupted; the connection is closed if the
 *                     handshake had begun
 */
WEIR_API WEIR_MUST_USE int
weir_start_tls(weir_transport *t, const struct weir_tls_settings *tls,
               const struct weir_start_tls_options *options,
               weir_transport **ret);

/**
 * Start TLS on a stream, and wait until the handshake has ended.
 *
 * The call first waits like weir_writer_drain(). When the handshake begins, the
 * reader and the writer use the new transport. Unread bytes of the reader are
 * passed to TLS, so that no task takes plain text for data that TLS has
 * protected. A view of the reader stays valid until the next call on the
 * reader.
 *
 * @param writer  the writer; held
 * @param tls     as weir_transport_start_tls()
 * @return        0 after a complete handshake, or an error of
 *                weir_transport_start_tls(), weir_start_tls_done_fn or
 *                weir_writer_drain()
 * @retval -ENOTCONN   there is no connection yet
 * @retval -EBUSY      a task is reading from the reader, or another cause
 *                     that weir_transport_start_tls() lists
 * @retval -ECANCELED  the task was interrupted; the connection is closed if the
 *                     handshake had begun
 */
WEIR_API WEIR_MUST_USE int
weir_writer_start_tls(weir_writer *writer, const struct weir_tls_settings *tls);

WEIR_END_DECLS

#endif

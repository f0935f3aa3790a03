/**
 * @file start_tls.h
 * Upgrade of a connection to TLS: asyncio's start_tls.
 *
 * A connection begins in plain text, and the two sides agree to continue with
 * TLS (STARTTLS of SMTP, IMAP and LDAP, CONNECT of a proxy). Then a new
 * transport, on top of the old one, replaces it for the loop, the server and
 * the protocol. TLS in TLS is the same call on a transport with TLS.
 *
 * No byte crosses the upgrade as plain text. Bytes of the program that wait to
 * be sent leave before the handshake. Bytes of the peer that have arrived, and
 * were not used yet, are passed to TLS. If an attacker inserts plain text after
 * the command that starts TLS, the handshake fails, and the text is never used
 * (CVE-2011-0411). For this a protocol that finds the command inside the bytes
 * of data_received must pass the rest of these bytes as `initial`, and not use
 * them itself. Streams pass all bytes of their reader.
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
 * Called when the handshake of start_tls has ended. Called once, from the loop,
 * before connection_lost.
 *
 * @param arg  the done_arg of the call
 * @param err  0; or the error of the handshake or of the connection below,
 *             WEIR_ETLSTIMEOUT, or -ECANCELED after a close or an abort of the
 *             new transport. The connection is then closed: connection_lost
 *             follows
 * @param t    the new transport; borrowed
 */
typedef void weir_start_tls_done_fn(void *arg, int err, weir_transport *t);

/** Options of weir_transport_start_tls(). */
struct weir_start_tls_options {
    size_t size;
    /** Bytes that the protocol has received and not used, in order, which are
     * the first bytes of TLS; borrowed. Buffers without a lease are copied. */
    const struct weir_buf *initial;
    /** Number of buffers. */
    size_t initial_count;
};

/**
 * Continue with TLS on a connection.
 *
 * The new transport exists at once, with the protocol, the marks, limits and
 * time-outs of the old transport. The program no longer uses the old transport:
 * each call that would change it returns WEIR_EREPLACED, getters still work,
 * and references to it must be released as before. The protocol is then called
 * with the new transport; connection_made is not called again. Until the
 * handshake is done nothing is delivered, and written bytes wait and are sent
 * over TLS. Paused reading and paused writing stay paused. Closing or aborting
 * the new transport ends the handshake.
 *
 * If the handshake fails the connection is closed: the protocol's
 * connection_lost follows, with the same error, once.
 *
 * @param t     the transport of a stream socket, with or without TLS, or an end
 *              of a pair (pair.h), after its connection_made; borrowed
 * @param tls   the settings, copied. A context for servers makes this side the
 *              server; a client sets server_hostname
 * @param done  called once, when the handshake has ended
 * @param ret   the new transport, borrowed until connection_lost; or NULL
 * @return      0, and done follows; or an error, and nothing has changed
 * @retval -EINVAL      no context, no done, or a client without a name
 * @retval -EBUSY       a file is being sent, a handshake is under way, or the
 *                      end of a pair is before connection_made
 * @retval -ESHUTDOWN   after weir_transport_write_eof(), close or abort
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
 * weir_transport_start_tls(), and wait for the handshake. For transports with a
 * protocol of the program; streams use weir_writer_start_tls().
 *
 * @param t        as weir_transport_start_tls()
 * @param tls      as weir_transport_start_tls()
 * @param options  as weir_transport_start_tls(); held
 * @param ret      the new transport after success, borrowed until
 *                 connection_lost
 * @return         0, or a negative error, those of weir_transport_start_tls()
 *                 and of its done; after the latter the connection is closed
 * @retval -ECONNRESET, -EPIPE the connection broke meanwhile; also any other
 *                      error of a socket
 * @retval WEIR_ETLSTRUNCATED   the peer ended its stream meanwhile
 * @retval WEIR_ETLSTIMEOUT     the handshake took too long
 * @retval WEIR_ETLSALERT       the peer's TLS refused
 * @retval WEIR_ETLSPROTOCOL    the peer sent bytes that are not TLS
 * @retval -ECANCELED  the task was interrupted; the connection is closed if the
 *                     handshake had begun
 */
WEIR_API WEIR_MUST_USE int
weir_start_tls(weir_transport *t, const struct weir_tls_settings *tls,
               const struct weir_start_tls_options *options,
               weir_transport **ret);

/**
 * Continue with TLS on a stream.
 *
 * Waits as weir_writer_drain() does, then for the handshake. Reader and writer
 * use the new transport when the handshake begins. Unread bytes of the reader
 * are passed to TLS, so that no task takes plain text for bytes of TLS. A view
 * of a call stays valid until the next call.
 *
 * @param writer  the writer; held
 * @param tls     as weir_transport_start_tls()
 * @return        0, or a negative error, those of weir_transport_start_tls(),
 *                of its done and of weir_writer_drain()
 * @retval -ENOTCONN   there is no connection yet
 * @retval -EBUSY      a task reads from the reader, or as from
 *                     weir_transport_start_tls()
 * @retval -ECANCELED  the task was interrupted; the connection is closed if the
 *                     handshake had begun
 */
WEIR_API WEIR_MUST_USE int
weir_writer_start_tls(weir_writer *writer, const struct weir_tls_settings *tls);

WEIR_END_DECLS

#endif

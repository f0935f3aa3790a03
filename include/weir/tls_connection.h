/**
 * @file tls_connection.h
 * TLS on a connection; in libweir-tls (tls.h).
 *
 * A connection with TLS is a transport like any other: struct
 * weir_connect_options and struct weir_server_options have settings for it.
 * What is different:
 *
 * - The factory, connection_made and the maker's callback come after the
 *   handshake. A handshake that fails is the maker's error; on a server the
 *   exception hook gets it, with the transport, which knows the peer's address.
 * - An end of the stream is the peer's close_notify and nothing else, unless
 *   ignore_unexpected_eof says so. A connection that is cut off ends with
 *   WEIR_ETLSTRUNCATED: after an end of stream alone what was written is sent
 *   first, then a close_notify, and writes return -ESHUTDOWN meanwhile.
 * - weir_transport_write_eof() sends a close_notify, and reading goes on; a
 * peer with TLS 1.2 may end the connection then.
 * - weir_transport_close() sends a close_notify. What the peer sends after that
 *   is discarded, session tickets for instance, and destroys nothing that is on
 *   its way: the transport below lingers (transport.h).
 * - weir_transport_get_write_buffer_size() counts bytes until they are sent,
 *   encrypted or not, without what TLS adds to them.
 * - The limit of received bytes holds for those that are decrypted, and once
 *   more for those that are not yet.
 * - What was written by reference is released when it is encrypted.
 * - A buffered protocol's memory is filled by copying, and asked for when there
 *   are bytes.
 * - A reset while reading is paused ends the connection at once, unless data
 *   came before it that is still to be delivered.
 *
 * weir_transport_get_extra_info() knows these names; all others are those of
 * the transport below:
 * - "tls_version": "TLSv1.2" or "TLSv1.3";
 * - "cipher": the suite by its IANA name, "TLS_AES_128_GCM_SHA256", and the
 *   bits of its key;
 * - "alpn": the application protocol;
 * - "server_name": the name that the client asked for; on servers only;
 * - "peercert": the peer's certificate (tls_certificate.h);
 * - "tls_resumed": 1 where a session was resumed;
 * - "tls_handshake": how long the handshake took;
 * - "tls_error": the reason of a failure; weir_transport_get_error_text() has
 *   it too.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_TLS_CONNECTION_H
#define WEIR_TLS_CONNECTION_H

#include "base.h"
#include "buffer.h"
#include "server.h"

WEIR_BEGIN_DECLS

/** TLS of a connection or of those of a server; zero is the default. */
struct weir_tls_settings {
    /** sizeof(struct weir_tls_settings). */
    size_t size;
    /** The context, for servers or for clients as it was made; held by the
     * connection. */
    weir_tls_context *context;
    /** Client: the name, or literal address, to ask for and to verify; NULL:
     * the host that is connected to. */
    const char *server_hostname;
    /** Client: accept a certificate of any name, where the context verifies
     * certificates at all. Without a server_hostname and a host this must be
     * said. */
    bool no_hostname_check;
    /** Give the handshake up after this time, in nanoseconds: WEIR_ETLSTIMEOUT;
     * default 10 s. A loop that came late to a peer that went on meanwhile
     * gives it the time that it was late, this time again at most; and none
     * when what it gave has come to more than this time. The timeout_ns of a
     * connection's options covers the handshake too, and is -ETIMEDOUT. */
    uint64_t handshake_timeout_ns;
    /** How long a close waits for the peer's close_notify after it has sent its
     * own, in nanoseconds; then it fails with WEIR_ETLSTIMEOUT. It fails too if
     * the peer ends otherwise: WEIR_ETLSTRUNCATED is an end of stream alone.
     * All that was written is sent before, unless the peer sends an alert or
     * what is no TLS. 0: it does not wait, and has not failed. */
    uint64_t shutdown_timeout_ns;
    /** Client: a session to resume (weir_tls_get_session()), held by the
     * connection; NULL: none. It is not used, and a whole handshake is made,
     * where it is of another context or for another name, or where the server
     * does not take it: "tls_resumed" says what happened. */
    weir_tls_session *session;
    /** Keep the secret that weir_tls_export_keying_material() needs: 2.4 KiB of
     * each connection. */
    bool can_export;
    /** Take the peer's end of stream for its close_notify where that is
     * missing, as Python's ssl.OP_IGNORE_UNEXPECTED_EOF does: eof_received is
     * called, and no WEIR_ETLSTRUNCATED told. Whoever can send a FIN in the
     * peer's name then cuts off what it sends unnoticed: only for protocols
     * whose messages tell where they end, such as HTTP with a length. An end
     * in the middle of a record stays an error, and so does a cut of a TLS
     * that the connection is made on. */
    bool ignore_unexpected_eof;
};

/**
 * Make keys of a connection's secret, for another use (RFC 5705; RFC
 * 8446, 7.5).
 *
 * Both sides get the same bytes for the same label and context, which no third
 * one can know: for channel bindings ("EXPORTER-Channel-Binding", RFC 9266),
 * for SRTP, or tokens that are good on this connection alone.
 *
 * @param t             a connection with TLS, whose settings said can_export;
 *                      borrowed
 * @param label         names the use, ASCII; borrowed
 * @param context       bytes that distinguish several uses; NULL: none, which
 *                      in TLS 1.2 is not the same as 0 bytes; borrowed
 * @param context_size  how many, at most 65535
 * @param ret           room for the keys; written on success only
 * @param size          bytes wanted, 1 to 8160
 * @return              0, or a negative error
 * @retval -EOPNOTSUPP  no TLS, or can_export was not said, or TLS 1.2 with a
 *                      peer that does not know the extended master secret
 *                      (RFC 7627): a third one may know such keys
 * @retval -ENOTCONN    the handshake is not done
 * @retval -EINVAL      no label, or a size out of range
 * @retval -ENOMEM      no memory
 */
WEIR_API WEIR_MUST_USE int
weir_tls_export_keying_material(weir_transport *t, const char *label,
                                const void *context, size_t context_size,
                                void *ret, size_t size);

/**
 * Get the context of a connection: OpenSSL's SSL_get_SSL_CTX(), asyncio's
 * "sslcontext".
 *
 * A connection keeps the context of the settings that it was made with:
 * weir_server_set_tls() changes nothing for it. A server whose choose function
 * (tls.h) names another context in the handshake has the named one from then
 * on, even where the handshake fails.
 *
 * @param t  a transport, also after its connection_lost; borrowed
 * @return   the context, borrowed as long as the transport lives, or until the
 *           loop goes on where choose may still be called: to keep it, take a
 *           reference by weir_tls_context_ref(); NULL where @p t has no TLS, as
 *           the old transport of start_tls
 */
WEIR_API weir_tls_context *weir_tls_get_context(const weir_transport *t);

/**
 * A certificate of the chain that the peer was verified by.
 *
 * @param t         a connection with TLS; borrowed
 * @param index     0 is the peer's own, as "peercert"; those of its issuers
 *                  follow, as far as the peer sent them
 * @param ret_size  its size in bytes
 * @return          the certificate as DER, as long as the transport lives; NULL
 *                  where there is none
 */
WEIR_API const void *weir_tls_get_peer_certificate(const weir_transport *t,
                                                   uint32_t index,
                                                   size_t *ret_size);

/**
 * Get a session of a client's connection, which later ones can resume.
 *
 * A connection that resumes it exchanges no certificates, so it has no
 * "peercert"; the server was verified when the session began, or the first of
 * a row of sessions. That its certificate has expired since is not noticed: who
 * minds drops sessions that are older than it allows. A server can tell
 * two connections with the same session to be of the same client: who minds
 * resumes each once (RFC 8446, C.4), and gets a new one of each connection.
 *
 * The server sends sessions after the handshake, most often before its first
 * bytes: a client that has received an answer has one, if the server gives any.
 * The newest one is returned, also after the connection's end.
 *
 * Sessions of TLS 1.2 are not there: a server that does not take one must be
 * able to fall back to a whole handshake, and wolfSSL 5.7 as a client fails
 * then.
 *
 * @param t    a connection with TLS; borrowed
 * @param ret  the session, given: weir_tls_session_unref()
 * @return     0, or a negative error
 * @retval -EAGAIN      there is none yet
 * @retval -EOPNOTSUPP  not a client's connection by TLS 1.3
 * @retval -ENOMEM      no memory
 */
WEIR_API WEIR_MUST_USE int weir_tls_get_session(weir_transport *t,
                                                weir_tls_session **ret);

/**
 * Take one more reference.
 *
 * A session does not change: connections of several loops and threads may
 * resume it at once.
 *
 * @param session  the session; borrowed
 * @return         @p session; the reference is given
 * @thread any
 */
WEIR_API weir_tls_session *weir_tls_session_ref(weir_tls_session *session);

/**
 * Give a reference back; the last one frees the session.
 *
 * @param session  the session, one reference is taken; or NULL
 * @thread any
 */
WEIR_API void weir_tls_session_unref(weir_tls_session *session);

WEIR_END_DECLS

#endif

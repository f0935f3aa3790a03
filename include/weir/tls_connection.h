/**
 * @file tls_connection.h
 * TLS on a connection; in libweir-tls (tls.h).
 *
 * A connection with TLS is a transport; its settings are in struct
 * weir_connect_options and struct weir_server_options. Differences:
 *
 * - The factory, connection_made and done are called after the handshake. done
 *   gets the error of a failed handshake; on a server the exception hook gets
 *   it, with the transport, which has the peer's address.
 * - Only the peer's close_notify is an end of the stream, unless
 *   ignore_unexpected_eof is set. Without it the connection ends with
 *   WEIR_ETLSTRUNCATED, after written bytes and a close_notify are sent; writes
 *   return -ESHUTDOWN meanwhile.
 * - weir_transport_write_eof() sends a close_notify, and reading continues; a
 *   peer with TLS 1.2 may end the connection then.
 * - weir_transport_close() sends a close_notify. Bytes that the peer sends
 *   after that, for example session tickets, are discarded and do not cause a
 *   reset that would destroy bytes in flight: the transport below lingers
 *   (transport.h).
 * - weir_transport_get_write_buffer_size() counts plaintext bytes until they
 *   are sent, encrypted or not, without TLS overhead.
 * - The limit of received bytes applies to decrypted bytes, and separately to
 *   bytes that are not decrypted yet.
 * - Bytes written by reference are released when they are encrypted.
 * - Bytes are copied to a buffered protocol's memory, which is requested only
 *   when there are bytes.
 * - A reset while reading is paused ends the connection at once, unless data
 *   from before the reset is still to be delivered.
 *
 * weir_transport_get_extra_info() has these names, and gets all others from the
 * transport below:
 * - "tls_version": "TLSv1.2" or "TLSv1.3";
 * - "cipher": the suite by its IANA name, "TLS_AES_128_GCM_SHA256", and the
 *   bits of its key;
 * - "tls_group": the group of the key exchange, by its name in
 *   weir_tls_options.groups, for example "X25519MLKEM768";
 * - "alpn": the application protocol;
 * - "server_name": on servers, the name that the client requested;
 * - "peercert": the peer's certificate (tls_certificate.h);
 * - "tls_resumed": 1 if a session was resumed;
 * - "tls_handshake": the duration of the handshake, until now if it is not done
 *   or has failed;
 * - "tls_error": the reason of a failure, as in
 *   weir_transport_get_error_text();
 * - "tls_alert": the alert with which the peer has refused (WEIR_ETLSALERT):
 *   its name, for example "unknown_ca", a string with static life time, and its
 *   number. weir_connect_get_tls_alert() and the results of upstreams have the
 *   name, too.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_TLS_CONNECTION_H
#define WEIR_TLS_CONNECTION_H

#include "base.h"
#include "buffer.h"

WEIR_BEGIN_DECLS

/** TLS settings of a connection or a server's connections; default zero. */
struct weir_tls_settings {
    size_t size;
    /** The context, made for servers or for clients; held by the connection. */
    weir_tls_context *context;
    /** Client: the name, or literal address, to request and to verify; NULL
     * means the host of the connect. */
    const char *server_hostname;
    /** Client: accept a certificate for any name; the context still verifies
     * it. Must be set without a server_hostname and a host. */
    bool no_hostname_check;
    /** The limit of the handshake, in nanoseconds, with WEIR_ETLSTIMEOUT;
     * default 10 s. If the loop was late and the peer has sent bytes meanwhile,
     * the limit is extended by the delay, but by at most its own length at
     * once, and no more once the extensions exceed its length. The timeout_ns
     * of a connection's options includes the handshake, with -ETIMEDOUT. */
    uint64_t handshake_timeout_ns;
    /** How long a close waits for the peer's close_notify after sending its
     * own, in nanoseconds; then it fails with WEIR_ETLSTIMEOUT. It also fails
     * if the peer ends in another way: WEIR_ETLSTRUNCATED for an end of stream
     * without a close_notify. All written bytes are sent before, unless the
     * peer sends an alert or invalid TLS. With 0 the close does not wait, and
     * does not fail. The close waits for a silent peer at most 5 minutes,
     * unless close_ns sets another limit. A peer that has all bytes, and sends
     * others instead of its close_notify, is read for 2 s or 1 MiB more,
     * whichever comes first; then WEIR_ETLSTIMEOUT, too. */
    uint64_t shutdown_timeout_ns;
    /** Client: a session to resume (weir_tls_get_session()), held by the
     * connection, or NULL. If it is of another context or for another name, or
     * the server refuses it, a full handshake is made; "tls_resumed" shows the
     * outcome. */
    weir_tls_session *session;
    /** Keep the secret for weir_tls_export_keying_material(), 2.4 KiB per
     * connection. */
    bool can_export;
    /** Accept the peer's end of stream without a close_notify, as Python's
     * ssl.OP_IGNORE_UNEXPECTED_EOF does: eof_received is called instead of
     * WEIR_ETLSTRUNCATED. An attacker who can forge a FIN can then truncate the
     * stream unnoticed, so use it only for protocols whose messages have a
     * length, for example HTTP with Content-Length. An end in the middle of a
     * record is still an error, and so is the truncation of a TLS connection
     * below this one. */
    bool ignore_unexpected_eof;
};

/**
 * Derive keys from a connection's secret (RFC 5705; RFC 8446, 7.5).
 *
 * Only the two sides can derive the bytes, equal for the same label and
 * context: for channel bindings ("EXPORTER-Channel-Binding", RFC 9266), SRTP,
 * or tokens that are valid only on this connection.
 *
 * @param t             a connection with TLS and can_export; borrowed
 * @param label         the name of the use, ASCII; borrowed
 * @param context       bytes that distinguish several uses, or NULL, which in
 *                      TLS 1.2 differs from 0 bytes; borrowed
 * @param context_size  bytes of @p context, at most 65535
 * @param ret           buffer for the keys; written on success only
 * @param size          number of bytes, 1 to 8160
 * @retval -EOPNOTSUPP  no TLS, no can_export, or TLS 1.2 with a peer without
 *                      the extended master secret (RFC 7627), so that others
 *                      may know the keys
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
 * A connection keeps the context of its settings: weir_server_set_tls() does
 * not change it. If a server's choose function (tls.h) returns another context
 * in the handshake, the connection then has that context, even if the handshake
 * fails.
 *
 * @param t  a transport, which may be lost; borrowed
 * @return   the context, borrowed as long as the transport lives, or until the
 *           loop's next step while choose may still be called: use
 *           weir_tls_context_ref() to keep it. NULL if @p t has no TLS, like
 *           the old transport of start_tls
 */
WEIR_API weir_tls_context *weir_tls_get_context(const weir_transport *t);

/**
 * Get a certificate of the chain with which the peer was verified.
 *
 * @param t         a connection with TLS; borrowed
 * @param index     0 is the peer's certificate, as in "peercert"; the issuers'
 *                  follow, as far as the peer sent them
 * @param ret_size  the certificate's size in bytes
 * @return          the certificate as DER, valid as long as the transport
 *                  lives; NULL if there is none
 */
WEIR_API const void *weir_tls_get_peer_certificate(const weir_transport *t,
                                                   uint32_t index,
                                                   size_t *ret_size);

/**
 * Get a session of a client's connection, which later connections can resume.
 *
 * A resumed connection exchanges no certificates, so it has no "peercert"; the
 * server was verified in the full handshake from which the sessions derive. Its
 * certificate may have expired since: if this matters, drop old sessions. A
 * server can link two connections with the same session: if this matters,
 * resume each session once (RFC 8446, C.4), and get a new one from each
 * connection.
 *
 * The server sends sessions after the handshake, usually before its first
 * bytes: a client that has received a response has a session, if the server
 * issues any. The newest session is returned, even after the connection's end.
 *
 * TLS 1.2 sessions are not supported: if a server refuses one, the client must
 * fall back to a full handshake, and wolfSSL 5.7 fails then.
 *
 * @param t    a connection with TLS; borrowed
 * @param ret  the session, given: weir_tls_session_unref()
 * @retval -EAGAIN      no session was received yet
 * @retval -EOPNOTSUPP  not a client's connection with TLS 1.3
 */
WEIR_API WEIR_MUST_USE int weir_tls_get_session(weir_transport *t,
                                                weir_tls_session **ret);

/**
 * Take one more reference. A session does not change: connections of several
 * loops and threads may resume it at the same time.
 *
 * @thread any
 */
WEIR_API weir_tls_session *weir_tls_session_ref(weir_tls_session *session);

/**
 * Release a reference; the last release frees the session.
 *
 * @thread any
 */
WEIR_API void weir_tls_session_unref(weir_tls_session *session);

WEIR_END_DECLS

#endif

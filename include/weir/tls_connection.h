/**
 * @file tls_connection.h
 * TLS on a connection; in libweir-tls (tls.h).
 *
 * A connection with TLS is a transport. struct weir_connect_options and struct
 * weir_server_options have its settings. Differences from other transports:
 *
 * - The factory, connection_made and @c done are called after the handshake. If
 *   the handshake fails, @c done gets the error. On a server the exception hook
 *   gets the error, with the transport, which has the peer's address.
 * - Only the peer's close_notify is an end of the stream, unless
 *   ignore_unexpected_eof is set. If the peer ends the connection without it,
 *   bytes that were written before and a close_notify are still sent, and later
 *   writes return -ESHUTDOWN. Then the connection ends with WEIR_ETLSTRUNCATED.
 * - weir_transport_write_eof() sends a close_notify, and reading continues. A
 *   peer with TLS 1.2 may end the connection when it gets the close_notify.
 * - weir_transport_close() sends a close_notify. Bytes that the peer sends
 *   after that, for example session tickets, are dropped. They do not cause a
 *   reset that would destroy bytes in flight, because the transport below
 *   lingers (weir_transport_close()).
 * - weir_transport_get_write_buffer_size() counts bytes of plain text until
 *   they are sent. It does not count the overhead of TLS.
 * - The limit of received bytes applies to decrypted bytes, and separately to
 *   bytes that are not decrypted yet.
 * - Bytes of weir_transport_write_ref() are released when they are encrypted.
 * - With a buffered protocol get_buffer is called only when there are decrypted
 *   bytes, which are then copied to its memory.
 * - If the connection is reset while reading is paused, it ends at once, unless
 *   bytes that arrived before the reset must still be delivered.
 *
 * weir_transport_get_extra_info() has these names in addition to the names of
 * the transport below:
 * - "tls_version": "TLSv1.2" or "TLSv1.3";
 * - "cipher": the suite by its IANA name, for example "TLS_AES_128_GCM_SHA256",
 *   and the number of bits of its key;
 * - "tls_group": the group of the key exchange, by its name in
 *   weir_tls_options.groups, for example "X25519MLKEM768";
 * - "alpn": the application protocol;
 * - "server_name": on servers, the name that the client requested;
 * - "peercert": the peer's certificate (tls_certificate.h);
 * - "tls_resumed": 1 if a session was resumed;
 * - "tls_handshake": the duration of the handshake; if it has not ended or has
 *   failed, the time since its start;
 * - "tls_error": the reason of a failure, the same text as in
 *   weir_transport_get_error_text();
 * - "tls_alert": after WEIR_ETLSALERT the alert with which the peer has refused
 *   the handshake: its name, for example "unknown_ca", a static string, and its
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

/** TLS settings of a connection, or of the connections of a server. */
struct weir_tls_settings {
    size_t size;
    /** The context, made for servers or for clients; the connection keeps a
     * reference. */
    weir_tls_context *context;
    /** Client: the name or the literal address that is requested and verified;
     * NULL means the host of the connect. */
    const char *server_hostname;
    /** Client: accept a certificate for any name; the context still verifies
     * the certificate. Must be set if there is neither a server_hostname nor a
     * host. */
    bool no_hostname_check;
    /** Maximum duration of the handshake, in nanoseconds; then it fails with
     * WEIR_ETLSTIMEOUT. Default 10 s. If the loop was late and the peer has
     * sent bytes meanwhile, the limit is extended by the delay. Each extension
     * is at most as long as the limit itself. When all extensions together
     * exceed the limit, there are no more. The timeout_ns of the connect
     * options includes the handshake, and ends it with -ETIMEDOUT. */
    uint64_t handshake_timeout_ns;
    /** How long a close waits for the peer's close_notify after it has sent its
     * own, in nanoseconds; then the close fails with WEIR_ETLSTIMEOUT. It also
     * fails if the connection ends without a close_notify; after an end of
     * stream the error is WEIR_ETLSTRUNCATED. All written bytes are sent before
     * the close fails, unless the peer sends an alert or invalid TLS. With 0
     * the close does not wait, and a missing close_notify is not an error.
     *
     * Two more limits apply: 5 minutes for a peer that sends nothing, or
     * close_ns if it is set; and 2 s or 1 MiB, whichever is less, for a peer
     * that has received all bytes and sends other bytes instead of its
     * close_notify. They end the close with WEIR_ETLSTIMEOUT, too. */
    uint64_t shutdown_timeout_ns;
    /** Client: a session to resume (weir_tls_get_session()); the connection
     * keeps a reference. NULL makes a full handshake. A full handshake is also
     * made if the session belongs to another context or another name, or the
     * server refuses it; "tls_resumed" shows the result. */
    weir_tls_session *session;
    /** Keep the secret for weir_tls_export_keying_material(), which takes 2.4
     * KiB of memory per connection. */
    bool can_export;
    /** Accept the peer's end of stream without a close_notify, as Python's
     * ssl.OP_IGNORE_UNEXPECTED_EOF does: eof_received is called, and the
     * connection does not end with WEIR_ETLSTRUNCATED. An attacker who can
     * forge a FIN can then truncate the stream unnoticed, so use this only for
     * protocols whose messages have a length, for example HTTP with
     * Content-Length. An end in the middle of a TLS record is still an error,
     * and so is the truncation of a TLS connection below this one. */
    bool ignore_unexpected_eof;
};

/**
 * Derive keys from a connection's secret (RFC 5705; RFC 8446, 7.5).
 *
 * Only the two sides of the connection can derive these bytes, and both get the
 * same bytes for the same label and context. They are used for channel bindings
 * ("EXPORTER-Channel-Binding", RFC 9266), for SRTP, and for tokens that are
 * valid only on this connection.
 *
 * @param t             a connection with TLS and can_export; borrowed
 * @param label         the name of the use, in ASCII; borrowed
 * @param context       bytes that distinguish several uses; borrowed. NULL
 *                      means no context; with TLS 1.2 this gives other keys
 *                      than a context of 0 bytes
 * @param context_size  number of bytes in @p context, at most 65535
 * @param ret           memory for the keys; written on success only
 * @param size          number of bytes, 1 to 8160
 * @retval -EOPNOTSUPP  the connection has no TLS, can_export was not set, or
 *                      TLS 1.2 is used with a peer that does not support the
 *                      extended master secret (RFC 7627), so that others might
 *                      know the keys
 * @retval -ENOTCONN    the handshake has not ended
 * @retval -EINVAL      @p label is NULL, or a size is out of range
 * @retval -ENOMEM      no memory
 */
WEIR_API WEIR_MUST_USE int
weir_tls_export_keying_material(weir_transport *t, const char *label,
                                const void *context, size_t context_size,
                                void *ret, size_t size);

/**
 * Get the TLS context of a connection, like OpenSSL's SSL_get_SSL_CTX() and
 * asyncio's "sslcontext".
 *
 * A connection keeps the context of its settings, even if weir_server_set_tls()
 * gives the server another one. If a server's choose function (tls.h) returns
 * another context in the handshake, the connection then has that context, even
 * if the handshake fails.
 *
 * @param t  a transport, which may be lost; borrowed
 * @return   the context, borrowed. It is valid as long as the transport; but
 *           while choose may still be called, only until the caller returns to
 *           the loop, so use weir_tls_context_ref() to keep it. NULL if @p t
 *           has no TLS, like the old transport after weir_transport_start_tls()
 */
WEIR_API weir_tls_context *weir_tls_get_context(const weir_transport *t);

/**
 * Get a certificate of the chain with which the peer was verified.
 *
 * @param t         a connection with TLS; borrowed
 * @param index     0 for the peer's certificate, which is also "peercert";
 *                  from 1, the certificates of its issuers that the peer has
 *                  sent
 * @param ret_size  set to the size of the certificate in bytes
 * @return          the certificate as DER, borrowed; valid as long as the
 *                  transport; NULL if there is no certificate at @p index
 */
WEIR_API const void *weir_tls_get_peer_certificate(const weir_transport *t,
                                                   uint32_t index,
                                                   size_t *ret_size);

/**
 * Get a session of a client's connection, which later connections can resume.
 *
 * A resumed connection exchanges no certificates, so it has no "peercert"; the
 * server was verified in the full handshake that the session comes from. The
 * server's certificate may have expired since then; if this matters, do not use
 * old sessions. The server and observers can link two connections that use the
 * same session; if this matters, resume each session only once (RFC 8446, C.4),
 * and get a new session from each connection.
 *
 * The server sends sessions after the handshake, usually before its first
 * bytes. So a client that has received a response has a session, if the server
 * issues sessions at all. The newest session is returned, even after the
 * connection's end.
 *
 * Sessions of TLS 1.2 are not supported, because wolfSSL 5.7 fails if a server
 * refuses such a session and the client must make a full handshake.
 *
 * @param t    a connection with TLS; borrowed
 * @param ret  set to the session, given; end with weir_tls_session_unref()
 * @retval -EAGAIN      no session was received yet
 * @retval -EOPNOTSUPP  @p t is not a client's connection with TLS 1.3
 */
WEIR_API WEIR_MUST_USE int weir_tls_get_session(weir_transport *t,
                                                weir_tls_session **ret);

/**
 * Take another reference to a session. A session never changes, so connections
 * of several loops and threads may resume it at the same time.
 *
 * @thread any
 */
WEIR_API weir_tls_session *weir_tls_session_ref(weir_tls_session *session);

/**
 * Release a reference to a session; the last release frees the session.
 *
 * @thread any
 */
WEIR_API void weir_tls_session_unref(weir_tls_session *session);

WEIR_END_DECLS

#endif

/*
 * Contexts inside the library: the interface for the engine.
 *
 * Connections on several threads share a context; the calls of a connection
 * here do not change its settings.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CONTEXT_H
#define WEIR_LIB_TLS_CONTEXT_CONTEXT_H

#include <weir/base.h>
#include <weir/tls.h>

struct WOLFSSL;
struct WOLFSSL_SESSION;
struct wr_secure_ops;
struct wr_tls_offer;
struct wr_tls_verdict;

/* The settings of one connection; the context has the rest. */
struct wr_tls_peer_options {
    /* Client: the name (or literal address) to ask for and to verify; borrowed
     * until the engine is made. */
    const char *server_hostname;
    bool no_hostname_check;
    /* Keep the 2.4 KiB that wr_tls_engine_export() needs. */
    bool can_export;
    /* Between two records the transport's end of stream counts as a
     * close_notify. */
    bool ignores_eof;
    /* Client: a session to resume, borrowed; or NULL. */
    struct WOLFSSL_SESSION *session;
};

/* weir_tls_context_new(); makers find @ops in the context. */
WEIR_MUST_USE int wr_tls_context_new(const struct weir_tls_options *options,
                                     const struct wr_secure_ops *ops,
                                     weir_tls_context **ret, char *error_text,
                                     size_t error_size);

bool wr_tls_context_is_server(const weir_tls_context *context);
/* True when the certificates of peers are verified. */
bool wr_tls_context_verifies(const weir_tls_context *context);

/* Makes the WOLFSSL of one connection by the context and @options:
 * verification, names, ALPN, tickets, the session to resume. The result of the
 * verification is written to @verdict, which lives as long as *ret. The caller
 * has entered the memory account, and sets the two I/O callbacks; their
 * argument begins with *verdict. 0, -ENOMEM, -EINVAL (an invalid name). */
WEIR_MUST_USE int wr_tls_context_open(weir_tls_context *context,
                                      const struct wr_tls_peer_options *options,
                                      struct wr_tls_verdict *verdict,
                                      struct WOLFSSL **ret);

/* Frees the WOLFSSL of wr_tls_context_open(). */
void wr_tls_context_close(struct WOLFSSL *ssl);

/* Server: the connection takes the first protocol of the context that the
 * client offers too. The body of the client's ALPN extension is @size bytes at
 * @data; NULL: not known. Called before wolfSSL reads the hello. 0 or
 * -ENOMEM. */
WEIR_MUST_USE int
wr_tls_context_choose_protocol(const weir_tls_context *context,
                               struct WOLFSSL *ssl, const uint8_t *data,
                               size_t size);

/* Server: the kinds of keys that a client with this hello cannot use. */
uint8_t wr_tls_context_lacking_kinds(const weir_tls_context *context,
                                     const struct wr_tls_offer *offer);

/* Logs the TLS 1.3 secret with wolfSSL's number @id, if the context has a key
 * log. Exists only with HAVE_SECRET_CALLBACK. */
void wr_tls_context_log_secret(const weir_tls_context *context,
                               struct WOLFSSL *ssl, int id,
                               const uint8_t *secret, int size);

/* Server: true if no client may be served by a certificate that was not chosen
 * for it. */
bool wr_tls_context_must_choose(const weir_tls_context *context);

/* Server: chooses the certificate for a client that asks for @host; NULL: for
 * none; "": for a name that is too long. Once in a handshake, before wolfSSL
 * reads the hello. 0, or the error and alert with which the client is
 * refused. */
WEIR_MUST_USE int wr_tls_context_choose(weir_tls_context *context,
                                        struct wr_tls_verdict *verdict,
                                        const char *host, uint8_t *ret_alert);

#endif

/*
 * Contexts inside the library: what the engine needs of them.
 *
 * A context is shared by connections, on several threads: what a connection
 * asks of it here changes nothing in it.
 */
#ifndef WEIR_LIB_TLS_CONTEXT_CONTEXT_H
#define WEIR_LIB_TLS_CONTEXT_CONTEXT_H

#include <weir/base.h>
#include <weir/tls.h>

struct WOLFSSL;
struct WOLFSSL_SESSION;
struct wr_secure_ops;
struct wr_tls_verdict;

/* One connection's part of the settings, for the peer that it has; the context
 * has the rest. */
struct wr_tls_peer_options {
    /* Client: the name (or literal address) to ask for and to verify. Borrowed
     * until the connection's engine is made. */
    const char *server_hostname;
    bool no_hostname_check;
    /* Keep what wr_tls_engine_export() needs: 2.4 KiB. */
    bool can_export;
    /* The transport's end of stream is a close_notify, between two records. */
    bool ignores_eof;
    /* Client: a session to resume, borrowed; or NULL. */
    struct WOLFSSL_SESSION *session;
};

/* weir_tls_context_new(), of a context by which makers find @ops. */
WEIR_MUST_USE int wr_tls_context_new(const struct weir_tls_options *options,
                                     const struct wr_secure_ops *ops,
                                     weir_tls_context **ret, char *error_text,
                                     size_t error_size);

bool wr_tls_context_is_server(const weir_tls_context *context);
/* True when the certificates of peers are verified. */
bool wr_tls_context_verifies(const weir_tls_context *context);

/* Makes the WOLFSSL of one connection, with everything that the context and
 * @options say about it: verification, names, ALPN, tickets, the session to be
 * resumed. What verification finds is written to @verdict, which lives as long
 * as *ret. The engine has named the account that is charged, and sets the two
 * I/O callbacks itself; their argument begins with *verdict. 0, -ENOMEM,
 * -EINVAL (a name that can be none). */
WEIR_MUST_USE int wr_tls_context_open(weir_tls_context *context,
                                      const struct wr_tls_peer_options *options,
                                      struct wr_tls_verdict *verdict,
                                      struct WOLFSSL **ret);

/* Frees what wr_tls_context_open() made. */
void wr_tls_context_close(struct WOLFSSL *ssl);

/* Server: the connection takes the context's first protocol among those that a
 * client offers in the body of its ALPN, @size bytes at @data; NULL: that is
 * not known. To be called before wolfSSL reads the hello. 0 or -ENOMEM. */
WEIR_MUST_USE int
wr_tls_context_choose_protocol(const weir_tls_context *context,
                               struct WOLFSSL *ssl, const uint8_t *data,
                               size_t size);

/* Logs a secret of TLS 1.3, of wolfSSL's number @id, where the context wants
 * it. It is there where wolfSSL tells secrets. */
void wr_tls_context_log_secret(const weir_tls_context *context,
                               struct WOLFSSL *ssl, int id,
                               const uint8_t *secret, int size);

/* Server: whether the program chooses in each handshake. */
bool wr_tls_context_asks(const weir_tls_context *context);
/* Server: chooses the certificate for a client whose hello has no extensions:
 * wolfSSL does not call for such a one, which it has not read yet. 0, or why
 * the client is refused, and by which alert. */
WEIR_MUST_USE int wr_tls_context_meet_bare(weir_tls_context *context,
                                           struct WOLFSSL *ssl,
                                           uint8_t *ret_alert);

/* Around each step of a handshake, in which wolfSSL may verify a chain: the
 * issuers that a peer shows are known to the context while there are steps, and
 * forgotten after the last one. */
void wr_tls_context_begin_step(weir_tls_context *context);
void wr_tls_context_end_step(weir_tls_context *context);

#endif

/*
 * Makes the WOLFSSL of one connection: the context's settings, and a client's
 * server name, protocols and session. The connection's verdict is the argument
 * of the verify callback (context_verify.c).
 */
#include "context_impl.h"
#include "lib/x509/hostname.h"

#include <weir/error.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Sets the name that a client asks for (RFC 6066: no literal address, no dot at
 * the end). */
static int context_open_name(const char *name, WOLFSSL *ssl)
{
    char text[UINT8_MAX + 1];
    uint8_t ip[WR_X509_IP_SIZE];
    size_t len = name ? strlen(name) : 0;

    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len > UINT8_MAX) {
        return -EINVAL;
    }
    memcpy(text, name ? name : "", len);
    text[len] = '\0';
    if (len == 0 || wr_x509_hostname_read_ip(text, ip) > 0) {
        return 0;
    }
    return wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, text,
                          (unsigned short)len) == WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

/* The connection gets a copy, because wolfSSL writes to a connection's session,
 * while connections on other threads read it. */
static int context_open_session(WOLFSSL_SESSION *session, WOLFSSL *ssl)
{
    WOLFSSL_SESSION *copy = wolfSSL_SESSION_dup(session);

    wr_assert(session != NULL);
    if (!copy) {
        return -ENOMEM;
    }
    /* wolfSSL refuses an expired session: a full handshake follows. */
    wr_ignore(wolfSSL_set_session(ssl, copy) != WOLFSSL_SUCCESS);
    wolfSSL_SESSION_free(copy);
    return 0;
}

static int context_open_client(const weir_tls_context *context,
                               const struct wr_tls_peer_options *options,
                               struct wr_tls_verdict *verdict, WOLFSSL *ssl)
{
    const char *name = options->server_hostname;
    int err = context_open_name(name, ssl);
    if (err < 0) {
        return err;
    }
    if (context->alpn) {
        err = wr_tls_context_use_protocols(ssl, context->alpn,
                                           strlen(context->alpn));
        wr_require(err >= 0, err);
    }
    if (context->verifies && !options->no_hostname_check) {
        wr_require(name && name[0], -EINVAL);
        err = wr_tls_verdict_set_hostname(verdict, name);
    }
    return err == 0 && options->session
               ? context_open_session(options->session, ssl)
               : err;
}

static int context_open_common(weir_tls_context *context,
                               struct wr_tls_verdict *verdict, WOLFSSL *ssl)
{
    verdict->peer_is_client = context->is_server;
    verdict->context = context;
    verdict->ssl = ssl;
    wolfSSL_SetCertCbCtx(ssl, verdict);
    wr_tls_context_set_rsa(ssl, context->rsa_key);
    return wr_tls_context_log_keys(context, ssl);
}

int wr_tls_context_open(weir_tls_context *context,
                        const struct wr_tls_peer_options *options,
                        struct wr_tls_verdict *verdict, struct WOLFSSL **ret)
{
    WOLFSSL *ssl = wolfSSL_new(context->ctx);
    if (!ssl) {
        return -ENOMEM;
    }
    int err = context_open_common(context, verdict, ssl);
    if (err == 0 && !context->is_server) {
        err = context_open_client(context, options, verdict, ssl);
    }
    if (err < 0) {
        wr_tls_context_close(ssl);
        return err;
    }
    wr_assert(!verdict->err);
    *ret = ssl;
    return 0;
}

void wr_tls_context_close(struct WOLFSSL *ssl)
{
    wr_tls_context_set_rsa(ssl, NULL);
    wolfSSL_free(ssl);
}

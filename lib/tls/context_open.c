/*
 * The WOLFSSL of one connection, set up by its context, and the callback that
 * judges the certificates of its peer.
 *
 * wolfSSL calls back for every certificate, good or bad. The verdict of the
 * connection, which is the callback's argument, keeps the certificates, and
 * what is wrong with one of them (verify.h).
 */
#include "context_impl.h"
#include "engine.h"
#include "memory.h"
#include "verify.h"

#include <weir/error.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

/* wolfSSL adds the certificate of an issuer to its context as soon as the
 * callback has accepted it, to verify the next one by it. That memory must not
 * be charged to the connection, as another thread may free it. */
static void context_open_expect_issuer(struct wr_tls_verdict *verdict)
{
    weir_tls_context *context = verdict->context;
    pthread_mutex_lock(&context->mutex);
    wr_assert(context->steps > 0);
    context->knows_peer_issuers = true;
    pthread_mutex_unlock(&context->mutex);
    wr_tls_memory_leave((struct wr_tls_memory_scope){.memory = NULL});
}

void wr_tls_context_begin_step(weir_tls_context *context)
{
    if (!context->verifies) {
        return;
    }
    pthread_mutex_lock(&context->mutex);
    context->steps++;
    pthread_mutex_unlock(&context->mutex);
}

/* wolfSSL keeps pointers to issuers during a step, so that none may be freed
 * while any thread is in one. */
void wr_tls_context_end_step(weir_tls_context *context)
{
    if (!context->verifies) {
        return;
    }
    pthread_mutex_lock(&context->mutex);
    wr_assert(context->steps > 0);
    context->steps--;
    if (context->steps == 0 && context->knows_peer_issuers) {
        context->knows_peer_issuers = false;
        int ok = wolfSSL_CertManagerUnloadIntermediateCerts(
            wolfSSL_CTX_GetCertManager(context->ctx));
        wr_assert(ok == WOLFSSL_SUCCESS);
    }
    pthread_mutex_unlock(&context->mutex);
}

#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) || !defined(WOLFSSL_VERIFY_CB_ALL_CERTS)
#error "this wolfSSL does not show good certificates to the verify callback"
#endif

int wr_tls_context_verify(int is_good, WOLFSSL_X509_STORE_CTX *store)
{
    struct wr_tls_verdict *verdict = store->userCtx;
    const int depth = store->error_depth;
    const struct wr_tls_policy policy = {
        .peer_is_client = verdict->peer_is_client,
        .hostname = verdict->hostname,
    };

    wr_assert(is_good || store->error != 0);
    wr_tls_memory_leave((struct wr_tls_memory_scope){
        .memory = verdict->memory,
        .mode = WR_TLS_MEMORY_PLAIN,
    });
    if (store->totalCerts == 0) {
        return is_good; /* a client without a certificate, where it may be */
    }
    if (depth < 0 || depth >= store->totalCerts) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSPATHLEN,
                            "The chain has %d certificates, or more", depth);
        return 0;
    }
    const WOLFSSL_BUFFER_INFO *der = &store->certs[depth];
    const bool is_accepted = wr_tls_verify_certificate(
        &policy, verdict, (uint32_t)depth, der->buffer, der->length,
        is_good ? 0 : store->error);
    if (is_accepted && depth > 0) {
        context_open_expect_issuer(verdict);
    }
    return is_accepted;
}

static bool context_open_is_literal(const char *name)
{
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 ||
           inet_pton(AF_INET6, name, &address) == 1;
}

/* The name that a client asks for (RFC 6066: no literal address). */
static int context_open_name(const char *name, WOLFSSL *ssl)
{
    const size_t len = name ? strlen(name) : 0;
    if (len == 0 || context_open_is_literal(name)) {
        return 0;
    }
    if (len > UINT8_MAX) {
        return -EINVAL;
    }
    return wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, name,
                          (unsigned short)len) == WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

/* The connection gets a copy: wolfSSL would share the session with it, and
 * write to it while connections on other threads read it. */
static int context_open_session(WOLFSSL_SESSION *session, WOLFSSL *ssl)
{
    WOLFSSL_SESSION *copy = wolfSSL_SESSION_dup(session);

    wr_assert(session != NULL);
    if (!copy) {
        return -ENOMEM;
    }
    /* One that has expired is refused: a whole handshake is made. */
    wr_ignore(wolfSSL_set_session(ssl, copy) != WOLFSSL_SUCCESS);
    wolfSSL_SESSION_free(copy);
    return 0;
}

static int context_open_client(const weir_tls_context *context,
                               const struct wr_tls_engine_options *options,
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
    wolfSSL_SetCertCbCtx(ssl, verdict);
    return wr_tls_context_log_keys(context, ssl);
}

int wr_tls_context_open(weir_tls_context *context,
                        const struct wr_tls_engine_options *options,
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
        wolfSSL_free(ssl);
        return err;
    }
    wr_assert(!verdict->err);
    *ret = ssl;
    return 0;
}

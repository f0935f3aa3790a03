/*
 * The WOLFSSL of a connection: open, steps, close.
 *
 * Each step enters the loop's memory account, calls wolfSSL once, and turns the
 * result into a byte count or WR_TLS_STEP_*.
 */
#include "wolfssl.h"

#include <weir/error.h>

#include <errno.h>
#include <limits.h>
#include <string.h>

/* wolfSSL reports an internal error for a certificate that it cannot parse, but
 * sends the alert bad_certificate. */
static bool conn_was_bad_certificate(WOLFSSL *ssl)
{
    WOLFSSL_ALERT_HISTORY history;

    return wolfSSL_get_alert_history(ssl, &history) == WOLFSSL_SUCCESS &&
           history.last_tx.level == alert_fatal &&
           history.last_tx.code == bad_certificate;
}

static int conn_fail(struct wr_tls_conn *conn, int number)
{
    wr_assert(number < 0);
    conn->lacks_memory = wr_wolfssl_memory_of(conn)->failed;
    conn->number = number;
    conn->code = wr_wolfssl_code_of(number);
    if (number == RSA_SIGN_FAULT && wr_wolfssl_signer_of(conn->ssl)) {
        conn->number = 0; /* wolfSSL's text is about RSA */
    } else if (number == WOLFSSL_FATAL_ERROR) {
        conn->number = 0; /* wolfSSL has no text for this number */
    } else if (conn->is_server && number == BAD_KEY_SHARE_DATA) {
        conn->number = 0; /* no common group; wolfSSL's text is for clients */
        conn->code = WEIR_ETLSGROUP;
    } else if (conn->code == WEIR_ETLSENGINE &&
               conn_was_bad_certificate(wr_wolfssl_of(conn))) {
        conn->code = WEIR_ETLSBADCERT;
    }
    return WR_TLS_STEP_FAILED;
}

static int conn_translate(struct wr_tls_conn *conn, int ret)
{
    const int number = wolfSSL_get_error(wr_wolfssl_of(conn), ret);

    wr_assert(ret <= 0);
    if (number == WOLFSSL_ERROR_ZERO_RETURN) {
        return WR_TLS_STEP_ENDED;
    }
    if (number == WOLFSSL_ERROR_WANT_READ) {
        return WR_TLS_STEP_WANTS;
    }
    return conn_fail(conn, number < 0 ? number : WOLFSSL_FATAL_ERROR);
}

static int conn_open_client(struct wr_tls_conn *conn,
                            const struct wr_tls_peer *peer)
{
    WOLFSSL *ssl = wr_wolfssl_of(conn);
    const char *name = peer->name;

    wr_assert(!conn->is_server);
    if (name &&
        wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, name,
                       (unsigned short)strlen(name)) != WOLFSSL_SUCCESS) {
        return -ENOMEM;
    }
    if (peer->protocols) {
        const int err = wr_wolfssl_choose_protocol(conn, peer->protocols,
                                                   strlen(peer->protocols));
        wr_require(err >= 0, err);
    }
    wr_ignore(wolfSSL_set_SessionTicket_cb(ssl, wr_wolfssl_on_session, conn) !=
              WOLFSSL_SUCCESS); /* fails only for NULL */
    if (!peer->session) {
        return 0;
    }
    /* wolfSSL writes to a connection's session, and other threads may use
     * peer->session. */
    WOLFSSL_SESSION *copy =
        wolfSSL_SESSION_dup((WOLFSSL_SESSION *)(uintptr_t)peer->session);
    wr_require(copy, -ENOMEM);
    /* If the session has expired, wolfSSL refuses it, and a full handshake
     * follows. */
    wr_ignore(wolfSSL_set_session(ssl, copy) != WOLFSSL_SUCCESS);
    wolfSSL_SESSION_free(copy);
    return 0;
}

/* Callbacks find the credential, which may be NULL, in ->own. */
static void conn_set_credential(struct wr_tls_conn *conn,
                                const struct wr_tls_credential *credential)
{
    wr_assert(conn->ssl);
    conn->own = (void *)(uintptr_t)credential;
    wr_wolfssl_set_rsa(conn->ssl, credential ? credential->rsa_key : NULL);
}

static void conn_attach(struct wr_tls_conn *conn,
                        const struct wr_tls_peer *peer)
{
    WOLFSSL *ssl = wr_wolfssl_of(conn);

    wr_assert(conn->events);
    wolfSSL_SSLSetIORecv(ssl, wr_wolfssl_on_recv);
    wolfSSL_SSLSetIOSend(ssl, wr_wolfssl_on_send_first);
    wolfSSL_SetIOReadCtx(ssl, conn);
    wolfSSL_SetIOWriteCtx(ssl, conn);
    wolfSSL_SetCertCbCtx(ssl, conn);
    conn->flags = (peer->verifies ? WR_WOLFSSL_VERIFIES : 0) |
                  (peer->demands_certificate ? WR_WOLFSSL_DEMANDS : 0);
    if (conn->can_export || !conn->is_server) {
        /* wolfSSL's arrays hold the exporter's secret and the parts of a
         * ticket. */
        wolfSSL_KeepArrays(ssl);
    }
    conn_set_credential(conn, peer->credential);
}

int wr_wolfssl_open(struct wr_tls_conn *conn, const struct wr_tls_peer *peer)
{
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(wr_wolfssl_memory_of(conn), WR_TLS_MEMORY_PLAIN);
    int err = 0;

    wr_assert(!conn->ssl && peer->shared);
    conn->ssl = wolfSSL_new((WOLFSSL_CTX *)peer->shared);
    if (!conn->ssl) {
        wr_tls_memory_leave(before);
        return -ENOMEM;
    }
    conn_attach(conn, peer);
    if (peer->logs_keys) {
        err = wr_wolfssl_log_keys(conn);
    }
    if (err == 0 && !conn->is_server) {
        err = conn_open_client(conn, peer);
    }
    wr_tls_memory_leave(before);
    if (err < 0) {
        wr_wolfssl_close(conn);
    }
    return err;
}

void wr_wolfssl_close(struct wr_tls_conn *conn)
{
    WOLFSSL *ssl = wr_wolfssl_of(conn);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(wr_wolfssl_memory_of(conn), WR_TLS_MEMORY_PLAIN);

    wr_assert(ssl);
    wr_wolfssl_set_rsa(ssl, NULL);
    wolfSSL_free(ssl);
    conn->ssl = NULL;
    wr_tls_memory_leave(before);
}

/* ---- steps ----
 *
 * Allocations of an open connection live for one call; allocations of a
 * handshake live longer. */

static struct wr_tls_memory_scope conn_enter(struct wr_tls_conn *conn)
{
    return wr_tls_memory_enter(wr_wolfssl_memory_of(conn),
                               WR_TLS_MEMORY_BLOCKS);
}

__attribute__((noinline, cold)) static void
conn_drop_arrays(struct wr_tls_conn *conn)
{
    wr_assert(!conn->can_export);
    conn->flags &= ~(uint32_t)WR_WOLFSSL_KEEPS_ARRAYS;
    wolfSSL_FreeArrays(wr_wolfssl_of(conn));
}

/* With TLS 1.3, keeps the arrays in which wolfSSL joins a ticket that arrives
 * in several records until the first data, which follows the tickets. With TLS
 * 1.2 tickets arrive during the handshake. */
static void conn_begin_data(struct wr_tls_conn *conn)
{
    wr_assert(!(conn->flags & WR_WOLFSSL_KEEPS_ARRAYS));
    if (conn->is_server || conn->can_export) {
        return;
    }
    if (wr_wolfssl_get_version(conn) == WR_TLS_VERSION_1_3) {
        conn->flags |= WR_WOLFSSL_KEEPS_ARRAYS;
    } else {
        conn_drop_arrays(conn);
    }
}

int wr_wolfssl_handshake(struct wr_tls_conn *conn)
{
    WOLFSSL *ssl = wr_wolfssl_of(conn);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(wr_wolfssl_memory_of(conn), WR_TLS_MEMORY_PLAIN);
    int ret = conn->is_server ? wolfSSL_accept(ssl) : wolfSSL_connect(ssl);

    wr_assert(ret <= WOLFSSL_SUCCESS);
    if (ret == WOLFSSL_SUCCESS) {
        wolfSSL_SSLSetIOSend(ssl, wr_wolfssl_on_send);
        conn_begin_data(conn);
        ret = 0;
    } else {
        ret = conn_translate(conn, ret);
    }
    wr_tls_memory_leave(before);
    return ret;
}

int wr_wolfssl_read(struct wr_tls_conn *conn, void *buf, size_t size)
{
    struct wr_tls_memory_scope before = conn_enter(conn);
    int ret = wolfSSL_read(wr_wolfssl_of(conn), buf, (int)size);

    wr_debug_assert(size > 0 && size <= INT_MAX);
    if (ret <= 0) {
        ret = conn_translate(conn, ret);
    } else if (WR_UNLIKELY(conn->flags & WR_WOLFSSL_KEEPS_ARRAYS)) {
        conn_drop_arrays(conn);
    }
    wr_tls_memory_leave(before);
    return ret;
}

size_t wr_wolfssl_pending(const struct wr_tls_conn *conn)
{
    return (unsigned)wolfSSL_pending(wr_wolfssl_of(conn));
}

int wr_wolfssl_write(struct wr_tls_conn *conn, const void *data, size_t len)
{
    struct wr_tls_memory_scope before = conn_enter(conn);
    int ret = wolfSSL_write(wr_wolfssl_of(conn), data, (int)len);

    wr_debug_assert(len > 0 && len <= WR_TLS_RECORD_MAX);
    if (ret > 0) {
        wr_assert((size_t)ret == len); /* the send callback accepts all bytes */
        ret = 0;
    } else {
        ret = conn_translate(conn, ret);
    }
    wr_tls_memory_leave(before);
    return ret;
}

int wr_wolfssl_shutdown(struct wr_tls_conn *conn)
{
    struct wr_tls_memory_scope before = conn_enter(conn);
    int ret = wolfSSL_shutdown(wr_wolfssl_of(conn));

    wr_assert(ret <= WOLFSSL_SUCCESS || ret == WOLFSSL_SHUTDOWN_NOT_DONE);
    ret = ret < 0 ? conn_translate(conn, ret) : 0;
    wr_tls_memory_leave(before);
    return ret;
}

int wr_wolfssl_update_keys(struct wr_tls_conn *conn)
{
    struct wr_tls_memory_scope before = conn_enter(conn);
    int ret = wolfSSL_update_keys(wr_wolfssl_of(conn));

    wr_assert(conn->ssl);
    if (ret == BAD_FUNC_ARG) {
        ret = -EOPNOTSUPP; /* with TLS 1.2 */
    } else if (ret == WOLFSSL_SUCCESS) {
        ret = 0;
    } else {
        ret = conn_fail(conn, ret < 0 ? ret : WOLFSSL_FATAL_ERROR);
    }
    wr_tls_memory_leave(before);
    return ret;
}

/* Sets the list of suites, too, because wolfSSL still assumes a key of the
 * first certificate's kind, and would choose a TLS 1.2 suite for that kind. */
int wr_wolfssl_show(struct wr_tls_conn *conn,
                    struct wr_tls_credential *credential, const char *suites)
{
    WOLFSSL *ssl = wr_wolfssl_of(conn);

    wr_assert(conn->is_server && credential->chain && credential->key);
    if (wolfSSL_use_certificate_chain_buffer(ssl, credential->chain,
                                             credential->chain_size) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_use_PrivateKey_buffer(
            ssl, credential->key, credential->key_size,
            wr_wolfssl_key_format(credential)) != WOLFSSL_SUCCESS) {
        return -ENOMEM; /* no other error: both were loaded before */
    }
    conn_set_credential(conn, credential);
    return !suites || wolfSSL_set_cipher_list(ssl, suites) == WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

/* wolfSSL would choose a protocol in the client's order. So a server's
 * connection gets a list of a single name, before wolfSSL reads the hello,
 * because wolfSSL refuses to resume a session if an extension is added
 * later. */
int wr_wolfssl_choose_protocol(struct wr_tls_conn *conn, const char *name,
                               size_t len)
{
    wr_assert(len > 0);
    return wolfSSL_UseALPN(wr_wolfssl_of(conn), (char *)(uintptr_t)name,
                           (unsigned)len,
                           WOLFSSL_ALPN_FAILED_ON_MISMATCH) == WOLFSSL_SUCCESS
               ? 0
               : -ENOMEM;
}

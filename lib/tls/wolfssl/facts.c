/*
 * Facts about a connection, its sessions and its exported keys.
 *
 * The functions return the same values after the connection has ended, and only
 * the exporter changes wolfSSL's buffers.
 */
#include "wolfssl.h"

#include <errno.h>
#include <string.h>

uint16_t wr_wolfssl_get_version(const struct wr_tls_conn *conn)
{
    return wolfSSL_GetVersion(wr_wolfssl_of(conn)) == WOLFSSL_TLSV1_3
               ? WR_TLS_VERSION_1_3
               : WR_TLS_VERSION_1_2;
}

uint16_t wr_wolfssl_get_suite(const struct wr_tls_conn *conn)
{
    return (uint16_t)wolfSSL_get_current_cipher_suite(wr_wolfssl_of(conn));
}

uint16_t wr_wolfssl_get_group(const struct wr_tls_conn *conn)
{
    static const struct {
        const char *name;
        uint16_t group;
    } groups[] = {
        {"X25519", WOLFSSL_ECC_X25519},
        {"SECP256R1", WOLFSSL_ECC_SECP256R1},
        {"SECP384R1", WOLFSSL_ECC_SECP384R1},
        {"SECP521R1", WOLFSSL_ECC_SECP521R1},
    };
    const char *name = wolfSSL_get_curve_name(wr_wolfssl_of(conn));

    for (size_t i = 0; name && i < sizeof(groups) / sizeof(*groups); i++) {
        if (strcmp(groups[i].name, name) == 0) {
            return groups[i].group;
        }
    }
    return 0;
}

bool wr_wolfssl_was_resumed(const struct wr_tls_conn *conn)
{
    return wolfSSL_session_reused(wr_wolfssl_of(conn)) != 0;
}

const char *wr_wolfssl_get_protocol(const struct wr_tls_conn *conn,
                                    size_t *ret_len)
{
    char *name = NULL;
    unsigned short len = 0;

    if (wolfSSL_ALPN_GetProtocol(wr_wolfssl_of(conn), &name, &len) !=
        WOLFSSL_SUCCESS) {
        return NULL;
    }
    wr_assert(name && len > 0);
    *ret_len = len;
    return name;
}

const char *wr_wolfssl_get_name(const struct wr_tls_conn *conn)
{
    void *name = NULL;

    wr_assert(conn->is_server);
    return wolfSSL_SNI_GetRequest(wr_wolfssl_of(conn), WOLFSSL_SNI_HOST_NAME,
                                  &name) > 0
               ? name
               : NULL;
}

void wr_wolfssl_get_alerts(const struct wr_tls_conn *conn, int *ret_received,
                           int *ret_sent)
{
    WOLFSSL_ALERT_HISTORY history;

    *ret_received = -1;
    *ret_sent = -1;
    if (wolfSSL_get_alert_history(wr_wolfssl_of(conn), &history) !=
        WOLFSSL_SUCCESS) {
        return;
    }
    const int code = history.last_rx.code;
    if (history.last_rx.level == alert_fatal) {
        *ret_received = code;
    } else if (code >= 0 && code != close_notify && code != user_canceled) {
        *ret_received = code | WR_TLS_ALERT_WARNS;
    }
    if (conn->flags & WR_WOLFSSL_SENT_ALERT) {
        *ret_sent = (int)(conn->flags >> WR_WOLFSSL_ALERT_SHIFT);
    } else if (history.last_tx.level == alert_fatal) {
        *ret_sent = history.last_tx.code; /* after the handshake, or not sent */
    }
}

bool wr_wolfssl_get_client_random(const struct wr_tls_conn *conn,
                                  uint8_t ret[32])
{
#ifdef HAVE_SECRET_CALLBACK
    return wolfSSL_get_client_random(wr_wolfssl_of(conn), ret, 32) == 32;
#else
    wr_assert(conn->ssl && ret);
    return false;
#endif
}

int wr_wolfssl_export_keys(struct wr_tls_conn *conn,
                           const struct wr_tls_export *job)
{
    struct wr_tls_memory *memory = wr_wolfssl_memory_of(conn);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(memory, WR_TLS_MEMORY_PLAIN);

    wr_assert(conn->can_export && job->size > 0);
    const int ret = wolfSSL_export_keying_material(
        wr_wolfssl_of(conn), job->out, job->size, job->label,
        strlen(job->label), job->context, job->context_size,
        job->context != NULL);
    wr_tls_memory_leave(before);
    return ret == WOLFSSL_SUCCESS ? 0 : memory->failed ? -ENOMEM : -EINVAL;
}

/* ---- sessions; struct wr_tls_known is the WOLFSSL_SESSION itself ---- */

int wr_wolfssl_session_take(struct wr_tls_conn *conn, struct wr_tls_known **ret)
{
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);
    WOLFSSL_SESSION *session = wolfSSL_get1_session(wr_wolfssl_of(conn));
    WOLFSSL_SESSION *copy = session ? wolfSSL_SESSION_dup(session) : NULL;

    wr_assert(!conn->is_server);
    wolfSSL_SESSION_free(session);
    wr_tls_memory_leave(before);
    wr_require(copy, -ENOMEM);
    *ret = (struct wr_tls_known *)copy;
    return 0;
}

void wr_wolfssl_session_free(struct wr_tls_known *session)
{
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);

    wolfSSL_SESSION_free((WOLFSSL_SESSION *)session);
    wr_tls_memory_leave(before);
}

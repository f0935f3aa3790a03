/*
 * The getters of a connection, and the sessions that a client may resume.
 *
 * Getters change nothing and return the same values after the connection has
 * ended.
 */
#include "openssl.h"

#include "uring/check.h"

#include <openssl/obj_mac.h>
#include <openssl/ssl.h>

#include <errno.h>
#include <string.h>

/* Before a version is agreed on, OpenSSL returns its own highest version. */
uint16_t wr_openssl_get_version(const struct wr_tls_conn *conn)
{
    wr_assert(conn->ssl);
    return SSL_version(conn->ssl) == TLS1_2_VERSION ||
                   SSL_get_max_proto_version(conn->ssl) == TLS1_2_VERSION
               ? WR_TLS_VERSION_1_2
               : WR_TLS_VERSION_1_3;
}

uint16_t wr_openssl_get_suite(const struct wr_tls_conn *conn)
{
    const SSL_CIPHER *suite = SSL_get_current_cipher(conn->ssl);

    wr_assert(conn->ssl);
    if (!suite) {
        suite = SSL_get_pending_cipher(conn->ssl);
    }
    return suite ? SSL_CIPHER_get_protocol_id(suite) : 0;
}

uint16_t wr_openssl_get_group(const struct wr_tls_conn *conn)
{
    wr_assert(conn->ssl);
    if (!SSL_get_session(conn->ssl)) {
        return 0; /* SSL_get_negotiated_group() would use the NULL session */
    }
    const long nid = SSL_get_negotiated_group(conn->ssl);
    switch (nid) {
    case NID_X25519:
        return 29;
    case NID_X9_62_prime256v1:
        return 23;
    case NID_secp384r1:
        return 24;
    case NID_secp521r1:
        return 25;
    case TLSEXT_nid_unknown | WR_OPENSSL_HYBRID_GROUP:
        return WR_OPENSSL_HYBRID_GROUP;
    default:
        return 0;
    }
}

bool wr_openssl_was_resumed(const struct wr_tls_conn *conn)
{
    wr_assert(conn->ssl);
    return SSL_session_reused(conn->ssl) == 1;
}

const char *wr_openssl_get_protocol(const struct wr_tls_conn *conn,
                                    size_t *ret_len)
{
    const unsigned char *name = NULL;
    unsigned len = 0;

    wr_assert(conn->ssl);
    SSL_get0_alpn_selected(conn->ssl, &name, &len);
    *ret_len = len;
    return len > 0 ? (const char *)name : NULL;
}

const char *wr_openssl_get_name(const struct wr_tls_conn *conn)
{
    wr_assert(conn->is_server);
    return wr_openssl_own_of(conn)->name;
}

void wr_openssl_get_alerts(const struct wr_tls_conn *conn, int *ret_received,
                           int *ret_sent)
{
    const struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(own->alert_received >= -1 && own->alert_sent >= -1);
    *ret_received = own->alert_received;
    *ret_sent = own->alert_sent;
}

bool wr_openssl_get_client_random(const struct wr_tls_conn *conn,
                                  uint8_t ret[32])
{
    wr_assert(conn->ssl);
    return SSL_get_client_random(conn->ssl, ret, 32) == 32;
}

/* Labels of TLS itself (RFC 5705, 4), which libssl refuses only with TLS
 * 1.2. */
static bool facts_is_reserved(const char *label)
{
    static const char *const labels[] = {
        "client finished", "server finished", "master secret",
        "extended master secret", "key expansion"};

    wr_assert(label != NULL);
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        if (strcmp(label, labels[i]) == 0) {
            return true;
        }
    }
    return false;
}

int wr_openssl_export_keys(struct wr_tls_conn *conn,
                           const struct wr_tls_export *job)
{
    struct wr_openssl_errors errors;

    wr_assert(job->label && job->out && job->size > 0);
    if (facts_is_reserved(job->label)) {
        return -EINVAL;
    }
    wr_openssl_enter(&errors);
    const bool is_done =
        SSL_export_keying_material(
            conn->ssl, job->out, job->size, job->label, strlen(job->label),
            job->context, job->context_size, job->context != NULL) == 1;
    wr_openssl_leave(&errors);
    return is_done ? 0 : errors.lacks_memory ? -ENOMEM : -EINVAL;
}

/* Copies the session, because libssl may write to the connection's session. */
int wr_openssl_session_take(struct wr_tls_conn *conn, struct wr_tls_known **ret)
{
    struct wr_openssl_errors errors;
    const struct wr_openssl_own *own = wr_openssl_own_of(conn);

    wr_assert(own->session && !conn->is_server);
    wr_openssl_enter(&errors);
    SSL_SESSION *copy = SSL_SESSION_dup(own->session);
    wr_openssl_leave(&errors);
    *ret = (struct wr_tls_known *)copy;
    return copy ? 0 : -ENOMEM;
}

void wr_openssl_session_free(struct wr_tls_known *session)
{
    SSL_SESSION_free((SSL_SESSION *)session);
}

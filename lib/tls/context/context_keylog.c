/*
 * Logs the secrets of connections in NSS key log format, with which Wireshark
 * and other tools decrypt captured traffic.
 *
 * The backend reports each secret when it is derived. A line contains the
 * secret's label, the client random, which identifies the connection, and the
 * secret.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <stdio.h>
#include <string.h>

enum {
    CONTEXT_KEYLOG_RANDOM = 32,
    CONTEXT_KEYLOG_SECRET = 64, /* maximum */
    CONTEXT_KEYLOG_LABEL = 32,
    CONTEXT_KEYLOG_LINE = CONTEXT_KEYLOG_LABEL + 1 + 2 * CONTEXT_KEYLOG_RANDOM +
                          1 + 2 * CONTEXT_KEYLOG_SECRET + 1,
};

static char *context_keylog_put(char *to, const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    wr_assert(size <= CONTEXT_KEYLOG_SECRET);
    for (size_t i = 0; i < size; i++) {
        *to++ = digits[data[i] >> 4];
        *to++ = digits[data[i] & 15];
    }
    return to;
}

static const char *const context_keylog_labels[] = {
    [WR_TLS_SECRET_MASTER] = "CLIENT_RANDOM",
    [WR_TLS_SECRET_CLIENT_HANDSHAKE] = "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    [WR_TLS_SECRET_SERVER_HANDSHAKE] = "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    [WR_TLS_SECRET_CLIENT_DATA] = "CLIENT_TRAFFIC_SECRET_0",
    [WR_TLS_SECRET_SERVER_DATA] = "SERVER_TRAFFIC_SECRET_0",
    [WR_TLS_SECRET_EXPORTER] = "EXPORTER_SECRET",
};

void wr_tls_context_log_secret(const weir_tls_context *context,
                               const struct wr_tls_conn *conn,
                               enum wr_tls_secret_kind kind,
                               struct wr_bytes secret)
{
    const char *label = context_keylog_labels[kind];
    uint8_t random[CONTEXT_KEYLOG_RANDOM];
    char line[CONTEXT_KEYLOG_LINE];
    char *end = line;

    wr_assert(strlen(label) < CONTEXT_KEYLOG_LABEL);
    wr_assert(secret.size > 0 && secret.size <= CONTEXT_KEYLOG_SECRET);
    if (!context->keylog || !conn->backend->get_client_random(conn, random)) {
        return;
    }
    end += snprintf(line, CONTEXT_KEYLOG_LABEL + 1, "%s ", label);
    end = context_keylog_put(end, random, sizeof(random));
    *end++ = ' ';
    end = context_keylog_put(end, secret.data, secret.size);
    *end = '\0';
    context->keylog(context->keylog_user, line);
    explicit_bzero(line, sizeof(line));
}

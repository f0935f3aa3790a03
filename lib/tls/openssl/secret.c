/*
 * The secrets of connections, for a key log.
 *
 * OpenSSL reports secrets as lines in NSS key log format, which this file
 * parses. A line with an unknown label, possibly of a later OpenSSL, is
 * ignored.
 */
#include "openssl.h"

#include "uring/check.h"

#include <string.h>

enum { SECRET_MAX = 64 };

struct secret_row {
    const char *label;
    enum wr_tls_secret_kind kind;
};

static const struct secret_row secret_rows[] = {
    {"CLIENT_RANDOM", WR_TLS_SECRET_MASTER},
    {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", WR_TLS_SECRET_CLIENT_HANDSHAKE},
    {"SERVER_HANDSHAKE_TRAFFIC_SECRET", WR_TLS_SECRET_SERVER_HANDSHAKE},
    {"CLIENT_TRAFFIC_SECRET_0", WR_TLS_SECRET_CLIENT_DATA},
    {"SERVER_TRAFFIC_SECRET_0", WR_TLS_SECRET_SERVER_DATA},
    {"EXPORTER_SECRET", WR_TLS_SECRET_EXPORTER},
};

static const struct secret_row *secret_find(const char *line, size_t len)
{
    wr_assert(line != NULL);
    for (size_t i = 0; i < sizeof(secret_rows) / sizeof(*secret_rows); i++) {
        if (strlen(secret_rows[i].label) == len &&
            memcmp(secret_rows[i].label, line, len) == 0) {
            return &secret_rows[i];
        }
    }
    return NULL;
}

static int secret_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static size_t secret_read(const char *hex, uint8_t ret[SECRET_MAX])
{
    const size_t len = strlen(hex);

    wr_assert(ret != NULL);
    if (len % 2 != 0 || len > (size_t)2 * SECRET_MAX) {
        return 0;
    }
    for (size_t i = 0; i < len; i += 2) {
        const int high = secret_digit(hex[i]);
        const int low = secret_digit(hex[i + 1]);
        if (high < 0 || low < 0) {
            return 0;
        }
        ret[i / 2] = (uint8_t)(high << 4 | low);
    }
    return len / 2;
}

/* A line is a label, the client random and the secret, separated by spaces. */
static void secret_callback(const SSL *ssl, const char *line)
{
    struct wr_tls_conn *conn = wr_openssl_conn_of(ssl);
    uint8_t secret[SECRET_MAX];
    const struct secret_row *row = secret_find(line, strcspn(line, " "));
    const char *last = strrchr(line, ' ');

    wr_assert(conn->ssl == ssl);
    if (!row || !last) {
        return;
    }
    const size_t size = secret_read(last + 1, secret);
    if (size > 0 && conn->events->secret(conn, row->kind, secret, size) < 0) {
        wr_openssl_own_of(conn)->is_failed = true;
    }
    explicit_bzero(secret, sizeof(secret));
}

void wr_openssl_use_secrets(SSL_CTX *ctx)
{
    wr_assert(ctx != NULL);
    SSL_CTX_set_keylog_callback(ctx, secret_callback);
}

/*
 * The key log: the secrets of connections in NSS key log format, with which
 * Wireshark and other tools decrypt captured traffic.
 *
 * wolfSSL reports each secret as it derives it. A line has the secret's label,
 * the client random, which identifies the connection, and the secret.
 */
#include "context_impl.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifdef HAVE_SECRET_CALLBACK

enum {
    CONTEXT_KEYLOG_RANDOM = 32,
    CONTEXT_KEYLOG_SECRET = 64, /* at most */
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

static void context_keylog_write(const weir_tls_context *context, WOLFSSL *ssl,
                                 const char *label, const uint8_t *secret,
                                 int size)
{
    uint8_t random[CONTEXT_KEYLOG_RANDOM];
    char line[CONTEXT_KEYLOG_LINE];
    char *end = line;

    wr_assert(strlen(label) < CONTEXT_KEYLOG_LABEL);
    wr_assert(size > 0 && size <= CONTEXT_KEYLOG_SECRET);
    if (wolfSSL_get_client_random(ssl, random, sizeof(random)) !=
        sizeof(random)) {
        return;
    }
    end += snprintf(line, CONTEXT_KEYLOG_LABEL + 1, "%s ", label);
    end = context_keylog_put(end, random, sizeof(random));
    *end++ = ' ';
    end = context_keylog_put(end, secret, (size_t)size);
    *end = '\0';
    context->keylog(context->keylog_user, line);
    explicit_bzero(line, sizeof(line));
}

static const char *context_keylog_label(int id)
{
    switch (id) {
    case CLIENT_HANDSHAKE_TRAFFIC_SECRET:
        return "CLIENT_HANDSHAKE_TRAFFIC_SECRET";
    case SERVER_HANDSHAKE_TRAFFIC_SECRET:
        return "SERVER_HANDSHAKE_TRAFFIC_SECRET";
    case CLIENT_TRAFFIC_SECRET:
        return "CLIENT_TRAFFIC_SECRET_0";
    case SERVER_TRAFFIC_SECRET:
        return "SERVER_TRAFFIC_SECRET_0";
    case EXPORTER_SECRET:
        return "EXPORTER_SECRET";
    default:
        return NULL; /* secrets of early data, which weir does not send */
    }
}

void wr_tls_context_log_secret(const weir_tls_context *context, WOLFSSL *ssl,
                               int id, const uint8_t *secret, int size)
{
    const char *label = context_keylog_label(id);

    wr_assert(context && ssl);
    if (context->keylog && label) {
        context_keylog_write(context, ssl, label, secret, size);
    }
}

/* wolfSSL's callback with TLS 1.3. */
static int context_keylog_secret(WOLFSSL *ssl, int id,
                                 const unsigned char *secret, int size,
                                 void *arg)
{
    wr_tls_context_log_secret(arg, ssl, id, secret, size);
    return 0;
}

/* wolfSSL's callback with TLS 1.2. */
static int context_keylog_master(WOLFSSL *ssl, void *secret, int size,
                                 void *arg)
{
    const weir_tls_context *context = arg;

    wr_assert(context->keylog);
    context_keylog_write(context, ssl, "CLIENT_RANDOM", secret, size);
    return 0;
}

int wr_tls_context_log_keys(weir_tls_context *context, WOLFSSL *ssl)
{
    if (!context->keylog) {
        return 0;
    }
    wr_assert(ssl);
    return wolfSSL_set_tls13_secret_cb(ssl, context_keylog_secret, context) ==
                       WOLFSSL_SUCCESS &&
                   wolfSSL_set_secret_cb(ssl, context_keylog_master, context) ==
                       WOLFSSL_SUCCESS
               ? 0
               : WEIR_ETLSENGINE;
}

int wr_tls_context_check_keylog(const struct weir_tls_options *options)
{
    wr_assert(options->size > 0);
    return 0;
}

#else

int wr_tls_context_check_keylog(const struct weir_tls_options *options)
{
    wr_require(!options->keylog, -EOPNOTSUPP);
    return 0;
}

int wr_tls_context_log_keys(weir_tls_context *context, WOLFSSL *ssl)
{
    wr_assert(!context->keylog && ssl);
    return 0;
}

#endif

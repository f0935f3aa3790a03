/*
 * The key log of contexts: both sides of a connection log the same secrets.
 *
 * The certificates are those of tls_certificates.sh. The labels are those of
 * the NSS format.
 */
#include "tests/tls/rig.h"

#include "lib/tls/engine/engine_impl.h"

enum { KEYLOG_LINES = 16, KEYLOG_LINE = 256 };

struct keylog {
    size_t count;
    char lines[KEYLOG_LINES][KEYLOG_LINE];
};

static struct tls_pair pair;
static struct keylog client_log, server_log;

static void keylog_take(void *user, const char *line)
{
    struct keylog *log = user;
    cr_assert_lt(log->count, KEYLOG_LINES);
    cr_assert_lt(strlen(line), KEYLOG_LINE);
    memcpy(log->lines[log->count++], line, strlen(line) + 1);
}

/* @early: the server inspects the secrets, too. */
static void keylog_connect(enum weir_tls_version version, bool early)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    client.max_version = version;
    client.keylog = server.keylog = keylog_take;
    client.keylog_user = &client_log;
    server.keylog_user = &server_log;

    weir_tls_context *client_context = tls_context(&client);
    weir_tls_context *server_context = tls_context(&server);
    tls_pair_open(&pair, client_context, server_context, &how);
    cr_assert(!early || wr_tls_engine_expect_early(&pair.server.engine));
    wr_ignore(wr_tls_engine_handshake(&pair.client.engine));
    tls_pair_exchange(&pair, 0);
    tls_pair_end(&pair, 0, 0);
    weir_tls_context_unref(client_context);
    weir_tls_context_unref(server_context);
}

static const char *keylog_find(const struct keylog *log, const char *label)
{
    for (size_t i = 0; i < log->count; i++) {
        if (strncmp(log->lines[i], label, strlen(label)) == 0 &&
            log->lines[i][strlen(label)] == ' ') {
            return log->lines[i];
        }
    }
    cr_assert(false, "%s is not logged", label);
    return "";
}

/* Expects that both sides logged the same line with this label, with a secret
 * of @size bytes. */
static void keylog_expect(const char *label, size_t size)
{
    const char *line = keylog_find(&client_log, label);
    const char *random = line + strlen(label) + 1;
    expect_str_eq(line, keylog_find(&server_log, label));
    expect_eq(strspn(random, "0123456789abcdef"), 64);
    expect_lt(strspn(random, "0"), 32); /* it is a random number */
    expect_eq(random[64], ' ');
    expect_eq(strspn(random + 65, "0123456789abcdef"), 2 * size);
    expect_eq(strlen(random + 65), 2 * size);
}

UNIT(tls_context_keylog, a_connection_of_1_2_has_one_secret)
{
    keylog_connect(WEIR_TLS_1_2, false);

    expect_eq(client_log.count, 1);
    expect_eq(server_log.count, 1);
    keylog_expect("CLIENT_RANDOM", 48);
}

static void keylog_expect_13(bool early)
{
    keylog_connect(WEIR_TLS_1_3, early);

    keylog_expect("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 32);
    keylog_expect("SERVER_HANDSHAKE_TRAFFIC_SECRET", 32);
    keylog_expect("CLIENT_TRAFFIC_SECRET_0", 32);
    keylog_expect("SERVER_TRAFFIC_SECRET_0", 32);
    /* wolfSSL's server derives no export secret unless requested. */
    const bool is_lazy = strcmp(wr_tls_backend_get()->name, "wolfSSL") == 0;
    expect_eq(server_log.count, is_lazy ? 4 : 5);
    cr_assert_not_null(keylog_find(&client_log, "EXPORTER_SECRET"));
    expect_eq(client_log.count, 5);
}

UNIT(tls_context_keylog, a_connection_of_1_3_has_several)
{
    keylog_expect_13(false);
}

UNIT(tls_context_keylog, so_has_one_that_may_begin_with_early_data)
{
    keylog_expect_13(true);
}

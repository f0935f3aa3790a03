/*
 * The key log of contexts: both sides of a connection log the same secrets.
 *
 * The certificates are those of tls_certificates.sh. The labels are those of
 * the format of NSS.
 */
#include "tests/unit/tls_pair.h"

#include "tests/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static struct weir_tls_pem keylog_file(const char *name)
{
    static char paths[3][4096];
    static unsigned turn;
    char *path = paths[turn++ % 3];
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    cr_assert_not_null(folder, "WEIR_TLS_CERTIFICATES is not set");
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return (struct weir_tls_pem){.file = path};
}

static void keylog_connect(enum weir_tls_version version)
{
    const struct wr_tls_engine_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = tls_pair_context(&(struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .authorities = keylog_file("ca.pem"),
        .max_version = version,
        .keylog = keylog_take,
        .keylog_user = &client_log,
    });
    weir_tls_context *server = tls_pair_context(&(struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .server = true,
        .certificate = keylog_file("ecdsa.pem"),
        .key = keylog_file("ecdsa.key"),
        .keylog = keylog_take,
        .keylog_user = &server_log,
    });

    tls_pair_connect(&pair, client, server, &how);
    tls_pair_expect(&pair, 0, 0);
    tls_pair_disconnect(&pair);
    weir_tls_context_unref(client);
    weir_tls_context_unref(server);
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

/* Both logged a line of this label, the same, with a secret of @size bytes. */
static void keylog_expect(const char *label, size_t size)
{
    const char *line = keylog_find(&client_log, label);
    const char *random = line + strlen(label) + 1;
    expect_str_eq(line, keylog_find(&server_log, label));
    expect_eq(strspn(random, "0123456789abcdef"), 64);
    expect_lt(strspn(random, "0"), 32); /* it is a number of chance */
    expect_eq(random[64], ' ');
    expect_eq(strspn(random + 65, "0123456789abcdef"), 2 * size);
    expect_eq(strlen(random + 65), 2 * size);
}

UNIT(tls_context_keylog, a_connection_of_1_2_has_one_secret)
{
    keylog_connect(WEIR_TLS_1_2);

    expect_eq(client_log.count, 1);
    expect_eq(server_log.count, 1);
    keylog_expect("CLIENT_RANDOM", 48);
}

UNIT(tls_context_keylog, a_connection_of_1_3_has_several)
{
    keylog_connect(WEIR_TLS_1_3);

    keylog_expect("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 32);
    keylog_expect("SERVER_HANDSHAKE_TRAFFIC_SECRET", 32);
    keylog_expect("CLIENT_TRAFFIC_SECRET_0", 32);
    keylog_expect("SERVER_TRAFFIC_SECRET_0", 32);
    expect_eq(client_log.count, server_log.count);
}

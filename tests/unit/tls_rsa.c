/*
 * RSA keys in handshakes of both versions.
 *
 * They have each size, for servers and for clients; libcrypto or wolfSSL signs
 * with them, depending on the build. The peer, which uses wolfSSL, verifies.
 */
#include "tests/tls/rig.h"

#include <errno.h>

static struct tls_pair pair;

static struct weir_tls_options rsa_server(const char *name, int version)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .server = true,
        .certificate = {.file = tls_file("%s.pem", name)},
        .key = {.file = tls_file("%s.key", name)},
        .authorities = {.file = tls_file("ca.pem")},
        .client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED,
        .min_version = (enum weir_tls_version)version,
        .max_version = (enum weir_tls_version)version,
    };
}

static struct weir_tls_options rsa_client(const char *name)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .certificate = {.file = tls_file("%s.pem", name)},
        .key = {.file = tls_file("%s.key", name)},
        .authorities = {.file = tls_file("ca.pem")},
    };
}

static void rsa_connect(const struct weir_tls_options *client_options,
                        const struct weir_tls_options *server_options)
{
    tls_pair_join(&pair, client_options, server_options, NULL);
    tls_pair_end(&pair, 0, 0);
}

UNIT(tls_rsa, servers_and_clients_sign_by_keys_of_each_size)
{
    static const char *const names[] = {"rsa", "rsa3072", "rsa4096"};

    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
            const struct weir_tls_options client = rsa_client(names[i]);
            const struct weir_tls_options server =
                rsa_server(names[i], version);
            rsa_connect(&client, &server);
        }
    }
}

UNIT(tls_rsa, one_side_may_have_a_key_on_a_curve)
{
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        const struct weir_tls_options rsa = rsa_client("rsa");
        const struct weir_tls_options curve = rsa_client("ecdsa");
        const struct weir_tls_options rsa_end = rsa_server("rsa", version);
        const struct weir_tls_options curve_end = rsa_server("ecdsa", version);
        rsa_connect(&rsa, &curve_end);
        rsa_connect(&curve, &rsa_end);
    }
}

UNIT(tls_rsa, a_key_for_rsassa_pss_alone_is_refused)
{
    const struct weir_tls_options options[] = {
        rsa_client("rsapss"), rsa_server("rsapss", WEIR_TLS_1_3)};
    weir_tls_context *context = NULL;
    char text[256] = "";

    for (size_t i = 0; i < 2; i++) {
        expect_eq(
            weir_tls_context_new(&options[i], &context, text, sizeof(text)),
            WEIR_ETLSFILE);
        cr_assert(strstr(text, "RSASSA-PSS"), "%s", text);
    }
}

/* The context that the key came from is gone when the connection signs with it.
 */
UNIT(tls_rsa, a_connection_signs_when_its_context_has_no_other_reference)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    const struct weir_tls_options client_options = rsa_client("rsa");
    const struct weir_tls_options options = rsa_server("rsa", WEIR_TLS_1_3);
    weir_tls_context *client = tls_context(&client_options);
    weir_tls_context *server = tls_context(&options);

    tls_pair_open(&pair, client, server, &how);
    tls_contexts_unref(client, server);
    cr_assert_eq(wr_tls_engine_handshake(&pair.client.engine), -EAGAIN);
    tls_pair_exchange(&pair, 0);

    tls_pair_end(&pair, 0, 0);
}

/* At a second attempt wolfSSL would accept it, as if another process signed. */
UNIT(tls_rsa, a_public_key_is_refused)
{
    struct weir_tls_options options = rsa_server("rsa", WEIR_TLS_1_3);
    weir_tls_context *context = NULL;
    char text[256];

    options.key.file = tls_file("rsa.pub");
    expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
              WEIR_ETLSNOKEY, "%s", text);
    options.key.file = tls_file("rsa.key");
    const struct weir_tls_identity other = {
        .size = sizeof(other),
        .certificate = {.file = tls_file("rsa.pem")},
        .key = {.file = tls_file("rsa.pub")},
    };
    const struct weir_tls_identity *const all[] = {&other};
    options.identities = all;
    options.identity_count = 1;
    expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
              WEIR_ETLSNOKEY, "%s", text);
    cr_assert_null(context);
}

/*
 * Handshakes in which the private key cannot sign.
 *
 * In this program libcrypto's functions are replaced by ones that fail on
 * request: to load a key, to sign with it, or to sign correctly. It does not
 * run with OpenSSL, which signs with its own keys without weir; tls_sign.c has
 * failing external keys, for both libraries.
 */
#include "lib/tls/wolfssl/rsa_key.h"
#include "tests/tls/rig.h"

static struct tls_pair pair;

struct wr_tls_rsa_key {
    int references;
};

static struct wr_tls_rsa_key fault_key;
static bool fault_refuses_keys;
static bool fault_signs_wrongly;

int wr_tls_rsa_key_new(
    const struct wr_tls_rsa_bytes numbers[WR_TLS_RSA_NUMBERS],
    struct wr_tls_rsa_key **ret)
{
    expect_eq(numbers[WR_TLS_RSA_N].size, 256);
    if (fault_refuses_keys) {
        return WEIR_ETLSENGINE;
    }
    fault_key.references++;
    *ret = &fault_key;
    return 0;
}

struct wr_tls_rsa_key *wr_tls_rsa_key_ref(struct wr_tls_rsa_key *key)
{
    if (key) {
        key->references++;
    }
    return key;
}

void wr_tls_rsa_key_unref(struct wr_tls_rsa_key *key)
{
    if (key) {
        expect_gt(key->references, 0);
        key->references--;
    }
}

int wr_tls_rsa_key_sign(struct wr_tls_rsa_key *key,
                        const struct wr_tls_rsa_digest *digest, uint8_t *ret,
                        size_t *ret_size)
{
    cr_assert_eq(key, &fault_key);
    expect_gt(digest->size, 0);
    expect_geq(*ret_size, 256);
    if (!fault_signs_wrongly) {
        return WEIR_ETLSSIGN;
    }
    memset(ret, 1, 256);
    *ret_size = 256;
    return 0;
}

static struct weir_tls_options fault_server(const char *certificate,
                                            const char *key, int version)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .server = true,
        .certificate = {.file = tls_file("%s", certificate)},
        .key = {.file = tls_file("%s", key)},
        .min_version = (enum weir_tls_version)version,
        .max_version = (enum weir_tls_version)version,
    };
}

UNIT(tls_rsa_fault, a_server_that_cannot_sign_ends_the_handshake)
{
    const struct weir_tls_options client = tls_options(false);
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        const struct weir_tls_options server =
            fault_server("rsa.pem", "rsa.key", version);
        tls_pair_join(&pair, &client, &server, NULL);
        expect_eq(pair.server.engine.err, WEIR_ETLSSIGN);
        /* In TLS 1.3 the alert would have to be encrypted. */
        expect_eq(pair.client.engine.err,
                  version == WEIR_TLS_1_2 ? WEIR_ETLSALERT : 0);
        tls_pair_disconnect(&pair);
        expect_eq(fault_key.references, 0);
    }
}

UNIT(tls_rsa_fault, a_client_that_cannot_sign_ends_the_handshake)
{
    struct weir_tls_options client = tls_options(false);
    client.certificate.file = tls_file("rsa.pem");
    client.key.file = tls_file("rsa.key");
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        struct weir_tls_options server =
            fault_server("ecdsa.pem", "ecdsa.key", version);
        server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        server.authorities.file = tls_file("ca.pem");
        tls_pair_join(&pair, &client, &server, NULL);
        expect_eq(pair.client.engine.err, WEIR_ETLSSIGN);
        expect_eq(pair.server.engine.state, WR_TLS_ENGINE_HANDSHAKE);
        tls_pair_disconnect(&pair);
        expect_eq(fault_key.references, 0);
    }
}

/* wolfSSL verifies a signature before sending it. */
UNIT(tls_rsa_fault, a_wrong_signature_does_not_leave)
{
    const struct weir_tls_options client = tls_options(false);
    fault_signs_wrongly = true;
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        const struct weir_tls_options server =
            fault_server("rsa.pem", "rsa.key", version);
        tls_pair_join(&pair, &client, &server, NULL);
        expect_lt(pair.server.engine.err, 0);
        expect_eq(pair.client.engine.state, WR_TLS_ENGINE_HANDSHAKE);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_rsa_fault, a_key_that_libcrypto_refuses_is_an_error_of_the_context)
{
    const struct weir_tls_options options =
        fault_server("rsa.pem", "rsa.key", WEIR_TLS_1_3);
    weir_tls_context *context = NULL;
    char text[4096];

    fault_refuses_keys = true;
    expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)),
              WEIR_ETLSENGINE);
    cr_assert_null(context);
    cr_assert_not_null(strstr(text, "rsa.key"), "%s", text);
    expect_eq(fault_key.references, 0);
}

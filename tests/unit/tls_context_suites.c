/*
 * The cipher suites of a context: IANA's names select them, are reported by
 * both sides of a connection, and are the only known names.
 *
 * The certificates are those of tls_certificates.sh: one with a P-256 key, and
 * one with an RSA key.
 */
#include "lib/tls/context/suites.h"
#include "tests/tls/rig.h"

#define SUITES_OF_1_3                                                          \
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",                        \
        "TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_OF_1_2(key)                                                     \
    "TLS_ECDHE_" key "_WITH_AES_128_GCM_SHA256",                               \
        "TLS_ECDHE_" key "_WITH_AES_256_GCM_SHA384",                           \
        "TLS_ECDHE_" key "_WITH_CHACHA20_POLY1305_SHA256"

/* Three with either key; three with a P-256 key; three with an RSA key. */
static const char *const suites[] = {SUITES_OF_1_3, SUITES_OF_1_2("ECDSA"),
                                     SUITES_OF_1_2("RSA")};
enum { SUITES = sizeof(suites) / sizeof(*suites) };

static struct tls_pair pair;

static struct weir_tls_options suites_server(bool has_rsa)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .server = true,
        .certificate = {.file = tls_file(has_rsa ? "rsa.pem" : "ecdsa.pem")},
        .key = {.file = tls_file(has_rsa ? "rsa.key" : "ecdsa.key")},
    };
}

static struct weir_tls_options suites_client(const char *list)
{
    return (struct weir_tls_options){
        .size = sizeof(struct weir_tls_options),
        .authorities = {.file = tls_file("ca.pem")},
        .ciphers = list,
    };
}

/* Expects that both sides report @suite, in @version. */
static void suites_expect(const char *suite, const char *version)
{
    tls_pair_expect(&pair, 0, 0);
    expect_str_eq(wr_tls_engine_get_cipher(&pair.client.engine), suite);
    expect_str_eq(wr_tls_engine_get_cipher(&pair.server.engine), suite);
    expect_str_eq(wr_tls_engine_get_version(&pair.client.engine), version);
    tls_pair_disconnect(&pair);
}

UNIT(tls_context_suites, each_is_set_and_reported_by_its_iana_name)
{
    for (int i = 0; i < SUITES; i++) {
        const struct weir_tls_options any_client = suites_client(NULL);
        const struct weir_tls_options client = suites_client(suites[i]);
        struct weir_tls_options server = suites_server(i >= 6);
        const char *version = i < 3 ? "TLSv1.3" : "TLSv1.2";

        tls_pair_join(&pair, &client, &server, NULL);
        suites_expect(suites[i], version);

        server.ciphers = suites[i];
        tls_pair_join(&pair, &any_client, &server, NULL);
        suites_expect(suites[i], version);
    }
}

UNIT(tls_context_suites, the_servers_order_of_a_list_decides)
{
    const struct weir_tls_options client =
        suites_client("TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256");
    struct weir_tls_options server = suites_server(false);
    server.ciphers = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

    tls_pair_join(&pair, &client, &server, NULL);

    suites_expect("TLS_CHACHA20_POLY1305_SHA256", "TLSv1.3");
}

UNIT(tls_context_suites, a_version_without_one_is_neither_offered_nor_accepted)
{
    const struct weir_tls_options client = suites_client(suites[3]);
    struct weir_tls_options server = suites_server(false);
    server.ciphers = suites[0];

    tls_pair_join(&pair, &client, &server, NULL);

    tls_pair_end(&pair, WEIR_ETLSALERT, WEIR_ETLSVERSION);
}

static char error_text[512];

static void suites_refuse(const struct weir_tls_options *options,
                          const char *text)
{
    weir_tls_context *context = NULL;

    expect_eq(
        weir_tls_context_new(options, &context, error_text, sizeof(error_text)),
        WEIR_ETLSCIPHERS, "%s", options->ciphers);
    cr_assert_null(context);
    cr_assert_not_null(strstr(error_text, text), "%s", error_text);
}

static void suites_refuse_unknown(const char *list, const char *text)
{
    const struct weir_tls_options options = suites_client(list);

    suites_refuse(&options, text);
    for (int i = 0; i < SUITES; i++) {
        cr_assert_not_null(strstr(error_text, suites[i]), "%s", error_text);
    }
}

UNIT(tls_context_suites, another_name_is_refused_and_the_error_lists_all)
{
    static const char *const bad[] = {
        "",
        "ALL",
        "DEFAULT",
        ":TLS_AES_128_GCM_SHA256",
        "TLS_AES_128_GCM_SHA256:",
        "TLS_AES_128_GCM_SHA256::TLS_AES_256_GCM_SHA384",
        "TLS_AES_128_GCM_SHA25",
        "TLS_AES_128_GCM_SHA2567",
        "tls_aes_128_gcm_sha256",
        "TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384",
        "TLS_AES_128_GCM_SHA256:TLS_SHA256_SHA256",
        "TLS_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "TLS_ECDHE_ECDSA_WITH_NULL_SHA",
        "TLS_AES_128_CCM_8_SHA256",
        "TLS_ECDHE_RSA_WITH_CHACHA20_OLD_POLY1305_SHA256",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        suites_refuse_unknown(bad[i], "ciphers: \"");
    }
    suites_refuse_unknown("TLS_AES_128_GCM_SHA256:NO_SUCH_SUITE:ALL",
                          "ciphers: \"NO_SUCH_SUITE\" is none of TLS_");
}

/* wolfSSL knows these, too. */
UNIT(tls_context_suites, the_spelling_of_openssl_and_wolfssl_is_refused)
{
    static const char *const old[] = {
        "TLS13-AES128-GCM-SHA256",       "TLS13-CHACHA20-POLY1305-SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-CHACHA20-POLY1305",
    };

    for (size_t i = 0; i < sizeof(old) / sizeof(*old); i++) {
        suites_refuse_unknown(old[i], old[i]);
    }
}

UNIT(tls_context_suites, a_list_without_one_for_the_versions_is_refused)
{
    struct weir_tls_options options = suites_client(suites[0]);
    options.max_version = WEIR_TLS_1_2;
    suites_refuse(&options, "ciphers: no suite is for ");

    options = suites_client(suites[3]);
    options.min_version = WEIR_TLS_1_3;
    suites_refuse(&options, "ciphers: no suite is for ");
}

UNIT(tls_context_suites, a_key_of_one_kind_selects_the_suites_that_are_for_it)
{
    char list[WR_TLS_SUITES_SIZE];

    expect_eq(wr_tls_suites_select(NULL, true, list, sizeof(list)), 0);
    cr_assert_null(strstr(list, "_ECDSA_"), "%s", list);
    cr_assert_not_null(strstr(list, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
    cr_assert_not_null(strstr(list, "TLS_AES_128_GCM_SHA256"));

    expect_eq(wr_tls_suites_select(suites[3], true, list, sizeof(list)),
              WEIR_ETLSCIPHERS);
    expect_eq(wr_tls_suites_select(suites[3], false, list, sizeof(list)), 0);
    expect_str_eq(list, suites[3]);
}

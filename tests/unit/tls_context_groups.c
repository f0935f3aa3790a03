/*
 * The key exchange groups of a context: their names select them, for a client
 * and for a server, and no other names are known.
 *
 * The certificates are those of tls_certificates.sh. The server's has an RSA
 * key, because in TLS 1.2 a client's groups also limit the curves of
 * certificates.
 */
#include "lib/tls/context/suites.h"
#include "tests/tls/rig.h"

static const char *const groups[] = {"X25519", "P-256", "P-384"};
/* Their numbers at IANA. */
enum { X25519 = 29, P256 = 23, P384 = 24 };
static const uint16_t numbers[] = {X25519, P256, P384};
enum { GROUPS = sizeof(groups) / sizeof(*groups) };

static struct tls_pair pair;

/* X25519MLKEM768, and how often the client has sent a hello. */
enum { HYBRID = 4588 };
static const char hybrid[] = "X25519MLKEM768";

/* Connects a client and a server with these lists, in one version. */
static void groups_join(const char *of_client, const char *of_server,
                        enum weir_tls_version version)
{
    const struct weir_tls_options client = {
        .size = sizeof(client),
        .authorities = {.file = tls_file("ca.pem")},
        .min_version = version,
        .max_version = version,
        .groups = of_client,
    };
    const struct weir_tls_options server = {
        .size = sizeof(server),
        .server = true,
        .certificate = {.file = tls_file("rsa.pem")},
        .key = {.file = tls_file("rsa.key")},
        .min_version = version,
        .groups = of_server,
    };

    tls_pair_join(&pair, &client, &server, NULL);
}

static uint16_t groups_of(const struct tls_side *side)
{
    const struct wr_tls_conn *conn = &side->engine.conn;
    return conn->backend->get_group(conn);
}

/* Expects that both sides have agreed on the group with this number. */
static void groups_expect(uint16_t number)
{
    tls_pair_expect(&pair, 0, 0);
    expect_eq(groups_of(&pair.client), number);
    expect_eq(groups_of(&pair.server), number);
    tls_pair_disconnect(&pair);
}

UNIT(tls_context_groups, either_side_chooses_one_by_its_name)
{
    for (int i = 0; i < GROUPS; i++) {
        groups_join(groups[i], NULL, WEIR_TLS_1_2);
        groups_expect(numbers[i]);

        groups_join(groups[i], NULL, WEIR_TLS_1_3);
        groups_expect(numbers[i]);

        groups_join(NULL, groups[i], WEIR_TLS_1_3);
        groups_expect(numbers[i]);
    }
}

UNIT(tls_context_groups, a_clients_first_one_is_the_one_of_its_share)
{
    groups_join("P-384:X25519", NULL, WEIR_TLS_1_3);

    groups_expect(P384);
}

UNIT(tls_context_groups, what_only_a_later_name_has_in_common_is_found)
{
    groups_join("X25519:P-384", "P-256:P-384", WEIR_TLS_1_3);

    groups_expect(P384);
}

UNIT(tls_context_groups, a_name_that_stands_there_twice_counts_once)
{
    groups_join("P-256:P-256:P-256:P-256:P-384:P-256", "P-384", WEIR_TLS_1_3);

    groups_expect(P384);
}

UNIT(tls_context_groups, without_one_in_common_the_server_says_so)
{
    groups_join("X25519:P-256", "P-384", WEIR_TLS_1_3);

    tls_pair_expect(&pair, WEIR_ETLSALERT, WEIR_ETLSGROUP);
    expect_str_eq(wr_tls_engine_get_error_text(&pair.server.engine),
                  "No group of the key exchange in common");
    tls_pair_disconnect(&pair);
}

/* The lists, the agreed group, and whether the server must request another
 * share. */
struct hybrid_row {
    const char *client;
    const char *server;
    uint16_t group;
    bool asks;
};

static void hybrid_run(const struct hybrid_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (pair.piece = 0; pair.piece < 2; pair.piece++) {
            groups_join(rows[i].client, rows[i].server, WEIR_TLS_1_3);
            expect_eq(pair.client.engine.facts.was_asked_again, rows[i].asks,
                      "%zu", i);
            groups_expect(rows[i].group);
        }
    }
    pair.piece = 0;
}

UNIT(tls_context_groups, the_hybrid_one_is_the_first_by_default)
{
    static const struct hybrid_row rows[] = {
        {NULL, NULL, HYBRID, false},
        {NULL, "X25519MLKEM768", HYBRID, false},
        {"X25519MLKEM768", NULL, HYBRID, false},
    };
    tls_require_hybrid();
    hybrid_run(rows, sizeof(rows) / sizeof(*rows));
}

UNIT(tls_context_groups, beside_the_hybrid_one_there_is_a_classical_share)
{
    static const struct hybrid_row rows[] = {
        {NULL, "X25519", X25519, false},
        {NULL, "P-256", P256, true},
        {"X25519MLKEM768:P-384:P-256", "P-384", P384, false},
        {"X25519MLKEM768:P-384:P-256", "P-256", P256, true},
        {"X25519:P-256", NULL, X25519, false},
    };
    tls_require_hybrid();
    hybrid_run(rows, sizeof(rows) / sizeof(*rows));
}

UNIT(tls_context_groups, a_server_asks_for_the_hybrid_one)
{
    static const struct hybrid_row rows[] = {
        {"X25519:X25519MLKEM768", "X25519MLKEM768", HYBRID, true},
        {"P-256:X25519MLKEM768", NULL, HYBRID, true},
        {"X25519:X25519MLKEM768", "X25519:X25519MLKEM768", X25519, false},
    };
    tls_require_hybrid();
    hybrid_run(rows, sizeof(rows) / sizeof(*rows));
}

UNIT(tls_context_groups, without_a_classical_one_in_common_hybrid_fails)
{
    tls_require_hybrid();
    groups_join(hybrid, "X25519:P-256", WEIR_TLS_1_3);
    tls_pair_expect(&pair, WEIR_ETLSALERT, WEIR_ETLSGROUP);
    tls_pair_disconnect(&pair);
}

UNIT(tls_context_groups, the_hybrid_one_is_of_tls_1_3_alone)
{
    static const char *const lists[] = {hybrid,
                                        "X25519MLKEM768:X25519MLKEM768"};

    tls_require_hybrid();
    for (size_t i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
        const struct weir_tls_options options = {.size = sizeof(options),
                                                 .groups = lists[i],
                                                 .max_version = WEIR_TLS_1_2};
        weir_tls_context *context = NULL;
        char error_text[512] = "";
        expect_eq(weir_tls_context_new(&options, &context, error_text,
                                       sizeof(error_text)),
                  WEIR_ETLSGROUPS);
        cr_assert_not_null(strstr(error_text, "groups: TLS 1.2"), "%s",
                           error_text);
    }
    groups_join(NULL, NULL, WEIR_TLS_1_2);
    groups_expect(X25519);
    groups_join("X25519MLKEM768:P-256", NULL, WEIR_TLS_1_2);
    groups_expect(P256);
}

UNIT(tls_context_groups, a_server_of_1_2_cannot_choose_them)
{
    struct weir_tls_options options = tls_options(true);
    weir_tls_context *context = NULL;
    char error_text[512];

    options.groups = "P-384";
    expect_eq(weir_tls_context_new(&options, &context, error_text,
                                   sizeof(error_text)),
              WEIR_ETLSGROUPS);
    cr_assert_not_null(strstr(error_text, "TLS 1.3"), "%s", error_text);
}

UNIT(tls_context_groups, another_name_is_refused_and_the_error_lists_all)
{
    static const char *const bad[] = {
        "",           ":X25519",      "X25519:",   "X25519::P-256",
        "x25519",     "P-25",         "P-2566",    "secp256r1",
        "prime256v1", "X25519,P-256", "X448",      "ffdhe2048",
        "ALL",        "X25519 ",      "SECP256R1", "P-256:*",
    };
    char error_text[512];
    char all[WR_TLS_GROUPS_SIZE];

    expect_eq(wr_tls_backend_get()->start(), 0);
    wr_tls_suites_name_groups(all, sizeof(all));
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const struct weir_tls_options options = {.size = sizeof(options),
                                                 .groups = bad[i]};
        weir_tls_context *context = NULL;

        expect_eq(weir_tls_context_new(&options, &context, error_text,
                                       sizeof(error_text)),
                  WEIR_ETLSGROUPS, "%s", bad[i]);
        cr_assert_null(context);
        cr_assert_not_null(strstr(error_text, all), "%s", error_text);
    }
    cr_assert_not_null(strstr(error_text, "groups: \"*\" is none of X25519"),
                       "%s", error_text);
}

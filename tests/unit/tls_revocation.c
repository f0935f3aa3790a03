/*
 * Revocation lists: which issuer each is for, which lists are trusted, and the
 * error for an unusable one.
 *
 * The certificates are those of tls_matrix.sh; servers send them to clients,
 * and clients to servers.
 */
#include "lib/tls/engine/engine.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <weir/tls_connection.h>

static struct tls_pair pair;
static char error_text[512];

static struct weir_tls_options revocation_client(const char *list)
{
    struct weir_tls_options options = {
        .size = sizeof(options),
        .authorities.file = tls_file("tls-matrix/trusted.pem"),
    };
    options.revocations.file = tls_file("tls-matrix/%s.crl", list);
    return options;
}

static struct weir_tls_options revocation_server(const char *name)
{
    struct weir_tls_options options = {
        .size = sizeof(options),
        .server = true,
    };
    options.certificate.file = tls_file("tls-matrix/%s.pem", name);
    options.key.file = tls_file("tls-matrix/%s.key", name);
    return options;
}

/* A server sends a certificate to a client, in both versions. */
static void revocation_show(struct weir_tls_options *client, const char *name,
                            int err, const char *text)
{
    const enum weir_tls_version versions[] = {WEIR_TLS_1_2, WEIR_TLS_1_3};
    const struct weir_tls_options server = revocation_server(name);
    for (size_t i = 0; i < 2; i++) {
        client->max_version = versions[i];
        tls_pair_join(&pair, client, &server, NULL);
        tls_pair_expect(&pair, err, err < 0 ? WEIR_ETLSALERT : 0);
        const char *found = wr_tls_engine_get_error_text(&pair.client.engine);
        cr_assert(!text || strstr(found, text), "%s", found);
        tls_pair_disconnect(&pair);
    }
}

/* Expects that the client's context is not created. */
static void revocation_refuse(const char *list, int err, const char *text)
{
    const struct weir_tls_options options = revocation_client(list);
    weir_tls_context *context = NULL;
    expect_eq(weir_tls_context_new(&options, &context, error_text,
                                   sizeof(error_text)),
              err, "%s", list);
    cr_assert(strstr(error_text, list) && strstr(error_text, text), "%s",
              error_text);
}

UNIT(tls_revocation, an_intermediate_that_is_not_trusted_has_its_own_list)
{
    struct weir_tls_options client = revocation_client("with.listed");
    revocation_show(&client, "listed", 0, NULL);
    revocation_show(&client, "listed-revoked", WEIR_ETLSREVOKED,
                    "CN=listed-revoked");
    revocation_show(&client, "good", 0, NULL);
}

UNIT(tls_revocation, every_issuer_of_a_path_needs_a_list)
{
    struct weir_tls_options client = revocation_client("authority");
    revocation_show(&client, "listed", WEIR_ETLSNOCRL, "CN=listed)");
    client = revocation_client("listed");
    revocation_show(&client, "listed", WEIR_ETLSNOCRL, "CN=listed.middle");
}

UNIT(tls_revocation, an_intermediate_that_is_trusted_can_be_revoked)
{
    struct weir_tls_options client = revocation_client("with.listed-issuer");
    revocation_show(&client, "listed-issuer", WEIR_ETLSREVOKED, ".middle");
    client.authorities.file = tls_file("tls-matrix/listed-issuer.trusted.pem");
    revocation_show(&client, "listed-issuer", WEIR_ETLSREVOKED, ".middle");
}

UNIT(tls_revocation, a_list_counts_where_its_issuer_has_signed_it)
{
    struct weir_tls_options client = revocation_client("with.other");
    revocation_show(&client, "listed", WEIR_ETLSNOCRL, "another key");
    client = revocation_client("with.without-usage");
    revocation_show(&client, "good-chain", WEIR_ETLSNOCRL, "keyUsage");
}

UNIT(tls_revocation, an_old_list_beside_a_new_one_does_no_harm)
{
    struct weir_tls_options client = revocation_client("with.old");
    revocation_show(&client, "listed", 0, NULL);
    revocation_show(&client, "listed-revoked", WEIR_ETLSREVOKED, NULL);
}

UNIT(tls_revocation, a_list_that_cannot_be_used_says_why)
{
    revocation_refuse("old-alone", WEIR_ETLSEXPIRED, "nextUpdate");
    revocation_refuse("future", WEIR_ETLSNOTYET, "thisUpdate");
    revocation_refuse("critical", WEIR_ETLSFILE, "critical extension");
    revocation_refuse("delta", WEIR_ETLSFILE, "a part of the revocations");
    revocation_refuse("partial", WEIR_ETLSFILE, "a part of the revocations");
    revocation_refuse("false", WEIR_ETLSFILE, "not signed by the authority");
    revocation_refuse("cut", WEIR_ETLSFILE, "malformed");
}

UNIT(tls_revocation, a_list_of_a_trusted_issuer_that_may_sign_none_says_so)
{
    struct weir_tls_options options = revocation_client("without-usage");
    weir_tls_context *context = NULL;
    options.authorities.file = tls_file("tls-matrix/good-chain.trusted.pem");
    expect_eq(weir_tls_context_new(&options, &context, error_text,
                                   sizeof(error_text)),
              WEIR_ETLSFILE);
    cr_assert(strstr(error_text, "keyUsage"), "%s", error_text);
}

UNIT(tls_revocation, a_server_asks_the_lists_of_its_clients_issuers)
{
    const char *const names[] = {"listed", "listed-revoked"};
    for (size_t i = 0; i < 2; i++) {
        const struct weir_tls_options shown = revocation_server(names[i]);
        struct weir_tls_options client = revocation_client("with.listed");
        struct weir_tls_options server = revocation_server("good");
        server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        server.authorities = client.authorities;
        server.revocations = client.revocations;
        client.certificate = shown.certificate;
        client.key = shown.key;
        tls_pair_join(&pair, &client, &server, NULL);
        expect_eq(pair.server.engine.err, i == 0 ? 0 : WEIR_ETLSREVOKED);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_revocation, lists_where_nothing_is_verified_are_refused)
{
    struct weir_tls_options server = revocation_server("good");
    struct weir_tls_options client = revocation_client("authority");
    weir_tls_context *context = NULL;
    server.revocations = client.revocations;
    client.no_verify = true;
    expect_eq(weir_tls_context_new(&server, &context, NULL, 0), -EINVAL);
    expect_eq(weir_tls_context_new(&client, &context, NULL, 0), -EINVAL);
}

UNIT(tls_revocation, a_client_with_lists_resumes_no_session)
{
    const struct weir_tls_options server = revocation_server("good");
    struct weir_tls_options client = revocation_client("authority");
    for (size_t i = 0; i < 2; i++) {
        weir_tls_session *session = NULL;
        tls_pair_join(&pair, &client, &server, NULL);
        cr_assert_eq(wr_tls_session_get(&pair.client.engine, &session), 0);
        cr_assert_eq(wr_tls_session_use(session, pair.client.engine.context,
                                        "localhost") == NULL,
                     i == 0);
        weir_tls_session_unref(session);
        tls_pair_disconnect(&pair);
        client.revocations.file = NULL;
    }
}

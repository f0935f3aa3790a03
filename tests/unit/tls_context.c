/*
 * TLS contexts: what they are created from, how creation fails, and that their
 * engines verify each other.
 *
 * The certificates are those of tls_certificates.sh.
 */
#include "lib/tls/context/context.h"
#include "tests/tls/rig.h"
#include "tests/unit/tls_inner.h"

#include <errno.h>
#include <tests/have.h>

static char error_text[256];

static void context_refuse(const struct weir_tls_options *options, int err,
                           const char *text)
{
    weir_tls_context *context = NULL;
    expect_eq(
        weir_tls_context_new(options, &context, error_text, sizeof(error_text)),
        err);
    cr_assert_null(context);
    cr_assert_not_null(strstr(error_text, text), "%s", error_text);
}

static void context_refuse_alpn(const char *list)
{
    struct weir_tls_options options = tls_options(false);
    options.alpn = list;
    context_refuse(&options, -EINVAL, "alpn: ");
}

UNIT(tls_context, contexts_of_either_role_are_made_and_counted)
{
    weir_tls_context *server = tls_context_of(true, 0);
    weir_tls_context *client = tls_context_of(false, 0);

    cr_assert_eq(weir_tls_context_ref(server), server);
    tls_contexts_unref(server, server);
    weir_tls_context_unref(client);
    weir_tls_context_unref(NULL);
}

UNIT(tls_context, the_library_inside_is_named_with_its_source)
{
    struct weir_tls_library library = {0};

    expect_eq(weir_tls_get_library(NULL), -EINVAL);
    expect_eq(weir_tls_get_library(&library), WEIR_EOPTIONSIZE);
    library.size = sizeof(library);
    expect_eq(weir_tls_get_library(&library), 0);

    cr_assert_str_eq(library.name, wr_tls_backend_get()->name);
    cr_assert_str_eq(library.version, wr_tls_backend_get()->version());
#if WR_TESTS_OWN_WOLFSSL
    const size_t len = strlen(library.version);
    cr_assert_not_null(library.source, "tools/deps makes .deps/*.source");
    cr_assert_eq(strncmp(library.source, library.version, len), 0, "%s",
                 library.source);
#else
    cr_assert_null(library.source);
#endif
}

UNIT(tls_context, a_library_that_is_not_there_is_refused_by_name)
{
    struct weir_tls_options options = tls_options(false);
    const char *own = wr_tls_backend_get()->name;
    const bool is_openssl = strcmp(own, "OpenSSL") == 0;

    options.library = is_openssl ? "wolfssl" : "openssl";
    context_refuse(&options, -EOPNOTSUPP, "library: libweir-tls here is by ");
    cr_assert_not_null(strstr(error_text, own), "%s", error_text);
    cr_assert_not_null(strstr(error_text, options.library), "%s", error_text);
    options.library = "";
    context_refuse(&options, -EOPNOTSUPP, "not by \"\"");
    options.library = "OpenSSL 3";
    context_refuse(&options, -EOPNOTSUPP, "not by \"OpenSSL 3\"");

    weir_tls_context *context = NULL;
    options.library = is_openssl ? "openssl" : "wolfssl";
    expect_eq(weir_tls_context_new(&options, &context, NULL, 0), 0);
    weir_tls_context_unref(context);
}

UNIT(tls_context, fips_mode_is_refused_where_the_library_is_not_in_it)
{
    struct weir_tls_options options = tls_options(false);
    struct weir_tls_library library = {.size = sizeof(library)};
    weir_tls_context *context = NULL;

    expect_eq(weir_tls_get_library(&library), 0);
    options.fips = true;
    if (!library.fips) {
        context_refuse(&options, -EOPNOTSUPP, "fips: ");
        cr_assert_not_null(strstr(error_text, library.name), "%s", error_text);
    } else {
        expect_eq(weir_tls_context_new(&options, &context, NULL, 0), 0);
        weir_tls_context_unref(context);
    }
}

UNIT(tls_context, options_out_of_range_are_refused)
{
    struct weir_tls_options options = tls_options(false);
    weir_tls_context *context = NULL;
    options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    context_refuse(&options, -EINVAL, "client_auth: it is for servers: Inv");
    options = tls_options(false);
    options.min_version = WEIR_TLS_1_3;
    options.max_version = WEIR_TLS_1_2;
    context_refuse(&options, -EINVAL, "min_version: ");
    options = tls_options(false);
    options.min_version = WEIR_TLS_1_3 + 1;
    context_refuse(&options, -EINVAL, "min_version: ");
    options = tls_options(false);
    options.max_version = WEIR_TLS_1_3 + 1;
    context_refuse(&options, -EINVAL, "max_version: ");
    options = tls_options(false);
    context_refuse_alpn("");
    context_refuse_alpn(",");
    context_refuse_alpn("h2,");
    context_refuse_alpn(",h2");
    context_refuse_alpn("h2,,http/1.1");
    char alpn[257];
    memset(alpn, 'a', 256);
    alpn[256] = '\0';
    context_refuse_alpn(alpn);
    for (size_t i = 1; i < 66; i += 2) {
        alpn[i] = ',';
    }
    alpn[67] = '\0'; /* 34 names */
    context_refuse_alpn(alpn);
    options = tls_options(true);
    options.no_verify = true;
    context_refuse(&options, -EINVAL, "no_verify: ");
    options = tls_options(true);
    options.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    context_refuse(&options, -EINVAL, "Invalid"); /* no authority to trust */
    options =
        (struct weir_tls_options){.size = sizeof(options), .server = true};
    context_refuse(&options, -EINVAL, "Invalid");
    options.size = 0;
    context_refuse(&options, WEIR_EOPTIONSIZE, "The size of the options");
    options = tls_options(false);
    expect_eq(weir_tls_context_new(&options, NULL, NULL, 0), -EINVAL);
    options.alpn = "";
    expect_eq(weir_tls_context_new(&options, &context, NULL, 0), -EINVAL);
}

UNIT(tls_context, a_file_that_is_missing_is_told_from_one_that_is_wrong)
{
    struct weir_tls_options options = tls_options(true);
    options.certificate.file = tls_file("none.pem");
    context_refuse(&options, -ENOENT, "none.pem: No such file");
    options = tls_options(true);
    options.certificate.file = tls_file("ecdsa.key");
    context_refuse(&options, WEIR_ETLSFILE, "certificate: ");
    options = tls_options(true);
    options.key.file = tls_file("ca.pem");
    context_refuse(&options, WEIR_ETLSNOKEY, "key: ");
    options = tls_options(true);
    options.key.file = NULL;
    context_refuse(&options, WEIR_ETLSNOKEY, "key: ");
    options = tls_options(true);
    options.key.file = tls_file("rsa.key");
    context_refuse(&options, WEIR_ETLSMISMATCH, "");
    options = tls_options(false);
    options.authorities.file = tls_file("rsa.key");
    context_refuse(&options, WEIR_ETLSFILE, "authorities: ");
    options = tls_options(false);
    options.revocations.data = "no list";
    options.revocations.size = 7;
    context_refuse(&options, WEIR_ETLSFILE, "revocations: the text in memory");
    options = tls_options(false);
    options.key.file = tls_file("rsa.key");
    context_refuse(&options, WEIR_ETLSNOKEY, "without");
    options = tls_options(false);
    options.authorities = (struct weir_tls_pem){.data = "x"};
    context_refuse(&options, -EINVAL, "authorities");
}

static struct tls_pair pair;

static void context_connect_to(const char *name, bool no_check, int client,
                               int server)
{
    const struct wr_tls_peer_options how = {.server_hostname = name,
                                            .no_hostname_check = no_check};
    tls_pair_join(&pair, NULL, NULL, &how);
    tls_pair_end(&pair, client, server);
}

UNIT(tls_context, a_client_verifies_the_name_of_the_server)
{
    context_connect_to("localhost", false, 0, 0);
    context_connect_to("127.0.0.1", false, 0, 0);
    context_connect_to("::1", false, 0, 0);
    context_connect_to("example.org", false, WEIR_ETLSHOSTNAME, WEIR_ETLSALERT);
    context_connect_to("127.0.0.2", false, WEIR_ETLSHOSTNAME, WEIR_ETLSALERT);
    context_connect_to("example.org", true, 0, 0);
    context_connect_to(NULL, true, 0, 0);
}

UNIT(tls_context, a_client_without_a_name_is_refused)
{
    const struct wr_tls_peer_options how = {.server_hostname = ""};
    weir_tls_context *context = tls_context_of(false, 0);
    tls_account_open(&pair.account);

    expect_eq(wr_tls_engine_init(&pair.client.engine, context, &how,
                                 pair.account.known),
              -EINVAL);

    tls_account_close(&pair.account);
    weir_tls_context_unref(context);
}

UNIT(tls_context, a_client_trusts_the_authorities_it_was_given_alone)
{
    struct weir_tls_options client = tls_options(false);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    client.authorities.file = NULL;
    client.no_system_authorities = true;

    tls_pair_join(&pair, &client, NULL, &how);
    tls_pair_end(&pair, WEIR_ETLSISSUER, WEIR_ETLSALERT);

    client.no_verify = true;
    tls_pair_join(&pair, &client, NULL, &how);
    tls_pair_end(&pair, 0, 0);
}

UNIT(tls_context, the_certificates_of_a_server_are_kept)
{
    const struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    size_t size = 0;
    server.certificate.file = tls_file("rsa.pem");
    server.key.file = tls_file("rsa.key");

    tls_pair_join(&pair, &client, &server, &how);

    tls_pair_expect(&pair, 0, 0);
    const uint8_t *der =
        wr_tls_engine_get_peer_certificate(&pair.client.engine, 0, &size);
    cr_assert_not_null(der);
    expect_gt(size, 400);
    expect_eq(der[0], 0x30);
    tls_pair_disconnect(&pair);
}

UNIT(tls_context, a_server_verifies_its_clients_where_it_is_told_to)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    size_t size = 0;
    server.authorities.file = tls_file("ca.pem");
    server.client_auth = WEIR_TLS_CLIENT_AUTH_OPTIONAL;
    tls_pair_join(&pair, &client, &server, &how);
    tls_pair_end(&pair, 0, 0);

    server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    tls_pair_join(&pair, &client, &server, &how);
    tls_pair_end(&pair, WEIR_ETLSALERT, WEIR_ETLSNOCERT);

    client.certificate.file = tls_file("ecdsa.pem");
    client.key.file = tls_file("ecdsa.key");
    tls_pair_join(&pair, &client, &server, &how);
    tls_pair_expect(&pair, 0, 0);
    cr_assert_not_null(
        wr_tls_engine_get_peer_certificate(&pair.server.engine, 0, &size));
    tls_pair_disconnect(&pair);
}

static void context_expect_alpn(const char *own, const char *offered,
                                const char *agreed)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    const struct wr_tls_engine *const sides[] = {&pair.client.engine,
                                                 &pair.server.engine};
    server.alpn = own;
    client.alpn = offered;
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        client.max_version = (enum weir_tls_version)version;
        tls_pair_join(&pair, &client, &server, &how);
        tls_pair_expect(&pair, 0, 0);
        for (int i = 0; i < 2; i++) {
            size_t size = 0;
            const char *name = wr_tls_engine_get_alpn(sides[i], &size);
            expect_eq(size, strlen(agreed));
            cr_assert(size == 0 || memcmp(name, agreed, size) == 0);
        }
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_context, the_servers_order_of_protocols_decides)
{
    context_expect_alpn("h2,http/1.1", "http/1.1,h2", "h2");
    context_expect_alpn("http/1.1,h2", "h2,http/1.1", "http/1.1");
    context_expect_alpn("c,b,a", "a,b", "b");
    context_expect_alpn("h2,h", "http/1.1,h,h2x", "h");
    context_expect_alpn("a", "b,a", "a");
    context_expect_alpn("h2,http/1.1", NULL, "");
}

UNIT(tls_context, a_connection_does_not_write_to_a_session_that_others_read)
{
    struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = tls_context_of(false, 0);
    weir_tls_context *server = tls_context_of(true, 0);
    struct tls_side *side = &pair.client;
    struct wr_tls_known *session = NULL;
    tls_pair_connect(&pair, client, server, &how);
    expect_eq(wr_tls_engine_get_session(&side->engine, &session), 0);
    tls_pair_disconnect(&pair);

    how.session = session;
    tls_account_open(&pair.account);
    cr_assert_eq(tls_side_open(side, client, &how, &pair.account), 0);
    cr_assert_neq(tls_inner_session_of(&side->engine.conn),
                  (const void *)session);

    tls_side_close(side);
    tls_account_close(&pair.account);
    wr_tls_backend_get()->session_free(session);
    tls_contexts_unref(client, server);
}

/* Returns a server with three more certificates; the first one is for
 * localhost. */
static struct weir_tls_options
context_named_server(struct weir_tls_identity identities[3])
{
    static const char *const files[3][2] = {
        {"tls-matrix/good-wildcard.pem", "tls-matrix/good-wildcard.key"},
        {"tls-matrix/good-idna.pem", "tls-matrix/good-idna.key"},
        {"tls-matrix/other-name.pem", "tls-matrix/other-name.key"}};
    static const struct weir_tls_identity *all[3];
    struct weir_tls_options options = tls_options(true);
    for (int i = 0; i < 3; i++) {
        identities[i] = (struct weir_tls_identity){
            .size = sizeof(identities[i]),
            .certificate = {.file = tls_file("%s", files[i][0])},
            .key = {.file = tls_file("%s", files[i][1])},
        };
        all[i] = &identities[i];
    }
    options.identities = all;
    options.identity_count = 3;
    return options;
}

static void context_ask_for(const struct weir_tls_options *server,
                            const char *name, enum weir_tls_version version,
                            int client_err, int server_err)
{
    struct weir_tls_options client = tls_options(false);
    const struct wr_tls_peer_options how = {.server_hostname = name};
    client.max_version = version;
    client.authorities.file = strcmp(name, "localhost") == 0
                                  ? tls_file("ca.pem")
                                  : tls_file("tls-matrix/trusted.pem");
    tls_pair_join(&pair, &client, server, &how);
    tls_pair_end(&pair, client_err, server_err);
}

UNIT(tls_context, a_server_chooses_its_certificate_by_the_name)
{
    struct weir_tls_identity identities[3];
    struct weir_tls_options server = context_named_server(identities);
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        const enum weir_tls_version one = (enum weir_tls_version)version;
        context_ask_for(&server, "localhost", one, 0, 0);
        context_ask_for(&server, "www.example.org", one, 0, 0);
        context_ask_for(&server, "example.org", one, 0, 0);
        context_ask_for(&server, "XN--BCHER-KVA.example", one, 0, 0);
    }
}

UNIT(tls_context, a_certificate_by_name_may_have_another_kind_of_key)
{
    struct weir_tls_identity identities[3];
    struct weir_tls_options server = context_named_server(identities);
    server.certificate.file = tls_file("rsa.pem");
    server.key.file = tls_file("rsa.key");
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        const enum weir_tls_version one = (enum weir_tls_version)version;
        context_ask_for(&server, "localhost", one, 0, 0);
        context_ask_for(&server, "www.example.org", one, 0, 0);
    }
}

UNIT(tls_context, a_name_that_no_certificate_is_for_gets_the_first_or_an_alert)
{
    struct weir_tls_identity identities[3];
    struct weir_tls_options server = context_named_server(identities);
    struct weir_tls_options client = tls_options(false);
    const struct wr_tls_peer_options nameless = {.no_hostname_check = true};
    char longest[256];
    memset(longest, 'a', 255);
    longest[255] = '\0';
    for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
        struct wr_tls_peer_options how = {.server_hostname = "other.test",
                                          .no_hostname_check = true};
        client.max_version = (enum weir_tls_version)version;
        server.refuse_unknown_names = false;
        tls_pair_join(&pair, &client, &server, &how);
        tls_pair_end(&pair, 0, 0);

        server.refuse_unknown_names = true;
        tls_pair_join(&pair, &client, &server, &how);
        tls_pair_expect(&pair, WEIR_ETLSALERT, WEIR_ETLSNONAME);
        cr_assert_not_null(
            strstr(wr_tls_engine_get_error_text(&pair.client.engine),
                   "unrecognized_name"));
        tls_pair_disconnect(&pair);

        how.server_hostname = longest;
        tls_pair_join(&pair, &client, &server, &how);
        tls_pair_end(&pair, WEIR_ETLSALERT, WEIR_ETLSNONAME);

        tls_pair_join(&pair, &client, &server, &nameless);
        tls_pair_end(&pair, 0, 0);
    }
}

UNIT(tls_context, a_certificate_by_name_is_tried_when_the_context_is_made)
{
    struct weir_tls_identity identities[3];
    struct weir_tls_options options = context_named_server(identities);
    identities[2].key.file = tls_file("tls-matrix/good.key");
    context_refuse(&options, WEIR_ETLSMISMATCH, "good.key: ");
    identities[2].key.file = tls_file("tls-matrix/good.pem");
    context_refuse(&options, WEIR_ETLSNOKEY, "good.pem: ");
    identities[2].key.file = tls_file("tls-matrix/none.key");
    context_refuse(&options, -ENOENT, "none.key: ");
    identities[2].key.file = NULL;
    context_refuse(&options, WEIR_ETLSNOKEY, "other-name.pem: ");
    identities[2].certificate.file = tls_file("tls-matrix/good.key");
    context_refuse(&options, WEIR_ETLSFILE, "certificate: ");
    options = tls_options(true);
    options.identity_count = 1;
    context_refuse(&options, -EINVAL, "Invalid");
    options = tls_options(false);
    options.refuse_unknown_names = true;
    context_refuse(&options, -EINVAL, "Invalid");
}

/* Expects the name that a client requests for the name that it was given; NULL
 * is none. */
static void context_expect_asked(const char *given, const char *asked)
{
    static struct tls_pair asking;
    struct weir_tls_options client_options = tls_options(false);
    client_options.no_verify = true;
    weir_tls_context *client = tls_context(&client_options);
    weir_tls_context *server = tls_context_of(true, 0);
    const struct wr_tls_peer_options how = {.server_hostname = given};
    tls_pair_connect(&asking, client, server, &how);
    tls_pair_expect(&asking, 0, 0);
    const char *name = wr_tls_engine_get_sni(&asking.server.engine);
    expect_str_eq(name ? name : "none", asked ? asked : "none");
    tls_pair_disconnect(&asking);
    tls_contexts_unref(client, server);
}

UNIT(tls_context, a_client_asks_for_names_without_the_last_dot)
{
    context_expect_asked("localhost", "localhost");
    context_expect_asked("127.0.0.1", NULL);
    context_expect_asked("127.0.0.1.", NULL);
    context_expect_asked("::1", NULL);
    context_expect_asked("www.example.org.", "www.example.org");
}

UNIT(tls_context, a_client_asks_for_no_address_with_a_zone)
{
    context_expect_asked("fe80::1%eth0", NULL);
}

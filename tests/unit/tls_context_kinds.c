/*
 * A server has two certificates for one name, one with a key on a curve and one
 * with an RSA key: a client gets the one that it can use, by the suites and
 * schemes of its hello, in whichever order they are configured.
 *
 * The name is exact, a wildcard's, unknown, or missing. The libraries' clients
 * offer schemes for both kinds of key, so their hellos are changed on the wire.
 * The server's connection has a table whose show() records the choice. If the
 * handshake succeeds, the client has that certificate, too.
 */
#include "lib/tls/context/context_impl.h"
#include "tests/tls/rig.h"

enum { KINDS_SCHEMES = 13, KINDS_RECORD = 5 };

static struct tls_pair pair;
static struct wr_tls_backend noting; /* the library's, with another show() */
static const struct wr_tls_credential
    *shown; /* NULL means the first certificate */

static int kinds_show(struct wr_tls_conn *conn,
                      struct wr_tls_credential *credential, const char *suites)
{
    shown = credential;
    return wr_tls_backend_get()->show(conn, credential, suites);
}

/* Opens a pair whose client has put its hello on the wire. */
static void kinds_open(weir_tls_context *client, weir_tls_context *server,
                       const char *host)
{
    const struct wr_tls_peer_options how = {.server_hostname = host};

    shown = NULL;
    noting = *wr_tls_backend_get();
    noting.show = kinds_show;
    tls_pair_open(&pair, client, server, &how);
    pair.server.engine.conn.backend = &noting;
    tls_side_step(&pair.client);
}

/* The names of files: two certificates for a name, one for each kind of key. */
struct kinds_files {
    const char *curve;
    const char *rsa;
};

static const struct kinds_files plain_files = {"ecdsa", "rsa"};
static const struct kinds_files wild_files = {"tls-matrix/good-wildcard",
                                              "tls-matrix/good-wildcard-rsa"};

static struct weir_tls_identity kinds_identity(const char *name)
{
    return (struct weir_tls_identity){
        .size = sizeof(struct weir_tls_identity),
        .certificate = {.file = tls_file("%s.pem", name)},
        .key = {.file = tls_file("%s.key", name)},
    };
}

/* Returns a server with both kinds for localhost, then both for a wildcard. */
static weir_tls_context *kinds_server(bool is_rsa_first)
{
    const struct weir_tls_identity all[] = {
        kinds_identity(is_rsa_first ? plain_files.rsa : plain_files.curve),
        kinds_identity(is_rsa_first ? plain_files.curve : plain_files.rsa),
        kinds_identity(is_rsa_first ? wild_files.rsa : wild_files.curve),
        kinds_identity(is_rsa_first ? wild_files.curve : wild_files.rsa),
    };
    const struct weir_tls_identity *others[] = {&all[1], &all[2], &all[3]};
    struct weir_tls_options options = tls_options(true);
    options.certificate = all[0].certificate;
    options.key = all[0].key;
    options.identities = others;
    options.identity_count = 3;
    return tls_context(&options);
}

struct kinds_host {
    const char *name;   /* NULL if the client requests none */
    size_t first_index; /* of the two certificates for it */
};

static const struct kinds_host hosts[] = {
    {"localhost", 0},
    {NULL, 0},
    {"unknown.example", 0},
    {"www.example.org", 2},
};

#define KINDS_HOSTS (sizeof(hosts) / sizeof(*hosts))

/* Expects the certificate with this kind of key; a connection uses the first of
 * all by default. */
static const struct wr_tls_identity *
kinds_expect(const weir_tls_context *server, const struct kinds_host *host,
             bool is_rsa, bool is_rsa_first)
{
    const size_t index = host->first_index + (is_rsa != is_rsa_first);
    const struct wr_tls_identity *identity = &server->identities[index];

    expect_eq(identity->is_rsa, is_rsa);
    cr_assert_eq(shown, index == 0 ? NULL : identity->credential,
                 "%s; rsa: %d, %d", host->name ? host->name : "no name", is_rsa,
                 is_rsa_first);
    return identity;
}

static void kinds_expect_peer(const struct wr_tls_identity *identity)
{
    size_t size = 0;
    const void *leaf =
        wr_tls_engine_get_peer_certificate(&pair.client.engine, 0, &size);

    cr_assert_not_null(leaf);
    expect_eq(size, identity->leaf.der.size);
    cr_assert_arr_eq(leaf, identity->leaf.der.data, size);
}

static weir_tls_context *kinds_client(const char *ciphers)
{
    struct weir_tls_options options = tls_options(false);
    options.authorities.file = NULL;
    options.no_verify = true;
    options.ciphers = ciphers;
    return tls_context(&options);
}

static void kinds_connect_old(bool is_rsa, bool is_rsa_first)
{
    weir_tls_context *server = kinds_server(is_rsa_first);
    weir_tls_context *client =
        kinds_client(is_rsa ? "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
                            : "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    for (size_t i = 0; i < KINDS_HOSTS; i++) {
        kinds_open(client, server, hosts[i].name);
        tls_pair_exchange(&pair, 0);
        tls_pair_expect(&pair, 0, 0);
        (void)kinds_expect(server, &hosts[i], is_rsa, is_rsa_first);
        tls_pair_disconnect(&pair);
    }
    tls_contexts_unref(client, server);
}

UNIT(tls_context_kinds, a_client_of_tls_1_2_gets_a_certificate_for_its_suites)
{
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
        kinds_connect_old(is_rsa, false);
        kinds_connect_old(is_rsa, true);
    }
}

static size_t kinds_number(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* Returns the schemes of the hello on the client's wire, after their length. */
static uint8_t *kinds_find_schemes(size_t *ret)
{
    uint8_t *at = pair.client.wire + KINDS_RECORD + 4 + 2 + 32;
    const uint8_t *end = pair.client.wire + pair.client.wire_len;
    at += 1 + at[0];
    at += 2 + kinds_number(at);
    at += 1 + at[0] + 2;
    while (at < end && kinds_number(at) != KINDS_SCHEMES) {
        at += 4 + kinds_number(at + 2);
    }
    cr_assert_lt(at, end);
    *ret = kinds_number(at + 4);
    return at + 6;
}

/* Replaces schemes for the other kind of key by invented ones. */
static void kinds_limit_schemes(bool is_rsa)
{
    size_t size = 0;
    uint8_t *schemes = kinds_find_schemes(&size);
    for (size_t at = 0; at < size; at += 2) {
        const size_t number = kinds_number(schemes + at);
        const bool is_of_rsa = (number & 0xff) == 1 || number >> 8 == 8;
        if (is_of_rsa != is_rsa) {
            schemes[at] = schemes[at + 1] = 0x0a;
        }
    }
}

static void kinds_connect(bool is_rsa, bool is_rsa_first)
{
    weir_tls_context *server = kinds_server(is_rsa_first);
    weir_tls_context *client = kinds_client(NULL);
    for (size_t i = 0; i < KINDS_HOSTS; i++) {
        kinds_open(client, server, hosts[i].name);
        kinds_limit_schemes(is_rsa);
        tls_pair_move(&pair.client, &pair.server, 0);
        expect_gt(pair.server.wire_len, 0);
        expect_eq(pair.server.engine.err, 0, "%s",
                  wr_tls_engine_get_error_text(&pair.server.engine));
        (void)kinds_expect(server, &hosts[i], is_rsa, is_rsa_first);
        tls_pair_disconnect(&pair);
    }
    tls_contexts_unref(client, server);
}

UNIT(tls_context_kinds, a_client_of_tls_1_3_gets_a_certificate_for_its_schemes)
{
    for (int is_rsa = 0; is_rsa < 2; is_rsa++) {
        kinds_connect(is_rsa, false);
        kinds_connect(is_rsa, true);
    }
}

/* A client that can use both gets the first one. */
UNIT(tls_context_kinds, the_order_of_the_certificates_decides_between_both)
{
    for (int is_rsa_first = 0; is_rsa_first < 2; is_rsa_first++) {
        for (int version = 12; version <= 13; version++) {
            weir_tls_context *server = kinds_server(is_rsa_first);
            weir_tls_context *client = tls_context_of(false, version);
            kinds_open(client, server, hosts[0].name);
            tls_pair_exchange(&pair, 0);
            tls_pair_expect(&pair, 0, 0);
            kinds_expect_peer(
                kinds_expect(server, &hosts[0], is_rsa_first, is_rsa_first));
            tls_pair_disconnect(&pair);
            tls_contexts_unref(client, server);
        }
    }
}

/* A client without a name does not learn about other names. */
UNIT(tls_context_kinds, a_client_without_a_name_gets_none_of_another_name)
{
    const struct weir_tls_identity other = kinds_identity(wild_files.rsa);
    const struct weir_tls_identity *others[] = {&other};
    struct weir_tls_options options = tls_options(true);
    options.identities = others;
    options.identity_count = 1;
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client =
        kinds_client("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    kinds_open(client, server, NULL);
    tls_pair_exchange(&pair, 0);
    tls_pair_expect(&pair, WEIR_ETLSALERT, WEIR_ETLSCIPHER);
    cr_assert_null(shown);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

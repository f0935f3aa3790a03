/*
 * Of a server's certificates for one name, one with a key on a curve and one
 * with an RSA key, a client gets the one that it can use: by the suites and
 * schemes of its hello, whichever comes first, with a name, with a wildcard's,
 * with one that no certificate is for, and without a name.
 *
 * wolfSSL's clients offer all schemes, so they are changed on the wire, as far
 * as the server's choice, which is seen as the program is linked so that
 * wolfSSL_use_certificate_chain_buffer() comes here.
 */
#include "lib/tls/context/offer.h"
#include "tests/tls/rig.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

enum { KINDS_SCHEMES = 13, KINDS_FILE_MAX = 8 << 10, KINDS_RECORD = 5 };

static struct tls_pair pair;
static const unsigned char *chain_shown; /* NULL: the first certificate */
static size_t chain_size;

int __real_wolfSSL_use_certificate_chain_buffer(WOLFSSL *ssl,
                                                const unsigned char *data,
                                                long size);
int __wrap_wolfSSL_use_certificate_chain_buffer(WOLFSSL *ssl,
                                                const unsigned char *data,
                                                long size);

int __wrap_wolfSSL_use_certificate_chain_buffer(WOLFSSL *ssl,
                                                const unsigned char *data,
                                                long size)
{
    chain_shown = data;
    chain_size = (size_t)size;
    return __real_wolfSSL_use_certificate_chain_buffer(ssl, data, size);
}

/* ---- servers ---- */

/* The names of files: a pair for a name, each of one kind of key. */
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

/* Both kinds for localhost, then both for a wildcard. */
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

/* ---- the choice ---- */

static bool kinds_is_file(const char *name)
{
    static uint8_t text[KINDS_FILE_MAX];
    const size_t size =
        tls_file_read(tls_file("%s.pem", name), text, sizeof(text));
    return chain_shown && size == chain_size &&
           memcmp(text, chain_shown, size) == 0;
}

/* The certificate of the files with this kind of key was shown; nothing is
 * installed where it is the first of all. */
static void kinds_expect(const struct kinds_files *files, bool is_rsa,
                         bool is_rsa_first)
{
    if (files == &plain_files && is_rsa == is_rsa_first) {
        cr_assert_null(chain_shown);
        return;
    }
    cr_assert(kinds_is_file(is_rsa ? files->rsa : files->curve), "rsa: %d, %d",
              is_rsa, is_rsa_first);
}

struct kinds_host {
    const char *name; /* NULL: the client asks for none */
    const struct kinds_files *files;
};

static const struct kinds_host hosts[] = {
    {"localhost", &plain_files},
    {NULL, &plain_files},
    {"unknown.example", &plain_files},
    {"www.example.org", &wild_files},
};

#define KINDS_HOSTS (sizeof(hosts) / sizeof(*hosts))

/* ---- TLS 1.2: by suites ---- */

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
        const struct wr_tls_peer_options how = {.server_hostname =
                                                    hosts[i].name};
        chain_shown = NULL;
        tls_pair_connect(&pair, client, server, &how);
        tls_pair_expect(&pair, 0, 0);
        kinds_expect(hosts[i].files, is_rsa, is_rsa_first);
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

/* ---- TLS 1.3: by schemes ---- */

static size_t kinds_number(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* The schemes of the hello on the client's wire, behind their length. */
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

/* Schemes for the other kind of key become some that are made up. */
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
        const struct wr_tls_peer_options how = {.server_hostname =
                                                    hosts[i].name};
        chain_shown = NULL;
        tls_pair_open(&pair, client, server, &how);
        tls_side_step(&pair.client);
        kinds_limit_schemes(is_rsa);
        tls_pair_move(&pair.client, &pair.server, 0);
        expect_gt(pair.server.wire_len, 0);
        expect_eq(wr_tls_engine_get_error(&pair.server.engine), 0, "%s",
                  wr_tls_engine_get_error_text(&pair.server.engine));
        kinds_expect(hosts[i].files, is_rsa, is_rsa_first);
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
            const struct wr_tls_peer_options how = {.server_hostname =
                                                        "localhost"};
            weir_tls_context *server = kinds_server(is_rsa_first);
            weir_tls_context *client = tls_context_of(false, version);
            chain_shown = NULL;
            tls_pair_connect(&pair, client, server, &how);
            tls_pair_end(&pair, 0, 0);
            cr_assert_null(chain_shown);
            tls_contexts_unref(client, server);
        }
    }
}

/* Who asks for nothing does not learn of another name. */
UNIT(tls_context_kinds, a_client_without_a_name_gets_none_of_another_name)
{
    const struct weir_tls_identity other = kinds_identity(wild_files.rsa);
    const struct weir_tls_identity *others[] = {&other};
    struct weir_tls_options options = tls_options(true);
    const struct wr_tls_peer_options how = {.server_hostname = NULL};
    options.identities = others;
    options.identity_count = 1;
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client =
        kinds_client("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
    chain_shown = NULL;
    tls_pair_connect(&pair, client, server, &how);
    tls_pair_expect(&pair, WEIR_ETLSALERT, WEIR_ETLSCIPHER);
    cr_assert_null(chain_shown);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

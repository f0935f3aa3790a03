/*
 * Forged certificates and lists (tls_forge.h) are refused by weir itself.
 *
 * Here the library accepts every certificate (tls_unasked.h), so that its own
 * checks do not help, or it does not call weir at all.
 */
#include "lib/tls/context/pem.h"
#include "lib/x509/certificate.h"
#include "tests/tls/rig.h"
#include "tests/unit/tls_forge.h"
#include "tests/unit/tls_unasked.h"

#define FORGED_TEXT_MAX (16u << 10)

static struct tls_pair pair;

/* Loads the first block of a file. The caller frees the bytes. */
static struct wr_bytes forged_load(const char *path, const char *label)
{
    static uint8_t text[FORGED_TEXT_MAX];
    struct wr_bytes der;
    const size_t size = tls_file_read(path, text, sizeof(text));
    struct wr_bytes rest = {.data = text, .size = size};
    cr_assert_eq(wr_tls_pem_next(&rest, label, &der), 1);
    return der;
}

static struct wr_bytes forged_certificate(const char *authority,
                                          const char *part)
{
    return forged_load(tls_file("tls-matrix/%s%s.crt", authority, part),
                       "CERTIFICATE");
}

static void forged_drop(struct wr_bytes der)
{
    free((void *)(uintptr_t)der.data);
}

/* Returns the key of an authority, as DER. */
static struct wr_bytes forged_key_of(struct wr_bytes der)
{
    struct wr_x509 x509;
    cr_assert_eq(wr_x509_read(&x509, der.data, der.size), 0);
    return x509.key_info;
}

static const struct tls_forge_algorithm forged_algorithms[] = {
    {"Ed25519", 5, {0x06, 3, 0x2b, 0x65, 112}},
    {"Ed448", 5, {0x06, 3, 0x2b, 0x65, 113}},
    {"ECDSA", 10, {0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02}},
    {"RSA",
     13,
     {0x06, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0}},
};

/* Twelve forged certificates: each kind of key with three algorithms of another
 * kind. */
static const struct forged_row {
    const char *authority;
    size_t algorithms[3];
} forged_rows[] = {
    {"kind-p256", {0, 1, 3}},
    {"kind-p384", {0, 1, 3}},
    {"kind-p521", {0, 1, 3}},
    {"kind-rsa", {0, 1, 2}},
};

#define FORGED_ROWS (sizeof(forged_rows) / sizeof(*forged_rows))

/* How a row is sent. */
struct forged_way {
    bool is_middle; /* the issuer is forged, not the leaf */
    bool to_client;
    enum weir_tls_version version;
};

/* Writes the chain to send. @algorithm NULL means that nothing is forged. */
static size_t forged_write(const char *authority, bool is_middle,
                           const struct tls_forge_algorithm *algorithm,
                           char *text)
{
    const struct wr_bytes root = forged_certificate(authority, "");
    const struct wr_bytes good =
        forged_certificate(authority, is_middle ? ".middle" : ".leaf");
    struct wr_bytes top = good;
    size_t size = 0;
    if (algorithm) {
        top = tls_forge(good, algorithm, forged_key_of(root));
        forged_drop(good);
    }
    if (is_middle) {
        const struct wr_bytes leaf = forged_certificate(authority, ".below");
        size = tls_forge_pem(leaf, "CERTIFICATE", text, size, FORGED_TEXT_MAX);
        forged_drop(leaf);
    }
    size = tls_forge_pem(top, "CERTIFICATE", text, size, FORGED_TEXT_MAX);
    forged_drop(top);
    forged_drop(root);
    return size;
}

/* Sends a chain. Returns the verifier's error. */
static int forged_show(const char *authority, const char *text, size_t size,
                       const struct forged_way *way)
{
    const struct weir_tls_pem roots = {
        .file = tls_file("tls-matrix/%s.pem", authority)};
    const struct weir_tls_pem shown = {.data = (const void *)text,
                                       .size = size};
    const struct weir_tls_pem key = {
        .file = tls_file("tls-matrix/%s.%s.key", authority,
                         way->is_middle ? "below" : "leaf")};
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    client.max_version = way->version;
    if (way->to_client) {
        client.authorities = roots;
        server.certificate = shown;
        server.key = key;
    } else {
        client.certificate = shown;
        client.key = key;
        server.authorities = roots;
        server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    }
    tls_pair_join(&pair, &client, &server, NULL);
    const struct wr_tls_engine *judge =
        way->to_client ? &pair.client.engine : &pair.server.engine;
    const int err = judge->err;
    if (err < 0) {
        expect_eq(judge->alert_sent, 42, "%s",
                  wr_tls_engine_get_error_text(judge));
    }
    tls_pair_disconnect(&pair);
    return err;
}

/* Sends every forged chain in one way, and the valid one that it is made from.
 */
static void forged_refuse_all(const struct forged_way *way)
{
    static char text[FORGED_TEXT_MAX];
    for (size_t i = 0; i < FORGED_ROWS; i++) {
        const struct forged_row *row = &forged_rows[i];
        size_t size = forged_write(row->authority, way->is_middle, NULL, text);
        expect_eq(forged_show(row->authority, text, size, way), 0);
        for (size_t j = 0; j < 3; j++) {
            const struct tls_forge_algorithm *algorithm =
                &forged_algorithms[row->algorithms[j]];
            size =
                forged_write(row->authority, way->is_middle, algorithm, text);
            const int err = forged_show(row->authority, text, size, way);
            cr_assert(err == WEIR_ETLSBADCERT || err == WEIR_ETLSWEAK,
                      "%s by %s: %s", row->authority, algorithm->name,
                      weir_err_name(err));
        }
    }
}

UNIT(tls_forged, a_client_refuses_a_leaf_of_another_algorithm_than_its_issuers)
{
    forged_refuse_all(
        &(struct forged_way){.to_client = true, .version = WEIR_TLS_1_3});
    forged_refuse_all(
        &(struct forged_way){.to_client = true, .version = WEIR_TLS_1_2});
}

UNIT(tls_forged, a_server_refuses_a_leaf_of_another_algorithm_than_its_issuers)
{
    forged_refuse_all(&(struct forged_way){.version = WEIR_TLS_1_3});
    forged_refuse_all(&(struct forged_way){.version = WEIR_TLS_1_2});
}

UNIT(tls_forged, a_client_refuses_an_issuer_of_another_algorithm)
{
    forged_refuse_all(&(struct forged_way){
        .is_middle = true, .to_client = true, .version = WEIR_TLS_1_3});
    forged_refuse_all(&(struct forged_way){
        .is_middle = true, .to_client = true, .version = WEIR_TLS_1_2});
}

UNIT(tls_forged, a_server_refuses_an_issuer_of_another_algorithm)
{
    forged_refuse_all(
        &(struct forged_way){.is_middle = true, .version = WEIR_TLS_1_3});
    forged_refuse_all(
        &(struct forged_way){.is_middle = true, .version = WEIR_TLS_1_2});
}

/* Connects while weir is not called; both have the same chain, or the client
 * has none. Returns the error of the verifying side. */
static int forged_connect_unasked(enum weir_tls_version version,
                                  enum weir_tls_client_auth auth,
                                  bool has_certificate)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    const bool to_client = auth == WEIR_TLS_CLIENT_AUTH_NONE;
    client.min_version = client.max_version = version;
    client.no_verify = !to_client;
    server.client_auth = auth;
    if (!to_client) {
        server.authorities.file = tls_file("ca.pem");
        client.authorities.file = NULL;
    }
    if (has_certificate) {
        client.certificate = server.certificate;
        client.key = server.key;
    }
    tls_pair_join(&pair, &client, &server, NULL);
    const int err = to_client ? pair.client.engine.err : pair.server.engine.err;
    tls_pair_disconnect(&pair);
    return err;
}

UNIT(tls_forged, a_handshake_that_ends_without_a_verdict_is_refused)
{
    static const struct {
        enum weir_tls_client_auth auth;
        bool has_certificate;
    } rows[] = {
        {WEIR_TLS_CLIENT_AUTH_NONE, false},
        {WEIR_TLS_CLIENT_AUTH_REQUIRED, true},
        {WEIR_TLS_CLIENT_AUTH_OPTIONAL, true},
        {WEIR_TLS_CLIENT_AUTH_OPTIONAL, false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (int version = WEIR_TLS_1_2; version <= WEIR_TLS_1_3; version++) {
            for (int silent = 0; silent < 2; silent++) {
                /* A TLS 1.2 server needs the key from the verdict before. */
                const bool signs =
                    rows[i].has_certificate && version == WEIR_TLS_1_2;
                const bool is_good = i + 1 == sizeof(rows) / sizeof(*rows) &&
                                     !tls_asks_about_none;
                tls_is_unasked = silent;
                expect_eq(forged_connect_unasked((enum weir_tls_version)version,
                                                 rows[i].auth,
                                                 rows[i].has_certificate),
                          !silent || is_good ? 0
                          : signs            ? WEIR_ETLSPROTOCOL
                                             : WEIR_ETLSBADCERT,
                          "row %zu, %d", i, version);
            }
            tls_is_unasked = false;
        }
    }
}

/* Checks that the rows above are as intended. */
UNIT(tls_forged, a_signature_by_a_curve_is_good_where_nothing_is_hashed)
{
    for (size_t i = 0; i < FORGED_ROWS; i++) {
        const char *authority = forged_rows[i].authority;
        const struct wr_bytes root = forged_certificate(authority, "");
        const struct wr_bytes good = forged_certificate(authority, ".leaf");
        const struct wr_bytes forged =
            tls_forge(good, &forged_algorithms[0], forged_key_of(root));
        const bool is_rsa = strcmp(authority, "kind-rsa") == 0;
        expect_eq(tls_forge_is_over_nothing(forged, forged_key_of(root)),
                  !is_rsa);
        cr_assert_not(tls_forge_is_over_nothing(good, forged_key_of(root)));
        forged_drop(root);
        forged_drop(good);
        forged_drop(forged);
    }
}

static void forged_refuse_list(const char *authority, struct wr_bytes der,
                               int expected)
{
    static char text[FORGED_TEXT_MAX];
    char why[512] = "";
    weir_tls_context *context = NULL;
    struct weir_tls_options options = tls_options(false);
    options.authorities.file = tls_file("tls-matrix/%s.pem", authority);
    options.revocations.data = (const void *)text;
    options.revocations.size =
        tls_forge_pem(der, "X509 CRL", text, 0, sizeof(text));
    const int err = weir_tls_context_new(&options, &context, why, sizeof(why));
    expect_eq(err, expected, "%s", why);
    if (err == 0) {
        weir_tls_context_unref(context);
    } else {
        cr_assert(strstr(why, "signed"), "%s", why);
    }
}

UNIT(tls_forged, a_list_of_another_algorithm_than_its_issuers_is_refused)
{
    for (size_t i = 0; i < FORGED_ROWS; i++) {
        const struct forged_row *row = &forged_rows[i];
        const struct wr_bytes root = forged_certificate(row->authority, "");
        const struct wr_bytes good = forged_load(
            tls_file("tls-matrix/%s.crl", row->authority), "X509 CRL");
        forged_refuse_list(row->authority, good, 0);
        for (size_t j = 0; j < 3; j++) {
            const struct wr_bytes forged =
                tls_forge(good, &forged_algorithms[row->algorithms[j]],
                          forged_key_of(root));
            forged_refuse_list(row->authority, forged, WEIR_ETLSFILE);
            forged_drop(forged);
        }
        forged_drop(root);
        forged_drop(good);
    }
}

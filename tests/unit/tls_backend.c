/*
 * Requirements for each TLS backend, by the table of lib/tls/backend/backend.h:
 * handshakes of both versions, certificates of both sides, tickets, ends, keys,
 * errors and their alerts.
 *
 * All pairs of backends of the build are tested.
 */
#include "lib/tls/openssl/openssl.h"
#include "tests/unit/tls_backend_rig.h"

#include <errno.h>
#include <weir/error.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

static struct backend_pair pair;

/* Options of a client and of a server; a test changes some. */
static struct backend_options by_client;
static struct backend_options by_server;

static const struct wr_tls_backend *backend_of(const struct backend_side *side)
{
    return side->conn.backend;
}

/* The backends of both sides; NULL means OpenSSL. */
static const struct wr_tls_backend *of_client;
static const struct wr_tls_backend *of_server;

static void options_reset(int version)
{
    by_client = (struct backend_options){.backend = of_client,
                                         .version = version,
                                         .verifies = true,
                                         .name = "localhost"};
    by_server = (struct backend_options){
        .backend = of_server, .version = version, .certificate = "ecdsa"};
}

static bool is_other(const struct wr_tls_backend *backend)
{
    return backend && backend != &wr_tls_openssl;
}

static void pair_open(void)
{
    backend_pair_open(&pair, &by_client, &by_server);
}

/* Runs a body with both versions. */
static void each_version(void (*body)(int version))
{
    body(12);
    body(13);
}

#define BOTH(name)                                                             \
    static void name##_by(int version);                                        \
    UNIT(tls_backend, name)                                                    \
    {                                                                          \
        each_version(name##_by);                                               \
    }                                                                          \
    static void name##_by(int version)

/* Runs a body with each pair of this build's backends, including mixed ones. */
static void each_pair(void (*body)(int version))
{
    const struct wr_tls_backend *other = backend_other();
    for (int i = 0; i < (other ? 4 : 1); i++) {
        of_client = i & 1 ? other : NULL;
        of_server = i & 2 ? other : NULL;
        each_version(body);
    }
    of_client = of_server = NULL;
}

#define PAIRS(name)                                                            \
    static void name##_by(int version);                                        \
    UNIT(tls_backend, name)                                                    \
    {                                                                          \
        each_pair(name##_by);                                                  \
    }                                                                          \
    static void name##_by(int version)

/* Expects that the handshake fails: on @side with a code, and with the alert on
 * both. */
static void expect_failure(struct backend_side *side, int code, int alert)
{
    struct backend_side *other =
        side == &pair.server ? &pair.client : &pair.server;
    int received = -1;
    int sent = -1;

    backend_step(&pair.client);
    backend_exchange(&pair);
    expect_eq(side->result, WR_TLS_STEP_FAILED);
    expect_eq(side->conn.code, code, "%s",
              backend_of(side)->text_of(side->conn.number));
    backend_of(side)->get_alerts(&side->conn, &received, &sent);
    expect_eq(received, -1);
    expect_eq(sent, alert);
    expect_eq(other->result, WR_TLS_STEP_FAILED);
    expect_eq(other->conn.code, WEIR_ETLSALERT);
    backend_of(other)->get_alerts(&other->conn, &received, &sent);
    expect_eq(received, alert);
    backend_pair_close(&pair);
}

PAIRS(a_handshake_agrees_on_everything)
{
    static const char *const names[] = {"ecdsa", "rsa", "rsa3072", "rsapss"};
    /* wolfSSL has none for RSASSA-PSS alone. */
    const size_t count = is_other(of_client) || is_other(of_server) ? 3 : 4;
    for (size_t i = 0; i < count; i++) {
        options_reset(version);
        by_server.certificate = names[i];
        by_client.protocols = "other,h2,http/1.1";
        by_server.protocols = "h2";
        pair_open();
        backend_connect(&pair);

        const struct backend_side *sides[] = {&pair.client, &pair.server};
        for (size_t k = 0; k < 2; k++) {
            const struct wr_tls_conn *conn = &sides[k]->conn;
            size_t len = 0;
            expect_eq(conn->backend->get_version(conn),
                      version == 12 ? WR_TLS_VERSION_1_2 : WR_TLS_VERSION_1_3);
            expect_eq(conn->backend->get_group(conn), 29);
            expect_eq(conn->backend->was_resumed(conn), false);
            const char *protocol = conn->backend->get_protocol(conn, &len);
            expect_eq(len, 2);
            expect_eq(memcmp(protocol, "h2", 2), 0);
        }
        expect_eq(backend_of(&pair.client)->get_suite(&pair.client.conn),
                  backend_of(&pair.server)->get_suite(&pair.server.conn));
        expect_str_eq(backend_of(&pair.server)->get_name(&pair.server.conn),
                      "localhost");
        expect_eq(pair.client.judged, 1);
        expect_eq(pair.client.chain_count, 1);
        expect_gt(pair.client.leaf_size, 200);
        backend_pass(&pair, false, "ping", 4);
        backend_pass(&pair, true, "pong!", 5);
        backend_pair_close(&pair);
    }
}

/* Expects one signature for each side that sends its certificate, with the salt
 * and the mask of TLS. */
static void expect_signed(const struct backend_side *side, int version)
{
    const struct wr_x509_signature_kind *kind = &side->signer.kind;
    const bool is_rsa = strncmp(side->options.certificate, "rsa", 3) == 0;
    expect_eq(side->signer.count, 1);
    expect_eq(kind->key, is_rsa ? WR_X509_KEY_RSA : WR_X509_KEY_CURVE);
    expect_neq(kind->hash, WR_X509_HASH_NONE);
    expect_leq(kind->is_pss, is_rsa);
    expect_geq(kind->is_pss, is_rsa && version == 13);
    expect_eq(kind->mask, kind->is_pss ? kind->hash : WR_X509_HASH_NONE);
    expect_eq(kind->salt_size > 0, kind->is_pss);
}

PAIRS(a_signer_signs_for_keys_that_are_elsewhere)
{
    static const char *const names[] = {"ecdsa", "rsa", "rsa3072"};
    const size_t count =
        backend_can_sign(of_client, "rsa") && backend_can_sign(of_server, "rsa")
            ? sizeof(names) / sizeof(*names)
            : 1;
    for (size_t i = 0; i < count; i++) {
        options_reset(version);
        by_server.certificate = names[i];
        by_client.certificate = names[count - 1 - i];
        by_server.is_outside = by_client.is_outside = true;
        by_server.verifies = by_server.demands = true;
        pair_open();
        backend_connect(&pair);
        backend_pass(&pair, false, "ping", 4);
        expect_signed(&pair.server, version);
        expect_signed(&pair.client, version);
        backend_pair_close(&pair);
    }
}

PAIRS(a_signer_that_fails_ends_the_handshake)
{
    options_reset(version);
    by_server.is_outside = true;
    pair_open();
    pair.server.signer.fails = true;
    backend_step(&pair.client);
    backend_exchange(&pair);
    expect_eq(pair.server.result, WR_TLS_STEP_FAILED);
    expect_eq(pair.server.conn.code, WEIR_ETLSSIGN);
    expect_eq(pair.server.signer.count, 1);
    if (!is_other(of_server)) { /* otherwise weir sends the alert */
        expect_eq(pair.client.result, WR_TLS_STEP_FAILED);
        expect_eq(pair.client.conn.code, WEIR_ETLSALERT);
    }
    backend_pair_close(&pair);
}

static int never_sign(struct wr_tls_signer *signer,
                      const struct wr_x509_signature_kind *kind,
                      struct wr_bytes hash, uint8_t *ret, size_t size)
{
    cr_assert(false, "it is asked for a signature that TLS does not have");
    return -EIO;
}

static EVP_PKEY *read_public_key(const char *name)
{
    char path[4096];
    backend_file(name, "pub", path, sizeof(path));
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    EVP_PKEY *key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
    fclose(file);
    return key;
}

UNIT(tls_backend, a_key_elsewhere_makes_signatures_of_tls_alone)
{
    static const int salts[] = {20, RSA_PSS_SALTLEN_AUTO, RSA_PSS_SALTLEN_MAX};
    struct wr_tls_signer signer = {.sign = never_sign};
    expect_eq(wr_tls_openssl.start(), 0);
    EVP_PKEY *shown = read_public_key("rsa");
    EVP_PKEY *key = wr_openssl_signer_key(shown, &signer);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *job = NULL;
    uint8_t signature[512];

    cr_assert_not_null(key);
    expect_eq(
        EVP_DigestSignInit_ex(md, &job, "SHA2-256", NULL, NULL, key, NULL), 1);
    expect_eq(EVP_PKEY_CTX_set_rsa_padding(job, RSA_PKCS1_PSS_PADDING), 1);
    for (size_t i = 0; i < sizeof(salts) / sizeof(*salts); i++) {
        size_t size = sizeof(signature);
        expect_eq(EVP_PKEY_CTX_set_rsa_pss_saltlen(job, RSA_PSS_SALTLEN_DIGEST),
                  1);
        expect_leq(EVP_PKEY_CTX_set_rsa_pss_saltlen(job, salts[i]), 0);
        expect_neq(EVP_DigestSign(md, signature, &size, signature, 32), 1);
    }
    expect_leq(EVP_PKEY_CTX_set_rsa_padding(job, RSA_NO_PADDING), 0);
    EVP_MD_CTX_free(md);
    md = EVP_MD_CTX_new();
    expect_neq(
        EVP_DigestSignInit_ex(md, NULL, "SHA2-224", NULL, NULL, key, NULL), 1);
    ERR_clear_error();
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    EVP_PKEY_free(shown);
}

PAIRS(a_handshake_works_byte_by_byte)
{
    options_reset(version);
    pair_open();
    pair.client.piece = 1;
    pair.server.piece = 1;
    backend_connect(&pair);
    backend_pass(&pair, false, "ping", 4);
    backend_pass(&pair, true, "pong!", 5);
    backend_pair_close(&pair);
}

PAIRS(each_group_and_each_suite_is_agreed_on)
{
    static const uint16_t groups[] = {29, 23, 24, 25};
    static const struct {
        const char *name;
        int version;
        uint16_t number;
    } suites[] = {
        {"TLS_AES_128_GCM_SHA256", 13, 0x1301},
        {"TLS_AES_256_GCM_SHA384", 13, 0x1302},
        {"TLS_CHACHA20_POLY1305_SHA256", 13, 0x1303},
        {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 12, 0xc02b},
        {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 12, 0xc02c},
        {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 12, 0xcca9},
    };
    for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
        options_reset(version);
        by_server.group = groups[i];
        pair_open();
        backend_connect(&pair);
        if (version == 13 || !is_other(of_server)) {
            /* In TLS 1.2 wolfSSL's server accepts the client's. */
            expect_eq(backend_of(&pair.server)->get_group(&pair.server.conn),
                      groups[i]);
        }
        backend_pair_close(&pair);
    }
    for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
        if (suites[i].version != version) {
            continue;
        }
        options_reset(version);
        by_server.suites = suites[i].name;
        pair_open();
        backend_connect(&pair);
        expect_eq(backend_of(&pair.client)->get_suite(&pair.client.conn),
                  suites[i].number);
        backend_pair_close(&pair);
    }
}

PAIRS(a_server_takes_the_first_suite_of_its_own)
{
    options_reset(version);
    by_server.suites = version == 13
                           ? "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256"
                           : "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:"
                             "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256";
    pair_open();
    backend_connect(&pair);
    expect_eq(backend_of(&pair.server)->get_suite(&pair.server.conn),
              version == 13 ? 0x1302 : 0xc02c);
    backend_pair_close(&pair);
}

PAIRS(a_client_shows_its_certificate)
{
    options_reset(version);
    by_client.certificate = "rsa";
    by_server.verifies = true;
    by_server.demands = true;
    pair_open();
    backend_connect(&pair);
    expect_eq(pair.server.judged, 1);
    expect_eq(pair.server.chain_count, 1);
    backend_pass(&pair, false, "ping", 4);
    backend_pair_close(&pair);
}

BOTH(a_client_need_not_show_one_unless_it_is_demanded)
{
    options_reset(version);
    by_server.verifies = true;
    pair_open();
    backend_connect(&pair);
    expect_eq(pair.server.judged, 1);
    expect_eq(pair.server.chain_count, 0);
    backend_pair_close(&pair);

    by_server.demands = true;
    pair_open();
    expect_failure(&pair.server, WEIR_ETLSNOCERT, version == 13 ? 116 : 40);
}

BOTH(a_refused_chain_is_told_by_the_alert_that_weir_names)
{
    static const uint8_t alerts[] = {42, 43, 44, 45, 46, 48, 80};
    for (size_t i = 0; i < sizeof(alerts); i++) {
        options_reset(version);
        pair_open();
        pair.client.rejects = true;
        pair.client.alert = alerts[i];
        expect_failure(&pair.client, WEIR_ETLSBADCERT, alerts[i]);

        by_client.certificate = "ecdsa";
        by_server.verifies = true;
        pair_open();
        pair.server.rejects = true;
        pair.server.alert = alerts[i];
        expect_failure(&pair.server, WEIR_ETLSBADCERT, alerts[i]);
    }
}

/* The connection has an ECDSA certificate, and sends an RSA one. */
BOTH(a_server_shows_another_certificate)
{
    options_reset(version);
    pair_open();
    struct backend_side other;
    by_server.certificate = "rsa";
    backend_side_open(&other, true, &by_server, &pair.blocks);
    cr_assert_eq(
        backend_of(&other)->show(&pair.server.conn, other.credential, NULL), 0);
    backend_connect(&pair);
    expect_gt(pair.client.leaf_size, 500);
    if (version == 12) {
        expect_eq(backend_of(&pair.client)->get_suite(&pair.client.conn),
                  0xc02f);
    }
    backend_side_close(&pair.client);
    backend_side_close(&pair.server);
    backend_side_close(&other);
    backend_pair_end(&pair);
}

/* Returns a credential with the server's certificate @count times, and its key.
 */
static struct wr_tls_credential *long_chain(size_t count)
{
    static char text[8 << 10];
    struct wr_tls_credential *credential = NULL;
    char path[4096];
    backend_file("ecdsa", "pem", path, sizeof(path));
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    const size_t len = fread(text, 1, sizeof(text), file);
    fclose(file);
    uint8_t *all = malloc(count * len);
    cr_assert_not_null(all);
    for (size_t i = 0; i < count; i++) {
        memcpy(all + i * len, text, len);
    }
    cr_assert_eq(wr_tls_openssl.credential_new(&credential), 0);
    cr_assert_eq(
        wr_tls_openssl.credential_use_chain(credential, all, count * len), 0);
    free(all);
    backend_file("ecdsa", "key", path, sizeof(path));
    file = fopen(path, "re");
    cr_assert_not_null(file, "%s", path);
    const size_t size = fread(text, 1, sizeof(text), file);
    fclose(file);
    cr_assert_eq(wr_tls_openssl.credential_use_key(credential,
                                                   (const uint8_t *)text, size),
                 0);
    cr_assert_eq(wr_tls_openssl.credential_check(credential), 0);
    return credential;
}

BOTH(certificates_of_a_peer_have_64_kib_at_most)
{
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    const size_t leaf = pair.client.leaf_size + 3; /* and its length */
    backend_pair_close(&pair);

    for (int i = 0; i < 2; i++) {
        const size_t count = (i == 0 ? 60u : 66u) * 1024 / leaf;
        struct wr_tls_credential *credential = long_chain(count);
        pair_open();
        cr_assert_eq(wr_tls_openssl.show(&pair.server.conn, credential, NULL),
                     0);
        backend_step(&pair.client);
        backend_exchange(&pair);
        expect_eq(pair.client.judged, i == 0, "%zu certificates", count);
        expect_eq(pair.client.result,
                  i == 0 ? WR_TLS_STEP_WANTS : WR_TLS_STEP_FAILED);
        backend_pair_close(&pair);
        wr_tls_openssl.credential_free(credential);
    }
}

BOTH(a_server_without_a_common_protocol_says_so)
{
    options_reset(version);
    by_client.protocols = "h2";
    by_server.protocols = "http/1.1";
    pair_open();
    expect_failure(&pair.server, WEIR_ETLSALPN, 120);

    by_server.protocols = "http/1.1,http/1.0";
    pair_open();
    expect_failure(&pair.server, WEIR_ETLSALPN, 120);

    by_client.protocols = NULL; /* a client without any is accepted */
    pair_open();
    backend_connect(&pair);
    size_t len = 0;
    cr_assert_null(
        backend_of(&pair.server)->get_protocol(&pair.server.conn, &len));
    backend_pair_close(&pair);
}

UNIT(tls_backend, a_server_without_a_common_version_says_so)
{
    options_reset(13);
    by_client.version = 12;
    pair_open();
    expect_failure(&pair.server, WEIR_ETLSVERSION, 70);
}

UNIT(tls_backend, a_server_without_a_common_suite_says_so)
{
    options_reset(13);
    by_client.suites = "TLS_AES_128_GCM_SHA256";
    by_server.suites = "TLS_AES_256_GCM_SHA384";
    pair_open();
    expect_failure(&pair.server, WEIR_ETLSCIPHER, 40);

    options_reset(12);
    by_client.suites = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    pair_open();
    expect_failure(&pair.server, WEIR_ETLSCIPHER, 40);
}

UNIT(tls_backend, a_server_without_a_common_group_says_so)
{
    options_reset(13);
    by_client.group = 29;
    by_server.group = 23;
    pair_open();
    expect_failure(&pair.server, WEIR_ETLSGROUP, 40);
}

static const char garbage[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

UNIT(tls_backend, garbage_is_a_breach_of_the_protocol)
{
    options_reset(0);
    pair_open();
    memcpy(pair.server.in, garbage, sizeof(garbage));
    pair.server.in_len = sizeof(garbage);
    /* The wire of the rig counts TLS records. */
    backend_step(&pair.server);
    expect_eq(pair.server.result, WR_TLS_STEP_FAILED);
    expect_lt(pair.server.conn.code, 0);
    cr_assert_not_null(
        backend_of(&pair.server)->text_of(pair.server.conn.number));
    backend_pair_close(&pair);
}

UNIT(tls_backend, an_alert_in_the_place_of_a_hello_is_named)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 40};
    options_reset(0);
    pair_open();
    memcpy(pair.server.in, alert, sizeof(alert));
    pair.server.in_len = sizeof(alert);
    backend_step(&pair.server);
    expect_eq(pair.server.result, WR_TLS_STEP_FAILED);
    expect_eq(pair.server.conn.code, WEIR_ETLSALERT, "%s",
              backend_of(&pair.server)->text_of(pair.server.conn.number));
    int received = -1;
    int sent = -1;
    backend_of(&pair.server)->get_alerts(&pair.server.conn, &received, &sent);
    expect_eq(received, 40);
    backend_pair_close(&pair);
}

/* An SSL 2 hello has another form than a TLS record. */
UNIT(tls_backend, a_hello_of_ssl_2_is_refused_within_its_first_record)
{
    static const uint8_t hello[] = {0x80, 0x2e, 1,    3, 3,    0, 0x15, 0,
                                    0,    0,    0x10, 0, 0x2f, 0, 0x35};
    options_reset(0);
    pair_open();
    memcpy(pair.server.in, hello, sizeof(hello));
    memset(pair.server.in + sizeof(hello), 5, 200);
    pair.server.in_len = sizeof(hello) + 200;
    backend_step(&pair.server);
    expect_eq(pair.server.result, WR_TLS_STEP_FAILED);
    backend_pair_close(&pair);
}

BOTH(a_changed_record_is_refused)
{
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    cr_assert_eq(backend_of(&pair.client)->write(&pair.client.conn, "ping", 4),
                 0);
    pair.client.out[pair.client.out_len - 1] ^= 1;
    backend_exchange(&pair);
    expect_eq(pair.server.result, WR_TLS_STEP_FAILED);
    expect_eq(pair.server.conn.code, WEIR_ETLSRECORD);
    expect_eq(pair.client.result, WR_TLS_STEP_FAILED);
    expect_eq(pair.client.conn.code, WEIR_ETLSALERT);
    int received = -1;
    int sent = -1;
    backend_of(&pair.client)->get_alerts(&pair.client.conn, &received, &sent);
    expect_eq(received, 20);
    backend_pair_close(&pair);
}

/* The engine refuses bytes in take(); then the backend sends nothing. */
BOTH(a_wire_that_refuses_ends_a_step_without_an_alert)
{
    options_reset(version);
    pair_open();
    pair.server.is_refusing = true;
    backend_step(&pair.client);
    backend_exchange(&pair);
    expect_eq(pair.server.result, WR_TLS_STEP_FAILED);
    expect_eq(pair.server.out_len, 0);
    backend_pair_close(&pair);

    pair_open();
    backend_connect(&pair);
    pair.client.is_refusing = true;
    cr_assert_eq(backend_of(&pair.server)->write(&pair.server.conn, "ping", 4),
                 0);
    backend_exchange(&pair);
    expect_eq(pair.client.result, WR_TLS_STEP_FAILED);
    expect_eq(pair.client.out_len, 0);
    backend_pair_close(&pair);
}

BOTH(an_output_that_cannot_grow_is_no_memory)
{
    options_reset(version);
    pair_open();
    pair.client.is_full = true;
    backend_step(&pair.client);
    expect_eq(pair.client.result, WR_TLS_STEP_FAILED);
    cr_assert(pair.client.conn.lacks_memory);
    backend_pair_close(&pair);

    pair_open();
    backend_connect(&pair);
    pair.server.is_full = true;
    expect_eq(backend_of(&pair.server)->write(&pair.server.conn, "ping", 4),
              WR_TLS_STEP_FAILED);
    cr_assert(pair.server.conn.lacks_memory);
    backend_pair_close(&pair);
}

/* One record per call, whose header has its length. */
PAIRS(a_write_is_one_record)
{
    static uint8_t data[BACKEND_RECORD];
    static const size_t sizes[] = {1, 2, 1300, 4096, BACKEND_RECORD};
    memset(data, 0x5a, sizeof(data));
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        const size_t before = pair.client.records;
        pair.client.plain_len = 0;
        cr_assert_eq(
            backend_of(&pair.server)->write(&pair.server.conn, data, sizes[i]),
            0);
        const uint8_t *out = pair.server.out;
        expect_eq(out[0], 23);
        expect_eq(pair.server.out_len, 5u + ((size_t)out[3] << 8 | out[4]));
        expect_eq(pair.server.out_len,
                  sizes[i] + 5 + 16 + (version == 13 ? 1 : 8));
        backend_exchange(&pair);
        expect_eq(pair.client.records, before + 1);
        expect_eq(pair.client.plain_len, sizes[i]);
    }
    backend_pair_close(&pair);
}

/* read() returns bytes of at most one record; the rest is pending. */
PAIRS(a_read_takes_from_one_record)
{
    uint8_t buf[64];
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    struct wr_tls_conn *from = &pair.server.conn;
    struct wr_tls_conn *to = &pair.client.conn;
    cr_assert_eq(from->backend->write(from, "first", 5), 0);
    cr_assert_eq(from->backend->write(from, "second", 6), 0);
    memcpy(pair.client.in, pair.server.out, pair.server.out_len);
    pair.client.in_len = pair.server.out_len;
    pair.client.in_at = 0;
    pair.server.out_len = 0;

    expect_eq(to->backend->read(to, buf, 2), 2);
    expect_eq(to->backend->pending(to), 3);
    const size_t left = pair.client.in_len - pair.client.in_at;
    expect_gt(left, 0, "the next record is not taken");
    expect_eq(to->backend->read(to, buf, sizeof(buf)), 3);
    expect_eq(pair.client.in_len - pair.client.in_at, left);
    expect_eq(to->backend->pending(to), 0);
    expect_eq(to->backend->read(to, buf, sizeof(buf)), 6);
    expect_eq(to->backend->read(to, buf, sizeof(buf)), WR_TLS_STEP_WANTS);
    backend_pair_close(&pair);
}

/* Between any two steps buffers may be released. */
BOTH(a_connection_at_rest_goes_on)
{
    static uint8_t data[BACKEND_RECORD];
    memset(data, 0x17, sizeof(data));
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    for (int i = 0; i < 4; i++) {
        backend_of(&pair.client)->rest(&pair.client.conn);
        backend_of(&pair.server)->rest(&pair.server.conn);
        backend_pass(&pair, i & 1, data, sizeof(data));
    }
    backend_pair_close(&pair);
}

/* A server that chooses TLS 1.2 may send a warning first, for example for an
 * unknown name. The client has no version then. */
UNIT(tls_backend, a_warning_before_the_first_hello_ends_nothing)
{
    static const uint8_t warning[] = {21, 3, 3, 0, 2, 1, 112};
    int received = -1;
    int sent = -1;
    options_reset(0);
    by_server.version = 12;
    pair_open();
    memcpy(pair.server.out, warning, sizeof(warning));
    pair.server.out_len = sizeof(warning);
    backend_connect(&pair);
    backend_of(&pair.client)->get_alerts(&pair.client.conn, &received, &sent);
    expect_eq(received, -1);
    cr_assert_eq(backend_of(&pair.server)->shutdown(&pair.server.conn), 0);
    backend_exchange(&pair);
    expect_eq(pair.client.result, WR_TLS_STEP_ENDED);
    backend_pair_close(&pair);
}

PAIRS(each_side_ends_and_reads_on)
{
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    struct wr_tls_conn *client = &pair.client.conn;
    struct wr_tls_conn *server = &pair.server.conn;

    cr_assert_eq(client->backend->shutdown(client), 0);
    backend_exchange(&pair);
    expect_eq(pair.server.result, WR_TLS_STEP_ENDED);
    cr_assert_eq(server->backend->write(server, "late", 4), 0);
    backend_exchange(&pair);
    expect_eq(pair.client.plain_len, 4);
    expect_eq(pair.client.result, WR_TLS_STEP_WANTS);
    cr_assert_eq(server->backend->shutdown(server), 0);
    backend_exchange(&pair);
    expect_eq(pair.client.result, WR_TLS_STEP_ENDED);
    backend_step(&pair.client);
    expect_eq(pair.client.result, WR_TLS_STEP_ENDED, "for ever");
    backend_pair_close(&pair);
}

/* A truncated stream is not an end: the backend waits for more. */
PAIRS(a_cut_stream_is_no_end)
{
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    cr_assert_eq(
        backend_of(&pair.server)->write(&pair.server.conn, "cut off", 7), 0);
    const size_t whole = pair.server.out_len;
    for (size_t len = 0; len < whole; len++) {
        memcpy(pair.client.in, pair.server.out, whole);
        pair.client.in_len = len;
        backend_step(&pair.client);
        expect_eq(pair.client.result, WR_TLS_STEP_WANTS);
        expect_eq(pair.client.plain_len, 0);
    }
    backend_pair_close(&pair);
}

UNIT(tls_backend, keys_are_changed_by_either_side)
{
    options_reset(13);
    pair_open();
    backend_connect(&pair);
    for (int i = 0; i < 6; i++) {
        struct backend_side *side = i & 1 ? &pair.server : &pair.client;
        const size_t before = side->records;
        cr_assert_eq(backend_of(side)->update_keys(&side->conn), 0);
        backend_exchange(&pair);
        expect_eq(side->records, before + 1, "the other side changes its own");
        backend_pass(&pair, i & 1, "after", 5);
        backend_pass(&pair, !(i & 1), "before", 6);
    }
    backend_pair_close(&pair);

    options_reset(12);
    pair_open();
    backend_connect(&pair);
    expect_eq(backend_of(&pair.client)->update_keys(&pair.client.conn),
              -EOPNOTSUPP);
    backend_pass(&pair, false, "on", 2);
    backend_pair_close(&pair);
}

PAIRS(both_sides_export_the_same_keys)
{
    uint8_t out[3][40];
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    struct wr_tls_export job = {.label = "EXPORTER-weir",
                                .context = "abc",
                                .context_size = 3,
                                .out = out[0],
                                .size = sizeof(out[0])};
    expect_eq(pair.client.conn.backend->export_keys(&pair.client.conn, &job),
              0);
    job.out = out[1];
    expect_eq(pair.server.conn.backend->export_keys(&pair.server.conn, &job),
              0);
    expect_eq(memcmp(out[0], out[1], sizeof(out[0])), 0);
    job.out = out[2];
    job.context = NULL;
    job.context_size = 0;
    expect_eq(pair.server.conn.backend->export_keys(&pair.server.conn, &job),
              0);
    expect_neq(memcmp(out[1], out[2], sizeof(out[1])), 0);
    if (version == 12) {
        job.label = "master secret";
        expect_eq(
            pair.server.conn.backend->export_keys(&pair.server.conn, &job),
            -EINVAL);
    }
    backend_pair_close(&pair);
}

BOTH(secrets_are_reported_on_both_sides)
{
    options_reset(version);
    by_client.logs = true;
    by_server.logs = true;
    pair_open();
    backend_connect(&pair);
    const int first =
        version == 12 ? WR_TLS_SECRET_MASTER : WR_TLS_SECRET_CLIENT_HANDSHAKE;
    const int last =
        version == 12 ? WR_TLS_SECRET_MASTER : WR_TLS_SECRET_EXPORTER;
    for (int i = first; i <= last; i++) {
        expect_geq(pair.client.secret_sizes[i], 32, "%d", i);
        expect_eq(pair.client.secret_sizes[i], pair.server.secret_sizes[i]);
        expect_eq(memcmp(pair.client.secrets[i], pair.server.secrets[i],
                         pair.client.secret_sizes[i]),
                  0);
    }
    uint8_t random[2][32];
    cr_assert(pair.client.conn.backend->get_client_random(&pair.client.conn,
                                                          random[0]));
    cr_assert(pair.server.conn.backend->get_client_random(&pair.server.conn,
                                                          random[1]));
    expect_eq(memcmp(random[0], random[1], 32), 0);
    backend_pair_close(&pair);
}

/* Returns a session of a first connection. */
static struct wr_tls_known *session_of(int version)
{
    if (version == 12 && is_other(of_client)) {
        return NULL; /* wolfSSL's clients resume no sessions of TLS 1.2 */
    }
    struct wr_tls_known *session = NULL;
    options_reset(version);
    by_server.has_tickets = true;
    pair_open();
    backend_connect(&pair);
    backend_pass(&pair, true, "data", 4);
    expect_geq(pair.client.tickets, 1);
    cr_assert_eq(
        backend_of(&pair.client)->session_take(&pair.client.conn, &session), 0);
    backend_pair_close(&pair);
    return session;
}

static void expect_resumed(bool is_resumed)
{
    backend_connect(&pair);
    expect_eq(backend_of(&pair.client)->was_resumed(&pair.client.conn),
              is_resumed);
    expect_eq(backend_of(&pair.server)->was_resumed(&pair.server.conn),
              is_resumed);
    expect_eq(pair.client.judged, is_resumed ? 0 : 1);
    backend_pass(&pair, false, "ping", 4);
    backend_pass(&pair, true, "pong", 4);
    expect_str_eq(backend_of(&pair.server)->get_name(&pair.server.conn),
                  "localhost");
}

PAIRS(a_session_is_resumed_any_number_of_times)
{
    struct wr_tls_known *session = session_of(version);
    if (!session) {
        return;
    }
    by_client.session = session;
    for (int i = 0; i < 3; i++) {
        pair_open();
        expect_resumed(true);
        if (version == 13) {
            expect_eq(pair.client.tickets, 1, "each connection gets one");
        }
        backend_pair_close(&pair);
    }
    (of_client ? of_client : &wr_tls_openssl)->session_free(session);
}

PAIRS(a_ticket_for_another_name_is_passed_over)
{
    struct wr_tls_known *session = session_of(version);
    if (!session) {
        return;
    }
    by_client.session = session;
    pair_open();
    pair.server.host[31] = 1;
    expect_resumed(false);
    backend_pair_close(&pair);
    (of_client ? of_client : &wr_tls_openssl)->session_free(session);
}

PAIRS(a_ticket_by_an_unknown_key_is_passed_over)
{
    struct wr_tls_known *session = session_of(version);
    if (!session) {
        return;
    }
    by_client.session = session;
    pair_open();
    pair.server.forgets = true;
    expect_resumed(false);
    if (!is_other(of_server)) {
        expect_geq(pair.client.tickets, 1, "a new one comes");
    }
    backend_pair_close(&pair);
    (of_client ? of_client : &wr_tls_openssl)->session_free(session);
}

PAIRS(a_server_without_tickets_gives_and_takes_none)
{
    struct wr_tls_known *session = session_of(version);
    if (!session) {
        return;
    }
    by_client.session = session;
    by_server.has_tickets = false;
    pair_open();
    expect_resumed(false);
    expect_eq(pair.client.tickets, 0);
    backend_pair_close(&pair);
    (of_client ? of_client : &wr_tls_openssl)->session_free(session);
}

BOTH(errors_of_the_program_change_nothing_and_stay)
{
    options_reset(version);
    pair_open();
    backend_connect(&pair);
    ERR_raise(ERR_LIB_USER, 77);
    backend_pass(&pair, false, "ping", 4);
    backend_pass(&pair, true, "pong", 4);
    expect_eq(ERR_GET_REASON(ERR_peek_error()), 77);
    expect_eq(ERR_GET_REASON(ERR_peek_last_error()), 77);
    cr_assert_eq(backend_of(&pair.client)->shutdown(&pair.client.conn), 0);
    backend_exchange(&pair);
    expect_eq(pair.server.result, WR_TLS_STEP_ENDED, "an end is no error");
    cr_assert_eq(backend_of(&pair.server)->write(&pair.server.conn, "pong", 4),
                 0);
    pair.server.out[pair.server.out_len - 1] ^= 1;
    backend_exchange(&pair);
    expect_eq(pair.client.conn.code, WEIR_ETLSRECORD);
    expect_eq(ERR_GET_REASON(ERR_peek_last_error()), 77);
    ERR_clear_error();
    backend_pair_close(&pair);
}

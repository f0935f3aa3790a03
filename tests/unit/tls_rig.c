/*
 * The contexts of two engines, and the records that a test encrypts.
 *
 * The client requests localhost; certificates are from the folder in
 * WEIR_TLS_CERTIFICATES. The secret for the test's records comes from the key
 * log.
 */
#include "tests/unit/tls_rig.h"

#include <errno.h>

static void rig_note_line(void *user, const char *line);

/* Chooses the server's own certificate, whatever the name. */
static int rig_choose(void *user, const char *name, weir_tls_context **ret)
{
    cr_assert_null(user);
    cr_assert_null(*ret);
    return name && strcmp(name, "localhost") == 0 ? 0 : -EPERM;
}

static struct weir_tls_options
rig_server_options(const struct tls_rig_options *options)
{
    struct weir_tls_options server = tls_options(true);

    server.certificate.file = tls_file(options->rsa ? "rsa.pem" : "ecdsa.pem");
    server.key.file = tls_file(options->rsa ? "rsa.key" : "ecdsa.key");
    server.alpn = options->server_alpn;
    server.choose = options->asks ? rig_choose : NULL;
    if (options->wants_certificate) {
        server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        server.authorities.file = tls_file("ca.pem");
    }
    return server;
}

static struct weir_tls_options
rig_client_options(const struct tls_rig_options *options)
{
    struct weir_tls_options client = tls_options(false);

    client.ciphers = options->ciphers;
    client.alpn = options->client_alpn;
    client.keylog = options->seals ? rig_note_line : NULL;
    if (options->no_trust) {
        client.authorities.file = NULL;
        client.no_system_authorities = true;
    }
    if (options->client_certificate) {
        client.certificate.file = tls_file("ecdsa.pem");
        client.key.file = tls_file("ecdsa.key");
    }
    return client;
}

static weir_tls_context *rig_new_context(bool is_server,
                                         const struct tls_rig_options *options)
{
    struct weir_tls_options all =
        is_server ? rig_server_options(options) : rig_client_options(options);
    const int version = is_server || !options->client_version
                            ? options->version
                            : options->client_version;
    all.min_version = version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    all.max_version = all.min_version;
    return tls_context(&all);
}

void tls_rig_init(struct tls_pair *rig, const struct tls_rig_options *options)
{
    *rig = (struct tls_pair){
        .client.context = rig_new_context(false, options),
        .server.context = rig_new_context(true, options),
    };
    tls_account_open(&rig->account);
}

int tls_rig_open(struct tls_pair *rig, const struct tls_rig_options *options)
{
    const struct wr_tls_peer_options client = {
        .server_hostname = "localhost",
        .can_export = options->can_export,
        .session = options->session,
    };
    const struct wr_tls_peer_options server = {
        .can_export = options->can_export,
    };
    int err = tls_side_open(&rig->client, rig->client.context, &client,
                            &rig->account);
    if (err < 0) {
        return err;
    }
    err = tls_side_open(&rig->server, rig->server.context, &server,
                        &rig->account);
    if (err < 0) {
        wr_tls_engine_fini(&rig->client.engine);
    }
    return err;
}

void tls_rig_close(struct tls_pair *rig)
{
    wr_tls_engine_fini(&rig->client.engine);
    wr_tls_engine_fini(&rig->server.engine);
}

void tls_rig_connect(struct tls_pair *rig,
                     const struct tls_rig_options *options)
{
    tls_rig_init(rig, options);
    cr_assert_eq(tls_rig_open(rig, options), 0);
    tls_side_step(&rig->client);
    tls_pair_exchange(rig, TLS_BYTES);
    cr_assert_eq(rig->client.result, -EAGAIN, "%s",
                 wr_tls_engine_get_error_text(&rig->client.engine));
    cr_assert_eq(rig->server.result, -EAGAIN, "%s",
                 wr_tls_engine_get_error_text(&rig->server.engine));
    cr_assert_eq(rig->client.engine.state, WR_TLS_ENGINE_OPEN);
    cr_assert_eq(rig->server.engine.state, WR_TLS_ENGINE_OPEN);
}

void tls_rig_write(struct tls_side *side, const void *data, size_t len)
{
    const uint8_t *at = data;
    while (len > 0) {
        const size_t count = len < WR_TLS_RECORD_MAX ? len : WR_TLS_RECORD_MAX;
        cr_assert_eq(wr_tls_engine_write(&side->engine, at, count), 0);
        at += count;
        len -= count;
    }
    tls_side_flush(side);
}

void tls_rig_expect(struct tls_side *side, const void *data, size_t len)
{
    cr_assert_eq(side->plain_len, len);
    cr_assert_eq(memcmp(side->plain, data, len), 0);
    side->plain_len = 0;
}

void tls_rig_fill(uint8_t *data, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245u + 12345u;
        data[i] = (uint8_t)(seed >> 16);
    }
}

struct rig_secret {
    uint8_t traffic[32];
    uint8_t key[16];
    uint8_t iv[12];
    uint64_t number; /* of the next record */
};

static struct rig_secret rig_secret;

static void rig_expand(const char *label, uint8_t *ret, size_t size)
{
    const struct wr_bytes secret = {.data = rig_secret.traffic,
                                    .size = sizeof(rig_secret.traffic)};
    expect_ok(wr_tls_backend_get()->expand(WR_X509_HASH_SHA256, secret, label,
                                           ret, size));
}

static void rig_use_secret(void)
{
    rig_secret.number = 0;
    rig_expand("key", rig_secret.key, sizeof(rig_secret.key));
    rig_expand("iv", rig_secret.iv, sizeof(rig_secret.iv));
}

/* A line has a label, the client's random number and the secret. */
static void rig_note_line(void *user, const char *line)
{
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    const char *digits = strrchr(line, ' ');

    cr_assert_null(user);
    if (strncmp(line, label, sizeof(label) - 1) != 0) {
        return;
    }
    cr_assert_eq(strlen(++digits), 2 * sizeof(rig_secret.traffic));
    for (size_t i = 0; i < sizeof(rig_secret.traffic); i++) {
        cr_assert_eq(sscanf(digits + 2 * i, "%2hhx", &rig_secret.traffic[i]),
                     1);
    }
    rig_use_secret();
}

void tls_rig_seal_key_update(struct tls_pair *rig, bool asks)
{
    uint8_t next[32];
    const uint8_t message[] = {24, 0, 0, 1, asks};
    tls_rig_seal(rig, TLS_RIG_HANDSHAKE, message, sizeof(message));
    rig_expand("traffic upd", next, sizeof(next));
    memcpy(rig_secret.traffic, next, sizeof(next));
    rig_use_secret();
}

void tls_rig_seal(struct tls_pair *rig, uint8_t type, const void *data,
                  size_t len)
{
    uint8_t *record = rig->client.wire + rig->client.wire_len;
    const size_t sealed = len + 1 + WR_TLS_AEAD_TAG;
    uint8_t *inner = malloc(len + 1);
    uint8_t nonce[WR_TLS_AEAD_NONCE];

    memcpy(inner, data, len);
    inner[len] = type;
    memcpy(record,
           (uint8_t[]){23, 3, 3, (uint8_t)(sealed >> 8), (uint8_t)sealed}, 5);
    memcpy(nonce, rig_secret.iv, sizeof(nonce));
    for (unsigned i = 0; i < 8; i++) {
        nonce[11 - i] ^= (uint8_t)(rig_secret.number >> (8 * i));
    }
    rig_secret.number++;
    expect_ok(wr_tls_backend_get()->seal(&(struct wr_tls_aead){
        .kind = WR_TLS_AEAD_AES_128_GCM,
        .key = rig_secret.key,
        .nonce = nonce,
        .beside = {.data = record, .size = 5},
        .in = inner,
        .out = record + 5,
        .size = len + 1,
        .tag = record + 5 + len + 1,
    }));
    free(inner);
    rig->client.wire_len += 5 + sealed;
}

void tls_rig_connect_sealing(struct tls_pair *rig,
                             struct tls_rig_options *options)
{
    *options = (struct tls_rig_options){
        .version = 13, .ciphers = "TLS_AES_128_GCM_SHA256", .seals = true};
    tls_rig_connect(rig, options);
}

void tls_rig_pairs(void (*body)(struct tls_pair *rig, int version))
{
    static struct tls_pair rig;

    for (int version = 12; version <= 13; version++) {
        tls_rig_connect(&rig, &(struct tls_rig_options){.version = version});
        body(&rig, version);
        tls_pair_disconnect(&rig);
    }
}

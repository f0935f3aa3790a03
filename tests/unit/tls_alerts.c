/*
 * Alerts for a peer whose certificates could not be verified: the program gets
 * this side's error, and the peer an alert that does not blame its
 * certificates.
 *
 * A client's signature counts only with a verified key. An alert that weir
 * encrypts is the next record of its secret. The program is linked so that the
 * function that verifies a signature, and malloc(), come here; the allocation
 * for the peer's certificate is recognised by its size.
 */
#include "lib/tls/context/context_impl.h"
#include "lib/tls/context/verify.h"
#include "lib/tls/engine/engine_impl.h"
#include "tests/tls/rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ALERT_INTERNAL = 80, ALERT_ILLEGAL = 47 };

static struct tls_pair pair;
static bool lacks_memory_to_verify;
static size_t size_to_keep; /* size of the allocation that fails; 0 is none */

int __real_wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                   struct wr_bytes key_info);
int __wrap_wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                   struct wr_bytes key_info);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

int __wrap_wr_tls_signature_verify(const struct wr_x509_signed *sign,
                                   struct wr_bytes key_info)
{
    return lacks_memory_to_verify
               ? -ENOMEM
               : __real_wr_tls_signature_verify(sign, key_info);
}

void *__wrap_malloc(size_t size)
{
    return size > 0 && size == size_to_keep ? NULL : __real_malloc(size);
}

/* Returns the size of the certificate that both sides have, from its text: four
 * letters are three bytes. */
static size_t alerts_measure(const char *path)
{
    char line[128];
    size_t letters = 0;
    bool is_inside = false;
    FILE *file = fopen(path, "r");

    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file)) {
        const bool is_mark = strncmp(line, "-----", 5) == 0;
        letters += is_inside && !is_mark ? strcspn(line, "=\n") : 0;
        if (is_mark && letters > 0) {
            break;
        }
        is_inside = is_mark || letters > 0;
    }
    fclose(file);
    return letters * 3 / 4;
}

/* Both sides have the same certificate; the server requests the client's unless
 * the client verifies. */
static void alerts_connect(enum weir_tls_version version, bool to_client)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    client.min_version = client.max_version = version;
    if (!to_client) {
        client.certificate = server.certificate;
        client.key = server.key;
        server.authorities = client.authorities;
        server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        client.authorities.file = NULL;
        client.no_verify = true;
    }
    tls_pair_join(&pair, &client, &server, NULL);
}

/* The verifying side has no memory to do so. */
static void alerts_expect_internal(enum weir_tls_version version,
                                   bool to_client)
{
    alerts_connect(version, to_client);
    struct tls_side *judge = to_client ? &pair.client : &pair.server;
    struct tls_side *other = to_client ? &pair.server : &pair.client;
    expect_eq(judge->engine.err, -ENOMEM);
    expect_eq(judge->engine.alert_sent, ALERT_INTERNAL);
    cr_assert_null(judge->engine.secret, "its first record is sealed once");
    expect_eq(other->engine.err, WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(&other->engine), ALERT_INTERNAL);
    tls_pair_disconnect(&pair);
}

static void alerts_expect_internal_always(void)
{
    for (int to_client = 0; to_client < 2; to_client++) {
        alerts_expect_internal(WEIR_TLS_1_2, to_client);
        alerts_expect_internal(WEIR_TLS_1_3, to_client);
    }
}

UNIT(tls_alerts, no_memory_to_verify_a_signature_is_not_the_peers_fault)
{
    lacks_memory_to_verify = true;
    alerts_expect_internal_always();
    lacks_memory_to_verify = false;
}

UNIT(tls_alerts, no_memory_to_keep_a_certificate_is_not_the_peers_fault)
{
    const struct weir_tls_options options = tls_options(true);

    /* Test allocators put a header before each block. */
    size_to_keep = sizeof(struct allocator_block) +
                   alerts_measure(options.certificate.file);
    cr_assert(size_to_keep > 0);
    alerts_expect_internal_always();
    size_to_keep = 0;
}

enum { ALERT_HEADER = 5, ALERT_SEALED = ALERT_HEADER + 3 + WR_TLS_ENGINE_TAG };

/* What a server does when it should sign: it has sent this many more records,
 * and then may have a verdict to report. */
struct alerts_signing {
    const struct wr_tls_backend *backend; /* NULL means the build's */
    uint32_t more;
    bool is_judged;
    uint8_t record[ALERT_SEALED]; /* of the verdict */
};

static const uint8_t alerts_header[ALERT_HEADER] = {
    23, 3, 3, 0, ALERT_SEALED - ALERT_HEADER};
static uint8_t alerts_secret[32]; /* of the server's handshake */

static void alerts_take_secret(void *user, const char *line)
{
    static const char label[] = "SERVER_HANDSHAKE_TRAFFIC_SECRET ";
    const char *digits = strrchr(line, ' ') + 1;

    if (strncmp(line, label, strlen(label)) != 0) {
        return;
    }
    expect_eq(strlen(digits), 2 * sizeof(alerts_secret));
    for (size_t i = 0; i < sizeof(alerts_secret); i++) {
        expect_eq(sscanf(digits + 2 * i, "%2hhx", &alerts_secret[i]), 1);
    }
}

static int alerts_sign(void *user, const struct weir_tls_to_sign *job,
                       void *signature, size_t size)
{
    struct wr_tls_engine *engine = &pair.server.engine;
    struct alerts_signing *signing = user;

    for (uint32_t i = 0; i < signing->more; i++) {
        wr_tls_engine_count_sealed(engine, alerts_header);
    }
    if (signing->is_judged) {
        engine->verdict.err = -ENOMEM;
        engine->verdict.alert = ALERT_INTERNAL;
        memcpy(signing->record, alerts_header, sizeof(alerts_header));
        wr_tls_engine_replace_alert(engine, signing->record, ALERT_SEALED);
    }
    return -EIO;
}

/* Decrypts the alert in a record of the server's handshake after this many
 * others. */
static uint8_t alerts_open(const uint8_t *record, uint32_t behind)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();
    const struct wr_bytes secret = {alerts_secret, sizeof(alerts_secret)};
    uint8_t key[16];
    uint8_t nonce[12];
    uint8_t plain[3];
    uint8_t tag[WR_TLS_ENGINE_TAG];
    const struct wr_tls_aead job = {
        .kind = WR_TLS_AEAD_AES_128_GCM,
        .key = key,
        .nonce = nonce,
        .beside = {record, ALERT_HEADER},
        .in = record + ALERT_HEADER,
        .out = plain,
        .size = sizeof(plain),
        .tag = tag,
    };

    memcpy(tag, record + ALERT_HEADER + sizeof(plain), sizeof(tag));
    expect_ok(
        backend->expand(WR_X509_HASH_SHA256, secret, "key", key, sizeof(key)));
    expect_ok(backend->expand(WR_X509_HASH_SHA256, secret, "iv", nonce,
                              sizeof(nonce)));
    for (size_t i = 0; i < sizeof(behind); i++) {
        nonce[sizeof(nonce) - 1 - i] ^= (uint8_t)(behind >> 8 * i);
    }
    expect_eq(backend->open_sealed(&job), 0, "behind %u", behind);
    return plain[1];
}

/* Returns how many encrypted records the server has sent, and the last one. */
static uint32_t alerts_count_sealed(const uint8_t **ret_last)
{
    const struct tls_side *side = &pair.server;
    uint32_t count = 0;

    for (size_t at = 0; at < side->wire_len;) {
        const uint8_t *record = side->wire + at;
        if (record[0] == alerts_header[0]) {
            *ret_last = record;
            count++;
        }
        at += ALERT_HEADER + wr_tls_engine_body_size(record);
    }
    return count;
}

/* A server that cannot sign has sent everything that it sends in this case. */
static void alerts_begin(struct alerts_signing *signing)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);

    server.key.file = NULL;
    server.sign = alerts_sign;
    server.sign_user = signing;
    server.keylog = alerts_take_secret;
    server.ciphers = "TLS_AES_128_GCM_SHA256";
    server.min_version = WEIR_TLS_1_3;
    weir_tls_context *client_context = tls_context(&client);
    weir_tls_context *server_context = tls_context(&server);
    tls_pair_open(&pair, client_context, server_context, &how);
    if (signing->backend) {
        pair.server.engine.conn.backend = signing->backend;
    }
    tls_side_step(&pair.client);
    tls_pair_move(&pair.client, &pair.server, 0);
    tls_contexts_unref(client_context, server_context);
}

static void alerts_need_sealing(void)
{
    if (wr_tls_backend_get()->does & WR_TLS_DOES_ALERT) {
        cr_skip_test(
            "the library seals its alerts; runs with -Dtls_engine=wolfssl");
    }
}

UNIT(tls_alerts, an_alert_is_sealed_behind_any_number_of_records)
{
    static const uint32_t counts[] = {0, 1, 252, 253, 254, 1000, 70000};
    const uint8_t *last = NULL;

    alerts_need_sealing();
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
        struct alerts_signing signing = {.more = counts[i]};
        alerts_begin(&signing);
        expect_eq(pair.server.engine.err, WEIR_ETLSSIGN);
        const uint32_t count = alerts_count_sealed(&last);
        expect_gt(count, 1);
        expect_eq(alerts_open(last, count - 1 + counts[i]), ALERT_INTERNAL);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_alerts, a_verdict_uses_no_number_of_a_record_that_was_sent)
{
    struct alerts_signing signing = {.is_judged = true};
    const uint8_t *last = NULL;

    alerts_need_sealing();
    alerts_begin(&signing);
    const uint32_t count = alerts_count_sealed(&last);
    expect_gt(count, 0);
    expect_eq(alerts_open(signing.record, count), ALERT_INTERNAL);
    tls_pair_disconnect(&pair);
}

/* With a library that reports no secrets, weir can neither replace nor encrypt
 * its alerts. */
UNIT(tls_alerts, without_secrets_an_alert_is_the_librarys)
{
    struct wr_tls_backend mute = *wr_tls_backend_get();
    struct alerts_signing signing = {.backend = &mute};
    const struct wr_tls_peer_options how = {.server_hostname = "other.example"};

    alerts_need_sealing();
    mute.does &= ~(uint32_t)WR_TLS_DOES_SECRETS;
    alerts_begin(&signing);
    expect_eq(pair.server.engine.err, WEIR_ETLSSIGN);
    expect_eq(pair.server.engine.alert_sent, -1);
    tls_pair_disconnect(&pair);

    weir_tls_context *client = tls_context_of(false, 13);
    weir_tls_context *server = tls_context_of(true, 13);
    tls_pair_open(&pair, client, server, &how);
    pair.client.engine.conn.backend = &mute;
    tls_side_step(&pair.client);
    tls_pair_exchange(&pair, 0);
    tls_pair_expect(&pair, WEIR_ETLSHOSTNAME, WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(&pair.server.engine),
              pair.client.engine.alert_sent);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

/*
 * Early data for which a server has no keys: it is skipped wherever and in
 * whatever pieces it arrives, up to its limit, and nothing else is skipped.
 *
 * wolfSSL's client sends none, so the server is made to expect it, and the test
 * puts random records on the client's wire. The program is linked so that two
 * functions of wolfSSL come here first. It does not run with OpenSSL, which
 * skips early data itself, so that weir's code for it is unused;
 * tests/e2e/tls.py sends early data to both.
 */
#include "tests/unit/tls_rig.h"

#include "lib/tls/engine/engine_impl.h"

#include <errno.h>
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>

enum {
    EARLY_HEADER = 5,
    EARLY_EXTRA = 17,     /* the tag, and the encrypted type */
    EARLY_MAX = 16 << 10, /* bytes of data that are skipped */
    EARLY_LEAST = 16,     /* minimum that a record counts as */
    EARLY_UNEXPECTED = 10,
    EARLY_BAD_MAC = 20,
    EARLY_OVERFLOW = 22,
};

static struct tls_pair pair;
static struct tls_rig_options choice;

static int early_err; /* error of the next decryption; 0 means wolfSSL's */
static int early_suite = -1; /* suite that is reported; -1 means wolfSSL's */

/* NOLINTNEXTLINE(readability-function-size): wolfSSL says what it is given */
int __real_wc_AesGcmDecrypt(Aes *aes, byte *out, const byte *in, word32 size,
                            const byte *iv, word32 iv_size, const byte *tag,
                            word32 tag_size, const byte *more,
                            word32 more_size);
/* NOLINTNEXTLINE(readability-function-size) */
int __wrap_wc_AesGcmDecrypt(Aes *aes, byte *out, const byte *in, word32 size,
                            const byte *iv, word32 iv_size, const byte *tag,
                            word32 tag_size, const byte *more,
                            word32 more_size);
int __real_wolfSSL_get_current_cipher_suite(WOLFSSL *ssl);
int __wrap_wolfSSL_get_current_cipher_suite(WOLFSSL *ssl);

/* NOLINTNEXTLINE(readability-function-size) */
int __wrap_wc_AesGcmDecrypt(Aes *aes, byte *out, const byte *in, word32 size,
                            const byte *iv, word32 iv_size, const byte *tag,
                            word32 tag_size, const byte *more, word32 more_size)
{
    const int err = early_err;
    early_err = 0;
    return err ? err
               : __real_wc_AesGcmDecrypt(aes, out, in, size, iv, iv_size, tag,
                                         tag_size, more, more_size);
}

int __wrap_wolfSSL_get_current_cipher_suite(WOLFSSL *ssl)
{
    return early_suite >= 0 ? early_suite
                            : __real_wolfSSL_get_current_cipher_suite(ssl);
}

/* Puts a record with a body of @size bytes on a wire. */
static void early_put_on(struct tls_side *side, uint8_t type, size_t size)
{
    uint8_t *record = side->wire + side->wire_len;
    memcpy(record, (uint8_t[]){type, 3, 3, (uint8_t)(size >> 8), (uint8_t)size},
           EARLY_HEADER);
    tls_rig_fill(record + EARLY_HEADER, size, (unsigned)size);
    side->wire_len += EARLY_HEADER + size;
}

/* Puts a record of data on the client's wire. */
static void early_put(size_t size)
{
    early_put_on(&pair.client, 23, size);
}

/* Puts the client's hello on its wire. */
static void early_begin(const struct tls_rig_options *options)
{
    choice = *options;
    choice.version = choice.version ? choice.version : 13;
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    cr_assert(wr_tls_engine_expect_early(&pair.server.engine));
    tls_side_step(&pair.client);
    cr_assert_gt(pair.client.wire_len, 0);
}

/* Expects that the bytes on the wires lead to a working connection. */
static void early_expect_open(size_t piece)
{
    tls_pair_exchange(&pair, piece);
    cr_assert_eq(pair.server.engine.state, WR_TLS_ENGINE_OPEN, "%s",
                 wr_tls_engine_get_error_text(&pair.server.engine));
    cr_assert_eq(pair.client.engine.state, WR_TLS_ENGINE_OPEN);
    cr_assert_null(pair.server.engine.early);
    tls_rig_write(&pair.client, "there", 5);
    tls_rig_write(&pair.server, "back", 4);
    tls_pair_exchange(&pair, piece);
    tls_rig_expect(&pair.server, "there", 5);
    tls_rig_expect(&pair.client, "back", 4);
}

static void early_expect_end(int err, int alert)
{
    expect_eq(pair.server.engine.err, err);
    expect_eq(pair.server.engine.alert_sent, alert);
    expect_gt(pair.server.wire_len, 0);
    tls_pair_disconnect(&pair);
}

static void early_skip(const struct tls_rig_options *options, size_t piece)
{
    early_begin(options);
    early_put(5000 + EARLY_EXTRA);
    early_put(100);
    early_put(EARLY_EXTRA);
    tls_pair_move(&pair.client, &pair.server, piece);
    early_put(3000); /* it was in flight when the server answered */
    tls_pair_move(&pair.client, &pair.server, piece);
    early_expect_open(piece);
    tls_pair_disconnect(&pair);
}

UNIT(tls_early, data_before_and_behind_the_answer_is_skipped)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256",
                                         "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};
    for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
        const struct tls_rig_options options = {.ciphers = suites[i]};
        early_skip(&options, TLS_BYTES);
        early_skip(&options, 1000);
        early_skip(&options, 1);
    }
}

UNIT(tls_early, a_client_shows_its_certificate_behind_it)
{
    const struct tls_rig_options options = {.client_certificate = true,
                                            .wants_certificate = true};
    early_skip(&options, TLS_BYTES);
    early_skip(&options, 1);
}

UNIT(tls_early, a_client_may_send_none)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    early_expect_open(TLS_BYTES);
    tls_pair_disconnect(&pair);
}

/* Adds the offer of early data to the hello on the client's wire. */
static void early_offer(void)
{
    static const uint8_t offer[] = {0, 42, 0, 0};
    uint8_t *wire = pair.client.wire;
    uint8_t *at = wire + EARLY_HEADER + 4 + 2 + 32;
    at += 1 + at[0];                /* session */
    at += 2 + (at[0] << 8 | at[1]); /* suites */
    at += 1 + at[0];                /* compression */
    memmove(at + 2 + sizeof(offer), at + 2,
            pair.client.wire_len - (size_t)(at + 2 - wire));
    memcpy(at + 2, offer, sizeof(offer));
    at[1] = (uint8_t)(at[1] + sizeof(offer)); /* it has room in its last byte */
    wire[EARLY_HEADER + 3] = (uint8_t)(wire[EARLY_HEADER + 3] + sizeof(offer));
    wire[4] = (uint8_t)(wire[4] + sizeof(offer));
    pair.client.wire_len += sizeof(offer);
}

static void early_offer_and_put(size_t piece)
{
    choice = (struct tls_rig_options){.version = 13};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    tls_side_step(&pair.client);
    early_offer();
    early_put(EARLY_MAX);
    tls_pair_move(&pair.client, &pair.server, piece);

    expect_eq(pair.server.result, -EAGAIN, "%s",
              wr_tls_engine_get_error_text(&pair.server.engine));
    cr_assert_not_null(pair.server.engine.early);
    cr_assert_null(pair.server.engine.hello);
    expect_gt(pair.server.wire_len, 500); /* its whole answer */
    tls_pair_disconnect(&pair);
}

UNIT(tls_early, a_hello_that_offers_it_lets_the_server_expect_it)
{
    early_offer_and_put(TLS_BYTES);
    early_offer_and_put(1000);
    early_offer_and_put(1);
}

/* The server does not support the group of the client's first share. */
static void early_begin_again(void)
{
    int group = WOLFSSL_ECC_SECP384R1;
    early_begin(&(struct tls_rig_options){.version = 13});
    cr_assert_eq(wolfSSL_set_groups(pair.server.engine.conn.ssl, &group, 1),
                 WOLFSSL_SUCCESS);
}

UNIT(tls_early, data_before_a_second_hello_is_skipped)
{
    for (size_t piece = 1; piece <= TLS_BYTES; piece *= TLS_BYTES) {
        early_begin_again();
        early_put(5000);
        tls_pair_move(&pair.client, &pair.server, piece);
        early_put(100);
        tls_pair_move(&pair.client, &pair.server, piece);
        expect_lt(pair.server.wire_len, 200); /* it requests another hello */
        early_expect_open(piece);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_early, it_is_limited)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    early_put(EARLY_MAX + EARLY_EXTRA);
    early_expect_open(TLS_BYTES);
    tls_pair_disconnect(&pair);

    early_begin(&(struct tls_rig_options){.version = 13});
    early_put(EARLY_MAX + EARLY_EXTRA);
    early_put(EARLY_EXTRA);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_expect_end(WEIR_ETLSPROTOCOL, EARLY_UNEXPECTED);
}

UNIT(tls_early, it_is_limited_before_a_second_hello)
{
    early_begin_again();
    early_put(EARLY_MAX + EARLY_EXTRA);
    early_put(EARLY_EXTRA);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_expect_end(WEIR_ETLSPROTOCOL, EARLY_UNEXPECTED);
}

/* Types of messages that are checked if they are not encrypted; the length
 * after the type differs much from the record's. */
static const uint8_t early_types[] = {1, 2, 12, 15, 16};

#define EARLY_TYPES (sizeof(early_types) / sizeof(*early_types))

UNIT(tls_early, bytes_beyond_the_limit_are_no_messages)
{
    for (size_t i = 0; i < EARLY_TYPES; i++) {
        early_begin(&(struct tls_rig_options){.version = 13});
        early_put(EARLY_MAX + EARLY_EXTRA);
        const size_t at = pair.client.wire_len + EARLY_HEADER;
        early_put(100 + EARLY_EXTRA);
        memset(pair.client.wire + at, UINT8_MAX, 100);
        pair.client.wire[at] = early_types[i];
        tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
        /* The client can decrypt the alert. */
        tls_pair_move(&pair.server, &pair.client, TLS_BYTES);
        expect_eq(wr_tls_engine_get_alert_received(&pair.client.engine),
                  EARLY_UNEXPECTED, "%u", early_types[i]);
        expect_eq(pair.server.engine.err, WEIR_ETLSPROTOCOL, "%u",
                  early_types[i]);
        tls_pair_disconnect(&pair);
    }
}

/* A side gets an unencrypted handshake record after keys are in use: wolfSSL
 * refuses it with an encrypted alert. */
static void early_refuse_unsealed(bool to_server, uint8_t type)
{
    choice = (struct tls_rig_options){.version = 13};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    tls_side_step(&pair.client);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    struct tls_side *reader = to_server ? &pair.server : &pair.client;
    struct tls_side *writer = to_server ? &pair.client : &pair.server;
    if (!to_server) { /* only the server's hello */
        pair.server.wire_len = EARLY_HEADER +
                               (size_t)(pair.server.wire[3] << 8) +
                               pair.server.wire[4];
    }
    early_put_on(writer, 22, 100);
    uint8_t *body = writer->wire + writer->wire_len - 100;
    memset(body, UINT8_MAX, 100);
    body[0] = type;
    tls_pair_move(writer, reader, TLS_BYTES);
    expect_eq(reader->engine.err, WEIR_ETLSPROTOCOL, "%u: %s", type,
              wr_tls_engine_get_error_text(&reader->engine));
    expect_eq(reader->engine.alert_sent, EARLY_UNEXPECTED, "%u", type);
    tls_pair_disconnect(&pair);
}

UNIT(tls_early, a_record_without_a_seal_behind_the_hello_has_no_messages)
{
    for (size_t i = 0; i < EARLY_TYPES; i++) {
        early_refuse_unsealed(true, early_types[i]);
        early_refuse_unsealed(false, early_types[i]);
    }
}

UNIT(tls_early, small_records_are_limited_too)
{
    for (size_t more = 0; more <= 1; more++) {
        early_begin(&(struct tls_rig_options){.version = 13});
        for (size_t i = 0; i < EARLY_MAX / EARLY_LEAST + more; i++) {
            early_put(i % (EARLY_EXTRA + EARLY_LEAST + 1));
        }
        if (more == 0) {
            early_expect_open(TLS_BYTES);
            tls_pair_disconnect(&pair);
        }
    }
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_expect_end(WEIR_ETLSPROTOCOL, EARLY_UNEXPECTED);
}

UNIT(tls_early, a_record_that_is_too_long_is_refused)
{
    const uint8_t header[] = {23, 3, 3, 0x41, 1};
    early_begin(&(struct tls_rig_options){.version = 13});
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    tls_side_feed(&pair.server, header, sizeof(header), 1);
    early_expect_end(WEIR_ETLSPROTOCOL, EARLY_OVERFLOW);
}

UNIT(tls_early, nothing_is_skipped_behind_the_first_record_that_opens)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    early_put(100);
    early_expect_open(TLS_BYTES);
    early_put(100);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_expect_end(WEIR_ETLSRECORD, EARLY_BAD_MAC);
}

UNIT(tls_early, nothing_is_skipped_behind_a_plain_hello)
{
    choice = (struct tls_rig_options){.version = 13};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    tls_side_step(&pair.client);
    early_put(100);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_expect_end(WEIR_ETLSRECORD, EARLY_BAD_MAC);
}

UNIT(tls_early, a_server_of_tls_12_skips_none)
{
    early_begin(&(struct tls_rig_options){.version = 12});
    early_put(100);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_expect_end(WEIR_ETLSPROTOCOL, EARLY_UNEXPECTED);
}

/* With a library that reports no secrets, early data cannot be recognised. */
UNIT(tls_early, nothing_is_skipped_without_secrets)
{
    struct wr_tls_backend mute = wr_tls_wolfssl;
    mute.does &= ~(uint32_t)WR_TLS_DOES_SECRETS;
    choice = (struct tls_rig_options){.version = 13};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    pair.server.engine.conn.backend = &mute;
    tls_side_step(&pair.client);
    early_offer();
    early_put(100);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_expect_end(WEIR_ETLSRECORD, EARLY_BAD_MAC);
}

UNIT(tls_early, a_record_that_could_not_be_tried_is_not_skipped)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    tls_pair_move(&pair.server, &pair.client, TLS_BYTES);
    early_err = MEMORY_E;
    early_expect_open(TLS_BYTES);
    expect_eq(early_err, 0);
    tls_pair_disconnect(&pair);
}

UNIT(tls_early, keys_for_a_suite_that_is_not_known_are_an_error)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    early_suite = 0x1304;
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    early_suite = -1;
    expect_eq(pair.server.engine.err, WEIR_ETLSENGINE);
    tls_pair_disconnect(&pair);
}

UNIT(tls_early, secrets_of_another_size_are_not_used)
{
    static const uint8_t bytes[64] = {1};
    early_begin(&(struct tls_rig_options){
        .version = 13, .client_certificate = true, .wants_certificate = true});
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    struct wr_tls_engine *engine = &pair.server.engine;
    struct wr_tls_conn *conn = &engine->conn;
    cr_assert_not_null(engine->early);
    expect_eq(
        conn->events->secret(conn, WR_TLS_SECRET_CLIENT_HANDSHAKE, bytes, 20),
        WEIR_ETLSENGINE);
    cr_assert_not_null(engine->secret);
    expect_ok(conn->events->secret(conn, WR_TLS_SECRET_SERVER_DATA, bytes,
                                   sizeof(bytes)));
    cr_assert_null(engine->secret);
    tls_pair_disconnect(&pair);
}

UNIT(tls_early, keys_go_with_the_input)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    early_put(100);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    cr_assert_not_null(pair.server.engine.early);
    wr_tls_engine_drop_input(&pair.server.engine);
    cr_assert_null(pair.server.engine.early);
    tls_pair_disconnect(&pair);
}

static void early_fail(void *arg)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    early_put(5000);
    wr_ignore(wr_blocks_trim(&pair.account.blocks));
    walk_begin(&pair.account.allocator);
    tls_pair_move(&pair.client, &pair.server, 1000);
    const bool failed = walk_end(&pair.account.allocator);
    const int err = pair.server.engine.err;
    cr_assert(err == 0 || (failed && err == -ENOMEM), "%s at %u",
              weir_err_name(err), (unsigned)walk_round);
    tls_pair_disconnect(&pair);
}

UNIT(tls_early, each_allocation_may_fail)
{
    expect_geq(walk_allocations(&pair.account.allocator, early_fail, NULL), 10);
}

UNIT(tls_early, a_connection_may_end_while_it_is_skipped)
{
    early_begin(&(struct tls_rig_options){.version = 13});
    early_put(5000);
    pair.client.wire_len -= 10;
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    wr_tls_engine_feed_eof(&pair.server.engine);
    tls_side_step(&pair.server);
    expect_eq(pair.server.result, WEIR_ETLSTRUNCATED);
    tls_pair_disconnect(&pair);
}

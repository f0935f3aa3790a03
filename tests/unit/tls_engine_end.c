/*
 * The TLS engine's ends: each end of a connection is distinguished, and invalid
 * messages of a peer cost little and end it.
 *
 * Two engines face each other in memory (tls_rig.h).
 */
#include "lib/tls/engine/engine_impl.h"
#include "tests/unit/tls_rig.h"

#include <errno.h>

static struct tls_pair pair;
static struct tls_rig_options choice;

static void end_expect(struct tls_side *side, int err)
{
    char byte[1];
    expect_eq(side->result, err, "%s: %s", weir_err_name((int)side->result),
              wr_tls_engine_get_error_text(&side->engine));
    expect_eq(wr_tls_engine_read(&side->engine, byte, 1), err);
    if (err < 0) {
        expect_eq(side->engine.state, WR_TLS_ENGINE_FAILED);
        expect_eq(side->engine.err, err);
        expect_eq(wr_tls_engine_write(&side->engine, "x", 1), err);
        expect_eq(wr_tls_engine_close(&side->engine), err);
        expect_eq(wr_tls_engine_update_keys(&side->engine), err);
        expect_eq(wr_tls_engine_handshake(&side->engine), err);
    }
}

UNIT_IN(tls_end, a_close_notify_is_an_end_of_stream, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    tls_rig_write(&rig->client, "last", 4);
    expect_eq(wr_tls_engine_close(&rig->client.engine), 0);
    tls_side_flush(&rig->client);

    tls_pair_exchange(rig, 1);
    wr_tls_engine_feed_eof(&rig->server.engine);
    tls_side_step(&rig->server);

    tls_rig_expect(&rig->server, "last", 4);
    end_expect(&rig->server, 0);
    expect_eq(rig->server.engine.err, 0);
}

UNIT_IN(tls_end, an_end_without_close_notify_is_a_cut_after_the_data,
        tls_rig_pairs, struct tls_pair *rig, int version)
{
    tls_rig_write(&rig->client, "last", 4);

    tls_pair_exchange(rig, TLS_BYTES);
    wr_tls_engine_feed_eof(&rig->server.engine);
    tls_side_step(&rig->server);

    tls_rig_expect(&rig->server, "last", 4);
    end_expect(&rig->server, WEIR_ETLSTRUNCATED);
}

/* Ends after any number of bytes of a record. */
static void end_cut(int version, size_t kept)
{
    choice = (struct tls_rig_options){.version = version};
    tls_rig_connect(&pair, &choice);
    tls_rig_write(&pair.client, "whole record", 12);
    pair.client.wire_len = kept;

    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    wr_tls_engine_feed_eof(&pair.server.engine);
    tls_side_step(&pair.server);

    expect_eq(pair.server.plain_len, 0);
    end_expect(&pair.server, WEIR_ETLSTRUNCATED);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, a_cut_within_a_record_is_a_cut)
{
    for (size_t kept = 1; kept < 5 + 12 + 17; kept += 3) {
        end_cut(12, kept);
        end_cut(13, kept);
    }
}

UNIT_IN(tls_end, a_cut_ends_what_could_still_be_written, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    wr_tls_engine_feed_eof(&rig->client.engine);

    tls_side_step(&rig->client);

    end_expect(&rig->client, WEIR_ETLSTRUNCATED);
    expect_eq(wr_tls_engine_get_output_bytes(&rig->client.engine), 0);
}

UNIT_IN(tls_end, what_follows_a_close_notify_is_discarded, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    expect_eq(wr_tls_engine_close(&rig->client.engine), 0);
    tls_side_flush(&rig->client);
    memcpy(rig->client.wire + rig->client.wire_len, "GET / HTTP/1.1\r\n", 16);
    rig->client.wire_len += 16;

    tls_pair_exchange(rig, TLS_BYTES);
    tls_side_feed(&rig->server, "and more", 8, 3);
    wr_tls_engine_feed_eof(&rig->server.engine);
    tls_side_step(&rig->server);

    end_expect(&rig->server, 0);
    expect_eq(rig->server.plain_len, 0);
}

/* Flips one bit of each byte of a record in turn. */
static void end_flip(int version, size_t place)
{
    choice = (struct tls_rig_options){.version = version};
    tls_rig_connect(&pair, &choice);
    tls_rig_write(&pair.server, "payload", 7);
    cr_assert_lt(place, pair.server.wire_len);
    pair.server.wire[place] ^= 1;

    tls_pair_move(&pair.server, &pair.client, TLS_BYTES);

    end_expect(&pair.client, WEIR_ETLSRECORD);
    expect_eq(pair.client.plain_len, 0);
    expect_eq(pair.client.engine.alert_sent, 20);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    end_expect(&pair.server, WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(&pair.server.engine), 20);
    cr_assert_not_null(strstr(wr_tls_engine_get_error_text(&pair.server.engine),
                              "bad_record_mac"));
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, a_record_that_was_altered_is_not_opened_and_the_peer_is_told)
{
    for (size_t place = 5; place < 5 + 7 + 17; place++) {
        end_flip(12, place);
        if (place < 5 + 7 + 1 + 16) {
            end_flip(13, place);
        }
    }
}

UNIT_IN(tls_end, a_record_that_is_sent_again_is_not_opened, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    static uint8_t copy[256];
    tls_rig_write(&rig->client, "once", 4);
    const size_t len = rig->client.wire_len;
    memcpy(copy, rig->client.wire, len);
    tls_pair_exchange(rig, TLS_BYTES);
    tls_rig_expect(&rig->server, "once", 4);

    tls_side_feed(&rig->server, copy, len, TLS_BYTES);

    end_expect(&rig->server, WEIR_ETLSRECORD);
}

UNIT_IN(tls_end, plain_text_instead_of_a_record_is_no_tls, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    const char text[] = "QUIT\r\nGET / HTTP/1.1\r\n\r\n";
    tls_side_feed(&rig->server, text, sizeof(text) - 1, 4);

    end_expect(&rig->server, WEIR_ETLSPROTOCOL);
    expect_eq(rig->server.plain_len, 0);
}

static void end_in_handshake(int version, unsigned moves)
{
    choice = (struct tls_rig_options){.version = version};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    tls_side_step(&pair.client);
    for (unsigned i = 0; i < moves; i++) {
        tls_pair_move(i & 1 ? &pair.server : &pair.client,
                      i & 1 ? &pair.client : &pair.server, TLS_BYTES);
    }
    struct tls_side *side = moves & 1 ? &pair.server : &pair.client;
    const bool was_open = side->engine.state == WR_TLS_ENGINE_OPEN;

    wr_tls_engine_feed_eof(&side->engine);
    tls_side_step(side);

    expect_eq(was_open, moves == 2 && version == 13);
    end_expect(side, WEIR_ETLSTRUNCATED);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, an_end_within_the_handshake_is_a_cut)
{
    for (unsigned moves = 0; moves < 3; moves++) {
        end_in_handshake(12, moves);
        end_in_handshake(13, moves);
    }
}

/* Expects the server's result for these first bytes. */
static void end_first_bytes(const void *data, size_t len, int err)
{
    choice = (struct tls_rig_options){.version = 13};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    const uint64_t before = pair.account.allocator.live_bytes;

    tls_side_feed(&pair.server, data, len, TLS_BYTES);

    end_expect(&pair.server, err);
    expect_lt(pair.account.allocator.live_bytes, before + (22u << 10));
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, a_server_refuses_first_bytes_that_are_no_client_hello)
{
    const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    static uint8_t zeros[600];
    static uint8_t noise[600];
    /* A ClientHello that claims 16 MiB, in a complete record. */
    static uint8_t claim[5 + 600] = {22, 3, 1, 2, 88, 1, 255, 255, 255, 3, 3};
    /* A record that is longer than allowed. */
    static uint8_t oversize[64] = {22, 3, 1, 0x48, 1, 1, 0, 0x40, 0};
    static uint8_t oversize_13[64] = {22, 3, 1, 0x41, 1, 1, 0, 0x40, 0};
    static uint8_t alert_first[] = {21, 3, 1, 0, 2, 2, 40};
    static uint8_t data_first[] = {23, 3, 3, 0, 4, 'd', 'a', 't', 'a'};
    static uint8_t empty_hello[] = {22, 3, 1, 0, 4, 1, 0, 0, 0};
    static uint8_t old_hello[] = {0x80, 0x2e, 1, 0,    2, 0, 0x15,
                                  0,    0,    0, 0x10, 1, 0, 0x80};
    tls_rig_fill(noise, sizeof(noise), 99);
    noise[0] = 77;

    end_first_bytes(request, sizeof(request) - 1, WEIR_ETLSPROTOCOL);
    end_first_bytes(zeros, sizeof(zeros), WEIR_ETLSPROTOCOL);
    end_first_bytes(noise, sizeof(noise), WEIR_ETLSPROTOCOL);
    end_first_bytes(claim, sizeof(claim), WEIR_ETLSPROTOCOL);
    end_first_bytes(oversize, sizeof(oversize), WEIR_ETLSPROTOCOL);
    end_first_bytes(oversize_13, sizeof(oversize_13), WEIR_ETLSPROTOCOL);
    end_first_bytes(alert_first, sizeof(alert_first), WEIR_ETLSALERT);
    end_first_bytes(data_first, sizeof(data_first), WEIR_ETLSPROTOCOL);
    end_first_bytes(empty_hello, sizeof(empty_hello), WEIR_ETLSPROTOCOL);
    end_first_bytes(old_hello, sizeof(old_hello), WEIR_ETLSPROTOCOL);
}

/* Each library has a different text. */
UNIT(tls_end, a_peer_without_tls_is_told_in_words)
{
    static const struct {
        bool is_server;
        const char *bytes;
        const char *text;
    } rows[] = {
        {true, "GET / HTTP/1.1\r\n\r\n", "The peer speaks plain HTTP"},
        {true, "CONNECT a:1 HTTP/1.1\r\n", "The peer speaks plain HTTP"},
        {false, "HTTP/1.1 400 Bad Request\r\n", "The peer speaks plain HTTP"},
        {true, "QUIT\r\n", "The peer does not speak TLS"},
        {false, "220 mail ESMTP\r\n", "The peer does not speak TLS"},
    };
    choice = (struct tls_rig_options){.version = 13};
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct tls_side *side = rows[i].is_server ? &pair.server : &pair.client;
        tls_rig_init(&pair, &choice);
        cr_assert_eq(tls_rig_open(&pair, &choice), 0);
        tls_side_feed(side, rows[i].bytes, strlen(rows[i].bytes), TLS_BYTES);
        end_expect(side, WEIR_ETLSPROTOCOL);
        expect_str_eq(wr_tls_engine_get_error_text(&side->engine),
                      rows[i].text);
        tls_pair_disconnect(&pair);
    }
}

/* OpenSSL accepts 32 empty records, and no warning instead of a hello. */
static bool end_is_by_openssl(void)
{
    return strcmp(wr_tls_backend_get()->name, "OpenSSL") == 0;
}

enum end_wrong {
    END_OMITTED,
    END_DOUBLED,
    END_ALTERED, /* its last byte is changed */
    END_SHORT,   /* its last byte is missing, and its lengths are adapted */
    END_ALERT,   /* handshake_failure instead */
    END_CLOSED,  /* close_notify instead */
    END_WRONGS,
};

static size_t end_record_size(const uint8_t *record)
{
    return 5 + wr_tls_engine_body_size(record);
}

/* Damages the record at @record, on the wire of @side. */
static void end_make_wrong(struct tls_side *side, uint8_t *record,
                           enum end_wrong how)
{
    static uint8_t made[2 * WR_TLS_RECORD_MAX];
    const size_t size = end_record_size(record);
    const size_t after = side->wire_len - size - (size_t)(record - side->wire);
    const bool is_alert = how == END_ALERT;
    size_t now = size;

    memcpy(made, record, size);
    switch (how) {
    case END_OMITTED:
        now = 0;
        break;
    case END_DOUBLED:
        memcpy(made + size, record, size);
        now = 2 * size;
        break;
    case END_ALTERED:
        made[size - 1] ^= 1;
        break;
    case END_SHORT:
        now = size - 1;
        made[3] = (uint8_t)((now - 5) >> 8);
        made[4] = (uint8_t)(now - 5);
        if (now >= 9) { /* of an unencrypted message */
            made[7] = (uint8_t)((now - 9) >> 8);
            made[8] = (uint8_t)(now - 9);
        }
        break;
    default:
        now = 7;
        memcpy(made,
               (uint8_t[]){21, 3, 3, 0, 2, is_alert ? 2 : 1, is_alert ? 40 : 0},
               now);
    }
    memmove(record + now, record + size, after);
    memcpy(record, made, now);
    side->wire_len = side->wire_len - size + now;
}

/* Expects that the side that got the record refuses. An unencrypted alert is
 * accepted only before anything is encrypted. */
static void end_expect_refusal(struct tls_side *side, enum end_wrong how,
                               bool is_clear)
{
    struct wr_tls_engine *engine = &side->engine;

    cr_assert(!engine->was_open || (how == END_DOUBLED && engine->err < 0));
    if (engine->err == 0) {
        wr_tls_engine_feed_eof(engine);
        tls_side_step(side);
    }
    expect_lt(engine->err, 0);
    if (how == END_ALERT && is_clear) {
        expect_eq(engine->err, WEIR_ETLSALERT);
        expect_eq(wr_tls_engine_get_alert_received(engine), 40);
    } else if (how == END_CLOSED && is_clear && !end_is_by_openssl()) {
        expect_eq(engine->err, WEIR_ETLSTRUNCATED);
    }
}

/* Runs a handshake with certificates of both sides whose record @at is damaged,
 * counted without records that TLS 1.3 ignores. Returns false if there is no
 * such record. */
static bool end_by_wrong(int version, unsigned at, enum end_wrong how)
{
    struct tls_side *sides[] = {&pair.client, &pair.server};
    bool is_sealed[2] = {false, false};
    bool is_met = false;
    unsigned count = 0;

    choice = (struct tls_rig_options){.version = version,
                                      .client_certificate = true,
                                      .wants_certificate = true};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    tls_side_step(&pair.client);
    for (int i = 0; !is_met; i = 1 - i) {
        struct tls_side *from = sides[i];
        struct tls_side *to = sides[1 - i];
        bool is_clear = false;
        if (to->engine.state == WR_TLS_ENGINE_OPEN) {
            break;
        }
        for (size_t k = 0; k < from->wire_len && !is_met;) {
            uint8_t *record = from->wire + k;
            const bool is_change = record[0] == 20;
            k += end_record_size(record);
            is_clear = record[0] != TLS_RIG_DATA && !is_sealed[i];
            is_sealed[i] |= is_change;
            is_met = !(is_change && version == 13) && count++ == at;
            if (is_met) {
                end_make_wrong(from, record, how);
            }
        }
        tls_pair_move(from, to, TLS_BYTES);
        if (is_met) {
            tls_pair_exchange(&pair, TLS_BYTES);
            end_expect_refusal(to, how, is_clear);
        }
    }
    tls_pair_disconnect(&pair);
    return is_met;
}

UNIT(tls_end, no_record_of_a_handshake_may_be_wrong)
{
    for (int how = 0; how < 2 * END_WRONGS; how++) {
        unsigned at = 0;
        while (end_by_wrong(12 + how % 2, at, (enum end_wrong)(how / 2))) {
            at++;
        }
        expect_geq(at, 10, "of TLS 1.%d", 2 + how % 2);
    }
}

UNIT(tls_end, warnings_without_end_within_the_handshake_end_it)
{
    static uint8_t warnings[7 * 20];
    for (size_t i = 0; i < sizeof(warnings); i += 7) {
        memcpy(&warnings[i], (uint8_t[]){21, 3, 3, 0, 2, 1, 90}, 7);
    }

    end_first_bytes(warnings, sizeof(warnings),
                    end_is_by_openssl() ? WEIR_ETLSPROTOCOL : WEIR_ETLSFLOOD);
}

/* A certificate of 64 KiB after a server's hello, in records of one byte. */
UNIT(tls_end, records_without_end_within_the_handshake_end_it)
{
    enum { COUNT = (64 << 10) - 1, SIZE = 6, LAST = (COUNT - 1) * SIZE };
    static const uint8_t first[] = {22, 3, 3, 0, 5, 11, 1, 0, 0, 0};
    static uint8_t records[COUNT * SIZE];
    struct tls_side *client = &pair.client;
    for (size_t i = 0; i < COUNT; i++) {
        memcpy(&records[i * SIZE], (uint8_t[]){22, 3, 3, 0, 1, 0}, SIZE);
    }
    choice = (struct tls_rig_options){.version = 12};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    tls_side_step(client);
    tls_pair_move(client, &pair.server, TLS_BYTES);
    pair.server.wire_len = end_record_size(pair.server.wire);
    tls_pair_move(&pair.server, client, TLS_BYTES);
    tls_side_feed(client, first, sizeof(first), TLS_BYTES);

    tls_side_feed(client, records, LAST, 256 * SIZE);
    expect_eq(client->result, -EAGAIN, "%s",
              wr_tls_engine_get_error_text(&client->engine));
    tls_side_feed(client, records + LAST, SIZE, SIZE);

    end_expect(client, WEIR_ETLSFLOOD);
    tls_pair_disconnect(&pair);
}

/* One side refuses a handshake; the other one learns it from an alert. */
UNIT(tls_end, the_side_that_refuses_a_handshake_says_why)
{
    static const struct {
        struct tls_rig_options options;
        bool by_client;
        int err;
        int alert;
    } rows[] = {
        {{.version = 13, .client_version = 12}, false, WEIR_ETLSVERSION, 70},
        {{.version = 12,
          .rsa = true,
          .ciphers = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
         false,
         WEIR_ETLSCIPHER,
         40},
        {{.version = 12, .server_alpn = "h2", .client_alpn = "h3,spdy"},
         false,
         WEIR_ETLSALPN,
         120},
        {{.version = 13, .server_alpn = "h2", .client_alpn = "h3,spdy"},
         false,
         WEIR_ETLSALPN,
         120},
        {{.version = 12, .no_trust = true}, true, WEIR_ETLSISSUER, 48},
        {{.version = 13, .no_trust = true}, true, WEIR_ETLSISSUER, 48},
        {{.version = 13, .wants_certificate = true},
         false,
         WEIR_ETLSNOCERT,
         116},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        tls_rig_init(&pair, &rows[i].options);
        cr_assert_eq(tls_rig_open(&pair, &rows[i].options), 0);
        tls_side_step(&pair.client);
        tls_pair_exchange(&pair, TLS_BYTES);
        struct tls_side *side = rows[i].by_client ? &pair.client : &pair.server;
        struct tls_side *other =
            rows[i].by_client ? &pair.server : &pair.client;

        end_expect(side, rows[i].err);
        expect_eq(side->engine.alert_sent, rows[i].alert, "row %zu", i);
        end_expect(other, WEIR_ETLSALERT);
        expect_eq(wr_tls_engine_get_alert_received(&other->engine),
                  rows[i].alert);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_end, empty_records_are_few_or_the_connection_ends)
{
    tls_rig_connect_sealing(&pair, &choice);
    for (int i = 0; i < (end_is_by_openssl() ? 30 : 60); i++) {
        tls_rig_seal(&pair, TLS_RIG_DATA, "", 0);
    }
    tls_rig_seal(&pair, TLS_RIG_DATA, "data", 4);
    tls_pair_exchange(&pair, TLS_BYTES);
    tls_rig_expect(&pair.server, "data", 4);
    expect_eq(pair.server.result, -EAGAIN);

    for (int i = 0; i < 1000; i++) {
        tls_rig_seal(&pair, TLS_RIG_DATA, "", 0);
    }
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);

    end_expect(&pair.server, WEIR_ETLSFLOOD);
    expect_eq(pair.server.engine.alert_sent, 10);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, small_records_with_data_may_be_any_number)
{
    tls_rig_connect_sealing(&pair, &choice);

    for (int i = 0; i < 5000; i++) {
        tls_rig_seal(&pair, TLS_RIG_DATA, "x", 1);
    }
    tls_pair_exchange(&pair, TLS_BYTES);

    expect_eq(pair.server.plain_len, 5000);
    expect_eq(pair.server.result, -EAGAIN);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, key_updates_are_answered_and_are_few_or_the_connection_ends)
{
    tls_rig_connect_sealing(&pair, &choice);
    for (int i = 0; i < 50; i++) {
        tls_rig_seal_key_update(&pair, true);
    }
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    expect_eq(pair.server.result, -EAGAIN);
    const size_t answers = pair.server.wire_len;

    for (int i = 0; i < 1000; i++) {
        tls_rig_seal_key_update(&pair, true);
    }
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);

    expect_gt(answers, 50 * 20);
    expect_lt(pair.server.wire_len, 4096);
    end_expect(&pair.server, WEIR_ETLSFLOOD);
    expect_eq(pair.server.engine.alert_sent, 10);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, data_earns_key_updates)
{
    static uint8_t data[16000];
    tls_rig_connect_sealing(&pair, &choice);
    tls_rig_fill(data, sizeof(data), 3);

    for (int i = 0; i < 500; i++) {
        tls_rig_seal(&pair, TLS_RIG_DATA, data, sizeof(data));
        tls_rig_seal_key_update(&pair, false);
        tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
        tls_rig_expect(&pair.server, data, sizeof(data));
    }

    expect_eq(pair.server.result, -EAGAIN);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, warnings_are_few_or_the_connection_ends)
{
    tls_rig_connect_sealing(&pair, &choice);

    for (int i = 0; i < 1000; i++) {
        tls_rig_seal(&pair, TLS_RIG_ALERT, (uint8_t[]){1, 90}, 2);
    }
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);

    end_expect(&pair.server, WEIR_ETLSFLOOD);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, a_fatal_alert_is_named)
{
    tls_rig_connect_sealing(&pair, &choice);

    tls_rig_seal(&pair, TLS_RIG_ALERT, (uint8_t[]){2, 80}, 2);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);

    end_expect(&pair.server, WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(&pair.server.engine), 80);
    cr_assert_not_null(strstr(wr_tls_engine_get_error_text(&pair.server.engine),
                              "internal_error"));
    tls_pair_disconnect(&pair);
}

/* RFC 8446, 6.2. */
UNIT(tls_end, an_error_of_tls_13_ends_the_connection_whatever_its_level)
{
    static const uint8_t levels[] = {1, 0, 7};

    for (unsigned i = 1; i < 3 * 121; i++) {
        const uint8_t alert[] = {levels[i % 3], (uint8_t)(i / 3)};
        if (alert[1] == 0 || alert[1] == 90) {
            continue; /* close_notify, user_canceled */
        }
        tls_rig_connect_sealing(&pair, &choice);
        tls_rig_seal(&pair, TLS_RIG_ALERT, alert, sizeof(alert));
        tls_rig_seal(&pair, TLS_RIG_DATA, "x", 1);
        tls_pair_move(&pair.client, &pair.server, TLS_BYTES);

        end_expect(&pair.server, WEIR_ETLSALERT);
        expect_eq(wr_tls_engine_get_alert_received(&pair.server.engine),
                  alert[1]);
        expect_eq(pair.server.plain_len, 0);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_end, a_second_handshake_is_refused)
{
    static uint8_t hello[200] = {1, 0, 0, 196, 3, 3};
    tls_rig_connect_sealing(&pair, &choice);

    tls_rig_seal(&pair, TLS_RIG_HANDSHAKE, hello, sizeof(hello));
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);

    end_expect(&pair.server, WEIR_ETLSPROTOCOL);
    expect_gt(pair.server.wire_len, 0); /* an alert */
    tls_pair_disconnect(&pair);
}

/* The header alone is enough, in one piece and alone. */
static void end_claimed(unsigned size, size_t piece)
{
    uint8_t record[64] = {23, 3, 3, (uint8_t)(size >> 8), (uint8_t)size};
    tls_rig_connect_sealing(&pair, &choice);

    tls_side_feed(&pair.server, record, sizeof(record), piece);

    end_expect(&pair.server, WEIR_ETLSPROTOCOL);
    expect_eq(pair.server.engine.alert_sent, 22, "%u", size);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, a_record_that_says_it_is_too_long_is_refused_by_its_alert)
{
    end_claimed((16 << 10) + 257, TLS_BYTES);
    end_claimed((16 << 10) + 2048, TLS_BYTES);
    end_claimed((16 << 10) + 2049, TLS_BYTES);
    end_claimed(UINT16_MAX, TLS_BYTES);
    end_claimed((16 << 10) + 257, 1);
}

/* wolfSSL cannot report this with the keys of TLS 1.2. */
UNIT(tls_end, a_record_of_tls_12_that_says_it_is_too_long_is_refused)
{
    const uint8_t plain[] = {22, 3, 3, UINT8_MAX, UINT8_MAX};
    const uint8_t sealed[] = {23, 3, 3, 0x41, 1};

    choice = (struct tls_rig_options){.version = 12};
    tls_rig_init(&pair, &choice);
    cr_assert_eq(tls_rig_open(&pair, &choice), 0);
    tls_side_step(&pair.client);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    tls_side_feed(&pair.server, plain, sizeof(plain), TLS_BYTES);
    end_expect(&pair.server, WEIR_ETLSPROTOCOL);
    expect_eq(pair.server.engine.alert_sent, 22);
    tls_pair_disconnect(&pair);

    tls_rig_connect(&pair, &choice);
    tls_side_feed(&pair.server, sealed, sizeof(sealed), TLS_BYTES);
    end_expect(&pair.server, WEIR_ETLSPROTOCOL);
    expect_eq(pair.server.engine.alert_sent, 20);
    tls_pair_disconnect(&pair);
}

UNIT(tls_end, a_record_with_more_than_a_record_may_hold_is_refused)
{
    static uint8_t data[(16 << 10) + 1];
    tls_rig_connect_sealing(&pair, &choice);
    tls_rig_seal(&pair, TLS_RIG_DATA, data, sizeof(data) - 1);
    tls_pair_exchange(&pair, TLS_BYTES);
    tls_rig_expect(&pair.server, data, sizeof(data) - 1);

    tls_rig_seal(&pair, TLS_RIG_DATA, data, sizeof(data));
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);

    end_expect(&pair.server, WEIR_ETLSPROTOCOL);
    expect_eq(pair.server.engine.alert_sent, 22);
    tls_pair_disconnect(&pair);
}

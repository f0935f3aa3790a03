/*
 * The TLS engine: handshakes split everywhere, data in both directions, the
 * negotiated values, keys, and closes in either order.
 *
 * Two engines face each other in memory (tls_rig.h).
 */
#include "lib/tls/context/context_impl.h"
#include "tests/unit/tls_inner.h"
#include "tests/unit/tls_rig.h"

#include <errno.h>

static struct tls_pair pair;

UNIT(tls_engine, a_handshake_works_in_pieces_of_every_size)
{
    for (size_t piece = 2; piece < 40; piece++) {
        const struct tls_rig_options options = {.version = 12 + (piece & 1),
                                                .rsa = piece & 2};
        tls_rig_init(&pair, &options);
        cr_assert_eq(tls_rig_open(&pair, &options), 0);

        tls_side_step(&pair.client);
        tls_pair_exchange(&pair, piece);

        expect_eq(pair.client.engine.state, WR_TLS_ENGINE_OPEN);
        expect_eq(pair.server.engine.state, WR_TLS_ENGINE_OPEN);
        tls_rig_write(&pair.client, "ping", 4);
        tls_rig_write(&pair.server, "pong!", 5);
        tls_pair_exchange(&pair, piece);
        tls_rig_expect(&pair.server, "ping", 4);
        tls_rig_expect(&pair.client, "pong!", 5);
        tls_pair_disconnect(&pair);
    }
}

/* Moves a flight in two parts, the first of @first bytes. */
static void engine_move_split(struct tls_side *from, struct tls_side *to,
                              size_t first)
{
    static uint8_t copy[TLS_BYTES];
    const size_t len = from->wire_len;
    memcpy(copy, from->wire, len);
    from->wire_len = 0;
    tls_side_feed(to, copy, first, TLS_BYTES);
    tls_side_feed(to, copy + first, len - first, TLS_BYTES);
}

/* Splits flight number @flight of a handshake after @first bytes. Returns false
 * if the flight is shorter or does not exist. */
static bool engine_split_one(int version, int flight, size_t first)
{
    const struct tls_rig_options options = {.version = version};
    bool was_split = false;
    cr_assert_eq(tls_rig_open(&pair, &options), 0);
    tls_side_step(&pair.client);
    for (int i = 0; pair.client.wire_len + pair.server.wire_len > 0; i++) {
        struct tls_side *from = i & 1 ? &pair.server : &pair.client;
        struct tls_side *to = i & 1 ? &pair.client : &pair.server;
        if (i == flight && first < from->wire_len) {
            was_split = true;
            engine_move_split(from, to, first);
        } else {
            tls_pair_move(from, to, TLS_BYTES);
        }
    }
    cr_assert_eq(pair.client.engine.state, WR_TLS_ENGINE_OPEN);
    cr_assert_eq(pair.server.engine.state, WR_TLS_ENGINE_OPEN);
    tls_rig_close(&pair);
    return was_split;
}

UNIT(tls_engine, a_handshake_works_with_every_split_of_its_flights)
{
    for (int version = 12; version <= 13; version++) {
        const struct tls_rig_options options = {.version = version};
        unsigned count = 0;
        tls_rig_init(&pair, &options);
        for (int flight = 0; flight < 4; flight++) {
            size_t first = 1;
            while (engine_split_one(version, flight, first)) {
                first++;
                count++;
            }
        }
        expect_gt(count, 1000, "TLS 1.%d", version - 10);
        tls_pair_disconnect(&pair);
    }
}

UNIT_IN(tls_engine, data_of_every_size_goes_both_ways, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    static uint8_t data[3 * WR_TLS_RECORD_MAX + 77];
    const size_t sizes[] = {1,
                            2,
                            255,
                            256,
                            2047,
                            2048,
                            4096,
                            WR_TLS_RECORD_MAX - 1,
                            WR_TLS_RECORD_MAX,
                            WR_TLS_RECORD_MAX + 1,
                            sizeof(data)};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        tls_rig_fill(data, sizes[i], (unsigned)i);
        tls_rig_write(&rig->client, data, sizes[i]);
        expect_leq(rig->client.wire_len,
                   sizes[i] + 30 * (1 + sizes[i] / WR_TLS_RECORD_MAX));
        tls_rig_write(&rig->server, data, sizes[i]);
        tls_pair_exchange(rig, i & 1 ? 1000 : TLS_BYTES);
        tls_rig_expect(&rig->server, data, sizes[i]);
        tls_rig_expect(&rig->client, data, sizes[i]);
    }
}

UNIT_IN(tls_engine, small_reads_get_the_rest_of_a_record_first, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    struct wr_tls_engine *engine = &rig->server.engine;
    char text[16] = {0};
    tls_rig_write(&rig->client, "abcdef", 6);
    tls_rig_write(&rig->client, "gh", 2);
    wr_tls_engine_feed(engine, rig->client.wire, rig->client.wire_len);

    expect_eq(wr_tls_engine_read(engine, text, 4), 4);
    expect_eq(wr_tls_engine_get_plaintext_left(engine), 2);
    expect_eq(wr_tls_engine_read(engine, text + 4, 4), 2);
    expect_eq(wr_tls_engine_get_plaintext_left(engine), 0);
    expect_eq(wr_tls_engine_read(engine, text + 6, 4), 2);
    expect_eq(wr_tls_engine_read(engine, text + 8, 4), -EAGAIN);

    expect_str_eq(text, "abcdefgh");
    rig->client.wire_len = 0;
}

UNIT_IN(tls_engine, a_read_may_leave_a_single_byte_of_a_record, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    struct wr_tls_engine *engine = &rig->server.engine;
    char text[4] = {0};
    tls_rig_write(&rig->client, "abc", 3);
    wr_tls_engine_feed(engine, rig->client.wire, rig->client.wire_len);
    for (size_t i = 0; i < 3; i++) {
        expect_eq(wr_tls_engine_read(engine, text + i, 1), 1);
    }
    expect_eq(wr_tls_engine_read(engine, text, 1), -EAGAIN);
    expect_str_eq(text, "abc");
    rig->client.wire_len = 0;
}

UNIT_IN(tls_engine, input_that_is_left_may_move_to_other_memory, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    struct wr_tls_engine *engine = &rig->server.engine;
    static uint8_t data[1 << 16];
    static uint8_t moved[1 << 17];
    static uint8_t plain[1 << 16];
    tls_rig_fill(data, sizeof(data), 7);
    tls_rig_write(&rig->client, data, sizeof(data));
    const size_t len = rig->client.wire_len;
    wr_tls_engine_feed(engine, rig->client.wire, len);

    ssize_t first = wr_tls_engine_read(engine, plain, sizeof(plain));
    const size_t left = wr_tls_engine_get_input_left(engine);
    memcpy(moved, rig->client.wire + len - left, left);
    memset(rig->client.wire, 0xee, len);
    rig->client.wire_len = 0;
    wr_tls_engine_refeed(engine, moved, left);
    size_t done = (size_t)first;
    for (;;) {
        ssize_t count =
            wr_tls_engine_read(engine, plain + done, sizeof(plain) - done + 1);
        if (count < 0) {
            expect_eq(count, -EAGAIN);
            break;
        }
        done += (size_t)count;
    }

    expect_gt(left, 0);
    expect_lt(left, len);
    expect_eq(first, WR_TLS_RECORD_MAX);
    expect_eq(done, sizeof(data));
    expect_eq(memcmp(plain, data, sizeof(data)), 0);
}

/* As for a hello that the engine cannot parse, but the backend can. */
UNIT(tls_engine, a_client_that_the_program_was_not_asked_about_is_refused)
{
    static struct tls_pair rig;
    for (int version = 12; version <= 13; version++) {
        const struct tls_rig_options options = {.version = version,
                                                .asks = true};
        tls_rig_init(&rig, &options);
        cr_assert_eq(tls_rig_open(&rig, &options), 0);
        rig.server.engine.awaits_hello = false;
        tls_side_step(&rig.client);
        tls_pair_exchange(&rig, TLS_BYTES);

        expect_eq(rig.server.engine.err, WEIR_ETLSNONAME);
        tls_pair_disconnect(&rig);
    }
}

UNIT(tls_engine, data_behind_the_last_flight_is_read_after_the_handshake)
{
    const struct tls_rig_options options = {.version = 13};
    tls_rig_init(&pair, &options);
    cr_assert_eq(tls_rig_open(&pair, &options), 0);
    tls_side_step(&pair.client);
    tls_pair_move(&pair.client, &pair.server, TLS_BYTES);
    tls_pair_move(&pair.server, &pair.client, TLS_BYTES);
    expect_eq(pair.client.engine.state, WR_TLS_ENGINE_OPEN);
    tls_rig_write(&pair.client, "early bird", 10);
    struct wr_tls_engine *server = &pair.server.engine;
    char text[32] = {0};
    wr_tls_engine_feed(server, pair.client.wire, pair.client.wire_len);

    expect_eq(wr_tls_engine_read(server, text, sizeof(text)), -ENOTCONN);
    expect_eq(wr_tls_engine_write(server, "x", 1), -ENOTCONN);
    expect_eq(wr_tls_engine_close(server), -ENOTCONN);
    expect_eq(wr_tls_engine_handshake(server), 0);
    expect_gt(wr_tls_engine_get_input_left(server), 0);
    expect_eq(wr_tls_engine_read(server, text, sizeof(text)), 10);

    expect_str_eq(text, "early bird");
    tls_pair_disconnect(&pair);
}

UNIT_IN(tls_engine, both_sides_agree_on_the_facts, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    const struct wr_tls_engine *client = &rig->client.engine;
    const struct wr_tls_engine *server = &rig->server.engine;
    const char *cipher = wr_tls_engine_get_cipher(client);

    expect_str_eq(wr_tls_engine_get_version(client),
                  version == 12 ? "TLSv1.2" : "TLSv1.3");
    expect_str_eq(wr_tls_engine_get_version(server),
                  wr_tls_engine_get_version(client));
    cr_assert_not_null(cipher);
    expect_eq(strncmp(cipher, "TLS_", 4), 0);
    expect_str_eq(wr_tls_engine_get_cipher(server), cipher);
    expect_eq(wr_tls_engine_get_cipher_bits(server),
              strstr(cipher, "128") ? 128 : 256);
    expect_str_eq(wr_tls_engine_get_sni(server), "localhost");
    cr_assert_null(wr_tls_engine_get_sni(client));
    expect_eq(wr_tls_engine_was_resumed(client), false);
    expect_eq(client->err, 0);
    expect_str_eq(wr_tls_engine_get_error_text(client), "Success");
    expect_eq(wr_tls_engine_get_alert_received(client), -1);
    expect_eq(client->alert_sent, -1);
}

UNIT(tls_engine, there_are_no_facts_before_the_handshake_is_done)
{
    const struct tls_rig_options options = {.version = 13};
    size_t len = 0;
    char out[8];
    struct wr_tls_known *session = NULL;
    tls_rig_init(&pair, &options);
    cr_assert_eq(tls_rig_open(&pair, &options), 0);
    struct wr_tls_engine *client = &pair.client.engine;

    cr_assert_null(wr_tls_engine_get_version(client));
    cr_assert_null(wr_tls_engine_get_cipher(client));
    cr_assert_null(wr_tls_engine_get_alpn(client, &len));
    cr_assert_null(wr_tls_engine_get_sni(&pair.server.engine));
    cr_assert_null(wr_tls_engine_get_peer_certificate(client, 0, &len));
    expect_eq(wr_tls_engine_get_cipher_bits(client), 0);
    expect_eq(wr_tls_engine_was_resumed(client), false);
    expect_eq(wr_tls_engine_export(client, "l", NULL, 0, out, 8), -ENOTCONN);
    expect_eq(wr_tls_engine_get_session(client, &session), -EAGAIN);
    expect_eq(wr_tls_engine_get_session(&pair.server.engine, &session),
              -EOPNOTSUPP);
    tls_pair_disconnect(&pair);
}

UNIT(tls_engine, both_sides_export_the_same_keying_material)
{
    const char *label = "EXPORTER-weir";
    struct wr_tls_engine *client = &pair.client.engine;
    struct wr_tls_engine *server = &pair.server.engine;
    uint8_t one[48];
    uint8_t two[48];
    uint8_t three[48];
    for (int version = 12; version <= 13; version++) {
        const struct tls_rig_options options = {.version = version,
                                                .can_export = true};
        tls_rig_connect(&pair, &options);

        expect_eq(wr_tls_engine_export(client, label, "c", 1, one, 48), 0);
        expect_eq(wr_tls_engine_export(server, label, "c", 1, two, 48), 0);
        expect_eq(wr_tls_engine_export(server, label, NULL, 0, three, 48), 0);

        expect_eq(memcmp(one, two, sizeof(one)), 0);
        expect_neq(memcmp(one, three, sizeof(one)), 0);
        expect_eq(wr_tls_engine_export(client, NULL, NULL, 0, one, 8), -EINVAL);
        expect_eq(
            wr_tls_engine_export(client, "master secret", NULL, 0, one, 8),
            -EINVAL);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_engine, tls_12_exports_nothing_without_the_extended_master_secret)
{
    for (int version = 12; version <= 13; version++) {
        const struct tls_rig_options options = {.version = version,
                                                .can_export = true};
        uint8_t out[8];
        tls_rig_init(&pair, &options);
        cr_assert_eq(tls_rig_open(&pair, &options), 0);
        tls_inner_drop_extended_secret(&pair.client.engine.conn);
        tls_side_step(&pair.client);
        tls_pair_exchange(&pair, TLS_BYTES);
        expect_eq(wr_tls_engine_export(&pair.server.engine, "EXPORTER-weir",
                                       NULL, 0, out, sizeof(out)),
                  version == 13 ? 0 : -EOPNOTSUPP);
        expect_eq(wr_tls_engine_export(&pair.client.engine, "EXPORTER-weir",
                                       NULL, 0, out, sizeof(out)),
                  version == 13 ? 0 : -EOPNOTSUPP);
        tls_pair_disconnect(&pair);
    }
}

UNIT(tls_engine, a_hello_in_single_bytes_tells_of_the_extended_master_secret)
{
    const struct tls_rig_options options = {.version = 12, .can_export = true};
    uint8_t out[8];
    tls_rig_init(&pair, &options);
    cr_assert_eq(tls_rig_open(&pair, &options), 0);
    tls_side_step(&pair.client);
    for (int i = 0; i < 4; i++) {
        tls_pair_move(&pair.client, &pair.server, 1);
        tls_pair_move(&pair.server, &pair.client, 1);
    }
    expect_ok(wr_tls_engine_export(&pair.client.engine, "EXPORTER-weir", NULL,
                                   0, out, sizeof(out)));
    expect_ok(wr_tls_engine_export(&pair.server.engine, "EXPORTER-weir", NULL,
                                   0, out, sizeof(out)));
    tls_rig_close(&pair);
    memset(&pair.client.engine, 0, sizeof(pair.client.engine));
    tls_pair_disconnect(&pair);
}

UNIT_IN(tls_engine, nothing_is_exported_where_nothing_was_kept_for_it,
        tls_rig_pairs, struct tls_pair *rig, int version)
{
    char out[8];
    expect_eq(wr_tls_engine_export(&rig->client.engine, "label", NULL, 0, out,
                                   sizeof(out)),
              -EOPNOTSUPP);
}

UNIT(tls_engine, keys_are_updated_on_either_side_amid_data)
{
    const struct tls_rig_options options = {.version = 13};
    tls_rig_connect(&pair, &options);

    for (int i = 0; i < 20; i++) {
        struct tls_side *side = i & 1 ? &pair.client : &pair.server;
        struct tls_side *other = i & 1 ? &pair.server : &pair.client;
        tls_rig_write(side, "before", 6);
        expect_eq(wr_tls_engine_update_keys(&side->engine), 0);
        tls_rig_write(side, "after", 5);
        tls_pair_exchange(&pair, TLS_BYTES);
        tls_rig_expect(other, "beforeafter", 11);
        tls_rig_write(other, "back", 4);
        tls_pair_exchange(&pair, 3);
        tls_rig_expect(side, "back", 4);
    }
    tls_pair_disconnect(&pair);
}

UNIT(tls_engine, keys_are_not_updated_under_tls_12)
{
    const struct tls_rig_options options = {.version = 12};
    tls_rig_connect(&pair, &options);

    expect_eq(wr_tls_engine_update_keys(&pair.client.engine), -EOPNOTSUPP);

    tls_rig_write(&pair.client, "still", 5);
    tls_pair_exchange(&pair, TLS_BYTES);
    tls_rig_expect(&pair.server, "still", 5);
    tls_pair_disconnect(&pair);
}

static int engine_changes;

static int engine_count_change(struct wr_tls_conn *conn)
{
    engine_changes++;
    return wr_tls_backend_get()->update_keys(conn);
}

/* Connects a pair whose client changes its keys after @records records; the
 * changes are counted. */
static void engine_connect_changing(int version, uint32_t records,
                                    struct wr_tls_backend *counting)
{
    static struct tls_rig_options options;
    options = (struct tls_rig_options){.version = version};

    *counting = *wr_tls_backend_get();
    counting->update_keys = engine_count_change;
    engine_changes = 0;
    tls_rig_init(&pair, &options);
    pair.client.context->key_records = records;
    cr_assert_eq(tls_rig_open(&pair, &options), 0);
    pair.client.engine.conn.backend = counting;
    tls_side_step(&pair.client);
    tls_pair_exchange(&pair, TLS_BYTES);
    cr_assert_eq(pair.client.engine.state, WR_TLS_ENGINE_OPEN);
}

/* Sends @count records of @len bytes to the other side, which takes them at
 * once. */
static void engine_send_records(struct tls_side *side, struct tls_side *other,
                                int count, size_t len)
{
    static uint8_t data[1024];

    cr_assert_leq(len, sizeof(data));
    for (int i = 0; i < count; i++) {
        tls_rig_fill(data, len, (unsigned)i);
        tls_rig_write(side, data, len);
        tls_pair_exchange(&pair, TLS_BYTES);
        tls_rig_expect(other, data, len);
    }
}

UNIT(tls_engine, own_keys_are_changed_after_a_number_of_sealed_records)
{
    struct wr_tls_backend counting;
    engine_connect_changing(13, 3, &counting);

    engine_send_records(&pair.client, &pair.server, 3, 1);
    expect_eq(engine_changes, 0);
    engine_send_records(&pair.client, &pair.server, 1, 1);
    expect_eq(engine_changes, 1);
    engine_send_records(&pair.client, &pair.server, 6, 1);

    expect_eq(engine_changes, 3);
    engine_send_records(&pair.server, &pair.client, 2, 1);
    expect_eq(engine_changes, 3);
    tls_pair_disconnect(&pair);
}

UNIT(tls_engine, the_peer_is_asked_for_new_keys_after_a_number_of_records)
{
    struct wr_tls_backend counting;
    engine_connect_changing(13, 3, &counting);

    engine_send_records(&pair.server, &pair.client, 2, 1);
    expect_eq(engine_changes, 0);
    engine_send_records(&pair.server, &pair.client, 8, 1);

    expect_eq(engine_changes, 3);
    engine_send_records(&pair.client, &pair.server, 3, 1);
    expect_eq(engine_changes, 3);
    tls_pair_disconnect(&pair);
}

/* The peer sends no data, but an answer to each change, which does not count as
 * a flood. */
UNIT(tls_engine, answers_to_own_changes_of_keys_are_no_flood)
{
    struct wr_tls_backend counting;
    engine_connect_changing(13, 1, &counting);

    engine_send_records(&pair.client, &pair.server, 500, 1024);

    expect_eq(engine_changes, 499);
    expect_eq(pair.client.engine.err, 0);
    tls_pair_disconnect(&pair);
}

/* The peer gets all requests before any of its answers arrives. */
UNIT(tls_engine, answers_that_come_all_at_once_are_no_flood)
{
    static uint8_t data[1024]; /* each permits a record without data */
    const int count = 200;     /* more than the limit of records without data */
    struct wr_tls_backend counting;
    engine_connect_changing(13, 1, &counting);
    for (int i = 0; i <= count; i++) {
        tls_rig_write(&pair.client, data, sizeof(data));
    }
    expect_eq(engine_changes, count);

    tls_pair_exchange(&pair, TLS_BYTES);

    expect_eq(pair.server.plain_len, ((size_t)count + 1) * sizeof(data));
    pair.server.plain_len = 0;
    engine_send_records(&pair.server, &pair.client, 1, 1);
    expect_eq(pair.client.engine.err, 0);
    tls_pair_disconnect(&pair);
}

/* All of it is encrypted before the peer takes a byte. */
UNIT(tls_engine, keys_change_within_the_records_of_one_write)
{
    static uint8_t data[40 * WR_TLS_RECORD_MAX];
    struct wr_tls_backend counting;
    engine_connect_changing(13, 4, &counting);

    tls_rig_fill(data, sizeof(data), 7);
    tls_rig_write(&pair.client, data, sizeof(data));
    expect_eq(engine_changes, 9);
    tls_pair_exchange(&pair, 1000);

    tls_rig_expect(&pair.server, data, sizeof(data));
    engine_send_records(&pair.server, &pair.client, 1, 100);
    tls_pair_disconnect(&pair);
}

/* A record of data counts as one without data until its end has arrived. */
UNIT(tls_engine, keys_change_while_half_a_record_of_the_peer_is_there)
{
    struct wr_tls_backend counting;
    uint8_t data[100];
    engine_connect_changing(13, 3, &counting);
    engine_send_records(&pair.server, &pair.client, 1, sizeof(data));
    tls_rig_fill(data, sizeof(data), 1);
    tls_rig_write(&pair.server, data, sizeof(data));
    const size_t len = pair.server.wire_len;
    pair.server.wire_len = 0;
    tls_side_feed(&pair.client, pair.server.wire, len / 2, len / 2);

    for (int i = 0; i < 10; i++) {
        tls_rig_write(&pair.client, "x", 1);
    }
    expect_eq(engine_changes, 3);
    tls_side_feed(&pair.client, pair.server.wire + len / 2, len - len / 2, len);

    tls_rig_expect(&pair.client, data, sizeof(data));
    tls_pair_exchange(&pair, TLS_BYTES);
    tls_rig_expect(&pair.server, "xxxxxxxxxx", 10);
    engine_send_records(&pair.server, &pair.client, 1, 1);
    tls_pair_disconnect(&pair);
}

UNIT(tls_engine, keys_are_not_changed_behind_the_close_notify)
{
    struct wr_tls_backend counting;
    engine_connect_changing(13, 3, &counting);
    expect_eq(wr_tls_engine_close(&pair.client.engine), 0);
    tls_side_flush(&pair.client);
    pair.client.wire_len = 0;

    engine_send_records(&pair.server, &pair.client, 10, 1);

    expect_eq(engine_changes, 0);
    expect_eq(pair.client.engine.err, 0);
    tls_pair_disconnect(&pair);
}

UNIT(tls_engine, keys_last_as_long_as_the_connection_with_tls_12)
{
    struct wr_tls_backend counting;
    engine_connect_changing(12, 3, &counting);

    engine_send_records(&pair.client, &pair.server, 10, 1);
    engine_send_records(&pair.server, &pair.client, 10, 1);

    expect_eq(pair.client.engine.err, 0);
    expect_gt(engine_changes, 0); /* requested, and not done */
    tls_pair_disconnect(&pair);
}

UNIT(tls_engine, keys_serve_for_2_to_the_24_records)
{
    struct tls_rig_options options = {.version = 13};
    tls_rig_connect(&pair, &options);

    expect_eq(wr_tls_context_get_key_records(pair.client.context), 1u << 24);
    expect_eq(pair.client.engine.sealed_left, 1u << 24);
    tls_pair_disconnect(&pair);
}

UNIT_IN(tls_engine, a_close_notify_ends_one_direction, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    expect_eq(wr_tls_engine_close(&rig->client.engine), 0);
    expect_eq(wr_tls_engine_close(&rig->client.engine), 0);
    tls_side_flush(&rig->client);
    const size_t len = rig->client.wire_len;
    tls_pair_move(&rig->client, &rig->server, TLS_BYTES);

    expect_gt(len, 0);
    expect_lt(len, 64);
    expect_eq(rig->server.result, 0);
    expect_eq(rig->server.engine.state, WR_TLS_ENGINE_RECEIVED_CLOSE);
    expect_eq(rig->client.engine.state, WR_TLS_ENGINE_SENT_CLOSE);
    expect_eq(wr_tls_engine_write(&rig->client.engine, "x", 1), -ESHUTDOWN);

    tls_rig_write(&rig->server, "the rest", 8);
    expect_eq(wr_tls_engine_close(&rig->server.engine), 0);
    tls_side_flush(&rig->server);
    tls_pair_move(&rig->server, &rig->client, TLS_BYTES);

    tls_rig_expect(&rig->client, "the rest", 8);
    expect_eq(rig->client.result, 0);
    expect_eq(rig->client.engine.state, WR_TLS_ENGINE_CLOSED);
    expect_eq(rig->server.engine.state, WR_TLS_ENGINE_CLOSED);
    expect_eq(rig->client.engine.err, 0);
}

UNIT_IN(tls_engine, both_sides_may_close_at_once, tls_rig_pairs,
        struct tls_pair *rig, int version)
{
    expect_eq(wr_tls_engine_close(&rig->client.engine), 0);
    expect_eq(wr_tls_engine_close(&rig->server.engine), 0);
    tls_side_flush(&rig->client);
    tls_side_flush(&rig->server);

    tls_pair_exchange(rig, TLS_BYTES);

    expect_eq(rig->client.engine.state, WR_TLS_ENGINE_CLOSED);
    expect_eq(rig->server.engine.state, WR_TLS_ENGINE_CLOSED);
    expect_eq(rig->client.result, 0);
    expect_eq(rig->server.result, 0);
}

UNIT(tls_engine, nothing_is_sent_behind_the_close_notify)
{
    const struct tls_rig_options options = {.version = 13};
    tls_rig_connect(&pair, &options);
    expect_eq(wr_tls_engine_close(&pair.client.engine), 0);
    tls_side_flush(&pair.client);
    pair.client.wire_len = 0;

    expect_eq(wr_tls_engine_update_keys(&pair.server.engine), 0);
    tls_rig_write(&pair.server, "after", 5);
    tls_pair_move(&pair.server, &pair.client, TLS_BYTES);

    tls_rig_expect(&pair.client, "after", 5);
    expect_eq(pair.client.wire_len, 0); /* the key update is not answered */
    tls_pair_disconnect(&pair);
}

static int engine_rests;

static void engine_count_rest(struct wr_tls_conn *conn)
{
    cr_assert_not_null(conn->ssl);
    engine_rests++;
}

UNIT(tls_engine, the_library_is_told_when_no_step_follows)
{
    struct wr_tls_backend counting = *wr_tls_backend_get();
    const struct tls_rig_options options = {.version = 13};
    tls_rig_connect(&pair, &options);
    counting.rest = engine_count_rest;

    wr_tls_engine_rest(&pair.client.engine); /* unless it keeps nothing */
    pair.client.engine.conn.backend = &counting;
    wr_tls_engine_rest(&pair.client.engine);

    expect_eq(engine_rests, 1);
    tls_pair_disconnect(&pair);
}

/* Within a record the library keeps the part that it has, and plaintext. */
UNIT(tls_engine, nothing_is_given_back_while_a_record_is_there)
{
    struct wr_tls_backend counting = *wr_tls_backend_get();
    const struct tls_rig_options options = {.version = 13};
    char byte;
    tls_rig_connect(&pair, &options);
    struct wr_tls_engine *client = &pair.client.engine;
    counting.rest = engine_count_rest;
    client->conn.backend = &counting;
    cr_assert_eq(wr_tls_engine_write(&pair.server.engine, "data", 4), 0);
    tls_side_flush(&pair.server);

    engine_rests = 0;
    for (size_t i = 0; i < pair.server.wire_len; i++) {
        wr_tls_engine_feed(client, pair.server.wire + i, 1);
        const ssize_t len = wr_tls_engine_read(client, &byte, 1);
        expect_eq(len, i + 1 < pair.server.wire_len ? -EAGAIN : 1);
        wr_tls_engine_rest(client);
        expect_eq(engine_rests, 0, "%zu", i);
    }
    while (wr_tls_engine_get_plaintext_left(client) > 0) {
        wr_tls_engine_rest(client);
        expect_eq(engine_rests, 0);
        expect_eq(wr_tls_engine_read(client, &byte, 1), 1);
    }
    wr_tls_engine_rest(client);
    expect_eq(engine_rests, 1);
    pair.server.wire_len = 0;
    tls_pair_disconnect(&pair);
}

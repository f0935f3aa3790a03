/*
 * weir's own part of TLS over a backend without cryptography
 * (tests/fake/tls_null.h): errors that a library reports, at each step of a
 * handshake, and peers that send what no library sends.
 *
 * Contexts, engines and certificates are the real ones. No library is linked.
 */
#include "tests/fake/tls_null.h"
#include "tests/tls/rig.h"

#include <errno.h>

enum {
    ALERT_UNEXPECTED = 10,
    ALERT_REFUSED = 40,
    ALERT_UNKNOWN_CA = 48,
    ALERT_INTERNAL = 80,
};

static struct tls_pair pair;

/* Contexts of one version; a server that verifies its clients, and a client
 * that has a certificate, if @is_mutual. */
struct null_world {
    weir_tls_context *client;
    weir_tls_context *server;
};

static void world_open(struct null_world *world, int version, bool is_mutual)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);

    client.max_version = client.min_version = server.max_version =
        version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    client.alpn = "other,h2";
    server.alpn = "h2,http/1.1";
    if (is_mutual) {
        client.certificate.file = tls_file("rsa.pem");
        client.key.file = tls_file("rsa.key");
        server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
        server.authorities.file = tls_file("ca.pem");
    }
    world->client = tls_context(&client);
    world->server = tls_context(&server);
}

static void world_close(struct null_world *world)
{
    tls_contexts_unref(world->client, world->server);
}

static void world_connect(const struct null_world *world,
                          struct wr_tls_known *session)
{
    const struct wr_tls_peer_options how = {
        .server_hostname = "localhost", .can_export = true, .session = session};

    tls_pair_connect(&pair, world->client, world->server, &how);
}

/* Both versions, without and with a client's certificate. */
#define WORLDS(name)                                                           \
    static void name##_in(const struct null_world *world, int version);        \
    UNIT(tls_null, name)                                                       \
    {                                                                          \
        for (int i = 0; i < 4; i++) {                                          \
            struct null_world world;                                           \
            world_open(&world, 12 + i % 2, i > 1);                             \
            name##_in(&world, 12 + i % 2);                                     \
            world_close(&world);                                               \
        }                                                                      \
    }                                                                          \
    static void name##_in(const struct null_world *world, int version)

/* ---- what works ---- */

WORLDS(a_handshake_agrees_on_everything)
{
    size_t len = 0;

    world_connect(world, NULL);

    tls_pair_expect(&pair, 0, 0);
    const struct wr_tls_engine *engines[] = {&pair.client.engine,
                                             &pair.server.engine};
    for (size_t i = 0; i < 2; i++) {
        const char *alpn = wr_tls_engine_get_alpn(engines[i], &len);
        expect_eq(len, 2);
        expect_eq(memcmp(alpn, "h2", 2), 0);
        expect_str_eq(wr_tls_engine_get_version(engines[i]),
                      version == 12 ? "TLSv1.2" : "TLSv1.3");
        expect_str_eq(wr_tls_engine_get_group(engines[i]), "X25519");
        cr_assert(wr_tls_engine_get_cipher_bits(engines[i]) >= 128);
    }
    expect_str_eq(wr_tls_engine_get_sni(engines[1]), "localhost");
    tls_pair_disconnect(&pair);
}

/* Bytes each way, in records that are copied and in those that are not, by
 * keys that change. */
WORLDS(bytes_pass_in_both_directions)
{
    static uint8_t data[WR_TLS_RECORD_MAX];
    struct tls_side *sides[] = {&pair.client, &pair.server};

    memset(data, 7, sizeof(data));
    world_connect(world, NULL);
    for (size_t i = 0; i < 8; i++) {
        struct tls_side *from = sides[i % 2];
        struct tls_side *to = sides[1 - i % 2];
        const size_t len = i < 4 ? 5 : sizeof(data);
        expect_ok(wr_tls_engine_write(&from->engine, data, len));
        expect_eq(wr_tls_engine_update_keys(&from->engine),
                  version == 12 ? -EOPNOTSUPP : 0);
        expect_ok(wr_tls_engine_write(&from->engine, data, len));
        to->plain_len = 0;
        tls_pair_exchange(&pair, 1000);
        expect_eq(to->plain_len, 2 * len);
        expect_eq(memcmp(to->plain, data, len), 0);
    }
    expect_eq(wr_tls_engine_close(&pair.client.engine), 0);
    tls_pair_exchange(&pair, 0);
    expect_eq(pair.server.engine.state, WR_TLS_ENGINE_RECEIVED_CLOSE);
    tls_pair_disconnect(&pair);
}

/* A session is for one name and one certificate of a client. */
WORLDS(a_session_is_resumed_for_its_name_alone)
{
    static const char *const names[] = {"localhost", "other.example"};
    struct wr_tls_known *session = NULL;

    world_connect(world, NULL);
    expect_eq(wr_tls_engine_get_session(&pair.client.engine, &session),
              version == 12 ? -EAGAIN : 0);
    tls_pair_disconnect(&pair);
    for (size_t i = 0; session && i < 2; i++) {
        const struct wr_tls_peer_options how = {.server_hostname = names[i],
                                                .session = session};
        tls_pair_connect(&pair, world->client, world->server, &how);
        if (i == 0) {
            tls_pair_expect(&pair, 0, 0);
        }
        expect_eq(wr_tls_engine_was_resumed(&pair.server.engine), i == 0);
        tls_pair_disconnect(&pair);
    }
    if (session) {
        wr_tls_backend_get()->session_free(session);
    }
}

/* ---- messages that are wrong ---- */

static const enum tls_null_message messages[] = {
    TLS_NULL_CHANGE,     TLS_NULL_CLIENT_HELLO, TLS_NULL_SERVER_HELLO,
    TLS_NULL_TICKET,     TLS_NULL_EXTENSIONS,   TLS_NULL_CERTIFICATE,
    TLS_NULL_SERVER_KEY, TLS_NULL_REQUEST,      TLS_NULL_DONE,
    TLS_NULL_VERIFY,     TLS_NULL_CLIENT_KEY,   TLS_NULL_FINISHED,
};

/* A handshake in which one message is sent as ordered. Returns how often. */
static int connect_by_order(const struct null_world *world, bool by_server,
                            enum tls_null_message message,
                            enum tls_null_how how, int code)
{
    tls_null_orders = (struct tls_null_orders){
        .by_server = by_server, .message = message, .how = how, .code = code};
    world_connect(world, NULL);
    const int met = tls_null_orders.met;
    tls_null_orders = (struct tls_null_orders){.met = 0};
    return met;
}

/* The stream ends behind what has come. */
static int end_of(struct tls_side *side)
{
    if (side->engine.err == 0) {
        wr_tls_engine_feed_eof(&side->engine);
        tls_side_step(side);
    }
    return side->engine.err;
}

static int met_count; /* orders that were for a message of the handshake */

/* A peer whose message is wrong is not let in, whichever message that is. */
static void expect_no_way_in(const struct null_world *world, bool by_server,
                             enum tls_null_message message,
                             enum tls_null_how how)
{
    struct tls_side *liar = by_server ? &pair.server : &pair.client;
    struct tls_side *other = by_server ? &pair.client : &pair.server;

    if (connect_by_order(world, by_server, message, how, 0) > 0) {
        met_count++;
        /* A wrong ticket comes when the handshake is over. */
        cr_assert(message == TLS_NULL_TICKET || !other->engine.was_open,
                  "message %d, %d by the %s", message, how,
                  by_server ? "server" : "client");
        const int err = end_of(other);
        cr_assert(err < 0);
        if (how == TLS_NULL_ALERTS) {
            expect_eq(err, WEIR_ETLSALERT);
            expect_eq(wr_tls_engine_get_alert_received(&other->engine),
                      ALERT_REFUSED);
        }
        if (how == TLS_NULL_CLOSES) {
            expect_eq(err, WEIR_ETLSTRUNCATED);
        }
        cr_assert(end_of(liar) < 0 || message == TLS_NULL_TICKET);
    }
    tls_pair_disconnect(&pair);
}

WORLDS(no_message_may_be_wrong)
{
    met_count = 0;
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        for (int how = TLS_NULL_DOUBLES; how <= TLS_NULL_CLOSES; how++) {
            if (messages[i] == TLS_NULL_TICKET && how != TLS_NULL_CUTS &&
                how != TLS_NULL_ALERTS) {
                continue; /* two are good, and so is an end behind one */
            }
            expect_no_way_in(world, false, messages[i], (enum tls_null_how)how);
            expect_no_way_in(world, true, messages[i], (enum tls_null_how)how);
        }
    }
    expect_gt(met_count, 6 * (TLS_NULL_CLOSES - TLS_NULL_DOUBLES + 1));
}

WORLDS(no_message_may_be_left_out)
{
    int count = 0;

    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        for (int by_server = 0; by_server < 2; by_server++) {
            struct tls_side *other = by_server ? &pair.client : &pair.server;
            const int met = connect_by_order(world, by_server, messages[i],
                                             TLS_NULL_OMITS, 0);
            count += met;
            if (met > 0 && messages[i] != TLS_NULL_TICKET) {
                cr_assert(!other->engine.was_open, "message %d", messages[i]);
                cr_assert(end_of(other) < 0);
            }
            tls_pair_disconnect(&pair);
        }
    }
    expect_gt(count, 6);
}

/* ---- a side that fails by itself ---- */

/* Its error is its own, and no error is the peer's. */
static void fail_by(const struct null_world *world, bool by_server,
                    enum tls_null_message message, int code)
{
    struct tls_side *side = by_server ? &pair.server : &pair.client;
    struct tls_side *other = by_server ? &pair.client : &pair.server;

    if (connect_by_order(world, by_server, message, TLS_NULL_FAILS, code) > 0) {
        met_count++;
        expect_eq(side->engine.err, code);
        const int sent = side->engine.alert_sent;
        cr_assert(sent == -1 || sent == ALERT_INTERNAL);
        const int err = end_of(other);
        expect_eq(err,
                  sent == ALERT_INTERNAL ? WEIR_ETLSALERT : WEIR_ETLSTRUNCATED,
                  "message %d", message);
        /* Before its first message a server can say so. */
        if (by_server && message == TLS_NULL_SERVER_HELLO) {
            expect_eq(sent, ALERT_INTERNAL);
        }
    }
    tls_pair_disconnect(&pair);
}

WORLDS(a_side_may_fail_before_each_of_its_messages)
{
    static const int codes[] = {-ENOMEM, WEIR_ETLSENGINE, WEIR_ETLSSIGN};

    met_count = 0;
    for (size_t i = 0; i < sizeof(messages) / sizeof(*messages); i++) {
        for (size_t k = 0; k < sizeof(codes) / sizeof(*codes); k++) {
            fail_by(world, false, messages[i], codes[k]);
            fail_by(world, true, messages[i], codes[k]);
        }
    }
    expect_gt(met_count, 6 * 3);
}

/* A library that lets a peer in whose certificates weir has not seen. */
WORLDS(a_library_that_asks_for_no_verdict_lets_nobody_in)
{
    tls_null_orders.is_unjudged = true;
    world_connect(world, NULL);
    tls_null_orders.is_unjudged = false;

    const int err = pair.client.engine.err;
    cr_assert(err == WEIR_ETLSBADCERT || err == WEIR_ETLSALERT);
    if (err == WEIR_ETLSALERT) { /* the server was first to find it out */
        cr_assert(pair.server.engine.err < 0);
    }
    tls_pair_disconnect(&pair);
}

/* ---- alerts ---- */

/* Whether the library names the alert or weir replaces the library's. */
static void refuse_server(int version, uint32_t does)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    const uint32_t before = wr_tls_null.does;

    wr_tls_null.does = does;
    client.authorities.file = NULL;
    client.no_system_authorities = true;
    client.max_version = version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    tls_pair_join(&pair, &client, &server, NULL);
    cr_assert(pair.client.engine.err < 0);
    expect_eq(pair.server.engine.err, WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(&pair.server.engine),
              pair.client.engine.alert_sent);
    if (does & (WR_TLS_DOES_ALERT | WR_TLS_DOES_SECRETS) || version == 12) {
        expect_eq(wr_tls_engine_get_alert_received(&pair.server.engine),
                  ALERT_UNKNOWN_CA);
    }
    tls_pair_disconnect(&pair);
    wr_tls_null.does = before;
}

UNIT(tls_null, a_refused_server_gets_the_alert_that_weir_names)
{
    for (int version = 12; version <= 13; version++) {
        refuse_server(version, 0);
        refuse_server(version, WR_TLS_DOES_SECRETS);
        refuse_server(version, WR_TLS_DOES_ALERT);
        refuse_server(version, WR_TLS_DOES_ALERT | WR_TLS_DOES_CHANGE);
    }
}

/* ---- early data ---- */

/* Of each record 47 bytes count, of 16 KiB that are skipped. */
UNIT(tls_null, early_data_is_skipped_up_to_its_limit)
{
    static const struct {
        size_t records;
        bool is_skipped;
    } rows[] = {{1, true}, {100, true}, {400, false}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t piece = 0; piece < 8; piece += 7) {
            tls_null_orders.early_records = rows[i].records;
            pair.piece = piece;
            tls_pair_join(&pair, NULL, NULL, NULL);
            tls_null_orders.early_records = 0;
            pair.piece = 0;
            expect_eq(pair.server.engine.err == 0, rows[i].is_skipped,
                      "%zu records", rows[i].records);
            tls_pair_disconnect(&pair);
        }
    }
}

/* Without a library's secrets weir cannot tell what it may skip. */
UNIT(tls_null, early_data_ends_a_handshake_without_secrets)
{
    const uint32_t before = wr_tls_null.does;

    wr_tls_null.does = 0;
    tls_null_orders.early_records = 1;
    tls_pair_join(&pair, NULL, NULL, NULL);
    tls_null_orders.early_records = 0;
    wr_tls_null.does = before;
    expect_eq(pair.server.engine.err, WEIR_ETLSRECORD);
    tls_pair_disconnect(&pair);
}

/* ---- a library that breaks its promises ---- */

/* A server that has answered its client, which has sent early data. */
static void open_half(const struct null_world *world)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};

    tls_pair_open(&pair, world->client, world->server, &how);
    tls_null_orders.early_records = 1;
    tls_side_step(&pair.client);
    tls_null_orders.early_records = 0;
    tls_pair_move(&pair.client, &pair.server, 0);
    expect_eq(pair.server.engine.state, WR_TLS_ENGINE_HANDSHAKE);
}

UNIT(tls_null, a_secret_of_another_size_is_of_no_use)
{
    static const uint8_t bytes[64] = {1};
    struct null_world world;

    world_open(&world, 13, true);
    open_half(&world);
    struct wr_tls_conn *conn = &pair.server.engine.conn;
    cr_assert_not_null(pair.server.engine.early);
    expect_eq(
        conn->events->secret(conn, WR_TLS_SECRET_CLIENT_HANDSHAKE, bytes, 20),
        WEIR_ETLSENGINE);
    cr_assert_not_null(pair.server.engine.secret);
    expect_eq(conn->events->secret(conn, WR_TLS_SECRET_SERVER_DATA, bytes,
                                   sizeof(bytes)),
              0);
    cr_assert_null(pair.server.engine.secret);
    tls_pair_disconnect(&pair);
    world_close(&world);
}

/* What is sent behind a record that is missing would be of no use. */
UNIT(tls_null, nothing_is_sent_behind_a_record_that_is_missing)
{
    static uint8_t record[9000] = {22, 3, 3, 0x23, 0x23};
    struct null_world world;

    world_open(&world, 13, false);
    open_half(&world);
    struct wr_tls_conn *conn = &pair.server.engine.conn;
    tls_side_flush(&pair.server);
    wr_ignore(wr_blocks_trim(&pair.account.blocks));
    allocator_fail_in(&pair.account.allocator, 1);
    expect_eq(conn->events->put(conn, record, sizeof(record)), -ENOMEM);
    expect_eq(conn->events->put(conn, record, sizeof(record)), -ENOMEM);
    expect_eq(wr_tls_engine_get_output_bytes(&pair.server.engine), 0);
    tls_pair_disconnect(&pair);
    world_close(&world);
}

/* Changes of keys that say nothing, within a handshake. */
UNIT(tls_null, records_without_end_within_a_handshake_are_a_flood)
{
    static uint8_t changes[200 * 6];
    struct null_world world;

    for (size_t i = 0; i < sizeof(changes); i += 6) {
        memcpy(changes + i, (const uint8_t[]){20, 3, 3, 0, 1, 1}, 6);
    }
    world_open(&world, 13, false);
    open_half(&world);
    for (int i = 0; i < 400 && pair.server.engine.err == 0; i++) {
        tls_side_feed(&pair.server, changes, sizeof(changes), 100);
    }
    expect_eq(pair.server.engine.err, WEIR_ETLSFLOOD);
    struct wr_tls_conn *conn = &pair.server.engine.conn;
    expect_eq(conn->events->take(conn, changes, 1), WR_TLS_TAKE_REFUSED);
    tls_pair_disconnect(&pair);
    world_close(&world);
}

/* ---- memory ---- */

static int memory_version;
static bool memory_is_mutual;
static size_t memory_record; /* bytes; messages come in parts */

/* Contexts and engines; all that a connection allocates, fails once. */
static void memory_live(void *arg)
{
    struct null_world world;
    const struct wr_tls_peer_options to_server = {
        .server_hostname = "localhost", .can_export = true};
    const struct wr_tls_peer_options of_server = {.can_export = true};

    world_open(&world, memory_version, memory_is_mutual);
    tls_null_orders.early_records = memory_version == 13 ? 3 : 0;
    tls_null_orders.record_bytes = memory_record;
    walk_begin(&pair.account.allocator);
    const int client =
        tls_side_open(&pair.client, world.client, &to_server, &pair.account);
    const int server =
        tls_side_open(&pair.server, world.server, &of_server, &pair.account);
    if (client == 0 && server == 0) {
        tls_side_step(&pair.client);
        tls_pair_exchange(&pair, 100);
        wr_ignore(wr_tls_engine_write(&pair.client.engine, "ping", 4) < 0);
        wr_ignore(wr_tls_engine_close(&pair.client.engine) < 0);
        tls_pair_exchange(&pair, 0);
    }
    const bool has_failed = walk_end(&pair.account.allocator);
    tls_null_orders = (struct tls_null_orders){.met = 0};
    cr_assert(client == 0 || client == -ENOMEM);
    cr_assert(server == 0 || server == -ENOMEM);
    if (client == 0 && server == 0) {
        const int a = pair.client.engine.err;
        const int b = pair.server.engine.err;
        /* A client of the test's library takes no message in parts. */
        cr_assert(a == 0 || has_failed || memory_record > 0);
        cr_assert(b == 0 || has_failed || memory_record > 0);
        /* A session that finds no memory is not kept, which is no error. */
        cr_assert(!has_failed || a == -ENOMEM || b == -ENOMEM ||
                  (a == 0 && b == 0) || memory_record > 0);
    }
    if (client == 0) {
        tls_side_close(&pair.client);
    }
    if (server == 0) {
        tls_side_close(&pair.server);
    }
    wr_ignore(wr_blocks_trim(&pair.account.blocks));
    world_close(&world);
}

UNIT(tls_null, each_allocation_of_a_connection_may_fail)
{
    for (int i = 0; i < 8; i++) {
        memory_version = 12 + i % 2;
        memory_is_mutual = i & 2;
        memory_record = i & 4 ? 50 : 0;
        tls_account_open(&pair.account);
        expect_gt(walk_allocations(&pair.account.allocator, memory_live, NULL),
                  5);
        tls_account_close(&pair.account);
    }
}

/* ---- keys that are elsewhere ---- */

static bool cannot_sign;

/* A signature by its form: two numbers. */
static int sign_by_form(void *user, const struct weir_tls_to_sign *job,
                        void *signature, size_t size)
{
    static const uint8_t numbers[] = {0x30, 6, 2, 1, 1, 2, 1, 1};

    cr_assert_geq(size, sizeof(numbers));
    memcpy(signature, numbers, sizeof(numbers));
    return cannot_sign ? -EIO : (int)sizeof(numbers);
}

static void sign_on(int version, bool by_server, uint32_t does)
{
    struct weir_tls_options client = tls_options(false);
    struct weir_tls_options server = tls_options(true);
    struct weir_tls_options *outside = by_server ? &server : &client;
    struct tls_side *side = by_server ? &pair.server : &pair.client;
    struct tls_side *other = by_server ? &pair.client : &pair.server;
    const uint32_t before = wr_tls_null.does;

    wr_tls_null.does = does;
    client.max_version = version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    server.client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    server.authorities.file = tls_file("ca.pem");
    client.certificate.file = tls_file("ecdsa.pem");
    client.key.file = tls_file("ecdsa.key");
    outside->key.file = NULL;
    outside->sign = sign_by_form;
    tls_pair_join(&pair, &client, &server, NULL);
    if (!cannot_sign) {
        tls_pair_end(&pair, 0, 0);
    } else if (does == 0 && version == 13) { /* nothing to seal an alert by */
        expect_eq(side->engine.err, WEIR_ETLSSIGN);
        expect_eq(side->engine.alert_sent, -1);
        tls_pair_disconnect(&pair);
    } else {
        expect_eq(side->engine.err, WEIR_ETLSSIGN);
        expect_eq(side->engine.alert_sent, ALERT_INTERNAL);
        expect_eq(other->engine.err, WEIR_ETLSALERT);
        expect_eq(other->engine.alert_received, ALERT_INTERNAL);
        tls_pair_disconnect(&pair);
    }
    wr_tls_null.does = before;
}

/* Whether the library sends the alert or weir does, and seals it. */
UNIT(tls_null, a_key_that_cannot_sign_is_told_to_the_peer)
{
    static const uint32_t does[] = {0, WR_TLS_DOES_SECRETS, WR_TLS_DOES_ALERT};

    for (int i = 0; i < 8 * 3; i++) {
        cannot_sign = i & 1;
        sign_on(12 + (i >> 1 & 1), i & 4, does[i / 8]);
    }
}

/* ---- what comes when there is an end ---- */

WORLDS(a_stream_that_ends_is_cut_unless_that_may_be)
{
    for (int i = 0; i < 4; i++) {
        const bool may_be = i & 1;
        const struct wr_tls_peer_options how = {.server_hostname = "localhost",
                                                .ignores_eof = may_be};
        static const uint8_t header[] = {23, 3, 3};
        tls_pair_connect(&pair, world->client, world->server, &how);
        struct wr_tls_engine *engine = &pair.client.engine;
        if (i & 2) { /* a part of a record */
            wr_tls_engine_feed(engine, header, sizeof(header));
            tls_side_step(&pair.client);
        }
        wr_tls_engine_feed_eof(engine);
        tls_side_step(&pair.client);
        expect_eq(engine->err, i == 1 ? 0 : WEIR_ETLSTRUNCATED);
        expect_eq(pair.client.result, i == 1 ? 0 : WEIR_ETLSTRUNCATED);
        tls_pair_disconnect(&pair);
    }
}

/*
 * Handshake messages that are changed on the wire: key shares that do not
 * belong to their group, and other messages that weir itself refuses
 * (message.h).
 *
 * The side that gets one has the error, and both have the alert. A row is run
 * with each message in one piece, byte by byte, and in records of nine bytes,
 * because wolfSSL requires a message's header in one record.
 */
#include "lib/tls/engine/message.h"
#include "lib/tls/engine/point.h"
#include "tests/tls/rig.h"

enum {
    SHARE_ILLEGAL = 47, /* alerts */
    SHARE_MALFORMED = 50,
    SHARE_FALLBACK = 86,
    SHARE_MISSING = 109,

    SHARE_KEYS = 51, /* extensions */
    SHARE_VERSIONS = 43,
    SHARE_RECORD = 5,
    SHARE_HELLO = 4 + 2 + 32, /* bytes before a session identifier */
    SHARE_ROUNDS = 100,
};

static struct tls_pair pair;

/* Returns a message in the wire's unencrypted records, one message per record.
 */
static uint8_t *share_find(struct tls_side *from, uint8_t type, size_t *ret)
{
    size_t at = 0;
    while (at + SHARE_RECORD <= from->wire_len) {
        uint8_t *record = from->wire + at;
        const size_t size = (size_t)record[3] << 8 | record[4];
        uint8_t *message = record + SHARE_RECORD;
        const uint8_t *end = message + size;
        while (record[0] == 22 && message + 4 <= end) {
            const size_t whole = wr_tls_message_size(message);
            if (message[0] == type && message + whole <= end) {
                *ret = whole;
                return message;
            }
            message += whole;
        }
        at += SHARE_RECORD + size;
    }
    return NULL;
}

static size_t share_number(const uint8_t *at)
{
    return (size_t)at[0] << 8 | at[1];
}

/* Returns the body of a hello's extension. */
static uint8_t *share_extension(uint8_t *hello, size_t size, size_t type,
                                size_t *ret)
{
    uint8_t *at = hello + SHARE_HELLO;
    at += 1 + at[0];
    if (hello[0] == WR_TLS_MESSAGE_CLIENT_HELLO) {
        at += 2 + share_number(at);
        at += 1 + at[0];
    } else {
        at += 3;
    }
    for (at += 2; at + 4 <= hello + size; at += 4 + share_number(at + 2)) {
        if (share_number(at) == type) {
            *ret = share_number(at + 2);
            return at + 4;
        }
    }
    return NULL;
}

typedef void share_change(uint8_t *message, size_t size);

/* Changes the last byte of a share, or zeroes all bytes. */
static void share_spoil(uint8_t *share, size_t size)
{
    if (size == 32 ||
        size > UINT8_MAX) { /* X25519's is the end of a hybrid share */
        memset(share + size - 32, 0, 32);
    } else {
        share[size - 1] ^= 1;
    }
}

/* Returns the first share of a hello, and its size. */
static uint8_t *share_of_hello(uint8_t *message, size_t size, size_t *ret)
{
    size_t left;
    uint8_t *body = share_extension(message, size, SHARE_KEYS, &left);
    cr_assert_not_null(body);
    cr_assert_gt(left, 4);
    body += message[0] == WR_TLS_MESSAGE_CLIENT_HELLO ? 2 : 0;
    *ret = share_number(body + 2);
    return body + 4;
}

static void share_spoil_hello(uint8_t *message, size_t size)
{
    size_t len;
    uint8_t *share = share_of_hello(message, size, &len);
    share_spoil(share, len);
}

/* A point of order 8. */
static void share_put_small(uint8_t *message, size_t size)
{
    static const uint8_t small[32] = {
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3,
        0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32,
        0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00};
    size_t len;
    uint8_t *share = share_of_hello(message, size, &len);
    expect_eq(len, sizeof(small));
    memcpy(share, small, sizeof(small));
}

static void share_spoil_server_key(uint8_t *message, size_t size)
{
    share_spoil(message + 4 + 4, message[4 + 3]);
}

static void share_spoil_client_key(uint8_t *message, size_t size)
{
    share_spoil(message + 4 + 1, message[4]);
}

static size_t share_key_size; /* size of the client's new share */

/* Writes the base point of P-256, with its coordinates padded with zeros,
 * truncated, or compressed. */
static void share_write_point(uint8_t *to, size_t size)
{
    static const uint8_t base[] = {
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6,
        0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb,
        0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
        0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a,
        0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e,
        0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
    const size_t coordinate = size == 33 ? 32 : size / 2;
    const size_t count = coordinate < 32 ? coordinate : 32;
    memset(to, 0, size);
    to[0] = size == 33 ? 3 : 4;
    for (size_t i = 1; i * coordinate + 1 <= size && count > 0; i++) {
        memcpy(to + 1 + i * coordinate - count, base + i * 32 - count, count);
    }
}

/* Replaces the client's share, in a record of its own. */
static void share_put_client_key(uint8_t *message, size_t size)
{
    struct tls_side *from = &pair.client;
    const size_t whole = 4 + 1 + share_key_size;
    const size_t front = (size_t)(message - from->wire);
    const size_t rest = from->wire_len - front - size;
    expect_eq(share_number(message - 2), size);
    memmove(message + whole, message + size, rest);
    from->wire_len = front + whole + rest;
    message[-2] = message[2] = 0;
    message[-1] = (uint8_t)whole;
    message[3] = (uint8_t)(1 + share_key_size);
    message[4] = (uint8_t)share_key_size;
    share_write_point(message + 5, share_key_size);
}

/* Changes the type of an extension. */
static void share_rename(uint8_t *message, size_t size, size_t from,
                         uint8_t first, uint8_t second)
{
    size_t left;
    uint8_t *body = share_extension(message, size, from, &left);
    cr_assert_not_null(body);
    body[-4] = first;
    body[-3] = second;
}

/* Subtracts @size from the two-byte number at @at. */
static void share_lessen(uint8_t *at, size_t size)
{
    const size_t left = share_number(at) - size;
    at[0] = (uint8_t)(left >> 8);
    at[1] = (uint8_t)left;
}

/* Removes the share from a server's hello, after which its record has nothing.
 */
static void share_leave_out(uint8_t *message, size_t size)
{
    struct tls_side *from = &pair.server;
    size_t left;
    uint8_t *body = share_extension(message, size, SHARE_KEYS, &left);
    cr_assert_not_null(body);
    expect_eq(share_number(message - 2), size);
    share_lessen(message - 2, left + 4);
    share_lessen(message + 2, left + 4);
    share_lessen(message + SHARE_HELLO + 1 + message[SHARE_HELLO] + 3,
                 left + 4);
    memmove(body - 4, body + left,
            (size_t)(from->wire + from->wire_len - body) - left);
    from->wire_len -= left + 4;
}

static void share_repeat(uint8_t *message, size_t size)
{
    share_rename(message, size, SHARE_VERSIONS, 0, SHARE_KEYS);
}

/* Renames ECDSA with SHA-256. */
static void share_name(uint8_t *message, uint8_t first, uint8_t second)
{
    message[4] = first;
    message[5] = second;
}

static void share_name_pss(uint8_t *message, size_t size)
{
    share_name(message, 8, 4);
}

static void share_name_ed448(uint8_t *message, size_t size)
{
    share_name(message, 8, 8);
}

static void share_name_no_hash(uint8_t *message, size_t size)
{
    share_name(message, 0, 3);
}

static void share_name_sha1(uint8_t *message, size_t size)
{
    share_name(message, 2, 3);
}

/* Replaces the first suite by TLS_FALLBACK_SCSV. */
static void share_fall_back(uint8_t *message, size_t size)
{
    uint8_t *at = message + SHARE_HELLO;
    at += 1 + at[0] + 2;
    at[0] = 0x56;
    at[1] = 0;
}

struct share_row {
    const char *client_groups;
    const char *server_groups;
    share_change *change;
    int version;
    uint8_t type; /* of the message */
    uint8_t skip; /* messages of this type that pass unchanged before */
    uint8_t alert;
    bool has_certificate; /* of the client */
};

enum share_pieces { SHARE_WHOLE, SHARE_BYTES, SHARE_RECORDS, SHARE_WAYS };

/* Splits unencrypted handshake records into records of nine bytes. */
static void share_cut(struct tls_side *from)
{
    static uint8_t to[TLS_BYTES];
    size_t len = 0;
    size_t at = 0;
    bool is_sealed = false;
    while (at < from->wire_len) {
        const uint8_t *record = from->wire + at;
        const size_t size = share_number(record + 3);
        const size_t most = record[0] == 22 && !is_sealed ? 9 : size;
        is_sealed |= record[0] == 20;
        for (size_t done = 0; done < size; done += most) {
            const size_t part = size - done < most ? size - done : most;
            memcpy(to + len, record, 3);
            to[len + 3] = (uint8_t)(part >> 8);
            to[len + 4] = (uint8_t)part;
            memcpy(to + len + SHARE_RECORD, record + SHARE_RECORD + done, part);
            len += SHARE_RECORD + part;
        }
        at += SHARE_RECORD + size;
    }
    memcpy(from->wire, to, len);
    from->wire_len = len;
}

static bool share_is_to_client(const struct share_row *row)
{
    return row->type == WR_TLS_MESSAGE_SERVER_HELLO ||
           row->type == WR_TLS_MESSAGE_SERVER_KEY;
}

/* Moves a wire, and changes the row's message once. */
static void share_move(struct tls_side *from, struct tls_side *to,
                       const struct share_row *row, enum share_pieces pieces,
                       uint32_t *seen)
{
    size_t size = 0;
    uint8_t *message = NULL;
    if (from->engine.conn.is_server == share_is_to_client(row) &&
        *seen <= row->skip) {
        message = share_find(from, row->type, &size);
    }
    if (message && ++*seen == row->skip + 1u) {
        row->change(message, size);
    }
    if (pieces == SHARE_RECORDS) {
        share_cut(from);
    }
    tls_pair_move(from, to, pieces == SHARE_BYTES ? 1 : 0);
}

static void share_shake(const struct share_row *row, enum share_pieces pieces)
{
    uint32_t seen = 0;
    int rounds = 0;
    tls_side_step(&pair.client);
    while (pair.client.wire_len > 0 || pair.server.wire_len > 0) {
        cr_assert_lt(++rounds, SHARE_ROUNDS);
        share_move(&pair.client, &pair.server, row, pieces, &seen);
        share_move(&pair.server, &pair.client, row, pieces, &seen);
    }
    cr_assert_gt(seen, row->skip, "the message did not come");
}

static void share_expect(const struct share_row *row, enum share_pieces pieces)
{
    const struct wr_tls_engine *reader =
        share_is_to_client(row) ? &pair.client.engine : &pair.server.engine;
    const struct wr_tls_engine *writer =
        share_is_to_client(row) ? &pair.server.engine : &pair.client.engine;
    expect_eq(reader->err, WEIR_ETLSPROTOCOL, "%s",
              wr_tls_engine_get_error_text(reader));
    expect_eq(reader->alert_sent, row->alert, "%s",
              wr_tls_engine_get_error_text(reader));
    /* After its hello a TLS 1.3 server waits for encrypted records, and wolfSSL
     * refuses the header of an unencrypted alert; the alert is known if it has
     * arrived by then. */
    if (share_is_to_client(row) && row->version == 13 &&
        pieces == SHARE_BYTES) {
        expect_lt(writer->err, 0);
        return;
    }
    expect_eq(writer->err, WEIR_ETLSALERT);
    expect_eq(wr_tls_engine_get_alert_received(writer), row->alert);
}

static void share_run(const struct share_row *row, enum share_pieces pieces)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    struct weir_tls_options options[2] = {tls_options(false),
                                          tls_options(true)};
    for (int i = 0; i < 2; i++) {
        options[i].min_version = options[i].max_version =
            row->version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    }
    if (row->change == share_fall_back) {
        options[1].max_version = WEIR_TLS_1_3;
    }
    options[0].groups = row->client_groups;
    options[1].groups = row->server_groups;
    if (row->change == share_put_client_key) {
        /* Then a client need not offer P-256. */
        options[1].certificate.file = tls_file("rsa.pem");
        options[1].key.file = tls_file("rsa.key");
    }
    if (row->has_certificate) {
        options[0].certificate = options[1].certificate;
        options[0].key = options[1].key;
        options[1].authorities = options[0].authorities;
        options[1].client_auth = WEIR_TLS_CLIENT_AUTH_REQUIRED;
    }
    weir_tls_context *client = tls_context(&options[0]);
    weir_tls_context *server = tls_context(&options[1]);
    tls_pair_open(&pair, client, server, &how);
    share_shake(row, pieces);
    share_expect(row, pieces);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

static void share_run_all(const struct share_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int pieces = 0; pieces < SHARE_WAYS; pieces++) {
            share_run(&rows[i], (enum share_pieces)pieces);
        }
    }
}

#define SHARE_RUN(rows) share_run_all(rows, sizeof(rows) / sizeof(*(rows)))

UNIT(tls_share, a_server_refuses_shares_that_are_not_of_their_group)
{
    static const struct share_row rows[] = {
        {"P-256", NULL, share_spoil_hello, 13, 1, 0, SHARE_ILLEGAL, false},
        {"P-384", NULL, share_spoil_hello, 13, 1, 0, SHARE_ILLEGAL, false},
        {"P-521", NULL, share_spoil_hello, 13, 1, 0, SHARE_ILLEGAL, false},
        {"X25519", NULL, share_spoil_hello, 13, 1, 0, SHARE_ILLEGAL, false},
        {"X25519", NULL, share_put_small, 13, 1, 0, SHARE_ILLEGAL, false},
    };
    SHARE_RUN(rows);
}

UNIT(tls_share, a_server_refuses_them_in_the_second_hello)
{
    static const struct share_row rows[] = {
        {"X25519:P-256", "P-256", share_spoil_hello, 13, 1, 1, SHARE_ILLEGAL,
         false},
        {"P-256:P-384", "P-384", share_spoil_hello, 13, 1, 1, SHARE_ILLEGAL,
         false},
        {"P-256:X25519", "X25519", share_put_small, 13, 1, 1, SHARE_ILLEGAL,
         false},
    };
    SHARE_RUN(rows);
}

UNIT(tls_share, a_client_refuses_a_servers_share)
{
    static const struct share_row rows[] = {
        {"P-256", NULL, share_spoil_hello, 13, 2, 0, SHARE_ILLEGAL, false},
        {"P-384", NULL, share_spoil_hello, 13, 2, 0, SHARE_ILLEGAL, false},
        {"P-521", NULL, share_spoil_hello, 13, 2, 0, SHARE_ILLEGAL, false},
        {"X25519", NULL, share_spoil_hello, 13, 2, 0, SHARE_ILLEGAL, false},
        {"X25519", NULL, share_put_small, 13, 2, 0, SHARE_ILLEGAL, false},
        {"X25519:P-256", "P-256", share_spoil_hello, 13, 2, 1, SHARE_ILLEGAL,
         false},
    };
    SHARE_RUN(rows);
}

/* No ML-KEM key has such numbers; weir leaves this check to the library. */
static void share_spoil_key(uint8_t *message, size_t size)
{
    size_t len;
    uint8_t *share = share_of_hello(message, size, &len);
    cr_assert_gt(len, UINT8_MAX);
    memset(share, 0xff, 64);
}

/* The share is longer than its list. */
static void share_cut_hybrid(uint8_t *message, size_t size)
{
    size_t len;
    uint8_t *share = share_of_hello(message, size, &len);
    cr_assert_gt(len, UINT8_MAX);
    share[-1] ^= 1;
}

UNIT(tls_share, of_a_hybrid_group_both_parts_are_looked_at)
{
    static const char hybrid[] = "X25519MLKEM768";
    static const char two[] = "X25519:X25519MLKEM768";
    static const struct share_row rows[] = {
        {hybrid, NULL, share_spoil_hello, 13, 1, 0, SHARE_ILLEGAL, false},
        {NULL, hybrid, share_spoil_hello, 13, 1, 0, SHARE_ILLEGAL, false},
        {two, hybrid, share_spoil_hello, 13, 1, 1, SHARE_ILLEGAL, false},
        {hybrid, NULL, share_spoil_key, 13, 1, 0, SHARE_ILLEGAL, false},
        {hybrid, NULL, share_cut_hybrid, 13, 1, 0, SHARE_MALFORMED, false},
        {hybrid, NULL, share_spoil_hello, 13, 2, 0, SHARE_ILLEGAL, false},
        {two, hybrid, share_spoil_hello, 13, 2, 1, SHARE_ILLEGAL, false},
    };
    tls_require_hybrid();
    SHARE_RUN(rows);
}

/* The certificates are on P-256, which a TLS 1.2 client must offer. */
UNIT(tls_share, tls_1_2_refuses_them_on_both_sides)
{
    static const struct share_row rows[] = {
        {"P-256", NULL, share_spoil_server_key, 12, 12, 0, SHARE_ILLEGAL,
         false},
        {"P-384:P-256", NULL, share_spoil_server_key, 12, 12, 0, SHARE_ILLEGAL,
         false},
        {"P-521:P-256", NULL, share_spoil_server_key, 12, 12, 0, SHARE_ILLEGAL,
         false},
        {"X25519:P-256", NULL, share_spoil_server_key, 12, 12, 0, SHARE_ILLEGAL,
         false},
        {"P-256", NULL, share_spoil_client_key, 12, 16, 0, SHARE_ILLEGAL,
         false},
        {"P-384:P-256", NULL, share_spoil_client_key, 12, 16, 0, SHARE_ILLEGAL,
         false},
        {"P-521:P-256", NULL, share_spoil_client_key, 12, 16, 0, SHARE_ILLEGAL,
         false},
        {"X25519:P-256", NULL, share_spoil_client_key, 12, 16, 0, SHARE_ILLEGAL,
         true},
    };
    SHARE_RUN(rows);
}

/* wolfSSL accepts any of them, and computes with the server's curve. */
UNIT(tls_share, a_client_of_tls_1_2_sends_a_point_of_the_servers_curve)
{
    static const struct {
        const char *groups;
        size_t size;
        size_t compressed; /* result for the compressed form, which a library
                              may accept */
    } curves[] = {{"P-256", 65, 33},
                  {"P-384", 97, 49},
                  {"P-521", 133, 67},
                  {"X25519", 32, 32}};
    static const size_t sizes[] = {1,  31, 32,  33,  63,  65, 67,
                                   95, 97, 131, 133, 135, 249};
    for (size_t i = 0; i < sizeof(curves) / sizeof(*curves); i++) {
        const struct share_row row = {.client_groups = curves[i].groups,
                                      .change = share_put_client_key,
                                      .version = 12,
                                      .type = WR_TLS_MESSAGE_CLIENT_KEY,
                                      .alert = SHARE_ILLEGAL};
        for (size_t j = 0; j < sizeof(sizes) / sizeof(*sizes); j++) {
            share_key_size = sizes[j];
            if (sizes[j] != curves[i].size &&
                sizes[j] != curves[i].compressed) {
                share_run_all(&row, 1);
            }
        }
    }
}

UNIT(tls_share, a_client_signs_by_an_algorithm_for_its_key)
{
    static const struct share_row rows[] = {
        {NULL, NULL, share_name_pss, 12, 15, 0, SHARE_ILLEGAL, true},
        {NULL, NULL, share_name_ed448, 12, 15, 0, SHARE_ILLEGAL, true},
        {NULL, NULL, share_name_no_hash, 12, 15, 0, SHARE_ILLEGAL, true},
        {NULL, NULL, share_name_sha1, 12, 15, 0, SHARE_ILLEGAL, true},
    };
    SHARE_RUN(rows);
}

UNIT(tls_share, a_hello_of_tls_1_3_needs_a_share)
{
    static const struct share_row rows[] = {
        {NULL, NULL, share_leave_out, 13, 2, 0, SHARE_MISSING, false},
        {"X25519:P-256", "P-256", share_leave_out, 13, 2, 1, SHARE_MISSING,
         false},
    };
    SHARE_RUN(rows);
}

UNIT(tls_share, an_extension_comes_once)
{
    static const struct share_row rows[] = {
        {NULL, NULL, share_repeat, 13, 1, 0, SHARE_ILLEGAL, false},
        {NULL, NULL, share_repeat, 13, 2, 0, SHARE_ILLEGAL, false},
    };
    SHARE_RUN(rows);
}

UNIT(tls_share, a_client_that_falls_back_to_a_lower_version_is_refused)
{
    static const struct share_row rows[] = {
        {NULL, NULL, share_fall_back, 12, 1, 0, SHARE_FALLBACK, false},
    };
    SHARE_RUN(rows);
}

UNIT(tls_share, a_client_may_fall_back_to_the_servers_highest_version)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = tls_context_of(false, 12);
    weir_tls_context *server = tls_context_of(true, 12);
    size_t size = 0;
    tls_pair_open(&pair, client, server, &how);
    tls_side_step(&pair.client);
    uint8_t *hello = share_find(&pair.client, 1, &size);
    cr_assert_not_null(hello);
    share_fall_back(hello, size);
    tls_pair_move(&pair.client, &pair.server, 0);
    expect_eq(pair.server.engine.err, 0);
    expect_gt(pair.server.wire_len, 0);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

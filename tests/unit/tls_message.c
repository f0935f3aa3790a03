/*
 * The check of unencrypted messages, made by hand: hellos with one extension,
 * and key exchange messages that are too short by any number of bytes.
 *
 * No handshake is run.
 */
#include "lib/tls/engine/message.h"
#include "lib/tls/engine/point.h"
#include "tests/unit.h"

enum {
    ALERT_UNEXPECTED = 10,
    ALERT_ILLEGAL = 47,
    ALERT_MALFORMED = 50,
    ALERT_VERSION = 70,
    ALERT_FALLBACK = 86,
    ALERT_MISSING = 109,
    ALERT_UNSUPPORTED = 110,

    TYPE_LENGTH = 1,
    TYPE_STATUS = 5,
    TYPE_GROUPS = 10,
    TYPE_POINTS = 11,
    TYPE_SCHEMES = 13,
    TYPE_ALPN = 16,
    TYPE_PSK = 41,
    TYPE_VERSION = 43,
    TYPE_COOKIE = 44,
    TYPE_MODES = 45,
    TYPE_SHARES = 51,
    TYPE_UNKNOWN = 0x1234,
    TYPE_RENEGOTIATION = 0xff01,

    MESSAGE_MAX = 4 << 10,
};

struct message {
    uint8_t data[MESSAGE_MAX];
    size_t size;
};

/* The random number of a hello that requests another one. */
static const uint8_t again[32] = {
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
    0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
    0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

static void put(struct message *to, const void *data, size_t size)
{
    cr_assert(size <= sizeof(to->data) - to->size);
    memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void put_number(struct message *to, size_t number, size_t size)
{
    for (size_t i = size; i-- > 0;) {
        const uint8_t byte = (uint8_t)(number >> (8 * i));
        put(to, &byte, 1);
    }
}

/* Writes the length of everything after @at into the @size bytes there. */
static void put_length(struct message *to, size_t at, size_t size)
{
    const size_t len = to->size - at - size;
    for (size_t i = 0; i < size; i++) {
        to->data[at + i] = (uint8_t)(len >> (8 * (size - 1 - i)));
    }
}

/* Starts a hello; put_extension() adds to it. */
static void hello_begin(struct message *to, bool is_client, bool asks_again)
{
    static const uint8_t zeros[32];
    to->size = 0;
    put_number(to, is_client ? 1 : 2, 1);
    put_number(to, 0, 3);
    put_number(to, 0x0303, 2);
    put(to, asks_again ? again : zeros, 32);
    put_number(to, 0, 1);
    if (is_client) {
        put_number(to, 2, 2);
        put_number(to, 0x1301, 2);
        put_number(to, 1, 1);
        put_number(to, 0, 1);
    } else {
        put_number(to, 0x1301, 2);
        put_number(to, 0, 1);
    }
    put_number(to, 0, 2);
}

static size_t hello_front(const struct message *hello)
{
    return hello->data[0] == 1 ? 4 + 34 + 1 + 4 + 2 : 4 + 34 + 1 + 3;
}

static void put_extension(struct message *to, size_t type, const void *body,
                          size_t size)
{
    put_number(to, type, 2);
    put_number(to, size, 2);
    put(to, body, size);
    put_length(to, hello_front(to), 2);
    put_length(to, 1, 3);
}

static uint8_t check(struct wr_tls_message_facts *facts,
                     const struct message *message)
{
    /* Reads past the message are noticed. */
    uint8_t *copy = malloc(message->size);
    memcpy(copy, message->data, message->size);
    const struct wr_tls_message_fault fault =
        wr_tls_message_check(facts, copy, message->size);
    cr_assert_eq(!fault.text, fault.alert == 0);
    free(copy);
    return fault.alert;
}

/* Returns the alert for a client's hello with this extension. */
static uint8_t check_extension(size_t type, const void *body, size_t size)
{
    struct wr_tls_message_facts facts = {.is_server = true, .best = 0x0303};
    struct message hello;
    hello_begin(&hello, true, false);
    put_extension(&hello, type, body, size);
    return check(&facts, &hello);
}

UNIT(tls_message, a_list_of_protocols_is_whole)
{
    static const struct {
        uint8_t alert;
        uint8_t size;
        uint8_t body[9];
    } rows[] = {
        {0, 5, {0, 3, 2, 'h', '2'}},
        {0, 7, {0, 5, 2, 'h', '2', 1, 'x'}},
        {ALERT_MALFORMED, 2, {0, 0}},
        {ALERT_MALFORMED, 3, {0, 1, 0}},
        {ALERT_MALFORMED, 6, {0, 4, 2, 'h', '2', 0}},
        {ALERT_MALFORMED, 6, {0, 4, 2, 'h', '2', 1}},
        {ALERT_MALFORMED, 7, {0, 5, 2, 'h', '2', 2, 'x'}},
        {ALERT_MALFORMED, 6, {0, 3, 2, 'h', '2', 0}},
        {ALERT_MALFORMED, 1, {0}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(check_extension(TYPE_ALPN, rows[i].body, rows[i].size),
                  rows[i].alert, "row %zu", i);
    }
}

UNIT(tls_message, a_binder_of_a_session_has_32_bytes_or_more)
{
    for (size_t binder = 0; binder <= 48; binder++) {
        struct message body = {.size = 0};
        put_number(&body, 7, 2);
        put_number(&body, 1, 2);
        put_number(&body, 'i', 1);
        put_number(&body, 0, 4);
        put_number(&body, binder + 1, 2);
        put_number(&body, binder, 1);
        for (size_t i = 0; i < binder; i++) {
            put_number(&body, 0, 1);
        }
        expect_eq(check_extension(TYPE_PSK, body.data, body.size),
                  binder >= 32 ? 0 : ALERT_MALFORMED, "%zu", binder);
    }
}

/* A ticket of 32 bytes in a hello is recorded for its client. */
UNIT(tls_message, a_ticket_that_may_name_a_session_is_noted)
{
    for (size_t size = 31; size <= 33; size++) {
        struct wr_tls_message_facts facts = {.is_server = true, .best = 0x0303};
        static const uint8_t zeros[33];
        struct message body = {.size = 0};
        struct message hello;

        put_number(&body, 7 + 6 + size, 2);
        put_number(&body, 1, 2);
        put_number(&body, 'i', 1);
        put_number(&body, 0, 4);
        put_number(&body, size, 2);
        put(&body, zeros, size);
        put_number(&body, 0, 4);
        put_number(&body, 66, 2);
        for (int i = 0; i < 2; i++) {
            put_number(&body, 32, 1);
            put(&body, zeros, 32);
        }
        hello_begin(&hello, true, false);
        put_extension(&hello, TYPE_PSK, body.data, body.size);
        expect_eq(check(&facts, &hello), 0);
        expect_eq(facts.names_session, size == 32);
        hello_begin(&hello, true, false); /* without tickets */
        put_extension(&hello, TYPE_UNKNOWN, "", 0);
        expect_eq(check(&facts, &hello), 0);
        expect_eq(facts.names_session, size == 32);
    }
}

/* Returns true for an extension of a client that may not be empty. */
static bool has_form(size_t type)
{
    static const size_t types[] = {
        TYPE_LENGTH,  TYPE_STATUS, TYPE_GROUPS, TYPE_POINTS,
        TYPE_SCHEMES, TYPE_ALPN,   TYPE_PSK,    TYPE_VERSION,
        TYPE_COOKIE,  TYPE_MODES,  TYPE_SHARES,
    };
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        if (types[i] == type) {
            return true;
        }
    }
    return false;
}

UNIT(tls_message, an_extension_that_comes_twice_is_refused)
{
    struct wr_tls_message_facts facts = {.is_server = true};
    struct message hello;
    for (size_t type = 0; type < 63; type++) {
        if (has_form(type)) {
            continue;
        }
        hello_begin(&hello, true, false);
        put_extension(&hello, type, "", 0);
        expect_eq(check(&facts, &hello), 0, "%zu", type);
        put_extension(&hello, TYPE_UNKNOWN, "", 0);
        put_extension(&hello, type, "", 0);
        expect_eq(check(&facts, &hello), ALERT_ILLEGAL, "%zu", type);
    }
    hello_begin(&hello, true, false);
    put_extension(&hello, TYPE_RENEGOTIATION, "", 1);
    expect_eq(check(&facts, &hello), 0);
    put_extension(&hello, TYPE_RENEGOTIATION, "", 1);
    expect_eq(check(&facts, &hello), ALERT_ILLEGAL);
}

/* Unknown extensions have no bit that would show a duplicate. */
UNIT(tls_message, an_extension_that_is_not_known_may_come_twice)
{
    static const size_t types[] = {63, 64, 127, TYPE_UNKNOWN, 0xffff};
    struct wr_tls_message_facts facts = {.is_server = true};
    struct message hello;
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        hello_begin(&hello, true, false);
        put_extension(&hello, TYPE_RENEGOTIATION, "", 1);
        put_extension(&hello, types[i], "", 0);
        put_extension(&hello, types[i], "", 0);
        expect_eq(check(&facts, &hello), 0, "%zu", types[i]);
    }
}

UNIT(tls_message, a_list_of_versions_is_whole)
{
    static const struct {
        uint8_t alert;
        uint8_t size;
        uint8_t body[6];
    } rows[] = {
        {0, 3, {2, 3, 3}},
        {0, 5, {4, 0x3a, 0x3a, 3, 3}},
        {ALERT_MALFORMED, 0, {0}},
        {ALERT_MALFORMED, 1, {0}},
        {ALERT_MALFORMED, 2, {1, 3}},
        {ALERT_MALFORMED, 3, {4, 3, 4}},
        {ALERT_MALFORMED, 4, {3, 3, 4, 3}},
        {ALERT_MALFORMED, 4, {2, 3, 4, 3}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_eq(check_extension(TYPE_VERSION, rows[i].body, rows[i].size),
                  rows[i].alert, "row %zu", i);
    }
}

/* Returns the alert for a client that falls back to a lower version (RFC 7507),
 * from a server whose highest version is @best. */
static uint8_t check_fallback(uint16_t best, uint16_t version,
                              const void *versions, size_t size, bool says)
{
    struct wr_tls_message_facts facts = {.is_server = true, .best = best};
    struct message hello;
    hello_begin(&hello, true, false);
    hello.data[4] = (uint8_t)(version >> 8);
    hello.data[5] = (uint8_t)version;
    if (says) {
        memcpy(hello.data + 4 + 34 + 1 + 2, "\x56", 2); /* with its NUL */
    }
    if (size > 0) {
        put_extension(&hello, TYPE_VERSION, versions, size);
    } else {
        put_extension(&hello, TYPE_UNKNOWN, "", 0);
    }
    return check(&facts, &hello);
}

/* A hello with TLS 1.3 lacks its extensions here. */
UNIT(tls_message, a_fallback_to_a_lower_version_is_refused)
{
    static const struct {
        uint16_t best;
        uint16_t version;
        uint8_t size; /* 0: the client lists no versions except @version */
        uint8_t versions[7];
        uint8_t alerts[2]; /* without and with the fallback signal */
    } rows[] = {
        {0x0304, 0x0303, 0, {0}, {0, ALERT_FALLBACK}},
        {0x0304, 0x0302, 0, {0}, {ALERT_VERSION, ALERT_FALLBACK}},
        {0x0304, 0x0303, 3, {2, 3, 3}, {0, ALERT_FALLBACK}},
        {0x0304, 0x0303, 3, {2, 3, 2}, {ALERT_VERSION, ALERT_FALLBACK}},
        {0x0304, 0x0303, 7, {6, 0xda, 0xda, 3, 3, 3, 2}, {0, ALERT_FALLBACK}},
        {0x0304, 0x0303, 5, {4, 3, 3, 3, 4}, {ALERT_MISSING, ALERT_MISSING}},
        {0x0304, 0x0303, 5, {4, 3, 5, 3, 3}, {0, 0}},
        {0x0304, 0x0303, 5, {4, 3, 5, 3, 6}, {ALERT_VERSION, ALERT_VERSION}},
        {0x0303, 0x0303, 3, {2, 3, 4}, {ALERT_VERSION, ALERT_VERSION}},
        {0x0303, 0x0303, 0, {0}, {0, 0}},
        {0x0303, 0x0303, 5, {4, 3, 3, 3, 4}, {0, 0}},
        {0x0303, 0x0303, 5, {4, 0xda, 0xda, 3, 3}, {0, 0}},
        {0x0303, 0x0302, 0, {0}, {ALERT_VERSION, ALERT_FALLBACK}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (int says = 0; says < 2; says++) {
            expect_eq(check_fallback(rows[i].best, rows[i].version,
                                     rows[i].versions, rows[i].size, says),
                      rows[i].alerts[says], "%zu, %d", i, says);
        }
    }
}

/* A record with a client's own hello, whose suite is the first of TLS 1.3. */
UNIT(tls_message, a_client_knows_what_it_has_offered)
{
    struct wr_tls_message_facts facts = {.is_server = false};
    struct message hello;
    uint8_t record[5 + MESSAGE_MAX] = {22, 3, 1};
    hello_begin(&hello, true, false);
    put_extension(&hello, TYPE_MODES, "\1\1", 2);
    put_extension(&hello, TYPE_VERSION, "\2\3\4", 3);
    const size_t size = 5 + hello.size;
    memcpy(record + 5, hello.data, hello.size);
    wr_tls_message_note_own(&facts, record, size);
    expect_eq(facts.types, 1ull << TYPE_MODES | 1ull << TYPE_VERSION);
    expect_eq(facts.suites, 1);

    hello_begin(&hello, false, false);
    put_extension(&hello, TYPE_VERSION, "\3\4", 2);
    put_extension(&hello, TYPE_UNKNOWN, "", 0);
    expect_eq(check(&facts, &hello), ALERT_UNSUPPORTED);
    hello_begin(&hello, false, false);
    put_extension(&hello, TYPE_VERSION, "\3\4", 2);
    put_extension(&hello, TYPE_PSK, "", 0);
    expect_eq(check(&facts, &hello), ALERT_UNSUPPORTED);
    /* If it arrives in two parts, nothing is searched in it. */
    wr_tls_message_note_own(&facts, record, size - 1);
    expect_eq(facts.types, 0);
    expect_eq(check(&facts, &hello), ALERT_MISSING); /* a share */
    /* Other messages are not recorded. */
    facts.types = 2;
    record[0] = 20;
    wr_tls_message_note_own(&facts, record, 6);
    expect_eq(facts.types, 2);
}

UNIT(tls_message, a_group_has_one_share_in_a_hello)
{
    uint8_t share[2 + 2 * (2 + 2 + 32)] = {0, 36, 0, 29, 0, 32, 9};
    expect_eq(check_extension(TYPE_SHARES, share, 38), 0);
    memcpy(share + 38, share + 2, 36);
    share[1] = 72;
    expect_eq(check_extension(TYPE_SHARES, share, 74), ALERT_ILLEGAL);
    share[39] = 77; /* a group that is not known */
    expect_eq(check_extension(TYPE_SHARES, share, 74), 0);
    for (size_t size = 0; size < 74; size++) {
        expect_eq(check_extension(TYPE_SHARES, share, size), ALERT_MALFORMED,
                  "%zu", size);
    }
    expect_eq(check_extension(TYPE_SHARES, "\0\0", 2), 0, "no share");
}

/* A client's has 1216 bytes, a server's 1120; X25519's are the last 32. */
UNIT(tls_message, a_share_of_a_hybrid_group_has_the_size_of_its_side)
{
    enum { CLIENT = 1184 + 32, SERVER = 1088 + 32 };
    static uint8_t share[2 + 2 * (4 + CLIENT)];
    static const struct {
        size_t size;
        uint8_t last; /* a byte of it */
        uint8_t client, server;
    } rows[] = {
        {CLIENT, 9, 0, ALERT_ILLEGAL},
        {CLIENT, 0, ALERT_ILLEGAL, ALERT_ILLEGAL},
        {CLIENT - 1, 9, ALERT_ILLEGAL, ALERT_ILLEGAL},
        {CLIENT - 32, 9, ALERT_ILLEGAL, ALERT_ILLEGAL},
        {SERVER, 9, ALERT_ILLEGAL, 0},
        {SERVER, 0, ALERT_ILLEGAL, ALERT_ILLEGAL},
        {SERVER + 1, 9, ALERT_ILLEGAL, ALERT_ILLEGAL},
        {32, 9, ALERT_ILLEGAL, ALERT_ILLEGAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const size_t size = rows[i].size;
        struct wr_tls_message_facts facts = {.is_server = false};
        struct message hello;
        memset(share, 0, sizeof(share));
        memcpy(share, (uint8_t[]){0, 0, 0x11, 0xec, 0, 0}, 6);
        share[4] = (uint8_t)(size >> 8);
        share[5] = (uint8_t)size;
        share[6 + size - 2] = rows[i].last;
        share[0] = (uint8_t)((size + 4) >> 8);
        share[1] = (uint8_t)(size + 4);
        expect_eq(check_extension(TYPE_SHARES, share, 6 + size), rows[i].client,
                  "%zu", i);
        hello_begin(&hello, false, false);
        put_extension(&hello, TYPE_VERSION, "\3\4", 2);
        put_extension(&hello, TYPE_SHARES, share + 2, 4 + size);
        expect_eq(check(&facts, &hello), rows[i].server, "%zu", i);
    }
    const size_t one = 4 + CLIENT;
    share[0] = (uint8_t)(2 * one >> 8);
    share[1] = (uint8_t)(2 * one);
    memcpy(share + 2, (uint8_t[]){0x11, 0xec, CLIENT >> 8, CLIENT & 0xff}, 4);
    share[2 + one - 2] = 9;
    memcpy(share + 2 + one, share + 2, one);
    expect_eq(check_extension(TYPE_SHARES, share, 2 + 2 * one), ALERT_ILLEGAL,
              "one twice");
}

UNIT(tls_message, a_server_asks_once_for_another_hello)
{
    struct wr_tls_message_facts facts = {.is_server = false};
    struct message hello;
    hello_begin(&hello, false, true);
    put_extension(&hello, TYPE_VERSION, "\3\4", 2);
    put_extension(&hello, TYPE_SHARES, "\0\x17", 2);
    expect_eq(check(&facts, &hello), 0);
    cr_assert(facts.was_asked_again);
    expect_eq(check(&facts, &hello), ALERT_UNEXPECTED);
}

UNIT(tls_message, a_server_of_tls_1_3_sends_a_share)
{
    uint8_t share[2 + 2 + 32] = {0, 29, 0, 32, 9};
    struct wr_tls_message_facts facts = {.is_server = false};
    struct message hello;
    hello_begin(&hello, false, false);
    put_extension(&hello, TYPE_VERSION, "\3\4", 2);
    expect_eq(check(&facts, &hello), ALERT_MISSING);
    put_extension(&hello, TYPE_SHARES, share, sizeof(share));
    expect_eq(check(&facts, &hello), 0);

    hello_begin(&hello, false, false); /* TLS 1.2 */
    put_extension(&hello, TYPE_UNKNOWN, "", 0);
    expect_eq(check(&facts, &hello), 0);
    for (size_t size = 0; size < sizeof(share); size++) {
        hello_begin(&hello, false, false);
        put_extension(&hello, TYPE_VERSION, "\3\4", 2);
        put_extension(&hello, TYPE_SHARES, share, size);
        expect_eq(check(&facts, &hello), ALERT_MALFORMED, "%zu", size);
    }
}

/* Whatever is cut off at the end: no fields with inconsistent lengths are read.
 */
UNIT(tls_message, a_message_that_ends_too_early_is_malformed)
{
    static const uint8_t server_key[4 + 4 + 32] = {12, 0,  0,  36, 3,
                                                   0,  29, 32, 9};
    static const uint8_t client_key[4 + 1 + 32] = {16, 0, 0, 33, 32, 9};
    static const uint8_t verify[] = {15, 0, 0, 6, 4, 3, 0, 2, 1, 2};
    const struct {
        const uint8_t *data;
        size_t size;
        size_t least; /* of the body */
        bool is_server;
    } rows[] = {
        {server_key, sizeof(server_key), 4 + 32, false},
        {client_key, sizeof(client_key), 1 + 32, true},
        {verify, sizeof(verify), 2, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        for (size_t body = 0; body <= rows[i].size - 4; body++) {
            struct wr_tls_message_facts facts = {.is_server = rows[i].is_server,
                                                 .group = WR_TLS_GROUP_X25519};
            struct message message = {.size = 0};
            put(&message, rows[i].data, 4 + body);
            put_length(&message, 1, 3);
            expect_eq(check(&facts, &message),
                      body >= rows[i].least ? 0 : ALERT_MALFORMED, "%zu, %zu",
                      i, body);
        }
    }
}

/* Shares of each size that a byte can have, with no point of a curve. */
UNIT(tls_message, a_clients_share_is_one_of_the_servers_group)
{
    static const struct {
        uint8_t group;
        size_t size;
    } groups[] = {{WR_TLS_GROUP_X25519, 32},
                  {WR_TLS_GROUP_P256, 65},
                  {WR_TLS_GROUP_P384, 97},
                  {WR_TLS_GROUP_P521, 133}};
    for (size_t i = 0; i < sizeof(groups) / sizeof(*groups); i++) {
        for (size_t size = 0; size <= UINT8_MAX; size++) {
            for (uint8_t form = 0; form <= 4; form++) {
                struct wr_tls_message_facts facts = {.is_server = true,
                                                     .group = groups[i].group};
                uint8_t share[UINT8_MAX] = {form, 9};
                struct message key = {.size = 0};
                put_number(&key, 16, 1);
                put_number(&key, 1 + size, 3);
                put_number(&key, size, 1);
                put(&key, share, size);
                expect_eq(check(&facts, &key),
                          i == 0 && size == 32 ? 0 : ALERT_ILLEGAL,
                          "%u: %zu, %u", groups[i].group, size, form);
            }
        }
    }
}

/* The generator of P-256, compressed. */
static const uint8_t compressed[33] = {
    0x03, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc,
    0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d,
    0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96};

/* Returns the alert for a compressed share, after our own hello with these
 * forms. */
static uint8_t check_compressed(bool is_server, const void *forms, size_t size)
{
    struct wr_tls_message_facts facts = {.is_server = is_server,
                                         .best = 0x0303};
    uint8_t record[5 + MESSAGE_MAX] = {22, 3, 3};
    struct message message;
    hello_begin(&message, true, false);
    put_extension(&message, TYPE_UNKNOWN, "", 0);
    expect_eq(is_server ? check(&facts, &message) : 0, 0);
    hello_begin(&message, !is_server, false);
    put_extension(&message, TYPE_POINTS, forms, size);
    memcpy(record + 5, message.data, message.size);
    wr_tls_message_note_own(&facts, record, 5 + message.size);
    facts.group = WR_TLS_GROUP_P256;
    message.size = 0;
    put_number(&message, is_server ? 16 : 12, 1);
    put_number(&message, 0, 3);
    if (!is_server) {
        put(&message, "\3\0\x17", 3);
    }
    put_number(&message, sizeof(compressed), 1);
    put(&message, compressed, sizeof(compressed));
    put_length(&message, 1, 3);
    return check(&facts, &message);
}

UNIT(tls_message, a_share_has_a_form_that_was_named)
{
    for (int is_server = 0; is_server < 2; is_server++) {
        expect_eq(check_compressed(is_server, "\3\0\1\2", 4), 0);
        expect_eq(check_compressed(is_server, "\1\0", 2), ALERT_ILLEGAL);
        expect_eq(check_compressed(is_server, "\2\0\2", 3), ALERT_ILLEGAL);
    }
}

#define TICKETS(size, all, list) "\0\x29\0" size "\0" all list "\0\0"
#define TICKET_A                 "\0\1a\0\0\0\0"
#define TICKET_A_OLDER           "\0\1a\0\0\0\1"
#define TICKET_B                 "\0\1b\0\0\0\0"
#define ONE(ticket)              TICKETS("\x0b", "\7", ticket)
#define TWO(tickets)             TICKETS("\x12", "\x0e", tickets)
#define COOKIE                   "\0\x2c\0\3\0\1x"
#define SHARE_OF(x)              "\0\x33\0\7\0\5\0\x17\0\1" x
#define SHARES_OF(x)             "\0\x33\0\x0c\0\x0a\0\x17\0\1" x "\0\x1d\0\1" x
#define OTHER(x)                 "\x7a\x7a\0\1" x
#define ECH(x)                   "\xfe\x0d\0\1" x
#define FOUR(x)                  x x x x
#define ECHS                     FOUR(FOUR(FOUR(ECH("a") ECH("b"))))

static void put_hello(struct message *to, const char *list, size_t size)
{
    hello_begin(to, true, false);
    put(to, list, size);
    put_length(to, hello_front(to), 2);
}

static bool allows(uint16_t group, bool gave_cookie, const struct message *a,
                   const struct message *b)
{
    const struct wr_tls_message_facts facts = {
        .is_server = true,
        .was_asked_again = true,
        .asked_group = group,
        .gave_cookie = gave_cookie,
        .first = {a->data + 4, a->size - 4},
    };
    return wr_tls_retry_allows(&facts,
                               (struct wr_bytes){b->data + 4, b->size - 4});
}

UNIT(tls_message, a_second_hello_changes_what_was_asked_for)
{
    static const struct {
        uint16_t group;
        bool gave_cookie;
        uint16_t sizes[2];
        const char *lists[2];
        bool is_allowed;
    } rows[] = {
#define ROW(group, cookie, is_allowed, a, b)                                   \
    {group, cookie, {sizeof(a) - 1, sizeof(b) - 1}, {a, b}, is_allowed}
        ROW(23, 0, 1, SHARE_OF("a"), SHARE_OF("b")),
        ROW(24, 0, 0, SHARE_OF("a"), SHARE_OF("b")),
        ROW(23, 0, 1, SHARES_OF("a"), SHARE_OF("b")),
        ROW(23, 0, 0, SHARE_OF("a"), SHARES_OF("a")),
        ROW(0, 1, 1, SHARE_OF("a"), SHARE_OF("a") COOKIE),
        ROW(0, 1, 0, SHARE_OF("a"), SHARE_OF("b") COOKIE),
        ROW(23, 0, 0, "", SHARE_OF("a") COOKIE),
        ROW(0, 1, 1, TWO(TICKET_A TICKET_B), ONE(TICKET_B)),
        ROW(0, 1, 1, ONE(TICKET_A), ONE(TICKET_A_OLDER)),
        ROW(0, 1, 1, ONE(TICKET_A), ""),
        ROW(0, 1, 0, "", ONE(TICKET_A)),
        ROW(0, 1, 0, ONE(TICKET_A), ONE(TICKET_B)),
        ROW(0, 1, 0, ONE(TICKET_A), TWO(TICKET_A TICKET_B)),
        ROW(0, 1, 0, TWO(TICKET_A TICKET_B), TWO(TICKET_B TICKET_A)),
        ROW(0, 1, 1, OTHER("a") OTHER("b"), OTHER("b") OTHER("a")),
        ROW(0, 1, 0, OTHER("a") OTHER("b"), OTHER("a") OTHER("a")),
        ROW(0, 1, 0, OTHER("a") OTHER("b"), OTHER("a")),
        ROW(0, 1, 1, ECH("a"), ECH("b")),
        ROW(0, 1, 1, OTHER("a") ECHS, OTHER("a") ECHS),
        ROW(0, 1, 0, ECHS OTHER("a"), ECHS OTHER("a")), /* too many */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct message hellos[2];
        for (int j = 0; j < 2; j++) {
            put_hello(&hellos[j], rows[i].lists[j], rows[i].sizes[j]);
        }
        expect_eq(
            allows(rows[i].group, rows[i].gave_cookie, &hellos[0], &hellos[1]),
            rows[i].is_allowed, "%zu", i);
    }
}

UNIT(tls_message, two_hellos_of_many_extensions_are_not_compared)
{
    struct message hello;
    hello_begin(&hello, true, false);
    for (size_t i = 1; i <= 129; i++) {
        put_extension(&hello, 0x7000 + i, "", 0);
        expect_eq(allows(0, true, &hello, &hello), i <= 128, "%zu", i);
    }
}

UNIT(tls_message, a_clients_share_comes_behind_the_servers)
{
    static const uint8_t key[4 + 1 + 32] = {16, 0, 0, 33, 32, 9};
    struct wr_tls_message_facts facts = {.is_server = true};
    struct message message = {.size = 0};
    struct message hello;
    put(&message, key, sizeof(key));
    expect_eq(check(&facts, &message), ALERT_UNEXPECTED);
    facts.group = WR_TLS_GROUP_X25519;
    expect_eq(check(&facts, &message), 0);
    hello_begin(&hello, true, false);
    put_extension(&hello, TYPE_UNKNOWN, "", 0);
    expect_eq(check(&facts, &hello), 0);
    expect_eq(check(&facts, &message), ALERT_UNEXPECTED);
}

/* weir's clients offer only known groups. */
UNIT(tls_message, a_server_has_no_share_of_another_group)
{
    static const uint8_t key[] = {12, 0, 0, 8, 3, 0, 22, 4, 1, 2, 3, 4};
    static const uint8_t share[] = {0, 22, 0, 4, 1, 2, 3, 4};
    struct wr_tls_message_facts facts = {.is_server = false};
    struct message message = {.size = 0};
    put(&message, key, sizeof(key));
    expect_eq(check(&facts, &message), ALERT_ILLEGAL);
    hello_begin(&message, false, false);
    put_extension(&message, TYPE_VERSION, "\3\4", 2);
    put_extension(&message, TYPE_SHARES, share, sizeof(share));
    expect_eq(check(&facts, &message), ALERT_ILLEGAL);
}

UNIT(tls_message, each_scheme_is_for_one_kind_of_key)
{
    static const struct {
        uint16_t scheme;
        enum wr_x509_key_kind kind;
    } rows[] = {
        {0x0401, WR_X509_KEY_RSA},     {0x0501, WR_X509_KEY_RSA},
        {0x0601, WR_X509_KEY_RSA},     {0x0804, WR_X509_KEY_RSA},
        {0x0805, WR_X509_KEY_RSA},     {0x0806, WR_X509_KEY_RSA},
        {0x0809, WR_X509_KEY_RSA},     {0x080a, WR_X509_KEY_RSA},
        {0x080b, WR_X509_KEY_RSA},     {0x0403, WR_X509_KEY_CURVE},
        {0x0503, WR_X509_KEY_CURVE},   {0x0603, WR_X509_KEY_CURVE},
        {0x0807, WR_X509_KEY_EDWARDS},
    };
    for (unsigned scheme = 0; scheme <= UINT16_MAX; scheme++) {
        enum wr_x509_key_kind kind = WR_X509_KEY_OTHER;
        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
            kind = rows[i].scheme == scheme ? rows[i].kind : kind;
        }
        expect_eq(wr_tls_message_key_of((uint16_t)scheme), kind, "%x", scheme);
    }
}

UNIT(tls_message, each_side_checks_what_the_other_sends)
{
    const struct wr_tls_message_facts server = {.is_server = true};
    const struct wr_tls_message_facts client = {.is_server = false};
    for (unsigned type = 0; type <= UINT8_MAX; type++) {
        expect_eq(wr_tls_message_is_checked(&server, (uint8_t)type),
                  type == 1 || type == 15 || type == 16);
        expect_eq(wr_tls_message_is_checked(&client, (uint8_t)type),
                  type == 2 || type == 12);
    }
}

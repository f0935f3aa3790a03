/*
 * Hellos that no client of weir sends, sent to a server.
 *
 * They are made by hand, with any sizes of their contents: the server answers
 * or refuses, and survives.
 */
#include "tests/tls/rig.h"

enum {
    HELLO_NAME = 0,
    HELLO_EXTENDED_SECRET = 23,
    HELLO_TICKET = 35,
    HELLO_ALPN = 16,
    HELLO_EXTENSION_MAX = 512,
    HELLO_AT_SUITES = 5 + 4 + 2 + 32 + 1, /* position of their size */
    HELLO_AT_EXTENSION = HELLO_AT_SUITES + 4 + 2 + 2,
    /* of a ticket: name, IV, size of the encrypted part; and the tag at its end
     */
    HELLO_TICKET_HEAD = 16 + 16 + 2,
    HELLO_TICKET_TAIL = 32,
    HELLO_KEPT_MAX = 40 << 10,
};

static struct tls_pair pair;

static weir_tls_context *hello_context(bool is_server, const char *alpn)
{
    struct weir_tls_options options = tls_options(is_server);
    options.alpn = alpn;
    return tls_context(&options);
}

static size_t hello_put(uint8_t *to, size_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)(value >> 8 * (size - 1 - i));
    }
    return size;
}

/* Makes a ClientHello of TLS 1.2 with one suite and one extension, as a record.
 */
static size_t hello_make(uint8_t *ret, unsigned type, const void *body,
                         size_t size)
{
    const size_t extensions = 4 + size;
    const size_t message = 2 + 32 + 1 + 4 + 2 + 2 + extensions;
    uint8_t *at = ret;

    *at++ = 22;
    at += hello_put(at, 0x0303, 2);
    at += hello_put(at, 4 + message, 2);
    *at++ = 1;
    at += hello_put(at, message, 3);
    at += hello_put(at, 0x0303, 2);
    memset(at, 0x5a, 32);
    at += 32;
    *at++ = 0; /* no session */
    at += hello_put(at, 2, 2);
    at += hello_put(at, 0xc02b, 2); /* ECDHE-ECDSA-AES128-GCM-SHA256 */
    at += hello_put(at, 0x0100, 2); /* no compression */
    at += hello_put(at, extensions, 2);
    at += hello_put(at, type, 2);
    at += hello_put(at, size, 2);
    memcpy(at, body, size);
    return (size_t)(at - ret) + size;
}

static int hello_verdict; /* weir's own; 0 if it has no objection */

/* Returns the server's error after it has read these bytes, or 0 if it
 * continues. */
static int hello_feed(weir_tls_context *server, const uint8_t *hello,
                      size_t size)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *client = hello_context(false, NULL);

    tls_pair_open(&pair, client, server, &how);
    wr_tls_engine_feed(&pair.server.engine, hello, size);
    wr_ignore(wr_tls_engine_handshake(&pair.server.engine));
    const int err = pair.server.engine.err;
    hello_verdict = pair.server.engine.verdict.err;
    tls_pair_disconnect(&pair);
    weir_tls_context_unref(client);
    return err;
}

/* Calls hello_feed() for a hello with one extension. */
static int hello_show(weir_tls_context *server, unsigned type, const void *body,
                      size_t size)
{
    uint8_t hello[HELLO_EXTENSION_MAX + 64];

    cr_assert_leq(size, HELLO_EXTENSION_MAX);
    return hello_feed(server, hello, hello_make(hello, type, body, size));
}

/* wolfSSL asks weir to open a ticket if the size in it matches its whole size.
 */
UNIT(tls_context_hello, a_ticket_that_seals_nothing_is_not_opened)
{
    static const uint8_t zeros[HELLO_EXTENSION_MAX];
    weir_tls_context *server = hello_context(true, NULL);

    for (size_t sealed = 32; sealed <= 320; sealed += 16) {
        const int err =
            hello_show(server, HELLO_TICKET, zeros,
                       HELLO_TICKET_HEAD + sealed + HELLO_TICKET_TAIL);
        cr_assert(err == 0 || err == WEIR_ETLSPROTOCOL ||
                      err == WEIR_ETLSCIPHER,
                  "%zu: %s", sealed, weir_err_name(err));
    }
    weir_tls_context_unref(server);
}

/* The hello parser (lib/base/hello.h) concludes nothing from these. */
UNIT(tls_context_hello, hellos_that_cannot_be_read_are_refused)
{
    static const uint8_t twice[] = "\0\3\2h2\0\x10\0\5\0\3\2h2";
    uint8_t hello[HELLO_EXTENSION_MAX + 64];
    weir_tls_context *server = hello_context(true, "h2,http/1.1");

    size_t size = hello_make(hello, HELLO_ALPN, twice, sizeof(twice) - 1);
    hello_put(hello + HELLO_AT_EXTENSION + 2, 5, 2);
    expect_eq(hello_feed(server, hello, size), WEIR_ETLSPROTOCOL);
    size = hello_make(hello, HELLO_ALPN, twice, 5);
    wr_ignore(hello_feed(server, hello, size));
    expect_eq(hello_verdict, 0, "one list is good");
    hello[HELLO_AT_SUITES + 1] = 1; /* and compression begins at its half */
    expect_lt(hello_feed(server, hello, size), 0);
    hello_make(hello, HELLO_ALPN, twice, 5);
    hello[HELLO_AT_SUITES + 4] = 0;
    expect_lt(hello_feed(server, hello, size), 0);
    hello_make(hello, HELLO_ALPN, twice, 5);
    hello[HELLO_AT_SUITES - 1] = 33;
    expect_lt(hello_feed(server, hello, size), 0);
    weir_tls_context_unref(server);
}

UNIT(tls_context_hello, a_list_of_protocols_without_a_name_is_refused)
{
    weir_tls_context *server = hello_context(true, "h2,http/1.1");

    expect_eq(hello_show(server, HELLO_ALPN, "\0\1\0", 3), WEIR_ETLSPROTOCOL);
    expect_eq(hello_show(server, HELLO_ALPN, "\0\2\0\0", 4), WEIR_ETLSPROTOCOL);
    expect_eq(hello_show(server, HELLO_ALPN, "\0\1\1", 3), WEIR_ETLSPROTOCOL);
    expect_eq(hello_show(server, HELLO_ALPN, "\0\2\5a", 4), WEIR_ETLSPROTOCOL);
    expect_eq(hello_show(server, HELLO_ALPN, "\0\4\1a\0\0", 6),
              WEIR_ETLSPROTOCOL);
    expect_eq(hello_show(server, HELLO_ALPN, "\0\0", 2), WEIR_ETLSPROTOCOL);
    weir_tls_context_unref(server);
}

/* Expects the server's error and its last alert after a peer has sent these
 * bytes, of which the server keeps few. */
static void hello_refuse(const char *data, size_t size, uint8_t alert)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *server = hello_context(true, NULL);
    weir_tls_context *client = hello_context(false, NULL);

    tls_pair_open(&pair, client, server, &how);
    const uint64_t before = pair.account.allocator.live_bytes;
    wr_tls_engine_feed(&pair.server.engine, (const uint8_t *)data, size);
    wr_ignore(wr_tls_engine_handshake(&pair.server.engine));
    cr_assert_lt(pair.account.allocator.live_bytes, before + HELLO_KEPT_MAX);
    expect_eq(pair.server.engine.err, WEIR_ETLSPROTOCOL);
    expect_eq(pair.server.engine.alert_sent, alert);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
}

UNIT(tls_context_hello, one_that_says_it_is_too_long_is_refused_at_once)
{
    const uint8_t decode_error = 50;
    const char whole[] = "\x16\3\1\0\4\1\0\xff\xff";
    const char parts[] = "\x16\3\1\0\3\1\0\xff\x16\3\1\0\1\xff";
    const char other[] = "\x16\3\1\0\4\x0b\0\xff\xff";
    const char least[] = "\x16\3\1\0\4\1\0\x40\1";

    hello_refuse(whole, sizeof(whole) - 1, decode_error);
    hello_refuse(parts, sizeof(parts) - 1, decode_error);
    hello_refuse(least, sizeof(least) - 1, decode_error);
    hello_refuse(other, sizeof(other) - 1, decode_error);
}

/* ---- how the first record comes ----
 *
 * A server must read the hello before its library does, whatever records it
 * comes in: a client
 * that requests no known name must not get a certificate. */

enum { HELLO_RECORDS_MAX = 2 * (HELLO_EXTENSION_MAX + 64) };

/* Makes a hello for a name that the server does not know, in one record, that
 * each library would answer. */
static size_t hello_for_other(uint8_t *ret)
{
    static const char name[] = "\0\x0d\0\0\x0aother.test";
    /* Schemes, groups and renegotiation_info. */
    static const uint8_t more[] = {0, 13, 0, 4, 0,  2,    4, 3, 0, 10, 0,
                                   4, 0,  2, 0, 23, 0xff, 1, 0, 1, 0};
    const size_t size = hello_make(ret, HELLO_NAME, name, sizeof(name) - 1);

    memcpy(ret + size, more, sizeof(more));
    hello_put(ret + 3, size + sizeof(more) - 5, 2);
    hello_put(ret + 6, size + sizeof(more) - 9, 3);
    hello_put(ret + HELLO_AT_EXTENSION - 2,
              size + sizeof(more) - HELLO_AT_EXTENSION, 2);
    return size + sizeof(more);
}

static size_t hello_put_record(uint8_t *ret, unsigned type, const uint8_t *body,
                               size_t size)
{
    ret[0] = (uint8_t)type;
    hello_put(ret + 1, 0x0303, 2);
    hello_put(ret + 3, size, 2);
    memcpy(ret + 5, body, size);
    return 5 + size;
}

/* Returns the server's error for records that it may refuse in any way, but
 * must not answer. */
static int hello_hide(const uint8_t *data, size_t size, bool is_hidden)
{
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    struct weir_tls_options options = tls_options(true);
    options.refuse_unknown_names = is_hidden;
    weir_tls_context *server = tls_context(&options);
    weir_tls_context *client = hello_context(false, NULL);

    tls_pair_open(&pair, client, server, &how);
    wr_tls_engine_feed(&pair.server.engine, data, size);
    wr_ignore(wr_tls_engine_handshake(&pair.server.engine));
    const int err = pair.server.engine.err;
    const size_t sent = wr_tls_engine_get_output_bytes(&pair.server.engine);
    cr_assert_eq(sent > 7, !is_hidden, "%zu bytes: more than an alert", sent);
    tls_pair_disconnect(&pair);
    tls_contexts_unref(client, server);
    return err;
}

UNIT(tls_context_hello, no_form_of_record_hides_a_hello)
{
    static const uint8_t types[] = {22 | 0x80, 20, 21, 23, 24, 0};
    uint8_t hello[HELLO_EXTENSION_MAX + 64];
    uint8_t data[HELLO_RECORDS_MAX];
    const size_t size = hello_for_other(hello);
    const uint8_t *body = hello + 5;
    const size_t half = 50;

    expect_eq(hello_hide(hello, size, false), 0, "any name is good");
    expect_eq(hello_hide(hello, size, true), WEIR_ETLSNONAME);
    for (size_t i = 0; i < sizeof(types); i++) {
        hello[0] = types[i];
        expect_lt(hello_hide(hello, size, true), 0, "%u", types[i]);
    }
    size_t len = hello_put_record(data, 22, body, 0);
    len += hello_put_record(data + len, 22, body, size - 5);
    expect_eq(hello_hide(data, len, true), WEIR_ETLSPROTOCOL,
              "an empty record");

    len = hello_put_record(data, 22, body, half);
    len += hello_put_record(data + len, 22, body, 0);
    len += hello_put_record(data + len, 22, body + half, size - 5 - half);
    expect_eq(hello_hide(data, len, true), WEIR_ETLSPROTOCOL, "one within it");

    len = hello_put_record(data, 22, body, half);
    len += hello_put_record(data + len, 21, (const uint8_t *)"\1\x70", 2);
    len += hello_put_record(data + len, 22, body + half, size - 5 - half);
    expect_eq(hello_hide(data, len, true), WEIR_ETLSPROTOCOL,
              "a warning within it");

    len = hello_put_record(data, 22, body, half);
    len += hello_put_record(data + len, 22, body + half, size - 5 - half);
    expect_eq(hello_hide(data, len, true), WEIR_ETLSNONAME, "two good halves");
}

/* A malformed extension, which a library may ignore. */
UNIT(tls_context_hello, a_hello_that_is_odd_is_refused)
{
    weir_tls_context *server = hello_context(true, NULL);

    expect_eq(hello_show(server, HELLO_EXTENDED_SECRET, "\0", 1),
              WEIR_ETLSPROTOCOL);
    wr_ignore(hello_show(server, HELLO_EXTENDED_SECRET, "", 0));
    expect_eq(hello_verdict, 0);
    weir_tls_context_unref(server);
}

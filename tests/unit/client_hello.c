/*
 * ClientHellos as a proxy reads them: of real clients, in records of all sizes
 * and cut at every position; and hellos that are built here, each with one
 * fault.
 *
 * Each parse has memory of exactly its size, so that the address sanitizer
 * notices reads past its end.
 */
#define UNIT_RUN dropping
#include "tests/unit/random.h"

#include <errno.h>
#include <weir/client_hello.h>
#include <weir/error.h>

enum {
    HELLO_ROOM = 128 << 10,
    HELLO_RECORD = 5,       /* a record's header */
    HELLO_LIMIT = 16384 + 5 /* the default */
};

/* From openssl s_client 3.0, for www.example.org with h2 and http/1.1. */
static const char hello_tls13[] =
    "160301014e0100014a0303c9350ce89bc0fc1549e9e377c743df635bf9e258f240d5e27f4c"
    "bec1441d653720ba91ae63de73645f2881e25e8ff988d4549bff523cb5c74028c07a75fd36"
    "0bb3003e130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0"
    "270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000c300000014"
    "001200000f7777772e6578616d706c652e6f7267000b000403000102000a00160014001d00"
    "17001e0019001801000101010201030104002300000010000e000c02683208687474702f31"
    "2e310016000000170000000d002a0028040305030603080708080809080a080b0804080508"
    "06040105010601030303010302040205020602002b0009080304030303020301002d000201"
    "01003300260024001d0020dddcbeac05fa983a62b0195be0a5afeb8a176c64647b9adbe768"
    "e1cfac4c7218";
/* From the same client, with TLS 1.2 and without a name. */
static const char hello_tls12[] =
    "16030100b7010000b3030397f42d2ca8d7dd5496b5528f87c6317411803159ed821a20dab3"
    "8ecc77e41f91000038c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c027"
    "0067c00ac0140039c009c0130033009d009c003d003c0035002f00ff01000052000b000403"
    "000102000a000c000a001d0017001e00190018002300000016000000170000000d002a0028"
    "040305030603080708080809080a080b080408050806040105010601030303010302040205"
    "020602";

static struct weir_client_hello hello;
static uint8_t hello_bytes[HELLO_ROOM];
static uint8_t hello_scratch[HELLO_ROOM];
static size_t hello_len;
static uint8_t *hello_copy; /* keeps the parsed bytes for the test */

static int hello_parse_with(const struct weir_client_hello_options *options,
                            const void *data, size_t len, size_t scratch_size)
{
    free(hello_copy);
    hello_copy = malloc(len + (len == 0));
    memcpy(hello_copy, data, len);
    uint8_t *scratch = hello_scratch + sizeof(hello_scratch) - scratch_size;
    hello.size = sizeof(hello);
    return weir_client_hello_parse(hello_copy, len, options,
                                   scratch_size ? scratch : NULL, scratch_size,
                                   &hello);
}

static int hello_parse(void)
{
    return hello_parse_with(NULL, hello_bytes, hello_len, HELLO_ROOM);
}

static void hello_done(void)
{
    free(hello_copy);
    hello_copy = NULL;
}

static void hello_read_hex(const char *text)
{
    unsigned byte;
    hello_len = 0;
    for (; sscanf(text, "%2x", &byte) == 1; text += 2) {
        hello_bytes[hello_len++] = (uint8_t)byte;
    }
}

/* Splits the message of one record into records of these sizes; the last size
 * repeats. */
static void hello_split(const size_t *sizes, size_t count)
{
    static uint8_t message[HELLO_ROOM];
    const size_t total = hello_len - HELLO_RECORD;
    size_t used = 0;

    memcpy(message, hello_bytes + HELLO_RECORD, total);
    hello_len = 0;
    for (size_t i = 0; used < total; i += i + 1 < count) {
        const size_t left = total - used;
        const size_t size = sizes[i] < left ? sizes[i] : left;
        const uint8_t header[] = {22, 3, 1, (uint8_t)(size >> 8),
                                  (uint8_t)size};
        memcpy(hello_bytes + hello_len, header, HELLO_RECORD);
        memcpy(hello_bytes + hello_len + HELLO_RECORD, message + used, size);
        hello_len += HELLO_RECORD + size;
        used += size;
    }
}

/* Expects that each incomplete hello waits for more, and that bytes after it
 * are not read. */
static void hello_expect_beginnings(void)
{
    memset(&hello, 0x5a, sizeof(hello));
    hello.size = sizeof(hello);
    const struct weir_client_hello before = hello;
    for (size_t len = 0; len < hello_len; len++) {
        cr_assert_eq(hello_parse_with(NULL, hello_bytes, len, HELLO_ROOM),
                     -EAGAIN);
        cr_assert_eq(memcmp(&hello, &before, sizeof(hello)), 0);
    }
    memset(hello_bytes + hello_len, 0, 3);
    expect_eq(hello_parse_with(NULL, hello_bytes, hello_len + 3, HELLO_ROOM),
              (int)hello_len);
    expect_eq(hello_parse(), (int)hello_len);
}

static void hello_expect_tls13(void)
{
    struct weir_alpn_name name;
    expect_str_eq(hello.server_name, "www.example.org");
    expect_eq(hello.version, 0x0304);
    cr_assert(!hello.is_malformed);
    cr_assert(!hello.has_ech);
    struct weir_alpn_list left = hello.protocols;
    cr_assert(weir_client_hello_alpn_next(&left, &name));
    expect_eq(name.len, 2);
    expect_eq(memcmp(name.data, "h2", 2), 0);
    cr_assert(weir_client_hello_alpn_next(&left, &name));
    expect_eq(name.len, 8);
    expect_eq(memcmp(name.data, "http/1.1", 8), 0);
    cr_assert(!weir_client_hello_alpn_next(&left, &name));
    cr_assert(weir_client_hello_alpn_has(&hello.protocols, "http/1.1"));
    cr_assert(!weir_client_hello_alpn_has(&hello.protocols, "http/1"));
    cr_assert(!weir_client_hello_alpn_has(&hello.protocols, ""));
}

static void dropping(void (*body)(void))
{
    body();
    hello_done();
}

UNIT(client_hello, real_hellos_are_read)
{
    hello_read_hex(hello_tls13);
    hello_expect_beginnings();
    hello_expect_tls13();
    hello_read_hex(hello_tls12);
    hello_expect_beginnings();
    expect_str_eq(hello.server_name, "");
    expect_eq(hello.version, 0x0303);
    expect_eq(hello.protocols.len, 0);
}

UNIT(client_hello, records_of_any_sizes_are_joined)
{
    for (size_t size = 1; size <= 334; size += size < 8 ? 1 : 7) {
        hello_read_hex(hello_tls13);
        hello_split(&size, 1);
        hello_expect_beginnings();
        hello_expect_tls13();
    }
    for (size_t first = 1; first < 334; first++) {
        hello_read_hex(hello_tls13);
        hello_split((const size_t[]){first, 400}, 2);
        expect_eq(hello_parse(), (int)hello_len);
        hello_expect_tls13();
    }
}

UNIT(client_hello, scratch_memory_is_needed_for_several_records_alone)
{
    hello_read_hex(hello_tls13);
    expect_eq(hello_parse_with(NULL, hello_bytes, hello_len, 0),
              (int)hello_len);
    hello_expect_tls13();
    hello_split((const size_t[]){100, 400}, 2);
    expect_eq(hello_parse_with(NULL, hello_bytes, hello_len, 334),
              (int)hello_len);
    hello_expect_tls13();
    expect_eq(hello_parse_with(NULL, hello_bytes, hello_len, 333), -ENOBUFS);
    expect_eq(hello_parse_with(NULL, hello_bytes, 9, 333), -ENOBUFS, "at once");
    expect_eq(hello_parse_with(NULL, hello_bytes, 8, 333), -EAGAIN);
    expect_eq(hello_parse_with(NULL, hello_bytes, hello_len, 0), -ENOBUFS);
    hello_read_hex(hello_tls13);
    hello_split((const size_t[]){3, 400}, 2);
    expect_eq(hello_parse_with(NULL, hello_bytes, hello_len, 333), -ENOBUFS,
              "the first record does not tell the length");
}

static void hello_put(const void *data, size_t size)
{
    memcpy(hello_bytes + hello_len, data, size);
    hello_len += size;
}

static void hello_set(size_t at, size_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hello_bytes[at + i] = (uint8_t)(value >> 8 * (size - 1 - i));
    }
}

/* Makes a hello with these extensions, in one record. */
static void hello_make(const void *extensions, size_t size)
{
    hello_len = 0;
    hello_put("\x16\3\1\0\0\1\0\0\0\3\3", 11);
    hello_put("rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr", 32);
    hello_put("\0\0\2\x13\1\1\0\0\0", 9);
    hello_set(hello_len - 2, size, 2);
    hello_put(extensions, size);
    hello_set(3, hello_len - 5, 2);
    hello_set(6, hello_len - 9, 3);
}

#define HELLO_PARSE(text) (hello_make((text), sizeof(text) - 1), hello_parse())

/* Parses a hello for a name. */
static int hello_parse_name(const char *name, size_t len)
{
    uint8_t extension[9 + 600] = {0};
    extension[2] = (uint8_t)((len + 5) >> 8);
    extension[3] = (uint8_t)(len + 5);
    extension[4] = (uint8_t)((len + 3) >> 8);
    extension[5] = (uint8_t)(len + 3);
    extension[7] = (uint8_t)(len >> 8);
    extension[8] = (uint8_t)len;
    memcpy(extension + 9, name, len);
    hello_make(extension, 9 + len);
    return hello_parse();
}

UNIT(client_hello, a_name_is_a_host_name)
{
    const char *const good[] = {
        "localhost", "WWW.Example.org",       "a.b", "_x.y-z",
        "192.0.2.1", "xn--bcher-kva.example", "-"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        expect_gt(hello_parse_name(good[i], strlen(good[i])), 0, "%s", good[i]);
        expect_str_eq(hello.server_name, good[i]);
        cr_assert_null(hello.odd_name);
        cr_assert(!hello.is_malformed);
    }
    expect_gt(hello_parse_name("A.b.", 4), 0);
    expect_str_eq(hello.server_name, "A.b", "the root's dot says nothing");
    expect_gt(hello_parse_name("a.", 2), 0);
    expect_str_eq(hello.server_name, "a");
}

/* Expects a name that is reported as not a host name. */
static void hello_expect_odd(const char *name, size_t len, bool is_malformed)
{
    expect_gt(hello_parse_name(name, len), 0, "%s", name);
    expect_str_eq(hello.server_name, "", "%s", name);
    cr_assert_not_null(hello.odd_name);
    expect_eq(hello.odd_name_len, len);
    expect_eq(memcmp(hello.odd_name, name, len), 0);
    expect_eq(hello.is_malformed, is_malformed, "%s", name);
}

UNIT(client_hello, a_name_of_other_bytes_is_told_as_it_is)
{
    const char *const odd[] = {".",           "a..",   ".a",    "a..b",  "a b",
                               "a/b",         "a:443", "::1",   "[::1]", "*.a",
                               "b\374cher.a", "a\n",   "a\x7f", "a@b",   "a,b"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        hello_expect_odd(odd[i], strlen(odd[i]), false);
    }
    hello_expect_odd("a\0b", 3, true);
    hello_expect_odd("a\0", 2, true);
    hello_expect_odd("", 0, true);
}

UNIT(client_hello, a_name_has_at_most_253_bytes_in_labels_of_63)
{
    char name[300];
    memset(name, 'x', sizeof(name));
    expect_gt(hello_parse_name(name, 63), 0);
    expect_eq(strlen(hello.server_name), 63);
    hello_expect_odd(name, 64, false);
    for (size_t i = 60; i < sizeof(name); i += 60) {
        name[i] = '.';
    }
    expect_gt(hello_parse_name(name, 253), 0);
    expect_eq(strlen(hello.server_name), 253);
    hello_expect_odd(name, 254, false);
    name[253] = '.';
    expect_gt(hello_parse_name(name, 254), 0);
    expect_eq(strlen(hello.server_name), 253);
    hello_expect_odd(name, 255, false);
    hello_expect_odd(name, 256, true);
}

UNIT(client_hello, a_list_that_is_malformed_is_left_out)
{
    const char *const bad[] = {
        "\0\0\0\1x",                      /* not a list of names */
        "\0\0\0\x0a\0\x08\0\0\1a\0\0\1b", /* two names */
        "\0\0\0\6\0\4\1\0\1a",            /* of another type */
    };
    const size_t sizes[] = {5, 14, 10};
    for (size_t i = 0; i < 3; i++) {
        hello_make(bad[i], sizes[i]);
        expect_gt(hello_parse(), 0);
        cr_assert(hello.is_malformed);
        expect_str_eq(hello.server_name, "");
        cr_assert_null(hello.odd_name);
    }
}

/* Expects that the message was read, except for an extension. */
static void hello_expect_malformed(int len)
{
    expect_eq(len, (int)hello_len);
    cr_assert(hello.is_malformed);
    expect_leq(hello.protocols.len, 3, "at most the first list");
}

UNIT(client_hello, the_highest_version_is_told)
{
    expect_gt(HELLO_PARSE(""), 0);
    expect_eq(hello.version, 0x0303);
    expect_gt(HELLO_PARSE("\0\x2b\0\7\6\x7a\x7a\3\3\3\4"), 0);
    expect_eq(hello.version, 0x0304);
    expect_gt(HELLO_PARSE("\0\x2b\0\3\2\3\3"), 0);
    expect_eq(hello.version, 0x0303);
    expect_gt(HELLO_PARSE("\0\x2b\0\3\2\x7f\x1c"), 0);
    expect_eq(hello.version, 0);
    hello_expect_malformed(HELLO_PARSE("\0\x2b\0\0"));
    hello_expect_malformed(HELLO_PARSE("\0\x2b\0\1\0"));
    hello_expect_malformed(HELLO_PARSE("\0\x2b\0\2\1\3"));
    hello_expect_malformed(HELLO_PARSE("\0\x2b\0\4\3\3\4\3"));
    hello_expect_malformed(HELLO_PARSE("\0\x2b\0\3\4\3\4"));
    hello_expect_malformed(HELLO_PARSE("\0\x2b\0\3\2\3\4\0\x2b\0\3\2\3\4"));
}

UNIT(client_hello, protocols_are_whole_names)
{
    expect_gt(HELLO_PARSE("\0\x10\0\5\0\3\2h2"), 0);
    cr_assert(weir_client_hello_alpn_has(&hello.protocols, "h2"));
    hello_expect_malformed(HELLO_PARSE("\0\x10\0\0"));
    hello_expect_malformed(HELLO_PARSE("\0\x10\0\2\0\0"));
    hello_expect_malformed(HELLO_PARSE("\0\x10\0\3\0\1\0"));
    hello_expect_malformed(HELLO_PARSE("\0\x10\0\5\0\3\3h2"));
    hello_expect_malformed(HELLO_PARSE("\0\x10\0\5\0\2\2h2"));
    hello_expect_malformed(HELLO_PARSE("\0\x10\0\6\0\3\2h2x"));
    hello_expect_malformed(HELLO_PARSE("\0\x10\0\5\0\3\2h2\0\x10\0\5\0\3\2h2"));
}

UNIT(client_hello, an_encrypted_hello_is_told)
{
    expect_gt(HELLO_PARSE("\xfe\x0d\0\3\0xx"), 0);
    cr_assert(hello.has_ech);
    expect_gt(HELLO_PARSE("\xfe\x0d\0\1\1"), 0);
    cr_assert(!hello.has_ech, "an inner one");
    expect_gt(HELLO_PARSE("\xfe\x0d\0\0"), 0);
    cr_assert(!hello.has_ech);
}

/* Expects the error of the first bytes, which is reported once the last of them
 * arrives. */
static void hello_expect_at(size_t len, int error)
{
    expect_eq(hello_parse_with(NULL, hello_bytes, len, HELLO_ROOM), error);
    expect_eq(hello_parse_with(NULL, hello_bytes, len - 1, HELLO_ROOM),
              -EAGAIN);
    hello_make("", 0);
}

UNIT(client_hello, other_bytes_are_refused_as_soon_as_they_are_there)
{
    hello_make("", 0);
    hello_bytes[0] = 'G';
    hello_expect_at(1, -EPROTO);
    hello_bytes[0] = 0x80; /* SSL 2.0 */
    hello_expect_at(1, -EPROTO);
    hello_bytes[1] = 2;
    hello_expect_at(2, -EPROTO);
    hello_set(3, 0, 2);
    hello_expect_at(5, -EPROTO);
    hello_set(3, 16385, 2);
    hello_expect_at(5, -EPROTO);
    hello_bytes[5] = 2; /* a ServerHello */
    hello_expect_at(6, -EPROTO);
    hello_set(6, hello_len - 10, 3); /* a byte after the message */
    hello_expect_at(9, -EPROTO);
    hello_set(3, 1, 2);
    hello_bytes[6] = 21; /* an alert inside of it */
    hello_expect_at(7, -EPROTO);
    hello_set(6, 16381, 3);
    hello_set(3, 16384, 2);
    hello_expect_at(9, -EMSGSIZE);
    hello_set(6, 0xffffff, 3);
    hello_expect_at(9, -EMSGSIZE);
}

UNIT(client_hello, malformed_messages_are_refused)
{
    const size_t places[] = {43, 45, 48, 51}; /* lengths inside of it */
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        hello_make("\0\x17\0\0", 4);
        hello_bytes[places[i]]++;
        expect_eq(hello_parse(), -EPROTO, "%zu", places[i]);
    }
    expect_eq(HELLO_PARSE("\0\0\0\1"), -EPROTO);
    expect_eq(HELLO_PARSE("\0"), -EPROTO);
    expect_eq(HELLO_PARSE("\0\0\0\0\0\0\0\0"), -EPROTO, "two lists of names");
    hello_make("", 0);
    hello_set(6, 0, 3);
    hello_set(3, 4, 2);
    expect_eq(hello_parse(), -EPROTO, "an empty message");
}

UNIT(client_hello, the_limit_counts_the_bytes_of_records)
{
    struct weir_client_hello_options options = {.size = sizeof(options)};
    const size_t one = 1;

    hello_read_hex(hello_tls13);
    options.limit_bytes = hello_len;
    expect_eq(hello_parse_with(&options, hello_bytes, hello_len, HELLO_ROOM),
              (int)hello_len);
    options.limit_bytes--;
    expect_eq(hello_parse_with(&options, hello_bytes, 9, HELLO_ROOM),
              -EMSGSIZE);
    hello_split(&one, 1);
    options.limit_bytes = hello_len;
    expect_eq(hello_parse_with(&options, hello_bytes, hello_len, HELLO_ROOM),
              (int)hello_len);
    hello_expect_tls13();
    options.limit_bytes--;
    expect_eq(
        hello_parse_with(&options, hello_bytes, hello_len - 1, HELLO_ROOM),
        -EMSGSIZE);
    for (size_t limit = 9; limit < hello_len; limit++) {
        options.limit_bytes = limit;
        expect_eq(hello_parse_with(&options, hello_bytes, limit, HELLO_ROOM),
                  -EMSGSIZE, "a full buffer never waits");
    }
    options.limit_bytes = 8;
    expect_eq(hello_parse_with(&options, hello_bytes, 9, 0), -EINVAL);
    options.limit_bytes = (size_t)INT32_MAX + 1;
    expect_eq(hello_parse_with(&options, hello_bytes, 9, 0), -EINVAL);
}

/* A hello with padding (RFC 7685), of @total bytes with its header. */
static void hello_make_long(size_t total)
{
    static uint8_t padding[HELLO_ROOM];
    const size_t rest = total - 52 - 4;
    const uint8_t head[] = {0, 21, (uint8_t)(rest >> 8), (uint8_t)rest};
    memcpy(padding, head, 4);
    hello_make(padding, 4 + rest);
    expect_eq(hello_len, total);
}

UNIT(client_hello, the_default_limit_is_the_longest_record)
{
    struct weir_client_hello_options options = {.size = sizeof(options)};

    hello_make_long(HELLO_LIMIT);
    expect_eq(hello_parse(), HELLO_LIMIT);
    hello_split((const size_t[]){16000, 400}, 2);
    expect_eq(hello_parse_with(NULL, hello_bytes, 16010, HELLO_ROOM),
              -EMSGSIZE);
    options.limit_bytes = HELLO_LIMIT + 5;
    expect_eq(hello_parse_with(&options, hello_bytes, hello_len, HELLO_ROOM),
              HELLO_LIMIT + 5);
    options.limit_bytes = HELLO_ROOM;
    hello_make_long(60000);
    hello_split((const size_t[]){16384}, 1);
    expect_eq(hello_parse_with(&options, hello_bytes, hello_len, HELLO_ROOM),
              60000 + 3 * HELLO_RECORD);
}

UNIT_IN(client_hello, calls_are_checked, unit_alone, void)
{
    struct weir_client_hello_options options = {.size = 0};
    hello.size = sizeof(hello);
    expect_eq(weir_client_hello_parse(NULL, 1, NULL, NULL, 0, &hello), -EINVAL);
    expect_eq(weir_client_hello_parse("", 1, NULL, NULL, 0, NULL), -EINVAL);
    expect_eq(weir_client_hello_parse(NULL, 0, NULL, NULL, 0, &hello), -EAGAIN);
    expect_eq(weir_client_hello_parse("", 1, &options, NULL, 0, &hello),
              WEIR_EOPTIONSIZE);
    hello.size = 0;
    expect_eq(weir_client_hello_parse("", 1, NULL, NULL, 0, &hello),
              WEIR_EOPTIONSIZE);
    cr_assert(!weir_client_hello_alpn_has(NULL, "h2"));
    cr_assert(!weir_client_hello_alpn_next(NULL, NULL));
}

UNIT(client_hello, no_bytes_make_it_look_elsewhere)
{
    struct unit_random random = unit_random_new();
    for (int i = 0; i < 100000; i++) {
        const size_t sizes[] = {1 + unit_random_below(&random, 400), 60};
        hello_read_hex(i % 2 ? hello_tls13 : hello_tls12);
        hello_split(sizes, 2);
        for (uint64_t n = unit_random_below(&random, 4); n < 4; n++) {
            hello_bytes[unit_random_below(&random, hello_len)] =
                (uint8_t)unit_random_next(&random);
        }
        const size_t scratch = unit_random_below(&random, 400);
        const int len = hello_parse_with(NULL, hello_bytes, hello_len, scratch);
        cr_assert(len <= (int)hello_len && len != 0);
        cr_assert(len < 0 || memchr(hello.server_name, '\0', 256));
    }
}

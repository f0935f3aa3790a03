/*
 * Bytes that are not a PROXY header: each with its error, and with the number
 * of bytes after which the error is reported.
 *
 * Also randomly changed headers, which give a header or an error and are never
 * read out of bounds.
 */
#include "tests/unit/random.h"

#include <errno.h>
#include <weir/proxy_protocol.h>

#define V2         "\r\n\r\n\0\r\nQUIT\n"
#define INET_BLOCK "\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb"
#define TEXT_100                                                               \
    "12345678901234567890123456789012345678901234567890"                       \
    "12345678901234567890123456789012345678901234567890"

/* Parses a separate copy of @len bytes. */
static int bad_parse(const void *data, size_t len)
{
    struct weir_proxy_header header = {.size = sizeof(header)};
    char *copy = malloc(len + (len == 0));
    memcpy(copy, data, len);
    const int result = weir_proxy_header_parse(copy, len, NULL, &header);
    free(copy);
    return result;
}

struct bad_header {
    const char *data;
    size_t len; /* number of bytes until the error is reported */
    int error;
};

#define BAD(text, error)                                                       \
    {                                                                          \
        (text), sizeof(text) - 1, (error)                                      \
    }

/* The error is first reported with the last byte of each. */
static const struct bad_header bad_begun[] = {
    BAD("G", -EPROTO),
    BAD("\n", -EPROTO),
    BAD("\x16", -EPROTO),
    BAD("PO", -EPROTO),
    BAD("p", -EPROTO),
    BAD("PROXY\t", -EPROTO),
    BAD("PROXY  ", -EPROTO),
    BAD("PROXY\r", -EPROTO),
    BAD("PROXY \r", -EPROTO),
    BAD("PROXY t", -EPROTO),
    BAD("PROXY TCP5", -EPROTO),
    BAD("PROXY UD", -EPROTO),
    BAD("PROXY TCP44", -EPROTO),
    BAD("PROXY TCP4\t", -EPROTO),
    BAD("PROXY TCP4 a", -EPROTO),
    BAD("PROXY TCP4 1.2.3.4 :", -EPROTO),
    BAD("PROXY TCP4 1.2.3.4 1.2.3.5 1 +", -EPROTO),
    BAD("PROXY TCP6 ::1 ::1%", -EPROTO),
    BAD("PROXY TCP6 fg", -EPROTO),
    BAD("PROXY UNKNOWNX", -EPROTO),
    BAD("PROXY UNKNOWN\n", -EPROTO),
    BAD("PROXY UNKNOWN a\n", -EPROTO),
    BAD("PROXY UNKNOWN a\rb", -EPROTO),
    BAD("PROXY UNKNOWN\r\r", -EPROTO),
    BAD("PROXY UNKN\r", -EPROTO),
    BAD("PROXY TCP4 1.2.3.4 1.2.3.5 1 2\n", -EPROTO),
    BAD("PROXY UNKNOWN " TEXT_100, -EMSGSIZE),
    BAD("PROXY TCP4 " TEXT_100, -EMSGSIZE),
    BAD("\r\r", -EPROTO),
    BAD("\r\n\r\n\r", -EPROTO),
    BAD("\r\n\r\n\0\r\nQUIT\r", -EPROTO),
    BAD(V2 "\x11", -EPROTO),
    BAD(V2 "\x31", -EPROTO),
    BAD(V2 "\x22", -EPROTO),
    BAD(V2 "\x2f", -EPROTO),
    BAD(V2 "\x21\x41", -EPROTO),
    BAD(V2 "\x21\x13", -EPROTO),
    BAD(V2 "\x21\xff", -EPROTO),
    BAD(V2 "\x21\x11\0\x0b", -EPROTO),
    BAD(V2 "\x21\x11\0\0", -EPROTO),
    BAD(V2 "\x21\x21\0\x23", -EPROTO),
    BAD(V2 "\x21\x31\0\xd7", -EPROTO),
    BAD(V2 "\x21\x11\2\x09", -EMSGSIZE),
    BAD(V2 "\x20\0\xff\xff", -EMSGSIZE),
    /* Complete headers. */
    BAD(V2 "\x21\x11\0\x0d" INET_BLOCK "\4", -EPROTO),
    BAD(V2 "\x21\x11\0\x0f" INET_BLOCK "\4\0\1", -EPROTO),
    BAD(V2 "\x21\x11\0\x13" INET_BLOCK "\4\0\0\4\0\1\0"
           "",
        0),
    BAD(V2 "\x21\x11\0\x12" INET_BLOCK "\3\0\3abc", -EPROTO),
    BAD(V2 "\x21\x11\0\x13" INET_BLOCK "\3\0\4abcd", -EBADMSG),
    BAD(V2 "\x21\x11\0\x1a" INET_BLOCK "\3\0\4abcd\3\0\4abcd", -EPROTO),
    BAD(V2 "\x20\0\0\7\3\0\4abcd", -EBADMSG),
    BAD(V2 "\x21\0\0\7\3\0\4abcd", -EBADMSG),
    BAD(V2 "\x21\x11\0\x13" INET_BLOCK "\x20\0\4abcd", -EPROTO),
    BAD(V2 "\x21\x11\0\x15" INET_BLOCK "\x20\0\6abcdef", -EPROTO),
    BAD(V2 "\x21\x11\0\x17" INET_BLOCK "\x20\0\x08"
           "abcde\x21\0\1",
        -EPROTO),
};

UNIT(proxy_header_bad, an_error_is_told_as_soon_as_it_is_there)
{
    for (size_t i = 0; i < sizeof(bad_begun) / sizeof(bad_begun[0]); i++) {
        const struct bad_header *bad = &bad_begun[i];
        if (bad->error == 0) {
            expect_eq(bad_parse(bad->data, bad->len), (int)bad->len, "%zu", i);
            continue;
        }
        expect_eq(bad_parse(bad->data, bad->len), bad->error, "%zu: %s", i,
                  bad->data);
        if (bad->error == -EMSGSIZE && bad->data[0] == 'P') {
            expect_eq(bad_parse(bad->data, WEIR_PROXY_V1_SIZE_MAX), -EMSGSIZE);
            expect_eq(bad_parse(bad->data, WEIR_PROXY_V1_SIZE_MAX - 1),
                      -EAGAIN);
            continue;
        }
        expect_eq(bad_parse(bad->data, bad->len - 1), -EAGAIN, "%zu: %s", i,
                  bad->data);
    }
}

/* The fields of a complete line. */
static const char *const bad_fields[] = {
    "TCP4",
    "TCP4 ",
    "TCP4 1.2.3.4",
    "TCP4 1.2.3.4 1.2.3.5 1",
    "TCP4 1.2.3.4 1.2.3.5 1 ",
    "TCP4 1.2.3.4 1.2.3.5 1 2 ",
    "TCP4 1.2.3.4 1.2.3.5 1 2 3",
    "TCP4  1.2.3.4 1.2.3.5 1 2",
    "TCP4 1.2.3.4  1.2.3.5 1 2",
    "TCP4 1.2.3.4 1.2.3.5  1 2",
    "TCP4 1.2.3.4 1.2.3.5 1  2",
    "TCP4 01.2.3.4 1.2.3.5 1 2",
    "TCP4 1.2.3.4 1.2.3.05 1 2",
    "TCP4 1.2.3 1.2.3.5 1 2",
    "TCP4 1.2.3.4. 1.2.3.5 1 2",
    "TCP4 1.2.3.4.5 1.2.3.5 1 2",
    "TCP4 256.2.3.4 1.2.3.5 1 2",
    "TCP4 1..3.4 1.2.3.5 1 2",
    "TCP4 1.2.3.4 1.2.3.5 01 2",
    "TCP4 1.2.3.4 1.2.3.5 1 00",
    "TCP4 1.2.3.4 1.2.3.5 65536 2",
    "TCP4 1.2.3.4 1.2.3.5 1 100000",
    "TCP4 1.2.3.4 1.2.3.5 1 4294967297",
    "TCP4 1.2.3.4 1.2.3.5 1. 2",
    "TCP4 1234567890123456789012345678901234567890123456 1.2.3.5 1 2",
    "TCP6 1.2.3.4 1.2.3.5 1 2",
    "TCP6 ::1 1.2.3.5 1 2",
    "TCP6 1::2::3 ::1 1 2",
    "TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2",
    "TCP6 1:2:3:4:5:6:7 ::1 1 2",
    "TCP6 ::12345 ::1 1 2",
    "TCP6 : ::1 1 2",
    "TCP6 ::1 ::1 a 2",
    "TCP6 ::1 ::1 1 2:",
};

UNIT(proxy_header_bad, fields_are_read_strictly)
{
    char line[WEIR_PROXY_V1_SIZE_MAX + 1];

    for (size_t i = 0; i < sizeof(bad_fields) / sizeof(bad_fields[0]); i++) {
        const int len =
            snprintf(line, sizeof(line), "PROXY %s\r\n", bad_fields[i]);
        /* A valid line before leaves nothing that the invalid one could use. */
        expect_eq(bad_parse("PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\n", 32), 32);
        expect_eq(bad_parse(line, (size_t)len), -EPROTO, "%s", line);
    }
}

UNIT(proxy_header_bad, a_line_of_108_bytes_is_too_long)
{
    char line[WEIR_PROXY_V1_SIZE_MAX + 1];

    memset(line, 'x', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + sizeof(line) - 2, "\r\n", 2);
    expect_eq(bad_parse(line, sizeof(line)), -EMSGSIZE);
    expect_eq(bad_parse(line, sizeof(line) - 1), -EMSGSIZE);
    expect_eq(bad_parse(line, sizeof(line) - 2), -EAGAIN);
    memcpy(line + sizeof(line) - 3, "\r\n", 2);
    expect_eq(bad_parse(line, sizeof(line)), WEIR_PROXY_V1_SIZE_MAX);
}

UNIT(proxy_header_bad, a_unique_identifier_has_at_most_128_bytes)
{
    char data[16 + 12 + 3 + 129] = V2 "\x21\x11\0\x8f" INET_BLOCK "\5\0\x80";
    expect_eq(bad_parse(data, sizeof(data)), (int)sizeof(data) - 1);
    data[15]++;
    data[16 + 12 + 2]++;
    expect_eq(bad_parse(data, sizeof(data)), -EPROTO);
}

UNIT(proxy_header_bad, no_changed_byte_makes_it_look_elsewhere)
{
    static const char lines[][64] = {
        "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        "PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 1 65535\r\n",
        V2 "\x21\x11\0\x18" INET_BLOCK "\1\0\2h2\3\0\4\x42\xea\x98\x53",
        V2 "\x21\x11\0\x27" INET_BLOCK "\x20\0\x18\5\0\0\1\2"
           "\x21\0\7TLSv1.3\x22\0\6client",
    };
    struct unit_random random;
    char data[sizeof(lines[0])];

    unit_random_seed(&random);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        for (size_t at = 0; at < sizeof(data); at++) {
            for (int byte = 0; byte < 256; byte++) {
                memcpy(data, lines[i], sizeof(data));
                data[at] = (char)byte;
                const size_t len = 1 + unit_random_below(&random, sizeof(data));
                const int result = bad_parse(data, len);
                cr_assert(result <= (int)len && result != 0);
                cr_assert_neq(bad_parse(data, sizeof(data)), 0);
            }
        }
    }
    for (int i = 0; i < 300000; i++) {
        memcpy(data, lines[unit_random_below(&random, 4)], sizeof(data));
        for (uint64_t n = unit_random_below(&random, 5); n < 5; n++) {
            data[unit_random_below(&random, sizeof(data))] =
                (char)unit_random_next(&random);
        }
        cr_assert_neq(bad_parse(data, sizeof(data)), 0);
    }
}

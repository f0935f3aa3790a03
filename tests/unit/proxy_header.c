/*
 * PROXY headers that are accepted: the information in them, and that each
 * incomplete header waits for more.
 *
 * The bytes are written by hand from the specification. Each parse has memory
 * of exactly its size, so that the address sanitizer notices reads past its
 * end.
 */
#define UNIT_RUN dropping
#include "lib/proxy/preface/proxy.h"

#include "tests/unit.h"

#include <errno.h>
#include <weir/error.h>

#define V2           "\r\n\r\n\0\r\nQUIT\n"
#define INET_BLOCK   "\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb"
#define LONG_ADDRESS "fffe:fffe:fffe:fffe:fffe:fffe:fffe:fffe"
#define HEADER_LIMIT 536

static struct weir_proxy_header header;
static char *header_copy; /* keeps the parsed bytes for the test */
static char header_text[WEIR_ADDRESS_TEXT_SIZE];

static int header_parse_with(const struct weir_proxy_options *options,
                             const void *data, size_t len)
{
    free(header_copy);
    header_copy = malloc(len + (len == 0));
    memcpy(header_copy, data, len);
    header.size = sizeof(header);
    return weir_proxy_header_parse(header_copy, len, options, &header);
}

static int header_parse(const void *data, size_t len)
{
    return header_parse_with(NULL, data, len);
}

static void header_done(void)
{
    free(header_copy);
    header_copy = NULL;
}

/* Parses bytes followed by @tail more, and every prefix of them. */
static void header_accept_with(const struct weir_proxy_options *options,
                               const char *data, size_t len)
{
    char longer[8192];

    memset(&header, 0x5a, sizeof(header));
    const struct weir_proxy_header before = header;
    for (size_t part = 0; part < len; part++) {
        expect_eq(header_parse_with(options, data, part), -EAGAIN, "%zu", part);
        header.size = before.size;
        expect_eq(memcmp(&header, &before, sizeof(header)), 0);
    }
    memcpy(longer, data, len);
    memset(longer + len, '\r', 3);
    expect_eq(header_parse_with(options, longer, len + 3), (int)len);
    expect_eq(header_parse_with(options, data, len), (int)len);
}

#define HEADER_ACCEPT(text) header_accept_with(NULL, text, sizeof(text) - 1)

static const char *header_source(void)
{
    return weir_address_format(&header.source, header_text,
                               sizeof(header_text));
}

static const char *header_destination(void)
{
    return weir_address_format(&header.destination, header_text,
                               sizeof(header_text));
}

static void header_expect(unsigned version, int socket_type, const char *source,
                          const char *destination)
{
    expect_eq(header.version, version);
    expect_eq(header.socket_type, socket_type);
    expect_str_eq(header_source(), source);
    expect_str_eq(header_destination(), destination);
    cr_assert(!header.is_local && !header.has_checksum);
    expect_eq(header.tlvs.len, 0);
}

static void dropping(void (*body)(void))
{
    body();
    header_done();
}

UNIT(proxy_header, a_line_tells_addresses_and_ports)
{
    HEADER_ACCEPT("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
    header_expect(WEIR_PROXY_V1, SOCK_STREAM, "192.168.0.1:56324",
                  "192.168.0.11:443");
    HEADER_ACCEPT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n");
    HEADER_ACCEPT("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n");
    header_expect(WEIR_PROXY_V1, SOCK_STREAM, "0.0.0.0:0", "0.0.0.0:0");
    HEADER_ACCEPT("PROXY TCP6 2001:DB8::1 ::1 1 65535\r\n");
    header_expect(WEIR_PROXY_V1, SOCK_STREAM, "[2001:db8::1]:1", "[::1]:65535");
    HEADER_ACCEPT("PROXY TCP6 " LONG_ADDRESS " " LONG_ADDRESS
                  " 65535 65535\r\n");
    header_expect(WEIR_PROXY_V1, SOCK_STREAM, "[" LONG_ADDRESS "]:65535",
                  "[" LONG_ADDRESS "]:65535");
    HEADER_ACCEPT("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n");
    header_expect(WEIR_PROXY_V1, SOCK_STREAM, "[::ffff:192.0.2.1]:1",
                  "[::ffff:192.0.2.2]:2");
}

UNIT(proxy_header, an_unknown_line_tells_nothing)
{
    HEADER_ACCEPT("PROXY UNKNOWN\r\n");
    header_expect(WEIR_PROXY_V1, 0, "-", "-");
    HEADER_ACCEPT("PROXY UNKNOWN " LONG_ADDRESS " " LONG_ADDRESS
                  " 65535 65535\r\n");
    header_expect(WEIR_PROXY_V1, 0, "-", "-");
    expect_eq(strlen("PROXY UNKNOWN " LONG_ADDRESS " " LONG_ADDRESS
                     " 65535 65535\r\n"),
              WEIR_PROXY_V1_SIZE_MAX);
    HEADER_ACCEPT("PROXY UNKNOWN  \t\xff of any kind\r\n");
}

UNIT(proxy_header, version_2_tells_addresses_of_all_families)
{
    HEADER_ACCEPT(V2 "\x21\x11\0\x0c" INET_BLOCK);
    header_expect(WEIR_PROXY_V2, SOCK_STREAM, "192.0.2.1:56324",
                  "192.0.2.2:443");
    HEADER_ACCEPT(V2 "\x21\x12\0\x0c" INET_BLOCK);
    header_expect(WEIR_PROXY_V2, SOCK_DGRAM, "192.0.2.1:56324",
                  "192.0.2.2:443");
    HEADER_ACCEPT(V2 "\x21\x21\0\x24"
                     "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                     "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
                     "\xdc\4\1\xbb");
    header_expect(WEIR_PROXY_V2, SOCK_STREAM, "[2001:db8::1]:56324",
                  "[2001:db8::2]:443");
}

/* Parses a header with two Unix addresses. */
static void header_accept_unix(const char *source, size_t source_len,
                               const char *destination, size_t destination_len)
{
    char data[WR_PROXY_FIXED + 2 * WR_PROXY_UNIX] = V2 "\x21\x32\0\xd8";
    memcpy(data + WR_PROXY_FIXED, source, source_len);
    memcpy(data + WR_PROXY_FIXED + WR_PROXY_UNIX, destination, destination_len);
    header_accept_with(NULL, data, sizeof(data));
}

UNIT(proxy_header, unix_addresses_end_at_their_first_nul_or_last_byte)
{
    struct weir_address path;
    char longest[WR_PROXY_UNIX];

    header_accept_unix("/run/a", 6, "\0b\0c", 4);
    header_expect(WEIR_PROXY_V2, SOCK_DGRAM, "unix:/run/a", "unix:@b\\x00c");
    expect_eq(weir_address_parse_unix("/run/a", &path), 0);
    expect_eq(header.source.len, path.len);
    header_accept_unix("/run/a\0junk", 11, "", 0);
    header_expect(WEIR_PROXY_V2, SOCK_DGRAM, "unix:/run/a", "unix:");
    memset(longest, 'x', sizeof(longest));
    header_accept_unix(longest, sizeof(longest), longest, sizeof(longest));
    expect_eq(header.source.len, sizeof(struct sockaddr_un));
    expect_eq(strlen(header_source()), strlen("unix:") + sizeof(longest));
}

UNIT(proxy_header, a_local_header_tells_no_addresses)
{
    HEADER_ACCEPT(V2 "\x20\0\0\0");
    cr_assert(header.is_local);
    expect_eq(header.source.len, 0);
    HEADER_ACCEPT(V2 "\x20\x11\0\x0c" INET_BLOCK);
    cr_assert(header.is_local);
    expect_eq(header.source.len, 0);
    expect_eq(header.socket_type, 0);
    HEADER_ACCEPT(V2 "\x20\xff\0\2xx");
    cr_assert(header.is_local);
    HEADER_ACCEPT(V2 "\x20\x11\0\2xx");
    HEADER_ACCEPT(V2 "\x20\0\0\5\5\0\2id");
    cr_assert(header.is_local);
    expect_eq(header.tlvs.len, 5);
}

UNIT(proxy_header, an_unspecified_family_or_transport_tells_no_addresses)
{
    HEADER_ACCEPT(V2 "\x21\0\0\0");
    header_expect(WEIR_PROXY_V2, 0, "-", "-");
    HEADER_ACCEPT(V2 "\x21\0\0\2xx");
    header_expect(WEIR_PROXY_V2, 0, "-", "-");
    HEADER_ACCEPT(V2 "\x21\1\0\2xx");
    HEADER_ACCEPT(V2 "\x21\x10\0\2xx");
    header_expect(WEIR_PROXY_V2, 0, "-", "-");
    HEADER_ACCEPT(V2 "\x21\x10\0\x0c" INET_BLOCK);
    header_expect(WEIR_PROXY_V2, 0, "-", "-");
    HEADER_ACCEPT(V2 "\x21\0\0\5\5\0\2id");
    expect_eq(header.tlvs.len, 5);
}

UNIT(proxy_header, tlvs_follow_in_order)
{
    struct weir_proxy_tlv tlv;

    HEADER_ACCEPT(V2 "\x21\x11\0\x1b" INET_BLOCK "\1\0\2h2"
                     "\4\0\0"
                     "\xea\0\4own\0");
    struct weir_proxy_tlvs left = header.tlvs;
    cr_assert(weir_proxy_tlv_next(&left, &tlv));
    expect_eq(tlv.type, WEIR_PROXY_ALPN);
    expect_eq(tlv.len, 2);
    expect_eq(memcmp(tlv.value, "h2", 2), 0);
    cr_assert(weir_proxy_tlv_next(&left, &tlv));
    expect_eq(tlv.type, WEIR_PROXY_NOOP);
    expect_eq(tlv.len, 0);
    cr_assert(weir_proxy_tlv_next(&left, &tlv));
    expect_eq(tlv.type, 0xea);
    expect_eq(memcmp(tlv.value, "own", 4), 0);
    cr_assert(!weir_proxy_tlv_next(&left, &tlv));
    cr_assert(weir_proxy_tlv_find(&header.tlvs, WEIR_PROXY_NOOP, &tlv));
    cr_assert(!weir_proxy_tlv_find(&header.tlvs, WEIR_PROXY_SSL, &tlv));
}

UNIT(proxy_header, a_checksum_is_verified)
{
    const uint8_t zeros[32] = {0};
    /* The checksum was computed by another implementation. */
    char data[] = V2 "\x21\x11\0\x18" INET_BLOCK "\1\0\2h2"
                     "\3\0\4\x42\xea\x98\x53";

    expect_eq(wr_proxy_crc32c(zeros, 32, zeros + 7), 0x8a9136aa); /* RFC 3720 */
    header_accept_with(NULL, data, sizeof(data) - 1);
    cr_assert(header.has_checksum);
    expect_str_eq(header_source(), "192.0.2.1:56324");
    for (size_t bit = 8 * WR_PROXY_FIXED; bit < 8 * (sizeof(data) - 1); bit++) {
        data[bit / 8] ^= (char)(1 << bit % 8);
        const int result = header_parse(data, sizeof(data) - 1);
        cr_assert(result == -EBADMSG || result == -EPROTO ||
                      (result > 0 && !header.has_checksum),
                  "%zu: %d", bit, result);
        data[bit / 8] ^= (char)(1 << bit % 8);
    }
    data[WR_PROXY_FIXED] ^= 1;
    expect_eq(header_parse(data, sizeof(data) - 1), -EBADMSG);
}

UNIT(proxy_header, the_clients_tls_is_told)
{
    struct weir_proxy_ssl ssl = {.size = sizeof(ssl)};
    struct weir_proxy_tlv tlv;

    HEADER_ACCEPT(V2 "\x21\x11\0\x27" INET_BLOCK "\x20\0\x18\5\0\0\1\2"
                     "\x21\0\7TLSv1.3"
                     "\x22\0\6client");
    cr_assert(weir_proxy_tlv_find(&header.tlvs, WEIR_PROXY_SSL, &tlv));
    expect_eq(weir_proxy_ssl_parse(&tlv, &ssl), 0);
    expect_eq(ssl.client, WEIR_PROXY_CLIENT_SSL | WEIR_PROXY_CLIENT_CERT_SESS);
    expect_eq(ssl.verify, 0x102);
    cr_assert(weir_proxy_tlv_find(&ssl.tlvs, WEIR_PROXY_SSL_CN, &tlv));
    expect_eq(tlv.len, 6);
    expect_eq(memcmp(tlv.value, "client", 6), 0);
    expect_eq(weir_proxy_ssl_parse(&tlv, &ssl), -EINVAL, "another type");
    ssl.size = 0;
    expect_eq(weir_proxy_ssl_parse(&tlv, &ssl), WEIR_EOPTIONSIZE);
    tlv = (struct weir_proxy_tlv){WEIR_PROXY_SSL, 4, "1234"};
    ssl.size = sizeof(ssl);
    expect_eq(weir_proxy_ssl_parse(&tlv, &ssl), -EPROTO);
    tlv = (struct weir_proxy_tlv){WEIR_PROXY_SSL, 5, NULL};
    expect_eq(weir_proxy_ssl_parse(&tlv, &ssl), -EINVAL, "no value");
}

UNIT(proxy_header, versions_that_are_not_accepted_are_refused_at_once)
{
    struct weir_proxy_options options = {.size = sizeof(options)};

    options.versions = WEIR_PROXY_V2;
    expect_eq(header_parse_with(&options, "P", 1), -EPROTO);
    header_accept_with(&options, V2 "\x20\0\0\0", WR_PROXY_FIXED);
    options.versions = WEIR_PROXY_V1;
    expect_eq(header_parse_with(&options, "\r", 1), -EPROTO);
    header_accept_with(&options, "PROXY UNKNOWN\r\n", 15);
    options.versions = WEIR_PROXY_V1 | WEIR_PROXY_V2;
    header_accept_with(&options, "PROXY UNKNOWN\r\n", 15);
    header_accept_with(&options, V2 "\x20\0\0\0", WR_PROXY_FIXED);
}

UNIT(proxy_header, the_longest_header_is_an_option)
{
    struct weir_proxy_options options = {.size = sizeof(options)};
    char *data = calloc(1, WEIR_PROXY_V2_SIZE_MAX);

    memcpy(data, V2 "\x20\0", 14);
    wr_proxy_write16((uint8_t *)data + 14, HEADER_LIMIT - WR_PROXY_FIXED);
    expect_eq(header_parse(data, HEADER_LIMIT), HEADER_LIMIT);
    wr_proxy_write16((uint8_t *)data + 14, HEADER_LIMIT - WR_PROXY_FIXED + 1);
    expect_eq(header_parse(data, WR_PROXY_FIXED), -EMSGSIZE);
    options.header_limit_bytes = HEADER_LIMIT + 1;
    expect_eq(header_parse_with(&options, data, WR_PROXY_FIXED), -EAGAIN);
    expect_eq(header_parse_with(&options, data, HEADER_LIMIT + 1),
              HEADER_LIMIT + 1);
    options.header_limit_bytes = WEIR_PROXY_V2_SIZE_MAX;
    wr_proxy_write16((uint8_t *)data + 14, UINT16_MAX);
    expect_eq(header_parse_with(&options, data, WEIR_PROXY_V2_SIZE_MAX),
              WEIR_PROXY_V2_SIZE_MAX);
    options.header_limit_bytes = WR_PROXY_FIXED;
    wr_proxy_write16((uint8_t *)data + 14, 1);
    expect_eq(header_parse_with(&options, data, WR_PROXY_FIXED), -EMSGSIZE);
    header_accept_with(&options, V2 "\x20\0\0\0", WR_PROXY_FIXED);
    free(data);
}

UNIT(proxy_header, calls_are_checked)
{
    struct weir_proxy_options options = {.size = sizeof(options)};

    expect_eq(weir_proxy_header_parse(NULL, 1, NULL, &header), -EINVAL);
    expect_eq(weir_proxy_header_parse("P", 1, NULL, NULL), -EINVAL);
    header.size = 0;
    expect_eq(weir_proxy_header_parse("P", 1, NULL, &header), WEIR_EOPTIONSIZE);
    header.size = sizeof(header);
    expect_eq(weir_proxy_header_parse(NULL, 0, NULL, &header), -EAGAIN);
    options.versions = 4;
    expect_eq(header_parse_with(&options, "P", 1), -EINVAL);
    options.versions = 0;
    options.header_limit_bytes = WR_PROXY_FIXED - 1;
    expect_eq(header_parse_with(&options, "P", 1), -EINVAL);
    options.header_limit_bytes = WEIR_PROXY_V2_SIZE_MAX + 1;
    expect_eq(header_parse_with(&options, "P", 1), -EINVAL);
    options.header_limit_bytes = 0;
    expect_eq(header_parse_with(&options, "P", 1), -EAGAIN);
    options.size = 0;
    expect_eq(header_parse_with(&options, "P", 1), WEIR_EOPTIONSIZE);
}

UNIT_IN(proxy_header, a_shorter_struct_is_filled_as_far_as_it_goes, unit_alone,
        void)
{
    struct weir_proxy_header small;

    memset(&small, 0x5a, sizeof(small));
    small.size = offsetof(struct weir_proxy_header, source);
    expect_eq(weir_proxy_header_parse("PROXY UNKNOWN\r\n", 15, NULL, &small),
              15);
    expect_eq(small.version, WEIR_PROXY_V1);
    expect_eq(small.source.len, 0x5a5a5a5a);
}

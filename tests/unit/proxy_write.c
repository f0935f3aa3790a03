/*
 * PROXY headers that are written: their bytes, that each reads back as it was
 * written, even random ones, and that no byte is written unless all fit.
 *
 * A random test prints its seed.
 */
#include "tests/unit/random.h"

#include <errno.h>
#include <weir/error.h>
#include <weir/proxy_protocol.h>

#define V2 "\r\n\r\n\0\r\nQUIT\n"

enum { WRITE_ROOM = 70000 };

static struct weir_proxy_header header;
static char write_buf[WRITE_ROOM];
static char write_tlvs[WRITE_ROOM];

static void write_begin(unsigned version, const char *source,
                        const char *destination)
{
    header = (struct weir_proxy_header){
        .size = sizeof(header),
        .version = version,
    };
    if (source) {
        expect_eq(weir_address_parse_with_port(source, &header.source), 0);
        expect_eq(
            weir_address_parse_with_port(destination, &header.destination), 0);
    }
}

/* Writes into memory of each size up to the one that suffices. */
static int write_header(void)
{
    const int len =
        weir_proxy_header_write(&header, write_buf, sizeof(write_buf));
    if (len < 0) {
        return len;
    }
    expect_eq(weir_proxy_header_write(&header, NULL, 0), -ENOBUFS);
    for (int size = len - 1; size >= 0 && size > len - 300; size--) {
        char *small = malloc((size_t)size + (size == 0));
        expect_eq(weir_proxy_header_write(&header, small, (size_t)size),
                  -ENOBUFS);
        free(small);
    }
    char *exact = malloc((size_t)len);
    expect_eq(weir_proxy_header_write(&header, exact, (size_t)len), len);
    expect_eq(memcmp(exact, write_buf, (size_t)len), 0);
    free(exact);
    return len;
}

static void write_expect(const char *data, size_t len)
{
    expect_eq(write_header(), (int)len);
    expect_eq(memcmp(write_buf, data, len), 0, "%.*s", (int)len, write_buf);
}

#define WRITE_EXPECT(text) write_expect(text, sizeof(text) - 1)

UNIT(proxy_write, a_line_is_written_by_the_specification)
{
    write_begin(WEIR_PROXY_V1, "192.168.0.1:56324", "192.168.0.11:443");
    WRITE_EXPECT("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n");
    write_begin(WEIR_PROXY_V1, "[2001:db8::1]:0", "[::1]:65535");
    header.socket_type = SOCK_STREAM;
    WRITE_EXPECT("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n");
    write_begin(WEIR_PROXY_V1, "[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2");
    WRITE_EXPECT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    write_begin(WEIR_PROXY_V1, "[::ffff:192.0.2.1]:1", "192.0.2.2:2");
    WRITE_EXPECT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n");
    write_begin(WEIR_PROXY_V1, "[::ffff:192.0.2.1]:1", "[::192.0.2.1]:2");
    WRITE_EXPECT("PROXY TCP6 ::ffff:c000:201 ::c000:201 1 2\r\n");
}

UNIT(proxy_write, a_line_without_addresses_it_can_tell_is_unknown)
{
    write_begin(WEIR_PROXY_V1, NULL, NULL);
    WRITE_EXPECT("PROXY UNKNOWN\r\n");
    header.is_local = true;
    WRITE_EXPECT("PROXY UNKNOWN\r\n");
    write_begin(WEIR_PROXY_V1, "192.0.2.1:1", "192.0.2.2:2");
    header.socket_type = SOCK_DGRAM;
    WRITE_EXPECT("PROXY UNKNOWN\r\n");
    header.socket_type = SOCK_STREAM;
    header.is_local = true;
    WRITE_EXPECT("PROXY UNKNOWN\r\n");
    header.is_local = false;
    expect_eq(weir_address_parse_unix("/a", &header.source), 0);
    expect_eq(weir_address_parse_unix("", &header.destination), 0);
    WRITE_EXPECT("PROXY UNKNOWN\r\n");
}

UNIT(proxy_write, version_2_is_written_by_the_specification)
{
    write_begin(WEIR_PROXY_V2, "192.0.2.1:56324", "192.0.2.2:443");
    WRITE_EXPECT(V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb");
    header.socket_type = SOCK_DGRAM;
    WRITE_EXPECT(V2 "\x21\x12\0\x0c\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb");
    header.is_local = true;
    WRITE_EXPECT(V2 "\x20\0\0\0");
    write_begin(WEIR_PROXY_V2, NULL, NULL);
    WRITE_EXPECT(V2 "\x21\0\0\0");
    write_begin(WEIR_PROXY_V2, "[2001:db8::1]:56324", "[2001:db8::2]:443");
    WRITE_EXPECT(V2 "\x21\x21\0\x24"
                    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                    "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"
                    "\xdc\4\1\xbb");
}

UNIT(proxy_write, nothing_behind_the_name_of_a_unix_address_is_written)
{
    write_begin(WEIR_PROXY_V2, NULL, NULL);
    expect_eq(weir_address_parse_unix("/a", &header.source), 0);
    expect_eq(weir_address_parse_unix("@b", &header.destination), 0);
    strcpy(header.source.storage.local.sun_path + 3, "junk");
    strcpy(header.destination.storage.local.sun_path + 2, "junk");
    header.source.len += 5;
    char data[16 + 216] = V2 "\x21\x31\0\xd8/a";
    memcpy(data + 16 + 108, "\0b", 2);
    write_expect(data, sizeof(data));
}

UNIT(proxy_write, a_checksum_is_written_behind_the_tlvs)
{
    const struct weir_proxy_tlv tlv = {WEIR_PROXY_ALPN, 2, "h2"};
    write_begin(WEIR_PROXY_V2, "192.0.2.1:56324", "192.0.2.2:443");
    header.has_checksum = true;
    header.tlvs.data = write_tlvs;
    header.tlvs.len =
        (size_t)weir_proxy_tlvs_write(&tlv, 1, write_tlvs, sizeof(write_tlvs));
    WRITE_EXPECT(V2 "\x21\x11\0\x18\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb"
                    "\1\0\2h2\3\0\4\x42\xea\x98\x53");
}

UNIT(proxy_write, a_header_that_was_read_can_be_written)
{
    const char *const old = V2 "\x21\x11\0\x1e\xc0\0\2\1\xc0\0\2\2\xdc\4\1\xbb"
                               "\3\0\4\0\0\0\0\1\0\2h2\xe0\0\3own";
    struct weir_proxy_tlv tlv;

    write_begin(WEIR_PROXY_V2, "192.0.2.1:56324", "192.0.2.2:443");
    header.has_checksum = true;
    header.tlvs.data = old + 28; /* a checksum of other bytes comes first */
    header.tlvs.len = 18;
    const int len = write_header();
    expect_eq(len, 28 + 18);
    struct weir_proxy_header again = {.size = sizeof(again)};
    expect_eq(weir_proxy_header_parse(write_buf, (size_t)len, NULL, &again),
              len);
    cr_assert(again.has_checksum);
    cr_assert(weir_proxy_tlv_find(&again.tlvs, 0xe0, &tlv));
    expect_eq(memcmp(tlv.value, "own", 3), 0);
    char first[64];
    memcpy(first, write_buf, (size_t)len);
    again.tlvs.data = first + 28;
    expect_eq(weir_proxy_header_write(&again, write_buf, sizeof(write_buf)),
              len);
    expect_eq(memcmp(first, write_buf, (size_t)len), 0);
    again.has_checksum = false;
    expect_eq(weir_proxy_header_write(&again, write_buf, sizeof(write_buf)),
              len - 7);
}

UNIT(proxy_write, tls_of_the_client_is_nested)
{
    const struct weir_proxy_tlv inner[] = {
        {WEIR_PROXY_SSL_VERSION, 7, "TLSv1.3"},
        {WEIR_PROXY_SSL_CN, 0, NULL},
    };
    struct weir_proxy_ssl ssl = {.size = sizeof(ssl), .client = 1, .verify = 9};
    char sub[16];
    char value[32];

    expect_eq(weir_proxy_tlvs_write(inner, 2, sub, 12), -ENOBUFS);
    expect_eq(weir_proxy_tlvs_write(inner, 2, sub, 13), 13);
    ssl.tlvs = (struct weir_proxy_tlvs){sub, 13};
    expect_eq(weir_proxy_ssl_write(&ssl, value, 17), -ENOBUFS);
    expect_eq(weir_proxy_ssl_write(&ssl, value, 18), 18);
    expect_eq(memcmp(value, "\1\0\0\0\x09\x21\0\7TLSv1.3\x22\0\0", 18), 0);
    struct weir_proxy_ssl again = {.size = sizeof(again)};
    const struct weir_proxy_tlv tlv = {WEIR_PROXY_SSL, 18, value};
    expect_eq(weir_proxy_ssl_parse(&tlv, &again), 0);
    expect_eq(again.verify, 9);
    expect_eq(again.client, 1);
    expect_eq(again.tlvs.len, 13);
    ssl.tlvs.len = 12;
    expect_eq(weir_proxy_ssl_write(&ssl, value, 18), -EINVAL);
    ssl.tlvs.len = 0;
    ssl.client = 256;
    expect_eq(weir_proxy_ssl_write(&ssl, value, 18), -EINVAL);
    ssl.client = 1;
    expect_eq(weir_proxy_ssl_write(&ssl, value, 5), 5);
    ssl.tlvs = (struct weir_proxy_tlvs){write_tlvs, 65531};
    expect_eq(weir_proxy_ssl_write(&ssl, write_buf, sizeof(write_buf)),
              -EMSGSIZE);
    ssl.size = 0;
    expect_eq(weir_proxy_ssl_write(&ssl, value, 5), WEIR_EOPTIONSIZE);
}

UNIT(proxy_write, headers_that_cannot_be_are_refused)
{
    write_begin(WEIR_PROXY_V2, "192.0.2.1:1", "[::1]:2");
    expect_eq(write_header(), -EINVAL, "two families");
    write_begin(WEIR_PROXY_V2, "192.0.2.1:1", "192.0.2.1:2");
    header.destination.len = 0;
    expect_eq(write_header(), -EINVAL, "one address");
    write_begin(WEIR_PROXY_V2, NULL, NULL);
    header.source.len = 5;
    header.destination.len = 5;
    expect_eq(write_header(), -EINVAL, "no address");
    write_begin(0, NULL, NULL);
    expect_eq(write_header(), -EINVAL, "no version");
    write_begin(WEIR_PROXY_V1 | WEIR_PROXY_V2, NULL, NULL);
    expect_eq(write_header(), -EINVAL, "two versions");
    write_begin(WEIR_PROXY_V2, NULL, NULL);
    header.socket_type = SOCK_RAW;
    expect_eq(write_header(), -EINVAL);
    write_begin(WEIR_PROXY_V2, NULL, NULL);
    header.tlvs = (struct weir_proxy_tlvs){"\4\0\1", 3};
    expect_eq(write_header(), -EINVAL, "a malformed TLV");
    header.tlvs = (struct weir_proxy_tlvs){NULL, 3};
    expect_eq(write_header(), -EINVAL);
    write_begin(WEIR_PROXY_V1, NULL, NULL);
    header.has_checksum = true;
    expect_eq(write_header(), -EINVAL);
    write_begin(WEIR_PROXY_V1, NULL, NULL);
    header.tlvs = (struct weir_proxy_tlvs){"\4\0\0", 3};
    expect_eq(write_header(), -EINVAL);
    header.size = 0;
    expect_eq(write_header(), WEIR_EOPTIONSIZE);
    expect_eq(weir_proxy_header_write(NULL, write_buf, 1), -EINVAL);
}

UNIT(proxy_write, the_longest_header_can_be_written)
{
    struct weir_proxy_tlv tlv = {.type = WEIR_PROXY_NOOP, .len = 65532};
    const struct weir_proxy_options options = {
        .size = sizeof(options),
        .header_limit_bytes = WEIR_PROXY_V2_SIZE_MAX,
    };
    struct weir_proxy_header again = {.size = sizeof(again)};

    tlv.value = write_buf;
    expect_eq(weir_proxy_tlvs_write(&tlv, 1, write_tlvs, WRITE_ROOM), 65535);
    write_begin(WEIR_PROXY_V2, NULL, NULL);
    header.tlvs = (struct weir_proxy_tlvs){write_tlvs, 65535};
    expect_eq(write_header(), WEIR_PROXY_V2_SIZE_MAX);
    expect_eq(weir_proxy_header_parse(write_buf, WEIR_PROXY_V2_SIZE_MAX,
                                      &options, &again),
              WEIR_PROXY_V2_SIZE_MAX);
    header.has_checksum = true;
    expect_eq(write_header(), -EMSGSIZE);
    tlv.len++;
    expect_eq(weir_proxy_tlvs_write(&tlv, 1, write_tlvs, WRITE_ROOM),
              -EMSGSIZE);
    tlv.len = 65536;
    expect_eq(weir_proxy_tlvs_write(&tlv, 1, write_tlvs, WRITE_ROOM), -EINVAL);
    tlv = (struct weir_proxy_tlv){.type = 256};
    expect_eq(weir_proxy_tlvs_write(&tlv, 1, write_tlvs, WRITE_ROOM), -EINVAL);
    tlv = (struct weir_proxy_tlv){.type = 1, .len = 1};
    expect_eq(weir_proxy_tlvs_write(&tlv, 1, write_tlvs, WRITE_ROOM), -EINVAL);
    expect_eq(weir_proxy_tlvs_write(NULL, 0, NULL, 0), 0);
}

static void write_choose_address(struct unit_random *random, int family,
                                 struct weir_address *ret)
{
    uint8_t bytes[108];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(1 + unit_random_below(random, 255));
        bytes[i] *= (uint8_t)(i > 1 && i < 16 && bytes[i] % 3 == 0);
    }
    *ret = (struct weir_address){.storage.any.sa_family = (sa_family_t)family};
    if (family == AF_INET) {
        ret->len = sizeof(ret->storage.inet);
        memcpy(&ret->storage.inet.sin_addr, bytes, 4);
        ret->storage.inet.sin_port = (in_port_t)unit_random_next(random);
    } else if (family == AF_INET6) {
        ret->len = sizeof(ret->storage.inet6);
        memcpy(&ret->storage.inet6.sin6_addr, bytes, 16);
        ret->storage.inet6.sin6_port = (in_port_t)unit_random_next(random);
    } else {
        char text[108] = "/";
        memset(text + 1, 'x', 1 + unit_random_below(random, 100));
        text[0] = unit_random_below(random, 2) ? '@' : '/';
        expect_eq(weir_address_parse_unix(text, ret), 0);
    }
}

static size_t write_choose_tlvs(struct unit_random *random)
{
    struct weir_proxy_tlv tlvs[4];
    const size_t count = unit_random_below(random, 5);
    for (size_t i = 0; i < count; i++) {
        tlvs[i].type = (unsigned)unit_random_below(random, 256);
        if (tlvs[i].type == WEIR_PROXY_CRC32C ||
            tlvs[i].type == WEIR_PROXY_SSL) {
            tlvs[i].type = WEIR_PROXY_NOOP;
        }
        tlvs[i].len = unit_random_below(random, 60);
        tlvs[i].value = write_buf + unit_random_below(random, 100);
    }
    return (size_t)weir_proxy_tlvs_write(tlvs, count, write_tlvs, WRITE_ROOM);
}

static void write_choose(struct unit_random *random)
{
    static const int families[] = {AF_INET, AF_INET6, AF_UNIX};
    const int family = families[unit_random_below(random, 3)];
    const bool is_line = family != AF_UNIX && unit_random_below(random, 2);

    write_begin(is_line ? WEIR_PROXY_V1 : WEIR_PROXY_V2, NULL, NULL);
    header.is_local = !is_line && unit_random_below(random, 8) == 0;
    if (!header.is_local && unit_random_below(random, 8) > 0) {
        write_choose_address(random, family, &header.source);
        write_choose_address(random, family, &header.destination);
        header.socket_type =
            is_line || unit_random_below(random, 2) ? SOCK_STREAM : SOCK_DGRAM;
    }
    if (!is_line) {
        header.has_checksum = unit_random_below(random, 2);
        header.tlvs.data = write_tlvs;
        header.tlvs.len = write_choose_tlvs(random);
    }
}

UNIT(proxy_write, every_header_reads_back_as_it_was_written)
{
    struct unit_random random = unit_random_new();
    for (int i = 0; i < 20000; i++) {
        struct weir_proxy_header again = {.size = sizeof(again)};
        write_choose(&random);
        const int len =
            weir_proxy_header_write(&header, write_buf, sizeof(write_buf));
        expect_gt(len, 0);
        char *exact = malloc((size_t)len);
        memcpy(exact, write_buf, (size_t)len);
        const size_t part = unit_random_below(&random, (size_t)len);
        expect_eq(weir_proxy_header_parse(exact, part, NULL, &again), -EAGAIN);
        expect_eq(weir_proxy_header_parse(exact, (size_t)len, NULL, &again),
                  len);
        expect_eq(again.version, header.version);
        expect_eq(again.is_local, header.is_local);
        expect_eq(again.has_checksum, header.has_checksum);
        expect_eq(again.socket_type, header.socket_type);
        cr_assert(weir_address_is_equal(&again.source, &header.source));
        cr_assert(
            weir_address_is_equal(&again.destination, &header.destination));
        expect_eq(again.tlvs.len,
                  header.tlvs.len + (header.has_checksum ? 7 : 0));
        if (header.tlvs.len > 0) {
            expect_eq(
                memcmp(again.tlvs.data, header.tlvs.data, header.tlvs.len), 0);
        }
        free(exact);
    }
}

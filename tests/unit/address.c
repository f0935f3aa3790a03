/*
 * Addresses: which texts are valid, zones and ports, and text that reads back
 * as it was written.
 *
 * Only the loopback interface must exist; random tests print their seed.
 */
#include "lib/base/address.h"

#include "tests/death.h"
#include "tests/unit/random.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <weir/error.h>

static struct weir_address addr;
static char text[WEIR_ADDRESS_TEXT_SIZE];

/* Returns the address of a successful parse as text. */
static const char *parsed(const char *host, uint16_t port)
{
    memset(&addr, 0xff, sizeof(addr));
    expect_eq(weir_address_parse(host, port, &addr), 0, "%s", host);
    return weir_address_format(&addr, text, sizeof(text));
}

static const char *parsed_with_port(const char *host_and_port)
{
    memset(&addr, 0xff, sizeof(addr));
    expect_eq(weir_address_parse_with_port(host_and_port, &addr), 0, "%s",
              host_and_port);
    return weir_address_format(&addr, text, sizeof(text));
}

/* Returns the error of a parse, which must not change the result. */
static int refused(const char *host)
{
    struct weir_address before;
    memset(&addr, 0x5a, sizeof(addr));
    before = addr;
    int err = weir_address_parse(host, 80, &addr);
    expect_eq(memcmp(&before, &addr, sizeof(addr)), 0, "%s", host);
    return err;
}

static int refused_with_port(const char *host_and_port)
{
    struct weir_address before;
    memset(&addr, 0x5a, sizeof(addr));
    before = addr;
    int err = weir_address_parse_with_port(host_and_port, &addr);
    expect_eq(memcmp(&before, &addr, sizeof(addr)), 0, "%s", host_and_port);
    return err;
}

UNIT(address, ipv4_is_four_decimal_numbers)
{
    expect_str_eq(parsed("192.0.2.1", 80), "192.0.2.1:80");
    expect_eq(addr.len, sizeof(struct sockaddr_in));
    expect_eq(addr.storage.any.sa_family, AF_INET);
    expect_eq(addr.storage.inet.sin_port, htons(80));
    expect_str_eq(parsed("0.0.0.0", 0), "0.0.0.0:0");
    expect_str_eq(parsed("255.255.255.255", 65535), "255.255.255.255:65535");
}

UNIT(address, ipv6_stands_with_or_without_brackets)
{
    expect_str_eq(parsed("::1", 443), "[::1]:443");
    expect_eq(addr.len, sizeof(struct sockaddr_in6));
    expect_eq(addr.storage.any.sa_family, AF_INET6);
    expect_eq(addr.storage.inet6.sin6_port, htons(443));
    expect_eq(addr.storage.inet6.sin6_scope_id, 0);
    expect_str_eq(parsed("[2001:DB8:0::1]", 1), "[2001:db8::1]:1");
    expect_str_eq(parsed("::ffff:192.0.2.1", 9), "[::ffff:192.0.2.1]:9");
}

UNIT(address, names_are_told_from_literals)
{
    const char *const hosts[] = {
        "",          "localhost",  "example.org",    "1.2.3",
        "1.2.3.4.5", "256.1.1.1",  "1.2.3.4 ",       " 1.2.3.4",
        "01.2.3.4",  "0x7f.0.0.1", "[127.0.0.1]",    "[::1",
        "::1]",      "[]",         "[[::1]]",        "::1::",
        "1:2",       ":::",        "::12345",        "fe80::1%",
        "%lo",       "::1%lo%lo]", "[::1]%lo",       "1:2:3:4:5:6:7:8:9",
        "[",         "]",          "127.0.0.1%lo",   "::1/128",
        "-1.2.3.4",  "1..2.3",     "[fe80::1%lo]:9", "fe80::1 %lo",
    };
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        int err = refused(hosts[i]);
        bool no_zone = err == -ENODEV && strcmp(hosts[i], "::1%lo%lo]") == 0;
        cr_assert(err == WEIR_ENOTLITERAL || no_zone, "%s", hosts[i]);
    }
    expect_eq(weir_address_parse(NULL, 1, &addr), -EINVAL);
    expect_eq(weir_address_parse("::1", 1, NULL), -EINVAL);
}

UNIT(address, a_very_long_text_is_no_literal)
{
    char host[5000];
    memset(host, '1', sizeof(host));
    for (size_t len = 1; len < sizeof(host); len += 97) {
        host[len] = '\0';
        expect_eq(refused(host), WEIR_ENOTLITERAL);
        host[len] = '1';
    }
}

UNIT(address, a_zone_is_an_interface_by_name_or_number)
{
    char numbered[64];
    unsigned index = if_nametoindex("lo");
    expect_gt(index, 0);
    snprintf(numbered, sizeof(numbered), "fe80::1%%%u", index);

    expect_str_eq(parsed("fe80::1%lo", 80), "[fe80::1%lo]:80");
    expect_eq(addr.storage.inet6.sin6_scope_id, index);
    expect_str_eq(parsed("[fe80::1%lo]", 80), "[fe80::1%lo]:80");
    expect_str_eq(parsed(numbered, 80), "[fe80::1%lo]:80");
}

UNIT(address, a_zone_that_does_not_exist_is_an_error)
{
    expect_eq(refused("fe80::1%nosuchif"), -ENODEV);
    expect_eq(refused("fe80::1%0"), -ENODEV);
    expect_eq(refused("fe80::1%4294967295"), -ENODEV);
    expect_eq(refused("fe80::1%99999999999999999999"), -ENODEV);
    expect_eq(refused("fe80::1%-1"), -ENODEV);
    expect_eq(refused("fe80::1%a-name-longer-than-any-interface"), -ENODEV);
    expect_eq(refused_with_port("[fe80::1%nosuchif]:80"), -ENODEV);
}

UNIT(address, a_zone_whose_interface_went_is_written_as_a_number)
{
    parsed("fe80::1", 80);
    addr.storage.inet6.sin6_scope_id = 4000000000u;

    expect_str_eq(weir_address_format(&addr, text, sizeof(text)),
                  "[fe80::1%4000000000]:80");
}

UNIT(address, host_and_port_stand_in_one_text)
{
    expect_str_eq(parsed_with_port("127.0.0.1:80"), "127.0.0.1:80");
    expect_str_eq(parsed_with_port("[::1]:80"), "[::1]:80");
    expect_str_eq(parsed_with_port("[fe80::1%lo]:80"), "[fe80::1%lo]:80");
    expect_str_eq(parsed_with_port("1.2.3.4:0"), "1.2.3.4:0");
    expect_str_eq(parsed_with_port("1.2.3.4:65535"), "1.2.3.4:65535");
    expect_str_eq(parsed_with_port("1.2.3.4:00080"), "1.2.3.4:80");
}

UNIT(address, without_a_good_port_the_text_is_invalid)
{
    const char *const texts[] = {
        "",           "127.0.0.1",   "127.0.0.1:",       "127.0.0.1:65536",
        "1.2.3.4:-1", "1.2.3.4:+80", "1.2.3.4:80 ",      "1.2.3.4: 80",
        "::1",        "::1:80",      "1.2.3.4:8a",       "1.2.3.4:0x50",
        "[::1]",      "[::1]:",      "[::1]:http",       "1.2.3.4:000080",
        "localhost",  "localhost:",  "1.2.3.4:99999999", ":",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_eq(refused_with_port(texts[i]), -EINVAL, "%s", texts[i]);
    }
    expect_eq(weir_address_parse_with_port(NULL, &addr), -EINVAL);
    expect_eq(weir_address_parse_with_port("1.2.3.4:5", NULL), -EINVAL);
}

UNIT(address, a_name_with_a_good_port_is_no_literal)
{
    const char *const texts[] = {"localhost:80",   ":80",        "[]:80",
                                 "[127.0.0.1]:80", "[::1:80",    "[::1]x:80",
                                 "[::1]]:80",      "[::1]:1:80", "1.2.3:80"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        expect_eq(refused_with_port(texts[i]), WEIR_ENOTLITERAL, "%s",
                  texts[i]);
    }
}

UNIT(address, passive_without_a_host_is_every_address)
{
    const char *const hosts[] = {NULL, ""};
    for (int i = 0; i < 2; i++) {
        expect_eq(wr_address_passive(AF_INET, hosts[i], 80, &addr), 0);
        weir_address_format(&addr, text, sizeof(text));
        expect_str_eq(text, "0.0.0.0:80");
        expect_eq(wr_address_passive(AF_INET6, hosts[i], 80, &addr), 0);
        weir_address_format(&addr, text, sizeof(text));
        expect_str_eq(text, "[::]:80");
        expect_eq(wr_address_passive(AF_UNSPEC, hosts[i], 80, &addr), 0);
        weir_address_format(&addr, text, sizeof(text));
        expect_str_eq(text, "[::]:80");
    }
}

UNIT(address, passive_with_a_host_keeps_to_the_family)
{
    expect_eq(wr_address_passive(AF_UNSPEC, "127.0.0.1", 80, &addr), 0);
    expect_eq(wr_address_passive(AF_INET, "127.0.0.1", 80, &addr), 0);
    expect_eq(wr_address_passive(AF_INET6, "::1", 80, &addr), 0);
    expect_eq(wr_address_port(&addr), 80);

    expect_eq(wr_address_passive(AF_INET6, "127.0.0.1", 1, &addr),
              -EAFNOSUPPORT);
    expect_eq(wr_address_passive(AF_INET, "::1", 1, &addr), -EAFNOSUPPORT);
    expect_eq(wr_address_passive(AF_UNIX, "::1", 1, &addr), -EAFNOSUPPORT);
    expect_eq(wr_address_passive(AF_UNIX, NULL, 1, &addr), -EAFNOSUPPORT);
    expect_eq(wr_address_passive(AF_UNSPEC, "localhost", 1, &addr),
              WEIR_ENOTLITERAL);
    weir_address_format(&addr, text, sizeof(text));
    expect_str_eq(text, "[::1]:80", "a failed call writes nothing");
}

UNIT(address, the_port_can_be_read_and_set)
{
    parsed("127.0.0.1", 80);
    wr_address_set_port(&addr, 12345);
    expect_eq(wr_address_port(&addr), 12345);
    weir_address_format(&addr, text, sizeof(text));
    expect_str_eq(text, "127.0.0.1:12345");
    parsed("::1", 80);
    wr_address_set_port(&addr, 54321);
    expect_eq(wr_address_port(&addr), 54321);
    weir_address_format(&addr, text, sizeof(text));
    expect_str_eq(text, "[::1]:54321");
    expect_eq(addr.storage.any.sa_family, AF_INET6);
}

UNIT_ABORTS(address, no_address_has_no_port, "addr->len > 0")
{
    struct weir_address none = {.len = 0};
    expect_eq(wr_address_port(&none), 0);
}

UNIT(address, no_address_is_written_as_a_dash)
{
    struct weir_address none = {.len = 0};
    struct weir_address other = {.len = 2};
    other.storage.any.sa_family = AF_PACKET;

    expect_str_eq(weir_address_format(&none, text, sizeof(text)), "-");
    expect_str_eq(weir_address_format(&other, text, sizeof(text)), "-");
    expect_str_eq(weir_address_format(NULL, text, sizeof(text)), "-");
}

UNIT(address, a_short_destination_is_still_terminated)
{
    char small[32];
    parsed("127.0.0.1", 80);
    for (size_t size = 1; size <= sizeof(small); size++) {
        memset(small, 'x', sizeof(small));
        expect_eq(weir_address_format(&addr, small, size), small);
        expect_lt(strlen(small), size);
        expect_eq(strncmp(small, "127.0.0.1:80", strlen(small)), 0);
    }
    expect_str_eq(small, "127.0.0.1:80");
}

/* Returns the text of the Unix address of @len bytes. */
static const char *made_unix(const char *path, size_t len)
{
    memset(&addr, 0xff, sizeof(addr));
    expect_eq(weir_address_from_unix(path, len, &addr), 0);
    cr_assert(wr_address_is_valid(&addr));
    return weir_address_format(&addr, text, sizeof(text));
}

UNIT(address, a_unix_path_is_kept_with_its_end)
{
    expect_str_eq(made_unix("/run/a.sock/x", 11), "unix:/run/a.sock");
    expect_eq(addr.storage.local.sun_family, AF_UNIX);
    expect_str_eq(addr.storage.local.sun_path, "/run/a.sock");
    expect_eq(addr.len, offsetof(struct sockaddr_un, sun_path) + 12);
    cr_assert(!wr_address_is_unnamed(&addr));
    expect_eq(wr_address_port(&addr), 0);
}

UNIT(address, an_abstract_name_begins_with_nul_and_holds_any_bytes)
{
    expect_str_eq(made_unix("\0weir", 5), "unix:@weir");
    expect_eq(addr.len, offsetof(struct sockaddr_un, sun_path) + 5);
    expect_str_eq(made_unix("\0a\0b\n\\", 6), "unix:@a\\x00b\\x0a\\x5c");
    expect_str_eq(made_unix("\0", 1), "unix:@");
    cr_assert(!wr_address_is_unnamed(&addr));
}

UNIT(address, no_bytes_are_a_unix_address_without_a_name)
{
    expect_str_eq(made_unix(NULL, 0), "unix:");
    expect_eq(addr.len, sizeof(sa_family_t));
    cr_assert(wr_address_is_unnamed(&addr));
}

UNIT(address, the_text_of_an_abstract_name_begins_with_at)
{
    expect_eq(weir_address_parse_unix("@weir", &addr), 0);
    expect_str_eq(weir_address_format(&addr, text, sizeof(text)), "unix:@weir");
    expect_eq(addr.storage.local.sun_path[0], '\0');
    expect_eq(weir_address_parse_unix("./@weir", &addr), 0);
    expect_str_eq(addr.storage.local.sun_path, "./@weir");
    expect_eq(weir_address_parse_unix("", &addr), 0);
    cr_assert(wr_address_is_unnamed(&addr));
    expect_eq(weir_address_parse_unix(NULL, &addr), -EINVAL);
    expect_eq(weir_address_parse_unix("/a", NULL), -EINVAL);
}

UNIT(address, a_unix_name_may_be_as_long_as_the_kernel_lets_it)
{
    char name[4096];
    struct weir_address before;
    memset(name, 'n', sizeof(name));
    made_unix(name, 107);
    expect_eq(strlen(addr.storage.local.sun_path), 107);
    expect_eq(addr.len, sizeof(struct sockaddr_un));
    before = addr;

    expect_eq(weir_address_from_unix(name, 108, &addr), -ENAMETOOLONG);
    expect_eq(weir_address_from_unix(name, 4096, &addr), -ENAMETOOLONG);
    name[4095] = '\0';
    expect_eq(weir_address_parse_unix(name, &addr), -ENAMETOOLONG);
    name[108] = '\0';
    expect_eq(weir_address_parse_unix(name, &addr), -ENAMETOOLONG);
    name[0] = '@';
    expect_eq(weir_address_parse_unix(name, &before), 0, "abstract");
    expect_eq(before.len, sizeof(struct sockaddr_un));
    name[0] = '\0';
    expect_eq(weir_address_from_unix(name, 109, &addr), -ENAMETOOLONG);
    expect_eq(strlen(addr.storage.local.sun_path), 107, "nothing written");
}

UNIT(address, a_unix_path_has_no_nul_inside)
{
    expect_eq(weir_address_from_unix("/a\0b", 4, &addr), -EINVAL);
    expect_eq(weir_address_from_unix("/a\0", 3, &addr), -EINVAL);
    expect_eq(weir_address_from_unix(NULL, 1, &addr), -EINVAL);
    expect_eq(weir_address_from_unix("/a", 2, NULL), -EINVAL);
}

UNIT(address, the_longest_unix_text_has_room)
{
    char name[108];
    memset(name, 0xff, sizeof(name));
    name[0] = '\0';
    made_unix(name, sizeof(name));
    expect_eq(strlen(text), 5 + 1 + 107 * 4);
    memset(name, 0x01, sizeof(name));
    made_unix(name, 107);
    expect_eq(strlen(text), 5 + 107 * 4);
    expect_str_eq(text + strlen(text) - 4, "\\x01");
}

UNIT(address, a_path_of_the_kernel_need_not_be_terminated)
{
    memset(&addr, 'p', sizeof(addr));
    addr.storage.any.sa_family = AF_UNIX;
    addr.len = sizeof(struct sockaddr_un);
    weir_address_format(&addr, text, sizeof(text));
    expect_eq(strlen(text), 5 + 108);
    addr.len = offsetof(struct sockaddr_un, sun_path) + 3;
    weir_address_format(&addr, text, sizeof(text));
    expect_str_eq(text, "unix:ppp");
}

UNIT(address, equal_is_what_reaches_the_same_socket)
{
    static const char *const texts[] = {
        "127.0.0.1:80", "127.0.0.2:80", "127.0.0.1:81", "[::1]:80",
        "[::2]:80",     "[::1]:81",     "[fe80::1]:80", "[fe80::1%lo]:80",
        "/a",           "@a",           "/ab",          "",
    };
    static const size_t hosts[] = {0, 1, 0, 3, 4, 3, 6, 7, 8, 9, 10, 11};
    enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
    struct weir_address all[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        if (strchr(texts[i], ':')) {
            expect_eq(weir_address_parse_with_port(texts[i], &all[i]), 0);
        } else {
            expect_eq(weir_address_parse_unix(texts[i], &all[i]), 0);
        }
    }

    for (size_t i = 0; i < COUNT; i++) {
        for (size_t other = 0; other < COUNT; other++) {
            expect_eq(weir_address_is_equal(&all[i], &all[other]), i == other,
                      "%s and %s", texts[i], texts[other]);
            expect_eq(weir_address_is_same_host(&all[i], &all[other]),
                      hosts[i] == hosts[other], "%s and %s", texts[i],
                      texts[other]);
        }
    }
}

UNIT(address, equal_does_not_look_at_what_is_no_part_of_the_name)
{
    struct weir_address other;
    parsed("::1", 80);
    other = addr;
    other.storage.inet6.sin6_flowinfo = 7;
    cr_assert(weir_address_is_equal(&addr, &other));
    made_unix("/a", 2);
    other = addr;
    other.len--; /* a kernel may get a path without its NUL */
    cr_assert(weir_address_is_equal(&addr, &other));
    other.storage.local.sun_path[9] = 'x';
    other.len = sizeof(struct sockaddr_un);
    cr_assert(weir_address_is_equal(&addr, &other));

    addr.len = 0;
    cr_assert(!weir_address_is_equal(&addr, &other));
    other.len = 0;
    cr_assert(weir_address_is_equal(&addr, &other));
    cr_assert(weir_address_is_same_host(&addr, &other));
}

UNIT(address, a_family_or_a_length_that_is_not_known_is_not_valid)
{
    parsed("127.0.0.1", 80);
    cr_assert(wr_address_is_valid(&addr));
    addr.len--;
    cr_assert(!wr_address_is_valid(&addr));
    addr.len = sizeof(struct sockaddr_in6);
    cr_assert(!wr_address_is_valid(&addr));
    parsed("::1", 80);
    cr_assert(wr_address_is_valid(&addr));
    addr.len = sizeof(struct sockaddr_in);
    cr_assert(!wr_address_is_valid(&addr));
    made_unix("/a", 2);
    addr.len = sizeof(struct sockaddr_un) + 1;
    cr_assert(!wr_address_is_valid(&addr));
    addr.len = 1;
    cr_assert(!wr_address_is_valid(&addr));
    addr.len = 0;
    cr_assert(!wr_address_is_valid(&addr));
    addr.len = sizeof(struct sockaddr_in);
    addr.storage.any.sa_family = AF_PACKET;
    cr_assert(!wr_address_is_valid(&addr));
    cr_assert(!weir_address_is_equal(&addr, &addr), "of no known family");
}

UNIT(address, random_addresses_read_back_as_they_were_written)
{
    struct unit_random rng = unit_random_new();
    for (int i = 0; i < 20000; i++) {
        struct weir_address before = {.len = 0};
        if (i % 2 == 0) {
            before.len = sizeof(before.storage.inet);
            before.storage.inet.sin_family = AF_INET;
            before.storage.inet.sin_addr.s_addr =
                (uint32_t)unit_random_next(&rng);
        } else {
            before.len = sizeof(before.storage.inet6);
            before.storage.inet6.sin6_family = AF_INET6;
            for (int byte = 0; byte < 16; byte++) {
                /* Runs of zeros, so that "::" can be anywhere. */
                bool zero = unit_random_below(&rng, 3) > 0;
                before.storage.inet6.sin6_addr.s6_addr[byte] =
                    zero ? 0 : (uint8_t)unit_random_next(&rng);
            }
        }
        wr_address_set_port(&before, (uint16_t)unit_random_next(&rng));
        weir_address_format(&before, text, sizeof(text));
        expect_eq(weir_address_parse_with_port(text, &addr), 0, "%s", text);
        expect_eq(addr.len, before.len);
        expect_eq(memcmp(&addr.storage, &before.storage, addr.len), 0, "%s",
                  text);
    }
}

UNIT(address, random_texts_never_break_the_parser)
{
    static const char alphabet[] = "0123456789abcdef:.[]%lo";
    struct unit_random rng = unit_random_new();
    for (int i = 0; i < 100000; i++) {
        char host[24];
        size_t len = unit_random_below(&rng, sizeof(host));
        for (size_t at = 0; at < len; at++) {
            host[at] = alphabet[unit_random_below(&rng, sizeof(alphabet) - 1)];
        }
        host[len] = '\0';
        int err = weir_address_parse(host, 1, &addr);
        cr_assert(err == 0 || err == WEIR_ENOTLITERAL || err == -ENODEV, "%s",
                  host);
        err = weir_address_parse_with_port(host, &addr);
        cr_assert(err == 0 || err == WEIR_ENOTLITERAL || err == -ENODEV ||
                      err == -EINVAL,
                  "%s", host);
    }
}

UNIT(address, an_ipv4_address_inside_ipv6_can_be_taken_out)
{
    struct weir_address other;
    expect_eq(weir_address_parse("::ffff:192.0.2.1", 9, &addr), 0);
    expect_eq(weir_address_parse("192.0.2.1", 9, &other), 0);
    cr_assert(weir_address_unmap(&addr));
    cr_assert(weir_address_is_equal(&addr, &other));
    expect_eq(addr.len, other.len);
    expect_eq(memcmp(&addr.storage, &other.storage, addr.len), 0);
    cr_assert(!weir_address_unmap(&addr));
    cr_assert(weir_address_is_equal(&addr, &other));
    expect_eq(weir_address_parse("::192.0.2.1", 9, &addr), 0);
    cr_assert(!weir_address_unmap(&addr));
    expect_eq(addr.storage.any.sa_family, AF_INET6);
    expect_eq(weir_address_parse_unix("", &addr), 0);
    cr_assert(!weir_address_unmap(&addr));
    addr = (struct weir_address){.len = 0};
    cr_assert(!weir_address_unmap(&addr));
    cr_assert(!weir_address_unmap(NULL));
}

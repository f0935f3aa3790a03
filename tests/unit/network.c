/*
 * Networks: which texts are valid, which addresses a network contains, and text
 * that reads back.
 *
 * A random test compares prefixes bit by bit, and prints its seed.
 */
#include "tests/unit/random.h"

#include <arpa/inet.h>
#include <errno.h>
#include <weir/error.h>
#include <weir/network.h>

static struct weir_network network;
static struct weir_address addr;

/* Returns the network of a text, as text. */
static const char *network_parsed(const char *text)
{
    static char buf[WEIR_NETWORK_TEXT_SIZE];
    memset(&network, 0xff, sizeof(network));
    expect_eq(weir_network_parse(text, &network), 0, "%s", text);
    return weir_network_format(&network, buf, sizeof(buf));
}

static int network_refused(const char *text)
{
    struct weir_network before;
    memset(&network, 0x5a, sizeof(network));
    before = network;
    int err = weir_network_parse(text, &network);
    expect_eq(memcmp(&before, &network, sizeof(network)), 0, "%s", text);
    return err;
}

static bool network_has(const char *text, const char *host)
{
    expect_eq(weir_network_parse(text, &network), 0, "%s", text);
    if (host[0] == '/' || host[0] == '@' || host[0] == '\0') {
        expect_eq(weir_address_parse_unix(host, &addr), 0);
    } else {
        expect_eq(weir_address_parse(host, 80, &addr), 0, "%s", host);
    }
    return weir_network_contains(&network, &addr);
}

UNIT(network, a_text_is_an_address_with_or_without_bits_or_unix)
{
    expect_str_eq(network_parsed("10.0.0.0/8"), "10.0.0.0/8");
    expect_str_eq(network_parsed("192.0.2.1"), "192.0.2.1/32");
    expect_str_eq(network_parsed("0.0.0.0/0"), "0.0.0.0/0");
    expect_str_eq(network_parsed("192.0.2.128/25"), "192.0.2.128/25");
    expect_str_eq(network_parsed("2001:DB8::/32"), "2001:db8::/32");
    expect_str_eq(network_parsed("::1"), "::1/128");
    expect_str_eq(network_parsed("::/0"), "::/0");
    expect_str_eq(network_parsed("unix"), "unix");
    expect_eq(network.family, AF_UNIX);
    expect_str_eq(
        network_parsed("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.254/127"),
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127");
}

UNIT(network, a_network_inside_ipv6_is_an_ipv4_network)
{
    expect_str_eq(network_parsed("::ffff:10.0.0.0/104"), "10.0.0.0/8");
    expect_str_eq(network_parsed("::ffff:0:0/96"), "0.0.0.0/0");
    expect_str_eq(network_parsed("::ffff:192.0.2.1"), "192.0.2.1/32");
    expect_eq(network.family, AF_INET);
    expect_eq(network.bytes[4], 0);
    expect_str_eq(network_parsed("::/95"), "::/95");
    expect_str_eq(network_parsed("::fffe:0:0/96"), "::fffe:0:0/96");
}

UNIT(network, other_texts_are_refused)
{
    const char *const bits[] = {
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/ 8",
        "10.0.0.0/8 ",
        "10.0.0.0/8/8",
        "10.0.0.0/0x8",
        "::/129",
        "::/1280",
        "10.0.0.1/8",
        "192.0.2.1/31",
        "::1/127",
        "128.0.0.0/0",
        "10.0.0.0/00",
        "2001:db9::/31",
        "10.0.0.0/256",
        "10.0.0.0/4294967304",
    };
    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        expect_eq(network_refused(bits[i]), -EINVAL, "%s", bits[i]);
    }
    const char *const hosts[] = {
        "",
        "/8",
        "10/8",
        "10.0.0/8",
        "010.0.0.0/8",
        " 10.0.0.0",
        "localhost",
        "[::1]/128",
        "fe80::1%lo",
        "unix/0",
        "UNIX",
        "::1 /128",
        "unix:/run/a",
        "10.0.0.0\\8",
        "1.2.3.4.5",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255:ffff:ffff:ffff",
    };
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        expect_eq(network_refused(hosts[i]), WEIR_ENOTLITERAL, "%s", hosts[i]);
    }
}

UNIT(network, addresses_are_compared_up_to_the_prefix)
{
    cr_assert(network_has("10.0.0.0/8", "10.255.255.255"));
    cr_assert(!network_has("10.0.0.0/8", "11.0.0.0"));
    cr_assert(network_has("192.0.2.128/25", "192.0.2.128"));
    cr_assert(!network_has("192.0.2.128/25", "192.0.2.127"));
    cr_assert(network_has("0.0.0.0/0", "203.0.113.9"));
    cr_assert(network_has("2001:db8::/33", "2001:db8:7fff::"));
    cr_assert(!network_has("2001:db8::/33", "2001:db8:8000::"));
    cr_assert(network_has("fe80::/10", "fe80::1%lo"));
    cr_assert(network_has("::1", "::1"));
    cr_assert(!network_has("::1", "::2"));
}

UNIT(network, an_ipv4_address_inside_ipv6_is_an_ipv4_address)
{
    cr_assert(network_has("10.0.0.0/8", "::ffff:10.1.2.3"));
    cr_assert(!network_has("10.0.0.0/8", "::ffff:11.1.2.3"));
    cr_assert(!network_has("::/0", "::ffff:10.1.2.3"));
    cr_assert(network_has("::ffff:10.0.0.0/104", "10.1.2.3"));
    cr_assert(network_has("::/0", "::10.1.2.3"));
}

UNIT(network, families_are_told_apart)
{
    cr_assert(network_has("unix", "/run/a"));
    cr_assert(network_has("unix", "@a"));
    cr_assert(network_has("unix", ""));
    cr_assert(!network_has("unix", "10.0.0.1"));
    cr_assert(!network_has("0.0.0.0/0", "/run/a"));
    cr_assert(!network_has("0.0.0.0/0", "::1"));
    cr_assert(!network_has("::/0", "10.0.0.1"));
    addr.len = 0;
    expect_eq(weir_network_parse("unix", &network), 0);
    cr_assert(!weir_network_contains(&network, &addr));
    network = (struct weir_network){.family = AF_UNSPEC};
    cr_assert(!weir_network_contains(&network, &addr));
    cr_assert(!weir_network_contains(NULL, &addr));
    cr_assert(!weir_network_contains(&network, NULL));
}

UNIT(network, one_network_of_several_is_enough)
{
    struct weir_network list[3];
    expect_eq(weir_network_parse("10.0.0.0/8", &list[0]), 0);
    expect_eq(weir_network_parse("::1", &list[1]), 0);
    expect_eq(weir_network_parse("unix", &list[2]), 0);
    expect_eq(weir_address_parse("::1", 9, &addr), 0);
    cr_assert(weir_network_list_contains(list, 3, &addr));
    cr_assert(!weir_network_list_contains(list, 1, &addr));
    cr_assert(!weir_network_list_contains(NULL, 0, &addr));
}

UNIT(network, an_empty_or_impossible_network_contains_nothing)
{
    char text[WEIR_NETWORK_TEXT_SIZE];
    network = (struct weir_network){.family = AF_INET, .prefix_bits = 33};
    expect_eq(weir_address_parse("0.0.0.0", 9, &addr), 0);
    cr_assert(!weir_network_contains(&network, &addr));
    network = (struct weir_network){.family = 0};
    expect_str_eq(weir_network_format(&network, text, sizeof(text)), "-");
    expect_eq(weir_network_parse(NULL, &network), -EINVAL);
    expect_eq(weir_network_parse("::1", NULL), -EINVAL);
}

static bool network_bit(const uint8_t *bytes, size_t bit)
{
    return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

UNIT(network, every_prefix_is_compared_bit_by_bit)
{
    struct unit_random random = unit_random_new();
    for (unsigned i = 0; i < 100000; i++) {
        network = (struct weir_network){.family = AF_INET6};
        network.prefix_bits = (uint8_t)unit_random_below(&random, 129);
        addr = (struct weir_address){.len = sizeof(struct sockaddr_in6)};
        addr.storage.inet6.sin6_family = AF_INET6;
        uint8_t *bytes = addr.storage.inet6.sin6_addr.s6_addr;
        for (size_t at = 0; at < 16; at++) {
            bytes[at] = (uint8_t)unit_random_next(&random);
        }
        bytes[0] |= 1; /* not an IPv4 address */
        memcpy(network.bytes, bytes, 16);
        const size_t other = unit_random_below(&random, 128);
        network.bytes[other / 8] ^= (uint8_t)(0x80u >> other % 8);
        bool is_in = true;
        for (size_t bit = 0; bit < network.prefix_bits; bit++) {
            is_in &= network_bit(bytes, bit) == network_bit(network.bytes, bit);
        }
        cr_assert_eq(weir_network_contains(&network, &addr), is_in);
    }
}

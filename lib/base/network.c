/*
 * Networks: text to prefix and back, and the test whether an address is inside.
 *
 * An IPv4 address mapped to IPv6 (RFC 4291, 2.5.5.2) is compared as IPv4, and a
 * network of mapped addresses is stored as an IPv4 network, so that an address
 * matches whether its socket is IPv4 or IPv6.
 */
#include "address.h"

#include "uring/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <weir/error.h>
#include <weir/network.h>

#define NETWORK_MAPPED_BITS 96u /* prefix length of ::ffff:0:0/96 */

static const char network_unix[] = "unix";

_Static_assert(WEIR_NETWORK_TEXT_SIZE >= INET6_ADDRSTRLEN + sizeof("/128"),
               "every network has room");

static uint8_t network_get_width(sa_family_t family)
{
    return family == AF_INET ? 32 : family == AF_INET6 ? 128 : 0;
}

/* Leading zeros are an error. */
static int network_parse_bits(const char *text, uint8_t max, uint8_t *ret)
{
    const size_t len = strlen(text);
    unsigned value = 0;

    wr_assert(max == 32 || max == 128);
    if (len == 0 || len > 3 || (text[0] == '0' && len > 1)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -EINVAL;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > max) {
        return -EINVAL;
    }
    wr_assert(value <= UINT8_MAX);
    *ret = (uint8_t)value;
    return 0;
}

static int network_parse_host(const char *host, struct weir_network *ret)
{
    wr_assert(ret->family == 0);
    if (inet_pton(AF_INET, host, ret->bytes) == 1) {
        ret->family = AF_INET;
    } else if (inet_pton(AF_INET6, host, ret->bytes) == 1) {
        ret->family = AF_INET6;
    } else {
        return WEIR_ENOTLITERAL;
    }
    ret->prefix_bits = network_get_width(ret->family);
    return 0;
}

static bool network_is_mapped(const uint8_t *bytes)
{
    static const uint8_t prefix[NETWORK_MAPPED_BITS / 8] = {
        [10] = UINT8_MAX,
        [11] = UINT8_MAX,
    };
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

static void network_unmap(struct weir_network *network)
{
    if (network->family != AF_INET6 ||
        network->prefix_bits < NETWORK_MAPPED_BITS ||
        !network_is_mapped(network->bytes)) {
        return;
    }
    struct weir_network inner = {
        .family = AF_INET,
        .prefix_bits = (uint8_t)(network->prefix_bits - NETWORK_MAPPED_BITS),
    };
    memcpy(inner.bytes, network->bytes + NETWORK_MAPPED_BITS / 8, 4);
    wr_assert(inner.prefix_bits <= 32);
    *network = inner;
}

static bool network_has_prefix(const uint8_t *bytes, const uint8_t *prefix,
                               uint8_t bits)
{
    const size_t whole = bits / 8u;
    const uint8_t mask = (uint8_t)(UINT8_MAX << (8u - bits % 8u));

    wr_assert(bits <= 128);
    return memcmp(bytes, prefix, whole) == 0 &&
           (mask == 0 || ((bytes[whole] ^ prefix[whole]) & mask) == 0);
}

static bool network_is_first(const struct weir_network *network)
{
    const uint8_t width = network_get_width(network->family);

    wr_assert(network->prefix_bits <= width);
    for (unsigned bit = network->prefix_bits; bit < width; bit++) {
        if (network->bytes[bit / 8] & 0x80u >> bit % 8) {
            return false;
        }
    }
    return true;
}

int weir_network_parse(const char *text, struct weir_network *ret)
{
    struct weir_network network = {.family = 0};
    char host[WEIR_NETWORK_TEXT_SIZE];

    wr_require(text && ret, -EINVAL);
    if (strcmp(text, network_unix) == 0) {
        *ret = (struct weir_network){.family = AF_UNIX};
        return 0;
    }
    const char *slash = strchr(text, '/');
    const size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof(host)) {
        return WEIR_ENOTLITERAL;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    int err = network_parse_host(host, &network);
    if (err == 0 && slash) {
        err = network_parse_bits(slash + 1, network.prefix_bits,
                                 &network.prefix_bits);
    }
    if (err) {
        return err;
    }
    if (!network_is_first(&network)) {
        return -EINVAL;
    }
    network_unmap(&network);
    wr_assert(network.family != 0);
    *ret = network;
    return 0;
}

/* Returns the bytes of an IP address, or NULL for a Unix or invalid address.
 * Sets *ret_family to 0 if the address is invalid. */
static const uint8_t *network_read_address(const struct weir_address *addr,
                                           sa_family_t *ret_family)
{
    const uint8_t *bytes = NULL;

    *ret_family = 0;
    if (!wr_address_is_valid(addr)) {
        return NULL;
    }
    *ret_family = addr->storage.any.sa_family;
    if (*ret_family == AF_INET) {
        bytes = (const uint8_t *)&addr->storage.inet.sin_addr;
    } else if (*ret_family == AF_INET6) {
        bytes = (const uint8_t *)&addr->storage.inet6.sin6_addr;
        if (network_is_mapped(bytes)) {
            *ret_family = AF_INET;
            bytes += NETWORK_MAPPED_BITS / 8;
        }
    }
    wr_assert(bytes || *ret_family == AF_UNIX);
    return bytes;
}

bool weir_network_contains(const struct weir_network *network,
                           const struct weir_address *addr)
{
    return network && weir_network_list_contains(network, 1, addr);
}

bool weir_network_list_contains(const struct weir_network *networks,
                                size_t count, const struct weir_address *addr)
{
    sa_family_t family;

    wr_require(addr && (networks || count == 0), false);
    const uint8_t *bytes = network_read_address(addr, &family);
    wr_assert(!bytes || family != AF_UNIX);
    for (size_t i = 0; family != 0 && i < count; i++) {
        if (networks[i].family == family &&
            networks[i].prefix_bits <= network_get_width(family) &&
            (!bytes || network_has_prefix(bytes, networks[i].bytes,
                                          networks[i].prefix_bits))) {
            return true;
        }
    }
    return false;
}

const char *weir_network_format(const struct weir_network *network, char *buf,
                                size_t size)
{
    char text[INET6_ADDRSTRLEN];

    if (network && network->family == AF_UNIX) {
        snprintf(buf, size, "%s", network_unix);
    } else if (network && network_get_width(network->family) > 0) {
        inet_ntop(network->family, network->bytes, text, sizeof(text));
        snprintf(buf, size, "%s/%u", text, network->prefix_bits);
    } else {
        snprintf(buf, size, "-");
    }
    return buf;
}

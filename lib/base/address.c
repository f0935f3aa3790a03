/*
 * Addresses: text to sockaddr and back.
 *
 * The C library reads and writes the numbers, strictly: inet_pton() takes no
 * "127.1" and no octal. This file reads and writes the rest: brackets, zones
 * and ports. A zone is an interface's name or its number, and either must
 * exist: an address that can never be reached is better refused where it is
 * written down.
 */
#include "address.h"

#include "uring/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <weir/error.h>

#define PORT_DIGITS_MAX 5u

_Static_assert(WEIR_ADDRESS_TEXT_SIZE >=
                   INET6_ADDRSTRLEN + IF_NAMESIZE + sizeof("[%]:65535"),
               "every address has room");

/* A decimal number up to @max in @len digits and nothing else; or -EINVAL. */
static int64_t address_parse_number(const char *text, size_t len, uint32_t max)
{
    uint64_t value = 0;
    if (len == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return -EINVAL;
        }
        wr_assert(value <= max);
        value = value * 10 + (uint64_t)(text[i] - '0');
        if (value > max) {
            return -EINVAL;
        }
    }
    return (int64_t)value;
}

/* The index of a zone, which is the name or the number of an interface. */
static int address_parse_zone(const char *zone, uint32_t *ret_index)
{
    char name[IF_NAMESIZE];
    uint32_t index = if_nametoindex(zone);
    if (index == 0) {
        int64_t number = address_parse_number(zone, strlen(zone), UINT32_MAX);
        if (number <= 0 || !if_indextoname((uint32_t)number, name)) {
            return -ENODEV;
        }
        index = (uint32_t)number;
    }
    wr_assert(index > 0);
    *ret_index = index;
    return 0;
}

static bool address_parse_inet(const char *host, uint16_t port,
                               struct weir_address *ret)
{
    struct sockaddr_in inet = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
    };
    if (inet_pton(AF_INET, host, &inet.sin_addr) != 1) {
        return false;
    }
    *ret = (struct weir_address){.len = sizeof(inet), .storage.inet = inet};
    return true;
}

/* Reads IPv6 without brackets, in text that may be written to. */
static int address_parse_inet6(char *host, uint16_t port,
                               struct weir_address *ret)
{
    struct sockaddr_in6 inet6 = {
        .sin6_family = AF_INET6,
        .sin6_port = htons(port),
    };
    char *percent = strchr(host, '%');
    if (percent) {
        *percent = '\0';
    }
    if (inet_pton(AF_INET6, host, &inet6.sin6_addr) != 1) {
        return WEIR_ENOTLITERAL;
    }
    if (percent) {
        if (percent[1] == '\0') {
            return WEIR_ENOTLITERAL;
        }
        int err = address_parse_zone(percent + 1, &inet6.sin6_scope_id);
        if (err) {
            return err;
        }
    }
    *ret = (struct weir_address){.len = sizeof(inet6), .storage.inet6 = inet6};
    return 0;
}

/* weir_address_parse() of text that is not terminated. */
static int address_parse_host(const char *host, size_t len, uint16_t port,
                              struct weir_address *ret)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];
    bool in_brackets = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (in_brackets) {
        host++;
        len -= 2;
    }
    if (len >= sizeof(text)) {
        return WEIR_ENOTLITERAL;
    }
    memcpy(text, host, len);
    text[len] = '\0';
    if (!in_brackets && address_parse_inet(text, port, ret)) {
        return 0;
    }
    return address_parse_inet6(text, port, ret);
}

int wr_address_passive(int family, const char *host, uint16_t port,
                       struct weir_address *ret)
{
    struct weir_address addr = {.len = 0};
    if (!host || host[0] == '\0') {
        host = family == AF_INET ? "0.0.0.0" : "::";
    }
    int err = weir_address_parse(host, port, &addr);
    if (err) {
        return err;
    }
    wr_assert(addr.len > 0);
    if (family != AF_UNSPEC && addr.storage.any.sa_family != family) {
        return -EAFNOSUPPORT;
    }
    *ret = addr;
    return 0;
}

uint16_t wr_address_port(const struct weir_address *addr)
{
    wr_assert(addr->len > 0);
    return addr->storage.any.sa_family == AF_INET
               ? ntohs(addr->storage.inet.sin_port)
               : ntohs(addr->storage.inet6.sin6_port);
}

void wr_address_set_port(struct weir_address *addr, uint16_t port)
{
    wr_assert(addr->len > 0);
    if (addr->storage.any.sa_family == AF_INET) {
        addr->storage.inet.sin_port = htons(port);
    } else {
        addr->storage.inet6.sin6_port = htons(port);
    }
}

int weir_address_parse(const char *host, uint16_t port,
                       struct weir_address *ret)
{
    wr_require(host && ret, -EINVAL);
    return address_parse_host(host, strlen(host), port, ret);
}

int weir_address_parse_with_port(const char *text, struct weir_address *ret)
{
    wr_require(text && ret, -EINVAL);
    const char *colon = strrchr(text, ':');
    if (!colon) {
        return -EINVAL;
    }
    size_t host_len = (size_t)(colon - text);
    size_t port_len = strlen(colon + 1);
    int64_t port = address_parse_number(colon + 1, port_len, UINT16_MAX);
    if (port < 0 || port_len > PORT_DIGITS_MAX) {
        return -EINVAL;
    }
    /* Without brackets an IPv6 address does not end where its port begins. */
    if (text[0] != '[' && memchr(text, ':', host_len)) {
        return -EINVAL;
    }
    return address_parse_host(text, host_len, (uint16_t)port, ret);
}

const char *weir_address_format(const struct weir_address *addr, char *buf,
                                size_t size)
{
    char text[INET6_ADDRSTRLEN];
    char name[IF_NAMESIZE];
    sa_family_t family =
        addr && addr->len > 0 ? addr->storage.any.sa_family : AF_UNSPEC;
    if (family == AF_INET) {
        const struct sockaddr_in *inet = &addr->storage.inet;
        inet_ntop(AF_INET, &inet->sin_addr, text, sizeof(text));
        snprintf(buf, size, "%s:%u", text, ntohs(inet->sin_port));
    } else if (family == AF_INET6) {
        const struct sockaddr_in6 *inet6 = &addr->storage.inet6;
        uint32_t zone = inet6->sin6_scope_id;
        inet_ntop(AF_INET6, &inet6->sin6_addr, text, sizeof(text));
        if (zone == 0) {
            name[0] = '\0';
        } else if (!if_indextoname(zone, name)) {
            /* The interface is gone, and its name with it. */
            snprintf(name, sizeof(name), "%u", zone);
        }
        snprintf(buf, size, "[%s%s%s]:%u", text, zone ? "%" : "", name,
                 ntohs(inet6->sin6_port));
    } else {
        snprintf(buf, size, "-");
    }
    return buf;
}

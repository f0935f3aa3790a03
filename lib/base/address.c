/*
 * Addresses; see address.h.
 *
 * The C library parses them, strictly: inet_pton() accepts neither "127.1" nor
 * octal. A zone's interface must exist, so that a mistyped zone is an error
 * here and not at connect(). The name of a Unix address is the bytes of
 * sun_path that the length counts. Only this file terminates paths with NUL, so
 * all readers call address_get_name().
 */
#include "address.h"

#include "uring/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <weir/error.h>

#define PORT_DIGITS_MAX 5u
#define UNIX_PREFIX     "unix:"
#define UNIX_NAME_MAX   sizeof(((struct sockaddr_un *)NULL)->sun_path)
#define UNIX_HEAD_LEN   offsetof(struct sockaddr_un, sun_path)
#define ESCAPE_SIZE     sizeof("\\x00")

_Static_assert(WEIR_ADDRESS_TEXT_SIZE >=
                   INET6_ADDRSTRLEN + IF_NAMESIZE + sizeof("[%]:65535"),
               "every address has room");
_Static_assert(WEIR_ADDRESS_TEXT_SIZE >=
                   sizeof(UNIX_PREFIX) + UNIX_NAME_MAX * (ESCAPE_SIZE - 1),
               "every Unix address has room");

/* Parses a number up to @max that fills all @len bytes, or returns -EINVAL. */
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

/* Parses IPv6 without brackets. Modifies the text. */
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

/* Like weir_address_parse(), for text that is not terminated. */
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

static sa_family_t address_get_family(const struct weir_address *addr)
{
    return addr->len > 0 ? addr->storage.any.sa_family : AF_UNSPEC;
}

/* Returns the length of a Unix address's name, with the leading NUL of an
 * abstract name, or 0 if there is no name. */
static size_t address_get_name(const struct weir_address *addr,
                               const char **ret)
{
    const char *name = addr->storage.local.sun_path;
    const size_t room =
        addr->len > UNIX_HEAD_LEN ? addr->len - UNIX_HEAD_LEN : 0;

    wr_assert(addr->storage.any.sa_family == AF_UNIX);
    wr_assert(room <= UNIX_NAME_MAX);
    *ret = name;
    return room > 0 && name[0] != '\0' ? strnlen(name, room) : room;
}

bool wr_address_is_valid(const struct weir_address *addr)
{
    switch (address_get_family(addr)) {
    case AF_INET:
        return addr->len == sizeof(addr->storage.inet);
    case AF_INET6:
        return addr->len == sizeof(addr->storage.inet6);
    case AF_UNIX:
        return addr->len >= UNIX_HEAD_LEN &&
               addr->len <= sizeof(addr->storage.local);
    default:
        return false;
    }
}

bool wr_address_is_unnamed(const struct weir_address *addr)
{
    const char *name;
    return address_get_family(addr) == AF_UNIX &&
           address_get_name(addr, &name) == 0;
}

size_t wr_address_get_path_len(const struct weir_address *addr)
{
    const char *name;
    const size_t len =
        address_get_family(addr) == AF_UNIX ? address_get_name(addr, &name) : 0;
    wr_assert(len <= UNIX_NAME_MAX);
    return len > 0 && name[0] != '\0' ? len : 0;
}

uint16_t wr_address_port(const struct weir_address *addr)
{
    wr_assert(addr->len > 0);
    switch (addr->storage.any.sa_family) {
    case AF_INET:
        return ntohs(addr->storage.inet.sin_port);
    case AF_INET6:
        return ntohs(addr->storage.inet6.sin6_port);
    default:
        wr_assert(addr->storage.any.sa_family == AF_UNIX);
        return 0;
    }
}

void wr_address_set_port(struct weir_address *addr, uint16_t port)
{
    wr_assert(addr->len > 0);
    wr_assert(addr->storage.any.sa_family != AF_UNIX);
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
    /* An IPv6 address with a port needs brackets. */
    if (text[0] != '[' && memchr(text, ':', host_len)) {
        return -EINVAL;
    }
    return address_parse_host(text, host_len, (uint16_t)port, ret);
}

int weir_address_from_unix(const char *path, size_t len,
                           struct weir_address *ret)
{
    struct weir_address addr = {.storage.local = {.sun_family = AF_UNIX}};

    wr_require((path || len == 0) && ret, -EINVAL);
    const bool is_path = len > 0 && path[0] != '\0';
    wr_require(!is_path || !memchr(path, '\0', len), -EINVAL);
    /* The kernel accepts a path without NUL, but not every program does. */
    wr_require(len + is_path <= UNIX_NAME_MAX, -ENAMETOOLONG);
    if (len > 0) {
        memcpy(addr.storage.local.sun_path, path, len);
    }
    addr.len = (socklen_t)(UNIX_HEAD_LEN + len + is_path);
    wr_assert(wr_address_is_valid(&addr));
    *ret = addr;
    return 0;
}

int weir_address_parse_unix(const char *text, struct weir_address *ret)
{
    char name[UNIX_NAME_MAX];

    wr_require(text && ret, -EINVAL);
    const size_t len = strlen(text);
    wr_require(len <= sizeof(name), -ENAMETOOLONG);
    memcpy(name, text, len);
    if (text[0] == '@') {
        name[0] = '\0';
    }
    return weir_address_from_unix(name, len, ret);
}

bool weir_address_is_same_host(const struct weir_address *a,
                               const struct weir_address *b)
{
    const sa_family_t family = address_get_family(a);
    if (family != address_get_family(b)) {
        return false;
    }
    if (family == AF_INET) {
        return a->storage.inet.sin_addr.s_addr ==
               b->storage.inet.sin_addr.s_addr;
    }
    if (family == AF_INET6) {
        const struct sockaddr_in6 *one = &a->storage.inet6;
        const struct sockaddr_in6 *other = &b->storage.inet6;
        return one->sin6_scope_id == other->sin6_scope_id &&
               IN6_ARE_ADDR_EQUAL(&one->sin6_addr, &other->sin6_addr);
    }
    if (family == AF_UNIX) {
        const char *one;
        const char *other;
        const size_t len = address_get_name(a, &one);
        return len == address_get_name(b, &other) &&
               memcmp(one, other, len) == 0;
    }
    return family == AF_UNSPEC;
}

bool weir_address_is_equal(const struct weir_address *a,
                           const struct weir_address *b)
{
    const sa_family_t family = address_get_family(a);
    const bool has_port = family == AF_INET || family == AF_INET6;

    return weir_address_is_same_host(a, b) &&
           (!has_port || wr_address_port(a) == wr_address_port(b));
}

bool weir_address_unmap(struct weir_address *addr)
{
    wr_require(addr, false);
    const struct sockaddr_in6 inet6 = addr->storage.inet6;
    if (address_get_family(addr) != AF_INET6 ||
        !IN6_IS_ADDR_V4MAPPED(&inet6.sin6_addr)) {
        return false;
    }
    *addr = (struct weir_address){.storage.inet.sin_family = AF_INET,
                                  .storage.inet.sin_port = inet6.sin6_port,
                                  .len = sizeof(struct sockaddr_in)};
    memcpy(&addr->storage.inet.sin_addr, inet6.sin6_addr.s6_addr + 12,
           sizeof(addr->storage.inet.sin_addr));
    wr_assert(wr_address_is_valid(addr));
    return true;
}

static void address_format_inet6(const struct sockaddr_in6 *inet6, char *buf,
                                 size_t size)
{
    char text[INET6_ADDRSTRLEN];
    char name[IF_NAMESIZE];
    const uint32_t zone = inet6->sin6_scope_id;

    wr_assert(inet6->sin6_family == AF_INET6);
    inet_ntop(AF_INET6, &inet6->sin6_addr, text, sizeof(text));
    if (zone == 0) {
        name[0] = '\0';
    } else if (!if_indextoname(zone, name)) {
        snprintf(name, sizeof(name), "%u", zone);
    }
    snprintf(buf, size, "[%s%s%s]:%u", text, zone ? "%" : "", name,
             ntohs(inet6->sin6_port));
}

static void address_format_unix(const struct weir_address *addr, char *buf,
                                size_t size)
{
    char text[WEIR_ADDRESS_TEXT_SIZE] = UNIX_PREFIX;
    size_t text_len = sizeof(UNIX_PREFIX) - 1;
    const char *name;
    const size_t len = address_get_name(addr, &name);

    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = (unsigned char)name[i];
        wr_assert(text_len + ESCAPE_SIZE <= sizeof(text));
        if (i == 0 && byte == '\0') {
            text[text_len++] = '@';
        } else if (byte >= ' ' && byte <= '~' && byte != '\\') {
            text[text_len++] = (char)byte;
        } else {
            snprintf(text + text_len, ESCAPE_SIZE, "\\x%02x", byte);
            text_len += ESCAPE_SIZE - 1;
        }
    }
    wr_assert(text_len < sizeof(text));
    text[text_len] = '\0';
    snprintf(buf, size, "%s", text);
}

const char *weir_address_format(const struct weir_address *addr, char *buf,
                                size_t size)
{
    char text[INET_ADDRSTRLEN];
    const sa_family_t family = addr ? address_get_family(addr) : AF_UNSPEC;
    if (family == AF_INET) {
        const struct sockaddr_in *inet = &addr->storage.inet;
        inet_ntop(AF_INET, &inet->sin_addr, text, sizeof(text));
        snprintf(buf, size, "%s:%u", text, ntohs(inet->sin_port));
    } else if (family == AF_INET6) {
        address_format_inet6(&addr->storage.inet6, buf, size);
    } else if (family == AF_UNIX) {
        address_format_unix(addr, buf, size);
    } else {
        snprintf(buf, size, "-");
    }
    return buf;
}

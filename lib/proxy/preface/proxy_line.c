/*
 * Version 1 of the PROXY protocol: a line of text.
 *
 *     PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r
 *
 * An incomplete line is refused at the first byte that is not allowed;
 * addresses and ports are read when the line is complete. There is one space
 * between fields, and numbers have no leading zeros. After UNKNOWN the line may
 * have any bytes except CR and LF.
 */
#include "proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    PROXY_LINE_PORT = 6,                      /* a port as text, with NUL */
    PROXY_LINE_FIELD = INET6_ADDRSTRLEN,      /* a field as text, with NUL */
    PROXY_LINE_ROOM = WEIR_PROXY_V1_SIZE_MAX, /* a line, with CRLF */
};

struct proxy_line_text {
    const char *data;
    size_t len;
};

struct proxy_line_kind {
    const char *name;
    int family;
    const char *bytes; /* NULL means any bytes */
};

static const char proxy_line_begin[] = "PROXY ";
static const struct proxy_line_kind proxy_line_kinds[] = {
    {.name = "TCP4", .family = AF_INET, .bytes = " .0123456789"},
    {.name = "TCP6", .family = AF_INET6, .bytes = " .:0123456789abcdefABCDEF"},
    {.name = "UNKNOWN", .family = AF_UNSPEC},
};
#define PROXY_LINE_KINDS (sizeof(proxy_line_kinds) / sizeof(*proxy_line_kinds))

/* Returns the length of the whole line, or -EAGAIN, -EMSGSIZE or -EPROTO. */
static int proxy_line_find_end(const uint8_t *data, size_t len,
                               struct proxy_line_text *ret)
{
    const size_t room = len < PROXY_LINE_ROOM ? len : PROXY_LINE_ROOM;
    size_t at = 0;

    while (at < room && data[at] != '\r' && data[at] != '\n') {
        at++;
    }
    wr_assert(at <= PROXY_LINE_ROOM);
    *ret = (struct proxy_line_text){.data = (const char *)data, .len = at};
    if (at < room && data[at] == '\n') {
        return -EPROTO;
    }
    if (at + 1 >= room) {
        return room < PROXY_LINE_ROOM ? -EAGAIN : -EMSGSIZE;
    }
    wr_assert(data[at] == '\r');
    return data[at + 1] == '\n' ? (int)at + 2 : -EPROTO;
}

/* Removes @name from the start. If the text ends inside @name, it becomes
 * empty. Returns false if the text starts differently. */
static bool proxy_line_take(struct proxy_line_text *text, const char *name)
{
    const size_t name_len = strlen(name);
    const size_t len = text->len < name_len ? text->len : name_len;

    wr_assert(name_len > 0);
    if (memcmp(text->data, name, len) != 0) {
        return false;
    }
    text->data += len;
    text->len -= len;
    return true;
}

/* Returns false if no such text can follow the protocol's name. */
static bool proxy_line_may_follow(const struct proxy_line_kind *kind,
                                  struct proxy_line_text text)
{
    if (text.len > 0 && text.data[0] != ' ') {
        return false;
    }
    for (size_t i = 0; kind->bytes && i < text.len; i++) {
        if (text.data[i] == '\0' || !strchr(kind->bytes, text.data[i])) {
            return false;
        }
    }
    return true;
}

/* Advances @text past a complete name. Returns 0, -EAGAIN or -EPROTO. */
static int proxy_line_take_kind(struct proxy_line_text *text,
                                const struct proxy_line_kind **ret)
{
    if (!proxy_line_take(text, proxy_line_begin)) {
        return -EPROTO;
    }
    for (size_t i = 0; i < PROXY_LINE_KINDS; i++) {
        const struct proxy_line_kind *kind = &proxy_line_kinds[i];
        struct proxy_line_text rest = *text;
        if (proxy_line_take(&rest, kind->name)) {
            if (text->len < strlen(kind->name)) {
                return -EAGAIN;
            }
            *text = rest;
            *ret = kind;
            return proxy_line_may_follow(kind, rest) ? 0 : -EPROTO;
        }
    }
    return -EPROTO;
}

static bool proxy_line_take_field(struct proxy_line_text *text,
                                  char ret[PROXY_LINE_FIELD])
{
    size_t len = 1;

    while (len < text->len && text->data[len] != ' ') {
        len++;
    }
    if (text->len == 0 || text->data[0] != ' ' || len > PROXY_LINE_FIELD) {
        return false;
    }
    wr_assert(len <= text->len);
    memcpy(ret, text->data + 1, len - 1);
    ret[len - 1] = '\0';
    text->data += len;
    text->len -= len;
    return true;
}

static bool proxy_line_read_address(int family, const char *text,
                                    struct weir_address *ret)
{
    struct weir_address addr = {.storage.any.sa_family = (sa_family_t)family};
    void *host;

    wr_assert(family == AF_INET || family == AF_INET6);
    if (family == AF_INET) {
        addr.len = sizeof(addr.storage.inet);
        host = &addr.storage.inet.sin_addr;
    } else {
        addr.len = sizeof(addr.storage.inet6);
        host = &addr.storage.inet6.sin6_addr;
    }
    *ret = addr;
    if (inet_pton(family, text, host) != 1) {
        return false;
    }
    *ret = addr;
    return true;
}

static bool proxy_line_read_port(const char *text, struct weir_address *addr)
{
    const size_t len = strlen(text);
    uint32_t port = 0;

    wr_assert(addr->len > 0);
    if (len == 0 || len >= PROXY_LINE_PORT || (text[0] == '0' && len > 1)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    if (port > UINT16_MAX) {
        return false;
    }
    wr_address_set_port(addr, (uint16_t)port);
    return true;
}

static bool proxy_line_read_fields(struct proxy_line_text text, int family,
                                   struct weir_proxy_header *ret)
{
    char source[PROXY_LINE_FIELD];
    char destination[PROXY_LINE_FIELD];
    char source_port[PROXY_LINE_FIELD];
    char destination_port[PROXY_LINE_FIELD];

    wr_assert(ret->source.len == 0);
    wr_assert(ret->destination.len == 0);
    return proxy_line_take_field(&text, source) &&
           proxy_line_take_field(&text, destination) &&
           proxy_line_take_field(&text, source_port) &&
           proxy_line_take_field(&text, destination_port) && text.len == 0 &&
           proxy_line_read_address(family, source, &ret->source) &&
           proxy_line_read_address(family, destination, &ret->destination) &&
           proxy_line_read_port(source_port, &ret->source) &&
           proxy_line_read_port(destination_port, &ret->destination);
}

int wr_proxy_line_parse(const uint8_t *data, size_t len,
                        struct weir_proxy_header *ret)
{
    struct proxy_line_text text;
    const struct proxy_line_kind *kind = NULL;

    wr_assert(len > 0);
    ret->version = WEIR_PROXY_V1;
    const int end = proxy_line_find_end(data, len, &text);
    const bool has_end = text.len < len; /* CR LF, or CR as the last byte */
    const int err = proxy_line_take_kind(&text, &kind);
    if (err == -EPROTO || (err < 0 && has_end)) {
        return -EPROTO;
    }
    if (end < 0) {
        return end;
    }
    wr_assert(kind);
    if (kind->family == AF_UNSPEC) {
        return end;
    }
    ret->socket_type = SOCK_STREAM;
    return proxy_line_read_fields(text, kind->family, ret) ? end : -EPROTO;
}

/* Writes an address as the specification requires, without the IPv4 notation
 * inside IPv6 that inet_ntop() uses. */
static void proxy_line_format(const struct weir_address *addr,
                              char ret[INET6_ADDRSTRLEN])
{
    const struct in6_addr *inet6 = &addr->storage.inet6.sin6_addr;

    if (addr->storage.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &addr->storage.inet.sin_addr, ret, INET6_ADDRSTRLEN);
        return;
    }
    wr_assert(addr->storage.any.sa_family == AF_INET6);
    inet_ntop(AF_INET6, inet6, ret, INET6_ADDRSTRLEN);
    if (strchr(ret, '.')) {
        snprintf(ret, INET6_ADDRSTRLEN, "::%s%x:%x",
                 IN6_IS_ADDR_V4MAPPED(inet6) ? "ffff:" : "",
                 wr_proxy_read16(inet6->s6_addr + 12),
                 wr_proxy_read16(inet6->s6_addr + 14));
    }
}

int wr_proxy_line_write(const struct weir_proxy_header *header, char *buf,
                        size_t size)
{
    char line[PROXY_LINE_ROOM + 1];
    char source[INET6_ADDRSTRLEN];
    char destination[INET6_ADDRSTRLEN];
    const int family = header->source.storage.any.sa_family;
    int len;

    if (header->source.len == 0 || header->is_local || family == AF_UNIX ||
        header->socket_type == SOCK_DGRAM) {
        len = snprintf(line, sizeof(line), "%sUNKNOWN\r\n", proxy_line_begin);
    } else {
        proxy_line_format(&header->source, source);
        proxy_line_format(&header->destination, destination);
        len = snprintf(line, sizeof(line), "%sTCP%c %s %s %u %u\r\n",
                       proxy_line_begin, family == AF_INET ? '4' : '6', source,
                       destination, wr_address_port(&header->source),
                       wr_address_port(&header->destination));
    }
    wr_assert(len > 0);
    wr_assert((size_t)len < sizeof(line));
    if (!buf || (size_t)len > size) {
        return -ENOBUFS;
    }
    memcpy(buf, line, (size_t)len);
    return len;
}

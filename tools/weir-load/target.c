/*
 * The scheme decides the transport: tcp, udp and unix are those that exist yet;
 * the others that weir plans are told from plain mistakes.
 *
 * After tcp:// and udp:// paths, users and queries have no meaning and are
 * refused; after unix: all is the path, or the abstract name behind an '@'.
 */
#include "target.h"

#include "weir/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_CHARS                                                             \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

static const char *const planned_schemes[] = {
    "tls",
    "http",
    "https",
};

#define UNIX_PREFIX     "unix:"
#define UDP_PREFIX      "udp://"
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

__attribute__((format(printf, 2, 3))) static int refuse(char *why,
                                                        const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, TARGET_WHY_SIZE, format, args);
    va_end(args);
    return -EINVAL;
}

static int check_scheme(const char *text, char *why)
{
    const char *end = strstr(text, "://");
    size_t len = end ? (size_t)(end - text) : strcspn(text, ":");

    if (end && len == 3 &&
        (memcmp(text, "tcp", 3) == 0 || memcmp(text, "udp", 3) == 0)) {
        return 0;
    }
    for (size_t i = 0; i < COUNT_OF(planned_schemes); i++) {
        const char *name = planned_schemes[i];
        if (strlen(name) == len && memcmp(text, name, len) == 0) {
            return refuse(why,
                          "'%.100s': this version speaks tcp://, udp:// and "
                          "unix: only, not %s",
                          text, name);
        }
    }
    return refuse(why, "'%.100s' is not a target; write " TARGET_FORMS, text);
}

static int parse_port(const char *digits, bool listening, uint16_t *ret)
{
    uint32_t port = 0;
    size_t len = strlen(digits);

    if (len == 0 || len > 5 || strspn(digits, "0123456789") != len) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        port = port * 10 + (uint32_t)(digits[i] - '0');
    }
    if (port > UINT16_MAX || (port == 0 && !listening)) {
        return -EINVAL;
    }
    *ret = (uint16_t)port;
    return 0;
}

/* Splits "HOST:PORT"; the host loses its brackets. */
static int split(const char *text, const char *rest, struct target *target,
                 char *why, const char **ret_port)
{
    const char *colon = strrchr(rest, ':');
    const char *host = rest;

    if (!colon || strchr(colon, ']')) {
        return refuse(why, "'%.100s' has no port; write %.6sHOST:PORT", text,
                      text);
    }
    size_t len = (size_t)(colon - rest);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (memchr(host, ':', len)) {
        return refuse(why, "'%.100s': write an IPv6 address in brackets", text);
    }
    if (len >= sizeof(target->host)) {
        return refuse(why, "'%.100s': the host is too long", text);
    }
    memcpy(target->host, host, len);
    target->host[len] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int parse_host(struct target *target, bool listening, char *why)
{
    if (listening && strcmp(target->host, "*") == 0) {
        target->host[0] = '\0';
    }
    if (target->host[0] == '\0') {
        return listening ? 0
                         : refuse(why, "'%.100s' has no host", target->text);
    }
    int err = weir_address_parse(target->host, target->port, &target->address);
    if (err == WEIR_ENOTLITERAL) {
        const size_t len = strspn(target->host, NAME_CHARS);
        return target->host[len] == '\0'
                   ? 0 /* it is looked up later */
                   : refuse(why, "'%.100s' is not a host name", target->host);
    }
    if (err < 0) {
        return refuse(why, "'%s': %s", target->host, weir_strerror(err));
    }
    return 0;
}

static int parse_unix(const char *text, bool listening, struct target *ret,
                      char *why)
{
    struct target target = {.text = text};
    const char *path = text + strlen(UNIX_PREFIX);

    if (path[0] == '\0' && !listening) {
        return refuse(why, "'%.100s' has no path", text);
    }
    if (weir_address_parse_unix(path, &target.address) < 0) {
        return refuse(why, "'%.100s...': the path is too long", text);
    }
    *ret = target;
    return 0;
}

int target_parse(const char *text, bool listening, struct target *ret,
                 char *why)
{
    struct target target = {.text = text};
    const char *port = NULL;

    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        return parse_unix(text, listening, ret, why);
    }
    int err = check_scheme(text, why);
    if (err < 0) {
        return err;
    }
    target.is_datagram = strncmp(text, UDP_PREFIX, strlen(UDP_PREFIX)) == 0;
    err = split(text, text + strlen(UDP_PREFIX), &target, why, &port);
    if (err < 0) {
        return err;
    }
    if (parse_port(port, listening, &target.port) < 0) {
        return refuse(why, "'%.100s': the port must be a number from %d to %d",
                      text, listening ? 0 : 1, UINT16_MAX);
    }
    err = parse_host(&target, listening, why);
    if (err < 0) {
        return err;
    }
    *ret = target;
    return 0;
}

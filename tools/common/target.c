/*
 * The scheme selects the transport.
 *
 * After schemes with a host, paths, users and queries are refused. After unix:
 * and tls+unix: everything is the path, or an abstract name after '@'.
 */
#include "target.h"

#include "weir/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_CHARS                                                             \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

struct scheme {
    const char *prefix;
    bool is_unix;
    bool is_datagram;
    bool is_tls;
};

static const struct scheme schemes[] = {
    {.prefix = "tcp://"},
    {.prefix = "tls://", .is_tls = true},
    {.prefix = "udp://", .is_datagram = true},
    {.prefix = "unix:", .is_unix = true},
    {.prefix = "tls+unix:", .is_unix = true, .is_tls = true},
};

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

static const struct scheme *find_scheme(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        if (strncmp(text, schemes[i].prefix, strlen(schemes[i].prefix)) == 0) {
            return &schemes[i];
        }
    }
    return NULL;
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

/* Splits "HOST:PORT", and removes the host's brackets. */
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

/* Returns true for labels separated by dots, optionally with a dot at the end.
 * A name whose last label is a number is a mistyped address. */
static bool is_host_name(const char *text)
{
    size_t len = strlen(text);
    size_t label = 0;

    if (strspn(text, NAME_CHARS) != len || strstr(text, "..")) {
        return false;
    }
    len -= len > 1 && text[len - 1] == '.';
    while (label < len && text[len - 1 - label] != '.') {
        label++;
    }
    const char *last = text + len - label;
    return text[0] != '.' && strspn(last, "0123456789") < label;
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
        return is_host_name(target->host)
                   ? 0 /* resolved later */
                   : refuse(why, "'%.100s' is not a host name", target->host);
    }
    if (err < 0) {
        return refuse(why, "'%s': %s", target->host, weir_strerror(err));
    }
    weir_address_unmap(&target->address);
    return 0;
}

static int parse_path(struct target *target, const char *path, bool listening,
                      char *why)
{
    if (path[0] == '\0' && !listening) {
        return refuse(why, "'%.100s' has no path", target->text);
    }
    if (weir_address_parse_unix(path, &target->address) < 0) {
        return refuse(why, "'%.100s...': the path is too long", target->text);
    }
    return 0;
}

static int parse_host_and_port(struct target *target, const char *rest,
                               bool listening, char *why)
{
    const char *port = NULL;

    int err = split(target->text, rest, target, why, &port);
    if (err < 0) {
        return err;
    }
    if (parse_port(port, listening, &target->port) < 0) {
        return refuse(why, "'%.100s': the port must be a number from %d to %d",
                      target->text, listening ? 0 : 1, UINT16_MAX);
    }
    return parse_host(target, listening, why);
}

bool target_has_scheme(const char *text)
{
    return find_scheme(text) != NULL;
}

int target_parse(const char *text, bool listening, struct target *ret,
                 char *why)
{
    return target_parse_rewritten(text, text, listening, ret, why);
}

int target_parse_rewritten(const char *text, const char *shown, bool listening,
                           struct target *ret, char *why)
{
    const struct scheme *scheme = find_scheme(text);

    if (!scheme) {
        return refuse(why, "'%.100s' is not a target; write " TARGET_FORMS,
                      text);
    }
    struct target target = {
        .text = shown,
        .is_datagram = scheme->is_datagram,
        .is_tls = scheme->is_tls,
    };
    const char *rest = text + strlen(scheme->prefix);
    int err = scheme->is_unix
                  ? parse_path(&target, rest, listening, why)
                  : parse_host_and_port(&target, rest, listening, why);
    if (err >= 0) {
        *ret = target;
    }
    return err;
}

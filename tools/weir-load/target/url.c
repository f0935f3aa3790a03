/*
 * Parses http://, ws:// and redis:// URLs.
 *
 * The authority is rewritten as a tcp:// target with a port and parsed as such.
 * The path is the text after it. redis_url.c removes the login of a Redis URL
 * before, and parses its path later.
 *
 * The login of another URL is refused, because a header can have it. A fragment
 * is refused, because it is never sent. An IPv6 zone may follow "%25" instead
 * of '%' (RFC 6874).
 */
#include "target.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Size of "tcp://", a host in brackets and a port. */
#define INNER_SIZE (TARGET_HOST_SIZE + 32)

struct url_scheme {
    const char *prefix;
    const char *port;
    bool is_tls;
    bool is_redis;
    bool is_ws;
};

static const struct url_scheme url_schemes[] = {
    {.prefix = "http://", .port = "80"},
    {.prefix = "https://", .port = "443", .is_tls = true},
    {.prefix = "redis://", .port = "6379", .is_redis = true},
    {.prefix = "ws://", .port = "80", .is_ws = true},
    {.prefix = "wss://", .port = "443", .is_tls = true, .is_ws = true},
    {.prefix = "rediss://", .port = "6379", .is_tls = true, .is_redis = true},
};

static const struct url_scheme *find_url_scheme(const char *text)
{
    for (size_t i = 0; i < sizeof(url_schemes) / sizeof(url_schemes[0]); i++) {
        const char *prefix = url_schemes[i].prefix;
        if (strncasecmp(text, prefix, strlen(prefix)) == 0) {
            return &url_schemes[i];
        }
    }
    return NULL;
}

static int refuse_url(const char *text, const char *reason, char *why)
{
    snprintf(why, TARGET_WHY_SIZE, "'%.100s': %s", text, reason);
    return -EINVAL;
}

/* A colon inside brackets belongs to the host. */
static bool has_port(const char *authority, size_t len)
{
    while (len > 0 && authority[len - 1] != ':' && authority[len - 1] != ']') {
        len--;
    }
    return len > 0 && authority[len - 1] == ':';
}

/* Copies the authority and decodes "%25" before a zone. In "%25]" the zone is
 * the number 25. */
static void copy_authority(const char *authority, size_t len,
                           char ret[TARGET_HOST_SIZE])
{
    char *zone;

    memcpy(ret, authority, len);
    ret[len] = '\0';
    zone = ret[0] == '[' ? strstr(ret, "%25") : NULL;
    if (zone && zone[3] != ']' && zone[3] != '\0') {
        memmove(zone + 1, zone + 3, strlen(zone + 3) + 1);
    }
}

static const char *find_fault(const char *path, bool is_redis)
{
    if (path[0] == '?' && !is_redis) {
        return "write a / before the query";
    }
    if (strchr(path, '#')) {
        return "a fragment is not sent";
    }
    for (; *path != '\0'; path++) {
        if ((unsigned char)*path <= ' ' || *path == 0x7f) {
            return "the path has a blank or a control character";
        }
    }
    return NULL;
}

/* Returns the length of the host at the start of a text without a scheme.
 * Returns 0 if it is no host, for example a number. */
static size_t host_size(const char *text)
{
    const size_t len = strcspn(text, "/?:");
    const size_t digits = strspn(text, "0123456789");
    const size_t number =
        text[digits] == '.'
            ? digits + 1 + strspn(text + digits + 1, "0123456789")
            : digits;

    if (text[0] == '[') {
        const char *end = strchr(text, ']');
        return end ? (size_t)(end - text) + 1 : 0;
    }
    return text[0] != '.' && text[0] != '-' && number < len &&
                   strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz"
                                "0123456789.-_") >= len
               ? len
               : 0;
}

bool url_lacks_scheme(const char *text)
{
    const size_t len = host_size(text);
    const char *rest = text + len;
    const size_t digits = *rest == ':' ? strspn(rest + 1, "0123456789") : 0;
    const bool is_host = text[0] == '[' || digits > 0 ||
                         memchr(text, '.', len) ||
                         (len == 9 && memcmp(text, "localhost", len) == 0);

    if (len == 0 || !is_host || (*rest == ':' && digits == 0)) {
        return false;
    }
    rest += digits > 0 ? digits + 1 : 0;
    return *rest == '\0' || *rest == '/' || *rest == '?';
}

bool url_is_http_place(const char *text)
{
    return url_lacks_scheme(text) && strchr(text, '/');
}

static int refuse_scheme(const char *text, bool listening, char *why)
{
    if (text[0] == '\0') {
        snprintf(why, TARGET_WHY_SIZE, "the target is empty");
        return -EINVAL;
    }
    if (strncmp(text, "http+unix:", 10) == 0) {
        return refuse_url(
            text, "for a Unix socket write --unix PATH http://HOST/PATH", why);
    }
    if (strstr(text, "://")) {
        snprintf(why, TARGET_WHY_SIZE,
                 "'%.40s' is not a target; write http://HOST[:PORT]/PATH, "
                 "https://, %s" TARGET_FORMS,
                 text, listening ? "" : "ws://, wss://, redis://, rediss://, ");
        return -EINVAL;
    }
    snprintf(why, TARGET_WHY_SIZE,
             "'%.80s' is not a target; for HTTP write http://%.60s, else "
             "tcp://%s",
             text, text, listening ? "ADDRESS:PORT" : "HOST:PORT");
    return -EINVAL;
}

int url_parse(const char *text, bool listening, struct target *ret, char *why)
{
    const struct url_scheme *scheme = find_url_scheme(text);
    size_t hidden_at = 0;
    char inner[INNER_SIZE];
    char host[TARGET_HOST_SIZE];
    struct target target;

    if (redis_url_hidden_size(text, &hidden_at) > 0) {
        /* a login that is not in a valid Redis URL */
        return refuse_url(redis_url_show(text, host, sizeof(host)),
                          scheme ? REDIS_LOGIN_HINT
                                 : "write redis:// or rediss:// for Redis",
                          why);
    }
    if (!scheme) {
        const int err = target_parse(text, listening, ret, why);
        return err < 0 && !target_has_scheme(text)
                   ? refuse_scheme(text, listening, why)
                   : err;
    }
    const char *authority = text + strlen(scheme->prefix);
    const size_t len = strcspn(authority, "/?#");
    const char *path = authority + len;
    const char *fault = find_fault(path, scheme->is_redis);
    if (fault) {
        return refuse_url(text, fault, why);
    }
    if (len >= TARGET_HOST_SIZE) {
        return refuse_url(text, "the host is too long", why);
    }
    if (len == 5 && strncmp(authority, "unix:", 5) == 0) {
        snprintf(why, TARGET_WHY_SIZE,
                 "'%.60s': for a Unix socket write --unix %.60s "
                 "http://HOST/PATH",
                 text, path);
        return -EINVAL;
    }
    if (memchr(authority, '@', len)) {
        return refuse_url(text,
                          "a user is not sent; write -H \"Authorization: "
                          "Basic $(printf %s USER:PASSWORD | base64)\"",
                          why);
    }
    copy_authority(authority, len, host);
    snprintf(inner, sizeof(inner), "tcp://%s%s%s", host,
             has_port(authority, len) ? "" : ":",
             has_port(authority, len) ? "" : scheme->port);
    const int err =
        target_parse_rewritten(inner, text, listening, &target, why);
    if (err < 0) {
        return err;
    }
    target.is_tls = scheme->is_tls;
    target.is_http = !scheme->is_redis && !scheme->is_ws;
    target.is_ws = scheme->is_ws;
    target.is_redis = scheme->is_redis;
    target.path = path[0] != '\0' ? path : NULL;
    *ret = target;
    return 0;
}

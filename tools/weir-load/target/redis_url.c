/*
 * Parses redis:// URLs and hides their passwords. A login ends at the first '@'
 * of the authority, as in redis-cli; a password has %40 instead. In messages
 * all text up to the last '@' is hidden, because a password may wrongly contain
 * '/' or '@'.
 */
#include "target.h"

#include "tools/weir-load/base/base.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

size_t redis_url_login_size(const char *text, size_t *ret_at)
{
    const size_t stem = strncasecmp(text, "rediss", 6) == 0 ? 6 : 5;

    if (strncasecmp(text, "redis", 5) != 0 ||
        strncmp(text + stem, "://", 3) != 0) {
        return 0;
    }
    const char *authority = text + stem + 3;
    const char *end = memchr(authority, '@', strcspn(authority, "/?#"));
    if (!end) {
        return 0;
    }
    *ret_at = (size_t)(authority - text);
    return (size_t)(end - authority) + 1;
}

/* Returns the text after "redis://", "rediss://", "redis+tls://" and similar
 * schemes, or NULL for another scheme. */
static const char *find_place(const char *text)
{
    static const char *const stems[] = {"redis", "valkey"};
    const size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz0123456789+.-");

    for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++) {
        if (strncasecmp(text, stems[i], strlen(stems[i])) == 0 &&
            text[len] == ':' && text[len + 1] == '/') {
            return text + len + 1 + strspn(text + len + 1, "/");
        }
    }
    return NULL;
}

size_t redis_url_hidden_size(const char *text, size_t *ret_at)
{
    const char *place = find_place(text);
    const char *end = place ? strrchr(place, '@') : NULL;

    if (!end) {
        return 0;
    }
    *ret_at = (size_t)(place - text);
    return (size_t)(end - place) + 1;
}

const char *redis_url_show(const char *text, char *out, size_t size)
{
    size_t at = 0;
    const size_t hidden = redis_url_hidden_size(text, &at);

    snprintf(out, size, "%.*s%s", (int)at, text, text + at + hidden);
    return out;
}

/* Decodes %XX. Returns false if the text is too long or has an invalid %XX. */
static bool decode(const char *text, size_t len, char out[REDIS_LOGIN_MAX])
{
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        int byte = (unsigned char)text[i];
        if (at + 1 == REDIS_LOGIN_MAX) {
            return false;
        }
        if (byte == '%') {
            byte = i + 2 < len ? hex_pair(text + i + 1) : -1;
            if (byte <= 0) {
                return false;
            }
            i += 2;
        }
        out[at++] = (char)byte;
    }
    out[at] = '\0';
    return true;
}

static bool read_login(const char *text, size_t len, struct redis_options *ret)
{
    const char *colon = memchr(text, ':', len);
    const size_t user_len = colon ? (size_t)(colon - text) : 0;
    const size_t skipped = colon ? user_len + 1 : 0;

    *ret = (struct redis_options){.has_login = len > skipped || user_len > 0};
    return decode(text, user_len, ret->user) &&
           decode(text + skipped, len - skipped, ret->password);
}

bool redis_url_take_login(const char *text, struct redis_options *options,
                          char *out, size_t size, char *why)
{
    struct redis_options read;
    size_t at = 0;
    const size_t len = redis_url_login_size(text, &at);

    if (len == 0) {
        return snprintf(out, size, "%s", text) < (int)size ||
               why_refuse(why, false, "'%.100s' is too long", text);
    }
    if (snprintf(out, size, "%.*s%s", (int)at, text, text + at + len) >=
        (int)size) {
        return why_refuse(why, false, "the target is too long");
    }
    if (strchr(out, '@')) {
        return why_refuse(why, false, "'%.100s': %s",
                          redis_url_show(text, out, size), REDIS_LOGIN_HINT);
    }
    if (!read_login(text + at, len - 1, &read)) {
        return why_refuse(why, false,
                          "%.100s: its user or password is too long, or "
                          "has a %% without two digits",
                          out);
    }
    if (!read.has_login) {
        return true;
    }
    if (options->has_login && (strcmp(options->user, read.user) != 0 ||
                               strcmp(options->password, read.password) != 0)) {
        return why_refuse(why, false, "%.100s: all targets have one user", out);
    }
    read.login_count = options->login_count + 1;
    *options = read;
    return true;
}

const char *redis_url_read_place(const char *path, struct redis_place *ret)
{
    *ret = (struct redis_place){.is_resp3 = false};
    if (!path) {
        return NULL;
    }
    path += path[0] == '/';
    const size_t len = strcspn(path, "?");
    if (len >= REDIS_NUMBER_SIZE || strspn(path, "0123456789") < len) {
        return "the path of Redis is the number of a database, as /0";
    }
    memcpy(ret->number, path, len);
    ret->number[len] = '\0';
    path += len;
    if (strcmp(path, "?protocol=3") == 0) {
        ret->is_resp3 = true;
        return NULL;
    }
    return path[0] == '\0' || strcmp(path, "?protocol=2") == 0
               ? NULL
               : "write ?protocol=2 or ?protocol=3";
}

/*
 * Derives the mode of a run from its URLs, and handles Redis
 * and WebSocket. A mode given with --mode must match the
 * URL's.
 */
#include "command.h"

#include "tools/common/console.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/request/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Returns the mode that a URL requires. RUN_MODE_ECHO means any mode. */
static enum run_mode mode_of(const struct target *target)
{
    return target->is_http    ? RUN_MODE_HTTP
           : target->is_redis ? RUN_MODE_REDIS
           : target->is_ws    ? RUN_MODE_WS
                              : RUN_MODE_ECHO;
}

static bool check_path(const struct target *target)
{
    char why[WHY_SIZE];
    struct redis_place place;
    const char *fault =
        target->is_redis ? redis_url_read_place(target->path, &place)
        : target->path && http_check_path(target->path, why) < 0 ? why
                                                                 : NULL;

    if (fault) {
        say("%s: %s", target->text, fault);
    }
    return !fault;
}

/* The URL decides the mode. --mode crr then means one request per
 * connection. */
bool options_settle_urls(struct run_options *options,
                         const struct options_given *given)
{
    const enum run_mode mode = mode_of(&options->targets[0]);

    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *target = &options->targets[i];
        const enum run_mode other = mode_of(target);
        if (other != mode) {
            return say("%s:// and other targets cannot be loaded together",
                       options_mode_name(mode == RUN_MODE_ECHO ||
                                                 other == RUN_MODE_HTTP
                                             ? other
                                             : mode));
        }
        if (!check_path(target)) {
            return false;
        }
    }
    if (mode == RUN_MODE_ECHO) {
        return true;
    }
    if (options->mode == RUN_MODE_CRR) {
        options_set_one_request(options);
    } else if (given->mode && options->mode != mode) {
        return option_say(given->mode, "%s is not for %s://",
                          options_mode_name(options->mode),
                          options_mode_name(mode));
    }
    options->mode = mode;
    return true;
}

/* Sets the command to PING without --body, --mix and --urls. If the targets
 * have no login, uses the password of REDISCLI_AUTH. */
bool options_settle_redis(struct run_options *options)
{
    const char *password = getenv("REDISCLI_AUTH");
    struct redis_options *redis = &options->redis;
    char why[WHY_SIZE];

    if (redis->has_login && redis->login_count < options->target_count) {
        return say(
            "write the login in all targets of Redis or in none: the others "
            "would get it, too");
    }
    if (!redis->has_login && password && *password) {
        if (strlen(password) >= sizeof(redis->password)) {
            return say("REDISCLI_AUTH: it is too long");
        }
        strcpy(redis->password, password);
        redis->has_login = true;
    }
    if (options->kinds) {
        return true;
    }
    if (!options->http.body) {
        options->http.body = "PING";
    }
    if (redis_command_check(options->http.body, why) < 0) {
        return say("--body: %s", why);
    }
    return true;
}

/* Returns true if a text has no placeholders, because messages are sent
 * unchanged. */
static bool is_plain(const char *text)
{
    char why[WHY_SIZE];
    struct template read;

    if (template_parse(text, strlen(text), &read, why) < 0) {
        return false;
    }
    const bool is_same = template_is_fixed(&read) && read.len == strlen(text) &&
                         memcmp(read.bytes, text, read.len) == 0;
    template_fini(&read);
    return is_same;
}

/* Refuses -H for fields that the handshake sets itself. */
static bool check_ws_fields(const struct http_options *http)
{
    static const char *const own[] = {
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Accept",
    };

    for (size_t i = 0; i < http->field_count; i++) {
        const char *field = http->fields[i];
        const size_t len = strcspn(field, ":");
        for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++) {
            if (strlen(own[k]) == len && strncasecmp(field, own[k], len) == 0) {
                return say("-H: the handshake sets %s itself", own[k]);
            }
        }
        if (!is_plain(field)) {
            return say(
                "-H: '%.80s': the WebSocket handshake has no placeholders",
                field);
        }
    }
    return true;
}

bool options_settle_ws(struct run_options *options)
{
    struct http_options *http = &options->http;

    if (!check_ws_fields(http)) {
        return false;
    }
    if (!http->body) {
        return true;
    }
    if (http->body[0] == '@' || !is_plain(http->body)) {
        return say("--body: a WebSocket message has no placeholders");
    }
    if (!json_is_text(http->body)) {
        return say(
            "--body: a WebSocket message is text, and this is not UTF-8");
    }
    options->send = sizes_of(strlen(http->body));
    options->ws_is_text = true;
    return true;
}

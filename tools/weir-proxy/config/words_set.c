/*
 * A field is found by its offset in the struct of the directive's scope, which
 * exists before a directive is read (words.c). Directives that begin a section,
 * or that may be repeated, have their own functions.
 */
#include "words_set.h"

#include "certificate.h"
#include "file.h"
#include "matching.h"
#include "tools/common/units.h"

#include "weir/network.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_memory[] = "no memory";

void *words_owner(void *options, const struct option *word, char *why)
{
    struct config *config = options;
    void *found = NULL;

    switch (word->scope) {
    case SCOPE_PROGRAM:
    case SCOPE_COMMAND:
        return config;
    case SCOPE_SERVICE:
        found = config_service(config);
        break;
    case SCOPE_ROUTE:
        found = config_route(config);
        break;
    case SCOPE_TARGET:
    default:
        found = config_target(config);
        if (found) {
            config_target(config)->said = word->name;
        }
        break;
    }
    if (!found) {
        option_refuse(why, "it must follow the %s that it applies to",
                      word->scope >= SCOPE_TARGET ? "'to'" : "'listen'");
    }
    return found;
}

static void *field_of(void *options, const struct option *word, char *why)
{
    char *owner = words_owner(options, word, why);

    return owner ? owner + word->offset : NULL;
}

/* Replaces a text by a copy of @value, which must not be empty. */
static bool set_text(char **text, const char *value, char *why)
{
    char *copy = value[0] ? strdup(value) : NULL;

    if (!copy) {
        return option_refuse(why, value[0] ? no_memory : "it needs a value");
    }
    free(*text);
    *text = copy;
    return true;
}

bool words_set_text(void *options, const struct option *word, const char *value,
                    char *why)
{
    if (value[0] == '\0') {
        return option_refuse(why, "it needs a value");
    }
    char **field = field_of(options, word, why);
    return field && set_text(field, value, why);
}

static int hex_digit(char c)
{
    const int small = tolower((unsigned char)c);

    return !isxdigit(small) ? -1
           : isdigit(small) ? small - '0'
                            : small - 'a' + 10;
}

/* Returns the length after the backslash, or 0 if it is not an escape. */
static size_t read_escape(const char *text, char *ret)
{
    static const char letters[] = "rnt\\";
    static const char bytes[] = "\r\n\t\\";
    const char *letter = text[0] ? strchr(letters, text[0]) : NULL;

    if (letter) {
        *ret = bytes[letter - letters];
        return 1;
    }
    const int high = text[0] == 'x' ? hex_digit(text[1]) : -1;
    const int low = high >= 0 ? hex_digit(text[2]) : -1;
    *ret = low >= 0 ? (char)(high * 16 + low) : '\0';
    return low >= 0 ? 3 : 0;
}

/* Replaces escapes. Returns the number of bytes written to @ret, at most @size,
 * or -1 with a reason in @why. */
static int unescape(const char *value, char *ret, size_t size, char *why)
{
    size_t len = 0;

    while (*value && len < size) {
        ret[len] = *value++;
        if (ret[len] == '\\') {
            const size_t used = read_escape(value, &ret[len]);
            if (used == 0) {
                option_refuse(why, "'\\%.1s' is not an escape", value);
                return -1;
            }
            value += used;
        }
        len++;
    }
    if (*value) {
        option_refuse(why, "more than %zu bytes", size);
        return -1;
    }
    return (int)len;
}

#define STEP_MAX 4096

/* Parses bytes with escapes into memory that the caller frees. Returns NULL
 * with a reason in @why if the bytes are missing, invalid or too many, or if
 * out of memory. */
static char *read_escaped(const char *value, size_t *ret_size, char *why)
{
    char *text = malloc(STEP_MAX);
    const int len = text && value[0] ? unescape(value, text, STEP_MAX, why) : 0;

    if (len > 0) {
        *ret_size = (size_t)len;
        return text;
    }
    if (len == 0) {
        option_refuse(why, text ? "it needs a value" : no_memory);
    }
    free(text);
    return NULL;
}

static bool refuse_step(char *why)
{
    return option_refuse(why, "no memory, or more than %d texts",
                         WEIR_UPSTREAM_CHECK_STEPS_MAX);
}

bool words_add_send(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config *config = options;
    size_t size = 0;
    char *text = read_escaped(value, &size, why);

    return text && (config_add_send(config, text, size) || refuse_step(why));
}

/* Parses "TEXT", or "^TEXT" if the response must start with TEXT. */
bool words_add_expect(void *options, const struct option *word,
                      const char *value, char *why)
{
    struct config *config = options;
    const bool begins = value[0] == '^';
    size_t size = 0;
    char *text = read_escaped(value + begins, &size, why);

    return text &&
           (config_add_expect(config, text, size, begins) || refuse_step(why));
}

bool words_add_text(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config_texts *field = field_of(options, word, why);

    if (!field) {
        return false;
    }
    if (value[0] == '\0') {
        return option_refuse(why, "it needs a value");
    }
    return config_add_text(field, value) || option_refuse(why, no_memory);
}

/* Copies the text before @mark, or all of it, into @size bytes. Returns the
 * text after @mark, or NULL. The copy of a text that is too long is "". */
static const char *split(const char *value, char mark, char *ret, size_t size)
{
    const char *at = strchr(value, mark);
    const size_t len = at ? (size_t)(at - value) : strlen(value);

    snprintf(ret, size, "%.*s", len < size ? (int)len : 0, value);
    return at ? at + 1 : NULL;
}

bool words_add_texts(void *options, const struct option *word,
                     const char *value, char *why)
{
    char item[256];

    while (value && *value) {
        const char *rest = split(value, ',', item, sizeof(item));
        if (item[0] == '\0') {
            return option_refuse(why, "'%s' is not a list such as a,b", value);
        }
        if (!words_add_text(options, word, item, why)) {
            return false;
        }
        value = rest;
    }
    return true;
}

static bool is_plain(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text <= ' ' || *text == 127) {
            return false;
        }
    }
    return true;
}

/* Requires a unit, like has_unit() in words.c. */
static int parse_time(const char *text, uint64_t *ret_ns)
{
    return units_lacks_unit(text) ? -EINVAL : units_parse_time(text, ret_ns);
}

bool words_say_listen(void *options, const struct option *word,
                      const char *value, char *why)
{
    struct config *config = options;
    struct config_service *service = config_service(config);

    (void)word;
    /* An address to listen on that follows targets begins the next service. */
    if (!service || config_target(config)) {
        if (!config_begin_service(config, NULL)) {
            return option_refuse(why, no_memory);
        }
    }
    return config_add_listen(config, value, why);
}

bool words_say_route(void *options, const struct option *word,
                     const char *value, char *why)
{
    (void)word;
    if (strcmp(value, "*") != 0 &&
        !matching_is_host_name(strncmp(value, "*.", 2) == 0 ? value + 2
                                                            : value)) {
        return option_refuse(why, "'%s' is not a server name, *.NAME or *",
                             value);
    }
    return config_begin_route(options, value) || option_refuse(why, no_memory);
}

/* Returns the current route if a 'route' directive began it. Otherwise returns
 * NULL with a reason in @why. */
static struct config_route *narrowed(void *options, const struct option *word,
                                     char *why)
{
    struct config_route *route = words_owner(options, word, why);

    if (!route->is_begun) {
        option_refuse(
            why,
            "it must follow the 'route' that it narrows, such as 'route = *'");
        return NULL;
    }
    return route;
}

bool words_say_route_as(void *options, const struct option *word,
                        const char *value, char *why)
{
    return narrowed(options, word, why) &&
           option_read_plain(&words, options, word, value, why);
}

bool words_say_route_begin(void *options, const struct option *word,
                           const char *value, char *why)
{
    char bytes[CONFIG_BEGIN_MAX];
    const int len = unescape(value, bytes, sizeof(bytes), why);

    if (len < 0 || !narrowed(options, word, why)) {
        return false;
    }
    if (len == 0) {
        return option_refuse(why, "it needs a value");
    }
    return config_add_begin(options, bytes, (size_t)len) ||
           option_refuse(why, no_memory);
}

bool words_say_route_alpn(void *options, const struct option *word,
                          const char *value, char *why)
{
    if (value[0] == '\0') {
        return option_refuse(why, "it needs a value");
    }
    return narrowed(options, word, why) &&
           words_add_texts(options, word, value, why);
}

bool words_say_send_tlv(void *options, const struct option *word,
                        const char *value, char *why)
{
    static const char *const names[] = {"authority", "alpn", "ssl"};
    struct config_route *route = words_owner(options, word, why);
    char item[16];

    for (const char *at = value; at;) {
        unsigned i = 0;
        at = split(at, ',', item, sizeof(item));
        while (i < 3 && strcmp(names[i], item) != 0) {
            i++;
        }
        if (i == 3) {
            return option_refuse(why, "'%.100s' is not authority, alpn or ssl",
                                 value);
        }
        route->send_tlvs |= 1u << i;
    }
    return true;
}

bool words_say_to(void *options, const struct option *word, const char *value,
                  char *why)
{
    struct config *config = options;
    const bool is_list = strchr(value, ',') != NULL;
    size_t count = 0;
    char item[512];

    (void)word;
    if (!config_route(config)) {
        return option_refuse(why,
                             "it must follow the 'listen' that it applies to");
    }
    if (value[0] == '@') {
        return option_refuse(why,
                             "'%.60s' is a group of targets, which only a file "
                             "can have: [targets %.60s]",
                             value, value + 1);
    }
    do {
        const size_t len = strcspn(value, ",");
        if (len >= sizeof(item)) {
            return option_refuse(why, "'%.40s...' is too long", value);
        }
        memcpy(item, value, len);
        item[len] = '\0';
        if (!config_add_target(config, item, why)) {
            return false;
        }
        count++;
        value += len + (value[len] == ',');
    } while (*value);
    config_target(config)->list_count = is_list ? count : 0;
    return true;
}

/* Parses "500" or "500:2s". */
bool words_say_queue(void *options, const struct option *word,
                     const char *value, char *why)
{
    struct config_route *route = words_owner(options, word, why);
    char count[32];
    const char *time = split(value, ':', count, sizeof(count));

    if (units_parse_count(count, &route->queue_limit) < 0 ||
        route->queue_limit > UINT32_MAX ||
        (time && (parse_time(time, &route->queue_timeout_ns) < 0 ||
                  route->queue_timeout_ns == 0))) {
        return option_refuse(why,
                             "'%s' is not a number, or a number and a time "
                             "such as 500:2s",
                             value);
    }
    return true;
}

/* Parses a kind and a user, such as "mysql:USER", and sets the kind and the
 * user of the check. */
static bool read_login(struct config_route *route, const char *value)
{
    char name[16];
    const char *said = split(value, ':', name, sizeof(name));
    enum weir_upstream_check_kind kind;

    if (said[0] == '\0' || strlen(said) > WEIR_UPSTREAM_CHECK_USER_MAX ||
        weir_upstream_check_kind_parse(name, &kind) < 0 ||
        !config_logs_in(kind)) {
        return false;
    }
    char *user = strdup(said);
    if (!user) {
        return false;
    }
    free(route->check_user);
    route->check_user = user;
    route->check = kind;
    return true;
}

/* Parses an interval such as "2s", "off", or a kind such as "http" or
 * "mysql:USER". */
bool words_say_check(void *options, const struct option *word,
                     const char *value, char *why)
{
    struct config_route *route = words_owner(options, word, why);
    const char *colon = strchr(value, ':');
    char names[128];

    if (strcmp(value, "off") == 0) {
        route->is_checked = false;
        route->check = WEIR_UPSTREAM_CHECK_TCP;
        return true;
    }
    enum weir_upstream_check_kind kind = route->check;
    if (colon ? !read_login(route, value)
              : weir_upstream_check_kind_parse(value, &kind) < 0 &&
                    (parse_time(value, &route->check_interval_ns) < 0 ||
                     route->check_interval_ns == 0)) {
        return option_refuse(
            why,
            "'%.200s' is neither %s, the last two with a user as in "
            "mysql:weir, nor a time such as 2s",
            value, option_list_choices(word, names, sizeof(names)));
    }
    if (!colon && kind != route->check && config_logs_in(kind)) {
        return option_refuse(why, "the check needs a user: %.200s:USER", value);
    }
    route->check = colon ? route->check : kind;
    route->is_checked = true;
    return true;
}

bool words_say_fate(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config_fate *fate = field_of(options, word, why);
    struct config_fate read = {.is_cut = strncmp(value, "cut", 3) == 0,
                               .within_ns = UINT64_C(1000000000)};

    if (strcmp(value, "keep") != 0 && strcmp(value, "cut") != 0 &&
        (strncmp(value, "cut:", 4) != 0 ||
         parse_time(value + 4, &read.within_ns) < 0)) {
        return option_refuse(why,
                             "'%.60s' is neither keep nor cut, nor cut and a "
                             "time such as cut:5s",
                             value);
    }
    *fate = read;
    return true;
}

static bool read_status(const char *text, uint64_t *ret)
{
    return units_parse_count(text, ret) == 0 && *ret >= 100 && *ret <= 599;
}

bool words_say_check_status(void *options, const struct option *word,
                            const char *value, char *why)
{
    struct config_route *route = words_owner(options, word, why);
    char first[8];
    const char *last = split(value, '-', first, sizeof(first));

    if (!read_status(first, &route->check_min_status) ||
        !read_status(last ? last : value, &route->check_max_status) ||
        route->check_min_status > route->check_max_status) {
        return option_refuse(why,
                             "'%.60s' is not a status such as 200, or two of "
                             "100 to 599 such as 200-399",
                             value);
    }
    return true;
}

bool words_say_check_tls(void *options, const struct option *word,
                         const char *value, char *why)
{
    static const char *const names[] = {"as-target", "on", "off"};
    struct config_route *route = words_owner(options, word, why);

    for (int i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            route->check_tls = (enum config_check_tls)(CHECK_TLS_AS_TARGET + i);
            return true;
        }
    }
    return option_refuse(why, "'%.60s' is neither as-target, on nor off",
                         value);
}

/* Parses an address like a target's; an empty host is the target's host. */
bool words_say_check_at(void *options, const struct option *word,
                        const char *value, char *why)
{
    struct config_target *target = words_owner(options, word, why);
    struct target at;

    if (!target_has_scheme(value) || strncmp(value, "udp:", 4) == 0) {
        return option_refuse(why,
                             "'%.100s' is not an address for checks; write "
                             "tcp://HOST:PORT, tcp://:PORT, the same with "
                             "tls://, unix:PATH or tls+unix:PATH",
                             value);
    }
    if (target_parse(value, true, &at, why) < 0) {
        return false;
    }
    const bool is_unix = config_is_unix(&at.address);
    if (is_unix ? strchr(value, ':')[1] == '\0' : at.port == 0) {
        return option_refuse(why, "'%.100s' has no %s", value,
                             is_unix ? "path" : "port");
    }
    at.text = NULL;
    target->check.at = at;
    target->check.has_at = true;
    return true;
}

bool words_say_target_check(void *options, const struct option *word,
                            const char *value, char *why)
{
    struct config_target *target = words_owner(options, word, why);
    uint64_t interval_ns = 0;

    const bool is_off = strcmp(value, "off") == 0;
    if (!is_off && (parse_time(value, &interval_ns) < 0 || interval_ns == 0)) {
        return option_refuse(why,
                             "'%.100s' is neither off nor a time such "
                             "as 2s",
                             value);
    }
    target->check.is_off = is_off;
    target->check.interval_ns = interval_ns;
    return true;
}

/* Parses a keepalive time, within the kernel's limits. */
static bool read_keepalive_time(const char *text, uint64_t *ret_ns)
{
    return parse_time(text, ret_ns) == 0 && *ret_ns > 0 &&
           *ret_ns <= UINT64_C(32767000000000);
}

/* Parses "off", "5m" or "5m:30s:4". */
bool words_say_keepalive(void *options, const struct option *word,
                         const char *value, char *why)
{
    struct config_service *service = words_owner(options, word, why);
    char idle[64];
    char interval[64];
    const char *rest = split(value, ':', idle, sizeof(idle));
    const char *number =
        rest ? split(rest, ':', interval, sizeof(interval)) : NULL;

    if (strcmp(value, "off") == 0) {
        service->keepalive_idle_ns = 0;
        return true;
    }
    uint64_t interval_ns = service->keepalive_interval_ns;
    uint64_t count = service->keepalive_count;
    if (!read_keepalive_time(idle, &service->keepalive_idle_ns) ||
        (rest &&
         (!number || !read_keepalive_time(interval, &interval_ns) ||
          units_parse_count(number, &count) < 0 || count < 1 || count > 127))) {
        return option_refuse(
            why,
            "'%.60s' is neither off nor a time, or a "
            "time, a time and a number up to 127, such as 5m:30s:4, "
            "with times up to 32767s",
            value);
    }
    service->keepalive_interval_ns = interval_ns;
    service->keepalive_count = count;
    return true;
}

bool words_say_threads(void *options, const struct option *word,
                       const char *value, char *why)
{
    struct config *config = options;

    if (strcmp(value, "auto") == 0) {
        config->thread_count = 0;
        return true;
    }
    if (value[0] < '0' || value[0] > '9') {
        return option_refuse(why, "'%.200s' is neither auto nor a count",
                             value);
    }
    return option_read_plain(&words, config, word, value, why);
}

/* Checks only the syntax; the file is opened later. */
bool words_say_log(void *options, const struct option *word, const char *value,
                   char *why)
{
    struct weir_address server;

    return sink_read(value, &server, why) &&
           words_set_text(options, word, value, why);
}

bool words_say_log_format(void *options, const struct option *word,
                          const char *value, char *why)
{
    struct config *config = options;
    const char *wrong = value;

    (void)word;
    if (strcmp(value, "text") == 0 || strcmp(value, "json") == 0) {
        config->log_format = value[0] == 't' ? LOG_TEXT : LOG_JSON;
        return true;
    }
    if (!strchr(value, '{')) {
        return option_refuse(why,
                             "'%.100s' is not text, json, or a format with "
                             "fields such as {client}",
                             value);
    }
    if (!record_check_names(value, &wrong)) {
        return option_refuse(why,
                             "'%.60s' is not a field; write a field of json "
                             "such as {client}, and a brace as {{ or }}",
                             wrong);
    }
    config->log_format = LOG_NAMES;
    return set_text(&config->log_names, value, why);
}

/* A certificate's key is in the same file unless 'key' follows. */
bool words_say_cert(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config_service *service = words_owner(options, word, why);

    if (!words_add_text(options, word, value, why)) {
        return false;
    }
    return config_add_text(&service->keys, value) ||
           option_refuse(why, no_memory);
}

bool words_say_key(void *options, const struct option *word, const char *value,
                   char *why)
{
    struct config_service *service = words_owner(options, word, why);

    if (service->keys.count == 0) {
        return option_refuse(why, "it must follow the cert that it belongs to");
    }
    return set_text(&service->keys.texts[service->keys.count - 1], value, why);
}

bool words_say_client_rate(void *options, const struct option *word,
                           const char *value, char *why)
{
    struct config_service *service = words_owner(options, word, why);
    char count[32];
    const char *time = split(value, '/', count, sizeof(count));

    if (!time || units_parse_count(count, &service->client_rate) < 0 ||
        service->client_rate == 0 || service->client_rate > UINT32_MAX ||
        parse_time(time, &service->client_rate_ns) < 0 ||
        service->client_rate_ns < 1000000) {
        return option_refuse(why,
                             "'%.100s' is not a number and a time of 1ms or "
                             "more, such as 100/10s",
                             value);
    }
    return true;
}

bool words_say_client_prefix(void *options, const struct option *word,
                             const char *value, char *why)
{
    struct config_service *service = words_owner(options, word, why);
    char bits[8];
    const char *six = split(value, '/', bits, sizeof(bits));

    if (!six || units_parse_count(bits, &service->client_prefix4) < 0 ||
        service->client_prefix4 == 0 || service->client_prefix4 > 32 ||
        units_parse_count(six, &service->client_prefix6) < 0 ||
        service->client_prefix6 == 0 || service->client_prefix6 > 128) {
        return option_refuse(why,
                             "'%.100s' is not two numbers of bits, for IPv4 "
                             "and IPv6, such as 32/64",
                             value);
    }
    return true;
}

bool words_say_from(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config_target *target = words_owner(options, word, why);

    target->inherits_from = false;
    if (strcmp(value, "any") == 0) {
        target->from = (struct weir_address){.len = 0};
        return true;
    }
    return weir_address_parse(value, 0, &target->from) == 0 ||
           option_refuse(why,
                         "'%.100s' is not an address such as 192.0.2.1 or ::1, "
                         "or any",
                         value);
}

bool words_say_resolver(void *options, const struct option *word,
                        const char *value, char *why)
{
    struct weir_address address;
    const char *at = value;
    char item[128];

    do {
        const size_t len = strcspn(at, ",");
        snprintf(item, sizeof(item), "%.*s", (int)len, at);
        if (len >= sizeof(item) ||
            (weir_address_parse(item, 53, &address) < 0 &&
             weir_address_parse_with_port(item, &address) < 0)) {
            return option_refuse(why,
                                 "'%.100s' is not an address such as 10.0.0.53 "
                                 "or [::1]:5353, or several of them",
                                 item);
        }
        at += len + (at[len] == ',');
    } while (*at);
    return words_set_text(options, word, value, why);
}

bool words_say_sni_allow(void *options, const struct option *word,
                         const char *value, char *why)
{
    const struct config_target *target = words_owner(options, word, why);

    if (!target->is_sni) {
        return option_refuse(why, "it must follow 'to = sni:PORT'");
    }
    if (!words_add_texts(options, word, value, why)) {
        return false;
    }
    for (size_t i = 0; i < target->allowed.count; i++) {
        const char *name = target->allowed.texts[i];
        size_t last = matching_length_of(name);
        while (last > 0 && name[last - 1] != '.') {
            last--;
        }
        if (!matching_is_host_name(name) ||
            isdigit((unsigned char)name[last])) {
            return option_refuse(why,
                                 "'%.100s' is not a name such as a.example, "
                                 "which allows all names below it",
                                 name);
        }
    }
    return true;
}

static bool is_path(const char *value)
{
    return value[0] == '/' && is_plain(value);
}

static bool is_admin(const char *value)
{
    struct weir_address address;

    return config_read_admin(value, &address) == 0;
}

static bool is_socket_name(const char *value)
{
    struct weir_address address;

    return weir_address_parse_unix(value, &address) == 0;
}

/* The file mode of a path keeps other users out. An abstract name has none. */
static bool is_path_of_socket(const char *value)
{
    return value[0] != '@' && is_socket_name(value);
}

static bool is_network(const char *value)
{
    struct weir_network network;

    return weir_network_parse(value, &network) == 0;
}

/* A file of networks is read later. */
static bool is_network_or_file(const char *value)
{
    return value[0] == '@' || is_network(value);
}

/* Conditions of texts. */
static const struct text_rule {
    const char *name;
    bool (*is_met)(const char *value);
    int shown; /* maximum bytes of the value in the message; 0 shows none */
    const char *message;
} text_rules[] = {
    {"check-host", is_plain, 0,
     "it is a name such as db.example, without spaces"},
    {"target-tls-name", is_plain, 0,
     "it is a name such as db.example, without spaces"},
    {"check-path", is_path, 0, "it is a path such as /health, without spaces"},
    {"admin", is_admin, OPTION_WHY_SIZE,
     "' is not an address such as 127.0.0.1:9100, or a port"},
    {"ctl", is_path_of_socket, 40,
     "' is not a path for a Unix socket, of at most 107 bytes"},
    {"handover", is_socket_name, 40,
     "...' is too long for the path of a Unix socket"},
    {"trust", is_network, OPTION_WHY_SIZE,
     "' is not a network such as 10.0.0.0/8 or unix"},
    {"client-name", certificate_is_name, 100,
     "' is not a name such as dns:a.example, uri:spiffe://a/b or cn:NAME"},
    {"client-allow", is_network_or_file, 100,
     "' is not a network such as 10.0.0.0/8, unix, or @FILE"},
    {"client-deny", is_network_or_file, 100,
     "' is not a network such as 10.0.0.0/8, unix, or @FILE"},
    {"client-free", is_network_or_file, 100,
     "' is not a network such as 10.0.0.0/8, unix, or @FILE"},
};

bool words_say_text(void *options, const struct option *word, const char *value,
                    char *why)
{
    const struct text_rule *rule = text_rules;

    while (strcmp(rule->name, word->name) != 0) {
        rule++;
    }
    if (!rule->is_met(value)) {
        return option_refuse(why, "%s%.*s%s", rule->shown > 0 ? "'" : "",
                             rule->shown, value, rule->message);
    }
    return word->repeats ? words_add_text(options, word, value, why)
                         : words_set_text(options, word, value, why);
}

bool words_read_config(void *options, const struct option *word,
                       const char *value, char *why)
{
    (void)word;
    return file_read(options, value, why);
}

bool words_read_include(void *options, const struct option *word,
                        const char *value, char *why)
{
    (void)word;
    return file_read_all(options, value, why);
}

/* The default is the address of --admin. */
bool words_read_top(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config *config = options;

    (void)word;
    config->is_top = true;
    return !value ||
           option_read(&words, config, words_find("admin"), value, why);
}

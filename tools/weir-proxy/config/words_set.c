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

    if (word->scope <= SCOPE_PROGRAM) {
        return config;
    }
    struct config_target *target = config_target(config);
    if (word->scope >= SCOPE_TARGET && target) {
        target->said = word->name;
    }
    void *found = word->scope == SCOPE_SERVICE ? (void *)config_service(config)
                  : word->scope == SCOPE_ROUTE ? (void *)config_route(config)
                                               : target;
    if (!found) {
        option_refuse(why, "it must follow the %s that it applies to",
                      word->scope >= SCOPE_TARGET ? "'to'" : "'listen'");
    }
    return found;
}

static void *field_of(void *options, const struct option *word, char *why)
{
    return (char *)words_owner(options, word, why) + word->offset;
}

/* Replaces a text by a copy of @value, which must not be empty. */
static bool set_text(struct config *config, char **text, const char *value,
                     char *why)
{
    if (value[0] == '\0') {
        return option_refuse(why, "it needs a value");
    }
    *text = arena_copy_text(&config->arena, value);
    return *text || option_refuse(why, no_memory);
}

bool words_set_text(void *options, const struct option *word, const char *value,
                    char *why)
{
    return set_text(options, field_of(options, word, why), value, why);
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
    if (text[0] == 'x' && isxdigit((unsigned char)text[1]) &&
        isxdigit((unsigned char)text[2])) {
        const char digits[] = {text[1], text[2], '\0'};
        *ret = (char)strtoul(digits, NULL, 16);
        return 3;
    }
    return 0;
}

/* Replaces escapes. Returns the number of bytes written to @ret, or 0 with a
 * reason in @why. */
static size_t read_escaped(const char *value, char *ret, size_t size, char *why)
{
    size_t len = 0;

    for (; *value && len < size; len++) {
        ret[len] = *value++;
        if (ret[len] == '\\') {
            const size_t used = read_escape(value, &ret[len]);
            if (used == 0) {
                return option_refuse(why, "'\\%.1s' is not an escape", value);
            }
            value += used;
        }
    }
    if (*value) {
        return option_refuse(why, "more than %zu bytes", size);
    }
    return len > 0 ? len : option_refuse(why, "it needs a value");
}

#define STEP_MAX 4096

/* Adds bytes with escapes to the check's dialogue. Bytes to expect are "TEXT",
 * or "^TEXT" if the answer must start with TEXT. */
bool words_add_step(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config *config = options;
    const bool expects = strcmp(word->name, "check-expect") == 0;
    const bool begins = expects && value[0] == '^';
    char bytes[STEP_MAX];
    const size_t len = read_escaped(value + begins, bytes, sizeof(bytes), why);

    if (len == 0) {
        return false;
    }
    char *text = arena_copy(&config->arena, bytes, len);
    struct config_step *step = text ? config_add_step(config, expects) : NULL;
    if (!step) {
        return option_refuse(why, "no memory, or more than %d texts",
                             WEIR_UPSTREAM_CHECK_STEPS_MAX);
    }
    if (expects) {
        step->expect = text;
        step->expect_size = len;
        step->begins = begins;
    } else {
        step->send = text;
        step->send_size = len;
    }
    return true;
}

bool words_add_text(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config *config = options;

    if (value[0] == '\0') {
        return option_refuse(why, "it needs a value");
    }
    return config_add_text(&config->arena, field_of(options, word, why),
                           value) ||
           option_refuse(why, no_memory);
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

    for (const char *at = value; at && *at;) {
        const char *rest = split(at, ',', item, sizeof(item));
        if (item[0] == '\0') {
            return option_refuse(why, "'%s' is not a list such as a,b", at);
        }
        if (!words_add_text(options, word, item, why)) {
            return false;
        }
        at = rest;
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

    (void)word;
    /* An address to listen on that follows targets begins the next service. */
    if ((!config_service(config) || config_target(config)) &&
        !config_begin_service(config, NULL)) {
        return option_refuse(why, no_memory);
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

/* Refuses a directive before the first 'route'. */
static bool narrows(void *options, char *why)
{
    return config_route(options)->is_begun ||
           option_refuse(why, "it must follow the 'route' that it narrows, "
                              "such as 'route = *'");
}

bool words_say_route_as(void *options, const struct option *word,
                        const char *value, char *why)
{
    return narrows(options, why) &&
           option_read_plain(&words, options, word, value, why);
}

bool words_say_route_begin(void *options, const struct option *word,
                           const char *value, char *why)
{
    char bytes[CONFIG_BEGIN_MAX];
    const size_t len = read_escaped(value, bytes, sizeof(bytes), why);

    (void)word;
    return len > 0 && narrows(options, why) &&
           (config_add_begin(options, bytes, len) ||
            option_refuse(why, no_memory));
}

bool words_say_route_alpn(void *options, const struct option *word,
                          const char *value, char *why)
{
    if (value[0] == '\0') {
        return option_refuse(why, "it needs a value");
    }
    return narrows(options, why) && words_add_texts(options, word, value, why);
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
        if (strcspn(value, ",") >= sizeof(item)) {
            return option_refuse(why, "'%.40s...' is too long", value);
        }
        value = split(value, ',', item, sizeof(item));
        if (!config_add_target(config, item, why)) {
            return false;
        }
        count++;
    } while (value && *value);
    config_target(config)->list_count = is_list ? count : 0;
    return true;
}

#define OF_ROUTE(field)   offsetof(struct config_route, field)
#define OF_SERVICE(field) offsetof(struct config_service, field)
#define KEEPALIVE_MOST    UINT64_C(32767000000000) /* the kernel's limit */

/* Values of several numbers with a mark between them. */
static const struct form {
    const char *name;
    char mark;
    bool may_be_one; /* the first number is enough */
    bool is_range;   /* of two numbers; one alone is both */
    struct part {
        int (*parse)(const char *text, uint64_t *ret);
        size_t offset;
        uint64_t least;
        uint64_t most;
    } parts[4]; /* a part without @parse ends them */
    const char *wanted;
} forms[] = {
    {"queue",
     ':',
     true,
     false,
     {{units_parse_count, OF_ROUTE(queue_limit), 0, UINT32_MAX},
      {parse_time, OF_ROUTE(queue_timeout_ns), 1, UINT64_MAX}},
     "a number, or a number and a time such as 500:2s"},
    {"check-status",
     '-',
     false,
     true,
     {{units_parse_count, OF_ROUTE(check_min_status), 100, 599},
      {units_parse_count, OF_ROUTE(check_max_status), 100, 599}},
     "a status such as 200, or two of 100 to 599 such as 200-399"},
    {"keepalive",
     ':',
     true,
     false,
     {{parse_time, OF_SERVICE(keepalive_idle_ns), 1, KEEPALIVE_MOST},
      {parse_time, OF_SERVICE(keepalive_interval_ns), 1, KEEPALIVE_MOST},
      {units_parse_count, OF_SERVICE(keepalive_count), 1, 127}},
     "off or a time, or a time, a time and a number up to 127, such as "
     "5m:30s:4, with times up to 32767s"},
    {"client-rate",
     '/',
     false,
     false,
     {{units_parse_count, OF_SERVICE(client_rate), 1, UINT32_MAX},
      {parse_time, OF_SERVICE(client_rate_ns), 1000000, UINT64_MAX}},
     "a number and a time of 1ms or more, such as 100/10s"},
    {"client-prefix",
     '/',
     false,
     false,
     {{units_parse_count, OF_SERVICE(client_prefix4), 1, 32},
      {units_parse_count, OF_SERVICE(client_prefix6), 1, 128}},
     "two numbers of bits, for IPv4 and IPv6, such as 32/64"},
};

bool words_say_form(void *options, const struct option *word, const char *value,
                    char *why)
{
    char *owner = words_owner(options, word, why);
    const struct form *form = forms;
    const char *rest = value;
    uint64_t numbers[4] = {0};
    size_t count = 0;
    bool is_good = true;
    char item[64];

    while (strcmp(form->name, word->name) != 0) {
        form++;
    }
    for (; rest && is_good; count++) {
        const struct part *part = &form->parts[count];
        rest = split(rest, form->mark, item, sizeof(item));
        is_good = part->parse && part->parse(item, &numbers[count]) == 0 &&
                  numbers[count] >= part->least && numbers[count] <= part->most;
    }
    if (form->is_range && count == 1) {
        numbers[count++] = numbers[0];
    }
    if (!is_good || (form->is_range && numbers[0] > numbers[1]) ||
        (form->parts[count].parse && (!form->may_be_one || count > 1))) {
        return option_refuse(why, "'%.100s' is not %s", value, form->wanted);
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(owner + form->parts[i].offset, &numbers[i], sizeof(numbers[i]));
    }
    return true;
}

/* Parses "off", an interval such as "2s", or a kind such as "http" or
 * "mysql:USER". */
bool words_say_check(void *options, const struct option *word,
                     const char *value, char *why)
{
    struct config *config = options;
    struct config_route *route = words_owner(options, word, why);
    char name[64];
    const char *user = split(value, ':', name, sizeof(name));
    const bool is_off = strcmp(value, "off") == 0;
    enum weir_upstream_check_kind kind =
        is_off ? WEIR_UPSTREAM_CHECK_TCP : route->check;
    const bool is_kind =
        is_off || weir_upstream_check_kind_parse(name, &kind) == 0;
    char names[128];

    if (user ? !is_kind || !config_logs_in(kind) || user[0] == '\0' ||
                   strlen(user) > WEIR_UPSTREAM_CHECK_USER_MAX
             : !is_kind && (parse_time(value, &route->check_interval_ns) < 0 ||
                            route->check_interval_ns == 0)) {
        return option_refuse(
            why,
            "'%.200s' is neither %s, the last two with a user as in "
            "mysql:weir, nor a time such as 2s",
            value, option_list_choices(word, names, sizeof(names)));
    }
    if (!user && kind != route->check && config_logs_in(kind)) {
        return option_refuse(why, "the check needs a user: %.200s:USER", value);
    }
    route->check = kind;
    route->is_checked = !is_off;
    return !user || set_text(config, &route->check_user, user, why);
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

bool words_say_keepalive(void *options, const struct option *word,
                         const char *value, char *why)
{
    struct config_service *service = words_owner(options, word, why);

    if (strcmp(value, "off") == 0) {
        service->keepalive_idle_ns = 0;
        return true;
    }
    return words_say_form(options, word, value, why);
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
    return set_text(config, &config->log_names, value, why);
}

/* A certificate's key is in the same file unless 'key' follows. */
bool words_say_cert(void *options, const struct option *word, const char *value,
                    char *why)
{
    struct config *config = options;

    return words_add_text(options, word, value, why) &&
           (config_add_text(&config->arena, &config_service(config)->keys,
                            value) ||
            option_refuse(why, no_memory));
}

bool words_say_key(void *options, const struct option *word, const char *value,
                   char *why)
{
    struct config_service *service = words_owner(options, word, why);

    if (service->keys.count == 0) {
        return option_refuse(why, "it must follow the cert that it belongs to");
    }
    return set_text(options, &service->keys.texts[service->keys.count - 1],
                    value, why);
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
        at = split(at, ',', item, sizeof(item));
        if (weir_address_parse(item, 53, &address) < 0 &&
            weir_address_parse_with_port(item, &address) < 0) {
            return option_refuse(why,
                                 "'%.100s' is not an address such as 10.0.0.53 "
                                 "or [::1]:5353, or several of them",
                                 item);
        }
    } while (at && *at);
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

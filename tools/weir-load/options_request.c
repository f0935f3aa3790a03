/*
 * What is asked for: HTTP's method, path, fields and body, which answers are
 * expected, and how many requests a connection carries.
 *
 * A target http:// or https:// chooses the mode; with any other target --mode
 * http does, and --path says what is asked for.
 */
#include "options_table.h"

#include "script_request.h"
#include "tools/common/console.h"
#include "tools/common/units.h"
#include "wanted.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A connection's answers are counted in 32 bits. */
#define REQUESTS_PER_CONN_MAX 4000000000U

enum {
    FLAG_CHUNKED = OPTIONS_REQUEST_FIRST,
    FLAG_PATH,
    FLAG_EXPECT,
    FLAG_REQUESTS_PER_CONN,
    FLAG_REQUEST,
    FLAG_EXPECT_BEGIN,
    FLAG_MIX,
    FLAG_REPLAY,
    FLAG_REPLAY_SPEED,
    FLAG_DISABLE_KEEPALIVE,
};

static const struct option long_flags[] = {
    {"method", required_argument, NULL, 'X'},
    {"header", required_argument, NULL, 'H'},
    {"body", required_argument, NULL, 'b'},
    {"data", required_argument, NULL, 'b'},
    {"disable-keepalive", no_argument, NULL, FLAG_DISABLE_KEEPALIVE},
    {"chunked", no_argument, NULL, FLAG_CHUNKED},
    {"path", required_argument, NULL, FLAG_PATH},
    {"expect", required_argument, NULL, FLAG_EXPECT},
    {"requests-per-conn", required_argument, NULL, FLAG_REQUESTS_PER_CONN},
    {"request", required_argument, NULL, FLAG_REQUEST},
    {"expect-begin", required_argument, NULL, FLAG_EXPECT_BEGIN},
    {"mix", required_argument, NULL, FLAG_MIX},
    {"replay", required_argument, NULL, FLAG_REPLAY},
    {"replay-speed", required_argument, NULL, FLAG_REPLAY_SPEED},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "      --requests-per-conn N[:M]  then it closes and connects again; N to "
    "M\n"
    "\n"
    "HTTP (http://, https://, or --mode http):\n"
    "  -X, --method WORD        GET; POST with a body\n"
    "  -H, --header 'N: V'      a header; 'N:' leaves one out; may be "
    "repeated\n"
    "  -b, --body TEXT          a body, or @FILE for one that stands in a "
    "file\n"
    "      --chunked            send the body in chunks\n"
    "      --path PATH          of targets without one (/)\n"
    "      --expect STATUS      which are no failures, as 200 or 2xx,304 "
    "(below "
    "400)\n"
    "      --expect BODY        what bodies are: text:TEXT, file:NAME, "
    "len:SIZE, echo\n"
    "                           (that of the request), re:REGEX; besides a "
    "status\n"
    "Each request fills {seq}, {conn}, {rand:LOW:HIGH}, {letters:COUNT},\n"
    "{re:[a-z]{8}} and {file:NAME} anew, in paths, headers and bodies of the\n"
    "command line.\n"
    "\n"
    "Other protocols (tcp://, tls://, unix:):\n"
    "      --request TEXT       bytes, with \\r \\n \\t \\0 \\xHH; filled as "
    "above\n"
    "      --expect RULE        where the answer ends: delim:\\r\\n, "
    "count:2:\\r\\n,\n"
    "                           len:64, prefix:4be, prefix:2le@OFFSET+MORE\n"
    "      --expect-begin TEXT  what every answer begins with\n"
    "\n"
    "      --mix FILE           requests with weights, one a line: 90 GET "
    "/PATH "
    "BODY;\n"
    "                           other protocols: 90 RULE begin:TEXT "
    "REQUEST\n"
    "      --replay FILE        open loop: such lines with times for weights, "
    "in\n"
    "                           seconds from the begin: 12.25 GET /PATH BODY\n"
    "      --replay-speed X     times are divided by X (1)\n";

/* Is it right? Otherwise says why. */
static bool check(const char *flag, const char *value,
                  int (*look)(const char *value, char *why))
{
    char why[TEMPLATE_WHY_SIZE];

    if (look(value, why) < 0) {
        say("%s: %s", flag, why);
        return false;
    }
    return true;
}

static bool add_field(const char *value, struct http_options *http)
{
    if (!check("-H", value, http_check_field)) {
        return false;
    }
    if (http->field_count == HTTP_FIELDS_MAX) {
        say("-H: more than %u headers", HTTP_FIELDS_MAX);
        return false;
    }
    http->fields[http->field_count] = value;
    http->field_count++;
    return true;
}

static bool settle_expected(const char *value, struct http_options *http)
{
    size_t at = 0;

    if (value && http_parse_expected(value, http, &at) < 0) {
        say("--expect: '%s': no status at byte %zu; write 200 or 2xx,304, or "
            "for a body text:, file:, len:, re: or echo",
            value, at + 1);
        return false;
    }
    return true;
}

/* What bodies have to be. */
static bool settle_wanted(const struct run_options *options)
{
    const struct http_options *http = &options->http;
    char why[WANTED_WHY_SIZE];
    struct wanted wanted;

    if (!http->wanted) {
        return true;
    }
    if (wanted_parse(http->wanted, &wanted, why) < 0) {
        say("--expect: %s", why);
        return false;
    }
    const bool is_echo = wanted.kind == WANTED_ECHO;
    wanted_fini(&wanted);
    if (is_echo && !http->body && !options->kinds) {
        say("--expect echo: there is no body; see -b");
        return false;
    }
    if (http->method && strcmp(http->method, "HEAD") == 0) {
        say("--expect: answers to HEAD have no bodies");
        return false;
    }
    return true;
}

static bool read_requests_per_conn(const char *value,
                                   struct run_options *options)
{
    static const char want[] = "a count such as 100, or two such as 50:150";
    char low[64];
    const size_t len = strcspn(value, ":");

    if (len >= sizeof(low)) {
        return options_refuse("--requests-per-conn", value, want);
    }
    memcpy(low, value, len);
    low[len] = '\0';
    const char *high = value[len] == ':' ? value + len + 1 : low;
    uint64_t from = 0;
    uint64_t to = 0;
    if (units_parse_count(low, &from) < 0 || units_parse_count(high, &to) < 0) {
        return options_refuse("--requests-per-conn", value, want);
    }
    if (from == 0 || from > to || to > REQUESTS_PER_CONN_MAX) {
        say("--requests-per-conn: %s is out of range, 1 to 4G", value);
        return false;
    }
    options->requests_per_conn = (uint32_t)from;
    options->requests_per_conn_max = (uint32_t)to;
    return true;
}

static bool read_replay_speed(const char *value, double *ret)
{
    char *end = NULL;
    const double speed = strtod(value, &end);

    if (end == value || *end || !(speed >= REPLAY_SPEED_LEAST) ||
        !(speed <= REPLAY_SPEED_MOST)) {
        return options_refuse("--replay-speed", value,
                              "a number from 0.001 to 1000");
    }
    *ret = speed;
    return true;
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    struct http_options *http = &options->http;

    given->http |= flag == 'X' || flag == 'H' || flag == 'b' ||
                   flag == FLAG_CHUNKED || flag == FLAG_PATH;
    switch (flag) {
    case 'X':
        http->method = value;
        return check("-X", value, http_check_method);
    case 'H':
        return add_field(value, http);
    case 'b':
        http->body = value;
        return check("-b", value, http_check_body);
    case FLAG_CHUNKED:
        http->is_chunked = true;
        return true;
    case FLAG_PATH:
        http->path = value;
        return check("--path", value, http_check_path);
    case FLAG_EXPECT:
        *(wanted_is_meant(value) ? &http->wanted : &options->expected) = value;
        return true;
    case FLAG_REQUEST:
        options->script.request = value;
        return check("--request", value, script_request_check);
    case FLAG_DISABLE_KEEPALIVE:
        return read_requests_per_conn("1", options);
    case FLAG_MIX:
        given->mix = value;
        return true;
    case FLAG_REPLAY:
        given->replay = value;
        return true;
    case FLAG_REPLAY_SPEED:
        return read_replay_speed(value, &given->replay_speed);
    case FLAG_EXPECT_BEGIN:
        options->script.begin = value;
        return true;
    default:
        return read_requests_per_conn(value, options);
    }
}

/* A URL decides the mode; crr is one request for each connection then. */
static bool settle_urls(struct run_options *options,
                        const struct options_given *given)
{
    for (size_t i = 0; i < options->target_count; i++) {
        if (options->targets[i].is_http != options->targets[0].is_http) {
            say("http:// and other targets cannot be loaded together");
            return false;
        }
        const char *path = options->targets[i].path;
        if (path && !check(options->targets[i].text, path, http_check_path)) {
            return false;
        }
    }
    if (!options->targets[0].is_http) {
        return true;
    }
    if (options->mode == RUN_MODE_CRR) {
        options->requests_per_conn = 1;
        options->requests_per_conn_max = 1;
    } else if (given->mode && options->mode != RUN_MODE_HTTP) {
        say("--mode: %s is not for http://", options_mode_name(options->mode));
        return false;
    }
    options->mode = RUN_MODE_HTTP;
    return true;
}

/* What script.h makes of the flags. */
static bool settle_script(struct run_options *options)
{
    struct script_options *script = &options->script;
    char why[SCRIPT_WHY_SIZE];

    if (options->kinds) {
        return true;
    }
    if (options->expected && options->http.wanted) {
        say("--expect: one rule says where an answer ends");
        return false;
    }
    if (options->http.wanted) { /* len:SIZE, or a mistake */
        options->expected = options->http.wanted;
        options->http.wanted = NULL;
    }
    if (!script->request || !options->expected) {
        say("--mode script: it needs --request and --expect");
        return false;
    }
    if (script_parse_rule(options->expected, &script->rule, why) < 0) {
        say("--expect: %s", why);
        return false;
    }
    if (script->begin &&
        script_parse_begin(script->begin, &script->rule, why) < 0) {
        say("--expect-begin: %s", why);
        return false;
    }
    return true;
}

/* What a replay does without: its file says what they would. */
static bool refuse_beside_replay(const struct options_given *given)
{
    const struct {
        bool is_given;
        const char *flag;
        const char *reason;
    } others[] = {
        {given->rate, "-R", "has the times"},
        {given->stages, "--stages", "has the times"},
        {given->arrival, "--arrival", "has the times"},
        {given->mix != NULL, "--mix", "has the requests"},
        {given->requests, "-n", "sends all of its file"},
        {given->duration, "-d", "ends with its last answer"},
        {given->warmup, "-w", "measures all of its file"},
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (others[i].is_given) {
            say("%s: --replay %s", others[i].flag, others[i].reason);
            return false;
        }
    }
    return true;
}

static bool read_mix(const char *path, struct run_options *options)
{
    static struct mix mix;
    char why[MIX_WHY_SIZE];

    if (mix_read(path, options->mode == RUN_MODE_HTTP, &mix, why) < 0) {
        say("--mix: %s: %s", path, why);
        return false;
    }
    options->mix = &mix;
    options->kinds = mix.kinds;
    options->kind_count = mix.kind_count;
    return true;
}

static bool read_replay(const char *path, double speed,
                        struct run_options *options)
{
    static struct replay replay;
    char why[REPLAY_WHY_SIZE];

    if (replay_read(path, options->mode == RUN_MODE_HTTP, speed > 0 ? speed : 1,
                    &replay, why) < 0) {
        say("--replay: %s: %s", path, why);
        return false;
    }
    options->replay = &replay;
    options->kinds = replay.kinds;
    options->kind_count = replay.kind_count;
    return true;
}

/* The file says what is asked for, so nothing else does. */
static bool settle_file(struct run_options *options,
                        const struct options_given *given)
{
    const bool is_http = options->mode == RUN_MODE_HTTP;
    const struct http_options *http = &options->http;
    const char *flag = given->replay ? "--replay" : "--mix";

    if (given->replay && !refuse_beside_replay(given)) {
        return false;
    }
    for (size_t i = 0; i < options->target_count; i++) {
        const char *path = options->targets[i].path;
        if (path && strcmp(path, "/") != 0) {
            say("%s: it has the paths; write %.*s/", flag,
                (int)(path - options->targets[i].text),
                options->targets[i].text);
            return false;
        }
    }
    if (http->method || http->body || http->path || options->script.request ||
        options->script.begin ||
        ((options->expected || http->wanted) && !is_http)) {
        say("%s: it stands for -X, -b, --path, --request and its --expect",
            flag);
        return false;
    }
    return given->replay
               ? read_replay(given->replay, given->replay_speed, options)
               : read_mix(given->mix, options);
}

/* --request chooses the mode, as a URL does; with crr it is one for each
 * connection. */
static bool settle_mode(struct run_options *options,
                        const struct options_given *given)
{
    const bool has_file = given->mix || given->replay;
    const bool is_script = options->script.request != NULL ||
                           (has_file && options->mode != RUN_MODE_HTTP &&
                            !options->targets[0].is_http);
    const char *flag = given->replay ? "--replay"
                       : given->mix  ? "--mix"
                                     : "--request";

    if (!settle_urls(options, given)) {
        return false;
    }
    if (is_script && options->targets[0].is_datagram) {
        say("%s: it is not for udp://", flag);
        return false;
    }
    if (is_script && options->mode == RUN_MODE_CRR) {
        options->requests_per_conn = 1;
        options->requests_per_conn_max = 1;
        options->mode = RUN_MODE_SCRIPT;
    } else if (is_script &&
               (!given->mode || options->mode == RUN_MODE_SCRIPT) &&
               options->mode != RUN_MODE_HTTP) {
        options->mode = RUN_MODE_SCRIPT;
    } else if (is_script) {
        say("%s: it is not for mode %s", flag,
            options_mode_name(options->mode));
        return false;
    }
    if (has_file && !settle_file(options, given)) {
        return false;
    }
    if (given->replay_speed > 0 && !given->replay) {
        say("--replay-speed: there is no --replay");
        return false;
    }
    if (options->mode == RUN_MODE_SCRIPT) {
        return settle_script(options);
    }
    if (options->script.begin) {
        say("--expect-begin: it is for --request");
        return false;
    }
    if (options->mode == RUN_MODE_HTTP) {
        return settle_expected(options->expected, &options->http) &&
               settle_wanted(options);
    }
    if (options->expected || options->http.wanted) {
        say("--expect: it is for HTTP and --request");
        return false;
    }
    return true;
}

/* -H 'Connection: close' ends each connection behind its first request. */
static void settle_connection(struct run_options *options)
{
    bool closes = false;

    http_has_connection(&options->http, &closes);
    if (closes && options->requests_per_conn == 0) {
        options->requests_per_conn = 1;
        options->requests_per_conn_max = 1;
    }
}

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    if (!settle_mode(options, given)) {
        return false;
    }
    settle_connection(options);
    if (given->http && options->mode != RUN_MODE_HTTP) {
        say("-X, -H, -b, --chunked and --path are for HTTP; write "
            "http://HOST:PORT or --mode http");
        return false;
    }
    if (options->http.is_chunked && !options->http.body && !options->kinds) {
        say("--chunked: there is no body; see -b");
        return false;
    }
    if (options->requests_per_conn > 0 && options->targets[0].is_datagram) {
        say("--requests-per-conn: over udp:// nothing is connected");
        return false;
    }
    return true;
}

const struct options_group options_request = {
    .long_flags = long_flags,
    .short_flags = "X:H:b:",
    .read = read_flag,
    .settle = settle,
    .help = help,
};

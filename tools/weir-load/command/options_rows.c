/*
 * A row for each option of a run, in the order of --help, after the functions
 * that parse special values. options_settle.c handles dependencies between
 * options, and limits.c the limits of the machine.
 */
#include "command.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/units.h"
#include "tools/common/version.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/http1/http1.h"
#include "tools/weir-load/request/request.h"

#include "weir/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

_Static_assert(WHY_SIZE == OPTION_WHY_SIZE, "one size of reasons");

/* Larger values are mistakes. */
#define WEEK_NS       (7 * 24 * 3600 * SECOND)
#define CONNS_MAX     1000000U
#define DEPTH_MAX     65536U
#define IN_FLIGHT_MAX (UINT64_C(1) << 30)

#define WHOLE_MILLIONTHS 1000000U

/* The kernel doubles the size of a buffer, in 31 bits. */
#define BUFFER_MAX (UINT64_C(1) << 30)

/* Answers of a connection are counted in 32 bits. */
#define REQUESTS_PER_CONN_MAX 4000000000U

/* Limits of HTTP/2 (RFC 9113, sections 6.5.2 and 6.9.1). The lower limits are
 * the initial values of the protocol. */
#define WINDOW_LEAST 65535U
#define WINDOW_MOST  2147483647U
#define FRAME_LEAST  (16U << 10)
#define FRAME_MOST   ((1U << 24) - 1)
#define TABLE_MOST   (1U << 20)

static struct run_options *run_of(void *options)
{
    return &((struct options_reading *)options)->options;
}

static bool read_max_errors(void *options, const struct option *option,
                            const char *value, char *why)
{
    struct run_options *run = run_of(options);
    uint64_t share = 0;

    run->has_max_errors = true;
    run->max_errors_is_share = units_parse_count(value, &run->max_errors) < 0;
    if (!run->max_errors_is_share) {
        return true;
    }
    if (units_parse_percent(value, &share) < 0 || share > WHOLE_MILLIONTHS) {
        return option_refuse(
            why, "'%.200s' is not a count such as 10 or a share such as 0.1%%",
            value);
    }
    run->max_errors = share;
    return true;
}

static bool read_seed(void *options, const struct option *option,
                      const char *value, char *why)
{
    return (units_parse_count(value, &run_of(options)->seed) == 0 &&
            run_of(options)->seed <= INT64_MAX) ||
           option_refuse(why, "'%.200s' is not a number below 2^63", value);
}

static bool read_send(void *options, const struct option *option,
                      const char *value, char *why)
{
    run_of(options)->send_text = value;
    return sizes_parse(value, 1, &run_of(options)->send, why) == 0;
}

static bool read_recv(void *options, const struct option *option,
                      const char *value, char *why)
{
    run_of(options)->recv_text = value;
    return sizes_parse(value, 1, &run_of(options)->recv, why) == 0;
}

static int parse_local(const char *text, size_t len, struct weir_address *ret)
{
    char host[TARGET_HOST_SIZE];

    if (len >= sizeof(host)) {
        return WEIR_ENOTLITERAL;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    return weir_address_parse(host, 0, ret);
}

static bool read_locals(void *options, const struct option *option,
                        const char *value, char *why)
{
    struct run_options *run = run_of(options);
    const char *at = value;

    run->local_count = 0;
    for (;;) {
        const size_t len = strcspn(at, ",");
        if (run->local_count == OPTIONS_LOCALS_MAX) {
            return option_refuse(why, "more than %u addresses",
                                 OPTIONS_LOCALS_MAX);
        }
        int err = parse_local(at, len, &run->locals[run->local_count]);
        if (err < 0) {
            return option_refuse(why, "'%.200s', at character %zu: %s", value,
                                 (size_t)(at - value) + 1, weir_strerror(err));
        }
        run->local_count++;
        if (at[len] == '\0') {
            return true;
        }
        at += len + 1;
    }
}

/* Parses an address with @scheme before it. */
static bool read_place(void *options, const char *scheme, const char *value,
                       char *why)
{
    static char text[TARGET_HOST_SIZE + 32];

    if (strstr(value, "://") || snprintf(text, sizeof(text), "%s%s", scheme,
                                         value) >= (int)sizeof(text)) {
        return option_refuse(why, "'%.200s' is not HOST:PORT or unix:PATH",
                             value);
    }
    return target_parse(text, false, &run_of(options)->connect_to, why) == 0;
}

static bool read_connect_to(void *options, const struct option *option,
                            const char *value, char *why)
{
    return read_place(options, strncmp(value, "unix:", 5) == 0 ? "" : "tcp://",
                      value, why);
}

static bool read_unix(void *options, const struct option *option,
                      const char *value, char *why)
{
    return read_place(options, "unix:", value, why);
}

static bool read_family(void *options, const struct option *option,
                        const char *value, char *why)
{
    const int family = option->letter == '4' ? AF_INET : AF_INET6;
    int *field = &run_of(options)->family;

    if (*field != 0 && *field != family) {
        return option_refuse(why, "-4 and -6 exclude each other");
    }
    *field = family;
    return true;
}

static bool take_text(const char **field, const char *value,
                      int (*look)(const char *value, char *why), char *why)
{
    *field = value;
    return look(value, why) == 0;
}

static bool read_method(void *options, const struct option *option,
                        const char *value, char *why)
{
    return take_text(&run_of(options)->http.method, value, http_check_method,
                     why);
}

static bool read_header(void *options, const struct option *option,
                        const char *value, char *why)
{
    struct http_options *http = &run_of(options)->http;

    if (http->field_count == HTTP_FIELDS_MAX) {
        return option_refuse(why, "more than %u headers", HTTP_FIELDS_MAX);
    }
    return take_text(&http->fields[http->field_count++], value,
                     http_check_field, why);
}

static bool read_body(void *options, const struct option *option,
                      const char *value, char *why)
{
    return take_text(&run_of(options)->http.body, value, http_check_body, why);
}

static bool read_path(void *options, const struct option *option,
                      const char *value, char *why)
{
    return take_text(&run_of(options)->http.path, value, http_check_path, why);
}

static bool read_request(void *options, const struct option *option,
                         const char *value, char *why)
{
    return take_text(&run_of(options)->script.request, value,
                     script_request_check, why);
}

static bool read_expect(void *options, const struct option *option,
                        const char *value, char *why)
{
    struct run_options *run = run_of(options);

    *(wanted_is_meant(value) ? &run->http.wanted : &run->expected) = value;
    return true;
}

static bool read_version(void *options, const struct option *option,
                         const char *value, char *why)
{
    run_of(options)->http.version =
        strcmp(option->name, "http2") == 0 ? HTTP_VERSION_2 : HTTP_VERSION_1_1;
    return true;
}

static bool read_requests_per_conn(void *options, const struct option *option,
                                   const char *value, char *why)
{
    struct run_options *run = run_of(options);
    const size_t len = strcspn(value, ":");
    const char *high = value[len] == ':' ? value + len + 1 : value;
    char low[64] = "";
    uint64_t from = 0;
    uint64_t to = 0;

    if (len < sizeof(low)) {
        memcpy(low, value, len);
    }
    if (units_parse_count(low, &from) < 0 || units_parse_count(high, &to) < 0) {
        return option_refuse(
            why, "'%.200s' is not a count such as 100, or two such as 50:150",
            value);
    }
    if (from == 0 || from > to || to > REQUESTS_PER_CONN_MAX) {
        return option_refuse(why, "%.200s is out of range, 1 to 4G", value);
    }
    run->requests_per_conn = (uint32_t)from;
    run->requests_per_conn_max = (uint32_t)to;
    return true;
}

static bool read_disable_keepalive(void *options, const struct option *option,
                                   const char *value, char *why)
{
    return read_requests_per_conn(options, option, "1", why);
}

static bool read_rate(void *options, const struct option *option,
                      const char *value, char *why)
{
    double *field = (double *)((char *)options + option->offset);

    return (schedule_parse_rate(value, field) == 0 && *field > 0) ||
           option_refuse(why, "'%.200s' is not a rate such as 500 or 20k",
                         value);
}

static bool read_stages(void *options, const struct option *option,
                        const char *value, char *why)
{
    run_of(options)->stages = value;
    return schedule_parse(value, &run_of(options)->schedule, why) == 0;
}

static bool read_conn_stages(void *options, const struct option *option,
                             const char *value, char *why)
{
    run_of(options)->conn_stages_text = value;
    return conn_stages_parse(value, &run_of(options)->conn_stages, why) == 0;
}

/* Parses TIME, PERCENT% or both. A limit that is not given is 0. */
static bool parse_lateness(const char *value, struct run_options *run)
{
    const char *comma = strchr(value, ',');
    const bool has_time = comma || !strchr(value, '%');
    const size_t len = comma ? (size_t)(comma - value) : strlen(value);
    const char *share = comma ? comma + 1 : has_time ? "0%" : value;
    char time[32] = "0";

    if (has_time && (len == 0 || len >= sizeof(time))) {
        return false;
    }
    if (has_time) {
        memcpy(time, value, len);
        time[len] = '\0';
    }
    return units_parse_time(time, &run->lateness_limit_ns) == 0 &&
           run->lateness_limit_ns <= WEEK_NS &&
           units_parse_percent(share, &run->lateness_limit_share) == 0 &&
           run->lateness_limit_share <= WHOLE_MILLIONTHS;
}

static bool read_lateness(void *options, const struct option *option,
                          const char *value, char *why)
{
    return parse_lateness(value, run_of(options)) ||
           option_refuse(why,
                         "'%.200s' is not a time such as 2ms, a share such as "
                         "5%%, or both as 2ms,5%%",
                         value);
}

/* Finds the next multiple of the period since 1970 that is at least a tenth of
 * a period away, so that programs started together choose the same time. */
static bool read_next(const char *text, struct run_options *run, char *why)
{
    uint64_t every_ns = 0;

    if (units_parse_time(text, &every_ns) < 0 || every_ns < SECOND ||
        every_ns > WEEK_NS) {
        return option_refuse(why,
                             "'next:%.200s' is not a time such as "
                             "next:30s, of 1s at least",
                             text);
    }
    const uint64_t soonest_ns = clock_wall_ns() + every_ns / 10;
    run->start_at_ns = (soonest_ns / every_ns + 1) * every_ns;
    return true;
}

/* Parses seconds since 1970 with a fraction, or a UTC date and time. */
static bool parse_start(const char *value, double *ret)
{
    struct tm parts = {0};
    char *end = NULL;

    const char *rest = strptime(value, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (rest && *rest == '\0') {
        *ret = (double)timegm(&parts);
        return true;
    }
    *ret = strtod(value, &end);
    return end != value && *end == '\0';
}

static bool read_start(void *options, const struct option *option,
                       const char *value, char *why)
{
    double seconds = 0;

    if (strncmp(value, "next:", 5) == 0) {
        return read_next(value + 5, run_of(options), why);
    }
    if (!parse_start(value, &seconds)) {
        return option_refuse(why,
                             "'%.200s' is not a time such as "
                             "2026-01-31T12:00:00Z or next:30s",
                             value);
    }
    if (!(seconds >= 1 && seconds < 1e10)) {
        return option_refuse(why, "'%.200s' is not a time since 1970", value);
    }
    run_of(options)->start_at_ns = (uint64_t)(seconds * 1e9);
    return true;
}

static bool read_part(void *options, const struct option *option,
                      const char *value, char *why)
{
    return part_parse(value, &run_of(options)->part, why) == 0;
}

static bool read_cpus(void *options, const struct option *option,
                      const char *value, char *why)
{
    struct cpus *field = (struct cpus *)((char *)options + option->offset);

    return cpus_parse(value, field) ||
           option_refuse(why, "'%.200s' is not a list of CPUs such as 0,2-3",
                         value);
}

static bool read_json(void *options, const struct option *option,
                      const char *value, char *why)
{
    struct run_options *run = run_of(options);

    run->json = true;
    run->json_path = value && strcmp(value, "-") != 0 ? value : NULL;
    return !value || *value || option_refuse(why, "'' is not a file name");
}

static bool read_slo(void *options, const struct option *option,
                     const char *value, char *why)
{
    struct slo_error error;

    return slo_parse(value, &run_of(options)->slo, &error) == 0 ||
           option_refuse(why, "'%.200s', at character %zu: %s", value,
                         error.position, error.why);
}

static bool read_nothing(void *options, const struct option *option,
                         const char *value, char *why)
{
    return true;
}

/* Parses a percentile into the unit of histogram.h. */
static bool parse_column(const char *text, size_t len, uint32_t *ret)
{
    char percent[16];
    uint64_t millionths = 0;

    if (len == 0 || len + 2 > sizeof(percent)) {
        return false;
    }
    snprintf(percent, sizeof(percent), "%.*s%%", (int)len, text);
    if (units_parse_percent(percent, &millionths) < 0 || millionths == 0 ||
        millionths >= WHOLE_MILLIONTHS || millionths % 10 != 0) {
        return false;
    }
    *ret = (uint32_t)(millionths / 10);
    return true;
}

static bool read_columns(void *options, const struct option *option,
                         const char *value, char *why)
{
    struct run_options *run = run_of(options);
    const char *at = value;

    run->column_count = 0;
    for (;;) {
        const size_t len = strcspn(at, ",");
        if (run->column_count == OPTIONS_COLUMNS_MAX) {
            return option_refuse(why, "more than %u", OPTIONS_COLUMNS_MAX);
        }
        if (!parse_column(at, len, &run->columns[run->column_count])) {
            return option_refuse(
                why,
                "'%.200s', at character %zu: write percentiles above 0, up to "
                "99.999, as 50,99.9",
                value, (size_t)(at - value) + 1);
        }
        run->column_count++;
        if (at[len] == '\0') {
            return true;
        }
        at += len + 1;
    }
}

static bool read_label(void *options, const struct option *option,
                       const char *value, char *why)
{
    struct run_options *run = run_of(options);
    const size_t len = strcspn(value, "=");

    if (len == 0 || value[len] == '\0') {
        return option_refuse(why, "'%.200s' is not NAME=VALUE", value);
    }
    if (run->label_count == OPTIONS_LABELS_MAX) {
        return option_refuse(why, "more than %u", OPTIONS_LABELS_MAX);
    }
    run->labels[run->label_count++] = value;
    return true;
}

static bool read_tos(void *options, const struct option *option,
                     const char *value, char *why)
{
    char *end = NULL;
    const unsigned long tos = strtoul(value, &end, 0);

    if (end == value || *end || tos > UINT8_MAX) {
        return option_refuse(why, "'%.200s' is not a number from 0 to 255",
                             value);
    }
    run_of(options)->sockets.tos = (int)tos;
    return true;
}

static const char *const modes[] = {[RUN_MODE_ECHO] = "echo",
                                    [RUN_MODE_CRR] = "crr",
                                    [RUN_MODE_RR] = "rr",
                                    [RUN_MODE_HTTP] = "http",
                                    [RUN_MODE_SCRIPT] = "script",
                                    [RUN_MODE_STREAM] = "stream",
                                    [RUN_MODE_CONNECT] = "connect",
                                    [RUN_MODE_IDLE] = "idle",
                                    [RUN_MODE_REDIS] = "redis",
                                    [RUN_MODE_WS] = "ws",
                                    NULL};
static const char *const directions[] = {
    [RUN_UP] = "up", [RUN_DOWN] = "down", [RUN_BOTH] = "both", NULL};
static const char *const arrivals[] = {"const", "poisson", NULL};
static const char *const lates[] = {"queue", "skip", NULL};
static const char *const http_versions[] = {[HTTP_VERSION_1_1] = "1.1",
                                            [HTTP_VERSION_2] = "2",
                                            [HTTP_VERSION_AUTO] = "auto",
                                            NULL};
static const char *const data_orders[] = {
    [DATA_TURN] = "turn", [DATA_RANDOM] = "random", [DATA_ONCE] = "once", NULL};
static const char *const on_off[] = {"on", "off", NULL};
static const char *const proxy_versions[] = {"off", "v1", "v2", NULL};

static const struct option_rule no_rate[] = {{"stages", "has the rates"},
                                             {NULL, NULL}};
static const struct option_rule no_duration[] = {
    {"stages", "sets the length of the run"},
    {"conn-stages", "sets the length of the run"},
    {NULL, NULL}};
static const struct option_rule no_conns[] = {
    {"conn-stages", "has the numbers"}, {NULL, NULL}};
static const struct option_rule no_urls[] = {
    {"mix", "has the requests"},
    {"method", "belongs in its lines"},
    {"body", "belongs in its lines"},
    {"path", "belongs in its lines"},
    {"request", "belongs in its lines"},
    {"expect-begin", "belongs in its lines"},
    {NULL, NULL}};

#define AT(field)   .offset = offsetof(struct options_reading, options.field)
#define MARK(field) .mark = offsetof(struct options_reading, given.field) + 1

#define SWITCH(field) .kind = OPTION_SWITCH, AT(field)
#define NUMBER(kind_, from, to, field)                                         \
    .kind = kind_, .least = from, .most = to, AT(field)
#define CHOICE(words, field) .kind = OPTION_CHOICE, .choices = words, AT(field)
#define EITHER(words, field) .kind = OPTION_EITHER, .choices = words, AT(field)
#define TEXT(field)          .kind = OPTION_TEXT, AT(field)
#define TITLE(text)                                                            \
    {                                                                          \
        .kind = OPTION_TITLE, .help = text                                     \
    }
#define NOTE(text)                                                             \
    {                                                                          \
        .kind = OPTION_NOTE, .help = text                                      \
    }
#define TLS(reader) .read = reader, AT(tls), MARK_TLS
#define MARK_AT(at) .mark = offsetof(struct options_reading, options.at) + 1
#define MARK_TLS    MARK_AT(tls.given)

static const struct option rows[] = {
    {"connections", 'c', "N", "number of connections", .is_common = true,
     NUMBER(OPTION_COUNT, 1, CONNS_MAX, whole_conn_count), .initial = "10",
     .excludes = no_conns, .json = "connections"},
    {"duration", 'd', "TIME",
     "length of the measurement (10s; with -n: no limit)", .is_common = true,
     NUMBER(OPTION_TIME, SECOND / 1000, WEEK_NS, duration_ns), MARK(duration),
     .excludes = no_duration, .json = "duration_ns"},
    {"requests", 'n', "COUNT", "number of requests to measure",
     .is_common = true, NUMBER(OPTION_COUNT, 1, UINT64_MAX / 2, request_count),
     .excludes = no_duration, .json = "requests", .need = NEED_WINDOW},
    {"pipeline", 'p', "DEPTH", "requests in flight on each connection",
     .is_common = true, .aliases = "streams",
     NUMBER(OPTION_COUNT, 1, DEPTH_MAX, depth), .initial = "1",
     .need = NEED_PIPELINE, .json = "depth"},
    {"send", 0, "SIZE",
     "size of a request in bytes (128). At least 16 for echoes over UDP; a "
     "block of mode stream has 64K",
     .read = read_send, .need = NEED_SEND},
    {"recv", 0, "SIZE",
     "size of an answer in mode rr (as --send). Random sizes are "
     "uniform:64:1k, exp:1k, pareto:100:1.2:1M or mix:100:90,10k:10",
     .read = read_recv, .need = NEED_RR},
    {"warmup", 'w', "TIME", "length of the warm-up (1s; with -n: 0)",
     .is_common = true, NUMBER(OPTION_TIME, 0, WEEK_NS, warmup_ns),
     MARK(warmup), .json = "warmup_ns", .need = NEED_WINDOW},
    {"timeout", 0, "TIME",
     "time limit of an answer (5s). Over UDP the answer then counts as lost "
     "(1s)",
     .is_common = true, NUMBER(OPTION_TIME, SECOND / 1000, WEEK_NS, timeout_ns),
     MARK(timeout), .json = "timeout_ns"},
    {"connect-timeout", 0, "TIME", "time limit of a connect; not with UDP",
     NUMBER(OPTION_TIME, SECOND / 1000, WEEK_NS, connect_timeout_ns),
     .initial = "5s", .need = NEED_CONNECTIONS, .json = "connect_timeout_ns"},
    {"wait", 0, "TIME",
     "before the run, wait up to this time for the targets to answer",
     NUMBER(OPTION_TIME, SECOND / 1000, WEEK_NS, wait_ns),
     .need = NEED_CONNECTIONS},
    {"max-errors", 0, "N|P%", "number or share of requests that may fail (0)",
     .is_common = true, .read = read_max_errors},
    {"seed", 0, "N", "seed of the random payload (random)", .read = read_seed,
     .json = "seed", .kind = OPTION_COUNT, AT(seed)},
    {"engine", 0, "ENGINE",
     "event engine: uring, poll (epoll), or auto, which is uring if the kernel "
     "allows it (auto)",
     .read = engine_read, .choices = engine_names},
    OPTION_ROW_TLS_LIBRARY(0),
    {"ipv4", '4', NULL, "use only the IPv4 addresses of host names",
     .read = read_family},
    {"ipv6", '6', NULL, "use only the IPv6 addresses of host names",
     .read = read_family},
    {"bind", 0, "ADDR[,ADDR]", "local addresses, which connections use in turn",
     .read = read_locals},
    {"connect-to", 0, "PLACE",
     "connect to HOST:PORT or unix:PATH instead of the targets",
     .read = read_connect_to, .need = NEED_PATH},
    {"unix", 0, "PATH", "the same as --connect-to unix:PATH",
     .aliases = "unix-socket", .read = read_unix, .need = NEED_PATH},
    {"proxy-protocol", 0, "V",
     "send a PROXY header first on each connection: v1 or v2",
     CHOICE(proxy_versions, proxy_version), .initial = "off",
     .need = NEED_CONNECTIONS | NEED_PROXY},
    {"requests-per-conn", 0, "N[:M]",
     "close a connection after N requests, or N to M, and reconnect",
     .read = read_requests_per_conn, .need = NEED_CONNECTIONS | NEED_REQUESTS},
    {"disable-keepalive", 0, NULL, "the same as --requests-per-conn 1",
     .read = read_disable_keepalive, .need = NEED_CONNECTIONS | NEED_REQUESTS},

    TITLE("HTTP (http://, https://, or --mode http)"),
    {"method", 'X', "WORD", "HTTP method (GET; POST with a body)",
     .is_common = true, .read = read_method, .need = NEED_HTTP | NEED_GET,
     .json = "http.method", TEXT(http.method)},
    {"header", 'H', "'N: V'",
     "add a header, or omit it with 'N:'; may be repeated", .is_common = true,
     .read = read_header, .repeats = true, .need = NEED_HTTP},
    {"body", 'b', "TEXT",
     "request body, or @FILE for the contents of a file. With redis:// it is "
     "the command (PING), with ws:// the message",
     .is_common = true, .read = read_body, .need = NEED_BODIES,
     .json = "http.body", TEXT(http.body)},
    {"ws-text", 0, NULL, "WebSocket: send text messages (always with -b)",
     SWITCH(ws_is_text), .need = NEED_WS, .json = "ws.text"},
    {"chunked", 0, NULL, "send the body in chunks", SWITCH(http.is_chunked),
     .need = NEED_HTTP | NEED_BODY | NEED_GET, .json = "http.chunked"},
    {"path", 0, "PATH", "path to request from targets that have none (/)",
     .read = read_path, .need = NEED_HTTP | NEED_GET, .json = "http.path",
     TEXT(http.path)},
    {"expect", 0, "RULE",
     "status codes that succeed, such as 200 or 2xx,304. Without it all below "
     "400. Given again, the expected body: text:TEXT, file:NAME, len:SIZE, "
     "echo (the request's body) or re:REGEX. With other protocols, the end of "
     "an answer: delim:\\r\\n, count:2:\\r\\n, len:64, prefix:4be, "
     "prefix:2le@OFFSET+MORE",
     .is_common = true, .read = read_expect, .repeats = true,
     .need = NEED_EXPECT},
    {"http", 0, "VERSION",
     "HTTP version: 1.1, 2 or auto. 2 uses ALPN with https://, otherwise prior "
     "knowledge, and -p is the number of streams; auto uses the version that "
     "ALPN selects for each https:// connection",
     .is_common = true, CHOICE(http_versions, http.version), .initial = "1.1",
     .need = NEED_HTTP | NEED_VERSION, .json = "http2.version"},
    {"http2", 0, NULL, "the same as --http 2", .read = read_version,
     .need = NEED_HTTP | NEED_VERSION},
    {"http1.1", 0, NULL, "the same as --http 1.1", .read = read_version,
     .need = NEED_HTTP},
    {"window", 0, "SIZE", "HTTP/2: receive window of a stream",
     NUMBER(OPTION_SIZE, WINDOW_LEAST, WINDOW_MOST, http.window_bytes),
     .initial = "16M", .need = NEED_HTTP2, .json = "http2.window_bytes"},
    {"conn-window", 0, "SIZE", "HTTP/2: receive window of a connection",
     NUMBER(OPTION_SIZE, WINDOW_LEAST, WINDOW_MOST, http.conn_window_bytes),
     .initial = "1G", .need = NEED_HTTP2, .json = "http2.conn_window_bytes"},
    {"max-frame", 0, "SIZE", "HTTP/2: largest frame that a server may send",
     NUMBER(OPTION_SIZE, FRAME_LEAST, FRAME_MOST, http.frame_bytes),
     .initial = "16K", .need = NEED_HTTP2, .json = "http2.max_frame_bytes"},
    {"header-table", 0, "SIZE",
     "HTTP/2: size of each side's header compression table",
     NUMBER(OPTION_SIZE, 0, TABLE_MOST, http.table_bytes), .initial = "4K",
     .need = NEED_HTTP2, .json = "http2.header_table_bytes"},
    NOTE("{seq}, {conn}, {rand:LOW:HIGH}, {letters:COUNT}, {file:NAME} and "
         "{csv:COLUMN} are replaced in paths, headers and bodies."),

    TITLE("Other protocols (tcp://, tls://, unix:)"),
    {"request", 0, "TEXT",
     "raw request, with \\r \\n \\t \\0 \\xHH and {seq}. It is for tcp://, "
     "tls:// and unix:, and has the placeholders of HTTP",
     .is_common = true, .read = read_request, .json = "script.request",
     TEXT(script.request), .need = NEED_NO_UDP},
    {"expect-begin", 0, "TEXT",
     "text with which every answer to --request must begin", TEXT(script.begin),
     .json = "script.expect_begin", .need = NEED_SCRIPT},
    {"mix", 0, "FILE",
     "file of weighted requests: 90 GET /PATH BODY. Headers are on the lines "
     "below; Redis: 90 GET key; other protocols: 90 RULE begin:TEXT REQUEST",
     .is_common = true, .kind = OPTION_TEXT,
     .offset = offsetof(struct options_reading, given.path), MARK(file),
     .excludes = no_urls + 1, .need = NEED_NO_UDP | NEED_NO_WS},
    {"urls", 0, "FILE",
     "file of requests to send in turn: METHOD /PATH. Also /PATH, METHOD /PATH "
     "BODY, or URLs of the target, with headers and @FILE on the lines below; "
     "other protocols: RULE begin:TEXT REQUEST",
     .is_common = true, .kind = OPTION_TEXT,
     .offset = offsetof(struct options_reading, given.path), MARK(file),
     .excludes = no_urls, .need = NEED_NO_UDP | NEED_NO_WS},
    {"data", 0, "FILE",
     "CSV file whose first line names its columns; {csv:COLUMN} is a field of "
     "the request's row",
     TEXT(data_path), MARK(data), .need = NEED_NO_WS},
    {"data-order", 0, "HOW",
     "order of the rows: turn (one after the other), random, or once (as turn, "
     "but the run ends after the last)",
     CHOICE(data_orders, data_order), MARK(data_order), .initial = "turn",
     .needs = "data", .json = "data.order"},
    {"preamble", 0, "TEXT",
     "request to send once on each connection, before all others: METHOD /PATH "
     "BODY, other protocols: RULE begin:TEXT REQUEST, or @FILE with such "
     "lines; may be repeated",
     .read = preamble_read_request, .repeats = true,
     MARK_AT(preamble_words.preamble), .need = NEED_PREAMBLE},
    {"capture", 0, "NAME=WHAT",
     "store a value of the answer to the preceding --preamble for {NAME} in "
     "later requests: json:a.b[0].c, header:NAME or cookie:NAME; may be "
     "repeated",
     .read = preamble_read_capture, .repeats = true,
     MARK_AT(preamble_words.capture), .need = NEED_PREAMBLE},

    TITLE("When requests are sent"),
    {"rate", 'R', "RATE", "open loop: requests per second, in total",
     .is_common = true, .read = read_rate, .kind = OPTION_RATE, AT(rate),
     .excludes = no_rate, .json = "rate?", .need = NEED_RATE},
    {"arrival", 0, "HOW",
     "gaps between scheduled requests: const (equal) or poisson (random)",
     EITHER(arrivals, schedule.is_poisson), .initial = "const",
     .need = NEED_SCHEDULE, .json = "arrival"},
    {"stages", 0, "STAGES", "sequence of rates, such as 30s@1k,2m@1k..20k",
     .is_common = true, .read = read_stages, TEXT(stages), .json = "stages",
     .need = NEED_RATE},
    {"late", 0, "HOW",
     "scheduled request without a free connection: queue (it waits) or skip "
     "(it is dropped)",
     EITHER(lates, late_is_skipped), .initial = "queue", .need = NEED_SCHEDULE,
     .json = "late"},
    {"max-inflight", 0, "N", "maximum scheduled requests in flight, in total",
     NUMBER(OPTION_COUNT, 1, IN_FLIGHT_MAX, max_in_flight),
     .need = NEED_SCHEDULE, .json = "max_in_flight?"},
    {"lateness-limit", 0, "T|P%",
     "client's lateness above which the run is invalid: a time, a share of "
     "each reported figure, or T,P% for the larger of both (1ms,10%)",
     .read = read_lateness},
    {"think", 0, "TIME",
     "closed loop: pause between an answer and the next request (0)",
     NUMBER(OPTION_TIME, 1, WEEK_NS, think_ns),
     .need = NEED_REQUESTS | NEED_THINK, .json = "think_ns"},
    {"conn-stages", 0, "STAGES",
     "sequence of numbers of connections, such as 30s@0..100,1m@100; 30s:100 "
     "starts at the previous number",
     TEXT(conn_stages_text), .read = read_conn_stages,
     .need = NEED_CONNECTIONS | NEED_NO_STREAM, .json = "conn_stages"},
    {"conn-rate", 0, "RATE", "maximum new connections per second",
     .read = read_rate, .kind = OPTION_RATE, AT(conn_rate),
     .json = "conn_rate?"},
    {"start-at", 0, "TIME",
     "time at which sending begins: seconds since 1970, 2026-01-31T12:00:00Z, "
     "or next:30s, the next whole half minute",
     .read = read_start},
    {"part", 0, "I/N",
     "make part I of N of this load; auto reads both numbers, and auto/N the "
     "part, from Slurm, MPI or Kubernetes",
     .read = read_part},
    {"threads", 't', "N", "number of threads, which share the connections (1)",
     .is_common = true,
     NUMBER(OPTION_COUNT, 1, OPTIONS_THREADS_MAX, thread_count),
     .json = "threads"},
    {"cpu", 0, "LIST", "CPUs to bind the threads to, such as 2-3,6",
     .read = read_cpus, AT(cpus)},
    {"server-cpu", 0, "LIST",
     "CPUs of this machine that the server uses; the client must use others",
     .read = read_cpus, AT(server_cpus)},
    {"force", 0, NULL,
     "run even if --server-cpu has CPUs of the client, and only warn if a "
     "closed loop waited for a CPU",
     SWITCH(is_forced)},

    TITLE("Output"),
    {"interval", 'i', "TIME", "length of an interval of the report (1s)",
     .is_common = true, NUMBER(OPTION_TIME, SECOND / 100, WEEK_NS, interval_ns),
     MARK(interval), .json = "interval_ns"},
    {"json", 'j', "[=FILE]",
     "write the result as JSON to FILE, or to stdout. There it replaces the "
     "text",
     .is_common = true, .read = read_json},
    {"json-stream", 0, NULL,
     "print a line of JSON for each interval and for the result",
     SWITCH(files.streams)},
    {"hgrm", 0, "FILE",
     "write latencies by percentile in HdrHistogram's text format",
     TEXT(files.hgrm)},
    {"csv", 0, "FILE", "write the intervals as comma-separated values",
     .is_common = true, TEXT(files.csv)},
    {"log", 0, "FILE", "write each request as comma-separated values",
     .is_common = true, TEXT(files.log), .need = NEED_REQUESTS | NEED_NO_UDP},
    PUBLISH_ROWS(options_reading, options.files.publish),
    {"slo", 0, "EXPR", "objectives, such as 'p99<5ms,errors<0.1%'",
     .is_common = true, .read = read_slo},
    {"percentiles", 0, "LIST",
     "percentiles in the report (50,90,95,99,99.9,99.99)",
     .aliases = "percentile", .read = read_columns},
    {"label", 0, "NAME=VALUE", "label to store in the result; may be repeated",
     .read = read_label, .repeats = true},
    {"dry-run", 0, NULL, "check everything, print the plan, send nothing",
     .is_common = true, SWITCH(is_dry)},
    {"latency", 0, NULL, NULL /* accepted as in wrk; always on */,
     .aliases = "L U u_latency", .read = read_nothing},
    {"quiet", 'q', NULL, "print no live lines and no text report",
     .is_common = true, .aliases = "silent", SWITCH(quiet)},
    {"verbose", 'v', NULL, "print details about the library and the kernel",
     .is_common = true, SWITCH(verbose)},

    TITLE("Modes"),
    {"mode", 0, "MODE",
     "kind of load: echo, rr, crr, stream, connect or idle. echo: each request "
     "must be sent back, and is compared; rr: answers of a fixed size, not "
     "compared; crr: one connection for each echo; stream: an endless stream "
     "of bytes, see --direction; connect: connections are closed when they are "
     "established; idle: connections stay open until the end; script: with "
     "--request; http, redis and ws: as the URL says (over UDP: echo and rr)",
     .is_common = true, CHOICE(modes, mode), MARK(mode), .json = "mode",
     .need = NEED_MODE},
    {"direction", 0, "HOW", "direction of mode stream: {}",
     CHOICE(directions, direction), .initial = "up", .need = NEED_STREAM},

    TITLE("TLS"),
    {"ca", 0, "FILE", "trusted certificate authorities (the system's)",
     .is_common = true, .aliases = "cacert", TEXT(tls.options.authorities.file),
     MARK_TLS, .json = "tls.ca"},
    {"crl", 0, "FILE", "file of certificate revocation lists, of every issuer",
     TEXT(tls.options.revocations.file), MARK_TLS, .json = "tls.crl"},
    {"insecure", 'k', NULL, "do not verify the server's certificate",
     .is_common = true, SWITCH(tls.options.no_verify), .json = "tls.insecure"},
    {"sni", 0, "NAME", "server name to send and to verify (the host)",
     TEXT(tls.sni), MARK_TLS, .json = "tls.sni"},
    {"cert", 0, "FILE", "client certificate, for servers that request one",
     TLS(tls_read_cert), .repeats = true},
    {"key", 0, "FILE", "private key of --cert (in the file of the certificate)",
     TLS(tls_read_key)},
    {"key-passphrase-file", 0, "FILE",
     "file whose first line is the passphrase of --key",
     TEXT(tls.options.passphrase.file), MARK_TLS},
    {"key-log", 0, "FILE",
     "append the TLS secrets of connections to FILE, for Wireshark",
     TEXT(tls.key_log), MARK_TLS},
    {"alpn", 0, "LIST", "application protocols to offer, such as h2,http/1.1",
     TEXT(tls.options.alpn), MARK_TLS, .json = "tls.alpn", .need = NEED_ALPN},
    {"ciphers", 0, "LIST",
     "cipher suites by IANA names, separated by colons, most preferred first",
     TEXT(tls.options.ciphers), MARK_TLS, .json = "tls.ciphers"},
    {"groups", 0, "LIST",
     "groups of the key exchange, most preferred first, such as "
     "X25519:P-256:P-384 (all)",
     TEXT(tls.options.groups), MARK_TLS, .json = "tls.groups"},
    {"tls-min", 0, "VERSION", "lowest TLS version, 1.2 or 1.3 (1.2)",
     .read = tls_read_version, AT(tls.options.min_version), MARK_TLS},
    {"tls-max", 0, "VERSION", "highest TLS version (1.3)",
     .read = tls_read_version, AT(tls.options.max_version), MARK_TLS},
    {"resume", 0, "WHAT",
     "handshakes that resume a session, in modes crr and connect and with "
     "--requests-per-conn: off, ticket (all that can), or a share such as 0.9 "
     "(off)",
     TLS(tls_read_resume), .need = NEED_NEW_CONNECTIONS},

    TITLE("Sockets"),
    {"nodelay", 0, "on|off", "TCP_NODELAY: send small requests at once",
     EITHER(on_off, sockets.has_nagle), .initial = "on", .need = NEED_TCP},
    {"keepalive", 0, NULL, "SO_KEEPALIVE: probe idle connections",
     SWITCH(sockets.keeps_alive), .need = NEED_TCP,
     .json = "sockets.keepalive"},
    {"fast-open", 0, NULL,
     "TCP Fast Open: send the first bytes with the SYN (off)",
     SWITCH(sockets.fast_open), .need = NEED_TCP | NEED_FAST_OPEN,
     .json = "sockets.fast_open"},
    {"sndbuf", 0, "SIZE", "size of the sockets' send buffers (the system's)",
     NUMBER(OPTION_SIZE, 1, BUFFER_MAX, sockets.send_buffer_bytes),
     .json = "sockets.sndbuf_bytes?"},
    {"rcvbuf", 0, "SIZE", "size of the sockets' receive buffers (the system's)",
     NUMBER(OPTION_SIZE, 1, BUFFER_MAX, sockets.receive_buffer_bytes),
     .json = "sockets.rcvbuf_bytes?"},
    {"tos", 0, "N", "type of service or traffic class, 0 to 255, such as 0xb8",
     .read = read_tos, .need = NEED_INET},
    {"help", 'h', NULL, "list the common options; --help all lists every one",
     .kind = OPTION_HELP},
};

const struct option_set options_set = {
    .command = "weir-load run",
    .head =
        "Usage: weir-load [run] [FLAGS] TARGET...\n"
        "\n"
        "TARGET is http://HOST[:PORT]/PATH, https://, redis://HOST[:PORT], "
        "ws://,\n"
        "tcp://HOST:PORT, tls://, udp://, unix:PATH or tls+unix:PATH.\n"
        "Sends requests, and reports their rate and latency. A connection "
        "sends its\n"
        "next request when it has received an answer, or, with -R, on a fixed "
        "schedule.\n"
        "Example: weir-load run -c 50 -d 10s http://127.0.0.1:8080/index.html\n"
        "\n",
    .tail =
        "Units: k, M and G are powers of 1000 in counts, K, M and G of 1024 "
        "in sizes;\n"
        "times have us, ms, s, m or h, and a plain number is seconds.\n"
        "Exit codes: 0 valid, 1 internal error, 2 usage or a limit of this "
        "machine,\n"
        "3 nothing succeeded, 4 more errors than allowed, 5 run invalid, 99 "
        "an\n"
        "objective (--slo) does not hold, 130 interrupted.\n",
    .has_common = true,
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .gone = gone_find,
    .word = options_read_target,
};

const char *options_mode_name(enum run_mode mode)
{
    return modes[mode];
}

const char *options_direction_name(enum run_direction direction)
{
    return directions[direction];
}

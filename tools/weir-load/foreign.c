/*
 * A table. Where a flag means different things in several tools, its value, or
 * another word of the line, says which of them is meant; the row that fits most
 * comes last.
 *
 * A row whose name is one of our options has a test of the value that no value
 * of ours passes.
 */
#include "foreign.h"

#include "foreign_fill.h"
#include "foreign_tools.h"
#include "foreign_value.h"
#include "tools/common/units.h"
#include "url.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what a value looks like ---- */

static bool is_one_of(const char *value, const char *const *all)
{
    for (; value && *all; all++) {
        if (strcmp(value, *all) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_time(const char *value, char *const *words)
{
    uint64_t time;

    (void)words;
    return value && units_parse_time(value, &time) == 0;
}

static bool is_count(const char *value, char *const *words)
{
    uint64_t count;

    (void)words;
    return value && units_parse_count(value, &count) == 0;
}

/* A number and nothing else. */
static bool is_number(const char *value, char *const *words)
{
    (void)words;
    return value && *value && !value[strspn(value, "0123456789.")];
}

static bool is_zero(const char *value, char *const *words)
{
    (void)words;
    return value && (strcmp(value, "0") == 0 || strcmp(value, "-1") == 0);
}

/* A number of requests in a time: 100, 10k, 100/s. */
static bool is_rate(const char *value, char *const *words)
{
    (void)words;
    return value && isdigit((unsigned char)*value) &&
           !value[strspn(value, "0123456789.kK/s")];
}

/* Bytes, as iperf3 has them. */
static bool is_size(const char *value, char *const *words)
{
    (void)words;
    return value && isdigit((unsigned char)*value) &&
           !value[strspn(value, "0123456789kKmMgG")];
}

/* siege's times: 30S, 5M, 1H. */
static bool is_siege_time(const char *value, char *const *words)
{
    const size_t digits = value ? strspn(value, "0123456789") : 0;

    (void)words;
    return digits > 0 && value[digits] && strchr("SMH", value[digits]) &&
           !value[digits + 1];
}

static bool is_unit_time(const char *value, char *const *words)
{
    return is_time(value, words) &&
           !isdigit((unsigned char)value[strlen(value) - 1]);
}

static bool ends_with(const char *value, const char *end)
{
    const size_t len = value ? strlen(value) : 0;

    return len > strlen(end) && strcmp(value + len - strlen(end), end) == 0;
}

static bool is_url(const char *value, char *const *words)
{
    (void)words;
    return value && strstr(value, "://");
}

/* The target follows, or another flag. */
static bool is_nothing(const char *value, char *const *words)
{
    return !value || is_url(value, words);
}

/* Behind a flag that has no value in another tool. */
static bool is_no_time(const char *value, char *const *words)
{
    return is_nothing(value, words) || value[0] == '-';
}

static bool is_pair(const char *value, char *const *words)
{
    return value && strchr(value, ':') && !is_url(value, words);
}

static bool is_type(const char *value, char *const *words)
{
    return value && strchr(value, '/') && !is_url(value, words);
}

static bool is_file(const char *value, char *const *words)
{
    struct stat status;

    return value && !is_time(value, words) && stat(value, &status) == 0 &&
           S_ISREG(status.st_mode);
}

/* A name with a dot, or an address. */
static bool is_host(const char *value, char *const *words)
{
    return value && !is_count(value, words) && !is_url(value, words) &&
           (strcmp(value, "localhost") == 0 || strchr(value, '.')) &&
           !value[strspn(value, "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789.-_")];
}

static bool is_method(const char *value, char *const *words)
{
    static const char *const methods[] = {
        "GET",   "HEAD",  "POST",    "PUT",     "DELETE",
        "PATCH", "TRACE", "OPTIONS", "CONNECT", NULL};

    (void)words;
    return is_one_of(value, methods);
}

static bool is_true(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "true") == 0;
}

static bool is_false(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "false") == 0;
}

/* No time begins like this. */
static bool is_body(const char *value, char *const *words)
{
    (void)words;
    return value && !isdigit((unsigned char)*value);
}

static bool is_script(const char *value, char *const *words)
{
    const size_t len = value ? strlen(value) : 0;

    (void)words;
    return len > 4 && strcmp(value + len - 4, ".lua") == 0;
}

/* bombardier's -p says what is printed, and h2load's the protocol of ALPN. */
static bool is_print(const char *value, char *const *words)
{
    (void)words;
    return value && *value && !value[strspn(value, "ipr,")];
}

static bool is_protocol(const char *value, char *const *words)
{
    (void)words;
    return value &&
           (strncmp(value, "http/", 5) == 0 || strncmp(value, "h2", 2) == 0);
}

static bool is_protocol_2(const char *value, char *const *words)
{
    (void)words;
    return value && strncmp(value, "h2", 2) == 0;
}

static bool is_file_name(const char *value, char *const *words)
{
    return is_file(value, words) ||
           (value && !is_count(value, words) && !is_url(value, words) &&
            strpbrk(value, "./"));
}

static bool is_csv(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "csv") == 0;
}

static bool is_json(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "json") == 0;
}

/* A file for a result, and no target. */
static bool is_json_file(const char *value, char *const *words)
{
    return ends_with(value, ".json") && !is_url(value, words);
}

/* How connections of wrk2 arrive. */
static bool is_exponential(const char *value, char *const *words)
{
    (void)words;
    return value && (strcmp(value, "exp") == 0 || strcmp(value, "zipf") == 0);
}

static bool is_fixed(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "fixed") == 0;
}

static bool is_null_device(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "/dev/null") == 0;
}

static bool isnt_json(const char *value, char *const *words)
{
    return value && strcmp(value, "json") != 0 && !is_url(value, words);
}

static bool is_netperf_test(const char *value, char *const *words)
{
    (void)words;
    return value &&
           (strncmp(value, "TCP_", 4) == 0 || strncmp(value, "UDP_", 4) == 0);
}

/* ---- what else is in the line ---- */

static bool has_flag(char *const *words, const char *const *flags)
{
    for (; *words; words++) {
        for (const char *const *flag = flags; *flag; flag++) {
            if (strncmp(*words, *flag, strlen(*flag)) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* --data of curl is a body, and of h2load the file of one: nothing in the line
 * can have a field of rows. */
static bool is_named_csv(const char *value)
{
    const size_t len = strlen(value);

    return len >= 4 && strcmp(value + len - 4, ".csv") == 0;
}

static bool is_text(const char *value, char *const *words)
{
    (void)words;
    return value && access(value, F_OK) < 0 && !is_named_csv(value);
}

static bool is_sent_file(const char *value, char *const *words)
{
    static const char *const users[] = {"--mix",        "--urls", "--replay",
                                        "--data-order", "-b",     "--body",
                                        "--preamble",   NULL};

    if (!is_file(value, words) || is_named_csv(value) ||
        has_flag(words, users)) {
        return false;
    }
    for (; *words; words++) {
        if (strstr(*words, "{csv:")) {
            return false;
        }
    }
    return true;
}

static bool has_url(char *const *words)
{
    for (; *words; words++) {
        if (is_url(*words, words)) {
            return true;
        }
    }
    return false;
}

/* -t with a unit is a time-out in a line that says how long it is. */
static bool is_whole_time(const char *value, char *const *words)
{
    static const char *const lengths[] = {
        "-d", "--dur", "-z", "-n", "--req", "-D", "--stages", "--replay", NULL};

    return is_unit_time(value, words) && !has_flag(words, lengths);
}

/* -b alone, as siege has it: the next word is a flag or the only target. */
static bool is_no_body(const char *value, char *const *words)
{
    size_t urls = 0;

    for (; *words; words++) {
        urls += is_url(*words, words);
    }
    return !value || (urls == 1 && is_url(value, words));
}

/* vegeta's -body is a file. */
static bool is_vegeta_body(const char *value, char *const *words)
{
    static const char *const bodies[] = {"-body", NULL};

    return is_file(value, words) && has_flag(words, bodies);
}

/* siege's -i chooses from its file. */
static bool is_random(const char *value, char *const *words)
{
    static const char *const files[] = {"-f", "--file", NULL};

    return is_nothing(value, words) && has_flag(words, files);
}

/* -i is iterations where there are users. */
static bool is_iterations(const char *value, char *const *words)
{
    static const char *const users[] = {"-u", "--vus", NULL};

    return is_number(value, words) && has_flag(words, users);
}

/* A number of users where stages have it. */
static bool has_user_stages(const char *value, char *const *words)
{
    static const char *const stages[] = {"--stage", "-s", NULL};

    return is_number(value, words) && has_flag(words, stages);
}

/* -f is a body where there is a method to send it with. */
static bool is_body_file(const char *value, char *const *words)
{
    static const char *const methods[] = {"-m", "--method", "-X", NULL};

    return value && has_flag(words, methods);
}

/* Streams are requests under way in a line that asks for HTTP/1.1. */
static bool is_count_of_http1(const char *value, char *const *words)
{
    static const char *const versions[] = {"--h1", "--http1", NULL};

    return is_count(value, words) && has_flag(words, versions);
}

/* siege has neither a count nor a time then. */
static bool is_repetitions(const char *value, char *const *words)
{
    static const char *const lengths[] = {"-d",    "--dur", "-z", "-n",
                                          "--req", "-t",    NULL};

    return is_number(value, words) && !has_flag(words, lengths);
}

/* iperf3 -s is alone, or has a port. */
static bool is_server(const char *value, char *const *words)
{
    return !value && !has_url(words);
}

/* netperf's: no header is without a colon. */
static bool is_netperf_host(const char *value, char *const *words)
{
    return value && *value && !value[strcspn(value, ":= ")] && !has_url(words);
}

/* Sizes of h2load's frames; files have other names, or are there. */
static bool is_frame_size(const char *value, char *const *words)
{
    return is_size(value, words) && !is_file(value, words);
}

/* h2load's windows are powers of two; a warm-up of ours has no streams that are
 * written as there. */
static bool is_window(const char *value, char *const *words)
{
    static const char *const windows[] = {"-W", "--connection-window", NULL};

    return is_number(value, words) && has_flag(words, windows);
}

/* iperf3 -u has its place behind -c. */
static bool is_no_target(const char *value, char *const *words)
{
    return is_nothing(value, words) && !has_url(words);
}

static bool is_once(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "once") == 0;
}

/* ---- words that are no flags ---- */

static bool is_attack(const char *value, char *const *words)
{
    (void)words;
    return strcmp(value, "attack") == 0;
}

static bool is_program(const char *value, char *const *words)
{
    return !is_url(value, words) &&
           (ends_with(value, ".js") || ends_with(value, ".ts"));
}

static bool is_python(const char *value, char *const *words)
{
    (void)words;
    return ends_with(value, ".py");
}

static bool has_prefix(const char *value, const char *prefix)
{
    return strncasecmp(value, prefix, strlen(prefix)) == 0;
}

/* What httpie has before its URL. */
static bool is_method_word(const char *value, char *const *words)
{
    return has_url(words) && is_method(value, words);
}

static bool is_lower_method_word(const char *value, char *const *words)
{
    return has_url(words) && foreign_is_lower_method(value, words);
}

/* Commands that others have. */
static bool is_command(const char *value, char *const *words)
{
    static const char *const commands[] = {"bench", "load", "http", "https",
                                           NULL};

    return has_url(words) && is_one_of(value, commands);
}

/* "http://HOST/PATH POST BODY" */
static bool is_siege_target(const char *value, char *const *words)
{
    const char *blank = strchr(value, ' ');

    return is_url(value, words) && blank &&
           strncmp(blank + strspn(blank, " "), "POST", 4) == 0;
}

static bool is_grpc(const char *value, char *const *words)
{
    (void)words;
    return has_prefix(value, "grpc://") || has_prefix(value, "grpcs://");
}

static bool is_h2c(const char *value, char *const *words)
{
    (void)words;
    return has_prefix(value, "h2c://");
}

/* HOST, or HOST:PORT, which echo servers have as well. */
static bool is_place(const char *value, char *const *words)
{
    (void)words;
    return url_lacks_scheme(value) && !url_is_http_place(value);
}

/* ---- the rows ---- */

#define ROW(name_, is_, write_, advice_)                                       \
    .name = name_, .write = write_, .advice = advice_, .is_meant = is_

/* A flag that takes no value, one that takes one, a word that is no flag,
 * and one whose tool has another line. */
#define ALONE(name_, is_, write_, advice_)                                     \
    {                                                                          \
        ROW(name_, is_, write_, advice_)                                       \
    }
#define VALUE(name_, is_, write_, advice_)                                     \
    {                                                                          \
        ROW(name_, is_, write_, advice_), .has_value = true                    \
    }
#define WORD(is_, write_, advice_)                                             \
    {                                                                          \
        ROW("", is_, write_, advice_), .has_value = true, .is_word = true      \
    }
#define TARGET_OF(name_, is_, write_)                                          \
    {                                                                          \
        ROW(name_, is_, write_, TARGET), .has_value = true, .is_word = true    \
    }
#define FILLED_TARGET(name_, is_, fill_)                                       \
    {                                                                          \
        ROW(name_, is_, NULL, TARGET), .has_value = true, .is_word = true,     \
                                       .fill = (fill_)                         \
    }
#define FILLED(name_, is_, fill_, advice_)                                     \
    {                                                                          \
        ROW(name_, is_, NULL, advice_), .has_value = true, .fill = (fill_)     \
    }
#define FILLED_WORD(is_, fill_, advice_)                                       \
    {                                                                          \
        ROW("", is_, NULL, advice_), .has_value = true, .is_word = true,       \
                                     .fill = (fill_)                           \
    }
#define TOOL(name_, is_, fill_, advice_)                                       \
    {                                                                          \
        ROW(name_, is_, NULL, advice_), .has_value = true, .is_whole = true,   \
                                        .fill = (fill_)                        \
    }

#define VERSION     "HTTP/1.1 is spoken unless --http2 is given"
#define NO_HTTP3    "HTTP/3 is not spoken; --http2 is the newest there is"
#define NO_REDIRECT "redirects are not followed; write the place that they name"
#define NO_PROXY                                                               \
    "proxies of HTTP are not spoken to; --connect-to HOST:PORT goes there "    \
    "with the requests as they are"
#define USER  "a user is a header"
#define BASIC FOREIGN_BASIC
#define TYPE  "a type is a header"
#define HEAD  "a header is -H 'NAME: VALUE'"
#define JSON  "a result as JSON is --json=FILE"
#define BODY  "a body of a file is -b @FILE"
#define LIST                                                                   \
    "requests of a file are --urls FILE, with lines such as GET /PATH, and "   \
    "the host in the target"
#define SCRIPT                                                                 \
    "a script is not run; what it sends is -X, -H and -b, with {seq} and "     \
    "{rand:1:100} for what changes, several requests --mix FILE, many at a "   \
    "time -p N"
#define PROGRAM                                                                \
    "a program of k6 or locust is not run; what it sends is the target, -X, "  \
    "-H and -b, or --mix FILE, its stages --conn-stages, or --stages of "      \
    "rates, its thresholds --slo"
#define SCRIPT_OF(name_, is_)                                                  \
    {                                                                          \
        ROW(name_, is_, "-X|METHOD|-H|NAME: VALUE|-b|BODY", SCRIPT),           \
            .has_value = true, .fill = foreign_fill_script                     \
    }
#define LIST_OF(name_)                                                         \
    {                                                                          \
        ROW(name_, NULL, "--urls|%s", LIST),                                   \
            .has_value = true, .fill = foreign_fill_list, .fills_word = true   \
    }
#define NETPERF                                                                \
    "netperf's tests are modes: TCP_RR is rr, TCP_CRR crr, TCP_STREAM "        \
    "stream, "                                                                 \
    "TCP_MAERTS stream with --direction down; the other side is weir-load "    \
    "serve, in mode rr with the same sizes, or discard for streams"
#define SOCKPERF                                                               \
    "sockperf's tests are mode rr, and echoes over UDP: under-load has -R; "   \
    "the other side is weir-load serve"
#define TCPKALI                                                                \
    "tcpkali's messages are --request, and where an answer ends --expect, "    \
    "here as long as the message; of ws:// they are -b"
#define OBJECTIVE "an objective is --slo EXPR, as p95<200ms,errors<1%"
#define RAMP                                                                   \
    "rates that rise are --stages, as 30s@0..500,1m@500, and connections "     \
    "--conn-stages, as 30s@0..50,1m@50"
#define USERS                                                                  \
    "stages of users are --conn-stages; --stages has rates, as 30s@1..100"
#define FIRST_USERS                                                            \
    "stages of users say how many there are; the first begins at 1, or where " \
    "it is written as TIME@N..M at N"
#define PAGE                                                                   \
    "a page is drawn of a result: weir-load report -o PAGE.html result.json"
#define WINDOW                                                                 \
    "windows are --window SIZE and --conn-window SIZE, 16M and 1G unless said"
#define PLACE                                                                  \
    "a target has a scheme: http:// or https://, or tcp:// for an echo"
#define METHOD    "methods are written in capitals"
#define TARGET    "the target stands without a flag"
#define GROUPS    "numbers have no separators"
#define TIMEOUT   "a time-out is --timeout TIME"
#define DURATION  "a duration is -d TIME"
#define NOT_SHOWN "it changes nothing here"
#define IPERF3                                                                 \
    "iperf3's streams are --mode stream: -P N is -c N, -t TIME -d TIME, -R "   \
    "--direction down, --bidir --direction both, -l SIZE --send SIZE; the "    \
    "other side is weir-load serve, in mode discard, chargen or echo"
#define REDIS                                                                  \
    "Redis is redis://HOST, a command -b, and several commands --mix FILE"

const struct option_foreign foreign_words[] = {
    /* Letters that are options here, with values that are not of them. */
    VALUE("data", is_sent_file, "-b|@%s",
          "--data is a file of rows here; " BODY),
    VALUE("data", is_text, "-b|%s",
          "--data is a file of rows here; a body is -b TEXT"),
    VALUE("d", is_file, "-b|@%s", "-d is a duration here; " BODY),
    VALUE("d", is_body, "-b|%s", "-d is a duration here; a body is -b TEXT"),
    FILLED("stage", foreign_is_user_stages, foreign_fill_user_stages, USERS),
    FILLED("stages", foreign_is_user_stages, foreign_fill_user_stages, USERS),
    VALUE("q", is_rate, "-R|%s",
          "-q is quiet here; a rate is -R RATE, of all connections together"),
    TOOL("i", foreign_is_sockperf, foreign_fill_sockperf, SOCKPERF),
    TOOL("ip", foreign_is_sockperf, foreign_fill_sockperf, SOCKPERF),
    TOOL("tcp", foreign_is_sockperf, foreign_fill_sockperf, SOCKPERF),
    TOOL("m", foreign_is_sockperf, foreign_fill_sockperf, SOCKPERF),
    TOOL("p", foreign_is_sockperf, foreign_fill_sockperf, SOCKPERF),
    TOOL("t", foreign_is_sockperf, foreign_fill_sockperf, SOCKPERF),
    TOOL("T", foreign_is_tcpkali, foreign_fill_tcpkali, TCPKALI),
    TOOL("m", foreign_is_tcpkali, foreign_fill_tcpkali, TCPKALI),
    TOOL("em", foreign_is_tcpkali, foreign_fill_tcpkali, TCPKALI),
    TOOL("ws", foreign_is_tcpkali, foreign_fill_tcpkali, TCPKALI),
    TOOL("connect-rate", foreign_is_tcpkali, foreign_fill_tcpkali, TCPKALI),
    TOOL("t", is_netperf_test, foreign_fill_netperf, NETPERF),
    TOOL("H", is_netperf_host, foreign_fill_netperf, NETPERF),
    FILLED("H", foreign_is_equated, foreign_fill_header, HEAD),
    FILLED("header", foreign_is_equated, foreign_fill_header, HEAD),
    FILLED("headers", foreign_is_equated, foreign_fill_header, HEAD),
    FILLED("n", foreign_is_grouped, foreign_fill_count, GROUPS),
    FILLED("requests", foreign_is_grouped, foreign_fill_count, GROUPS),
    FILLED("X", foreign_is_lower_method, foreign_fill_method, METHOD),
    FILLED("m", foreign_is_lower_method, foreign_fill_method, METHOD),
    FILLED("method", foreign_is_lower_method, foreign_fill_method, METHOD),
    FILLED("slo", foreign_is_threshold, foreign_fill_threshold,
           "objectives are written as p95<500ms"),
    VALUE("w", is_window, "", WINDOW),
    ALONE("w", is_no_time, "",
          "-w is a warm-up here; what is under way at the end is waited for"),
    TOOL("t", foreign_is_redis_test, foreign_fill_redis,
         "-t is threads here; " REDIS),
    VALUE("t", is_siege_time, "-d|%l", "-t is threads here; " DURATION),
    VALUE("t", is_whole_time, "-d|%s",
          "-t is threads here; " DURATION ", and " TIMEOUT),
    VALUE("t", is_unit_time, "--timeout|%s",
          "-t is threads here; " TIMEOUT ", and " DURATION),
    VALUE("p", is_print, "", "-p is requests under way here"),
    VALUE("p", is_protocol_2, "--http2", "-p is requests under way here"),
    VALUE("p", is_protocol, "", "-p is requests under way here; " VERSION),
    VALUE("p", is_file_name, "-b|@%s", "-p is requests under way here; " BODY),
    VALUE("i", is_file, "-b|@%s", "-i is an interval here; " BODY),
    VALUE("i", is_iterations, "-n|%s",
          "-i is an interval here; a count of requests is -n N"),
    ALONE("i", is_random, "",
          "requests of --urls come in turn, of --mix at random"),
    ALONE("i", is_nothing, "-X|HEAD", "-i is an interval here"),
    ALONE("b", is_no_body, "",
          "-b is a body here; there is no time between requests to turn off"),
    VALUE("body", is_vegeta_body, "-b|@%s", BODY),
    TOOL("c", is_host, foreign_fill_iperf3, IPERF3),
    TOOL("h", is_host, foreign_fill_redis, "-h is help here; " REDIS),
    VALUE("l", is_size, "--send|%s", "a size of requests is --send SIZE"),
    VALUE("m", is_count_of_http1, "-p|%s",
          "-m is a method here; requests under way on a connection are -p N"),
    VALUE("m", is_count, "-p|%s|--http2",
          "-m is a method here; requests under way on a connection are -p N"),
    VALUE("v", is_number, "", "-v takes no number here"),
    VALUE("request", is_method, "-X|%s",
          "--request is what other protocols send; a method is -X METHOD"),
    VALUE("keepalive", is_false, "--disable-keepalive",
          "--keepalive is SO_KEEPALIVE here"),
    ALONE("keepalive", is_true, "", "connections are kept"),
    VALUE("rate", is_zero, "", "without a rate it is as fast as can be"),
    ALONE("n", is_nothing, "", NOT_SHOWN),
    /* Letters that are no options. */
    VALUE("D", is_exponential, "--arrival|poisson",
          "gaps between requests are --arrival"),
    VALUE("D", is_fixed, "", "gaps are equal unless --arrival is given"),
    VALUE("D", is_time, "-d|%s", DURATION),
    VALUE("D", NULL, "-b|@%s", BODY),
    VALUE("T", is_type, "-H|Content-Type: %s", TYPE),
    VALUE("T", is_time, "--timeout|%s", TIMEOUT),
    VALUE("T", NULL, "-H|Content-Type: %s", TYPE),
    VALUE("A", is_pair, BASIC, USER),
    VALUE("A", is_type, "-H|Accept: %s", HEAD),
    VALUE("A", NULL, "-H|User-Agent: %s", HEAD),
    VALUE("C", NULL, "-H|Cookie: %s", "a cookie is a header"),
    VALUE("a", is_pair, BASIC, USER),
    VALUE("a", is_count, "-n|%s", "a count of requests is -n N"),
    ALONE("a", NULL, "--disable-keepalive", "each request has a connection"),
    {ROW("r", is_repetitions, "-R|%s",
         "repetitions of each user are -n N, of all connections together; a "
         "rate is -R RATE"),
     .has_value = true, .fill = foreign_fill_repetitions},
    VALUE("r", is_rate, "-R|%s",
          "a rate is -R RATE; repetitions of each user are -n N, of all "
          "connections together"),
    {ROW("r", is_once, "", "each URL of the file once is -n N"),
     .has_value = true, .fill = foreign_fill_once},
    ALONE("r", NULL, "", "an error ends nothing but its connection"),
    FILLED("s", foreign_is_user_stages, foreign_fill_user_stages, USERS),
    SCRIPT_OF("s", is_script),
    VALUE("s", is_time, "--timeout|%s", TIMEOUT),
    TOOL("s", is_host, foreign_fill_memtier, REDIS),
    TOOL("s", is_server, foreign_fill_iperf3_server,
         "the server of a load is weir-load serve"),
    SCRIPT_OF("s", is_file),
    ALONE("s", NULL, "", NOT_SHOWN),
    VALUE("f", is_python, "", PROGRAM),
    VALUE("f", is_frame_size, "",
          "frames are as large as the server sends them"),
    VALUE("f", is_body_file, "-b|@%s", BODY),
    LIST_OF("f"),
    VALUE("u", is_pair, BASIC, USER),
    VALUE("u", has_user_stages, "", FIRST_USERS),
    VALUE("u", is_count, "-c|%s", "as many users as connections: -c N"),
    TOOL("u", is_no_target, foreign_fill_iperf3,
         "over UDP each datagram is answered: the target is udp://HOST:PORT, "
         "and the server weir-load serve udp://ADDRESS:PORT"),
    VALUE("u", NULL, "-X|PUT|-b|@%s", BODY),
    ALONE("P", is_nothing, "--log|requests.csv",
          "a line for each request is --log FILE"),
    VALUE("P", is_count, "-p|%s", "requests under way are -p N"),
    VALUE("P", NULL, NULL, NO_PROXY),
    VALUE("o", is_null_device, "", "bodies are not written"),
    VALUE("o", is_csv, "--log|requests.csv",
          "a line for each request is --log FILE"),
    VALUE("o", isnt_json, "--json=%=", JSON),
    VALUE("x", NULL, NULL, NO_PROXY),
    VALUE("X", is_pair, NULL, NO_PROXY),
    VALUE("e", is_url, "-H|Referer: %s", HEAD),
    VALUE("e", NULL, "--hgrm|%s", "times by percentile are --hgrm FILE"),
    VALUE("g", NULL, "--log|%s", "a line for each request is --log FILE"),
    ALONE("I", NULL, "-X|HEAD", "a method is -X METHOD"),
    VALUE("N", is_count, "-n|%s", "a count of requests is -n N"),
    VALUE("W", is_number, "", WINDOW),
    VALUE("F", NULL, NULL, "a form of several parts is a body: -b @FILE"),
    ALONE("2", NULL, "--http2", "HTTP/2 is --http2"),
    /* Names: what is sent. */
    TARGET_OF("host", is_url, "%s"),
    FILLED_TARGET("host", foreign_has_port, foreign_fill_place),
    VALUE("port", is_count, "", "the port stands in the target"),
    TARGET_OF("url", NULL, "%s"),
    TARGET_OF("uri", NULL, "%s"),
    TARGET_OF("target", NULL, "%s"),
    VALUE("host", NULL, "-H|Host: %s", "a host is a header"),
    VALUE("user", NULL, BASIC, USER),
    VALUE("cookie", NULL, "-H|Cookie: %s", "a cookie is a header"),
    VALUE("content-type", NULL, "-H|Content-Type: %s", TYPE),
    VALUE("user-agent", NULL, "-H|User-Agent: %s", HEAD),
    ALONE("compressed", NULL, "-H|Accept-Encoding: gzip", HEAD),
    VALUE("data-binary", NULL, "-b|%s", "a body is -b TEXT, or -b @FILE"),
    VALUE("data-raw", NULL, "-b|%s", "a body is -b TEXT, or -b @FILE"),
    VALUE("json-body", NULL, "-b|%s", "a body is -b TEXT, or -b @FILE"),
    VALUE("body-file", NULL, "-b|@%s", BODY),
    VALUE("input", NULL, "-b|@%s", BODY),
    ALONE("head", NULL, "-X|HEAD", "a method is -X METHOD"),
    LIST_OF("targets"),
    ALONE("urls-from-file", is_nothing, "", LIST),
    LIST_OF("urls-from-file"),
    LIST_OF("file"),
    LIST_OF("input-file"),
    SCRIPT_OF("script", NULL),
    ALONE("http2", is_false, "", VERSION),
    ALONE("http3", NULL, "", NO_HTTP3),
    ALONE("h2c", NULL, "--http2", "without TLS --http2 is prior knowledge"),
    ALONE("h3", NULL, "", NO_HTTP3),
    VALUE("npn-list", is_protocol_2, "--http2", "HTTP/2 is --http2"),
    VALUE("npn-list", NULL, "", VERSION),
    VALUE("alpn-list", is_protocol_2, "--http2", "HTTP/2 is --http2"),
    VALUE("alpn-list", NULL, "", VERSION),
    VALUE("no-tls-proto", is_protocol_2, "--http2", "HTTP/2 is --http2"),
    VALUE("no-tls-proto", NULL, "", VERSION),
    ALONE("no-http2", NULL, "", VERSION),
    VALUE("max-frame-size", NULL, "--max-frame|%s",
          "the size of frames is --max-frame"),
    VALUE("header-table-size", NULL, "--header-table|%s",
          "the tables of headers of both sides are --header-table"),
    VALUE("encoder-header-table-size", NULL, "--header-table|%s",
          "the tables of headers of both sides are --header-table"),
    VALUE("window-bits", NULL, "", WINDOW),
    VALUE("connection-window-bits", NULL, "", WINDOW),
    VALUE("redirect", is_zero, "", NO_REDIRECT),
    VALUE("redirects", is_zero, "", NO_REDIRECT),
    VALUE("redirect", NULL, "", NO_REDIRECT),
    VALUE("redirects", NULL, "", NO_REDIRECT),
    VALUE("max-redirects", NULL, "", NO_REDIRECT),
    VALUE("max-redirs", NULL, "", NO_REDIRECT),
    ALONE("location", NULL, "", NO_REDIRECT),
    ALONE("no-follow", NULL, "", NO_REDIRECT),
    ALONE("follow", NULL, "", NO_REDIRECT),
    ALONE("no-parser", NULL, "", "pages are not read for more URLs"),
    VALUE("proxy", NULL, NULL, NO_PROXY),
    /* Names: how much, and when. */
    VALUE("vus", has_user_stages, "", FIRST_USERS),
    VALUE("vus", NULL, "-c|%s", "as many users as connections: -c N"),
    VALUE("users", NULL, "-c|%s", "as many users as connections: -c N"),
    VALUE("iterations", NULL, "-n|%s", "a count of requests is -n N"),
    VALUE("amount", NULL, "-n|%s", "a count of requests is -n N"),
    {ROW("reps", is_once, "", "each URL of the file once is -n N"),
     .has_value = true, .fill = foreign_fill_once},
    {ROW("reps", NULL, NULL,
         "repetitions of each user are -n N, of all "
         "connections together"),
     .has_value = true, .fill = foreign_fill_repetitions},
    VALUE("time", is_siege_time, "-d|%l", DURATION),
    VALUE("time", is_time, "-d|%s", DURATION),
    ALONE("no-warmup", NULL, "-w|0", "a warm-up is -w TIME"),
    ALONE("keep-alive", NULL, "", "connections are kept"),
    VALUE("run-time", NULL, "-d|%s", DURATION),
    VALUE("test-time", NULL, "-d|%s", DURATION),
    VALUE("timelimit", NULL, "-d|%s", DURATION),
    VALUE("overallRate", NULL, "-R|%s", "a rate is -R RATE"),
    VALUE("spawn-rate", NULL, "--conn-rate|%s",
          "connections a second are --conn-rate RATE"),
    VALUE("connectionRate", NULL, NULL,
          "a rate of each connection: -R RATE has that of all together"),
    VALUE("burst-rate", NULL, NULL,
          "bursts are not sent; --stages STAGES has steps of rates"),
    VALUE("burst-delay", NULL, NULL,
          "bursts are not sent; --stages STAGES has steps of rates"),
    VALUE("rand-regex-url", NULL, NULL,
          "paths are drawn by {letters:8} in the target"),
    VALUE("delay", NULL, "--think|%s", "a pause is --think TIME"),
    ALONE("benchmark", NULL, "", "there is no pause to turn off"),
    VALUE("clients", NULL, "-c|%s",
          "connections are -c N, of all threads together"),
    VALUE("max-workers", NULL, "-c|%s", "connections are -c N"),
    VALUE("workers", NULL, "", "threads are -t N, and connections -c N"),
    VALUE("max-connections", NULL, "-c|%s", "connections are -c N"),
    VALUE("message-rate", NULL, "-R|%s", "a rate is -R RATE"),
    VALUE("ramp", NULL, NULL, RAMP),
    VALUE("ramp-up", NULL, NULL, RAMP),
    VALUE("p50", is_time, "--slo|p50<%s", OBJECTIVE),
    VALUE("p90", is_time, "--slo|p90<%s", OBJECTIVE),
    VALUE("p95", is_time, "--slo|p95<%s", OBJECTIVE),
    VALUE("p99", is_time, "--slo|p99<%s", OBJECTIVE),
    FILLED("threshold", foreign_is_threshold, foreign_fill_threshold,
           OBJECTIVE),
    VALUE("threshold", NULL, "--slo|%s", OBJECTIVE),
    VALUE("cpus", NULL, "-t|%s", "threads are -t N"),
    /* Names: results. */
    VALUE("out", NULL, "--json=%=", JSON),
    VALUE("output", is_csv, "--log|requests.csv",
          "a line for each request is --log FILE"),
    VALUE("output", is_json, "--json", JSON),
    VALUE("output", isnt_json, "--json=%=", JSON),
    VALUE("output-file", NULL, "--json=%s", JSON),
    VALUE("output-format", is_csv, "--log|requests.csv",
          "a line for each request is --log FILE"),
    VALUE("output-format", isnt_json, "", "a result is text, or JSON"),
    VALUE("format", isnt_json, "", "a result is text, or JSON"),
    VALUE("print", NULL, "", NOT_SHOWN),
    VALUE("log-file", NULL, "--log|%s",
          "a line for each request is --log FILE"),
    VALUE("html", NULL, "--json=result.json", PAGE),
    VALUE("report", NULL, "--json=result.json", PAGE),
    ALONE("histogram", NULL, "", NOT_SHOWN),
    ALONE("internet", NULL, "",
          "requests of --urls come in turn, of --mix at "
          "random"),
    VALUE("session-tickets", NULL, "", NOT_SHOWN),
    VALUE("lazy", NULL, "", NOT_SHOWN),
    VALUE("max-body", NULL, "", NOT_SHOWN),
    VALUE("dns-ttl", NULL, "", NOT_SHOWN),
    VALUE("chunked", is_false, "", "a body is sent whole unless --chunked"),
    VALUE("root-certs", NULL, "--ca|%s", "authorities are --ca FILE"),
    VALUE("laddr", NULL, "--bind|%s", "an own address is --bind ADDRESS"),
    VALUE("listen", NULL, "", "there is no page while it runs"),
    ALONE("summary", NULL, "", NOT_SHOWN),
    ALONE("headless", NULL, "", NOT_SHOWN),
    VALUE("name", NULL, "--label|name=%s", "a name is --label NAME=VALUE"),
    VALUE("title", NULL, "--label|title=%s", "a name is --label NAME=VALUE"),
    /* Names of tools for other protocols. */
    TOOL("client", NULL, foreign_fill_iperf3, IPERF3),
    TOOL("server", NULL, foreign_fill_memtier, REDIS),
    TOOL("csv", is_server, foreign_fill_redis, REDIS),
    VALUE("ratio", NULL, NULL, REDIS),
    /* Words that are no flags. */
    VALUE("", is_attack, "", "vegeta's attack is what is done without a word"),
    VALUE("", is_program, "", PROGRAM),
    {ROW("", is_siege_target, NULL,
         "a method is -X METHOD, and a body -b TEXT"),
     .has_value = true, .is_word = true, .fill = foreign_fill_target},
    VALUE("", is_json_file, "--json=%s", JSON),
    VALUE("", is_method_word, "-X|%s", "a method is -X METHOD"),
    FILLED("", is_lower_method_word, foreign_fill_method,
           "a method is -X METHOD"),
    VALUE("", is_command, "", "a run is what is done without a word"),
    FILLED_WORD(foreign_is_unix_url, foreign_fill_unix,
                "the path of a Unix socket is --unix PATH"),
    FILLED_WORD(foreign_is_broken_url, foreign_fill_broken_url,
                "a URL has two slashes behind its scheme"),
    FILLED_WORD(foreign_is_url_with_blanks, foreign_fill_blanks,
                "a blank in a path is %20"),
    FILLED_WORD(foreign_is_user_url, foreign_fill_user, USER),
    FILLED_WORD(foreign_is_bare_query, foreign_fill_query,
                "a query stands behind a path"),
    FILLED_WORD(foreign_is_fragment, foreign_fill_fragment,
                "a fragment is not sent"),
    FILLED_WORD(foreign_is_port, foreign_fill_port, PLACE),
    WORD(foreign_is_ipv6, "http://[%s]", PLACE),
    WORD(is_grpc, NULL,
         "messages of gRPC are bodies; see --http2 and -b @FILE"),
    WORD(is_h2c, "--http2|http://%/", VERSION),
    WORD(is_place, "http://%s", PLACE),
    {.name = NULL},
};

const struct option_foreign foreign_serve_words[] = {
    FILLED_WORD(foreign_is_port, foreign_fill_port, PLACE),
    FILLED_TARGET("p", foreign_is_port, foreign_fill_port),
    FILLED_TARGET("port", foreign_is_port, foreign_fill_port),
    ALONE("http", NULL, "--mode|http",
          "HTTP is http:// in the target, or a mode"),
    {.name = NULL},
};

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

static bool is_null_device(const char *value, char *const *words)
{
    (void)words;
    return value && strcmp(value, "/dev/null") == 0;
}

static bool isnt_json(const char *value, char *const *words)
{
    return value && strcmp(value, "json") != 0 && !is_url(value, words);
}

/* One of redis-benchmark's, or a list of them. */
static bool is_redis_test(const char *value, char *const *words)
{
    static const char *const tests[] = {"ping", "set",  "get",  "incr", "lpush",
                                        "lpop", "sadd", "hset", "mset", NULL};
    char first[8] = "";

    (void)words;
    if (value) {
        snprintf(first, sizeof(first), "%.*s", (int)strcspn(value, ","), value);
    }
    return is_one_of(first, tests);
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
static bool is_text(const char *value, char *const *words)
{
    const size_t len = value ? strlen(value) : 0;

    (void)words;
    return value && access(value, F_OK) < 0 &&
           (len < 4 || strcmp(value + len - 4, ".csv") != 0);
}

static bool is_sent_file(const char *value, char *const *words)
{
    static const char *const users[] = {"--mix", "--urls", "--replay",
                                        "--data-order", NULL};

    if (!is_file(value, words) || has_flag(words, users)) {
        return false;
    }
    for (; *words; words++) {
        if (strstr(*words, "{csv:")) {
            return false;
        }
    }
    return true;
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
    for (; *words; words++) {
        if (is_url(*words, words)) {
            return false;
        }
    }
    return !value;
}

/* ---- words that are no flags ---- */

static bool is_attack(const char *value, char *const *words)
{
    (void)words;
    return strcmp(value, "attack") == 0;
}

static bool ends_with(const char *value, const char *end)
{
    const size_t len = value ? strlen(value) : 0;

    return len > strlen(end) && strcmp(value + len - strlen(end), end) == 0;
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

/* "http://HOST/PATH POST BODY" */
static bool is_siege_target(const char *value, char *const *words)
{
    const char *blank = strchr(value, ' ');

    return is_url(value, words) && blank &&
           strncmp(blank + strspn(blank, " "), "POST", 4) == 0;
}

static bool is_web_socket(const char *value, char *const *words)
{
    (void)words;
    return has_prefix(value, "ws://") || has_prefix(value, "wss://");
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
#define WHOLE(name_, is_, write_, advice_)                                     \
    {                                                                          \
        ROW(name_, is_, write_, advice_), .has_value = true, .is_whole = true  \
    }

#define VERSION     "HTTP/1.1 is spoken unless --http2 is given"
#define NO_HTTP3    "HTTP/3 is not spoken; --http2 is the newest there is"
#define NO_REDIRECT "redirects are not followed; write the place that they name"
#define NO_PROXY                                                               \
    "proxies of HTTP are not spoken to; --connect-to HOST:PORT goes there "    \
    "with the requests as they are"
#define USER  "a user is a header"
#define BASIC "-H|\"Authorization: Basic $(printf %%s %s | base64)\""
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
    "-H and -b, or --mix FILE, its stages --stages, its thresholds --slo"
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
#define TIMEOUT   "a time-out is --timeout TIME"
#define DURATION  "a duration is -d TIME"
#define NOT_SHOWN "it changes nothing here"
#define IPERF3                                                                 \
    "iperf3's streams are --mode stream: -P N is -c N, -t TIME -d TIME, -R "   \
    "--direction down, --bidir --direction both, -l SIZE --send SIZE; the "    \
    "other side is weir-load serve, in mode discard, chargen or echo"
#define REDIS                                                                  \
    "Redis is --request, and where an answer ends --expect; of several "       \
    "commands --mix FILE"
#define PING "-c|50|--request|PING\\r\\n|--expect|delim:\\r\\n|tcp://%s:6379"

const struct option_foreign foreign_words[] = {
    /* Letters that are options here, with values that are not of them. */
    VALUE("data", is_sent_file, "-b|@%s",
          "--data is a file of rows here; " BODY),
    VALUE("data", is_text, "-b|%s",
          "--data is a file of rows here; a body is -b TEXT"),
    VALUE("d", is_file, "-b|@%s", "-d is a duration here; " BODY),
    VALUE("d", is_body, "-b|%s", "-d is a duration here; a body is -b TEXT"),
    VALUE("q", is_rate, "-R|%s",
          "-q is quiet here; a rate is -R RATE, of all connections together"),
    WHOLE("t", is_netperf_test, "--mode|rr|--send|1|-d|10s|tcp://HOST:PORT",
          "netperf's tests are modes: TCP_RR is rr, TCP_CRR crr, TCP_STREAM "
          "stream; the other side is weir-load serve"),
    WHOLE("t", is_redis_test,
          "-c|50|-n|100000|--request|SET key{rand:1:1000} value\\r\\n|"
          "--expect|delim:\\r\\n|tcp://127.0.0.1:6379",
          "-t is threads here; " REDIS),
    VALUE("t", is_siege_time, "-d|%l", "-t is threads here; " DURATION),
    VALUE("t", is_whole_time, "-d|%s",
          "-t is threads here; " DURATION ", and " TIMEOUT),
    VALUE("t", is_unit_time, "--timeout|%s",
          "-t is threads here; " TIMEOUT ", and " DURATION),
    VALUE("p", is_print, "", "-p is requests under way here"),
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
    WHOLE("c", is_host, "--mode|stream|-c|1|-d|10s|tcp://%s:5201", IPERF3),
    WHOLE("h", is_host, PING, "-h is help here; " REDIS),
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
    VALUE("D", is_time, "-d|%s", DURATION),
    VALUE("D", NULL, "-b|@%s", BODY),
    VALUE("T", is_type, "-H|Content-Type: %s", TYPE),
    VALUE("T", is_time, "--timeout|%s", TIMEOUT),
    VALUE("T", NULL, "-H|Content-Type: %s", TYPE),
    VALUE("A", is_pair, BASIC, USER),
    VALUE("A", NULL, "-H|Accept: %s", HEAD),
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
    ALONE("r", NULL, "", "an error ends nothing but its connection"),
    SCRIPT_OF("s", is_script),
    VALUE("s", is_time, "--timeout|%s", TIMEOUT),
    WHOLE("s", is_host, PING, REDIS),
    WHOLE("s", is_server, "serve|--mode|discard|tcp://0.0.0.0:5201",
          "the server of a load is weir-load serve"),
    SCRIPT_OF("s", is_file),
    ALONE("s", NULL, "", NOT_SHOWN),
    VALUE("f", is_python, "", PROGRAM),
    VALUE("f", is_body_file, "-b|@%s", BODY),
    LIST_OF("f"),
    VALUE("u", is_pair, BASIC, USER),
    VALUE("u", is_count, "-c|%s", "as many users as connections: -c N"),
    WHOLE("u", is_nothing,
          "-c|1|-R|10k|--send|1200|-d|10s|udp://127.0.0.1:5201",
          "over UDP each datagram is answered: the target is udp://HOST:PORT, "
          "and the server weir-load serve udp://ADDRESS:PORT"),
    VALUE("u", NULL, "-X|PUT|-b|@%s", BODY),
    VALUE("P", is_count, "-p|%s", "requests under way are -p N"),
    VALUE("P", NULL, NULL, NO_PROXY),
    VALUE("o", is_null_device, "", "bodies are not written"),
    VALUE("o", is_csv, "--log|requests.csv",
          "a line for each request is --log FILE"),
    VALUE("o", isnt_json, "--json=%=", JSON),
    VALUE("x", NULL, NULL, NO_PROXY),
    VALUE("X", is_pair, NULL, NO_PROXY),
    VALUE("e", NULL, "--hgrm|%s", "times by percentile are --hgrm FILE"),
    VALUE("g", NULL, "--log|%s", "a line for each request is --log FILE"),
    ALONE("I", NULL, "-X|HEAD", "a method is -X METHOD"),
    VALUE("N", is_count, "-n|%s", "a count of requests is -n N"),
    /* Names: what is sent. */
    {ROW("host", is_url, "%s", "the target stands without a flag"),
     .has_value = true, .is_word = true},
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
    VALUE("npn-list", NULL, "", VERSION),
    VALUE("alpn-list", NULL, "", VERSION),
    VALUE("redirect", is_zero, "", NO_REDIRECT),
    VALUE("redirects", is_zero, "", NO_REDIRECT),
    VALUE("redirect", NULL, "", NO_REDIRECT),
    VALUE("redirects", NULL, "", NO_REDIRECT),
    VALUE("max-redirects", NULL, "", NO_REDIRECT),
    VALUE("max-redirs", NULL, "", NO_REDIRECT),
    ALONE("location", NULL, "", NO_REDIRECT),
    VALUE("proxy", NULL, NULL, NO_PROXY),
    /* Names: how much, and when. */
    VALUE("vus", NULL, "-c|%s", "as many users as connections: -c N"),
    VALUE("users", NULL, "-c|%s", "as many users as connections: -c N"),
    VALUE("iterations", NULL, "-n|%s", "a count of requests is -n N"),
    VALUE("amount", NULL, "-n|%s", "a count of requests is -n N"),
    VALUE("reps", NULL, "-n|%s",
          "a count is -n N, of all connections together"),
    VALUE("time", is_siege_time, "-d|%l", DURATION),
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
          "paths are drawn by {re:[a-z]{8}} in the target"),
    VALUE("delay", NULL, "--think|%s", "a pause is --think TIME"),
    ALONE("benchmark", NULL, "", "there is no pause to turn off"),
    VALUE("clients", NULL, "-c|%s",
          "connections are -c N, of all threads together"),
    VALUE("max-workers", NULL, "-c|%s", "connections are -c N"),
    VALUE("workers", NULL, "", "threads are -t N, and connections -c N"),
    VALUE("cpus", NULL, "-t|%s", "threads are -t N"),
    /* Names: results. */
    VALUE("out", NULL, "--json=%=", JSON),
    VALUE("output", is_csv, "--log|requests.csv",
          "a line for each request is --log FILE"),
    VALUE("output", isnt_json, "--json=%=", JSON),
    VALUE("output-file", NULL, "--json=%s", JSON),
    VALUE("output-format", is_csv, "--log|requests.csv",
          "a line for each request is --log FILE"),
    VALUE("output-format", isnt_json, "", "a result is text, or JSON"),
    VALUE("format", isnt_json, "", "a result is text, or JSON"),
    VALUE("print", NULL, "", NOT_SHOWN),
    VALUE("listen", NULL, "", "there is no page while it runs"),
    ALONE("summary", NULL, "", NOT_SHOWN),
    ALONE("headless", NULL, "", NOT_SHOWN),
    VALUE("name", NULL, "--label|name=%s", "a name is --label NAME=VALUE"),
    VALUE("title", NULL, "--label|title=%s", "a name is --label NAME=VALUE"),
    /* Names of tools for other protocols. */
    WHOLE("client", NULL, "--mode|stream|-c|1|-d|10s|tcp://%s:5201", IPERF3),
    WHOLE("server", NULL, PING, REDIS),
    VALUE("ratio", NULL, NULL, REDIS),
    /* Words that are no flags. */
    VALUE("", is_attack, "", "vegeta's attack is what is done without a word"),
    VALUE("", is_program, "", PROGRAM),
    {ROW("", is_siege_target, NULL,
         "a method is -X METHOD, and a body -b TEXT"),
     .has_value = true, .is_word = true, .fill = foreign_fill_target},
    WORD(is_web_socket, NULL, "WebSocket is not spoken"),
    WORD(is_grpc, NULL,
         "messages of gRPC are bodies; see --http2 and -b @FILE"),
    WORD(is_h2c, "--http2|http://%/", VERSION),
    WORD(is_place, "http://%s",
         "a target has a scheme: http:// or https://, or tcp:// for an echo"),
    {.name = NULL},
};

/*
 * The grammar of each tool, from its documentation and source. The same letter
 * may differ between tools: -t is threads in wrk, a timeout in hey, and a
 * duration in ab. adapt() handles an option that depends on others, such as -q
 * of hey, which is per connection.
 */
#include "grammar_rows.h"

#include "tools/weir-load/schedule/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NO_PROXY                                                               \
    "HTTP proxies are not supported; --connect-to HOST:PORT sends the "        \
    "unchanged requests there"
#define NO_LOG   "for a line for each request use --log FILE"
#define NO_FORM  "forms are not supported: write the body to a file"
#define NO_PLACE "use --connect-to HOST:PORT before the tool"
#define NO_OUTPUT                                                              \
    "to write the result to a file use --json=FILE before the tool"
#define NO_BURST "bursts are not supported; use --stages"
#define NO_LIST                                                                \
    "for URLs of a file use --urls FILE, or --mix FILE at random, in a "       \
    "native line"
#define NO_DELAY "use --conn-rate RATE"

/* Multiplies a rate per connection by the number of connections. */
static void join_rates(struct grammar_line *line, const char *rate)
{
    if (rate) {
        line->kept[GRAMMAR_RATE] = grammar_text(
            line, "%.12g",
            strtod(rate, NULL) * (double)grammar_count(line, GRAMMAR_CONNS));
    }
}

/* Ignores a number of requests if there is a duration. Otherwise its default is
 * @count. */
static void settle_length(struct grammar_line *line, const char *count)
{
    if (line->kept[GRAMMAR_DURATION]) {
        line->kept[GRAMMAR_REQUESTS] = NULL;
    } else if (!line->kept[GRAMMAR_REQUESTS]) {
        line->kept[GRAMMAR_REQUESTS] = count;
    }
}

/* Requires at least one request per connection. */
static bool has_enough(struct grammar_line *line)
{
    return !line->kept[GRAMMAR_REQUESTS] ||
           grammar_count(line, GRAMMAR_REQUESTS) >=
               grammar_count(line, GRAMMAR_CONNS) ||
           grammar_refuse(line, "-n is less than -c, which it refuses");
}

static const struct grammar_row wrk_rows[] = {
    KEEP("c connections", COUNT, CONNS),
    KEEP("d duration", TIME, DURATION),
    KEEP("t threads", COUNT, THREADS),
    KEEP("T timeout", TIME, TIMEOUT),
    KEEP("s script", TEXT, SCRIPT),
    KEEP("H header", TEXT, HEADER),
    KEEP("R rate", COUNT, RATE),
    SKIP("L U B latency u_latency batch_latency", NONE),
    OWN("D dist", TEXT, 0),
    NO("P p", NONE, NO_LOG),
    END};

static const struct grammar_row wrk_initial[] = {
    INITIAL(CONNS, "10"), INITIAL(THREADS, "2"), INITIAL(DURATION, "10s"),
    INITIAL(TIMEOUT, "2s"), END};

static bool adapt_wrk(struct grammar_line *line)
{
    const char *gaps = own(line, 0); /* -D, of a fork of wrk2 */

    if (line->tool->name[3] == '2' && !line->kept[GRAMMAR_RATE]) {
        return grammar_refuse(line, "it requires a rate; add -R RATE");
    }
    if (gaps && strcmp(gaps, "exp") == 0) {
        grammar_say(line, "--arrival|poisson", NULL);
    } else if (gaps && strcmp(gaps, "fixed") != 0) {
        return grammar_refuse(line, "-D %s: gaps are fixed or exp", gaps);
    }
    return !line->kept[GRAMMAR_SCRIPT] ||
           grammar_take_script(line, line->kept[GRAMMAR_SCRIPT]);
}

static const struct grammar_row hey_rows[] = {
    KEEP("n", COUNT, REQUESTS),
    KEEP("c", COUNT, CONNS),
    KEEP("q", NUMBER, RATE),
    KEEP("z", UNIT, DURATION),
    KEEP("t", SECONDS, TIMEOUT),
    KEEP("m", TEXT, METHOD),
    KEEP("d", TEXT, BODY),
    KEEP("D", TEXT, BODY_FILE),
    KEEP("H", TEXT, HEADER),
    KEEP("T", TEXT, TYPE),
    KEEP("a", TEXT, USER),
    SET("h2", HTTP, "auto"),
    SET("disable-compression", ENCODING, ""),
    KEEP("cpus", COUNT, THREADS),
    KEEP("o", TEXT, FORMAT),
    SAY("A", TEXT, "-H|Accept: %"),
    SAY("U", TEXT, "-H|User-Agent: % hey/0.0.1"),
    SAY("host", TEXT, "-H|Host: %"),
    SAY("disable-keepalive", NONE, "--disable-keepalive"),
    SKIP("disable-redirects", NONE),
    NO("x", TEXT, NO_PROXY),
    NO("h", TEXT, "hey refuses it; a header is -H"),
    END};

static const struct grammar_row hey_initial[] = {
    INITIAL(CONNS, "50"), INITIAL(TIMEOUT, "20"), INITIAL(TYPE, "text/html"),
    INITIAL(ENCODING, "gzip"), END};

static bool adapt_hey(struct grammar_line *line)
{
    join_rates(line, line->kept[GRAMMAR_RATE]);
    settle_length(line, "200");
    return has_enough(line);
}

static const struct grammar_row oha_rows[] = {
    KEEP("n", COUNT, REQUESTS),
    KEEP("c", COUNT, CONNS),
    KEEP("p", COUNT, DEPTH),
    KEEP("z", UNIT, DURATION),
    KEEP("q", NUMBER, RATE),
    KEEP("t", UNIT, TIMEOUT),
    KEEP("m method", TEXT, METHOD),
    KEEP("d", TEXT, BODY),
    KEEP("D", TEXT, BODY_FILE),
    KEEP("H", TEXT, HEADER),
    KEEP("T", TEXT, TYPE),
    KEEP("a", TEXT, USER),
    OWN("http-version", TEXT, 0),
    SET("http2", HTTP, "2"),
    SET("disable-compression", ENCODING, ""),
    SET("insecure", INSECURE, ""),
    SET("j json", JSON, ""),
    KEEP("output-format", TEXT, FORMAT),

    SAY("A", TEXT, "-H|Accept: %"),
    SAY("host", TEXT, "-H|Host: %"),
    SAY("disable-keepalive", NONE, "--disable-keepalive"),
    SAY("connect-timeout", UNIT, "--connect-timeout|%"),
    SAY("ipv4", NONE, "-4"),
    SAY("ipv6", NONE, "-6"),
    SAY("cacert", TEXT, "--ca|%"),
    SAY("cert", TEXT, "--cert|%"),
    SAY("key", TEXT, "--key|%"),
    SAY("unix-socket", TEXT, "--unix|%"),
    SKIP("w wait-ongoing-requests-after-deadline latency-correction no-tui "
         "no-color disable-color no-pre-lookup stats-success-breakdown",
         NONE),
    SKIP("fps u time-unit r redirect", TEXT),
    NO("burst-delay burst-rate", TEXT, NO_BURST),
    NO("rand-regex-url", NONE,
       "for random paths use {letters:8} and {rand:1:100} in a native line"),
    NO("urls-from-file", NONE, NO_LIST),
    NO("connect-to", TEXT, NO_PLACE),
    NO("o output", TEXT, NO_OUTPUT),
    NO("Z", TEXT, "use --mix FILE in a native line"),
    NO("F form", TEXT, NO_FORM),
    NO("x proxy-header proxy-http-version", TEXT, NO_PROXY),
    NO("proxy-http2", NONE, NO_PROXY),
    NO("aws-session aws-sigv4", TEXT, "requests are not signed"),
    NO("db-url", TEXT, NO_LOG),
    NO("debug", NONE, "weir-load as --dry-run oha ... shows the load"),
    END};

static const struct grammar_row oha_initial[] = {
    INITIAL(CONNS, "50"), INITIAL(TIMEOUT, "1m"),
    INITIAL(ENCODING, "gzip, compress, deflate, br"), END};

static bool adapt_oha(struct grammar_line *line)
{
    const char *version = own(line, 0) ? own(line, 0) : "1.1";

    if (strcmp(version, "2") == 0) {
        line->kept[GRAMMAR_HTTP] = "2";
    } else if (strcmp(version, "1.1") != 0) {
        return grammar_refuse(line, "only HTTP/1.1 and HTTP/2 are supported");
    }
    if (line->kept[GRAMMAR_DURATION] && line->kept[GRAMMAR_REQUESTS]) {
        return grammar_refuse(line, "-n and -z exclude each other");
    }
    if (!line->kept[GRAMMAR_HTTP]) {
        line->kept[GRAMMAR_DEPTH] = NULL;
    }
    settle_length(line, "200");
    return true;
}

static const struct grammar_row ab_rows[] = {
    KEEP("n", COUNT, REQUESTS),
    KEEP("c", COUNT, CONNS),
    KEEP("t", SECONDS, DURATION),
    KEEP("s", SECONDS, TIMEOUT),
    KEEP("W", COUNT, THREADS),
    KEEP("m", TEXT, METHOD),
    SET("i", METHOD, "HEAD"),
    KEEP("p", TEXT, BODY_FILE),
    OWN("u", TEXT, 1),
    OWN_SET("k", 0, ""),
    KEEP("H", TEXT, HEADER),
    KEEP("T", TEXT, TYPE),
    KEEP("A", TEXT, USER),
    SAY("C", TEXT, "-H|Cookie: %"),
    SAY("b", COUNT, "--sndbuf|%|--rcvbuf|%"),
    SAY("B", TEXT, "--bind|%"),
    SAY("E", TEXT, "--cert|%"),
    SAY("e", TEXT, "--hgrm|%"),
    SAY("g", TEXT, "--log|%"),

    SKIP("d S q Q l r w", NONE),
    SKIP("v x y z", TEXT),
    NO("X P", TEXT, NO_PROXY),
    NO("Z", TEXT, NO_SUITES),
    NO("f", TEXT, "use --tls-min and --tls-max"),
    NO("R", TEXT, NO_DELAY),
    NO("I", NONE, "the name is always sent with TLS; --sni NAME changes it"),
    END};

static const struct grammar_row ab_initial[] = {
    INITIAL(CONNS, "1"), INITIAL(TIMEOUT, "30"), INITIAL(TYPE, "text/plain"),
    END};

static bool adapt_ab(struct grammar_line *line)
{
    const char *put = own(line, 1);

    if (line->kept[GRAMMAR_DURATION] && line->kept[GRAMMAR_REQUESTS]) {
        return grammar_refuse(line,
                              "the meaning of -n with -t depends on their "
                              "order and on its version; write only one");
    }
    if (!line->kept[GRAMMAR_REQUESTS]) {
        line->kept[GRAMMAR_REQUESTS] =
            line->kept[GRAMMAR_DURATION] ? "50000" : "1";
    }
    if (put) {
        line->kept[GRAMMAR_BODY_FILE] = put;
    }
    if (!line->kept[GRAMMAR_BODY_FILE]) {
        line->kept[GRAMMAR_TYPE] = NULL;
    } else if (!line->kept[GRAMMAR_METHOD]) {
        line->kept[GRAMMAR_METHOD] = put ? "PUT" : "POST";
    }
    if (!own(line, 0)) {
        grammar_say(line, "--disable-keepalive", NULL);
    }
    return has_enough(line);
}

static const struct grammar_row bombardier_rows[] = {
    KEEP("c connections", COUNT, CONNS),
    KEEP("n requests", COUNT, REQUESTS),
    KEEP("d duration", UNIT, DURATION),
    KEEP("t timeout", UNIT, TIMEOUT),
    KEEP("r rate", COUNT, RATE),
    KEEP("m method", TEXT, METHOD),
    KEEP("b body", TEXT, BODY),
    KEEP("f body-file", TEXT, BODY_FILE),
    KEEP("H header", TEXT, HEADER),
    SET("http2", HTTP, "auto"),
    SET("k insecure", INSECURE, ""),
    KEEP("o format", TEXT, FORMAT),
    SAY("s stream", NONE, "--chunked"),
    SAY("a disableKeepAlives", NONE, "--disable-keepalive"),
    SAY("cert", TEXT, "--cert|%"),
    SAY("key", TEXT, "--key|%"),
    SAY("q no-print", NONE, "-q"),
    SKIP("l latencies fasthttp http1", NONE),
    SKIP("p print", TEXT),
    END};

static const struct grammar_row bombardier_initial[] = {
    INITIAL(CONNS, "125"), INITIAL(TIMEOUT, "2s"), END};

/* Ignores the duration if the line has a number of requests. Otherwise its
 * default is 10s. */
static bool adapt_counted(struct grammar_line *line)
{
    if (line->kept[GRAMMAR_REQUESTS]) {
        line->kept[GRAMMAR_DURATION] = NULL;
    } else if (!line->kept[GRAMMAR_DURATION]) {
        line->kept[GRAMMAR_DURATION] = "10s";
    }
    return true;
}

static const struct grammar_row h2load_rows[] = {
    KEEP("n requests", COUNT, REQUESTS),
    KEEP("c clients", COUNT, CONNS),
    KEEP("t threads", COUNT, THREADS),
    KEEP("m max-concurrent-streams", COUNT, DEPTH),
    KEEP("D duration", TIME, DURATION),
    KEEP("warm-up-time", TIME, WARMUP),
    KEEP("N connection-inactivity-timeout", TIME, TIMEOUT),
    KEEP("d data", TEXT, BODY_FILE),
    KEEP("H header", TEXT, HEADER),
    KEEP("rps", NUMBER, RATE),

    KEEP("npn-list alpn-list", TEXT, HTTP),
    KEEP("p no-tls-proto", TEXT, HTTP_CLEAR),
    OWN_SET("h1", 0, ""),
    SAY("f max-frame-size", TEXT, "--max-frame|%"),
    SAY("connect-to", TEXT, "--connect-to|%"),
    SAY("log-file", TEXT, "--log|%"),
    SAY("groups", TEXT, "--groups|%"),
    SAY("r rate", COUNT, "--conn-rate|%"),
    SKIP("v verbose", NONE),
    NO("rate-period", TEXT, NO_DELAY),
    NO("i input-file", TEXT, NO_LIST),
    NO("w window-bits W connection-window-bits header-table-size "
       "encoder-header-table-size",
       TEXT, "use --window, --conn-window and --header-table in a native line"),
    NO("B base-uri", TEXT, "write it into the URL, or --unix before the tool"),
    NO("T connection-active-timeout", TEXT, "use --requests-per-conn N"),
    NO("timing-script-file", TEXT, "use --stages in a native line"),
    NO("ciphers tls13-ciphers", TEXT, NO_SUITES),
    NO("h3 ktls no-udp-gso", NONE, "only HTTP/1.1 and HTTP/2 are supported"),
    NO("qlog-file-base max-udp-payload-size", TEXT,
       "only HTTP/1.1 and HTTP/2 are supported"),
    END};

static const struct grammar_row h2load_initial[] = {
    INITIAL(CONNS, "1"),        INITIAL(TIMEOUT, "1m"),
    INITIAL(DEPTH, "1"),        INITIAL(HTTP, "h2,http/1.1"),
    INITIAL(HTTP_CLEAR, "h2c"), END};

/* Translates h2load's choice of the version: ALPN offers it, or -p selects it
 * without TLS. */
static bool adapt_h2load(struct grammar_line *line)
{
    const bool is_tls =
        line->word_count > 0 && strncasecmp(line->words[0], "https://", 8) == 0;
    const char *offers = line->kept[is_tls ? GRAMMAR_HTTP : GRAMMAR_HTTP_CLEAR];
    const bool has_1 = own(line, 0) || strstr(offers, "http/1.1");
    const bool has_2 = !own(line, 0) && strstr(offers, "h2");

    if (!has_1 && !has_2) {
        return grammar_refuse(line, "only HTTP/1.1 and HTTP/2 are supported");
    }
    line->kept[GRAMMAR_HTTP] = has_1 && has_2 ? "auto" : has_2 ? "2" : NULL;
    if (line->kept[GRAMMAR_BODY_FILE]) {
        line->kept[GRAMMAR_METHOD] = "POST";
        line->kept[GRAMMAR_DEPTH] = has_2 ? line->kept[GRAMMAR_DEPTH] : NULL;
    }
    join_rates(line, line->kept[GRAMMAR_RATE]);
    settle_length(line, "1");
    return has_enough(line);
}

static const struct grammar_row vegeta_rows[] = {
    KEEP("rate", TEXT, RATE),
    KEEP("duration", UNIT, DURATION),
    KEEP("timeout", UNIT, TIMEOUT),
    KEEP("targets", TEXT, LIST),
    KEEP("body", TEXT, BODY_FILE),
    KEEP("header", TEXT, HEADER),

    SET("insecure", INSECURE, ""),
    {"http2", GRAMMAR_OFF, GRAMMAR_HTTP, "1.1"},
    SET("h2c", HTTP, "2"),
    OWN("format", TEXT, 0),
    KEEP("max-workers max-connections", COUNT, CONNS),
    SAY("name", TEXT, "--label|name=%"),
    SAY("chunked", NONE, "--chunked"),
    SAY("keepalive", OFF, "--disable-keepalive"),
    SAY("cert", TEXT, "--cert|%"),
    SAY("key", TEXT, "--key|%"),
    SAY("root-certs", TEXT, "--ca|%"),
    SAY("laddr", TEXT, "--bind|%"),
    SAY("unix-socket", TEXT, "--unix|%"),
    SKIP("lazy session-tickets", NONE),
    SKIP("workers connections redirects max-body dns-ttl", TEXT),
    NO("output", TEXT, NO_OUTPUT),
    NO("connect-to", TEXT, NO_PLACE),
    NO("proxy-header", TEXT, NO_PROXY),
    NO("resolvers", TEXT, "names are looked up by the system's resolver"),
    NO("prometheus-addr", TEXT, "metrics are not served during the run"),
    END};

static const struct grammar_row vegeta_initial[] = {
    INITIAL(RATE, "50"), INITIAL(TIMEOUT, "30s"), INITIAL(ENCODING, "gzip"),
    INITIAL(LIST, "-"),  INITIAL(HTTP, "auto"),   END};

/* vegeta opens a new connection if all are busy when a request is due. The
 * native line has as many connections as requests per second, from 10 to
 * 1000. */
static bool adapt_vegeta(struct grammar_line *line)
{
    const bool is_bounded = line->kept[GRAMMAR_CONNS];
    const char *text = line->kept[GRAMMAR_RATE];
    double rate = 0;

    if (own(line, 0) && strcmp(own(line, 0), "http") != 0) {
        return grammar_refuse(line, "only the format http is supported");
    }
    if (!line->kept[GRAMMAR_DURATION]) {
        return grammar_refuse(line, "it runs until it is stopped; add "
                                    "-duration=30s");
    }
    if (schedule_parse_rate(text, &rate) < 0) {
        return grammar_refuse(line, "-rate=%s: a rate is 100 or 100/1s", text);
    }
    if (!is_bounded) {
        line->kept[GRAMMAR_CONNS] = grammar_text(line, "%.0f",
                                                 rate < 10     ? 10
                                                 : rate < 1000 ? rate
                                                               : 1000);
    }
    return rate > 0 || is_bounded
               ? grammar_take_targets(line, line->kept[GRAMMAR_LIST])
               : grammar_refuse(line, "-rate=0 needs -max-workers");
}

static const struct grammar_row autocannon_rows[] = {
    KEEP("c connections", COUNT, CONNS),
    KEEP("p pipelining", COUNT, DEPTH),
    KEEP("d duration", TIME, DURATION),
    OWN("a amount", COUNT, 0),

    KEEP("O maxOverallRequests", COUNT, REQUESTS),
    OWN("r connectionRate", NUMBER, 1),
    KEEP("R overallRate", NUMBER, RATE),
    KEEP("t timeout", SECONDS, TIMEOUT),
    KEEP("w workers", COUNT, THREADS),
    KEEP("m method", TEXT, METHOD),
    KEEP("b body", TEXT, BODY),
    KEEP("i input", TEXT, BODY_FILE),
    KEEP("H headers header", TEXT, HEADER),
    SET("j json", JSON, ""),
    SAY("D reconnectRate", COUNT, "--requests-per-conn|%"),
    SAY("S socketPath", TEXT, "--unix|%"),
    SAY("s servername", TEXT, "--sni|%"),
    SAY("E expectBody", TEXT, "--expect|text:%"),
    SAY("T title", TEXT, "--label|title=%"),
    SAY("cert", TEXT, "--cert|%"),
    SAY("key", TEXT, "--key|%"),
    SAY("ca", TEXT, "--ca|%"),
    SKIP("n l no-progress progress renderProgressBar latency "
         "renderLatencyTable renderStatusCodes statusCodes x "
         "excludeErrorStats C ignoreCoordinatedOmission debug",
         NONE),
    SKIP("L sampleInt", TEXT),
    NO("f forever", NONE, "endless runs are not supported; use -d 7d"),
    NO("B bailout", TEXT,
       "failures do not end a run; --max-errors N before the tool makes it "
       "fail"),
    NO("M maxConnectionRequests", TEXT,
       "use -a N for all connections together"),
    NO("F form", TEXT, NO_FORM),
    NO("I idReplacement", NONE, "use {seq} in a native line"),
    NO("W warmup", TEXT, "use -w TIME in a native line"),
    NO("har", TEXT, "use --urls FILE in a native line"),
    NO("on-port", NONE, "start the server, and name its URL"),
    END};

static const struct grammar_row autocannon_initial[] = {
    INITIAL(CONNS, "10"), INITIAL(DURATION, "10"), INITIAL(TIMEOUT, "10"), END};

static bool adapt_autocannon(struct grammar_line *line)
{
    join_rates(line, own(line, 1));
    if (own(line, 0)) {
        line->kept[GRAMMAR_REQUESTS] = own(line, 0);
        line->kept[GRAMMAR_DURATION] = NULL;
    }
    return true;
}

static const struct grammar_row siege_rows[] = {
    KEEP("c concurrent", COUNT, CONNS),
    OWN("t time", TEXT, 0),
    OWN("r reps", COUNT, 1),
    OWN("d delay", NUMBER, 2),
    OWN_SET("b benchmark", 3, ""),
    OWN_SET("N no-parser", 4, ""),

    KEEP("H header", TEXT, HEADER),
    KEEP("T content-type", TEXT, TYPE),
    SET("j json-output", JSON, ""),
    SAY("A user-agent", TEXT, "-H|User-Agent: %"),
    SKIP("v q D F i verbose quiet debug no-follow internet", NONE),
    SKIP("l log", MAYBE),
    SKIP("m mark", TEXT),
    NO("f file", TEXT, NO_LIST),
    NO("g get p print", NONE, "to see one request use curl -v"),
    NO("C config", NONE, "there is no configuration"),
    NO("R rc", TEXT,
       "its configuration is not read: write the values as flags"),
    END};

static const struct grammar_row siege_initial[] = {INITIAL(TIMEOUT, "30"), END};

static bool adapt_siege(struct grammar_line *line)
{
    const char *time = own(line, 0) ? own(line, 0) : "";
    const int digits = (int)strspn(time, "0123456789");
    const char *reps = own(line, 1);

    if (!line->kept[GRAMMAR_CONNS]) {
        return grammar_refuse(
            line, "the number of users is in its configuration; add -c N");
    }
    if (own(line, 2) && strtod(own(line, 2), NULL) > 0 && !own(line, 3)) {
        return grammar_refuse(line,
                              "-d %s: it draws each pause below that, and "
                              "--think TIME is one of the same length; add -b "
                              "to have none",
                              own(line, 2));
    }
    if (!own(line, 4)) {
        return grammar_refuse(
            line,
            "loading the parts of a page is not supported; add --no-parser");
    }
    if (line->word_count > 0 && strchr(line->words[0], ' ')) {
        return grammar_refuse(line,
                              "%s: a native line has -X METHOD and -b BODY",
                              line->words[0]);
    }
    if (reps && !*time) {
        line->kept[GRAMMAR_REQUESTS] = grammar_text(
            line, "%llu",
            strtoull(reps, NULL, 10) * LLU(grammar_count(line, GRAMMAR_CONNS)));
    } else if (!reps && digits > 0 && time[digits] &&
               strchr("sSmMhH", time[digits]) && !time[digits + 1]) {
        line->kept[GRAMMAR_DURATION] =
            grammar_text(line, "%.*s%c", digits, time, time[digits] | 0x20);
    } else {
        return grammar_refuse(
            line, "give its length: -t 30S, -t 5M or -t 1H, or -r N");
    }
    grammar_say(line, "--disable-keepalive", NULL);
    return true;
}

static const struct grammar_row fortio_rows[] = {
    KEEP("c", COUNT, CONNS),
    KEEP("n", COUNT, REQUESTS),
    KEEP("t", UNIT, DURATION),
    KEEP("qps", NUMBER, RATE),
    KEEP("timeout", UNIT, TIMEOUT),
    KEEP("H", TEXT, HEADER),
    KEEP("X", TEXT, METHOD),
    KEEP("payload", TEXT, BODY),
    KEEP("payload-file", TEXT, BODY_FILE),
    KEEP("content-type", TEXT, TYPE),
    KEEP("user", TEXT, USER),
    KEEP("json", TEXT, JSON),
    SET("k https-insecure", INSECURE, ""),
    SET("h2", HTTP, "2"),
    SET("compression", ENCODING, "gzip"),

    SAY("keepalive", OFF, "--disable-keepalive"),
    SAY("cacert", TEXT, "--ca|%"),
    SAY("cert", TEXT, "--cert|%"),
    SAY("key", TEXT, "--key|%"),
    SAY("unix-socket", TEXT, "--unix|%"),
    SAY("labels", TEXT, "--label|labels=%"),
    SAY("p", TEXT, "--percentiles|%"),
    SKIP("uniform jitter nocatchup stdclient sequential-warmup log-errors "
         "allow-initial-errors quiet logcaller httpccch halfclose "
         "connection-stats",
         NONE),
    SKIP("r offset gomaxprocs loglevel logprefix httpbufferkb "
         "maxpayloadsizekb data-dir profile runid config",
         TEXT),
    NO("payload-size", COUNT, "use -b {letters:N} in a native line"),
    NO("a", NONE, "name the file: -json FILE"),
    NO("L", NONE, "redirects are not followed; write their location"),
    NO("http1.0", NONE, "only HTTP/1.1 and HTTP/2 are supported"),
    NO("resolve", TEXT, "use --connect-to HOST:PORT before the tool"),
    NO("abort-on connection-reuse", TEXT, "it is not supported"),
    NO("grpc ping health curl calc-qps", NONE, "it is not supported"),
    NO("s healthservice grpc-ping-delay grpc-method", TEXT,
       "gRPC is not supported"),
    END};

static const struct grammar_row fortio_initial[] = {
    INITIAL(CONNS, "4"), INITIAL(RATE, "8"), INITIAL(DURATION, "5s"),
    INITIAL(TIMEOUT, "3s"), END};

static bool adapt_fortio(struct grammar_line *line)
{
    const bool has_body = line->kept[GRAMMAR_BODY] ||
                          line->kept[GRAMMAR_BODY_FILE] ||
                          line->kept[GRAMMAR_TYPE];

    if (grammar_count(line, GRAMMAR_REQUESTS) > 0) {
        line->kept[GRAMMAR_DURATION] = NULL;
    } else {
        line->kept[GRAMMAR_REQUESTS] = NULL;
    }
    if (has_body && !line->kept[GRAMMAR_METHOD]) {
        line->kept[GRAMMAR_METHOD] = "POST";
    }
    return true;
}

static const struct grammar tools[] = {
    {"wrk", NULL, wrk_rows, wrk_initial, adapt_wrk, .is_trusting = true,
     .has_words = true, .needs_scheme = true},
    {"wrk2", NULL, wrk_rows, wrk_initial, adapt_wrk, .is_trusting = true,
     .has_words = true, .needs_scheme = true},
    {"hey", NULL, hey_rows, hey_initial, adapt_hey, .is_trusting = true,
     .has_names = true, .ends_at_word = true, .needs_scheme = true},
    {"oha", NULL, oha_rows, oha_initial, adapt_oha, .has_equals = true,
     .needs_scheme = true},
    {"ab", NULL, ab_rows, ab_initial, adapt_ab, .is_trusting = true,
     .ends_at_word = true},
    {"bombardier", NULL, bombardier_rows, bombardier_initial, adapt_counted,
     .is_redis = false},
    {"h2load", NULL, h2load_rows, h2load_initial, adapt_h2load,
     .is_trusting = true, .needs_scheme = true},
    {"vegeta", "attack", vegeta_rows, vegeta_initial, adapt_vegeta,
     .has_names = true, .ends_at_word = true},
    {"autocannon", NULL, autocannon_rows, autocannon_initial, adapt_autocannon,
     .is_trusting = true, .has_equals = true},
    {"siege", NULL, siege_rows, siege_initial, adapt_siege,
     .is_trusting = true},
    {"fortio", "load", fortio_rows, fortio_initial, adapt_fortio,
     .has_names = true, .ends_at_word = true},
    {"redis-benchmark", NULL, grammar_redis_rows, grammar_redis_initial,
     grammar_adapt_redis, .has_names = true, .ends_at_word = true,
     .is_redis = true, .has_words = true},
};

const struct grammar *grammar_at(size_t index)
{
    return index < sizeof(tools) / sizeof(tools[0]) ? &tools[index] : NULL;
}

const struct grammar *grammar_find(const char *name)
{
    const struct grammar *tool = NULL;

    for (size_t i = 0; (tool = grammar_at(i)); i++) {
        if (strcmp(tool->name, name) == 0) {
            return tool;
        }
    }
    return NULL;
}

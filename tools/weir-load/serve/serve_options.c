/*
 * Parses the command line of the server. The mode is looked up twice, because
 * an option after --mode, such as --delay, may select its variant with delays.
 * Options that udp:// targets do not support are refused.
 */
#include "serve_options.h"

#include "serve_answers.h"
#include "serve_thread.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/units.h"
#include "tools/common/version.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/target/target.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* The limit of weir_threads_start(). */
#define THREADS_MAX 1024U

/* One response per nanosecond. */
#define RATE_MAX UINT64_C(1000000000)

/* A week, as for run. */
#define TIME_MAX_NS (7 * 24 * 3600 * UINT64_C(1000000000))

/* Default of --send and --recv. */
#define SIZE_BYTES 128U

struct reading {
    const struct option *mode; /* NULL without --mode */
    struct serve_options options;
};

static const char *const mode_names[] = {"echo",  "discard", "chargen", "rr",
                                         "sized", "http",    NULL};
static const char *const on_off[] = {"on", "off", NULL};

static struct serve_options *serve_of(void *options)
{
    return &((struct reading *)options)->options;
}

static bool read_mode(void *options, const struct option *option,
                      const char *value, char *why)
{
    const struct mode *plain = mode_find(modes_plain, value);

    serve_of(options)->mode = plain ? plain : mode_find(modes_paced, value);
    if (strcmp(value, "ws") == 0) {
        return option_refuse(why, "ws was removed; use %s",
                             gone_find("serve ws", 8));
    }
    return serve_of(options)->mode ||
           option_refuse(
               why, "'%.200s' is not echo, discard, chargen, rr, sized or http",
               value);
}

static uint32_t count_processors(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0) {
        return 1;
    }
    const int count = CPU_COUNT(&set);
    return count > 1 ? (uint32_t)count : 1;
}

static bool read_threads(void *options, const struct option *option,
                         const char *value, char *why)
{
    uint64_t count = 0;

    if (strcmp(value, "auto") != 0) {
        const int err = units_parse_count(value, &count);
        if (err < 0 && err != -ERANGE) {
            return option_refuse(why, "'%.200s' is not a count or auto", value);
        }
        if (err < 0 || count > THREADS_MAX) {
            return option_refuse(why, "%.200s is out of range, 0 to %u", value,
                                 THREADS_MAX);
        }
    }
    serve_of(options)->thread_count =
        count > 0 ? (uint32_t)count : count_processors();
    return true;
}

static bool read_freeze(void *options, const struct option *option,
                        const char *value, char *why)
{
    struct pace_options *pace = &serve_of(options)->settings.pace;

    return (pace_parse_freeze(value, pace) == 0 &&
            pace->period_ns <= TIME_MAX_NS) ||
           option_refuse(why,
                         "'%.200s' is not a time and its period, such as "
                         "500ms/2s",
                         value);
}

static bool read_sizes(void *options, const struct option *option,
                       const char *value, char *why)
{
    struct sizes *field = (struct sizes *)((char *)options + option->offset);

    return sizes_parse(value, 1, field, why) == 0;
}

static bool read_target(void *options, const char *text, char *why)
{
    struct serve_options *serve = serve_of(options);

    if (serve->target_count == SERVE_ADDRESSES_MAX) {
        return option_refuse(why, "more than %u addresses",
                             SERVE_ADDRESSES_MAX);
    }
    if (url_parse(text, true, &serve->targets[serve->target_count], why) < 0) {
        return false;
    }
    serve->target_count++;
    return true;
}

#define AT(field)       .offset = offsetof(struct reading, options.field)
#define SWITCH(field)   .kind = OPTION_SWITCH, AT(field)
#define TIME(field)     .kind = OPTION_TIME, .most = TIME_MAX_NS, AT(field)
#define MARK_TLS        .mark = offsetof(struct reading, options.tls.given) + 1
#define TLS_TEXT(field) .kind = OPTION_TEXT, AT(tls.options.field), MARK_TLS
#define TLS(reader)     .read = reader, AT(tls), MARK_TLS

static const struct option rows[] = {
    {"mode", 0, "MODE",
     "service: echo, discard, chargen, rr, sized (as rr, but requests contain "
     "the sizes, for run --mode rr with random sizes) or http (the default "
     "with http:// and https://); with UDP only echo and discard (echo)",
     .read = read_mode, .choices = mode_names,
     .mark = offsetof(struct reading, mode) + 1},
    {"grace", 0, "TIME", "time that connections get to finish at the end",
     TIME(grace_ns), .initial = "5s"},
    {"threads", 0, "N",
     "number of threads that serve, or 0 or auto for one on each processor; on "
     "Unix sockets only the first one listens (1)",
     .read = read_threads},
    {"fast-open", 0, NULL,
     "TCP Fast Open: accept bytes that arrive with the SYN (off)",
     SWITCH(fast_open)},
    {"engine", 0, "ENGINE",
     "event engine: uring, poll (epoll), or auto, which is uring if the kernel "
     "allows it (auto)",
     .read = engine_read, .choices = engine_names},
    OPTION_ROW_TLS_LIBRARY(0),
    {"stats", 0, NULL, "print statistics to standard error at the end",
     SWITCH(stats)},
    {"send", 0, "SIZE", "size of a request in mode rr (128)",
     .read = read_sizes, AT(settings.request)},
    {"recv", 0, "SIZE",
     "size of an answer in mode rr, or of a body in mode http (128); bodies "
     "may be random, such as exp:1k (see run --help)",
     .read = read_sizes, AT(settings.answer)},
    {"verbose", 'v', NULL, "print details about the library and the kernel",
     SWITCH(verbose)},

    {.kind = OPTION_TITLE,
     .help = "Known faults, in modes echo, rr, sized and http (not with UDP)"},
    {"delay", 0, "TIME", "time from a request to its answer",
     TIME(settings.pace.delay_ns)},
    {"freeze", 0, "T/P",
     "send nothing in the last time T of each period P, such as 500ms/2s",
     .read = read_freeze},
    {"limit-rate", 0, "N",
     "maximum answers per second, of all connections (not echo)",
     .kind = OPTION_COUNT, .least = 1, .most = RATE_MAX,
     AT(settings.pace.rate)},

    {.kind = OPTION_TITLE, .help = "TLS"},
    {"cert", 0, "FILE",
     "certificate and chain; may be repeated: clients get the one for the name "
     "that they request",
     TLS(tls_read_cert), .repeats = true},
    {"key", 0, "FILE", "private key of the preceding --cert (in its file)",
     TLS(tls_read_key), .repeats = true},
    {"key-passphrase-file", 0, "FILE",
     "file whose first line is the passphrase of encrypted keys",
     TLS_TEXT(passphrase.file)},
    {"key-log", 0, "FILE",
     "append the TLS secrets of connections to FILE, for Wireshark",
     .kind = OPTION_TEXT, AT(tls.key_log), MARK_TLS},
    {"ca", 0, "FILE",
     "certificate authorities that are trusted for client certificates",
     TLS_TEXT(authorities.file)},
    {"crl", 0, "FILE", "file of certificate revocation lists, of every issuer",
     TLS_TEXT(revocations.file)},
    {"client-auth", 0, "WHAT",
     "client certificates: optional or required (with --ca: required)",
     TLS(tls_read_client_auth)},
    {"alpn", 0, "LIST", "application protocols to accept, such as h2,http/1.1",
     TLS_TEXT(alpn)},
    {"ciphers", 0, "LIST", "cipher suites by IANA names, separated by colons",
     TLS_TEXT(ciphers)},
    {"groups", 0, "LIST",
     "groups of the key exchange, such as X25519:P-256 (all)",
     TLS_TEXT(groups)},
    {"tls-min", 0, "VERSION", "lowest TLS version, 1.2 or 1.3 (1.2)",
     .read = tls_read_version, AT(tls.options.min_version), MARK_TLS},
    {"tls-max", 0, "VERSION", "highest TLS version (1.3)",
     .read = tls_read_version, AT(tls.options.max_version), MARK_TLS},
    {"tickets", 0, "on|off",
     "send session tickets, with which clients resume sessions",
     .kind = OPTION_EITHER, .choices = on_off, AT(tls.options.no_tickets),
     MARK_TLS, .initial = "on"},
    OPTION_ROW_HELP,
};

const struct option_set serve_set = {
    .command = "weir-load serve",
    .head = "Usage: weir-load serve [FLAGS] TARGET...\n"
            "\n"
            "TARGET is tcp://HOST:PORT, tls://, http://, https://, udp://, "
            "unix:PATH or\n"
            "tls+unix:PATH.\n"
            "\n"
            "Serves until SIGINT or SIGTERM; a second signal ends it at once. "
            "Prints one\n"
            "line with the addresses when it accepts connections. Port 0 lets "
            "the kernel\n"
            "choose; host * means all addresses; unix:@NAME is an abstract "
            "name.\n"
            "\n"
            "Example: weir-load serve --mode echo tcp://127.0.0.1:7000\n"
            "\n",
    .tail = "SIGUSR1 prints the statistics and every connection to standard "
            "error.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .word = read_target,
};

static bool settle_urls(struct reading *reading)
{
    struct serve_options *options = &reading->options;
    bool is_http = false;

    for (size_t i = 0; i < options->target_count; i++) {
        is_http |= options->targets[i].is_http;
        if (options->targets[i].is_redis) {
            return say("%s: weir-load is not a Redis server; use redis-server",
                       options->targets[i].text);
        }
        if (options->targets[i].is_ws) {
            return say("%s: it was removed; use %s", options->targets[i].text,
                       gone_find("serve ws", 8));
        }
        if (options->targets[i].path) {
            return say("%s: an address to listen on has no path",
                       options->targets[i].text);
        }
    }
    if (!is_http) {
        return true;
    }
    if (reading->mode && strcmp(options->mode->name, "http") != 0) {
        return say("--mode: %s is not for http://", options->mode->name);
    }
    options->mode = mode_find(modes_paced, "http");
    return true;
}

/* Refuses options for connections if a target is udp://. */
static bool check_datagrams(const struct serve_options *options)
{
    for (size_t i = 0; i < options->target_count; i++) {
        if (!options->targets[i].is_datagram) {
            continue;
        }
        if (!datagram_server_has(options->mode)) {
            return say("--mode: %s is not for udp://, echo and discard are",
                       options->mode->name);
        }
        if (pace_is_needed(&options->settings.pace)) {
            return say("--delay, --freeze and --limit-rate are not for udp://");
        }
    }
    return true;
}

static bool check_fast_open(const struct serve_options *options)
{
    bool has_tcp = false;

    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *target = &options->targets[i];
        has_tcp |= !target->is_datagram &&
                   target->address.storage.any.sa_family != AF_UNIX;
    }
    if (options->fast_open && !has_tcp) {
        return say("--fast-open: no target has TCP");
    }
    return true;
}

/* Selects the variant of the mode with delays, if they are needed. */
static bool settle_mode(struct serve_options *options)
{
    const struct pace_options *pace = &options->settings.pace;
    const char *name = options->mode->name;

    if (strcmp(name, "rr") == 0 &&
        !(sizes_is_fixed(&options->settings.request) &&
          sizes_is_fixed(&options->settings.answer))) {
        return say("--send, --recv: mode rr has fixed sizes; use --mode sized");
    }

    if (!pace_is_needed(pace) && mode_find(modes_plain, name)) {
        return true;
    }
    options->mode = mode_find(modes_paced, name);
    if (!options->mode) {
        return say("--mode: %s has no --delay, --freeze or --limit-rate", name);
    }
    if (pace->rate > 0 && strcmp(name, "echo") == 0) {
        return say("--limit-rate: mode echo cannot find the end of a request; "
                   "use --mode rr");
    }
    if (pace->rate > 0 && options->thread_count > 1) {
        return say("--limit-rate: it needs one thread, not %u",
                   options->thread_count);
    }
    return true;
}

enum options_result serve_options_parse(int argc, char **argv, int first,
                                        struct serve_options *ret)
{
    struct reading reading = {
        .options = {.mode = mode_find(modes_plain, "echo"),
                    .settings = {.request = sizes_of(SIZE_BYTES),
                                 .answer = sizes_of(SIZE_BYTES)},
                    .thread_count = 1},
    };
    struct serve_options *options = &reading.options;

    options_set_initial(&serve_set, 0, &reading);
    const enum options_result result =
        options_read(&serve_set, &reading, argc, argv, first, NULL);
    if (result != OPTIONS_READY) {
        return result;
    }
    if (options->target_count == 0) {
        say("no address; write http://127.0.0.1:8080, " TARGET_FORMS
            " (see weir-load serve --help)");
        return OPTIONS_BAD;
    }
    if (!settle_urls(&reading) || !check_datagrams(options) ||
        !check_fast_open(options) ||
        !tls_check_serve(&options->tls, options->targets,
                         options->target_count) ||
        !settle_mode(options)) {
        return OPTIONS_BAD;
    }
    *ret = *options;
    return OPTIONS_READY;
}

/*
 * As for `run` each refusal is one line that names the flag, the value and what
 * would be right.
 *
 * The mode is looked up by its name twice, because --api, which decides how the
 * mode is served, may follow it. What udp:// targets cannot have is refused.
 */
#include "serve_options.h"

#include "serve_datagrams.h"
#include "serve_paced.h"
#include "serve_streams.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/units.h"
#include "url.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* As many as weir_threads_start() starts. */
#define THREADS_MAX 1024U

/* A nanosecond for each answer. */
#define RATE_MAX UINT64_C(1000000000)

/* As run's --send; times are at most a week. */
#define TIME_MAX_NS (7 * 24 * 3600 * UINT64_C(1000000000))

/* Unless --send and --recv say otherwise. */
#define SIZE_BYTES 128U

/* Unless --grace says otherwise. */
#define GRACE_NS UINT64_C(5000000000)

enum {
    FLAG_API = 256,
    FLAG_MODE,
    FLAG_STATS,
    FLAG_ENGINE,
    FLAG_GRACE,
    FLAG_THREADS,
    FLAG_FAST_OPEN,
    FLAG_DELAY,
    FLAG_FREEZE,
    FLAG_RATE,
    FLAG_SEND,
    FLAG_RECV,
};

/* An interface of the library that connections are served through. */
struct api {
    const char *name;
    const struct mode *(*find)(const char *name);
};

/* What is read before it is settled. */
struct reading {
    const struct api *api;
    bool has_mode;
    struct serve_options options;
};

/* The first is the default. */
static const struct api apis[] = {
    {"protocol", mode_find},
    {"stream", serve_streams_find},
};

static const struct option long_flags[] = {
    {"api", required_argument, NULL, FLAG_API},
    {"mode", required_argument, NULL, FLAG_MODE},
    {"stats", no_argument, NULL, FLAG_STATS},
    {"engine", required_argument, NULL, FLAG_ENGINE},
    {"grace", required_argument, NULL, FLAG_GRACE},
    {"threads", required_argument, NULL, FLAG_THREADS},
    {"fast-open", no_argument, NULL, FLAG_FAST_OPEN},
    {"delay", required_argument, NULL, FLAG_DELAY},
    {"freeze", required_argument, NULL, FLAG_FREEZE},
    {"limit-rate", required_argument, NULL, FLAG_RATE},
    {"send", required_argument, NULL, FLAG_SEND},
    {"recv", required_argument, NULL, FLAG_RECV},
    TLS_LONG_FLAGS,
    {"client-auth", required_argument, NULL, TLS_FLAG_CLIENT_AUTH},
    {"tickets", required_argument, NULL, TLS_FLAG_TICKETS},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "Usage: weir-load serve [FLAGS] TARGET...\n"
    "\n"
    "TARGET is tcp://HOST:PORT, tls://HOST:PORT, http://HOST:PORT, https://, "
    "udp://,\n"
    "unix:PATH or tls+unix:PATH.\n"
    "\n"
    "Serves until SIGINT or SIGTERM; a second signal ends it at once. Prints "
    "one\n"
    "line with the addresses once it accepts. Port 0 lets the kernel choose; "
    "host\n"
    "* means all addresses; unix:@NAME is an abstract name.\n"
    "\n"
    "Example: weir-load serve --mode echo tcp://127.0.0.1:7000\n"
    "\n"
    "      --mode MODE     echo (default) or discard; and not with UDP "
    "chargen, rr,\n"
    "                      sized (rr whose requests say their sizes: run "
    "--mode rr\n"
    "                      with sizes that are drawn) or http (default with "
    "http://\n"
    "                      and https://)\n"
    "      --api API       the interface of weir that serves: protocol "
    "(default)\n"
    "                      or stream, with a task for each connection (not "
    "with "
    "UDP)\n"
    "      --grace TIME    for connections to finish at the end (5s)\n"
    "      --threads N     loops that serve, each on a thread of its own (1); "
    "0 or\n"
    "                      auto: one for each processor. All of them listen, "
    "but on\n"
    "                      a Unix path the first alone\n"
    "      --fast-open     TCP Fast Open: take bytes that come with a SYN "
    "(off)\n"
    "      --engine ENGINE uring, poll (epoll), or auto: uring if it is "
    "allowed\n"
    "      --stats         print statistics to standard error at the end\n"
    "      --send SIZE     bytes of a request in mode rr (128)\n"
    "      --recv SIZE     bytes of its answer, or of a body in mode http "
    "(128);\n"
    "                      bodies may be drawn, as exp:1k (see run --help)\n"
    "  -v, --verbose       what the library and the kernel do\n"
    "  -h, --help          this text\n"
    "\n"
    "A server with known faults, in modes echo, rr, sized and http (not with "
    "UDP):\n"
    "      --delay TIME    from a request to its answer\n"
    "      --freeze T/P    send nothing in the last time T of each period P, "
    "as\n"
    "                      500ms/2s\n"
    "      --limit-rate N  answers a second, of all connections (not echo)\n"
    "\n"
    "TLS:\n"
    "      --cert FILE     certificate and chain; given again, another one, "
    "for "
    "the\n"
    "                      clients that ask for its name\n"
    "      --key FILE      the key of the --cert before (in its file)\n"
    "      --ca FILE       authorities of the clients' certificates\n"
    "      --crl FILE      lists of revoked certificates, of every issuer\n"
    "      --client-auth W optional or required (with --ca: required)\n"
    "      --alpn LIST     application protocols, as h2,http/1.1\n"
    "      --ciphers LIST  suites by IANA names with colons between them\n"
    "      --groups LIST   groups of the key exchange, as X25519:P-256 (all)\n"
    "      --tls-min VERSION  lowest version, 1.2 or 1.3 (1.2)\n"
    "      --tls-max VERSION  highest version (1.3)\n"
    "      --tickets on|off   may clients resume sessions (on)\n"
    "\n"
    "SIGUSR1 prints the statistics and every connection to standard error.\n";

/* ---- flags ---- */

static const struct api *find_api(const char *name)
{
    for (size_t i = 0; i < sizeof(apis) / sizeof(apis[0]); i++) {
        if (strcmp(apis[i].name, name) == 0) {
            return &apis[i];
        }
    }
    return NULL;
}

/* A mode that some interface has. */
static const struct mode *find_mode(const char *name)
{
    const struct mode *mode = mode_find(name);

    return mode ? mode : serve_paced_find(name);
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

static bool read_threads(struct serve_options *options)
{
    uint64_t count = 0;

    if (strcmp(optarg, "auto") != 0) {
        int err = units_parse_count(optarg, &count);
        if (err == -ERANGE || (err == 0 && count > THREADS_MAX)) {
            say("--threads: %s is out of range, 0 to %u", optarg, THREADS_MAX);
            return false;
        }
        if (err < 0) {
            say("--threads: '%s' is not a count or auto", optarg);
            return false;
        }
    }
    options->thread_count = count > 0 ? (uint32_t)count : count_processors();
    return true;
}

static bool read_rate(struct pace_options *pace)
{
    uint64_t rate = 0;

    if (units_parse_count(optarg, &rate) < 0) {
        say("--limit-rate: '%s' is not a count", optarg);
        return false;
    }
    if (rate == 0 || rate > RATE_MAX) {
        say("--limit-rate: %s is out of range, 1 to %llu", optarg,
            (unsigned long long)RATE_MAX);
        return false;
    }
    pace->rate = rate;
    return true;
}

static bool read_time(const char *flag, uint64_t *ret_ns)
{
    if (units_parse_time(optarg, ret_ns) < 0 || *ret_ns > TIME_MAX_NS) {
        say("%s: '%s' is not a time such as 500ms or 10s", flag, optarg);
        return false;
    }
    return true;
}

/* Flags of the modes. */
static bool read_setting(struct mode_settings *settings, int flag)
{
    switch (flag) {
    case FLAG_DELAY:
        return read_time("--delay", &settings->pace.delay_ns);
    case FLAG_FREEZE:
        if (pace_parse_freeze(optarg, &settings->pace) < 0 ||
            settings->pace.period_ns > TIME_MAX_NS) {
            say("--freeze: '%s' is not a time and its period, such as 500ms/2s",
                optarg);
            return false;
        }
        return true;
    case FLAG_RATE:
        return read_rate(&settings->pace);
    case FLAG_SEND:
        return options_read_sizes("--send", optarg, &settings->request);
    default:
        return options_read_sizes("--recv", optarg, &settings->answer);
    }
}

static bool read_flag(struct reading *reading, int flag, char **argv)
{
    struct serve_options *options = &reading->options;

    if (flag >= TLS_FLAG_FIRST) {
        return tls_read_flag(&options->tls, flag, optarg);
    }
    if (flag >= FLAG_DELAY) {
        return read_setting(&options->settings, flag);
    }
    switch (flag) {
    case FLAG_API:
        reading->api = find_api(optarg);
        if (!reading->api) {
            say("--api: '%s' is not protocol or stream", optarg);
        }
        return reading->api != NULL;
    case FLAG_MODE:
        options->mode = find_mode(optarg);
        reading->has_mode = true;
        if (!options->mode) {
            say("--mode: '%s' is not echo, discard, chargen, rr, sized or http",
                optarg);
        }
        return options->mode != NULL;
    case FLAG_THREADS:
        return read_threads(options);
    case FLAG_ENGINE:
        return engine_choose(optarg);
    case FLAG_FAST_OPEN:
        options->fast_open = true;
        return true;
    case FLAG_STATS:
        options->stats = true;
        return true;
    case FLAG_GRACE:
        return read_time("--grace", &options->grace_ns);
    case 'v':
        options->verbose = true;
        return true;
    case ':':
        say("%s needs a value (see weir-load serve --help)", argv[optind - 1]);
        return false;
    default:
        say("unknown flag %s (see weir-load serve --help)", argv[optind - 1]);
        return false;
    }
}

static bool read_targets(struct serve_options *options, int argc, char **argv)
{
    char why[TARGET_WHY_SIZE];

    if (optind == argc) {
        say("no address; write " TARGET_FORMS " (see weir-load serve --help)");
        return false;
    }
    if (argc - optind > (int)SERVE_ADDRESSES_MAX) {
        say("more than %u addresses", SERVE_ADDRESSES_MAX);
        return false;
    }
    for (int i = optind; i < argc; i++) {
        if (url_parse(argv[i], true, &options->targets[options->target_count],
                      why) < 0) {
            say("%s", why);
            return false;
        }
        options->target_count++;
    }
    return true;
}

/* http:// means the mode, too. */
static bool settle_urls(struct reading *reading)
{
    struct serve_options *options = &reading->options;
    bool is_http = false;

    for (size_t i = 0; i < options->target_count; i++) {
        is_http |= options->targets[i].is_http;
        if (options->targets[i].path) {
            say("%s: an address to listen on has no path",
                options->targets[i].text);
            return false;
        }
    }
    if (!is_http) {
        return true;
    }
    if (reading->has_mode && strcmp(options->mode->name, "http") != 0) {
        say("--mode: %s is not for http://", options->mode->name);
        return false;
    }
    options->mode = serve_paced_find("http");
    return true;
}

/* What has a meaning for connections only. */
static bool check_datagrams(const struct reading *reading)
{
    const struct serve_options *options = &reading->options;

    for (size_t i = 0; i < options->target_count; i++) {
        if (!options->targets[i].is_datagram) {
            continue;
        }
        if (!datagram_server_has(options->mode)) {
            say("--mode: %s is not for udp://, echo and discard are",
                options->mode->name);
            return false;
        }
        if (pace_is_needed(&options->settings.pace)) {
            say("--delay, --freeze and --limit-rate are not for udp://");
            return false;
        }
        if (reading->api != &apis[0]) {
            say("--api: %s is not for udp://, protocol is", reading->api->name);
            return false;
        }
    }
    return true;
}

/* A SYN is of TCP. */
static bool check_fast_open(const struct serve_options *options)
{
    bool has_tcp = false;

    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *target = &options->targets[i];
        has_tcp |= !target->is_datagram &&
                   target->address.storage.any.sa_family != AF_UNIX;
    }
    if (options->fast_open && !has_tcp) {
        say("--fast-open: no target has TCP");
        return false;
    }
    return true;
}

/* The mode as it is served: by the interface that was asked for, or with its
 * faults. */
static bool settle_mode(struct reading *reading)
{
    struct serve_options *options = &reading->options;
    const struct pace_options *pace = &options->settings.pace;
    const char *name = options->mode->name;
    const bool is_paced = pace_is_needed(pace) || !mode_find(name);

    if (strcmp(name, "rr") == 0 &&
        !(sizes_is_fixed(&options->settings.request) &&
          sizes_is_fixed(&options->settings.answer))) {
        say("--send, --recv: mode rr has one size of each; in mode sized "
            "requests say theirs");
        return false;
    }

    if (!is_paced) {
        options->mode = reading->api->find(name);
        return true;
    }
    options->mode = serve_paced_find(name);
    if (!options->mode) {
        say("--mode: %s has no --delay, --freeze or --limit-rate", name);
        return false;
    }
    if (reading->api != &apis[0]) {
        say("--api: %s has neither modes rr, sized and http nor --delay",
            reading->api->name);
        return false;
    }
    if (pace->rate > 0 && strcmp(name, "echo") == 0) {
        say("--limit-rate: echo does not know where a request ends, --mode rr "
            "does");
        return false;
    }
    if (pace->rate > 0 && options->thread_count > 1) {
        say("--limit-rate: it is of one thread, not of %u",
            options->thread_count);
        return false;
    }
    return true;
}

enum options_result serve_options_parse(int argc, char **argv, int first,
                                        struct serve_options *ret)
{
    struct reading reading = {
        .api = &apis[0],
        .options = {.mode = mode_find("echo"),
                    .settings = {.request = sizes_of(SIZE_BYTES),
                                 .answer = sizes_of(SIZE_BYTES)},
                    .grace_ns = GRACE_NS,
                    .thread_count = 1},
    };
    struct serve_options *options = &reading.options;

    opterr = 0;
    optind = first;
    for (;;) {
        int flag = getopt_long(argc, argv, ":vh", long_flags, NULL);
        if (flag == -1) {
            break;
        }
        if (flag == 'h') {
            fputs(help, stdout);
            return OPTIONS_DONE;
        }
        if (!read_flag(&reading, flag, argv)) {
            return OPTIONS_BAD;
        }
    }
    if (!read_targets(options, argc, argv) || !settle_urls(&reading) ||
        !check_datagrams(&reading) || !check_fast_open(options) ||
        !tls_check_serve(&options->tls, options->targets,
                         options->target_count) ||
        !settle_mode(&reading)) {
        return OPTIONS_BAD;
    }
    *ret = *options;
    return OPTIONS_READY;
}

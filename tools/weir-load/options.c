/*
 * getopt_long with messages of our own: each refusal is one line that names
 * the flag, the value and what would be right.
 *
 * Limits of the machine (descriptors, ports) are not looked at here but in
 * limits.c; this file only knows numbers.
 */
#include "options.h"

#include "exchange.h"
#include "tools/common/console.h"
#include "tools/common/units.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define SECOND UINT64_C(1000000000)

/* Values past these are slips of the finger. */
#define CONNS_MAX     1000000U
#define DEPTH_MAX     65536U
#define SIZE_MAX_RUN  (64U << 20)
#define IN_FLIGHT_MAX (UINT64_C(1) << 30)
#define TIME_MAX      (7 * 24 * 3600 * SECOND)

/* Rows of the result; a longer run gets longer intervals by default. */
#define INTERVALS_MAX 3600U

enum {
    FLAG_SEND = 256,
    FLAG_RECV,
    FLAG_TIMEOUT,
    FLAG_CONNECT_TIMEOUT,
    FLAG_MAX_ERRORS,
    FLAG_JSON,
    FLAG_SEED,
    FLAG_MODE,
    FLAG_HELP,
};

static const char *const mode_names[] = {
    [RUN_MODE_ECHO] = "echo",
    [RUN_MODE_CRR] = "crr",
    [RUN_MODE_RR] = "rr",
};

static const struct option long_flags[] = {
    {"connections", required_argument, NULL, 'c'},
    {"duration", required_argument, NULL, 'd'},
    {"requests", required_argument, NULL, 'n'},
    {"pipeline", required_argument, NULL, 'p'},
    {"warmup", required_argument, NULL, 'w'},
    {"interval", required_argument, NULL, 'i'},
    {"send", required_argument, NULL, FLAG_SEND},
    {"recv", required_argument, NULL, FLAG_RECV},
    {"timeout", required_argument, NULL, FLAG_TIMEOUT},
    {"connect-timeout", required_argument, NULL, FLAG_CONNECT_TIMEOUT},
    {"max-errors", required_argument, NULL, FLAG_MAX_ERRORS},
    {"json", optional_argument, NULL, FLAG_JSON},
    {"seed", required_argument, NULL, FLAG_SEED},
    {"mode", required_argument, NULL, FLAG_MODE},
    TLS_LONG_FLAGS,
    {"insecure", no_argument, NULL, TLS_FLAG_INSECURE},
    {"sni", required_argument, NULL, TLS_FLAG_SNI},
    {"resume", required_argument, NULL, TLS_FLAG_RESUME},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, FLAG_HELP},
    {NULL, 0, NULL, 0},
};

static const char short_flags[] = ":c:d:n:p:w:i:qvh";

static const char help[] =
    "Usage: weir-load [run] [FLAGS] TARGET...\n"
    "\n"
    "TARGET is tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:PATH "
    "or\n"
    "tls+unix:PATH.\n"
    "\n"
    "Sends requests to echo servers, compares every byte that comes back, and\n"
    "reports rate and latency. Closed loop: a connection sends its next "
    "request\n"
    "when an answer is there. Over UDP lost, duplicate and reordered answers "
    "are\n"
    "counted.\n"
    "\n"
    "Example: weir-load run -c 50 -d 10s tcp://127.0.0.1:7000\n"
    "\n"
    "  -c, --connections N      connections (10)\n"
    "  -d, --duration TIME      how long to measure (10s; with -n: no limit)\n"
    "  -n, --requests COUNT     how many requests to measure\n"
    "  -p, --pipeline DEPTH     requests under way on each connection (1)\n"
    "      --send SIZE          bytes of a request (128; UDP: at least 16)\n"
    "  -w, --warmup TIME        not measured, before the rest (1s; with -n: "
    "0)\n"
    "  -i, --interval TIME      length of an interval of the report (1s)\n"
    "      --timeout TIME       for an answer (5s; UDP: 1s, then it is lost)\n"
    "      --connect-timeout T  for a connection (5s; not with UDP)\n"
    "      --max-errors N|P%    errors that are allowed (0)\n"
    "      --json[=FILE]        the result as JSON, to FILE or instead of the "
    "text\n"
    "      --seed N             of the payload (random)\n"
    "      --recv SIZE          bytes of an answer in mode rr (as --send)\n"
    "      --mode MODE          echo; rr: answers of a fixed size, not "
    "compared; crr:\n"
    "                           each connection connects, sends one request, "
    "gets its\n"
    "                           answer and closes (both not with UDP)\n"
    "  -q, --quiet              no live lines, no text report\n"
    "  -v, --verbose            what the library and the kernel do\n"
    "  -h, --help               this text\n"
    "\n"
    "TLS:\n"
    "      --ca FILE            authorities to trust (the system's)\n"
    "      --crl FILE           lists of revoked certificates, of every "
    "issuer\n"
    "      --insecure           verify nothing\n"
    "      --sni NAME           name to ask for and to verify (the host)\n"
    "      --cert FILE          own certificate, for servers that ask for one\n"
    "      --key FILE           its key (in the file of the certificate)\n"
    "      --alpn LIST          application protocols, as h2,http/1.1\n"
    "      --tls-min VERSION    lowest version, 1.2 or 1.3 (1.2)\n"
    "      --tls-max VERSION    highest version (1.3)\n"
    "      --resume WHAT        off, ticket, or a share such as 0.9: how many "
    "of the\n"
    "                           handshakes of mode crr resume a session (off)\n"
    "\n"
    "Units: k M G are 1000s in counts; K M G are 1024s in sizes; us ms s m h\n"
    "are times, a plain number is seconds.\n"
    "\n"
    "Exit codes: 0 valid, 1 internal error, 2 usage or a limit of this "
    "machine,\n"
    "3 nothing succeeded, 4 more errors than allowed, 5 run invalid,\n"
    "130 interrupted (what there was is printed).\n";

/* What the command line said, so that defaults can depend on it. */
struct given {
    bool duration;
    bool requests;
    bool warmup;
    bool interval;
    bool timeout;
    bool connect_timeout;
};

static bool refuse_value(const char *flag, const char *value, const char *want)
{
    say("%s: '%s' is not %s", flag, value, want);
    return false;
}

static bool read_count(const char *flag, const char *value, uint64_t max,
                       uint64_t *ret)
{
    uint64_t count = 0;

    if (units_parse_count(value, &count) < 0) {
        return refuse_value(flag, value, "a count such as 50 or 10k");
    }
    if (count < 1 || count > max) {
        say("%s: %s is out of range, 1 to %llu", flag, value,
            (unsigned long long)max);
        return false;
    }
    *ret = count;
    return true;
}

static bool read_time(const char *flag, const char *value, uint64_t min,
                      uint64_t *ret)
{
    uint64_t time_ns = 0;

    if (units_parse_time(value, &time_ns) < 0) {
        return refuse_value(flag, value, "a time such as 500ms or 10s");
    }
    if (time_ns < min || time_ns > TIME_MAX) {
        char text[UNITS_TEXT_SIZE];
        say("%s: %s is out of range, %s to 168h", flag, value,
            units_format_time(min, text));
        return false;
    }
    *ret = time_ns;
    return true;
}

static bool read_size(const char *flag, const char *value, uint64_t *ret)
{
    uint64_t bytes = 0;

    if (units_parse_size(value, &bytes) < 0) {
        return refuse_value(flag, value, "a size such as 128 or 64K");
    }
    if (bytes < 1 || bytes > SIZE_MAX_RUN) {
        say("%s: %s is out of range, 1 to 64M", flag, value);
        return false;
    }
    *ret = bytes;
    return true;
}

static bool read_max_errors(const char *value, struct run_options *options)
{
    uint64_t share = 0;

    if (units_parse_count(value, &options->max_errors) == 0) {
        options->max_errors_is_share = false;
        return true;
    }
    if (units_parse_percent(value, &share) < 0 || share > 1000000) {
        return refuse_value("--max-errors", value,
                            "a count such as 10 or a share such as 0.1%");
    }
    options->max_errors = share;
    options->max_errors_is_share = true;
    return true;
}

static bool read_seed(const char *value, uint64_t *ret)
{
    if (units_parse_count(value, ret) < 0 || *ret > INT64_MAX) {
        return refuse_value("--seed", value, "a number below 2^63");
    }
    return true;
}

const char *options_mode_name(enum run_mode mode)
{
    return mode_names[mode];
}

static bool read_mode(const char *value, enum run_mode *ret)
{
    for (size_t i = 0; i < sizeof(mode_names) / sizeof(mode_names[0]); i++) {
        if (strcmp(value, mode_names[i]) == 0) {
            *ret = (enum run_mode)i;
            return true;
        }
    }
    return refuse_value("--mode", value, "echo, crr or rr");
}

static bool read_load_flag(int flag, const char *value,
                           struct run_options *options, struct given *given)
{
    switch (flag) {
    case 'c':
        return read_count("-c", value, CONNS_MAX, &options->conn_count);
    case 'd':
        given->duration = true;
        return read_time("-d", value, SECOND / 1000, &options->duration_ns);
    case 'n':
        given->requests = true;
        return read_count("-n", value, UINT64_MAX / 2, &options->request_count);
    case 'p':
        return read_count("-p", value, DEPTH_MAX, &options->depth);
    case 'w':
        given->warmup = true;
        return read_time("-w", value, 0, &options->warmup_ns);
    default:
        given->interval = true;
        return read_time("-i", value, SECOND / 100, &options->interval_ns);
    }
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct given *given)
{
    switch (flag) {
    case FLAG_SEND:
        return read_size("--send", value, &options->size_bytes);
    case FLAG_RECV:
        return read_size("--recv", value, &options->recv_bytes);
    case FLAG_TIMEOUT:
        given->timeout = true;
        return read_time("--timeout", value, SECOND / 1000,
                         &options->timeout_ns);
    case FLAG_CONNECT_TIMEOUT:
        given->connect_timeout = true;
        return read_time("--connect-timeout", value, SECOND / 1000,
                         &options->connect_timeout_ns);
    case FLAG_MAX_ERRORS:
        return read_max_errors(value, options);
    case FLAG_JSON:
        options->json = true;
        options->json_path = value;
        return !value || *value ? true
                                : refuse_value("--json", value, "a file name");
    case FLAG_SEED:
        return read_seed(value, &options->seed);
    case FLAG_MODE:
        return read_mode(value, &options->mode);
    case 'q':
        options->quiet = true;
        return true;
    case 'v':
        options->verbose = true;
        return true;
    default:
        return read_load_flag(flag, value, options, given);
    }
}

/* Defaults that depend on what was given, and what does not go together. */
static bool settle(struct run_options *options, const struct given *given)
{
    if (!given->requests && !given->duration) {
        options->duration_ns = 10 * SECOND;
    }
    if (!given->warmup) {
        options->warmup_ns = given->requests ? 0 : SECOND;
    }
    uint64_t shortest = options->duration_ns / INTERVALS_MAX;
    if (!given->interval) {
        options->interval_ns = shortest > SECOND ? shortest : SECOND;
    } else if (options->interval_ns < shortest) {
        char text[UNITS_TEXT_SIZE];
        say("-i: too short for this -d, at least %s (%u intervals)",
            units_format_time(shortest, text), INTERVALS_MAX);
        return false;
    }
    uint64_t in_flight = options->depth * options->size_bytes;
    if (in_flight > IN_FLIGHT_MAX) {
        say("-p times --send is more than 1G on each connection");
        return false;
    }
    if (options->conn_count * options->depth * sizeof(uint64_t) >
        IN_FLIGHT_MAX) {
        say("-c times -p is more than 128M requests under way");
        return false;
    }
    return true;
}

/* What is different over UDP; to be called with the targets read. */
static bool settle_datagrams(struct run_options *options,
                             const struct given *given)
{
    for (size_t i = 1; i < options->target_count; i++) {
        if (options->targets[i].is_datagram !=
            options->targets[0].is_datagram) {
            say("udp:// and other targets cannot be loaded together");
            return false;
        }
    }
    if (!options->targets[0].is_datagram) {
        return true;
    }
    if (given->connect_timeout) {
        say("--connect-timeout: over udp:// nothing is connected");
        return false;
    }
    if (options->size_bytes < EXCHANGE_HEAD_SIZE ||
        options->size_bytes > EXCHANGE_SIZE_MAX) {
        say("--send: over udp:// a datagram has %u to %u bytes",
            EXCHANGE_HEAD_SIZE, EXCHANGE_SIZE_MAX);
        return false;
    }
    if (options->conn_count * options->depth * sizeof(struct track_slot) >
        IN_FLIGHT_MAX) {
        say("-c times -p is more than %lluM datagrams under way",
            (unsigned long long)(IN_FLIGHT_MAX / sizeof(struct track_slot) /
                                 1000000));
        return false;
    }
    if (!given->timeout) {
        options->timeout_ns = SECOND;
    }
    return true;
}

static bool settle_mode(struct run_options *options)
{
    if (options->mode != RUN_MODE_RR && options->recv_bytes > 0) {
        say("--recv: it is for --mode rr alone");
        return false;
    }
    if (options->mode != RUN_MODE_CRR && options->tls.resume_share > 0) {
        say("--resume: connections are made again in --mode crr alone");
        return false;
    }
    if (options->mode == RUN_MODE_ECHO) {
        return true;
    }
    if (options->targets[0].is_datagram) {
        say(options->mode == RUN_MODE_CRR
                ? "--mode: over udp:// nothing is connected"
                : "--mode: rr is not for udp://");
        return false;
    }
    if (options->mode == RUN_MODE_RR) {
        options->recv_bytes =
            options->recv_bytes > 0 ? options->recv_bytes : options->size_bytes;
        return true;
    }
    if (options->depth > 1) {
        say("-p: in mode crr there is one request for each connection");
        return false;
    }
    return true;
}

static bool read_targets(int argc, char **argv, struct run_options *options)
{
    if (optind == argc) {
        say("no target; write " TARGET_FORMS " (see weir-load run --help)");
        return false;
    }
    if (argc - optind > OPTIONS_TARGETS_MAX) {
        say("more than %d targets", OPTIONS_TARGETS_MAX);
        return false;
    }
    for (int i = optind; i < argc; i++) {
        char why[TARGET_WHY_SIZE];
        if (target_parse(argv[i], false,
                         &options->targets[options->target_count], why) < 0) {
            say("%s", why);
            return false;
        }
        options->target_count++;
    }
    return true;
}

static void refuse_flag(int flag, char **argv)
{
    const char *text = argv[optind - 1];

    if (flag == ':') {
        say("%s needs a value (see weir-load run --help)", text);
    } else if (optopt > 0 && optopt < FLAG_SEND && text[1] != '-') {
        say("unknown flag -%c (see weir-load run --help)", optopt);
    } else {
        say("unknown flag %s (see weir-load run --help)", text);
    }
}

enum options_result options_parse(int argc, char **argv, int first,
                                  struct run_options *ret)
{
    struct given given = {0};
    struct run_options options = {
        .conn_count = 10,
        .depth = 1,
        .size_bytes = 128,
        .timeout_ns = 5 * SECOND,
        .connect_timeout_ns = 5 * SECOND,
        .argv = argv,
        .argc = argc,
    };

    if (getrandom(&options.seed, sizeof(options.seed), GRND_NONBLOCK) < 0) {
        options.seed = 1;
    }
    /* JSON readers keep 53 bits of a number. */
    options.seed >>= 11;
    opterr = 0;
    optind = first;
    for (;;) {
        int flag = getopt_long(argc, argv, short_flags, long_flags, NULL);
        if (flag == -1) {
            break;
        }
        if (flag == FLAG_HELP || flag == 'h') {
            fputs(help, stdout);
            return OPTIONS_DONE;
        }
        if (flag == '?' || flag == ':') {
            refuse_flag(flag, argv);
            return OPTIONS_BAD;
        }
        if (flag >= TLS_FLAG_FIRST
                ? !tls_read_flag(&options.tls, flag, optarg)
                : !read_flag(flag, optarg, &options, &given)) {
            return OPTIONS_BAD;
        }
    }
    if (!settle(&options, &given) || !read_targets(argc, argv, &options) ||
        !settle_datagrams(&options, &given) || !settle_mode(&options) ||
        !tls_check_run(&options.tls, options.targets, options.target_count)) {
        return OPTIONS_BAD;
    }
    *ret = options;
    return OPTIONS_READY;
}

/*
 * The load itself: connections, how many requests, of which sizes, for how
 * long. What the modes ask of it stands in options_mode.c.
 *
 * Defaults depend on each other and on the targets; they are settled when all
 * is read.
 */
#include "options_table.h"

#include "exchange.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/units.h"

#include <string.h>

#define SECOND UINT64_C(1000000000)

/* Values past these are slips of the finger. */
#define CONNS_MAX     1000000U
#define DEPTH_MAX     65536U
#define IN_FLIGHT_MAX (UINT64_C(1) << 30)

enum {
    FLAG_SEND = OPTIONS_MAIN_FIRST,
    FLAG_RECV,
    FLAG_TIMEOUT,
    FLAG_CONNECT_TIMEOUT,
    FLAG_MAX_ERRORS,
    FLAG_SEED,
    FLAG_ENGINE,
};

static const struct option long_flags[] = {
    {"connections", required_argument, NULL, 'c'},
    {"duration", required_argument, NULL, 'd'},
    {"requests", required_argument, NULL, 'n'},
    {"pipeline", required_argument, NULL, 'p'},
    {"warmup", required_argument, NULL, 'w'},
    {"send", required_argument, NULL, FLAG_SEND},
    {"recv", required_argument, NULL, FLAG_RECV},
    {"timeout", required_argument, NULL, FLAG_TIMEOUT},
    {"connect-timeout", required_argument, NULL, FLAG_CONNECT_TIMEOUT},
    {"max-errors", required_argument, NULL, FLAG_MAX_ERRORS},
    {"seed", required_argument, NULL, FLAG_SEED},
    {"engine", required_argument, NULL, FLAG_ENGINE},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "  -c, --connections N      connections (10)\n"
    "  -d, --duration TIME      how long to measure (10s; with -n: no limit)\n"
    "  -n, --requests COUNT     how many requests to measure\n"
    "  -p, --pipeline DEPTH     requests under way on each connection (1)\n"
    "      --send SIZE          bytes of a request (128; echoes over UDP: at "
    "least\n"
    "                           16), or of a block in mode stream (64K)\n"
    "      --recv SIZE          bytes of an answer in mode rr (as --send)\n"
    "                           Sizes are drawn by uniform:64:1k, exp:1k,\n"
    "                           pareto:100:1.2:1M or mix:100:90,10k:10\n"
    "  -w, --warmup TIME        not measured, before the rest (1s; with -n: "
    "0)\n"
    "      --timeout TIME       for an answer (5s; UDP: 1s, then it is lost)\n"
    "      --connect-timeout T  for a connection (5s; not with UDP)\n"
    "      --max-errors N|P%    errors that are allowed (0)\n"
    "      --seed N             of the payload (random)\n"
    "      --engine ENGINE      uring, poll (epoll), or auto: uring if it is "
    "allowed\n";

static bool read_max_errors(const char *value, struct run_options *options)
{
    uint64_t share = 0;

    if (units_parse_count(value, &options->max_errors) == 0) {
        options->max_errors_is_share = false;
        return true;
    }
    if (units_parse_percent(value, &share) < 0 || share > 1000000) {
        return options_refuse("--max-errors", value,
                              "a count such as 10 or a share such as 0.1%");
    }
    options->max_errors = share;
    options->max_errors_is_share = true;
    return true;
}

static bool read_seed(const char *value, uint64_t *ret)
{
    if (units_parse_count(value, ret) < 0 || *ret > INT64_MAX) {
        return options_refuse("--seed", value, "a number below 2^63");
    }
    return true;
}

/* -d is a body in hey, oha and curl. */
static bool may_be_time(const char *value)
{
    if (value[0] >= '0' && value[0] <= '9') {
        return true;
    }
    say("-d: '%s' is not a time such as 500ms or 10s; a body is -b TEXT or -b "
        "@FILE",
        value);
    return false;
}

static bool read_number(int flag, const char *value,
                        struct run_options *options,
                        struct options_given *given)
{
    switch (flag) {
    case 'c':
        return options_read_count("-c", value, CONNS_MAX, &options->conn_count);
    case 'd':
        given->duration = true;
        return may_be_time(value) &&
               options_read_time("-d", value, SECOND / 1000,
                                 &options->duration_ns);
    case 'n':
        given->requests = true;
        return options_read_count("-n", value, UINT64_MAX / 2,
                                  &options->request_count);
    case 'p':
        return options_read_count("-p", value, DEPTH_MAX, &options->depth);
    default:
        given->warmup = true;
        return options_read_time("-w", value, 0, &options->warmup_ns);
    }
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    switch (flag) {
    case FLAG_SEND:
        options->send_text = value;
        return options_read_sizes("--send", value, &options->send);
    case FLAG_RECV:
        options->recv_text = value;
        return options_read_sizes("--recv", value, &options->recv);
    case FLAG_TIMEOUT:
        given->timeout = true;
        return options_read_time("--timeout", value, SECOND / 1000,
                                 &options->timeout_ns);
    case FLAG_CONNECT_TIMEOUT:
        given->connect_timeout = true;
        return options_read_time("--connect-timeout", value, SECOND / 1000,
                                 &options->connect_timeout_ns);
    case FLAG_MAX_ERRORS:
        return read_max_errors(value, options);
    case FLAG_SEED:
        return read_seed(value, &options->seed);
    case FLAG_ENGINE:
        return engine_choose(value);
    default:
        return read_number(flag, value, options, given);
    }
}

static bool settle_amounts(struct run_options *options,
                           const struct options_given *given)
{
    const bool is_counted = given->requests || given->replay;

    if (!is_counted && !given->duration) {
        options->duration_ns = 10 * SECOND;
    }
    if (!given->warmup) {
        options->warmup_ns = is_counted ? 0 : SECOND;
    }
    uint64_t in_flight = options->depth * options->send.most;
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

/* Differences over UDP. */
static bool settle_datagrams(struct run_options *options,
                             const struct options_given *given)
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

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    return settle_amounts(options, given) && settle_datagrams(options, given);
}

const struct options_group options_load = {
    .long_flags = long_flags,
    .short_flags = "c:d:n:p:w:",
    .read = read_flag,
    .settle = settle,
    .help = help,
};

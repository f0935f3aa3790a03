/*
 * The modes of a run, and what goes with which: flags of requests are refused
 * where there are none, and UDP where something has to be connected.
 *
 * HTTP and scripts are chosen by their targets and flags (options_request.c);
 * this group is settled after them.
 */
#include "options_table.h"

#include "exchange.h"
#include "tools/common/console.h"

#include <string.h>

/* A block of mode stream lies in one piece. */
#define BLOCK_DEFAULT (64U << 10)
#define BLOCK_MAX     PAYLOAD_REACH

enum {
    FLAG_MODE = OPTIONS_MODE_FIRST,
    FLAG_DIRECTION,
};

struct mode {
    const char *name;
    /* There are datagrams of it. */
    bool is_for_udp;
    /* Its connections carry requests one after the other, or on a schedule. */
    bool has_requests;
};

static const struct mode modes[] = {
    [RUN_MODE_ECHO] = {"echo", true, true},
    [RUN_MODE_CRR] = {"crr", false, true},
    [RUN_MODE_RR] = {"rr", true, true},
    [RUN_MODE_HTTP] = {"http", false, true},
    [RUN_MODE_SCRIPT] = {"script", false, true},
    [RUN_MODE_STREAM] = {"stream", false, false},
    [RUN_MODE_CONNECT] = {"connect", false, false},
    [RUN_MODE_IDLE] = {"idle", false, false},
};

#define MODE_COUNT (sizeof(modes) / sizeof(modes[0]))

static const char *const directions[] = {
    [RUN_UP] = "up",
    [RUN_DOWN] = "down",
    [RUN_BOTH] = "both",
};

#define DIRECTION_COUNT (sizeof(directions) / sizeof(directions[0]))

static const struct option long_flags[] = {
    {"mode", required_argument, NULL, FLAG_MODE},
    {"direction", required_argument, NULL, FLAG_DIRECTION},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "\n"
    "What connections are for:\n"
    "      --mode MODE          echo: requests that come back, compared\n"
    "                           rr: answers of a fixed size, not compared\n"
    "                           crr: each connection is made for one echo\n"
    "                           stream: bytes without an end, see --direction\n"
    "                           connect: each connection is closed when it "
    "stands\n"
    "                           idle: connections stand until the end\n"
    "                           http; script: with --request\n"
    "                           (over UDP: echo and rr)\n"
    "      --direction HOW      of mode stream: up, down or both (up)\n";

const char *options_mode_name(enum run_mode mode)
{
    return modes[mode].name;
}

const char *options_direction_name(enum run_direction direction)
{
    return directions[direction];
}

static bool read_mode(const char *value, enum run_mode *ret)
{
    for (size_t i = 0; i < MODE_COUNT; i++) {
        if (strcmp(value, modes[i].name) == 0) {
            *ret = (enum run_mode)i;
            return true;
        }
    }
    return options_refuse(
        "--mode", value,
        "echo, crr, rr, http, script, stream, connect or idle");
}

static bool read_direction(const char *value, enum run_direction *ret)
{
    for (size_t i = 0; i < DIRECTION_COUNT; i++) {
        if (strcmp(value, directions[i]) == 0) {
            *ret = (enum run_direction)i;
            return true;
        }
    }
    return options_refuse("--direction", value, "up, down or both");
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    if (flag == FLAG_MODE) {
        given->mode = true;
        return read_mode(value, &options->mode);
    }
    given->direction = true;
    return read_direction(value, &options->direction);
}

/* "FLAG: it is not for mode NAME"; returns false. */
static bool refuse_for(const struct run_options *options, const char *flag)
{
    say("%s: it is not for mode %s", flag, modes[options->mode].name);
    return false;
}

/* The flags that speak of requests, of which the mode has none. */
static bool settle_without_requests(const struct run_options *options)
{
    const bool is_stream = options->mode == RUN_MODE_STREAM;

    if (options->model != RUN_MODEL_CLOSED) {
        say("-R, --stages: in mode %s there is no schedule%s",
            modes[options->mode].name,
            options->mode == RUN_MODE_CONNECT ? "; see --conn-rate" : "");
        return false;
    }
    if (options->think_ns > 0) {
        return refuse_for(options, "--think");
    }
    if (options->requests_per_conn > 0) {
        return refuse_for(options, "--requests-per-conn");
    }
    return is_stream || options->depth == 1 || refuse_for(options, "-p");
}

static bool settle_stream(struct run_options *options)
{
    if (!options->send_text) {
        options->send = sizes_of(BLOCK_DEFAULT);
    }
    if (!sizes_is_fixed(&options->send)) {
        say("--send: blocks of mode stream have one size");
        return false;
    }
    if (options->send.most > BLOCK_MAX) {
        say("--send: a block of mode stream has at most %uK", BLOCK_MAX >> 10);
        return false;
    }
    return true;
}

/* There is nothing to count and nothing to warm up. */
static bool settle_idle(struct run_options *options,
                        const struct options_given *given)
{
    if (given->requests) {
        return refuse_for(options, "-n");
    }
    if (given->warmup) {
        return refuse_for(options, "-w");
    }
    options->warmup_ns = 0;
    return true;
}

static bool has_fixed_sizes(const struct run_options *options)
{
    return sizes_is_fixed(&options->send) && sizes_is_fixed(&options->recv);
}

/* Sizes of datagrams, and what tells their answers. */
static bool settle_datagrams(struct run_options *options)
{
    const bool is_echo = options->mode == RUN_MODE_ECHO;
    const unsigned least = is_echo ? EXCHANGE_HEAD_SIZE : 1;

    if (!modes[options->mode].is_for_udp) {
        say("--mode: %s is not for udp://, over which nothing is connected",
            modes[options->mode].name);
        return false;
    }
    if (!sizes_clip(&options->send, least, EXCHANGE_SIZE_MAX)) {
        say("--send: over udp:// a datagram has %u to %u bytes", least,
            EXCHANGE_SIZE_MAX);
        return false;
    }
    if (!is_echo && !has_fixed_sizes(options)) {
        say("--send, --recv: over udp:// sizes of mode rr are always the same");
        return false;
    }
    if (options->recv.most > EXCHANGE_SIZE_MAX) {
        say("--recv: over udp:// a datagram has at most %u bytes",
            EXCHANGE_SIZE_MAX);
        return false;
    }
    if (!is_echo && options->depth > 1) {
        say("-p: over udp:// answers of mode rr have no number, so there is "
            "one request at a time");
        return false;
    }
    return true;
}

/* Flags that belong to another mode. */
static bool settle_strangers(const struct run_options *options,
                             const struct options_given *given)
{
    if (options->mode != RUN_MODE_RR && options->recv_text) {
        say("--recv: it is for --mode rr alone");
        return false;
    }
    if (options->mode != RUN_MODE_STREAM && given->direction) {
        say("--direction: it is for --mode stream alone");
        return false;
    }
    if (!options_is_churn(options) && options->requests_per_conn == 0 &&
        options->tls.resume_share > 0) {
        say("--resume: connections are made again in --mode crr and connect "
            "alone, and with --requests-per-conn");
        return false;
    }
    if (options->mode == RUN_MODE_CRR && options->depth > 1) {
        say("-p: in mode crr there is one request for each connection");
        return false;
    }
    return true;
}

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    if (!settle_strangers(options, given)) {
        return false;
    }
    if (options->mode == RUN_MODE_RR && !options->recv_text) {
        options->recv = options->send;
        options->recv_text = options->send_text;
    }
    if (options->targets[0].is_datagram && !settle_datagrams(options)) {
        return false;
    }
    if (options_has_heads(options) &&
        !sizes_clip(&options->send, OPTIONS_HEAD_SIZE, SIZES_MAX)) {
        say("--send: a request that says its sizes has at least %u bytes",
            OPTIONS_HEAD_SIZE);
        return false;
    }
    if (!modes[options->mode].has_requests &&
        !settle_without_requests(options)) {
        return false;
    }
    switch (options->mode) {
    case RUN_MODE_STREAM:
        return settle_stream(options);
    case RUN_MODE_IDLE:
        return settle_idle(options, given);
    default:
        return true;
    }
}

const struct options_group options_mode = {
    .long_flags = long_flags,
    .short_flags = "",
    .read = read_flag,
    .settle = settle,
    .help = help,
};

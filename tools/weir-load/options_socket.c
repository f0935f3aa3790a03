/*
 * Options of sockets (sockets.h), which the kernel is asked about before the
 * run begins.
 *
 * Which of them a target cannot have is judged when all is read.
 */
#include "options_table.h"

#include "tools/common/console.h"
#include "tools/common/units.h"

#include <stdlib.h>
#include <string.h>

/* The kernel doubles a buffer's size, and counts in 31 bits. */
#define BUFFER_MAX    (UINT64_C(1) << 30)
#define TOS_MAX       255U
#define MICROSECOND   UINT64_C(1000)
#define BUSY_POLL_MAX (UINT64_C(1000) * MICROSECOND * MICROSECOND)

enum {
    FLAG_NODELAY = OPTIONS_SOCKET_FIRST,
    FLAG_KEEPALIVE,
    FLAG_FAST_OPEN,
    FLAG_SNDBUF,
    FLAG_RCVBUF,
    FLAG_TOS,
    FLAG_BUSY_POLL,
};

static const struct option long_flags[] = {
    {"nodelay", required_argument, NULL, FLAG_NODELAY},
    {"keepalive", no_argument, NULL, FLAG_KEEPALIVE},
    {"fast-open", no_argument, NULL, FLAG_FAST_OPEN},
    {"sndbuf", required_argument, NULL, FLAG_SNDBUF},
    {"rcvbuf", required_argument, NULL, FLAG_RCVBUF},
    {"tos", required_argument, NULL, FLAG_TOS},
    {"busy-poll", required_argument, NULL, FLAG_BUSY_POLL},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "\n"
    "Sockets:\n"
    "      --nodelay on|off     TCP_NODELAY (on)\n"
    "      --keepalive          SO_KEEPALIVE\n"
    "      --fast-open          TCP Fast Open: the first bytes go with the SYN "
    "(off)\n"
    "      --sndbuf SIZE        send buffer (the system's)\n"
    "      --rcvbuf SIZE        receive buffer (the system's)\n"
    "      --tos N              type of service or traffic class, 0 to 255 or "
    "0xb8\n"
    "      --busy-poll TIME     how long a receive polls the device\n";

static bool read_nodelay(const char *value, struct socket_flags *flags)
{
    flags->tcp_flag = "--nodelay";
    flags->has_nagle = strcmp(value, "off") == 0;
    return flags->has_nagle || strcmp(value, "on") == 0 ||
           options_refuse("--nodelay", value, "on or off");
}

static bool read_buffer(const char *flag, const char *value, uint32_t *ret)
{
    uint64_t size = 0;

    if (units_parse_size(value, &size) < 0 || size < 1 || size > BUFFER_MAX) {
        return options_refuse(flag, value, "a size from 1 to 1G");
    }
    *ret = (uint32_t)size;
    return true;
}

static bool read_tos(const char *value, struct socket_flags *flags)
{
    char *end = NULL;
    const unsigned long tos = strtoul(value, &end, 0);

    if (end == value || *end || tos > TOS_MAX) {
        return options_refuse("--tos", value, "a number from 0 to 255");
    }
    flags->inet_flag = "--tos";
    flags->tos = (int)tos;
    return true;
}

static bool read_busy_poll(const char *value, struct socket_flags *flags)
{
    uint64_t time_ns = 0;

    if (units_parse_time(value, &time_ns) < 0 || time_ns < MICROSECOND ||
        time_ns > BUSY_POLL_MAX) {
        return options_refuse("--busy-poll", value, "a time from 1us to 1s");
    }
    flags->inet_flag = "--busy-poll";
    flags->busy_poll_us = (uint32_t)(time_ns / MICROSECOND);
    return true;
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    struct socket_flags *flags = &options->sockets;

    (void)given;
    switch (flag) {
    case FLAG_NODELAY:
        return read_nodelay(value, flags);
    case FLAG_KEEPALIVE:
        flags->tcp_flag = "--keepalive";
        flags->keeps_alive = true;
        return true;
    case FLAG_FAST_OPEN:
        flags->tcp_flag = "--fast-open";
        flags->fast_open = true;
        return true;
    case FLAG_SNDBUF:
        return read_buffer("--sndbuf", value, &flags->send_buffer_bytes);
    case FLAG_RCVBUF:
        return read_buffer("--rcvbuf", value, &flags->receive_buffer_bytes);
    case FLAG_TOS:
        return read_tos(value, flags);
    default:
        return read_busy_poll(value, flags);
    }
}

static bool settle_target(const struct socket_flags *flags,
                          const struct target *place, bool is_datagram)
{
    const bool is_unix = place->address.storage.any.sa_family == AF_UNIX;

    if (flags->tcp_flag && (is_unix || is_datagram)) {
        say("%s: %s has no TCP", flags->tcp_flag, place->text);
        return false;
    }
    if (flags->inet_flag && is_unix) {
        say("%s: it is not for Unix sockets", flags->inet_flag);
        return false;
    }
    return sockets_try(flags, place);
}

/* Fast open is for connections on which the client speaks, and is answered. */
static bool settle_fast_open(const struct run_options *options)
{
    bool has_plain = false;

    for (size_t i = 0; i < options->target_count; i++) {
        has_plain |= !options->targets[i].is_tls;
    }
    if (options->sockets.fast_open &&
        (options->mode == RUN_MODE_STREAM || options->mode == RUN_MODE_IDLE ||
         (options->mode == RUN_MODE_CONNECT && has_plain))) {
        say("--fast-open: in mode %s %s", options_mode_name(options->mode),
            options->mode == RUN_MODE_CONNECT ? "nothing is sent but by TLS"
                                              : "there is no first request");
        return false;
    }
    return true;
}

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    (void)given;
    if (!settle_fast_open(options)) {
        return false;
    }
    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *target = &options->targets[i];
        if (!settle_target(&options->sockets, options_place(options, target),
                           target->is_datagram)) {
            return false;
        }
    }
    return true;
}

const struct options_group options_socket = {
    .long_flags = long_flags,
    .short_flags = "",
    .read = read_flag,
    .settle = settle,
    .help = help,
};

/*
 * How connections are made: from which addresses, to another place than the
 * target says, and what goes before the first request.
 *
 * The target stays what it is in the field Host, in SNI and in the report.
 */
#include "options_table.h"
#include "proxy_header.h"

#include "tools/common/console.h"

#include "weir/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLAG_BIND = OPTIONS_CONNECT_FIRST,
    FLAG_CONNECT_TO,
    FLAG_PROXY_PROTOCOL,
    FLAG_WEIGHTS,
    FLAG_UNIX,
};

static const struct option long_flags[] = {
    {"bind", required_argument, NULL, FLAG_BIND},
    {"connect-to", required_argument, NULL, FLAG_CONNECT_TO},
    {"proxy-protocol", required_argument, NULL, FLAG_PROXY_PROTOCOL},
    {"unix", required_argument, NULL, FLAG_UNIX},
    {"unix-socket", required_argument, NULL, FLAG_UNIX},
    {"weights", required_argument, NULL, FLAG_WEIGHTS},
    {"ipv4", no_argument, NULL, '4'},
    {"ipv6", no_argument, NULL, '6'},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "      --weights LIST       shares of the targets in the connections, as "
    "9,1\n"
    "  -4, --ipv4               IPv4 addresses of names alone\n"
    "  -6, --ipv6               IPv6 addresses of names alone\n"
    "      --bind ADDR[,ADDR]   own addresses, of which connections take "
    "turns\n"
    "      --connect-to PLACE   HOST:PORT or unix:PATH instead of the "
    "targets'\n"
    "      --unix PATH          the same as --connect-to unix:PATH\n"
    "      --proxy-protocol V   v1 or v2: each connection begins with this "
    "header\n";

/* One address of a list, which the text is a part of. */
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

static bool read_locals(const char *value, struct run_options *options)
{
    const char *at = value;

    options->local_count = 0;
    for (;;) {
        const size_t len = strcspn(at, ",");
        if (options->local_count == OPTIONS_LOCALS_MAX) {
            say("--bind: more than %u addresses", OPTIONS_LOCALS_MAX);
            return false;
        }
        int err = parse_local(at, len, &options->locals[options->local_count]);
        if (err < 0) {
            say("--bind: '%s', at character %zu: %s", value,
                (size_t)(at - value) + 1, weir_strerror(err));
            return false;
        }
        options->local_count++;
        if (at[len] == '\0') {
            return true;
        }
        at += len + 1;
    }
}

/* What follows a scheme, which stands before it. */
static bool read_place(const char *scheme, const char *value,
                       struct target *ret)
{
    static char text[TARGET_HOST_SIZE + 32];
    char why[TARGET_WHY_SIZE];

    if (strstr(value, "://") || snprintf(text, sizeof(text), "%s%s", scheme,
                                         value) >= (int)sizeof(text)) {
        return options_refuse("--connect-to", value, "HOST:PORT or unix:PATH");
    }
    if (target_parse(text, false, ret, why) < 0) {
        say("--connect-to: %s", why);
        return false;
    }
    return true;
}

static bool read_proxy_version(const char *value, struct run_options *options)
{
    if (strcmp(value, "v1") == 0) {
        options->proxy_version = 1;
    } else if (strcmp(value, "v2") == 0) {
        options->proxy_version = 2;
    } else {
        return options_refuse("--proxy-protocol", value, "v1 or v2");
    }
    return true;
}

static bool read_family(int family, struct run_options *options)
{
    if (options->family != 0 && options->family != family) {
        say("-4, -6: one of them leaves no address to the other");
        return false;
    }
    options->family = family;
    return true;
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    (void)given;
    switch (flag) {
    case FLAG_BIND:
        return read_locals(value, options);
    case '4':
        return read_family(AF_INET, options);
    case '6':
        return read_family(AF_INET6, options);
    case FLAG_WEIGHTS:
        options->weights = value;
        return true;
    case FLAG_UNIX:
        return read_place("unix:", value, &options->connect_to);
    case FLAG_CONNECT_TO:
        return read_place(strncmp(value, "unix:", 5) == 0 ? "" : "tcp://",
                          value, &options->connect_to);
    default:
        return read_proxy_version(value, options);
    }
}

static bool is_unix(const struct target *target)
{
    return target->address.storage.any.sa_family == AF_UNIX;
}

/* "FLAG: WHAT is no address of its family"; -4 or -6. */
static bool settle_family(int family, const struct weir_address *address,
                          const char *what)
{
    if (family == 0 || address->len == 0 ||
        address->storage.any.sa_family == family) {
        return true;
    }
    say("%s: %s is no IPv%c address", family == AF_INET ? "-4" : "-6", what,
        family == AF_INET ? '4' : '6');
    return false;
}

/* Own addresses and the place of a target must be of one family. */
static bool settle_locals(const struct run_options *options,
                          const struct target *target)
{
    const struct target *place = options_place(options, target);

    if (options->local_count > 0 && is_unix(place)) {
        say("--bind: %s has no addresses of its own", place->text);
        return false;
    }
    for (size_t i = 0; i < options->local_count && place->address.len > 0;
         i++) {
        if (options->locals[i].storage.any.sa_family !=
            place->address.storage.any.sa_family) {
            say("--bind: address %zu is of another family than %s", i + 1,
                place->text);
            return false;
        }
    }
    return true;
}

static bool settle_target(const struct run_options *options,
                          const struct target *target)
{
    if (options->proxy_version != 0 && target->is_datagram) {
        say("--proxy-protocol: over udp:// nothing is connected");
        return false;
    }
    if (options->proxy_version != 0 && target->is_tls) {
        say("--proxy-protocol: %s has TLS, which begins at once", target->text);
        return false;
    }
    if (options->proxy_version != 0 && !proxy_header_is_built()) {
        say("--proxy-protocol: this weir-load was built without it "
            "(-Dproxy=disabled)");
        return false;
    }
    if (options->connect_to.text && target->is_datagram &&
        is_unix(&options->connect_to)) {
        say("--connect-to: %s cannot be reached by a path", target->text);
        return false;
    }
    const struct target *place = options_place(options, target);
    return settle_family(options->family, &place->address, place->text) &&
           settle_locals(options, target);
}

/* Each target has as many connections as another, or as its weight says. */
static bool settle_turns(struct run_options *options)
{
    char why[TURNS_WHY_SIZE];

    if (!options->weights) {
        turns_init(&options->turns, options->target_count);
        return true;
    }
    if (turns_parse(options->weights, options->target_count, &options->turns,
                    why) < 0) {
        say("--weights: %s", why);
        return false;
    }
    for (size_t i = 0; i < options->target_count; i++) {
        if (turns_count(&options->turns, options->conn_count, i) == 0) {
            say("--weights: of %llu connections none is left for %s; give more "
                "(-c)",
                (unsigned long long)options->conn_count,
                options->targets[i].text);
            return false;
        }
    }
    return true;
}

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    (void)given;
    if (!settle_turns(options)) {
        return false;
    }
    for (size_t i = 0; i < options->local_count; i++) {
        char text[WEIR_ADDRESS_TEXT_SIZE];
        weir_address_format(&options->locals[i], text, sizeof(text));
        if (!settle_family(options->family, &options->locals[i], text)) {
            return false;
        }
    }
    for (size_t i = 0; i < options->target_count; i++) {
        if (!settle_target(options, &options->targets[i])) {
            return false;
        }
    }
    return true;
}

const struct options_group options_connect = {
    .long_flags = long_flags,
    .short_flags = "46",
    .read = read_flag,
    .settle = settle,
    .help = help,
};

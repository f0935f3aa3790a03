/*
 * A target as it is written on the command line: tcp://HOST:PORT,
 * tls://HOST:PORT, udp://HOST:PORT, unix:PATH or tls+unix:PATH.
 *
 * The host is a literal address or a name. Schemes that this version does not
 * speak are refused with a line that says so.
 */
#ifndef WEIR_COMMON_TARGET_H
#define WEIR_COMMON_TARGET_H

#include "weir/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_HOST_SIZE 256

/* Room for every reason that target_parse() gives. */
#define TARGET_WHY_SIZE 256

/* The words for what may be written. */
#define TARGET_FORMS                                                           \
    "tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:PATH or "         \
    "tls+unix:PATH"

struct target {
    /* As given, for reports; points into the command line. */
    const char *text;
    /* Without brackets; empty: all addresses (serve only), or a Unix target. */
    char host[TARGET_HOST_SIZE];
    uint16_t port;
    /* UDP: there are no connections, and requests may be lost. */
    bool is_datagram;
    /* There is TLS on each connection. */
    bool is_tls;
    /* weir-proxy's any://: TLS or not, as each client has it. */
    bool is_any;
    /* weir-load's http:// and https://: what is asked for, or NULL. Points
     * into the command line. */
    bool is_http;
    /* weir-load's redis:// and rediss://, which have a path as well. */
    bool is_redis;
    /* The same of ws:// and wss://. */
    bool is_ws;
    const char *path;
    /* weir-proxy's srv:// and tls+srv://: the name of a service, whose host is
     * its domain; or NULL. Points into the text. */
    const char *service;
    /* The same as a socket address; no length when the host is a name, or
     * empty. */
    struct weir_address address;
    /* The addresses of a name, see names.h. */
    struct weir_address *addresses;
    size_t address_count;
};

/* Does a text begin as targets do? */
bool target_has_scheme(const char *text);

/*
 * Read a target. Listening ones may have port 0, an empty host or "*", and an
 * empty path.
 *
 * Returns 0, or -EINVAL with one line in why (TARGET_WHY_SIZE bytes).
 */
int target_parse(const char *text, bool listening, struct target *ret,
                 char *why);

/* Read a target that another text was rewritten as: it and the reasons show
 * that one. */
int target_parse_rewritten(const char *text, const char *shown, bool listening,
                           struct target *ret, char *why);

#endif

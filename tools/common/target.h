/*
 * A target on the command line: tcp://HOST:PORT, tls://HOST:PORT,
 * udp://HOST:PORT, unix:PATH or tls+unix:PATH.
 *
 * The host is an address or a name. Unknown schemes are refused with a message.
 */
#ifndef WEIR_COMMON_TARGET_H
#define WEIR_COMMON_TARGET_H

#include "weir/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_HOST_SIZE 256

#define TARGET_WHY_SIZE 256

/* The accepted forms, for messages. */
#define TARGET_FORMS                                                           \
    "tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:PATH or "         \
    "tls+unix:PATH"

struct target {
    /* The target as given, for reports. Points into the command line. */
    const char *text;
    /* Without brackets. Empty for a Unix target or a listener on all
     * addresses. */
    char host[TARGET_HOST_SIZE];
    uint16_t port;
    /* UDP: no connection, and requests may be lost. */
    bool is_datagram;
    bool is_tls;
    /* weir-proxy's any://: each client decides whether it uses TLS. */
    bool is_any;
    /* weir-load's URLs http:// and https://. path is the request target, or
     * NULL. It points into the command line. */
    bool is_http;
    /* weir-load's redis:// and rediss://, with a path. */
    bool is_redis;
    /* weir-load's ws:// and wss://, with a path. */
    bool is_ws;
    const char *path;
    /* weir-proxy's srv:// and tls+srv://: the name of a service, or NULL. host
     * is its domain then. Points into @text. */
    const char *service;
    /* The target as a socket address; len 0 if the host is a name or empty. */
    struct weir_address address;
    /* Addresses of a name; set by weir-load's names_find(). */
    struct weir_address *addresses;
    size_t address_count;
};

bool target_has_scheme(const char *text);

/* Parses a target. For listening, port 0, an empty host, "*" and an empty path
 * are accepted. Returns 0, or -EINVAL with a reason in @why (TARGET_WHY_SIZE
 * bytes). */
int target_parse(const char *text, bool listening, struct target *ret,
                 char *why);

/* The result and reasons contain @shown, from which @text was made. */
int target_parse_rewritten(const char *text, const char *shown, bool listening,
                           struct target *ret, char *why);

#endif

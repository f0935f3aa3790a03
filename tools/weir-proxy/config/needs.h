/*
 * Conditions of directives: what a directive requires to have an effect, and
 * what it excludes.
 *
 * The table of directives (words.c) has a column with the need of each
 * directive. Conditions on values and on combinations of directives are rows in
 * needs.c.
 */
#ifndef WEIR_PROXY_NEEDS_H
#define WEIR_PROXY_NEEDS_H

#include "config.h"

enum need {
    NEED_NOTHING,
    NEED_LINE, /* no condition; the line is recorded for rules */
    NEED_LOG,
    NEED_SYSLOG,
    NEED_CLIENT_ADDRESS, /* a listen other than Unix, or accept-proxy */
    NEED_CLIENT_LIMIT,
    NEED_OPENS_TLS,
    NEED_CERT, /* a certificate, and a route that terminates TLS */
    NEED_CLIENT_CA,
    NEED_CLIENT_CERT,
    NEED_HEADER,
    NEED_HELLO, /* bytes of clients that are read before a target is chosen */
    NEED_SILENT,
    NEED_FIRST,
    NEED_EJECT,
    NEED_CHECK_TEXT,
    NEED_CHECK_HTTP,
    NEED_TO_CERT,
    NEED_NAME,      /* a target with a host name */
    NEED_LOOKUP,    /* a target or a check with a host name, or sni:PORT */
    NEED_TLS,       /* TLS that the proxy terminates on either side */
    NEED_KEEPALIVE, /* a side that is not a Unix socket */
    NEED_FROM,      /* a target that the local address can reach */
    NEED_WEIGHTS,   /* a balance that uses weights */
    NEED_BACKUP,
    NEED_BACK,     /* a backup, and a check that finds another target up */
    NEED_HEADER_2, /* a version 2 header to targets, with TLVs */
    NEED_LIMIT,
    NEED_SPLICE, /* two sides without TLS, and a direction without a rate */
    NEED_RETURN, /* targets that may be down or ejected, and return */
    NEED_CHECK,
    NEED_CHECK_PLACE,    /* a check at the target's own address */
    NEED_CHECK_DIALOGUE, /* a text or HTTP check without a check-at */
    NEED_CHECK_TLS,
    NEED_CHECK_CA, /* a check over TLS that verifies the certificate */
    NEED_TLS_TARGET,
    NEED_TO_CA, /* a target verified by the route's authorities */
    NEED_COUNT,
};

/* Records a directive and its value for the current section. @value is NULL for
 * a switch. A value without effect, such as "off", has no conditions. Returns
 * false if out of memory. */
bool needs_note(struct config *config, const struct option *word,
                const char *value);

/* Checks all recorded directives. Each route must have a target. Returns false
 * with a reason in @why, and sets config->line to the line of the wrong
 * directive. */
bool needs_check(struct config *config, char *why);

/* The object that is checked. Pointers below its scope are NULL. */
struct needs_at {
    const struct config *config;
    const struct config_service *service;
    const struct config_route *route;
    const struct config_target *target;
};

/* Must be called after config_check_routes(). */
bool needs_check_service(struct config *config,
                         const struct config_service *service, char *why);

/* Returns the line of the last directive of this name that applies to an
 * object, or the line at which the object begins. The line of a command-line
 * flag is 0. */
unsigned needs_line(const struct needs_at *at, const char *name);

#endif

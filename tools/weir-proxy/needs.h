/*
 * Conditions of directives: what a directive needs to have an effect, and what
 * it excludes.
 *
 * The table of directives names the need of each in a column (words.c).
 * Conditions of values, and of what several directives together mean, are rows
 * in needs.c. Each refusal names the line of its directive.
 */
#ifndef WEIR_PROXY_NEEDS_H
#define WEIR_PROXY_NEEDS_H

#include "config.h"

enum need {
    NEED_NOTHING,
    NEED_LINE, /* nothing, but its line is noted for a condition */
    NEED_LOG,
    NEED_SYSLOG,
    NEED_CLIENT_LIMIT,
    NEED_CERT,
    NEED_CLIENT_CA,
    NEED_CLIENT_CERT,
    NEED_HEADER, /* that clients begin with */
    NEED_SILENT, /* a route for the silent */
    NEED_FIRST,  /* balance first */
    NEED_EJECT,
    NEED_CHECK_TEXT,
    NEED_CHECK_HTTP,
    NEED_TO_CERT,
    NEED_NAME, /* a target with a name */
    NEED_TLS,  /* at either side */
    NEED_BACKUP,
    NEED_HEADER_2, /* of version 2, to targets */
    NEED_LIMIT,    /* of connections to a target */
    NEED_RETURN,   /* of a target that was down, or rested */
    NEED_CHECK,
    NEED_CHECK_DIALOGUE, /* by text or HTTP */
    NEED_CHECK_TLS,      /* a check that goes over TLS */
    NEED_TLS_TARGET,
    NEED_COUNT,
};

/* Notes a word that was said with a value, of what was begun last; NULL is that
 * of a switch. A value that changes nothing, as "off", needs nothing. False
 * without memory. */
bool needs_note(struct config *config, const struct option *word,
                const char *value);

/* Looks at all words that were said, before routes without a target are
 * removed. False, with a line in @why, and config.line where it is about. */
bool needs_check(struct config *config, char *why);

/* Checks the conditions of a service, when its routes are settled. */
bool needs_check_service(struct config *config, size_t number, char *why);

/* Returns the line of a directive for the service, the route (the first one
 * without a target counts) and the target that @at has; @otherwise if no file
 * has it. */
unsigned needs_line(const struct config *config, const char *name,
                    const struct config_word *at, unsigned otherwise);

#endif

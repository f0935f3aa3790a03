/*
 * What a word needs to have an effect: another word, or an address of a kind.
 *
 * The table of words says it in a column (words.c). A word without what it
 * needs would do nothing, so that a configuration with it is refused.
 */
#ifndef WEIR_PROXY_NEEDS_H
#define WEIR_PROXY_NEEDS_H

#include "config.h"

enum need {
    NEED_NOTHING,
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

#endif

/*
 * The directives of a configuration: of the program, a service, a route and a
 * target.
 *
 * A directive is an option of the command line ("--balance leastconn") and a
 * key of the file ("balance = leastconn"). It applies to the most recent
 * service, route or target.
 */
#ifndef WEIR_PROXY_WORDS_H
#define WEIR_PROXY_WORDS_H

#include "config.h"

enum word_scope {
    SCOPE_COMMAND,
    SCOPE_PROGRAM,
    SCOPE_SERVICE,
    SCOPE_ROUTE,
    SCOPE_TARGET,
    SCOPE_EACH_TARGET, /* a target's, also allowed in [defaults] */
};

extern const struct option_set words;

const struct option *words_find(const char *name);

/* Applies a directive. Returns false with a reason in @why. */
bool words_say(struct config *config, const char *name, const char *value,
               char *why);

#endif

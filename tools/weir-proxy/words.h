/*
 * The words of a configuration: what may be said of the program, of a service,
 * of a route and of a target.
 *
 * A word is an option of the command line ("--balance leastconn") and a key of
 * the file ("balance = leastconn"), with the same values and the same errors.
 * It is about what was begun last: the service, the route or the target.
 */
#ifndef WEIR_PROXY_WORDS_H
#define WEIR_PROXY_WORDS_H

#include "config.h"

enum word_scope {
    SCOPE_COMMAND, /* of the command line alone */
    SCOPE_PROGRAM,
    SCOPE_SERVICE,
    SCOPE_ROUTE,
    SCOPE_TARGET,
    SCOPE_EACH_TARGET, /* likewise; [defaults] may say it of each target */
};

extern const struct option_set words;

/* NULL: there is no such word. */
const struct option *words_find(const char *name);

/* Says a word: finds it, and sets its field. False, with the reason in @why. */
bool words_say(struct config *config, const char *name, const char *value,
               char *why);

#endif

/*
 * The words of a configuration: what may be said of the program, of a service,
 * of a route and of a target.
 *
 * A word is a flag of the command line ("--balance leastconn") and a key of the
 * file ("balance = leastconn"), with the same values and the same errors. It is
 * about what was begun last: the service, the route or the target.
 */
#ifndef WEIR_PROXY_WORDS_H
#define WEIR_PROXY_WORDS_H

#include "config.h"

#include <stdio.h>

enum word_scope {
    SCOPE_PROGRAM,
    SCOPE_SERVICE,
    SCOPE_ROUTE,
    SCOPE_TARGET,
    SCOPES,
};

struct word {
    const char *name;
    const char *value; /* what the help calls its value; NULL: it has none */
    const char *help;
    enum word_scope scope;
    /* Reads @value, which is "" for a word without one. False, with the reason
     * in @why (CONFIG_WHY_SIZE bytes). */
    bool (*set)(struct config *config, const struct word *word,
                const char *value, char *why);
    uint64_t least;             /* of a number; 0 is often "none" */
    uint64_t most;              /* 0: no limit but that of the type */
    size_t offset;              /* of the field, in the struct of its scope */
    const char *const *choices; /* of a word with an enum; NULL-terminated */
    bool repeats; /* it may be said again about the same: it adds, or begins */
};

extern const struct word words[];
extern const size_t word_count;

/* NULL: there is no such word. */
const struct word *words_find(const char *name);

/* The word that is most like an unknown one, or NULL. */
const char *words_suggest(const char *name);

/* Says a word: finds it, and sets its field. False, with the reason in @why. */
bool words_say(struct config *config, const char *name, const char *value,
               char *why);

/* Writes a line or more for each word of a scope. */
void words_print_help(FILE *out, enum word_scope scope);

#endif

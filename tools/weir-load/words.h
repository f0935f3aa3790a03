/*
 * The command line of a command that makes runs or reads their results: its own
 * flags are read by a table, and all other words are kept in their order, for
 * the runs or as names of files.
 *
 * A flag is "--name value" or "--name=value", "-x value" for a short one.
 */
#ifndef WEIR_LOAD_WORDS_H
#define WEIR_LOAD_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX 512U

struct words {
    size_t count;
    const char *list[WORDS_MAX];
};

/* What a flag does to the options; false after a line on standard error. With
 * WORDS_MAY_VALUE and WORDS_NO_VALUE value may be NULL. */
typedef bool words_read_fn(void *options, const char *flag, const char *value);

enum words_value {
    WORDS_NO_VALUE,
    /* Only behind a '='. */
    WORDS_MAY_VALUE,
    WORDS_VALUE,
};

struct words_flag {
    const char *name;
    /* 0: none. */
    char letter;
    enum words_value value;
    words_read_fn *read;
};

/* Read argv from first on; a table ends with a flag without a name. False
 * after a line on standard error. */
bool words_take(const struct words_flag *table, void *options, int argc,
                char **argv, int first, struct words *ret_rest);

/* False after a line that there are too many. */
bool words_append(struct words *words, const char *word);

/* Is "--name" or "-x" among the words? */
bool words_has_flag(const struct words *words, const char *name, char letter);

#endif

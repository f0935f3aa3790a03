/*
 * Completions of shells, printed from the rows of options.
 *
 * They know the commands, the options with their sentences, and the values of
 * those that have choices; every other word is completed as the name of a file.
 */
#ifndef WEIR_COMMON_COMPLETION_H
#define WEIR_COMMON_COMPLETION_H

#include "option.h"

#include <stdio.h>

/* A command of a program. */
struct completion_command {
    const char *name; /* NULL: the program has no commands */
    const struct option_set *set;
    /* Returns the exit code; options begin at argv[first]. */
    int (*run)(int argc, char **argv, int first);
};

/* Prints the completion of a program for "bash", "zsh" or "fish", the name
 * of which is @shell or NULL. The first command is the one that need not be
 * written. False after a line: there is no such shell, or none is named. */
bool completion_print(FILE *out, const char *shell, const char *program,
                      const struct completion_command *commands, size_t count);

#endif

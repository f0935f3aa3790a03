/*
 * Shell completions, generated from the rows of options.
 *
 * They complete commands, options with their descriptions, and choices of
 * values. Everything else is completed as a file name.
 */
#ifndef WEIR_COMMON_COMPLETION_H
#define WEIR_COMMON_COMPLETION_H

#include "option.h"

#include <stdio.h>

struct completion_command {
    const char *name; /* NULL if the program has no commands */
    const struct option_set *set;
    /* Returns the exit code. Options begin at argv[first]. */
    int (*run)(int argc, char **argv, int first);
};

/* Prints the completion of a program for @shell: "bash", "zsh" or "fish". The
 * first command is the default. If @shell is another name or NULL, prints an
 * error and returns false. */
bool completion_print(FILE *out, const char *shell, const char *program,
                      const struct completion_command *commands, size_t count);

#endif

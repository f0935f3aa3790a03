/*
 * Splits the options of one side of a comparison.
 *
 * They are given in one argument, and split into arguments like in a shell, but
 * without variables, patterns and commands.
 */
#ifndef WEIR_LOAD_SPLIT_H
#define WEIR_LOAD_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#define SPLIT_WORDS_MAX 128U
#define SPLIT_SIZE_MAX  4096U

struct split {
    size_t count;
    const char *words[SPLIT_WORDS_MAX];
    char text[SPLIT_SIZE_MAX];
};

/* Splits at blanks. '...' is literal, and so is "..." except for \" and \\.
 * Elsewhere a \ makes the next character literal. The arguments point into
 * @ret. Returns false with one line in @why (OPTION_WHY_SIZE bytes). */
bool split_text(const char *text, struct split *ret, char *why);

#endif

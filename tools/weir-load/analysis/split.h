/*
 * The flags of one side of a comparison, which stand in one argument, as words:
 * cut as a shell cuts a line.
 *
 * Nothing is put in for variables, patterns and commands.
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

/* Blanks are between words; '...' is taken as it is, and so is "..." but for \"
 * and \\; a \ takes the next character as it is. False with one line in why,
 * which has OPTION_WHY_SIZE bytes. The words live as long as ret. */
bool split_text(const char *text, struct split *ret, char *why);

#endif

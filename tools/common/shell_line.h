/*
 * A command line that a shell takes: what needs quotes has them.
 *
 * It is written for people, who copy it into their terminal or into a script,
 * so a line that does not fit is lost as a whole.
 */
#ifndef WEIR_COMMON_SHELL_LINE_H
#define WEIR_COMMON_SHELL_LINE_H

#include <stdbool.h>
#include <stddef.h>

/* A longer line is not told. */
#define SHELL_LINE_SIZE 4096

struct shell_line {
    bool is_lost; /* it is too long */
    size_t len;
    char text[SHELL_LINE_SIZE];
};

/* Begins with words that need no quotes. */
void shell_line_begin(struct shell_line *self, const char *words);

void shell_line_add(struct shell_line *self, const char *word);

/* Ends it with a line feed; false: it was lost. */
bool shell_line_end(struct shell_line *self);

#endif

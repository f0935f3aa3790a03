/*
 * A command line for a shell, with quotes where they are needed.
 *
 * People copy it into a terminal or a script, so a line that does not fit is
 * dropped completely.
 */
#ifndef WEIR_COMMON_SHELL_LINE_H
#define WEIR_COMMON_SHELL_LINE_H

#include <stdbool.h>
#include <stddef.h>

#define SHELL_LINE_SIZE 4096

struct shell_line {
    bool is_lost; /* the line is too long */
    size_t len;
    char text[SHELL_LINE_SIZE];
};

/* Begins with words that need no quotes. */
void shell_line_begin(struct shell_line *self, const char *words);

void shell_line_add(struct shell_line *self, const char *word);

/* Ends the line with a newline. Returns false if the line was too long. */
bool shell_line_end(struct shell_line *self);

#endif

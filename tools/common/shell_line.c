/*
 * Quotes follow POSIX shells: inside single quotes only the quote is special;
 * it is written with a backslash between two quoted pieces. A word gets no
 * quotes if no shell treats one of its characters specially.
 */
#include "shell_line.h"

#include <string.h>

static void put(struct shell_line *self, const char *text)
{
    const size_t len = strlen(text);

    if (self->len + len + 2 > sizeof(self->text)) { /* including a newline */
        self->is_lost = true;
        return;
    }
    memcpy(self->text + self->len, text, len + 1);
    self->len += len;
}

void shell_line_begin(struct shell_line *self, const char *words)
{
    self->is_lost = false;
    self->len = 0;
    put(self, words);
}

void shell_line_add(struct shell_line *self, const char *word)
{
    const bool is_plain =
        *word && !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                    "abcdefghijklmnopqrstuvwxyz"
                                    "0123456789_@%+=:,./-")];

    put(self, is_plain ? " " : " '");
    for (; *word; word++) {
        const char byte[] = {*word, '\0'};
        put(self, *word == '\'' ? "'\\''" : byte);
    }
    put(self, is_plain ? "" : "'");
}

bool shell_line_end(struct shell_line *self)
{
    self->text[self->len++] = '\n';
    self->text[self->len] = '\0';
    return !self->is_lost;
}

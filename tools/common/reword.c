/*
 * The line is put together in a buffer of fixed size: one that does not fit is
 * lost, and the advice on each of its words is all that is told.
 *
 * Quotes are those of POSIX shells.
 */
#include "reword.h"

#include <ctype.h>
#include <string.h>

static void put(struct reword *self, char byte)
{
    if (self->len + 2 >= sizeof(self->text)) { /* and a line feed */
        self->is_lost = true;
        return;
    }
    self->text[self->len++] = byte;
    self->text[self->len] = '\0';
}

static void put_text(struct reword *self, const char *text)
{
    for (; *text; text++) {
        put(self, *text);
    }
}

/* Does a shell take it as one word, and as it is? */
static bool is_plain(const char *word)
{
    return *word && !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "abcdefghijklmnopqrstuvwxyz"
                                       "0123456789_@%+=:,./-")];
}

/* Within single quotes only the quote itself has a meaning. */
static void put_quoted(struct reword *self, const char *word)
{
    if (is_plain(word)) {
        put_text(self, word);
        return;
    }
    put(self, '\'');
    for (; *word; word++) {
        put_text(self, *word == '\'' ? "'\\'" : "");
        put(self, *word);
    }
    put(self, '\'');
}

void reword_begin(struct reword *self, const char *command, size_t len)
{
    *self = (struct reword){.len = 0};
    for (size_t i = 0; i < len; i++) {
        put(self, command[i]);
    }
}

void reword_keep(struct reword *self, const char *word)
{
    put(self, ' ');
    put_quoted(self, word);
}

void reword_join(struct reword *self, const char *rest)
{
    put_quoted(self, rest);
}

/* Writes a value as a letter behind '%' has it. */
static void fill_value(struct reword *self, char form, const char *value)
{
    const char *equals = form == '=' ? strchr(value, '=') : NULL;
    const char *slashes = form == '/' ? strstr(value, "://") : NULL;

    value = equals ? equals + 1 : slashes ? slashes + 3 : value;
    for (; *value; value++) {
        put(self, form == 'l' ? (char)tolower((unsigned char)*value) : *value);
    }
}

/* Is it written as it is: a text with a command in it, or the output of one? */
static bool is_shell(const char *word)
{
    return word[0] == '"' || word[0] == '<';
}

/* One word of a row, of @len bytes. */
static void fill_word(struct reword *self, const char *word, size_t len,
                      const char *value)
{
    struct reword plain = {.len = 0};
    const bool is_raw = is_shell(word);

    for (size_t i = 0; i < len; i++) {
        if (word[i] != '%' || i + 1 == len) {
            put(&plain, word[i]);
            continue;
        }
        i++;
        if (word[i] == '%') {
            put(&plain, '%');
        } else if (!value) {
            self->is_lost = true;
        } else if (is_raw) {
            put_quoted(&plain, value);
        } else {
            fill_value(&plain, word[i], value);
        }
    }
    self->is_lost |= plain.is_lost;
    put(self, ' ');
    if (is_raw) {
        put_text(self, plain.text);
    } else {
        put_quoted(self, plain.text);
    }
}

void reword_write(struct reword *self, const char *words, const char *value)
{
    while (*words) {
        const size_t len =
            is_shell(words) ? strlen(words) : strcspn(words, "|");
        fill_word(self, words, len, value);
        words += len + (words[len] == '|');
    }
}

bool reword_fill(struct reword *self, const struct option_foreign *row,
                 const char *value, char *const *words)
{
    if (row->fill && (value || row->is_whole) &&
        row->fill(self, value, words)) {
        return row->fills_word;
    }
    if (row->write) {
        reword_write(self, row->write, value);
    }
    self->is_lost |= !row->write;
    return false;
}

void reword_end(struct reword *self)
{
    self->text[self->len++] = '\n';
    self->text[self->len] = '\0';
}

const struct option_foreign *reword_find(const struct option_foreign *rows,
                                         const char *name, size_t len,
                                         const char *value, char *const *words)
{
    for (; rows && rows->name; rows++) {
        if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0 &&
            (!rows->is_meant || rows->is_meant(value, words))) {
            return rows;
        }
    }
    return NULL;
}

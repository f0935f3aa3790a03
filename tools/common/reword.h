/*
 * A command line that has words of other tools in it, written in ours.
 *
 * While a line is read, each of its words is added as it is, or what stands for
 * it; at the end there is a line that a shell takes: what needs quotes has
 * them.
 */
#ifndef WEIR_COMMON_REWORD_H
#define WEIR_COMMON_REWORD_H

#include <stdbool.h>
#include <stddef.h>

/* A longer line is not told. */
#define REWORD_SIZE 4096

struct reword;

/* Adds what stands for a word whose value is @value in a line of @words; false:
 * nothing was added. */
typedef bool reword_fill_fn(struct reword *self, const char *value,
                            char *const *words);

/* A word of another tool that is refused with what stands for it here, or why
 * nothing does. Of rows with the same name the first counts that is meant. */
struct option_foreign {
    /* Of a flag: one letter stands behind one dash. "": a word that is no
     * option. */
    const char *name;
    /* The words that are written instead, with '|' between them, in which "%s"
     * is the value, "%l" the same in lower case, "%=" what follows the first
     * '=' in it, and "%/" what follows "://". A word that begins with '"' or
     * '<' is the last, and written as it is, with the value in quotes. "":
     * nothing; NULL: nothing can be written. */
    const char *write;
    /* Writes it before ->write is looked at; NULL: nothing does. */
    reword_fill_fn *fill;
    const char *advice;
    /* Is this meant? @value: the word behind, or NULL; @words: the whole line,
     * which ends with NULL. NULL: it always is; an option of ours needs it. */
    bool (*is_meant)(const char *value, char *const *words);
    /* The word behind is its value. */
    bool has_value;
    /* It writes no option, but a word that options are about. */
    bool is_word;
    /* ->fill writes such a word, too. */
    bool fills_word;
    /* ->write is the whole line, whatever else there is. */
    bool is_whole;
};

struct reword {
    /* There is something that cannot be written. */
    bool is_lost;
    size_t len;
    char text[REWORD_SIZE];
};

/* The first @len bytes of a command are its begin. */
void reword_begin(struct reword *self, const char *command, size_t len);

/* Adds a word of the line. */
void reword_keep(struct reword *self, const char *word);

/* Adds the rest of the word that was added last. */
void reword_join(struct reword *self, const char *rest);

/* Adds words as ->write of a row has them; @value may be NULL. */
void reword_write(struct reword *self, const char *words, const char *value);

/* Adds what a row writes in a line of @words. True: by ->fill, with a word that
 * is no option. */
bool reword_fill(struct reword *self, const struct option_foreign *row,
                 const char *value, char *const *words);

/* Ends it with a line feed. */
void reword_end(struct reword *self);

/* The row of a name of which @len bytes count, or NULL. */
const struct option_foreign *reword_find(const struct option_foreign *rows,
                                         const char *name, size_t len,
                                         const char *value, char *const *words);

#endif

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

/* A word of another tool that is refused with what stands for it here, or why
 * nothing does. Of rows with the same name the first counts that is meant. */
struct option_foreign {
    /* Of a flag: one letter stands behind one dash. "": a word that is no
     * option. */
    const char *name;
    /* What is written instead: words with '|' between them, in which "%s" is
     * the value, "%l" the same in lower case, "%=" what follows the first '='
     * in it, and "%/" what follows "://". A word that begins with '"' is the
     * last, and written as it is, with the value in quotes. "": nothing; NULL:
     * nothing can be written. */
    const char *write;
    const char *advice;
    /* Is this meant? @value: the word behind, or NULL; @words: the whole line,
     * which ends with NULL. NULL: it always is; an option of ours needs it. */
    bool (*is_meant)(const char *value, char *const *words);
    /* The word behind is its value. */
    bool has_value;
    /* What is written is no option, but what options are about. */
    bool is_word;
    /* ->write is the whole line, whatever else there is. */
    bool is_whole;
};

struct reword {
    /* There is something that cannot be written. */
    bool is_lost;
    size_t len;
    char text[REWORD_SIZE];
};

void reword_begin(struct reword *self, const char *command);

/* Adds a word of the line. */
void reword_keep(struct reword *self, const char *word);

/* Adds the rest of the word that was added last. */
void reword_join(struct reword *self, const char *rest);

/* Adds what a row writes; @value may be NULL. */
void reword_fill(struct reword *self, const struct option_foreign *row,
                 const char *value);

/* Ends it with a line feed. */
void reword_end(struct reword *self);

/* The row of a name of which @len bytes count, or NULL. */
const struct option_foreign *reword_find(const struct option_foreign *rows,
                                         const char *name, size_t len,
                                         const char *value, char *const *words);

#endif

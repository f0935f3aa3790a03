/*
 * Words of a command line that have a secret: the login of a URL, wherever it
 * stands, and what a preamble sends.
 *
 * Everybody on the machine may read the words of a process. So a process that
 * has read its own writes over them, and gives those of a child to it in its
 * environment, which only the same user may read.
 */
#ifndef WEIR_LOAD_SECRET_WORDS_H
#define WEIR_LOAD_SECRET_WORDS_H

#include <stddef.h>

/* The words to be read in place of those of the process, whose secrets are not
 * there any more. Without memory the words stay as they are. */
char **secret_words_take(int argc, char **argv);

/* Bytes of the first secret in a word; *ret_at is where it begins. That of a
 * login has its '@'. 0: there is none. */
size_t secret_words_find(char **argv, int at, size_t *ret_at);

/* The words and the environment of a child; without a secret env is NULL, which
 * is that of the process. */
struct secret_words {
    const char **argv;
    const char **env;
    /* What was made for them. */
    char *passed;
    char **copies;
    size_t copy_count;
};

/* For so many words, which are borrowed, with NULL behind them. 0 or -ENOMEM;
 * secret_words_drop() is called as well. */
int secret_words_hide(const char *const *argv, size_t count,
                      struct secret_words *ret);

void secret_words_drop(struct secret_words *self);

#endif

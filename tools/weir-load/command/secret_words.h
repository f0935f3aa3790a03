/*
 * Finds secrets in a command line: the login of any URL, and the requests of a
 * preamble.
 *
 * Results and messages leave them out. Lists of processes show them, as for
 * every program; a warning tells the user.
 */
#ifndef WEIR_LOAD_SECRET_WORDS_H
#define WEIR_LOAD_SECRET_WORDS_H

#include <stddef.h>

/* Returns the size of the first secret in a word, or 0; *ret_at is its offset.
 * A login ends with its '@'. */
size_t secret_words_find(char **argv, int at, size_t *ret_at);

/* Returns the word without its secrets, to free(), or NULL if out of memory. */
char *secret_words_strip(char **argv, int at);

void secret_words_warn(int argc, char **argv);

#endif

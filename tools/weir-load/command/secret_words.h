/*
 * Words of a command line that have a secret: the login of a URL, wherever it
 * stands, and what a preamble sends.
 *
 * Results and messages leave them out. The list of processes shows them, as it
 * does those of every program, and a warning says so.
 */
#ifndef WEIR_LOAD_SECRET_WORDS_H
#define WEIR_LOAD_SECRET_WORDS_H

#include <stddef.h>

/* Returns the size of the first secret in a word, or 0 if there is none, and
 * its offset in *ret_at. A login ends with its '@'. */
size_t secret_words_find(char **argv, int at, size_t *ret_at);

/* Returns the word without its secrets, for free(), or NULL without memory. */
char *secret_words_strip(char **argv, int at);

/* Prints one warning if the command line has a secret. */
void secret_words_warn(int argc, char **argv);

#endif

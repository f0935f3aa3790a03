/*
 * Finds secrets in a command line: the login of any URL, and the requests of a
 * preamble.
 *
 * Results and messages leave them out. Process lists still show them, so a
 * warning is printed.
 */
#ifndef WEIR_LOAD_SECRET_WORDS_H
#define WEIR_LOAD_SECRET_WORDS_H

#include <stddef.h>

/* Finds the first secret in argv[at]. Returns its size, or 0 if there is none;
 * *ret_at is its offset. A login includes its '@'. */
size_t secret_words_find(char **argv, int at, size_t *ret_at);

/* Returns a copy of argv[at] without its secrets, or NULL if out of memory. The
 * caller frees it. */
char *secret_words_strip(char **argv, int at);

void secret_words_warn(int argc, char **argv);

#endif

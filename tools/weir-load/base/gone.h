/*
 * Words that weir-load no longer has: options, and placeholders of templates.
 * weir-load refuses each word by name, and prints what to use instead. A new
 * row needs a word that some version of weir-load had.
 */
#ifndef WEIR_LOAD_GONE_H
#define WEIR_LOAD_GONE_H

#include <stddef.h>

/* Returns what to use instead of an option, without its dashes, or of a place
 * of a template, with its brace. Returns NULL if the word never existed. */
const char *gone_find(const char *word, size_t len);

#endif

/*
 * Options and template placeholders that weir-load no longer has. Each is
 * refused with its replacement. Only names that a version of weir-load had get
 * a row.
 */
#ifndef WEIR_LOAD_GONE_H
#define WEIR_LOAD_GONE_H

#include <stddef.h>

/* Returns the replacement of an option, given without dashes, or of a
 * placeholder, given with its brace. Returns NULL if it never existed. */
const char *gone_find(const char *word, size_t len);

#endif

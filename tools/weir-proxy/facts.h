/*
 * A configuration as lines that can be compared: -t compares them with those of
 * a running proxy, received over its socket (control.h).
 *
 * A line is a directive with its section, an address, a target, or a
 * certificate with a hash of its bytes.
 */
#ifndef WEIR_PROXY_FACTS_H
#define WEIR_PROXY_FACTS_H

#include "config.h"

/* Records a directive of a file for the current section. Returns false if out
 * of memory. */
bool facts_note(struct config *config, const char *word, const char *value);

/* Returns all lines, or NULL if out of memory. The caller frees them. */
char *facts_make(const struct config *config);

/* Prints the lines that only one of two texts has. Returns their number. */
size_t facts_compare(const char *before, const char *after);

#endif

/*
 * What a configuration says, in lines that can be compared: for -t beside a
 * proxy that runs, which sends its own by its socket (control.h).
 *
 * A line is a word as the file has it, with its section, an address, a target
 * or a certificate with a number made of its bytes.
 */
#ifndef WEIR_PROXY_FACTS_H
#define WEIR_PROXY_FACTS_H

#include "config.h"

/* Notes a word of a file, about what was begun last; false without memory. */
bool facts_note(struct config *config, const char *word, const char *value);

/* All lines, sorted, to be freed; NULL: no memory. */
char *facts_make(const struct config *config);

/* Says what is in one of two texts alone, a line each; their number. */
size_t facts_compare(const char *before, const char *after);

#endif

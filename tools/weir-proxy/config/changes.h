/*
 * A configuration as sorted lines, and the lines in which two of them differ.
 * -t and a successor compare their lines with those of the running proxy
 * (control.h). A reload compares its lines with those of the replaced setup.
 *
 * A line is a directive with its service, route and target, or a file with a
 * hash of its bytes. No value is cut.
 */
#ifndef WEIR_PROXY_CHANGES_H
#define WEIR_PROXY_CHANGES_H

#include "config.h"

struct option;

/* Precedes the hash at the end of a line. The hash stands for a secret or for a
 * file's bytes, and changes with them. Messages omit it, because a short secret
 * can be found from its hash. */
#define CHANGES_HASH " = bytes "

/* Returns false if out of memory. */
bool changes_note(struct config *config, const struct option *word,
                  const char *value);

/* Adds a line for each file that the configuration names, and sorts all lines.
 * Must be called after the last changes_note(). Returns false if out of
 * memory. */
bool changes_finish(struct config *config);

typedef void changes_fn(void *arg, const char *line, bool is_added);

/* Calls @call for each line that only one of two sorted lists has. Returns the
 * number of such lines. */
size_t changes_each(const struct config_texts *before,
                    const struct config_texts *after, changes_fn *call,
                    void *arg);

#endif

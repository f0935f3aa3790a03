/*
 * Suggests another target if the server's answers show that it is needed: the
 * location of a redirect, https:// if the server requires TLS, http:// if it
 * has no TLS, the other version of HTTP, or the same target without verifying
 * its certificate. The suggestion is a whole command line.
 */
#ifndef WEIR_LOAD_ELSEWHERE_H
#define WEIR_LOAD_ELSEWHERE_H

#include "result.h"
#include "tools/common/shell_line.h"

#include <stdbool.h>

#define ELSEWHERE_SIZE 768

/* Finds the target to suggest. Returns false if there is none, or if several
 * targets were loaded. */
bool elsewhere_find(const struct result *result, char ret[ELSEWHERE_SIZE]);

/* Returns the text to print before the command line. */
const char *elsewhere_reason(const struct result *result);

/* Writes the command line with a target. Returns false if too long. */
bool elsewhere_write(const struct result *result, const char *url,
                     struct shell_line *ret);

#endif

/*
 * Suggests another target, as the server's answers show: a redirect's, https://
 * if it speaks TLS, http:// if it does not, with HTTP/2, or without verifying
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

/* Returns the words to print before that command line. */
const char *elsewhere_reason(const struct result *result);

/* Writes the command line with a target. Returns false if too long. */
bool elsewhere_write(const struct result *result, const char *url,
                     struct shell_line *ret);

#endif

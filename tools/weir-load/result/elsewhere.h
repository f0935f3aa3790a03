/*
 * The place where a run should have gone instead, as the server has shown: what
 * a redirect names, https:// where TLS is spoken, http:// where it is not, with
 * HTTP/2, or without a look at its certificate.
 *
 * It is told with the whole command line.
 */
#ifndef WEIR_LOAD_ELSEWHERE_H
#define WEIR_LOAD_ELSEWHERE_H

#include "result.h"
#include "tools/common/shell_line.h"

#include <stdbool.h>

#define ELSEWHERE_SIZE 768

/* The target to write; false: there is none, or several targets were loaded. */
bool elsewhere_find(const struct result *result, char ret[ELSEWHERE_SIZE]);

/* The words before that line. */
const char *elsewhere_reason(const struct result *result);

/* The whole command line with another target; false: it is too long. */
bool elsewhere_write(const struct result *result, const char *url,
                     struct shell_line *ret);

#endif

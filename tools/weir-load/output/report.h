/*
 * The result as text, for people, on standard output. If a run did not end
 * well, one line on standard error has the reason, where it is not
 * overlooked.
 */
#ifndef WEIR_LOAD_REPORT_H
#define WEIR_LOAD_REPORT_H

#include "tools/weir-load/result/result.h"

#include <stdio.h>

/* Prints the report; its last line is the verdict. */
void report_print(const struct result *result, FILE *out);

/* Prints why the exit code is not 0, on standard error. */
void report_complain(const struct result *result);

#endif

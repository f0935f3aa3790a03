/*
 * The result as text, for people.
 *
 * The report goes to standard output. Why a run did not end well is said in
 * one line on standard error besides, where nobody overlooks it.
 */
#ifndef WEIR_LOAD_REPORT_H
#define WEIR_LOAD_REPORT_H

#include "tools/weir-load/result/result.h"

#include <stdio.h>

/* The whole report, the verdict in its last line. */
void report_print(const struct result *result, FILE *out);

/* Lines on standard error that say why the exit code is not 0. */
void report_complain(const struct result *result);

#endif

/*
 * Evaluates a result: whether it is valid, and the exit code of the
 * program. It reads only values, so it can be tested with made-up
 * results.
 */
#ifndef WEIR_LOAD_VERDICT_H
#define WEIR_LOAD_VERDICT_H

#include "result.h"
#include "summary.h"

/* Evaluates the result, and sets its invalid, warnings and exit. */
void verdict_reach(struct result *result);

/* Returns "VALID", "INVALID", "FAILED" or "INTERRUPTED". */
const char *verdict_word(const struct result *result);

/* Returns the failed requests plus the failures without a request. */
uint64_t verdict_error_count(const struct result *result);

/* Fills in the figures for scripts; borrows from the result. */
void verdict_summarize(const struct result *result, struct summary *ret);

/* Returns the client's CPU time in the window, in CPUs; may exceed 1. */
double verdict_cpu_share(const struct result *result);

#endif

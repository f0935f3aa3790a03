/*
 * The judgement over a result: is it what it seems to be, and with which exit
 * code does the program end. It looks at values only and can be tested with
 * made-up ones.
 */
#ifndef WEIR_LOAD_VERDICT_H
#define WEIR_LOAD_VERDICT_H

#include "result.h"
#include "summary.h"

/* Fill in invalid, warnings and exit. */
void verdict_reach(struct result *result);

/* "VALID", "INVALID", "FAILED" or "INTERRUPTED". */
const char *verdict_word(const struct result *result);

/* Requests that went wrong, and failures that concerned no request. */
uint64_t verdict_error_count(const struct result *result);

/* The figures that scripts read; borrowed from the result. */
void verdict_summarize(const struct result *result, struct summary *ret);

/* Share of one CPU that the client used in the window, 0 to 1 (or more). */
double verdict_cpu_share(const struct result *result);

#endif

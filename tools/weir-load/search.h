/*
 * `weir-load search --slo EXPR TARGET`: the largest rate at which the
 * objectives hold.
 *
 * The rates are offered by a schedule (open loop), whose latencies grow without
 * end once a server is asked for more than it can do.
 */
#ifndef WEIR_LOAD_SEARCH_H
#define WEIR_LOAD_SEARCH_H

#include "tools/common/option.h"

extern const struct option_set search_set;

/* Returns the exit code. Flags and targets begin at argv[first]. */
int search_main(int argc, char **argv, int first);

#endif

/*
 * `weir-load sweep --rates LIST TARGET`: a run at each load of a list, and so
 * the curve of latency over rate, or over connections.
 *
 * The results that --save leaves are what `weir-load report` draws it from.
 */
#ifndef WEIR_LOAD_SWEEP_H
#define WEIR_LOAD_SWEEP_H

#include "tools/common/option.h"

extern const struct option_set sweep_set;

/* Returns the exit code. Flags and targets begin at argv[first]. */
int sweep_main(int argc, char **argv, int first);

#endif

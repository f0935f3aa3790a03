/*
 * `weir-load ab A B`: two targets under the same load, in pairs of short runs,
 * and whether B does better, worse, or the same.
 *
 * Machines are fast at one time and slow at another; the runs of a pair are
 * neighbours in time, so that their ratio has little of it.
 */
#ifndef WEIR_LOAD_AB_H
#define WEIR_LOAD_AB_H

#include "tools/common/option.h"

extern const struct option_set ab_set;

/* Returns the exit code. Flags and targets begin at argv[first]. */
int ab_main(int argc, char **argv, int first);

#endif

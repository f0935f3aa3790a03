/*
 * `weir-load compare A.json... -- B.json...`: were the runs of B different from
 * those of A? Each file is a run; files with commas between them are parts of
 * one.
 */
#ifndef WEIR_LOAD_COMPARE_H
#define WEIR_LOAD_COMPARE_H

#include "tools/common/option.h"

extern const struct option_set compare_set;

/* Returns the exit code. Flags and files begin at argv[first]. */
int compare_main(int argc, char **argv, int first);

#endif

/*
 * The commands that make several runs or read their results: ab, compare,
 * report, search and sweep. Here their command lines are read and checked; the
 * script does what they are for (results.h).
 *
 * An option of `weir-load run` is passed on to the runs, with the targets
 * behind it.
 */
#ifndef WEIR_LOAD_ANALYSIS_H
#define WEIR_LOAD_ANALYSIS_H

#include "tools/common/option.h"

extern const struct option_set ab_set;
extern const struct option_set compare_set;
extern const struct option_set report_set;
extern const struct option_set search_set;
extern const struct option_set sweep_set;

/* Each returns the exit code. Flags and words begin at argv[first]. */
int ab_main(int argc, char **argv, int first);
int compare_main(int argc, char **argv, int first);
int report_main(int argc, char **argv, int first);
int search_main(int argc, char **argv, int first);
int sweep_main(int argc, char **argv, int first);

#endif

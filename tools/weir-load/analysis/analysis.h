/*
 * The commands that make several runs or read results: ab, compare, report,
 * search and sweep. Their command lines are parsed and checked here; the script
 * does the work (results.h).
 *
 * Options of `weir-load run` are passed on to the runs, followed by the
 * targets.
 */
#ifndef WEIR_LOAD_ANALYSIS_H
#define WEIR_LOAD_ANALYSIS_H

#include "tools/common/option.h"

extern const struct option_set ab_set;
extern const struct option_set compare_set;
extern const struct option_set report_set;
extern const struct option_set search_set;
extern const struct option_set sweep_set;

/* Run a command and return its exit code. Its arguments begin at
 * argv[first]. */
int ab_main(int argc, char **argv, int first);
int compare_main(int argc, char **argv, int first);
int report_main(int argc, char **argv, int first);
int search_main(int argc, char **argv, int first);
int sweep_main(int argc, char **argv, int first);

#endif

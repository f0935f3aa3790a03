/*
 * `weir-load report -o PAGE.html RESULT.json...`: saved results as one page
 * that a browser opens. Files with commas between them are parts of one run.
 *
 * The text report of a run itself is report.h.
 */
#ifndef WEIR_LOAD_DRAW_H
#define WEIR_LOAD_DRAW_H

#include "tools/common/option.h"

extern const struct option_set draw_set;

/* Returns the exit code. Flags and files begin at argv[first]. */
int draw_main(int argc, char **argv, int first);

#endif

/*
 * The commands that make several runs or read results: ab, compare, report,
 * search and sweep. Their command lines are checked here; a script does the
 * work (results.c). Options of `weir-load run` are passed on to the runs,
 * followed by the targets.
 */
#ifndef WEIR_LOAD_ANALYSIS_H
#define WEIR_LOAD_ANALYSIS_H

#include "tools/common/option.h"

#include <stdbool.h>
#include <stddef.h>

extern const struct option_set ab_set;
extern const struct option_set compare_set;
extern const struct option_set report_set;
extern const struct option_set search_set;
extern const struct option_set sweep_set;

/* Runs the command argv[first - 1] and returns its exit code. */
int analysis_main(int argc, char **argv, int first);

#define SPLIT_WORDS_MAX 128U
#define SPLIT_SIZE_MAX  4096U

struct split {
    size_t count;
    const char *words[SPLIT_WORDS_MAX];
    char text[SPLIT_SIZE_MAX];
};

/* Splits an argument into arguments as a shell does, but without variables,
 * patterns and commands. '...' is literal, and so is "..." except for \" and
 * \\. Elsewhere a \ makes the next character literal. The arguments point into
 * @ret. Returns false with one line in @why (OPTION_WHY_SIZE bytes). */
bool split_text(const char *text, struct split *ret, char *why);

#endif

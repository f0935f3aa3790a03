/*
 * Where a run's results go besides the report: the live view, JSON, and files
 * for other tools. They are opened before the run, so that a name that cannot
 * be written is told before and not after.
 */
#ifndef WEIR_LOAD_OUTPUTS_H
#define WEIR_LOAD_OUTPUTS_H

#include "line_file.h"
#include "publish.h"
#include "tools/weir-load/result/result.h"

#include <stdio.h>

/* A file that was asked for. */
struct output {
    FILE *file; /* NULL: there is none */
    int err;    /* the first error of a write, as errno; or 0 */
};

struct outputs {
    const struct run_options *options;
    /* Without: standard output for the result itself. */
    struct whole_file json;
    struct whole_file hgrm;
    struct line_file csv;
    struct output log;
    struct publish publish;
    /* Intervals are printed to the terminal. */
    bool is_live;
    uint64_t row_count;
};

/* Times of one interval; response is empty in a closed loop. And what became of
 * its requests by their kinds; NULL: none is counted. */
struct outputs_times {
    const struct histogram *response;
    const struct histogram *service;
    const struct kind_record *kinds;
};

/* Is standard output asked for by one flag at most? False after a line. */
bool outputs_check(const struct run_options *options);

/* Could all files be opened? False after a line that says which cannot; nothing
 * is made or emptied. */
bool outputs_check_files(const struct run_options *options);

/* A line for each file that was asked for, with its name. */
void outputs_print(const struct run_options *options, FILE *out);

/* False after a line that says which file cannot be opened. */
bool outputs_open(struct outputs *outputs, const struct run_options *options);

/* An interval has ended. */
void outputs_add_row(struct outputs *outputs, const struct result *result,
                     const struct result_row *row,
                     const struct outputs_times *times);

/* The run has ended and was judged: print the report and the rest. The exit
 * code, which is worse than the result's when something was not written. */
enum load_exit outputs_finish(struct outputs *outputs,
                              const struct result *result);

/* Close files; false after a line about one that could not be written. */
bool outputs_close(struct outputs *outputs);

/* Are there descriptors and ports for a run? Says what is missing. */
bool plan_check(const struct run_options *options);

/* --dry-run: everything that was checked, with the names looked up. */
void plan_print(const struct run_options *options, FILE *out);

#endif

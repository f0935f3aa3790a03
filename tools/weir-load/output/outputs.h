/*
 * Outputs of a run besides the report: the live view, JSON, and files for other
 * tools. Files are opened before the run, so that an unusable name is reported
 * first.
 */
#ifndef WEIR_LOAD_OUTPUTS_H
#define WEIR_LOAD_OUTPUTS_H

#include "line_file.h"
#include "publish.h"
#include "tools/weir-load/result/result.h"

#include <stdio.h>

struct output {
    FILE *file; /* NULL if not requested */
    int err;    /* errno of the first failed write, or 0 */
};

struct outputs {
    const struct run_options *options;
    /* Standard output is used if no file was given. */
    struct whole_file json;
    struct whole_file hgrm;
    struct line_file csv;
    struct output log;
    struct publish publish;
    bool is_live;
    uint64_t row_count;
};

/* Latencies of one interval; response is empty in a closed loop. kinds is NULL
 * if kinds are not counted. */
struct outputs_times {
    const struct histogram *response;
    const struct histogram *service;
    const struct kind_record *kinds;
};

/* Returns false, after printing an error, if two options use standard
 * output. */
bool outputs_check(const struct run_options *options);

/* Checks that all files could be opened, without creating or truncating them.
 * Returns false after printing which one could not. */
bool outputs_check_files(const struct run_options *options);

/* Prints a line for each requested file. */
void outputs_print(const struct run_options *options, FILE *out);

/* Opens the files. Returns false after printing which one could not be
 * opened. */
bool outputs_open(struct outputs *outputs, const struct run_options *options);

void outputs_add_row(struct outputs *outputs, const struct result *result,
                     const struct result_row *row,
                     const struct outputs_times *times);

/* Prints the report and the other outputs of an evaluated run. Returns the exit
 * code, which is worse than the result's if something was not written. */
enum load_exit outputs_finish(struct outputs *outputs,
                              const struct result *result);

/* Closes the files. Returns false, after printing an error, if one was not
 * written. */
bool outputs_close(struct outputs *outputs);

/* Checks descriptors and ports. Returns false after printing an error. */
bool plan_check(const struct run_options *options);

/* Implements --dry-run: prints everything that was checked, with resolved
 * names. */
void plan_print(const struct run_options *options, FILE *out);

#endif

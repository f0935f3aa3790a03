/*
 * The outputs of a run. A file appears completely or not at all, except for
 * files of lines, which are written while the run lasts. A Python script writes
 * the other formats.
 */
#ifndef WEIR_LOAD_OUTPUT_H
#define WEIR_LOAD_OUTPUT_H

#include "tools/weir-load/options/options.h"
#include "tools/weir-load/result/result.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * A file that other programs may read at any time: it has either the old
 * contents or the complete new contents.
 *
 * Data is written to a temporary file in the same folder, which replaces the
 * target at the end. If a file is mounted on the target, its contents are
 * overwritten instead. A device, pipe or FIFO is written directly, and so is
 * standard output, named "-".
 */

struct whole_file {
    const char *flag; /* the option that requested the file */
    char *path;
    FILE *file;      /* NULL if not requested */
    char *target;    /* path with resolved links; NULL if written directly */
    char *temporary; /* path of the temporary file; NULL if written directly */
};

/* Opens a file, or does nothing if @path is NULL. Returns false after printing
 * an error. */
bool whole_file_open(struct whole_file *self, const char *flag,
                     const char *path);

/* Closes the file and replaces the target. Returns false after printing an
 * error. The target is then unchanged, or the error names the file that has the
 * data. */
bool whole_file_keep(struct whole_file *self);

/* Discards the data. The target is unchanged. */
void whole_file_drop(struct whole_file *self);

/* Checks whether the file could be opened. Returns 0 or an error. */
int whole_file_check(const char *path);

bool whole_file_is_stdout(const char *path);

/*
 * Result files for CI pipelines. A script (results.c) writes each file
 * completely or not at all. The files are opened before the run, so that an
 * unusable name is reported first.
 */

struct result;

struct publish {
    struct whole_file files[PUBLISH_FORMATS];
};

/* Checks that the script can start. Returns false after printing an error. */
bool publish_can_start(const char *flag);

/* Runs the script to write the files. Returns false after printing an error. */
bool publish_write(struct publish *self, const struct result *result);

/* Closes the files. A file that publish_write() has not written is
 * unchanged. */
void publish_drop(struct publish *self);

/*
 * A file that gets complete lines during the run, for readers that follow it
 * (--csv).
 *
 * It may be a pipe with a slow reader. The run does not wait for it: up to 1
 * MiB of lines is kept while the pipe is full, and further lines are dropped
 * and counted. At the end the rest is written, until the reader has read
 * nothing for a second.
 */

struct line_file {
    const char *flag; /* the option that requested the file */
    const char *path;
    FILE *file;      /* NULL if not requested */
    bool is_patient; /* the file accepts all writes at once */
    FILE *lines;     /* memory stream for lines, set between line_file_begin()
                      * and line_file_end() */
    char *text;
    size_t size;
    char *waiting; /* bytes that did not fit into the pipe */
    size_t first;  /* waiting[first] to waiting[end - 1] are unsent */
    size_t end;
    uint64_t missing; /* dropped lines */
    int err;          /* errno of the first failed write, or 0 */
};

/* Initialises with an open file. @name is for messages. */
void line_file_start(struct line_file *self, const char *flag, const char *name,
                     FILE *file);

/* Returns true if, within @patience_ms, a write would succeed or fail without
 * blocking. */
bool line_file_is_ready(FILE *file, int patience_ms);

/* Returns a stream for the next lines. Returns NULL if out of memory, and
 * counts a dropped line. */
FILE *line_file_begin(struct line_file *self);

/* Writes the lines printed since line_file_begin(). */
void line_file_end(struct line_file *self);

/* Closes the file. Returns false, after printing an error, if lines were not
 * written. */
bool line_file_close(struct line_file *self);

/* Outputs of a run: the report, the live view, JSON, and files for other tools.
 * Files are opened before the run, so that an unusable name is reported
 * first. */

struct output {
    FILE *file; /* NULL if not requested */
    int err;    /* errno of the first failed write, or 0 */
};

struct outputs {
    const struct run_options *options;
    /* Without a path, JSON goes to standard output. */
    struct whole_file json;
    struct whole_file hgrm;
    struct line_file csv;
    struct output log;
    struct publish publish;
    bool is_live;
    uint64_t row_count;
};

/* Returns false, after printing an error, if two options use standard
 * output. */
bool outputs_check(const struct run_options *options);

/* Checks that all files could be opened, without creating or truncating them.
 * Returns false after printing the name of one that could not. */
bool outputs_check_files(const struct run_options *options);

/* Prints a line for each requested file. */
void outputs_print(const struct run_options *options, FILE *out);

/* Opens the files. Returns false after printing the name of one that could not
 * be opened. */
bool outputs_open(struct outputs *outputs, const struct run_options *options);

/* Prints an interval and its latencies. @kinds is NULL if kinds are not
 * counted. */
void outputs_add_row(struct outputs *outputs, const struct result *result,
                     const struct result_row *row,
                     const struct histogram *times,
                     const struct kind_record *kinds);

/* Prints the report and the other outputs of an evaluated run. Returns the exit
 * code, which is LOAD_INTERNAL if something was not written. */
enum load_exit outputs_finish(struct outputs *outputs,
                              const struct result *result);

/* Closes the files. Returns false, after printing an error, if one was not
 * written. */
bool outputs_close(struct outputs *outputs);

/* Checks descriptors and ports. Returns false after printing an error. */
bool plan_check(const struct run_options *options);

/* Implements --dry-run: prints what would be done, with resolved names. */
void plan_print(const struct run_options *options, FILE *out);

/*
 * Starts the script (results.py) for work before and after runs: ab, compare,
 * report, search, sweep, and the files for CI pipelines. It is installed with
 * the program and needs Python 3.
 */

/* Number of arguments that results_begin() sets: python3, its options, the
 * script, the program and the command. */
#define RESULTS_WORDS 7U

/* Sets the first RESULTS_WORDS of @argv. Returns false, after printing an
 * error, if the script was not found. */
bool results_begin(const char *command, const char **argv);

/* Replaces the process with the script. If that fails, prints an error and
 * returns an exit code. */
int results_exec(const char **argv);

/* Runs the script with @in as standard input and the descriptors @fds open, all
 * of which must be 3 or above. Returns false, after printing an error, if the
 * script could not be started or its exit code is not 0. */
bool results_run(const char **argv, int in, const int *fds, size_t fd_count);

#endif

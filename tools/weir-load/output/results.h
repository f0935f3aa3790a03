/*
 * Starts the script for work before and after runs (results.py): ab, compare,
 * report, search, sweep, and the files for a pipeline.
 *
 * The script is installed with the program and needs Python 3. The program
 * parses the command line and passes the result to the script.
 */
#ifndef WEIR_LOAD_RESULTS_H
#define WEIR_LOAD_RESULTS_H

#include <stdbool.h>
#include <stddef.h>

/* Number of arguments that results_begin() writes: python3, its options, the
 * script, the program and the command. */
#define RESULTS_WORDS 7U

/* Fills in the first RESULTS_WORDS of @argv. Returns false, after printing an
 * error, if the script was not found. */
bool results_begin(const char *command, const char **argv);

/* Replaces the process with the script. Returns an exit code, after printing an
 * error, if that failed. */
int results_exec(const char **argv);

/* Runs the script with @in as standard input and the descriptors @fds, none
 * below 3, left open. Returns false, after printing an error, if it could not
 * be started or its exit code is not 0. */
bool results_run(const char **argv, int in, const int *fds, size_t fd_count);

#endif

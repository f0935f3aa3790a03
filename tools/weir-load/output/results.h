/*
 * The script that does everything before and after runs (results.py): ab,
 * compare, report, search, sweep, and the files of a run for a pipeline.
 *
 * It is installed beside the program and needs Python 3. The program reads the
 * command line, and starts the script with what it has read.
 */
#ifndef WEIR_LOAD_RESULTS_H
#define WEIR_LOAD_RESULTS_H

#include <stdbool.h>
#include <stddef.h>

/* Words before those of a caller: python3, its flags, the script, the program
 * and the command. */
#define RESULTS_WORDS 7U

/* Fills the first RESULTS_WORDS of @argv for a command. False after a line if
 * the script was not found. */
bool results_begin(const char *command, const char **argv);

/* Replaces the process by the script. Returns an exit code, after a line, if it
 * could not be started. */
int results_exec(const char **argv);

/* Runs the script with this descriptor as its standard input, and with the
 * descriptors in @fds (not below 3) left open. False, after a line, if it could
 * not be started or did not end with 0. */
bool results_run(const char **argv, int in, const int *fds, size_t fd_count);

#endif

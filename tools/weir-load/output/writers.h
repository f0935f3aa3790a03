/*
 * The writers of a result: text for people,
 * JSON for programs, and lines while the run
 * lasts.
 */
#ifndef WEIR_LOAD_WRITERS_H
#define WEIR_LOAD_WRITERS_H

#include "tools/weir-load/options/options.h"
#include "tools/weir-load/result/result.h"

#include <jansson.h>
#include <stdio.h>

/*
 * Opens a file for writing that may be a FIFO.
 *
 * Opening a FIFO without a reader would block forever. The reader may start
 * slightly later than this program, so the open fails only after ten seconds.
 */

/* Creates or truncates the file. Returns NULL with errno for fifo_error_text().
 * ETIMEDOUT means a FIFO without a reader. */
FILE *fifo_open(const char *path);

/* Flushes a file, and closes it unless it is standard output. Returns 0 or an
 * errno, also of an earlier write. */
int fifo_close(FILE *file);

const char *fifo_error_text(int err);

/* The result as JSON. The schema is versioned, in result.schema.json.in. Times
 * are integers in nanoseconds; figures of too few values are null. */

#define JSON_SCHEMA "weir-load/2"

/* Largest result that is written and read. */
#define JSON_SIZE_MAX ((size_t)128 << 20)

/* Returns the whole object, or NULL if out of memory. */
json_t *json_result(const struct result *result);

/* Returns the object that describes what was run, and where. */
json_t *json_begin(const struct result *result);

json_t *json_row(const struct result_row *row);

/* Writes a line of --json-stream. Takes ownership of @data, which is NULL if
 * memory ran out. */
void json_write_event(const char *name, json_t *data, FILE *out);

/* Writes the object. Returns 0, -ENOMEM or the error of writing. */
int json_write(const struct result *result, FILE *out);

/*
 * The options of a run as JSON, so that a result shows how to repeat the run
 * and whether two results are comparable. Every option that affects what is
 * sent has a member here.
 */

json_t *json_config(const struct run_options *options);

/* Returns a hash of the options that determine the load, without the seed, the
 * targets' hosts and local addresses. Runs with the same hash sent the same
 * load, perhaps to different servers. */
json_t *json_config_hash(const struct run_options *options);

json_t *json_command(const struct run_options *options);

/* Prints a line to the terminal at every interval. */

/* Prints row @number, counted from 0, with a small histogram of its latencies.
 * A header is printed before the rows 0, 20, 40 and so on. */
void live_print(const struct interval *row, const struct histogram *h,
                uint64_t number);

/* The result as text on standard output. If a run did not end well, the reason
 * is also printed on standard error. */

/* Prints the report. Its last line is the verdict. */
void report_print(const struct result *result, FILE *out);

/* Prints on standard error why the exit code is not 0. */
void report_complain(const struct result *result);

#endif

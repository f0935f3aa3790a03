/*
 * The result as JSON, for programs.
 *
 * The schema is versioned, in result.schema.json.in; times are integers
 * in nanoseconds, and what cannot be told from the values that there are is
 * null.
 */
#ifndef WEIR_LOAD_JSON_H
#define WEIR_LOAD_JSON_H

#include "tools/weir-load/result/result.h"

#include <jansson.h>
#include <stdio.h>

#define JSON_SCHEMA "weir-load/2"

/* No result of a run is larger, and no larger file is read. */
#define JSON_SIZE_MAX ((size_t)128 << 20)

/* The whole object, or NULL without memory. */
json_t *json_result(const struct result *result);

/* What was run, and where. */
json_t *json_begin(const struct result *result);

/* One interval. */
json_t *json_row(const struct result_row *row);

/* One line of --json-stream; data is taken, and NULL without memory. */
void json_write_event(const char *name, json_t *data, FILE *out);

/* One object and a newline; 0, -ENOMEM or the error of writing. */
int json_write(const struct result *result, FILE *out);

#endif

/*
 * The result as JSON, for programs. The schema is versioned, in
 * result.schema.json.in. Times are integers in nanoseconds; figures of too few
 * values are null.
 */
#ifndef WEIR_LOAD_JSON_H
#define WEIR_LOAD_JSON_H

#include "tools/weir-load/result/result.h"

#include <jansson.h>
#include <stdio.h>

#define JSON_SCHEMA "weir-load/2"

/* Limit of the results that are written and read. */
#define JSON_SIZE_MAX ((size_t)128 << 20)

/* Returns the whole object, or NULL if out of memory. */
json_t *json_result(const struct result *result);

/* Returns the object that describes what was run, and where. */
json_t *json_begin(const struct result *result);

json_t *json_row(const struct result_row *row);

/* Writes a line of --json-stream. Frees @data; NULL if out of memory. */
void json_write_event(const char *name, json_t *data, FILE *out);

/* Writes the object. Returns 0, -ENOMEM or the error of writing. */
int json_write(const struct result *result, FILE *out);

#endif

/*
 * Helpers for all parts of weir-load's JSON: numbers in range, UTF-8 texts, and
 * histograms.
 *
 * A part that could not be made is NULL. jansson makes an object with such a
 * part NULL, too, so it is enough to check the whole object.
 */
#ifndef WEIR_LOAD_JSON_PART_H
#define WEIR_LOAD_JSON_PART_H

#include "tools/load/histogram.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Converts a value, limited to JSON's signed integers; no count comes near the
 * limit. */
json_int_t json_integer_of(uint64_t value);

bool json_is_text(const char *text);

/* Makes a string. A text that is not UTF-8 would invalidate the whole object
 * and becomes "?". */
json_t *json_text(const char *text, size_t len);

json_t *json_text_or_null(const char *text);

/* Appends a part to a list. If either is NULL, frees both and returns NULL. */
json_t *json_appended(json_t *list, json_t *part);

/* Returns the FNV-1a hash of an object as a string of 16 hex digits. */
json_t *json_hash(const json_t *object);

/* Returns an object with the main figures of a histogram and, as "hdr", all of
 * it. */
json_t *json_histogram(const struct histogram *h);

/* Like json_histogram(), but returns null for a histogram without counts. */
json_t *json_histogram_or_null(const struct histogram *h);

/* Writes an object, indented or in one line, and a newline. Takes ownership of
 * the object. Returns 0, -ENOMEM if it is NULL, or the error of writing. */
int json_write_object(json_t *object, bool pretty, FILE *out);

#endif

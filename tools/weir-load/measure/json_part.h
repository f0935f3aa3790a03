/*
 * What all parts of weir-load's JSON have in common: numbers that fit, texts
 * that are UTF-8, and histograms.
 *
 * A part that could not be made is NULL, and jansson passes that up to the
 * whole, which is looked at once.
 */
#ifndef WEIR_LOAD_JSON_PART_H
#define WEIR_LOAD_JSON_PART_H

#include "tools/load/histogram.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* JSON integers are signed here; no count of a run comes near the limit. */
json_int_t json_integer_of(uint64_t value);

/* Is a text UTF-8? */
bool json_is_text(const char *text);

/* A text that is no UTF-8 would spoil the whole object: it becomes "?". */
json_t *json_text(const char *text, size_t len);

/* A text, or null for NULL. */
json_t *json_text_or_null(const char *text);

/* A list with a part behind its last one; NULL, which frees both, where one of
 * them could not be made. */
json_t *json_appended(json_t *list, json_t *part);

/* FNV-1a over an object, in 16 digits. */
json_t *json_hash(const json_t *object);

/* What people read of a histogram, and behind "hdr" the whole of it. */
json_t *json_histogram(const struct histogram *h);

/* The same, or null for one that has counted nothing. */
json_t *json_histogram_or_null(const struct histogram *h);

/* One object and a newline, pretty or in one line; 0, -ENOMEM for NULL, or the
 * error of writing. The object is taken. */
int json_write_object(json_t *object, bool pretty, FILE *out);

#endif

/*
 * Describes the counted fields of a result and its times: a row for each with
 * its name, how two values merge, and where reports show it.
 *
 * All code that adds up threads, writes results as JSON, reads and merges them,
 * or prints the reports, the table of intervals and the page walks these rows.
 * The meaning of a field is in the declaration of its struct and in the
 * result's schema.
 */
#ifndef WEIR_LOAD_FIELDS_H
#define WEIR_LOAD_FIELDS_H

#include "tools/load/histogram.h"
#include "tools/weir-load/measure/kinds.h"
#include "tools/weir-load/measure/slo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct result;

enum field_merge {
    FIELD_SUM,
    FIELD_GREATEST,
    FIELD_LEAST, /* minimum of values that are not 0 */
    FIELD_FIRST, /* keeps the first value */
    /* For a process: maximum of its threads, sum of processes. */
    FIELD_PROCESS,
};

enum field_unit {
    FIELD_COUNT,
    FIELD_BYTES,
    FIELD_TIME,    /* ns */
    FIELD_LATENCY, /* ns; 0 means no answer: null in JSON, empty in tables */
};

struct field {
    const char *name; /* in the result; NULL ends a table */
    size_t offset;
    enum field_merge merge;
    enum field_unit unit;
    const char *line;   /* first word of the text report's line, or NULL */
    const char *text;   /* text before the value in that line */
    const char *column; /* heading in the table of intervals, or NULL for
                         * ->name */
    /* NULL if the text report always has it. */
    bool (*is_shown)(const struct result *result);
    bool hides_zero; /* the text report leaves it out if 0 */
    bool has_kinds;  /* in an interval, also counted by kind */
    /* Description in the schema (schema.py); NULL if in the manual. */
    const char *about;
};

extern const struct field fields_ledger[];
extern const struct field fields_answers[];
extern const struct field fields_handshakes[];
extern const struct field fields_connections[];
extern const struct field fields_http2[];
extern const struct field fields_interval[];
extern const struct field fields_usage[];
extern const struct field fields_loop[];
extern const struct field fields_error[];
extern const struct field fields_kind[];
extern const struct field fields_thread[];
extern const struct field fields_result[];

/* A struct of a result, and the JSON object with its fields. */
struct fields_part {
    const char *object; /* NULL if the fields are in the result itself */
    const struct field *fields;
    size_t offset; /* of the struct in struct result */
};

/* Ends with a row without fields. */
extern const struct fields_part fields_parts[];

/* Times in a result. */
struct field_times {
    const char *name; /* in the result */
    size_t offset;    /* in struct result */
    const char *line; /* title in the text report, or NULL */
    const char *remark;
    /* Additional condition; times without values are never shown. */
    bool (*is_shown)(const struct result *result);
    bool is_always; /* measured in every run, so never null */
};

/* In the order of the results. */
extern const struct field_times fields_times[SLO_TIMES_COUNT];

struct histogram *fields_times_of(struct result *result, enum slo_times times);
const struct histogram *fields_times_in(const struct result *result,
                                        enum slo_times times);

/* Merges @from into @to, structs of two threads that @fields describes. */
void fields_merge(const struct field *fields, void *to, const void *from);

void fields_add_kinds(const struct kinds *kinds, struct kind_record *sum,
                      const struct kind_record *from);

uint64_t fields_get(const struct field *field, const void *from);

#endif

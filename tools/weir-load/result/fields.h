/*
 * The fields of a result that are counted, and its times: a row for each, which
 * says what it is called, how two become one, and where people see it.
 *
 * Threads are added up, results are written as JSON, read again and merged, and
 * the text report, the table of intervals and the page are printed by walking
 * the rows. What a field means is said where its struct is declared and in the
 * schema of the result.
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

/* How two become one. */
enum field_merge {
    FIELD_SUM,
    FIELD_GREATEST,
    FIELD_LEAST, /* of those that are not 0 */
    FIELD_FIRST, /* it stays */
    /* Of a process: the greatest of its threads, and the sum of processes. */
    FIELD_PROCESS,
};

/* What the number is. */
enum field_unit {
    FIELD_COUNT,
    FIELD_BYTES,
    FIELD_TIME,    /* ns */
    FIELD_LATENCY, /* ns; 0: no answer came, which JSON has as null, and a table
                    * as nothing */
};

/* A uint64_t of a struct. */
struct field {
    const char *name; /* in the result; NULL: the end of a table */
    size_t offset;
    enum field_merge merge;
    enum field_unit unit;
    const char *line;   /* of the text report, by its first word, that has the
                         * number; NULL: none */
    const char *text;   /* before the number there */
    const char *column; /* in the table of intervals; NULL: ->name */
    /* Does the text report have it? NULL: always. */
    bool (*is_shown)(const struct result *result);
    bool hides_zero; /* the text report has it where it is not 0 */
    bool has_kinds;  /* of an interval: it is counted by kinds, too */
    /* What the schema says of it, see schema.py; NULL: the manual does. */
    const char *about;
};

extern const struct field fields_ledger[];      /* of struct ledger */
extern const struct field fields_answers[];     /* of struct track_counts */
extern const struct field fields_handshakes[];  /* of struct tls_facts */
extern const struct field fields_connections[]; /* of connection_counts */
extern const struct field fields_http2[];       /* of struct h2_counts */
extern const struct field fields_interval[];    /* of struct interval */
extern const struct field fields_usage[];       /* of struct host_usage */
extern const struct field fields_loop[];        /* of struct result_loop */
extern const struct field fields_error[];       /* of struct error_kind */
extern const struct field fields_kind[];        /* of struct kind_counts */
extern const struct field fields_thread[];      /* of struct result_thread */
extern const struct field fields_result[];      /* of struct result */

/* A struct of a result, and the object of JSON that has its fields. */
struct fields_part {
    const char *object; /* NULL: the result itself */
    const struct field *fields;
    size_t offset; /* in struct result */
};

/* Ends with a row without fields. */
extern const struct fields_part fields_parts[];

/* Times that a result has. */
struct field_times {
    const char *name; /* in the result */
    size_t offset;    /* in struct result */
    const char *line; /* of the text report; NULL: it has none */
    const char *remark;
    /* Beside there being some. */
    bool (*is_shown)(const struct result *result);
    bool is_always; /* taken in every run, so that none are no null */
};

/* In the order of the result. */
extern const struct field_times fields_times[SLO_TIMES_COUNT];

struct histogram *fields_times_of(struct result *result, enum slo_times times);
const struct histogram *fields_times_in(const struct result *result,
                                        enum slo_times times);

/* Merges the fields of @from into @to, which are structs of the table and of
 * two threads. */
void fields_merge(const struct field *fields, void *to, const void *from);

/* Adds what others have counted of each kind. */
void fields_add_kinds(const struct kinds *kinds, struct kind_record *sum,
                      const struct kind_record *from);

/* The number of a field. */
uint64_t fields_get(const struct field *field, const void *from);

#endif

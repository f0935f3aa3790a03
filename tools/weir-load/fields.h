/*
 * The fields of a result that are counted: a row for each, by which threads are
 * added up, results are written as JSON, and the intervals of several results
 * are merged.
 *
 * A table is for one struct of counts, wherever that is: in a thread that still
 * counts, in an interval, or in the result. What a field means is said where
 * the struct is declared and in the schema of the result.
 */
#ifndef WEIR_LOAD_FIELDS_H
#define WEIR_LOAD_FIELDS_H

#include <jansson.h>
#include <stddef.h>

/* How two become one. */
enum field_merge {
    FIELD_SUM,
    FIELD_GREATEST,
};

/* A uint64_t. */
struct field {
    const char *name; /* in the result; NULL: the end of a table */
    size_t offset;
    enum field_merge merge;
};

extern const struct field fields_ledger[];      /* of struct ledger */
extern const struct field fields_answers[];     /* of struct track_counts */
extern const struct field fields_handshakes[];  /* of struct tls_facts */
extern const struct field fields_connections[]; /* of connection_counts */
extern const struct field fields_row[];         /* of struct result_row */
extern const struct field fields_usage[];       /* of struct host_usage */
extern const struct field fields_loop[];        /* of struct result_loop */

/* Merges the fields of @from into @to, which are structs of the table. */
void fields_merge(const struct field *fields, void *to, const void *from);

/* The fields of a struct as an object. */
json_t *fields_json(const struct field *fields, const void *from);

/* Adds the fields of a struct to an object. */
void fields_write(const struct field *fields, const void *from, json_t *into);

#endif

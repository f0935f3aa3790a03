/*
 * A data file (--data) whose rows fill requests: comma-separated values as in
 * RFC 4180, with column names in the first line. {csv:NAME} in a request is
 * replaced by a field of the request's row.
 *
 *     name,password
 *     ada,secret
 *     "Smith, Jo","with ""quotes"""
 *
 * The file is read and divided into rows once; a row is divided into fields
 * when a request needs it. Every row has as many fields as the first line;
 * empty lines are skipped.
 *
 * The number of a request in the run determines its row. Numbers are unique
 * across threads and parts of the load.
 */
#ifndef WEIR_LOAD_DATA_H
#define WEIR_LOAD_DATA_H

#include "tools/weir-load/base/why.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DATA_SIZE_MAX    (UINT64_C(2) << 30)
#define DATA_COLUMNS_MAX 256U

enum data_order {
    DATA_TURN,   /* one after the other, again and again */
    DATA_RANDOM, /* chosen at random with the seed */
    DATA_ONCE,   /* one after the other; the run ends after the last */
};

struct data_column {
    char *name;
    size_t size_max;
    /* Line of the first row with a control character in this column, or 0. */
    uint64_t control_line;
};

struct data {
    char *bytes;
    size_t len;
    /* Offsets of the rows. */
    uint32_t *rows;
    size_t row_count;
    struct data_column columns[DATA_COLUMNS_MAX];
    size_t column_count;
    enum data_order order;
    uint64_t seed;
};

/* Reads and parses a file. Returns 0, or a negative error with one line in
 * @why; then nothing is owned. */
int data_read(FILE *file, struct data *ret, char *why);

/* Parses @bytes and takes ownership of them. */
int data_parse(char *bytes, size_t len, struct data *ret, char *why);

/* Returns the column with this name, or -1. */
int data_find(const struct data *data, const char *name);

/* Writes the column names that fit, separated by commas. Returns @ret. */
char *data_list(const struct data *data, char *ret, size_t size);

/* Writes the field of a column in the row of request @number; @out has size_max
 * bytes. Returns the number of bytes. */
size_t data_write(const struct data *data, size_t column, uint64_t number,
                  char *out);

uint64_t data_hash(const struct data *data);

void data_fini(struct data *data);

#endif

/*
 * A file of data (--data) whose rows requests are filled with: comma-separated
 * values as RFC 4180 has them, and a first line with the names of the columns.
 * {csv:NAME} in a request is a field of the row that the request has.
 *
 *     name,password
 *     ada,secret
 *     "Smith, Jo","with ""quotes"""
 *
 * The file is read once, and its rows are looked for once; a row is cut into
 * its fields when a request needs it. Every row has as many fields as the first
 * line; lines without a character are skipped.
 *
 * Which row a request has follows from its number in the run, which no other
 * request has, on whatever thread or part of the load.
 */
#ifndef WEIR_LOAD_DATA_H
#define WEIR_LOAD_DATA_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DATA_SIZE_MAX    (UINT64_C(2) << 30)
#define DATA_COLUMNS_MAX 256U

/* Room for every reason that is given here. */
#define DATA_WHY_SIZE 256

enum data_order {
    DATA_TURN,   /* the first row follows the last */
    DATA_RANDOM, /* by the seed */
    DATA_ONCE,   /* there are no more requests than rows */
};

struct data_column {
    char *name;
    /* Bytes of the largest field. */
    size_t size_max;
    /* The line of the first row with a control character in this column; 0:
     * there is none. */
    uint64_t control_line;
};

struct data {
    char *bytes;
    size_t len;
    /* Where rows begin. */
    uint32_t *rows;
    size_t row_count;
    struct data_column columns[DATA_COLUMNS_MAX];
    size_t column_count;
    enum data_order order;
    uint64_t seed;
};

/* Read what a file has. 0, or a negative error with one line in why, and
 * nothing is owned. */
int data_read(FILE *file, struct data *ret, char *why);

/* Read bytes, which are taken. */
int data_parse(char *bytes, size_t len, struct data *ret, char *why);

/* The column of a name; -1: there is none. */
int data_find(const struct data *data, const char *name);

/* Write the names of the columns with commas between them; those that do not
 * fit are left out. Returns @ret. */
char *data_list(const struct data *data, char *ret, size_t size);

/* Write the field of a column in the row of a request; @out has size_max bytes.
 * Returns how many were written. */
size_t data_write(const struct data *data, size_t column, uint64_t number,
                  char *out);

/* A number that other data do not have. */
uint64_t data_hash(const struct data *data);

void data_fini(struct data *data);

#endif

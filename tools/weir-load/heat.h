/*
 * The cells of a heat map: columns of time, rows of latency, and how many
 * requests each cell has, which is its color.
 *
 * The rows divide each power of two of latency alike, at ends of the
 * histogram's buckets, so that each bucket is in one cell as a whole. Colors go
 * by the logarithm of the number, or the few slow requests would not be seen.
 */
#ifndef WEIR_LOAD_HEAT_H
#define WEIR_LOAD_HEAT_H

#include "axis.h"
#include "tools/load/histogram.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HEAT_LEVELS 8U

struct heat_column {
    /* Seconds. */
    double begin;
    double end;
};

struct heat {
    size_t column_count;
    struct heat_column *columns;
    /* Cells, column by column. */
    uint64_t *counts;
    uint64_t most;
    /* Of the histograms: the first and the last bucket that has counted. */
    uint32_t low;
    uint32_t high;
    /* Each power of two has 1 << bits rows. */
    unsigned bits;
    uint32_t first_row;
    uint32_t row_count;
    size_t level_count;
    /* The least number of each color. */
    uint64_t levels[HEAT_LEVELS];
};

/* 0 or -ENOMEM; ret is ended with heat_free(). */
int heat_new(size_t column_count, struct heat **ret);

/* All histograms are held first: they say which rows there are. */
void heat_hold(struct heat *heat, const struct histogram *h);

/* 0 or -ENOMEM. Then each is added to its column. */
int heat_make_rows(struct heat *heat);
void heat_add(struct heat *heat, size_t column, const struct histogram *h);

/* When all are added: choose colors, and say what the axes must reach. */
void heat_settle(struct heat *heat, struct axis *x, struct axis *y);

/* Draw the cells; the classes of colors are h0 to h7. */
void heat_draw(const struct heat *heat, const struct axis *x,
               const struct axis *y, FILE *out);

/* The numbers of a color as text. */
void heat_name_level(const struct heat *heat, size_t level, char *buf,
                     size_t size);

/* NULL is allowed. */
void heat_free(struct heat *heat);

#endif

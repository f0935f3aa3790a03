/*
 * An axis of a plot: from values to positions, and where its ticks stand.
 *
 * Ticks are round numbers in the unit of the axis; on a logarithmic one they
 * are 1, 2 and 5 of each power of ten, or fewer.
 */
#ifndef WEIR_LOAD_AXIS_H
#define WEIR_LOAD_AXIS_H

#include <stdbool.h>
#include <stddef.h>

#define AXIS_TICKS_MAX 40U
#define AXIS_TEXT_SIZE 32U

enum axis_scale {
    AXIS_LINEAR,
    AXIS_LOG,
    /* Of a percentile p the value is 1 / (1 - p): each step is a nine more. */
    AXIS_NINES,
};

enum axis_unit {
    AXIS_NUMBER,
    /* The values are nanoseconds. */
    AXIS_TIME,
    AXIS_SECONDS,
};

struct axis {
    const char *label;
    enum axis_scale scale;
    enum axis_unit unit;
    /* The axis ends here at least. */
    double reach;
    /* Of the values, then of the axis. */
    double low;
    double high;
    /* Positions of low and high. */
    double from;
    double to;
    size_t tick_count;
    double ticks[AXIS_TICKS_MAX];
};

/* Begin without a value. */
void axis_begin(struct axis *axis);

/* The axis must reach this value. */
void axis_hold(struct axis *axis, double value);

/* Choose ends and ticks; the positions are set. */
void axis_settle(struct axis *axis);

double axis_place(const struct axis *axis, double value);

/* A tick as text; returns buf, which has AXIS_TEXT_SIZE bytes. */
const char *axis_format(const struct axis *axis, double value, char *buf);

#endif

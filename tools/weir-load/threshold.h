/*
 * Where is the rate below which runs pass and above which they fail, given runs
 * that did the one or the other?
 *
 * A run is short, and near the threshold it is chance how it ends: the share of
 * runs that pass falls from one to nothing over some width that nobody knows
 * before. So the threshold is an interval, found by Bayes' rule from all runs
 * together, for every place and width that it may have. A run may also fail for
 * a reason of its own, as on a machine that has other work.
 *
 * Nothing here knows what a run is, or chooses when to end.
 */
#ifndef WEIR_LOAD_THRESHOLD_H
#define WEIR_LOAD_THRESHOLD_H

#include <stdbool.h>
#include <stddef.h>

#define THRESHOLD_PLACES 4096U
#define THRESHOLD_WIDTHS 7U

struct threshold {
    /* The logarithm of the first place, and from one to the next. */
    double first;
    double step;
    /* From the share of 0.84 of runs that pass to half of them. */
    double widths[THRESHOLD_WIDTHS];
    /* How likely each place and width is, of 1. */
    double shares[THRESHOLD_WIDTHS][THRESHOLD_PLACES];
};

/* It is between these two rates, both above 0, and its width this part of the
 * rate at least, which is above 0 and below 0.1. */
void threshold_init(struct threshold *self, double low, double high,
                    double least_width);

/* A run at this rate, which passed or failed. */
void threshold_add(struct threshold *self, double rate, bool passed);

/* The rate below which the threshold is with this share, above 0 and below
 * 1. */
double threshold_quantile(const struct threshold *self, double share);

#endif

/*
 * The plots of saved results: from rows and histograms to the points of plot.h.
 *
 * They are the latency by percentile, rate against latency where there are
 * several runs, and over time rate, percentiles of latency, all latencies as a
 * heat map, and errors by kind.
 */
#ifndef WEIR_LOAD_PLOTS_H
#define WEIR_LOAD_PLOTS_H

#include "plot.h"
#include "saved.h"

/* Runs with lines, or plots, of their own: more tell nothing. */
#define PLOTS_RUNS_MAX 8U

/* Where plots go. The name is that of a file without its end. A negative error
 * ends the making. */
struct plots_sink {
    int (*take)(void *arg, const char *name, const struct plot *plot);
    void *arg;
};

/* Make each plot, settle it, give it to the sink, and end it. 0, -ENOMEM, or
 * the sink's error. */
int plots_make(const struct saved *runs, size_t count,
               const struct plots_sink *sink);

/* The same of those over time alone. */
int plots_make_times(const struct saved *runs, size_t count,
                     const struct plots_sink *sink);

/* ---- for these two ---- */

/* A plot that is whole, or has failed for want of memory. One without anything
 * to draw and without a remark is not given on. */
int plots_give(struct plot *plot, bool failed, const char *name,
               const struct plots_sink *sink);

/* A run's name without its folder. */
const char *plots_name_of(const struct saved *run);

/* How a run's series is called: where it is alone, as what it shows. */
void plots_name_series(char *buf, size_t size, const struct saved *run,
                       const char *what, bool is_alone);

#endif

/*
 * The plots of a page: from saved results to the points of plot.h.
 *
 * They are the latency by percentile, rate and latency over time, rate against
 * latency where there are several runs, and what failed when.
 */
#ifndef WEIR_LOAD_PAGE_PLOTS_H
#define WEIR_LOAD_PAGE_PLOTS_H

#include "saved.h"

#include <stdio.h>

/* 0 or -ENOMEM. */
int page_write_plots(const struct saved *runs, size_t count, FILE *out);

#endif

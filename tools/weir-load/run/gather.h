/*
 * Merges the results of all threads into one. Counts are added
 * and histograms merged; nothing is averaged and nothing is
 * lost.
 */
#ifndef WEIR_LOAD_GATHER_H
#define WEIR_LOAD_GATHER_H

#include "worker.h"

/* Adds the row of another thread and the same interval. Borrows @from.
 * gather_quantiles() then sets the quantiles of the sum. */
void gather_row(const struct kinds *kinds, struct worker_row *sum,
                const struct worker_row *from);
void gather_quantiles(struct worker_row *sum);

/* Encodes the row's latencies; the row's counts own the text. */
void gather_histogram(struct worker_row *sum);

/* Adds the times of an interval to the times of the run. */
void gather_times(struct result *result, const struct worker_row *row);

void gather_worker(struct result *result, const struct worker *worker);

/* Computes who used the CPUs of each thread. Called after all threads were
 * added. */
void gather_sharing(struct result *result, const struct sharing_sample *begin,
                    const struct sharing_sample *end);

void gather_finish(struct result *result);

#endif

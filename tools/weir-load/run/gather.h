/*
 * The parts that threads have found out, made one result.
 *
 * Counts are added and histograms merged; nothing is averaged and nothing is
 * lost.
 */
#ifndef WEIR_LOAD_GATHER_H
#define WEIR_LOAD_GATHER_H

#include "worker.h"

/* Add rows of the same interval, one of each thread, to one: from is borrowed,
 * and the quantiles are those of the sum. */
void gather_row(const struct kinds *kinds, struct worker_row *sum,
                const struct worker_row *from);
void gather_quantiles(struct worker_row *sum);

/* Keep its times as a text, which is given to its counts. */
void gather_histogram(struct worker_row *sum);

/* Add the times of an interval to those of the run. */
void gather_times(struct result *result, const struct worker_row *row);

/* Add what a thread that has ended has found out. */
void gather_worker(struct result *result, const struct worker *worker);

/* When all have been added: who used the CPUs of each thread. */
void gather_sharing(struct result *result, const struct sharing_sample *begin,
                    const struct sharing_sample *end);

/* What follows from the sums. */
void gather_finish(struct result *result);

#endif

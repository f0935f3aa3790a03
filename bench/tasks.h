/*
 * What the task comparisons have in common: how many, and the report.
 *
 * A switch is a yield of one task among a hundred, or of one alone, which
 * then pays for a whole turn of the loop; libuv's counterpart is its cheapest
 * callback, an idle handle. A spawn is a task that returns at once, started
 * and joined, one after the other or a hundred at a time; its counterpart is a
 * thread. The figure is CPU time of the process, threads that ended included.
 */
#ifndef BENCH_TASKS_H
#define BENCH_TASKS_H

#include <stdint.h>

#define TASKS_COUNT    100
#define TASKS_SWITCHES 4000000U
#define TASKS_TURNS    400000U
#define TASKS_SPAWNS   1000000U
#define TASKS_THREADS  40000U /* a thread is a hundred times as dear */

/* CPU time since @start_ns for each of @count. */
double tasks_ns_each(uint64_t start_ns, uint64_t count);

/* Print one JSON object: names and values. */
void tasks_report(const char *first_name, double first, const char *second_name,
                  double second);

#endif

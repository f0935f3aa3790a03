/*
 * What the task comparisons share: the numbers of tasks, and the report.
 *
 * A switch is a yield of one task among a hundred, or of one alone, which then
 * pays for a whole loop iteration; in libuv an idle handle. A spawn is a task
 * that returns at once, spawned and joined, one after the other or a hundred at
 * a time; the counterpart is a thread. The figure is the CPU time of the
 * process, including ended threads.
 */
#ifndef BENCH_TASKS_H
#define BENCH_TASKS_H

#include <stdint.h>

#define TASKS_COUNT    100
#define TASKS_SWITCHES 4000000U
#define TASKS_TURNS    400000U
#define TASKS_SPAWNS   1000000U
#define TASKS_THREADS  40000U /* a thread costs a hundred times as much */

/* Returns the CPU time since @start_ns, divided by @count. */
double tasks_ns_each(uint64_t start_ns, uint64_t count);

/* Prints a JSON object of names and values. */
void tasks_report(const char *first_name, double first, const char *second_name,
                  double second);

#endif

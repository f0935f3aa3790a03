/*
 * The account of the task comparisons: CPU time by the scheduler's clock. Wall
 * time would include other processes, and would miss the kernel's work for
 * making and ending threads.
 */
#include "bench/tasks.h"

#include "bench/bench.h"

#include <stdio.h>

double tasks_ns_each(uint64_t start_ns, uint64_t count)
{
    return (double)(bench_process_cpu_ns() - start_ns) / (double)count;
}

void tasks_report(const char *first_name, double first, const char *second_name,
                  double second)
{
    printf("{\"%s\": %.2f, \"%s\": %.2f}\n", first_name, first, second_name,
           second);
}

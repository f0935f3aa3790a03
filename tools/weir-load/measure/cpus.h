/*
 * Lists of CPUs for --cpu and --server-cpu. If client and server share a
 * machine, results mean little while one takes CPUs from the other: the two
 * lists must have no CPU in common.
 */
#ifndef WEIR_LOAD_CPUS_H
#define WEIR_LOAD_CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CPUS_MAX CPU_SETSIZE

struct cpus {
    /* In the order of the list, which may repeat a CPU. */
    int list[CPUS_MAX];
    size_t count;
};

/* Parses "0,2-3". Returns false, with @ret unchanged, if it is not a list. */
bool cpus_parse(const char *text, struct cpus *ret);

/* Returns the CPUs that this process may run on; empty if unknown. */
void cpus_of_process(struct cpus *ret);

/* Returns the first CPU of @a that is also in @b, or -1. */
int cpus_find_common(const struct cpus *a, const struct cpus *b);

void cpus_print(const struct cpus *cpus, FILE *out);

#endif

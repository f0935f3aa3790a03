/*
 * Lists of CPUs, as --cpu and --server-cpu have them.
 *
 * Where client and server share a machine, a figure of the one is worth little
 * while the other takes its CPUs away: the lists must have none in common.
 */
#ifndef WEIR_LOAD_CPUS_H
#define WEIR_LOAD_CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define CPUS_MAX CPU_SETSIZE

struct cpus {
    /* In the order of the list, which may name one CPU several times. */
    int list[CPUS_MAX];
    size_t count;
};

/* Reads "2", "2-3" or "0,2-3"; false: it is no list, and ret is as it was. */
bool cpus_parse(const char *text, struct cpus *ret);

/* Those that this process may run on; none where that cannot be found out. */
void cpus_of_process(struct cpus *ret);

/* The first of a that is in b, too; -1: none. */
int cpus_find_common(const struct cpus *a, const struct cpus *b);

/* Prints a list as it is parsed. */
void cpus_print(const struct cpus *cpus, FILE *out);

#endif

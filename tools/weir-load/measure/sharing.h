/*
 * Measures how much other programs used the client's CPUs during the window.
 *
 * A client that uses little of its CPU gets it at once, even next to a program
 * that never sleeps, so its own times do not reveal the other program.
 * /proc/stat does: time of a CPU that was neither idle nor used by the client
 * was used by others.
 */
#ifndef WEIR_LOAD_SHARING_H
#define WEIR_LOAD_SHARING_H

#include "cpus.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* In a shorter window the 10 ms ticks of /proc/stat are too coarse. */
#define SHARING_WINDOW_NS UINT64_C(500000000)

/* A CPU's counters since boot, in ticks; all 0 if not in /proc/stat. */
struct sharing_cpu {
    /* Includes iowait, in which programs may run. */
    uint64_t idle;
    /* Interrupts, which are partly work for the client. */
    uint64_t interrupts;
    /* Given to other machines by the hypervisor. */
    uint64_t stolen;
    /* Includes the time used by programs. */
    uint64_t total;
};

struct sharing_sample {
    uint64_t at_ns;
    struct sharing_cpu cpus[CPUS_MAX];
};

/* Use of the CPUs that a thread could run on, in CPUs: 0.97 is 97 % of one. */
struct sharing {
    /* 0 if unknown. */
    size_t cpu_count;
    /* Threads of the client that shared these CPUs. */
    size_t thread_count;
    double idle;
    /* Use by other programs and other machines. */
    double others;
    /* Use by other machines only. */
    double stolen;
};

/* Parses /proc/stat. Returns false if it has no CPUs. */
bool sharing_read(FILE *file, uint64_t now_ns, struct sharing_sample *ret);

/* Reads /proc/stat; no CPUs if it cannot be read. */
void sharing_look(uint64_t now_ns, struct sharing_sample *ret);

/* Returns the use of a list of CPUs between two samples; the client's
 * @thread_count threads used @own_cpus of it. cpu_count is 0 if the window was
 * too short, if a CPU is missing in a sample (offline, or a container with its
 * own /proc/stat), or if the counters do not match the elapsed time. */
struct sharing sharing_find(const struct sharing_sample *begin,
                            const struct sharing_sample *end,
                            const struct cpus *cpus, size_t thread_count,
                            double own_cpus);

/* Returns the idle share of the CPUs that the threads can use at once. */
double sharing_idle_part(const struct sharing *sharing);

/* Returns the share of all CPU time of the list that others used. */
double sharing_others_part(const struct sharing *sharing);

#endif

/*
 * Who else used the CPUs that the client may use, while it measured.
 *
 * A client that asks for little of its CPU is let in at once, even beside a
 * program that never sleeps: no time that it measures tells of that program.
 * /proc/stat does. It has for each CPU the time that it was idle; what is
 * neither that nor the client's own was used by others.
 */
#ifndef WEIR_LOAD_SHARING_H
#define WEIR_LOAD_SHARING_H

#include "cpus.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* In a shorter window the ticks of /proc/stat, of 10 ms, say too little. */
#define SHARING_WINDOW_NS UINT64_C(500000000)

/* A CPU since the start of the machine, in ticks; all 0: not in /proc/stat. */
struct sharing_cpu {
    /* With the waits for disks, in which programs may run. */
    uint64_t idle;
    /* Interrupts, part of which works for the client. */
    uint64_t interrupts;
    /* What the hypervisor gave to other machines. */
    uint64_t stolen;
    /* All of it, with what programs used. */
    uint64_t total;
};

/* All CPUs at one time. */
struct sharing_sample {
    uint64_t at_ns;
    struct sharing_cpu cpus[CPUS_MAX];
};

/* The use of the CPUs that a thread could run on; in CPUs, so that 0.97 is 97 %
 * of one. */
struct sharing {
    /* 0: it could not be found out. */
    size_t cpu_count;
    /* Threads of the client that had these CPUs together. */
    size_t thread_count;
    double idle;
    /* Programs other than the client, and other machines. */
    double others;
    /* Of that, other machines. */
    double stolen;
};

/* Read a text of /proc/stat. False: it has no CPUs. */
bool sharing_read(FILE *file, uint64_t now_ns, struct sharing_sample *ret);

/* Read /proc/stat; no CPUs where it cannot be read. */
void sharing_look(uint64_t now_ns, struct sharing_sample *ret);

/*
 * What the CPUs of a list did between two samples, of which the client used
 * own_cpus with so many threads.
 *
 * Nothing (cpu_count is 0) where the time was short, where one of the CPUs is
 * not in both samples, as one that went offline or in a container with a
 * /proc/stat of its own, or where the counters did not go as the time did.
 */
struct sharing sharing_find(const struct sharing_sample *begin,
                            const struct sharing_sample *end,
                            const struct cpus *cpus, size_t thread_count,
                            double own_cpus);

/* What part of the CPUs that the threads can have at once was idle. */
double sharing_idle_part(const struct sharing *sharing);

/* What part of all of its CPUs others used. */
double sharing_others_part(const struct sharing *sharing);

#endif

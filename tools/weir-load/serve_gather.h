/*
 * The statistics of several threads: their counts are added by a visit, those
 * of their loops by another, and the sums are printed. Threads that have ended
 * are left out.
 */
#ifndef WEIR_LOAD_SERVE_GATHER_H
#define WEIR_LOAD_SERVE_GATHER_H

#include "serve_tell.h"

#include "weir/threads.h"

#include <stdbool.h>

struct serve_gather {
    weir_loop *loop; /* of the main thread, which makes all calls */
    weir_threads *threads;
    /* Adds a thread's counts to the sums, on that thread. */
    weir_thread_visit_fn *add_counts;
    /* Called when all is printed. */
    void (*idle)(void *arg);
    void *arg; /* of both */
    struct serve_sums sums;
    bool is_running;
    bool dumps;
    bool is_wanted_again;
};

/* Prints the sums and, if asked to, each loop's dump. A call while it is at it
 * has it done once more, with the dumps. */
void serve_gather(struct serve_gather *gather, bool dumps);

#endif

/*
 * The signals that end a program, and the main tasks that are told of them.
 *
 * SIGINT and SIGTERM are for the program and not for one of its loops: each
 * main task that runs, on whatever thread, is told of both, through the mailbox
 * of its loop. While one runs there is a signal handler, so it does not matter
 * which thread the kernel chooses, no thread has to block anything, and what a
 * program executes starts with the default. A signal that the program ignores
 * or handles itself stays as it is.
 */
#ifndef WEIR_LIB_TASK_TERMINATION_H
#define WEIR_LIB_TASK_TERMINATION_H

#include "uring/list.h"
#include "uring/wake.h"
#include "weir/base.h"

#define WR_TERMINATION_COUNT 2u

/* The link to a main task; embedded in memory that outlives its run until the
 * item is no longer posted. */
struct wr_termination {
    /* Set by the caller of wr_termination_add(). */
    struct wr_wake *wake;
    struct wr_wake_item item;
    /* Behind the lock. */
    struct wr_list link;
    uint32_t fork_count;                   /* of the process that added it */
    uint32_t counts[WR_TERMINATION_COUNT]; /* signals not taken yet */
    bool is_posted; /* set when the item is, cleared by taking the counts */
};

/* From now on its item is posted when a signal comes: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_termination_add(struct wr_termination *termination);

/* From now on its item is not posted. True when it is not posted already; else
 * it will run or be dropped, and the memory is needed until then. */
WEIR_MUST_USE bool wr_termination_remove(struct wr_termination *termination);

/* When the item runs: how often the signal of each number came. */
void wr_termination_take(struct wr_termination *termination,
                         uint32_t ret_counts[WR_TERMINATION_COUNT]);

/* The signal of a number. */
int wr_termination_signal(uint32_t number);

#endif

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
#ifndef WEIR_LIB_THREADS_H
#define WEIR_LIB_THREADS_H

#include "../uring/list.h"
#include "../uring/wake.h"

#define WR_ENDING_COUNT 2u

/* What tells a main task; embedded in memory that outlives its run as long as
 * the item is posted. */
struct wr_ending {
    /* Set by who adds it. */
    struct wr_wake *wake;
    struct wr_wake_item item;
    /* Behind the lock. */
    struct wr_list link;
    uint32_t fork_count;              /* of the process that added it */
    uint32_t counts[WR_ENDING_COUNT]; /* came since they were taken */
    bool is_posted; /* set when the item is, cleared by taking the counts */
};

/* From now on its item is posted when a signal comes: 0 or -ENOMEM. */
int wr_ending_add(struct wr_ending *ending);

/* No more. True when the item is not posted; else it will run or be dropped,
 * and the memory is needed until then. */
bool wr_ending_remove(struct wr_ending *ending);

/* When the item runs: how often the signal of each number came, and which. */
void wr_ending_take(struct wr_ending *ending,
                    uint32_t ret_counts[WR_ENDING_COUNT]);
int wr_ending_signal(uint32_t number);

#endif

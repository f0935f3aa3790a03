/*
 * The run of a main task. Its owner decides which events end it:
 * wr_run_cancel() cancels the task, wr_run_give_up() ends the run even if the
 * task has not ended.
 */
#ifndef WEIR_LIB_TASK_RUN_H
#define WEIR_LIB_TASK_RUN_H

#include "task.h"

struct wr_run {
    weir_task *task; /* NULL before the start and after the end */
    int given_up;    /* 0, or the error with which the run ends */
};

/* Starts the task. Returns 0, or an error of weir_task_spawn(). */
WEIR_MUST_USE int wr_run_begin(struct wr_run *run, weir_loop *loop,
                               weir_task_fn *fn, void *arg);
/* Runs the loop until the task has ended or wr_run_give_up() was called, and
 * releases the task. Returns 0 and sets *ret (which may be NULL) to the task's
 * result, or returns an error. */
WEIR_MUST_USE int wr_run_finish(struct wr_run *run, int *ret);
void wr_run_cancel(struct wr_run *run);
/* Ends the run with @err, unless it or the task has ended. */
void wr_run_give_up(struct wr_run *run, int err);

#endif

/*
 * The run of a main task.
 *
 * Its owner decides which events end it: wr_run_cancel() asks the task to end,
 * wr_run_give_up() ends the run although the task has not ended.
 */
#ifndef WEIR_LIB_TASK_RUN_H
#define WEIR_LIB_TASK_RUN_H

#include "task.h"

struct wr_run {
    weir_task *task; /* NULL: not begun, or ended */
    int given_up;    /* 0, or the error with which the run ends */
};

/* Starts the task. 0, or an error of weir_task_spawn(). */
WEIR_MUST_USE int wr_run_begin(struct wr_run *run, weir_loop *loop,
                               weir_task_fn *fn, void *arg);
/* Runs the loop until the task has ended or was given up, and gives the task
 * back. 0 and the task's result in *ret (which may be NULL), or an error. */
WEIR_MUST_USE int wr_run_finish(struct wr_run *run, int *ret);
/* Cancels the task, if it runs. */
void wr_run_cancel(struct wr_run *run);
/* Ends the run with @err, if it runs and the task has not ended. */
void wr_run_give_up(struct wr_run *run, int err);

#endif

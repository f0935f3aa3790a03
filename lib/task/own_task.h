/*
 * Tasks of the library itself, for operations of several steps.
 *
 * The steps are one function of suspending calls, as a program would write it.
 * A cancellation ends it, and a weir_timeout limits it. It must not call the
 * program's callbacks, which must run on the loop's stack. When it returns, the
 * task releases its stack, and then the loop calls `ended`, which may call the
 * program, free the object or start it again.
 *
 * The loop's end interrupts such a task and waits for it. Dumps and statistics
 * include it, but programs do not see it among their tasks.
 */
#ifndef WEIR_LIB_TASK_OWN_TASK_H
#define WEIR_LIB_TASK_OWN_TASK_H

#include "task.h"

struct wr_own_task;

/* Runs in the task, and must not call the program. Returns 0 or an error. */
typedef int wr_own_task_fn(struct wr_own_task *own);

/* Called on the loop's stack when the task has ended, with the result of the
 * steps, but never inside wr_own_task_start() or wr_own_task_cancel(). */
typedef void wr_own_task_ended_fn(struct wr_own_task *own, int err);

/* Adds a description of the object to the task's line of weir_loop_dump(). */
typedef void wr_own_task_dump_fn(const struct wr_own_task *own, FILE *out);

struct wr_own_task {
    weir_loop *loop;
    weir_task *task; /* NULL before the start and after the end */
    wr_own_task_fn *steps;
    wr_own_task_ended_fn *ended;
    wr_own_task_dump_fn *dump; /* set after the initialisation; may be NULL */
    struct wr_observer observer;
};

static inline void wr_own_task_init(struct wr_own_task *own, weir_loop *loop,
                                    wr_own_task_fn *steps,
                                    wr_own_task_ended_fn *ended)
{
    *own = (struct wr_own_task){.loop = loop, .steps = steps, .ended = ended};
}

static inline bool wr_own_task_is_running(const struct wr_own_task *own)
{
    return own->task != NULL;
}

/* Starts the steps; they first run from the loop. @name is printed in dumps.
 * Returns 0, -ENOMEM, WEIR_ESTACKLIMIT or -ESHUTDOWN. */
WEIR_MUST_USE int wr_own_task_start(struct wr_own_task *own, const char *name);

/* Interrupts the steps if they run. `ended` is called later. */
void wr_own_task_cancel(struct wr_own_task *own);

bool wr_task_is_own(const weir_task *task);

#endif

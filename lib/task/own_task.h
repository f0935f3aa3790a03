/*
 * Tasks of weir's own: what the library does in several steps, each of which
 * waits, and not for every byte.
 *
 * The steps are one function, which reads as a straight line and makes the
 * suspending calls that programs make. Where it is, is its state; it is given
 * up by a cancellation, which its next call tells of; its time is a
 * weir_timeout.
 *
 * Callbacks of the program run on the loop's stack. So the function calls none:
 * it returns its result, the task ends and gives its stack back, and then
 * ->ended is called by the loop, which may call the program, free the object or
 * start it again.
 *
 * Such a task is a member of its loop as any task is: the loop's end interrupts
 * it and waits for it, and dumps and statistics count it. Programs do not see
 * it among their tasks.
 */
#ifndef WEIR_LIB_TASK_OWN_TASK_H
#define WEIR_LIB_TASK_OWN_TASK_H

#include "task.h"

struct wr_own_task;

/* The steps: 0, or a negative error. Runs in the task; calls nothing of the
 * program. */
typedef int wr_own_task_fn(struct wr_own_task *own);

/* The task is gone, with what the steps have returned. Runs on the loop's
 * stack, never inside a call. */
typedef void wr_own_task_ended_fn(struct wr_own_task *own, int err);

/* Prints what the steps work on, a space first, to the task's line of a dump.
 */
typedef void wr_own_task_dump_fn(const struct wr_own_task *own, FILE *out);

/* In the object whose steps these are. */
struct wr_own_task {
    weir_loop *loop;
    weir_task *task; /* NULL: it has not begun, or it is gone */
    wr_own_task_fn *steps;
    wr_own_task_ended_fn *ended;
    wr_own_task_dump_fn *dump;   /* set after the initialisation; may be NULL */
    struct wr_observer observer; /* of the task's end */
};

static inline void wr_own_task_init(struct wr_own_task *own, weir_loop *loop,
                                    wr_own_task_fn *steps,
                                    wr_own_task_ended_fn *ended)
{
    *own = (struct wr_own_task){.loop = loop, .steps = steps, .ended = ended};
}

/* True until ->ended is called. */
static inline bool wr_own_task_is_running(const struct wr_own_task *own)
{
    return own->task != NULL;
}

/* Starts the steps, which begin from the loop, with a name for people: 0,
 * -ENOMEM or -ESHUTDOWN. */
WEIR_MUST_USE int wr_own_task_start(struct wr_own_task *own, const char *name);

/* Interrupts the steps, if they run. ->ended follows. */
void wr_own_task_cancel(struct wr_own_task *own);

/* True for the tasks that are none of the program's. */
bool wr_task_is_own(const weir_task *task);

#endif

/*
 * The inside of tasks: states, waiting and waking.
 *
 *     new --> ready --> running --> waiting --> ready --> ...
 *                          |
 *                          +------> done
 *
 * There is one way to suspend: a struct wr_waiter on the task's own stack is
 * linked into the queue of what it waits for (or into none), and the task
 * leaves its fiber. Whoever has what it waits for unlinks the waiter, gives it
 * a result and makes the task ready. A cancellation or a time-out that finds
 * the task waiting does the same with -ECANCELED; it finds nothing to undo,
 * because what was not given was not taken.
 *
 * How to write a suspending call:
 *
 *     int err = wr_task_enter(loop);        may this code suspend? cancelled?
 *     while (err == 0 && !what_is_needed) {
 *         err = wr_task_wait(loop, &waiter, &object->waiters);
 *     }
 */
#ifndef WEIR_LIB_TASK_H
#define WEIR_LIB_TASK_H

#include "../include/weir/error.h"
#include "../include/weir/task.h"
#include "fiber.h"
#include "future.h"
#include "loop.h"

#define WR_TASK_NAME_MAX 32u
/* Calls that need not wait, between two turns of the loop. */
#define WR_TASK_BUDGET 128u

enum wr_task_state {
    WR_TASK_READY, /* in the ready queue */
    WR_TASK_RUNNING,
    WR_TASK_WAITING,
    WR_TASK_DONE,
};

struct wr_waiter;

/* The waiting task is interrupted. The waiter stays where it is and must be
 * woken, at once or later. */
typedef void wr_interrupt_fn(struct wr_waiter *waiter);

/* A task that waits; on its stack. */
struct wr_waiter {
    struct wr_list link; /* in the queue of what it waits for, if any */
    weir_task *task;
    wr_interrupt_fn *interrupt; /* NULL: unlink and wake with -ECANCELED */
    /* Wakes with -ECANCELED, whatever was waited for: the loop is being freed,
     * the task was interrupted, and nothing will come. May be NULL; counts with
     * an ->interrupt only. */
    wr_interrupt_fn *give_up;
};

struct wr_timeout;

struct weir_task {
    struct weir_future future; /* its end; first */
    struct wr_fiber fiber;
    struct wr_ready ready;
    struct wr_waiter *waiter; /* while waiting */
    struct wr_timeout *scope; /* the innermost time-out */
    weir_task_fn *fn;
    void *arg;
    struct wr_alive alive; /* in weir_loop.tasks */
    int wake_result;
    uint32_t budget;
    uint32_t cancelling;  /* requests; time-outs that are over count too */
    uint32_t expired;     /* of those: time-outs that are over */
    uint32_t group_count; /* begun and not ended; they lie on the stack */
    enum wr_task_state state;
    bool was_interrupted;  /* it is ready with -ECANCELED because of that */
    struct wr_list causes; /* interruptions to be delivered by the next call */
    struct wr_list cancel; /* in causes: weir_task_cancel() */
    struct wr_list shutdown; /* in causes, for good: the loop is being freed */
    char name[WR_TASK_NAME_MAX];
};

/* What wr_task_enter() does when there is something to see to. */
int wr_task_enter_slowly(weir_loop *loop);

/* Does a task run here that nothing interrupts and whose budget lasts? Takes
 * one call from that; where it is false wr_task_enter_slowly() sees why. */
static inline bool wr_task_may_go_on(weir_loop *loop)
{
    weir_task *task = loop->current;

    return WR_LIKELY(task && wr_loop_is_ours(loop) &&
                     wr_list_is_empty(&task->causes) && --task->budget > 0);
}

/* Begins a suspending call: 0, or an error that the call returns:
 * WEIR_ENOTTASK, -EPERM, -ECHILD, or -ECANCELED for an interruption that has
 * not been delivered yet. */
static inline int wr_task_enter(weir_loop *loop)
{
    return wr_task_may_go_on(loop) ? 0 : wr_task_enter_slowly(loop);
}

/* As wr_task_enter(), for a call whose result is there: an interruption is left
 * to the next call. */
int wr_task_enter_done(weir_loop *loop);

/* wr_task_enter() where nothing stands in the way; otherwise false, and the
 * call enters in full. */
static inline bool wr_task_try_enter(weir_loop *loop)
{
    weir_task *task = loop->current;

    if (WR_UNLIKELY(!task || !wr_loop_is_ours(loop) ||
                    !wr_list_is_empty(&task->causes) || task->budget <= 1)) {
        return false;
    }
    task->budget--;
    return true;
}

/* Suspends the running task, which has entered, in @queue (NULL: in none),
 * until it is woken. Returns the result of that. The caller sets
 * @waiter->interrupt, and where there is one ->give_up; all else is set here.
 * An interruption that came since, when the task was woken and waits anew, is
 * delivered at once. */
int wr_task_wait(weir_loop *loop, struct wr_waiter *waiter,
                 struct wr_list *queue);

/* Unlinks the waiter; its task continues from the ready queue. */
void wr_waiter_wake(struct wr_waiter *waiter, int result);

/* Wakes the first of a queue; false when there is none. */
bool wr_waiters_wake_first(struct wr_list *waiters, int result);
void wr_waiters_wake_all(struct wr_list *waiters, int result);

/* For weir_loop_get_statistics(). */
void wr_tasks_get_statistics(const weir_loop *loop,
                             struct weir_loop_statistics *ret);

/* Interrupts a task: at once when it waits. Otherwise @cause, which is in no
 * list, waits in the task's list for the next suspending call, which empties
 * that list; it can be taken back by unlinking it. */
void wr_task_interrupt(weir_task *task, struct wr_list *cause);

/* A callback of the program is about to be called, which may be on a task's
 * stack and must not suspend there: returns what wr_task_allow() gets. */
static inline weir_task *wr_task_forbid(weir_loop *loop)
{
    weir_task *task = loop->current;
    loop->current = NULL;
    return task;
}

static inline void wr_task_allow(weir_loop *loop, weir_task *task)
{
    loop->current = task;
}

#endif

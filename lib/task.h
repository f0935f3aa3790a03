/*
 * The inside of tasks: states, waiting and waking.
 *
 *     new --> ready --> running --> waiting --> ready --> ...
 *                          |
 *                          +------> done, or parked
 *
 * There is one way to suspend: a struct wr_waiter on the task's own stack is
 * linked into the queue of what it waits for (or into none), and the task
 * leaves its fiber. Whoever has what it waits for unlinks the waiter, gives it
 * a result and makes the task ready. A cancellation or a time-out that finds
 * the task waiting does the same with -ECANCELED; it finds nothing to undo,
 * because what was not given was not taken.
 *
 * An interruption is told once, by this suspending call or by the next one,
 * whatever became of what was awaited: it stays in the task's list of causes
 * until a call returns -ECANCELED for it. One that came before a call is told
 * by that call; one that comes while it waits is told by it if it returns
 * -ECANCELED, otherwise by the next. task_wait.c alone writes what decides
 * that, and every suspending call begins there.
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
/* Suspending calls that need not wait, between two turns of the loop. */
#define WR_TASK_BUDGET 128u
/* Suspending calls that a task may make while the loop is being freed, where
 * each of them fails; then it is parked. */
#define WR_TASK_REFUSALS_MAX 10000u

enum wr_task_state {
    WR_TASK_READY, /* in the ready queue */
    WR_TASK_WAITING,
    WR_TASK_RUNNING,
    WR_TASK_PARKED, /* done, but for its stack: its function never returns */
    WR_TASK_DONE,
};

struct wr_waiter;

/* The waiting task is interrupted. The waiter stays where it is and must be
 * woken, at once or later; with -ECANCELED if its call tells of that. */
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
    bool was_interrupted; /* while it waited; set by task_wait.c */
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
    /* Of a task that weir starts: gives back what @arg has, which @fn would
     * have done, when the task is parked. Set after the spawn; may be NULL. */
    void (*parked)(void *arg);
    struct wr_alive alive; /* in weir_loop.tasks */
    uint64_t number;       /* no other task of the loop ever has it; not 0 */
    int wake_result;
    uint32_t group_count; /* begun and not ended; they lie on the stack */

    /* Written by task_wait.c and its functions in this file alone. */
    enum wr_task_state state;
    int32_t budget;         /* calls until it lets others run; below 0: now */
    uint32_t requests;      /* cancellations that were not taken back */
    uint32_t told_requests; /* those of them that cancel does not tell of */
    uint32_t expired;       /* time-outs that are over; their scopes are open */
    uint32_t refusals;      /* calls that failed while the loop was freed */
    struct wr_list causes;  /* interruptions that no call has told of yet */
    struct wr_list cancel;  /* in causes: weir_task_cancel() */
    struct wr_list shutdown; /* in causes, for good: the loop is being freed */

    char name[WR_TASK_NAME_MAX];
};

/* ---- the beginning of a suspending call ---- */

/* The rest of wr_task_begin() and of wr_task_enter(). */
int wr_task_begin_slowly(weir_loop *loop);
int wr_task_enter_slowly(weir_loop *loop);

/* Does a task run here that nothing interrupts and whose budget lasts? Takes
 * one call from that; where it is false the call enters in full. */
static inline bool wr_task_try_enter(weir_loop *loop)
{
    weir_task *task = loop->current;

    return WR_LIKELY(task && wr_loop_is_ours(loop) &&
                     wr_list_is_empty(&task->causes) && --task->budget >= 0);
}

/* Begins a suspending call: 0, or an error that the call returns:
 * WEIR_ENOTTASK, -EPERM, -ECHILD, or -ECANCELED, which tells of an interruption
 * that came before. */
static inline int wr_task_enter(weir_loop *loop)
{
    return wr_task_try_enter(loop) ? 0 : wr_task_enter_slowly(loop);
}

/* As wr_task_enter(), for a call that must see something end before it returns:
 * an interruption that came before is no error here. The call asks for it with
 * wr_task_is_interrupted(), waits all the same, and ends with wr_task_tell() or
 * with an error that the next call's -ECANCELED follows. */
static inline int wr_task_begin(weir_loop *loop)
{
    return wr_task_try_enter(loop) ? 0 : wr_task_begin_slowly(loop);
}

/* ---- waiting and waking ---- */

/* Suspends the running task, which has entered, in @queue (NULL: in none),
 * until it is woken. Returns the result of that; -ECANCELED tells of what
 * interrupted the task meanwhile. The caller sets @waiter->interrupt, and where
 * there is one ->give_up; all else is set here. An interruption that came
 * before is passed on at once. */
int wr_task_wait(weir_loop *loop, struct wr_waiter *waiter,
                 struct wr_list *queue);

/* The running task, which has entered, goes on in the next turn. Tells of
 * nothing. */
void wr_task_yield(weir_loop *loop);

/* Unlinks the waiter; its task continues from the ready queue. */
void wr_waiter_wake(struct wr_waiter *waiter, int result);

/* Wakes the first of a queue; false when there is none. */
bool wr_waiters_wake_first(struct wr_list *waiters, int result);
void wr_waiters_wake_all(struct wr_list *waiters, int result);

/* ---- interruptions ---- */

/* Interrupts a task: its wait, or else its next suspending call. @cause, which
 * is in no list or in the task's, is there until that was told; it can be taken
 * back by unlinking it. */
void wr_task_interrupt(weir_task *task, struct wr_list *cause);

/* Is there an interruption that no call has told of? */
static inline bool wr_task_is_interrupted(const weir_task *task)
{
    return !wr_list_is_empty(&task->causes);
}

/* The running task is told: -ECANCELED, for the call to return. */
int wr_task_tell(weir_loop *loop);

/* One more cancellation, and an interruption. */
void wr_task_request(weir_task *task, struct wr_list *cause);
/* An error hid the cancellations beyond the first @told_requests: the next call
 * tells of them, unless they are taken back before. */
void wr_task_request_again(weir_task *task, uint32_t told_requests);
/* One less. With the last one of which no call has told, it is forgotten. */
void wr_task_withdraw(weir_task *task);

/* A time-out of the running task or of a waiting one is over, and with that
 * interrupts it; its scope ends. */
void wr_task_expire(weir_task *task, struct wr_list *cause);
void wr_task_forget_expiry(weir_task *task);

/* ---- for task.c ---- */

/* A new task's list of causes and the rest; it is ready. */
static inline void wr_task_init_wait(weir_task *task)
{
    task->state = WR_TASK_READY;
    wr_list_init(&task->causes);
    wr_list_init(&task->cancel);
    wr_list_init(&task->shutdown);
    wr_ready_push(&task->future.loop->ready, &task->ready);
}

/* The way from one state to the next that a task itself goes. */
static inline void wr_task_set_state(weir_task *task, enum wr_task_state from,
                                     enum wr_task_state to)
{
    wr_assert(task->state == from);
    task->state = to;
}

/* It is about to be entered. */
static inline void wr_task_set_running(weir_task *task)
{
    task->state = WR_TASK_RUNNING; /* it was in the ready queue */
    task->budget = WR_TASK_BUDGET - 1;
}

/* Nothing of it will run any more. */
static inline bool wr_task_has_ended(const weir_task *task)
{
    return task->state >= WR_TASK_PARKED;
}

/* For weir_loop_get_statistics(). */
void wr_tasks_get_statistics(const weir_loop *loop,
                             struct weir_loop_statistics *ret);

#endif

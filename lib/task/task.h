/*
 * The inside of tasks: states, waiting and waking.
 *
 *     ready --> running --> waiting --> ready --> ...
 *                  |
 *                  +------> done, or parked
 *
 * There is one way to suspend: a struct wr_waiter on the task's own stack is
 * linked into the queue of what it waits for (or into none), and the task
 * leaves its fiber. The code that has what the task waits for unlinks the
 * waiter, gives it a result and makes the task ready. A cancellation or a
 * time-out that finds the task waiting does the same with -ECANCELED; it has
 * nothing to undo, because nothing was taken that was not given.
 *
 * One suspending call returns an interruption, this one or the next one,
 * whatever the result of the awaited thing is: it stays in the task's list of
 * causes until a call returns -ECANCELED for it. A call tells of what
 * interrupted the task before it. Of what interrupts the task while it waits a
 * call tells if it returns -ECANCELED, otherwise the next one does.
 *
 * A suspending call is written so:
 *
 *     int err = wr_task_enter(loop);        may this code suspend? cancelled?
 *     while (err == 0 && !what_is_needed) {
 *         err = wr_task_wait(loop, &waiter, &object->waiters);
 *     }
 */
#ifndef WEIR_LIB_TASK_TASK_H
#define WEIR_LIB_TASK_TASK_H

#include "fiber.h"
#include "future.h"
#include "lib/loop/loop.h"
#include "weir/error.h"
#include "weir/task.h"

#define WR_TASK_NAME_MAX 32u
/* A task whose calls are quick gets more, as many as it had or as a loop gives
 * that is not crowded, for this long or up to a number of calls. */
#define WR_TASK_CALLS_MAX 2048u
#define WR_TASK_SLICE_NS  20000u
/* Suspending calls of one task that fail while the loop is being freed; at the
 * next one the task is parked. */
#define WR_TASK_REFUSALS_MAX 10000u

/* One bit each, so that the check of an edge is one instruction. */
enum wr_task_state {
    WR_TASK_READY = 1,   /* in the ready queue */
    WR_TASK_WAITING = 2, /* has a waiter */
    WR_TASK_RUNNING = 4,
    WR_TASK_PARKED = 8, /* has ended, but its function never returns */
    WR_TASK_DONE = 16,  /* its stack was given back */
};

struct wr_waiter;

/* The waiting task is interrupted. The waiter stays in its queue and must be
 * woken, at once or later; with -ECANCELED if its call tells of that. */
typedef void wr_interrupt_fn(struct wr_waiter *waiter);

/* A thing that tasks wait for, and how such a wait is interrupted. */
struct wr_wait_kind {
    const char *name;           /* for people */
    wr_interrupt_fn *interrupt; /* NULL: unlink and wake with -ECANCELED */
    /* Wakes with -ECANCELED, whatever was waited for: the loop is being freed,
     * the task was interrupted, and nothing else can wake it. May be NULL;
     * counts with an ->interrupt only. */
    wr_interrupt_fn *give_up;
};

/* A task that waits; on its stack. */
struct wr_waiter {
    struct wr_list link; /* in the queue of what it waits for, if any */
    weir_task *task;
    const struct wr_wait_kind *kind;
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
    /* Of a task that weir starts: frees in the place of @fn what @arg refers
     * to, when the task is parked. Set after the spawn; may be NULL. */
    void (*parked)(void *arg);
    struct wr_member member; /* until it is done or parked */
    uint64_t number;         /* of all tasks of the loop, from 1 */
    int wake_result;
    uint32_t group_count; /* groups begun and not ended, on the stack */

    /* Written by task_wait.c and by the inline functions below alone. */
    enum wr_task_state state;
    uint32_t requests; /* cancellations that were not taken back */
    uint32_t
        told_requests; /* the first of them, which ->cancel does not mean */
    uint32_t expired;  /* open scopes whose time is over */
    uint32_t refusals; /* calls that failed while the loop was freed */
    struct wr_task_calls calls; /* since it was entered */
    uint64_t extended_ns;    /* when it got more of them for the first time */
    struct wr_list causes;   /* interruptions that no call has told of yet */
    struct wr_list cancel;   /* in causes: of weir_task_cancel() */
    struct wr_list shutdown; /* in causes, for good: the loop is being freed */

    char name[WR_TASK_NAME_MAX];
};

/* Tells tasks from other members of their stage. */
extern const struct wr_member_ops wr_task_member_ops;

/* Asserts the invariants that hold between two steps of a task. */
void wr_task_check_invariants(const weir_task *task);

/* The name of what a task waits for, or NULL. */
static inline const char *wr_task_wait_name(const weir_task *task)
{
    return task->waiter ? task->waiter->kind->name : NULL;
}

/* On the way of every switch: in trees with invariants alone. */
static inline void wr_task_debug_check(const weir_task *task)
{
    wr_debug_assert((wr_task_check_invariants(task), true));
    (void)task;
}

/* ---- the beginning of a suspending call ---- */

/* The slow half of wr_task_begin() and of wr_task_enter(). */
WEIR_MUST_USE int wr_task_begin_slowly(weir_loop *loop);
WEIR_MUST_USE int wr_task_enter_slowly(weir_loop *loop);

/* True when a task runs that nothing interrupts and that has calls left; takes
 * one of them. False: the call begins slowly. */
WEIR_MUST_USE static inline bool wr_task_try_enter(weir_loop *loop)
{
    weir_task *task = loop->current;

    return WR_LIKELY(task && wr_loop_is_ours(loop) &&
                     wr_list_is_empty(&task->causes) &&
                     --task->calls.left >= 0);
}

/* Begins a suspending call: 0, or an error that the call returns:
 * WEIR_ENOTTASK, -EPERM, -ECHILD, or -ECANCELED, which tells of an interruption
 * before the call. */
WEIR_MUST_USE static inline int wr_task_enter(weir_loop *loop)
{
    return wr_task_try_enter(loop) ? 0 : wr_task_enter_slowly(loop);
}

/* Begins a call that must see something end before it returns: like
 * wr_task_enter(), but an interruption before the call is no error. The call
 * asks for it with wr_task_is_interrupted(), waits all the same, and ends with
 * wr_task_tell() or with an error that the next call's -ECANCELED follows. */
WEIR_MUST_USE static inline int wr_task_begin(weir_loop *loop)
{
    return wr_task_try_enter(loop) ? 0 : wr_task_begin_slowly(loop);
}

/* ---- waiting and waking ---- */

/* Suspends the running task, which has entered, in @queue (NULL: in none),
 * until it is woken. Returns the result of that; -ECANCELED tells of what
 * interrupted the task while it waited. The caller sets @waiter->kind; all else
 * is set here. An interruption before the wait reaches the waiter at once. */
WEIR_MUST_USE int wr_task_wait(weir_loop *loop, struct wr_waiter *waiter,
                               struct wr_list *queue);

/* The running task, which has entered, goes on in the next turn. Tells of no
 * interruption. */
void wr_task_yield(weir_loop *loop);

/* Unlinks the waiter; its task continues from the ready queue. */
void wr_waiter_wake(struct wr_waiter *waiter, int result);

/* Wakes the first of a queue; false when there is none. */
bool wr_waiters_wake_first(struct wr_list *waiters, int result);
void wr_waiters_wake_all(struct wr_list *waiters, int result);

/* ---- interruptions ---- */

/* Interrupts a task: its wait, or else its next suspending call. @cause, which
 * is in no list or in the task's, stays there until a call has told of it;
 * unlinking it takes the interruption back. */
void wr_task_interrupt(weir_task *task, struct wr_list *cause);

/* True while there is an interruption that no call has told of. */
static inline bool wr_task_is_interrupted(const weir_task *task)
{
    return !wr_list_is_empty(&task->causes);
}

/* The running task is told: -ECANCELED, for the call to return. */
WEIR_MUST_USE int wr_task_tell(weir_loop *loop);

/* One more cancellation, and an interruption. */
void wr_task_request(weir_task *task, struct wr_list *cause);
/* An error hid the cancellations beyond the first @told_requests: the next call
 * tells of them, unless they are taken back before. */
void wr_task_request_again(weir_task *task, uint32_t told_requests);
/* One cancellation less. Taking back the last one that no call has returned
 * also takes back the interruption. */
void wr_task_withdraw(weir_task *task);

/* The time of a scope of the task is over, which interrupts the task. */
void wr_task_expire(weir_task *task, struct wr_list *cause);
/* Such a scope ends. */
void wr_task_forget_expiry(weir_task *task);

/* ---- states ---- */

/* The states that a task may come from, by the state that it goes to. */
static inline unsigned wr_task_edges(enum wr_task_state to)
{
    switch (to) {
    case WR_TASK_READY:
        return WR_TASK_RUNNING | WR_TASK_WAITING;
    case WR_TASK_RUNNING:
        return WR_TASK_READY;
    case WR_TASK_WAITING:
    case WR_TASK_PARKED:
    case WR_TASK_DONE:
        return WR_TASK_RUNNING;
    }
    return 0;
}

/* The only writer of a task's state, but for wr_task_init_wait(). */
static inline void wr_task_set_state(weir_task *task, enum wr_task_state state)
{
    wr_assert(task->state & wr_task_edges(state));
    task->state = state;
}

/* A new task has no cause, and is ready. */
static inline void wr_task_init_wait(weir_task *task)
{
    wr_debug_assert(!task->waiter && task->requests == 0);
    task->state = WR_TASK_READY;
    wr_list_init(&task->causes);
    wr_list_init(&task->cancel);
    wr_list_init(&task->shutdown);
    wr_ready_push(&task->future.loop->ready, &task->ready);
}

/* The loop is about to enter the task. */
static inline void wr_task_set_running(weir_task *task)
{
    wr_debug_assert(!wr_ready_is_pending(&task->ready));
    wr_task_set_state(task, WR_TASK_RUNNING);
    task->calls = task->future.loop->calls;
}

/* Nothing of it will run any more. */
static inline bool wr_task_has_ended(const weir_task *task)
{
    return task->state >= WR_TASK_PARKED;
}

#endif

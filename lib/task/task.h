/*
 * Internals of tasks: states, waiting and waking.
 *
 *     ready <--> running --> waiting
 *       ^           |           |
 *       |           v           |
 *       |     done or parked    |
 *       '-----------------------'
 *
 * To suspend, a task links a struct wr_waiter, on its own stack, into the queue
 * of the awaited object (or into none), and leaves its fiber. The code that
 * completes the wait unlinks the waiter, gives it a result and makes the task
 * ready. A cancellation or a time-out does the same with -ECANCELED, unless the
 * kind of wait has an `interrupt`.
 *
 * Exactly one suspending call reports an interruption, by returning -ECANCELED:
 * (1) the waiting call, if its result is -ECANCELED, or (2) the next call.
 * Until then the interruption stays in the task's list of causes.
 *
 * A suspending call has this form:
 *
 *     int err = wr_task_enter(loop);
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
/* A task that has used up its calls gets as many again, but at most
 * WR_TASK_CALLS at a time and WR_TASK_CALLS_MAX in all, and only until
 * WR_TASK_SLICE_NS after the first extension. */
#define WR_TASK_CALLS_MAX 2048u
#define WR_TASK_SLICE_NS  20000u
/* A task may make this many suspending calls while the loop is being freed. The
 * next call parks it. */
#define WR_TASK_REFUSALS_MAX 10000u

/* One bit each, so that the check of an edge is one instruction. */
enum wr_task_state {
    WR_TASK_READY = 1,
    WR_TASK_WAITING = 2, /* has a waiter */
    WR_TASK_RUNNING = 4,
    WR_TASK_PARKED = 8, /* has ended, but its function never returns */
    WR_TASK_DONE = 16,  /* its stack was released */
};

struct wr_waiter;

/* Called when the waiting task is interrupted. Wakes the waiter, or leaves it
 * in its queue. A result of -ECANCELED reports the interruption. */
typedef void wr_interrupt_fn(struct wr_waiter *waiter);

/* For a task with several waiters, which waits with @waiter. Called when
 * another of its waiters, @served, was woken with @result. Wakes @waiter. */
typedef void wr_serve_fn(struct wr_waiter *waiter, struct wr_waiter *served,
                         int result);

struct wr_wait_kind {
    const char *name;
    wr_interrupt_fn *interrupt; /* NULL means unlink and wake with -ECANCELED */
    /* Wakes the interrupted task with -ECANCELED at once. Called while the loop
     * is being freed, if nothing else can wake the task. May be NULL. Used only
     * if `interrupt` is set. */
    wr_interrupt_fn *give_up;
    wr_serve_fn *serve; /* only with several waiters (waitable.c), else NULL */
};

struct wr_waiter {
    struct wr_list link; /* in the queue of the awaited object, if any */
    weir_task *task;
    const struct wr_wait_kind *kind;
    bool was_interrupted; /* while it waited; set by task_wait.c */
};

struct wr_timeout;
struct wr_group;

/* A task's membership in a group; embedded in the task, written by group.c. */
struct wr_group_member {
    struct wr_list link;
    struct wr_observer observer;
    struct wr_group *group;
};

/* Callbacks for a task that the library has started. @arg is the argument of
 * the task's function. Each may be NULL. */
struct wr_task_hooks {
    /* Called when the task is parked. Frees the objects of @arg. */
    void (*parked)(void *arg);
    /* Adds the task's object to the task's line of weir_loop_dump(). */
    void (*dump)(const void *arg, FILE *out);
};

/* Fields are in the order of use, so that the tasks of a burst, which are out
 * of the CPU's cache when they run, load few cache lines: a switch needs the
 * first two lines, the first run and the end of a task the first four. */
struct weir_task {
    struct weir_future future; /* resolved at the end; the first field */

    struct wr_fiber fiber;
    struct wr_ready ready;
    /* Written only by task_wait.c and by the inline functions below. */
    enum wr_task_state state;
    int wake_result;
    uint64_t extended_ns;  /* time of the first extension of its calls */
    struct wr_list causes; /* interruptions that no call has reported yet */

    struct wr_waiter *waiter; /* NULL while not waiting */
    struct wr_timeout *scope; /* the innermost time-out */
    weir_task_fn *fn;
    void *arg;
    /* in the loop's list until the task is done or parked */
    struct wr_member member;

    uint64_t number;      /* unique in the loop, starting at 1 */
    uint32_t group_count; /* groups on the stack that have not ended */
    /* Only task_wait.c writes this field, and those from told_requests to
     * shutdown. */
    uint32_t requests; /* cancellations that were not withdrawn */
    struct wr_group_member group_member;

    /* The first told_requests of the requests were reported before; `cancel` is
     * for later ones. */
    uint32_t told_requests;
    uint32_t expired;        /* open time-outs that have expired */
    uint32_t refusals;       /* calls that failed while the loop was freed */
    struct wr_list cancel;   /* weir_task_cancel() links it in `causes` */
    struct wr_list shutdown; /* in `causes` while the loop is being freed */
    const struct wr_task_hooks *hooks; /* set after the spawn; may be NULL */
    char name[WR_TASK_NAME_MAX];
};

/* Also distinguishes tasks from the other members that are shut down in the
 * same stage. */
extern const struct wr_member_ops wr_task_member_ops;

void wr_task_check_invariants(const weir_task *task);

static inline uint32_t wr_task_cancelling(const weir_task *task)
{
    return task->requests + task->expired;
}

static inline const char *wr_task_wait_name(const weir_task *task)
{
    return task->waiter ? task->waiter->kind->name : NULL;
}

static inline void wr_task_debug_check(const weir_task *task)
{
    wr_debug_assert((wr_task_check_invariants(task), true));
    (void)task;
}

/* ---- the start of a suspending call ---- */

WEIR_MUST_USE int wr_task_begin_slowly(weir_loop *loop);
WEIR_MUST_USE int wr_task_enter_slowly(weir_loop *loop);

/* Takes one of the running task's calls. Returns true if a task runs that has
 * calls left and is not interrupted; else the caller must take the slow path
 * immediately. */
WEIR_MUST_USE static inline bool wr_task_try_enter(weir_loop *loop)
{
    return WR_LIKELY(wr_loop_is_ours(loop) && --loop->calls.left >= 0);
}

/* Begins a suspending call. Returns 0, or an error for the caller to return:
 * WEIR_ENOTTASK, -EPERM, -ECHILD, or -ECANCELED for an earlier interruption. */
WEIR_MUST_USE static inline int wr_task_enter(weir_loop *loop)
{
    return wr_task_try_enter(loop) ? 0 : wr_task_enter_slowly(loop);
}

/* Like wr_task_enter(), but does not return -ECANCELED, for a call that
 * completes its wait even if the task was interrupted before. The call itself
 * checks wr_task_is_interrupted(), waits, and then returns wr_task_tell() or
 * another error. After another error the next call reports the interruption. */
WEIR_MUST_USE static inline int wr_task_begin(weir_loop *loop)
{
    return wr_task_try_enter(loop) ? 0 : wr_task_begin_slowly(loop);
}

/* ---- waiting and waking ---- */

/* Suspends the running task in @queue (which may be NULL) until it is woken.
 * Called after wr_task_enter(). Returns the result of the wake; -ECANCELED
 * reports an interruption. The caller sets only @waiter->kind. If the task is
 * already interrupted, the waiter is interrupted immediately. */
WEIR_MUST_USE int wr_task_wait(weir_loop *loop, struct wr_waiter *waiter,
                               struct wr_list *queue);

/* Lets other tasks run until the next loop iteration. Called after
 * wr_task_enter(). Does not report interruptions. */
void wr_task_yield(weir_loop *loop);

/* Unlinks the waiter and makes its task ready. If the task waits with another
 * waiter (waitable.h), calls that waiter's serve function to do so. */
void wr_waiter_wake(struct wr_waiter *waiter, int result);

/* Returns false if the queue is empty. */
bool wr_waiters_wake_first(struct wr_list *waiters, int result);
void wr_waiters_wake_all(struct wr_list *waiters, int result);

/* ---- interruptions ---- */

/* Interrupts a task in its wait or, if it does not wait, in its next suspending
 * call. @cause must be in no list or in the task's list of causes, where it
 * stays until a call has reported it. Unlinking @cause withdraws the
 * interruption. */
void wr_task_interrupt(weir_task *task, struct wr_list *cause);

static inline bool wr_task_is_interrupted(const weir_task *task)
{
    return !wr_list_is_empty(&task->causes);
}

/* Marks the running task's interruptions as reported. Returns -ECANCELED. */
WEIR_MUST_USE int wr_task_tell(weir_loop *loop);

/* Counts a cancellation, and interrupts the task. */
void wr_task_request(weir_task *task, struct wr_list *cause);
/* Called when a call has returned another error instead of -ECANCELED. The next
 * call then reports the cancellations after the first @told_requests, unless
 * they are withdrawn before. */
void wr_task_request_again(weir_task *task, uint32_t told_requests);
/* Withdraws a cancellation, and the interruption if no unreported cancellation
 * is left. */
void wr_task_withdraw(weir_task *task);

/* Interrupts the task because one of its time-outs has expired. */
void wr_task_expire(weir_task *task, struct wr_list *cause);
void wr_task_forget_expiry(weir_task *task);

/* ---- states ---- */

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

/* The only other writers of the state are wr_task_init_wait() and
 * wr_task_set_woken_state(). */
static inline void wr_task_set_state(weir_task *task, enum wr_task_state state)
{
    wr_assert(task->state & wr_task_edges(state));
    task->state = state;
}

/* Called when the task's waiter was removed. A task has a waiter only while it
 * waits, so the caller's check of the waiter replaces a check of the state. */
static inline void wr_task_set_woken_state(weir_task *task)
{
    wr_debug_assert(task->state == WR_TASK_WAITING);
    task->state = WR_TASK_READY;
}

static inline void wr_task_init_wait(weir_task *task)
{
    task->state = WR_TASK_READY;
    task->waiter = NULL;
    task->requests = 0;
    task->told_requests = 0;
    task->expired = 0;
    task->refusals = 0;
    wr_list_init(&task->causes);
    wr_list_init(&task->cancel);
    wr_list_init(&task->shutdown);
    wr_ready_push(&task->future.loop->ready, &task->ready);
}

/* Like weir_task_spawn(), but gives the caller no reference. */
WEIR_MUST_USE int wr_task_spawn(weir_loop *loop, weir_task_fn *fn, void *arg,
                                const struct weir_task_options *options,
                                weir_task **ret);

/* Starts a task of the library itself, on a stack of the class WR_STACK_OWN.
 * Returns 0, -ENOMEM, WEIR_ESTACKLIMIT or -ESHUTDOWN. */
WEIR_MUST_USE int wr_task_spawn_own(weir_loop *loop, weir_task_fn *fn,
                                    void *arg, const char *name,
                                    weir_task **ret);

static inline void wr_task_set_running(weir_task *task)
{
    wr_debug_assert(!wr_ready_is_pending(&task->ready));
    wr_task_set_state(task, WR_TASK_RUNNING);
}

void wr_loop_announce_stop(weir_loop *loop);

/* Returns true until each task that an announcement has woken has run once. */
static inline bool wr_loop_tells_stop(const weir_loop *loop)
{
    return wr_ready_is_pending(&loop->stop_told);
}
/* Withdraws the announcement, because a new main task begins. */
void wr_loop_forget_stop(weir_loop *loop);

static inline bool wr_task_has_ended(const weir_task *task)
{
    return task->state >= WR_TASK_PARKED;
}

/* The run of a main task. wr_run_cancel() cancels the task; wr_run_give_up()
 * ends the run even if the task has not ended. */
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

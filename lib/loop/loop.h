/*
 * The loop's internal interface, for members and modules.
 *
 * The loop owns the io_uring engine, the queues of a turn, and the lists of
 * members and modules, which it knows only by their tables. It calls objects
 * through completions, timers, ready items and ends of the turn. A new kind of
 * object needs no change in this folder.
 *
 * Some fields belong to higher layers, and are here because every message or
 * every suspending call reads them: the slabs and the memory of send queues,
 * the running task, the module of tasks, the counts of bytes.
 */
#ifndef WEIR_LIB_LOOP_LOOP_H
#define WEIR_LIB_LOOP_LOOP_H

#include "budget.h"
#include "lib/base/sendq.h"
#include "owned.h"
#include "ready.h"
#include "uring/guard.h"
#include "uring/lease.h"
#include "uring/op.h"
#include "uring/slab.h"
#include "uring/sys.h"
#include "uring/timer.h"
#include "uring/wake.h"
#include "weir/inspect.h"
#include "weir/loop.h"

#include <errno.h>
#include <pthread.h>

struct wr_callbacks; /* callback.c */
struct wr_tasks;     /* task.c */

/* An object's step at the end of the turn: it sends written bytes, or compacts
 * read bytes. Embedded in the object. */
struct wr_turn_end {
    struct wr_list link; /* in weir_loop.turn_ends */
    void (*run)(struct wr_turn_end *turn_end);
};

/* The ends of the turn that send files; see moves.c. */
struct wr_moves {
    struct wr_list ends;         /* struct wr_turn_end */
    struct wr_turn_end turn_end; /* runs them */
    bool is_running;
    bool goes_on;       /* pieces are left for the next turn */
    bool is_alone;      /* this turn does nothing else */
    bool holds_signals; /* SIGPIPE is blocked, and nothing else may run */
    bool may_be_raised; /* while it was held */
    struct wr_sys_signals signals;
};

struct wr_member;

/* When the loop is freed, its members are shut down stage by stage. */
enum wr_stage {
    WR_STAGE_MAKERS, /* servers, attempts to connect: nothing new is made */
    WR_STAGE_TASKS,  /* interrupted before the objects that they wait for end */
    WR_STAGE_FUTURES,    /* cancelled; only the loop keeps them alive */
    WR_STAGE_TRANSPORTS, /* weir_loop_free() returns their number */
    WR_STAGES,
};

/* The table of one kind of members; abandon and check may be NULL. */
struct wr_member_ops {
    enum wr_stage stage;
    /* The loop is being freed: the member ends, asynchronously, and leaves the
     * loop. Waiters for its result get -ECANCELED. */
    void (*shutdown)(struct wr_member *member);
    /* The ring broke after the shutdown: operations in flight end now. */
    void (*abandon)(struct wr_member *member);
    /* Prints one line for weir_loop_dump() that begins with the kind. */
    void (*dump)(const struct wr_member *member, FILE *out);
    /* Adds to the statistics; NULL: nothing. */
    void (*count)(const struct wr_member *member,
                  struct weir_loop_statistics *ret);
    /* Asserts the member's invariants. */
    void (*check)(const struct wr_member *member);
};

/* An object that must end before the loop can be freed; embedded. */
struct wr_member {
    struct wr_list link; /* in weir_loop.members */
    const struct wr_member_ops *ops;
};

struct wr_module;

/* The steps of a loop's end that modules take part in. A module may leave the
 * loop in any of them. */
enum wr_end_step {
    WR_END_SHUTDOWN, /* before members shut down: nothing pending will run */
    WR_END_CANCEL,   /* no member is left: cancel operations in flight */
    WR_END_ABANDON,  /* instead, if the ring broke: end them */
    WR_END_STOP,     /* close all that another thread could reach */
    WR_END_RESTORE,  /* restore the process's signal actions */
    WR_END_STEPS,
};

/* NULL entries do nothing. */
struct wr_module_ops {
    void (*end[WR_END_STEPS])(struct wr_module *module);
    /* No event can wake the waiting tasks any more: ends the wait of one task;
     * false: none waits. */
    bool (*give_up)(struct wr_module *module);
    /* Frees idle memory; returns the bytes that the allocator got back. */
    uint64_t (*trim)(struct wr_module *module);
    /* Writes the module's counts into the statistics. */
    void (*count)(struct wr_module *module, struct weir_loop_statistics *ret);
    /* Prints a line for weir_loop_dump() for each object that is no member. */
    void (*dump)(const struct wr_module *module, FILE *out);
    /* Frees the module, when the loop's memory is freed. It has left the
     * list. */
    void (*close)(struct wr_module *module);
    /* Asserts the module's invariants. */
    void (*check)(const struct wr_module *module);
};

/* State that a source file keeps once per loop, from its first use to the
 * loop's end; embedded. */
struct wr_module {
    struct wr_list link; /* in weir_loop.modules */
    const struct wr_module_ops *ops;
};

/* Counts of the statistics that members increment directly. */
struct wr_loop_counts {
    uint64_t turns;
    uint64_t task_switches;
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t copied_by_write;
    uint64_t copied_to_protocol;
    uint64_t copied_by_view;
};

/* The loop's side of its mailbox; see remote.c. */
struct wr_posts {
    struct wr_module module;
    struct wr_op op;       /* reads the eventfd */
    uint64_t count;        /* the kernel writes the eventfd's value here */
    struct wr_ready ready; /* runs posts */
};

/* The operation that ends a wait when a timer is due; see alarm.c. */
struct wr_alarm {
    struct wr_module module;
    struct wr_op op;
    struct wr_time wait;       /* the kernel reads it at the submit */
    uint64_t when_ns;          /* UINT64_MAX: not in flight */
    uint32_t early_count;      /* waits in a row that ended early */
    uint64_t last_deadline_ns; /* deadline of the last such wait */
};

/* The descriptor for a hosting event loop; see host.c. */
struct wr_host {
    struct wr_module module;
    int fd;           /* what the host waits for; -1: not asked for yet */
    bool misses_ends; /* as the ring does; set with fd */
};

/* Notices of a loop about itself to its exception hook; see notice.c. */
enum wr_notice {
    WR_NOTICE_OF_ENGINE,  /* io_uring was refused */
    WR_NOTICE_OF_THREADS, /* there was no worker thread */
    WR_NOTICES,
};

/*
 *     none --> due --> told
 */
enum wr_notice_state {
    WR_NOTICE_NONE,
    WR_NOTICE_DUE, /* told as soon as there is a hook */
    WR_NOTICE_TOLD,
    WR_NOTICE_STATES,
};

struct wr_notices {
    struct wr_ready ready; /* tells what is due */
    enum wr_notice_state states[WR_NOTICES];
};

/*
 *     idle <-> running
 *      |
 *      '--> closing --> closed <-> releasing
 */
enum wr_loop_state {
    WR_LOOP_IDLE,      /* between runs, or before the first */
    WR_LOOP_RUNNING,   /* inside a run */
    WR_LOOP_CLOSING,   /* inside weir_loop_free(): no new work is taken */
    WR_LOOP_CLOSED,    /* the ring is gone; handles pin the memory */
    WR_LOOP_RELEASING, /* closed, running late ready items */
    WR_LOOP_STATES,
};

/* Suspending calls that one task may make without waiting before the clock is
 * read. Turns between quick calls would cost more than the calls. In a crowded
 * loop, whose tasks have much work behind each call, other tasks must not wait
 * for many calls. */
#define WR_TASK_CALLS         128u
#define WR_TASK_CALLS_CROWDED 8u

/* The suspending calls of the running task. Each takes one from ->left, and
 * looks closer where there was none: no task runs, the task has used its calls
 * up, or it is interrupted. */
struct wr_task_calls {
    uint32_t given;
    int32_t left;
};

struct weir_loop {
    struct wr_uring uring;
    struct wr_pool pool;
    struct wr_budget budget;
    struct wr_blocks blocks;
    struct wr_slab socks;               /* struct wr_sock */
    struct wr_slab clocks;              /* of WR_CLOCK_SIZE bytes */
    bool first_stays;                   /* of receives; see sock_recv.c */
    uint8_t first_doubts;               /* about that */
    struct wr_slab chunks;              /* struct wr_chunk */
    struct wr_sendq_memory send_memory; /* blocks and chunks */
    struct wr_wheel wheel;
    uint64_t now_ns;
    struct wr_timer trim_timer; /* see trim.c */
    bool trims_again;           /* set by a loss while the timer is armed */

    struct wr_list ready; /* struct wr_ready */
    /* Called for the items of a long queue, whose objects are out of the cache;
     * set by the first task, NULL before. */
    wr_ready_fetch_fn *fetch;
    struct wr_list turn_ends; /* struct wr_turn_end */
    /* struct wr_turn_end that write to other transports; run before
     * turn_ends. */
    struct wr_list before_ends;
    struct wr_moves moves;

    struct wr_list members[WR_STAGES]; /* struct wr_member */
    uint64_t member_counts[WR_STAGES];
    struct wr_list modules; /* struct wr_module */
    struct wr_owned owned;  /* descriptors of transports */

    weir_task *current;         /* the running task; NULL in callbacks */
    struct wr_task_calls calls; /* of the running task; none left without */
    int32_t kept_calls;         /* taken from those that are left, so that the
                                 * task's next call looks closer */
    uint32_t callback_count;    /* running callbacks that may not suspend */
    struct wr_task_calls given_calls; /* to each task that is entered */

    struct wr_list cancels; /* struct weir_future, to be cancelled in order */
    bool cancelling;        /* set while they are cancelled; see future.c */

    struct wr_callbacks *callbacks;
    struct wr_tasks *task_memory; /* NULL before the first task */
    size_t stack_size_bytes;      /* default stack size of tasks */

    struct wr_wake *wake;
    struct wr_posts posts;
    struct wr_alarm alarm;
    struct wr_host host;

    /* Points to the loop's thread; WR_UNBOUND until the first run. The thread
     * is stored on the mailbox's page that is zero in a forked child, so that
     * one comparison detects another thread and another process. */
    const void *volatile *owner;
    enum wr_loop_state state;
    bool is_stopping;       /* set by stop, cleared by the end of the run */
    bool stop_is_announced; /* written by lib/task/stopping.c alone */
    bool never_waits;       /* set around weir_loop_run_once() */
    uint32_t held_turns;    /* turns for which late timers have waited */
    uint64_t held_ns;       /* start of that wait */
    uint64_t held_turn;     /* behind the last of these, by counts.turns */
    uint64_t pin_count;     /* objects that keep the loop's memory */

    uint64_t slow_callback_ns;
    weir_exception_fn *exception_hook;
    void *exception_arg;
    struct wr_notices notices;
    struct wr_ready feed_again; /* makes the next turn come at once */

    struct wr_loop_counts counts;
    struct weir_allocator counting; /* counts memory_bytes */
    const struct weir_allocator *allocator;
    uint64_t memory_bytes;
    weir_loop *outer; /* during a run: the thread's previous loop; call.c */
    struct wr_list stop_waiters; /* struct wr_waiter; see stopping.c */
    /* In the ready queue behind the tasks that an announcement has woken. */
    struct wr_ready stop_told;
    struct wr_list clock_limits; /* those in use */
};

/* Identifies the thread, in one instruction if the compiler has it. */
static inline const void *wr_this_thread(void)
{
#if __has_builtin(__builtin_thread_pointer)
    return __builtin_thread_pointer();
#else
    return (const void *)(uintptr_t)pthread_self();
#endif
}

/* True in a forked child of the process that made the loop; any thread. */
static inline bool wr_loop_is_forked(const weir_loop *loop)
{
    return wr_wake_is_forked(loop->wake);
}

/* True on the loop's thread. */
static inline bool wr_loop_is_ours(const weir_loop *loop)
{
    return *loop->owner == wr_this_thread();
}

/* True inside a call that makes turns or runs callbacks. */
static inline bool wr_loop_is_running(const weir_loop *loop)
{
    return loop->state != WR_LOOP_IDLE && loop->state != WR_LOOP_CLOSED;
}

/* True from the beginning of weir_loop_free(): no new work is accepted. */
static inline bool wr_loop_is_closing(const weir_loop *loop)
{
    return loop->state >= WR_LOOP_CLOSING;
}

/* True from the end of weir_loop_free(): the ring is closed. */
static inline bool wr_loop_is_closed(const weir_loop *loop)
{
    return loop->state >= WR_LOOP_CLOSED;
}

/* The only writer of the state. */
void wr_loop_set_state(weir_loop *loop, enum wr_loop_state state);

/* The slow path of wr_loop_check(). */
WEIR_MUST_USE int wr_loop_check_slowly(const weir_loop *loop);

/* 0, -ECHILD after a fork, or -EPERM on another thread than the owner's. */
WEIR_MUST_USE static inline int wr_loop_check(const weir_loop *loop)
{
    if (WR_LIKELY(*loop->owner == wr_this_thread())) {
        return 0;
    }
    return wr_loop_check_slowly(loop);
}

/* Returns the error of wr_loop_check() from the calling function, if any. */
#define wr_require_loop(loop)                                                  \
    do {                                                                       \
        const int wr_loop_err = wr_loop_check(loop);                           \
        wr_require(wr_loop_err >= 0, wr_loop_err);                             \
    } while (0)

/* The slow path of wr_loop_admits(). */
bool wr_loop_admits_slowly(const weir_loop *loop, const char *call);

/* For a public call that has no result in which it could return an error: true
 * if it may go on; false in a forked child, where nothing is to be done. From
 * another thread than the owner's the call is a mistake that would stay unseen:
 * it ends the process with a message. A closed loop has no thread any more, and
 * what is left of it is freed by any. */
static inline bool wr_loop_admits_call(const weir_loop *loop, const char *call)
{
    return WR_LIKELY(*loop->owner == wr_this_thread()) ||
           wr_loop_admits_slowly(loop, call);
}

#define wr_loop_admits(loop) wr_loop_admits_call(loop, __func__)

/* The slow path of wr_loop_end_if_forked(). */
void wr_loop_end_child(const weir_loop *loop);

/* Called when a callback of the program has returned. If the callback has
 * forked, the child ends here with a message, unless it runs on a task's stack.
 * The child must not run other callbacks, use the ring, which it does not have,
 * or the descriptors, which it shares with its parent. */
static inline void wr_loop_end_if_forked(const weir_loop *loop)
{
    if (WR_UNLIKELY(*loop->owner == NULL)) {
        wr_loop_end_child(loop);
    }
}

/* Makes the next suspending call of the running task look closer. */
static inline void wr_loop_keep_calls(weir_loop *loop)
{
    wr_debug_assert(loop->calls.left >= 0);
    loop->kept_calls += loop->calls.left;
    loop->calls.left = 0;
}

/* The loop enters a task, and is back from it. Only these two and
 * wr_loop_begin_callback() change the running task. */
static inline void wr_loop_enter_task(weir_loop *loop, weir_task *task)
{
    wr_debug_assert(!loop->current);
    loop->current = task;
    loop->calls = loop->given_calls;
}

static inline void wr_loop_leave_task(weir_loop *loop, weir_task *task)
{
    wr_debug_assert(loop->current == task);
    (void)task;
    loop->current = NULL;
    loop->calls.left = 0;
    loop->kept_calls = 0;
}

/* Begins a callback of the program on a stack that may be a task's; the
 * callback may not suspend. Returns the argument for wr_loop_end_callback(). */
static inline weir_task *wr_loop_begin_callback(weir_loop *loop)
{
    weir_task *task = loop->current;

    wr_assert(loop->callback_count < UINT32_MAX);
    wr_loop_keep_calls(loop);
    loop->current = NULL;
    loop->callback_count++;
    return task;
}

/* Ends the callback. */
static inline void wr_loop_end_callback(weir_loop *loop, weir_task *task)
{
    wr_assert(loop->callback_count > 0);
    wr_assert(!loop->current);
    loop->callback_count--;
    loop->current = task;
    wr_loop_end_if_forked(loop);
}

/* Calls the exception hook, if there is one. */
void wr_loop_report(weir_loop *loop, const struct weir_exception *exception);

/* The loop that owns the mailbox, inside one of its runs. */
weir_loop *wr_loop_find(const struct wr_wake *wake);

/* Reports @what, which began at @start_ns, if it was slow. */
void wr_loop_report_slow(weir_loop *loop, uint64_t start_ns,
                         const struct weir_exception *what);

/* Calls a callback of the program; reports a slow one under @name. */
void wr_loop_call(weir_loop *loop, weir_callback_fn *cb, void *arg,
                  const char *name);

/* After weir_loop_free(): runs the ready queue, and frees the loop's memory if
 * nothing pins it. Called after an item was made ready in a closed loop. */
void wr_loop_release(weir_loop *loop);

/* Keeps the loop's memory until wr_loop_unpin(), which may free it. */
static inline void wr_loop_pin(weir_loop *loop)
{
    loop->pin_count++;
}

static inline void wr_loop_unpin(weir_loop *loop)
{
    wr_debug_assert(loop->pin_count > 0);
    loop->pin_count--;
    if (WR_UNLIKELY(loop->state == WR_LOOP_CLOSED)) {
        wr_loop_release(loop);
    }
}

/* Runs @turn_end once at the end of this turn, or of the next turn if this one
 * is at its end. */
static inline void wr_loop_at_turn_end(weir_loop *loop,
                                       struct wr_turn_end *turn_end)
{
    if (!wr_list_is_linked(&turn_end->link)) {
        wr_list_push_back(&loop->turn_ends, &turn_end->link);
    }
}

/* Runs @turn_end once at the end of the turn: it sends a piece of a file. */
static inline void wr_loop_move_later(weir_loop *loop,
                                      struct wr_turn_end *turn_end)
{
    if (!wr_list_is_linked(&turn_end->link)) {
        wr_list_push_back(&loop->moves.ends, &turn_end->link);
        wr_loop_at_turn_end(loop, &loop->moves.turn_end);
    }
}

/* Blocks SIGPIPE, for a piece of a file: 0, or a negative error. It stays
 * blocked until something else is to run. */
WEIR_MUST_USE int wr_moves_hold_signals(weir_loop *loop);

/* weir_loop_run_until() with a condition of the library, which calls nothing of
 * the program. */
WEIR_MUST_USE int wr_loop_run_until(weir_loop *loop,
                                    weir_predicate_fn *condition, void *arg);

/* Runs @turn_end once, before those of wr_loop_at_turn_end(). */
static inline void wr_loop_before_turn_end(weir_loop *loop,
                                           struct wr_turn_end *turn_end)
{
    if (!wr_list_is_linked(&turn_end->link)) {
        wr_list_push_back(&loop->before_ends, &turn_end->link);
    }
}

static inline void wr_member_init(struct wr_member *member,
                                  const struct wr_member_ops *ops)
{
    wr_list_init(&member->link);
    member->ops = ops;
}

/* Adds a member: weir_loop_free() waits until it has left the loop. */
static inline void wr_loop_add_member(weir_loop *loop, struct wr_member *member)
{
    const enum wr_stage stage = member->ops->stage;

    wr_list_push_back(&loop->members[stage], &member->link);
    loop->member_counts[stage]++;
}

/* Removes a member that has ended. */
static inline void wr_loop_remove_member(weir_loop *loop,
                                         struct wr_member *member)
{
    wr_debug_assert(wr_list_is_linked(&member->link));
    wr_debug_assert(loop->member_counts[member->ops->stage] > 0);
    loop->member_counts[member->ops->stage]--;
    wr_list_remove(&member->link);
}

/* Adds a module, which the loop ends. */
void wr_loop_add_module(weir_loop *loop, struct wr_module *module,
                        const struct wr_module_ops *ops);

/* The loop's module with this table, or NULL; a linear search. */
struct wr_module *wr_loop_find_module(const weir_loop *loop,
                                      const struct wr_module_ops *ops);

/* Asserts the invariants of the loop, its members and its modules, which hold
 * between two steps of the loop. */
void wr_loop_check_invariants(const weir_loop *loop);

/* Called when a connection is lost: frees idle memory some seconds later. */
void wr_loop_trim_later(weir_loop *loop);

/* A main task begins: from now on @tell is called for SIGINT and SIGTERM, if
 * the loop has no handler for the signal and the program has left its action at
 * the default. 0, -ENOMEM, -ESHUTDOWN, or -EBUSY: a loop has one main task. */
WEIR_MUST_USE int wr_signals_begin_main(weir_loop *loop, weir_signal_fn *tell,
                                        void *arg);
/* The main task has ended: undelivered signals are dropped. */
void wr_signals_end_main(weir_loop *loop);

#endif

/*
 * The loop's internal interface, for its members and modules.
 *
 * The loop owns the engine, the queues of an iteration ("turn" in identifiers),
 * and the lists of members and modules, which it knows only by their tables.
 * Some fields belong to higher layers. They are here because every message or
 * every suspending call reads them.
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

struct wr_callbacks;
struct wr_tasks;

/* A step at the end of an iteration, for example sending written bytes. */
struct wr_turn_end {
    struct wr_list link;
    void (*run)(struct wr_turn_end *turn_end);
};

struct wr_moves {
    struct wr_list ends;
    struct wr_turn_end turn_end;
    bool is_running;
    bool goes_on;       /* pieces are left for the next iteration */
    bool is_alone;      /* this iteration does nothing else */
    bool holds_signals; /* SIGPIPE is blocked, and nothing else may run */
    bool may_be_raised; /* SIGPIPE may have been raised since it was blocked */
    struct wr_sys_signals signals;
};

struct wr_member;

/* When the loop is freed, its members are shut down in this order. */
enum wr_stage {
    /* servers, connects, lookups, file operations; they may make new objects */
    WR_STAGE_MAKERS,
    WR_STAGE_TASKS, /* interrupted before the objects that they wait for end */
    WR_STAGE_FUTURES,    /* cancelled gathers; the loop keeps them alive */
    WR_STAGE_TRANSPORTS, /* weir_loop_free() returns their number */
    WR_STAGES,
};

/* The table of one kind of members. abandon, count and check may be NULL. */
struct wr_member_ops {
    enum wr_stage stage;
    /* Ends the member, which leaves the loop, perhaps in a later iteration. */
    void (*shutdown)(struct wr_member *member);
    /* Called after shutdown, perhaps repeatedly, if the ring is broken. Ends
     * the member's operations at once. */
    void (*abandon)(struct wr_member *member);
    /* Prints one line for weir_loop_dump(), which begins with the kind. */
    void (*dump)(const struct wr_member *member, FILE *out);
    void (*count)(const struct wr_member *member,
                  struct weir_loop_statistics *ret);
    void (*check)(const struct wr_member *member);
};

/* An object that must end before the loop can be freed. */
struct wr_member {
    struct wr_list link;
    const struct wr_member_ops *ops;
};

struct wr_module;

/* The steps of a loop's end. A module may leave the loop in any step. */
enum wr_end_step {
    /* before members shut down: drop pending calls, posts and jobs */
    WR_END_SHUTDOWN,
    WR_END_CANCEL,  /* no member is left: cancel operations in flight */
    WR_END_ABANDON, /* the ring broke: end operations in flight */
    WR_END_STOP,    /* close everything that another thread could reach */
    WR_END_RESTORE,
    WR_END_STEPS,
};

/* Functions may be NULL. */
struct wr_module_ops {
    void (*end[WR_END_STEPS])(struct wr_module *module);
    /* Ends the wait of one task that no event can wake any more, or returns
     * false if no task waits. */
    bool (*give_up)(struct wr_module *module);
    /* Frees idle memory. Returns the number of bytes freed. */
    uint64_t (*trim)(struct wr_module *module);
    void (*count)(struct wr_module *module, struct weir_loop_statistics *ret);
    /* Prints a line for weir_loop_dump() for each object that is no member. */
    void (*dump)(const struct wr_module *module, FILE *out);
    /* Called when the loop's memory is freed. Frees the module. */
    void (*close)(struct wr_module *module);
    void (*check)(const struct wr_module *module);
};

/* State that one source file keeps in a loop until the loop's end. */
struct wr_module {
    struct wr_list link;
    const struct wr_module_ops *ops;
};

struct wr_loop_counts {
    uint64_t turns;
    uint64_t task_switches;
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t copied_by_write;
    uint64_t copied_to_protocol;
    uint64_t copied_by_view;
};

struct wr_posts {
    struct wr_module module;
    struct wr_op op; /* reads the eventfd */
    uint64_t count;  /* the kernel writes the eventfd's value here */
    struct wr_ready ready;
};

struct wr_alarm {
    struct wr_module module;
    struct wr_op op;
    struct wr_time wait; /* the kernel reads it at the submission */
    uint64_t when_ns;    /* UINT64_MAX if not in flight */
    uint32_t early_count;
    uint64_t last_deadline_ns;
};

/* The descriptor for another event loop, the host; see host.c. */
struct wr_host {
    struct wr_module module;
    /* -1 before weir_loop_get_fd(). */
    int fd;
    bool misses_ends; /* wr_ring_misses_ends(), set with fd */
};

/* Notices for the exception hook, each at most once; see notice.c. */
enum wr_notice {
    WR_NOTICE_OF_ENGINE,  /* io_uring was refused */
    WR_NOTICE_OF_THREADS, /* the kernel had no worker thread for an operation */
    WR_NOTICES,
};

enum wr_notice_state {
    WR_NOTICE_NONE,
    WR_NOTICE_DUE, /* is reported as soon as there is a hook */
    WR_NOTICE_TOLD,
    WR_NOTICE_STATES,
};

struct wr_notices {
    struct wr_ready ready;
    enum wr_notice_state states[WR_NOTICES];
};

/*
 *     idle <-> running
 *      |
 *      '--> closing --> closed <-> releasing
 */
enum wr_loop_state {
    WR_LOOP_IDLE,
    WR_LOOP_RUNNING,
    WR_LOOP_CLOSING,   /* inside weir_loop_free(): no new work is accepted */
    WR_LOOP_CLOSED,    /* the ring is closed; handles pin the memory */
    WR_LOOP_RELEASING, /* closed, but running late ready items */
    WR_LOOP_STATES,
};

/* Suspending calls that one task may make without waiting before the clock is
 * read, because an iteration costs more than such calls. In a crowded loop (see
 * loop.c) other tasks must not wait for many calls. */
#define WR_TASK_CALLS         128u
#define WR_TASK_CALLS_CROWDED 8u

/* The budget of suspending calls of the running task. Each call decrements
 * `left`. If it was 0 already, the call takes the slow path: no task runs, the
 * budget is used up, or the task is interrupted. */
struct wr_task_calls {
    uint32_t given;
    int32_t left;
};

struct weir_loop {
    struct wr_uring uring;
    struct wr_pool pool;
    struct wr_budget budget;
    struct wr_blocks blocks;
    struct wr_slab socks;
    struct wr_slab clocks; /* of WR_CLOCK_SIZE bytes */
    bool first_stays;      /* see sock_recv.c */
    uint8_t first_doubts;
    struct wr_slab chunks;
    struct wr_sendq_memory send_memory;
    struct wr_wheel wheel;
    uint64_t now_ns;
    struct wr_timer trim_timer;
    /* If true, trim_timer is armed again when it expires; see trim.c. */
    bool trims_again;

    struct wr_list ready;
    /* Called for the items of a long queue. NULL before the first task. */
    wr_ready_fetch_fn *fetch;
    struct wr_list turn_ends;
    /* Like turn_ends, but run first: steps that write to other transports. */
    struct wr_list before_ends;
    struct wr_moves moves;

    struct wr_list members[WR_STAGES];
    uint64_t member_counts[WR_STAGES];
    struct wr_list modules;
    struct wr_owned owned;

    weir_task *current; /* the running task; NULL in callbacks */
    /* The budget of the running task. `left` is 0 if no task runs. */
    struct wr_task_calls calls;
    int32_t kept_calls; /* see wr_loop_keep_calls() */
    /* number of running callbacks, which may not suspend */
    uint32_t callback_count;
    struct wr_task_calls given_calls;

    struct wr_list cancels; /* futures to be cancelled, in order */
    /* set while a future of `cancels` is cancelled; see future.c */
    bool cancelling;

    struct wr_callbacks *callbacks;
    struct wr_tasks *task_memory; /* NULL before the first task */
    size_t stack_size_bytes;

    struct wr_wake *wake;
    struct wr_posts posts;
    struct wr_alarm alarm;
    struct wr_host host;

    /* *owner is the loop's thread, or WR_UNBOUND until the loop is bound. It is
     * on a page of the mailbox that is zeroed in a forked child, so that one
     * comparison detects another thread and another process. */
    const void *volatile *owner;
    enum wr_loop_state state;
    /* set by weir_loop_stop(), cleared at the end of the run */
    bool is_stopping;
    bool stop_is_announced; /* written only by lib/task/stopping.c */
    bool never_waits;
    /* iterations for which late timers have waited so far */
    uint32_t held_turns;
    uint64_t held_ns;   /* time at which they began to wait */
    uint64_t held_turn; /* counts.turns of the next such iteration */
    uint64_t pin_count; /* objects that keep the loop's memory */

    uint64_t slow_callback_ns;
    weir_exception_fn *exception_hook;
    void *exception_arg;
    struct wr_notices notices;
    struct wr_ready feed_again;

    struct wr_loop_counts counts;
    struct weir_allocator counting;
    const struct weir_allocator *allocator;
    uint64_t memory_bytes;
    /* the loop in whose callback or task this loop runs, or NULL */
    weir_loop *outer;
    struct wr_list stop_waiters;
    /* Pending while some tasks that an announced stop has woken have not run;
     * see stopping.c. */
    struct wr_ready stop_told;
    struct wr_list clock_limits;
};

/* Identifies the thread, in one instruction if the compiler supports it. */
static inline const void *wr_this_thread(void)
{
#if __has_builtin(__builtin_thread_pointer)
    return __builtin_thread_pointer();
#else
    return (const void *)(uintptr_t)pthread_self();
#endif
}

/* Any thread. Returns true in a forked child. */
static inline bool wr_loop_is_forked(const weir_loop *loop)
{
    return wr_wake_is_forked(loop->wake);
}

static inline bool wr_loop_is_ours(const weir_loop *loop)
{
    return *loop->owner == wr_this_thread();
}

static inline bool wr_loop_is_running(const weir_loop *loop)
{
    return loop->state != WR_LOOP_IDLE && loop->state != WR_LOOP_CLOSED;
}

static inline bool wr_loop_is_closing(const weir_loop *loop)
{
    return loop->state >= WR_LOOP_CLOSING;
}

static inline bool wr_loop_is_closed(const weir_loop *loop)
{
    return loop->state >= WR_LOOP_CLOSED;
}

void wr_loop_set_state(weir_loop *loop, enum wr_loop_state state);

WEIR_MUST_USE int wr_loop_check_slowly(const weir_loop *loop);

/* Returns 0, -ECHILD in a forked child, or -EPERM on another thread. */
WEIR_MUST_USE static inline int wr_loop_check(const weir_loop *loop)
{
    if (WR_LIKELY(*loop->owner == wr_this_thread())) {
        return 0;
    }
    return wr_loop_check_slowly(loop);
}

#define wr_require_loop(loop)                                                  \
    do {                                                                       \
        const int wr_loop_err = wr_loop_check(loop);                           \
        wr_require(wr_loop_err >= 0, wr_loop_err);                             \
    } while (0)

bool wr_loop_admits_slowly(const weir_loop *loop, const char *call);

/* Checks a public call that cannot return an error. Returns false in a forked
 * child, where the call must do nothing. Ends the process with a message if
 * another thread than the owner calls. A closed loop has no owner: any thread
 * may free the objects that are left of the loop. */
static inline bool wr_loop_admits_call(const weir_loop *loop, const char *call)
{
    return WR_LIKELY(*loop->owner == wr_this_thread()) ||
           wr_loop_admits_slowly(loop, call);
}

#define wr_loop_admits(loop) wr_loop_admits_call(loop, __func__)

void wr_loop_end_child(const weir_loop *loop);

/* Called when a callback of the program has returned. If the callback has
 * forked, the child ends here with a message: it has no ring, and shares its
 * descriptors with its parent. A child on a task's stack continues until the
 * task ends. */
static inline void wr_loop_end_if_forked(const weir_loop *loop)
{
    if (WR_UNLIKELY(*loop->owner == NULL)) {
        wr_loop_end_child(loop);
    }
}

/* Makes the next suspending call of the running task take the slow path. */
static inline void wr_loop_keep_calls(weir_loop *loop)
{
    wr_debug_assert(loop->calls.left >= 0);
    loop->kept_calls += loop->calls.left;
    loop->calls.left = 0;
}

/* Only this function, the next one and wr_loop_begin_callback() and
 * wr_loop_end_callback() change the running task. */
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

/* Begins a callback of the program on a stack that may be a task's. The
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

static inline void wr_loop_end_callback(weir_loop *loop, weir_task *task)
{
    wr_assert(loop->callback_count > 0);
    wr_assert(!loop->current);
    loop->callback_count--;
    loop->current = task;
    wr_loop_end_if_forked(loop);
}

void wr_loop_report(weir_loop *loop, const struct weir_exception *exception);

/* Returns the loop that owns the mailbox. Must be called inside its run. */
weir_loop *wr_loop_find(const struct wr_wake *wake);

/* Reports @what to the exception hook if it has taken too long. */
void wr_loop_report_slow(weir_loop *loop, uint64_t start_ns,
                         const struct weir_exception *what);

/* Calls a callback of the program. Reports it under @name if it is slow. */
void wr_loop_call(weir_loop *loop, weir_callback_fn *cb, void *arg,
                  const char *name);

/* Runs the ready queue of a closed loop, and frees the loop if nothing pins
 * it. */
void wr_loop_release(weir_loop *loop);

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

/* Runs @turn_end once at the end of this iteration, or of the next if this one
 * is ending. */
static inline void wr_loop_at_turn_end(weir_loop *loop,
                                       struct wr_turn_end *turn_end)
{
    if (!wr_list_is_linked(&turn_end->link)) {
        wr_list_push_back(&loop->turn_ends, &turn_end->link);
    }
}

static inline void wr_loop_move_later(weir_loop *loop,
                                      struct wr_turn_end *turn_end)
{
    if (!wr_list_is_linked(&turn_end->link)) {
        wr_list_push_back(&loop->moves.ends, &turn_end->link);
        wr_loop_at_turn_end(loop, &loop->moves.turn_end);
    }
}

/* Blocks SIGPIPE until something other than pieces of files runs. Returns 0 or
 * a negative error. */
WEIR_MUST_USE int wr_moves_hold_signals(weir_loop *loop);

/* Like weir_loop_run_until(). @condition must not call the program. */
WEIR_MUST_USE int wr_loop_run_until(weir_loop *loop,
                                    weir_predicate_fn *condition, void *arg);

/* Runs @turn_end once, before the steps of wr_loop_at_turn_end(). */
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

/* weir_loop_free() waits until the member has left the loop. */
static inline void wr_loop_add_member(weir_loop *loop, struct wr_member *member)
{
    const enum wr_stage stage = member->ops->stage;

    wr_list_push_back(&loop->members[stage], &member->link);
    loop->member_counts[stage]++;
}

static inline void wr_loop_remove_member(weir_loop *loop,
                                         struct wr_member *member)
{
    wr_debug_assert(wr_list_is_linked(&member->link));
    wr_debug_assert(loop->member_counts[member->ops->stage] > 0);
    loop->member_counts[member->ops->stage]--;
    wr_list_remove(&member->link);
}

void wr_loop_add_module(weir_loop *loop, struct wr_module *module,
                        const struct wr_module_ops *ops);

/* Takes linear time. Returns NULL if the loop has no module with this table. */
struct wr_module *wr_loop_find_module(const weir_loop *loop,
                                      const struct wr_module_ops *ops);

void wr_loop_check_invariants(const weir_loop *loop);

/* Frees idle memory some seconds later, for example after a lost connection. */
void wr_loop_trim_later(weir_loop *loop);

/* Called when a main task begins. From now on @tell is called for SIGINT and
 * SIGTERM, if the loop has no handler for the signal and the program has left
 * its action at the default. Returns 0, -ENOMEM, -ESHUTDOWN, or -EBUSY if the
 * loop has a main task. */
WEIR_MUST_USE int wr_signals_begin_main(weir_loop *loop, weir_signal_fn *tell,
                                        void *arg);
/* Called when the main task has ended. Drops undelivered signals. */
void wr_signals_end_main(weir_loop *loop);

#endif

/*
 * The loop's inside, for the modules that live on it.
 *
 * The loop owns the engine, the memory that connections share, the queues of a
 * turn and the lists of everything alive. It calls its parts only through
 * completions, timers, ready items and, for the send step, the sender table
 * that each of the transports on `dirty` brings along.
 */
#ifndef WEIR_LIB_LOOP_H
#define WEIR_LIB_LOOP_H

#include "../include/weir/inspect.h"
#include "../include/weir/loop.h"
#include "../uring/guard.h"
#include "../uring/op.h"
#include "../uring/pool.h"
#include "../uring/slab.h"
#include "../uring/sys.h"
#include "../uring/timer.h"
#include "../uring/wake.h"
#include "ready.h"
#include "sendq.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>

struct wr_callbacks; /* callback.c */
struct wr_signals;   /* signal.c */
struct wr_tasks;     /* task.c */
struct wr_executor;  /* executor.c */
struct wr_streams;   /* stream.c */
struct wr_overflow;  /* overflow.c */

/* Something that prepares its sends in the send step of the turn. */
struct wr_sender {
    struct wr_list link; /* in weir_loop.dirty */
    void (*flush)(struct wr_sender *sender);
};

struct wr_alive;

struct wr_alive_ops {
    /* The loop is being freed: end, asynchronously, and leave the list. Who
     * waits for a result gets -ECANCELED. */
    void (*shutdown)(struct wr_alive *alive);
    /* After that, when the ring broke: what is in flight ends now. NULL for
     * what has nothing in flight. */
    void (*abandon)(struct wr_alive *alive);
    /* One line for weir_loop_dump(). */
    void (*dump)(const struct wr_alive *alive, FILE *out);
};

/* Something that the loop must see end before it can go. */
struct wr_alive {
    struct wr_list link; /* in one of the loop's lists */
    const struct wr_alive_ops *ops;
};

struct wr_part;

/* NULL entries do nothing. */
struct wr_part_ops {
    /* The loop has ended, and its mailbox is closed: nothing may be left that
     * another thread could reach. */
    void (*stop)(struct wr_part *part);
    /* Nothing from outside can wake what still waits: ends the wait of one;
     * false when there is none. */
    bool (*give_up)(struct wr_part *part);
    /* Gives back what lies idle; returns the bytes that the allocator got. */
    uint64_t (*trim)(struct wr_part *part);
    /* The loop's memory goes: so does the part. It has left the list. */
    void (*close)(struct wr_part *part);
};

/* What a module above keeps for a loop, from its first use to the loop's end;
 * embedded in it. */
struct wr_part {
    struct wr_list link; /* in weir_loop.parts */
    const struct wr_part_ops *ops;
};

/* Counts what the modules count themselves. */
struct wr_loop_counts {
    uint64_t turns;
    uint64_t connections;
    uint64_t received_bytes;
    uint64_t sent_bytes;
    uint64_t copied_by_write;
    uint64_t copied_to_protocol;
    uint64_t copied_by_view;
};

struct weir_loop {
    struct wr_uring uring;
    struct wr_pool pool;
    struct wr_blocks blocks;
    struct wr_slab socks;               /* struct wr_sock */
    struct wr_slab chunks;              /* struct wr_chunk */
    struct wr_sendq_memory send_memory; /* blocks and chunks */
    struct wr_wheel wheel;
    uint64_t now_ns;
    struct wr_timer trim_timer; /* see trim.c */

    struct wr_list ready;      /* struct wr_ready */
    struct wr_list dirty;      /* struct wr_sender */
    struct wr_list transports; /* struct wr_alive, not lost yet */
    struct wr_list servers;    /* struct wr_alive */
    struct wr_list connects;   /* struct wr_alive */
    struct wr_list tasks;      /* struct wr_alive, not done yet */
    struct wr_list gathers;    /* struct wr_alive, cancelled, not done yet */

    struct wr_list parts; /* struct wr_part */

    weir_task *current;       /* the task that runs; NULL in callbacks */
    uint32_t forbidden_count; /* callbacks that may be on a task's stack */
    jmp_buf *in_child; /* where a forked child goes on; NULL: no turn is made */

    struct wr_list cancels; /* struct weir_future; see future.c */
    bool cancelling;        /* they are being worked off */

    struct wr_callbacks *callbacks;
    struct wr_signals *signals; /* these are NULL until they are used */
    struct wr_tasks *task_memory;
    struct wr_executor *executor;
    struct wr_streams *stream_memory;
    struct wr_overflow *overflow;
    size_t stack_size_bytes; /* of tasks that do not ask for another */

    struct wr_wake *wake;
    struct wr_op wake_op;
    uint64_t wake_count; /* the kernel writes the eventfd's value here */
    struct wr_ready posted_ready; /* something is taken from wake */

    /* Its thread; WR_UNBOUND until the first run. On the page of the mailbox
     * that a forked child finds empty, so that one look answers both questions.
     */
    const void *volatile *owner;
    bool running;          /* set and cleared by run */
    bool stopping;         /* set by stop, cleared by run's end */
    bool closing;          /* set by free: no new work is taken */
    bool closed;           /* set by free: the ring is gone */
    uint64_t pinned_count; /* sockets, servers, attempts, futures not freed */

    uint64_t slow_callback_ns;
    weir_exception_fn *exception_hook;
    void *exception_arg;

    struct wr_loop_counts counts;
    struct weir_allocator counting; /* what all modules allocate from */
    const struct weir_allocator *allocator;
    uint64_t memory_bytes;
};

/* What tells this thread from others, in one instruction where the compiler has
 * one for it. */
static inline const void *wr_this_thread(void)
{
#if __has_builtin(__builtin_thread_pointer)
    return __builtin_thread_pointer();
#else
    return (const void *)(uintptr_t)pthread_self();
#endif
}

/* Is this a child of the process that made the loop? On any thread. */
static inline bool wr_loop_is_forked(const weir_loop *loop)
{
    return wr_wake_is_forked(loop->wake);
}

/* Is this the thread that runs the loop? */
static inline bool wr_loop_is_ours(const weir_loop *loop)
{
    return *loop->owner == wr_this_thread();
}

/* The rest of wr_loop_check(). */
int wr_loop_check_slowly(const weir_loop *loop);

/* -ECHILD after a fork, -EPERM on another thread than the owner's, 0. */
static inline int wr_loop_check(const weir_loop *loop)
{
    if (WR_LIKELY(*loop->owner == wr_this_thread())) {
        return 0;
    }
    return wr_loop_check_slowly(loop);
}

/* The rest of wr_loop_leave_if_forked(). */
void wr_loop_leave(weir_loop *loop);

/* A callback of the program has returned, perhaps in a child that it has
 * forked: then this call does not return but where a task's stack is in use.
 * The child goes on where the program called weir, with -ECHILD, so that it
 * runs no other callback and touches neither the ring, which it does not have,
 * nor the descriptors, which it shares with its parent. */
static inline void wr_loop_leave_if_forked(weir_loop *loop)
{
    if (WR_UNLIKELY(*loop->owner == NULL)) {
        wr_loop_leave(loop);
    }
}

/* A callback of the program is about to be called, which may be on a task's
 * stack and must not suspend there: returns what wr_loop_allow() gets. */
static inline weir_task *wr_loop_forbid(weir_loop *loop)
{
    weir_task *task = loop->current;

    loop->current = NULL;
    loop->forbidden_count++;
    return task;
}

static inline void wr_loop_allow(weir_loop *loop, weir_task *task)
{
    wr_assert(loop->forbidden_count > 0);
    loop->forbidden_count--;
    loop->current = task;
    wr_loop_leave_if_forked(loop);
}

/* Reports to the exception hook; without one, nothing happens. */
void wr_loop_report(weir_loop *loop, const struct weir_exception *exception);

/* Calls back, and reports a callback that was slow under @name. */
void wr_loop_call(weir_loop *loop, weir_callback_fn *cb, void *arg,
                  const char *name);

/* After weir_loop_free(): runs what is ready, and frees the loop's memory when
 * nothing pins it. Called by whoever frees what pins it, or makes something
 * ready then. */
void wr_loop_release(weir_loop *loop);

/* From now on the part is the loop's to end. */
void wr_loop_add_part(weir_loop *loop, struct wr_part *part,
                      const struct wr_part_ops *ops);

/* trim.c */
void wr_loop_init_trim(weir_loop *loop);
/* A connection is lost: memory that lies idle in some seconds is given back. */
void wr_loop_trim_later(weir_loop *loop);

/* callback.c */
int wr_callbacks_open(weir_loop *loop);
/* Nothing that is pending will run; handles may still be cancelled. */
void wr_callbacks_drop(weir_loop *loop);
void wr_callbacks_close(weir_loop *loop);

/* signal.c */
/* Calls the handler for this signal, which came another way; false when there
 * is none. */
bool wr_signals_deliver(weir_loop *loop, int signum);
/* Cancels the read of the signalfd; the loop waits for its completion. */
void wr_signals_stop(weir_loop *loop);
/* After that, when the ring broke. */
void wr_signals_abandon(weir_loop *loop);
/* Frees; nothing is in flight. */
void wr_signals_close(weir_loop *loop);

#endif

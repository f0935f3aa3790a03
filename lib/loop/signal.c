/*
 * Signals. A global list has all loops that handle signals.
 *
 * For a signal that a loop handles the process has a signal handler, which may
 * run on any thread. So no thread has to block signals, and executed programs
 * start with the default action. The handler counts the signal for each loop
 * that wants it, and posts an item to the loop's mailbox. The loop then calls
 * its callback, or for SIGINT and SIGTERM without a callback its main task. The
 * program's previous action is restored when no loop wants the signal any more.
 *
 * The handler walks the list, so the list's lock must be async-signal-safe: a
 * spin lock, held with all signals blocked, so that the handler never waits for
 * the thread that it interrupted. fork() does not take this lock: fork() also
 * waits for malloc()'s locks, whose holder may be interrupted by a handler that
 * waits for this lock.
 */
#include "loop.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_MAX 64
#define CALLS_MAX  64u /* callbacks called in one iteration */

static const int signal_of_main[] = {SIGINT, SIGTERM};
#define SIGNALS_OF_MAIN (sizeof(signal_of_main) / sizeof(signal_of_main[0]))

/* One signal of a loop. The signal handler writes only the count. The loop's
 * thread writes the other fields, cb and is_for_main under the lock. */
struct slot {
    weir_signal_fn *cb; /* NULL if not handled */
    void *arg;
    uint32_t count;
    bool is_for_main; /* wanted by the main task */
    /* The thread blocked the signal before the loop handled it. */
    bool was_blocked;
};

struct wr_signals {
    struct wr_module module;
    weir_loop *loop;
    struct slot slots[SIGNAL_MAX + 1];
    weir_signal_fn *tell_main; /* NULL if no main task runs */
    void *main_arg;
    struct wr_wake_item item;
    /* The lock guards the fields below. */
    struct wr_list link;
    int last;
    /* set with the item, cleared when all signals are delivered */
    bool is_posted;
};

/* Guarded by the lock. */
static struct {
    struct wr_list list;
    struct sigaction before[SIGNAL_MAX + 1];
} signal_program;

/* The process that owns the list. Relaxed: a reader compares it with its own
 * process. If they are equal, this process wrote it. */
static atomic_int signal_list_pid;

static atomic_flag signal_is_locked = ATOMIC_FLAG_INIT;
static pthread_once_t signal_once = PTHREAD_ONCE_INIT;
static int signal_once_error;

static void signal_lock(void)
{
    /* Pairs with the release in signal_unlock(). */
    while (atomic_flag_test_and_set_explicit(&signal_is_locked,
                                             memory_order_acquire)) {
        sched_yield();
    }
}

static void signal_unlock(void)
{
    atomic_flag_clear_explicit(&signal_is_locked, memory_order_release);
}

static void signal_lock_out(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
    signal_lock();
}

static void signal_let_in(const sigset_t *before)
{
    signal_unlock();
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Returns the next loop that wants the signal, or NULL. Needs the lock. */
static struct wr_signals *signal_next(const struct wr_list *link, int signum)
{
    for (link = link->next; link != &signal_program.list; link = link->next) {
        struct wr_signals *signals =
            wr_container_of(link, struct wr_signals, link);
        const struct slot *slot = &signals->slots[signum];
        if (slot->cb || slot->is_for_main) {
            return signals;
        }
    }
    return NULL;
}

static void signal_arrived(int signum);

/* Returns false for signals that the C library uses itself. */
static bool signal_is_ours(int signum, struct sigaction *ret)
{
    return sigaction(signum, NULL, ret) == 0 && !(ret->sa_flags & SA_SIGINFO) &&
           ret->sa_handler == signal_arrived;
}

/* Leaves an action that the program has set since. */
static void signal_give_back(int signum)
{
    struct sigaction now;

    if (signal_is_ours(signum, &now)) {
        const int err = sigaction(signum, &signal_program.before[signum], NULL);
        wr_check(err == 0); /* an earlier action is valid */
    }
}

/* The process's signal handler. No loop may want the signal any more, if
 * another thread has restored the action meanwhile, or the program has saved
 * this handler and set it again. The signal is then dropped. */
static void signal_arrived(int signum)
{
    const int before = errno;

    wr_assert(signum >= 1);
    wr_assert(signum <= SIGNAL_MAX);
    if (atomic_load_explicit(&signal_list_pid, memory_order_relaxed) ==
        getpid()) {
        signal_lock();
        struct wr_signals *signals = signal_next(&signal_program.list, signum);
        if (!signals) {
            signal_give_back(signum);
        }
        for (; signals; signals = signal_next(&signals->link, signum)) {
            /* The count saturates: any process may send signals. */
            struct slot *slot = &signals->slots[signum];

            wr_assert(slot->cb || slot->is_for_main);
            slot->count += slot->count < UINT32_MAX;
            if (!signals->is_posted) {
                signals->is_posted =
                    wr_wake_post_item(signals->loop->wake, &signals->item) == 0;
            }
        }
        signal_unlock();
    } else {
        /* A child of vfork() shares the memory. The signal is not for the
         * parent's loops, nor for the parent, to which musl's raise() would
         * send it. It is delivered when this function returns. */
        signal_give_back(signum);
        kill(getpid(), signum);
    }
    errno = before;
}

/* The lock must be held. Returns 0, -EINVAL if the signal cannot be handled, or
 * -EBUSY if a main task must leave the signal to the program. */
WEIR_MUST_USE static int signal_take_over(int signum, bool is_for_main)
{
    struct sigaction now = {.sa_flags = 0};
    wr_assert(signum >= 1);
    wr_assert(signum <= SIGNAL_MAX);
    const bool is_ours = signal_is_ours(signum, &now);
    const struct sigaction before =
        is_ours ? signal_program.before[signum] : now;

    if (is_for_main && before.sa_handler != SIG_DFL) {
        return -EBUSY;
    }
    signal_program.before[signum] = before;
    /* SA_ONSTACK, because a task's stack may be too small for the signal frame,
     * and the thread may have an alternate stack. SIGCHLD keeps its flags. */
    struct sigaction action = {
        .sa_handler = signal_arrived,
        .sa_flags = SA_RESTART | SA_ONSTACK |
                    (before.sa_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT))};
    sigfillset(&action.sa_mask);
    return sigaction(signum, &action, NULL) < 0 ? -errno : 0;
}

/* The lock must be held. This loop's main task may still want the signal. */
static void signal_leave(struct wr_signals *signals, int signum)
{
    wr_assert(!signals->slots[signum].cb);
    signals->slots[signum].count = 0;
    if (!signal_next(&signal_program.list, signum)) {
        signal_give_back(signum);
    }
}

/* A forked child has no loops. Another thread of the parent may have been
 * changing the list. */
static void signal_after_fork_in_child(void)
{
    for (int signum = 1; signum <= SIGNAL_MAX; signum++) {
        signal_give_back(signum);
    }
    wr_list_init(&signal_program.list);
    signal_unlock();
}

static void signal_prepare(void)
{
    wr_list_init(&signal_program.list);
    signal_once_error = pthread_atfork(NULL, NULL, signal_after_fork_in_child);
}

/* Returns the next undelivered signal, round-robin. If there is none, returns 0
 * and clears is_posted, so that the next signal posts the item again. */
static int signal_take(struct wr_signals *signals)
{
    sigset_t before;
    int signum = signals->last;

    signal_lock_out(&before);
    wr_assert(signals->is_posted);
    wr_assert(signum >= 1);
    wr_assert(signum <= SIGNAL_MAX);
    do {
        signum = signum % SIGNAL_MAX + 1;
    } while (signals->slots[signum].count == 0 && signum != signals->last);
    const bool is_any = signals->slots[signum].count > 0;
    signals->slots[signum].count -= is_any;
    signals->is_posted = is_any;
    signals->last = signum;
    signal_let_in(&before);
    return is_any ? signum : 0;
}

static void signal_deliver(struct wr_signals *signals, int signum)
{
    const struct slot *slot = &signals->slots[signum];

    wr_assert(slot->cb || slot->is_for_main);
    if (slot->cb) {
        slot->cb(slot->arg, signum);
    } else {
        wr_assert(signals->tell_main);
        signals->tell_main(signals->main_arg, signum);
    }
    wr_loop_end_if_forked(signals->loop);
}

static void signal_run_posted(void *arg)
{
    struct wr_signals *signals = arg;

    wr_assert(!signals->item.is_posted);
    for (uint32_t i = 0; i < CALLS_MAX; i++) {
        const int signum = signal_take(signals);
        if (signum == 0) {
            return;
        }
        signal_deliver(signals, signum);
    }
    const int err = wr_wake_post_item(signals->loop->wake, &signals->item);
    wr_assert(err == 0);
}

static struct wr_signals *signal_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct wr_signals, module);
}

static bool signal_block(int signum, bool block)
{
    sigset_t set;
    sigset_t before;

    sigemptyset(&set);
    sigaddset(&set, signum);
    pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, &before);
    return sigismember(&before, signum) == 1;
}

static void signal_remove(struct wr_signals *signals, int signum)
{
    struct slot *slot = &signals->slots[signum];
    sigset_t before;

    wr_assert(slot->cb);
    if (slot->was_blocked) { /* first, so that new signals stay pending */
        slot->was_blocked = false;
        signal_block(signum, true);
    }
    signal_lock_out(&before);
    slot->cb = NULL;
    signal_leave(signals, signum);
    signal_let_in(&before);
}

/* Called after the loop's mailbox was closed. */
static void signal_restore(struct wr_module *module)
{
    struct wr_signals *signals = signal_of_module(module);
    sigset_t before;

    wr_assert(!signals->tell_main);
    wr_assert(wr_loop_is_closing(signals->loop));
    for (int signum = 1; signum <= SIGNAL_MAX; signum++) {
        if (signals->slots[signum].cb) {
            signal_remove(signals, signum);
        }
    }
    signal_lock_out(&before);
    wr_list_remove(&signals->link);
    signal_let_in(&before);
    wr_assert(!signals->item.is_posted);
    wr_list_remove(&module->link);
    wr_guard_free(&signals->loop->counting, signals, sizeof(*signals));
}

static void signal_check(const struct wr_module *module)
{
    const struct wr_signals *signals =
        wr_container_of(module, const struct wr_signals, module);

    for (int signum = 0; signum <= SIGNAL_MAX; signum++) {
        const struct slot *slot = &signals->slots[signum];
        wr_assert(signum > 0 || !slot->cb);
        wr_assert(slot->cb || !slot->was_blocked);
        wr_assert(signals->tell_main || !slot->is_for_main);
    }
}

static const struct wr_module_ops signal_module_ops = {
    .end = {[WR_END_RESTORE] = signal_restore}, .check = signal_check};

static struct wr_signals *signal_find(const weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &signal_module_ops);

    return module ? signal_of_module(module) : NULL;
}

WEIR_MUST_USE static int signal_get(weir_loop *loop, struct wr_signals **ret)
{
    sigset_t before;
    const int err = pthread_once(&signal_once, signal_prepare);
    wr_check(err == 0);
    wr_require(signal_once_error == 0, -ENOMEM);
    struct wr_signals *signals = signal_find(loop);
    if (!signals) {
        signals = wr_guard_alloc(&loop->counting, sizeof(*signals));
        wr_require(signals, -ENOMEM);
        memset(signals, 0, sizeof(*signals));
        signals->loop = loop;
        signals->last = SIGNAL_MAX;
        signals->item =
            (struct wr_wake_item){.run = signal_run_posted, .arg = signals};
        wr_list_init(&signals->link);
        wr_loop_add_module(loop, &signals->module, &signal_module_ops);
        signal_lock_out(&before);
        /* Relaxed: see signal_list_pid. */
        atomic_store_explicit(&signal_list_pid, getpid(), memory_order_relaxed);
        wr_list_push_back(&signal_program.list, &signals->link);
        signal_let_in(&before);
    }
    *ret = signals;
    return 0;
}

int wr_signals_begin_main(weir_loop *loop, weir_signal_fn *tell, void *arg)
{
    struct wr_signals *signals;
    sigset_t before;
    wr_assert(tell);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    const int err = signal_get(loop, &signals);
    wr_require(err >= 0, err);
    wr_require(!signals->tell_main, -EBUSY);
    signals->tell_main = tell;
    signals->main_arg = arg;
    signal_lock_out(&before);
    for (size_t i = 0; i < SIGNALS_OF_MAIN; i++) {
        signals->slots[signal_of_main[i]].is_for_main =
            signal_take_over(signal_of_main[i], true) == 0;
    }
    signal_let_in(&before);
    return 0;
}

void wr_signals_end_main(weir_loop *loop)
{
    struct wr_signals *signals = signal_find(loop);
    sigset_t before;

    wr_assert(signals);
    wr_assert(signals->tell_main);
    signal_lock_out(&before);
    for (size_t i = 0; i < SIGNALS_OF_MAIN; i++) {
        struct slot *slot = &signals->slots[signal_of_main[i]];
        slot->is_for_main = false;
        if (!slot->cb) {
            signal_leave(signals, signal_of_main[i]);
        }
    }
    signal_let_in(&before);
    signals->tell_main = NULL;
}

int weir_loop_add_signal_handler(weir_loop *loop, int signum,
                                 weir_signal_fn *cb, void *arg)
{
    struct wr_signals *signals;
    sigset_t before;

    wr_require_loop(loop);
    wr_require(cb, -EINVAL);
    wr_require(signum >= 1 && signum <= SIGNAL_MAX, -EINVAL);
    /* A handler that returns from a fault repeats the fault for ever. */
    wr_require(!(signum == SIGSEGV || signum == SIGBUS || signum == SIGFPE ||
                 signum == SIGILL),
               -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    int err = signal_get(loop, &signals);
    wr_require(err >= 0, err);
    struct slot *slot = &signals->slots[signum];
    signal_lock_out(&before);
    err = signal_take_over(signum, false);
    if (err == 0) {
        slot->cb = cb;
        slot->arg = arg;
    }
    signal_let_in(&before);
    wr_require(err >= 0, err);
    /* The program may have blocked the signal before it made its threads. */
    slot->was_blocked = signal_block(signum, false) || slot->was_blocked;
    return 0;
}

bool weir_loop_remove_signal_handler(weir_loop *loop, int signum)
{
    if (wr_loop_check(loop) < 0 || signum < 1 || signum > SIGNAL_MAX) {
        return false;
    }
    struct wr_signals *signals = signal_find(loop);
    if (!signals || !signals->slots[signum].cb) {
        return false;
    }
    signal_remove(signals, signum);
    return true;
}

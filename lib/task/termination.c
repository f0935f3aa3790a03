/*
 * The list of main tasks that are told of SIGINT and SIGTERM, one for all
 * threads of a program.
 *
 * The handler walks the list, so the list has a lock that a signal handler may
 * take: a flag to spin on, held for a few instructions, with all signals
 * blocked, so that the handler never waits for the thread it interrupted.
 * Posting an item is a compare-and-swap and a write(), which a handler may do.
 *
 * A forked child has none of its parent's loops: it starts with an empty list
 * and the default for both signals. The lock is not taken for that: a thread
 * that forks waits for the locks of malloc(), and a handler may have
 * interrupted the one that has them.
 */
#include "termination.h"

#include "uring/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static const int termination_signals[WR_TERMINATION_COUNT] = {SIGINT, SIGTERM};

static struct {
    struct wr_list list;
    bool is_handled[WR_TERMINATION_COUNT]; /* the handler is ours */
    uint32_t fork_count; /* from the first process to this one */
} termination_program;

/* The process that the list belongs to. Relaxed: each reader compares it with
 * its own process, which wrote it if they are equal. */
static atomic_int termination_list_pid;

static atomic_flag termination_is_locked = ATOMIC_FLAG_INIT;
static pthread_once_t termination_once = PTHREAD_ONCE_INIT;
static int termination_once_error;

static void termination_lock(void)
{
    /* Pairs with the release in termination_unlock(). */
    while (atomic_flag_test_and_set_explicit(&termination_is_locked,
                                             memory_order_acquire)) {
        sched_yield();
    }
}

static void termination_unlock(void)
{
    atomic_flag_clear_explicit(&termination_is_locked, memory_order_release);
}

static void termination_lock_out_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
    termination_lock();
}

static void termination_let_signals_in(const sigset_t *before)
{
    termination_unlock();
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Under the lock. */
static void termination_tell(struct wr_termination *termination,
                             uint32_t number)
{
    wr_assert(number < WR_TERMINATION_COUNT);
    wr_assert(termination->counts[number] < UINT32_MAX);
    termination->counts[number]++;
    if (!termination->is_posted) {
        termination->is_posted =
            wr_wake_post_item(termination->wake, &termination->item) == 0;
    }
}

/* Tells all main tasks; false when there is none. */
static bool termination_tell_all(int signum)
{
    const uint32_t number = signum == termination_signals[1];
    wr_assert(signum == termination_signals[number]);
    /* A child of vfork() shares the memory, and the signal is not for its
     * parent's tasks. */
    if (atomic_load_explicit(&termination_list_pid, memory_order_relaxed) !=
        getpid()) {
        return false;
    }
    termination_lock();
    const bool is_any = !wr_list_is_empty(&termination_program.list);
    for (struct wr_list *link = termination_program.list.next;
         link != &termination_program.list; link = link->next) {
        termination_tell(wr_container_of(link, struct wr_termination, link),
                         number);
    }
    termination_unlock();
    return is_any;
}

static void termination_set_handler(int signum, void (*handler)(int signum))
{
    /* A task's stack may be short of room for all that the kernel saves; the
     * thread may have a stack for signals. */
    struct sigaction action = {.sa_handler = handler,
                               .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    const int err = sigaction(signum, &action, NULL);
    wr_check(err == 0); /* both are signals that can be handled */
}

static bool termination_has_handler(int signum, void (*handler)(int signum))
{
    struct sigaction action;
    const int err = sigaction(signum, NULL, &action);
    wr_check(err == 0);
    return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == handler;
}

static void termination_on_signal(int signum)
{
    const int before = errno;
    if (!termination_tell_all(signum)) {
        termination_set_handler(signum, SIG_DFL);
        raise(signum); /* comes when this returns */
    }
    errno = before;
}

/* Under the lock. */
static void termination_handle_signals(void)
{
    atomic_store_explicit(&termination_list_pid, getpid(),
                          memory_order_relaxed);
    for (uint32_t i = 0; i < WR_TERMINATION_COUNT; i++) {
        wr_assert(!termination_program.is_handled[i]);
        termination_program.is_handled[i] =
            termination_has_handler(termination_signals[i], SIG_DFL);
        if (termination_program.is_handled[i]) {
            termination_set_handler(termination_signals[i],
                                    termination_on_signal);
        }
    }
}

/* Under the lock. A handler that the program has set since stays. */
static void termination_leave_signals(void)
{
    for (uint32_t i = 0; i < WR_TERMINATION_COUNT; i++) {
        if (termination_program.is_handled[i] &&
            termination_has_handler(termination_signals[i],
                                    termination_on_signal)) {
            termination_set_handler(termination_signals[i], SIG_DFL);
        }
        termination_program.is_handled[i] = false;
    }
}

/* One thread is left. The list starts anew: another thread of the parent may
 * have been changing it. */
static void termination_after_fork_in_child(void)
{
    for (uint32_t i = 0; i < WR_TERMINATION_COUNT; i++) {
        if (termination_has_handler(termination_signals[i],
                                    termination_on_signal)) {
            termination_set_handler(termination_signals[i], SIG_DFL);
        }
        termination_program.is_handled[i] = false;
    }
    wr_list_init(&termination_program.list);
    termination_program.fork_count++;
    termination_unlock();
}

static void termination_prepare(void)
{
    wr_list_init(&termination_program.list);
    termination_once_error =
        pthread_atfork(NULL, NULL, termination_after_fork_in_child);
}

int wr_termination_add(struct wr_termination *termination)
{
    sigset_t before;
    int err = pthread_once(&termination_once, termination_prepare);
    wr_check(err == 0);
    wr_require(termination_once_error == 0, -ENOMEM);
    wr_assert(termination->wake);
    wr_assert(!termination->is_posted);
    wr_list_init(&termination->link);
    termination_lock_out_signals(&before);
    if (wr_list_is_empty(&termination_program.list)) {
        termination_handle_signals();
    }
    wr_list_push_back(&termination_program.list, &termination->link);
    termination->fork_count = termination_program.fork_count;
    termination_let_signals_in(&before);
    return 0;
}

bool wr_termination_remove(struct wr_termination *termination)
{
    sigset_t before;
    termination_lock_out_signals(&before);
    if (termination->fork_count ==
        termination_program.fork_count) { /* else it is in no list */
        wr_assert(wr_list_is_linked(&termination->link));
        wr_list_remove(&termination->link);
        if (wr_list_is_empty(&termination_program.list)) {
            termination_leave_signals();
        }
    }
    const bool is_posted = termination->is_posted;
    termination_let_signals_in(&before);
    return !is_posted;
}

void wr_termination_take(struct wr_termination *termination,
                         uint32_t ret_counts[WR_TERMINATION_COUNT])
{
    sigset_t before;
    termination_lock_out_signals(&before);
    wr_assert(termination->is_posted);
    termination->is_posted = false;
    for (uint32_t i = 0; i < WR_TERMINATION_COUNT; i++) {
        ret_counts[i] = termination->counts[i];
        termination->counts[i] = 0;
    }
    termination_let_signals_in(&before);
}

int wr_termination_signal(uint32_t number)
{
    wr_assert(number < WR_TERMINATION_COUNT);
    return termination_signals[number];
}

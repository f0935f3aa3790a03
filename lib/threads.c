/*
 * What is one for all threads of a program: the list of main tasks that are
 * told of SIGINT and SIGTERM.
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
#include "threads.h"

#include "../uring/check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static const int ending_signals[WR_ENDING_COUNT] = {SIGINT, SIGTERM};

static struct {
    struct wr_list list;
    bool is_handled[WR_ENDING_COUNT]; /* by us */
    uint32_t fork_count;              /* from the first process to this one */
} program;

/* Whose list it is. Relaxed: it is compared with the caller's own. */
static atomic_int list_pid;

static atomic_flag is_locked = ATOMIC_FLAG_INIT;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_error;

static void lock(void)
{
    /* Acquire what the one before has released. */
    while (
        atomic_flag_test_and_set_explicit(&is_locked, memory_order_acquire)) {
        sched_yield();
    }
}

static void unlock(void)
{
    atomic_flag_clear_explicit(&is_locked, memory_order_release);
}

static void lock_out_signals(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, before);
    lock();
}

static void let_signals_in(const sigset_t *before)
{
    unlock();
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* Under the lock. */
static void tell(struct wr_ending *ending, uint32_t number)
{
    ending->counts[number]++;
    if (!ending->is_posted) {
        ending->is_posted = wr_wake_post_item(ending->wake, &ending->item) == 0;
    }
}

/* Is there a main task to be told? */
static bool tell_all(int signum)
{
    const uint32_t number = signum == ending_signals[1];
    /* What vfork() made has the same memory, and is not meant. */
    if (atomic_load_explicit(&list_pid, memory_order_relaxed) != getpid()) {
        return false;
    }
    lock();
    const bool is_any = !wr_list_is_empty(&program.list);
    for (struct wr_list *link = program.list.next; link != &program.list;
         link = link->next) {
        tell(wr_container_of(link, struct wr_ending, link), number);
    }
    unlock();
    return is_any;
}

static void set_handler(int signum, void (*handler)(int signum))
{
    /* A task's stack may be short of room for all that the kernel saves; the
     * thread may have a stack for signals. */
    struct sigaction action = {.sa_handler = handler,
                               .sa_flags = SA_RESTART | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    const int err = sigaction(signum, &action, NULL);
    wr_check(err == 0); /* both are signals that can be handled */
}

static bool has_handler(int signum, void (*handler)(int signum))
{
    struct sigaction action;
    const int err = sigaction(signum, NULL, &action);
    wr_check(err == 0);
    return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == handler;
}

static void on_signal(int signum)
{
    const int before = errno;
    if (!tell_all(signum)) {
        set_handler(signum, SIG_DFL);
        (void)raise(signum); /* comes when this returns */
    }
    errno = before;
}

/* Under the lock. */
static void handle_signals(void)
{
    atomic_store_explicit(&list_pid, getpid(), memory_order_relaxed);
    for (uint32_t i = 0; i < WR_ENDING_COUNT; i++) {
        program.is_handled[i] = has_handler(ending_signals[i], SIG_DFL);
        if (program.is_handled[i]) {
            set_handler(ending_signals[i], on_signal);
        }
    }
}

/* Under the lock. The program may have set another handler meanwhile. */
static void leave_signals(void)
{
    for (uint32_t i = 0; i < WR_ENDING_COUNT; i++) {
        if (program.is_handled[i] &&
            has_handler(ending_signals[i], on_signal)) {
            set_handler(ending_signals[i], SIG_DFL);
        }
        program.is_handled[i] = false;
    }
}

/* One thread is left, and no list: others may have been at work on it. */
static void after_fork_in_child(void)
{
    for (uint32_t i = 0; i < WR_ENDING_COUNT; i++) {
        if (has_handler(ending_signals[i], on_signal)) {
            set_handler(ending_signals[i], SIG_DFL);
        }
        program.is_handled[i] = false;
    }
    wr_list_init(&program.list);
    program.fork_count++;
    unlock();
}

static void prepare(void)
{
    wr_list_init(&program.list);
    once_error = pthread_atfork(NULL, NULL, after_fork_in_child);
}

int wr_ending_add(struct wr_ending *ending)
{
    sigset_t before;
    int err = pthread_once(&once, prepare);
    wr_check(err == 0);
    wr_require(once_error == 0, -ENOMEM);
    wr_list_init(&ending->link);
    lock_out_signals(&before);
    if (wr_list_is_empty(&program.list)) {
        handle_signals();
    }
    wr_list_push_back(&program.list, &ending->link);
    ending->fork_count = program.fork_count;
    let_signals_in(&before);
    return 0;
}

bool wr_ending_remove(struct wr_ending *ending)
{
    sigset_t before;
    lock_out_signals(&before);
    if (ending->fork_count == program.fork_count) { /* else in no list */
        wr_list_remove(&ending->link);
        if (wr_list_is_empty(&program.list)) {
            leave_signals();
        }
    }
    const bool is_posted = ending->is_posted;
    let_signals_in(&before);
    return !is_posted;
}

void wr_ending_take(struct wr_ending *ending,
                    uint32_t ret_counts[WR_ENDING_COUNT])
{
    sigset_t before;
    lock_out_signals(&before);
    wr_assert(ending->is_posted);
    ending->is_posted = false;
    for (uint32_t i = 0; i < WR_ENDING_COUNT; i++) {
        ret_counts[i] = ending->counts[i];
        ending->counts[i] = 0;
    }
    let_signals_in(&before);
}

int wr_ending_signal(uint32_t number)
{
    wr_assert(number < WR_ENDING_COUNT);
    return ending_signals[number];
}

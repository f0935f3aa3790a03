/*
 * Signal handlers of the loop: they run on the loop, only for requested
 * signals, wherever the signal was delivered, and the process and the thread
 * get back their previous settings.
 *
 * Signals are raised on the test's thread while the loop does not run: they are
 * counted until the loop checks.
 */
#include "tests/contract/maker.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct seen {
    int count;
    int signum;
    weir_loop *loop;
};

static struct seen saw;
static struct seen first;
static struct seen second;

/* Handles the pending signals. On a busy machine the time may be over before
 * the first iteration, so some more non-waiting iterations follow. */
static void take_signals(struct maker *m)
{
    maker_run_for(m, 5 * MS);
    for (int i = 0; i < 5; i++) {
        weir_loop_stop(m->loop);
        expect_eq(weir_loop_run(m->loop), 0);
    }
}

static void see(void *arg, int signum)
{
    struct seen *seen = (struct seen *)arg;
    seen->count++;
    seen->signum = signum;
}

static void see_and_stop(void *arg, int signum)
{
    struct seen *seen = (struct seen *)arg;
    see(arg, signum);
    weir_loop_stop(seen->loop);
}

static void add(struct maker *m, int signum, weir_signal_fn *cb,
                struct seen *seen)
{
    expect_eq(weir_loop_add_signal_handler(m->loop, signum, cb, seen), 0);
}

static bool has_action(int signum, void (*handler)(int signum))
{
    struct sigaction action;
    expect_eq(sigaction(signum, NULL, &action), 0);
    return action.sa_handler == handler;
}

static void set_action(int signum, void (*handler)(int signum))
{
    cr_assert(signal(signum, handler) != SIG_ERR);
}

static void block(int signum)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signum);
    expect_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static bool is_blocked(int signum)
{
    sigset_t set;
    expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    return sigismember(&set, signum) == 1;
}

MAKER(signal, a_handler_is_called_from_the_loop, m)
{
    add(m, SIGUSR1, see, &saw);
    expect_eq(raise(SIGUSR1), 0);
    expect_eq(saw.count, 0, "not before the loop runs");
    take_signals(m);

    expect_eq(saw.count, 1);
    expect_eq(saw.signum, SIGUSR1);
}

MAKER(signal, a_signal_wakes_a_waiting_loop_again_and_again, m)
{
    add(m, SIGALRM, see_and_stop, &saw);
    saw.loop = m->loop;
    const struct itimerval every = {
        .it_interval = {.tv_usec = 5000},
        .it_value = {.tv_usec = 5000},
    };
    expect_eq(setitimer(ITIMER_REAL, &every, NULL), 0);

    for (int i = 1; i <= 5; i++) {
        expect_eq(weir_loop_run(m->loop), 0);
        expect_geq(saw.count, i);
    }

    const struct itimerval never = {.it_value = {0}};
    expect_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    take_signals(m);
}

MAKER(signal, a_signal_for_the_whole_process_arrives_too, m)
{
    add(m, SIGTERM, see, &saw);
    maker_run_for(m, 2 * MS);

    expect_eq(kill(getpid(), SIGTERM), 0);
    take_signals(m);

    expect_eq(saw.count, 1);
}

MAKER(signal, a_handler_can_be_added_while_the_loop_runs, m)
{
    add(m, SIGUSR1, see, &first);
    maker_run_for(m, 2 * MS);

    add(m, SIGUSR2, see, &second);
    expect_eq(raise(SIGUSR2), 0);
    take_signals(m);

    expect_eq(first.count, 0);
    expect_eq(second.count, 1);
}

MAKER(signal, adding_again_replaces_the_handler, m)
{
    add(m, SIGUSR1, see, &first);
    add(m, SIGUSR1, see, &second);
    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);

    expect_eq(first.count, 0);
    expect_eq(second.count, 1);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    cr_assert(has_action(SIGUSR1, SIG_DFL), "one removal is enough");
}

MAKER(signal, remove_says_whether_there_was_a_handler, m)
{
    cr_assert_not(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    add(m, SIGUSR1, see, &saw);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));

    cr_assert_not(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    cr_assert_not(weir_loop_remove_signal_handler(m->loop, 0));
    cr_assert_not(weir_loop_remove_signal_handler(m->loop, -1));
    cr_assert_not(weir_loop_remove_signal_handler(m->loop, 1000));
}

static weir_loop *remove_loop;

static void remove_other(void *arg, int signum)
{
    see(arg, signum);
    weir_loop_remove_signal_handler(remove_loop,
                                    signum == SIGUSR1 ? SIGUSR2 : SIGUSR1);
}

MAKER(signal, a_handler_that_was_removed_meanwhile_is_not_called, m)
{
    remove_loop = m->loop;
    add(m, SIGUSR1, remove_other, &saw);
    add(m, SIGUSR2, remove_other, &saw);

    expect_eq(raise(SIGUSR1), 0);
    expect_eq(raise(SIGUSR2), 0);
    take_signals(m);

    expect_eq(saw.count, 1);
}

MAKER(signal, signals_in_a_queue_all_arrive, m)
{
    enum { COUNT = 200 };
    add(m, SIGRTMIN, see, &saw);

    for (int i = 0; i < COUNT; i++) {
        expect_eq(raise(SIGRTMIN), 0);
    }
    take_signals(m);

    expect_eq(saw.count, COUNT, "more than one turn delivers");
}

static void raise_again(void *arg, int signum)
{
    see(arg, signum);
    expect_eq(raise(signum), 0);
}

MAKER(signal, one_that_comes_again_and_again_holds_up_nothing_else, m)
{
    struct seen busy = {0};
    struct seen other = {0};
    add(m, SIGHUP, raise_again, &busy);
    add(m, SIGTERM, see, &other);
    expect_eq(raise(SIGHUP), 0);
    expect_eq(raise(SIGTERM), 0);
    maker_run_for(m, 2 * MS); /* timers end it */

    expect_eq(other.count, 1);
    expect_gt(busy.count, 64, "more than one turn delivers");
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGHUP));
}

UNIT(signal, the_mask_of_the_thread_is_put_back)
{
    struct maker m;
    block(SIGUSR2);
    maker_open(&m);

    add(&m, SIGUSR1, see, &saw);
    add(&m, SIGUSR2, see, &saw);
    add(&m, SIGRTMIN, see, &saw);
    cr_assert_not(is_blocked(SIGUSR1));
    cr_assert_not(is_blocked(SIGUSR2), "the handler wants it");
    block(SIGRTMIN);
    add(&m, SIGRTMIN, see, &saw);
    cr_assert_not(is_blocked(SIGRTMIN), "as does one that replaces another");
    maker_run_for(&m, 2 * MS);
    cr_assert(weir_loop_remove_signal_handler(m.loop, SIGRTMIN));
    cr_assert(is_blocked(SIGRTMIN));
    cr_assert_not(is_blocked(SIGUSR2));
    maker_close(&m);

    cr_assert_not(is_blocked(SIGUSR1));
    cr_assert(is_blocked(SIGUSR2), "it was blocked before");
}

static void own_handler(int signum)
{
}

UNIT(signal, the_action_that_the_program_had_comes_back)
{
    struct maker m;
    set_action(SIGUSR1, own_handler);
    set_action(SIGUSR2, SIG_IGN);
    maker_open(&m);
    add(&m, SIGUSR1, see, &saw);
    add(&m, SIGUSR2, see, &saw);
    add(&m, SIGRTMIN, see, &saw);
    expect_eq(raise(SIGUSR1), 0);
    expect_eq(raise(SIGUSR2), 0);
    take_signals(&m);
    expect_eq(saw.count, 2, "the handler of the loop is the one called");

    cr_assert(weir_loop_remove_signal_handler(m.loop, SIGUSR1));
    cr_assert(has_action(SIGUSR1, own_handler));
    cr_assert_not(has_action(SIGUSR2, SIG_IGN));
    cr_assert_not(has_action(SIGRTMIN, SIG_DFL));
    maker_close(&m);

    cr_assert(has_action(SIGUSR2, SIG_IGN));
    cr_assert(has_action(SIGRTMIN, SIG_DFL));
}

MAKER(signal, an_action_that_the_program_has_set_since_stays, m)
{
    add(m, SIGUSR1, see, &saw);
    set_action(SIGUSR1, own_handler);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));

    cr_assert(has_action(SIGUSR1, own_handler));

    add(m, SIGUSR1, see, &saw);
    set_action(SIGUSR1, SIG_IGN);
    add(m, SIGUSR1, see, &saw);
    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);
    expect_eq(saw.count, 1, "adding again takes it again");
}

/* Like system() with SIGINT, while the handler is removed meanwhile. */
MAKER(signal, the_default_is_back_when_the_program_puts_an_old_handler_in, m)
{
    struct sigaction found;
    add(m, SIGUSR1, see, &saw);
    expect_eq(sigaction(SIGUSR1, NULL, &found), 0);
    set_action(SIGUSR1, SIG_IGN);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    expect_eq(sigaction(SIGUSR1, &found, NULL), 0);

    expect_eq(raise(SIGUSR1), 0);

    cr_assert(has_action(SIGUSR1, SIG_DFL), "after one that is dropped");
    take_signals(m);
    expect_eq(saw.count, 0);
}

MAKER(signal, that_arrived_before_its_handler_was_removed_does_no_harm, m)
{
    add(m, SIGUSR1, see, &saw);
    add(m, SIGRTMIN, see, &saw);
    expect_eq(raise(SIGUSR1), 0);
    expect_eq(raise(SIGRTMIN), 0);
    expect_eq(raise(SIGRTMIN), 0);
    expect_eq(kill(getpid(), SIGUSR1), 0);

    /* The default action of both ends the process. */
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGRTMIN));
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    take_signals(m);

    expect_eq(saw.count, 0);
    cr_assert(has_action(SIGUSR1, SIG_DFL));
}

MAKER(signal, that_arrived_before_its_handler_was_removed_is_not_for_the_next,
      m)
{
    add(m, SIGUSR1, see, &first);
    expect_eq(raise(SIGUSR1), 0);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    add(m, SIGUSR1, see, &second);
    take_signals(m);
    expect_eq(first.count + second.count, 0);

    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);

    expect_eq(first.count, 0);
    expect_eq(second.count, 1);
}

MAKER(signal, that_arrived_before_the_loop_is_freed_does_no_harm, m)
{
    weir_loop *other;
    expect_eq(weir_loop_new(NULL, &other), 0);
    expect_eq(weir_loop_add_signal_handler(other, SIGTERM, see, &saw), 0);
    expect_eq(raise(SIGTERM), 0);
    expect_eq(weir_loop_free(other), 0);
    take_signals(m);

    expect_eq(saw.count, 0);
}

MAKER(signal, that_the_program_blocks_itself_reaches_its_handler, m)
{
    block(SIGUSR2);
    expect_eq(raise(SIGUSR2), 0);
    add(m, SIGUSR2, see, &saw);
    expect_eq(raise(SIGUSR2), 0);
    take_signals(m);

    expect_eq(saw.count, 2);
}

MAKER(signal, that_the_program_blocks_itself_stays_pending, m)
{
    sigset_t pending;
    block(SIGUSR2);
    add(m, SIGUSR2, see, &saw);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR2));
    expect_eq(raise(SIGUSR2), 0);

    expect_eq(sigpending(&pending), 0);
    expect_eq(sigismember(&pending, SIGUSR2), 1);
}

MAKER(signal, signals_that_cannot_be_handled_are_refused, m)
{
    static const int bad[] = {SIGKILL, SIGSTOP, 0, -1, 65, 1000};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(weir_loop_add_signal_handler(m->loop, bad[i], see, &saw),
                  -EINVAL, "signal %d", bad[i]);
    }
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        expect_eq(weir_loop_add_signal_handler(m->loop, faults[i], see, &saw),
                  -EINVAL, "signal %d", faults[i]);
    }
    expect_eq(weir_loop_add_signal_handler(m->loop, SIGUSR1, NULL, NULL),
              -EINVAL);
    expect_eq(weir_loop_add_signal_handler(m->loop, 32, see, &saw), -EINVAL,
              "the C library keeps it for itself");

    cr_assert(has_action(SIGUSR1, SIG_DFL));
}

MAKER(signal, adding_takes_no_descriptor, m)
{
    struct rlimit before;
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};

    expect_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    add(m, SIGUSR1, see, &saw);
    expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0);

    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);
    expect_eq(saw.count, 1);
}

MAKER(signal, every_loop_that_handles_it_is_told, m)
{
    struct seen here = {0};
    struct seen there = {0};
    struct maker other;
    maker_open(&other);
    add(m, SIGUSR1, see, &here);
    add(&other, SIGUSR1, see, &there);
    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);
    take_signals(&other);
    expect_eq(here.count, 1);
    expect_eq(there.count, 1);

    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);
    take_signals(&other);
    expect_eq(here.count, 1);
    expect_eq(there.count, 2, "one that others have removed is still handled");

    expect_eq(raise(SIGUSR1), 0);
    maker_close(&other);
    cr_assert(has_action(SIGUSR1, SIG_DFL));
}

static sem_t may_raise;

static void *raise_there(void *arg)
{
    while (sem_wait(&may_raise) < 0) {
        expect_eq(errno, EINTR);
    }
    expect_eq(raise(SIGUSR1), 0);
    return arg;
}

static void let_raise(void *arg)
{
    expect_eq(sem_post(&may_raise), 0);
}

MAKER(signal, one_that_a_thread_without_a_loop_gets_wakes_the_loop, m)
{
    struct seen seen = {.loop = m->loop};
    pthread_t thread;
    expect_eq(sem_init(&may_raise, 0, 0), 0);
    add(m, SIGUSR1, see_and_stop, &seen);
    expect_eq(pthread_create(&thread, NULL, raise_there, NULL), 0);
    expect_eq(weir_loop_call_soon(m->loop, let_raise, NULL, NULL), 0);

    expect_eq(weir_loop_run(m->loop), 0);

    expect_eq(seen.count, 1);
    expect_eq(pthread_join(thread, NULL), 0);
}

static int signal_of(pid_t child)
{
    expect_gt(child, 0);
    const int status = end_of(child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

MAKER(signal, a_forked_child_has_the_actions_from_before, m)
{
    set_action(SIGUSR2, SIG_IGN);
    add(m, SIGUSR1, see, &saw);
    add(m, SIGUSR2, see, &saw);
    const pid_t child = fork();
    if (child == 0) {
        raise(SIGUSR2);
        raise(SIGUSR1);
        _exit(0);
    }

    expect_eq(signal_of(child), SIGUSR1);
    take_signals(m);
    expect_eq(saw.count, 0, "its signals are its own");
}

MAKER(signal, a_child_that_shares_the_memory_is_ended_as_by_default, m)
{
    add(m, SIGUSR1, see, &saw);
    const pid_t child = vfork();
    if (child == 0) {
        kill(getpid(), SIGUSR1); /* musl's raise() is for the parent's thread */
        _exit(0);
    }

    expect_eq(signal_of(child), SIGUSR1);
    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);
    expect_eq(saw.count, 1, "its own, and not the child's");
}

MAKER(signal, a_program_that_is_executed_starts_with_the_default, m)
{
    add(m, SIGUSR1, see, &saw);
    const pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "kill -USR1 $$; exit 0", (char *)NULL);
        _exit(1);
    }

    expect_eq(signal_of(child), SIGUSR1);
}

/*
 * Signal handlers of the loop: they run on the loop, for the signals that are
 * asked for and no other, and the thread's mask is put back.
 *
 * Signals are raised in the test's own thread, while the loop does not run:
 * the kernel keeps them pending until the loop looks.
 */
#include "tests/contract/maker.h"

#include <signal.h>
#include <sys/resource.h>

struct seen {
    int count;
    int signum;
    weir_loop *loop;
};

/* Takes the signals that are pending. On a busy machine the time may be over
 * before the first turn: some more are made, which do not wait. */
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

static bool is_blocked(int signum)
{
    sigset_t set;
    expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    return sigismember(&set, signum) == 1;
}

MAKER(signal, a_handler_is_called_from_the_loop)
{
    struct seen seen = {0};
    add(m, SIGUSR1, see, &seen);
    expect_eq(raise(SIGUSR1), 0);
    expect_eq(seen.count, 0, "not before the loop runs");
    take_signals(m);

    expect_eq(seen.count, 1);
    expect_eq(seen.signum, SIGUSR1);
}

MAKER(signal, a_signal_wakes_a_waiting_loop_again_and_again)
{
    struct seen seen = {0};
    add(m, SIGALRM, see_and_stop, &seen);
    seen.loop = m->loop;
    const struct itimerval every = {
        .it_interval = {.tv_usec = 5000},
        .it_value = {.tv_usec = 5000},
    };
    expect_eq(setitimer(ITIMER_REAL, &every, NULL), 0);

    for (int i = 1; i <= 5; i++) {
        expect_eq(weir_loop_run(m->loop), 0);
        expect_geq(seen.count, i);
    }

    const struct itimerval never = {.it_value = {0}};
    expect_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    take_signals(m); /* takes one that is still pending */
}

MAKER(signal, a_signal_for_the_whole_process_arrives_too)
{
    struct seen seen = {0};
    add(m, SIGTERM, see, &seen);
    maker_run_for(m, 2 * MS);

    expect_eq(kill(getpid(), SIGTERM), 0);
    take_signals(m);

    expect_eq(seen.count, 1);
}

MAKER(signal, a_handler_can_be_added_while_the_loop_runs)
{
    struct seen first = {0};
    struct seen second = {0};
    add(m, SIGUSR1, see, &first);
    maker_run_for(m, 2 * MS); /* the read is in the kernel now */

    add(m, SIGUSR2, see, &second);
    expect_eq(raise(SIGUSR2), 0);
    take_signals(m);

    expect_eq(first.count, 0);
    expect_eq(second.count, 1);
}

MAKER(signal, adding_again_replaces_the_handler)
{
    struct seen first = {0};
    struct seen second = {0};
    add(m, SIGUSR1, see, &first);
    add(m, SIGUSR1, see, &second);
    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);

    expect_eq(first.count, 0);
    expect_eq(second.count, 1);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    cr_assert_not(is_blocked(SIGUSR1), "one removal is enough");
}

MAKER(signal, remove_says_whether_there_was_a_handler)
{
    struct seen seen = {0};
    cr_assert_not(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    add(m, SIGUSR1, see, &seen);
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

MAKER(signal, a_handler_that_was_removed_meanwhile_is_not_called)
{
    struct seen seen = {0};
    remove_loop = m->loop;
    add(m, SIGUSR1, remove_other, &seen);
    add(m, SIGUSR2, remove_other, &seen);

    /* Both are taken with one read. */
    expect_eq(raise(SIGUSR1), 0);
    expect_eq(raise(SIGUSR2), 0);
    take_signals(m);

    expect_eq(seen.count, 1);
}

MAKER(signal, signals_in_a_queue_all_arrive)
{
    enum { COUNT = 20 };
    struct seen seen = {0};
    add(m, SIGRTMIN, see, &seen);

    for (int i = 0; i < COUNT; i++) {
        expect_eq(raise(SIGRTMIN), 0);
    }
    take_signals(m);

    expect_eq(seen.count, COUNT, "more than fit into one read");
}

UNIT(signal, the_mask_of_the_thread_is_put_back)
{
    struct maker m;
    struct seen seen = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    expect_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    maker_open(&m);

    add(&m, SIGUSR1, see, &seen);
    add(&m, SIGUSR2, see, &seen);
    add(&m, SIGHUP, see, &seen);
    cr_assert(is_blocked(SIGUSR1));
    maker_run_for(&m, 2 * MS);
    cr_assert(weir_loop_remove_signal_handler(m.loop, SIGUSR1));
    cr_assert_not(is_blocked(SIGUSR1));
    cr_assert(is_blocked(SIGHUP));
    maker_close(&m);

    cr_assert_not(is_blocked(SIGHUP));
    cr_assert(is_blocked(SIGUSR2), "it was blocked before");
}

MAKER(signal, that_arrived_before_its_handler_was_removed_does_no_harm)
{
    struct seen seen = {0};
    add(m, SIGUSR1, see, &seen);
    add(m, SIGRTMIN, see, &seen);
    expect_eq(raise(SIGUSR1), 0);
    expect_eq(raise(SIGRTMIN), 0);
    expect_eq(raise(SIGRTMIN), 0);
    expect_eq(kill(getpid(), SIGUSR1), 0);

    /* The default action of both ends the process. */
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGRTMIN));
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR1));
    take_signals(m);

    expect_eq(seen.count, 0);
    cr_assert_not(is_blocked(SIGUSR1));
}

MAKER(signal, that_arrived_before_the_loop_is_freed_does_no_harm)
{
    struct seen seen = {0};
    weir_loop *other;
    expect_eq(weir_loop_new(NULL, &other), 0);
    expect_eq(weir_loop_add_signal_handler(other, SIGTERM, see, &seen), 0);
    expect_eq(raise(SIGTERM), 0);
    expect_eq(weir_loop_free(other), 0);
    take_signals(m);

    expect_eq(seen.count, 0);
}

MAKER(signal, that_the_program_blocks_itself_stays_pending)
{
    struct seen seen = {0};
    sigset_t set;
    sigset_t pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    expect_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    add(m, SIGUSR2, see, &seen);
    expect_eq(raise(SIGUSR2), 0);
    cr_assert(weir_loop_remove_signal_handler(m->loop, SIGUSR2));

    expect_eq(sigpending(&pending), 0);
    expect_eq(sigismember(&pending, SIGUSR2), 1);
}

MAKER(signal, signals_that_cannot_be_handled_are_refused)
{
    struct seen seen = {0};
    static const int bad[] = {SIGKILL, SIGSTOP, 0, -1, 65, 1000};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(weir_loop_add_signal_handler(m->loop, bad[i], see, &seen),
                  -EINVAL, "signal %d", bad[i]);
    }
    expect_eq(weir_loop_add_signal_handler(m->loop, SIGUSR1, NULL, NULL),
              -EINVAL);
    expect_eq(weir_loop_add_signal_handler(m->loop, 32, see, &seen), -EINVAL,
              "the C library keeps it for itself");

    cr_expect_not(is_blocked(SIGUSR1));
}

MAKER(signal, without_descriptors_adding_fails_and_changes_nothing)
{
    struct seen seen = {0};
    struct rlimit before;
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit none = {0, before.rlim_max};

    expect_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int err = weir_loop_add_signal_handler(m->loop, SIGUSR1, see, &seen);
    expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0);

    expect_eq(err, -EMFILE);
    cr_assert_not(is_blocked(SIGUSR1));
    add(m, SIGUSR1, see, &seen);
    expect_eq(raise(SIGUSR1), 0);
    take_signals(m);
    expect_eq(seen.count, 1);
}

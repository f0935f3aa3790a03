/*
 * Signals of a program with several main tasks, each on its own thread, where
 * the kernel chooses the thread that gets the signal: every task is notified.
 *
 * Children made by a task have the signal actions that the program started
 * with.
 */
#include "tests/contract/executor_rig.h"

#include <signal.h>
#include <sys/wait.h>

enum { RUNNERS = 3 };

struct runner {
    pthread_t thread;
    sem_t runs;
    int told_count;
    int patience;
    int result;
};

static struct runner runners[RUNNERS];

static int wait_till_told(weir_loop *l, void *arg)
{
    struct runner *runner = arg;
    expect_eq(sem_post(&runner->runs), 0);
    for (;;) {
        const int err = weir_sleep(l, FAILSAFE_S * 1000 * MS);
        expect_eq(err, -ECANCELED, "nobody told it");
        if (++runner->told_count > runner->patience) {
            return err;
        }
    }
}

static void *run_runner(void *arg)
{
    struct runner *runner = arg;
    runner->result = weir_run(NULL, wait_till_told, runner);
    return NULL;
}

static void start_runners(int patience)
{
    for (int i = 0; i < RUNNERS; i++) {
        runners[i] = (struct runner){.patience = patience, .result = 1};
        expect_eq(sem_init(&runners[i].runs, 0, 0), 0);
        expect_ok(
            pthread_create(&runners[i].thread, NULL, run_runner, &runners[i]));
        wait_for(&runners[i].runs);
    }
}

static void expect_all(int told_count, int result)
{
    for (int i = 0; i < RUNNERS; i++) {
        expect_eq(pthread_join(runners[i].thread, NULL), 0);
        expect_eq(runners[i].told_count, told_count, "thread %d: %d", i,
                  runners[i].told_count);
        expect_eq(runners[i].result, result, "thread %d: %d", i,
                  runners[i].result);
    }
}

static bool is_default(int signum)
{
    struct sigaction action;
    expect_eq(sigaction(signum, NULL, &action), 0);
    return action.sa_handler == SIG_DFL;
}

UNIT(program, a_signal_is_told_to_the_main_task_of_every_thread)
{
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        start_runners(0);

        expect_eq(kill(getpid(), signals[i]), 0);

        expect_all(1, -ECANCELED);
        cr_assert(is_default(SIGINT));
        cr_assert(is_default(SIGTERM));
    }
}

UNIT(program, a_thread_that_blocks_the_signal_is_told_all_the_same)
{
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    expect_eq(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    start_runners(0); /* they inherit it */
    expect_eq(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);

    expect_eq(kill(getpid(), SIGTERM), 0);

    expect_all(1, -ECANCELED);
}

UNIT(program, a_second_signal_ends_the_run_of_every_thread)
{
    start_runners(1); /* the end of the loop is its second cancellation */

    expect_eq(kill(getpid(), SIGINT), 0);
    expect_eq(kill(getpid(), SIGTERM), 0);

    expect_all(2, -EINTR);
}

static void stop(void *arg, int signum)
{
    expect_eq(signum, SIGTERM);
    weir_loop_stop(arg);
}

UNIT(program, a_signal_that_one_loop_handles_is_told_to_main_tasks_all_the_same)
{
    start_runners(0);
    open_loop(NULL);
    expect_eq(weir_loop_add_signal_handler(loop, SIGTERM, stop, loop), 0);

    expect_eq(kill(getpid(), SIGTERM), 0);

    expect_eq(weir_loop_run(loop), 0);
    expect_all(1, -ECANCELED);
    close_loop();
    cr_assert(is_default(SIGTERM));
}

static int end_at_once(weir_loop *l, void *arg)
{
    return 0;
}

static sem_t storm_over;

static void *run_and_end(void *arg)
{
    weir_loop *own = NULL;
    expect_eq(weir_loop_new(NULL, &own), 0);
    while (sem_trywait(&storm_over) < 0) {
        expect_eq(weir_loop_run_task(own, end_at_once, NULL, NULL), 0);
    }
    expect_eq(weir_loop_free(own), 0);
    return arg;
}

/* Keeps one run alive: a signal between two of the other runs would end the
 * test. */
static int raise_many(weir_loop *l, void *arg)
{
    for (int i = 0; i < 2000; i++) {
        expect_eq(kill(getpid(), i % 2 ? SIGINT : SIGTERM), 0);
        sched_yield();
    }
    for (int i = 0; i < RUNNERS; i++) {
        expect_eq(sem_post(&storm_over), 0);
    }
    return 7;
}

UNIT_IN(program, signals_may_come_while_runs_begin_and_end, with_loop, void)
{
    pthread_t threads[RUNNERS];
    int result = 0;
    expect_eq(sem_init(&storm_over, 0, 0), 0);
    for (int i = 0; i < RUNNERS; i++) {
        expect_eq(pthread_create(&threads[i], NULL, run_and_end, NULL), 0);
    }
    expect_eq(weir_loop_run_task(loop, raise_many, NULL, &result), 0);
    expect_eq(result, 7);
    for (int i = 0; i < RUNNERS; i++) {
        expect_eq(pthread_join(threads[i], NULL), 0);
    }
}

static int raise_here(weir_loop *l, void *arg)
{
    raise(SIGINT);
    return weir_sleep(l, FAILSAFE_S * 1000 * MS);
}

static bool is_untouched(const uint8_t *memory, size_t size, uint8_t filled)
{
    for (size_t i = 0; i < size; i++) {
        if (memory[i] != filled) {
            return false;
        }
    }
    return true;
}

UNIT(program, a_signal_uses_the_threads_stack_for_signals_where_it_has_one)
{
    static uint8_t memory[64 << 10];
    const stack_t own = {.ss_sp = memory, .ss_size = sizeof(memory)};
    stack_t before;
    memset(memory, 0xa5, sizeof(memory));
    expect_eq(sigaltstack(&own, &before), 0);

    expect_eq(weir_run(NULL, raise_here, NULL), -ECANCELED);

    expect_eq(sigaltstack(&before, NULL), 0);
    cr_assert_not(is_untouched(memory, sizeof(memory), 0xa5),
                  "it took room on the stack of the task");
}

static int kill_child(weir_loop *l, void *arg)
{
    const int signum = *(const int *)arg;
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        raise(signum);
        _exit(0);
    }
    const int status = end_of(child);
    cr_assert(WIFSIGNALED(status), "the child was not ended by it");
    expect_eq(WTERMSIG(status), signum);
    return 0;
}

UNIT(program, a_forked_child_is_ended_by_the_signals_as_by_default)
{
    static int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        open_loop(NULL);
        run_body(kill_child, &signals[i]);
        close_loop();
    }
}

static int execute_child(weir_loop *l, void *arg)
{
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "kill -TERM $$; exit 0", (char *)NULL);
        _exit(1);
    }
    const int status = end_of(child);
    cr_assert(WIFSIGNALED(status), "the program was not ended by it");
    expect_eq(WTERMSIG(status), SIGTERM);
    return 0;
}

UNIT_IN(program, a_program_that_a_task_executes_starts_with_the_default,
        with_loop, void)
{
    run_body(execute_child, NULL);
}

static int raise_and_wait(weir_loop *l, void *arg)
{
    raise(SIGTERM);
    return weir_sleep(l, FAILSAFE_S * 1000 * MS);
}

static int run_in_child(weir_loop *l, void *arg)
{
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        /* A failed assertion in the child is not reported, so compare here. */
        const int result = weir_run(NULL, raise_and_wait, NULL);
        _exit(result == -ECANCELED ? 0 : -result & 255);
    }
    expect_eq(end_of(child), 0);
    return 0;
}

UNIT_IN(program, a_forked_child_may_run_a_loop_of_its_own, with_loop, void)
{
    run_body(run_in_child, NULL);
}

enum { FORKS = 200 };

static pthread_t allocating;
static sem_t allocating_over;
static sem_t raising_over;

/* fork() waits until no thread is inside malloc(). These sizes take its
 * lock. */
static void *allocate_until_over(void *arg)
{
    while (sem_trywait(&allocating_over) < 0) {
        void *memory[64];
        for (size_t i = 0; i < 64; i++) {
            memory[i] = malloc(5000 + i * 2000);
        }
        for (size_t i = 0; i < 64; i++) {
            free(memory[i]);
        }
    }
    return arg;
}

static void *fork_many(void *arg)
{
    for (int i = 0; i < FORKS; i++) {
        const pid_t child = fork();
        if (child == 0) {
            _exit(0);
        }
        expect_gt(child, 0);
        expect_eq(end_of(child), 0);
    }
    expect_eq(sem_post(&raising_over), 0);
    expect_eq(sem_post(&allocating_over), 0);
    return arg;
}

static int raise_until_over(weir_loop *l, void *arg)
{
    pthread_t forking;
    expect_eq(pthread_create(&allocating, NULL, allocate_until_over, NULL), 0);
    expect_eq(pthread_create(&forking, NULL, fork_many, NULL), 0);
    while (sem_trywait(&raising_over) < 0) {
        expect_eq(pthread_kill(allocating, SIGINT), 0);
        sched_yield();
    }
    expect_eq(pthread_join(forking, NULL), 0);
    expect_eq(pthread_join(allocating, NULL), 0);
    return 0;
}

UNIT_IN(program, a_thread_may_fork_while_another_gets_signals, with_loop, void)
{
    expect_eq(sem_init(&allocating_over, 0, 0), 0);
    expect_eq(sem_init(&raising_over, 0, 0), 0);
    run_body(raise_until_over, NULL);
}

static int remove_in_child(weir_loop *l, void *arg)
{
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        const int result = weir_run(NULL, raise_and_wait, NULL);
        _exit(result == -ECANCELED && is_default(SIGTERM) ? 0 : 1);
    }
    expect_eq(end_of(child), 0);
    return 0;
}

UNIT(program, a_child_of_a_program_with_several_main_tasks_has_none_of_them)
{
    start_runners(0);
    open_loop(NULL);
    run_body(remove_in_child, NULL);
    close_loop();
    expect_eq(kill(getpid(), SIGTERM), 0);
    expect_all(1, -ECANCELED);
}

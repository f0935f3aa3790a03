/*
 * Reports of overrun stacks where there is more than one loop.
 *
 * The handler belongs to the process, the loops it looks at to the thread. Each
 * case runs in a child process, which ends by the signal.
 */
#include "tests/unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <weir/task.h>

struct ending {
    char text[512];
    int status;
};

/* Where reports go, in the child. */
static int report_fd;

static int dig(volatile int *depth)
{
    volatile char frame[1024];
    frame[0] = 1;
    if (*depth == 0) {
        return 0;
    }
    (*depth)--;
    return dig(depth) + frame[0];
}

static int overrun(weir_loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
    volatile int depth = 1 << 30;
    return dig(&depth);
}

static struct ending in_child(void (*body)(void))
{
    struct ending ending = {.text = ""};
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        /* None of Criterion or a sanitizer. */
        struct sigaction none = {.sa_handler = SIG_DFL};
        stack_t no_stack = {.ss_flags = SS_DISABLE};
        sigaction(SIGSEGV, &none, NULL);
        sigaction(SIGBUS, &none, NULL);
        sigaltstack(&no_stack, NULL);
        alarm(30);
        report_fd = fds[1];
        close(fds[0]);
        body();
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    for (;;) {
        ssize_t ret =
            read(fds[0], ending.text + len, sizeof(ending.text) - 1 - len);
        if (ret <= 0) {
            break;
        }
        len += (size_t)ret;
    }
    close(fds[0]);
    cr_assert_eq(waitpid(child, &ending.status, 0), child);
    return ending;
}

static weir_loop *new_loop(int fd)
{
    weir_loop *loop = NULL;
    cr_assert_eq(weir_loop_new(NULL, &loop), 0);
    cr_assert_eq(weir_loop_report_stack_overflow(loop, fd), 0);
    return loop;
}

static void run_task(weir_loop *loop, const char *name)
{
    const struct weir_task_options options = {
        .size = sizeof(options),
        .name = name,
    };
    cr_assert_eq(weir_task_spawn(loop, overrun, NULL, &options, NULL), 0);
    cr_assert_eq(weir_loop_run(loop), 0);
}

static void expect_report(const struct ending *ending, const char *name)
{
    char expected[256];
    snprintf(expected, sizeof(expected),
             "weir: task '%s' overran its stack of 262144 bytes; "
             "give it a larger stack_size_bytes\n",
             name);
    cr_assert_str_eq(ending->text, expected);
    cr_assert(WIFSIGNALED(ending->status));
    cr_assert_eq(WTERMSIG(ending->status), SIGSEGV);
}

static void end_the_first(void)
{
    weir_loop *first = new_loop(report_fd);
    weir_loop *second = new_loop(-1);
    cr_assert_eq(weir_loop_free(first), 0);
    run_task(second, "survivor");
}

UNIT(overflow_loops, a_loop_of_the_same_thread_may_end_before)
{
    struct ending ending = in_child(end_the_first);
    expect_report(&ending, "survivor");
}

static void end_the_second(void)
{
    weir_loop *first = new_loop(report_fd);
    weir_loop *second = new_loop(-1);
    cr_assert_eq(weir_loop_free(second), 0);
    run_task(first, "first");
}

UNIT(overflow_loops, the_loop_that_came_first_may_stay)
{
    struct ending ending = in_child(end_the_second);
    expect_report(&ending, "first");
}

static void *run_elsewhere(void *arg)
{
    (void)arg;
    run_task(new_loop(-1), "of a thread");
    return NULL;
}

static void overrun_on_a_thread(void)
{
    weir_loop *here = new_loop(report_fd);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, run_elsewhere, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(weir_loop_free(here), 0);
}

UNIT(overflow_loops, each_thread_has_its_own_loops)
{
    struct ending ending = in_child(overrun_on_a_thread);
    expect_report(&ending, "of a thread");
}

static void *end_elsewhere(void *arg)
{
    (void)arg;
    stack_t before; /* a sanitizer may have put one there */
    stack_t after;
    cr_assert_eq(sigaltstack(NULL, &before), 0);
    cr_assert_eq(weir_loop_free(new_loop(-1)), 0);
    cr_assert_eq(sigaltstack(NULL, &after), 0);
    cr_assert_eq(after.ss_flags, before.ss_flags);
    cr_assert_eq(after.ss_sp, before.ss_sp);
    return NULL;
}

static void overrun_after_a_thread(void)
{
    weir_loop *here = new_loop(report_fd);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, end_elsewhere, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    run_task(here, "here");
}

UNIT(overflow_loops, a_thread_that_ends_takes_nothing_from_the_others)
{
    struct ending ending = in_child(overrun_after_a_thread);
    expect_report(&ending, "here");
}

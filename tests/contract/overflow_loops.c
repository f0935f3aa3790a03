/*
 * Reports of stack overflows with more than one loop.
 *
 * The handler belongs to the process, and the loops that it inspects belong to
 * the thread. Each case runs in a child process, which is ended by the signal.
 */
#include "tests/contract/fail_calls.h"
#include "tests/tasks/overrun.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <weir/error.h>

static weir_loop *new_loop(int fd)
{
    weir_loop *loop = NULL;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_report_stack_overflow(loop, fd), 0);
    return loop;
}

static void run_task(weir_loop *loop, const char *name)
{
    const struct weir_task_options options = {
        .size = sizeof(options),
        .name = name,
    };
    expect_eq(weir_task_spawn(loop, overrun, NULL, &options, NULL), 0);
    expect_eq(weir_loop_run(loop), 0);
}

static void expect_report(const struct ending *ending, const char *name)
{
    char expected[256];
    snprintf(expected, sizeof(expected),
             "weir: task '%s' overran its stack of 262144 bytes; "
             "give it a larger stack_size_bytes\n",
             name);
    expect_str_eq(ending->text, expected);
    cr_assert(WIFSIGNALED(ending->status));
    expect_eq(WTERMSIG(ending->status), SIGSEGV);
}

static void end_the_first(void)
{
    weir_loop *first = new_loop(report_fd);
    weir_loop *second = new_loop(-1);
    expect_eq(weir_loop_free(first), 0);
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
    expect_eq(weir_loop_free(second), 0);
    run_task(first, "first");
}

UNIT(overflow_loops, the_loop_that_came_first_may_stay)
{
    struct ending ending = in_child(end_the_second);
    expect_report(&ending, "first");
}

static void *run_elsewhere(void *arg)
{
    run_task(new_loop(-1), "of a thread");
    return NULL;
}

static void overrun_on_a_thread(void)
{
    weir_loop *here = new_loop(report_fd);
    pthread_t thread;
    expect_eq(pthread_create(&thread, NULL, run_elsewhere, NULL), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    expect_eq(weir_loop_free(here), 0);
}

UNIT(overflow_loops, each_thread_has_its_own_loops)
{
    struct ending ending = in_child(overrun_on_a_thread);
    expect_report(&ending, "of a thread");
}

static void *end_elsewhere(void *arg)
{
    stack_t before; /* a sanitizer may have installed one */
    stack_t after;
    expect_eq(sigaltstack(NULL, &before), 0);
    expect_eq(weir_loop_free(new_loop(-1)), 0);
    expect_eq(sigaltstack(NULL, &after), 0);
    expect_eq(after.ss_flags, before.ss_flags);
    expect_eq(after.ss_sp, before.ss_sp);
    return NULL;
}

static void overrun_after_a_thread(void)
{
    weir_loop *here = new_loop(report_fd);
    pthread_t thread;
    expect_eq(pthread_create(&thread, NULL, end_elsewhere, NULL), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    run_task(here, "here");
}

UNIT(overflow_loops, a_thread_that_ends_takes_nothing_from_the_others)
{
    struct ending ending = in_child(overrun_after_a_thread);
    expect_report(&ending, "here");
}

static int count_defaults(void)
{
    struct sigaction segv;
    struct sigaction bus;
    if (sigaction(SIGSEGV, NULL, &segv) != 0 ||
        sigaction(SIGBUS, NULL, &bus) != 0) {
        return 1; /* the action can be neither read nor set */
    }
    return (segv.sa_handler == SIG_DFL) + (bus.sa_handler == SIG_DFL);
}

static void ask_and_tell(void)
{
    weir_loop *loop = NULL;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    const int err = weir_loop_report_stack_overflow(loop, report_fd);
    dprintf(report_fd, "%s %d", weir_err_name(err), count_defaults());
    expect_eq(weir_loop_free(loop), 0);
}

static void ask_without_alternate_stacks(void)
{
    fail_calls(SYS_sigaltstack, EPERM);
    ask_and_tell();
}

static void ask_without_segv(void)
{
    fail_calls_of(SYS_rt_sigaction, 0, SIGSEGV, EPERM);
    ask_and_tell();
}

static void ask_without_bus(void)
{
    fail_calls_of(SYS_rt_sigaction, 0, SIGBUS, EPERM);
    ask_and_tell();
}

UNIT(overflow_loops, a_refused_call_is_told_and_no_handler_is_left)
{
    struct ending ending = in_child(ask_without_segv);
    expect_str_eq(ending.text, "EPERM 1");
    ending = in_child(ask_without_bus);
    expect_str_eq(ending.text, "EPERM 1");
#ifndef __SANITIZE_ADDRESS__ /* the sanitizer makes that call itself */
    ending = in_child(ask_without_alternate_stacks);
    expect_str_eq(ending.text, "EPERM 2");
#else
    (void)ask_without_alternate_stacks;
#endif
}

/*
 * A task that overflows its stack, and the report about it.
 *
 * Each case runs in a child process, which the overflow ends. Its output and
 * its status are checked.
 */
#include "lib/task/task.h"

#include "tests/tasks/overrun.h"
#include "tests/tasks/rig.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <tests/have.h>

static int write_nowhere(weir_loop *on, void *arg)
{
    volatile char *nowhere =
        mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *nowhere = 1;
    return 0;
}

static int sleep_long(weir_loop *on, void *arg)
{
    return weir_sleep(on, 3600 * S);
}

static void spawn(weir_task_fn *fn, const char *name, size_t stack_size)
{
    const struct weir_task_options options = {
        .size = sizeof(options),
        .name = name,
        .stack_size_bytes = stack_size,
    };
    expect_eq(weir_task_spawn(loop, fn, NULL, &options, NULL), 0);
}

static void install(void)
{
    expect_eq(weir_loop_report_stack_overflow(loop, report_fd), 0);
}

static void run(void)
{
    wr_ignore(weir_loop_run(loop) < 0);
}

static void expect_signal(const struct ending *ending, int signum)
{
    cr_assert(WIFSIGNALED(ending->status), "status %x", ending->status);
    expect_eq(WTERMSIG(ending->status), signum);
}

static void overrun_among_others(void)
{
    rig_start();
    install();
    spawn(sleep_long, "sleeper", 0);
    spawn(overrun, "digger", 32768);
    spawn(sleep_long, "sleeper too", 0);
    run();
}

UNIT(overflow, names_the_task_and_its_stack)
{
    struct ending ending = in_child(overrun_among_others);
    expect_str_eq(ending.text,
                  "weir: task 'digger' overran its stack of 32768 bytes; "
                  "give it a larger stack_size_bytes\n");
    expect_signal(&ending, SIGSEGV);
}

static void overrun_with_a_letter(void)
{
    rig_start();
    install();
    spawn(overrun, "d", 1u << 20);
    run();
}

UNIT(overflow, names_a_task_of_one_letter)
{
    struct ending ending = in_child(overrun_with_a_letter);
    expect_str_eq(ending.text,
                  "weir: task 'd' overran its stack of 1048576 bytes; "
                  "give it a larger stack_size_bytes\n");
    expect_signal(&ending, SIGSEGV);
}

static void overrun_without_name(void)
{
    rig_start();
    install();
    spawn(overrun, NULL, 0);
    run();
}

UNIT(overflow, tells_the_default_size_of_a_task_without_a_name)
{
    struct ending ending = in_child(overrun_without_name);
    expect_str_eq(ending.text,
                  "weir: task '-' overran its stack of 262144 bytes; "
                  "give it a larger stack_size_bytes\n");
    expect_signal(&ending, SIGSEGV);
}

/* The prologue of a function whose locals take @size bytes and whose compiler
 * probes no page on the way: it writes to the lowest of them at once. */
static void write_below(size_t size)
{
    volatile char *frame = __builtin_frame_address(0);
    *(frame - size) = 1;
}

static int skip_to_lower_task(weir_loop *on, void *arg)
{
    write_below(84u << 10);
    return 0;
}

static int skip_far(weir_loop *on, void *arg)
{
    write_below((64u + 252u) << 10); /* frames above it take some bytes */
    return 0;
}

static void skip_among_others(weir_task_fn *fn)
{
    rig_start();
    install();
    spawn(sleep_long, "below", 65536);
    spawn(fn, "large frame", 65536);
    spawn(sleep_long, "above", 65536);
    run();
}

static void expect_large_frame(void (*body)(void))
{
    struct ending ending = in_child(body);
    expect_str_eq(ending.text,
                  "weir: task 'large frame' overran its stack of 65536 bytes; "
                  "give it a larger stack_size_bytes\n");
    expect_signal(&ending, SIGSEGV);
}

UNIT_IN(overflow, a_frame_of_84_kib_in_a_stack_of_64_kib_is_reported,
        expect_large_frame, void)
{
    skip_among_others(skip_to_lower_task);
}

UNIT_IN(overflow, a_frame_that_ends_just_inside_the_guard_is_reported,
        expect_large_frame, void)
{
    skip_among_others(skip_far);
}

/* Compiled as users' programs are, with the flags of weir's package. */
#if WR_TESTS_STACK_CLASH

static int use_megabyte(weir_loop *on, void *arg)
{
    volatile char frame[1u << 20];
    frame[0] = 1;
    return frame[0];
}

UNIT_IN(overflow, a_frame_larger_than_the_guard_is_reported_with_weirs_flags,
        expect_large_frame, void)
{
    skip_among_others(use_megabyte);
}

#endif

/* As a callback runs that a task's call brings about. */
static int overrun_in_callback(weir_loop *on, void *arg)
{
    wr_ignore(weir_yield(on) < 0);
    weir_task *task = wr_loop_begin_callback(on);
    int result = overrun(on, arg);
    wr_loop_end_callback(on, task);
    return result;
}

static void overrun_where_no_task_is_current(void)
{
    rig_start();
    install();
    spawn(overrun_in_callback, "caller", 16384);
    run();
}

UNIT(overflow, finds_the_task_whose_stack_a_callback_runs_on)
{
    struct ending ending = in_child(overrun_where_no_task_is_current);
    expect_str_eq(ending.text,
                  "weir: task 'caller' overran its stack of 16384 bytes; "
                  "give it a larger stack_size_bytes\n");
    expect_signal(&ending, SIGSEGV);
}

static void fault_elsewhere(void)
{
    rig_start();
    install();
    spawn(write_nowhere, "innocent", 0);
    run();
}

UNIT(overflow, says_nothing_of_other_faults)
{
    struct ending ending = in_child(fault_elsewhere);
    cr_assert_str_empty(ending.text);
    expect_signal(&ending, SIGSEGV);
}

static void send_to_itself(void)
{
    rig_start();
    install();
    raise(SIGBUS);
}

UNIT(overflow, a_signal_that_was_sent_still_ends_the_process)
{
    struct ending ending = in_child(send_to_itself);
    cr_assert_str_empty(ending.text);
    expect_signal(&ending, SIGBUS);
}

static void ignore_and_send(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGSEGV, &ignore, NULL);
    rig_start();
    install();
    raise(SIGSEGV);
    raise(SIGSEGV);
    _exit(7);
}

UNIT(overflow, a_signal_that_is_ignored_stays_ignored)
{
    struct ending ending = in_child(ignore_and_send);
    cr_assert(WIFEXITED(ending.status));
    expect_eq(WEXITSTATUS(ending.status), 7);
}

static void earlier_handler(int signum)
{
    static const char text[] = "earlier\n";
    wr_ignore(write(report_fd, text, sizeof(text) - 1) < 0);
    _exit(signum == SIGSEGV ? 3 : 4);
}

static void earlier_with_address(int signum, siginfo_t *info, void *context)
{
    _exit(info->si_addr && info->si_code > 0 ? 5 : 6);
}

static void overrun_with_earlier(void)
{
    struct sigaction action = {.sa_handler = earlier_handler};
    sigaction(SIGSEGV, &action, NULL);
    overrun_among_others();
}

UNIT(overflow, an_earlier_handler_runs_afterwards)
{
    struct ending ending = in_child(overrun_with_earlier);
    expect_str_eq(ending.text,
                  "weir: task 'digger' overran its stack of 32768 bytes; "
                  "give it a larger stack_size_bytes\nearlier\n");
    cr_assert(WIFEXITED(ending.status));
    expect_eq(WEXITSTATUS(ending.status), 3);
}

static void overrun_with_address(void)
{
    struct sigaction action = {
        .sa_sigaction = earlier_with_address,
        .sa_flags = SA_SIGINFO,
    };
    sigaction(SIGSEGV, &action, NULL);
    overrun_among_others();
}

UNIT(overflow, an_earlier_handler_gets_the_address)
{
    struct ending ending = in_child(overrun_with_address);
    cr_assert(WIFEXITED(ending.status));
    expect_eq(WEXITSTATUS(ending.status), 5);
}

static bool has_alternate_stack(void)
{
    stack_t now;
    expect_eq(sigaltstack(NULL, &now), 0);
    return !(now.ss_flags & SS_DISABLE);
}

/* The start of the page in which an address lies. */
static void *page_of(void *address)
{
    return (char *)address - (uintptr_t)address % 4096;
}

static void take_alternate_stack_away(void)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    expect_eq(sigaltstack(&none, NULL), 0);
}

UNIT(overflow, the_end_of_the_loop_takes_the_alternate_stack_away)
{
    take_alternate_stack_away();
    rig_start();
    cr_assert_not(has_alternate_stack());
    for (int i = 0; i < 2; i++) { /* the second time nothing happens */
        expect_eq(weir_loop_report_stack_overflow(loop, 2), 0);
        cr_assert(has_alternate_stack());
    }
    stack_t own;
    expect_eq(sigaltstack(NULL, &own), 0);
    rig_stop();
    cr_assert_not(has_alternate_stack());
    expect_eq(madvise(page_of(own.ss_sp), 4096, MADV_NORMAL), -1);
    expect_eq(errno, ENOMEM, "its memory is unmapped");
}

UNIT(overflow, an_alternate_stack_of_the_program_stays)
{
    static uint8_t memory[65536];
    stack_t mine = {.ss_sp = memory, .ss_size = sizeof(memory)};
    take_alternate_stack_away();
    expect_eq(sigaltstack(&mine, NULL), 0);
    rig_start();
    expect_eq(weir_loop_report_stack_overflow(loop, 2), 0);
    rig_stop();

    stack_t now;
    expect_eq(sigaltstack(NULL, &now), 0);
    expect_eq(now.ss_sp, memory);
    take_alternate_stack_away();
}

static void *free_loop(void *arg)
{
    expect_eq(weir_loop_free(arg), 0);
    return NULL;
}

/* The loop never ran, so that any thread may free it. */
static void free_elsewhere_and_fault(void)
{
    rig_start();
    install();
    pthread_t thread;
    expect_eq(pthread_create(&thread, NULL, free_loop, loop), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    wr_ignore(write_nowhere(NULL, NULL));
}

UNIT(overflow, a_loop_that_another_thread_freed_is_not_looked_at)
{
    struct ending ending = in_child(free_elsewhere_and_fault);
    cr_assert_str_empty(ending.text);
    expect_signal(&ending, SIGSEGV);
}

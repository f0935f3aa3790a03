/*
 * The end of subprocess transports with real children: exit, signals, close and
 * abort, many children at once, and the end of the loop.
 *
 * Each test checks that no child is left that was not reaped.
 */
#define UNIT_RUN   child_test
#define UNIT_TAKES struct child *child
#include "tests/contract/child_rig.h"

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

UNIT_IN(subprocess_end, r56__a_signal_is_a_negative_returncode, children_run,
        void)
{
    const int signals[] = {SIGTERM, SIGKILL, SIGUSR1, SIGSEGV};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct child child = {.t = NULL};
        int code = 77;
        child_exec(&child, (const char *const[]){"sleep", "1000", NULL}, NULL);
        one_turn();
        expect_eq(weir_transport_get_returncode(child.t, &code), -EAGAIN);
        expect_eq(code, 77);
        expect_eq(weir_transport_send_signal(child.t, signals[i]), 0);
        child_wait(&child);
        expect_eq(child_returncode(&child), -signals[i]);
        child_forget(&child);
    }
}

/* Since Linux 6.15 the kernel reports the status of a reaped child as well. */
static void expect_stolen(const struct child *child, int expected)
{
    char features[4096];
    int code = 77;

    weir_loop_get_features_text(loop, features, sizeof(features));
    const char *at = strstr(features, "pidfd_info");
    cr_assert_not_null(at);
    int err = weir_transport_get_returncode(child->t, &code);
    if (strncmp(at + 23, "yes", 3) == 0) {
        expect_eq(err, 0);
        expect_eq(code, expected);
    } else {
        expect_eq(err, WEIR_ENOSTATUS);
        expect_eq(code, 77);
    }
}

UNIT(subprocess_end, r56__a_child_that_other_code_reaps_is_no_hang)
{
    int status;

    child_shell(child, "exit 11", NULL);
    one_turn();
    expect_gt(waitpid(-1, &status, 0), 0);
    child_wait(child);
    cr_assert(child->has_exited);
    expect_eq(child->lost_err, 0);
    expect_stolen(child, 11);
    expect_eq(weir_transport_kill(child->t), -ESRCH);
}

UNIT(subprocess_end, r56__SIGCHLD_that_is_ignored_is_no_hang)
{
    signal(SIGCHLD, SIG_IGN);
    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, NULL);
    one_turn();
    expect_eq(weir_transport_kill(child->t), 0);
    child_wait(child);
    expect_stolen(child, -SIGKILL);
    child_forget(child);
    signal(SIGCHLD, SIG_DFL);
}

static void count_signal(int signum)
{
    event_count++;
}

UNIT(subprocess_end, a_failed_start_is_no_SIGCHLD_to_the_program)
{
    const struct weir_factory factory = child_factory(child);
    const char *const argv[] = {"/nowhere", NULL};

    signal(SIGCHLD, count_signal);
    expect_eq(
        weir_subprocess_exec(loop, &factory, argv, NULL, NULL, NULL, NULL),
        -ENOENT);
    expect_eq(event_count, 0);
    child_shell(child, "exit 0", NULL);
    child_wait(child);
    expect_eq(event_count, 1); /* a child's end is still reported */
    child_forget(child);
    signal(SIGCHLD, SIG_DFL);
}

UNIT_IN(subprocess_end, r58__a_signal_never_reaches_another_process,
        children_run, void)
{
    for (int i = 0; i < 100; i++) {
        struct child child = {.t = NULL};
        child_shell(&child, "exit 0", NULL);
        while (!child.is_lost) {
            one_turn();
            int err = weir_transport_send_signal(child.t, 0);
            expect_eq(err, child.has_exited ? -ESRCH : 0);
        }
        expect_eq(child_returncode(&child), 0);
        expect_eq(weir_transport_terminate(child.t), -ESRCH);
        child_forget(&child);
    }
}

UNIT(subprocess_end, r54__close_terminates_and_the_loss_follows)
{
    child_shell(
        child, "trap 'exit 12' TERM; echo; while :; do sleep 0.01; done", NULL);
    while (child->byte_count[1] == 0) {
        one_turn();
    }
    expect_eq(weir_transport_close(child->t), 0);
    cr_assert(weir_transport_is_closing(child->t));
    expect_eq(weir_transport_close(child->t), 0);
    cr_assert(!child->is_lost);
    child_wait(child);
    expect_eq(child_returncode(child), 12);
    expect_eq(weir_transport_get_end(child->t), WEIR_END_CLOSED);
    expect_eq(child->lost_err, 0);
    expect_eq(weir_transport_close(child->t), 0);
    expect_eq(weir_transport_abort(child->t), 0);
}

UNIT(subprocess_end,
     r54__a_child_that_ignores_SIGTERM_is_killed_after_the_grace)
{
    const struct weir_spawn_options spawn = {.close_grace_ns = 50 * MS};

    child_shell(child, "trap '' TERM; echo; while :; do sleep 0.01; done",
                &spawn);
    while (child->byte_count[1] == 0) {
        one_turn();
    }
    const uint64_t before_ns = clock_ns();
    expect_eq(weir_transport_close(child->t), 0);
    child_wait(child);
    /* tests/trace/child.c checks that the grace period is not longer either. */
    expect_geq(clock_ns() - before_ns, 50 * MS);
    expect_eq(child_returncode(child), -SIGKILL);
}

UNIT(subprocess_end, r54__kill_at_close_leaves_no_grace)
{
    const struct weir_spawn_options spawn = {.kill_at_close = true};

    child_shell(child, "trap 'exit 1' TERM; while :; do sleep 0.01; done",
                &spawn);
    one_turn();
    expect_eq(weir_transport_close(child->t), 0);
    child_wait(child);
    expect_eq(child_returncode(child), -SIGKILL);
}

UNIT(subprocess_end, abort_kills_and_drops_what_was_written)
{
    child->made = child_write_much;
    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, NULL);
    one_turn();
    expect_eq(weir_transport_abort(child->t), 0);
    cr_assert(!child->is_lost);
    child_wait(child);
    expect_eq(child_returncode(child), -SIGKILL);
    expect_eq(weir_transport_get_end(child->t), WEIR_END_ABORTED);
    expect_eq(child->lost_err, 0);
}

UNIT(subprocess_end, abort_after_close_does_not_wait_for_the_grace)
{
    const struct weir_spawn_options spawn = {.close_grace_ns = 200000 * MS};

    child_shell(child, "trap '' TERM; echo; while :; do sleep 0.01; done",
                &spawn);
    while (child->byte_count[1] == 0) {
        one_turn();
    }
    const uint64_t before_ns = clock_ns();
    expect_eq(weir_transport_close(child->t), 0);
    expect_eq(weir_transport_abort(child->t), 0);
    child_wait(child);
    expect_lt(clock_ns() - before_ns, 100000 * MS);
    expect_eq(weir_transport_get_end(child->t),
              WEIR_END_CLOSED); /* the first end counts */
}

UNIT(subprocess_end, close_of_one_pipe_leaves_the_others)
{
    child_shell(child, "read x; echo a >&2; echo b", NULL);
    one_turn();
    expect_eq(weir_transport_close(child_pipe(child, 1)), 0);
    expect_eq(weir_transport_write(child_pipe(child, 0), "x\n", 2), 0);
    child_wait(child);
    expect_str_eq(child->bytes[1], "");
    cr_assert_not_null(strstr(child->bytes[2], "a\n"));
}

UNIT_IN(subprocess_end, a_thousand_children_in_turn, children_run, void)
{
    const char *const argv[] = {"/bin/true", NULL};
    uint64_t memory = 0;

    for (int i = 0; i < 1000; i++) {
        struct child child = {.t = NULL};
        memory = i == 100 ? statistics().memory_bytes : memory;
        child_exec(&child, argv, NULL);
        child_wait(&child);
        expect_eq(child_returncode(&child), 0);
        child_forget(&child);
        child_expect_none();
    }
    expect_leq(statistics().memory_bytes, memory);
}

UNIT_IN(subprocess_end, the_end_of_the_loop_kills_and_reaps, unit_alone, void)
{
    struct child children[3] = {{.t = NULL}};
    const char *const argv[] = {"sleep", "1000", NULL};

    open_loop(NULL);
    child_shell(&children[0], "trap '' TERM; exec sleep 1000", NULL);
    child_exec(&children[1], argv, NULL);
    one_turn();
    expect_eq(weir_transport_close(children[1].t), 0);
    child_exec(&children[2], argv, NULL); /* not connected yet */
    expect_geq(weir_loop_free(loop), 3);
    child_expect_none();
    cr_assert(children[0].is_lost && children[1].is_lost);
    expect_eq(child_returncode(&children[0]), -SIGKILL);
    expect_eq(children[2].done_err, -ECANCELED);
    expect_str_eq(children[2].notes, "");
    child_forget(&children[0]);
    child_forget(&children[1]);
}

UNIT(subprocess_end, r67__a_forked_process_cannot_use_it)
{
    const struct weir_factory factory = child_factory(child);
    const char *const argv[] = {"true", NULL};
    int status;

    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, NULL);
    one_turn();
    const pid_t pid = fork();
    if (pid == 0) {
        int code;
        const bool good =
            weir_transport_kill(child->t) == -ECHILD &&
            weir_transport_killpg(child->t, SIGKILL) == -ECHILD &&
            weir_transport_get_returncode(child->t, &code) == -ECHILD &&
            weir_transport_get_pid(child->t) == -ECHILD &&
            weir_subprocess_exec(loop, &factory, argv, NULL, NULL, NULL,
                                 NULL) == -ECHILD;
        _exit(good ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    expect_eq(status, 0);
    expect_eq(weir_transport_kill(child->t), 0);
    child_wait(child);
}

/* Traces a process and does nothing until it is killed: children that end
 * meanwhile stay the tracer's. Returns its number, or 0 if tracing is not
 * allowed. */
static pid_t trace(pid_t pid)
{
    int ends[2];
    char is_tracing = 0;

    expect_eq(pipe(ends), 0);
    const pid_t tracer = fork();
    cr_assert_geq(tracer, 0);
    if (tracer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        is_tracing = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
        if (write(ends[1], &is_tracing, 1) == 1) {
            pause();
        }
        _exit(0);
    }
    expect_eq(read(ends[0], &is_tracing, 1), 1);
    close_ends(ends);
    return is_tracing ? tracer : 0;
}

UNIT(subprocess_end, a_child_that_its_tracer_keeps_costs_no_turns)
{
    child_shell(child, "exec sleep 1000", NULL);
    one_turn();
    const pid_t pid = weir_transport_get_pid(child->t);
    const pid_t tracer = trace(pid);
    expect_eq(kill(pid, SIGKILL), 0);
    if (tracer > 0) {
        const uint64_t before = turns();
        later(200 * MS, stop_loop, NULL);
        run_until_stopped();
        cr_assert(!child->has_exited);
        cr_assert_lt(turns() - before, 1000);
        expect_eq(kill(tracer, SIGKILL), 0);
        expect_eq(waitpid(tracer, NULL, 0), tracer);
    }
    child_wait(child);
    expect_eq(child_returncode(child), -SIGKILL);
}

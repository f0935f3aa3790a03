/*
 * Subprocess transports with real children: the protocol's callbacks and their
 * order, from the start on.
 *
 * subprocess_end.c tests how they end.
 */
#define UNIT_RUN   child_test
#define UNIT_TAKES struct child *child
#include "tests/contract/child_rig.h"
#include "tests/contract/quiet.h"
#include "tests/dump.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Returns the number that the child has written, which may arrive after its
 * end. */
static pid_t grandchild_of(const struct child *child)
{
    while (child->byte_count[1] == 0) {
        one_turn();
    }
    const pid_t pid = atoi(child->bytes[1]);
    cr_assert_gt(pid, 1);
    return pid;
}

UNIT(subprocess, r51__is_made_before_anything_else_is_told)
{
    siginfo_t info;

    child_shell(child, "echo out; echo err >&2; exit 3", NULL);
    /* All of it has happened before the loop runs. */
    expect_eq(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0);
    child_wait(child);

    cr_assert_eq(strncmp(child->notes, "made", 4), 0);
    expect_str_eq(child->bytes[1], "out\n");
    expect_str_eq(child->bytes[2], "err\n");
    expect_eq(child_returncode(child), 3);
    expect_eq(child->lost_err, 0);
    expect_eq(weir_transport_get_end(child->t), WEIR_END_EOF);
    cr_assert(child->is_done);
}

UNIT(subprocess, r52__is_lost_last_after_the_pipes_and_the_child)
{
    child_shell(child, "exec 1>&-; exec 2>&-; read x", NULL);
    while (child->pipe_err[1] == 1 || child->pipe_err[2] == 1) {
        one_turn();
    }
    cr_assert(!child->has_exited);
    expect_eq(weir_transport_close(child_pipe(child, 0)), 0);
    child_wait(child);

    expect_eq(strlen(child->notes),
              strlen("made lost1 lost2 lost0 exited lost"));
    cr_assert(strstr(child->notes, "lost0 exited lost") ||
              strstr(child->notes, "exited lost0 lost"));
    expect_eq(child->pipe_err[0] | child->pipe_err[1] | child->pipe_err[2], 0);
}

UNIT(subprocess, r52__a_grandchild_with_the_pipes_delays_the_loss_alone)
{
    child_shell(child, "sleep 1000 & echo $!", NULL);
    child_wait_exit(child);
    expect_eq(child_returncode(child), 0);
    for (int i = 0; i < 20; i++) {
        one_turn();
    }
    cr_assert(!child->is_lost);
    expect_eq(child->pipe_err[1], 1);
    expect_eq(kill(grandchild_of(child), SIGKILL), 0);
    child_wait(child);
    expect_eq(child->pipe_err[1], 0);
}

UNIT(subprocess, close_frees_from_a_grandchild_with_the_pipes)
{
    child_shell(child, "sleep 1000 & echo $!", NULL);
    child_wait_exit(child);
    const pid_t grandchild = grandchild_of(child);
    expect_eq(weir_transport_close(child->t), 0);
    child_wait(child);
    expect_eq(weir_transport_get_end(child->t), WEIR_END_CLOSED);
    expect_eq(child->lost_err, 0);
    expect_eq(kill(grandchild, SIGKILL), 0);
}

UNIT(subprocess, r53__a_child_that_closes_its_input_ends_the_pipe)
{
    child_shell(child, "exec 0<&-; sleep 0.05; exit 0", NULL);
    child_wait(child);
    expect_eq(child->pipe_err[0], 0);
}

UNIT(subprocess, r53__input_that_no_one_reads_is_EPIPE)
{
    child->made = child_write_much;
    child_shell(child, "head -c 10 >/dev/null; exit 9", NULL);
    child_wait(child);
    expect_eq(child->pipe_err[0], -EPIPE);
    expect_eq(child_returncode(child), 9);
    expect_eq(child->lost_err, 0);
}

static void end_input(struct child *child)
{
    expect_eq(weir_transport_close(child_pipe(child, 0)), 0);
}

UNIT(subprocess, r23__pause_and_resume_speak_of_the_input)
{
    child->made = child_write_much;
    child->resumed = end_input;
    child_shell(child, "wc -c", NULL);
    child_wait(child);
    cr_assert_eq(strncmp(child->notes, "made pause resume ", 18), 0);
    expect_str_eq(child->bytes[1], "1048576\n");
}

UNIT(subprocess, a_shell_runs_a_command)
{
    const struct weir_factory factory = child_factory(child);
    const struct weir_spawn_options options = {.size = sizeof(options)};

    child->pipe_err[0] = child->pipe_err[1] = child->pipe_err[2] = 1;
    expect_ok(weir_subprocess_shell(loop, &factory,
                                    "echo $((6 * 7)); weir-no-such-command",
                                    &options, child_done, child, NULL));
    child_wait(child);
    expect_str_eq(child->bytes[1], "42\n");
    expect_eq(child_returncode(child), 127);
}

static void close_now(struct child *child)
{
    expect_eq(weir_transport_close(child->t), 0);
}

static void abort_now(struct child *child)
{
    expect_eq(weir_transport_abort(child->t), 0);
}

static void cancel_now(struct child *child)
{
    weir_pending_cancel(child->handle);
}

UNIT_IN(subprocess, callbacks_may_close_and_abort, children_run, void)
{
    struct child children[] = {{.made = close_now},
                               {.made = abort_now},
                               {.exited = close_now},
                               {.exited = abort_now}};

    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) {
        struct child *child = &children[i];
        child_shell(child, child->made ? "exec sleep 1000" : "exit 0", NULL);
        child_wait(child);
        cr_assert(child->has_exited);
        cr_assert(child->is_done);
        expect_eq(child->done_err, 0);
        child_forget(child);
    }
}

static int hook_count;

static void on_exception(void *arg, weir_loop *on,
                         const struct weir_exception *exception)
{
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    expect_eq(exception->err, -EBADMSG);
    hook_count++;
}

UNIT(subprocess, complaint_76__a_failed_data_callback_aborts_it_all)
{
    child->data_result = -EBADMSG;
    hook_count = 0;
    weir_loop_set_exception_handler(loop, on_exception, NULL);
    child_shell(child, "echo a; sleep 1000", NULL);
    child_wait(child);
    expect_eq(child->lost_err, -EBADMSG);
    expect_eq(child->pipe_err[1], -EBADMSG);
    expect_eq(weir_transport_get_error(child->t), -EBADMSG);
    expect_eq(weir_transport_get_end(child->t), WEIR_END_BROKEN);
    expect_eq(child_returncode(child), -SIGKILL);
    expect_eq(hook_count, 1);
}

UNIT(subprocess, r55__cancel_before_the_protocol_kills_and_reaps)
{
    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, NULL);
    weir_pending_cancel(child->handle);
    weir_pending_cancel(child->handle);
    cr_assert(!child->is_done);
    child_wait(child);
    expect_eq(child->done_err, -ECANCELED);
    expect_str_eq(child->notes, "");
    child_expect_none(); /* when done is called */
}

UNIT(subprocess, r55__cancel_inside_connection_made_aborts)
{
    child->made = cancel_now;
    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, NULL);
    one_turn();
    cr_assert(child->is_done);
    expect_eq(child->done_err, -ECANCELED);
    while (!child->is_lost) {
        run_until_stopped();
    }
    expect_eq(child_returncode(child), -SIGKILL);
}

UNIT(subprocess, a_factory_that_fails_ends_the_child)
{
    child->factory_result = -ENOTTY;
    child_shell(child, "echo; exec sleep 1000", NULL);
    child_wait(child);
    expect_eq(child->done_err, -ENOTTY);
    expect_str_eq(child->notes, "");
    child_expect_none();
}

static CALLBACKS(stream, STREAM);

UNIT(subprocess, a_protocol_of_another_kind_is_refused)
{
    const struct weir_factory factory = bind_to(&stream, NULL);
    const struct weir_spawn_options options = {.size = sizeof(options)};
    const char *const argv[] = {"sleep", "1000", NULL};

    expect_ok(weir_subprocess_exec(loop, &factory, argv, &options, child_done,
                                   child, NULL));
    child_wait(child);
    expect_eq(child->done_err, -EINVAL);
}

UNIT(subprocess, calls_of_another_kind_are_EOPNOTSUPP)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    int code;

    child_exec(child, (const char *const[]){"cat", NULL}, NULL);
    one_turn();
    weir_transport *in = child_pipe(child, 0);
    expect_eq(weir_transport_get_pid(in), -EOPNOTSUPP);
    expect_eq(weir_transport_get_returncode(in, &code), -EOPNOTSUPP);
    expect_eq(weir_transport_kill(in), -EOPNOTSUPP);
    expect_eq(weir_transport_killpg(in, SIGKILL), -EOPNOTSUPP);
    cr_assert_null(weir_transport_get_pipe_transport(in, 0));
    expect_eq(weir_transport_write(child->t, "x", 1), -EOPNOTSUPP);
    expect_eq(weir_transport_write_eof(child->t), -EOPNOTSUPP);
    expect_eq(weir_transport_pause_reading(child->t), -EOPNOTSUPP);
    cr_assert_null(weir_transport_get_pipe_transport(child->t, 3));
    cr_assert_null(weir_transport_get_pipe_transport(child->t, -1));
    cr_assert_null(weir_transport_get_pipe_transport(child->t, INT_MAX));
    expect_eq(weir_transport_get_returncode(child->t, NULL), -EINVAL);
    expect_eq(weir_transport_get_extra_info(child->t, "subprocess", &info), 0);
    expect_geq(info.fd, 0);
    expect_eq(weir_transport_get_extra_info(child->t, "peername", &info),
              -ENOENT);
    expect_eq(weir_transport_close(child->t), 0);
    child_wait(child);
    expect_eq(weir_transport_get_extra_info(child->t, "subprocess", &info), 0);
    expect_eq(info.fd, -EBADF);
}

UNIT(subprocess, the_protocol_can_be_switched)
{
    struct child other = {.pipe_err = {1, 1, 1}};
    const struct weir_protocol_binding binding = {&child_protocol, &other};

    child_shell(child, "read x; echo b", NULL);
    one_turn();
    expect_eq(weir_transport_set_protocol(child->t, &binding, NULL, 0), 0);
    expect_eq(weir_transport_write(child_pipe(child, 0), "\n", 1), 0);
    child_wait(&other);
    expect_str_eq(child->notes, "made");
    expect_str_eq(other.bytes[1], "b\n");
    expect_eq(weir_transport_set_protocol(child->t, &binding, NULL, 0),
              -ESHUTDOWN);
}

UNIT(subprocess, the_protocol_of_a_pipe_cannot_be_switched)
{
    const struct weir_protocol_binding binding = {&stream, NULL};

    child_exec(child, (const char *const[]){"cat", NULL}, NULL);
    one_turn();
    for (int fd = 0; fd < 3; fd++) {
        expect_eq(weir_transport_set_protocol(child_pipe(child, fd), &binding,
                                              NULL, 0),
                  -EOPNOTSUPP);
    }
    weir_transport_abort(child->t);
    child_wait(child);
}

UNIT(subprocess, the_dump_has_a_line_for_it)
{
    char expected[64];

    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, NULL);
    one_turn();
    snprintf(expected, sizeof(expected), "subprocess open pid=%d child=running",
             (int)weir_transport_get_pid(child->t));
    expect_dumped(loop, expected);
    expect_eq(weir_transport_abort(child->t), 0);
    child_wait(child);
}

static void start_without_input(struct child *child, int input,
                                enum weir_stdio_kind out, const char *command)
{
    close(0);
    child_shell(child, command,
                SIZED(weir_spawn_options, .in = {WEIR_STDIO_FD, input},
                      .out = {out, 0}, .err = {WEIR_STDIO_INHERIT, 0}));
}

static void expect_zero_closed(int input)
{
    expect_eq(fcntl(0, F_GETFD), -1);
    expect_eq(dup2(input, 0), 0);
    close(input);
}

UNIT(subprocess, a_childs_pipe_may_have_descriptor_0)
{
    const int input = dup(0);
    struct weir_extra_info info = {.size = sizeof(info)};

    start_without_input(child, input, WEIR_STDIO_PIPE, "echo here");
    one_turn();
    expect_ok(
        weir_transport_get_extra_info(child_pipe(child, 1), "pipe", &info));
    expect_eq(info.fd, 0);
    child_wait(child);
    expect_str_eq(child->bytes[1], "here\n");
    expect_zero_closed(input);
}

UNIT(subprocess, a_child_itself_may_have_descriptor_0)
{
    const int input = dup(0);
    struct weir_extra_info info = {.size = sizeof(info)};

    start_without_input(child, input, WEIR_STDIO_INHERIT, "exit 0");
    one_turn();
    expect_ok(weir_transport_get_extra_info(child->t, "subprocess", &info));
    expect_eq(info.fd, 0);
    child_wait(child);
    expect_eq(child_returncode(child), 0);
    expect_zero_closed(input);
}

UNIT(subprocess, errors_may_lead_where_output_leads_by_descriptor_0)
{
    const int input = dup(0);
    char text[16] = "";

    close(0);
    expect_eq(memfd_create("output", MFD_CLOEXEC), 0);
    child_shell(
        child, "echo a; echo b >&2",
        &(struct weir_spawn_options){.size = sizeof(struct weir_spawn_options),
                                     .in = {WEIR_STDIO_DEVNULL, 0},
                                     .out = {WEIR_STDIO_FD, 0},
                                     .err = {WEIR_STDIO_STDOUT, 0}});
    child_wait(child);
    expect_eq(pread(0, text, sizeof(text) - 1, 0), 4);
    expect_str_eq(text, "a\nb\n");
    close(0);
    expect_zero_closed(input);
}

static int write_much_early(void *arg, weir_transport *t,
                            struct weir_protocol_binding *ret)
{
    static const char bytes[1 << 20];
    weir_transport *in = weir_transport_get_pipe_transport(t, 0);

    if (in) { /* which pauses a protocol that is not known yet */
        expect_eq(weir_transport_write(in, bytes, sizeof(bytes)), 0);
    }
    *ret = (struct weir_protocol_binding){&child_protocol, arg};
    return 0;
}

UNIT(subprocess, has_no_pipes_for_its_factory)
{
    child->pipe_err[0] = child->pipe_err[1] = child->pipe_err[2] = 1;
    const char *const argv[] = {"true", NULL};
    const struct weir_factory factory = {write_much_early, child};
    const struct weir_spawn_options options = {.size = sizeof(options)};

    expect_ok(weir_subprocess_exec(loop, &factory, argv, &options, child_done,
                                   child, &child->handle));
    child_wait(child);
    cr_assert_eq(strncmp(child->notes, "made", 4), 0);
}

static int find_pidfd(void)
{
    int found = -1;
    for (int fd = 0; fd < 256; fd++) {
        char path[64];
        char target[64] = "";
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof(target) - 1) > 0 &&
            strstr(target, "pidfd")) {
            expect_eq(found, -1);
            found = fd;
        }
    }
    expect_geq(found, 0);
    return found;
}

/* A pidfd is readable forever once its child has ended. */
UNIT(subprocess, a_pidfd_that_lives_on_does_not_wake_a_host)
{
    expect_geq(weir_loop_get_fd(loop), 0);
    child_shell(child, "exec 1>&-; exec 2>&-; read x", NULL);
    while (child->pipe_err[1] == 1 || child->pipe_err[2] == 1) {
        one_turn();
    }
    const int kept = keep_file_of(find_pidfd());
    expect_eq(weir_transport_close(child_pipe(child, 0)), 0);
    child_wait(child);
    child_forget(child);

    expect_guest_rests(loop);
    close(kept);
}

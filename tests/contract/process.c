/*
 * Processes in tasks, with real children: bash, cat, tee and sleep, which know
 * nothing of weir.
 *
 * Operations that a test cancels may end after its body, but before the loop
 * does.
 */
#include "tests/contract/child_rig.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <weir/process.h>
#include <weir/task.h>

enum { MIB = 1 << 20 };

static const struct weir_stdio a_pipe = {WEIR_STDIO_PIPE, 0};

static struct weir_process_options all_pipes(void)
{
    return (struct weir_process_options){
        .size = sizeof(struct weir_process_options),
        .spawn = {.in = a_pipe, .out = a_pipe, .err = a_pipe},
    };
}

static weir_process *start(const char *command,
                           const struct weir_process_options *options)
{
    const char *const argv[] = {"bash", "-c", command, NULL};
    weir_process *process = NULL;

    expect_eq(weir_create_subprocess_exec(loop, argv, options, &process), 0);
    cr_assert_not_null(process);
    return process;
}

static weir_process *start_pipes(const char *command)
{
    const struct weir_process_options options = all_pipes();

    return start(command, &options);
}

static int wait_for(weir_process *process)
{
    int code = -1000;

    expect_eq(weir_process_wait(process, &code), 0);
    return code;
}

static bool is_gone(pid_t pid)
{
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static void wait_until_gone(pid_t pid)
{
    while (!is_gone(pid)) {
        expect_eq(weir_sleep(loop, MS), 0);
    }
}

TASK(process, inherits_what_is_not_asked_for)
{
    weir_process *process = start("exit 7", NULL);

    cr_assert_null(weir_process_get_stdin(process));
    cr_assert_null(weir_process_get_stdout(process));
    cr_assert_null(weir_process_get_stderr(process));
    expect_gt(weir_process_get_pid(process), 0);
    expect_eq(wait_for(process), 7);
    expect_eq(wait_for(process), 7);
    expect_eq(weir_process_send_signal(process, SIGTERM), -ESRCH);
    weir_process_free(process);
}

TASK(process, lines_go_to_a_child_and_come_back)
{
    weir_process *process = start_pipes("while read line; do echo \"<$line>\"; "
                                        "done; echo end >&2");
    weir_writer *in = weir_process_get_stdin(process);
    char line[64];
    int code;

    for (int i = 0; i < 10; i++) {
        expect_eq(weir_writer_write(in, "a b\n", 4), 0);
        expect_eq(weir_reader_readline(weir_process_get_stdout(process), line,
                                       sizeof(line)),
                  6);
        cr_assert_eq(memcmp(line, "<a b>\n", 6), 0);
    }
    expect_eq(weir_process_get_returncode(process, &code), -EAGAIN);
    weir_writer_close(in);
    expect_eq(weir_reader_readline(weir_process_get_stderr(process), line,
                                   sizeof(line)),
              4);
    expect_eq(weir_reader_read(weir_process_get_stdout(process), line, 1), 0);
    expect_eq(wait_for(process), 0);
    expect_eq(weir_writer_wait_closed(in), 0);
    weir_process_free(process);
}

TASK(process, errors_of_the_start_are_returned)
{
    const char *const argv[] = {"weir-no-such-program", NULL};
    struct weir_process_options options = all_pipes();
    weir_process *process = NULL;

    expect_eq(weir_create_subprocess_exec(loop, argv, &options, &process),
              -ENOENT);
    options.limit_bytes = UINT64_MAX;
    expect_eq(weir_create_subprocess_exec(loop, argv, &options, &process),
              -EINVAL);
    expect_eq(weir_create_subprocess_exec(loop, argv, NULL, NULL), -EINVAL);
    expect_eq(weir_create_subprocess_shell(loop, NULL, NULL, &process),
              -EINVAL);
    options = (struct weir_process_options){.size = 3};
    expect_eq(weir_create_subprocess_exec(loop, argv, &options, &process),
              WEIR_EOPTIONSIZE);
    cr_assert_null(process);
}

UNIT(process, is_made_by_tasks_only)
{
    const char *const argv[] = {"true", NULL};
    weir_process *process;

    open_loop(NULL);
    expect_eq(weir_create_subprocess_exec(loop, argv, NULL, &process),
              WEIR_ENOTTASK);
    close_loop();
}

TASK(process, complaint_71__wait_does_not_wait_for_grandchildren)
{
    weir_process *process = start_pipes("sleep 1000 & echo $!");
    char line[32] = "";
    const uint64_t before_ns = clock_ns();

    expect_eq(wait_for(process), 0);
    expect_lt(clock_ns() - before_ns, 100000 * MS, "the child sleeps 1000 s");
    expect_gt(weir_reader_readline(weir_process_get_stdout(process), line,
                                   sizeof(line)),
              0);
    weir_process_free(process);
    cr_assert_gt(atoi(line), 1);
    expect_eq(kill(atoi(line), SIGKILL), 0);
}

TASK(process, wait_that_is_cancelled_leaves_the_child_alone)
{
    weir_process *process = start("exec sleep 1000", NULL);
    struct weir_timeout timeout;

    expect_eq(weir_timeout_begin(loop, &timeout, 5 * MS), 0);
    expect_eq(weir_timeout_end(&timeout, weir_process_wait(process, NULL)),
              -ETIMEDOUT);
    expect_eq(weir_process_kill(process), 0);
    expect_eq(wait_for(process), -SIGKILL);
    weir_process_free(process);
}

static int wait_in_a_task(weir_loop *on, void *arg)
{
    return wait_for(arg);
}

TASK(process, several_tasks_wait_for_one_child)
{
    weir_process *process = start("exit 5", NULL);
    weir_task *tasks[3];

    for (int i = 0; i < 3; i++) {
        expect_ok(
            weir_task_spawn(loop, wait_in_a_task, process, NULL, &tasks[i]));
    }
    for (int i = 0; i < 3; i++) {
        int result;
        expect_eq(weir_task_join(tasks[i], &result), 0);
        expect_eq(result, 5);
    }
    weir_process_free(process);
}

TASK(process, may_be_freed_while_a_task_waits_for_it)
{
    struct weir_process_options options = all_pipes();
    options.spawn.close_grace_ns = 60000 * MS;
    weir_process *process = start(
        "trap 'exit 3' TERM; echo; while :; do sleep 0.01; done", &options);
    weir_task *task;
    char line[4];
    int result;

    expect_eq(weir_reader_readline(weir_process_get_stdout(process), line,
                                   sizeof(line)),
              1); /* the trap is installed */
    expect_eq(weir_task_spawn(loop, wait_in_a_task, process, NULL, &task), 0);
    expect_eq(weir_yield(loop), 0);
    weir_process_free(process);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, 3); /* SIGTERM, and time to end by itself */
}

TASK(process, communicate_feeds_and_collects_at_the_same_time)
{
    weir_process *process = start_pipes("tee /dev/stderr");
    struct weir_process_output output = {.size = sizeof(output)};
    char *input = malloc(MIB);

    cr_assert_not_null(input);
    for (int i = 0; i < MIB; i++) {
        input[i] = (char)(i * 7);
    }
    expect_eq(weir_process_communicate(process, input, MIB, 0, &output), 0);
    expect_eq(output.out_len, MIB);
    expect_eq(output.err_len, MIB);
    cr_assert_eq(memcmp(output.out, input, MIB), 0);
    cr_assert_eq(memcmp(output.err, input, MIB), 0);
    expect_eq(output.out[MIB], 0);
    expect_eq(wait_for(process), 0);
    free(input);
    weir_process_free(process);
}

TASK(process, complaint_73__communicate_ends_an_input_that_is_empty)
{
    weir_process *process = start_pipes("cat; echo done");
    struct weir_process_output output = {.size = sizeof(output)};

    expect_eq(weir_process_communicate(process, NULL, 0, 0, &output), 0);
    expect_str_eq(output.out, "done\n");
    expect_str_eq(output.err, "");
    weir_process_free(process);
}

TASK(process, complaint_72__communicate_keeps_its_output_when_cancelled)
{
    weir_process *process =
        start_pipes("trap go=1 USR1; echo first; "
                    "while [ -z \"$go\" ]; do sleep 0.01; done; "
                    "echo second; cat; exit 4");
    struct weir_process_output output = {.size = sizeof(output)};
    struct weir_timeout timeout;
    int code;

    do {
        expect_eq(weir_timeout_begin(loop, &timeout, 40 * MS), 0);
        expect_eq(
            weir_timeout_end(&timeout, weir_process_communicate(process, "in\n",
                                                                3, 0, &output)),
            -ETIMEDOUT);
    } while (output.out_len == 0);
    expect_str_eq(output.out, "first\n");
    expect_eq(weir_process_send_signal(process, SIGUSR1), 0);
    expect_eq(weir_process_communicate(process, "in", 2, 0, &output), -EINVAL);
    expect_eq(weir_process_communicate(process, "in\n", 3, 0, &output), 0);
    expect_str_eq(output.out, "first\nsecond\nin\n");
    expect_eq(weir_process_get_returncode(process, &code), 0);
    expect_eq(code, 4);
    expect_eq(weir_process_communicate(process, "in\n", 3, 0, &output), 0);
    expect_str_eq(output.out, "first\nsecond\nin\n");
    weir_process_free(process);
}

TASK(process, communicate_that_is_cancelled_often_loses_no_byte)
{
    enum { LEN = 4 * MIB };
    weir_process *process = start_pipes("cat");
    struct weir_process_output output = {.size = sizeof(output)};
    char *input = malloc(LEN);
    int cancelled = 0;
    ssize_t err;

    cr_assert_not_null(input);
    for (int i = 0; i < LEN; i++) {
        input[i] = (char)(i * 31 >> 3);
    }
    do {
        struct weir_timeout timeout;
        expect_eq(weir_timeout_begin(loop, &timeout, MS / 2), 0);
        err = weir_process_communicate(process, input, LEN, 0, &output);
        err = weir_timeout_end(&timeout, err);
        cancelled += err == -ETIMEDOUT;
        cr_assert(err == 0 || err == -ETIMEDOUT);
    } while (err < 0);
    expect_gt(cancelled, 0);
    expect_eq(output.out_len, LEN);
    cr_assert_eq(memcmp(output.out, input, LEN), 0);
    free(input);
    weir_process_free(process);
}

TASK(process, communicate_has_a_limit_and_loses_nothing_beyond_it)
{
    weir_process *process = start_pipes("echo 123456789");
    struct weir_process_output output = {.size = sizeof(output)};
    char rest[16];

    expect_eq(weir_process_communicate(process, NULL, 0, 4, &output),
              WEIR_ELIMIT);
    expect_eq(output.out_len, 4);
    expect_str_eq(output.out, "1234");
    expect_eq(
        weir_reader_readexactly(weir_process_get_stdout(process), rest, 6), 6);
    cr_assert_eq(memcmp(rest, "56789\n", 6), 0);
    expect_eq(wait_for(process), 0);
    weir_process_free(process);

    process = start_pipes("echo 123");
    expect_eq(weir_process_communicate(process, NULL, 0, 4, &output), 0);
    expect_str_eq(output.out, "123\n");
    weir_process_free(process);
}

TASK(process, communicate_with_a_child_that_does_not_read)
{
    weir_process *process = start_pipes("exec 0<&-; echo out; exit 2");
    struct weir_process_output output = {.size = sizeof(output)};
    char *input = calloc(1, MIB);

    cr_assert_not_null(input);
    expect_eq(weir_process_communicate(process, input, MIB, 0, &output), 0);
    expect_str_eq(output.out, "out\n");
    expect_eq(wait_for(process), 2);
    free(input);
    weir_process_free(process);
}

TASK(process, communicate_without_pipes_waits_for_the_child)
{
    weir_process *process = start("exit 6", NULL);
    struct weir_process_output output = {.size = sizeof(output)};

    expect_eq(weir_process_communicate(process, "x", 1, 0, &output), -EINVAL);
    expect_eq(weir_process_communicate(process, NULL, 0, 0, &output), 0);
    cr_assert_null(output.out);
    cr_assert_null(output.err);
    expect_eq(wait_for(process), 6);
    weir_process_free(process);
}

static int communicate_in_a_task(weir_loop *on, void *arg)
{
    return weir_process_communicate(arg, NULL, 0, 0, NULL);
}

TASK(process, communicate_is_for_one_task_at_a_time)
{
    weir_process *process = start_pipes("cat");
    weir_task *task;
    int result;

    expect_ok(
        weir_task_spawn(loop, communicate_in_a_task, process, NULL, &task));
    expect_eq(weir_yield(loop), 0);
    expect_eq(weir_process_communicate(process, NULL, 0, 0, NULL), -EBUSY);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, 0);
    weir_process_free(process);
}

struct talk {
    int number;
    bool is_done;
};

static int talk(weir_loop *on, void *arg)
{
    struct talk *talk = arg;
    weir_process *process = start_pipes("cat; cat >&2 </dev/null");
    struct weir_process_output output = {.size = sizeof(output)};
    char text[32];
    const int len = snprintf(text, sizeof(text), "number %d", talk->number);

    expect_ok(weir_process_communicate(process, text, (size_t)len, 0, &output));
    expect_str_eq(output.out, text);
    weir_process_free(process);
    talk->is_done = true;
    return 0;
}

TASK(process, complaint_75__fifty_children_at_once_do_not_mix)
{
    enum { COUNT = 50 };
    struct talk talks[COUNT];
    struct weir_task_group group;

    expect_eq(weir_task_group_begin(loop, &group), 0);
    for (int i = 0; i < COUNT; i++) {
        talks[i] = (struct talk){.number = i};
        expect_ok(weir_task_group_spawn(&group, talk, &talks[i], NULL, NULL));
    }
    expect_eq(weir_task_group_end(&group, 0), 0);
    for (int i = 0; i < COUNT; i++) {
        cr_assert(talks[i].is_done);
    }
}

TASK(process, a_hundred_mebibytes_go_through_cat)
{
    enum { PIECE = 1 << 16, PIECES = 1600 };
    weir_process *process = start_pipes("cat");
    struct weir_process_output output = {.size = sizeof(output)};
    const size_t len = (size_t)PIECE * PIECES;
    char *input = malloc(len);

    cr_assert_not_null(input);
    for (size_t i = 0; i < len; i += 8) {
        const uint64_t word = i * UINT64_C(0x9e3779b97f4a7c15);
        memcpy(input + i, &word, 8);
    }
    expect_eq(weir_process_communicate(process, input, len, len, &output), 0);
    expect_eq(output.out_len, len);
    cr_assert_eq(memcmp(output.out, input, len), 0);
    free(input);
    weir_process_free(process);
}

TASK(process, free_ends_the_child)
{
    weir_process *process = start("exec sleep 1000", NULL);
    const pid_t pid = weir_process_get_pid(process);

    weir_process_free(process);
    wait_until_gone(pid);
    weir_process_free(NULL);
}

TASK(process, signals_reach_the_child)
{
    weir_process *process = start_pipes("trap 'echo usr1' USR1; echo ready; "
                                        "while :; do sleep 0.01; done");
    weir_reader *out = weir_process_get_stdout(process);
    char line[16];

    expect_eq(weir_reader_readline(out, line, sizeof(line)), 6);
    expect_eq(weir_process_send_signal(process, SIGUSR1), 0);
    expect_eq(weir_reader_readline(out, line, sizeof(line)), 5);
    expect_eq(weir_process_send_signal(process, 999), -EINVAL);
    expect_eq(weir_process_terminate(process), 0);
    expect_eq(wait_for(process), -SIGTERM);
    expect_eq(weir_process_kill(process), -ESRCH);
    weir_process_free(process);
}

static int drain_input(weir_loop *on, void *arg)
{
    return weir_writer_drain(weir_process_get_stdin(arg));
}

/* The child stops reading while its own output is not read. */
TASK(process, a_drain_of_the_input_ends_at_the_low_mark)
{
    static const struct weir_water_marks marks = {.high_bytes = 3 * MIB,
                                                  .low_bytes = 2 * MIB};
    char *bytes = test_pages(4 * MIB);
    weir_process *process = start_pipes("exec cat");
    weir_writer *in = weir_process_get_stdin(process);
    weir_reader *out = weir_process_get_stdout(process);
    weir_task *task;
    int result = 1;

    expect_ok(weir_transport_set_write_buffer_limits(
        weir_writer_get_transport(in), marks));
    expect_ok(weir_writer_write(in, bytes, 4 * MIB));
    expect_eq(weir_task_spawn(loop, drain_input, process, NULL, &task), 0);
    expect_eq(weir_yield(loop), 0);
    expect_str_eq(weir_task_get_wait(task), "write");
    expect_eq(weir_reader_readexactly(out, bytes, 3 * MIB), 3 * MIB);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, 0);
    expect_gt(weir_writer_get_write_buffer_size(in), 0, "the rest is not read");
    weir_process_free(process);
}

TASK(process, killpg_reaches_those_that_the_child_left_behind)
{
    struct weir_process_options options = all_pipes();
    options.spawn.start_new_session = true;
    weir_process *process = start("sleep 1000 & echo $!", &options);
    weir_reader *out = weir_process_get_stdout(process);
    char line[16] = "";

    expect_gt(weir_reader_readline(out, line, sizeof(line)), 0);
    const pid_t grandchild = (pid_t)strtol(line, NULL, 10);
    expect_eq(wait_for(process), 0);
    expect_eq(kill(grandchild, 0), 0, "it lives");
    const int err = weir_process_killpg(process, SIGKILL);
    if (err == -EOPNOTSUPP) { /* before Linux 6.9 */
        expect_eq(kill(grandchild, SIGKILL), 0);
    } else {
        expect_eq(err, 0);
    }
    expect_eq(weir_reader_read(out, line, sizeof(line)), 0);
    wait_until_gone(grandchild);
    weir_process_free(process);
}

struct starting {
    pid_t pid;
    int result;
};

static int start_and_be_cancelled(weir_loop *on, void *arg)
{
    const struct weir_process_options options = all_pipes();
    const char *const argv[] = {"sleep", "1000", NULL};
    weir_process *process = NULL;

    int err = weir_create_subprocess_exec(on, argv, &options, &process);
    cr_assert_null(process);
    child_expect_none();
    return err;
}

TASK(process, complaint_74__a_start_that_is_cancelled_kills_the_child)
{
    for (int i = 0; i < 20; i++) {
        weir_task *task;
        int result;
        expect_ok(
            weir_task_spawn(loop, start_and_be_cancelled, NULL, NULL, &task));
        /* The new task suspends in its start before this one continues. */
        expect_eq(weir_yield(loop), 0);
        weir_task_cancel(task);
        expect_eq(weir_task_join(task, &result), 0);
        expect_eq(result, -ECANCELED);
    }
}

static int start_nothing(weir_loop *on, void *arg)
{
    const char *const argv[] = {"weir-no-such-program", NULL};
    weir_process *process;

    return weir_create_subprocess_exec(on, argv, NULL, &process);
}

TASK(process, start_that_is_cancelled_looks_for_no_program)
{
    weir_task *task;
    int result;

    expect_ok(weir_task_spawn(loop, start_nothing, NULL, NULL, &task));
    expect_eq(weir_yield(loop), 0);
    weir_task_cancel(task);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, -ECANCELED);
}

static int count_turns(weir_loop *on, void *arg)
{
    int *turns = arg;

    do {
        (*turns)++;
    } while (weir_yield(on) == 0);
    return 0;
}

TASK(process, starts_one_after_the_other_let_others_run_between)
{
    weir_process *processes[3];
    weir_task *task;
    int turns = 0;

    expect_ok(weir_task_spawn(loop, count_turns, &turns, NULL, &task));
    for (int i = 0; i < 3; i++) {
        const int before = turns;
        processes[i] = start("exit 0", NULL);
        expect_gt(turns, before);
    }
    weir_task_cancel(task);
    expect_eq(weir_task_join(task, NULL), 0);
    for (int i = 0; i < 3; i++) {
        expect_eq(wait_for(processes[i]), 0);
        weir_process_free(processes[i]);
    }
}

static weir_process *left;

static int leave_children(weir_loop *on, void *arg)
{
    left = start_pipes("trap '' TERM; while :; do sleep 0.1; done");
    weir_process_free(start_pipes("trap '' TERM; while :; do sleep 1; done"));
    return 0;
}

UNIT(process, children_that_run_are_killed_with_the_loop)
{
    int result;

    open_loop(NULL);
    expect_eq(weir_loop_run_task(loop, leave_children, NULL, &result), 0);
    const pid_t pid = weir_process_get_pid(left);
    expect_geq(weir_loop_free(loop), 2);
    cr_assert(is_gone(pid));
    child_expect_none();
    expect_eq(weir_process_get_returncode(left, &result), 0);
    expect_eq(result, -SIGKILL);
    weir_process_free(left);
}

static void continue_child(void *arg)
{
    expect_eq(kill(weir_process_get_pid((weir_process *)arg), SIGCONT), 0);
}

static size_t fill(weir_writer *in, const char *bytes, size_t limit_bytes)
{
    size_t written = 0;

    for (int quiet = 0; quiet < 20; quiet++) {
        const size_t room = limit_bytes - weir_writer_get_write_buffer_size(in);
        if (room > 0) {
            expect_eq(weir_writer_write_ref(in, bytes, room, NULL, NULL), 0);
            written += room;
            quiet = 0;
        }
        expect_eq(weir_sleep(loop, 0), 0);
    }
    return written;
}

TASK(process, communicate_waits_for_what_was_written_before)
{
    weir_process *process = start_pipes("exec wc -c");
    const pid_t pid = weir_process_get_pid(process);
    const size_t limit = 64 * MIB;
    struct weir_process_output output = {.size = sizeof(output)};
    char *bytes = calloc(1, limit);
    char text[32];
    siginfo_t info;

    cr_assert_not_null(bytes);
    expect_eq(kill(pid, SIGSTOP), 0);
    expect_eq(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
    const size_t written = fill(weir_process_get_stdin(process), bytes, limit);
    soon(continue_child, process);
    expect_eq(weir_process_communicate(process, bytes, 99, 0, &output), 0);
    snprintf(text, sizeof(text), "%zu\n", written + 99);
    expect_str_eq(output.out, text);
    weir_process_free(process);
    free(bytes);
}

TASK(process, communicate_tells_that_its_input_was_not_taken)
{
    weir_process *process = start_pipes("wc -c");
    struct weir_process_output output = {.size = sizeof(output)};

    weir_writer_close(weir_process_get_stdin(process));
    expect_eq(weir_process_communicate(process, "x", 1, 0, &output),
              -ESHUTDOWN);
    weir_process_free(process);
}

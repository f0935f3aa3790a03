/*
 * Starting a child: what it gets, what it does not get, and how the start can
 * fail.
 *
 * The children themselves print what they have: their descriptors, signals and
 * environment.
 */
#define UNIT_RUN   child_test
#define UNIT_TAKES struct child *child
#include "tests/contract/child_rig.h"
#include "tests/contract/fail_calls.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const struct weir_spawn_options no_stdin = {
    .in = {.kind = WEIR_STDIO_DEVNULL}};

static int fail(const char *const *argv, const struct weir_spawn_options *spawn,
                const char **ret_step)
{
    struct child child = {.t = NULL};
    const struct weir_factory factory = child_factory(&child);
    struct weir_spawn_options options = {.size = sizeof(options)};

    if (spawn) {
        options = *spawn;
    }
    options.size = sizeof(options);
    options.ret_step = ret_step;
    int err = weir_subprocess_exec(loop, &factory, argv, &options, child_done,
                                   &child, &child.handle);
    one_turn();
    cr_assert(!child.is_done);
    cr_assert_null(child.t);
    child_expect_none(); /* not even for a moment */
    return err;
}

static const char *make_file(const char *text, mode_t mode)
{
    static char path[64];

    snprintf(path, sizeof(path), "/tmp/weir-spawn-%d", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    cr_assert_eq(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

UNIT(spawn, a_program_that_does_not_exist_is_ENOENT)
{
    const char *step = NULL;

    expect_eq(
        fail((const char *const[]){"weir-no-such-program", NULL}, NULL, &step),
        -ENOENT);
    expect_str_eq(step, "program");
    expect_eq(fail((const char *const[]){"/nowhere/program", NULL}, NULL, NULL),
              -ENOENT);
    step = NULL;
    expect_eq(fail((const char *const[]){"", NULL}, NULL, &step), -ENOENT);
    expect_str_eq(step, "program", "a name without a character");
}

UNIT(spawn, a_file_that_may_not_be_executed_is_EACCES)
{
    const char *step = NULL;
    const char *path = make_file("#!/bin/sh\n", 0644);

    expect_eq(fail((const char *const[]){path, NULL}, NULL, &step), -EACCES);
    expect_str_eq(step, "program");
    unlink(path);
}

UNIT(spawn, a_file_that_is_no_program_is_ENOEXEC)
{
    const char *path = make_file("neither fish nor flesh\n", 0755);

    expect_eq(fail((const char *const[]){path, NULL}, NULL, NULL), -ENOEXEC);
    unlink(path);
}

UNIT(spawn, arguments_that_are_too_long_are_E2BIG)
{
    char *text = malloc(256 << 10);

    cr_assert_not_null(text);
    memset(text, 'a', 256 << 10);
    text[(256 << 10) - 1] = '\0';
    expect_eq(fail((const char *const[]){"true", text, NULL}, NULL, NULL),
              -E2BIG);
    free(text);
}

UNIT(spawn, a_cwd_that_is_no_directory_says_so)
{
    const char *const argv[] = {"true", NULL};
    struct weir_spawn_options spawn = {.cwd = "/dev/null"};
    const char *step = NULL;

    expect_eq(fail(argv, &spawn, &step), -ENOTDIR);
    expect_str_eq(step, "cwd");
    spawn.cwd = "/nowhere";
    expect_eq(fail(argv, &spawn, &step), -ENOENT);
    expect_str_eq(step, "cwd");
}

UNIT(spawn, a_group_that_does_not_exist_is_EPERM)
{
    const char *const argv[] = {"true", NULL};
    const struct weir_spawn_options spawn = {.use_process_group = true,
                                             .process_group = 1 << 21};
    const char *step = NULL;

    expect_eq(fail(argv, &spawn, &step), -EPERM);
    expect_str_eq(step, "process group");
}

UNIT(spawn, a_descriptor_that_is_not_open_is_EBADF)
{
    const char *const argv[] = {"true", NULL};
    const int passed[] = {999};
    const char *step = NULL;
    struct weir_spawn_options spawn = {.out = {WEIR_STDIO_FD, 999}};

    expect_eq(fail(argv, &spawn, &step), -EBADF);
    expect_str_eq(step, "descriptors");
    spawn = (struct weir_spawn_options){.pass_fds = passed, .pass_fd_count = 1};
    expect_eq(fail(argv, &spawn, &step), -EBADF);
}

static atomic_bool is_reaped_enough;

static void *reap_all(void *arg)
{
    while (!atomic_load(&is_reaped_enough)) {
        waitpid(-1, NULL, __WALL);
    }
    return NULL;
}

UNIT(spawn, a_failed_start_may_be_reaped_by_other_code)
{
    const char *const argv[] = {"/nowhere", NULL};
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, reap_all, NULL), 0);
    for (int i = 0; i < 500; i++) {
        expect_eq(fail(argv, NULL, NULL), -ENOENT);
    }
    atomic_store(&is_reaped_enough, true);
    pthread_join(thread, NULL);
}

UNIT(spawn, misuse_is_told_before_anything_is_made)
{
    const char *const argv[] = {"true", NULL};
    const char *const none[] = {NULL};
    const int low[] = {2};

    expect_eq(fail(none, NULL, NULL), -EINVAL);
    expect_eq(fail(NULL, NULL, NULL), -EINVAL);
    expect_eq(fail(argv, &(struct weir_spawn_options){.in = {9, 0}}, NULL),
              -EINVAL);
    expect_eq(fail(argv,
                   &(struct weir_spawn_options){.in = {WEIR_STDIO_STDOUT, 0}},
                   NULL),
              -EINVAL);
    expect_eq(fail(argv,
                   &(struct weir_spawn_options){.out = {WEIR_STDIO_PIPE, 7}},
                   NULL),
              -EINVAL);
    expect_eq(fail(argv,
                   &(struct weir_spawn_options){.err = {WEIR_STDIO_FD, -1}},
                   NULL),
              -EBADF);
    expect_eq(
        fail(argv,
             &(struct weir_spawn_options){.pass_fds = low, .pass_fd_count = 1},
             NULL),
        -EINVAL);
    expect_eq(
        fail(argv, &(struct weir_spawn_options){.pass_fd_count = 1}, NULL),
        -EINVAL);
    expect_eq(
        fail(argv, &(struct weir_spawn_options){.process_group = 5}, NULL),
        -EINVAL);
}

UNIT(spawn, a_handle_without_done_and_a_missing_factory_are_refused)
{
    const char *const argv[] = {"true", NULL};
    const struct weir_factory factory = child_factory(child);
    const struct weir_factory none = {NULL, NULL};
    struct weir_spawn_options options = {.size = 1};
    weir_pending *handle;

    expect_eq(
        weir_subprocess_exec(loop, &factory, argv, NULL, NULL, NULL, &handle),
        -EINVAL);
    expect_eq(weir_subprocess_exec(loop, &none, argv, NULL, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_subprocess_exec(loop, NULL, argv, NULL, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(
        weir_subprocess_shell(loop, &factory, NULL, NULL, NULL, NULL, NULL),
        -EINVAL);
    expect_eq(
        weir_subprocess_exec(loop, &factory, argv, &options, NULL, NULL, NULL),
        WEIR_EOPTIONSIZE);
}

UNIT(spawn, EMFILE_at_each_descriptor_leaves_nothing)
{
    const char *const argv[] = {"true", NULL};
    const struct weir_factory factory = child_factory(NULL);
    struct rlimit before;
    rlim_t room = 0;
    int err;

    do {
        struct rlimit limit;

        cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
        const int next = dup(0);
        cr_assert_geq(next, 0);
        close(next);
        limit = before;
        limit.rlim_cur = (rlim_t)next + room;
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
        /* A loop that is never run makes no protocol. */
        err =
            weir_subprocess_exec(loop, &factory, argv, NULL, NULL, NULL, NULL);
        cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
        expect_eq(err, err < 0 ? -EMFILE : 0, "room for %d", (int)room);
        room++;
    } while (err < 0);
    expect_gt(room, 7); /* three pipes and a pidfd */
    children_left = 1;
}

/* Acts as a user who may have no more processes; root may have any number. */
static int try_without_processes(void)
{
    const struct rlimit none = {0, 0};
    struct child child = {.t = NULL};
    const struct weir_factory factory = child_factory(&child);
    const char *const argv[] = {"/bin/true", NULL};

    if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0)) {
        return 1;
    }
    if (weir_loop_new(NULL, &loop) < 0 || setrlimit(RLIMIT_NPROC, &none) < 0) {
        return 2;
    }
    int err =
        weir_subprocess_exec(loop, &factory, argv, NULL, NULL, NULL, NULL);
    return err == -EAGAIN && weir_loop_free(loop) == 0 ? 0 : 3;
}

UNIT_IN(spawn, too_many_processes_are_EAGAIN, unit_alone, void)
{
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(try_without_processes());
    }
    expect_eq(end_of(pid), 0);
}

UNIT(spawn, the_program_is_looked_up_in_the_childs_PATH)
{
    const char *const env[] = {"A=1", "PATH=/nowhere::/bin:/usr/bin", NULL};
    const char *const argv[] = {"renamed", "-c", "echo $0; pwd", NULL};
    const struct weir_spawn_options spawn = {
        .executable = "bash", .env = env, .cwd = "/usr"};

    child_exec(child, argv, &spawn);
    child_wait(child);
    expect_str_eq(child->bytes[1], "renamed\n/usr\n");
}

UNIT(spawn, an_empty_entry_of_PATH_is_the_childs_cwd)
{
    const char *const env[] = {"PATH=:/nowhere", NULL};
    const char *path = make_file("#!/bin/sh\necho here\n", 0755);
    const char *const argv[] = {path + strlen("/tmp/"), NULL};
    const struct weir_spawn_options spawn = {.env = env, .cwd = "/tmp"};

    child_exec(child, argv, &spawn);
    child_wait(child);
    expect_str_eq(child->bytes[1], "here\n");
    child_forget(child);
    unlink(path);
}

UNIT(spawn, the_environment_is_the_parents_or_the_one_given)
{
    const char *const env[] = {"WEIR_A=b", NULL};
    struct child other = {.t = NULL};
    const struct weir_spawn_options spawn = {.env = env};
    const char *const argv[] = {"/usr/bin/env", NULL};

    child_exec(child, argv, &spawn);
    child_wait(child);
    expect_str_eq(child->bytes[1], "WEIR_A=b\n");
    child_forget(child);
    cr_assert_eq(setenv("WEIR_C", "d", 1), 0);
    expect_str_eq(child_output(&other, "echo $WEIR_C", NULL), "d\n");
}

UNIT(spawn, a_program_without_environment_gives_none)
{
    char **before = environ;

    environ = NULL;
    const char *output = child_output(child, "echo ${HOME-none}", &no_stdin);
    environ = before;
    expect_str_eq(output, "none\n");
}

UNIT(spawn, umask_session_and_group_are_set_when_asked)
{
    struct child children[4] = {{.t = NULL}};
    const char *ids = "echo $$ $(ps -o pgid=,sid= -p $$)";
    struct weir_spawn_options spawn = {.use_umask = true, .umask = 027};
    int pid, group, session;

    expect_str_eq(child_output(&children[0], "umask", &spawn), "0027\n");
    spawn = (struct weir_spawn_options){.start_new_session = true};
    sscanf(child_output(&children[1], ids, &spawn), "%d %d %d", &pid, &group,
           &session);
    expect_eq(session, pid);
    spawn = (struct weir_spawn_options){.use_process_group = true};
    sscanf(child_output(&children[2], ids, &spawn), "%d %d %d", &pid, &group,
           &session);
    expect_eq(group, pid);
    expect_neq(session, pid);
    sscanf(child_output(&children[3], ids, NULL), "%d %d %d", &pid, &group,
           &session);
    expect_eq(group, getpgrp());
}

static uint64_t status_mask(const char *status, const char *name)
{
    const char *at = strstr(status, name);

    cr_assert_not_null(at);
    return strtoull(at + strlen(name), NULL, 16);
}

static void ignore_signal(int signum)
{
}

static void ignore_handled(void *arg, int signum)
{
}

static uint64_t bit(int signum)
{
    return UINT64_C(1) << (signum - 1);
}

UNIT(spawn, signals_are_unblocked_and_without_handlers)
{
    const char *const argv[] = {"cat", "/proc/self/status", NULL};
    sigset_t all, before, after;

    sigfillset(&all);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGUSR2, ignore_signal);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    child_exec(child, argv, NULL);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    child_wait(child);

    const char *status = child->bytes[1];
    expect_eq(status_mask(status, "SigBlk:"), 0);
    expect_eq(status_mask(status, "SigCgt:"), 0);
    const uint64_t ignored = status_mask(status, "SigIgn:");
    expect_eq(ignored & bit(SIGUSR1), bit(SIGUSR1)); /* as in asyncio */
    expect_eq(ignored & (bit(SIGPIPE) | bit(SIGXFSZ)), 0);
    for (int signum = 1; signum < 32; signum++) {
        if (signum != SIGKILL && signum != SIGSTOP) {
            cr_assert_eq(sigismember(&after, signum), 1);
        }
    }
}

UNIT(spawn, a_signal_that_the_loop_handles_still_ends_a_child)
{
    const char *const argv[] = {"sleep", "1000", NULL};

    expect_ok(
        weir_loop_add_signal_handler(loop, SIGTERM, ignore_handled, NULL));
    child_exec(child, argv, NULL);
    one_turn();
    expect_eq(weir_transport_terminate(child->t), 0);
    child_wait(child);
    expect_eq(child_returncode(child), -SIGTERM);
}

/* Without a pipe, which the shell itself would have open. */
#define LIST_FDS "ls /proc/$$/fd; true"

static void expect_those_passed(void)
{
    const int private = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int at = dup3(private, 99, O_CLOEXEC);
    struct child plain = {.t = NULL};
    struct child passing = {.t = NULL};
    struct weir_spawn_options spawn = {.pass_fds = &at, .pass_fd_count = 1};

    for (int fd = 100; fd < 200; fd++) { /* not close-on-exec */
        cr_assert_eq(dup2(private, fd), fd);
    }
    expect_str_eq(child_output(&plain, LIST_FDS, NULL), "0\n1\n2\n");
    expect_str_eq(child_output(&passing, LIST_FDS, &spawn), "0\n1\n2\n99\n");
    expect_eq(fcntl(at, F_GETFD), FD_CLOEXEC); /* the parent's own stays */
    for (int fd = 99; fd < 200; fd++) {
        close(fd);
    }
    close(private);
}

UNIT(spawn, a_child_has_three_descriptors_and_those_passed)
{
    expect_those_passed();
}

/* As in Linux 5.10; older kernels and filters do not have the call. */
UNIT(spawn, a_child_has_no_others_without_close_range_either)
{
    fail_calls(SYS_close_range, EINVAL);
    expect_those_passed();

    /* The child itself must not leave one open either. */
    const char *const argv[] = {"true", NULL};
    const int next = fcntl(STDIN_FILENO, F_DUPFD, 3);
    const struct weir_spawn_options spawn = {.in.kind = WEIR_STDIO_INHERIT,
                                             .out.kind = WEIR_STDIO_INHERIT,
                                             .err.kind = WEIR_STDIO_INHERIT,
                                             .pass_fds = &next,
                                             .pass_fd_count = 1};
    close(next);
    expect_eq(fail(argv, &spawn, NULL), -EBADF);
}

static atomic_bool is_over;

static void *leak(void *arg)
{
    while (!atomic_load(&is_over)) {
        int fds[2];
        if (pipe(fds) == 0) {
            close_ends(fds);
        }
    }
    return NULL;
}

UNIT_IN(spawn, what_another_thread_opens_does_not_get_into_a_child,
        children_run, void)
{
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, leak, NULL), 0);
    for (int i = 0; i < 30; i++) {
        struct child child = {.t = NULL};
        expect_str_eq(child_output(&child, LIST_FDS, NULL), "0\n1\n2\n");
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
}

UNIT(spawn, r57__no_child_has_the_pipe_of_another)
{
    enum { COUNT = 10 };
    struct child children[COUNT] = {{.t = NULL}};
    const char *const argv[] = {"cat", NULL};

    for (int i = 0; i < COUNT; i++) {
        child_exec(&children[i], argv, NULL);
    }
    one_turn();
    for (int i = 0; i < COUNT; i++) {
        weir_transport *in =
            weir_transport_get_pipe_transport(children[i].t, 0);
        expect_eq(weir_transport_write(in, "x", 1), 0);
        expect_eq(weir_transport_close(in), 0);
        child_wait(&children[i]);
        expect_str_eq(children[i].bytes[1], "x");
        expect_eq(child_returncode(&children[i]), 0);
        child_forget(&children[i]);
    }
}

UNIT(spawn, devnull_inherit_a_descriptor_and_stderr_into_stdout)
{
    struct child children[3] = {{.t = NULL}};
    char path[] = "/tmp/weir-out-XXXXXX";
    char text[64] = "";
    const int fd = mkstemp(path);
    struct weir_spawn_options spawn = {.in = {WEIR_STDIO_DEVNULL, 0},
                                       .err = {WEIR_STDIO_STDOUT, 0}};

    expect_str_eq(child_output(&children[0], "cat; echo a; echo b >&2", &spawn),
                  "a\nb\n");
    expect_eq(strlen(children[0].notes), strlen("made lost1 exited lost"));
    spawn.out = (struct weir_stdio){WEIR_STDIO_FD, fd};
    expect_str_eq(child_output(&children[1], "echo c; echo d >&2", &spawn), "");
    expect_eq(pread(fd, text, sizeof(text) - 1, 0), 4);
    expect_str_eq(text, "c\nd\n");
    spawn = (struct weir_spawn_options){.in = {WEIR_STDIO_INHERIT, 0},
                                        .out = {WEIR_STDIO_INHERIT, 0},
                                        .err = {WEIR_STDIO_PIPE, 0}};
    child_output(&children[2], "readlink /proc/$$/fd/1 >&2", &spawn);
    expect_eq(readlink("/proc/self/fd/1", text, sizeof(text) - 1) + 1,
              (ssize_t)children[2].byte_count[2]);
    close(fd);
    unlink(path);
}

/* Descriptors 0 to 2 of the parent are closed, so the pipes get these numbers
 * and must be exchanged in the child. */
static int swap_descriptors(void)
{
    static const char hello[] = "hello\n";
    struct child child = {.t = NULL};
    const char *const argv[] = {"/bin/sh", "-c", "cat; echo err >&2", NULL};

    close(0);
    close(1);
    close(2);
    open_loop(NULL);
    child_exec(&child, argv, NULL);
    one_turn();
    weir_transport *in = weir_transport_get_pipe_transport(child.t, 0);
    int err = weir_transport_write(in, hello, strlen(hello));
    weir_transport_close(in);
    child_wait(&child);
    const bool good = err == 0 && strcmp(child.bytes[1], hello) == 0 &&
                      strcmp(child.bytes[2], "err\n") == 0;
    child_forget(&child);
    return good && weir_loop_free(loop) == 0 ? 0 : 1;
}

UNIT_IN(spawn, works_in_a_program_without_standard_descriptors, unit_alone,
        void)
{
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(swap_descriptors());
    }
    expect_eq(end_of(pid), 0);
}

UNIT(spawn, r67__the_child_has_no_ring)
{
    expect_str_eq(child_output(child,
                               "ls -l /proc/$$/fd | grep -c io_uring; true",
                               &no_stdin),
                  "0\n");
}

UNIT(spawn, errno_and_the_loop_are_untouched_by_a_child)
{
    const char *const argv[] = {"weir-no-such-program", NULL};

    errno = 12345;
    for (int i = 0; i < 100; i++) {
        expect_eq(fail(argv, NULL, NULL), -ENOENT);
    }
    int before = errno;
    (void)before;
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
}

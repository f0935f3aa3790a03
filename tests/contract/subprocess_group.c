/*
 * Signals to the process group of a child: they reach grandchildren, even after
 * the child has ended, and never a group that the child does not lead.
 *
 * Grandchildren that lose their parent become the test's own children, which
 * takes their exit status. If the kernel lacks the feature, the call is
 * refused, and the other tests are skipped.
 */
#define UNIT_RUN   child_test
#define UNIT_TAKES struct child *child
#include "tests/contract/child_rig.h"

#include <sys/prctl.h>
#include <sys/wait.h>

static const struct weir_spawn_options leader = {.use_process_group = true};

static bool has_feature(void)
{
    char features[4096];

    weir_loop_get_features_text(loop, features, sizeof(features));
    const char *at = strstr(features, "pidfd_group");
    cr_assert_not_null(at);
    return strncmp(at + 23, "yes", 3) == 0;
}

static void begin(void)
{
    if (!has_feature()) {
        cr_skip_test(
            "no signals to groups of children; runs on Linux 6.9, unmasked");
    }
    expect_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
}

static pid_t read_pid(const struct child *child)
{
    while (!strchr(child->bytes[1], '\n')) {
        one_turn();
    }
    const char *text = child->bytes[1];
    return (pid_t)strtol(text, NULL, 10);
}

/* Returns the signal that has ended a process, or the last one of a group; @pid
 * is as for kill(). */
static int await_signal(pid_t pid)
{
    int status;

    expect_gt(waitpid(pid, &status, 0), 0);
    cr_assert(WIFSIGNALED(status));
    return WTERMSIG(status);
}

/* A grandchild was ended together with the child, which may have taken its
 * status before. */
static void expect_ended(pid_t pid, int signum)
{
    int status;

    if (waitpid(pid, &status, 0) == pid) {
        cr_assert(WIFSIGNALED(status));
        expect_eq(WTERMSIG(status), signum);
    } else {
        expect_eq(kill(pid, 0), -1, "it lives");
    }
}

UNIT(subprocess_group, killpg_reaches_the_child_and_a_grandchild)
{
    begin();
    child_shell(child, "sleep 1000 & echo $!; wait", &leader);
    const pid_t grandchild = read_pid(child);
    expect_gt(grandchild, 0);
    expect_eq(weir_transport_killpg(child->t, SIGKILL), 0);
    child_wait(child); /* the grandchild also had the pipes */

    expect_eq(child_returncode(child), -SIGKILL);
    expect_ended(grandchild, SIGKILL);
}

UNIT(subprocess_group, a_session_is_a_group_too)
{
    const struct weir_spawn_options session = {.start_new_session = true};

    begin();
    child_shell(child, "sleep 1000 & echo $!; wait", &session);
    const pid_t grandchild = read_pid(child);
    expect_eq(weir_transport_killpg(child->t, SIGTERM), 0);
    child_wait(child);

    expect_eq(child_returncode(child), -SIGTERM);
    expect_ended(grandchild, SIGTERM);
}

UNIT(subprocess_group, killpg_reaches_a_grandchild_that_outlives_the_child)
{
    begin();
    child_shell(child, "sleep 1000 & echo $!", &leader);
    const pid_t grandchild = read_pid(child);
    child_wait_exit(child);
    cr_assert(!child->is_lost, "the grandchild has the pipes");
    expect_eq(weir_transport_kill(child->t), -ESRCH);
    expect_eq(weir_transport_killpg(child->t, 0), 0);
    expect_eq(weir_transport_killpg(child->t, SIGKILL), 0);
    child_wait(child);

    expect_eq(child_returncode(child), 0);
    expect_eq(await_signal(grandchild), SIGKILL);
    expect_eq(weir_transport_killpg(child->t, 0), -ESRCH, "none is left");
}

UNIT(subprocess_group, killpg_works_after_the_loss_while_there_is_a_reference)
{
    const struct weir_stdio none = {.kind = WEIR_STDIO_DEVNULL};
    const struct weir_spawn_options alone = {
        .in = none, .out = none, .err = none, .use_process_group = true};
    begin();
    child_shell(child, "sleep 1000 &", &alone);
    child_wait(child);
    cr_assert(child->is_lost);
    expect_eq(weir_transport_killpg(child->t, SIGKILL), 0);

    expect_eq(await_signal(-weir_transport_get_pid(child->t)), SIGKILL);
    expect_eq(weir_transport_killpg(child->t, SIGKILL), -ESRCH);
}

UNIT(subprocess_group, a_child_that_leads_none_is_refused)
{
    begin();
    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, NULL);
    one_turn();
    expect_eq(weir_transport_killpg(child->t, SIGKILL), -ESRCH,
              "its group is that of this process");
    expect_eq(weir_transport_kill(child->t), 0);
    child_wait(child);

    expect_eq(weir_transport_killpg(child->t, SIGKILL), -ESRCH);
}

UNIT(subprocess_group, the_group_of_another_child_is_its_leaders)
{
    const char *const argv[] = {"sleep", "1000", NULL};
    struct child first = {.t = NULL};
    struct child second = {.t = NULL};

    begin();
    child_exec(&first, argv, &leader);
    one_turn();
    const struct weir_spawn_options member = {
        .use_process_group = true,
        .process_group = weir_transport_get_pid(first.t)};
    child_exec(&second, argv, &member);
    one_turn();
    expect_eq(weir_transport_killpg(second.t, SIGKILL), -ESRCH);
    expect_eq(weir_transport_killpg(first.t, SIGUSR1), 0);
    child_wait(&first);
    child_wait(&second);

    expect_eq(child_returncode(&first), -SIGUSR1);
    expect_eq(child_returncode(&second), -SIGUSR1);
    child_forget(&first);
    child_forget(&second);
}

UNIT(subprocess_group, close_signals_the_child_alone)
{
    begin();
    child_shell(child, "sleep 1000 & echo $!; wait", &leader);
    const pid_t grandchild = read_pid(child);
    expect_eq(weir_transport_close(child->t), 0);
    child_wait(child);

    expect_eq(child_returncode(child), -SIGTERM);
    expect_eq(waitpid(grandchild, NULL, WNOHANG), 0, "it lives");
    expect_eq(weir_transport_killpg(child->t, SIGKILL), 0);
    expect_eq(await_signal(grandchild), SIGKILL);
}

UNIT(subprocess_group, what_is_no_signal_is_refused)
{
    begin();
    child_exec(child, (const char *const[]){"sleep", "1000", NULL}, &leader);
    one_turn();
    expect_eq(weir_transport_killpg(child->t, 65), -EINVAL);
    expect_eq(weir_transport_killpg(child->t, -1), -EINVAL);
    expect_eq(weir_transport_killpg(child->t, SIGKILL), 0);
    child_wait(child);
}

static void signal_without_the_feature(void)
{
    struct child child = {.t = NULL};

    cr_assert(!has_feature());
    child_exec(&child, (const char *const[]){"sleep", "1000", NULL}, &leader);
    one_turn();
    expect_eq(weir_transport_killpg(child.t, SIGKILL), -EOPNOTSUPP);
    expect_eq(weir_transport_terminate(child.t), 0);
    child_wait(&child);
    expect_eq(child_returncode(&child), -SIGTERM);
    expect_eq(weir_transport_killpg(child.t, SIGKILL), -EOPNOTSUPP);
    child_forget(&child);
}

UNIT_IN(subprocess_group, without_the_feature_nothing_is_signalled, unit_alone,
        void)
{
    cr_assert_eq(setenv("WEIR_FEATURES_MASK", "pidfd_group", 1), 0);
    children_run(signal_without_the_feature);
}

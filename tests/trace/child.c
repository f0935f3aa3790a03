/*
 * Children on the fake machine, in cases that need seconds or several users on
 * a real one: grace times, children that cannot be killed, and a ring that
 * breaks.
 */
#define UNIT_RUN closing
#include "tests/bind.h"
#include "tests/fake/fake.h"
#include "tests/statistics.h"
#include "tests/walk.h"

#include <errno.h>
#include <signal.h>
#include <weir/error.h>
#include <weir/subprocess.h>

#define S UINT64_C(1000000000)

static struct test_allocator allocator;
static weir_loop *loop;
static weir_transport *transport;
static int pid;
static int exited_count;
static int lost_count;
static int lost_err;
static int done_err;

static void made(void *user, weir_transport *t)
{
    transport = weir_transport_ref(t);
    pid = weir_transport_get_pid(t);
}

static void exited(void *user, weir_transport *t)
{
    exited_count++;
}

static void lost(void *user, weir_transport *t, int err)
{
    lost_count++;
    lost_err = err;
    weir_loop_stop(loop);
}

static CALLBACKS(protocol, SUBPROCESS, .connection_made = made,
                 .connection_lost = lost, .process_exited = exited);

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    *ret = (struct weir_protocol_binding){&protocol, arg};
    return 0;
}

static void done(void *arg, int err, weir_transport *t)
{
    done_err = err;
}

static const struct weir_factory factory = {create, NULL};

/* Options of a child without pipes. */
static struct weir_spawn_options without_pipes(void)
{
    const struct weir_stdio inherit = {WEIR_STDIO_INHERIT, 0};

    return (struct weir_spawn_options){
        .size = sizeof(struct weir_spawn_options),
        .in = inherit,
        .out = inherit,
        .err = inherit,
    };
}

static int spawn_child_with(uint64_t close_grace_ns)
{
    const char *const argv[] = {"/bin/program", NULL};
    struct weir_spawn_options options = without_pipes();
    options.close_grace_ns = close_grace_ns;

    return weir_subprocess_exec(loop, &factory, argv, &options, done, NULL,
                                NULL);
}

static int spawn_child(void)
{
    return spawn_child_with(0);
}

static void turn(void)
{
    weir_loop_stop(loop);
    cr_assert_eq(weir_loop_run(loop), 0);
}

static void open_loop(const struct fake_options *fake_options)
{
    allocator_init(&allocator);
    const struct weir_loop_options options = allocator_options(&allocator);
    fake_start(fake_options);
    cr_assert_eq(weir_loop_new(&options, &loop), 0);
}

static void open_child_with(uint64_t close_grace_ns)
{
    open_loop(&(struct fake_options){.seed = 1});
    expect_eq(spawn_child_with(close_grace_ns), 0);
    turn();
    cr_assert_not_null(transport);
    expect_eq(done_err, 0);
}

static void open_child(void)
{
    open_child_with(0);
}

static void close_loop(void)
{
    weir_transport_unref(transport);
    expect_eq(weir_loop_free(loop), 0);
    allocator_check(&allocator);
    fake_stop();
}

static int returncode(void)
{
    int code = -1000;

    expect_eq(weir_transport_get_returncode(transport, &code), 0);
    return code;
}

static void end_in_time(void *arg)
{
    fake_child_end(pid, *(int *)arg);
}

/* Closes a child that takes no notice, which is killed after @grace_ns. */
static void expect_grace(uint64_t grace_ns)
{
    const uint64_t before_ns = fake_now();
    expect_eq(weir_transport_close(transport), 0);
    expect_eq(fake_child_signal(pid), SIGTERM);
    expect_eq(weir_loop_run(loop), 0);
    const uint64_t took_ns = fake_now() - before_ns;
    expect_geq(took_ns, grace_ns);
    expect_lt(took_ns, grace_ns + 10000);
    expect_eq(returncode(), -SIGKILL);
}

static void closing(void (*body)(void))
{
    body();
    close_loop();
}

static void end_child(int code)
{
    fake_child_end(pid, code);
    expect_eq(weir_loop_run(loop), 0);
}

UNIT(child, r54__the_grace_between_SIGTERM_and_SIGKILL_is_five_seconds)
{
    open_child();
    expect_grace(5 * S);
}

UNIT(child, r54__the_grace_is_that_of_the_options)
{
    open_child_with(2 * S);
    expect_grace(2 * S);
}

UNIT(child, r54__a_child_that_ends_within_the_grace_is_not_killed)
{
    int code = 3;

    open_child();
    const uint64_t before_ns = fake_now();
    expect_eq(weir_transport_close(transport), 0);
    fake_at(before_ns + 2 * S, end_in_time, &code);
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(fake_now() - before_ns, 2 * S);
    expect_eq(returncode(), 3);
    expect_eq(lost_err, 0);
}

UNIT(child, is_reaped_when_it_has_ended_and_not_when_a_poll_says_so)
{
    open_child();
    for (int i = 0; i < 5; i++) {
        fake_child_wake(pid);
        turn();
        expect_eq(exited_count, 0);
    }
    end_child(0);
    expect_eq(exited_count, 1);
    expect_eq(returncode(), 0);
}

UNIT(child, r56__the_status_of_a_stolen_child_is_known_since_6_15)
{
    open_child();
    fake_child_steal(pid);
    end_child(42);
    expect_eq(returncode(), 42);
}

UNIT(child, r56__the_status_of_a_stolen_child_was_not_known_before)
{
    int code = 77;

    cr_assert_eq(setenv("WEIR_FEATURES_MASK", "", 1), 0);
    open_loop(&(struct fake_options){.seed = 1, .missing = UINT32_MAX});
    expect_eq(spawn_child(), 0);
    turn();
    fake_child_steal(pid);
    end_child(42);
    expect_eq(exited_count, 1);
    expect_eq(weir_transport_get_returncode(transport, &code), WEIR_ENOSTATUS);
    expect_eq(code, 77);
}

/* A program that runs as another user, such as sudo. */
UNIT(child, that_cannot_be_killed_is_left_by_abort)
{
    int code;

    open_child();
    fake_child_refuse(pid, -EPERM);
    expect_eq(weir_transport_terminate(transport), -EPERM);
    expect_eq(weir_transport_abort(transport), 0);
    expect_eq(lost_count, 0, "never from inside the call");
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(lost_err, -EPERM);
    expect_eq(weir_transport_get_returncode(transport, &code), WEIR_ENOSTATUS);
    expect_eq(weir_transport_kill(transport), -ESRCH);
}

UNIT_IN(child, that_cannot_be_killed_does_not_hold_the_end_of_the_loop_up,
        unit_alone, void)
{
    open_child();
    fake_child_refuse(pid, -EPERM);
    weir_transport_unref(transport);
    expect_eq(weir_loop_free(loop), 1);
    expect_eq(lost_count, 1);
    allocator_check(&allocator);
    fake_stop();
}

UNIT(child, that_cannot_be_told_to_end_is_awaited_by_close)
{
    int code = 0;

    open_child();
    fake_child_refuse(pid, -EPERM);
    expect_eq(weir_transport_close(transport), 0);
    fake_at(fake_now() + 4 * S, end_in_time, &code);
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(returncode(), 0);
    expect_eq(lost_err, 0);
}

UNIT(child, whose_poll_fails_is_killed_and_awaited_while_the_loop_goes_on)
{
    open_child();
    const uint64_t before_ns = fake_now();
    fake_child_hang(pid);
    fake_child_fail_poll(pid, -ENOMEM);
    for (int i = 0; i < 5; i++) {
        turn();
    }
    expect_eq(fake_child_signal(pid), SIGKILL);
    expect_lt(fake_now() - before_ns, S / 100);
    expect_eq(exited_count, 0);

    fake_child_end(pid, -SIGKILL);
    turn();
    turn();
    expect_eq(exited_count, 1);
    expect_eq(returncode(), -SIGKILL);
    weir_transport_abort(transport);
    turn();
}

UNIT(child, whose_polls_fail_again_is_given_up)
{
    open_child();
    fake_child_hang(pid);
    fake_child_fail_poll(pid, -ENOMEM);
    turn();
    turn();
    fake_child_fail_poll(pid, -ENOMEM);
    turn();
    turn();
    int code;
    expect_eq(exited_count, 1);
    expect_eq(weir_transport_get_returncode(transport, &code), WEIR_ENOSTATUS);
    weir_transport_abort(transport);
    turn();
}

UNIT(child, whose_poll_failed_and_that_cannot_be_killed_is_left_by_abort)
{
    open_child();
    fake_child_refuse(pid, -EPERM);
    fake_child_fail_poll(pid, -ENOMEM);
    turn();
    turn();
    expect_eq(exited_count, 0);
    expect_eq(weir_transport_abort(transport), 0);
    for (int i = 0; i < 5; i++) {
        turn();
    }
    expect_eq(lost_count, 1);
}

UNIT_IN(child, is_killed_and_reaped_when_the_ring_broke, unit_alone, void)
{
    open_child();
    fake_break_ring(-EBADF);
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), -EBADF);
    expect_eq(weir_loop_free(loop), 1);
    expect_eq(lost_count, 1);
    expect_eq(exited_count, 1);
    expect_eq(returncode(), -SIGKILL);
    weir_transport_unref(transport);
    allocator_check(&allocator);
    fake_stop();
}

/* A child that a poll said had ended, and that cannot be reaped: it is looked
 * at again some time later. */
static void open_resting_child(void)
{
    open_child();
    const uint64_t before = statistics_of(loop).ops_in_flight;
    fake_child_wake(pid);
    turn();
    turn();
    expect_eq(statistics_of(loop).ops_in_flight, before - 1);
}

UNIT(child, that_cannot_be_reaped_yet_is_looked_at_later)
{
    open_resting_child();
    const uint64_t before_ns = fake_now();
    end_child(5);
    expect_gt(fake_now() - before_ns, S / 100);
    expect_lt(fake_now() - before_ns, S / 10);
    expect_eq(returncode(), 5);
}

UNIT(child, that_cannot_be_reaped_yet_nor_killed_is_left_by_abort)
{
    open_resting_child();
    fake_child_refuse(pid, -EPERM);
    expect_eq(weir_transport_abort(transport), 0);
    expect_eq(lost_count, 0, "never from inside the call");
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(lost_err, -EPERM);
}

UNIT_IN(child, that_cannot_be_reaped_yet_is_killed_when_the_ring_broke,
        unit_alone, void)
{
    open_resting_child();
    fake_break_ring(-EBADF);
    expect_eq(weir_loop_free(loop), 1);
    expect_eq(exited_count, 1);
    expect_eq(returncode(), -SIGKILL);
    weir_transport_unref(transport);
    allocator_check(&allocator);
    fake_stop();
}

UNIT_IN(child, that_is_not_connected_yet_is_reaped_when_the_ring_broke,
        unit_alone, void)
{
    open_loop(&(struct fake_options){.seed = 1});
    turn();
    expect_eq(spawn_child(), 0);
    fake_break_ring(-EBADF);
    expect_eq(weir_loop_free(loop), 1);
    expect_eq(done_err, -ECANCELED);
    expect_eq(lost_count, 0);
    allocator_check(&allocator);
    fake_stop();
}

static void spawn_without(void *arg)
{
    const uint64_t live = allocator.live_bytes;
    walk_begin(&allocator);
    const int err = spawn_child();
    expect_eq(err, walk_end(&allocator) ? -ENOMEM : 0);
    cr_assert(err == 0 || allocator.live_bytes == live);
}

UNIT(child, without_memory_is_not_made_and_leaves_nothing)
{
    open_loop(&(struct fake_options){.seed = 1});
    /* The transport and the paths. */
    expect_eq(walk_allocations(&allocator, spawn_without, NULL), 2);
    turn();
    end_child(0);
}

UNIT(child, that_leads_a_group_keeps_its_pidfd_until_it_is_given_up)
{
    const char *const argv[] = {"/bin/program", NULL};
    struct weir_spawn_options options = without_pipes();
    options.use_process_group = true;

    open_loop(&(struct fake_options){.seed = 1});
    expect_ok(
        weir_subprocess_exec(loop, &factory, argv, &options, done, NULL, NULL));
    turn();
    const uint32_t fds = fake_fd_count();
    end_child(0);
    expect_eq(lost_count, 1);
    expect_eq(fake_fd_count(), fds);
    expect_eq(weir_transport_terminate(transport), -ESRCH);
    expect_eq(weir_transport_killpg(transport, SIGUSR1), 0);
    expect_eq(fake_child_signal(pid), SIGUSR1);
    weir_transport_unref(transport);
    transport = NULL;
    expect_eq(fake_fd_count(), fds - 1);
}

UNIT(child, that_leads_none_has_no_pidfd_after_its_end)
{
    open_child();
    const uint32_t fds = fake_fd_count();
    end_child(0);
    expect_eq(fake_fd_count(), fds - 1);
    expect_eq(weir_transport_killpg(transport, SIGUSR1), -ESRCH);
}

UNIT_IN(child, that_leads_a_group_may_outlive_its_loop_by_a_reference,
        unit_alone, void)
{
    const char *const argv[] = {"/bin/program", NULL};
    struct weir_spawn_options options = without_pipes();
    options.start_new_session = true;

    open_loop(&(struct fake_options){.seed = 1});
    expect_ok(
        weir_subprocess_exec(loop, &factory, argv, &options, done, NULL, NULL));
    turn();
    expect_eq(weir_loop_free(loop), 1);
    expect_eq(lost_count, 1);
    weir_transport_unref(transport);
    allocator_check(&allocator);
    expect_eq(fake_fd_count(), 0);
    fake_stop();
}

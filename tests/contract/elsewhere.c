/*
 * Calls with a result, made on a thread that is not the loop's and in a forked
 * child.
 *
 * Each returns the error for that, whatever its arguments are, or false or 0 if
 * it returns no errors, and does nothing.
 */
#include "tests/unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <tests/have.h>
#include <weir/connect.h>
#include <weir/datagram.h>
#include <weir/executor.h>
#include <weir/file.h>
#include <weir/inspect.h>
#include <weir/pipe.h>
#include <weir/resolver.h>
#include <weir/stream.h>
#include <weir/task.h>
#include <weir/unix.h>
#include <weir/upstream.h>
#include <weir/waitable.h>

static struct {
    weir_loop *loop;
    weir_future *future;
    weir_task *task;
    struct weir_task_group group;
    struct weir_task_group other_group;
    struct weir_timeout limit;
    struct weir_timeout other_limit;
    struct weir_as_completed completed;
    struct weir_as_completed other_completed;
    struct weir_waitable first;
    int ends[2];
    weir_writer *writer;
    weir_server *server;
    weir_upstreams *upstreams;
    weir_upstream *upstream;
    struct weir_address address;
} world;

static int quiet_create(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    return -EACCES; /* is never called */
}

static const struct weir_factory quiet = {.create = quiet_create};
static const struct weir_executor_options threads = {.size = sizeof(threads)};
static const struct weir_exception exception = {.size = sizeof(exception),
                                                .message = "a test"};

static int sleep_long(weir_loop *loop, void *arg)
{
    int err = weir_sleep(loop, UINT64_MAX);
    return err == -ECANCELED ? 0 : err;
}

static int run_job(void *arg)
{
    return 0;
}

static void call_back(void *arg)
{
}

static void future_done(void *arg, weir_future *future, int result)
{
}

static void server_closed(void *arg, weir_server *server)
{
}

static void take_signal(void *arg, int signum)
{
}

static bool is_over(void *arg)
{
    return true;
}

static void looked_up(void *arg, int err, const struct weir_address *addresses,
                      size_t count)
{
}

/* The error expected from all calls, and the first call that returned another
 * one. */
static int wanted;
static struct {
    const char *call;
    long long result;
} wrong;

static void tell(const char *call, long long result, long long expected)
{
    if (result != expected && !wrong.call) {
        wrong.call = call;
        wrong.result = result;
    }
}

#define ASK(call) tell(#call, call, wanted)
/* Expects false or 0 from a call without errors, which has done nothing. */
#define DENIED(call) tell(#call, (long long)call, 0)

static void ask_tasks(void)
{
    ASK(weir_task_spawn(world.loop, sleep_long, NULL, NULL, NULL));
    ASK(weir_task_join(world.task, NULL));
    DENIED(weir_task_cancel(world.task));
    ASK(weir_task_group_begin(world.loop, &world.other_group));
    ASK(weir_task_group_spawn(&world.group, sleep_long, NULL, NULL, NULL));
    ASK(weir_task_group_end(&world.group, 0));
    ASK(weir_timeout_begin(world.loop, &world.other_limit, 0));
    ASK(weir_timeout_begin_at(world.loop, &world.other_limit, 0));
    ASK(weir_timeout_reschedule(&world.limit, 0));
    ASK(weir_sleep(world.loop, 0));
    ASK(weir_sleep(world.loop, 1));
    ASK(weir_sleep_until(world.loop, 0));
    ASK(weir_yield(world.loop));
    ASK(weir_loop_run_task(world.loop, sleep_long, NULL, NULL));
    ASK(weir_loop_report_stack_overflow(world.loop, 2));
}

static void ask_futures(void)
{
    weir_future *made;

    ASK(weir_future_new(world.loop, NULL, NULL, &made));
    ASK(weir_future_set_result(world.future, 0));
    DENIED(weir_future_cancel(world.future));
    ASK(weir_future_add_done_callback(world.future, future_done, NULL));
    DENIED(weir_future_remove_done_callback(world.future, future_done, &world));
    ASK(weir_future_await(world.future, NULL));
    ASK(weir_future_shield(world.future, NULL));
    ASK(weir_wait_for(world.future, 0, NULL));
    ASK(weir_wait(world.loop, &world.future, 1, 0, WEIR_ALL_COMPLETED));
    ASK(weir_gather(world.loop, WEIR_GATHER_ALL, &world.future, 1, &made));
    ASK(weir_as_completed_begin(world.loop, &world.other_completed,
                                &world.future, 1));
    ASK(weir_as_completed_next(&world.completed));
    ASK(weir_wait_any(world.loop, &world.first, 1));
}

static void ask_the_executor(void)
{
    ASK(weir_loop_set_executor(world.loop, &threads));
    ASK(weir_run_in_executor(world.loop, run_job, NULL, NULL, NULL));
    ASK(weir_executor_submit(world.loop, run_job, NULL, NULL, NULL));
    ASK(weir_loop_shutdown_executor(world.loop, 0));
}

static void ask_files(void)
{
    struct weir_file_status status = {.size = sizeof(status)};
    char bytes[8] = "";

    ASK(weir_file_open(world.loop, "/", 0, 0));
    ASK(weir_file_openat(world.loop, -1, "/", 0, 0, 0));
    ASK(weir_file_read(world.loop, -1, bytes, sizeof(bytes), 0));
    ASK(weir_file_write(world.loop, -1, bytes, sizeof(bytes), 0));
    ASK(weir_file_sync(world.loop, -1));
    ASK(weir_file_datasync(world.loop, -1));
    ASK(weir_file_stat(world.loop, -1, &status));
    ASK(weir_file_close(world.loop, -1));
}

static void ask_servers(void)
{
    weir_loop *const loop = world.loop;
    weir_server *made;

    ASK(weir_create_server(loop, &quiet, "127.0.0.1", 0, NULL, NULL, NULL,
                           &made));
    ASK(weir_create_server_at(loop, &quiet,
                              weir_endpoint_addresses(&world.address, 1), NULL,
                              NULL, NULL, &made));
    ASK(weir_create_unix_server(loop, &quiet, "/", NULL, NULL, NULL, &made));
    ASK(weir_create_server_at(loop, &quiet, weir_endpoint_fd(-1), NULL, NULL,
                              NULL, &made));
    ASK(weir_server_start_serving(world.server));
    ASK(weir_server_add_fd(world.server, -1));
    ASK(weir_server_set_tls(world.server, NULL));
    ASK(weir_server_add_closed_callback(world.server, server_closed, NULL));
    ASK(weir_server_stop(world.server, 0, NULL, NULL));
    ASK(weir_server_serve_forever(world.server));
    ASK(weir_server_wait_closed(world.server));
    ASK(weir_server_get_socket(world.server, 0, NULL));
}

static void ask_connections(void)
{
    weir_loop *const loop = world.loop;

    ASK(weir_create_connection(loop, &quiet, "127.0.0.1", 1, NULL, NULL, NULL,
                               NULL));
    ASK(weir_create_connection_at(loop, &quiet,
                                  weir_endpoint_addresses(&world.address, 1),
                                  NULL, NULL, NULL, NULL));
    ASK(weir_create_unix_connection(loop, &quiet, "/", NULL, NULL, NULL, NULL));
    ASK(weir_create_connection_at(loop, &quiet, weir_endpoint_fd(-1), NULL,
                                  NULL, NULL, NULL));
    ASK(weir_connect_read_pipe(loop, &quiet, -1, NULL, NULL, NULL, NULL));
    ASK(weir_connect_write_pipe(loop, &quiet, -1, NULL, NULL, NULL, NULL));
    ASK(weir_create_datagram_endpoint(loop, &quiet, NULL, NULL, NULL, NULL));
    ASK(weir_create_datagram_endpoint_at(
        loop, &quiet, weir_endpoint_addresses(&world.address, 1),
        weir_endpoint_none(), NULL, NULL, NULL, NULL));
    ASK(weir_create_datagram_endpoint_at(loop, &quiet, weir_endpoint_fd(-1),
                                         weir_endpoint_none(), NULL, NULL, NULL,
                                         NULL));
    ASK(weir_writer_close(world.writer));
    ASK(weir_resolve_start(loop, "127.0.0.1", 1, NULL, looked_up, NULL, NULL));
}

#if WR_TESTS_PROXY
static const struct weir_upstream_options upstream_options = {
    .size = sizeof(upstream_options),
    .endpoint = {.host = "127.0.0.1", .port = 1}};

static void upstream_connected(void *arg, int err,
                               const struct weir_upstreams_result *result)
{
}

static void make_upstreams(weir_loop *loop)
{
    expect_eq(weir_upstreams_new(loop, NULL, &world.upstreams), 0);
    expect_ok(weir_upstreams_add(world.upstreams, &upstream_options,
                                 &world.upstream));
}

static void free_upstreams(void)
{
    weir_upstreams_free(world.upstreams);
}

static void ask_upstreams(void)
{
    weir_upstreams *made;
    weir_upstream *added;

    ASK(weir_upstreams_new(world.loop, NULL, &made));
    ASK(weir_upstreams_add(world.upstreams, &upstream_options, &added));
    ASK(weir_upstream_set_weight(world.upstream, 2));
    ASK(weir_upstreams_connect(world.upstreams, &quiet, NULL,
                               upstream_connected, NULL, NULL));
}
#else
static void make_upstreams(weir_loop *loop)
{
}

static void free_upstreams(void)
{
}

static void ask_upstreams(void)
{
}
#endif

static void ask_the_loop(void)
{
    weir_loop *const loop = world.loop;

    ASK(weir_loop_run(loop));
    ASK(weir_loop_free(loop));
    ASK(weir_loop_run_until(loop, is_over, NULL));
    ASK(weir_loop_trim(loop));
    ASK(weir_loop_call_soon(loop, call_back, NULL, NULL));
    ASK(weir_loop_call_later(loop, 0, call_back, NULL, NULL));
    ASK(weir_loop_call_at(loop, 0, call_back, NULL, NULL));
    ASK(weir_loop_add_signal_handler(loop, SIGUSR1, take_signal, NULL));
    DENIED(weir_loop_remove_signal_handler(loop, SIGUSR2));
    ASK(weir_loop_call_exception_handler(loop, &exception));
}

static void *ask_all(void *arg)
{
    wanted = *(const int *)arg;
    ask_tasks();
    ask_futures();
    ask_the_executor();
    ask_files();
    ask_servers();
    ask_connections();
    ask_upstreams();
    ask_the_loop();
    return NULL;
}

static void make_world(weir_loop *loop)
{
    const struct weir_task_options named = {.size = sizeof(named),
                                            .name = "sleeper"};
    weir_reader *reader;

    world.loop = loop;
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, world.ends), 0);
    expect_ok(weir_open_connection_at(loop, weir_endpoint_fd(world.ends[0]),
                                      NULL, &reader, &world.writer));
    expect_eq(weir_address_parse("127.0.0.1", 1, &world.address), 0);
    expect_eq(weir_future_new(loop, NULL, NULL, &world.future), 0);
    expect_ok(weir_future_add_done_callback(world.future, future_done, &world));
    expect_eq(weir_task_spawn(loop, sleep_long, NULL, &named, &world.task), 0);
    expect_eq(weir_task_group_begin(loop, &world.group), 0);
    expect_eq(weir_timeout_begin(loop, &world.limit, WEIR_SECONDS(600)), 0);
    expect_eq(weir_as_completed_begin(loop, &world.completed, &world.future, 1),
              0);
    world.first = weir_waitable_future(world.future);
    expect_ok(weir_create_server(loop, &quiet, "127.0.0.1", 0, NULL, NULL, NULL,
                                 &world.server));
    make_upstreams(loop);
    expect_ok(weir_loop_add_signal_handler(loop, SIGUSR2, take_signal, NULL));
    while (!weir_server_is_serving(world.server)) {
        expect_eq(weir_sleep(loop, WEIR_MILLISECONDS(1)), 0);
    }
}

static void end_world(weir_loop *loop)
{
    cr_assert(weir_server_is_serving(world.server));
    cr_assert_not(weir_writer_is_closing(world.writer));
    cr_assert_not(weir_future_is_done(world.future));
    expect_eq(weir_task_get_cancelling(world.task), 0);
    cr_assert(weir_loop_remove_signal_handler(loop, SIGUSR2));
    weir_as_completed_end(&world.completed);
    expect_eq(weir_timeout_end(&world.limit, 0), 0);
    expect_eq(weir_task_group_end(&world.group, 0), 0);
    expect_eq(
        weir_future_remove_done_callback(world.future, future_done, &world), 1);
    weir_future_unref(world.future);
    cr_assert(weir_task_cancel(world.task));
    expect_eq(weir_task_join(world.task, NULL), 0);
    free_upstreams();
    weir_server_free(world.server);
    weir_writer_unref(world.writer);
    close(world.ends[1]);
}

static int ask_on_a_thread(weir_loop *loop, void *arg)
{
    static const int error = -EPERM;
    pthread_t thread;

    make_world(loop);
    expect_eq(pthread_create(&thread, NULL, ask_all, (void *)&error), 0);
    expect_eq(pthread_join(thread, NULL), 0);
    end_world(loop);
    return 0;
}

UNIT(elsewhere, a_thread_that_is_not_the_loops_is_refused)
{
    expect_eq(weir_run(NULL, ask_on_a_thread, NULL), 0);
    cr_assert_null(wrong.call, "%s: %lld", wrong.call, wrong.result);
}

static int ask_in_a_child(weir_loop *loop, void *arg)
{
    static int error = -ECHILD;
    int status = 0;

    make_world(loop);
    const pid_t child = fork();
    if (child == 0) {
        ask_all(&error);
        if (wrong.call) {
            fprintf(stderr, "%s: %lld\n", wrong.call, wrong.result);
        }
        _exit(wrong.call ? 1 : 0);
    }
    expect_eq(waitpid(child, &status, 0), child);
    expect_eq(status, 0);
    end_world(loop);
    return 0;
}

UNIT(elsewhere, a_forked_child_is_refused)
{
    expect_eq(weir_run(NULL, ask_in_a_child, NULL), 0);
}

static void *run_loop(void *loop)
{
    return weir_loop_run_until(loop, is_over, NULL) == 0 ? loop : NULL;
}

/* The loop stays until the process ends, so a child makes it. */
UNIT(elsewhere, a_loop_whose_thread_has_ended_is_refused)
{
    weir_loop *loop;
    pthread_t thread;
    void *run;
    int status = 0;

    const pid_t child = fork();
    if (child == 0) {
        _exit(weir_loop_new(NULL, &loop) != 0 ||
              pthread_create(&thread, NULL, run_loop, loop) != 0 ||
              pthread_join(thread, &run) != 0 || run != loop ||
              weir_loop_free(loop) != -EPERM || weir_loop_run(loop) != -EPERM);
    }
    expect_eq(waitpid(child, &status, 0), child);
    expect_eq(status, 0);
}

static int wait_across(weir_loop *loop, void *arg)
{
    weir_loop *other = arg;
    weir_future *future;
    weir_future *made;
    weir_event *event;

    expect_eq(weir_future_new(other, NULL, NULL, &future), 0);
    expect_eq(weir_event_new(other, &event), 0);
    weir_event_set(event);
    struct weir_waitable what = weir_waitable_event(event);
    expect_eq(weir_wait_any(loop, &what, 1), -EINVAL);
    expect_eq(weir_wait(loop, &future, 1, 0, WEIR_ALL_COMPLETED), -EINVAL);
    expect_eq(weir_gather(loop, WEIR_GATHER_ALL, &future, 1, &made), -EINVAL);
    weir_event_free(event);
    weir_future_unref(future);
    return 0;
}

UNIT(elsewhere, objects_of_another_loop_are_not_waited_for)
{
    weir_loop *other;

    expect_eq(weir_loop_new(NULL, &other), 0);
    expect_eq(weir_run(NULL, wait_across, other), 0);
    expect_eq(weir_loop_free(other), 0);
}

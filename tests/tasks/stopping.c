/*
 * The announcement of a graceful stop: weir_loop_announce_stop(), by the
 * program or by a signal, and weir_waitable_stop(), which tasks wait for.
 * tests/contract/threads.c tests that stops of threads announce it.
 */
#include "sync.h"
#include "tests/bind.h"

#include <signal.h>
#include <weir/server.h>
#include <weir/threads.h>
#include <weir/waitable.h>

static int wait_for_stop(void *object)
{
    struct weir_waitable what = weir_waitable_stop(object);
    what.result = 7;
    const int index = weir_wait_any(loop, &what, 1);
    return index < 0 ? index : what.result;
}

TASK(stopping, an_announcement_wakes_all_who_wait_in_their_order)
{
    struct worker workers[3];
    cr_assert_not(weir_loop_is_stopping(loop));
    start_each(workers, 3, wait_for_stop, loop);
    weir_loop_announce_stop(loop);
    cr_assert(weir_loop_is_stopping(loop));
    expect_str_eq(notes, "", "no task runs inside the call");
    expect_settled("abc");
    for (int i = 0; i < 3; i++) {
        expect_end(&workers[i], 0, 0);
    }
}

TASK(stopping, a_stop_that_was_announced_is_not_waited_for)
{
    weir_loop_announce_stop(loop);
    weir_loop_announce_stop(loop);
    const uint64_t switches = rig_statistics().task_switches;
    expect_eq(wait_for_stop(loop), 0);
    expect_eq(wait_for_stop(loop), 0, "and it stays so");
    expect_eq(rig_statistics().task_switches, switches);
}

TASK(stopping, an_announcement_ends_nothing)
{
    weir_loop_announce_stop(loop);
    expect_eq(weir_sleep(loop, MS), 0);
    expect_eq(weir_task_get_cancelling(weir_task_get_current(loop)), 0);
}

TASK(stopping, a_cancelled_task_does_not_wait_any_more)
{
    start_both(wait_for_stop, loop);
    expect_eq(cancel(&first), -ECANCELED);
    weir_loop_announce_stop(loop);
    expect_eq(finish(&second), 0);
}

TASK(stopping, waited_for_too_long_times_out)
{
    must_time_out(wait_for_stop, loop);
}

TASK(stopping, no_loop_is_refused)
{
    struct weir_waitable what = weir_waitable_stop(NULL);
    expect_eq(weir_wait_any(loop, &what, 1), -EINVAL);
}

static int note_the_stop(weir_loop *on, void *arg)
{
    struct weir_waitable what = weir_waitable_stop(on);
    int first_index = weir_wait_any(on, &what, 1);
    expect_eq(first_index, 0);
    note("t");
    return weir_sleep(on, 0); /* it may go on */
}

static int serve_till_cancelled(weir_loop *on, void *arg)
{
    weir_task *task = rig_spawn(note_the_stop, NULL);
    cr_assert_not(weir_loop_is_stopping(on), "a new main task");
    expect_eq(weir_sleep(on, 10 * S), -ECANCELED);
    note("m");
    cr_assert(weir_loop_is_stopping(on));
    return rig_join(task);
}

static void raise_sigterm(void *arg)
{
    expect_eq(raise(SIGTERM), 0);
}

UNIT(stopping, a_signal_announces_it_before_the_main_task_is_cancelled)
{
    int result = 1;
    rig_start();
    for (int i = 0; i < 2; i++) {
        fake_at(weir_loop_get_time(loop) + MS, raise_sigterm, NULL);
        expect_ok(
            weir_loop_run_task(loop, serve_till_cancelled, NULL, &result));
        expect_eq(result, 0);
    }
    expect_str_eq(notes, "tmtm", "who waits for it runs first");
    rig_stop();
}

static weir_server *server;
static weir_transport *client;

static void note_client(void *user, weir_transport *t)
{
    client = t;
}

static CALLBACKS(silent, STREAM, .connection_made = note_client);

static int say_goodbye(void *object)
{
    const int err = wait_for_stop(object);
    return err < 0 ? err : weir_transport_write(client, "bye", 3);
}

/* Makes a server with one idle client, and a task that says goodbye to it. */
static struct fake_peer *connect_client(void)
{
    const struct weir_factory factory = bind_to(&silent, NULL);
    struct weir_address address;

    client = NULL;
    expect_ok(weir_create_server(loop, &factory, "127.0.0.1", 0, NULL, NULL,
                                 NULL, &server));
    settle();
    cr_assert_geq(weir_server_get_socket(server, 0, &address), 0);
    struct fake_peer *peer = fake_connect(&address.storage.any, address.len);
    expect_eq(weir_sleep(loop, MS), 0);
    cr_assert_not_null(client);
    start_first(say_goodbye, loop);
    return peer;
}

static void stop_server(void *arg)
{
    expect_eq(weir_server_stop(server, S, NULL, NULL), 0);
}

static void announce_and_stop(void *arg)
{
    weir_loop_announce_stop(loop);
    stop_server(NULL);
}

static void close_announce_and_stop(void *arg)
{
    weir_server_close(server);
    announce_and_stop(NULL);
}

static void announce_and_close(void *arg)
{
    weir_loop_announce_stop(loop);
    weir_server_close(server);
    weir_server_close_clients(server);
}

static void stop_in_a_callback(void *arg)
{
    expect_eq(weir_loop_call_soon(loop, announce_and_stop, NULL, NULL), 0);
}

static int serve(void *object)
{
    return weir_server_serve_forever(object);
}

static int stop_when_cancelled(void *object)
{
    const int err = weir_sleep(object, 10 * S);
    stop_server(NULL);
    return err;
}

/* The cancelled task is ready before the tasks that wait for the stop. */
static void cancel_and_announce(sync_call *call, void *object, int result)
{
    start(&second, "", call, object);
    settle();
    cr_assert(weir_task_cancel(second.task));
    weir_loop_announce_stop(loop);
    expect_eq(finish(&second), result);
}

static void cancel_serving(void *arg)
{
    cancel_and_announce(serve, server, 0);
}

static void cancel_a_task_that_stops(void *arg)
{
    cancel_and_announce(stop_when_cancelled, loop, -ECANCELED);
}

static int end_request(void *object)
{
    expect_eq(weir_yield(object), 0);
    return weir_transport_set_busy(client, false);
}

/* The client becomes idle before the tasks that wait for the stop run. */
static void stop_at_the_end_of_a_request(void *arg)
{
    expect_eq(weir_transport_set_busy(client, true), 0);
    start(&second, "", end_request, loop);
    expect_eq(weir_yield(loop), 0);
    announce_and_stop(NULL);
    expect_eq(finish(&second), 0);
}

static void stop_by_signal(void *arg)
{
    fake_at(weir_loop_get_time(loop) + MS, raise_sigterm, NULL);
    expect_eq(weir_server_serve_forever(server), 0);
}

static void stop_threads(void *threads)
{
    weir_threads_stop(threads, S);
    expect_eq(weir_server_serve_forever(server), 0);
}

struct way {
    const char *name;
    void (*stop)(void *arg);
};

static void expect_goodbye(const struct way *way, void *arg)
{
    char text[8] = "";
    struct fake_peer *peer = connect_client();

    way->stop(arg);
    expect_end(&first, 0, 0);
    expect_eq(weir_server_wait_closed(server), 0);
    expect_eq(weir_sleep(loop, MS), 0);
    expect_eq(fake_peer_read(peer, text, sizeof(text)), 3, "%s", way->name);
    expect_str_eq(text, "bye");
    cr_assert(fake_peer_is_alone(peer), "%s: and then the end", way->name);
    fake_peer_close(peer);
    weir_server_free(server);
}

static int stop_one_way(weir_loop *on, void *arg)
{
    expect_goodbye(arg, NULL);
    return 0;
}

static int stop_one_way_in_a_thread(weir_thread *thread, void *arg)
{
    loop = weir_thread_get_loop(thread);
    expect_goodbye(arg, weir_thread_get_group(thread));
    return 0;
}

#define WAY(name)                                                              \
    {                                                                          \
#name, name                                                            \
    }

UNIT(stopping, tasks_say_goodbye_before_idle_clients_are_closed_in_all_ways)
{
    static const struct way ways[] = {
        WAY(announce_and_stop),
        WAY(close_announce_and_stop),
        WAY(announce_and_close),
        WAY(stop_in_a_callback),
        WAY(cancel_serving),
        WAY(cancel_a_task_that_stops),
        WAY(stop_at_the_end_of_a_request),
        WAY(stop_by_signal),
    };
    static const struct way by_threads = WAY(stop_threads);
    static const struct fake_options machine = {.seed = 1};
    const struct weir_threads_options one = {.size = sizeof(one),
                                             .thread_count = 1};

    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        expect_eq(rig_run(stop_one_way, (void *)&ways[i]), 0);
    }
    fake_start(&machine);
    expect_eq(
        weir_threads_run(&one, stop_one_way_in_a_thread, (void *)&by_threads),
        0);
    fake_stop();
}

static struct worker left;

static int leave_waiting(weir_loop *on, void *arg)
{
    start(&left, "a", wait_for_stop, on);
    settle();
    weir_task_unref(left.task);
    return 0;
}

UNIT(stopping, the_end_of_the_loop_ends_the_wait)
{
    rig_leave(leave_waiting, NULL);
    cr_assert(left.is_back);
    expect_eq(left.result, -ECANCELED);
    fake_stop();
}

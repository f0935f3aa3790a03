/*
 * weir_server_serve_forever() and weir_server_wait_closed(), and how servers of
 * streams end: closed by a cancellation, by another task, given back, or with
 * the loop. Tasks that wait are told, and the handlers get the end of the
 * stream.
 */
#include "served.h"

struct forever {
    weir_server *server;
    int (*fn)(weir_server *server);
    bool is_done;
};

static int run_forever(weir_loop *on, void *arg)
{
    struct forever *forever = arg;
    int err = forever->fn(forever->server);
    forever->is_done = true;
    return err;
}

static weir_task *start_forever(struct forever *forever, weir_server *server,
                                int (*fn)(weir_server *server))
{
    *forever = (struct forever){.server = server, .fn = fn};
    weir_task *task = rig_spawn(run_forever, forever);
    nap();
    return task;
}

TASK(stream_server, serve_forever_when_cancelled_closes_server_and_clients)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .no_start_serving = true}};
    struct forever forever;
    char byte;
    weir_server *server = start(echo, &options);
    cr_assert_not(weir_server_is_serving(server));
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    cr_assert(weir_server_is_serving(server), "the server serves");
    struct fake_peer *peer = call_server(server);
    expect_echo(peer, "hello");
    expect_eq(weir_server_serve_forever(server), -EBUSY);

    weir_task_cancel(task);
    nap();
    cr_assert(forever.is_done);
    expect_eq(rig_join(task), -ECANCELED);
    expect_eq(handlers, 0, "the handler got the end");
    expect_eq(fake_peer_read(peer, &byte, 1), 0);
    expect_eq(weir_server_get_connection_count(server), 0);
    expect_eq(weir_server_get_socket_count(server), 0);
    expect_eq(weir_server_serve_forever(server), -ESHUTDOWN);
    fake_peer_close(peer);
    weir_server_free(server);
}

TASK(stream_server, a_second_serve_forever_that_is_cancelled_closes_the_server)
{
    struct forever first;
    struct forever second = {.fn = weir_server_serve_forever};
    weir_server *server = start(echo, NULL);
    second.server = server;
    weir_task *task = start_forever(&first, server, weir_server_serve_forever);
    weir_task *late = rig_spawn(run_forever, &second);
    weir_task_cancel(late); /* cancelled before it runs */
    expect_eq(rig_join(late), -ECANCELED);
    expect_eq(weir_server_get_socket_count(server), 0,
              "the server has no socket any more");
    expect_eq(rig_join(task), -ESHUTDOWN);
    weir_server_free(server);
}

static int refuse(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    return -EACCES;
}

TASK(stream_server, serve_forever_ends_with_a_start_that_fails)
{
    const struct weir_factory factory = {.create = refuse};
    const struct weir_server_options options = {.size = sizeof(options),
                                                .no_reuse_address = true};
    struct weir_address address;
    struct forever forever;
    weir_server *first = start(echo, NULL);
    weir_server *server = NULL;
    cr_assert_geq(weir_server_get_socket(first, 0, &address), 0);
    expect_ok(weir_create_server(loop, &factory, "127.0.0.1",
                                 ntohs(address.storage.inet.sin_port), &options,
                                 NULL, NULL, &server));
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    expect_eq(rig_join(task), -ESHUTDOWN);
    weir_server_free(server);
    weir_server_free(first);
}

static int write_much(void *arg, weir_reader *reader, weir_writer *writer)
{
    static const uint8_t bytes[MIB];
    return weir_writer_write(writer, bytes, sizeof(bytes));
}

TASK(stream_server, a_second_cancellation_ends_the_wait_for_clients)
{
    struct forever forever;
    weir_server *server = start(write_much, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    weir_loop_announce_stop(loop);
    weir_task_cancel(task);
    nap();
    cr_assert_not(forever.is_done, "a client still takes its bytes");
    expect_eq(weir_server_get_connection_count(server), 1);
    expect_eq(rig_cancel(task), -ECANCELED);
    expect_eq(weir_server_get_connection_count(server), 1);
    weir_server_free(server);
    fake_peer_close(peer);
    nap();
}

static int subscribed;

static int subscribe(void *arg, weir_reader *reader, weir_writer *writer)
{
    int err = weir_sleep(weir_writer_get_loop(writer), UINT64_MAX);
    subscribed = err;
    return err;
}

TASK(stream_server, serve_forever_when_cancelled_cancels_who_still_serves)
{
    struct forever forever;
    weir_server *server = start(subscribe, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    fake_peer_shutdown(peer);
    nap();
    expect_eq(subscribed, 0, "no handler has asked for its end");
    expect_eq(rig_cancel(task), -ECANCELED);
    expect_eq(subscribed, -ECANCELED);
    weir_server_free(server);
    fake_peer_close(peer);
}

static void note_closed(void *arg, weir_server *server)
{
    *(bool *)arg = true;
}

TASK(stream_server, stop_cancels_who_still_serves_after_the_grace)
{
    bool is_closed = false;
    weir_server *server = start(subscribe, NULL);
    struct fake_peer *peer = call_server(server);
    expect_eq(weir_server_stop(server, 50 * MS, note_closed, &is_closed), 0);
    expect_eq(weir_sleep(loop, 40 * MS), 0);
    cr_assert_not(is_closed);
    expect_eq(subscribed, 0, "the grace is not over");
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    expect_eq(subscribed, -ECANCELED);
    cr_assert(is_closed);
    weir_server_free(server);
    fake_peer_close(peer);
}

TASK(stream_server, serve_forever_ends_when_another_task_closes_the_server)
{
    struct forever forever;
    weir_server *server = start(echo, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    weir_server_close(server);
    nap();
    cr_assert(forever.is_done, "the call ends while connections live");
    expect_echo(peer, "still there");
    expect_eq(rig_join(task), -ESHUTDOWN);

    server = (weir_server_free(server), start(echo, NULL));
    task = start_forever(&forever, server, weir_server_serve_forever);
    weir_server_free(server);
    nap();
    expect_eq(rig_join(task), -ESHUTDOWN, "a freed server counts as closed");
    fake_peer_close(peer);
    nap();
}

static bool has_cleaned_up;

/* Continues after its connection is lost. */
static int clean_up(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    expect_eq(weir_reader_read(reader, &byte, 1), 0);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    expect_eq(weir_sleep(weir_writer_get_loop(writer), 100 * MS), 0);
    has_cleaned_up = true;
    return 0;
}

TASK(stream_server, join_waits_for_the_tasks_that_serve_beyond_the_loss)
{
    weir_server *server = start(clean_up, NULL);
    struct fake_peer *peer = call_server(server);

    weir_server_close(server);
    fake_peer_close(peer);
    nap();
    expect_eq(weir_server_get_connection_count(server), 0);
    cr_assert_not(has_cleaned_up);
    expect_eq(weir_server_wait_closed(server), 0);
    cr_assert(has_cleaned_up);
    weir_server_free(server);
}

/* A handler that waits for a future that is never done. */
static int wait_for_nothing(void *arg, weir_reader *reader, weir_writer *writer)
{
    return weir_future_await(arg, NULL);
}

static void stay(void *arg, weir_future *future)
{
    (void)future; /* has no cancel function */
}

struct stubborn {
    bool is_connected; /* before the loop is freed */
    weir_future *future;
    weir_server *server;
    struct fake_peer *peer;
};

static int leave_stubborn(weir_loop *on, void *arg)
{
    struct weir_start_server_options options = {.size = sizeof(options)};
    struct stubborn *stubborn = arg;
    expect_eq(weir_future_new(on, stay, NULL, &stubborn->future), 0);
    options.arg = stubborn->future;
    expect_ok(weir_start_server(on, wait_for_nothing, "127.0.0.1", 0, &options,
                                &stubborn->server));
    stubborn->peer = call_server(stubborn->server);
    weir_server_close(stubborn->server);
    weir_server_free(stubborn->server);
    nap();
    if (stubborn->is_connected) {
        return 0; /* the loop's end closes the connection */
    }
    fake_peer_reset(stubborn->peer);
    nap();
    fake_peer_close(stubborn->peer);
    return 0;
}

static void free_loop_of_stubborn(bool is_connected)
{
    struct stubborn stubborn = {.is_connected = is_connected};
    rig_start();
    expect_eq(rig_main(leave_stubborn, &stubborn), 0);
    expect_eq(weir_loop_free(loop), is_connected ? 1 : 0);
    weir_future_unref(stubborn.future);
    if (is_connected) {
        fake_peer_close(stubborn.peer);
    }
    fake_stop();
}

UNIT(stream_server, whose_handler_waits_for_ever_does_not_keep_the_loop)
{
    free_loop_of_stubborn(false);
    free_loop_of_stubborn(true);
}

TASK(stream_server, that_was_given_back_stays_until_its_handlers_have_ended)
{
    weir_server *server = start(clean_up, NULL);
    struct fake_peer *peer = call_server(server);
    fake_peer_close(peer);
    nap();
    weir_server_free(server); /* freed after its handler */
    expect_eq(weir_sleep(loop, 200 * MS), 0);
    cr_assert(has_cleaned_up);
}

TASK(stream_server, join_waits_for_the_close_and_the_last_connection)
{
    struct forever joins[3];
    weir_task *tasks[3];
    weir_server *server = start(echo, NULL);
    struct fake_peer *peer = call_server(server);
    for (int i = 0; i < 3; i++) {
        tasks[i] = start_forever(&joins[i], server, weir_server_wait_closed);
    }
    cr_assert(weir_server_is_serving(server), "join does not close");
    weir_task_cancel(tasks[1]);
    expect_eq(rig_join(tasks[1]), -ECANCELED);
    weir_server_close(server);
    nap();
    cr_assert_not(joins[0].is_done, "a client is left");
    fake_peer_shutdown(peer);
    nap();
    expect_eq(rig_join(tasks[0]), 0);
    expect_eq(rig_join(tasks[2]), 0);
    expect_eq(weir_server_wait_closed(server), 0,
              "a second wait of a closed server");
    fake_peer_close(peer);
    weir_server_free(server);
}

TASK(stream_server, a_task_that_joins_is_told_when_the_server_was_given_back)
{
    struct forever join;
    weir_server *server = start(echo, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task = start_forever(&join, server, weir_server_wait_closed);
    weir_server_free(server);
    nap();
    cr_assert_not(join.is_done);
    fake_peer_close(peer);
    expect_eq(rig_join(task), 0);
}

static weir_server *freed;

/* Runs after the last connection is lost, and before the server has woken its
 * waiters. */
static int free_at_the_end(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    expect_eq(weir_reader_read(reader, &byte, 1), 0);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    expect_eq(weir_server_get_connection_count(freed), 0);
    weir_server_free(freed);
    return 0;
}

TASK(stream_server,
     a_task_that_joins_is_told_when_the_server_is_given_back_as_it_ends)
{
    struct forever join;
    freed = start(free_at_the_end, NULL);
    struct fake_peer *peer = call_server(freed);
    weir_task *task = start_forever(&join, freed, weir_server_wait_closed);
    weir_server_close(freed);
    nap();
    fake_peer_shutdown(peer);
    nap();
    cr_assert(join.is_done);
    expect_eq(rig_join(task), 0);
    fake_peer_close(peer);
}

static void call_outside(void *arg)
{
    weir_server *server = arg;
    expect_eq(weir_server_wait_closed(server), WEIR_ENOTTASK);
    expect_eq(weir_server_serve_forever(server), WEIR_ENOTTASK);
    handlers = -1;
}

TASK(stream_server, waiting_outside_a_task_is_an_error)
{
    weir_server *server = start(echo, NULL);
    expect_eq(weir_loop_call_soon(loop, call_outside, server, NULL), 0);
    nap();
    expect_eq(handlers, -1);
    handlers = 0;
    weir_server_free(server);
}

static weir_server *left;
static struct fake_peer *left_peers[CLIENTS];
static struct forever left_forever;

static int leave_a_server(weir_loop *on, void *arg)
{
    left = start(echo, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        left_peers[i] = call_server(left);
    }
    weir_task_unref(
        start_forever(&left_forever, left, weir_server_serve_forever));
    return 0;
}

UNIT(stream_server, the_loops_end_ends_a_server_and_its_streams)
{
    rig_start();
    expect_eq(rig_main(leave_a_server, NULL), 0);
    expect_eq(weir_loop_free(loop), CLIENTS);
    expect_eq(handlers, 0);
    cr_assert(left_forever.is_done);
    weir_server_free(left);
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert(fake_peer_is_alone(left_peers[i]));
        fake_peer_close(left_peers[i]);
    }
    fake_stop();
}

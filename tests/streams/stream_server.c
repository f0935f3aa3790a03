/*
 * weir_server_serve_forever() and weir_server_join(), and how servers of
 * streams end: closed by who cancels, by somebody else, given back, or with
 * the loop. Whoever waits is told, and the handlers get the end of the stream.
 */
#include "served.h"

/* ---- for ever ---- */

struct forever {
    weir_server *server;
    int (*fn)(weir_server *server);
    bool is_done;
};

static int run_forever(weir_loop *on, void *arg)
{
    struct forever *forever = arg;
    (void)on;
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

static int cancel_forever(weir_loop *on, void *arg)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .no_start_serving = true}};
    struct forever forever;
    char byte;
    (void)on;
    (void)arg;
    weir_server *server = start(echo, &options);
    cr_assert_not(weir_server_is_serving(server));
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    cr_assert(weir_server_is_serving(server), "it starts to");
    struct fake_peer *peer = call_server(server);
    expect_echo(peer, "hello");
    cr_assert_eq(weir_server_serve_forever(server), -EBUSY);

    weir_task_cancel(task);
    nap();
    cr_assert(forever.is_done);
    cr_assert_eq(rig_join(task), -ECANCELED);
    cr_assert_eq(handlers, 0, "the handler got the end");
    cr_assert_eq(fake_peer_read(peer, &byte, 1), 0);
    cr_assert_eq(weir_server_connection_count(server), 0);
    cr_assert_eq(weir_server_socket_count(server), 0);
    cr_assert_eq(weir_server_serve_forever(server), -ESHUTDOWN);
    fake_peer_close(peer);
    weir_server_free(server);
    return 0;
}

UNIT(stream_server, serve_forever_when_cancelled_closes_server_and_clients)
{
    cr_assert_eq(rig_run(cancel_forever, NULL), 0);
}

static int cancel_second(weir_loop *on, void *arg)
{
    struct forever first;
    struct forever second = {.fn = weir_server_serve_forever};
    (void)on;
    (void)arg;
    weir_server *server = start(echo, NULL);
    second.server = server;
    weir_task *task = start_forever(&first, server, weir_server_serve_forever);
    weir_task *late = rig_spawn(run_forever, &second);
    weir_task_cancel(late); /* before it runs: its call finds that */
    cr_assert_eq(rig_join(late), -ECANCELED);
    cr_assert_eq(weir_server_socket_count(server), 0, "as it says");
    cr_assert_eq(rig_join(task), -ESHUTDOWN);
    weir_server_free(server);
    return 0;
}

UNIT(stream_server, a_second_serve_forever_that_is_cancelled_closes_the_server)
{
    cr_assert_eq(rig_run(cancel_second, NULL), 0);
}

static int write_much(void *arg, weir_reader *reader, weir_writer *writer)
{
    static const uint8_t bytes[MIB];
    (void)arg;
    (void)reader;
    return weir_writer_write(writer, bytes, sizeof(bytes));
}

static int cancel_twice(weir_loop *on, void *arg)
{
    struct forever forever;
    (void)on;
    (void)arg;
    weir_server *server = start(write_much, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    weir_task_cancel(task);
    nap();
    cr_assert_not(forever.is_done, "a client still takes its bytes");
    cr_assert_eq(weir_server_connection_count(server), 1);
    weir_task_cancel(task);
    cr_assert_eq(rig_join(task), -ECANCELED);
    cr_assert_eq(weir_server_connection_count(server), 1);
    weir_server_free(server);
    fake_peer_close(peer);
    nap();
    return 0;
}

UNIT(stream_server, a_second_cancellation_ends_the_wait_for_clients)
{
    cr_assert_eq(rig_run(cancel_twice, NULL), 0);
}

static int subscribed;

/* A handler that does not wait for its peer. */
static int subscribe(void *arg, weir_reader *reader, weir_writer *writer)
{
    (void)arg;
    (void)reader;
    int err = weir_sleep(weir_writer_get_loop(writer), UINT64_MAX);
    subscribed = err;
    return err;
}

static int cancel_subscribed(weir_loop *on, void *arg)
{
    struct forever forever;
    (void)on;
    (void)arg;
    weir_server *server = start(subscribe, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    fake_peer_shutdown(peer);
    nap();
    cr_assert_eq(subscribed, 0, "nobody asks for an end");
    weir_task_cancel(task);
    cr_assert_eq(rig_join(task), -ECANCELED);
    cr_assert_eq(subscribed, -ECANCELED);
    weir_server_free(server);
    fake_peer_close(peer);
    return 0;
}

UNIT(stream_server, serve_forever_when_cancelled_cancels_who_still_serves)
{
    cr_assert_eq(rig_run(cancel_subscribed, NULL), 0);
}

static void note_closed(void *arg, weir_server *server)
{
    (void)server;
    *(bool *)arg = true;
}

static int stop_subscribed(weir_loop *on, void *arg)
{
    bool is_closed = false;
    weir_server *server = start(subscribe, NULL);
    struct fake_peer *peer = call_server(server);
    (void)arg;
    cr_assert_eq(weir_server_stop(server, 50 * MS, note_closed, &is_closed), 0);
    cr_assert_eq(weir_sleep(on, 40 * MS), 0);
    cr_assert_not(is_closed);
    cr_assert_eq(subscribed, 0, "it still has time");
    cr_assert_eq(weir_sleep(on, 20 * MS), 0);
    cr_assert_eq(subscribed, -ECANCELED);
    cr_assert(is_closed);
    weir_server_free(server);
    fake_peer_close(peer);
    return 0;
}

UNIT(stream_server, stop_cancels_who_still_serves_after_the_grace)
{
    cr_assert_eq(rig_run(stop_subscribed, NULL), 0);
}

static int close_meanwhile(weir_loop *on, void *arg)
{
    struct forever forever;
    (void)on;
    (void)arg;
    weir_server *server = start(echo, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task =
        start_forever(&forever, server, weir_server_serve_forever);
    weir_server_close(server);
    nap();
    cr_assert(forever.is_done, "its connections live on");
    expect_echo(peer, "still there");
    cr_assert_eq(rig_join(task), -ESHUTDOWN);

    server = (weir_server_free(server), start(echo, NULL));
    task = start_forever(&forever, server, weir_server_serve_forever);
    weir_server_free(server);
    nap();
    cr_assert_eq(rig_join(task), -ESHUTDOWN, "freed is closed");
    fake_peer_close(peer);
    nap();
    return 0;
}

UNIT(stream_server, serve_forever_ends_when_somebody_closes_the_server)
{
    cr_assert_eq(rig_run(close_meanwhile, NULL), 0);
}

/* ---- joining ---- */

static bool has_cleaned_up;

/* Goes on after its connection is lost. */
static int clean_up(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    (void)arg;
    cr_assert_eq(weir_reader_read(reader, &byte, 1), 0);
    weir_writer_close(writer);
    cr_assert_eq(weir_writer_wait_closed(writer), 0);
    cr_assert_eq(weir_sleep(weir_writer_get_loop(writer), 100 * MS), 0);
    has_cleaned_up = true;
    return 0;
}

static int join_handlers(weir_loop *on, void *arg)
{
    weir_server *server = start(clean_up, NULL);
    struct fake_peer *peer = call_server(server);
    (void)on;
    (void)arg;

    weir_server_close(server);
    fake_peer_close(peer);
    nap();
    cr_assert_eq(weir_server_connection_count(server), 0);
    cr_assert_not(has_cleaned_up);
    cr_assert_eq(weir_server_join(server), 0);
    cr_assert(has_cleaned_up);
    weir_server_free(server);
    return 0;
}

UNIT(stream_server, join_waits_for_the_tasks_that_serve_beyond_the_loss)
{
    cr_assert_eq(rig_run(join_handlers, NULL), 0);
}

/* A handler that waits for what never comes. */
static int wait_for_nothing(void *arg, weir_reader *reader, weir_writer *writer)
{
    (void)reader;
    (void)writer;
    return weir_future_await(arg, NULL);
}

static void stay(void *arg, weir_future *future)
{
    (void)arg;
    (void)future; /* cancelling it changes nothing */
}

struct stubborn {
    bool is_connected; /* when the loop is freed */
    weir_future *future;
    weir_server *server;
    struct fake_peer *peer;
};

static int leave_stubborn(weir_loop *on, void *arg)
{
    struct weir_start_server_options options = {.size = sizeof(options)};
    struct stubborn *stubborn = arg;
    cr_assert_eq(weir_future_new(on, stay, NULL, &stubborn->future), 0);
    options.arg = stubborn->future;
    cr_assert_eq(weir_start_server(on, wait_for_nothing, "127.0.0.1", 0,
                                   &options, &stubborn->server),
                 0);
    stubborn->peer = call_server(stubborn->server);
    weir_server_close(stubborn->server);
    weir_server_free(stubborn->server);
    nap();
    if (stubborn->is_connected) {
        return 0; /* the connection goes with the loop */
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
    cr_assert_eq(rig_main(leave_stubborn, &stubborn), 0);
    cr_assert_eq(weir_loop_free(loop), is_connected ? 1 : 0);
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

static int leave_handlers(weir_loop *on, void *arg)
{
    weir_server *server = start(clean_up, NULL);
    struct fake_peer *peer = call_server(server);
    (void)on;
    (void)arg;
    fake_peer_close(peer);
    nap();
    weir_server_free(server); /* its memory goes with the handler */
    cr_assert_eq(weir_sleep(on, 200 * MS), 0);
    cr_assert(has_cleaned_up);
    return 0;
}

UNIT(stream_server, that_was_given_back_stays_until_its_handlers_have_ended)
{
    cr_assert_eq(rig_run(leave_handlers, NULL), 0);
}

static int join_several(weir_loop *on, void *arg)
{
    struct forever joins[3];
    weir_task *tasks[3];
    (void)on;
    (void)arg;
    weir_server *server = start(echo, NULL);
    struct fake_peer *peer = call_server(server);
    for (int i = 0; i < 3; i++) {
        tasks[i] = start_forever(&joins[i], server, weir_server_join);
    }
    cr_assert(weir_server_is_serving(server), "join does not close");
    weir_task_cancel(tasks[1]);
    cr_assert_eq(rig_join(tasks[1]), -ECANCELED);
    weir_server_close(server);
    nap();
    cr_assert_not(joins[0].is_done, "a client is left");
    fake_peer_shutdown(peer);
    nap();
    cr_assert_eq(rig_join(tasks[0]), 0);
    cr_assert_eq(rig_join(tasks[2]), 0);
    cr_assert_eq(weir_server_join(server), 0, "and again");
    fake_peer_close(peer);
    weir_server_free(server);
    return 0;
}

UNIT(stream_server, join_waits_for_the_close_and_the_last_connection)
{
    cr_assert_eq(rig_run(join_several, NULL), 0);
}

static int free_while_joining(weir_loop *on, void *arg)
{
    struct forever join;
    (void)on;
    (void)arg;
    weir_server *server = start(echo, NULL);
    struct fake_peer *peer = call_server(server);
    weir_task *task = start_forever(&join, server, weir_server_join);
    weir_server_free(server);
    nap();
    cr_assert_not(join.is_done);
    fake_peer_close(peer);
    cr_assert_eq(rig_join(task), 0);
    return 0;
}

UNIT(stream_server, who_joins_is_told_when_the_server_was_given_back)
{
    cr_assert_eq(rig_run(free_while_joining, NULL), 0);
}

static weir_server *freed;

/* Runs after the loss of its connection, the last, and before the server has
 * told anybody that it is over. */
static int free_at_the_end(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    (void)arg;
    cr_assert_eq(weir_reader_read(reader, &byte, 1), 0);
    weir_writer_close(writer);
    cr_assert_eq(weir_writer_wait_closed(writer), 0);
    cr_assert_eq(weir_server_connection_count(freed), 0);
    weir_server_free(freed);
    return 0;
}

static int free_when_over(weir_loop *on, void *arg)
{
    struct forever join;
    (void)on;
    (void)arg;
    freed = start(free_at_the_end, NULL);
    struct fake_peer *peer = call_server(freed);
    weir_task *task = start_forever(&join, freed, weir_server_join);
    weir_server_close(freed);
    nap();
    fake_peer_shutdown(peer);
    nap();
    cr_assert(join.is_done);
    cr_assert_eq(rig_join(task), 0);
    fake_peer_close(peer);
    return 0;
}

UNIT(stream_server, who_joins_is_told_when_it_is_given_back_as_it_ends)
{
    cr_assert_eq(rig_run(free_when_over, NULL), 0);
}

static void call_outside(void *arg)
{
    weir_server *server = arg;
    cr_assert_eq(weir_server_join(server), WEIR_ENOTTASK);
    cr_assert_eq(weir_server_serve_forever(server), WEIR_ENOTTASK);
    handlers = -1;
}

static int wait_in_a_callback(weir_loop *on, void *arg)
{
    (void)arg;
    weir_server *server = start(echo, NULL);
    cr_assert_eq(weir_loop_call_soon(on, call_outside, server, NULL), 0);
    nap();
    cr_assert_eq(handlers, -1);
    handlers = 0;
    weir_server_free(server);
    return 0;
}

UNIT(stream_server, waiting_outside_a_task_is_an_error)
{
    cr_assert_eq(rig_run(wait_in_a_callback, NULL), 0);
}

/* ---- the loop's end ---- */

static weir_server *left;
static struct fake_peer *left_peers[CLIENTS];
static struct forever left_forever;

static int leave_a_server(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    left = start(echo, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        left_peers[i] = call_server(left);
    }
    weir_task_detach(
        start_forever(&left_forever, left, weir_server_serve_forever));
    return 0;
}

UNIT(stream_server, the_loops_end_ends_a_server_and_its_streams)
{
    rig_start();
    cr_assert_eq(rig_main(leave_a_server, NULL), 0);
    cr_assert_eq(weir_loop_free(loop), CLIENTS);
    cr_assert_eq(handlers, 0);
    cr_assert(left_forever.is_done);
    weir_server_free(left);
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert(fake_peer_is_alone(left_peers[i]));
        fake_peer_close(left_peers[i]);
    }
    fake_stop();
}

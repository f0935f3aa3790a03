/*
 * Stopping gracefully: what is being served is finished, what is idle is ended
 * at once, and what is left at the end of the grace is aborted, to the
 * nanosecond by the machine's clock.
 */
#include "served.h"
#include "tests/bind.h"

#define WORK (400 * MS)

static int answered;
static int cancelled;

/* Answers each line after some work, and never checks whether the connection
 * closes. */
static int work(void *arg, weir_reader *reader, weir_writer *writer)
{
    char line[64];
    ssize_t len;
    handlers++;
    while ((len = weir_reader_readline(reader, line, sizeof(line))) > 0) {
        int err = weir_sleep(loop, line[0] == 's' ? UINT64_MAX : WORK);
        if (err < 0) {
            cancelled++;
            len = err;
            break;
        }
        weir_writer_write(writer, "answer\n", 7);
        answered++;
    }
    handlers--;
    return (int)len;
}

static weir_server *start_work(void)
{
    handlers = 0;
    answered = 0;
    cancelled = 0;
    return start(work, NULL);
}

static struct fake_peer *ask(weir_server *server, const char *text)
{
    struct fake_peer *peer = call_server(server);
    expect_eq(fake_peer_write(peer, text, strlen(text)), (ssize_t)strlen(text));
    nap();
    return peer;
}

static bool has_ended(struct fake_peer *peer)
{
    return fake_peer_is_alone(peer);
}

static void expect_answer(struct fake_peer *peer)
{
    char text[16] = "";
    expect_eq(fake_peer_read(peer, text, sizeof(text)), 7);
    expect_str_eq(text, "answer\n");
}

static uint64_t closed_ns;

static void note_closed(void *arg, weir_server *server)
{
    closed_ns = weir_loop_get_time(loop);
}

TASK(stream_stop, a_request_that_is_being_served_is_answered)
{
    weir_server *server = start_work();
    struct fake_peer *idle = ask(server, "");
    struct fake_peer *stuck = ask(server, "stuck\n");
    struct fake_peer *asking = ask(server, "question\n");
    const uint64_t begin_ns = weir_loop_get_time(loop);
    expect_eq(weir_server_stop(server, 2 * S, note_closed, NULL), 0);
    nap();
    cr_assert(has_ended(idle), "an idle connection ends at once");
    cr_assert_not(has_ended(asking));
    expect_eq(handlers, 2);

    expect_eq(weir_sleep(loop, WORK), 0);
    expect_answer(asking);
    cr_assert(has_ended(asking), "a busy one ends after its answer");
    cr_assert_not(has_ended(stuck));
    expect_eq(handlers, 1);

    expect_eq(weir_server_wait_closed(server), 0);
    expect_eq(closed_ns - begin_ns, 2 * S, "the grace");
    cr_assert(has_ended(stuck));
    expect_eq(cancelled, 1);
    expect_eq(answered, 1);
    weir_server_free(server);
    fake_peer_close(idle);
    fake_peer_close(stuck);
    fake_peer_close(asking);
}

TASK(stream_stop, a_request_that_has_begun_to_arrive_is_served)
{
    weir_server *server = start_work();
    struct fake_peer *peer = ask(server, "ques");
    expect_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    nap();
    cr_assert_not(has_ended(peer), "a part of a request was received");
    expect_eq(fake_peer_write(peer, "tion\nand another\n", 17), 17);
    expect_eq(weir_sleep(loop, WORK + MS), 0);
    expect_answer(peer);
    cr_assert_not(has_ended(peer), "another one was received with it");
    expect_eq(weir_server_wait_closed(server), 0);
    expect_answer(peer);
    cr_assert(has_ended(peer));
    expect_eq(answered, 2);
    expect_eq(cancelled, 0);
    weir_server_free(server);
    fake_peer_close(peer);
}

/* Reads all after some time, when reading is paused. */
static int read_late(void *arg, weir_reader *reader, weir_writer *writer)
{
    static char buf[8 * KIB];
    ssize_t len;
    expect_eq(weir_sleep(loop, WORK), 0);
    while ((len = weir_reader_read(reader, buf, sizeof(buf))) > 0) {
        *(size_t *)arg += (size_t)len;
    }
    return (int)len;
}

static int stop_paused(weir_loop *on, void *arg)
{
    static const char bytes[3 * KIB];
    size_t received = 0;
    const struct weir_start_server_options options = {
        .size = sizeof(options), .limit_bytes = KIB, .arg = &received};
    const int64_t pieces = *(const int *)arg;
    weir_server *server = start(read_late, &options);
    struct fake_peer *peer = call_server(server);
    for (int64_t i = 0; i < pieces; i++) {
        expect_eq(fake_peer_write(peer, bytes, sizeof(bytes)),
                  (ssize_t)sizeof(bytes));
        nap();
    }
    expect_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    expect_eq(weir_sleep(on, WORK + MS), 0);

    expect_eq(received, (size_t)pieces * sizeof(bytes), "%zu", received);
    cr_assert(has_ended(peer));
    expect_eq(weir_server_wait_closed(server), 0);
    weir_server_free(server);
    fake_peer_close(peer);
    return 0;
}

/* The first piece is in the reader, the second is held, and the third is in
 * the kernel. */
UNIT(stream_stop, a_request_that_arrived_while_reading_was_paused_is_served)
{
    for (int pieces = 1; pieces <= 3; pieces++) {
        expect_eq(rig_run(stop_paused, &pieces), 0);
    }
}

/* Reads a header, and then a body of three bytes. */
static int read_by_parts(void *arg, weir_reader *reader, weir_writer *writer)
{
    char part[3];
    weir_transport *t = weir_writer_get_transport(writer);
    while (weir_reader_readexactly(reader, part, 1) == 1) {
        expect_eq(weir_transport_set_busy(t, true), 0);
        if (weir_reader_readexactly(reader, part, 3) != 3) {
            break;
        }
        weir_writer_write(writer, "answer\n", 7);
        answered++;
        expect_eq(weir_transport_set_busy(t, false), 0);
    }
    return 0;
}

TASK(stream_stop, a_task_that_says_it_is_busy_is_not_taken_for_idle)
{
    answered = 0;
    weir_server *server = start(read_by_parts, NULL);
    struct fake_peer *peer = ask(server, "h");
    expect_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    nap();
    cr_assert_not(has_ended(peer), "it said that it is busy");
    expect_eq(fake_peer_write(peer, "abc", 3), 3);
    nap();
    expect_answer(peer);
    cr_assert(has_ended(peer));
    expect_eq(weir_server_wait_closed(server), 0);
    weir_server_free(server);
    fake_peer_close(peer);
}

static weir_transport *made;

static void note_made(void *user, weir_transport *t)
{
    made = t;
}

static CALLBACKS(protocol, STREAM, .connection_made = note_made);

TASK(stream_stop, a_protocol_says_whether_it_is_busy)
{
    const struct weir_factory factory = bind_to(&protocol, NULL);
    weir_server *server;
    expect_ok(weir_create_server(loop, &factory, "127.0.0.1", 0, NULL, NULL,
                                 NULL, &server));
    nap();
    struct fake_peer *idle = call_server(server);
    struct fake_peer *busy = call_server(server);
    weir_transport *t = made;
    expect_eq(weir_transport_set_busy(t, true), 0);

    expect_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    nap();
    cr_assert(has_ended(idle));
    cr_assert_not(has_ended(busy));
    expect_eq(weir_transport_write(t, "answer\n", 7), 0);
    expect_eq(weir_transport_set_busy(t, false), 0);
    nap();
    expect_answer(busy);
    cr_assert(has_ended(busy));
    expect_eq(weir_server_wait_closed(server), 0);
    weir_server_free(server);
    fake_peer_close(idle);
    fake_peer_close(busy);
}

static int serve_for_ever(weir_loop *on, void *arg)
{
    return weir_server_serve_forever(arg);
}

static int write_much(void *arg, weir_reader *reader, weir_writer *writer)
{
    static const uint8_t bytes[MIB];
    return weir_writer_write(writer, bytes, sizeof(bytes));
}

/* A peer that does not read. */
static uint64_t time_to_end(const struct weir_start_server_options *options)
{
    weir_server *server = start(write_much, options);
    struct fake_peer *peer = call_server(server);
    weir_task *task = rig_spawn(serve_for_ever, server);
    nap();
    const uint64_t begin_ns = weir_loop_get_time(loop);
    expect_eq(rig_cancel(task), -ECANCELED);
    const uint64_t took_ns = weir_loop_get_time(loop) - begin_ns;
    expect_eq(weir_server_get_connection_count(server), 0);
    weir_server_free(server);
    fake_peer_close(peer);
    return took_ns;
}

TASK(stream_stop, a_peer_that_does_not_read_keeps_serve_forever_30_s_at_most)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .grace_ns = 3 * S}};
    expect_eq(time_to_end(NULL) / S, 30, "the default grace");
    expect_eq(time_to_end(&options) / S, 3);
}

static CALLBACKS(silent_protocol, STREAM);

/* Gives its connection to another protocol after some work. */
static int give_away(void *arg, weir_reader *reader, weir_writer *writer)
{
    const struct weir_protocol_binding binding = {&silent_protocol, NULL};
    char line[16];
    expect_eq(weir_reader_readline(reader, line, sizeof(line)), 8);
    expect_eq(weir_sleep(loop, WORK), 0);
    return weir_stream_detach(writer, &binding);
}

TASK(stream_stop, a_connection_that_was_given_away_is_idle)
{
    weir_server *server = start(give_away, NULL);
    struct fake_peer *peer = ask(server, "upgrade\n");
    const uint64_t begin_ns = weir_loop_get_time(loop);
    closed_ns = 0;
    expect_eq(weir_server_stop(server, 100 * S, note_closed, NULL), 0);
    nap();
    cr_assert_not(has_ended(peer), "it is being served");
    expect_eq(weir_server_wait_closed(server), 0);
    nap();
    cr_assert(has_ended(peer));
    expect_lt(closed_ns - begin_ns, 100 * S, "the grace was not needed");
    fake_peer_close(peer);
    weir_server_free(server);
}

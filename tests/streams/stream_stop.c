/*
 * Stopping gracefully: what is being served is finished, what is idle is ended
 * at once, and what is left at the end of the grace is aborted, to the
 * nanosecond by the machine's clock.
 */
#include "served.h"

#define WORK (400 * MS)

static int answered;
static int cancelled;

/* Answers each line after some work, without looking at the connection. */
static int work(void *arg, weir_reader *reader, weir_writer *writer)
{
    char line[64];
    ssize_t len;
    (void)arg;
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
    cr_assert_eq(fake_peer_write(peer, text, strlen(text)),
                 (ssize_t)strlen(text));
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
    cr_assert_eq(fake_peer_read(peer, text, sizeof(text)), 7);
    cr_assert_str_eq(text, "answer\n");
}

static uint64_t closed_ns;

static void note_closed(void *arg, weir_server *server)
{
    (void)arg;
    (void)server;
    closed_ns = weir_loop_time(loop);
}

static int stop_three(weir_loop *on, void *arg)
{
    (void)arg;
    weir_server *server = start_work();
    struct fake_peer *idle = ask(server, "");
    struct fake_peer *stuck = ask(server, "stuck\n");
    struct fake_peer *asking = ask(server, "question\n");
    const uint64_t begin_ns = weir_loop_time(on);
    cr_assert_eq(weir_server_stop(server, 2 * S, note_closed, NULL), 0);
    nap();
    cr_assert(has_ended(idle), "idle: at once");
    cr_assert_not(has_ended(asking));
    cr_assert_eq(handlers, 2);

    cr_assert_eq(weir_sleep(on, WORK), 0);
    expect_answer(asking);
    cr_assert(has_ended(asking), "closed when it had nothing more to do");
    cr_assert_not(has_ended(stuck));
    cr_assert_eq(handlers, 1);

    cr_assert_eq(weir_server_join(server), 0);
    cr_assert_eq(closed_ns - begin_ns, 2 * S, "the grace");
    cr_assert(has_ended(stuck));
    cr_assert_eq(cancelled, 1);
    cr_assert_eq(answered, 1);
    weir_server_free(server);
    fake_peer_close(idle);
    fake_peer_close(stuck);
    fake_peer_close(asking);
    return 0;
}

UNIT(stream_stop, a_request_that_is_being_served_is_answered)
{
    cr_assert_eq(rig_run(stop_three, NULL), 0);
}

static int stop_partly_received(weir_loop *on, void *arg)
{
    (void)arg;
    weir_server *server = start_work();
    struct fake_peer *peer = ask(server, "ques");
    cr_assert_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    nap();
    cr_assert_not(has_ended(peer), "a part of a request was received");
    cr_assert_eq(fake_peer_write(peer, "tion\nand another\n", 17), 17);
    cr_assert_eq(weir_sleep(on, WORK + MS), 0);
    expect_answer(peer);
    cr_assert_not(has_ended(peer), "another one was received with it");
    cr_assert_eq(weir_server_join(server), 0);
    expect_answer(peer);
    cr_assert(has_ended(peer));
    cr_assert_eq(answered, 2);
    cr_assert_eq(cancelled, 0);
    weir_server_free(server);
    fake_peer_close(peer);
    return 0;
}

UNIT(stream_stop, what_has_begun_to_arrive_is_served)
{
    cr_assert_eq(rig_run(stop_partly_received, NULL), 0);
}

/* Reads all there is after some time, so that reading was paused by then. */
static int read_late(void *arg, weir_reader *reader, weir_writer *writer)
{
    static char buf[8 * KIB];
    ssize_t len;
    (void)writer;
    cr_assert_eq(weir_sleep(loop, WORK), 0);
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
        cr_assert_eq(fake_peer_write(peer, bytes, sizeof(bytes)),
                     (ssize_t)sizeof(bytes));
        nap();
    }
    cr_assert_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    cr_assert_eq(weir_sleep(on, WORK + MS), 0);

    cr_assert_eq(received, (size_t)pieces * sizeof(bytes), "%zu", received);
    cr_assert(has_ended(peer));
    cr_assert_eq(weir_server_join(server), 0);
    weir_server_free(server);
    fake_peer_close(peer);
    return 0;
}

/* The first piece is in the reader, the second is kept for it, and the third
 * waits in the kernel. */
UNIT(stream_stop, what_arrived_while_reading_was_paused_is_served)
{
    for (int pieces = 1; pieces <= 3; pieces++) {
        cr_assert_eq(rig_run(stop_paused, &pieces), 0);
    }
}

/* A header and then a body of three bytes, each by a call of its own. */
static int read_by_parts(void *arg, weir_reader *reader, weir_writer *writer)
{
    char part[3];
    weir_transport *t = weir_writer_get_transport(writer);
    (void)arg;
    while (weir_reader_readexactly(reader, part, 1) == 1) {
        cr_assert_eq(weir_transport_set_busy(t, true), 0);
        if (weir_reader_readexactly(reader, part, 3) != 3) {
            break;
        }
        weir_writer_write(writer, "answer\n", 7);
        answered++;
        cr_assert_eq(weir_transport_set_busy(t, false), 0);
    }
    return 0;
}

static int stop_busy(weir_loop *on, void *arg)
{
    (void)on;
    (void)arg;
    answered = 0;
    weir_server *server = start(read_by_parts, NULL);
    struct fake_peer *peer = ask(server, "h");
    cr_assert_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    nap();
    cr_assert_not(has_ended(peer), "it said that it is busy");
    cr_assert_eq(fake_peer_write(peer, "abc", 3), 3);
    nap();
    expect_answer(peer);
    cr_assert(has_ended(peer));
    cr_assert_eq(weir_server_join(server), 0);
    weir_server_free(server);
    fake_peer_close(peer);
    return 0;
}

UNIT(stream_stop, a_task_that_says_it_is_busy_is_not_taken_for_idle)
{
    cr_assert_eq(rig_run(stop_busy, NULL), 0);
}

/* ---- protocols ---- */

static weir_transport *made;

static void note_made(void *user, weir_transport *t)
{
    (void)user;
    made = t;
}

static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                              .kind = WEIR_PROTOCOL_STREAM,
                                              .connection_made = note_made};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    (void)arg;
    (void)t;
    *ret = (struct weir_protocol_binding){.protocol = &protocol};
    return 0;
}

static int stop_protocols(weir_loop *on, void *arg)
{
    const struct weir_factory factory = {.create = create};
    weir_server *server;
    (void)arg;
    cr_assert_eq(
        weir_create_server(on, &factory, "127.0.0.1", 0, NULL, &server), 0);
    nap();
    struct fake_peer *idle = call_server(server);
    struct fake_peer *busy = call_server(server);
    weir_transport *t = made;
    cr_assert_eq(weir_transport_set_busy(t, true), 0);

    cr_assert_eq(weir_server_stop(server, 2 * S, NULL, NULL), 0);
    nap();
    cr_assert(has_ended(idle));
    cr_assert_not(has_ended(busy));
    cr_assert_eq(weir_transport_write(t, "answer\n", 7), 0);
    cr_assert_eq(weir_transport_set_busy(t, false), 0);
    nap();
    expect_answer(busy);
    cr_assert(has_ended(busy));
    cr_assert_eq(weir_server_join(server), 0);
    weir_server_free(server);
    fake_peer_close(idle);
    fake_peer_close(busy);
    return 0;
}

UNIT(stream_stop, a_protocol_says_whether_it_is_busy)
{
    cr_assert_eq(rig_run(stop_protocols, NULL), 0);
}

/* ---- the grace of serve_forever ---- */

static int serve_for_ever(weir_loop *on, void *arg)
{
    (void)on;
    return weir_server_serve_forever(arg);
}

static int write_much(void *arg, weir_reader *reader, weir_writer *writer)
{
    static const uint8_t bytes[MIB];
    (void)arg;
    (void)reader;
    return weir_writer_write(writer, bytes, sizeof(bytes));
}

/* A peer that does not read what was written to it. */
static uint64_t time_to_end(const struct weir_start_server_options *options)
{
    weir_server *server = start(write_much, options);
    struct fake_peer *peer = call_server(server);
    weir_task *task = rig_spawn(serve_for_ever, server);
    nap();
    const uint64_t begin_ns = weir_loop_time(loop);
    weir_task_cancel(task);
    cr_assert_eq(rig_join(task), -ECANCELED);
    const uint64_t took_ns = weir_loop_time(loop) - begin_ns;
    cr_assert_eq(weir_server_connection_count(server), 0);
    weir_server_free(server);
    fake_peer_close(peer);
    return took_ns;
}

static int end_in_time(weir_loop *on, void *arg)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .grace_ns = 3 * S}};
    (void)on;
    (void)arg;
    cr_assert_eq(time_to_end(NULL) / S, 30, "unless said otherwise");
    cr_assert_eq(time_to_end(&options) / S, 3);
    return 0;
}

UNIT(stream_stop, a_peer_that_does_not_read_keeps_serve_forever_30_s_at_most)
{
    cr_assert_eq(rig_run(end_in_time, NULL), 0);
}

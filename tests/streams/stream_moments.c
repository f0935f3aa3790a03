/*
 * The calls on readers, writers, connections and servers, interrupted at every
 * moment; see tests/tasks/moments.h.
 *
 * Readers are fed by hand, so that what a call waits for is there before its
 * task runs. Writers have a peer on the fake machine; it reads after the call
 * was interrupted, or the connection is aborted, which the call hears at once.
 */
#include "pair.h"
#include "tests/tasks/moments_rig.h"

#include <weir/stream.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define HOST            "192.0.2.7"
#define PORT            80
#define MANY            (200 * KIB)

static weir_reader *reader;
static struct pair p;
static bool is_reading; /* the peer reads */
static struct fake_listener *listener;
static weir_server *server;
static uint8_t bytes[MANY];

static void make_reader(void)
{
    expect_eq(weir_reader_new(loop, 64 * KIB, &reader), 0);
}

static void feed_line(void)
{
    expect_eq(weir_reader_feed_data(reader, "one\n", 4), 0);
}

static void make_fed(void)
{
    make_reader();
    feed_line();
}

static void feed_many(void)
{
    expect_eq(weir_reader_feed_data(reader, bytes, MANY), 0);
}

static void make_half_fed(void)
{
    make_reader();
    expect_eq(weir_reader_feed_data(reader, bytes, MANY / 2), 0);
}

static void feed_end(void)
{
    feed_line();
    weir_reader_feed_eof(reader);
}

static void drop_reader(void)
{
    weir_reader_free(reader);
}

static int error_of(ssize_t result)
{
    return result < 0 ? (int)result : 0;
}

static int call_read(weir_loop *on)
{
    return error_of(weir_reader_read(reader, bytes, 10));
}

static int call_read_view(weir_loop *on)
{
    struct weir_buf buf;
    return error_of(weir_reader_read_view(reader, 10, &buf));
}

static int call_take(weir_loop *on)
{
    struct weir_buf buf;
    const ssize_t len = weir_reader_take(reader, 10, &buf);
    if (len > 0) {
        weir_buf_unref(buf.lease);
    }
    return error_of(len);
}

static int call_read_to_end(weir_loop *on)
{
    struct weir_buf buf;
    const ssize_t len = weir_reader_read_to_end(reader, MANY, &buf);
    if (len > 0) {
        weir_buf_unref(buf.lease);
    }
    return error_of(len);
}

static int call_readexactly(weir_loop *on)
{
    return error_of(weir_reader_readexactly(reader, bytes, 4));
}

static int call_readexactly_many(weir_loop *on)
{
    return error_of(weir_reader_readexactly(reader, bytes, MANY));
}

static int call_readexactly_view(weir_loop *on)
{
    struct weir_buf buf;
    return error_of(weir_reader_readexactly_view(reader, 4, &buf));
}

static int call_readline(weir_loop *on)
{
    return error_of(weir_reader_readline(reader, bytes, 10));
}

static int call_readline_view(weir_loop *on)
{
    struct weir_buf buf;
    return error_of(weir_reader_readline_view(reader, &buf));
}

static const struct weir_separator separator = {"e\n", 2};

static int call_readuntil(weir_loop *on)
{
    return error_of(weir_reader_readuntil(reader, &separator, 1, bytes, 10));
}

static int call_readuntil_view(weir_loop *on)
{
    struct weir_buf buf;
    return error_of(weir_reader_readuntil_view(reader, &separator, 1, &buf));
}

static int call_fill(weir_loop *on)
{
    return error_of(weir_reader_fill(reader, 4));
}

static const struct row reader_rows[] = {
    {"read", make_reader, call_read, feed_line, drop_reader},
    {"read of what is there", make_fed, call_read, NULL, drop_reader},
    {"read_view", make_reader, call_read_view, feed_line, drop_reader},
    {"take", make_reader, call_take, feed_line, drop_reader},
    {"read_to_end", make_reader, call_read_to_end, feed_end, drop_reader},
    {"readexactly", make_reader, call_readexactly, feed_line, drop_reader},
    {"readexactly of much", make_half_fed, call_readexactly_many, feed_many,
     drop_reader},
    {"readexactly_view", make_reader, call_readexactly_view, feed_line,
     drop_reader},
    {"readline", make_reader, call_readline, feed_line, drop_reader},
    {"readline_view", make_reader, call_readline_view, feed_line, drop_reader},
    {"readline of what is there", make_fed, call_readline, NULL, drop_reader},
    {"readuntil", make_reader, call_readuntil, feed_line, drop_reader},
    {"readuntil_view", make_reader, call_readuntil_view, feed_line,
     drop_reader},
    {"fill", make_reader, call_fill, feed_line, drop_reader},
};

static void make_pair(void)
{
    pair_open(&p);
    is_reading = false;
}

/* Writes more than the kernel takes and than the high-water mark. */
static void make_full_pair(void)
{
    make_pair();
    while (weir_writer_get_write_buffer_size(p.writer) < MIB) {
        expect_eq(pair_write(&p, MIB), 0);
    }
    nap();
    expect_gt(weir_writer_get_write_buffer_size(p.writer), 0);
}

static int read_all(weir_loop *on, void *arg)
{
    for (int i = 0; i < 100; i++) {
        (void)pair_peer_read(&p, MIB);
        nap();
    }
    is_reading = false;
    return 0;
}

static void let_peer_read(void)
{
    if (!is_reading) {
        is_reading = true;
        weir_task_unref(rig_spawn(read_all, NULL));
    }
}

static void abort_pair(void)
{
    weir_writer_abort(p.writer);
}

static void drop_pair(void)
{
    while (is_reading) {
        nap();
    }
    pair_close(&p);
}

static int call_drain(weir_loop *on)
{
    return weir_writer_drain(p.writer);
}

static int call_flush(weir_loop *on)
{
    return weir_writer_flush(p.writer);
}

static int call_wait_closed(weir_loop *on)
{
    weir_writer_close(p.writer);
    return weir_writer_wait_closed(p.writer);
}

static const struct row writer_rows[] = {
    {"drain", make_full_pair, call_drain, let_peer_read, drop_pair},
    {"drain of an aborted connection", make_full_pair, call_drain, abort_pair,
     drop_pair},
    {"drain without a need", make_pair, call_drain, NULL, drop_pair},
    {"flush", make_full_pair, call_flush, let_peer_read, drop_pair},
    {"flush of an aborted connection", make_full_pair, call_flush, abort_pair,
     drop_pair},
    {"flush without a need", make_pair, call_flush, NULL, drop_pair},
    {"wait_closed", make_full_pair, call_wait_closed, let_peer_read, drop_pair},
    {"wait_closed of an aborted connection", make_full_pair, call_wait_closed,
     abort_pair, drop_pair},
};

static void listen_here(enum fake_answer answer, uint64_t delay_ns)
{
    struct weir_address address;

    if (!listener) {
        expect_eq(weir_address_parse(HOST, PORT, &address), 0);
        listener = fake_listen(&address.storage.any, address.len);
    }
    fake_listener_set(listener, answer, delay_ns);
}

static void make_accepting(void)
{
    listen_here(FAKE_ACCEPT, 0);
}

static void make_slow(void)
{
    listen_here(FAKE_ACCEPT, 100 * MS);
}

static void make_refusing(void)
{
    listen_here(FAKE_REFUSE, 0);
}

static void make_silent(void)
{
    listen_here(FAKE_SILENT, 0);
}

static void drop_peers(void)
{
    struct fake_peer *peer;

    while ((peer = fake_listener_accept(listener))) {
        fake_peer_close(peer);
    }
}

static int open_with(weir_loop *on, const struct weir_open_options *options)
{
    weir_writer *writer = NULL;
    int err = weir_open_connection(on, HOST, PORT, options, NULL, &writer);

    cr_assert((err == 0) == (writer != NULL));
    if (err == 0) {
        weir_writer_abort(writer);
        weir_writer_unref(writer);
    }
    return err;
}

static int call_open(weir_loop *on)
{
    return open_with(on, NULL);
}

static int call_open_limited(weir_loop *on)
{
    const struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect), .timeout_ns = 100 * MS}};
    return open_with(on, &options);
}

static const struct row connection_rows[] = {
    {"open_connection", make_accepting, call_open, NULL, drop_peers},
    {"open_connection that takes long", make_slow, call_open, NULL, drop_peers},
    {"open_connection that is refused", make_refusing, call_open, NULL,
     drop_peers},
    {"open_connection that times out", make_silent, call_open_limited, NULL,
     drop_peers},
};

static int serve_nothing(void *arg, weir_reader *from, weir_writer *to)
{
    return 0;
}

static int start_here(weir_loop *on, weir_server **ret)
{
    return weir_start_server(on, serve_nothing, "127.0.0.1", 0, NULL, ret);
}

static void make_server(void)
{
    expect_eq(start_here(loop, &server), 0);
}

static void close_server(void)
{
    weir_server_close(server);
}

static void drop_server(void)
{
    weir_server_close(server);
    weir_server_free(server);
}

static int call_start_server(weir_loop *on)
{
    weir_server *started = NULL;
    int err = start_here(on, &started);

    cr_assert((err == 0) == (started != NULL));
    if (err == 0) {
        weir_server_close(started);
        weir_server_free(started);
    }
    return err;
}

static int call_join(weir_loop *on)
{
    return weir_server_wait_closed(server);
}

static int call_serve_forever(weir_loop *on)
{
    return weir_server_serve_forever(server);
}

static const struct row server_rows[] = {
    {"start_server", NULL, call_start_server, NULL, NULL},
    {"server_join", make_server, call_join, close_server, drop_server},
    {"serve_forever", make_server, call_serve_forever, close_server,
     drop_server},
};

TASK(stream_moments, an_interruption_is_told_once_by_this_call_or_the_next)
{
    listener = NULL;
    play_rows(reader_rows, COUNT_OF(reader_rows));
    play_rows(writer_rows, COUNT_OF(writer_rows));
    play_rows(connection_rows, COUNT_OF(connection_rows));
    play_rows(server_rows, COUNT_OF(server_rows));
}

static void spend(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        spend_budget(&rows[i]);
    }
}

/* Only rows whose make() takes no time, because time does not pass while tasks
 * are ready. The end of serve_forever() ends its server. */
TASK(stream_moments, calls_that_are_interrupted_let_other_tasks_run)
{
    listener = NULL;
    spend(reader_rows, COUNT_OF(reader_rows));
    for (size_t i = 0; i < COUNT_OF(writer_rows); i++) {
        if (writer_rows[i].make == make_pair) {
            spend_budget(&writer_rows[i]);
        }
    }
    spend(connection_rows, COUNT_OF(connection_rows));
    spend(server_rows, COUNT_OF(server_rows) - 1);
}

struct attempt {
    weir_task *task;
    int result; /* 1 while it waits */
    int next;   /* result of the next call */
    bool was_waiting;
};

static int open_silent(weir_loop *on, void *arg)
{
    struct attempt *attempt = arg;

    attempt->result = call_open_limited(on);
    attempt->next = weir_event_wait(victim.after);
    expect_eq(weir_yield(on), 0);
    return 0;
}

static void cancel_attempt(void *arg)
{
    struct attempt *attempt = arg;
    attempt->was_waiting = attempt->result == 1;
    cr_assert(weir_task_cancel(attempt->task));
}

/* Cancels an attempt @extra_ns after its time-out. Returns true if it timed
 * out nevertheless, and had not returned when it was cancelled. */
static bool cancel_beside_time_out(weir_loop *on, uint64_t extra_ns)
{
    struct attempt attempt = {.result = 1, .next = 1};
    const uint64_t when_ns = weir_loop_get_time(on) + 100 * MS + extra_ns;

    expect_eq(weir_event_new(on, &victim.after), 0);
    attempt.task = rig_spawn(open_silent, &attempt);
    settle(); /* its timer was armed before this task's, and expires before it
               */
    expect_ok(weir_loop_call_at(on, when_ns, cancel_attempt, &attempt, NULL));
    expect_eq(weir_sleep(on, S), 0);
    weir_event_set(victim.after);
    expect_eq(rig_join(attempt.task), 0);
    weir_event_free(victim.after);
    cr_assert(attempt.result == -ECANCELED || attempt.result == -ETIMEDOUT);
    expect_eq(attempt.next, attempt.result == -ECANCELED ? 0 : -ECANCELED);
    return attempt.result == -ETIMEDOUT && attempt.was_waiting;
}

TASK(stream_moments, a_cancellation_beside_a_connect_time_out_is_told_next)
{
    int beside = 0;
    listener = NULL;
    make_silent();
    for (uint64_t extra_ns = 0; extra_ns < 20 * US; extra_ns += 100) {
        beside += cancel_beside_time_out(loop, extra_ns) ? 1 : 0;
    }
    expect_gt(beside, 0);
}

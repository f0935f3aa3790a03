/*
 * weir_open_connection(): connecting from a task.
 *
 * Whenever it is cancelled, the call comes back only when the attempt has
 * ended, and either there is a stream or there is nothing.
 */
#include "pair.h"

#include <weir/stream.h>

#define HOST "192.0.2.7"
#define PORT 80

static struct fake_listener *listen_for_weir(enum fake_answer answer)
{
    struct weir_address address;
    expect_eq(weir_address_parse(HOST, PORT, &address), 0);
    struct fake_listener *listener =
        fake_listen(&address.storage.any, address.len);
    fake_listener_set(listener, answer, 0);
    return listener;
}

static int connect_to(struct pair *p, const struct weir_open_options *options)
{
    memset(p, 0, sizeof(*p));
    return weir_open_connection(loop, HOST, PORT, options, &p->reader,
                                &p->writer);
}

TASK(stream_connect, gives_a_stream_that_reads_and_writes)
{
    char text[16] = "";
    struct pair p;
    struct fake_listener *listener = listen_for_weir(FAKE_ACCEPT);
    expect_eq(connect_to(&p, NULL), 0);
    p.peer = fake_listener_accept(listener);
    cr_assert_not_null(p.peer);
    expect_eq(weir_writer_write(p.writer, "ping", 4), 0);
    expect_eq(weir_writer_flush(p.writer), 0);
    expect_eq(fake_peer_read(p.peer, text, sizeof(text)), 4);
    expect_str_eq(text, "ping");
    pair_peer_write(&p, "pong");
    pair_expect_read(&p, "pong");
    pair_close(&p);
}

TASK(stream_connect, errors_are_those_of_the_attempt)
{
    struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect), .timeout_ns = 3 * S}};
    struct pair p;
    struct fake_listener *listener = listen_for_weir(FAKE_REFUSE);
    expect_eq(connect_to(&p, NULL), -ECONNREFUSED);
    fake_listener_set(listener, FAKE_SILENT, 0);
    const uint64_t before_ns = weir_loop_get_time(loop);
    expect_eq(connect_to(&p, &options), -ETIMEDOUT);
    expect_eq((weir_loop_get_time(loop) - before_ns) / S, 3);
    expect_eq(weir_open_connection(loop, "no name", 1, NULL, NULL, &p.writer),
              WEIR_EDNSBADNAME);
    cr_assert_null(p.writer);
    expect_eq(rig_statistics().connections, 0);
}

TASK(stream_connect, options_of_connections_need_no_sizes)
{
    const struct weir_open_options options = {
        .size = sizeof(options), .connect.connection.timeouts.read_ns = 5 * S};
    struct pair p;
    char byte;
    struct fake_listener *listener = listen_for_weir(FAKE_ACCEPT);
    expect_eq(connect_to(&p, &options), 0);
    p.peer = fake_listener_accept(listener);
    const uint64_t before_ns = weir_loop_get_time(loop);
    expect_eq(weir_reader_read(p.reader, &byte, 1), WEIR_EREADTIMEOUT);
    expect_eq((weir_loop_get_time(loop) - before_ns) / S, 5);
    pair_close(&p);
}

/* Makes a call that must fail and close its socket. */
static void expect_refused(struct weir_open_options *options, int err)
{
    struct fake_peer *peer;
    weir_writer *writer = NULL;
    expect_eq(weir_open_connection_at(
                  loop, weir_endpoint_fd(fake_connected_fd(&peer)), options,
                  NULL, &writer),
              err);
    cr_assert(fake_peer_is_alone(peer), "the socket is closed");
    cr_assert_null(writer);
    fake_peer_close(peer);
}

static const struct weir_open_options good = {
    .size = sizeof(good), .connect = {.size = sizeof(good.connect)}};

static void open_outside(void *arg)
{
    struct weir_open_options options = good;
    weir_writer *writer = NULL;
    expect_refused(&options, WEIR_ENOTTASK);
    expect_eq(weir_open_unix_connection(loop, NULL, NULL, NULL, &writer),
              WEIR_ENOTTASK, "before the path is looked at");
    *(bool *)arg = true;
}

TASK(stream_connect, a_socket_that_was_passed_is_taken_by_every_error)
{
    struct weir_open_options options = good;
    bool was_called = false;
    options.limit_bytes = UINT64_MAX;
    expect_refused(&options, -EINVAL);
    options = good;
    options.size = 0;
    expect_refused(&options, WEIR_EOPTIONSIZE);
    options = good;
    options.connect.family = AF_UNIX;
    expect_refused(&options, -EINVAL);
    expect_eq(weir_open_connection(loop, HOST, PORT, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_loop_call_soon(loop, open_outside, &was_called, NULL), 0);
    nap();
    cr_assert(was_called);
}

struct attempt {
    struct pair p;
    struct weir_open_options options;
    const char *host; /* NULL if fd is adopted */
    int fd;
    bool is_done;
    int result;
};

static int open_one(weir_loop *on, void *arg)
{
    struct attempt *attempt = arg;
    attempt->result =
        attempt->host
            ? weir_open_connection(on, attempt->host, PORT, &attempt->options,
                                   &attempt->p.reader, &attempt->p.writer)
            : weir_open_connection_at(on, weir_endpoint_fd(attempt->fd),
                                      &attempt->options, &attempt->p.reader,
                                      &attempt->p.writer);
    attempt->is_done = true;
    return attempt->result;
}

/* Cancels an attempt after @turns iterations. Returns true if it was too
 * late. */
static bool cancel_after(struct attempt *attempt, int turns)
{
    attempt->is_done = false;
    attempt->p.writer = NULL;
    weir_task *task = rig_spawn(open_one, attempt);
    for (int i = 0; i < turns; i++) {
        expect_eq(weir_yield(loop), 0);
    }
    const bool is_late = attempt->is_done;
    weir_task_cancel(task);
    rig_join(task);
    if (attempt->result == 0) {
        weir_writer_unref(attempt->p.writer);
    } else {
        expect_eq(attempt->result, -ECANCELED);
        cr_assert_null(attempt->p.writer);
    }
    nap();
    expect_eq(rig_statistics().connections, 0);
    return is_late;
}

enum { TURNS_MAX = 50 };

static int cancel_connects(weir_loop *on, void *arg)
{
    struct attempt attempt = {.host = HOST, .options = good};
    struct fake_listener *listener = listen_for_weir(FAKE_ACCEPT);
    const uint32_t fds = fake_fd_count();
    int cancelled = 0;
    int turns = 0;
    fake_set_fault(FAKE_CANCEL_RACE, *(uint32_t *)arg);
    while (!cancel_after(&attempt, turns)) {
        cancelled += attempt.result == -ECANCELED ? 1 : 0;
        struct fake_peer *peer = fake_listener_accept(listener);
        if (peer) {
            cr_assert(fake_peer_is_alone(peer));
            fake_peer_close(peer);
        }
        expect_eq(fake_fd_count(), fds);
        expect_lt(++turns, TURNS_MAX);
    }
    expect_geq(turns, 3, "the start takes several turns");
    expect_geq(cancelled, turns - 1,
               "all attempts but the last were cancelled in time");
    return 0;
}

UNIT(stream_connect, cancelled_at_any_turn_it_leaves_nothing)
{
    uint32_t race = 0;
    expect_eq(rig_run(cancel_connects, &race), 0);
    race = 1000; /* cancelled operations complete nevertheless */
    expect_eq(rig_run(cancel_connects, &race), 0);
}

TASK(stream_connect, an_adoption_that_is_cancelled_closes_the_socket)
{
    struct attempt attempt = {.host = NULL};
    const uint32_t fds = fake_fd_count();
    bool is_late = false;
    for (int turns = 0; !is_late; turns++) {
        expect_lt(turns, TURNS_MAX);
        attempt.options = good;
        attempt.fd = fake_connected_fd(&attempt.p.peer);
        is_late = cancel_after(&attempt, turns);
        cr_assert(fake_peer_is_alone(attempt.p.peer));
        fake_peer_close(attempt.p.peer);
        expect_eq(fake_fd_count(), fds);
    }
}

TASK(stream_connect, a_time_out_around_it_gives_the_attempt_up)
{
    struct weir_timeout limit;
    struct pair p;
    listen_for_weir(FAKE_SILENT);
    const uint64_t before_ns = weir_loop_get_time(loop);
    expect_eq(weir_timeout_begin(loop, &limit, 2 * S), 0);
    expect_eq(weir_timeout_end(&limit, connect_to(&p, NULL)), -ETIMEDOUT);
    expect_eq((weir_loop_get_time(loop) - before_ns) / S, 2);
}

static struct attempt left;

static int leave_an_attempt(weir_loop *on, void *arg)
{
    listen_for_weir(FAKE_SILENT);
    left = (struct attempt){.host = HOST, .options = good};
    weir_task_unref(rig_spawn(open_one, &left));
    nap();
    return 0;
}

UNIT(stream_connect, the_loops_end_ends_an_attempt)
{
    expect_eq(rig_run(leave_an_attempt, NULL), 0);
    cr_assert(left.is_done);
    expect_eq(left.result, -ECANCELED);
}

static int open_without_memory(weir_loop *on, void *arg)
{
    struct pair p;
    listen_for_weir(FAKE_ACCEPT);
    walk_begin(&rig_memory);
    int err = connect_to(&p, NULL);
    expect_eq(err, walk_end(&rig_memory) ? -ENOMEM : 0);
    if (err == 0) {
        weir_writer_unref(p.writer);
    }
    return 0;
}

UNIT(stream_connect, without_memory_it_says_so)
{
    expect_geq(rig_walk(open_without_memory, NULL), 4);
}

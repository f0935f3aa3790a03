/*
 * Connects, servers and endpoints without memory: every allocation of a call
 * fails once, the call returns -ENOMEM, and leaves nothing.
 *
 * A later failure, while a connection is being set up, ends only that
 * connection.
 */
#define UNIT_RUN   with_memory
#define UNIT_TAKES struct maker *m
#include "tests/contract/maker.h"
#include "tests/walk.h"

#include <poll.h>
#include <signal.h>
#include <time.h>
#include <weir/connect.h>
#include <weir/pipe.h>

static struct test_allocator memory;

static void with_memory(void (*body)(struct maker *m))
{
    struct maker m;
    allocator_init(&memory);
    maker_open(&m);
    weir_loop_free(m.loop);
    m.loop = allocator_make_loop(&memory);
    weir_loop_set_exception_handler(m.loop, maker_report, &m);
    body(&m);
    maker_close(&m);
    allocator_check(&memory);
}

static void fail_in(uint64_t count)
{
    allocator_fail_in(&memory, count);
}

static void fail_never(void)
{
    memory.fail_at = 0;
}

static void run_without(struct maker *m, maker_condition *condition)
{
    const time_t end = time(NULL) + MAKER_FAILSAFE_S;
    while (!condition(m)) {
        cr_assert_lt(time(NULL), end, "so far: %s", m->log);
        weir_loop_stop(m->loop);
        expect_eq(weir_loop_run(m->loop), 0);
        poll(NULL, 0, condition(m) ? 0 : 1);
    }
}

static struct maker *walked;

static void make_without(void *arg)
{
    int (*const *make)(struct maker * m) = (int (*const *)(struct maker *))arg;
    const uint64_t live = memory.live_bytes;
    walk_begin(&memory);
    const int err = (*make)(walked);
    expect_eq(err, walk_end(&memory) ? -ENOMEM : 0);
    cr_assert(err == 0 || memory.live_bytes == live, "something of it is left");
}

static uint64_t count_failures(struct maker *m, int (*make)(struct maker *m))
{
    walked = m;
    return walk_allocations(&memory, make_without, &make);
}

static int make_server(struct maker *m)
{
    return weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, NULL,
                              maker_server_done, m, &m->server);
}

static int make_connection(struct maker *m)
{
    return weir_create_connection(m->loop, &m->factory, "127.0.0.1",
                                  server_port(m->server), NULL,
                                  maker_connect_done, m, NULL);
}

UNIT(no_memory, the_makers_say_so_and_leave_nothing)
{
    maker_run_for(m, 1 * MS);

    expect_geq(count_failures(m, make_server), 3);
    maker_expect_done(m, 0);
    m->done = 0;
    expect_geq(count_failures(m, make_connection), 1);
    maker_expect_done(m, 0);
}

UNIT(no_memory, r63__a_socket_is_closed_all_the_same)
{
    int pair[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);

    fail_in(1);
    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(pair[0]), NULL,
                                        maker_connect_done, m, NULL),
              -ENOMEM);

    cr_assert(wait_closed(pair[0]));
    close(pair[1]);
}

static bool is_accepted_or_reported(const struct maker *m)
{
    return m->made + m->reports >= m->wanted;
}

UNIT(no_memory, an_accepted_connection_is_reset_and_reported)
{
    char byte;
    expect_eq(make_server(m), 0);
    maker_run(m, maker_is_done);
    /* Fill the slab of connections until it needs more memory. */
    int fds[256];
    int count = 0;
    fail_in(1);
    while (m->reports == 0 && count < 256) {
        fds[count++] = peer_connect(m);
        m->wanted = count;
        run_without(m, is_accepted_or_reported);
    }
    fail_never();

    expect_eq(m->reports, 1);
    expect_eq(m->report_err, -ENOMEM);
    expect_eq(m->report_server, m->server);
    const int made = m->made;
    maker_run_for(m, 2 * MS);
    expect_eq(peer_read(fds[count - 1], &byte, 1), -ECONNRESET);
    int next = peer_connect(m);
    maker_run_until_made(m, made + 1);
    close(next);
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
}

UNIT(no_memory, a_connection_that_was_made_is_closed_and_told)
{
    char byte;
    struct weir_address address;
    int listener = peer_listen(1, &address);
    maker_run_for(m, 1 * MS); /* the first run makes receive buffers */
    expect_ok(weir_create_connection(m->loop, &m->factory, "127.0.0.1",
                                     address_port(&address), NULL,
                                     maker_connect_done, m, NULL));

    fail_in(1); /* nothing else needs memory before the transport */
    run_without(m, maker_is_done);
    fail_never();

    expect_eq(m->done, 1);
    expect_eq(m->done_err, -ENOMEM);
    expect_eq(m->made, 0);
    maker_run_for(m, 1 * MS);
    int fd = accept(listener, NULL, NULL);
    expect_eq(peer_read(fd, &byte, 1), 0);
    close(fd);
    close(listener);
}

UNIT(no_memory, time_limits_are_refused_and_the_connection_goes_on)
{
    const struct weir_timeouts limits = {.size = sizeof(limits),
                                         .read_ns = 60000 * MS};
    int pair[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(pair[0]), NULL,
                                        maker_connect_done, m, NULL));
    maker_expect_done(m, 0);

    fail_in(1);
    expect_eq(weir_transport_set_timeouts(m->t, &limits), -ENOMEM);
    fail_never();

    expect_eq(weir_transport_set_timeouts(m->t, &limits), 0);
    expect_eq(write(pair[1], "abc\n", 4), 4);
    maker_run(m, maker_has_received);
    close(pair[1]);
    maker_expect_lost(m, 0);
}

/* The pipe is made in the call or after it. */
static int make_pipe(struct maker *m)
{
    int fds[2];
    expect_eq(pipe2(fds, O_CLOEXEC), 0);
    m->done = 0;
    int err = weir_connect_read_pipe(m->loop, &m->factory, fds[0], NULL,
                                     maker_connect_done, m, NULL);
    if (err == 0) {
        run_without(m, maker_is_done);
        err = m->done_err;
    }
    close(fds[1]);
    return err;
}

UNIT(no_memory, a_pipe_says_so_in_the_call_or_by_done)
{
    bool has_failed = true;
    maker_run_for(m, 1 * MS);
    for (uint64_t i = 1; has_failed; i++) {
        fail_in(i);
        const int err = make_pipe(m);
        has_failed = memory.failed > 0;
        memory.failed = 0;
        fail_never();
        expect_eq(err, has_failed ? -ENOMEM : 0);
        cr_assert(i < 20);
    }
    maker_expect_lost(m, 0);
}

UNIT(no_memory, stop_and_wait_closed_change_nothing)
{
    expect_eq(make_server(m), 0);
    maker_run(m, maker_is_done);

    fail_in(1);
    expect_eq(weir_server_stop(m->server, 0, maker_server_closed, m), -ENOMEM);
    cr_assert(weir_server_is_serving(m->server));
    fail_in(1);
    expect_eq(
        weir_server_add_closed_callback(m->server, maker_server_closed, m),
        -ENOMEM);
    fail_never();
    expect_eq(weir_server_stop(m->server, 0, NULL, NULL), 0,
              "without a callback no memory is needed");
    maker_run_for(m, 2 * MS);

    expect_eq(m->closed, 0);
    cr_assert_not(weir_server_is_serving(m->server));
}

static void ignore_signal(void *arg, int signum)
{
}

UNIT(no_memory, a_signal_stays_as_it_was)
{
    sigset_t set;

    fail_in(1);
    expect_eq(
        weir_loop_add_signal_handler(m->loop, SIGUSR1, ignore_signal, NULL),
        -ENOMEM);
    fail_never();

    expect_eq(pthread_sigmask(SIG_BLOCK, NULL, &set), 0);
    expect_eq(sigismember(&set, SIGUSR1), 0);
}

static void count_call(void *arg)
{
    (*(int *)arg)++;
}

UNIT(no_memory, a_post_is_refused_and_not_called)
{
    int calls = 0;

    fail_in(1);
    expect_eq(
        weir_loop_call_soon_threadsafe(m->loop, count_call, &calls, count_call),
        -ENOMEM);
    fail_never();
    maker_run_for(m, 1 * MS);

    expect_eq(calls, 0);
}

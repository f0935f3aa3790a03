/*
 * How servers end: close, close_clients, abort_clients, stop with a grace
 * period, wait_server_closed, releasing the handle, and the end of the loop.
 *
 * The tests check which callbacks are called, in which order and how often.
 */
#include "tests/contract/maker.h"

#include <weir/connect.h>

#define PATIENCE_MS 100000

static void serve_clients(struct maker *m, int *ret_fds, int count)
{
    maker_serve(m, "127.0.0.1", NULL);
    for (int i = 0; i < count; i++) {
        ret_fds[i] = peer_connect(m);
    }
    maker_run_until_made(m, count);
}

static void wait_server_closed(struct maker *m)
{
    expect_eq(
        weir_server_add_closed_callback(m->server, maker_server_closed, m), 0);
}

static void expect_refused_at(const struct weir_address *address)
{
    expect_eq(peer_connect_to(address), -ECONNREFUSED);
}

MAKER(server_end, close_stops_listening_and_leaves_connections, m)
{
    int fd;
    char text[8];
    serve_clients(m, &fd, 1);
    m->echo = true;
    struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));
    int listener = weir_server_get_socket(m->server, 0, NULL);

    weir_server_close(m->server);
    weir_server_close(m->server);

    cr_assert_not(weir_server_is_serving(m->server));
    expect_eq(weir_server_get_socket_count(m->server), 0);
    expect_eq(weir_server_get_socket(m->server, 0, NULL), -EINVAL);
    expect_eq(weir_server_start_serving(m->server), -ESHUTDOWN);
    expect_eq(send(fd, "still", 5, 0), 5);
    maker_run_for(m, 10 * MS);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    cr_assert(wait_closed(listener));
    expect_refused_at(&address);
    expect_eq(weir_server_get_connection_count(m->server), 1);
    close(fd);
}

MAKER(server_end, close_before_done_cancels_the_start, m)
{
    maker_begin_server(m, "127.0.0.1", 0, NULL);

    weir_server_close(m->server);
    expect_eq(m->done, 0);
    wait_server_closed(m);
    maker_run(m, maker_is_closed);

    expect_eq(m->done_err, -ECANCELED);
    expect_str_eq(m->log, "DC");
}

static void free_server(struct maker *m)
{
    weir_server_free(m->server);
    m->server = NULL;
}

UNIT(server_end, a_server_can_be_freed_in_its_done_callback)
{
    static const char *const hosts[] = {"127.0.0.1", "192.0.2.1"};
    static const int errors[] = {0, -EADDRNOTAVAIL};
    for (int i = 0; i < 2; i++) {
        struct maker m;
        maker_open(&m);
        maker_run_for(&m, 1 * MS);
        const uint64_t idle_ops = statistics_of(m.loop).ops_in_flight;
        m.in_done = free_server;
        expect_ok(weir_create_server(m.loop, &m.factory, hosts[i], 0, NULL,
                                     maker_server_done, &m, &m.server));
        maker_expect_done(&m, errors[i]);
        cr_assert_null(m.server);

        maker_run_for(&m, 5 * MS);

        expect_str_eq(m.log, "D");
        expect_eq(statistics_of(m.loop).ops_in_flight, idle_ops);
        maker_close(&m);
    }
}

UNIT(server_end, a_server_can_be_freed_in_its_factory_and_in_connection_made)
{
    for (int where = 0; where < 2; where++) {
        struct maker m;
        maker_open(&m);
        m.in_factory = where == 0 ? free_server : NULL;
        m.in_made = where == 1 ? free_server : NULL;
        struct weir_server_options options = {.size = sizeof(options)};
        options.connection_limit = 1;
        expect_ok(weir_create_server(m.loop, &m.factory, "127.0.0.1", 0,
                                     &options, maker_server_done, &m,
                                     &m.server));
        maker_run(&m, maker_is_done);
        int fd = peer_connect(&m);
        maker_run(&m, maker_is_made);
        close(fd);
        maker_run(&m, maker_is_lost);
        cr_assert_null(m.server);
        maker_close(&m);
    }
}

UNIT(server_end, close_clients_closes_and_abort_clients_aborts)
{
    for (int abort = 0; abort < 2; abort++) {
        struct maker m;
        int fds[3];
        char byte;
        maker_open(&m);
        serve_clients(&m, fds, 3);
        weir_transport *kept = weir_transport_ref(m.t);

        if (abort) {
            weir_server_abort_clients(m.server);
        } else {
            weir_server_close_clients(m.server);
        }
        expect_eq(m.lost, 0, "never from inside the call");
        maker_run(&m, maker_is_empty);

        expect_eq(m.lost, 3);
        expect_eq(m.lost_err, 0);
        expect_eq(weir_transport_get_end(kept),
                  abort ? WEIR_END_ABORTED : WEIR_END_CLOSED);
        cr_assert(weir_server_is_serving(m.server), "it stays open itself");
        for (int i = 0; i < 3; i++) {
            expect_eq(read(fds[i], &byte, 1), abort ? -1 : 0);
            cr_assert(!abort || errno == ECONNRESET);
            close(fds[i]);
        }
        weir_transport_unref(kept);
        maker_close(&m);
    }
}

MAKER(server_end, wait_closed_waits_for_close_and_for_the_last_connection, m)
{
    int fd;
    serve_clients(m, &fd, 1);
    wait_server_closed(m);
    wait_server_closed(m);

    maker_run_for(m, 10 * MS);
    expect_eq(m->closed, 0, "it is not closed yet");
    weir_server_close(m->server);
    maker_run_for(m, 10 * MS);
    expect_eq(m->closed, 0, "a connection is left");
    close(fd);
    maker_run(m, maker_is_closed);

    expect_eq(m->closed, 2, "any number may wait");
    expect_str_eq(m->log, "DFMLCC");
    maker_close(m);
    expect_eq(m->closed, 2);
}

MAKER(server_end, wait_closed_in_the_other_order, m)
{
    int fd;
    serve_clients(m, &fd, 1);
    wait_server_closed(m);

    close(fd);
    maker_run(m, maker_is_lost);
    maker_run_for(m, 5 * MS);
    expect_eq(m->closed, 0);
    weir_server_close(m->server);
    expect_eq(m->closed, 0, "never from inside the call");
    maker_run(m, maker_is_closed);
}

MAKER(server_end, wait_closed_of_a_closed_server_comes_from_the_loop, m)
{
    maker_serve(m, "127.0.0.1", NULL);
    weir_server_close(m->server);
    maker_run_for(m, 5 * MS);

    wait_server_closed(m);
    expect_eq(m->closed, 0);
    maker_run(m, maker_is_closed);

    expect_eq(weir_server_add_closed_callback(m->server, NULL, NULL), -EINVAL);
}

MAKER(server_end, freeing_the_handle_leaves_connections_and_calls_waiters, m)
{
    int fd;
    char text[8];
    serve_clients(m, &fd, 1);
    m->echo = true;
    wait_server_closed(m);

    weir_server_free(m->server);
    m->server = NULL;
    expect_eq(send(fd, "hello", 5, 0), 5);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    maker_run_for(m, 10 * MS);
    expect_eq(m->closed, 0);
    close(fd);
    maker_run(m, maker_is_closed);

    expect_eq(m->closed, 1);
}

MAKER(server_end, r65__a_factory_that_fails_is_reported_and_holds_nothing_up, m)
{
    char byte;
    m->factory_result = -EACCES;
    maker_serve(m, "127.0.0.1", NULL);
    int fd = peer_connect(m);

    while (m->reports == 0) {
        maker_run_for(m, 1 * MS);
    }
    wait_server_closed(m);
    weir_server_close(m->server);
    maker_run(m, maker_is_closed);

    expect_eq(m->reports, 1);
    expect_eq(m->report_err, -EACCES);
    expect_eq(m->report_server, m->server);
    expect_str_eq(m->log, "DFC", "neither connection_made nor the loss");
    expect_eq(peer_read(fd, &byte, 1), -ECONNRESET, "no end of a stream");
    close(fd);
}

static void stop(struct maker *m, uint64_t grace_ns)
{
    int err = weir_server_stop(m->server, grace_ns, maker_server_closed, m);
    expect_eq(err, 0);
}

static void stuff(struct maker *m)
{
    const size_t much = 16 << 20;
    expect_eq(weir_transport_write(m->t, test_pages(much), much), 0);
    maker_run_for(m, 20 * MS);
    expect_gt(weir_transport_get_write_buffer_size(m->t), 0);
}

MAKER(server_end, stop_closes_everything_and_tells_once, m)
{
    int fds[2];
    char byte;
    serve_clients(m, fds, 2);
    struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));

    stop(m, UINT64_MAX);
    expect_str_eq(m->log, "DFMFM", "never from inside the call");
    maker_run(m, maker_is_closed);

    expect_str_eq(m->log, "DFMFMLLC");
    for (int i = 0; i < 2; i++) {
        expect_eq(peer_read(fds[i], &byte, 1), 0);
        close(fds[i]);
    }
    expect_refused_at(&address);
}

static void serve_two_at_once(struct maker *m, int *ret_fds,
                              void (*in_made)(struct maker *m))
{
    maker_serve(m, "127.0.0.1", NULL);
    maker_run_for(m, 1 * MS);
    ret_fds[0] = peer_connect(m);
    ret_fds[1] = peer_connect(m);
    m->in_made = in_made;
}

static void stop_in_made(struct maker *m)
{
    m->in_made = NULL;
    stop(m, UINT64_MAX);
}

MAKER(server_end, stop_serves_whom_the_kernel_has_accepted, m)
{
    int fds[2];
    char byte;
    serve_two_at_once(m, fds, stop_in_made);
    maker_run(m, maker_is_closed);

    expect_str_eq(m->log, "DFMFMLLC");
    for (int i = 0; i < 2; i++) {
        expect_eq(peer_read(fds[i], &byte, 1), 0);
        close(fds[i]);
    }
}

static void close_in_made(struct maker *m)
{
    m->in_made = NULL;
    weir_server_close(m->server);
    wait_server_closed(m);
}

MAKER(server_end, close_makes_no_connection_any_more, m)
{
    int fds[2];
    char byte;
    serve_two_at_once(m, fds, close_in_made);
    maker_run_until_made(m, 1);
    expect_eq(peer_read(fds[1], &byte, 1), -ECONNRESET,
              "accepted, and not served");
    close(fds[0]);
    maker_run(m, maker_is_closed);

    expect_str_eq(m->log, "DFMLC");
    close(fds[1]);
}

MAKER(server_end, stop_sends_what_waits_within_the_grace, m)
{
    int fd;
    static char chunk[1 << 16];
    size_t total = 0;
    ssize_t len;
    serve_clients(m, &fd, 1);
    stuff(m);

    stop(m, PATIENCE_MS * MS);
    while ((len = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT)) != 0) {
        if (len < 0) {
            expect_eq(errno, EAGAIN);
            maker_run_for(m, 1 * MS);
        } else {
            total += (size_t)len;
        }
    }

    expect_eq(total, 16 << 20);
    maker_run(m, maker_is_closed);
    expect_eq(m->lost_err, 0);
    close(fd);
}

MAKER(server_end, stop_aborts_what_is_left_after_the_grace, m)
{
    int fd;
    serve_clients(m, &fd, 1);
    weir_transport *kept = weir_transport_ref(m->t);
    stuff(m);
    const uint64_t before_ns = weir_loop_get_time(m->loop);

    stop(m, 50 * MS);
    maker_run(m, maker_is_closed);

    expect_geq(weir_loop_get_time(m->loop) - before_ns, 49 * MS);
    expect_eq(m->lost, 1);
    expect_neq(weir_transport_get_end(kept), WEIR_END_NONE);
    weir_transport_unref(kept);
    close(fd);
}

MAKER(server_end, stop_without_a_limit_waits_until_a_second_call_ends_it, m)
{
    int fd;
    serve_clients(m, &fd, 1);
    stuff(m);

    stop(m, UINT64_MAX);
    maker_run_for(m, 60 * MS);
    expect_eq(m->closed, 0);
    stop(m, 20 * MS);
    stop(m, PATIENCE_MS * MS);
    expect_eq(m->closed, 0);
    const uint64_t before_ns = weir_loop_get_time(m->loop);
    maker_run(m, maker_is_closed);

    expect_lt(weir_loop_get_time(m->loop) - before_ns,
              (PATIENCE_MS - 1000) * MS,
              "a later call does not lengthen the grace");
    maker_run_for(m, 1 * MS);
    expect_eq(m->closed, 3, "each call is told");
    close(fd);
}

MAKER(server_end, stop_with_no_grace_aborts_at_once, m)
{
    int fd;
    serve_clients(m, &fd, 1);
    stuff(m);

    stop(m, 0);
    expect_eq(m->lost, 0);
    maker_run(m, maker_is_closed);

    expect_eq(m->lost, 1);
    close(fd);
}

static void stop_here(struct maker *m)
{
    stop(m, UINT64_MAX);
}

MAKER(server_end, stop_inside_the_factory_ends_the_new_connection_too, m)
{
    char byte;
    m->in_factory = stop_here;
    maker_serve(m, "127.0.0.1", NULL);
    int fd = peer_connect(m);

    maker_run(m, maker_is_closed);

    expect_str_eq(m->log, "DFMLC");
    expect_eq(peer_read(fd, &byte, 1), 0);
    close(fd);
}

static void stop_at_once(struct maker *m)
{
    stop(m, 0);
}

MAKER(server_end, stop_inside_the_factory_aborts_the_new_one_with_the_others, m)
{
    char byte;
    maker_serve(m, "127.0.0.1", NULL);
    int first = peer_connect(m);
    maker_run(m, maker_is_made);
    m->in_factory = stop_at_once;
    int second = peer_connect(m);

    maker_run(m, maker_is_closed);

    expect_eq(m->made, 2);
    expect_eq(m->lost, 2);
    expect_eq(peer_read(first, &byte, 1), -ECONNRESET);
    expect_eq(peer_read(second, &byte, 1), -ECONNRESET);
    close(first);
    close(second);
}

enum { MANY = 100 };

static void connect_many(struct maker *m, int *ret_fds)
{
    maker_serve(m, "127.0.0.1", NULL);
    for (int i = 0; i < MANY; i++) {
        ret_fds[i] = peer_connect(m);
    }
}

static void expect_ended(const int *fds)
{
    for (int i = 0; i < MANY; i++) {
        char byte;
        expect_leq(peer_read(fds[i], &byte, 1), 0);
        close(fds[i]);
    }
}

MAKER(server_end, closing_while_clients_connect_leaves_no_descriptor, m)
{
    int fds[MANY];
    connect_many(m, fds);

    weir_server_close(m->server);
    wait_server_closed(m);
    maker_run(m, maker_is_closed);

    expect_eq(m->made, 0);
    expect_ended(fds);
}

static void stop_now(struct maker *m)
{
    stop(m, 0);
}

MAKER(server_end, connections_accepted_at_the_moment_of_the_close_are_closed, m)
{
    int fds[MANY];
    connect_many(m, fds);
    m->in_made =
        stop_now; /* the next ones are accepted, and not reported yet */

    maker_run(m, maker_is_closed);

    expect_eq(m->made, 1);
    expect_ended(fds);
}

MAKER(server_end, the_end_of_the_loop_ends_the_server_and_its_connections, m)
{
    int fds[2];
    serve_clients(m, fds, 2);
    wait_server_closed(m);

    expect_eq(weir_loop_free(m->loop), 2);

    expect_str_eq(m->log, "DFMFMLLC");
    expect_eq(weir_server_get_connection_count(m->server), 0);
    cr_assert_not(weir_server_is_serving(m->server));
    expect_eq(
        weir_server_add_closed_callback(m->server, maker_server_closed, m),
        -ESHUTDOWN);
    m->loop = NULL;
    close_ends(fds);
}

MAKER(server_end, the_end_of_a_loop_that_never_ran_tells_done, m)
{
    maker_begin_server(m, "127.0.0.1", 0, NULL);

    expect_eq(maker_close(m), 0);

    expect_str_eq(m->log, "D");
    expect_eq(m->done_err, -ECANCELED);
}

static void create_another(struct maker *m)
{
    weir_server *server = NULL;
    m->in_done = NULL;
    expect_eq(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, NULL,
                                 NULL, NULL, &server),
              -ESHUTDOWN);
    expect_eq(weir_create_connection(m->loop, &m->factory, "127.0.0.1", 1, NULL,
                                     NULL, NULL, NULL),
              -ESHUTDOWN);
    m->report_err = 1;
}

MAKER(server_end, nothing_new_is_made_while_the_loop_ends, m)
{
    m->in_done = create_another;
    maker_begin_server(m, "127.0.0.1", 0, NULL);

    maker_close(m);

    expect_eq(m->report_err, 1, "the callback has run");
}

/*
 * Connecting on the fake machine, in cases that are rare or need minutes on a
 * real kernel, at exact times of the fake clock.
 *
 * The maker and its callbacks are those of the contract tests; the peers are
 * the fake machine's.
 */
#define UNIT_RUN   with_machine
#define UNIT_TAKES struct maker *m
#include "tests/contract/maker.h"
#include "tests/dump.h"
#include "tests/fake/fake.h"
#include "tests/walk.h"

#include <weir/connect.h>
#include <weir/datagram.h>

#define S (1000 * MS)

static void with_machine(void (*body)(struct maker *m))
{
    const struct fake_options options = {.seed = 1};
    struct maker m;
    fake_start(&options);
    maker_open(&m);
    body(&m);
    maker_close(&m);
    fake_stop();
}

static struct fake_peer *call_server_at(struct maker *m, const char *host)
{
    struct weir_address address = peer_address(host, server_port(m->server));
    struct fake_peer *peer = fake_connect(&address.storage.any, address.len);
    cr_assert_not_null(peer);
    return peer;
}

static struct fake_peer *call_server(struct maker *m)
{
    return call_server_at(m, "127.0.0.1");
}

static bool all_made(const struct maker *m)
{
    return m->made == 20;
}

UNIT(makers, connections_aborted_before_the_accept_are_not_told)
{
    struct fake_peer *peers[20];
    maker_serve(m, "127.0.0.1", NULL);
    fake_set_fault(FAKE_CONN_ABORTED, 700);

    for (int i = 0; i < 20; i++) {
        peers[i] = call_server(m);
    }
    const uint64_t before_ns = fake_now();
    maker_run(m, all_made);

    expect_eq(m->reports, 0);
    expect_lt(fake_now() - before_ns, 1 * MS, "nobody waits for a timer");
    for (int i = 0; i < 20; i++) {
        fake_peer_close(peers[i]);
    }
}

static void lift_the_limit(void *arg)
{
    fake_set_fault(FAKE_NO_FD, 0);
}

UNIT(makers, EMFILE_is_tried_again_every_100_ms_and_reported_once)
{
    maker_serve(m, "127.0.0.1", NULL);
    fake_set_fault(FAKE_NO_FD, 1000);
    struct fake_peer *peer = call_server(m);
    const uint64_t submitted = fake_stats()->submitted;
    const uint64_t before_ns = fake_now();

    fake_at(before_ns + 10 * S + 50 * MS, lift_the_limit, NULL);
    maker_run(m, maker_is_made);

    expect_eq(m->reports, 1);
    expect_eq(m->report_err, -EMFILE);
    const uint64_t took_ns = fake_now() - before_ns;
    expect_geq(took_ns, 10 * S + 50 * MS);
    expect_leq(took_ns, 10 * S + 151 * MS);
    expect_leq(fake_stats()->submitted - submitted, 110,
               "one accept for each try");

    fake_set_fault(FAKE_NO_FD, 1000);
    struct fake_peer *second = call_server(m);
    maker_run_for(m, 1 * S);
    expect_eq(m->reports, 2, "a new shortage is news again");
    fake_peer_close(peer);
    fake_peer_close(second);
}

UNIT(makers, connections_that_arrive_at_a_cancelled_accept_are_closed)
{
    struct fake_peer *peers[20];
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection_limit = 30; /* then each accept takes one */
    maker_serve(m, "127.0.0.1", &options);
    fake_set_fault(FAKE_CANCEL_RACE, 1000);
    for (int i = 0; i < 20; i++) {
        peers[i] = call_server(m);
    }

    weir_server_close(m->server);
    expect_eq(
        weir_server_add_closed_callback(m->server, maker_server_closed, m), 0);
    maker_run(m, maker_is_closed);
    maker_run_for(m, 1 * MS);

    expect_eq(m->made, 0);
    expect_gt(fake_stats()->accepts, 0, "or this shows nothing");
    for (int i = 0; i < 20; i++) {
        cr_assert(fake_peer_is_alone(peers[i]));
        fake_peer_close(peers[i]);
    }
}

/* A server of two sockets, on each of which an accept waits. A client has come
 * to the first, and while it is made one comes to the second. */
static struct fake_peer *early;
static struct fake_peer *late;

static void call_late(struct maker *m)
{
    m->in_made = NULL;
    late = call_server_at(m, "::1");
}

static void serve_two_addresses(struct maker *m, uint64_t limit,
                                void (*in_made)(struct maker *m))
{
    static const char *const second[] = {"::1"};
    const struct weir_server_options options = {.size = sizeof(options),
                                                .hosts = second,
                                                .host_count = 1,
                                                .connection_limit = limit};
    maker_serve(m, "127.0.0.1", &options);
    maker_run_for(m, MS);
    fake_set_fault(FAKE_CANCEL_RACE, 1000);
    m->in_made = in_made;
    early = call_server(m);
}

UNIT(makers, a_client_that_a_full_server_accepts_all_the_same_waits)
{
    serve_two_addresses(m, 1, call_late);
    maker_run(m, maker_is_made);
    maker_run_for(m, MS);

    expect_eq(m->made, 1);
    expect_eq(dump_number(m->loop, "server ", " parked="), 1);
    fake_peer_close(early);
    maker_run_until_made(m, 2);
    expect_eq(m->reports, 0);
    fake_peer_close(late);
}

static struct test_allocator memory;

static void call_late_without_memory(struct maker *m)
{
    call_late(m);
    allocator_fail_in(&memory, 1);
}

UNIT(makers, a_client_beyond_the_limit_that_cannot_wait_is_reset_and_reported)
{
    char byte;
    allocator_init(&memory);
    maker_close(m);
    maker_open(m);
    weir_loop_free(m->loop);
    m->loop = allocator_make_loop(&memory);
    weir_loop_set_exception_handler(m->loop, maker_report, m);
    serve_two_addresses(m, 1, call_late_without_memory);
    while (m->reports == 0) { /* a timer would need memory */
        weir_loop_stop(m->loop);
        expect_ok(weir_loop_run(m->loop));
    }

    expect_eq(m->report_err, -ENOMEM);
    expect_eq(m->made, 1);
    cr_assert(fake_peer_is_alone(late));
    expect_eq(fake_peer_read(late, &byte, 1), -ECONNRESET);
    fake_peer_close(early);
    fake_peer_close(late);
    maker_close(m);
    allocator_check(&memory);
}

static void stop_as_one_comes_late(struct maker *m)
{
    call_late(m);
    weir_transport_set_busy(m->t, true);
    expect_ok(weir_server_stop(m->server, UINT64_MAX, maker_server_closed, m));
}

/* It serves whom the kernel has accepted, within its limit. */
UNIT(makers, a_stop_turns_away_a_client_for_whom_there_is_no_room)
{
    for (uint64_t limit = 1; limit <= 2; limit++) {
        char byte;
        m->made = m->lost = m->closed = m->done = 0;
        fake_set_fault(FAKE_CANCEL_RACE, 0);
        serve_two_addresses(m, limit, stop_as_one_comes_late);
        maker_run(m, maker_is_made);
        weir_transport *busy = m->t;
        maker_run_for(m, MS);

        expect_eq(m->made, limit);
        expect_eq(m->closed, 0);
        cr_assert(fake_peer_is_alone(late));
        expect_eq(fake_peer_read(late, &byte, 1), limit == 1 ? -ECONNRESET : 0);
        fake_peer_close(late);
        weir_transport_set_busy(busy, false);
        maker_run(m, maker_is_closed);
        fake_peer_close(early);
        weir_server_free(m->server);
        m->server = NULL;
    }
}

UNIT(makers, a_taken_port_is_tried_for_two_seconds)
{
    maker_serve(m, "127.0.0.1", NULL);
    struct weir_server_options options = {.size = sizeof(options)};
    weir_server *second = NULL;
    const uint64_t before_ns = fake_now();

    m->done = 0;
    expect_ok(weir_create_server(m->loop, &m->factory, "127.0.0.1",
                                 server_port(m->server), &options,
                                 maker_server_done, m, &second));
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, -EADDRINUSE);
    expect_geq(fake_now() - before_ns, 2000 * MS);
    expect_leq(fake_now() - before_ns, 2011 * MS);
    weir_server_free(second);
}

/* 1: not told. */
static int endpoint_err;

static void note_endpoint(void *arg, int err, weir_transport *t)
{
    endpoint_err = err;
}

static bool endpoint_is_told(const struct maker *m)
{
    return endpoint_err != 1;
}

static void make_endpoint(struct maker *m)
{
    static CALLBACKS(silent, DATAGRAM);
    const struct weir_factory factory = bind_to(&silent, NULL);
    const struct weir_datagram_options options = {
        .size = sizeof(options), .local_host = "127.0.0.1", .local_port = 9};
    endpoint_err = 1;
    expect_ok(weir_create_datagram_endpoint(m->loop, &factory, &options,
                                            note_endpoint, NULL, NULL));
    maker_run(m, endpoint_is_told);
}

UNIT(makers, a_taken_address_of_datagrams_is_tried_for_two_seconds)
{
    make_endpoint(m);
    expect_eq(endpoint_err, 0);
    const uint64_t before_ns = fake_now();

    make_endpoint(m);

    expect_eq(endpoint_err, -EADDRINUSE);
    expect_geq(fake_now() - before_ns, 2000 * MS);
    expect_leq(fake_now() - before_ns, 2009 * MS);
}

static void close_server(void *arg)
{
    weir_server_close((weir_server *)arg);
}

UNIT(makers, a_port_that_becomes_free_is_taken_within_10_ms)
{
    maker_serve(m, "127.0.0.1", NULL);
    const uint16_t port = server_port(m->server);
    struct weir_server_options options = {.size = sizeof(options)};
    weir_server *second = NULL;
    const uint64_t before_ns = fake_now();

    m->done = 0;
    expect_ok(
        weir_loop_call_later(m->loop, 95 * MS, close_server, m->server, NULL));
    expect_ok(weir_create_server(m->loop, &m->factory, "127.0.0.1", port,
                                 &options, maker_server_done, m, &second));
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, 0);
    expect_eq(server_port(second), port);
    expect_leq(fake_now() - before_ns, 106 * MS);
    weir_server_free(second);
}

/* Neither did the kernel run, which was to end a process that was killed. */
UNIT(makers, a_machine_that_stood_still_for_seconds_tries_a_taken_port_again)
{
    maker_serve(m, "127.0.0.1", NULL);
    const uint16_t port = server_port(m->server);
    struct weir_server_options options = {.size = sizeof(options)};
    weir_server *second = NULL;

    m->done = 0;
    expect_ok(weir_create_server(m->loop, &m->factory, "127.0.0.1", port,
                                 &options, maker_server_done, m, &second));
    maker_run_for(m, 5 * MS);
    fake_spend(3000 * MS);
    maker_run_for(m, 20 * MS);
    weir_server_close(m->server);
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, 0);
    expect_eq(server_port(second), port);
    weir_server_free(second);
}

/* The fake gives out ports in order: the next @count ones are taken for IPv6
 * only, so that a choice made for IPv4 does not do for both. */
static void take_ports(struct maker *m, weir_server **ret_servers, int count)
{
    maker_serve(m, "127.0.0.1", NULL);
    const uint16_t last = server_port(m->server);
    for (int i = 0; i < count; i++) {
        m->done = 0;
        struct weir_server_options options = {.size = sizeof(options)};
        expect_ok(weir_create_server(m->loop, &m->factory, "::1",
                                     (uint16_t)(last + 1 + i), &options,
                                     maker_server_done, m, &ret_servers[i]));
        maker_run(m, maker_is_done);
        expect_eq(m->done_err, 0);
    }
    m->done = 0;
}

UNIT(makers, a_port_that_one_address_does_not_get_is_given_up_by_all)
{
    enum { TAKEN = 3 };
    const char *hosts[] = {"::1"};
    weir_server *others[TAKEN];
    weir_server *server = NULL;
    take_ports(m, others, TAKEN);
    struct weir_server_options options = {.size = sizeof(options)};
    options.hosts = hosts;
    options.host_count = 1;

    expect_ok(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, &options,
                                 maker_server_done, m, &server));
    maker_run(m, maker_is_done);

    struct weir_address second;
    expect_eq(weir_server_get_socket_count(server), 2);
    expect_geq(weir_server_get_socket(server, 1, &second), 0);
    expect_eq(server_port(server), address_port(&second));
    expect_eq(server_port(server), server_port(m->server) + TAKEN + 1);
    weir_server_free(server);
    for (int i = 0; i < TAKEN; i++) {
        weir_server_free(others[i]);
    }
}

UNIT(makers, different_ports_are_better_than_none)
{
    enum { TAKEN = 9 }; /* eight tries, and one choice for IPv4 */
    const char *hosts[] = {"::1"};
    weir_server *others[TAKEN];
    weir_server *server = NULL;
    take_ports(m, others, TAKEN);
    struct weir_server_options options = {.size = sizeof(options)};
    options.hosts = hosts;
    options.host_count = 1;

    expect_ok(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, &options,
                                 maker_server_done, m, &server));
    maker_run(m, maker_is_done);

    struct weir_address second;
    expect_eq(m->done_err, 0);
    expect_geq(weir_server_get_socket(server, 1, &second), 0);
    expect_eq(server_port(server), server_port(m->server) + TAKEN);
    expect_eq(address_port(&second), server_port(m->server) + TAKEN + 1);
    weir_server_free(server);
    for (int i = 0; i < TAKEN; i++) {
        weir_server_free(others[i]);
    }
}

static char bytes[1 << 20];

UNIT(makers, the_grace_of_stop_is_kept_to_the_microsecond)
{
    maker_serve(m, "127.0.0.1", NULL);
    struct fake_peer *peer = call_server(m);
    maker_run(m, maker_is_made);
    expect_eq(weir_transport_write(m->t, bytes, sizeof(bytes)), 0);
    maker_run_for(m, 1 * MS);
    const uint64_t before_ns = fake_now();

    expect_eq(weir_server_stop(m->server, 90 * S, maker_server_closed, m), 0);
    expect_eq(weir_server_stop(m->server, 5 * S, NULL, NULL), 0);
    expect_eq(weir_server_stop(m->server, UINT64_MAX, NULL, NULL), 0);
    maker_run(m, maker_is_closed);

    expect_geq(fake_now() - before_ns, 5 * S);
    expect_leq(fake_now() - before_ns, 5 * S + MS / 100);
    fake_peer_close(peer);
}

static struct fake_listener *listen_for_weir(enum fake_answer answer,
                                             uint64_t delay_ns)
{
    struct weir_address address = peer_address("192.0.2.7", 80);
    struct fake_listener *listener =
        fake_listen(&address.storage.any, address.len);
    fake_listener_set(listener, answer, delay_ns);
    return listener;
}

static weir_pending *dial(struct maker *m, uint64_t timeout_ns)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    weir_pending *connect = NULL;
    options.timeout_ns = timeout_ns;
    expect_ok(weir_create_connection(m->loop, &m->factory, "192.0.2.7", 80,
                                     &options, maker_connect_done, m,
                                     &connect));
    return connect;
}

UNIT(makers, the_connect_time_out_is_kept_to_the_microsecond)
{
    listen_for_weir(FAKE_SILENT, 0);
    maker_run_for(m, 1 * MS);
    const uint64_t before_ns = fake_now();
    const uint32_t fds = fake_fd_count();

    dial(m, 3 * S);
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, -ETIMEDOUT);
    expect_geq(fake_now() - before_ns, 3 * S);
    expect_leq(fake_now() - before_ns, 3 * S + MS / 100);
    expect_eq(fake_fd_count(), fds);
}

UNIT(makers, an_answer_just_in_time_counts)
{
    struct fake_listener *listener = listen_for_weir(FAKE_ACCEPT, 2999 * MS);
    maker_run_for(m, 1 * MS);

    dial(m, 3 * S);
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, 0);
    struct fake_peer *peer = fake_listener_accept(listener);
    cr_assert_not_null(peer);
    fake_peer_close(peer);
}

static void cancel(void *arg)
{
    weir_pending_cancel((weir_pending *)arg);
}

UNIT(makers, a_connection_that_came_about_in_spite_of_the_cancel_is_closed)
{
    fake_set_fault(FAKE_CANCEL_RACE, 1000);
    struct fake_listener *listener = listen_for_weir(FAKE_ACCEPT, 0);
    maker_run_for(m, 1 * MS);

    /* Behind the ready item of the attempt, so both leave in one enter. */
    weir_pending *connect = dial(m, 0);
    expect_eq(weir_loop_call_soon(m->loop, cancel, connect, NULL), 0);
    maker_run(m, maker_is_done);
    maker_run_for(m, 1 * MS);

    expect_eq(m->done_err, -ECANCELED);
    expect_eq(m->made, 0);
    expect_eq(fake_stats()->connects, 1, "or this shows nothing");
    struct fake_peer *peer = fake_listener_accept(listener);
    cr_assert_not_null(peer);
    cr_assert(fake_peer_is_alone(peer));
    fake_peer_close(peer);
}

UNIT(makers, MPTCP_that_the_kernel_lacks_is_the_error_of_a_connection)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    options.proto = IPPROTO_MPTCP;

    expect_ok(weir_create_connection(m->loop, &m->factory, "127.0.0.1", 80,
                                     &options, maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, -EPROTONOSUPPORT);
    expect_str_eq(m->log, "D");
}

UNIT(makers, MPTCP_that_the_kernel_lacks_is_the_error_of_a_server)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.proto = IPPROTO_MPTCP;

    expect_ok(weir_create_server(m->loop, &m->factory, NULL, 0, &options,
                                 maker_server_done, m, &m->server));
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, -EPROTONOSUPPORT);
    expect_eq(weir_server_get_socket_count(m->server), 0);
}

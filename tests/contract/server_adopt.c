/*
 * Connections that a server did not accept itself: it serves them as its own,
 * within its limit, and ends them with the others.
 *
 * Also a server that passes on the connections that it accepts, instead of
 * serving them.
 */
#include "tests/contract/maker.h"
#include "tests/walk.h"

enum { CLIENTS = 3 };

static void serve_adopted(struct maker *m,
                          const struct weir_server_options *options)
{
    struct weir_server_options own =
        options ? *options : *SIZED(weir_server_options, .no_sockets = true);
    own.no_sockets = true;
    maker_serve(m, NULL, &own);
}

static int adopt(struct maker *m)
{
    int fds[2];
    peer_tcp_pair(fds);
    expect_eq(weir_server_add_fd(m->server, fds[0]), 0);
    return fds[1];
}

static void expect_echo(struct maker *m, int fd)
{
    char text[8];
    m->echo = true;
    expect_eq(send(fd, "hello", 5, 0), 5);
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
}

MAKER(server_adopt, a_connection_is_served_as_if_it_had_been_accepted, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection.keep_alive = true;
    serve_adopted(m, &options);
    expect_eq(weir_server_get_socket_count(m->server), 0);
    cr_assert(weir_server_is_serving(m->server));
    expect_str_eq(m->log, "D");

    int fd = adopt(m);
    expect_str_eq(m->log, "D", "never from inside the call");
    maker_run(m, maker_is_made);

    expect_str_eq(m->log, "DFM");
    expect_eq(weir_server_get_connection_count(m->server), 1);
    const int own = weir_transport_get_socket(m->t);
    expect_eq(get_option(own, IPPROTO_TCP, TCP_NODELAY), 1);
    expect_eq(get_option(own, SOL_SOCKET, SO_KEEPALIVE), 1);
    expect_echo(m, fd);
    close(fd);
    maker_run(m, maker_is_empty);
    expect_eq(weir_server_get_connection_count(m->server), 0);
}

MAKER(server_adopt, a_server_that_listens_adopts_besides_and_unix_sockets_too,
      m)
{
    int fds[2];
    maker_serve(m, "127.0.0.1", NULL);
    int accepted = peer_connect(m);
    int adopted = adopt(m);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    expect_eq(weir_server_add_fd(m->server, fds[0]), 0);

    maker_run_until_made(m, 3);

    expect_eq(weir_server_get_connection_count(m->server), 3);
    expect_echo(m, accepted);
    expect_echo(m, adopted);
    expect_echo(m, fds[1]);
    close(accepted);
    close(adopted);
    close(fds[1]);
}

static void expect_refused(struct maker *m, int fd, int err)
{
    expect_eq(weir_server_add_fd(m->server, fd), err);
    cr_expect(wait_closed(fd), "the descriptor is taken in any case");
}

MAKER(server_adopt, r63__what_cannot_be_served_is_closed, m)
{
    struct weir_address address;
    int fds[2];
    serve_adopted(m, NULL);
    expect_refused(m, dup(0), -EINVAL);
    expect_refused(m, socket(AF_INET, SOCK_DGRAM, 0), -EINVAL);
    expect_refused(m, peer_listen(1, &address), -EINVAL);
    expect_refused(m, socket(AF_INET, SOCK_STREAM, 0), -ENOTCONN);
    expect_eq(weir_server_add_fd(m->server, -1), -EBADF);

    weir_server_close(m->server);
    peer_tcp_pair(fds);
    expect_refused(m, fds[0], -ESHUTDOWN);
    expect_str_eq(m->log, "D");
    close(fds[1]);
}

MAKER(server_adopt, a_connection_that_has_broken_is_no_connection, m)
{
    const struct linger at_once = {.l_onoff = 1};
    int fds[2];
    char byte;
    serve_adopted(m, NULL);
    peer_tcp_pair(fds);
    expect_ok(
        setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
    close(fds[1]);
    expect_eq(peer_read(fds[0], &byte, 1), -ECONNRESET);
    expect_refused(m, fds[0], -ENOTCONN);
}

MAKER(server_adopt, a_server_without_sockets_has_no_addresses, m)
{
    static const char *const hosts[] = {"127.0.0.1"};
    struct weir_server_options options = {.size = sizeof(options),
                                          .no_sockets = true};
    const struct weir_address address = peer_address("127.0.0.1", 0);
    weir_server *server = NULL;
    expect_eq(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, &options,
                                 NULL, NULL, &server),
              -EINVAL);
    expect_eq(weir_create_server(m->loop, &m->factory, NULL, 1, &options, NULL,
                                 NULL, &server),
              -EINVAL);
    expect_eq(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_addresses(&address, 1),
                                    &options, NULL, NULL, &server),
              -EINVAL);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(fd),
                                    &options, NULL, NULL, &server),
              -EINVAL);
    cr_expect(wait_closed(fd));
    options.hosts = hosts;
    options.host_count = 1;
    expect_eq(weir_create_server(m->loop, &m->factory, NULL, 0, &options, NULL,
                                 NULL, &server),
              -EINVAL);
    cr_assert_null(server);
}

static void adopt_without_memory(void *arg)
{
    struct test_allocator *memory = arg;
    struct maker m = {.loop = NULL};
    int fds[2];
    maker_open(&m);
    expect_eq(weir_loop_free(m.loop), 0);
    expect_eq(
        weir_loop_new(SIZED(weir_loop_options, .allocator = &memory->hooks),
                      &m.loop),
        0);
    expect_ok(weir_create_server(m.loop, &m.factory, NULL, 0,
                                 SIZED(weir_server_options, .no_sockets = true),
                                 maker_server_done, &m, &m.server));
    peer_tcp_pair(fds);

    walk_begin(memory);
    const int err = weir_server_add_fd(m.server, fds[0]);
    const bool has_failed = walk_end(memory);

    expect_eq(err, has_failed ? -ENOMEM : 0);
    cr_expect_eq(is_open(fds[0]), err == 0);
    maker_close(&m);
    close(fds[1]);
}

UNIT(server_adopt, without_memory_the_descriptor_is_closed)
{
    struct test_allocator memory;
    allocator_init(&memory);
    expect_eq(walk_allocations(&memory, adopt_without_memory, &memory), 1);
}

MAKER(server_adopt, the_limit_holds_and_the_oldest_is_served_first, m)
{
    int fds[CLIENTS];
    serve_adopted(m, SIZED(weir_server_options, .connection_limit = 1));
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = adopt(m);
    }
    for (int i = 0; i < CLIENTS; i++) {
        maker_run_until_made(m, i + 1);
        expect_leq(maker_count_turns(m, 10 * MS), 10);
        expect_eq(m->made, i + 1, "one at a time");
        expect_eq(weir_server_get_connection_count(m->server), 1);
        expect_echo(m, fds[i]);
        close(fds[i]);
    }
    maker_run(m, maker_is_empty);
}

MAKER(server_adopt, one_that_comes_before_the_start_waits_for_it, m)
{
    maker_begin_server(m, NULL, 0,
                       SIZED(weir_server_options, .no_sockets = true,
                             .no_start_serving = true));
    int starting = adopt(m);
    maker_run(m, maker_is_done);
    int bound = adopt(m);
    maker_run_for(m, 5 * MS);
    expect_str_eq(m->log, "D");

    expect_eq(weir_server_start_serving(m->server), 0);
    maker_run_until_made(m, 2);

    expect_echo(m, starting);
    expect_echo(m, bound);
    close(starting);
    close(bound);
}

MAKER(server_adopt, a_start_that_fails_resets_what_waits_for_it, m)
{
    char byte;
    maker_begin_server(m, "192.0.2.1", 0, NULL);
    int fd = adopt(m);
    maker_expect_done(m, -EADDRNOTAVAIL);
    expect_eq(maker_read(m, fd, &byte, 1), -ECONNRESET);
    expect_str_eq(m->log, "D");
    close(fd);
}

MAKER(server_adopt, a_close_resets_what_waits, m)
{
    char byte;
    serve_adopted(m, NULL);
    int fd = adopt(m);
    weir_server_close(m->server);
    expect_eq(maker_read(m, fd, &byte, 1), -ECONNRESET);
    expect_str_eq(m->log, "D");
    close(fd);
}

static void close_server(struct maker *m)
{
    weir_server_close(m->server);
}

MAKER(server_adopt, a_factory_may_close_the_server_while_others_wait, m)
{
    char byte;
    serve_adopted(m, NULL);
    int first = adopt(m);
    int second = adopt(m);
    m->in_factory = close_server;
    maker_run(m, maker_is_made);
    expect_eq(maker_read(m, second, &byte, 1), -ECONNRESET);
    expect_eq(m->made, 1);
    expect_echo(m, first);
    close(first);
    close(second);
}

MAKER(server_adopt, a_stop_ends_it_and_waits_for_it, m)
{
    char byte;
    serve_adopted(m, NULL);
    int fd = adopt(m);
    maker_run(m, maker_is_made);
    weir_transport_set_busy(m->t, true);

    expect_ok(weir_server_stop(m->server, UINT64_MAX, maker_server_closed, m));
    maker_run_for(m, 5 * MS);
    expect_eq(m->closed, 0, "it is busy");
    expect_echo(m, fd);
    weir_transport_set_busy(m->t, false);
    maker_run(m, maker_is_closed);

    expect_str_eq(m->log, "DFMLC");
    expect_eq(peer_read(fd, &byte, 1), 0);
    close(fd);
}

MAKER(server_adopt, the_end_of_the_grace_aborts_it, m)
{
    serve_adopted(m, NULL);
    int fd = adopt(m);
    maker_run(m, maker_is_made);
    weir_transport_set_busy(m->t, true);
    expect_eq(weir_server_stop(m->server, MS, maker_server_closed, m), 0);
    maker_run(m, maker_is_closed);
    expect_str_eq(m->log, "DFMLC");
    close(fd);
}

struct given {
    struct maker *m;
    int fds[CLIENTS];
    int count;
    void (*act)(struct maker *m);
};

static void keep_given(void *arg, weir_server *server, int fd)
{
    struct given *given = arg;
    cr_assert_eq(server, given->m->server);
    cr_assert_lt(given->count, CLIENTS);
    given->fds[given->count++] = fd;
    if (given->act) {
        given->act(given->m);
    }
}

static void serve_giving(struct maker *m, struct given *given,
                         const struct weir_factory *factory, uint64_t limit)
{
    *given = (struct given){.m = m};
    expect_ok(
        weir_create_server(m->loop, factory, "127.0.0.1", 0,
                           SIZED(weir_server_options, .connection_limit = limit,
                                 .accepted = keep_given, .accepted_arg = given),
                           maker_server_done, m, &m->server));
    maker_run(m, maker_is_done);
}

static void run_until_given(struct given *given, int count)
{
    while (given->count < count) {
        maker_run_for(given->m, MS);
    }
}

MAKER(server_adopt, what_is_accepted_can_be_given_away, m)
{
    struct given given;
    int fds[CLIENTS];
    char byte;
    serve_giving(m, &given, NULL, 0);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = peer_connect(m);
    }
    run_until_given(&given, CLIENTS);
    expect_str_eq(m->log, "D", "nothing is served");
    expect_eq(weir_server_get_connection_count(m->server), 0);
    for (int i = 0; i < CLIENTS; i++) {
        expect_eq(send(given.fds[i], "x", 1, 0), 1);
        expect_eq(peer_read(fds[i], &byte, 1), 1, "the oldest first");
        close(fds[i]);
    }
    expect_refused(m, given.fds[0], -EINVAL);
    close(given.fds[1]);
    close(given.fds[2]);
}

MAKER(server_adopt, what_is_given_away_may_come_back, m)
{
    struct given given;
    serve_giving(m, &given, &m->factory, 1);
    int fd = peer_connect(m);
    run_until_given(&given, 1);
    expect_eq(weir_server_add_fd(m->server, given.fds[0]), 0);
    maker_run(m, maker_is_made);
    expect_eq(weir_server_get_connection_count(m->server), 1);
    expect_echo(m, fd);
    close(fd);
}

static void free_server(struct maker *m)
{
    weir_server_free(m->server);
    m->server = NULL;
}

UNIT(server_adopt, who_is_given_a_connection_may_end_the_server)
{
    void (*const acts[])(struct maker * m) = {close_server, free_server};
    /* With a limit of one no accept is armed during the call. */
    for (unsigned i = 0; i < 4; i++) {
        struct maker m;
        struct given given;
        maker_open(&m);
        serve_giving(&m, &given, NULL, i / 2);
        given.act = acts[i % 2];
        int fd = peer_connect(&m);
        run_until_given(&given, 1);
        maker_run_for(&m, 5 * MS);
        close(given.fds[0]);
        close(fd);
        maker_close(&m);
    }
}

MAKER(server_adopt, without_a_factory_or_a_receiver_there_is_no_server, m)
{
    const struct weir_factory empty = {.create = NULL};
    weir_server *server = NULL;
    expect_eq(weir_create_server(m->loop, NULL, "127.0.0.1", 0, NULL, NULL,
                                 NULL, &server),
              -EINVAL);
    expect_eq(weir_create_server(m->loop, &empty, "127.0.0.1", 0, NULL, NULL,
                                 NULL, &server),
              -EINVAL);
    cr_assert_null(server);
}

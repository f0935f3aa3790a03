/*
 * Servers on real sockets: starting, the addresses that they listen on, the
 * initial state of connections, and listening on the program's own socket.
 *
 * server_end.c tests how servers end, server_limits.c limits and shortages.
 */
#include "tests/contract/maker.h"

MAKER(server, done_comes_from_the_loop_and_never_from_the_call, m)
{
    maker_begin_server(m, "127.0.0.1", 0, NULL);
    expect_eq(m->done, 0);
    cr_assert_not(weir_server_is_serving(m->server));
    maker_expect_done(m, 0);
    expect_eq(m->done, 1);
    cr_assert(weir_server_is_serving(m->server));
    expect_eq(weir_server_get_loop(m->server), m->loop);
    expect_eq(maker_close(m), 0);
    expect_eq(m->done, 1);
}

MAKER(server, works_without_a_done_callback, m)
{
    expect_ok(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, NULL,
                                 NULL, NULL, &m->server));
    maker_run_for(m, 5 * MS);
    int fd = peer_connect(m);
    maker_run(m, maker_is_made);

    close(fd);
    expect_eq(maker_close(m), 1);
}

MAKER(server, port_0_gets_a_port_that_the_socket_tells, m)
{
    maker_serve(m, "127.0.0.1", NULL);

    struct weir_address address = {.len = 0};
    int listener = weir_server_get_socket(m->server, 0, &address);

    expect_geq(listener, 0);
    expect_eq(weir_server_get_socket_count(m->server), 1);
    expect_neq(address_port(&address), 0);
    expect_eq(get_option(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
    expect_eq(weir_server_get_socket(m->server, 1, NULL), -EINVAL);
}

MAKER(server, several_addresses_get_the_same_port, m)
{
    const char *more[] = {"127.0.0.2", "::1", "127.0.0.1"};
    struct weir_server_options options = {
        .size = sizeof(options), .hosts = more, .host_count = 3};
    maker_serve(m, "127.0.0.1", &options);

    expect_eq(weir_server_get_socket_count(m->server), 3,
              "an address named twice is bound once");
    for (size_t i = 0; i < 3; i++) {
        struct weir_address address;
        expect_geq(weir_server_get_socket(m->server, i, &address), 0);
        expect_eq(address_port(&address), server_port(m->server));
        int fd = peer_connect_to(&address);
        expect_geq(fd, 0);
        maker_run_until_made(m, (int)i + 1);
        expect_eq(m->made, (int)i + 1);
        close(fd);
    }
}

MAKER(server, no_host_means_one_socket_for_each_family, m)
{
    maker_serve(m, NULL, NULL);

    expect_eq(weir_server_get_socket_count(m->server), 2);
    int inet6 = weir_server_get_socket(m->server, 0, NULL);
    expect_eq(get_option(inet6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    const char *hosts[] = {"127.0.0.1", "::1"};
    for (int i = 0; i < 2; i++) {
        struct weir_address address =
            peer_address(hosts[i], server_port(m->server));
        int fd = peer_connect_to(&address);
        expect_geq(fd, 0);
        maker_run_until_made(m, i + 1);
        expect_eq(m->made, i + 1);
        expect_eq(memcmp(&m->sockname.storage, &address.storage, address.len),
                  0, "the own address is asked for behind a wildcard");
        close(fd);
    }
}

MAKER(server, family_narrows_no_host_to_one_socket, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.family = AF_INET;
    maker_serve(m, "", &options);

    struct weir_address address;
    expect_eq(weir_server_get_socket_count(m->server), 1);
    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    expect_eq(address.storage.any.sa_family, AF_INET);
}

MAKER(server, an_address_of_another_machine_is_an_error, m)
{
    maker_begin_server(m, "192.0.2.1", 0, NULL);
    maker_expect_done(m, -EADDRNOTAVAIL);
    expect_eq(weir_server_get_socket_count(m->server), 0);
    expect_eq(weir_server_start_serving(m->server), -ESHUTDOWN);
}

MAKER(server, an_address_of_another_machine_is_skipped_beside_a_good_one, m)
{
    const char *more[] = {"127.0.0.1"};
    struct weir_server_options options = {
        .size = sizeof(options), .hosts = more, .host_count = 1};

    maker_serve(m, "192.0.2.1", &options);

    expect_eq(weir_server_get_socket_count(m->server), 1);
}

MAKER(server, a_taken_port_is_an_error_after_two_seconds, m)
{
    struct weir_address taken;
    int other = peer_listen(1, &taken);
    const uint64_t before_ns = weir_loop_get_time(m->loop);

    maker_begin_server(m, "127.0.0.1", address_port(&taken), NULL);
    maker_expect_done(m, -EADDRINUSE);
    expect_geq(weir_loop_get_time(m->loop) - before_ns, 1990 * MS);
    close(other);
}

MAKER(server, a_start_that_fails_tells_which_of_its_addresses, m)
{
    char text[256] = "?";
    char wanted[256];
    char name[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_address taken;
    const char *more[] = {"127.0.0.2", "127.0.0.1"};
    const int other = peer_listen(1, &taken);

    maker_begin_server(m, "127.0.0.3", address_port(&taken),
                       SIZED(weir_server_options, .hosts = more,
                             .host_count = 2, .error_text = text,
                             .error_text_size = sizeof(text)));
    maker_expect_done(m, -EADDRINUSE);
    snprintf(wanted, sizeof(wanted), "%s: %s",
             weir_address_format(&taken, name, sizeof(name)),
             weir_strerror(-EADDRINUSE));
    expect_str_eq(text, wanted);
    close(other);
}

MAKER(server, a_start_that_fails_on_no_address_tells_the_error_alone, m)
{
    char text[8] = "?";
    maker_begin_server(m, "127.0.0.1", 0,
                       SIZED(weir_server_options, .error_text = text,
                             .error_text_size = sizeof(text)));
    weir_server_close(m->server);
    maker_expect_done(m, -ECANCELED);
    expect_eq(strncmp(text, weir_strerror(-ECANCELED), sizeof(text) - 1), 0);
    expect_eq(strlen(text), sizeof(text) - 1, "it is cut");
}

MAKER(server, a_start_that_succeeds_tells_nothing, m)
{
    char text[8] = "?";
    struct weir_server_options options = {.size = sizeof(options),
                                          .error_text = text,
                                          .error_text_size = sizeof(text)};
    maker_serve(m, "127.0.0.1", &options);
    expect_str_eq(text, "");
    options.error_text = NULL;
    weir_server *other = NULL;
    expect_eq(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, &options,
                                 NULL, NULL, &other),
              -EINVAL, "room without memory");
}

MAKER(server, a_port_that_becomes_free_meanwhile_is_taken, m)
{
    struct weir_address taken;
    int other = peer_listen(1, &taken);

    maker_begin_server(m, "127.0.0.1", address_port(&taken), NULL);
    maker_run_until_timer(m);
    expect_eq(m->done, 0);
    close(other);
    maker_expect_done(m, 0);
    expect_eq(server_port(m->server), address_port(&taken));
}

MAKER(server, reuse_port_lets_two_servers_listen_on_one_port, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.reuse_port = true;
    maker_serve(m, "127.0.0.1", &options);
    weir_server *second = NULL;

    m->done = 0;
    expect_ok(weir_create_server(m->loop, &m->factory, "127.0.0.1",
                                 server_port(m->server), &options,
                                 maker_server_done, m, &second));
    maker_expect_done(m, 0);
    weir_server_free(second);
}

UNIT(server, reuse_address_is_on_and_can_be_turned_off)
{
    for (int off = 0; off < 2; off++) {
        struct maker m;
        maker_open(&m);
        struct weir_server_options options = {.size = sizeof(options)};
        options.no_reuse_address = off;
        maker_serve(&m, "127.0.0.1", &options);

        int listener = weir_server_get_socket(m.server, 0, NULL);

        expect_eq(get_option(listener, SOL_SOCKET, SO_REUSEADDR), !off);
        maker_close(&m);
    }
}

static int backlog_of(weir_server *server)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    int fd = weir_server_get_socket(server, 0, NULL);
    expect_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return (int)info.tcpi_sacked; /* of a listener: its backlog */
}

MAKER(server, backlog_is_as_asked_for_and_4096_by_default, m)
{
    maker_serve(m, "127.0.0.1", NULL);
    int somaxconn = 0;
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "r");
    cr_assert_not_null(file);
    expect_eq(fscanf(file, "%d", &somaxconn), 1);
    fclose(file);
    expect_eq(backlog_of(m->server), somaxconn < 4096 ? somaxconn : 4096);
    weir_server_free(m->server);

    struct weir_server_options options = {.size = sizeof(options)};
    options.backlog = 7;
    m->done = 0;
    maker_serve(m, "127.0.0.1", &options);

    expect_eq(backlog_of(m->server), 7);
}

MAKER(server, no_start_serving_only_binds_until_told_to_serve, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.no_start_serving = true;
    maker_serve(m, "127.0.0.1", &options);
    struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));
    expect_eq(peer_connect_to(&address), -ECONNREFUSED);
    cr_assert_not(weir_server_is_serving(m->server));

    expect_eq(weir_server_start_serving(m->server), 0);
    expect_eq(weir_server_start_serving(m->server), 0, "idempotent");
    int fd = peer_connect(m);
    maker_run(m, maker_is_made);

    cr_assert(weir_server_is_serving(m->server));
    close(fd);
}

MAKER(server, start_serving_before_the_loop_runs_is_remembered, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.no_start_serving = true;
    maker_begin_server(m, "127.0.0.1", 0, &options);

    expect_eq(weir_server_start_serving(m->server), 0);
    maker_run(m, maker_is_done);

    cr_assert(weir_server_is_serving(m->server));
}

MAKER(server, usage_errors_come_from_the_call, m)
{
    const char *name[] = {"127.1"};
    const struct weir_factory no_factory = {.create = NULL};
    struct weir_server_options good = {.size = sizeof(good)};
    struct weir_server_options bad;
    struct {
        struct weir_server_options own;
        char tail;
    } newer = {.own = good, .tail = 1};
    newer.own.size = sizeof(newer);
    weir_server *server = NULL;

#define CREATE(factory, host, options)                                         \
    weir_create_server(m->loop, factory, host, 0, options, maker_server_done,  \
                       m, &server)

    expect_eq(CREATE(&m->factory, "127.1", &good), WEIR_EDNSBADNAME);
    expect_eq(CREATE(NULL, "::1", &good), -EINVAL);
    expect_eq(CREATE(&no_factory, "::1", &good), -EINVAL);
    expect_eq(CREATE(&m->factory, "::1", &newer.own), -E2BIG);
    bad = good;
    bad.size = 0;
    expect_eq(CREATE(&m->factory, "::1", &bad), WEIR_EOPTIONSIZE);
    bad = good;
    bad.hosts = name;
    bad.host_count = 1;
    expect_eq(CREATE(&m->factory, "::1", &bad), WEIR_EDNSBADNAME);
    bad = good;
    bad.family = AF_INET;
    expect_eq(CREATE(&m->factory, "::1", &bad), -EINVAL);
    bad.family = AF_UNIX;
    expect_eq(CREATE(&m->factory, "::1", &bad), -EINVAL);
    bad = good;
    bad.backlog = -1;
    expect_eq(CREATE(&m->factory, "::1", &bad), -EINVAL);
    bad = good;
    bad.hosts = name;
    bad.host_count = 65536;
    expect_eq(CREATE(&m->factory, "::1", &bad), -EINVAL, "too many");
    bad.hosts = NULL;
    bad.host_count = 1;
    expect_eq(CREATE(&m->factory, "::1", &bad), -EINVAL, "no list");
    bad = good;
    bad.connection.size = 1;
    expect_eq(CREATE(&m->factory, "::1", &bad), -EINVAL);

    cr_expect_null(server);
    maker_close(m);
    expect_eq(m->done, 0);
}

MAKER(server, r60__peername_comes_from_the_accept, m)
{
    maker_serve(m, "127.0.0.1", NULL);
    int fd = peer_connect(m);
    maker_run(m, maker_is_made);

    struct sockaddr_in own;
    struct sockaddr_in other;
    socklen_t len = sizeof(own);
    expect_eq(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    expect_eq(getpeername(fd, (struct sockaddr *)&other, &len), 0);

    expect_eq(m->peername.len, sizeof(own));
    expect_eq(memcmp(&m->peername.storage.inet, &own, sizeof(own)), 0);
    expect_eq(m->sockname.len, sizeof(other));
    expect_eq(memcmp(&m->sockname.storage.inet, &other, sizeof(other)), 0);
    close(fd);
}

MAKER(server, a_connection_that_was_reset_before_the_accept_has_its_life, m)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    maker_serve(m, "127.0.0.1", NULL);
    int fd = peer_connect(m);
    expect_eq(getsockname(fd, (struct sockaddr *)&own, &len), 0);
    expect_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);

    maker_run(m, maker_is_lost);

    expect_eq(m->made, 1);
    expect_eq(m->lost_err, -ECONNRESET);
    expect_eq(m->reports, 0);
    expect_eq(m->peername.len, len);
    expect_eq(memcmp(&m->peername.storage.inet, &own, len), 0);
}

UNIT(server, r59__accepted_connections_have_nodelay_unless_turned_off)
{
    for (int off = 0; off < 2; off++) {
        struct maker m;
        maker_open(&m);
        struct weir_server_options options = {.size = sizeof(options)};
        options.connection.size = sizeof(options.connection);
        options.connection.no_nodelay = off;
        maker_serve(&m, "127.0.0.1", &options);
        int fd = peer_connect(&m);
        maker_run(&m, maker_is_made);

        int accepted = weir_transport_get_socket(m.t);

        expect_eq(get_option(accepted, IPPROTO_TCP, TCP_NODELAY), !off);
        expect_eq(fcntl(accepted, F_GETFD), FD_CLOEXEC);
        close(fd);
        maker_close(&m);
    }
}

MAKER(server, socket_options_reach_accepted_connections, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection.size = sizeof(options.connection);
    options.connection.keep_alive = true;
    options.connection.notsent_lowat_bytes = 16384;
    maker_serve(m, "127.0.0.1", &options);
    int fd = peer_connect(m);
    maker_run(m, maker_is_made);

    int accepted = weir_transport_get_socket(m->t);

    expect_eq(get_option(accepted, SOL_SOCKET, SO_KEEPALIVE), 1);
    expect_eq(get_option(accepted, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
    close(fd);
}

MAKER(server, echoes_to_many_clients_at_once, m)
{
    enum { CLIENTS = 50 };
    int fds[CLIENTS];
    char text[24];
    m->echo = true;
    maker_serve(m, "127.0.0.1", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = peer_connect(m);
        snprintf(text, sizeof(text), "client %d", i);
        expect_eq(send(fds[i], text, sizeof(text), 0), sizeof(text));
    }

    while (m->received < CLIENTS * sizeof(text)) {
        maker_run_for(m, 2 * MS);
    }

    expect_eq(weir_server_get_connection_count(m->server), CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        char echo[sizeof(text)];
        snprintf(text, sizeof(text), "client %d", i);
        expect_eq(maker_read(m, fds[i], echo, sizeof(echo)), sizeof(echo));
        expect_str_eq(echo, text);
        close(fds[i]);
    }
    maker_run(m, maker_is_empty);
    expect_eq(m->made, CLIENTS);
    expect_eq(weir_server_get_connection_count(m->server), 0);
    expect_eq(maker_close(m), 0);
}

static weir_server *adopt(struct maker *m, int fd)
{
    weir_server *server = NULL;
    int err = weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(fd),
                                    NULL, maker_server_done, m, &server);
    expect_eq(err, 0, "%s", weir_strerror(err));
    return server;
}

MAKER(server, listens_on_a_bound_socket, m)
{
    struct weir_address address = peer_address("127.0.0.1", 0);
    int bound = socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(bind(bound, &address.storage.any, address.len), 0);

    m->server = adopt(m, bound);
    maker_run(m, maker_is_done);
    expect_eq(weir_server_get_socket(m->server, 0, NULL), bound);
    int fd = peer_connect(m);
    maker_run(m, maker_is_made);

    expect_eq(
        get_option(weir_transport_get_socket(m->t), IPPROTO_TCP, TCP_NODELAY),
        1, "R59: a socket made with protocol 0 gets it too");
    close(fd);
}

MAKER(server, adopts_a_listening_socket_with_the_clients_in_its_queue, m)
{
    struct weir_address address;
    int listener = peer_listen(10, &address);
    int flags = fcntl(listener, F_GETFL);
    expect_eq(fcntl(listener, F_SETFL, flags | O_NONBLOCK), 0);
    int fd = peer_connect_to(&address);

    m->server = adopt(m, listener);
    maker_run(m, maker_is_made);

    expect_eq(
        get_option(weir_transport_get_socket(m->t), IPPROTO_TCP, TCP_NODELAY),
        1);
    close(fd);
    maker_run(m, maker_is_lost);
    expect_leq(maker_count_turns(m, 50 * MS), 5,
               "a non-blocking listener does not spin");
}

/* Setting it on each accepted socket would be an unnecessary system call. */
MAKER(server, leaves_options_that_a_listening_socket_has_to_be_inherited, m)
{
    struct weir_address address;
    int listener = peer_listen(10, &address);
    int on = 1;
    int off = 0;
    expect_ok(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)));
    m->server = adopt(m, listener);
    maker_run(m, maker_is_done);
    expect_eq(setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &off, sizeof(off)),
              0);

    int fd = peer_connect_to(&address);
    maker_run(m, maker_is_made);

    expect_eq(
        get_option(weir_transport_get_socket(m->t), IPPROTO_TCP, TCP_NODELAY),
        0, "as the listener says now");
    close(fd);
}

MAKER(server, adopts_a_unix_listener, m)
{
    m->echo = true;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "weir-test-%d",
             (int)getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    expect_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    m->server = adopt(m, listener);
    maker_expect_done(m, 0);

    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    expect_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    expect_eq(send(fd, "hello", 5, 0), 5);
    maker_run(m, maker_is_made);

    char text[8];
    expect_eq(maker_read(m, fd, text, sizeof(text)), 5);
    expect_eq(m->peername.len, sizeof(sa_family_t), "it has no name");
    expect_eq(m->sockname.len, sizeof(address));
    expect_eq(memcmp(&m->sockname.storage, &address, sizeof(address)), 0);
    close(fd);
}

static void expect_refused(struct maker *m, int fd,
                           const struct weir_server_options *options, int err)
{
    weir_server *server = NULL;

    expect_eq(weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(fd),
                                    options, maker_server_done, m, &server),
              err);
    cr_expect_null(server);
    cr_expect(wait_closed(fd), "the descriptor is taken in any case");
}

MAKER(server, r63__a_socket_that_cannot_be_used_is_closed, m)
{
    int pair[2];
    const char *host = "::1";
    expect_refused(m, socket(AF_INET, SOCK_DGRAM, 0), NULL, -EINVAL);
    expect_refused(m, socket(AF_INET, SOCK_STREAM, 0),
                   SIZED(weir_server_options, .hosts = &host, .host_count = 1),
                   -EINVAL);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    expect_refused(m, pair[0], NULL, -EINVAL);
    close(pair[1]);
    expect_refused(m, open("/dev/null", O_RDONLY), NULL, -EINVAL);
}

/*
 * The protocol of stream sockets: TCP, or Multipath TCP if the kernel has it.
 *
 * The other end is a plain blocking socket. Tests of MPTCP are skipped if such
 * sockets cannot be made.
 */
#include "tests/contract/maker.h"

#include <sched.h>
#include <weir/connect.h>
#include <weir/unix.h>

static int make_socket(int proto)
{
    int fd = socket(AF_INET, SOCK_STREAM, proto);

    if (fd < 0 && proto == IPPROTO_MPTCP) {
        cr_skip_test("no Multipath TCP; runs with net.mptcp.enabled=1");
    }
    expect_geq(fd, 0);
    peer_set_timeout(fd);
    return fd;
}

static int listen_as(int proto, struct weir_address *ret)
{
    int fd = make_socket(proto);

    *ret = peer_address("127.0.0.1", 0);
    expect_eq(bind(fd, &ret->storage.any, ret->len), 0);
    expect_eq(listen(fd, 1), 0);
    expect_eq(getsockname(fd, &ret->storage.any, &ret->len), 0);
    return fd;
}

static void expect_echo(struct maker *m, int peer)
{
    char answer[8] = "";

    m->echo = true;
    expect_eq(send(peer, "hello", 5, MSG_NOSIGNAL), 5);
    RUN_UNTIL(m->loop, m->received >= 5);
    maker_run_for(m, MS);
    expect_eq(recv(peer, answer, 5, MSG_WAITALL), 5);
    expect_str_eq(answer, "hello");
}

static int get_proto(const struct maker *m)
{
    return get_option(weir_transport_get_socket(m->t), SOL_SOCKET, SO_PROTOCOL);
}

static int get_listener_proto(const struct maker *m)
{
    return get_option(weir_server_get_socket(m->server, 0, NULL), SOL_SOCKET,
                      SO_PROTOCOL);
}

static int serve_as(struct maker *m, int server, int client)
{
    struct weir_server_options options = {.size = sizeof(options)};
    int peer = make_socket(client);

    options.proto = server;
    maker_serve(m, "127.0.0.1", &options);
    struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));
    expect_eq(connect(peer, &address.storage.any, address.len), 0);
    maker_run(m, maker_is_made);
    const int proto = get_proto(m);
    expect_echo(m, peer);
    close(peer);
    return proto;
}

static int connect_as(struct maker *m, int client, int server)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address address;
    int listener = listen_as(server, &address);

    options.proto = client;
    expect_ok(weir_create_connection(m->loop, &m->factory, "127.0.0.1",
                                     address_port(&address), &options,
                                     maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
    int peer = accept(listener, NULL, NULL);
    expect_geq(peer, 0);
    peer_set_timeout(peer);
    const int proto = get_proto(m);
    expect_echo(m, peer);
    close(peer);
    close(listener);
    return proto;
}

MAKER(proto, a_server_of_MPTCP_speaks_it_with_clients_that_do, m)
{
    expect_eq(serve_as(m, IPPROTO_MPTCP, IPPROTO_MPTCP), IPPROTO_MPTCP);
}

MAKER(proto, a_server_of_MPTCP_speaks_TCP_with_other_clients, m)
{
    close(make_socket(IPPROTO_MPTCP)); /* skips */
    serve_as(m, IPPROTO_MPTCP, IPPROTO_TCP);
    expect_eq(get_listener_proto(m), IPPROTO_MPTCP);
}

MAKER(proto, a_connection_by_MPTCP_speaks_it_with_a_server_that_does, m)
{
    expect_eq(connect_as(m, IPPROTO_MPTCP, IPPROTO_MPTCP), IPPROTO_MPTCP);
}

MAKER(proto, a_connection_by_MPTCP_reaches_a_server_of_TCP, m)
{
    close(make_socket(IPPROTO_MPTCP)); /* skips */
    expect_eq(connect_as(m, IPPROTO_MPTCP, IPPROTO_TCP), IPPROTO_MPTCP);
}

static void switch_mptcp_off(void)
{
    close(make_socket(IPPROTO_MPTCP)); /* skips */
    if (unshare(CLONE_NEWNET) < 0) {
        cr_skip_test("no network namespace; runs as root");
    }
    int fd = open("/proc/sys/net/mptcp/enabled", O_WRONLY);
    if (fd < 0 || write(fd, "0", 1) != 1) {
        cr_skip_test("MPTCP cannot be switched off; runs as root");
    }
    close(fd);
}

MAKER(proto, MPTCP_that_is_switched_off_is_the_error_of_a_connection, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    options.proto = IPPROTO_MPTCP;
    switch_mptcp_off();

    expect_ok(weir_create_connection(m->loop, &m->factory, "127.0.0.1", 1,
                                     &options, maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, -ENOPROTOOPT, "%s", weir_strerror(m->done_err));
    expect_str_eq(m->log, "D");
}

MAKER(proto, MPTCP_that_is_switched_off_is_the_error_of_a_server, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.proto = IPPROTO_MPTCP;
    switch_mptcp_off();

    maker_begin_server(m, "127.0.0.1", 0, &options);
    maker_run(m, maker_is_done);

    expect_eq(m->done_err, -ENOPROTOOPT, "%s", weir_strerror(m->done_err));
}

MAKER(proto, a_connection_is_one_of_TCP_unless_asked_otherwise, m)
{
    expect_eq(connect_as(m, 0, IPPROTO_TCP), IPPROTO_TCP);
}

MAKER(proto, a_connection_may_ask_for_TCP_by_its_number, m)
{
    expect_eq(connect_as(m, IPPROTO_TCP, IPPROTO_TCP), IPPROTO_TCP);
}

MAKER(proto, a_server_is_one_of_TCP_unless_asked_otherwise, m)
{
    expect_eq(serve_as(m, 0, IPPROTO_TCP), IPPROTO_TCP);
    expect_eq(get_listener_proto(m), IPPROTO_TCP);
}

MAKER(proto, a_server_may_ask_for_TCP_by_its_number, m)
{
    expect_eq(serve_as(m, IPPROTO_TCP, IPPROTO_TCP), IPPROTO_TCP);
    expect_eq(get_listener_proto(m), IPPROTO_TCP);
}

MAKER(proto, other_protocols_are_refused, m)
{
    static const int others[] = {IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, -1};
    struct weir_connect_options connect = {.size = sizeof(connect)};
    struct weir_server_options server = {.size = sizeof(server)};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        connect.proto = others[i];
        server.proto = others[i];
        expect_eq(weir_create_connection(m->loop, &m->factory, "127.0.0.1", 1,
                                         &connect, maker_connect_done, m, NULL),
                  -EINVAL);
        expect_eq(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0,
                                     &server, maker_server_done, m, &m->server),
                  -EINVAL);
    }
    cr_expect_null(m->server);
}

MAKER(proto, a_socket_that_is_handed_in_has_its_own, m)
{
    struct weir_connect_options connect = {.size = sizeof(connect)};
    struct weir_server_options server = {.size = sizeof(server)};
    struct weir_address address;
    int listener = listen_as(IPPROTO_TCP, &address);
    const int fd = peer_connect_to(&address);

    connect.proto = IPPROTO_TCP;
    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fd), &connect,
                                        maker_connect_done, m, NULL),
              -EINVAL);
    server.proto = IPPROTO_TCP;
    expect_eq(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_fd(listener), &server,
                                    maker_server_done, m, &m->server),
              -EINVAL);

    cr_expect(wait_closed(fd), "it was taken");
    cr_expect_not(is_open(listener), "it was taken");
}

MAKER(proto, Unix_sockets_have_none, m)
{
    struct weir_connect_options connect = {.size = sizeof(connect)};
    struct weir_server_options server = {.size = sizeof(server)};

    connect.proto = IPPROTO_TCP;
    server.proto = IPPROTO_TCP;
    expect_eq(weir_create_unix_connection(m->loop, &m->factory, "@none",
                                          &connect, maker_connect_done, m,
                                          NULL),
              -EINVAL);
    expect_eq(weir_create_unix_server(m->loop, &m->factory, "@none", &server,
                                      maker_server_done, m, &m->server),
              -EINVAL);
}

MAKER(proto, a_Unix_address_beside_others_is_left_out, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address addresses[2];
    int listener = listen_as(IPPROTO_TCP, &addresses[1]);
    expect_eq(weir_address_parse_unix("@none", &addresses[0]), 0);

    options.proto = IPPROTO_TCP;
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_addresses(addresses, 2),
                                        &options, maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
    expect_eq(m->peername.storage.any.sa_family, AF_INET);
    close(listener);
}

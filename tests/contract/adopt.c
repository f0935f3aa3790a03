/*
 * Connected sockets that are passed in (asyncio's create_connection with sock,
 * and connect_accepted_socket): which ones are accepted.
 *
 * The library owns the descriptor from the call on, whatever the result (R63).
 */
#include "tests/contract/maker.h"

#include <weir/connect.h>

static weir_pending *adopt(struct maker *m, int fd)
{
    weir_pending *connect = NULL;
    int err =
        weir_create_connection_at(m->loop, &m->factory, weir_endpoint_fd(fd),
                                  NULL, maker_connect_done, m, &connect);
    expect_eq(err, 0, "%s", weir_strerror(err));
    return connect;
}

static void unix_pair(int *ret_fds)
{
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ret_fds), 0);
    peer_set_timeout(ret_fds[1]);
}

static void expect_echo(struct maker *m, int peer)
{
    char text[8];
    m->echo = true;
    expect_eq(send(peer, "hello", 5, 0), 5);
    while (m->received < 5) {
        maker_run_for(m, 1 * MS);
    }
    maker_run_for(m, 2 * MS);
    expect_eq(peer_read(peer, text, sizeof(text)), 5);
}

UNIT(adopt, an_accepted_tcp_socket_becomes_a_transport)
{
    struct maker m;
    int fds[2];
    struct sockaddr_in peer;
    socklen_t len = sizeof(peer);
    maker_open(&m);
    peer_tcp_pair(fds);
    expect_eq(getpeername(fds[0], (struct sockaddr *)&peer, &len), 0);

    adopt(&m, fds[0]);
    expect_str_eq(m.log, "", "never from inside the call");
    maker_run(&m, maker_is_done);

    expect_str_eq(m.log, "FMD");
    expect_eq(m.done_t, m.t);
    expect_eq(weir_transport_get_socket(m.t), fds[0]);
    expect_eq(memcmp(&m.peername.storage.inet, &peer, sizeof(peer)), 0);
    expect_eq(get_option(fds[0], IPPROTO_TCP, TCP_NODELAY), 1,
              "R59: also when it was made with protocol 0");
    expect_echo(&m, fds[1]);
    close(fds[1]);
    maker_run(&m, maker_is_lost);
    maker_run_for(&m, 1 * MS);
    cr_assert(wait_closed(fds[0]));
    maker_close(&m);
}

MAKER(adopt, a_unix_socket_becomes_a_transport, m)
{
    int fds[2];
    unix_pair(fds);

    adopt(m, fds[0]);
    maker_expect_done(m, 0);
    expect_eq(m->peername.len, sizeof(sa_family_t), "it has no name");
    expect_eq(m->peername.storage.any.sa_family, AF_UNIX);
    expect_eq(m->sockname.len, sizeof(sa_family_t));
    expect_echo(m, fds[1]);
    close(fds[1]);
}

MAKER(adopt, a_socket_that_does_not_block_works_and_does_not_spin, m)
{
    int fds[2];
    peer_tcp_pair(fds);
    expect_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);

    adopt(m, fds[0]);
    maker_run(m, maker_is_done);
    expect_echo(m, fds[1]);

    expect_leq(maker_count_turns(m, 50 * MS), 5);
    close(fds[1]);
}

static void expect_refused(struct maker *m, int fd, int err)
{
    expect_geq(fd, 0);
    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fd), NULL,
                                        maker_connect_done, m, NULL),
              err);
    cr_expect(wait_closed(fd), "the descriptor is taken in any case");
}

MAKER(adopt, r63__what_cannot_be_used_is_closed, m)
{
    struct weir_address address;
    int fds[2];
    expect_refused(m, socket(AF_INET, SOCK_STREAM, 0), -EINVAL);
    expect_refused(m, socket(AF_INET, SOCK_DGRAM, 0), -EINVAL);
    expect_refused(m, peer_listen(1, &address), -EINVAL);
    expect_refused(m, open("/dev/null", O_RDWR), -EINVAL);
    expect_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    expect_refused(m, fds[0], -EINVAL);
    close(fds[1]);

    maker_run_for(m, 1 * MS);
    expect_eq(m->done, 0);
}

MAKER(adopt, a_descriptor_that_is_not_open_is_told_from_a_wrong_one, m)
{
    int fds[2];
    unix_pair(fds);
    close_ends(fds);
    const int bad[] = {-1, INT32_MAX, fds[0]};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                            weir_endpoint_fd(bad[i]), NULL,
                                            maker_connect_done, m, NULL),
                  -EBADF, "descriptor %d", bad[i]);
        expect_eq(weir_create_connection_at(
                      m->loop, &m->factory, weir_endpoint_fd(bad[i]),
                      SIZED(weir_connect_options, .family = AF_INET),
                      maker_connect_done, m, NULL),
                  -EBADF, "descriptor %d of a family", bad[i]);
        expect_eq(weir_create_server_at(m->loop, &m->factory,
                                        weir_endpoint_fd(bad[i]), NULL,
                                        maker_server_done, m, &m->server),
                  -EBADF, "descriptor %d", bad[i]);
    }

    cr_expect_null(m->server);
    expect_eq(m->done, 0);
}

MAKER(adopt, r63__a_usage_error_closes_the_socket_too, m)
{
    int fds[2];
    const struct weir_factory none = {.create = NULL};
    const struct weir_address own = peer_address("127.0.0.1", 0);
    for (int i = 0; i < 6; i++) {
        struct weir_connect_options options = {.size = sizeof(options)};
        unix_pair(fds);
        options.size = i == 0 ? 0 : sizeof(options);
        options.family = i == 1 ? AF_INET : AF_UNSPEC;
        options.local_address = i == 2 ? &own : NULL;
        options.connection.size = i == 3 ? 1 : 0;
        options.local_port = i == 4 ? 80 : 0;

        expect_eq(weir_create_connection_at(m->loop,
                                            i == 5 ? &none : &m->factory,
                                            weir_endpoint_fd(fds[0]), &options,
                                            maker_connect_done, m, NULL),
                  i == 0 ? WEIR_EOPTIONSIZE : -EINVAL, "case %d", i);
        cr_expect(wait_closed(fds[0]), "case %d", i);
        close(fds[1]);
    }
}

MAKER(adopt, r63__cancelling_and_a_failing_factory_close_the_socket, m)
{
    int fds[2];
    char byte;
    unix_pair(fds);
    weir_pending_cancel(adopt(m, fds[0]));
    maker_expect_done(m, -ECANCELED);
    expect_eq(peer_read(fds[1], &byte, 1), 0);
    close(fds[1]);

    unix_pair(fds);
    m->done = 0;
    m->factory_result = -EACCES;
    adopt(m, fds[0]);
    maker_expect_done(m, -EACCES);
    maker_run_for(m, 1 * MS);
    expect_eq(peer_read(fds[1], &byte, 1), 0);
    close(fds[1]);
}

MAKER(adopt, r63__the_end_of_the_loop_closes_the_socket, m)
{
    int fds[2];
    char byte;
    unix_pair(fds);
    adopt(m, fds[0]);

    maker_close(m);

    expect_eq(m->done_err, -ECANCELED);
    expect_eq(peer_read(fds[1], &byte, 1), 0);
    close(fds[1]);
}

MAKER(adopt, a_peer_that_has_gone_meanwhile_is_an_end_of_stream, m)
{
    int fds[2];
    peer_tcp_pair(fds);
    adopt(m, fds[0]);

    close(fds[1]);
    maker_run(m, maker_is_lost);

    expect_str_eq(m->log, "FMDL");
    expect_eq(m->done_err, 0);
    expect_eq(m->lost_err, 0);
}

/*
 * Endpoints: the names of places to connect to or listen on.
 *
 * All calls that take an endpoint parse each kind in the same way, and it leads
 * to the same peer. An invalid endpoint is an error of the call.
 */
#include "tests/contract/maker.h"

#include "lib/names/endpoint.h"

#include <fcntl.h>
#include <weir/connect.h>
#include <weir/datagram.h>

static int read_endpoint(const struct maker *m, struct weir_endpoint endpoint,
                         struct wr_endpoint *ret)
{
    return wr_endpoint_read(m->loop, &endpoint, 4, ret);
}

MAKER(endpoints, a_literal_address_is_read_and_a_name_is_left, m)
{
    struct wr_endpoint endpoint;

    expect_ok(read_endpoint(m, weir_endpoint_host("127.0.0.1", 80), &endpoint));
    cr_expect_null(endpoint.name);
    expect_eq(endpoint.count, 1);
    expect_eq(address_port(&endpoint.addresses[0]), 80);
    expect_eq(
        read_endpoint(m, weir_endpoint_host("name.example", 81), &endpoint), 0);
    expect_eq(endpoint.count, 0);
    expect_str_eq(endpoint.name, "name.example");
    expect_eq(endpoint.port, 81);
    expect_eq(read_endpoint(m, weir_endpoint_host(NULL, 0), &endpoint), 0,
              "all");
    cr_expect_null(endpoint.name);
    expect_eq(endpoint.count, 0);
}

MAKER(endpoints, addresses_and_paths_and_descriptors_are_read, m)
{
    const struct weir_address all[2] = {peer_address("127.0.0.1", 1),
                                        peer_address("::1", 2)};
    struct wr_endpoint endpoint;

    expect_eq(read_endpoint(m, weir_endpoint_addresses(all, 2), &endpoint), 0);
    expect_eq(endpoint.count, 2);
    cr_expect(endpoint.addresses == all, "they are not copied");
    expect_eq(read_endpoint(m, weir_endpoint_unix("@echo"), &endpoint), 0);
    expect_eq(endpoint.count, 1);
    expect_eq(endpoint.addresses[0].storage.any.sa_family, AF_UNIX);
    expect_eq(read_endpoint(m, weir_endpoint_fd(-1), &endpoint), 0,
              "not looked at");
    expect_eq(endpoint.count, 0);
}

MAKER(endpoints, what_is_no_place_is_refused, m)
{
    struct weir_address all[2] = {peer_address("127.0.0.1", 1)};
    struct wr_endpoint endpoint;
    char path[200];

    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    expect_eq(read_endpoint(m, weir_endpoint_addresses(all, 2), &endpoint),
              -EINVAL, "the second is none");
    expect_eq(read_endpoint(m, weir_endpoint_addresses(all, 0), &endpoint),
              -EINVAL);
    expect_eq(read_endpoint(m, weir_endpoint_addresses(NULL, 1), &endpoint),
              -EINVAL);
    expect_eq(read_endpoint(m, weir_endpoint_unix(NULL), &endpoint), -EINVAL);
    expect_eq(read_endpoint(m, weir_endpoint_unix(path), &endpoint),
              -ENAMETOOLONG);
    expect_eq(read_endpoint(m, weir_endpoint_host("a b", 1), &endpoint),
              WEIR_EDNSBADNAME);
    expect_eq(read_endpoint(m, weir_endpoint_host("", 1), &endpoint),
              WEIR_EDNSBADNAME);
    expect_eq(read_endpoint(
                  m,
                  (struct weir_endpoint){.kind = (enum weir_endpoint_kind)77},
                  &endpoint),
              -EINVAL);
}

static void expect_connected(struct maker *m, struct weir_endpoint endpoint)
{
    const int done = m->done;

    m->made = 0;
    m->lost = 0;
    expect_ok(weir_create_connection_at(m->loop, &m->factory, endpoint, NULL,
                                        maker_connect_done, m, NULL));
    maker_run(m, maker_is_made);
    expect_eq(m->done, done + 1);
    expect_eq(m->done_err, 0);
    expect_eq(weir_transport_abort(m->t), 0);
    maker_run(m, maker_is_lost);
}

MAKER(endpoints, each_kind_leads_to_the_same_peer, m)
{
    struct weir_address address;
    const int listener = peer_listen(8, &address);
    int ends[2];

    expect_connected(m,
                     weir_endpoint_host("127.0.0.1", address_port(&address)));
    expect_connected(m, weir_endpoint_addresses(&address, 1));
    peer_tcp_pair(ends);
    expect_connected(m, weir_endpoint_fd(ends[0]));
    close(ends[1]);
    close(listener);
}

MAKER(endpoints, nothing_is_connected_to_all_addresses, m)
{
    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_host(NULL, 80), NULL,
                                        maker_connect_done, m, NULL),
              -EINVAL);
    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        (struct weir_endpoint){.port = 80},
                                        NULL, maker_connect_done, m, NULL),
              -EINVAL, "an endpoint of nothing but zeros is all of them");
}

static int bind_endpoint(struct maker *m, struct weir_endpoint own,
                         struct weir_endpoint peer, const char *own_host)
{
    struct weir_datagram_options options = {.size = sizeof(options),
                                            .local_host = own_host};
    return weir_create_datagram_endpoint_at(m->loop, &m->factory, own, peer,
                                            &options, NULL, NULL, NULL);
}

MAKER(endpoints, an_endpoint_has_one_address_of_each_side, m)
{
    const struct weir_address all[2] = {peer_address("127.0.0.1", 1),
                                        peer_address("127.0.0.2", 2)};
    const struct weir_endpoint none = weir_endpoint_none();
    const struct weir_endpoint one = weir_endpoint_addresses(all, 1);
    int ends[2];

    expect_eq(bind_endpoint(m, weir_endpoint_addresses(all, 2), none, NULL),
              -EINVAL, "two own addresses");
    expect_eq(
        bind_endpoint(m, weir_endpoint_addresses(all, 1u << 20), none, NULL),
        -EINVAL, "more than there can be, which are not read");
    expect_eq(bind_endpoint(m, none, weir_endpoint_addresses(all, 2), NULL),
              -EINVAL, "two peers");
    expect_eq(bind_endpoint(m, none, weir_endpoint_host(NULL, 9), NULL),
              -EINVAL, "a port of no peer");
    expect_eq(bind_endpoint(m, weir_endpoint_unix("@weir-own"),
                            weir_endpoint_host("name.example", 9), NULL),
              -EINVAL, "names have no Unix addresses");
    expect_eq(bind_endpoint(m, none, one, "127.0.0.1"), -EINVAL,
              "an own host in the options, too");
    expect_eq(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    expect_eq(bind_endpoint(m, weir_endpoint_fd(ends[0]), one, NULL), -EINVAL,
              "a socket and a peer");
    expect_eq(bind_endpoint(m, none, weir_endpoint_fd(ends[1]), NULL), -EINVAL,
              "a socket as the peer");
    cr_expect(wait_closed(ends[0]), "it was taken");
    cr_expect(wait_closed(ends[1]), "so was this one");
}

static void pipe_places(int fds[2], struct weir_endpoint ret[2])
{
    cr_assert(pipe2(fds, O_CLOEXEC) == 0);
    ret[0] = weir_endpoint_read_pipe(fds[0]);
    ret[1] = weir_endpoint_write_pipe(fds[1]);
}

static void expect_taken(const int fds[2])
{
    cr_expect_not(is_open(fds[0]), "it was taken");
    cr_expect_not(is_open(fds[1]), "so was the other end");
}

MAKER(endpoints, a_pipe_is_connected_to_by_each_direction, m)
{
    struct weir_endpoint endpoints[2];
    int fds[2];

    pipe_places(fds, endpoints);
    expect_connected(m, endpoints[0]);
    expect_connected(m, endpoints[1]);
    expect_taken(fds);
    pipe_places(fds, endpoints);
    endpoints[0].fd = fds[1];
    endpoints[1].fd = fds[0];
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_create_connection_at(m->loop, &m->factory, endpoints[i],
                                            NULL, maker_connect_done, m, NULL),
                  -EBADF, "the other direction");
    }
    expect_taken(fds);
}

MAKER(endpoints, a_pipe_has_no_settings_of_sockets, m)
{
    const struct weir_address own = peer_address("127.0.0.1", 0);
    const struct weir_connect_options bad[] = {
        {.size = sizeof(bad[0]), .family = AF_INET},
        {.size = sizeof(bad[0]), .local_address = &own},
        {.size = sizeof(bad[0]), .local_port = 9},
        {.size = sizeof(bad[0]), .proto = IPPROTO_TCP},
        {.size = sizeof(bad[0]), .fast_open = true},
        {.size = sizeof(bad[0]), .tls = (const void *)&own} /* ignored */,
    };
    struct weir_endpoint endpoints[2];
    int fds[2];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pipe_places(fds, endpoints);
        for (int end = 0; end < 2; end++) {
            expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                                endpoints[end], &bad[i],
                                                maker_connect_done, m, NULL),
                      -EINVAL, "option %zu", i);
        }
        expect_taken(fds);
    }
}

MAKER(endpoints, a_pipe_is_no_place_to_listen_or_to_be_bound_to, m)
{
    const struct weir_endpoint none = weir_endpoint_none();
    struct weir_endpoint endpoints[2];
    weir_server *server;
    int fds[2];

    pipe_places(fds, endpoints);
    for (int i = 0; i < 2; i++) {
        expect_eq(weir_create_server_at(m->loop, &m->factory, endpoints[i],
                                        NULL, NULL, NULL, &server),
                  -EINVAL);
    }
    expect_taken(fds);
    pipe_places(fds, endpoints);
    expect_eq(bind_endpoint(m, endpoints[0], none, NULL), -EINVAL,
              "as the own");
    expect_eq(bind_endpoint(m, none, endpoints[1], NULL), -EINVAL,
              "as the peer");
    expect_taken(fds);
}

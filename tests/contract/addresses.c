/*
 * Connects and servers with addresses as values: which of several addresses is
 * connected to, which errors fail the call and which the attempt, and Unix
 * names and ports in one server.
 */
#include "tests/contract/maker.h"

#include <weir/connect.h>

enum { SIDES = 4 };

static weir_pending *start(struct maker *m, const struct weir_address *all,
                           size_t count)
{
    weir_pending *connect = NULL;
    int err = weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_addresses(all, count),
                                        NULL, maker_connect_done, m, &connect);
    expect_eq(err, 0, "%s", weir_strerror(err));
    return connect;
}

static int ask(struct maker *m, const struct weir_address *all, size_t count,
               const struct weir_connect_options *options)
{
    return weir_create_connection_at(m->loop, &m->factory,
                                     weir_endpoint_addresses(all, count),
                                     options, maker_connect_done, m, NULL);
}

/* Returns a loopback port without a listener, which the kernel gives to no
 * other socket. */
static struct weir_address refusing(const char *host)
{
    return peer_address(host, 1);
}

static int listen_unix(struct weir_address *ret)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(weir_address_parse_unix("", ret), 0);
    cr_assert_eq(bind(fd, &ret->storage.any, ret->len), 0);
    cr_assert_eq(listen(fd, 8), 0);
    ret->len = sizeof(ret->storage);
    cr_assert_eq(getsockname(fd, &ret->storage.any, &ret->len), 0);
    return fd;
}

MAKER(addresses, a_connection_is_made_to_an_address_given_as_a_value, m)
{
    struct weir_address address;
    int listener = peer_listen(1, &address);

    start(m, &address, 1);
    memset(&address, 0, sizeof(address)); /* borrowed for the call only */
    maker_expect_done(m, 0);
    expect_str_eq(m->log, "FMD");
    close(listener);
}

MAKER(addresses, a_unix_address_is_connected_to_like_any_other, m)
{
    struct weir_address address;
    struct weir_address told;
    char byte;
    int listener = listen_unix(&address);

    start(m, &address, 1);
    maker_expect_done(m, 0);
    int fd = accept(listener, NULL, NULL);
    expect_eq(weir_transport_write(m->t, "x", 1), 0);
    maker_run_for(m, 5 * MS);
    expect_eq(peer_read(fd, &byte, 1), 1);
    cr_assert(weir_address_is_equal(&m->peername, &address));
    weir_transport_get_sockname(m->t, &told);
    expect_eq(told.storage.any.sa_family, AF_UNIX);
    expect_eq(told.len, sizeof(sa_family_t), "it has no name of its own");
    close(fd);
    close(listener);
}

MAKER(addresses, the_next_address_is_tried_when_one_fails, m)
{
    struct weir_address all[SIDES] = {refusing("127.0.0.1"),
                                      refusing("127.0.0.2")};
    int listener = listen_unix(&all[2]);
    int unused = peer_listen(1, &all[3]);

    start(m, all, SIDES);
    maker_expect_done(m, 0);
    expect_str_eq(m->log, "FMD");
    cr_assert(weir_address_is_equal(&m->peername, &all[2]));
    close(listener);
    close(unused);
}

MAKER(addresses, an_attempt_that_reached_none_tells_the_error_of_the_first, m)
{
    struct weir_address all[] = {refusing("127.0.0.1"), refusing("127.0.0.2")};
    cr_assert_eq(weir_address_parse_unix("/nonexistent/socket", &all[1]), 0);

    start(m, all, 2);
    maker_expect_done(m, -ECONNREFUSED);
    struct weir_address swapped[] = {all[1], all[0]};
    m->done = 0;
    start(m, swapped, 2);
    maker_expect_done(m, -ENOENT);
    expect_str_eq(m->log, "DD", "no factory, no transport");
}

MAKER(addresses, cancelling_between_two_candidates_ends_the_attempt, m)
{
    struct weir_address all[] = {refusing("127.0.0.1"), refusing("127.0.0.2")};

    weir_pending_cancel(start(m, all, 2));
    maker_expect_done(m, -ECANCELED);
    expect_eq(m->done, 1);
}

MAKER(addresses, those_of_another_family_than_asked_for_are_left_out, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address all[3];
    int inet = peer_listen(1, &all[2]);
    int local = listen_unix(&all[0]);
    all[1] = peer_address("::1", 1);

    options.family = AF_INET;
    expect_eq(ask(m, all, 3, &options), 0);
    maker_expect_done(m, 0);
    cr_assert(weir_address_is_equal(&m->peername, &all[2]));
    close(inet);
    close(local);
}

MAKER(addresses, an_own_address_may_be_a_value_too, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address peer;
    struct weir_address own = peer_address("127.0.0.1", 0);
    int listener = peer_listen(1, &peer);
    own.storage.inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);

    options.local_address = &own;
    expect_eq(ask(m, &peer, 1, &options), 0);
    maker_expect_done(m, 0);
    expect_eq(m->sockname.storage.inet.sin_addr.s_addr,
              htonl(INADDR_LOOPBACK + 1));
    close(listener);
}

MAKER(addresses, a_unix_client_may_have_a_name_of_its_own, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address peer;
    struct weir_address own;
    int listener = listen_unix(&peer);
    cr_assert_eq(weir_address_parse_unix("", &own), 0);

    options.local_address = &own;
    expect_eq(ask(m, &peer, 1, &options), 0);
    maker_expect_done(m, 0);
    expect_gt(m->sockname.len, sizeof(sa_family_t), "the kernel chose one");
    expect_eq(m->sockname.storage.local.sun_path[0], '\0');
    close(listener);
}

MAKER(addresses, bad_addresses_fail_the_call, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address good = peer_address("127.0.0.1", 1);
    struct weir_address all[2] = {good, good};
    struct weir_address unnamed;
    cr_assert_eq(weir_address_parse_unix("", &unnamed), 0);

    expect_eq(ask(m, NULL, 2, &options), -EINVAL, "no array");
    expect_eq(ask(m, all, 0, &options), -EINVAL, "an empty array");
    all[1].len--;
    expect_eq(ask(m, all, 2, &options), -EINVAL, "a length");
    all[1].len = 0;
    expect_eq(ask(m, all, 2, &options), -EINVAL, "none");
    all[1] = unnamed;
    expect_eq(ask(m, all, 2, &options), -EINVAL, "no name");
    all[1] = good;
    expect_eq(ask(m, all, 1u << 20, &options), -EINVAL, "far too many");
    options.family = AF_INET6;
    expect_eq(ask(m, all, 2, &options), -EINVAL, "none is left");
    options.family = 0;
    options.local_address = &unnamed;
    expect_eq(ask(m, all, 2, &options), -EINVAL, "none fits");
    options.local_port = 1;
    options.local_address = &good;
    expect_eq(ask(m, all, 2, &options), -EINVAL, "two own ones");
    options.local_port = 0;
    good.len = 3;
    expect_eq(ask(m, all, 2, &options), -EINVAL, "a bad own one");
    expect_eq(m->done, 0);
}

MAKER(addresses, an_own_port_leaves_unix_addresses_out, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address address;
    int listener = listen_unix(&address);

    options.local_port = 1;

    expect_eq(ask(m, &address, 1, &options), -EINVAL);
    close(listener);
}

static int serve(struct maker *m, const struct weir_address *all, size_t count,
                 bool no_start_serving)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.no_start_serving = no_start_serving;
    return weir_create_server_at(m->loop, &m->factory,
                                 weir_endpoint_addresses(all, count), &options,
                                 maker_server_done, m, &m->server);
}

static void expect_served(struct maker *m, size_t index)
{
    struct weir_address address;
    const int made = m->made;
    expect_geq(weir_server_get_socket(m->server, index, &address), 0);
    int fd = peer_connect_to(&address);
    expect_geq(fd, 0);
    maker_run_until_made(m, made + 1);
    expect_eq(m->made, made + 1);
    cr_assert(weir_address_is_equal(&m->sockname, &address));
    close(fd);
}

MAKER(addresses, a_server_listens_on_ports_and_unix_names_at_once, m)
{
    struct weir_address all[SIDES];
    struct weir_address first;
    struct weir_address third;
    cr_assert_eq(weir_address_parse_unix("", &all[1]), 0);
    all[0] = peer_address("127.0.0.1", 0);
    all[2] = peer_address("127.0.0.2", 0);
    all[3] = all[0];

    expect_eq(serve(m, all, SIDES, false), 0);
    memset(all, 0, sizeof(all));
    maker_expect_done(m, 0);
    expect_eq(weir_server_get_socket_count(m->server), 3);
    expect_geq(weir_server_get_socket(m->server, 0, &first), 0);
    expect_geq(weir_server_get_socket(m->server, 2, &third), 0);
    expect_eq(address_port(&first), address_port(&third), "one for both");
    expect_served(m, 0);
    expect_served(m, 1);
    expect_served(m, 2);
}

MAKER(addresses, a_unix_name_that_was_left_to_the_kernel_can_be_asked_for, m)
{
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];
    cr_assert_eq(weir_address_parse_unix("", &address), 0);

    expect_eq(serve(m, &address, 1, false), 0);
    maker_run(m, maker_is_done);

    expect_geq(weir_server_get_socket(m->server, 0, &address), 0);
    expect_ok(strncmp(weir_address_format(&address, text, sizeof(text)),
                      "unix:@", 6));
    expect_eq(strlen(text), 11, "five digits: %s", text);
}

MAKER(addresses, where_a_port_cannot_listen_no_unix_name_does, m)
{
    struct weir_address all[2];
    struct weir_address bound;
    const int on = 1;
    cr_assert_eq(weir_address_parse_unix("", &all[0]), 0);
    all[1] = peer_address("127.0.0.1", 0);
    expect_eq(serve(m, all, 2, true), 0);
    maker_run(m, maker_is_done);
    expect_geq(weir_server_get_socket(m->server, 1, &bound), 0);
    int rival = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(rival, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    expect_eq(bind(rival, &bound.storage.any, bound.len), 0);
    expect_eq(listen(rival, 1), 0);

    expect_eq(weir_server_start_serving(m->server), -EADDRINUSE);
    expect_geq(weir_server_get_socket(m->server, 0, &bound), 0);
    expect_eq(peer_connect_to(&bound), -ECONNREFUSED);
    close(rival);

    expect_eq(weir_server_start_serving(m->server), 0, "and tried again");
    expect_served(m, 0);
    expect_served(m, 1);
}

MAKER(addresses, a_server_refuses_bad_addresses, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    struct weir_address good = peer_address("127.0.0.1", 0);
    struct weir_address all[2] = {good, good};
    const char *hosts[] = {"127.0.0.1"};
    weir_server *server = NULL;

    options.hosts = hosts;
    options.host_count = 1;
    expect_eq(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_addresses(all, 2), &options,
                                    NULL, NULL, &server),
              -EINVAL, "and hosts");
    expect_eq(serve(m, all, 0, false), -EINVAL, "an empty array");
    all[1].len = 0;
    expect_eq(serve(m, all, 2, false), -EINVAL, "none");
    expect_eq(serve(m, NULL, 2, false), -EINVAL, "no array");
    expect_eq(serve(m, all, 1u << 20, false), -EINVAL, "far too many");
    options.hosts = NULL;
    options.host_count = 0;
    options.family = AF_INET6;
    expect_eq(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_addresses(all, 1), &options,
                                    NULL, NULL, &server),
              -EINVAL, "another family");
    cr_assert_null(server);
}

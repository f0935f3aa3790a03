/*
 * A program without standard input, like a daemon that has closed it.
 *
 * The next descriptor that is made or passed in has number 0, and works like
 * any other: it is closed at its end, or when it is refused.
 */
#define UNIT_RUN   without_input
#define UNIT_TAKES struct maker *m, struct place *place
#include "tests/contract/place.h"

#include <weir/connect.h>
#include <weir/datagram.h>
#include <weir/unix.h>

static int input;

static void without_input(void (*body)(struct maker *m, struct place *place))
{
    input = dup(0);
    expect_geq(input, 1);
    with_place(body);
    close(input);
}

/* Waits until number 0 is closed, and fills it for the next step. */
static void expect_zero_closed(const char *what)
{
    cr_assert(wait_closed(0), "%s", what);
    expect_eq(dup2(input, 0), 0);
}

static int as_zero(int fd)
{
    expect_geq(fd, 1);
    expect_eq(dup2(fd, 0), 0);
    close(fd);
    return 0;
}

static void expect_socket_at_zero(void)
{
    struct stat file;
    expect_eq(fstat(0, &file), 0);
    cr_assert(S_ISSOCK(file.st_mode));
}

/* Each function makes one connection and returns its peer; the server or the
 * connection has descriptor 0. */

static int serve_ip(struct maker *m, const struct place *place)
{
    close(0);
    maker_serve(m, "127.0.0.1", NULL);
    expect_eq(weir_server_get_socket(m->server, 0, NULL), 0);
    return peer_connect(m);
}

static int serve_unix(struct maker *m, const struct place *place)
{
    close(0);
    expect_eq(place_serve(m, place->path, NULL), 0);
    expect_eq(weir_server_get_socket(m->server, 0, NULL), 0);
    return place_connect(place);
}

static int serve_an_adopted_one(struct maker *m, const struct place *place)
{
    struct weir_address address;
    expect_ok(weir_create_server_at(
        m->loop, &m->factory,
        weir_endpoint_fd(as_zero(peer_listen(4, &address))), NULL,
        maker_server_done, m, &m->server));
    maker_expect_done(m, 0);
    expect_eq(weir_server_get_socket(m->server, 0, NULL), 0);
    return peer_connect(m);
}

static int accept_one(struct maker *m, const struct place *place)
{
    maker_serve(m, "127.0.0.1", NULL);
    const struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_geq(peer, 1);
    peer_set_timeout(peer);
    close(0);
    expect_eq(connect(peer, &address.storage.any, address.len), 0);
    return peer;
}

static int take_in_a_server(struct maker *m, const struct place *place)
{
    int fds[2];
    maker_serve(m, "127.0.0.1", NULL);
    peer_tcp_pair(fds);
    expect_eq(weir_server_add_fd(m->server, as_zero(fds[0])), 0);
    return fds[1];
}

static int accept_from(int listener)
{
    int peer = accept(listener, NULL, NULL);
    close(listener);
    return peer;
}

static int connect_ip(struct maker *m, const struct place *place)
{
    struct weir_address address;
    int listener = peer_listen(1, &address);
    close(0);
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_addresses(&address, 1),
                                        NULL, maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
    return accept_from(listener);
}

static int connect_unix(struct maker *m, const struct place *place)
{
    int listener = place_bind(place, SOCK_STREAM, 1);
    close(0);
    expect_ok(weir_create_unix_connection(m->loop, &m->factory, place->path,
                                          NULL, maker_connect_done, m, NULL));
    maker_expect_done(m, 0);
    expect_eq(unlink(place->path), 0);
    return accept_from(listener);
}

static int adopt_one(struct maker *m, const struct place *place)
{
    int fds[2];
    peer_tcp_pair(fds);
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(as_zero(fds[0])), NULL,
                                        maker_connect_done, m, NULL));
    return fds[1];
}

UNIT(no_stdin, servers_and_connections_have_its_number)
{
    static const struct {
        const char *what;
        int (*make)(struct maker *m, const struct place *place);
    } kinds[] = {
        {"an IP server", serve_ip},
        {"a Unix server", serve_unix},
        {"a server of an adopted socket", serve_an_adopted_one},
        {"an accepted connection", accept_one},
        {"a connection handed to a server", take_in_a_server},
        {"an IP connection", connect_ip},
        {"a Unix connection", connect_unix},
        {"an adopted connection", adopt_one},
    };
    m->echo = true;
    for (int i = 0; i < (int)(sizeof(kinds) / sizeof(kinds[0])); i++) {
        m->done = 0;
        int peer = kinds[i].make(m, place);
        expect_geq(peer, 1, "%s", kinds[i].what);
        maker_run_until_made(m, i + 1);
        expect_socket_at_zero();
        char text[8];
        expect_eq(send(peer, "hello", 5, 0), 5);
        expect_eq(maker_read(m, peer, text, sizeof(text)), 5);
        close(peer);
        RUN_UNTIL(m->loop, m->lost == i + 1);
        weir_server_free(m->server);
        m->server = NULL;
        maker_run_for(m, MS);
        expect_zero_closed(kinds[i].what);
    }
}

static weir_transport *endpoint;

static void endpoint_made(void *user, weir_transport *t)
{
    endpoint = t;
}

static void endpoint_lost(void *user, weir_transport *t, int err)
{
    endpoint = NULL;
}

static CALLBACKS(endpoint_protocol, DATAGRAM, .connection_made = endpoint_made,
                 .connection_lost = endpoint_lost);

static int make_endpoint(struct maker *m, const char *text)
{
    const struct weir_factory factory = bind_to(&endpoint_protocol, NULL);
    const struct weir_address address = peer_address("127.0.0.1", 0);
    const struct weir_datagram_options options = {.size = sizeof(options)};

    if (strcmp(text, "made") == 0) {
        close(0);
        return weir_create_datagram_endpoint_at(
            m->loop, &factory, weir_endpoint_addresses(&address, 1),
            weir_endpoint_none(), &options, NULL, NULL, NULL);
    }
    int fd = as_zero(socket(AF_INET, SOCK_DGRAM, 0));
    expect_eq(bind(fd, &address.storage.any, address.len), 0);
    return weir_create_datagram_endpoint_at(
        m->loop, &factory, weir_endpoint_fd(fd), weir_endpoint_none(), &options,
        NULL, NULL, NULL);
}

UNIT(no_stdin, a_datagram_endpoint_has_its_number)
{
    static const char *const ways[] = {"made", "adopted"};
    for (int i = 0; i < 2; i++) {
        expect_eq(make_endpoint(m, ways[i]), 0);
        RUN_UNTIL(m->loop, endpoint);
        expect_eq(weir_transport_get_socket(endpoint), 0, "%s", ways[i]);
        expect_socket_at_zero();
        weir_transport_abort(endpoint);
        RUN_UNTIL(m->loop, !endpoint);
        expect_zero_closed(ways[i]);
    }
}

UNIT(no_stdin, what_is_refused_is_closed)
{
    const struct weir_factory endpoints = bind_to(&endpoint_protocol, NULL);
    struct weir_address address;

    maker_serve(m, "127.0.0.1", NULL);
    as_zero(peer_listen(1, &address));
    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(0), NULL,
                                        maker_connect_done, m, NULL),
              -EINVAL);
    expect_zero_closed("no connection");
    as_zero(peer_listen(1, &address));
    expect_eq(weir_server_add_fd(m->server, 0), -EINVAL);
    expect_zero_closed("no connection of a server");
    as_zero(open("/dev/null", O_RDWR | O_CLOEXEC));
    weir_server *server = NULL;
    expect_eq(weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(0),
                                    NULL, maker_server_done, m, &server),
              -EINVAL);
    expect_zero_closed("no listener");
    as_zero(peer_listen(1, &address));
    expect_eq(weir_create_datagram_endpoint_at(
                  m->loop, &endpoints, weir_endpoint_fd(0),
                  weir_endpoint_none(), NULL, NULL, NULL, NULL),
              -EINVAL);
    expect_zero_closed("no datagram socket");
}

/* listen() on a socket of the program is not retried. */
UNIT(no_stdin, a_socket_whose_address_another_one_listens_at_is_closed)
{
    const int on = 1;
    int fds[2];
    struct weir_address address = peer_address("127.0.0.1", 0);

    for (int i = 0; i < 2; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        expect_ok(
            setsockopt(fds[i], SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
        expect_ok(bind(fds[i], &address.storage.any, address.len));
        expect_ok(getsockname(fds[i], &address.storage.any, &address.len));
    }
    expect_ok(listen(fds[0], 1));
    as_zero(fds[1]);
    expect_ok(weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(0),
                                    NULL, maker_server_done, m, &m->server));
    maker_expect_done(m, -EADDRINUSE);
    expect_zero_closed("a socket that cannot listen");
    close(fds[0]);
}

static int failed_err;

static void endpoint_failed(void *arg, int err, weir_transport *t)
{
    failed_err = err;
}

UNIT(no_stdin, what_cannot_be_named_is_closed)
{
    const struct weir_factory endpoints = bind_to(&endpoint_protocol, NULL);
    const struct weir_address elsewhere = peer_address("192.0.2.1", 0);

    close(0);
    failed_err = 0;
    expect_ok(weir_create_datagram_endpoint_at(
        m->loop, &endpoints, weir_endpoint_addresses(&elsewhere, 1),
        weir_endpoint_none(), NULL, endpoint_failed, NULL, NULL));
    RUN_UNTIL(m->loop, failed_err != 0);
    expect_eq(failed_err, -EADDRNOTAVAIL);
    expect_zero_closed("an endpoint of another machine");
}

static void cancel_and_expect_closed(struct maker *m, weir_pending *pending,
                                     const char *what)
{
    expect_socket_at_zero();
    weir_pending_cancel(pending);
    maker_expect_done(m, -ECANCELED);
    m->done = 0;
    expect_zero_closed(what);
}

UNIT(no_stdin, what_is_given_up_is_closed)
{
    const struct weir_factory endpoints = bind_to(&endpoint_protocol, NULL);
    weir_pending *pending;
    struct weir_address address;
    int fds[2];

    peer_tcp_pair(fds);
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(as_zero(fds[0])), NULL,
                                        maker_connect_done, m, &pending));
    cancel_and_expect_closed(m, pending, "a connection that was adopted");
    close(fds[1]);
    as_zero(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    expect_ok(weir_create_datagram_endpoint_at(
        m->loop, &endpoints, weir_endpoint_fd(0), weir_endpoint_none(), NULL,
        maker_connect_done, m, &pending));
    cancel_and_expect_closed(m, pending, "an endpoint that was adopted");
    as_zero(peer_listen(1, &address));
    expect_ok(weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(0),
                                    NULL, maker_server_done, m, &m->server));
    weir_server_close(m->server);
    maker_expect_done(m, -ECANCELED);
    expect_zero_closed("a server that was adopted");
}

UNIT(no_stdin, an_attempt_that_is_given_up_is_closed)
{
    struct weir_address address;
    weir_pending *pending;
    const int listener = peer_listen(0, &address);
    const int full = peer_connect_to(&address); /* its queue holds no more */

    close(0);
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_addresses(&address, 1),
                                        NULL, maker_connect_done, m, &pending));
    maker_run_for(m, MS);
    cancel_and_expect_closed(m, pending, "an attempt to connect");
    close(full);
    close(listener);
}

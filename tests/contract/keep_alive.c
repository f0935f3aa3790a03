/*
 * SO_KEEPALIVE and its times, for every function that makes a socket: the
 * requested values are read back from the connection's socket.
 *
 * Values that the kernel would refuse are refused by the call.
 */
#include "tests/contract/maker.h"
#include "tests/task.h"

#include <weir/connect.h>
#include <weir/stream.h>

enum { IDLE_S = 301, INTERVAL_S = 31, COUNT = 5 };

/* The times are not whole seconds, so they are rounded up. */
static void ask(struct weir_connection_options *connection)
{
    connection->keep_alive = true;
    connection->keep_alive_idle_ns = WEIR_SECONDS(IDLE_S - 1) + 1;
    connection->keep_alive_interval_ns = WEIR_SECONDS(INTERVAL_S) - 1;
    connection->keep_alive_count = COUNT;
}

static struct weir_connect_options connect_options(void)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    ask(&options.connection);
    return options;
}

static struct weir_server_options server_options(void)
{
    struct weir_server_options options = {.size = sizeof(options)};
    ask(&options.connection);
    return options;
}

static void expect_asked(int fd)
{
    expect_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), IDLE_S);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), INTERVAL_S);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPCNT), COUNT);
}

static void expect_made(struct maker *m)
{
    maker_run(m, maker_is_made);
    expect_asked(weir_transport_get_socket(m->t));
}

static void connect_to(struct maker *m, const char *host,
                       const struct weir_connect_options *options)
{
    struct weir_address address;
    const int listener = peer_listen(1, &address);

    expect_ok(
        host ? weir_create_connection(m->loop, &m->factory, host,
                                      address_port(&address), options,
                                      maker_connect_done, m, NULL)
             : weir_create_connection_at(m->loop, &m->factory,
                                         weir_endpoint_addresses(&address, 1),
                                         options, maker_connect_done, m, NULL));
    expect_made(m);
    close(listener);
}

MAKER(keep_alive, connections_by_a_host_have_what_was_asked_for, m)
{
    const struct weir_connect_options options = connect_options();
    connect_to(m, "127.0.0.1", &options);
}

MAKER(keep_alive, connections_by_a_name_have_it, m)
{
    struct weir_connect_options options = connect_options();
    options.family = AF_INET;
    connect_to(m, "localhost", &options);
}

MAKER(keep_alive, connections_to_addresses_have_it, m)
{
    struct weir_connect_options options = connect_options();
    options.fast_open = true; /* tests two ways of connecting at once */
    connect_to(m, NULL, &options);
}

MAKER(keep_alive, adopted_connections_have_it, m)
{
    const struct weir_connect_options options = connect_options();
    int fds[2];
    peer_tcp_pair(fds);

    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fds[0]), &options,
                                        maker_connect_done, m, NULL));

    expect_made(m);
    close(fds[1]);
}

MAKER(keep_alive, accepted_connections_have_it, m)
{
    const struct weir_server_options options = server_options();
    maker_serve(m, "127.0.0.1", &options);
    const int fd = peer_connect(m);

    expect_made(m);
    expect_asked(weir_server_get_socket(m->server, 0, NULL));
    close(fd);
}

MAKER(keep_alive, connections_that_a_server_adopts_have_it, m)
{
    struct weir_server_options options = server_options();
    int fds[2];
    options.no_sockets = true;
    maker_serve(m, NULL, &options);
    peer_tcp_pair(fds);

    expect_ok(weir_server_add_fd(m->server, fds[0]));

    expect_made(m);
    close(fds[1]);
}

/* Both the connection that waited in the socket's queue and the next one get
 * the options, whatever the socket had before. */
static void serve_adopted(struct maker *m, void (*prepare)(int fd))
{
    const struct weir_server_options options = server_options();
    struct weir_address address;
    const int listener = peer_listen(2, &address);
    prepare(listener);
    const int early = peer_connect_to(&address);

    expect_ok(weir_create_server_at(m->loop, &m->factory,
                                    weir_endpoint_fd(listener), &options,
                                    maker_server_done, m, &m->server));
    expect_made(m);
    const int late = peer_connect(m);
    maker_run_until_made(m, 2);

    expect_asked(weir_transport_get_socket(m->t));
    close(early);
    close(late);
}

static void set(int fd, int level, int name, int value)
{
    expect_eq(setsockopt(fd, level, name, &value, sizeof(value)), 0);
}

static void set_nothing(int fd)
{
}

static void set_nodelay(int fd)
{
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static void set_other_times(int fd)
{
    set_nodelay(fd);
    set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set(fd, IPPROTO_TCP, TCP_KEEPIDLE, IDLE_S);
    set(fd, IPPROTO_TCP, TCP_KEEPINTVL, INTERVAL_S);
    set(fd, IPPROTO_TCP, TCP_KEEPCNT, COUNT + 1);
}

MAKER(keep_alive, connections_of_an_adopted_socket_have_it, m)
{
    serve_adopted(m, set_nothing);
}

MAKER(keep_alive, an_adopted_socket_with_nodelay_alone_is_not_enough, m)
{
    serve_adopted(m, set_nodelay);
}

MAKER(keep_alive, an_adopted_socket_with_other_times_is_not_enough, m)
{
    serve_adopted(m, set_other_times);
}

static int handle(void *arg, weir_reader *reader, weir_writer *writer)
{
    int *handled = arg;
    expect_asked(weir_transport_get_socket(weir_writer_get_transport(writer)));
    ++*handled;
    return 0;
}

UNIT_IN(keep_alive, both_ends_of_streams_have_it, task_run, weir_loop *loop)
{
    int handled = 0;
    struct weir_start_server_options serving = {.size = sizeof(serving),
                                                .arg = &handled};
    struct weir_open_options opening = {.size = sizeof(opening)};
    weir_server *server = NULL;
    weir_reader *reader = NULL;
    weir_writer *writer = NULL;
    char byte;
    serving.server = server_options();
    opening.connect = connect_options();
    expect_ok(
        weir_start_server(loop, handle, "127.0.0.1", 0, &serving, &server));

    expect_ok(weir_open_connection(loop, "127.0.0.1", server_port(server),
                                   &opening, &reader, &writer));

    expect_asked(weir_transport_get_socket(weir_writer_get_transport(writer)));
    expect_eq(weir_reader_read(reader, &byte, 1), 0);
    expect_eq(handled, 1);
    weir_writer_close(writer);
    expect_ok(weir_writer_wait_closed(writer));
    weir_writer_unref(writer);
    weir_server_free(server);
}

MAKER(keep_alive, is_off_where_nobody_asks_for_it, m)
{
    struct weir_address address;
    const int listener = peer_listen(1, &address);

    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_addresses(&address, 1),
                                        NULL, maker_connect_done, m, NULL));
    maker_run(m, maker_is_made);

    expect_eq(
        get_option(weir_transport_get_socket(m->t), SOL_SOCKET, SO_KEEPALIVE),
        0);
    close(listener);
}

MAKER(keep_alive, times_that_are_left_out_are_those_of_the_system, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    const int plain = socket(AF_INET, SOCK_STREAM, 0);
    const int names[] = {TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT};
    int fds[2];
    peer_tcp_pair(fds);
    options.connection.keep_alive = true;

    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fds[0]), &options,
                                        maker_connect_done, m, NULL));
    maker_run(m, maker_is_made);

    const int fd = weir_transport_get_socket(m->t);
    expect_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    for (int i = 0; i < 3; i++) {
        expect_eq(get_option(fd, IPPROTO_TCP, names[i]),
                  get_option(plain, IPPROTO_TCP, names[i]));
    }
    close(plain);
    close(fds[1]);
}

MAKER(keep_alive, unix_sockets_take_the_option_and_have_none, m)
{
    const struct weir_connect_options options = connect_options();
    int fds[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);

    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fds[0]), &options,
                                        maker_connect_done, m, NULL));

    maker_run(m, maker_is_made);
    close(fds[1]);
}

static void expect_refused(struct maker *m,
                           const struct weir_connection_options *connection)
{
    struct weir_connect_options options = {.size = sizeof(options),
                                           .connection = *connection};
    struct weir_server_options serving = {.size = sizeof(serving),
                                          .connection = *connection};
    weir_server *server = NULL;

    expect_eq(weir_create_connection(m->loop, &m->factory, "127.0.0.1", 1,
                                     &options, NULL, NULL, NULL),
              -EINVAL);
    expect_eq(weir_create_server(m->loop, &m->factory, "127.0.0.1", 0, &serving,
                                 NULL, NULL, &server),
              -EINVAL);
}

MAKER(keep_alive, what_the_kernel_would_refuse_is_refused_by_the_call, m)
{
    const struct weir_connection_options cases[] = {
        {.keep_alive = true, .keep_alive_count = 128},
        {.keep_alive = true, .keep_alive_count = UINT32_MAX},
        {.keep_alive = true, .keep_alive_idle_ns = WEIR_SECONDS(32767) + 1},
        {.keep_alive = true, .keep_alive_idle_ns = UINT64_MAX},
        {.keep_alive = true, .keep_alive_interval_ns = WEIR_SECONDS(32767) + 1},
        {.keep_alive = true, .keep_alive_interval_ns = UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        expect_refused(m, &cases[i]);
    }
}

MAKER(keep_alive, times_without_keep_alive_are_refused, m)
{
    const struct weir_connection_options cases[] = {
        {.keep_alive_count = 1},
        {.keep_alive_idle_ns = 1},
        {.keep_alive_interval_ns = 1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        expect_refused(m, &cases[i]);
    }
}

MAKER(keep_alive, the_largest_values_are_those_of_the_kernel, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    int fds[2];
    peer_tcp_pair(fds);
    options.connection.keep_alive = true;
    options.connection.keep_alive_idle_ns = WEIR_SECONDS(32767);
    options.connection.keep_alive_interval_ns = WEIR_SECONDS(32767);
    options.connection.keep_alive_count = 127;

    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fds[0]), &options,
                                        maker_connect_done, m, NULL));
    maker_run(m, maker_is_made);

    const int fd = weir_transport_get_socket(m->t);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 32767);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 32767);
    expect_eq(get_option(fd, IPPROTO_TCP, TCP_KEEPCNT), 127);
    close(fds[1]);
}

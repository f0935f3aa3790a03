/*
 * weir_start_server(): from the call to the handlers.
 *
 * Whenever it is cancelled, and whatever fails, either there is a server or
 * nothing listens.
 */
#include "served.h"
#include "uring/sys.h"

#include <arpa/inet.h>

enum { TURNS_MAX = 50 };

TASK(stream_start, serves_each_connection_in_a_task_of_its_own)
{
    struct fake_peer *peers[CLIENTS];
    weir_server *server = start(echo, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        peers[i] = call_server(server);
    }
    expect_eq(handlers, CLIENTS);
    expect_eq(weir_server_get_connection_count(server), CLIENTS);
    for (int i = 0; i < CLIENTS; i++) {
        expect_echo(peers[i], "to and fro");
        fake_peer_shutdown(peers[i]);
    }
    nap();
    expect_eq(handlers, 0);
    for (int i = 0; i < CLIENTS; i++) {
        cr_assert(fake_peer_is_alone(peers[i]));
        fake_peer_close(peers[i]);
    }
    weir_server_free(server);
}

static weir_writer *kept;

static int keep(void *arg, weir_reader *reader, weir_writer *writer)
{
    cr_assert_null(weir_task_get_current(loop));
    kept = weir_writer_ref(writer);
    return 0;
}

TASK(stream_start, serves_by_a_callback_if_asked_to)
{
    const struct weir_start_server_options options = {.size = sizeof(options),
                                                      .no_task = true};
    weir_server *server = start(keep, &options);
    struct fake_peer *peer = call_server(server);
    cr_assert_not(fake_peer_is_alone(peer));
    weir_writer_unref(kept);
    nap();
    cr_assert(fake_peer_is_alone(peer));
    fake_peer_close(peer);
    weir_server_free(server);
}

static int try_start(const struct weir_start_server_options *options)
{
    weir_server *server = NULL;
    int err = weir_start_server(loop, echo, "127.0.0.1", 0, options, &server);
    cr_assert_null(server);
    return err;
}

TASK(stream_start, usage_errors_come_back_at_once)
{
    const struct weir_start_server_options good = {.size = sizeof(good)};
    struct weir_start_server_options options = good;
    weir_server *server = NULL;
    expect_eq(weir_start_server(loop, NULL, NULL, 0, NULL, &server), -EINVAL);
    expect_eq(weir_start_server(loop, echo, NULL, 0, NULL, NULL), -EINVAL);
    expect_eq(weir_start_server(loop, echo, "no host", 0, NULL, &server),
              WEIR_EDNSBADNAME);
    options.size = 0;
    expect_eq(try_start(&options), WEIR_EOPTIONSIZE);
    options = good;
    options.limit_bytes = UINT64_MAX;
    expect_eq(try_start(&options), -EINVAL);
    options = good;
    options.stack_size_bytes = 1;
    expect_eq(try_start(&options), -EINVAL);
}

static int idle_result;

static int read_idly(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    idle_result = (int)weir_reader_read(reader, &byte, 1);
    return 0;
}

TASK(stream_start, options_of_connections_need_no_sizes)
{
    const struct weir_start_server_options options = {
        .size = sizeof(options), .server.connection.timeouts.idle_ns = 5 * S};
    weir_server *server = start(read_idly, &options);
    struct fake_peer *peer = call_server(server);
    expect_eq(weir_sleep(loop, 4 * S), 0);
    cr_assert_not(fake_peer_is_alone(peer));
    expect_eq(weir_sleep(loop, 2 * S), 0);
    cr_assert(fake_peer_is_alone(peer));
    expect_eq(idle_result, WEIR_EIDLE);
    fake_peer_close(peer);
    weir_server_free(server);
}

/* Every error closes the socket of the call. */
static void expect_taken(weir_client_connected_fn *handler,
                         struct weir_start_server_options options, int err)
{
    weir_server *server = NULL;
    const uint32_t fds = fake_fd_count();
    expect_eq(weir_start_server_at(
                  loop, handler,
                  weir_endpoint_fd(wr_sys_socket(AF_INET, SOCK_STREAM, 0)),
                  &options, &server),
              err);
    cr_assert_null(server);
    expect_eq(fake_fd_count(), fds);
}

static const struct weir_start_server_options good_start = {
    .size = sizeof(good_start), .server = {.size = sizeof(good_start.server)}};

static void start_outside(void *arg)
{
    weir_server *server = NULL;
    expect_taken(echo, good_start, WEIR_ENOTTASK);
    expect_eq(weir_start_unix_server(loop, echo, NULL, NULL, &server),
              WEIR_ENOTTASK, "before the path is looked at");
    expect_eq(weir_start_server_at(loop, echo, weir_endpoint_addresses(NULL, 0),
                                   NULL, &server),
              WEIR_ENOTTASK, "before the addresses are looked at");
    *(bool *)arg = true;
}

TASK(stream_start, a_socket_that_was_passed_is_taken_by_every_error)
{
    struct weir_start_server_options options = good_start;
    bool was_called = false;
    expect_taken(NULL, options, -EINVAL);
    options.limit_bytes = UINT64_MAX;
    expect_taken(echo, options, -EINVAL);
    options = good_start;
    options.server.family = AF_INET6;
    expect_taken(echo, options, -EINVAL);
    expect_eq(weir_loop_call_soon(loop, start_outside, &was_called, NULL), 0);
    nap();
    cr_assert(was_called);
}

TASK(stream_start, a_server_that_cannot_listen_says_why)
{
    struct weir_address address;
    weir_server *second = NULL;
    weir_server *first = start(echo, NULL);
    expect_geq(weir_server_get_socket(first, 0, &address), 0);
    const uint16_t port = ntohs(address.storage.inet.sin_port);
    expect_eq(weir_start_server(loop, echo, "127.0.0.1", port, NULL, &second),
              -EADDRINUSE);
    cr_assert_null(second);
    weir_server_free(first);
}

struct begin {
    uint16_t port;
    weir_server *server;
    bool is_done;
};

static int start_one(weir_loop *on, void *arg)
{
    struct begin *begin = arg;
    int err = weir_start_server(on, echo, "127.0.0.1", begin->port, NULL,
                                &begin->server);
    begin->is_done = true;
    return err;
}

TASK(stream_start, cancelled_at_any_turn_of_its_start_nothing_listens)
{
    const struct weir_address address = {
        .len = sizeof(struct sockaddr_in),
        .storage.inet = {.sin_family = AF_INET,
                         .sin_port = htons(7777),
                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    const uint32_t fds = fake_fd_count();
    bool is_late = false;
    for (int turns = 0; !is_late; turns++) {
        struct begin begin = {.port = 7777};
        expect_lt(turns, TURNS_MAX);
        weir_task *task = rig_spawn(start_one, &begin);
        for (int i = 0; i < turns; i++) {
            expect_eq(weir_yield(loop), 0);
        }
        is_late = begin.is_done;
        weir_task_cancel(task);
        int result = rig_join(task);
        cr_assert(result == 0 || result == -ECANCELED);
        expect_eq(result == 0, begin.server != NULL);
        weir_server_free(begin.server);
        nap();
        cr_assert_null(connect_to(&address), "nothing listens");
        expect_eq(fake_fd_count(), fds);
    }
}

TASK(stream_start, a_start_that_waits_for_its_port_can_be_cancelled)
{
    struct weir_address address;
    struct begin begin = {.port = 0};
    weir_server *first = start(echo, NULL);
    expect_geq(weir_server_get_socket(first, 0, &address), 0);
    begin.port = ntohs(address.storage.inet.sin_port);
    weir_task *task = rig_spawn(start_one, &begin);
    expect_eq(weir_sleep(loop, 50 * MS), 0);
    cr_assert_not(begin.is_done, "the port is tried for two seconds");
    expect_eq(rig_cancel(task), -ECANCELED);
    weir_server_free(first);
}

static int start_without_memory(weir_loop *on, void *arg)
{
    weir_server *server = NULL;
    walk_begin(&rig_memory);
    int err = weir_start_server(on, echo, "127.0.0.1", 0, NULL, &server);
    expect_eq(err, walk_end(&rig_memory) ? -ENOMEM : 0);
    expect_eq(err == 0, server != NULL);
    weir_server_free(server);
    return 0;
}

UNIT(stream_start, without_memory_it_does_not_start)
{
    expect_geq(rig_walk(start_without_memory, NULL), 3);
}

/*
 * Connecting on real sockets: how an attempt ends.
 *
 * done is called exactly once and last, and no descriptor remains after a
 * failed attempt. An attempt hangs if the listener's queue is full.
 */
#include "tests/contract/maker.h"

#include <poll.h>
#include <sys/resource.h>
#include <weir/connect.h>

static weir_pending *start(struct maker *m, const struct weir_address *address,
                           const struct weir_connect_options *options)
{
    char host[INET6_ADDRSTRLEN];
    weir_pending *connect = NULL;
    cr_assert_not_null(inet_ntop(AF_INET, &address->storage.inet.sin_addr, host,
                                 sizeof(host)));
    int err = weir_create_connection(m->loop, &m->factory, host,
                                     address_port(address), options,
                                     maker_connect_done, m, &connect);
    expect_eq(err, 0, "%s", weir_strerror(err));
    cr_assert_not_null(connect);
    return connect;
}

/* Returns a port without a listener, which the kernel gives to no other socket.
 */
static struct weir_address refusing_address(void)
{
    return peer_address("127.0.0.1", 1);
}

static uint16_t free_port(void)
{
    struct weir_address address;
    close(peer_listen(1, &address));
    return address_port(&address);
}

/* A listener with a full queue: further attempts hang, as with a host that does
 * not respond. */
struct silence {
    int listener;
    int filler;
    struct weir_address address;
};

/* A queue with backlog 0 holds one connection. An attempt made before that
 * connection is queued would succeed. */
static void silence_open(struct silence *silence)
{
    silence->listener = peer_listen(0, &silence->address);
    silence->filler = peer_connect_to(&silence->address);
    expect_geq(silence->filler, 0);
    struct pollfd pollfd = {.fd = silence->listener, .events = POLLIN};
    expect_eq(poll(&pollfd, 1, MAKER_FAILSAFE_S * 1000), 1);
}

static void silence_close(struct silence *silence)
{
    close(silence->filler);
    close(silence->listener);
}

MAKER(connect, done_comes_after_connection_made_and_exactly_once, m)
{
    struct weir_address address;
    char byte;
    int listener = peer_listen(1, &address);

    start(m, &address, NULL);
    expect_str_eq(m->log, "", "never from inside the call");
    maker_run(m, maker_is_done);

    expect_str_eq(m->log, "FMD");
    expect_eq(m->done_err, 0);
    expect_eq(m->done_t, m->t);
    int fd = accept(listener, NULL, NULL);
    expect_eq(weir_transport_write(m->t, "x", 1), 0);
    maker_run_for(m, 5 * MS);
    expect_eq(peer_read(fd, &byte, 1), 1);
    close(fd);
    maker_run(m, maker_is_lost);
    expect_str_eq(m->log, "FMDL");
    close(listener);
    maker_close(m);
    expect_eq(m->done, 1);
}

MAKER(connect, works_without_options_and_without_a_handle, m)
{
    struct weir_address address;
    int listener = peer_listen(1, &address);

    expect_ok(weir_create_connection(m->loop, &m->factory, "127.0.0.1",
                                     address_port(&address), NULL, NULL, NULL,
                                     NULL));
    maker_run(m, maker_is_made);

    close(listener);
    expect_eq(maker_close(m), 1);
    expect_eq(m->lost, 1);
}

UNIT(connect, the_addresses_of_both_ends_are_known)
{
    struct maker m;
    struct weir_address address;
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    maker_open(&m);
    int listener = peer_listen(1, &address);

    start(&m, &address, NULL);
    maker_run(&m, maker_is_done);
    int fd = accept(listener, (struct sockaddr *)&own, &len);

    expect_geq(fd, 0);
    expect_eq(memcmp(&m.peername.storage, &address.storage, address.len), 0);
    expect_eq(memcmp(&m.sockname.storage.inet, &own, sizeof(own)), 0);
    close(fd);
    close(listener);
    maker_close(&m);
}

MAKER(connect, IPv6_works_with_and_without_brackets, m)
{
    struct weir_address address = peer_address("::1", 0);
    int listener = socket(AF_INET6, SOCK_STREAM, 0);
    expect_eq(bind(listener, &address.storage.any, address.len), 0);
    expect_eq(listen(listener, 2), 0);
    expect_eq(getsockname(listener, &address.storage.any, &address.len), 0);
    const char *hosts[] = {"::1", "[::1]"};

    for (int i = 0; i < 2; i++) {
        expect_ok(weir_create_connection(m->loop, &m->factory, hosts[i],
                                         address_port(&address), NULL, NULL,
                                         NULL, NULL));
        while (m->made < i + 1) {
            maker_run_for(m, 1 * MS);
        }
    }

    close(listener);
}

UNIT(connect, r59__nodelay_is_on_unless_turned_off)
{
    for (int off = 0; off < 2; off++) {
        struct maker m;
        struct weir_address address;
        maker_open(&m);
        int listener = peer_listen(1, &address);
        struct weir_connect_options options = {.size = sizeof(options)};
        options.connection.size = sizeof(options.connection);
        options.connection.no_nodelay = off;
        options.connection.keep_alive = true;

        start(&m, &address, &options);
        maker_run(&m, maker_is_done);

        int fd = weir_transport_get_socket(m.t);
        expect_eq(get_option(fd, IPPROTO_TCP, TCP_NODELAY), !off);
        expect_eq(get_option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
        expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(listener);
        maker_close(&m);
    }
}

MAKER(connect, an_own_address_and_port_are_what_the_peer_sees, m)
{
    struct weir_address address;
    struct sockaddr_in own;
    int listener = peer_listen(2, &address);
    const uint16_t ports[] = {0, free_port()};

    for (int i = 0; i < 2; i++) {
        struct weir_connect_options options = {.size = sizeof(options)};
        const struct weir_address local = peer_address("127.0.0.3", ports[i]);
        options.local_address = &local;
        m->done = 0;
        start(m, &address, &options);
        maker_run(m, maker_is_done);
        expect_eq(m->done_err, 0, "%s", weir_strerror(m->done_err));

        socklen_t len = sizeof(own);
        int fd = accept(listener, (struct sockaddr *)&own, &len);
        expect_geq(fd, 0);
        expect_eq(own.sin_addr.s_addr, inet_addr("127.0.0.3"));
        expect_eq(get_option(weir_transport_get_socket(m->t), IPPROTO_IP,
                             IP_BIND_ADDRESS_NO_PORT),
                  ports[i] == 0, "a port is chosen for each peer");
        cr_assert(ports[i] == 0 || ntohs(own.sin_port) == ports[i]);
        close(fd);
    }

    close(listener);
}

MAKER(connect, a_refused_connection_makes_no_protocol, m)
{
    struct weir_address address = refusing_address();
    start(m, &address, NULL);
    maker_expect_done(m, -ECONNREFUSED);
    expect_str_eq(m->log, "D");
}

MAKER(connect, an_own_address_that_is_not_here_is_an_error, m)
{
    struct weir_address address;
    int listener = peer_listen(1, &address);
    struct weir_connect_options options = {.size = sizeof(options)};
    const struct weir_address local = peer_address("192.0.2.1", 0);
    options.local_address = &local;

    start(m, &address, &options);
    maker_expect_done(m, -EADDRNOTAVAIL);
    close(listener);
}

MAKER(connect, a_factory_that_fails_closes_the_connection, m)
{
    struct weir_address address;
    char byte;
    m->factory_result = -EACCES;
    int listener = peer_listen(1, &address);

    start(m, &address, NULL);
    maker_run(m, maker_is_done);
    maker_run_for(m, 2 * MS);

    expect_eq(m->done_err, -EACCES);
    expect_str_eq(m->log, "FD", "neither connection_made nor the loss");
    expect_eq(m->reports, 0, "done was told, nobody else needs to be");
    int fd = accept(listener, NULL, NULL);
    expect_eq(peer_read(fd, &byte, 1), 0);
    close(fd);
    close(listener);
}

MAKER(connect, without_descriptors_the_attempt_fails_with_EMFILE, m)
{
    struct weir_address address = refusing_address();
    struct rlimit before;
    maker_run_for(m, 1 * MS);
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(0);
    close(next);
    struct rlimit none = {(rlim_t)next, before.rlim_max};
    expect_eq(setrlimit(RLIMIT_NOFILE, &none), 0);

    start(m, &address, NULL);
    maker_expect_done(m, -EMFILE);
    expect_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}

MAKER(connect, the_time_out_ends_an_attempt_that_hangs, m)
{
    static const struct {
        uint64_t whole_ns;
        uint64_t attempt_ns; /* of each address */
    } limits[] = {{50 * MS, 0}, {0, 20 * MS}, {1, 0}, {0, 1}};
    struct silence silence;
    silence_open(&silence);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct weir_connect_options options = {.size = sizeof(options)};
        options.timeout_ns = limits[i].whole_ns;
        options.attempt_timeout_ns = limits[i].attempt_ns;
        const uint64_t before_ns = weir_loop_get_time(m->loop);

        m->done = 0;
        start(m, &silence.address, &options);
        maker_expect_done(m, -ETIMEDOUT);
        const uint64_t took_ns = weir_loop_get_time(m->loop) - before_ns;
        expect_geq(took_ns, limits[i].whole_ns + limits[i].attempt_ns);
        expect_leq(took_ns, MAKER_FAILSAFE_S * 1000 * MS,
                   "the kernel's own is two minutes");
    }
    expect_str_eq(m->log, "DDDD");
    silence_close(&silence);
}

MAKER(connect, a_time_out_that_is_not_reached_leaves_nothing_behind, m)
{
    struct weir_address address;
    int listener = peer_listen(1, &address);
    struct weir_connect_options options = {.size = sizeof(options)};
    options.timeout_ns = 10000 * MS;

    start(m, &address, &options);
    maker_run(m, maker_is_done);
    const struct weir_loop_statistics statistics = statistics_of(m->loop);

    expect_eq(m->done_err, 0);
    expect_eq(m->lost, 0);
    expect_eq(statistics.timers, 0);
    close(listener);
}

MAKER(connect, cancel_ends_an_attempt_that_hangs, m)
{
    struct silence silence;
    silence_open(&silence);
    weir_pending *connect = start(m, &silence.address, NULL);
    maker_run_for(m, 10 * MS);

    weir_pending_cancel(connect);
    weir_pending_cancel(connect);
    expect_eq(m->done, 0, "never from inside the call");
    maker_expect_done(m, -ECANCELED);
    expect_str_eq(m->log, "D");
    silence_close(&silence);
    maker_close(m);
    expect_eq(m->done, 1);
}

MAKER(connect, cancel_before_the_loop_runs_connects_nowhere, m)
{
    struct weir_address address;
    int listener = peer_listen(1, &address);

    weir_pending_cancel(start(m, &address, NULL));
    maker_expect_done(m, -ECANCELED);
    expect_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    expect_eq(accept(listener, NULL, NULL), -1);
    close(listener);
}

static void cancel_now(void *arg)
{
    weir_pending_cancel((weir_pending *)arg);
}

MAKER(connect, cancelling_at_any_moment_gives_one_answer_and_a_reset, m)
{
    struct weir_address address;
    int canceled = 0;
    int resets = 0;
    int listener = peer_listen(200, &address);

    for (int i = 0; i < 100; i++) {
        char byte;
        m->done = m->made = m->lost = 0;
        weir_pending *connect = start(m, &address, NULL);
        if (i % 3 == 0) { /* after the ready item: the attempt has started */
            expect_ok(weir_loop_call_soon(m->loop, cancel_now, connect, NULL));
        } else if (i % 3 == 1) { /* connected, and not reported yet */
            weir_loop_stop(m->loop);
            expect_eq(weir_loop_run(m->loop), 0);
            weir_pending_cancel(connect);
        }
        maker_expect_done(m, i % 3 == 2 ? 0 : -ECANCELED);
        canceled += m->done_err != 0;
        if (m->t) {
            expect_eq(weir_transport_abort(m->t), 0);
            maker_run(m, maker_is_lost);
        }
        maker_run_for(m, MS / 10);
        expect_eq(m->done, 1);
        expect_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
        int fd = accept4(listener, NULL, NULL, 0);
        if (fd >= 0) { /* never an end of stream, which would look like a
                          complete one */
            peer_set_timeout(fd);
            expect_eq(read(fd, &byte, 1), -1);
            expect_eq(errno, ECONNRESET);
            close(fd);
            resets += 1;
        }
    }

    expect_gt(canceled, 50);
    expect_gt(resets, canceled / 4);
    close(listener);
    expect_eq(maker_close(m), 0);
}

static weir_pending *current;

static void cancel_current(struct maker *m)
{
    weir_pending_cancel(current);
}

MAKER(connect, cancel_in_connection_made_loses_the_connection, m)
{
    struct weir_address address;
    m->in_made = cancel_current;
    int listener = peer_listen(1, &address);

    current = start(m, &address, NULL);
    maker_run(m, maker_is_lost);

    expect_str_eq(m->log, "FMDL");
    expect_eq(m->done_err, -ECANCELED);
    expect_eq(m->lost_err, 0);
    close(listener);
}

UNIT(connect, cancel_in_the_factory_is_what_done_is_told)
{
    for (int i = 0; i < 2; i++) {
        struct maker m;
        struct weir_address address;
        maker_open(&m);
        m.in_factory = cancel_current;
        m.factory_result = i == 0 ? 0 : -EACCES;
        int listener = peer_listen(1, &address);

        current = start(&m, &address, NULL);
        maker_run(&m, maker_is_done);
        maker_run_for(&m, 2 * MS);

        expect_eq(m.done_err, -ECANCELED);
        expect_str_eq(m.log, i == 0 ? "FMDL" : "FD");
        close(listener);
        maker_close(&m);
    }
}

MAKER(connect, cancel_inside_done_changes_nothing, m)
{
    struct weir_address address;
    m->in_done = cancel_current;
    int listener = peer_listen(1, &address);

    current = start(m, &address, NULL);
    maker_run(m, maker_is_done);
    maker_run_for(m, 2 * MS);

    expect_str_eq(m->log, "FMD");
    expect_eq(m->done_err, 0);
    close(listener);
}

MAKER(connect, the_end_of_the_loop_cancels_what_hangs, m)
{
    struct silence silence;
    silence_open(&silence);
    start(m, &silence.address, NULL);
    maker_run_for(m, 10 * MS);

    expect_eq(maker_close(m), 0);

    expect_eq(m->done, 1);
    expect_eq(m->done_err, -ECANCELED);
    silence_close(&silence);
}

MAKER(connect, the_end_of_a_loop_that_never_ran_tells_done, m)
{
    struct weir_address address = refusing_address();
    start(m, &address, NULL);

    expect_eq(maker_close(m), 0);

    expect_str_eq(m->log, "D");
    expect_eq(m->done_err, -ECANCELED);
}

MAKER(connect, usage_errors_come_from_the_call, m)
{
    const struct weir_factory no_factory = {.create = NULL};
    struct weir_connect_options good = {.size = sizeof(good)};
    struct weir_connect_options bad;
    struct {
        struct weir_connect_options own;
        char tail;
    } newer = {.own = good, .tail = 1};
    newer.own.size = sizeof(newer);
    const struct weir_address address = peer_address("127.0.0.1", 0);
    weir_pending *connect = NULL;

#define CONNECT(factory, host, options)                                        \
    weir_create_connection(m->loop, factory, host, 1, options,                 \
                           maker_connect_done, m, &connect)

    expect_eq(CONNECT(&m->factory, "127.1", &good), WEIR_EDNSBADNAME);
    expect_eq(CONNECT(&m->factory, "", &good), WEIR_EDNSBADNAME);
    expect_eq(CONNECT(&m->factory, "::1%nonesuch", &good), -ENODEV);
    expect_eq(CONNECT(NULL, "::1", &good), -EINVAL);
    expect_eq(CONNECT(&no_factory, "::1", &good), -EINVAL);
    expect_eq(CONNECT(&m->factory, NULL, &good), -EINVAL);
    expect_eq(CONNECT(&m->factory, "::1", &newer.own), -E2BIG);
    bad = good;
    bad.size = 0;
    expect_eq(CONNECT(&m->factory, "::1", &bad), WEIR_EOPTIONSIZE);
    bad = good;
    bad.family = AF_INET;
    expect_eq(CONNECT(&m->factory, "::1", &bad), -EINVAL);
    bad.family = AF_UNIX;
    expect_eq(CONNECT(&m->factory, "host.example", &bad), -EINVAL);
    bad = good;
    bad.local_address = &address;
    expect_eq(CONNECT(&m->factory, "::1", &bad), -EINVAL);
    bad = good;
    bad.connection.size = 1;
    expect_eq(CONNECT(&m->factory, "::1", &bad), -EINVAL);
    expect_eq(weir_create_connection(m->loop, &m->factory, "::1", 1, NULL, NULL,
                                     NULL, &connect),
              -EINVAL, "nothing would tell the end of the handle");

    cr_expect_null(connect);
    maker_close(m);
    expect_eq(m->done, 0);
}

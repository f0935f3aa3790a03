/*
 * Servers at a limit: of the program, and of the system.
 *
 * In both cases clients wait, none is dropped, and the loop sleeps meanwhile.
 * Also a server one of whose addresses is in use.
 */
#include "tests/contract/maker.h"
#include "tests/dump.h"

#include <sys/resource.h>

MAKER(server_limits, connection_limit_is_kept_and_no_client_is_dropped, m)
{
    enum { CLIENTS = 40, LIMIT = 5 };
    int fds[CLIENTS];
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection_limit = LIMIT;
    maker_serve(m, "127.0.0.1", &options);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = peer_connect(m);
    }

    maker_run_until_made(m, LIMIT);
    maker_run_for(m, 20 * MS);
    expect_eq(m->made, LIMIT);
    for (int i = 0; i < CLIENTS; i++) {
        close(fds[i]); /* accepted in the order of the connects */
        maker_run_for(m, 2 * MS);
        expect_leq(weir_server_get_connection_count(m->server), LIMIT);
    }

    maker_run(m, maker_is_empty);
    expect_eq(m->made, CLIENTS);
}

static unsigned queue_of(weir_server *server)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    int fd = weir_server_get_socket(server, 0, NULL);
    expect_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return info.tcpi_unacked; /* of a listener: its queue */
}

MAKER(server_limits, a_full_server_sleeps_and_leaves_clients_to_the_kernel, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection_limit = 1;
    maker_serve(m, "127.0.0.1", &options);
    int first = peer_connect(m);
    int second = peer_connect(m);
    maker_run(m, maker_is_made);
    while (queue_of(m->server) == 0) { /* an ACK may be in flight */
        maker_run_for(m, MS);
    }

    expect_leq(maker_count_turns(m, 50 * MS), 5);
    expect_eq(m->made, 1);
    expect_eq(queue_of(m->server), 1);
    close(first);
    close(second);
}

static unsigned long long parked_of(const struct maker *m)
{
    return dump_number(m->loop, "server ", " parked=");
}

MAKER(server_limits,
      a_server_that_fills_up_leaves_the_last_clients_to_the_kernel, m)
{
    enum { LIMIT = 12, WAITING = 2, ROUNDS = 3 };
    struct weir_server_options options = {
        .size = sizeof(options), .connection_limit = LIMIT, .backlog = 4};
    maker_serve(m, "127.0.0.1", &options);
    for (int round = 0, made = 0; round < ROUNDS; round++) {
        int fds[LIMIT + WAITING];
        for (int i = 0; i < LIMIT; i++) {
            fds[i] = peer_connect(m);
            maker_run_until_made(m, ++made);
        }
        for (int i = LIMIT; i < LIMIT + WAITING; i++) {
            fds[i] = peer_connect(m);
        }
        while (queue_of(m->server) + parked_of(m) < WAITING) {
            maker_run_for(m, MS); /* an ACK may be in flight */
        }
        maker_run_for(m, 5 * MS);
        expect_eq(parked_of(m), 0);
        expect_eq(queue_of(m->server), WAITING);
        expect_eq(weir_server_get_connection_count(m->server), LIMIT);
        for (int i = 0; i < LIMIT + WAITING; i++) {
            close(fds[i]);
        }
        made += WAITING;
        maker_run_until_made(m, made);
        maker_run(m, maker_is_empty);
    }
}

MAKER(server_limits, near_the_limit_as_many_accepts_wait_as_there_is_room_for,
      m)
{
    enum { LIMIT = 3 };
    int fds[LIMIT];
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection_limit = LIMIT;
    maker_serve(m, "127.0.0.1", &options);
    for (int i = 0; i < LIMIT; i++) {
        expect_eq(dump_number(m->loop, "server ", " accepts="), LIMIT - i);
        fds[i] = peer_connect(m);
        maker_run_until_made(m, i + 1);
    }
    expect_eq(dump_number(m->loop, "server ", " accepts="), 0);
    for (int i = 0; i < LIMIT; i++) {
        close(fds[i]);
        RUN_UNTIL(m->loop, m->lost == i + 1);
        expect_eq(dump_number(m->loop, "server ", " accepts="), i + 1);
    }
}

/* Far from the limit one multishot accept stays armed. The server is near the
 * limit once the kernel's queue, one more than its backlog, can hold more than
 * the server has space for. */
MAKER(server_limits, far_from_the_limit_one_accept_goes_on, m)
{
    enum { LIMIT = 9, BACKLOG = 4, FAR = LIMIT - BACKLOG - 1 };
    int fds[LIMIT];
    struct weir_server_options options = {
        .size = sizeof(options), .connection_limit = LIMIT, .backlog = BACKLOG};
    maker_serve(m, "127.0.0.1", &options);
    for (int i = 0; i < LIMIT; i++) {
        expect_eq(dump_number(m->loop, "server ", " accepts="),
                  i < FAR ? 1 : LIMIT - i, "%d connections", i);
        fds[i] = peer_connect(m);
        maker_run_until_made(m, i + 1);
        maker_run_for(m, MS);
    }
    for (int i = 0; i < LIMIT; i++) {
        close(fds[i]);
    }
}

static void connect_in_turn(struct maker *m, const char *const *hosts,
                            int host_count, int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        struct weir_address address =
            peer_address(hosts[i % host_count], server_port(m->server));
        fds[i] = peer_connect_to(&address);
        expect_geq(fds[i], 0);
    }
}

/* There is space for the queue of one socket, but not for the queues of all.
 * Each socket has an accept; the one that gets the last slot leaves the others
 * with a connection above the limit. */
MAKER(server_limits, a_burst_on_several_sockets_takes_one_too_many_on_each, m)
{
    enum { HOSTS = 4, EACH = 3, LIMIT = 14, BEFORE = LIMIT - EACH - 1 };
    const char *hosts[HOSTS] = {"127.0.0.1", "127.0.0.2", "127.0.0.3",
                                "127.0.0.4"};
    int fds[BEFORE + HOSTS * EACH];
    struct weir_server_options options = {.size = sizeof(options)};
    int count = 0;
    options.hosts = hosts;
    options.host_count = HOSTS;
    options.connection_limit = LIMIT;
    options.backlog = EACH - 1; /* the kernel adds one */
    maker_serve(m, NULL, &options);
    while (count < BEFORE) {
        connect_in_turn(m, &hosts[count % HOSTS], 1, &fds[count], 1);
        maker_run_until_made(m, ++count);
    }

    connect_in_turn(m, hosts, HOSTS, &fds[count], HOSTS * EACH);
    count += HOSTS * EACH;
    maker_run_until_made(m, LIMIT);
    maker_run_for(m, 5 * MS);
    expect_eq(weir_server_get_connection_count(m->server), LIMIT);
    expect_leq(parked_of(m), HOSTS - 1);
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    maker_run_until_made(m, count);
    maker_run(m, maker_is_empty);
}

MAKER(server_limits, each_socket_has_an_accept_and_no_more_without_room, m)
{
    enum { LIMIT = 8, EACH = LIMIT / 2 };
    static const char *const second[] = {"127.0.0.2"};
    int fds[EACH];
    struct weir_server_options options = {.size = sizeof(options),
                                          .hosts = second,
                                          .host_count = 1,
                                          .connection_limit = LIMIT};
    maker_serve(m, "127.0.0.1", &options);
    expect_eq(dump_number(m->loop, "server ", " accepts="), LIMIT);
    connect_in_turn(m, second, 1, fds, EACH);
    maker_run_until_made(m, EACH);
    expect_eq(dump_number(m->loop, "server ", " accepts="), EACH + 1);
    for (int i = 0; i < EACH; i++) {
        close(fds[i]);
    }
}

MAKER(server_limits, connection_limit_holds_across_several_sockets, m)
{
    enum { HOSTS = 3 };
    const char *hosts[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
    int fds[HOSTS];
    struct weir_server_options options = {.size = sizeof(options),
                                          .hosts = hosts,
                                          .host_count = HOSTS,
                                          .connection_limit = 1};
    maker_serve(m, NULL, &options);
    for (int i = 0; i < HOSTS; i++) {
        struct weir_address address =
            peer_address(hosts[i], server_port(m->server));
        fds[i] = peer_connect_to(&address);
        expect_geq(fds[i], 0);
    }

    for (int i = 0; i < HOSTS; i++) {
        while (m->made < i + 1) {
            maker_run_for(m, 1 * MS);
        }
        maker_run_for(m, 10 * MS);
        expect_eq(m->made, i + 1, "one at a time");
        expect_eq(weir_server_get_connection_count(m->server), 1);
        /* The client that weir closes is the one that was served. */
        weir_server_close_clients(m->server);
    }

    maker_run(m, maker_is_empty);
    for (int i = 0; i < HOSTS; i++) {
        char byte;
        expect_eq(peer_read(fds[i], &byte, 1), 0, "each was served");
        close(fds[i]);
    }
}

MAKER(server_limits, closing_a_full_server_ends_those_that_wait, m)
{
    const char *hosts[] = {"127.0.0.1", "127.0.0.2"};
    int fds[2];
    struct weir_server_options options = {.size = sizeof(options),
                                          .hosts = hosts,
                                          .host_count = 2,
                                          .connection_limit = 1};
    maker_serve(m, NULL, &options);
    for (int i = 0; i < 2; i++) {
        struct weir_address address =
            peer_address(hosts[i], server_port(m->server));
        fds[i] = peer_connect_to(&address);
    }
    maker_run(m, maker_is_made);
    maker_run_for(m, 10 * MS);
    expect_eq(m->made, 1);

    expect_ok(weir_server_stop(m->server, UINT64_MAX, maker_server_closed, m));
    maker_run(m, maker_is_closed);

    expect_eq(m->made, 1);
    for (int i = 0; i < 2; i++) {
        char byte;
        expect_leq(peer_read(fds[i], &byte, 1), 0);
        close(fds[i]);
    }
}

enum { CLIENTS = 100, SPARE = 10 };

/* Returns the limit of descriptors that leaves @count numbers free now. A test
 * runner may have some open above the lowest free one. */
static rlim_t limit_of_free(int count)
{
    int fds[1 + CLIENTS + SPARE] = {0};

    expect_leq(1, count);
    expect_leq(count, 1 + CLIENTS + SPARE);
    for (int i = 0; i < count; i++) {
        fds[i] = dup(0);
        expect_geq(fds[i], 0);
    }
    const rlim_t limit = (rlim_t)fds[count - 1] + 1;
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    return limit;
}

static struct rlimit set_fd_limit(rlim_t limit)
{
    struct rlimit before;
    expect_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit after = {.rlim_cur = limit, .rlim_max = before.rlim_max};
    expect_eq(setrlimit(RLIMIT_NOFILE, &after), 0);
    return before;
}

static struct rlimit starve(struct maker *m, int *ret_fds)
{
    maker_open(m);
    m->echo = true;
    /* An armed accept keeps the limit of its start (Linux up to at least 6.18),
     * so the limit is set first, counting the listener and the clients. */
    const struct rlimit before =
        set_fd_limit(limit_of_free(1 + CLIENTS + SPARE));
    maker_serve(m, "127.0.0.1", NULL);
    for (int i = 0; i < CLIENTS; i++) {
        ret_fds[i] = peer_connect(m);
        expect_eq(send(ret_fds[i], "x", 1, 0), 1);
    }
    return before;
}

static void wait_for_tries(struct maker *m, uint64_t count)
{
    const uint64_t before = statistics_of(m->loop).completions;
    while (statistics_of(m->loop).completions < before + count) {
        maker_run_for(m, 10 * MS);
    }
}

UNIT(server_limits, EMFILE_is_reported_once_and_the_loop_sleeps)
{
    struct maker m;
    int fds[CLIENTS];
    struct rlimit before = starve(&m, fds);

    RUN_UNTIL(m.loop, m.reports > 0);
    maker_run_for(&m, 50 * MS);
    expect_gt(m.made, 0);
    expect_lt(m.made, CLIENTS);
    const int made = m.made;
    const uint64_t turns = maker_count_turns(&m, 1000 * MS);
    wait_for_tries(&m, 5);

    expect_eq(m.made, made, "there was no descriptor");
    expect_eq(m.reports, 1);
    expect_eq(m.report_err, -EMFILE);
    expect_eq(m.report_server, m.server);
    expect_leq(turns, 2 * 10 + 5,
               "one try every 100 ms: a timer and an accept");
    set_fd_limit(before.rlim_cur);
    for (int i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    maker_close(&m);
}

UNIT(server_limits, EMFILE_drops_no_client)
{
    struct maker m;
    int fds[CLIENTS];
    struct rlimit before = starve(&m, fds);
    RUN_UNTIL(m.loop, m.reports > 0);
    expect_lt(m.made, CLIENTS);

    int served = 0;
    for (int i = 0; i < CLIENTS; i++) {
        char byte = 0;
        while (recv(fds[i], &byte, 1, MSG_DONTWAIT) != 1) {
            expect_eq(errno, EAGAIN, "client %d was dropped", i);
            maker_run_for(&m, 2 * MS);
        }
        expect_eq(byte, 'x');
        served++;
        close(fds[i]);
    }

    maker_run(&m, maker_is_empty);
    expect_eq(served, CLIENTS);
    expect_eq(m.made, CLIENTS);
    expect_geq(m.reports, 1);
    set_fd_limit(before.rlim_cur);
    maker_close(&m);
}

UNIT(server_limits, EMFILE_does_not_outlast_a_close)
{
    struct maker m;
    int fds[CLIENTS];
    struct rlimit before = starve(&m, fds);
    RUN_UNTIL(m.loop, m.reports > 0);

    expect_eq(weir_server_stop(m.server, 0, maker_server_closed, &m), 0);
    maker_run(&m, maker_is_closed);
    maker_run_for(&m, 150 * MS);

    expect_eq(m.made, m.lost);
    set_fd_limit(before.rlim_cur);
    for (int i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
    maker_close(&m);
}

static int bind_beside(const char *host, uint16_t port)
{
    const int on = 1;
    struct weir_address address = peer_address(host, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
    expect_eq(bind(fd, &address.storage.any, address.len), 0);
    return fd;
}

static void connect_each(struct maker *m, const int *fds, int count)
{
    const struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));
    for (int i = 0; i < count; i++) {
        expect_eq(connect(fds[i], &address.storage.any, address.len), 0);
        maker_run_for(m, MS);
    }
    maker_run_for(m, 20 * MS);
}

static struct rlimit leave(int *ret_fds, int count, int spare)
{
    for (int i = 0; i < count; i++) {
        ret_fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        expect_leq(0, ret_fds[i]);
    }
    return set_fd_limit(limit_of_free(spare));
}

static void end_clients(struct maker *m, const int *fds, int count)
{
    for (int i = 0; i < count; i++) {
        close(fds[i]);
    }
    maker_run(m, maker_is_empty);
}

/* A multishot accept keeps the limit of descriptors from when it was armed. The
 * second time, the limit is as low as before. */
MAKER(server_limits, a_lowered_limit_of_descriptors_is_followed, m)
{
    enum { ALL = 20, FEW = 5, LEFT = 3 };
    int fds[ALL];
    struct weir_server_options options = {
        .size = sizeof(options), .connection_limit = 100, .backlog = ALL};
    maker_serve(m, "127.0.0.1", &options);
    const struct rlimit before = leave(fds, ALL, LEFT);
    connect_each(m, fds, FEW);
    /* The first one may be accepted under the old limit. */
    expect_leq(m->made, LEFT + 1);
    const struct rlimit low = set_fd_limit(before.rlim_cur - 1);
    maker_run_until_made(m, FEW);

    set_fd_limit(low.rlim_cur);
    connect_each(m, fds + FEW, ALL - FEW);
    expect_leq(m->made, FEW + 1);
    expect_leq(ALL - FEW - 1, queue_of(m->server));
    set_fd_limit(before.rlim_cur);
    maker_run_until_made(m, ALL);
    end_clients(m, fds, ALL);
}

/* The kernel wakes one of several pending accepts: after it has failed, another
 * one must check. */
MAKER(server_limits, an_only_client_is_accepted_after_EMFILE, m)
{
    int fd;
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection_limit = 10;
    const struct rlimit before = set_fd_limit(limit_of_free(3));
    maker_serve(m, "127.0.0.1", &options);
    maker_run_for(m, 5 * MS);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int last = dup(fd);
    expect_leq(0, last);
    expect_eq(dup(fd), -1);
    connect_each(m, &fd, 1);
    expect_eq(m->made, 0);
    expect_eq(queue_of(m->server), 1);
    close(last);
    maker_run_until_made(m, 1);
    set_fd_limit(before.rlim_cur);
    end_clients(m, &fd, 1);
}

MAKER(server_limits, start_serving_that_fails_on_one_address_listens_on_none, m)
{
    static const char *const second[] = {"127.0.0.2"};
    struct weir_server_options options = {.size = sizeof(options),
                                          .no_start_serving = true,
                                          .hosts = second,
                                          .host_count = 1};
    maker_serve(m, "127.0.0.1", &options);
    const uint16_t port = server_port(m->server);
    struct weir_address first = peer_address("127.0.0.1", port);
    int other = bind_beside("127.0.0.2", port);
    expect_eq(listen(other, 1), 0);

    expect_eq(weir_server_start_serving(m->server), -EADDRINUSE);
    expect_eq(peer_connect_to(&first), -ECONNREFUSED, "of either");
    close(other);
    expect_eq(weir_server_start_serving(m->server), 0, "it may be tried again");
    expect_eq(server_port(m->server), port);
    int fd = peer_connect(m);
    maker_run(m, maker_is_made);

    close(fd);
}

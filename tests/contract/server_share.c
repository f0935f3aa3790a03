/*
 * Servers of two loops that share one listening socket: the kernel wakes one
 * accept for a client.
 *
 * If that accept is cancelled or fails at this moment, the other server gets
 * the client at once, not with the next client.
 */
#include "tests/contract/maker.h"
#include "tests/dump.h"

#include <sys/resource.h>
#include <unistd.h>
#include <weir/connect.h>
#include <weir/sock.h>
#include <weir/task.h>

/* Both loops are on one thread: events wait for a loop that does not run. */
struct pair {
    struct maker one; /* it accepts first: the kernel wakes its accept */
    struct maker other;
    struct weir_address address;
    int client;
};

/* Runs one iteration, which submits the accept. */
static void turn(struct maker *m)
{
    weir_loop_stop(m->loop);
    expect_eq(weir_loop_run(m->loop), 0);
}

static void serve_socket(struct maker *m, int fd,
                         const struct weir_server_options *options)
{
    expect_ok(weir_create_server_at(m->loop, &m->factory, weir_endpoint_fd(fd),
                                    options, maker_server_done, m, &m->server));
    maker_expect_done(m, 0);
    turn(m);
}

static int open_loops(struct pair *pair, const char *host)
{
    maker_open(&pair->one);
    maker_open(&pair->other);
    pair->client = -1;
    struct weir_address *address = &pair->address;

    expect_ok(host ? weir_address_parse(host, 0, address)
                   : weir_address_parse_unix("", address));
    const int fd = socket(address->storage.any.sa_family, SOCK_STREAM, 0);
    expect_geq(fd, 0);
    expect_ok(bind(fd, &address->storage.any, address->len));
    address->len = sizeof(address->storage);
    expect_ok(getsockname(fd, &address->storage.any, &address->len));
    expect_ok(listen(fd, 16));
    return fd;
}

static void open_pair(struct pair *pair, const char *host,
                      const struct weir_server_options *options)
{
    const int fd = open_loops(pair, host);
    const int duplicate = dup(fd);

    serve_socket(&pair->one, fd, options);
    serve_socket(&pair->other, duplicate, NULL);
}

static void close_pair(struct pair *pair)
{
    maker_close(&pair->one);
    maker_close(&pair->other);
    close(pair->client);
}

static void connect_client(struct pair *pair)
{
    pair->client = peer_connect_to(&pair->address);
    expect_geq(pair->client, 0);
}

static void expect_served_by_other(struct pair *pair)
{
    char byte = 'x';
    struct maker *other = &pair->other;

    other->echo = true;
    maker_run_until_made(other, 1);
    expect_eq(pair->one.made, 0);
    const int next = peer_connect_to(&pair->address);
    maker_run_until_made(other, 2);
    const int fds[] = {pair->client, next};
    for (int i = 0; i < 2; i++) {
        expect_eq(send(fds[i], &byte, 1, 0), 1);
        expect_eq(maker_read(other, fds[i], &byte, 1), 1);
    }
    close(next);
}

static const char *const hosts[] = {"127.0.0.1", "::1", NULL};

static void close_server(struct maker *m)
{
    weir_server_close(m->server);
    expect_ok(
        weir_server_add_closed_callback(m->server, maker_server_closed, m));
}

static void stop_server(struct maker *m)
{
    expect_ok(weir_server_stop(m->server, UINT64_MAX, maker_server_closed, m));
}

static void free_server(struct maker *m)
{
    close_server(m);
    weir_server_free(m->server);
    m->server = NULL;
}

/* With a limit, one-shot accepts are pending. */
static void end_as_a_client_comes(const char *host, uint64_t limit,
                                  void (*end)(struct maker *m))
{
    struct pair pair;
    open_pair(&pair, host,
              SIZED(weir_server_options, .connection_limit = limit));
    connect_client(&pair);
    end(&pair.one);
    maker_run(&pair.one, maker_is_closed);
    expect_served_by_other(&pair);
    close_pair(&pair);
}

UNIT(server_share, a_client_of_the_turn_of_a_close_is_served_by_the_other)
{
    void (*const ends[])(struct maker * m) = {close_server, stop_server,
                                              free_server};
    for (int i = 0; i < 3 * 3; i++) {
        end_as_a_client_comes(hosts[i % 3], 0, ends[i / 3]);
        end_as_a_client_comes(hosts[i % 3], 1, ends[i / 3]);
    }
}

/* No other server takes the client. A stop serves clients that an accept has
 * taken before. */
static void end_alone_as_a_client_comes(const char *host, uint64_t limit,
                                        void (*end)(struct maker *m))
{
    struct pair pair;
    char byte;
    const int fd = open_loops(&pair, host);
    serve_socket(&pair.one, fd,
                 SIZED(weir_server_options, .connection_limit = limit));
    connect_client(&pair);
    end(&pair.one);
    maker_run(&pair.one, maker_is_closed);
    expect_eq(pair.one.made, pair.one.lost);
    expect_eq(peer_read(pair.client, &byte, 1),
              pair.one.made > 0 ? 0 : -ECONNRESET);
    cr_assert(pair.one.made == 0 || end == stop_server);
    cr_assert(wait_closed(fd));
    close_pair(&pair);
}

UNIT(server_share, a_client_of_the_turn_of_a_close_by_the_only_one_is_reset)
{
    void (*const ends[])(struct maker * m) = {close_server, stop_server,
                                              free_server};
    for (int i = 0; i < 3 * 3; i++) {
        end_alone_as_a_client_comes(hosts[i % 3], 0, ends[i / 3]);
        end_alone_as_a_client_comes(hosts[i % 3], 1, ends[i / 3]);
    }
}

UNIT(server_share, a_client_of_the_turn_of_a_loops_end_is_served_by_the_other)
{
    for (int i = 0; i < 3; i++) {
        struct pair pair;
        open_pair(&pair, hosts[i], NULL);
        connect_client(&pair);
        maker_close(&pair.one);
        expect_served_by_other(&pair);
        close_pair(&pair);
    }
}

static struct pair *filling;

static void connect_when_full(struct maker *m)
{
    if (weir_server_get_connection_count(m->server) == 2) {
        connect_client(filling);
    }
}

UNIT(server_share, a_client_of_the_turn_that_fills_a_server_is_the_others)
{
    for (int i = 0; i < 3; i++) {
        struct pair pair;
        int fds[3][2];
        /* A multishot accept is pending while there is space for a queue of
         * two. */
        open_pair(
            &pair, hosts[i],
            SIZED(weir_server_options, .connection_limit = 3, .backlog = 1));
        filling = &pair;
        pair.one.in_factory = connect_when_full;
        for (int j = 0; j < 3; j++) {
            peer_tcp_pair(fds[j]);
            expect_ok(weir_server_add_fd(pair.one.server, fds[j][0]));
        }
        maker_run_until_made(&pair.one, 3);
        maker_run_for(&pair.one, 5 * MS);
        expect_eq(weir_server_get_connection_count(pair.one.server), 3);
        pair.one.made = 0;
        expect_served_by_other(&pair);
        for (int j = 0; j < 3; j++) {
            close(fds[j][1]);
        }
        close_pair(&pair);
    }
}

static void share_second(struct pair *pair, uint64_t limit)
{
    static const char *const second[] = {"127.0.0.2"};
    maker_open(&pair->one);
    maker_open(&pair->other);
    maker_serve(&pair->one, "127.0.0.1",
                SIZED(weir_server_options, .hosts = second, .host_count = 1,
                      .connection_limit = limit));
    turn(&pair->one);
    const int fd = weir_server_get_socket(pair->one.server, 1, &pair->address);
    serve_socket(&pair->other, dup(fd), NULL);
}

static unsigned long long accepts_of(const struct maker *m)
{
    return dump_number(m->loop, "server ", " accepts=");
}

static int fill_by_accept(struct maker *m)
{
    return peer_connect(m);
}

static int fill_by_adoption(struct maker *m)
{
    int fds[2];

    peer_tcp_pair(fds);
    expect_ok(weir_server_add_fd(m->server, fds[0]));
    return fds[1];
}

static int take_it(void *arg, weir_transport *t,
                   struct weir_protocol_binding *ret)
{
    struct maker *m = arg;

    expect_ok(weir_server_add_transport(m->server, t));
    return m->factory.create(m->factory.arg, t, ret);
}

static int fill_by_taking(struct maker *m)
{
    const struct weir_factory factory = {take_it, m};
    int fds[2];

    peer_tcp_pair(fds);
    expect_ok(weir_create_connection_at(
        m->loop, &factory, weir_endpoint_fd(fds[0]), NULL, NULL, NULL, NULL));
    return fds[1];
}

UNIT(server_share, a_full_server_takes_no_client_on_any_of_its_sockets)
{
    int (*const fills[])(struct maker * m) = {fill_by_accept, fill_by_adoption,
                                              fill_by_taking};
    enum { WAYS = 3 };
    for (int i = 0; i < WAYS * WAYS; i++) {
        struct pair pair;
        share_second(&pair, 2);
        expect_eq(accepts_of(&pair.one), 2, "one on each socket");
        const int last[] = {fills[i % WAYS](&pair.one),
                            fills[i / WAYS](&pair.one)};
        maker_run_until_made(&pair.one, 2);
        maker_run_for(&pair.one, MS);
        expect_eq(accepts_of(&pair.one), 0, "row %d", i);

        connect_client(&pair);
        maker_run_for(&pair.one, 5 * MS);
        maker_run_until_made(&pair.other, 1);
        expect_eq(dump_number(pair.one.loop, "server ", " parked="), 0);

        close(last[0]);
        RUN_UNTIL(pair.one.loop, pair.one.lost == 1);
        maker_run_for(&pair.one, MS);
        expect_eq(accepts_of(&pair.one), 2, "there is room again");
        close(last[1]);
        close_pair(&pair);
    }
}

struct call {
    int fd;
    int result;
    bool has_ended;
};

static int accept_once(weir_loop *loop, void *arg)
{
    struct call *call = arg;

    call->result = weir_sock_accept(loop, call->fd, NULL);
    call->has_ended = true;
    return 0;
}

static weir_task *accept_by_task(struct pair *pair, struct call *call, int fd)
{
    weir_task *task;

    *call = (struct call){.fd = fd};
    expect_ok(weir_task_spawn(pair->one.loop, accept_once, call, NULL, &task));
    for (int i = 0; i < 3; i++) {
        turn(&pair->one);
    }
    return task;
}

UNIT(server_share, a_client_of_the_turn_of_a_tasks_end_is_served_by_the_other)
{
    for (int i = 0; i < 3; i++) {
        struct pair pair;
        struct call call;
        const int fd = open_loops(&pair, hosts[i]);
        weir_task *task = accept_by_task(&pair, &call, fd);
        serve_socket(&pair.other, dup(fd), NULL);
        connect_client(&pair);
        cr_assert(weir_task_cancel(task));
        RUN_UNTIL(pair.one.loop, call.has_ended);
        expect_eq(call.result, -ECANCELED);
        expect_served_by_other(&pair);
        weir_task_unref(task);
        close(fd);
        close_pair(&pair);
    }
}

enum { SPARE = 16 };

struct shortage {
    rlim_t limit;
    struct rlimit before;
    int fds[SPARE];
    int count;
};

static void set_limit(rlim_t limit)
{
    struct rlimit now;

    expect_ok(getrlimit(RLIMIT_NOFILE, &now));
    now.rlim_cur = limit;
    expect_ok(setrlimit(RLIMIT_NOFILE, &now));
}

/* An accept keeps the limit from when it was armed. */
static void shortage_begin(struct shortage *shortage)
{
    const int fd = dup(0);

    expect_geq(fd, 0);
    close(fd);
    shortage->count = 0;
    shortage->limit = (rlim_t)fd + SPARE;
    expect_ok(getrlimit(RLIMIT_NOFILE, &shortage->before));
    set_limit(shortage->limit);
}

static void shortage_take(struct shortage *shortage)
{
    int fd;

    set_limit(shortage->limit);
    while ((fd = dup(0)) >= 0) {
        cr_assert_lt(shortage->count, SPARE);
        shortage->fds[shortage->count++] = fd;
    }
    expect_eq(errno, EMFILE);
}

static void shortage_pause(const struct shortage *shortage)
{
    set_limit(shortage->before.rlim_cur);
}

static void shortage_end(struct shortage *shortage)
{
    shortage_pause(shortage);
    while (shortage->count > 0) {
        close(shortage->fds[--shortage->count]);
    }
}

UNIT(server_share, a_client_without_a_descriptor_is_served_by_the_other)
{
    for (int i = 0; i < 3; i++) {
        struct pair pair;
        struct shortage shortage;
        const int fd = open_loops(&pair, hosts[i]);
        const int duplicate = dup(fd);
        shortage_begin(&shortage);
        serve_socket(&pair.one, fd, NULL);
        shortage_pause(&shortage);
        serve_socket(&pair.other, duplicate, NULL);
        connect_client(&pair);
        shortage_take(&shortage);
        RUN_UNTIL(pair.one.loop, pair.one.reports > 0);
        expect_eq(pair.one.report_err, -EMFILE);
        shortage_end(&shortage);
        expect_served_by_other(&pair);
        close_pair(&pair);
    }
}

UNIT(server_share, a_client_that_a_task_cannot_have_is_served_by_the_other)
{
    for (int i = 0; i < 3; i++) {
        struct pair pair;
        struct call call;
        struct shortage shortage;
        const int fd = open_loops(&pair, hosts[i]);
        shortage_begin(&shortage);
        weir_task *task = accept_by_task(&pair, &call, fd);
        shortage_pause(&shortage);
        serve_socket(&pair.other, dup(fd), NULL);
        connect_client(&pair);
        shortage_take(&shortage);
        RUN_UNTIL(pair.one.loop, call.has_ended);
        expect_eq(call.result, -EMFILE);
        shortage_end(&shortage);
        expect_served_by_other(&pair);
        weir_task_unref(task);
        close(fd);
        close_pair(&pair);
    }
}

/*
 * Connecting by name on real sockets.
 *
 * A name server on the loopback address responds as the name says
 * (dns_server.h); the listeners are on 127.0.0.1 and ::1.
 */
#include "tests/contract/names_rig.h"

#include <arpa/inet.h>
#include <weir/stream.h>
#include <weir/task.h>

/* Returns -1 if another process has the port. */
static int bind_port(int family, uint16_t port, uint16_t *ret_port)
{
    struct weir_address address = {.len = 0};
    expect_ok(weir_address_parse(family == AF_INET6 ? "::1" : "127.0.0.1", port,
                                 &address));
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_geq(fd, 0);
    if (bind(fd, &address.storage.any, address.len) < 0) {
        expect_eq(errno, EADDRINUSE);
        close(fd);
        return -1;
    }
    expect_eq(getsockname(fd, &address.storage.any, &address.len), 0);
    *ret_port = ntohs(family == AF_INET6 ? address.storage.inet6.sin6_port
                                         : address.storage.inet.sin_port);
    return fd;
}

/* Returns a port of both families that no other process has; a family without a
 * listener refuses. */
static uint16_t bind_both(int *ret_inet, int *ret_inet6)
{
    uint16_t port = 0;
    for (;;) {
        *ret_inet = bind_port(AF_INET, 0, &port);
        *ret_inet6 = bind_port(AF_INET6, port, &port);
        if (*ret_inet6 >= 0) {
            return port;
        }
        close(*ret_inet);
    }
}

static uint16_t listen_on_inet(int *ret_fd)
{
    uint16_t port = 0;
    *ret_fd = bind_port(AF_INET, 0, &port);
    expect_eq(listen(*ret_fd, 128), 0);
    return port;
}

struct call {
    struct names *n;
    const char *host;
    uint16_t port;
    struct weir_open_options options;
    int family;
    int err;
};

static int open_connection(weir_loop *loop, void *arg)
{
    struct call *call = arg;
    weir_reader *reader = NULL;
    weir_writer *writer = NULL;
    struct weir_address peer = {.len = 0};
    call->family = 0;
    call->err = weir_open_connection(loop, call->host, call->port,
                                     &call->options, &reader, &writer);
    if (call->err == 0) {
        weir_transport *t = weir_writer_get_transport(writer);
        weir_transport_get_peername(t, &peer);
        call->family = peer.storage.any.sa_family;
        weir_writer_unref(writer);
    }
    return 0;
}

static void run_call(struct call *call)
{
    expect_ok(weir_loop_run_task(call->n->loop, open_connection, call, NULL));
}

static struct call call_of(struct names *n, const char *host, uint16_t port)
{
    return (struct call){.n = n,
                         .host = host,
                         .port = port,
                         .options.size = sizeof(struct weir_open_options)};
}

NAMES(connect_names, IPv6_is_used_where_both_listen, n)
{
    int inet;
    int inet6;
    const uint16_t port = bind_both(&inet, &inet6);
    expect_eq(listen(inet, 128), 0);
    expect_eq(listen(inet6, 128), 0);
    struct call call = call_of(n, "self.example", port);
    run_call(&call);
    expect_eq(call.err, 0, "%s", weir_strerror(call.err));
    expect_eq(call.family, AF_INET6);
    call.host = "localhost";
    run_call(&call);
    expect_eq(call.family, AF_INET6);
    call.options.connect.family = AF_INET;
    run_call(&call);
    expect_eq(call.family, AF_INET);
    close(inet);
    close(inet6);
}

NAMES(connect_names, the_other_family_is_used_where_one_alone_listens, n)
{
    static const char *const hosts[] = {"self.example", "localhost",
                                        "LOCALHOST.", "a.localhost"};
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        for (size_t j = 0; j < 2; j++) {
            int fds[2];
            struct call call =
                call_of(n, hosts[i], bind_both(&fds[0], &fds[1]));
            expect_eq(listen(fds[j], 128), 0);
            run_call(&call);
            expect_eq(call.err, 0, "%s", weir_strerror(call.err));
            expect_eq(call.family, families[j]);
            close_ends(fds);
        }
    }
}

NAMES(connect_names, a_lookup_that_is_silent_for_IPv6_costs_50_ms, n)
{
    int listener;
    struct call call =
        call_of(n, "self-silent6.example", listen_on_inet(&listener));
    const uint64_t start_ns = until_clock_ns();
    run_call(&call);
    expect_eq(call.err, 0, "%s", weir_strerror(call.err));
    expect_eq(call.family, AF_INET);
    expect_geq(until_clock_ns() - start_ns, 50 * MS);
    expect_lt(until_clock_ns() - start_ns, NAMES_TRY_MS * MS,
              "or it was waited for");
    close(listener);
}

NAMES(connect_names, the_errors_of_names_are_those_of_connecting, n)
{
    char text[256];
    struct call call = call_of(n, "nx.example", 80);
    run_call(&call);
    expect_eq(call.err, WEIR_EDNSNOTFOUND);
    call.host = "a b";
    run_call(&call);
    expect_eq(call.err, WEIR_EDNSBADNAME);
    call.host = "self.example";
    call.port = 1;
    call.options.connect.error_text = text;
    call.options.connect.error_text_size = sizeof(text);
    run_call(&call);
    expect_eq(call.err, -ECONNREFUSED);
    expect_eq(strncmp(text, "[::1]:1: Connection refused (from [::1]:", 40), 0,
              "%s", text);
    cr_expect_not_null(
        strstr(text, "); 127.0.0.1:1: Connection refused (from 127.0.0.1:"),
        "%s", text);
}

NAMES(connect_names, an_own_address_chooses_the_family, n)
{
    int listener;
    struct call call = call_of(n, "self.example", listen_on_inet(&listener));
    struct weir_address local;
    expect_eq(weir_address_parse("127.0.0.2", 0, &local), 0);
    call.options.connect.local_address = &local;
    run_call(&call);
    expect_eq(call.err, 0, "%s", weir_strerror(call.err));
    expect_str_eq(dns_server_read_log(&n->server), "A self.example. ");
    close(listener);
}

static int open_in_group(weir_loop *loop, void *arg)
{
    struct call *call = arg;
    weir_reader *reader;
    weir_writer *writer;
    int err = weir_open_connection(loop, call->host, call->port, &call->options,
                                   &reader, &writer);
    expect_lt(err, 0);
    return 0;
}

static int open_hundred(weir_loop *loop, void *arg)
{
    struct weir_task_group group;
    static char hosts[100][64];
    static struct call calls[100];
    expect_eq(weir_task_group_begin(loop, &group), 0);
    for (int i = 0; i < 100; i++) {
        calls[i] = *(struct call *)arg;
        snprintf(hosts[i], sizeof(hosts[i]), "%s.h%d.example",
                 i % 3 == 0   ? "silent"
                 : i % 3 == 1 ? "nx"
                              : "self",
                 i);
        calls[i].host = hosts[i];
        expect_ok(weir_task_group_spawn(&group, open_in_group, &calls[i], NULL,
                                        NULL));
    }
    return weir_task_group_end(&group, 0);
}

NAMES(connect_names, a_hundred_that_fail_at_once_leave_nothing, n)
{
    struct call call = call_of(n, NULL, 1);
    names_expect_silence(n);
    run_call(&(struct call){
        .n = n, .host = "nx.example", .options.size = sizeof(call.options)});
    names_run_for(n, 2 * MS);
    const int fds = names_count_fds();
    for (int round = 0; round < 3; round++) {
        expect_eq(weir_loop_run_task(n->loop, open_hundred, &call, NULL), 0);
        names_run_for(n, 5 * MS);
        expect_eq(names_count_fds(), fds, "sockets");
        expect_eq(names_count_timers(n), 0, "timers");
    }
    expect_eq(weir_loop_trim(n->loop), 0);
}

static int cancel_after_turns(weir_loop *loop, void *arg)
{
    struct call *call = arg;
    for (int turns = 0; turns < 12; turns++) {
        weir_task *task = NULL;
        call->err = 1;
        expect_eq(weir_task_spawn(loop, open_connection, call, NULL, &task), 0);
        for (int i = 0; i < turns; i++) {
            expect_eq(weir_yield(loop), 0);
            if (i % 3 == 0) {
                dns_server_wait(&call->n->server);
            }
        }
        weir_task_cancel(task);
        expect_eq(weir_task_join(task, NULL), 0);
        cr_assert(call->err == -ECANCELED || call->err == 0, "%s",
                  weir_strerror(call->err));
    }
    return 0;
}

NAMES(connect_names, a_task_is_cancelled_at_every_moment_and_leaves_nothing, n)
{
    static const char *const hosts[] = {"self.example", "silent.example",
                                        "self-late6.example", "localhost"};
    int listener;
    const uint16_t port = listen_on_inet(&listener);
    run_call(&(struct call){.n = n,
                            .host = "nx.example",
                            .options.size = sizeof(struct weir_open_options)});
    names_run_for(n, 2 * MS);
    const int fds = names_count_fds();
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct call call = call_of(n, hosts[i], port);
        expect_ok(weir_loop_run_task(n->loop, cancel_after_turns, &call, NULL));
        names_run_for(n, 5 * MS);
        expect_eq(names_count_fds(), fds);
        expect_eq(names_count_timers(n), 0);
    }
    close(listener);
}

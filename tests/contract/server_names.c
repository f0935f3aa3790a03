/*
 * Servers that listen on host names: all addresses of all names or none, and
 * the ends of a start that waits for a name.
 *
 * The name server responds as the name says; see dns_server.h.
 */
#include "tests/contract/names_rig.h"

#include <weir/stream.h>
#include <weir/task.h>

struct start {
    weir_server *server;
    int done;
    int err;
    char text[64];
};

static int refuse(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    return -EACCES;
}

static const struct weir_factory factory = {.create = refuse};

static void started(void *arg, int err, weir_server *server)
{
    struct start *start = arg;
    expect_eq(server, start->server);
    start->done++;
    start->err = err;
}

static void create(struct names *n, struct start *start, const char *host,
                   const char *const *hosts, size_t count)
{
    *start = (struct start){.server = NULL};
    expect_ok(
        weir_create_server(n->loop, &factory, host, 0,
                           SIZED(weir_server_options, .hosts = hosts,
                                 .host_count = count, .error_text = start->text,
                                 .error_text_size = sizeof(start->text)),
                           started, start, &start->server));
}

static void run(struct names *n, struct start *start)
{
    RUN_UNTIL(n->loop, start->done > 0);
    expect_eq(start->done, 1);
}

static const char *addresses_of(const struct start *start)
{
    static char all[512];
    char text[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_address address;
    uint16_t port = 0;
    all[0] = '\0';
    for (size_t i = 0; i < weir_server_get_socket_count(start->server); i++) {
        expect_geq(weir_server_get_socket(start->server, i, &address), 0);
        char *colon =
            strrchr(weir_address_format(&address, text, sizeof(text)), ':');
        const uint16_t own = (uint16_t)atoi(colon + 1);
        expect_eq(own, port == 0 ? own : port, "one port for all");
        port = own;
        *colon = '\0';
        strcat(strcat(all, text), " ");
    }
    return all;
}

NAMES(server_names, a_server_listens_on_all_addresses_of_a_name, n)
{
    struct start start;
    create(n, &start, "self.example", NULL, 0);
    expect_eq(start.done, 0, "never from inside the call");
    run(n, &start);
    expect_eq(start.err, 0, "%s", weir_strerror(start.err));
    expect_str_eq(addresses_of(&start), "[::1] 127.0.0.1 ");
    weir_server_free(start.server);
}

NAMES(server_names, the_family_that_is_asked_for_chooses_among_them, n)
{
    static const struct {
        int family;
        const char *addresses;
    } rows[] = {{AF_INET, "127.0.0.1 "}, {AF_INET6, "[::1] "}};

    for (int i = 0; i < 2; i++) {
        struct start start = {.server = NULL};
        expect_ok(weir_create_server(
            n->loop, &factory, "self.example", 0,
            SIZED(weir_server_options, .family = rows[i].family), started,
            &start, &start.server));
        run(n, &start);
        expect_eq(start.err, 0, "%s", weir_strerror(start.err));
        expect_str_eq(addresses_of(&start), rows[i].addresses);
        weir_server_free(start.server);
    }
}

NAMES(server_names, names_and_addresses_may_stand_side_by_side_and_count_once,
      n)
{
    static const char *const hosts[] = {"self.example", "127.0.0.2",
                                        "localhost"};
    struct start start;
    create(n, &start, "127.0.0.1", hosts, 3);
    run(n, &start);
    expect_eq(start.err, 0, "%s", weir_strerror(start.err));
    expect_str_eq(addresses_of(&start), "127.0.0.1 127.0.0.2 [::1] ");
    weir_server_free(start.server);
}

NAMES(server_names, one_name_without_an_address_fails_the_start, n)
{
    static const char *const hosts[] = {"self.example", "nx.example"};
    struct start start;
    create(n, &start, "127.0.0.1", hosts, 2);
    run(n, &start);
    expect_eq(start.err, WEIR_EDNSNOTFOUND);
    expect_str_eq(start.text, "nx.example: No such host name");
    expect_eq(weir_server_get_socket_count(start.server), 0);
    weir_server_free(start.server);
}

NAMES(server_names, an_address_that_is_not_here_is_an_error_of_the_start, n)
{
    struct start start;
    create(n, &start, "a4.example", NULL, 0);
    run(n, &start);
    expect_eq(start.err, -EADDRNOTAVAIL);
    weir_server_free(start.server);
}

NAMES(server_names, what_is_no_name_is_refused_by_the_call, n)
{
    weir_server *server = NULL;
    expect_eq(weir_create_server(n->loop, &factory, "127.1", 0, NULL, NULL,
                                 NULL, &server),
              WEIR_EDNSBADNAME);
    expect_eq(server, NULL);
}

NAMES(server_names, a_server_is_closed_while_its_names_are_looked_up, n)
{
    static const char *const hosts[] = {"silent.example", "self.example"};
    names_lookup(n, "nx.example", NULL);
    names_run_for(n, 2 * MS);
    const int fds = names_count_fds();
    for (int turns = 0; turns < 6; turns++) {
        struct start start;
        create(n, &start, "silent.h.example", hosts, 2);
        for (int i = 0; i < turns; i++) {
            weir_loop_stop(n->loop);
            expect_eq(weir_loop_run(n->loop), 0);
        }
        weir_server_close(start.server);
        run(n, &start);
        expect_eq(start.err, -ECANCELED);
        weir_server_free(start.server);
        names_run_for(n, 2 * MS);
        expect_eq(names_count_fds(), fds);
        expect_eq(names_count_timers(n), 0);
    }
}

NAMES(server_names, a_loop_is_freed_while_names_are_looked_up, n)
{
    struct start start;
    create(n, &start, "silent.example", NULL, 0);
    names_run_for(n, 2 * MS);
    expect_eq(weir_loop_free(n->loop), 0);
    expect_eq(start.done, 1);
    expect_eq(start.err, -ECANCELED);
    weir_server_free(start.server);
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
}

struct task_start {
    struct names *n;
    const char *host;
    int err; /* 1 if the task did not run */
};

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    return 0;
}

static int start_in_task(weir_loop *loop, void *arg)
{
    struct task_start *start = arg;
    weir_server *server = NULL;
    start->err = weir_start_server(loop, serve, start->host, 0, NULL, &server);
    expect_eq(start->err == 0, server != NULL);
    weir_server_free(server);
    return 0;
}

static int cancel_after_turns(weir_loop *loop, void *arg)
{
    struct task_start *start = arg;
    for (int turns = 0; turns < 12; turns++) {
        weir_task *task = NULL;
        start->err = 1;
        expect_eq(weir_task_spawn(loop, start_in_task, start, NULL, &task), 0);
        for (int i = 0; i < turns; i++) {
            expect_eq(weir_yield(loop), 0);
            if (i % 3 == 0) {
                dns_server_wait(&start->n->server);
            }
        }
        weir_task_cancel(task);
        expect_eq(weir_task_join(task, NULL), 0);
        cr_assert(start->err == -ECANCELED || start->err == 0, "%s",
                  weir_strerror(start->err));
    }
    return 0;
}

NAMES(server_names, a_task_is_cancelled_at_every_moment_and_leaves_nothing, n)
{
    static const char *const hosts[] = {"self.example", "silent.example",
                                        "self-late6.example", "localhost"};
    names_lookup(n, "nx.example", NULL);
    names_run_for(n, 2 * MS);
    const int fds = names_count_fds();
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        struct task_start start = {.n = n, .host = hosts[i]};
        expect_ok(
            weir_loop_run_task(n->loop, cancel_after_turns, &start, NULL));
        names_run_for(n, 5 * MS);
        expect_eq(names_count_fds(), fds);
        expect_eq(names_count_timers(n), 0);
    }
}

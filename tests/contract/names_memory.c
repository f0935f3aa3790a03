/*
 * Names without memory: each allocation fails once, from the creation of the
 * loop to the end of the operation.
 *
 * Whatever the result is, it is reported once, and neither memory nor
 * descriptors are left. The same holds without descriptors for the system's
 * files. c-ares allocates with malloc(), which does not fail here.
 */
#include "tests/contract/names_rig.h"
#include "tests/walk.h"

#include <arpa/inet.h>
#include <weir/connect.h>
#include <weir/datagram.h>
#include <weir/stream.h>
#include <weir/task.h>

typedef int attempt_fn(struct names *n, const char *host);

static struct test_allocator memory;
static int end_count;
static int end_err;
static uint16_t peer_port;

static bool has_ended(void *unused)
{
    return end_count > 0;
}

static int wait_for_end(struct names *n, int err)
{
    if (err == 0) {
        err = weir_loop_run_until(n->loop, has_ended, NULL);
    }
    return err < 0 ? err : end_err;
}

static int use_servers(struct names *n)
{
    const struct weir_dns_options options = names_dns_options(n);
    return weir_loop_set_dns_options(n->loop, &options);
}

struct walk {
    struct names *n;
    attempt_fn *attempt;
    const char *host;
    int fds;
    int refused;
};

static void try_once(void *arg)
{
    struct walk *walk = arg;
    struct names *n = walk->n;
    const struct weir_loop_options options = allocator_options(&memory);
    walk_begin(&memory);
    end_count = 0;
    end_err = 0;
    int err = weir_loop_new(&options, &n->loop);
    if (err == 0) {
        err = use_servers(n);
        if (err == 0) {
            err = walk->attempt(n, walk->host);
            expect_leq(end_count, 1, "told once");
        }
        expect_leq(weir_loop_free(n->loop), 2);
    }
    names_wait_fds(walk->fds);
    cr_assert(err == 0 || (walk_end(&memory) &&
                           (err == -ENOMEM || err == -ECONNREFUSED)),
              "allocation %d: %s", (int)walk_round, weir_err_name(err));
    walk->refused += err == -ENOMEM;
}

static void try_each(struct names *n, attempt_fn *attempt, const char *host)
{
    weir_loop *own = n->loop;
    struct walk walk = {n, attempt, host, names_count_fds(), 0};
    walk_allocations(&memory, try_once, &walk);
    expect_geq(walk.refused, 5);
    n->loop = own;
}

static void note_addresses(void *unused, int err,
                           const struct weir_address *addresses, size_t count)
{
    expect_eq(err == 0, count > 0);
    expect_eq(err == 0, addresses != NULL);
    end_count++;
    end_err = err;
}

static int try_lookup(struct names *n, const char *host)
{
    return wait_for_end(n, weir_resolve_start(n->loop, host, 80, NULL,
                                              note_addresses, NULL, NULL));
}

NAMES(names_memory, a_lookup_says_so_and_leaves_nothing, n)
{
    try_each(n, try_lookup, "a4-a6.example");
    try_each(n, try_lookup, "n200.example");
    try_each(n, try_lookup, "localhost");
}

NAMES(names_memory, a_name_of_the_hosts_file_says_so_and_leaves_nothing, n)
{
    names_use_hosts(n,
                    "192.0.2.1 a\n192.0.2.2 a b c d e f g h i j k l m n o p\n"
                    "192.0.2.3 a\n192.0.2.4 a\n192.0.2.5 odd!name a\n");
    try_each(n, try_lookup, "a");
    try_each(n, try_lookup, "odd!name");
}

static int shared_left;

static void note_shared(void *loop, int err,
                        const struct weir_address *addresses, size_t count)
{
    end_err = err < 0 ? err : end_err;
    shared_left--;
}

static bool all_have_ended(void *unused)
{
    return shared_left == 0;
}

/* Three lookups that share a query, and one that is answered from the cache. */
static int try_shared(struct names *n, const char *host)
{
    int err = 0;
    end_err = 0;
    for (int i = 0; i < 4 && err == 0; i++) {
        err = weir_resolve_start(n->loop, host, 80, NULL, note_shared, NULL,
                                 NULL);
        shared_left += err == 0;
        if (i >= 2) {
            expect_eq(weir_loop_run_until(n->loop, all_have_ended, NULL), 0);
        }
    }
    expect_leq(weir_loop_run_until(n->loop, all_have_ended, NULL), 0);
    return err < 0 ? err : end_err;
}

NAMES(names_memory, lookups_that_share_say_so_and_leave_nothing, n)
{
    try_each(n, try_shared, "a4-a6.example");
}

struct task_question {
    const char *host;
    int err;
};

static int ask_in_task(weir_loop *loop, void *arg)
{
    struct task_question *question = arg;
    struct weir_address address;
    const int count =
        weir_getaddrinfo(loop, question->host, 80, NULL, &address, 1);
    question->err = count < 0 ? count : 0;
    return 0;
}

static int try_task(struct names *n, const char *host)
{
    struct task_question question = {host, -ENOMEM};
    const int err = weir_loop_run_task(n->loop, ask_in_task, &question, NULL);
    return err < 0 ? err : question.err;
}

NAMES(names_memory, a_task_that_asks_is_told_and_leaves_nothing, n)
{
    try_each(n, try_task, "a4-a6.example");
    try_each(n, try_task, "localhost");
}

static CALLBACKS(protocol, STREAM);

static void note_connection(void *unused, int err, weir_transport *t)
{
    expect_eq(err == 0, t != NULL);
    end_count++;
    end_err = err;
    if (t) {
        weir_transport_abort(t);
    }
}

static int try_connect(struct names *n, const char *host)
{
    const struct weir_factory factory = bind_to(&protocol, NULL);
    return wait_for_end(n, weir_create_connection(n->loop, &factory, host,
                                                  peer_port, NULL,
                                                  note_connection, NULL, NULL));
}

static int listen_on_loopback(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    expect_eq(bind(fd, (struct sockaddr *)&address, len), 0);
    expect_eq(listen(fd, 1000), 0);
    expect_eq(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    peer_port = ntohs(address.sin_port);
    return fd;
}

NAMES(names_memory, a_connection_by_name_says_so_and_leaves_nothing, n)
{
    const int listener = listen_on_loopback();
    try_each(n, try_connect, "self.example");
    try_each(n, try_connect, "localhost");
    close(listener);
}

static int try_endpoint(struct names *n, const char *host)
{
    static CALLBACKS(endpoint, DATAGRAM);
    const struct weir_factory datagrams = bind_to(&endpoint, NULL);
    return wait_for_end(
        n, weir_create_datagram_endpoint(
               n->loop, &datagrams,
               SIZED(weir_datagram_options, .local_host = "localhost",
                     .remote_host = host, .remote_port = 9),
               note_connection, NULL, NULL));
}

NAMES(names_memory, an_endpoint_of_names_says_so_and_leaves_nothing, n)
{
    try_each(n, try_endpoint, "self.example");
    try_each(n, try_endpoint, "localhost");
}

static void note_server(void *unused, int err, weir_server *server)
{
    expect_eq(err == 0, weir_server_get_socket_count(server) > 0);
    end_count++;
    end_err = err;
}

static int try_server(struct names *n, const char *host)
{
    const struct weir_factory factory = bind_to(&protocol, NULL);
    static const char *const more[] = {"localhost", "127.0.0.2"};
    weir_server *server = NULL;
    const int err = wait_for_end(
        n, weir_create_server(
               n->loop, &factory, host, 0,
               SIZED(weir_server_options, .hosts = more, .host_count = 2),
               note_server, NULL, &server));
    weir_server_free(server);
    return err;
}

NAMES(names_memory, a_server_of_names_says_so_and_leaves_nothing, n)
{
    try_each(n, try_server, "self.example");
}

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    return 0;
}

static int start_in_task(weir_loop *loop, void *arg)
{
    struct task_question *question = arg;
    weir_server *server = NULL;
    question->err =
        weir_start_server(loop, serve, question->host, 0, NULL, &server);
    expect_eq(question->err == 0, server != NULL);
    weir_server_free(server);
    return 0;
}

static int try_start(struct names *n, const char *host)
{
    struct task_question question = {host, -ENOMEM};
    const int err = weir_loop_run_task(n->loop, start_in_task, &question, NULL);
    return err < 0 ? err : question.err;
}

static int open_in_task(weir_loop *loop, void *arg)
{
    struct task_question *question = arg;
    weir_reader *reader = NULL;
    weir_writer *writer = NULL;
    question->err = weir_open_connection(loop, question->host, peer_port, NULL,
                                         &reader, &writer);
    expect_eq(question->err == 0, writer != NULL);
    weir_writer_unref(writer);
    return 0;
}

static int try_open(struct names *n, const char *host)
{
    struct task_question question = {host, -ENOMEM};
    const int err = weir_loop_run_task(n->loop, open_in_task, &question, NULL);
    return err < 0 ? err : question.err;
}

NAMES(names_memory, streams_by_name_say_so_and_leave_nothing, n)
{
    const int listener = listen_on_loopback();
    try_each(n, try_open, "self.example");
    try_each(n, try_start, "self.example");
    close(listener);
}

NAMES(names_memory, settings_that_no_descriptor_is_left_for_change_nothing, n)
{
    names_take_fds(n);
    const int err = weir_loop_set_dns_options(
        n->loop, SIZED(weir_dns_options, .servers = "192.0.2.1"));
    names_give_fds(n);
    expect_eq(err, -EMFILE, "%s", weir_err_name(err));
    names_expect(n, "a4.example", NULL, "192.0.2.1:80 ");
}

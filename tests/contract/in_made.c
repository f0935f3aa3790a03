/*
 * Calls inside connection_made, on the server's and on the client's side, on
 * TCP and Unix sockets, in plain text and under TLS.
 *
 * Both ends are on one loop. One of them acts in its connection_made; if it
 * calls start_tls, the other end does so in its own.
 */
#include "tests/contract/maker.h"
#include "tests/contract/starting_rig.h"

#include <weir/connect.h>
#include <weir/start_tls.h>

struct end {
    bool is_server;
    weir_transport *t; /* the current one; NULL if not made or lost */
    int made;
    int lost;
    int lost_err;
    int shaken;
    int shaken_err;
    uint64_t received;
};

enum outcome {
    BOTH_TALK,
    BOTH_ARE_LOST,
};

struct act {
    const char *name;
    void (*call)(struct end *end);
    enum outcome outcome;
    bool starts;
    bool is_for_servers;
};

struct kind {
    const char *name;
    bool over_unix;
    bool has_tls;
};

static struct maker *maker;
static struct end client;
static struct end server;
static const struct act *act;
static bool the_server_acts;
static struct weir_tls_settings server_tls;
static struct weir_tls_settings client_tls;
static weir_pending *connecting;
static int connect_done;
static int connect_err;

static void end_shaken(void *arg, int err, weir_transport *t)
{
    struct end *end = (struct end *)arg;
    end->shaken++;
    end->shaken_err = err;
}

static void start_tls(struct end *end)
{
    weir_transport *t = NULL;
    expect_ok(weir_transport_start_tls(
        end->t, end->is_server ? &server_tls : &client_tls, NULL, end_shaken,
        end, &t));
    weir_transport_ref(t);
    weir_transport_unref(end->t);
    end->t = t;
}

static void start_tls_and_close(struct end *end)
{
    start_tls(end);
    weir_transport_close(end->t);
}

static void start_tls_and_abort(struct end *end)
{
    start_tls(end);
    weir_transport_abort(end->t);
}

static void start_tls_and_stop(struct end *end)
{
    start_tls(end);
    expect_eq(weir_server_stop(maker->server, 0, NULL, NULL), 0);
}

static void start_tls_and_set_tls(struct end *end)
{
    start_tls(end);
    expect(weir_server_set_tls(maker->server, &server_tls) <= 0);
}

static void close_it(struct end *end)
{
    weir_transport_close(end->t);
}

static void abort_it(struct end *end)
{
    weir_transport_abort(end->t);
}

static void pause_and_resume(struct end *end)
{
    weir_transport_pause_reading(end->t);
    weir_transport_resume_reading(end->t);
}

static void write_much(struct end *end)
{
    static char bytes[100000];
    expect_eq(weir_transport_write(end->t, bytes, sizeof(bytes)), 0);
}

static void stop_server(struct end *end)
{
    expect_eq(weir_server_stop(maker->server, 0, NULL, NULL), 0);
}

static void close_server(struct end *end)
{
    weir_server_close(maker->server);
}

static void close_clients(struct end *end)
{
    weir_server_close_clients(maker->server);
}

static void abort_clients(struct end *end)
{
    weir_server_abort_clients(maker->server);
}

static void free_server(struct end *end)
{
    weir_server_free(maker->server);
    maker->server = NULL;
}

static void start_tls_and_free(struct end *end)
{
    start_tls(end);
    free_server(end);
}

static const struct act acts[] = {
    {"start_tls", start_tls, BOTH_TALK, true, false},
    {"start_tls and close", start_tls_and_close, BOTH_ARE_LOST, true, false},
    {"start_tls and abort", start_tls_and_abort, BOTH_ARE_LOST, true, false},
    {"start_tls and stop", start_tls_and_stop, BOTH_ARE_LOST, true, true},
    {"start_tls and set_tls", start_tls_and_set_tls, BOTH_TALK, true, true},
    {"start_tls and free", start_tls_and_free, BOTH_TALK, true, true},
    {"close", close_it, BOTH_ARE_LOST, false, false},
    {"abort", abort_it, BOTH_ARE_LOST, false, false},
    {"pause and resume", pause_and_resume, BOTH_TALK, false, false},
    {"write", write_much, BOTH_TALK, false, false},
    {"stop the server", stop_server, BOTH_ARE_LOST, false, true},
    {"close the server", close_server, BOTH_TALK, false, true},
    {"close clients", close_clients, BOTH_ARE_LOST, false, true},
    {"abort clients", abort_clients, BOTH_ARE_LOST, false, true},
    {"free the server", free_server, BOTH_TALK, false, true},
};

static const struct kind kinds[] = {
    {"TCP", false, false},
    {"Unix", true, false},
    {"TCP, TLS", false, true},
    {"Unix, TLS", true, true},
};

static void end_made(void *user, weir_transport *t)
{
    struct end *end = (struct end *)user;

    end->made++;
    end->t = weir_transport_ref(t);
    if (end->is_server == the_server_acts) {
        act->call(end);
    } else if (act->starts) {
        start_tls(end);
    }
}

static int end_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    struct end *end = (struct end *)user;
    expect(t == end->t);
    end->received += buf->len;
    return 0;
}

static void end_lost(void *user, weir_transport *t, int err)
{
    struct end *end = (struct end *)user;
    expect(t == end->t);
    end->lost++;
    end->lost_err = err;
    weir_transport_unref(end->t);
    end->t = NULL;
}

static CALLBACKS(end_protocol, STREAM, .connection_made = end_made,
                 .data_received = end_received, .connection_lost = end_lost);

static void client_done(void *arg, int err, weir_transport *t)
{
    connecting = NULL;
    connect_done++;
    connect_err = err;
}

static void row_connect(const struct kind *kind, const char *path)
{
    const struct weir_factory factory = bind_to(&end_protocol, &client);
    struct weir_connect_options options = {.size = sizeof(options)};
    struct weir_address address;

    options.tls = kind->has_tls ? &client_tls : NULL;
    if (kind->over_unix) {
        expect_ok(weir_create_unix_connection(maker->loop, &factory, path,
                                              &options, client_done, NULL,
                                              &connecting));
        return;
    }
    expect(weir_server_get_socket(maker->server, 0, &address) >= 0);
    expect_ok(weir_create_connection(maker->loop, &factory, "127.0.0.1",
                                     ntohs(address.storage.inet.sin_port),
                                     &options, client_done, NULL, &connecting));
}

/* An end whose handshake was cut off was never made. */
static bool row_is_lost(void)
{
    return connect_done && client.lost == client.made &&
           server.lost == server.made && client.made + server.made > 0;
}

static void row_run(const struct kind *kind, const char *label)
{
    static int count;
    char path[64];

    snprintf(path, sizeof(path), "@weir-in-made-%d-%d", (int)getpid(), count++);
    client = (struct end){.is_server = false};
    server = (struct end){.is_server = true};
    connect_done = 0;
    connect_err = 0;
    const struct weir_factory factory = bind_to(&end_protocol, &server);
    struct weir_server_options options = {
        .size = sizeof(options), .tls = kind->has_tls ? &server_tls : NULL};
    expect_ok(kind->over_unix
                  ? weir_create_unix_server(maker->loop, &factory, path,
                                            &options, maker_server_done, maker,
                                            &maker->server)
                  : weir_create_server(maker->loop, &factory, "127.0.0.1", 0,
                                       &options, maker_server_done, maker,
                                       &maker->server));
    maker_expect_done(maker, 0);
    row_connect(kind, path);
    if (act->outcome == BOTH_TALK) {
        RUN_UNTIL(maker->loop,
                  client.made + server.made == 2 &&
                      (!act->starts || client.shaken + server.shaken == 2) &&
                      connect_done);
        expect_eq(connect_err, 0, "%s", label);
        expect_eq(client.shaken_err, 0, "%s", label);
        expect_eq(server.shaken_err, 0, "%s", label);
        expect_eq(weir_transport_write(client.t, "to", 2), 0);
        expect_eq(weir_transport_write(server.t, "fro", 3), 0);
        RUN_UNTIL(maker->loop, client.received > 0 && server.received > 0);
        if (client.t) {
            weir_transport_abort(client.t);
        }
        if (server.t) {
            weir_transport_abort(server.t);
        }
        RUN_UNTIL(maker->loop, row_is_lost());
        if (maker->server) {
            weir_server_close(maker->server);
        }
    }
    RUN_UNTIL(maker->loop, row_is_lost());
    expect_leq(client.made, 1, "%s", label);
    expect_leq(server.made, 1, "%s", label);
}

static void in_made_run(const struct kind *kind, bool by_server)
{
    char label[128];

    for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++) {
        struct maker m;
        act = &acts[i];
        if (act->is_for_servers && !by_server) {
            continue;
        }
        the_server_acts = by_server;
        maker_open(&m);
        maker = &m;
        snprintf(label, sizeof(label), "%s, %s: %s", kind->name,
                 by_server ? "server" : "client", act->name);
        row_run(kind, label);
        maker_close(&m);
    }
}

static void in_made_run_all(bool by_server)
{
    client_tls = (struct weir_tls_settings){.size = sizeof(client_tls),
                                            .context = tls_context_of(false, 0),
                                            .server_hostname = "localhost"};
    server_tls = (struct weir_tls_settings){.size = sizeof(server_tls),
                                            .context = tls_context_of(true, 0)};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        in_made_run(&kinds[i], by_server);
    }
    weir_tls_context_unref(client_tls.context);
    weir_tls_context_unref(server_tls.context);
}

UNIT(in_made, whatever_a_server_calls_both_ends_go_on_or_end)
{
    in_made_run_all(true);
}

UNIT(in_made, whatever_a_client_calls_both_ends_go_on_or_end)
{
    in_made_run_all(false);
}

/*
 * A server whose connections switch to TLS after they were made: each is
 * counted once, keeps its slot under the limit, and is ended by the server
 * during its handshake like any other.
 */
#include "tests/contract/maker.h"
#include "tests/contract/starting_rig.h"

#include <weir/start_tls.h>

enum { CLIENT_COUNT = 6 };

static struct weir_tls_settings server_tls;
static int done_count;
static int done_err;
static uint64_t wanted;

static void upgrade_done(void *arg, int err, weir_transport *t)
{
    done_count++;
    done_err = err;
}

static void upgrade(struct maker *m)
{
    weir_transport *t;
    expect_ok(
        weir_transport_start_tls(m->t, &server_tls, NULL, upgrade_done, m, &t));
    m->t = t;
}

static void serve(struct maker *m, uint64_t limit)
{
    struct weir_server_options options = {.size = sizeof(options)};
    options.connection_limit = limit;
    server_tls = (struct weir_tls_settings){.size = sizeof(server_tls),
                                            .context = tls_context_of(true, 0)};
    m->in_made = upgrade;
    done_count = 0;
    maker_serve(m, "127.0.0.1", &options);
    expect_eq(
        weir_server_add_closed_callback(m->server, maker_server_closed, m), 0);
}

static void let_in(struct maker *m, int fds[CLIENT_COUNT])
{
    serve(m, 0);
    for (int i = 0; i < CLIENT_COUNT; i++) {
        fds[i] = peer_connect(m);
    }
    maker_run_until_made(m, CLIENT_COUNT);
    maker_run_for(m, 2 * MS);
    expect_eq(weir_server_get_connection_count(m->server), CLIENT_COUNT);
    expect_eq(done_count, 0);
}

static void expect_ended(struct maker *m, const int fds[CLIENT_COUNT])
{
    wanted = 0;
    RUN_UNTIL(m->loop, weir_server_get_connection_count(m->server) == wanted);
    expect_eq(m->lost, CLIENT_COUNT);
    expect_eq(m->lost_err, 0);
    expect_eq(done_count, CLIENT_COUNT);
    expect_eq(done_err, -ECANCELED);
    expect_eq(m->reports, 0);
    for (int i = 0; i < CLIENT_COUNT; i++) {
        close(fds[i]);
    }
    weir_server_close(m->server);
    maker_run(m, maker_is_closed);
    weir_tls_context_unref(server_tls.context);
}

MAKER(start_tls_server, closing_clients_ends_their_handshakes, m)
{
    int fds[CLIENT_COUNT];
    let_in(m, fds);

    weir_server_close_clients(m->server);

    expect_ended(m, fds);
}

MAKER(start_tls_server, aborting_clients_ends_their_handshakes, m)
{
    int fds[CLIENT_COUNT];
    let_in(m, fds);

    weir_server_abort_clients(m->server);

    expect_ended(m, fds);
}

MAKER(start_tls_server, a_stop_ends_their_handshakes, m)
{
    int fds[CLIENT_COUNT];
    let_in(m, fds);

    expect_eq(weir_server_stop(m->server, 30 * MS, NULL, NULL), 0);

    expect_ended(m, fds);
    expect_eq(m->closed, 1);
}

MAKER(start_tls_server, an_upgrade_keeps_its_place_under_the_limit, m)
{
    serve(m, 1);
    int first = peer_connect(m);
    maker_run_until_made(m, 1);
    int second = peer_connect(m);
    maker_run_for(m, 5 * MS);
    expect_eq(m->made, 1);
    expect_eq(weir_server_get_connection_count(m->server), 1);

    close(first);
    maker_run_until_made(m, 2);

    expect_eq(done_count, 1);
    expect_eq(done_err, WEIR_ETLSTRUNCATED);
    expect_eq(weir_server_get_connection_count(m->server), 1);
    close(second);
    wanted = 0;
    RUN_UNTIL(m->loop, weir_server_get_connection_count(m->server) == wanted);
    weir_tls_context_unref(server_tls.context);
}

MAKER(start_tls_server, its_settings_are_the_programs_own, m)
{
    serve(m, 0);
    expect_eq(weir_server_set_tls(m->server, &server_tls), -EINVAL);
    int fd = peer_connect(m);
    maker_run_until_made(m, 1);
    weir_tls_context_unref(server_tls.context);

    close(fd); /* the handshake in progress had its own reference */
    wanted = 0;
    RUN_UNTIL(m->loop, weir_server_get_connection_count(m->server) == wanted);
    expect_eq(done_count, 1);
}

/*
 * The makers of TLS connections.
 *
 * The peer of such a subject is a plain descriptor like any other peer. Between
 * the two is a relay, with its own loop and thread, that has a plain connection
 * to the peer and a TLS connection to the subject. Events of one side are
 * repeated on the other: ends of the stream, resets, and a side that accepts no
 * more bytes.
 */
#include "tests/contract/harness_relay.h"
#include "tests/tls/rig.h"

#include <arpa/inet.h>
#include <weir/connect.h>

#define SMALL_BUFFER 16384

struct relay {
    pthread_t thread;
    weir_loop *loop;
    struct relay_side plain;
    struct relay_side tls;
    weir_tls_context *context;
    int plain_fd;
    int tls_fd;
    int listen_fd; /* the TLS side is accepted here; -1: the TLS side is tls_fd
                    */
    struct sockaddr_in address;
    bool connects;
    bool asks_for_tls; /* with a line in plain text */
    bool has_tls_twice;
    struct rig_upgrade upgrade;
};

static void relay_over(void *arg)
{
    weir_loop_stop(((struct relay *)arg)->loop);
}

static void relay_done(void *arg, int err, weir_transport *t)
{
    struct relay_side *side = arg;
    if (err < 0) {
        side->was_lost = true;
        if (side->other->t && !side->other->was_lost) {
            weir_transport_abort(side->other->t);
        } else {
            side->over(side->arg);
        }
    }
}

static struct weir_factory
relay_factory(struct relay_side *side, const struct weir_tls_settings *settings)
{
    const struct weir_factory factory = {.create = relay_side_create,
                                         .arg = side};
    struct relay *relay = side->arg;
    struct rig_upgrade *upgrade = &relay->upgrade;
    if (!settings || !relay->has_tls_twice) {
        return factory;
    }
    *upgrade = (struct rig_upgrade){
        .factory = factory, .tls = *settings, .failed = relay_done};
    return rig_upgrade_factory(upgrade);
}

static void relay_adopt(struct relay_side *side, int fd,
                        const struct weir_tls_settings *settings)
{
    struct relay *relay = side->arg;
    const struct weir_factory factory = relay_factory(side, settings);
    expect_ok(weir_create_connection_at(
        relay->loop, &factory, weir_endpoint_fd(fd),
        SIZED(weir_connect_options, .tls = settings), relay_done, side, NULL));
}

static void relay_expired(void *arg)
{
    struct relay *relay = arg;
    fprintf(stderr, "the relay's time is over\n");
    weir_loop_dump(relay->loop, stderr);
    weir_loop_stop(relay->loop);
}

static void *relay_run(void *arg)
{
    struct relay *relay = arg;
    const struct weir_tls_settings settings = {.size = sizeof(settings),
                                               .context = relay->context,
                                               .server_hostname = "localhost"};
    struct weir_handle handle;
    expect_eq(weir_loop_new(NULL, &relay->loop), 0);
    if (relay->listen_fd >= 0) {
        relay->tls_fd = accept4(relay->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        close(relay->listen_fd);
    } else if (relay->connects) {
        expect_ok(connect(relay->tls_fd, (struct sockaddr *)&relay->address,
                          sizeof(relay->address)));
    }
    expect(relay->tls_fd >= 0);
    if (relay->asks_for_tls) {
        const size_t len = strlen(RIG_UPGRADE_LINE);
        expect_eq(send(relay->tls_fd, RIG_UPGRADE_LINE, len, MSG_NOSIGNAL),
                  (ssize_t)len);
    }
    relay_adopt(&relay->plain, relay->plain_fd, NULL);
    relay_adopt(&relay->tls, relay->tls_fd, &settings);
    expect_ok(weir_loop_call_later(relay->loop, 2 * RIG_WAIT_NS, relay_expired,
                                   relay, &handle));
    expect_eq(weir_loop_run(relay->loop), 0);
    weir_transport_unref(relay->plain.t);
    weir_transport_unref(relay->tls.t);
    weir_loop_free(relay->loop);
    weir_tls_context_unref(relay->context);
    return NULL;
}

static struct relay *relay_new(struct rig *rig, bool is_server, int version)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    int fds[2];
    expect(relay != NULL);
    rig_open_peer(rig, fds);
    rig->peer = fds[0];
    relay->plain_fd = fds[1];
    relay->tls_fd = -1;
    relay->listen_fd = -1;
    relay->context = tls_context_of(is_server, version);
    relay_sides_init(&relay->plain, &relay->tls, relay_over, relay);
    relay->plain.small_buffers = rig->small_buffers;
    relay->tls.small_buffers = rig->small_buffers;
    relay->tls.is_kernel = true;
    rig->relay = relay;
    return relay;
}

static void relay_start(struct relay *relay)
{
    expect_eq(pthread_create(&relay->thread, NULL, relay_run, relay), 0);
}

void rig_close_tls(struct rig *rig)
{
    if (rig->relay) {
        expect_eq(pthread_join(rig->relay->thread, NULL), 0);
        free(rig->relay);
        rig->relay = NULL;
    }
}

static void open_connected(struct rig *rig, int version, bool twice)
{
    struct weir_factory factory = {.create = rig_create, .arg = rig};
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = tls_context_of(false, version),
        .server_hostname = "localhost"};
    struct relay *relay = relay_new(rig, true, version);
    uint16_t port;
    relay->listen_fd = listen_tcp(&port, rig->small_buffers ? SMALL_BUFFER : 0);
    relay->has_tls_twice = twice;
    relay_start(relay);
    if (twice) {
        rig->upgrade = (struct rig_upgrade){
            .factory = factory, .tls = settings, .failed = rig_opened};
        factory = rig_upgrade_factory(&rig->upgrade);
    }
    expect_ok(
        weir_create_connection(rig->loop, &factory, "127.0.0.1", port,
                               SIZED(weir_connect_options, .tls = &settings,
                                     .connection = rig->connection),
                               rig_opened, rig, NULL));
    weir_tls_context_unref(settings.context);
}

void rig_open_tls_connected(struct rig *rig)
{
    open_connected(rig, 13, false);
}

void rig_open_tls12_connected(struct rig *rig)
{
    open_connected(rig, 12, false);
}

void rig_open_tls_in_tls(struct rig *rig)
{
    open_connected(rig, 13, true);
}

static void open_accepted(struct rig *rig, int version, bool by_start_tls)
{
    struct weir_factory factory = {.create = rig_create, .arg = rig};
    const struct weir_tls_settings settings = {
        .size = sizeof(settings), .context = tls_context_of(true, version)};
    struct relay *relay = relay_new(rig, false, version);
    if (by_start_tls) {
        rig->upgrade = (struct rig_upgrade){.factory = factory,
                                            .tls = settings,
                                            .awaits_line = true,
                                            .failed = rig_opened};
        factory = rig_upgrade_factory(&rig->upgrade);
    }
    struct weir_address address;
    expect_ok(weir_create_server(rig->loop, &factory, "127.0.0.1", 0,
                                 SIZED(weir_server_options,
                                       .tls = by_start_tls ? NULL : &settings,
                                       .connection = rig->connection),
                                 rig_server_done, rig, &rig->server));
    weir_tls_context_unref(settings.context);
    rig_wait_server(rig);
    expect(weir_server_get_socket(rig->server, 0, &address) >= 0);
    relay->address = address.storage.inet;
    relay->connects = true;
    relay->asks_for_tls = by_start_tls;
    relay->tls_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(relay->tls_fd >= 0);
    if (rig->small_buffers) {
        set_socket_option(relay->tls_fd, SOL_SOCKET, SO_RCVBUF, SMALL_BUFFER);
    }
    relay_start(relay);
}

void rig_open_tls_accepted(struct rig *rig)
{
    open_accepted(rig, 13, false);
}

void rig_open_start_tls(struct rig *rig)
{
    open_accepted(rig, 12, true);
}

void rig_open_tls_unix(struct rig *rig)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    const struct weir_tls_settings settings = {
        .size = sizeof(settings), .context = tls_context_of(true, 13)};
    struct relay *relay = relay_new(rig, false, 13);
    int fds[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    relay->tls_fd = fds[0];
    expect_ok(
        weir_create_connection_at(rig->loop, &factory, weir_endpoint_fd(fds[1]),
                                  SIZED(weir_connect_options, .tls = &settings,
                                        .connection = rig->connection),
                                  NULL, NULL, NULL));
    weir_tls_context_unref(settings.context);
    relay_start(relay);
}

/*
 * The makers of TLS connections.
 *
 * The peer of such a subject is a plain descriptor like any other's: between
 * the two a relay, with a loop and a thread of its own, has a plain connection
 * to the one and a TLS connection to the other. What happens on one side it
 * does on the other: ends of the stream, resets, and a side that takes no more
 * bytes.
 */
#include "tests/contract/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/tls.h>
#include <weir/tls_connection.h>

#define SMALL_BUFFER 16384

struct relay_side {
    struct relay *relay;
    weir_transport *t; /* NULL: not made yet, or lost */
    bool was_lost;
    bool has_ended; /* received the end of its stream */
    struct relay_side *other;
};

struct relay {
    pthread_t thread;
    weir_loop *loop;
    struct relay_side plain;
    struct relay_side tls;
    weir_tls_context *context;
    int plain_fd;
    int tls_fd;
    int listen_fd; /* the TLS side is accepted here; -1: it is tls_fd */
    struct sockaddr_in address;
    bool connects;
    bool asks_for_tls; /* by a line in plain text */
    bool has_tls_twice;
    struct rig_upgrade upgrade; /* of the TLS side to TLS in TLS */
    bool small_buffers;
};

const char *rig_tls_file(const char *name)
{
    static char paths[4][512];
    static int turn;
    const char *folder = getenv("WEIR_TLS_CERTIFICATES");
    char *path = paths[turn++ % 4];
    expect(folder != NULL);
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static weir_tls_context *rig_tls_context(bool is_server, int version)
{
    const enum weir_tls_version only =
        version == 12 ? WEIR_TLS_1_2 : WEIR_TLS_1_3;
    struct weir_tls_options options = {.size = sizeof(options),
                                       .server = is_server,
                                       .min_version = only,
                                       .max_version = only};
    weir_tls_context *context = NULL;
    char text[256] = "";
    if (is_server) {
        options.certificate.file = rig_tls_file("ecdsa.pem");
        options.key.file = rig_tls_file("ecdsa.key");
    } else {
        options.authorities.file = rig_tls_file("ca.pem");
    }
    expect_eq(weir_tls_context_new(&options, &context, text, sizeof(text)), 0,
              "%s", text);
    return context;
}

/* ---- the relay ---- */

static void relay_made(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    side->t = weir_transport_ref(t);
    expect_eq(weir_transport_set_write_buffer_limits(t, 4096, 1024), 0);
    if (side->relay->small_buffers) {
        set_socket_option(weir_transport_get_socket(t), SOL_SOCKET, SO_SNDBUF,
                          SMALL_BUFFER);
    }
    if (!side->other->t) {
        weir_transport_pause_reading(t);
    } else {
        weir_transport_resume_reading(side->other->t);
    }
}

static void relay_lost(void *user, weir_transport *t, int err)
{
    struct relay_side *side = user;
    struct relay_side *other = side->other;
    side->was_lost = true;
    if (other->t && !other->was_lost) {
        if (err < 0 || weir_transport_get_end(t) == WEIR_END_ABORTED) {
            weir_transport_abort(other->t);
        } else {
            weir_transport_close(other->t);
        }
    }
    if (other->was_lost || !other->t) {
        weir_loop_stop(side->relay->loop);
    }
}

static int relay_received(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    struct relay_side *side = user;
    (void)t;
    if (!side->other->was_lost) {
        weir_transport_write(side->other->t, buf->data, buf->len);
    }
    return 0;
}

static int relay_ended(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    (void)t;
    side->has_ended = true;
    if (side->other->has_ended) {
        weir_transport_close(side->other->t);
        return 0;
    }
    if (!side->other->was_lost) {
        weir_transport_write_eof(side->other->t);
    }
    return 1;
}

static void relay_pause(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    (void)t;
    if (side->other->t && !side->other->was_lost) {
        weir_transport_pause_reading(side->other->t);
    }
}

static void relay_resume(void *user, weir_transport *t)
{
    struct relay_side *side = user;
    (void)t;
    if (side->other->t && !side->other->was_lost) {
        weir_transport_resume_reading(side->other->t);
    }
}

static const struct weir_protocol relay_protocol = {
    .size = sizeof(relay_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = relay_made,
    .connection_lost = relay_lost,
    .data_received = relay_received,
    .eof_received = relay_ended,
    .pause_writing = relay_pause,
    .resume_writing = relay_resume,
};

static int relay_create(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    (void)t;
    ret->protocol = &relay_protocol;
    ret->user = arg;
    return 0;
}

static void relay_done(void *arg, int err, weir_transport *t)
{
    struct relay_side *side = arg;
    (void)t;
    if (err < 0) {
        side->was_lost = true;
        if (side->other->t && !side->other->was_lost) {
            weir_transport_abort(side->other->t);
        } else {
            weir_loop_stop(side->relay->loop);
        }
    }
}

static struct weir_factory
relay_factory(struct relay_side *side, const struct weir_tls_settings *settings)
{
    const struct weir_factory factory = {.create = relay_create, .arg = side};
    struct rig_upgrade *upgrade = &side->relay->upgrade;
    if (!settings || !side->relay->has_tls_twice) {
        return factory;
    }
    *upgrade = (struct rig_upgrade){
        .factory = factory, .tls = *settings, .failed = relay_done};
    return rig_upgrade_factory(upgrade);
}

static void relay_adopt(struct relay_side *side, int fd,
                        const struct weir_tls_settings *settings)
{
    const struct weir_factory factory = relay_factory(side, settings);
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .done = relay_done,
                                                 .done_arg = side,
                                                 .use_sock = true,
                                                 .sock = fd,
                                                 .tls = settings};
    expect_eq(weir_create_connection(side->relay->loop, &factory, NULL, 0,
                                     &options, NULL),
              0);
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
        expect_eq(connect(relay->tls_fd, (struct sockaddr *)&relay->address,
                          sizeof(relay->address)),
                  0);
    }
    expect(relay->tls_fd >= 0);
    if (relay->asks_for_tls) {
        const size_t len = strlen(RIG_UPGRADE_LINE);
        expect_eq(send(relay->tls_fd, RIG_UPGRADE_LINE, len, MSG_NOSIGNAL),
                  (ssize_t)len);
    }
    relay_adopt(&relay->plain, relay->plain_fd, NULL);
    relay_adopt(&relay->tls, relay->tls_fd, &settings);
    expect_eq(weir_loop_call_later(relay->loop, 2 * RIG_WAIT_NS, relay_expired,
                                   relay, &handle),
              0);
    expect_eq(weir_loop_run(relay->loop), 0);
    weir_transport_unref(relay->plain.t);
    weir_transport_unref(relay->tls.t);
    weir_loop_free(relay->loop);
    weir_tls_context_unref(relay->context);
    return NULL;
}

/* A connected pair of TCP sockets: so the peer can reset. */
static void open_pair(int ret[2], bool small_buffers)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    uint16_t port;
    int fd = listen_tcp(&port, small_buffers ? SMALL_BUFFER : 0);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ret[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(ret[0] >= 0);
    if (small_buffers) {
        set_socket_option(ret[0], SOL_SOCKET, SO_RCVBUF, SMALL_BUFFER);
    }
    expect_eq(connect(ret[0], (struct sockaddr *)&address, sizeof(address)), 0);
    ret[1] = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    expect(ret[1] >= 0);
    close(fd);
}

/* As the connection that the relay stands for: only TCP peers can reset. */
static void open_peer(struct rig *rig, int ret[2])
{
    if (rig_can(rig, RIG_CAN_RESET)) {
        open_pair(ret, rig->small_buffers);
    } else {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
    }
}

static struct relay *relay_new(struct rig *rig, bool is_server, int version)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    int fds[2];
    expect(relay != NULL);
    open_peer(rig, fds);
    rig->peer = fds[0];
    relay->plain_fd = fds[1];
    relay->tls_fd = -1;
    relay->listen_fd = -1;
    relay->small_buffers = rig->small_buffers;
    relay->context = rig_tls_context(is_server, version);
    relay->plain = (struct relay_side){.relay = relay, .other = &relay->tls};
    relay->tls = (struct relay_side){.relay = relay, .other = &relay->plain};
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

/* ---- makers ---- */

static void open_connected(struct rig *rig, int version, bool twice)
{
    struct weir_factory factory = {.create = rig_create, .arg = rig};
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = rig_tls_context(false, version),
        .server_hostname = "localhost"};
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .done = rig_opened,
                                                 .done_arg = rig,
                                                 .tls = &settings,
                                                 .connection = rig->connection};
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
    expect_eq(weir_create_connection(rig->loop, &factory, "127.0.0.1", port,
                                     &options, NULL),
              0);
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

static void server_done(void *arg, int err, weir_server *server)
{
    struct rig *rig = arg;
    expect_eq(err, 0);
    expect(server == rig->server);
    rig->count = 1;
}

static bool has_count(void *arg)
{
    return ((struct rig *)arg)->count > 0;
}

static void open_accepted(struct rig *rig, int version, bool by_start_tls)
{
    struct weir_factory factory = {.create = rig_create, .arg = rig};
    const struct weir_tls_settings settings = {
        .size = sizeof(settings), .context = rig_tls_context(true, version)};
    const struct weir_server_options options = {.size = sizeof(options),
                                                .done = server_done,
                                                .done_arg = rig,
                                                .tls = by_start_tls ? NULL
                                                                    : &settings,
                                                .connection = rig->connection};
    struct relay *relay = relay_new(rig, false, version);
    if (by_start_tls) {
        rig->upgrade = (struct rig_upgrade){.factory = factory,
                                            .tls = settings,
                                            .awaits_line = true,
                                            .failed = rig_opened};
        factory = rig_upgrade_factory(&rig->upgrade);
    }
    struct weir_address address;
    expect_eq(weir_create_server(rig->loop, &factory, "127.0.0.1", 0, &options,
                                 &rig->server),
              0);
    weir_tls_context_unref(settings.context);
    rig_wait(rig, has_count);
    rig->count = 0;
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

/* TLS over a Unix socket that weir adopts. */
void rig_open_tls_unix(struct rig *rig)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    const struct weir_tls_settings settings = {
        .size = sizeof(settings), .context = rig_tls_context(true, 13)};
    struct weir_connect_options options = {.size = sizeof(options),
                                           .use_sock = true,
                                           .tls = &settings,
                                           .connection = rig->connection};
    struct relay *relay = relay_new(rig, false, 13);
    int fds[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    relay->tls_fd = fds[0];
    options.sock = fds[1];
    expect_eq(
        weir_create_connection(rig->loop, &factory, NULL, 0, &options, NULL),
        0);
    weir_tls_context_unref(settings.context);
    relay_start(relay);
}

/*
 * Every public call inside every callback: the kinds of connections.
 *
 * A kind makes its subject, which is adopted, and a peer: a sink that also
 * belongs to weir, or a plain descriptor.
 */
#include "tests/contract/public.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <tests/have.h>
#include <weir/connect.h>
#include <weir/datagram.h>
#include <weir/pair.h>
#include <weir/pipe.h>
#include <weir/stream.h>
#include <weir/subprocess.h>
#if WR_TESTS_TLS
#include "tests/tls/rig.h"
#endif

static weir_loop *kinds_loop(void)
{
    return public.sides[PUBLIC_HERE].loop;
}

static void kinds_tcp(int ret[2])
{
    ret[0] = socket(AF_INET, SOCK_STREAM, 0);
    expect_ok(connect(ret[0], (struct sockaddr *)&public.address.storage,
                      public.address.len));
    ret[1] = accept(public.listener, NULL, NULL);
    expect_geq(ret[1], 0);
}

static void kinds_udp(int ret[2])
{
    struct sockaddr_in names[2];

    for (int i = 0; i < 2; i++) {
        socklen_t len = sizeof(names[i]);
        names[i] = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
        ret[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        expect_eq(bind(ret[i], (struct sockaddr *)&names[i], len), 0);
        expect_eq(getsockname(ret[i], (struct sockaddr *)&names[i], &len), 0);
    }
    for (int i = 0; i < 2; i++) {
        expect_ok(
            connect(ret[i], (struct sockaddr *)&names[!i], sizeof(names[i])));
    }
}

static void kinds_open_fds(int ret[2])
{
    switch (scene.kind) {
    case PUBLIC_KIND_UNIX:
    case PUBLIC_KIND_UNIX_TLS:
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ret), 0);
        break;
    case PUBLIC_KIND_UNIX_DATAGRAM:
        expect_eq(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ret), 0);
        break;
    case PUBLIC_KIND_DATAGRAM:
        kinds_udp(ret);
        break;
    case PUBLIC_KIND_READ_PIPE:
    case PUBLIC_KIND_WRITE_PIPE:
        expect_eq(pipe2(ret, O_NONBLOCK), 0);
        break;
    default:
        kinds_tcp(ret);
    }
}

static void kinds_adopt(int fd, bool is_peer, weir_tls_context *context)
{
    static struct weir_protocol_binding sink;
    const struct weir_factory subject = {public_create, NULL};
    const struct weir_tls_settings tls = {.size = sizeof(tls),
                                          .context = context,
                                          .server_hostname = "localhost",
                                          .can_export = true};
    struct weir_connect_options options = {.size = sizeof(options)};

    sink = public_sink(NULL);
    const struct weir_factory factory =
        is_peer ? (struct weir_factory){bind_answer, &sink} : subject;
    options.connection.size = sizeof(options.connection);
    options.connection.fd_limit = scene.moment == PUBLIC_AT_FDS ? 8 : 0;
    options.tls = context ? &tls : NULL;
    public_begin(PUBLIC_MAKER);
    expect_ok(weir_create_connection_at(
        kinds_loop(), &factory, weir_endpoint_fd(fd), &options, public_opened,
        is_peer ? NULL : &scene, NULL));
}

static bool kinds_has_tls(void)
{
    return scene.kind == PUBLIC_KIND_TLS ||
           scene.kind == PUBLIC_KIND_UNIX_TLS ||
           scene.kind == PUBLIC_KIND_OLD_TLS ||
           scene.kind == PUBLIC_KIND_INNER_TLS;
}

static void kinds_open_sockets(void)
{
    weir_tls_context *client =
        scene.kind == PUBLIC_KIND_OLD_TLS ? public.old_client : public.client;
    const bool is_client = scene.number % 4 != 0;
    int fds[2];

    kinds_open_fds(fds);
    kinds_adopt(fds[0], false,
                !kinds_has_tls() ? NULL
                : is_client      ? client
                                 : public.server);
    kinds_adopt(fds[1], true,
                !kinds_has_tls() ? NULL
                : is_client      ? public.server
                                 : client);
}

static void kinds_open_datagram(void)
{
    const struct weir_factory factory = {public_create, NULL};
    int fds[2];

    kinds_open_fds(fds);
    scene.peer_fd = fds[1];
    public_begin(PUBLIC_MAKER);
    expect_ok(weir_create_datagram_endpoint_at(
        kinds_loop(), &factory, weir_endpoint_fd(fds[0]), weir_endpoint_none(),
        NULL, public_opened, &scene, NULL));
}

static void kinds_open_pipe(void)
{
    const struct weir_factory factory = {public_create, NULL};
    const bool reads = scene.kind == PUBLIC_KIND_READ_PIPE;
    int fds[2];

    kinds_open_fds(fds);
    scene.peer_fd = fds[reads];
    public_begin(PUBLIC_MAKER);
    if (reads) {
        expect_ok(weir_connect_read_pipe(kinds_loop(), &factory, fds[0], NULL,
                                         public_opened, &scene, NULL));
    } else {
        expect_ok(weir_connect_write_pipe(kinds_loop(), &factory, fds[1], NULL,
                                          public_opened, &scene, NULL));
    }
}

static void kinds_open_pair(void)
{
    const struct weir_protocol_binding bindings[2] = {public_subject(),
                                                      public_sink(NULL)};
    weir_transport *ends[2];

    expect_eq(weir_transport_pair(kinds_loop(), bindings, NULL, ends), 0);
    scene.t = weir_transport_ref(ends[0]);
    public_know(ends[0]);
    scene.peer = ends[1];
    PUBLIC_UNTIL(scene.made > 0);
}

static void kinds_open_child(void)
{
    static const char *const argv[] = {"/bin/cat", NULL};
    const struct weir_factory factory = {public_create, NULL};

    public_begin(PUBLIC_MAKER);
    expect_ok(weir_subprocess_exec(
        kinds_loop(), &factory, argv,
        SIZED(weir_spawn_options, .in = {.kind = WEIR_STDIO_PIPE},
              .out = {.kind = WEIR_STDIO_PIPE}, .start_new_session = true,
              .kill_at_close = true),
        public_opened, &scene, NULL));
}

static void kinds_take_subject(weir_transport *t)
{
    weir_transport_unref(scene.t);
    scene.t = weir_transport_ref(t);
    public_know(t);
}

#if WR_TESTS_PROXY
static const bool kinds_has_relays = true;

static void kinds_relay(void)
{
    public_begin(PUBLIC_RELAY);
    const int err = weir_relay(scene.t, public_other(scene.t),
                               SIZED(weir_relay_options, .tap = public_tap),
                               public_relay_done, public_done_arg(), NULL);
    expect_eq(err, 0);
    public_begun(PUBLIC_RELAY, err, true);
}
#else
static const bool kinds_has_relays = false;

static void kinds_relay(void)
{
}
#endif

static void kinds_open_stream(void)
{
    kinds_open_sockets();
    PUBLIC_UNTIL(scene.done[PUBLIC_MAKER] == scene.begun[PUBLIC_MAKER]);
    expect_ok(weir_stream_protocol_new(kinds_loop(), NULL, &scene.stream,
                                       &scene.writer));
    expect_eq(weir_transport_set_protocol(scene.t, &scene.stream, NULL, 0), 0);
    scene.is_taken = true;
    scene.stream.protocol->connection_made(scene.stream.user, scene.t);
}

bool public_open(void)
{
    const bool needs_tls =
        kinds_has_tls() || scene.kind == PUBLIC_KIND_BELOW_TLS;

    if ((needs_tls && !public.client) ||
        (scene.kind == PUBLIC_KIND_RELAYED && !kinds_has_relays)) {
        return false;
    }
    switch (scene.kind) {
    case PUBLIC_KIND_MEMORY:
        kinds_open_pair();
        break;
    case PUBLIC_KIND_READ_PIPE:
    case PUBLIC_KIND_WRITE_PIPE:
        kinds_open_pipe();
        break;
    case PUBLIC_KIND_DATAGRAM:
    case PUBLIC_KIND_UNIX_DATAGRAM:
        kinds_open_datagram();
        break;
    case PUBLIC_KIND_CHILD:
    case PUBLIC_KIND_CHILD_PIPE:
        kinds_open_child();
        break;
    case PUBLIC_KIND_STREAM:
        kinds_open_stream();
        break;
    default:
        kinds_open_sockets();
    }
    PUBLIC_UNTIL(scene.done[PUBLIC_MAKER] == scene.begun[PUBLIC_MAKER]);
    if (scene.kind == PUBLIC_KIND_RELAYED) {
        kinds_relay();
    } else if (scene.kind == PUBLIC_KIND_BELOW_TLS) {
        weir_transport *below = scene.t;

        public_begin(PUBLIC_START_TLS);
        const int err = weir_transport_start_tls(
            below, public_tls(), NULL, public_start_tls_done, public_done_arg(),
            public_ret());
        expect_eq(err, 0);
        public_begun(PUBLIC_START_TLS, err, true);
    } else if (scene.kind == PUBLIC_KIND_INNER_TLS) {
        public_start_tls_on_both();
        PUBLIC_UNTIL(scene.done[PUBLIC_START_TLS] ==
                     scene.begun[PUBLIC_START_TLS]);
    } else if (scene.kind == PUBLIC_KIND_CHILD_PIPE) {
        scene.child = scene.t;
        scene.t = NULL;
        kinds_take_subject(weir_transport_get_pipe_transport(
            scene.child, (int)(scene.number % 2)));
    }
    return true;
}

void public_peer_send(size_t len)
{
    weir_transport *pipe = scene.kind == PUBLIC_KIND_CHILD
                               ? weir_transport_get_pipe_transport(scene.t, 0)
                               : NULL;

    if (scene.peer || pipe) {
        wr_ignore(weir_transport_write(pipe ? pipe : scene.peer, public_bytes,
                                       len) != 0);
    } else if (scene.peer_fd >= 0) {
        wr_ignore(write(scene.peer_fd, public_bytes, len) < 0);
    }
}

static void kinds_close_fd(void)
{
    if (scene.peer_fd >= 0) {
        close(scene.peer_fd);
        scene.peer_fd = -1;
    }
}

void public_peer_end(void)
{
    weir_transport *pipe = scene.kind == PUBLIC_KIND_CHILD
                               ? weir_transport_get_pipe_transport(scene.t, 0)
                               : NULL;

    if (scene.peer) {
        expect_eq(weir_transport_write_eof(scene.peer), 0);
    } else if (pipe) {
        weir_transport_close(pipe);
    }
    kinds_close_fd();
}

void public_peer_leave(void)
{
    if (scene.peer && scene.number % 2) {
        weir_transport_close(scene.peer);
    } else if (scene.peer) {
        weir_transport_abort(scene.peer);
    }
    kinds_close_fd();
}

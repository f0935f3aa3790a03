/*
 * Every public call inside every callback: the protocols.
 *
 * Each callback of a subject is a moment. The other ends are sinks, which
 * accept everything and do nothing.
 */
#include "tests/contract/public.h"

#include <weir/datagram.h>

static void protocols_made(void *user, weir_transport *t)
{
    scene.made++;
    public_reach(scene.moment == PUBLIC_AT_MOVE_MADE && scene.made > 1
                     ? PUBLIC_AT_MOVE_MADE
                     : PUBLIC_AT_MADE,
                 t);
}

static void protocols_lost(void *user, weir_transport *t, int err)
{
    scene.lost++;
    public_reach(scene.moment == PUBLIC_AT_PEER_LOST ? PUBLIC_AT_PEER_LOST
                                                     : PUBLIC_AT_LOST,
                 t);
}

static void protocols_moved(void *user, weir_transport *t)
{
    scene.moved++;
    public_reach(PUBLIC_AT_MOVED, t);
}

static void protocols_pause(void *user, weir_transport *t)
{
    public_reach(PUBLIC_AT_PAUSE, t);
}

static void protocols_resume(void *user, weir_transport *t)
{
    public_reach(PUBLIC_AT_RESUME, t);
}

static int protocols_data(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    scene.buf = buf;
    scene.buf_loop = weir_transport_get_loop(t);
    public_reach(PUBLIC_AT_DATA, t);
    scene.buf = NULL;
    return scene.moment == PUBLIC_AT_HOOK ? -EPROTO : 0;
}

/* The connection stays half-closed in half of the scenes. */
static int protocols_eof(void *user, weir_transport *t)
{
    public_reach(PUBLIC_AT_EOF, t);
    return scene.moment == PUBLIC_AT_HALF_CLOSED ||
           (scene.moment != PUBLIC_AT_PEER_LOST && scene.number % 2);
}

static int protocols_get_buffer(void *user, weir_transport *t, size_t hint,
                                void **ret_buf, size_t *ret_size)
{
    *ret_buf = scene.memory;
    *ret_size = sizeof(scene.memory);
    public_reach(scene.moment == PUBLIC_AT_LEND ? PUBLIC_AT_LEND
                                                : PUBLIC_AT_GET_BUFFER,
                 t);
    return 0;
}

static int protocols_updated(void *user, weir_transport *t, size_t len)
{
    public_reach(PUBLIC_AT_UPDATED, t);
    return 0;
}

static void protocols_released(void *user, void *buf)
{
    expect_eq(buf, scene.memory);
    public_reach(PUBLIC_AT_RELEASED, scene.t);
}

static int protocols_fds(void *user, weir_transport *t, const int *fds,
                         size_t count, bool lost)
{
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
    public_reach(PUBLIC_AT_FDS, t);
    return 0;
}

static int protocols_datagram(void *user, weir_transport *t,
                              const struct weir_datagram *datagram)
{
    scene.buf = &datagram->buf;
    scene.buf_loop = weir_transport_get_loop(t);
    public_reach(PUBLIC_AT_DATAGRAM, t);
    scene.buf = NULL;
    return scene.moment == PUBLIC_AT_HOOK ? -EPROTO : 0;
}

static void protocols_error(void *user, weir_transport *t, int err,
                            const struct weir_address *peer)
{
    public_reach(PUBLIC_AT_ERROR, t);
}

static int protocols_pipe_data(void *user, weir_transport *t, int fd,
                               const struct weir_buf *buf)
{
    public_reach(PUBLIC_AT_PIPE_DATA, t);
    return scene.moment == PUBLIC_AT_HOOK ? -EPROTO : 0;
}

static void protocols_pipe_lost(void *user, weir_transport *t, int fd, int err)
{
    public_reach(PUBLIC_AT_PIPE_LOST, t);
}

static void protocols_exited(void *user, weir_transport *t)
{
    public_reach(PUBLIC_AT_EXITED, t);
}

#define OF_A_STREAM                                                            \
    .connection_made = protocols_made, .connection_lost = protocols_lost,      \
    .connection_moved = protocols_moved, .pause_writing = protocols_pause,     \
    .resume_writing = protocols_resume, .eof_received = protocols_eof,         \
    .fds_received = protocols_fds

static CALLBACKS(stream_protocol, STREAM, OF_A_STREAM,
                 .data_received = protocols_data);
static CALLBACKS(buffered_protocol, BUFFERED, OF_A_STREAM,
                 .get_buffer = protocols_get_buffer,
                 .buffer_updated = protocols_updated);
static CALLBACKS(lending_protocol, BUFFERED, OF_A_STREAM,
                 .get_buffer = protocols_get_buffer,
                 .buffer_updated = protocols_updated,
                 .release_buffer = protocols_released);
static CALLBACKS(datagram_protocol, DATAGRAM, .connection_made = protocols_made,
                 .connection_lost = protocols_lost,
                 .pause_writing = protocols_pause,
                 .resume_writing = protocols_resume,
                 .datagram_received = protocols_datagram,
                 .error_received = protocols_error);
static CALLBACKS(child_protocol, SUBPROCESS, .connection_made = protocols_made,
                 .connection_lost = protocols_lost,
                 .pause_writing = protocols_pause,
                 .resume_writing = protocols_resume,
                 .pipe_data_received = protocols_pipe_data,
                 .pipe_connection_lost = protocols_pipe_lost,
                 .process_exited = protocols_exited);

struct weir_protocol_binding public_subject(void)
{
    const struct weir_protocol *protocol = &stream_protocol;

    if (scene.kind == PUBLIC_KIND_DATAGRAM ||
        scene.kind == PUBLIC_KIND_UNIX_DATAGRAM) {
        protocol = &datagram_protocol;
    } else if (scene.kind == PUBLIC_KIND_CHILD ||
               scene.kind == PUBLIC_KIND_CHILD_PIPE) {
        protocol = &child_protocol;
    } else if (scene.moment == PUBLIC_AT_GET_BUFFER ||
               scene.moment == PUBLIC_AT_UPDATED) {
        protocol = &buffered_protocol;
    } else if (scene.moment == PUBLIC_AT_LEND ||
               scene.moment == PUBLIC_AT_RELEASED) {
        protocol = &lending_protocol;
    }
    return (struct weir_protocol_binding){protocol, &scene};
}

const struct weir_protocol_binding *public_binding(weir_transport *t)
{
    static struct weir_protocol_binding binding;

    binding = public_subject();
    return &binding;
}

const struct weir_protocol_binding *public_buffered_binding(weir_transport *t)
{
    static const struct weir_protocol_binding bindings[2] = {
        {&buffered_protocol, &scene}, {&lending_protocol, &scene}};

    return &bindings[scene.number % 2];
}

int public_create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    const bool moves = scene.t != NULL;

    *ret = public_subject();
    public_know(t);
    weir_transport_unref(scene.t);
    scene.t = weir_transport_ref(t);
    public_reach(moves ? PUBLIC_AT_MOVE_FACTORY : PUBLIC_AT_FACTORY, t);
    return 0;
}

void public_call_hook(void *arg, weir_loop *loop,
                      const struct weir_exception *exception)
{
    if (scene.t) {
        public_reach(PUBLIC_AT_HOOK, scene.t);
    }
}

void public_tap(void *arg, enum weir_relay_party from,
                const struct weir_buf *buf)
{
    public_reach(PUBLIC_AT_TAP, scene.t);
}

void public_release(void *arg)
{
    if (scene.t) {
        public_reach(scene.moment == PUBLIC_AT_DROPPED ? PUBLIC_AT_DROPPED
                                                       : PUBLIC_AT_SENT,
                     scene.t);
    }
}

static void sink_made(void *user, weir_transport *t)
{
    if (!user) {
        expect_lt(public.sink_count, PUBLIC_SINKS);
        public.sinks[public.sink_count++] = t;
    }
}

weir_transport **public_find_sink(const weir_transport *t)
{
    size_t i = 0;

    while (i < public.sink_count && public.sinks[i] != t) {
        i++;
    }
    expect_lt(i, public.sink_count);
    return &public.sinks[i];
}

static void sink_lost(void *user, weir_transport *t, int err)
{
    if (user) { /* a spare one that the scene has used */
        return;
    }
    weir_transport **sink = public_find_sink(t);
    *sink = public.sinks[--public.sink_count];
    if (scene.peer == t) {
        scene.peer = NULL;
    }
}

static CALLBACKS(sink_protocol, STREAM, .connection_made = sink_made,
                 .connection_lost = sink_lost);

struct weir_protocol_binding public_sink(void *spare)
{
    return (struct weir_protocol_binding){&sink_protocol, spare};
}

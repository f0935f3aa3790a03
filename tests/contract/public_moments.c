/*
 * Every public call inside every callback: which kind of connection has which
 * moment, and what causes it.
 *
 * A moment is caused by the peer, by a call on the subject, or by the loop.
 */
#include "tests/contract/public.h"

#include <weir/datagram.h>
#include <weir/task.h>
#include <weir/unix.h>

#define KIND(name) (1u << PUBLIC_KIND_##name)
#define OUTER_TLS  (KIND(TLS) | KIND(UNIX_TLS) | KIND(OLD_TLS))
#define OF_TLS     (OUTER_TLS | KIND(INNER_TLS))
#define SOCKETS    (KIND(TCP) | KIND(UNIX))
#define STREAMS    (SOCKETS | KIND(MEMORY) | OF_TLS)
#define DATAGRAMS  (KIND(DATAGRAM) | KIND(UNIX_DATAGRAM))
#define READERS    (STREAMS | KIND(READ_PIPE))
#define WRITERS    (STREAMS | KIND(WRITE_PIPE))
#define PIPES      (KIND(READ_PIPE) | KIND(WRITE_PIPE))
#define OF_OTHERS                                                              \
    (KIND(RELAYED) | KIND(STREAM) | KIND(BELOW_TLS) | KIND(CHILD_PIPE))
#define OWN (STREAMS | PIPES | DATAGRAMS | KIND(CHILD))
#define ALL (OWN | OF_OTHERS)
/* By connecting or accepting; TLS inside TLS starts on a connection that was
 * made. */
#define MADE (OWN & ~KIND(INNER_TLS))

static const unsigned int moment_kinds[PUBLIC_MOMENT_COUNT] = {
    [PUBLIC_AT_FACTORY] = MADE & ~KIND(MEMORY),
    [PUBLIC_AT_MADE] = MADE,
    [PUBLIC_AT_OPENED] = MADE & ~KIND(MEMORY),
    [PUBLIC_AT_DATA] = READERS,
    [PUBLIC_AT_GET_BUFFER] = READERS,
    [PUBLIC_AT_UPDATED] = READERS,
    [PUBLIC_AT_LEND] = READERS,
    [PUBLIC_AT_RELEASED] = SOCKETS,
    [PUBLIC_AT_FDS] = KIND(UNIX),
    [PUBLIC_AT_DATAGRAM] = DATAGRAMS,
    [PUBLIC_AT_ERROR] = KIND(DATAGRAM),
    [PUBLIC_AT_EOF] = READERS,
    [PUBLIC_AT_PAUSE] = WRITERS | DATAGRAMS,
    [PUBLIC_AT_RESUME] = WRITERS | DATAGRAMS,
    [PUBLIC_AT_SENT] = WRITERS | DATAGRAMS,
    [PUBLIC_AT_DROPPED] = WRITERS | DATAGRAMS,
    [PUBLIC_AT_FILE_SENT] = WRITERS,
    [PUBLIC_AT_HANDSHAKING] = SOCKETS | KIND(MEMORY),
    [PUBLIC_AT_TLS_DONE] = SOCKETS | KIND(MEMORY),
    [PUBLIC_AT_MOVING] = SOCKETS,
    [PUBLIC_AT_MOVE_FACTORY] = SOCKETS,
    [PUBLIC_AT_MOVE_MADE] = SOCKETS,
    [PUBLIC_AT_MOVED] = SOCKETS,
    [PUBLIC_AT_MOVE_DONE] = SOCKETS,
    [PUBLIC_AT_TAP] = KIND(RELAYED),
    [PUBLIC_AT_RELAY_DONE] = KIND(RELAYED),
    [PUBLIC_AT_PIPE_DATA] = KIND(CHILD),
    [PUBLIC_AT_PIPE_LOST] = KIND(CHILD),
    [PUBLIC_AT_EXITED] = KIND(CHILD),
    [PUBLIC_AT_HOOK] = READERS | DATAGRAMS | KIND(CHILD),
    [PUBLIC_AT_SOON] = ALL,
    [PUBLIC_AT_TIMER] = ALL,
    [PUBLIC_AT_TASK] = ALL,
    [PUBLIC_AT_WAITING] = ALL,
    [PUBLIC_AT_PAUSED] = READERS,
    [PUBLIC_AT_HALF_CLOSED] = STREAMS,
    [PUBLIC_AT_CLOSING] = WRITERS,
    [PUBLIC_AT_BROKEN] = KIND(TCP),
    [PUBLIC_AT_LOST] = OWN,
    [PUBLIC_AT_PEER_LOST] = OWN & ~DATAGRAMS,
    [PUBLIC_AT_AFTER] = ALL,
};

bool public_has_moment(enum public_kind kind, enum public_moment moment)
{
    const bool needs_tls =
        moment == PUBLIC_AT_HANDSHAKING || moment == PUBLIC_AT_TLS_DONE;

    return moment_kinds[moment] >> kind & 1u && (!needs_tls || public.client);
}

static void moments_now(void *arg)
{
    public_reach(scene.moment, scene.t);
}

static int moments_task(weir_loop *loop, void *arg)
{
    moments_now(arg);
    return 0;
}

static void moments_soon(void)
{
    expect_ok(weir_loop_call_soon(weir_transport_get_loop(scene.t), moments_now,
                                  NULL, NULL));
}

static void moments_later(void)
{
    expect_ok(weir_loop_call_later(weir_transport_get_loop(scene.t), 1,
                                   moments_now, NULL, NULL));
}

static void moments_spawn(void)
{
    weir_task *task;

    expect_ok(weir_task_spawn(weir_transport_get_loop(scene.t), moments_task,
                              NULL, NULL, &task));
    weir_task_unref(task);
}

static int moments_wait(weir_loop *loop, void *arg)
{
    moments_now(arg);
    scene.done[PUBLIC_WAIT]++;
    return 0;
}

/* The end of the scene ends the task's wait. */
static void moments_spawn_waiting(void)
{
    weir_task *task;

    scene.begun[PUBLIC_WAIT]++;
    expect_ok(weir_task_spawn(weir_transport_get_loop(scene.t), moments_wait,
                              NULL, NULL, &task));
    weir_task_unref(task);
}

static int moments_write(size_t len)
{
    const bool is_datagram = scene.kind == PUBLIC_KIND_DATAGRAM ||
                             scene.kind == PUBLIC_KIND_UNIX_DATAGRAM;

    return is_datagram ? weir_transport_sendto(scene.t, public_bytes, len, NULL)
                       : weir_transport_write(scene.t, public_bytes, len);
}

static void moments_write_ref(void)
{
    const struct weir_message message = {.size = sizeof(message),
                                         .data = public_bytes,
                                         .len = 100,
                                         .release = public_release};

    if (scene.kind == PUBLIC_KIND_DATAGRAM ||
        scene.kind == PUBLIC_KIND_UNIX_DATAGRAM) {
        expect_geq(weir_transport_sendmsg(scene.t, &message), 0);
    } else {
        expect_ok(weir_transport_write_ref(scene.t, public_bytes, 100,
                                           public_release, NULL));
    }
}

static void moments_move(void)
{
    const struct weir_factory factory = {public_create, NULL};

    scene.is_stalled = scene.moment == PUBLIC_AT_MOVING;
    public_begin(PUBLIC_MOVE);
    const int err = weir_transport_move(scene.t, public_mailbox(scene.t),
                                        &factory, public_move_done, NULL, NULL);
    expect_eq(err, 0);
    public_begun(PUBLIC_MOVE, err, true);
    if (scene.moment == PUBLIC_AT_MOVING) {
        moments_soon();
        public_turns(3);
        scene.is_stalled = false;
    }
}

static void moments_peer_tls_done(void *arg, int err, weir_transport *t)
{
    scene.done[PUBLIC_START_TLS]++;
}

static void moments_take_above(void)
{
    weir_transport_unref(scene.t);
    scene.t = weir_transport_ref(public.ret);
}

static void moments_start_tls(void)
{
    const struct weir_tls_settings server = {.size = sizeof(server),
                                             .context = public.server};

    public_begin(PUBLIC_START_TLS);
    expect_ok(weir_transport_start_tls(scene.t, public_tls(), NULL,
                                       public_start_tls_done, NULL,
                                       public_ret()));
    public_begun(PUBLIC_START_TLS, 0, true);
    if (scene.moment == PUBLIC_AT_HANDSHAKING) {
        moments_take_above();
        moments_soon();
        public_turns(2);
    } else if (scene.kind == PUBLIC_KIND_INNER_TLS) {
        moments_take_above();
    }
    if (!scene.peer) {
        return;
    }
    weir_transport **sink = public_find_sink(scene.peer);
    scene.begun[PUBLIC_START_TLS]++;
    expect_ok(weir_transport_start_tls(
        scene.peer, &server, NULL, moments_peer_tls_done, NULL, &scene.peer));
    *sink = scene.peer;
}

void public_start_tls_on_both(void)
{
    moments_start_tls();
}

static void moments_send_file(void)
{
    public_begin(PUBLIC_SENDFILE);
    expect_ok(weir_transport_sendfile(scene.t, public.file, 0, 1000,
                                      public_sendfile_done, NULL));
}

static void moments_send_fds(void)
{
    expect_eq(weir_transport_send_fds(scene.peer, "x", 1, &public.file, 1), 0);
}

/* The peer is gone, and the endpoint notices it when it sends twice. */
static void moments_break_datagram(void)
{
    public_peer_leave();
    wr_ignore(moments_write(10) < 0);
    public_turns(3);
    wr_ignore(moments_write(10) < 0);
}

static void moments_break(void)
{
    const uint64_t before = weir_transport_get_read_buffer_size(scene.t);

    expect_eq(weir_transport_pause_reading(scene.t), 0);
    public_peer_send(300);
    PUBLIC_UNTIL(weir_transport_get_read_buffer_size(scene.t) > before);
    weir_transport_abort(scene.peer);
    PUBLIC_UNTIL(weir_transport_get_error(scene.t) != 0 || scene.lost > 0);
    moments_soon();
}

static void moments_abort(void)
{
    wr_ignore(weir_transport_abort(scene.t) != 0);
}

static void moments_drop(void)
{
    moments_write_ref();
    moments_abort();
}

static void moments_close(void)
{
    wr_ignore(moments_write(200000) < 0);
    expect_eq(weir_transport_close(scene.t), 0);
    moments_soon();
}

static void moments_pause_writing(void)
{
    const struct weir_water_marks marks = {.high_bytes = 0, .low_bytes = 0};

    expect_eq(weir_transport_set_write_buffer_limits(scene.t, marks), 0);
    expect_geq(moments_write(100), 0);
}

static void moments_send_bytes(void)
{
    public_peer_send(300);
}

static void moments_pause_reading(void)
{
    expect_eq(weir_transport_pause_reading(scene.t), 0);
    public_peer_send(300);
    public_turns(3);
    moments_soon();
}

static void moments_half_close(void)
{
    public_peer_end();
    public_turns(5);
    moments_soon();
}

static void moments_leave_and_wait(void)
{
    for (size_t i = scene.known_count; i > 0; i--) {
        wr_ignore(weir_transport_abort(scene.known[i - 1]) != 0);
    }
    public_peer_leave();
    PUBLIC_UNTIL(weir_transport_get_end(scene.t) != WEIR_END_NONE);
    public_turns(3);
    moments_soon();
}

static void moments_lend(void)
{
    public_turns(2);
    moments_abort();
}

static void moments_peer_loses(void)
{
    if (scene.kind == PUBLIC_KIND_CHILD) {
        public_peer_end();
    } else {
        public_peer_leave();
    }
}

static void (*const moment_stimuli[PUBLIC_MOMENT_COUNT])(void) = {
    [PUBLIC_AT_DATA] = moments_send_bytes,
    [PUBLIC_AT_GET_BUFFER] = moments_send_bytes,
    [PUBLIC_AT_UPDATED] = moments_send_bytes,
    [PUBLIC_AT_LEND] = moments_send_bytes,
    [PUBLIC_AT_RELEASED] = moments_lend,
    [PUBLIC_AT_FDS] = moments_send_fds,
    [PUBLIC_AT_DATAGRAM] = moments_send_bytes,
    [PUBLIC_AT_ERROR] = moments_break_datagram,
    [PUBLIC_AT_EOF] = public_peer_end,
    [PUBLIC_AT_PAUSE] = moments_pause_writing,
    [PUBLIC_AT_RESUME] = moments_pause_writing,
    [PUBLIC_AT_SENT] = moments_write_ref,
    [PUBLIC_AT_DROPPED] = moments_drop,
    [PUBLIC_AT_FILE_SENT] = moments_send_file,
    [PUBLIC_AT_HANDSHAKING] = moments_start_tls,
    [PUBLIC_AT_TLS_DONE] = moments_start_tls,
    [PUBLIC_AT_MOVING] = moments_move,
    [PUBLIC_AT_MOVE_FACTORY] = moments_move,
    [PUBLIC_AT_MOVE_MADE] = moments_move,
    [PUBLIC_AT_MOVED] = moments_move,
    [PUBLIC_AT_MOVE_DONE] = moments_move,
    [PUBLIC_AT_TAP] = moments_send_bytes,
    [PUBLIC_AT_RELAY_DONE] = moments_abort,
    [PUBLIC_AT_PIPE_DATA] = moments_send_bytes,
    [PUBLIC_AT_PIPE_LOST] = public_peer_end,
    [PUBLIC_AT_EXITED] = public_peer_end,
    [PUBLIC_AT_HOOK] = moments_send_bytes,
    [PUBLIC_AT_SOON] = moments_soon,
    [PUBLIC_AT_TIMER] = moments_later,
    [PUBLIC_AT_TASK] = moments_spawn,
    [PUBLIC_AT_WAITING] = moments_spawn_waiting,
    [PUBLIC_AT_PAUSED] = moments_pause_reading,
    [PUBLIC_AT_HALF_CLOSED] = moments_half_close,
    [PUBLIC_AT_CLOSING] = moments_close,
    [PUBLIC_AT_BROKEN] = moments_break,
    [PUBLIC_AT_LOST] = moments_abort,
    [PUBLIC_AT_PEER_LOST] = moments_peer_loses,
    [PUBLIC_AT_AFTER] = moments_leave_and_wait,
};

void public_stimulate(void)
{
    if (moment_stimuli[scene.moment]) {
        moment_stimuli[scene.moment]();
    }
}

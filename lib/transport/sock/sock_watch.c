/*
 * Stream sockets: the poll that watches the peer.
 *
 * A receive notices the peer's end, so a socket is watched while it receives
 * nothing: at once while its protocol has paused, some time after the peer's
 * end of stream, as most connections end soon.
 *
 * In a ring whose receives may miss the end (ring_host.c) a TCP socket is
 * watched from its first receive on. If the poll tells of the peer's end while
 * a receive is armed, that one is cancelled (sock.c), and the next one sees
 * what is left.
 */
#include "sock_impl.h"

#include <poll.h>

/* From the peer's end of stream until a poll watches it. */
#define WATCH_AFTER_NS UINT64_C(20000000)

void wr_sock_watch_later(struct wr_sock *s)
{
    if (s->poll_op.in_flight || s->hup_seen) {
        return;
    }
    if (wr_connection_make_clock(&s->c) < 0) {
        wr_sock_watch(s);
        return;
    }
    struct wr_sock_clock *clock = wr_sock_clock_of(s);
    if (clock->watch_ns == 0) {
        clock->watch_ns = wr_add_sat(s->c.t.loop->now_ns, WATCH_AFTER_NS);
        wr_clock_changed(s->c.clock);
    }
}

void wr_sock_watch_end(struct wr_sock *s)
{
    wr_assert(s->recv_state == WR_RECV_IDLE);
    if (!s->c.t.ops->send_fds) {
        wr_sock_watch(s);
    }
}

/* The socket's pending error in the kernel; 0: none. */
static int sock_watch_error(const struct wr_sock *s)
{
    int value = 0;
    socklen_t len = sizeof(value);
    int err = wr_sys_getsockopt(s->c.fd, SOL_SOCKET, SO_ERROR, &value, &len);
    wr_check(value >= 0);
    return err < 0 ? err : -value;
}

void wr_sock_ask_for_reset(struct wr_sock *s)
{
    const int err = s->c.t.error == 0 ? sock_watch_error(s) : 0;

    wr_assert(s->c.eof_seen);
    if (err < 0) {
        wr_transport_set_error(&s->c.t, err, "connection");
    }
}

void wr_sock_watched(struct wr_sock *s, int32_t res)
{
    wr_assert(s->c.t.state != WR_LIFE_NEW && s->c.t.state != WR_LIFE_LOST);
    if (res <= 0 || s->c.t.state != WR_LIFE_OPEN ||
        !((uint32_t)res & (POLLERR | POLLHUP))) {
        return;
    }
    s->hup_seen = true;
    int err = sock_watch_error(s);
    if (err < 0) {
        wr_transport_set_error(&s->c.t, err, "connection");
    }
}

/*
 * Stream sockets: lingering until the peer has all written bytes.
 *
 * The kernel sends a reset if a socket is closed with unread bytes, or if bytes
 * arrive after the close; a reset drops all bytes that the peer's kernel has
 * not acknowledged. So a closing socket looks at the kernel's queues once, when
 * all bytes were sent. If bytes are not acknowledged or not read, it shuts its
 * writing side down, reads and drops, and looks again and again. No event
 * reports an acknowledgement, so a timer is used, with growing intervals.
 * Usually the peer's end of stream comes first.
 *
 * Bytes sent on a Unix socket are in the peer's queue, and a reset does not
 * drop them: a Unix socket waits only until its own queue is read.
 */
#include "sock_impl.h"

#include "weir/error.h"

#define LOOK_FIRST_NS UINT64_C(2000000)
#define LOOK_LAST_NS  UINT64_C(1000000000)
/* The wait ends if nothing was acknowledged for this time. */
#define STALL_NS UINT64_C(30000000000)
/* The longest wait if the program has set no limit: a peer that acknowledges
 * byte by byte must not keep a descriptor and a place in the server for ever.
 * The kernel continues to send after the close. */
#define WHOLE_NS UINT64_C(300000000000)

/* Bytes that the peer's kernel has not acknowledged; a FIN counts as one. */
static uint32_t sock_linger_unacked(const struct wr_sock *s)
{
    wr_assert(s->fd >= 0);
    const int unacked = wr_sock_is_unix(s) ? 0 : wr_sys_outq(s->fd);
    return unacked > 0 ? (uint32_t)unacked : 0;
}

bool wr_sock_linger_is_due(const struct wr_sock *s)
{
    wr_assert(s->t.state == WR_LIFE_CLOSING);
    wr_assert(!s->eof_seen);
    if ((s->times && s->times->clock.limits.linger_ns > 0) ||
        sock_linger_unacked(s) > 0) {
        return true;
    }
    /* Usually a receive was armed, and has taken all bytes. */
    return wr_sock_withholds(s) && wr_sys_inq(s->fd) > 0;
}

bool wr_sock_linger_owes(const struct wr_sock *s)
{
    wr_assert(s->t.state == WR_LIFE_LINGERING);
    return sock_linger_unacked(s) > s->t.farewell_bytes + s->write_shut;
}

void wr_sock_linger_begin(struct wr_sock *s, uint64_t now_ns)
{
    struct wr_sock_times *times = s->times;

    wr_assert(s->t.state == WR_LIFE_LINGERING);
    wr_assert(now_ns > 0);
    times->linger_ns = now_ns;
    times->looked_ns = now_ns;
    times->look_wait_ns = LOOK_FIRST_NS;
    times->clock.sent_ns = now_ns;
    times->unacked_bytes = -1;
}

bool wr_sock_linger_look(struct wr_sock *s, uint64_t now_ns)
{
    struct wr_sock_times *times = s->times;
    const int unacked = (int)sock_linger_unacked(s);

    wr_assert(times->look_wait_ns > 0);
    wr_assert(s->t.state == WR_LIFE_LINGERING);
    times->looked_ns = now_ns;
    times->look_wait_ns = wr_min_u64(times->look_wait_ns * 2, LOOK_LAST_NS);
    if (unacked != times->unacked_bytes) {
        times->unacked_bytes = unacked;
        times->clock.sent_ns = now_ns;
    }
    return unacked == 0 && wr_sys_inq(s->fd) <= 0;
}

struct wr_deadline wr_sock_linger_deadline(const struct wr_sock *s)
{
    const struct wr_sock_times *times = s->times;
    const uint64_t limit_ns = times->clock.limits.linger_ns;
    struct wr_deadline end = {.when_ns = UINT64_MAX};

    wr_assert(s->t.state == WR_LIFE_LINGERING);
    wr_assert(times->linger_ns > 0);
    if (limit_ns > 0) {
        wr_deadline_consider(&end, times->linger_ns, limit_ns, 0, "linger");
        return end;
    }
    wr_deadline_consider(&end, times->clock.sent_ns, STALL_NS, 0, "linger");
    if (times->clock.limits.close_ns == 0) {
        wr_deadline_consider(&end, times->linger_ns, WHOLE_NS, 0, "linger");
    }
    return end;
}

uint64_t wr_sock_linger_next_look_ns(const struct wr_sock *s)
{
    wr_assert(s->t.state == WR_LIFE_LINGERING);
    return s->times->clock.limits.linger_ns > 0
               ? UINT64_MAX
               : wr_add_sat(s->times->looked_ns, s->times->look_wait_ns);
}

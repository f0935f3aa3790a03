/*
 * Stream sockets: TCP Fast Open, by which the first send connects.
 *
 * The maker's connect() has sent nothing (TCP_FASTOPEN_CONNECT), because the
 * kernel has a cookie of the server. The first send takes the first bytes of
 * the queue along with the SYN, or sends the SYN alone: at the end of the turn
 * in which the socket was made, so that a protocol that waits for its peer to
 * speak is connected as well.
 *
 *     SYN to be sent --end of the turn--> waiting --answer--> opened
 *
 * Then a poll waits for the answer. Until it is there nothing is shut down: in
 * state SYN_SENT shutdown() and close() drop the connection, bytes and all
 * (inet_shutdown()). So the outbox has something unsent until then, even if its
 * queue is empty, and ends and closes wait for it.
 */
#include "sock_impl.h"

#include <poll.h>

static void sock_opening_send(struct wr_turn_end *turn_end)
{
    struct wr_sock *s = wr_container_of(turn_end, struct wr_sock, turn_end);
    const struct wr_chunk *head = s->c.outbox.queue.head;

    wr_assert(s->c.outbox.is_opening && !s->has_sent);
    wr_assert(!s->send_op.in_flight);
    if (s->c.t.error || s->c.t.state >= WR_LIFE_LINGERING) {
        return;
    }
    wr_sock_note_sent(s); /* the stall time-out begins */
    wr_connection_time_changed(&s->c);
    wr_prep_send(&s->c.t.loop->uring, &s->send_op, s->c.fd,
                 head ? head->data : (const void *)"", head ? head->len : 0);
}

void wr_sock_opening_begin(struct wr_sock *s)
{
    wr_assert(s->c.t.state == WR_LIFE_NEW);
    s->sent_short = true; /* no send may end on the fast path */
    s->c.outbox.is_opening = true;
    s->turn_end.run = sock_opening_send;
}

int wr_sock_opening_ended(struct wr_sock *s, uint32_t events)
{
    int err = 0;
    socklen_t len = sizeof(err);

    wr_assert(s->c.outbox.is_opening && s->has_sent && events != 0);
    s->c.outbox.is_opening = false;
    if (!(events & (POLLERR | POLLHUP)) || wr_life_is_over(&s->c.t) ||
        s->c.t.error) {
        return 0;
    }
    /* 0: a receive has taken the error, and tells it. */
    wr_ignore(wr_sys_getsockopt(s->c.fd, SOL_SOCKET, SO_ERROR, &err, &len));
    return -err;
}

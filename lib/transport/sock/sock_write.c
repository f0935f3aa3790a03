/*
 * Stream sockets: writes of the program, on their way into the send queue.
 *
 * The outbox checks and queues writes; this file has the fast path of most
 * writes, which copy few bytes to the end of a block. The queue is sent at the
 * end of the turn (sock_send.c). Descriptors of a Unix socket are sent with
 * copied bytes (sock_fds.c).
 */
#include "sock_impl.h"

#include <string.h>

/* Called when the queue is above the guaranteed share. If the kernel has had no
 * room for more bytes than the connection's share, the peer does not read. Then
 * nothing is received from the peer, because its bytes may make the program
 * write even more. */
static __attribute__((noinline)) void sock_write_check_stuck(struct wr_sock *s)
{
    const struct wr_budget *budget = &s->c.t.loop->budget;

    wr_assert(s->c.outbox.queue.bytes > s->c.t.check_bytes);
    if (wr_sock_stuck_bytes(s) > wr_budget_queued_share(budget)) {
        wr_sock_recv_revoke(s);
    }
}

static inline void sock_write_note(struct wr_sock *s, size_t len)
{
    wr_debug_assert(len > 0 && len <= s->c.outbox.queue.bytes);
    if (WR_UNLIKELY(s->c.clock != NULL) && s->c.outbox.queue.bytes == len) {
        wr_sock_clock_of(s)->looked_bytes = 0;
        wr_clock_begin_sending(s->c.clock);
    }
    wr_sock_make_dirty(s);
}

static void sock_write_queued(weir_transport *t, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_connection_debug_check(&s->c);
    if (WR_UNLIKELY(s->sends_fds)) {
        wr_sock_send_fds_too(s);
    }
    sock_write_note(s, len);
    if (s->c.outbox.queue.bytes > t->check_bytes) {
        sock_write_check_stuck(s);
    }
}

const struct wr_outbox_ops wr_sock_outbox_ops = {
    .offset = offsetof(struct wr_sock, c.outbox),
    .queued = sock_write_queued,
    .file_begins = wr_sock_file_begins,
    .file_ended = wr_sock_file_ended,
    .sender = &wr_sock_sender_ops,
};

int wr_sock_write(weir_transport *t, const void *data, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_loop *loop = t->loop;

    wr_connection_debug_check(&s->c);
    if (WR_UNLIKELY(len == 0 ||
                    !wr_outbox_has_room(t, &s->c.outbox,
                                        s->c.outbox.queue.bytes, len))) {
        return wr_outbox_write(t, data, len);
    }
    void *room = wr_sendq_extend(&s->c.outbox.queue, &loop->send_memory, len);
    if (WR_UNLIKELY(!room)) {
        return wr_outbox_write(t, data, len);
    }
    loop->counts.copied_by_write += len;
    wr_budget_queue(&loop->budget, len);
    sock_write_note(s, len);
    memcpy(room, data, len); /* last, so that no register is saved across it */
    if (WR_UNLIKELY(s->c.outbox.queue.bytes > t->check_bytes)) {
        sock_write_check_stuck(s);
        wr_transport_check_high(t, s->c.outbox.queue.bytes);
    }
    return 0;
}

int wr_sock_send_fds(weir_transport *t, const void *data, size_t len,
                     const int *fds, size_t count)
{
    struct wr_sock *s = wr_sock_of(t);
    int err = wr_outbox_check(t, len);

    wr_connection_debug_check(&s->c);
    wr_require(err == 0, err);
    wr_assert(len > 0);
    err = wr_sock_fds_push(s, fds, count);
    wr_require(err == 0, err);
    err = wr_outbox_write(t, data, len);
    if (err < 0) {
        wr_sock_fds_take_back(s);
    }
    return err;
}

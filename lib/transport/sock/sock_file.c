/*
 * Stream sockets: the device of a sender; see sender.h.
 *
 * A file is sent piece by piece, each at the end of a turn, when the send queue
 * is empty and the kernel has room: from the page cache, or from a chunk that
 * the ring has read. A poll, with the operation of sends, waits for room. A
 * short file is copied to the queue, and removed from it if the file is
 * cancelled before the kernel has taken it.
 *
 * sock_send.c decides when it is the file's turn.
 */
#include "sock_impl.h"

static int64_t sock_file_splice(weir_transport *t, struct wr_sendfile *file)
{
    struct wr_sock *s = wr_sock_of(t);
    weir_loop *loop = t->loop;

    wr_assert(!s->send_op.in_flight);
    if (!wr_budget_may_send(&loop->budget)) {
        wr_sock_note_sent(s); /* the peer's time-out begins with the send */
        return -EINTR;
    }
    const int64_t res = wr_sendfile_splice(file, &loop->budget, s->c.fd);
    if (res > 0) {
        wr_transport_count_sent(t, (uint64_t)res);
        wr_sock_note_sent(s);
    }
    return res;
}

static int sock_file_send(weir_transport *t, const void *data, size_t len)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(!s->send_op.in_flight);
    wr_sock_note_sent(s);
    if (wr_life_is_over(&s->c.t) || t->error) {
        return t->error ? t->error : -ECONNABORTED;
    }
    wr_prep_send(&t->loop->uring, &s->send_op, s->c.fd, data, len);
    return 0;
}

static void sock_file_went(weir_transport *t, enum wr_sender_step step, int err)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->sends_file);
    if (wr_life_is_over(&s->c.t)) {
        return;
    }
    if (step == WR_SENDER_BREAKS) {
        wr_sock_send_failed(s, err);
    }
    if (t->error) {
        wr_sender_break(s->c.outbox.sender);
        wr_connection_push(&s->c);
    } else if (step == WR_SENDER_LACKS_ROOM) {
        wr_sock_send_wait_for_room(s);
    } else {
        wr_sock_send_file_later(s);
    }
}

static bool sock_file_withdraw(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);
    const struct wr_sendq *queue = &s->c.outbox.queue;

    if (!wr_sendq_is_empty(queue) && s->c.outbox.sender->queued_bytes == 0) {
        return true; /* the file waits behind written bytes */
    }
    if (s->send_op.in_flight) {
        wr_op_cancel(&t->loop->uring, &s->send_op);
        return false;
    }
    wr_sock_send_no_more_of_file(s, queue->bytes);
    if (wr_sendq_is_empty(queue) && !s->c.outbox.is_opening) {
        wr_list_remove(&s->turn_end.link); /* nothing to send */
    }
    return true;
}

const struct wr_sender_ops wr_sock_sender_ops = {
    .queue = wr_outbox_queue_file,
    .ended = wr_outbox_file_ended,
    .part_bytes = WR_SENDFILE_READ,
    .splice = sock_file_splice,
    .send = sock_file_send,
    .went = sock_file_went,
    .withdraw = sock_file_withdraw,
};

void wr_sock_file_begins(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->c.outbox.sender && !s->sends_file);
    s->sends_file = true;
    wr_sock_note_sent(s); /* the stall time-out begins */
    wr_connection_time_changed(&s->c);
    if (!s->send_op.in_flight && !s->c.outbox.is_opening) {
        wr_sock_send_file_later(s);
    }
}

/* An end of the stream, or a close, may have waited for the file. The step
 * sends it after `done`, in which the program may abort if the file failed:
 * then the peer sees no clean end. */
void wr_sock_file_ended(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->sends_file);
    wr_outbox_notify(t); /* bytes of the file may have left the queue */
    s->sends_file = false;
    wr_connection_push(&s->c);
}

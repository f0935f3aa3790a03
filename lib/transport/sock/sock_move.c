/*
 * Stream sockets: leaving a loop, and arriving on another. All memory of a
 * connection belongs to its loop, so a new connection is made from copies
 * (struct wr_sock_content). The old connection keeps everything until then, and
 * continues if the move fails.
 *
 * A send never waits in the kernel (sock_send.c) and a receive is cancelled, so
 * a connection can leave within a few loop iterations, whatever its peer does.
 */
#include "sock_impl.h"

#include "uring/alloc.h"

#include <string.h>

#define PIECE_BYTES (64u << 10)

int wr_sock_check_move(const weir_transport *t)
{
    wr_require(wr_sock_is_kind(t) && !t->is_part, -EOPNOTSUPP);
    const struct wr_sock *s = wr_sock_of(t);
    wr_assert(!t->is_below);
    wr_require(t->state != WR_LIFE_NEW && t->state != WR_LIFE_MOVING &&
                   s->c.t.is_made,
               -EBUSY);
    wr_require(wr_protocol_may_move(t), -EOPNOTSUPP);
    wr_require(t->state == WR_LIFE_OPEN && t->error == 0, -ESHUTDOWN);
    wr_require(t->write_error == 0, t->write_error);
    wr_require(!s->sends_file && !s->sends_fds && !s->c.outbox.is_opening &&
                   !t->handler && !t->flush,
               -EBUSY);
    return 0;
}

void wr_sock_begin_leaving(weir_transport *t, struct wr_leaving *leaving)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_connection_begin_leaving(&s->c, leaving);
    wr_list_remove(&s->turn_end.link);
    wr_sock_update_recv(&s->c);
    wr_op_cancel(&t->loop->uring, &s->poll_op);
    if (s->c.outbox.is_stalled) {
        wr_op_cancel(&t->loop->uring, &s->send_op);
    }
    wr_connection_check_invariants(&s->c);
}

bool wr_sock_is_settled_to_move(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    wr_assert(t->state == WR_LIFE_MOVING);
    return !wr_sock_is_in_flight(&s->c) && !s->rests;
}

static int sock_move_pack_bytes(const struct wr_sock *s,
                                struct wr_sock_content *content)
{
    uint64_t unread = 0;

    wr_delivery_check_invariants(&s->c.delivery);
    for (const weir_lease *lease = s->c.delivery.held_head; lease;
         lease = lease->next) {
        unread += lease->len;
    }
    const uint64_t unsent = s->c.outbox.queue.bytes;

    wr_assert(!content->bytes);
    if (unread + unsent == 0) {
        return 0;
    }
    uint8_t *at = wr_alloc(&content->allocator, unread + unsent);
    wr_require(at, -ENOMEM);
    content->bytes = at;
    content->unread_bytes = unread;
    content->unsent_bytes = unsent;
    for (const weir_lease *lease = s->c.delivery.held_head; lease;
         lease = lease->next) {
        memcpy(at, lease->data, lease->len);
        at += lease->len;
    }
    for (const struct wr_chunk *chunk = s->c.outbox.queue.head; chunk;
         chunk = chunk->next) {
        memcpy(at, chunk->data, chunk->len);
        at += chunk->len;
    }
    wr_assert(at == content->bytes + unread + unsent);
    return 0;
}

static void sock_move_pack_facts(const struct wr_sock *s,
                                 struct wr_sock_content *content)
{
    const weir_transport *t = &s->c.t;

    content->fd = s->c.t.fd;
    content->family = t->ops->send_fds ? AF_UNIX : 0;
    content->high_bytes = t->high_bytes;
    content->low_bytes = t->low_bytes;
    content->hard_limit_bytes = t->hard_limit_bytes;
    content->read_limit_bytes = t->demand.account.limit_bytes;
    content->fd_limit = s->fd_limit;
    content->is_busy = t->is_busy;
    content->eof_seen = s->c.t.eof_seen;
    content->has_ended = s->c.leaving->has_ended;
    content->end_sent = s->c.t.end_sent;
    content->has_received = s->has_received;
    content->has_sent = s->has_sent;
    content->has_waited = s->has_waited;
    content->fin_seen = s->fin_seen;
    if (s->c.clock) {
        content->has_limits = true;
        content->limits = *wr_clock_get_limits(s->c.clock);
        content->received_ns = s->c.clock->received_ns;
        content->sent_ns = s->c.clock->sent_ns;
    }
}

int wr_sock_pack(weir_transport *t, struct wr_sock_content *content)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(wr_sock_is_settled_to_move(t) && t->error == 0);
    wr_require(wr_sock_take_back_lent(s), -ENOMEM);
    wr_require(t->state == WR_LIFE_MOVING, -ECANCELED); /* by release_buffer */
    /* The other loop may close the descriptor at once. */
    wr_uring_forget(&t->loop->uring, s->c.t.fd);
    sock_move_pack_facts(s, content);
    return sock_move_pack_bytes(s, content);
}

void wr_sock_content_free(struct wr_sock_content *content)
{
    wr_assert(content->bytes ||
              content->unread_bytes + content->unsent_bytes == 0);
    if (content->bytes) {
        wr_free(&content->allocator, content->bytes,
                content->unread_bytes + content->unsent_bytes);
        content->bytes = NULL;
    }
}

/* Any loop may now close the descriptor and reuse its number. */
void wr_sock_send_off(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(wr_sock_is_settled_to_move(t) && !s->c.leaving->is_away);
    wr_sock_remember_names(s);
    wr_owned_remove(&t->loop->owned, s->c.t.fd);
    s->c.leaving->is_away = true;
}

void wr_sock_come_back(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(t->state == WR_LIFE_MOVING);
    if (s->c.leaving->is_away) {
        wr_owned_add(&t->loop->owned, s->c.t.fd);
        s->c.leaving->is_away = false;
    }
    wr_connection_come_back(&s->c);
    if (t->error == 0 && !wr_sendq_is_empty(&s->c.outbox.queue)) {
        wr_sock_make_dirty(s);
    }
    wr_connection_check_invariants(&s->c);
}

void wr_sock_leave(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->c.leaving->is_away && !wr_sock_has_lent(s));
    s->c.t.fd = -1;
    if (wr_sock_fds_of(s)) {
        wr_sock_fds_free(s);
    }
    wr_connection_leave(&s->c);
}

static int sock_move_unpack_bytes(struct wr_remade *remade,
                                  const struct wr_sock_content *content)
{
    weir_loop *loop = remade->sock->c.t.loop;
    weir_lease **end = &remade->unread;
    size_t piece;

    for (size_t at = 0; at < content->unread_bytes; at += piece) {
        piece = wr_min_u64(content->unread_bytes - at, PIECE_BYTES);
        *end = wr_lease_copy(&loop->pool, &remade->sock->c.t.demand.account,
                             content->bytes + at, piece);
        wr_require(*end, -ENOMEM);
        (*end)->next = NULL;
        end = &(*end)->next;
    }
    if (content->unsent_bytes == 0) {
        return 0;
    }
    wr_assert(wr_sendq_is_empty(&remade->unsent));
    const struct iovec unsent = {.iov_base =
                                     content->bytes + content->unread_bytes,
                                 .iov_len = content->unsent_bytes};
    return wr_sendq_copy(&remade->unsent, &loop->send_memory, &unsent, 1,
                         unsent.iov_len);
}

static int sock_move_unpack_limits(struct wr_sock *s,
                                   const struct wr_sock_content *content)
{
    wr_transport_set_limits(&s->c.t, content->read_limit_bytes,
                            content->hard_limit_bytes);
    wr_transport_set_marks(&s->c.t, content->high_bytes, content->low_bytes);
    if (!content->has_limits) {
        return 0;
    }
    int err = wr_connection_make_clock(&s->c);
    wr_require(err == 0, err);
    err = wr_clock_keep_limits(s->c.clock, &content->limits);
    wr_require(err == 0, err);
    s->c.clock->received_ns = content->received_ns;
    s->c.clock->sent_ns = content->sent_ns;
    return 0;
}

static void sock_move_unpack_facts(struct wr_sock *s,
                                   const struct wr_sock_content *content)
{
    wr_assert(s->c.t.state == WR_LIFE_NEW);
    s->fd_limit = content->fd_limit;
    if (s->fd_limit > 0) {
        wr_sock_recv_by_polls(s);
    }
    s->c.t.is_busy = content->is_busy;
    s->has_received = content->has_received;
    s->has_waited = content->has_waited;
    s->fin_seen = content->fin_seen;
    if (content->has_sent) {
        wr_sock_send_go_on_from(s);
    }
}

int wr_sock_remake(weir_loop *loop, const struct wr_sock_content *content,
                   const struct weir_factory *factory, struct wr_remade *ret)
{
    const struct wr_sock_options options = {.family = content->family};
    struct wr_sock *s = wr_sock_make(loop, content->fd, &options);

    wr_require(s, -ENOMEM);
    *ret = (struct wr_remade){.sock = s};
    wr_sendq_init(&ret->unsent);
    sock_move_unpack_facts(s, content);
    int err = sock_move_unpack_limits(s, content);
    if (err == 0) {
        err = sock_move_unpack_bytes(ret, content);
    }
    if (err == 0) {
        err = wr_protocol_find(&s->c.t, factory);
    }
    if (err < 0) {
        wr_lease_unref_list(ret->unread);
        wr_sendq_clear(&ret->unsent, &loop->send_memory);
        wr_connection_discard(&s->c);
        return err;
    }
    return 0;
}

static void sock_move_take_over(struct wr_remade *remade,
                                const struct wr_sock_content *content)
{
    struct wr_sock *s = remade->sock;
    weir_lease *lease = remade->unread;

    wr_assert(s->c.t.state == WR_LIFE_OPEN && !s->c.t.is_made);
    while (lease) {
        weir_lease *next = lease->next;
        wr_delivery_hold(&s->c.delivery, lease);
        lease = next;
    }
    s->c.outbox.queue = remade->unsent;
    wr_budget_queue(&s->c.t.loop->budget, s->c.outbox.queue.bytes);
    s->c.t.eof_seen = content->eof_seen;
    if (content->eof_seen) {
        wr_delivery_end(&s->c.delivery);
    }
    if (content->has_ended) {
        wr_outbox_end(&s->c.outbox);
    }
    s->c.t.end_sent = content->end_sent;
}

void wr_sock_begin_anew(struct wr_remade *remade,
                        const struct wr_sock_content *content)
{
    struct wr_sock *s = remade->sock;
    weir_transport *t = &s->c.t;

    wr_owned_add(&t->loop->owned, s->c.t.fd);
    wr_connection_begin(&s->c);
    sock_move_take_over(remade, content);
    wr_connection_push(&s->c);
    if (!wr_sendq_is_empty(&s->c.outbox.queue)) {
        wr_sock_make_dirty(s);
        wr_connection_time_changed(&s->c);
    }
    wr_connection_tell_made(&s->c);
    if (t->state == WR_LIFE_OPEN) {
        wr_outbox_limits_changed(t);
    }
    wr_transport_note_idle(t); /* its server may be stopping */
    wr_connection_debug_check(&s->c);
}

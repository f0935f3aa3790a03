/*
 * Stream sockets: the line that weir_loop_dump() has for one.
 *
 * It tells what an operator looks for in a connection that stands still: the
 * states, what is in flight, what is held and queued, and the first error.
 */
#include "sock_impl.h"

void wr_sock_dump(const weir_transport *t, FILE *out)
{
    const struct wr_sock *s = wr_sock_of(t);
    const struct wr_sender *file = s->outbox.sender;
    struct weir_address peername;
    struct weir_address sockname;
    char peer[WEIR_ADDRESS_TEXT_SIZE];
    char own[WEIR_ADDRESS_TEXT_SIZE];

    wr_assert(s->t.state != WR_LIFE_UNBORN);
    wr_sock_get_sockname(t, &sockname);
    wr_sock_get_peername(t, &peername);
    fprintf(out,
            "%s fd=%d %s -> %s state=%s recv=%s%s%s send=%s ops=%s%s%s "
            "credit=%u held=%llu leases=%u queued=%llu fds=%u file=%s "
            "left=%llu%s%s error=%s\n",
            t->ops->name, s->fd,
            weir_address_format(&sockname, own, sizeof(own)),
            weir_address_format(&peername, peer, sizeof(peer)),
            wr_life_state_name(&s->t), wr_sock_recv_state_name(s),
            wr_delivery_is_paused(&s->delivery) ? " paused" : "",
            s->eof_seen ? " eof" : "", wr_sock_send_state_name(s),
            s->recv_op.in_flight ? "r" : "", s->send_op.in_flight ? "s" : "",
            s->poll_op.in_flight ? "p" : "",
            wr_budget_credit(&t->loop->budget, &s->t.demand),
            (unsigned long long)s->t.demand.account.held_bytes,
            s->t.demand.account.lease_count,
            (unsigned long long)s->outbox.queue.bytes,
            s->fds ? s->fds->waiting_count : 0, wr_sender_state_name(file),
            (unsigned long long)(file ? file->file.left : 0),
            t->writing_paused ? " writing-paused" : "",
            s->write_eof ? " write-eof" : "",
            t->error ? weir_err_name(t->error) : "none");
}

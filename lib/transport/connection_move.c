/*
 * Connections: leaving the loop for another one.
 *
 *     OPEN --depart--> MOVING --leave--> gone
 *       ^-- come back, recall --/
 *
 * While it moves a connection keeps its bytes and its protocol, and nothing
 * happens to it: no byte is shown or sent, no limit of time runs. So it can
 * come back until the other loop has it. The maker of the move (lib/net/move.c)
 * knows who has it.
 */
#include "connection.h"

void wr_connection_begin_leaving(struct wr_connection *c,
                                 struct wr_leaving *leaving)
{
    wr_assert(c->t.error == 0 && c->is_made && !c->leaving);
    wr_assert(!c->outbox.sender && !leaving->is_away);
    leaving->has_ended = wr_outbox_has_ended(&c->outbox);
    c->leaving = leaving;
    wr_life_set_state(&c->t, WR_LIFE_MOVING);
    wr_outbox_begin_leaving(&c->outbox);
    wr_delivery_set_away(&c->delivery, true);
    if (c->clock) {
        wr_clock_stop(c->clock);
    }
    wr_connection_push(c);
}

/* The limits begin again, because the peer is not to blame for the move. */
void wr_connection_come_back(struct wr_connection *c)
{
    wr_assert(!c->leaving->is_away);
    wr_outbox_come_back(&c->outbox, c->leaving->has_ended);
    wr_delivery_set_away(&c->delivery, false);
    c->leaving = NULL;
    wr_life_set_state(&c->t, WR_LIFE_OPEN);
    if (c->clock) {
        wr_clock_note_received(c->clock);
        wr_clock_note_sent(c->clock);
        wr_clock_changed(c->clock);
    }
    wr_connection_push(c);
}

void wr_connection_leave(struct wr_connection *c)
{
    weir_transport *t = &c->t;

    wr_assert(c->leaving && c->fd < 0);
    c->leaving = NULL;
    wr_transport_set_end(t, WEIR_END_MOVED);
    wr_life_set_state(t, WR_LIFE_DOOMED);
    wr_life_set_state(t, WR_LIFE_ENDING);
    wr_intake_leave(t);
    wr_connection_free_clock(c);
    wr_budget_unqueue(&t->loop->budget, c->outbox.queue.bytes);
    wr_sendq_clear(&c->outbox.queue, &t->loop->send_memory);
    wr_loop_end_if_forked(t->loop); /* by a release callback */
    wr_life_lose(t);
    wr_protocol_moved(t);
    wr_life_leave(t);
}

bool wr_connection_recall(struct wr_connection *c,
                          int (*wish)(weir_transport *t))
{
    wr_assert((c->leaving != NULL) == (c->t.state == WR_LIFE_MOVING));
    return c->leaving && c->leaving->ops->recall(c->leaving, wish);
}

void wr_connection_fail(weir_transport *t)
{
    struct wr_connection *c = wr_connection_of(t);

    wr_assert(t->state != WR_LIFE_NEW);
    if (!c->leaving || wr_connection_recall(c, weir_transport_abort)) {
        wr_life_doom(t);
    }
}

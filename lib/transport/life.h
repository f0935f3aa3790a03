/*
 * The states of a connection, from its creation to its loss.
 *
 *     NEW -> OPEN -> CLOSING -> LINGERING
 *       \      ^  \________\___________\__ DOOMED -> ENDING -> LOST
 *        \     |                          /
 *         HANDSHAKING ___________________/
 *
 *     OPEN <-> MOVING -> DOOMED
 *
 * A kind of transport decides when to change the state. This file checks the
 * change and applies it to the outbox, the delivery, the loop, the budget and
 * the server's set. A public call on a transport never calls connection_made or
 * connection_lost. It changes the state and schedules the transport's step,
 * which the loop runs.
 */
#ifndef WEIR_LIB_TRANSPORT_LIFE_H
#define WEIR_LIB_TRANSPORT_LIFE_H

#include "connection.h"

/* Inline, because a constant @state leaves little code. */
static inline void wr_life_set_state(weir_transport *t,
                                     enum wr_life_state state)
{
    /* Bits of the states from which each state may be entered. */
    static const uint8_t allowed[WR_LIFE_STATES] = {
        [WR_LIFE_HANDSHAKING] = 1u << WR_LIFE_NEW,
        [WR_LIFE_MOVING] = 1u << WR_LIFE_OPEN,
        [WR_LIFE_OPEN] = 1u << WR_LIFE_NEW | 1u << WR_LIFE_HANDSHAKING |
                         1u << WR_LIFE_MOVING,
        [WR_LIFE_CLOSING] = 1u << WR_LIFE_OPEN,
        [WR_LIFE_LINGERING] = 1u << WR_LIFE_CLOSING,
        [WR_LIFE_DOOMED] = 1u << WR_LIFE_HANDSHAKING | 1u << WR_LIFE_MOVING |
                           1u << WR_LIFE_OPEN | 1u << WR_LIFE_CLOSING |
                           1u << WR_LIFE_LINGERING,
        [WR_LIFE_ENDING] = 1u << WR_LIFE_DOOMED,
        [WR_LIFE_LOST] = 1u << WR_LIFE_ENDING,
    };
    wr_assert(state < WR_LIFE_STATES);
    wr_assert(allowed[state] >> t->state & 1u);
    t->state = state;
    if (!wr_transport_is_connection(t)) {
        return;
    }
    if (state == WR_LIFE_CLOSING || state == WR_LIFE_DOOMED) {
        wr_delivery_shut(wr_delivery_of(t));
    }
    if (state == WR_LIFE_DOOMED) {
        wr_outbox_shut(wr_outbox_of(t));
    } else if (state == WR_LIFE_CLOSING) {
        wr_outbox_close(wr_outbox_of(t));
    } else if (state == WR_LIFE_OPEN &&
               wr_outbox_of(t)->state == WR_OUTBOX_NEW) {
        wr_outbox_open(wr_outbox_of(t)); /* unless a handshake has opened it */
    }
}

/* True if the connection is not open or has failed. */
bool wr_life_is_closing(const weir_transport *t);

const char *wr_life_state_name(const weir_transport *t);

void wr_life_doom(weir_transport *t);
void wr_life_expire(weir_transport *t, const struct wr_deadline *over);
/* Removes a LOST connection from the loop and from the server's set, and drops
 * the library's reference. May free the connection. */
void wr_life_leave(weir_transport *t);

/* Enters the first state after NEW, and counts the connection. */
static inline void wr_life_begin(weir_transport *t, enum wr_life_state state)
{
    wr_assert(t->state == WR_LIFE_NEW && t->step.run);
    wr_life_set_state(t, state);
    wr_loop_pin(t->loop);
    t->loop->budget.account_count++;
}

/* Enters LOST. Now the release of the last lease may free the connection. */
static inline void wr_life_lose(weir_transport *t)
{
    wr_life_set_state(t, WR_LIFE_LOST);
    t->demand.account.notify_released = true;
}

static inline void wr_life_push_step(weir_transport *t)
{
    wr_ready_push(&t->loop->ready, &t->step);
}

/* Returns false if the connection is not open. */
WEIR_MUST_USE static inline bool wr_life_close(weir_transport *t)
{
    if (t->state != WR_LIFE_OPEN) {
        return false;
    }
    wr_transport_set_end(t, WEIR_END_CLOSED);
    wr_life_set_state(t, WR_LIFE_CLOSING);
    wr_life_push_step(t);
    return true;
}

static inline bool wr_life_is_over(const weir_transport *t)
{
    return t->state >= WR_LIFE_DOOMED;
}

#endif

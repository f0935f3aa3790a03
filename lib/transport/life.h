/*
 * Lives: the states of a connection from its creation to its loss.
 *
 *     NEW -> OPEN -> CLOSING -> LINGERING
 *       \      ^  \________\___________\__ DOOMED -> ENDING -> LOST
 *        \     |                          /
 *         HANDSHAKING ___________________/
 *
 *     OPEN <-> MOVING -> DOOMED
 *
 * Every transport that moves bytes or datagrams has a life. A kind decides from
 * its own facts when to change the state, and does its own part of the change.
 * This file has the common part: the allowed changes, their effect on the
 * outbox and the delivery, and how a connection is added to and removed from
 * the loop, the budget and a server's set.
 *
 * A call by the program never runs a callback of the life cycle. It changes the
 * state and schedules the transport's step, which the loop runs.
 */
#ifndef WEIR_LIB_TRANSPORT_LIFE_H
#define WEIR_LIB_TRANSPORT_LIFE_H

#include "connection.h"

/* Changes the state. Inlined with a constant @state, little code is left. */
static inline void wr_life_set_state(weir_transport *t,
                                     enum wr_life_state state)
{
    /* For each state, a bit for each state from which it may be entered. */
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
        wr_outbox_open(wr_outbox_of(t)); /* a handshake opens it earlier */
    }
}

/* ->is_closing of a connection's table. Returns true if the connection is not
 * open or has failed. */
bool wr_life_is_closing(const weir_transport *t);

const char *wr_life_state_name(const weir_transport *t);

/* Enters DOOMED and schedules the step, unless DOOMED was entered before. */
void wr_life_doom(weir_transport *t);
void wr_life_expire(weir_transport *t, const struct wr_deadline *over);
/* Removes a LOST connection from the loop and the set, after connection_lost,
 * and drops the library's reference. May free it. */
void wr_life_leave(weir_transport *t);

/* Enters the first state after NEW: the loop counts the connection, and the
 * budget counts its bytes. */
static inline void wr_life_begin(weir_transport *t, enum wr_life_state state)
{
    wr_assert(t->state == WR_LIFE_NEW && t->step.run);
    wr_life_set_state(t, state);
    wr_loop_pin(t->loop);
    t->loop->budget.account_count++;
}

/* Enters LOST; no operation is in flight. From now on the release of the last
 * lease may free the connection. */
static inline void wr_life_lose(weir_transport *t)
{
    wr_life_set_state(t, WR_LIFE_LOST);
    t->demand.account.notify_released = true;
}

static inline void wr_life_push_step(weir_transport *t)
{
    wr_ready_push(&t->loop->ready, &t->step);
}

/* Starts a close. Returns false if the connection is not open. */
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

/* True if the end of the connection is decided. */
static inline bool wr_life_is_over(const weir_transport *t)
{
    return t->state >= WR_LIFE_DOOMED;
}

#endif

/*
 * Lives: where a connection stands, from its birth to its loss.
 *
 *     UNBORN -> OPEN -> CLOSING -> LINGERING
 *       \         ^  \________\___________\__ DOOMED -> ENDING -> LOST
 *        \        |                          /
 *         HANDSHAKING ______________________/
 *
 * Every kind of transport on which bytes or datagrams move has one: a stream
 * socket, a pipe, datagrams, TLS. The state is a field of the transport that
 * wr_life_set_state() alone writes. A kind decides when a step is due, from its
 * own facts, and does in it what is its own; here is what all have in common:
 * which steps there are, what they mean for the outbox and the delivery, and
 * how the loop, its budget and the set of a server come to know of a connection
 * and forget it.
 *
 * No call of the user runs a callback of the life cycle: it changes the state
 * and pushes the transport's step, which the loop runs.
 */
#ifndef WEIR_LIB_TRANSPORT_LIFE_H
#define WEIR_LIB_TRANSPORT_LIFE_H

#include "clock.h"
#include "delivery.h"
#include "outbox.h"
#include "transport.h"

/* Goes a step, which is a constant where this is called, so that little of this
 * is left there. */
static inline void wr_life_set_state(weir_transport *t,
                                     enum wr_life_state state)
{
    /* From which states each is entered. */
    static const uint8_t allowed[WR_LIFE_STATES] = {
        [WR_LIFE_HANDSHAKING] = 1u << WR_LIFE_UNBORN,
        [WR_LIFE_OPEN] = 1u << WR_LIFE_UNBORN | 1u << WR_LIFE_HANDSHAKING,
        [WR_LIFE_CLOSING] = 1u << WR_LIFE_OPEN,
        [WR_LIFE_LINGERING] = 1u << WR_LIFE_CLOSING,
        [WR_LIFE_DOOMED] = 1u << WR_LIFE_HANDSHAKING | 1u << WR_LIFE_OPEN |
                           1u << WR_LIFE_CLOSING | 1u << WR_LIFE_LINGERING,
        [WR_LIFE_ENDING] = 1u << WR_LIFE_DOOMED,
        [WR_LIFE_LOST] = 1u << WR_LIFE_ENDING,
    };
    wr_assert(state < WR_LIFE_STATES);
    wr_assert(allowed[state] >> t->state & 1u);
    t->state = state;
    if ((state == WR_LIFE_CLOSING || state == WR_LIFE_DOOMED) &&
        t->ops->delivery_offset > 0) {
        wr_delivery_shut(wr_delivery_of(t));
    }
    if (t->ops->outbox == NULL) {
        return;
    }
    if (state == WR_LIFE_DOOMED) {
        wr_outbox_shut(wr_outbox_of(t));
    } else if (state == WR_LIFE_CLOSING) {
        wr_outbox_close(wr_outbox_of(t));
    } else if (state == WR_LIFE_OPEN &&
               wr_outbox_of(t)->state == WR_OUTBOX_UNBORN) {
        wr_outbox_open(wr_outbox_of(t)); /* else a handshake's goes on */
    }
}

/* `is_closing` of a table: it is not open, or broken. */
bool wr_life_is_closing(const weir_transport *t);

/* For weir_loop_dump(). */
const char *wr_life_state_name(const weir_transport *t);

/* The connection is about to end; its step, which is pushed, does the rest. It
 * stays as it is when its end is decided already. */
void wr_life_doom(weir_transport *t);
/* A limit in time is over, which ends the connection. */
void wr_life_expire(weir_transport *t, const struct wr_deadline *over);
/* Of one that is LOST, when its protocol was told: the loop and the set forget
 * it, and the library's reference is given back, so it may be freed now. */
void wr_life_leave(weir_transport *t);

/* Enters the first state after UNBORN: the loop lives on with it, and keeps
 * account of its bytes. */
static inline void wr_life_begin(weir_transport *t, enum wr_life_state state)
{
    wr_assert(t->state == WR_LIFE_UNBORN && t->step.run);
    wr_life_set_state(t, state);
    wr_loop_pin(t->loop);
    t->loop->budget.account_count++;
}

/* No operation is in flight: it is LOST, and the last lease that is given back
 * may free it. */
static inline void wr_life_lose(weir_transport *t)
{
    wr_life_set_state(t, WR_LIFE_LOST);
    t->demand.account.notify_released = true;
}

static inline void wr_life_push_step(weir_transport *t)
{
    wr_ready_push(&t->loop->ready, &t->step);
}

/* The program closes it. False: there is nothing to close. */
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

/* True once its end is decided. */
static inline bool wr_life_is_over(const weir_transport *t)
{
    return t->state >= WR_LIFE_DOOMED;
}

#endif

/*
 * The states of relays and of their directions, and what ends them.
 *
 * Everything that ends a relay closes or aborts both transports, at once or
 * after draining; the loop then reports their losses. The first cause is kept,
 * but an error replaces an end of stream. No function here moves bytes.
 */
#include "relay.h"

#include "weir/error.h"

#include <errno.h>

void wr_way_check_invariants(const struct wr_way *way)
{
    wr_assert(way->from == wr_way_back(way)->to);
    wr_assert(!way->initial || (way->holds & WR_WAY_INITIAL));
    wr_debug_assert(way->state < WR_WAY_STATES);
    wr_debug_assert(way->state != WR_WAY_ENDING ||
                    (way->holds & WR_WAY_INITIAL));
    wr_debug_assert(!(way->holds & WR_WAY_RATE) || way->rate);
}

void wr_relay_check_invariants(const struct wr_relay *relay)
{
    wr_assert(relay->state < WR_RELAY_OVER);
    wr_way_check_invariants(&relay->ways[0]);
    wr_way_check_invariants(&relay->ways[1]);
    wr_assert(!relay->ways[0].is_lost || !relay->ways[1].is_lost);
    wr_debug_assert(relay->has_cause || relay->state == WR_RELAY_OPEN);
    wr_debug_assert(relay->state != WR_RELAY_BROKEN ||
                    relay->ways[0].state == WR_WAY_BROKEN);
    wr_debug_assert(relay->state != WR_RELAY_BROKEN ||
                    relay->ways[1].state == WR_WAY_BROKEN);
    wr_debug_assert(relay->state != WR_RELAY_BROKEN || relay->err < 0);
    wr_debug_assert(relay->state != WR_RELAY_DRAINING || relay->err < 0);
    wr_debug_assert(relay->state != WR_RELAY_DRAINING ||
                    wr_way_back(relay->drain->way)->state == WR_WAY_BROKEN);
}

void wr_way_set_state(struct wr_way *way, enum wr_way_state state)
{
    /* For each state, a bit for each state from which it may be entered. */
    static const uint8_t allowed[WR_WAY_STATES] = {
        [WR_WAY_ENDING] = 1u << WR_WAY_OPEN,
        [WR_WAY_ENDED] = 1u << WR_WAY_OPEN | 1u << WR_WAY_ENDING,
        [WR_WAY_BROKEN] =
            1u << WR_WAY_OPEN | 1u << WR_WAY_ENDING | 1u << WR_WAY_ENDED,
    };
    wr_assert(state < WR_WAY_STATES);
    wr_assert(allowed[state] >> way->state & 1u);
    way->state = state;
}

void wr_relay_set_state(struct wr_relay *relay, enum wr_relay_state state)
{
    static const uint8_t allowed[WR_RELAY_STATES] = {
        [WR_RELAY_DRAINING] = 1u << WR_RELAY_OPEN | 1u << WR_RELAY_CLOSING,
        [WR_RELAY_CLOSING] = 1u << WR_RELAY_OPEN,
        [WR_RELAY_BROKEN] = 1u << WR_RELAY_OPEN | 1u << WR_RELAY_DRAINING |
                            1u << WR_RELAY_CLOSING,
        [WR_RELAY_OVER] = 1u << WR_RELAY_DRAINING | 1u << WR_RELAY_CLOSING |
                          1u << WR_RELAY_BROKEN,
    };
    wr_assert(state < WR_RELAY_STATES);
    wr_assert(allowed[state] >> relay->state & 1u);
    relay->state = state;
}

bool wr_way_is_read(const struct wr_way *way)
{
    wr_assert(way->relay->state < WR_RELAY_OVER);
    switch (way->state) {
    case WR_WAY_OPEN:
        return way->holds == 0;
    case WR_WAY_BROKEN:
        return !(way->holds & WR_WAY_RATE);
    default:
        return false;
    }
}

void wr_way_hold(struct wr_way *way, enum wr_way_hold reason)
{
    const bool was_read = wr_way_is_read(way);

    wr_assert(reason != 0);
    way->holds |= (uint8_t)reason;
    if (was_read && !wr_way_is_read(way)) {
        weir_transport_pause_reading(way->from);
    }
}

void wr_way_release(struct wr_way *way, enum wr_way_hold reason)
{
    const bool was_read = wr_way_is_read(way);

    wr_assert(way->holds & reason);
    way->holds &= (uint8_t)~reason;
    if (!was_read && wr_way_is_read(way)) {
        weir_transport_resume_reading(way->from);
    } else if (way->holds == WR_WAY_INITIAL) {
        wr_ready_push(&way->relay->loop->ready, &way->relay->step);
    }
}

weir_lease *wr_way_pop_initial(struct wr_way *way)
{
    weir_lease *lease = way->initial;

    wr_assert(lease && lease->refs > 0);
    way->initial = lease->next;
    lease->next = NULL;
    return lease;
}

void wr_way_drop_initial(struct wr_way *way)
{
    while (way->initial) {
        wr_lease_unref(wr_way_pop_initial(way));
    }
}

static void relay_state_note_cause(struct wr_relay *relay,
                                   enum weir_relay_party party,
                                   enum weir_relay_cause cause, int err)
{
    wr_assert(err <= 0);
    if (!relay->has_cause || (err < 0 && relay->err == 0)) {
        relay->has_cause = true;
        relay->ended_by = party;
        relay->cause = cause;
        relay->err = err;
    }
}

uint64_t wr_way_left(const struct wr_way *way)
{
    const weir_transport *to = way->to;
    const uint64_t queued = weir_transport_get_write_buffer_size(to);

    wr_assert(to != way->from);
    return to->ops->get_unacknowledged
               ? queued + to->ops->get_unacknowledged(to)
               : queued;
}

/* Returns true if bytes of a side wait for the other side, or for their rate. A
 * peer that reads slowly leaves bytes in the kernel's queue even when the relay
 * has just passed all on. */
static bool relay_state_is_held_up(const struct wr_way *way)
{
    return wr_way_is_live(way) &&
           ((way->holds & (WR_WAY_FULL | WR_WAY_RATE)) || wr_way_left(way) > 0);
}

static enum weir_relay_cause relay_state_find_cause(int err)
{
    wr_assert(err < 0);
    switch (err) {
    case -ECONNRESET:
    case -EPIPE:
    case -ECONNABORTED:
        return WEIR_RELAY_RESET;
    case -ETIMEDOUT:
    case WEIR_EIDLE:
    case WEIR_EREADTIMEOUT:
    case WEIR_EWRITESTALL:
    case WEIR_ECLOSETIMEOUT:
        return WEIR_RELAY_TIMEOUT;
    default:
        return WEIR_RELAY_ERROR;
    }
}

bool wr_relay_is_limit(int err)
{
    wr_assert(err < 0);
    return err != -ETIMEDOUT &&
           relay_state_find_cause(err) == WEIR_RELAY_TIMEOUT;
}

void wr_relay_note_error(struct wr_relay *relay, enum weir_relay_party party,
                         int err)
{
    wr_assert(err < 0 && relay->state < WR_RELAY_BROKEN);
    relay_state_note_cause(relay, party, relay_state_find_cause(err), err);
}

void wr_relay_correct_error(struct wr_relay *relay, int err)
{
    wr_assert(relay->has_cause && relay->err < 0);
    relay->cause = relay_state_find_cause(err);
    relay->err = err;
}

void wr_way_break(struct wr_way *way)
{
    if (way->state != WR_WAY_BROKEN) {
        wr_way_set_state(way, WR_WAY_BROKEN);
    }
    wr_way_drop_initial(way);
    wr_assert(!wr_way_is_live(way));
}

void wr_relay_break(struct wr_relay *relay, enum weir_relay_party party,
                    enum weir_relay_cause cause, int err)
{
    wr_assert(err < 0);
    if (relay->state >= WR_RELAY_BROKEN) {
        return;
    }
    relay_state_note_cause(relay, party, cause, err);
    wr_relay_set_state(relay, WR_RELAY_BROKEN);
    wr_timer_cancel(&relay->loop->wheel, &relay->timer);
    for (int i = 0; i < 2; i++) {
        wr_way_break(&relay->ways[i]);
        weir_transport_abort(relay->ways[i].from);
    }
}

void wr_relay_break_by(struct wr_way *way, int err)
{
    const bool is_held_up =
        err == WEIR_EWRITESTALL && relay_state_is_held_up(way);

    wr_assert(way->relay->state < WR_RELAY_OVER);
    wr_relay_break(
        way->relay, way->party,
        is_held_up ? WEIR_RELAY_HELD_UP : relay_state_find_cause(err), err);
}

void wr_relay_way_ended(struct wr_relay *relay, struct wr_way *way)
{
    wr_assert(way->state == WR_WAY_ENDED);
    wr_assert(relay->state <= WR_RELAY_DRAINING);
    relay->active_ns = weir_loop_get_time(relay->loop);
    relay_state_note_cause(relay, way->party, WEIR_RELAY_EOF, 0);
    if (relay->state == WR_RELAY_DRAINING) {
        return; /* the error follows this end */
    }
    if (wr_way_back(way)->state == WR_WAY_ENDED || relay->closes_at_once) {
        wr_relay_set_state(relay, WR_RELAY_CLOSING);
        for (int i = 0; i < 2; i++) { /* connection_lost reports errors */
            weir_transport_close(relay->ways[i].from);
        }
    }
}

/*
 * Draining: a relay of which one side has broken.
 *
 * Bytes that the broken side has sent before its error are passed on. When the
 * other side has no queued bytes and its peer's kernel has acknowledged
 * everything, the other side is aborted: its peer receives all bytes, and then
 * a reset. Bytes of the opposite direction are read and dropped, because a peer
 * that writes before it reads would otherwise never read.
 *
 * No event reports an acknowledgement, so the relay's timer checks. Without
 * progress the wait ends after the side's write-stall limit, and in any case
 * after its limit for a close, or after the default times of a close. While
 * bytes wait only for the direction's rate limit, the peer need not make
 * progress.
 */
#include "relay.h"

#define LOOK_FIRST_NS WEIR_MILLISECONDS(2)
#define LOOK_LAST_NS  WEIR_SECONDS(1)

static bool relay_drain_has_passed_all(const struct wr_way *way)
{
    wr_assert(wr_way_back(way)->state == WR_WAY_BROKEN);
    return way->is_lost && !(way->initial && wr_way_is_live(way));
}

/* Returns the time at which the relay is broken even if bytes are left. */
static uint64_t relay_drain_end_ns(const struct wr_drain *drain)
{
    const weir_transport *to = drain->way->to;
    struct wr_handover handover;

    wr_assert(to->ops->get_handover);
    to->ops->get_handover(to, &handover);
    const uint64_t stall_ns = handover.timeouts.write_stall_ns;
    const uint64_t whole_ns = handover.timeouts.close_ns;
    wr_assert(drain->began_ns <= drain->taken_ns);
    return wr_min_u64(
        wr_add_sat(drain->taken_ns, stall_ns > 0 ? stall_ns : WR_END_STALL_NS),
        wr_add_sat(drain->began_ns, whole_ns > 0 ? whole_ns : WR_END_WHOLE_NS));
}

/* Estimates the time for @left bytes, if @moved bytes have taken @passed_ns. */
static uint64_t relay_drain_rest_ns(uint64_t passed_ns, uint64_t moved,
                                    uint64_t left)
{
    wr_assert(moved > 0);
    if (passed_ns == 0 || left / moved >= LOOK_LAST_NS / passed_ns) {
        return passed_ns == 0 ? LOOK_FIRST_NS : LOOK_LAST_NS;
    }
    return wr_max_u64(passed_ns * left / moved, LOOK_FIRST_NS);
}

static void relay_drain_note(struct wr_relay *relay, uint64_t left)
{
    struct wr_drain *drain = relay->drain;
    const uint64_t now_ns = weir_loop_get_time(relay->loop);
    const uint64_t taken = drain->way->bytes - left; /* modulo 2^64 */
    const uint64_t moved = taken - drain->taken_bytes;

    wr_assert(now_ns >= drain->looked_ns);
    if (moved == 0) {
        drain->wait_ns = wr_min_u64(drain->wait_ns * 2, LOOK_LAST_NS);
        if (left == 0 && (drain->way->holds & WR_WAY_RATE)) {
            drain->taken_ns = now_ns;
        }
    } else {
        drain->wait_ns =
            relay_drain_rest_ns(now_ns - drain->looked_ns, moved, left);
        drain->taken_bytes = taken;
        drain->taken_ns = now_ns;
        relay->active_ns = now_ns;
    }
    drain->looked_ns = now_ns;
}

uint64_t wr_relay_drain_next_ns(const struct wr_relay *relay)
{
    const struct wr_drain *drain = relay->drain;

    if (relay->state != WR_RELAY_DRAINING) {
        return UINT64_MAX;
    }
    wr_assert(drain->taken_ns <= drain->looked_ns);
    return wr_min_u64(wr_add_sat(drain->looked_ns, drain->wait_ns),
                      relay_drain_end_ns(drain));
}

/* Makes the relay's timer fire at the next check, or earlier. */
static void relay_drain_arm(struct wr_relay *relay)
{
    const uint64_t when_ns = wr_relay_drain_next_ns(relay);

    wr_assert(relay->state == WR_RELAY_DRAINING);
    if (!wr_timer_is_armed(&relay->timer) || when_ns < relay->timer.when_ns) {
        wr_timer_arm(&relay->loop->wheel, &relay->timer, when_ns);
    }
}

void wr_relay_drain_look(struct wr_relay *relay)
{
    const struct wr_drain *drain = relay->drain;
    const uint64_t left = wr_way_left(drain->way);

    wr_assert(!wr_way_back(drain->way)->is_lost);
    relay_drain_note(relay, left);
    if ((left == 0 && relay_drain_has_passed_all(drain->way)) ||
        drain->looked_ns >= relay_drain_end_ns(drain)) {
        wr_relay_break_by(drain->way, relay->err);
    } else {
        relay_drain_arm(relay);
    }
}

static void relay_drain_begin(struct wr_relay *relay, struct wr_way *way)
{
    struct wr_way *back = wr_way_back(way);
    const uint64_t now_ns = weir_loop_get_time(relay->loop);

    wr_assert(!back->is_lost && !relay->drain);
    relay->drain = wr_alloc(&relay->loop->counting, sizeof(*relay->drain));
    if (!relay->drain) {
        wr_relay_break_by(way, relay->err);
        return;
    }
    *relay->drain = (struct wr_drain){.way = way,
                                      .began_ns = now_ns,
                                      .taken_ns = now_ns,
                                      .looked_ns = now_ns,
                                      .wait_ns = LOOK_FIRST_NS};
    wr_relay_set_state(relay, WR_RELAY_DRAINING);
    relay->drain->taken_bytes = way->bytes - wr_way_left(way);
    wr_way_break(back);
    if (wr_way_is_read(back)) { /* its bytes are dropped */
        weir_transport_resume_reading(back->from);
    }
    relay_drain_arm(relay);
}

/* Returns true if the other side may send its remaining bytes after an error of
 * the side of @way. If both sides are closing, each ends within its own
 * limits. */
static bool relay_drain_may_begin(const struct wr_way *way, int err)
{
    const enum wr_relay_state state = way->relay->state;

    wr_assert(err < 0);
    return !wr_way_back(way)->is_lost &&
           (state == WR_RELAY_CLOSING ||
            (state == WR_RELAY_OPEN && !wr_relay_is_limit(err)));
}

/* If the relay is already draining because of @way, @err may be the cause of
 * the first error. The first error is reported before the last bytes from its
 * side are read, and these may contain a TLS alert, which is the cause. */
void wr_relay_fail(struct wr_way *way, int err)
{
    struct wr_relay *relay = way->relay;

    wr_assert(err < 0 && relay->state < WR_RELAY_OVER);
    if (relay->state == WR_RELAY_DRAINING && relay->drain->way == way) {
        wr_relay_correct_error(relay, err);
    } else if (relay_drain_may_begin(way, err)) {
        wr_relay_note_error(relay, way->party, err);
        relay_drain_begin(relay, way);
    } else {
        wr_relay_break_by(way, err);
    }
}

/*
 * The time limits of a relay: its deadlines and its rates.
 *
 * A relay has one timer, and traffic does not touch it. If there is an idle
 * limit, the timer checks four times in that limit whether bytes have moved, so
 * the limit is accurate to a quarter. A direction that has used up its rate is
 * not read until the timer has refilled it.
 */
#include "relay.h"
#include "weir/error.h"

#include <errno.h>

#define RATE_BURST_LEAST 4096u
#define RATE_BURST_PART  8u /* of a second */
#define SECOND_NS        WEIR_SECONDS(1)
#define LOOKS            4u /* in an idle limit */

static int64_t relay_time_burst(const struct wr_rate *rate)
{
    wr_assert(rate->bytes > 0);
    return (int64_t)wr_max_u64(rate->bytes / RATE_BURST_PART, RATE_BURST_LEAST);
}

/* Returns @a * @b / @c, which must fit. */
static uint64_t relay_time_scale(uint64_t a, uint64_t b, uint64_t c)
{
    wr_assert(c > 0);
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)a * b / c);
}

static void relay_time_fill(struct wr_rate *rate, uint64_t now_ns)
{
    const int64_t burst = relay_time_burst(rate);
    const uint64_t missing = (uint64_t)(burst - rate->left);
    /* The time after which the burst is full again. */
    const uint64_t most_ns =
        relay_time_scale(missing, SECOND_NS, rate->bytes) + 1;
    const uint64_t passed_ns = now_ns - rate->filled_ns;

    wr_assert(now_ns >= rate->filled_ns && rate->left <= burst);
    if (passed_ns >= most_ns) {
        rate->left = burst;
    } else {
        rate->left +=
            (int64_t)relay_time_scale(passed_ns, rate->bytes, SECOND_NS);
    }
    rate->filled_ns = now_ns;
}

struct relay_deadline {
    uint64_t when_ns; /* UINT64_MAX if there is no deadline */
    enum weir_relay_cause cause;
    int err;
};

static void relay_time_consider(struct relay_deadline *first, uint64_t since_ns,
                                uint64_t limit_ns,
                                const struct relay_deadline *limit)
{
    const uint64_t when_ns = wr_add_sat(since_ns, limit_ns);

    wr_assert(limit->err < 0);
    if (limit_ns > 0 && when_ns < first->when_ns) {
        *first = *limit;
        first->when_ns = when_ns;
    }
}

static bool relay_time_is_half_closed(const struct wr_relay *relay)
{
    return relay->ways[0].state == WR_WAY_ENDED ||
           relay->ways[1].state == WR_WAY_ENDED;
}

static struct relay_deadline relay_time_next(const struct wr_relay *relay)
{
    struct relay_deadline first = {.when_ns = UINT64_MAX};

    wr_assert(relay->state < WR_RELAY_BROKEN);
    relay_time_consider(&first, relay->start_ns, relay->lifetime_ns,
                        &(struct relay_deadline){.cause = WEIR_RELAY_LIFETIME,
                                                 .err = -ETIMEDOUT});
    relay_time_consider(
        &first, relay->active_ns, relay->idle_ns,
        &(struct relay_deadline){.cause = WEIR_RELAY_IDLE, .err = WEIR_EIDLE});
    if (relay_time_is_half_closed(relay)) {
        relay_time_consider(
            &first, relay->active_ns, relay->half_closed_ns,
            &(struct relay_deadline){.cause = WEIR_RELAY_HALF_CLOSED,
                                     .err = WEIR_EIDLE});
    }
    return first;
}

static uint64_t relay_time_idle(const struct wr_relay *relay)
{
    const uint64_t half_closed_ns =
        relay_time_is_half_closed(relay) ? relay->half_closed_ns : 0;

    wr_assert(relay->state < WR_RELAY_BROKEN);
    if (relay->idle_ns == 0) {
        return half_closed_ns;
    }
    return half_closed_ns == 0 ? relay->idle_ns
                               : wr_min_u64(relay->idle_ns, half_closed_ns);
}

static void relay_time_look(struct wr_relay *relay)
{
    const uint64_t now_ns = weir_loop_get_time(relay->loop);
    uint64_t moved_bytes = 0; /* grows with each byte received or sent */

    wr_assert(relay->state < WR_RELAY_BROKEN);
    for (int i = 0; i < 2; i++) {
        const struct wr_way *way = &relay->ways[i];
        moved_bytes += 2 * way->bytes; /* modulo 2^64 */
        moved_bytes -= weir_transport_get_write_buffer_size(way->to);
    }
    relay->looked_ns = now_ns;
    if (moved_bytes != relay->moved_bytes) {
        relay->moved_bytes = moved_bytes;
        relay->active_ns = now_ns;
    }
}

static void relay_time_arm(struct wr_relay *relay)
{
    struct wr_timer *timer = &relay->timer;

    wr_assert(relay->state < WR_RELAY_OVER);
    if (relay->state == WR_RELAY_BROKEN) {
        wr_assert(!wr_timer_is_armed(timer));
        return;
    }
    const uint64_t idle_ns = relay_time_idle(relay);
    uint64_t when_ns = relay_time_next(relay).when_ns;
    if (idle_ns > 0) {
        when_ns = wr_min_u64(when_ns,
                             wr_add_sat(relay->looked_ns, idle_ns / LOOKS + 1));
    }
    when_ns = wr_min_u64(when_ns, wr_relay_drain_next_ns(relay));
    for (int i = 0; i < 2; i++) {
        const struct wr_way *way = &relay->ways[i];
        if (way->holds & WR_WAY_RATE) {
            when_ns = wr_min_u64(when_ns, way->rate->wake_ns);
        }
    }
    if (when_ns < UINT64_MAX &&
        (!wr_timer_is_armed(timer) || when_ns < timer->when_ns)) {
        wr_timer_arm(&relay->loop->wheel, timer, when_ns);
    }
}

void wr_way_spend(struct wr_way *way, size_t len)
{
    struct wr_rate *rate = way->rate;
    const uint64_t now_ns = way->relay->loop->now_ns;

    wr_assert(rate && rate->bytes > 0);
    wr_assert(len > 0 && len <= INT64_MAX / 2);
    relay_time_fill(rate, now_ns);
    rate->left -= (int64_t)len;
    if (rate->left > 0 || (way->holds & WR_WAY_RATE)) {
        return;
    }
    /* Half a burst, so that the direction is not woken for each receive. */
    const uint64_t needed = (uint64_t)(relay_time_burst(rate) / 2 - rate->left);
    rate->wake_ns = wr_add_sat(
        now_ns, relay_time_scale(needed, SECOND_NS, rate->bytes) + 1);
    wr_way_hold(way, WR_WAY_RATE);
    relay_time_arm(way->relay);
}

static void relay_time_wake(struct wr_way *way)
{
    const uint64_t now_ns = way->relay->loop->now_ns;

    wr_assert(!(way->holds & WR_WAY_RATE) || way->rate);
    if ((way->holds & WR_WAY_RATE) && way->rate->wake_ns <= now_ns) {
        relay_time_fill(way->rate, now_ns);
        wr_assert(way->rate->left > 0);
        wr_way_release(way, WR_WAY_RATE);
    }
}

static void relay_time_fired(struct wr_timer *timer)
{
    struct wr_relay *relay = wr_container_of(timer, struct wr_relay, timer);

    wr_relay_check_invariants(relay);
    wr_assert(!wr_timer_is_armed(timer));
    relay_time_look(relay);
    const struct relay_deadline next = relay_time_next(relay);
    if (next.when_ns <= relay->loop->now_ns) {
        wr_relay_break(relay, WEIR_RELAY_LIMIT, next.cause, next.err);
        return;
    }
    relay_time_wake(&relay->ways[0]);
    relay_time_wake(&relay->ways[1]);
    if (wr_relay_drain_next_ns(relay) <= relay->loop->now_ns) {
        wr_relay_drain_look(relay); /* may break the relay */
    }
    relay_time_arm(relay);
}

static int relay_time_make_rate(struct wr_way *way, uint64_t bytes)
{
    wr_assert(!way->rate && bytes > 0);
    way->rate = wr_alloc(&way->relay->loop->counting, sizeof(*way->rate));
    wr_require(way->rate, -ENOMEM);
    *way->rate = (struct wr_rate){.bytes = bytes};
    way->rate->left = relay_time_burst(way->rate);
    wr_assert(way->rate->left > 0);
    return 0;
}

int wr_relay_time_init(struct wr_relay *relay,
                       const struct weir_relay_options *options)
{
    const uint64_t rates[2] = {options->a_rate_bytes, options->b_rate_bytes};
    int err = 0;

    wr_assert(relay->loop);
    relay->idle_ns = options->idle_ns;
    relay->half_closed_ns = options->half_closed_ns;
    relay->lifetime_ns = options->lifetime_ns;
    wr_timer_init(&relay->timer, relay_time_fired);
    for (int i = 0; i < 2 && err == 0; i++) {
        if (rates[i] > 0) {
            err = relay_time_make_rate(&relay->ways[i], rates[i]);
        }
    }
    return err;
}

void wr_way_free_rate(struct wr_way *way)
{
    wr_assert(way->rate && !wr_timer_is_armed(&way->relay->timer));
    wr_free(&way->relay->loop->counting, way->rate, sizeof(*way->rate));
    way->rate = NULL;
}

void wr_relay_time_begin(struct wr_relay *relay)
{
    const uint64_t now_ns = weir_loop_get_time(relay->loop);

    wr_assert(relay->state == WR_RELAY_OPEN);
    relay->start_ns = now_ns;
    relay->active_ns = now_ns;
    relay_time_look(relay);
    relay_time_arm(relay);
}

void wr_relay_time_half_closed(struct wr_relay *relay)
{
    if (relay->half_closed_ns > 0) {
        relay_time_look(relay);
        relay_time_arm(relay);
    }
}

void wr_relay_time_stop(struct wr_relay *relay)
{
    wr_timer_cancel(&relay->loop->wheel, &relay->timer);
    wr_assert(!wr_timer_is_armed(&relay->timer));
}

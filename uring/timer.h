/*
 * Timers: a hierarchical wheel.
 *
 * Arming and cancelling cost the same however many timers are armed: a timer
 * is linked into the slot of its deadline, found by shifting and masking.
 * Slots of the lowest level are WR_TICK_NS wide; a timer never fires before
 * its deadline, and at most one tick after it. Timers of different ticks fire
 * in order of their deadlines, passed ones too, timers of one tick in the order
 * of arming. The wheel knows no clock: the loop tells it the time.
 */
#ifndef WEIR_URING_TIMER_H
#define WEIR_URING_TIMER_H

#include "list.h"

#include <stdint.h>

#define WR_TICK_NS     1024u
#define WR_WHEEL_BITS  6u
#define WR_WHEEL_SLOTS (1u << WR_WHEEL_BITS)
/* 54 bits of ticks cover every 64-bit nanosecond count. Deadlines that round up
 * past them, UINT64_MAX among them, lie in the tenth level, whose time never
 * comes. */
#define WR_WHEEL_LEVELS 10u

struct wr_timer;

typedef void wr_timer_expire_fn(struct wr_timer *timer);

/* Embedded in its owner; moves only while it is not armed. */
struct wr_timer {
    struct wr_list link;
    uint64_t when_ns;
    wr_timer_expire_fn *expire;
};

struct wr_wheel {
    uint64_t now_tick;
    uint64_t armed_count;
    uint64_t next_ns; /* no slot's deadline has an earlier tick; 0: unknown */
    bool is_expiring; /* set and cleared by wr_wheel_expire() */
    uint64_t occupied[WR_WHEEL_LEVELS]; /* one bit for each slot in use */
    /* The slot of each level that is being dealt out ahead of its time (0:
     * none), and the lists in which its timers wait, by the digit below. */
    uint8_t staged_index[WR_WHEEL_LEVELS];
    uint64_t staged[WR_WHEEL_LEVELS]; /* one bit for each list in use */
    struct wr_list slots[WR_WHEEL_LEVELS][WR_WHEEL_SLOTS];
    struct wr_list stages[WR_WHEEL_LEVELS][WR_WHEEL_SLOTS];
    struct wr_list past; /* armed for the past since the last expiry */
    struct wr_list due;  /* expired, not called yet */
};

/* The bits and the lists that they stand for; with few timers each timer. */
void wr_wheel_check_invariants(const struct wr_wheel *wheel);

void wr_wheel_init(struct wr_wheel *wheel, uint64_t now_ns);

void wr_timer_init(struct wr_timer *timer, wr_timer_expire_fn *expire);

static inline bool wr_timer_is_armed(const struct wr_timer *timer)
{
    return wr_list_is_linked(&timer->link);
}

/* Arms, or moves a timer that is armed. A deadline in the past is due at once,
 * UINT64_MAX never. */
void wr_timer_arm(struct wr_wheel *wheel, struct wr_timer *timer,
                  uint64_t when_ns);

/* Harmless when the timer is not armed. */
void wr_timer_cancel(struct wr_wheel *wheel, struct wr_timer *timer);

/* No timer fires before this time; UINT64_MAX when none ever does, 0 when one
 * is due. It is the first deadline rounded up to its tick, unless more than a
 * handful of timers share a slot of a higher level: then it may be earlier. */
uint64_t wr_wheel_next(struct wr_wheel *wheel);

/* The time of the last expiry, in whole ticks. What was armed for the past, and
 * waits, was armed since. */
static inline uint64_t wr_wheel_time(const struct wr_wheel *wheel)
{
    return wheel->now_tick * WR_TICK_NS;
}

/* Calls the timers that are due at @now_ns, at most @max of them; the rest
 * stay due. A timer is disarmed when it is called, may arm itself and others
 * and may cancel any. Timers armed by the calls run in the next expiry at the
 * earliest. Returns how many were called. */
unsigned wr_wheel_expire(struct wr_wheel *wheel, uint64_t now_ns, unsigned max);

#endif

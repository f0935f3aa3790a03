/*
 * Timers: a hierarchical wheel.
 *
 * Arming and cancelling take constant time. Slots of the lowest level are
 * WR_TICK_NS wide. A timer fires at its deadline or at most one tick later,
 * never before. Timers of different ticks fire in the order of their deadlines,
 * even if these are in the past; timers of one tick fire in the order of
 * arming.
 */
#ifndef WEIR_URING_TIMER_H
#define WEIR_URING_TIMER_H

#include "list.h"

#include <stdint.h>

#define WR_TICK_NS     1024u
#define WR_WHEEL_BITS  6u
#define WR_WHEEL_SLOTS (1u << WR_WHEEL_BITS)
/* 54 bits of ticks cover all 64-bit nanosecond counts. Deadlines that round up
 * beyond them, like UINT64_MAX, are in the tenth level and never fire. */
#define WR_WHEEL_LEVELS 10u

struct wr_timer;

typedef void wr_timer_expire_fn(struct wr_timer *timer);

/* Embedded in its owner. It may be moved only while it is not armed. */
struct wr_timer {
    struct wr_list link;
    uint64_t when_ns;
    wr_timer_expire_fn *expire;
};

struct wr_wheel {
    uint64_t now_tick;
    uint64_t armed_count;
    uint64_t next_ns; /* no deadline in a slot is earlier; 0 if unknown */
    bool is_expiring;
    struct wr_list due;  /* expired, not called yet */
    struct wr_list past; /* armed for the past since the last expiry */
    struct wr_list held; /* due, but not called before wr_wheel_release() */
    uint64_t occupied[WR_WHEEL_LEVELS]; /* a bit for each slot in use */
    /* The slot of each level whose timers are sorted early into stages[level],
     * with a list for each slot of the level below; 0 if there is none. */
    uint8_t staged_index[WR_WHEEL_LEVELS];
    uint64_t staged[WR_WHEEL_LEVELS]; /* a bit for each list in use */
    struct wr_list slots[WR_WHEEL_LEVELS][WR_WHEEL_SLOTS];
    struct wr_list stages[WR_WHEEL_LEVELS][WR_WHEEL_SLOTS];
};

/* A wheel with at most this many timers need not sort them early. */
#define WR_WHEEL_FEW 16u

void wr_wheel_check_invariants(const struct wr_wheel *wheel);

void wr_wheel_init(struct wr_wheel *wheel, uint64_t now_ns);

void wr_timer_init(struct wr_timer *timer, wr_timer_expire_fn *expire);

static inline bool wr_timer_is_armed(const struct wr_timer *timer)
{
    return wr_list_is_linked(&timer->link);
}

/* A deadline in the past is due immediately, UINT64_MAX never. */
void wr_timer_arm(struct wr_wheel *wheel, struct wr_timer *timer,
                  uint64_t when_ns);

void wr_timer_cancel(struct wr_wheel *wheel, struct wr_timer *timer);

/* Returns a time before which no timer fires: the first deadline rounded up to
 * its tick, or an earlier time if many timers share a slot. Returns 0 or a past
 * time if a timer is due, UINT64_MAX if no timer ever fires. */
uint64_t wr_wheel_next(struct wr_wheel *wheel);

/* Like wr_wheel_next(), without a search. Returns 0 if a timer may be due. */
static inline uint64_t wr_wheel_known_next(const struct wr_wheel *wheel)
{
    return wr_list_is_empty(&wheel->due) ? wheel->next_ns : 0;
}

/* Returns true if wr_wheel_next() would not return less than @when_ns again. */
static inline bool wr_wheel_waits_until(const struct wr_wheel *wheel,
                                        uint64_t when_ns)
{
    return wr_wheel_known_next(wheel) > when_ns - WR_TICK_NS;
}

/* Returns true if an expiry at @now_ns would call no timer and can be left out.
 * A wheel with many timers needs each expiry, which sorts some timers early. */
static inline bool wr_wheel_is_quiet(const struct wr_wheel *wheel,
                                     uint64_t now_ns)
{
    return wheel->armed_count == 0 || (wheel->armed_count <= WR_WHEEL_FEW &&
                                       wr_wheel_known_next(wheel) > now_ns);
}

/* Returns false if no timer is due at @when_ns. */
static inline bool wr_wheel_may_be_due(const struct wr_wheel *wheel,
                                       uint64_t when_ns)
{
    return WR_UNLIKELY(wheel->next_ns <= when_ns) && wheel->armed_count > 0;
}

/* Holds back the timers that became due after @past_ns, which is not later than
 * @now_ns: no expiry calls them before wr_wheel_release(). Earlier timers, and
 * timers that are armed for the past later, are not held. Returns the first
 * deadline of the held timers, or UINT64_MAX if there are none. */
uint64_t wr_wheel_hold(struct wr_wheel *wheel, uint64_t past_ns,
                       uint64_t now_ns);
/* Lets the next expiry call the held timers, after the due timers. */
void wr_wheel_release(struct wr_wheel *wheel);

static inline bool wr_wheel_holds(const struct wr_wheel *wheel)
{
    return !wr_list_is_empty(&wheel->held);
}

/* Calls at most @max of the timers that are due at @now_ns; the rest stay due.
 * Returns the number of calls. A timer is disarmed before its call, and may arm
 * and cancel any timer. Timers armed by the calls run in a later expiry. */
unsigned wr_wheel_expire(struct wr_wheel *wheel, uint64_t now_ns, unsigned max);

#endif

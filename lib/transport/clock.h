/*
 * Time limits of a connection. A connection has one timer. Traffic only records
 * the time, and does not rearm the timer when a limit moves to a later time.
 * When the timer fires, it computes the limit that expires next, and ends the
 * connection or is armed again. An expired limit restarts if the loop was late,
 * not the peer.
 */
#ifndef WEIR_LIB_TRANSPORT_CLOCK_H
#define WEIR_LIB_TRANSPORT_CLOCK_H

#include "transport.h"
#include "weir/error.h"

/* The loop was late if the timer fires this long after a limit expired. */
#define WR_DEADLINE_LATE_NS 1000000u
/* Number of checks of the kernel's send queue in each write-stall limit. */
#define WR_STALL_LOOKS 8u

/* A close that waits for the peer ends if the peer acknowledged nothing for
 * this time. */
#define WR_END_STALL_NS WEIR_SECONDS(30)
/* Without a limit of the program, such a close ends after this time in total: a
 * peer that acknowledges byte by byte must not keep a descriptor for ever. */
#define WR_END_WHOLE_NS WEIR_SECONDS(300)
/* If the peer has acknowledged all bytes and continues to send, the close drops
 * what it sends. The close ends after this time or this many bytes. */
#define WR_END_REST_NS    WEIR_SECONDS(2)
#define WR_END_REST_BYTES (1u << 20)
/* Maximum bytes that a close drops while the peer takes nothing: more than the
 * kernel's queues between the two ends hold. */
#define WR_END_DROP_BYTES (64u << 20)

struct wr_deadline {
    uint64_t when_ns;  /* UINT64_MAX if there is no limit */
    int err;           /* error of the connection's end, or 0 */
    const char *where; /* static text for the error text */
};

/* Sets @first to the limit of @limit_ns after @since_ns if that limit expires
 * earlier. A @limit_ns of 0 means no limit. */
static inline void wr_deadline_consider(struct wr_deadline *first,
                                        uint64_t since_ns, uint64_t limit_ns,
                                        int err, const char *where)
{
    wr_assert(err <= 0);
    if (limit_ns == 0) {
        return;
    }
    const uint64_t when_ns = wr_add_sat(since_ns, limit_ns);
    if (when_ns < first->when_ns) {
        *first = (struct wr_deadline){when_ns, err, where};
    }
}

/* Facts that decide which limits are in force. The clock clears them before it
 * calls ->view_time. After a call of close, the close time-out is in force
 * unless `is_over` is set. */
struct wr_clock_view {
    bool is_over; /* the end is decided, or the connection moves: no limit is in
                   * force */
    bool is_open; /* the idle limit is in force */
    /* The connection reads, and has a receive window and a buffer. */
    bool is_reading;
    bool is_sending;
    bool awaits_file;       /* the next bytes to send are read from a file */
    struct wr_deadline own; /* a limit that only this device has */
};

/* Size of the clock of any device; a device may add fields to struct wr_clock.
 */
#define WR_CLOCK_SIZE 112u

/* Limits, shared by the clocks of a loop that have the same limits, as nearly
 * all connections of a program do. */
struct wr_clock_limits {
    struct wr_list link;
    struct weir_timeouts of;
    uint64_t ref_count;
};

/* First field of a device's clock. Times are those of weir_loop_get_time(). */
struct wr_clock {
    struct wr_timer timer;
    weir_transport *t;
    /* A counted reference; NULL if there are no limits. */
    struct wr_clock_limits *shared;
    uint64_t received_ns; /* time of the last received byte, or of the start of
                           * reading */
    /* Time of the last sent byte, or of the first queued one. */
    uint64_t sent_ns;
    uint64_t closing_ns; /* start of the close time-out; 0 before a close */
};

void wr_clock_init(struct wr_clock *clock, weir_transport *t);

WEIR_MUST_USE static inline bool
wr_timeouts_are_set(const struct weir_timeouts *timeouts)
{
    return (timeouts->idle_ns | timeouts->read_ns | timeouts->write_stall_ns |
            timeouts->close_ns | timeouts->linger_ns) != 0;
}

static inline const struct weir_timeouts *
wr_clock_get_limits(const struct wr_clock *clock)
{
    static const struct weir_timeouts none;

    return clock->shared ? &clock->shared->of : &none;
}

/* Stores the limits and changes nothing else. Returns 0, or -ENOMEM, which
 * leaves the limits unchanged. */
WEIR_MUST_USE int wr_clock_keep_limits(struct wr_clock *clock,
                                       const struct weir_timeouts *limits);

/* Sets the limits; idle, read and write-stall limits start now. Returns 0 or
 * -ENOMEM. */
WEIR_MUST_USE int wr_clock_set_limits(struct wr_clock *clock,
                                      const struct weir_timeouts *limits);

/* Called when ->view_time would return other facts. Arms the timer earlier, or
 * cancels it, if necessary. */
void wr_clock_changed(struct wr_clock *clock);

void wr_clock_close(struct wr_clock *clock);

void wr_clock_stop(struct wr_clock *clock);

void wr_clock_fini(struct wr_clock *clock);

struct wr_deadline wr_clock_next(const struct wr_clock *clock);

static inline void wr_clock_note_received(struct wr_clock *clock)
{
    clock->received_ns = weir_loop_get_time(clock->t->loop);
}

static inline void wr_clock_note_sent(struct wr_clock *clock)
{
    clock->sent_ns = weir_loop_get_time(clock->t->loop);
}

/* Starts the write-stall limit. Called when bytes join an empty queue. No other
 * limit expires earlier because of them. */
static inline void wr_clock_begin_sending(struct wr_clock *clock)
{
    wr_clock_note_sent(clock);
    const uint64_t stall_ns = wr_clock_get_limits(clock)->write_stall_ns;
    if (stall_ns != 0 &&
        (!wr_timer_is_armed(&clock->timer) ||
         clock->timer.when_ns - clock->sent_ns > stall_ns / WR_STALL_LOOKS)) {
        wr_clock_changed(clock);
    }
}

#endif

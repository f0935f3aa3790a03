/*
 * Time limits of a connection, with one timer. Traffic only records the time;
 * it does not rearm the timer. When the timer fires, it computes the limit that
 * expires next, and ends the connection or is armed again. An expired limit
 * restarts if the loop was late, not the peer.
 */
#ifndef WEIR_LIB_TRANSPORT_CLOCK_H
#define WEIR_LIB_TRANSPORT_CLOCK_H

#include "transport.h"
#include "weir/error.h"

/* The loop was late if the timer fires this long after a limit expired. */
#define WR_DEADLINE_LATE_NS 1000000u
/* Number of checks of the kernel's send queue in each write-stall limit. */
#define WR_STALL_LOOKS 8u

/* Limit of a close during which the peer acknowledges nothing. */
#define WR_END_STALL_NS WEIR_SECONDS(30)
/* Limit of a close without a time-out; a peer may acknowledge byte by byte. */
#define WR_END_WHOLE_NS WEIR_SECONDS(300)
/* Limits of a close while a peer that has acknowledged all still sends. */
#define WR_END_REST_NS    WEIR_SECONDS(2)
#define WR_END_REST_BYTES (1u << 20)
/* Bytes that a close drops at most: more than the kernel's queues hold. */
#define WR_END_DROP_BYTES (64u << 20)

struct wr_deadline {
    uint64_t when_ns; /* UINT64_MAX if there is no limit */
    int err;          /* error of the connection's end, or 0 */
    const char *where;
};

/* Sets @first to this limit if it expires earlier. 0 means no limit. */
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

/* Facts that decide which limits are in force; zeroed before ->view_time. The
 * close time-out is in force after a close unless `is_over` is set. */
struct wr_clock_view {
    /* No limit is in force: the end is decided, or the connection moves. */
    bool is_over;
    bool is_open;
    /* The connection reads, and has a receive window and a buffer. */
    bool is_reading;
    bool is_sending;
    bool awaits_file;       /* the next bytes to send are read from a file */
    struct wr_deadline own; /* a limit that only this device has */
};

/* Maximum size of a device's clock, which starts with a struct wr_clock. */
#define WR_CLOCK_SIZE 112u

/* Limits that connections of a loop share if they have the same limits. */
struct wr_clock_limits {
    struct wr_list link;
    struct weir_timeouts of;
    uint64_t ref_count;
};

/* First field of a device's clock. Times are those of weir_loop_get_time(). */
struct wr_clock {
    struct wr_timer timer;
    weir_transport *t;
    /* A counted reference, or NULL. */
    struct wr_clock_limits *shared;
    /* Time of the last received byte, or of the start of reading. */
    uint64_t received_ns;
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

/* Stores the limits without starting them. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_clock_keep_limits(struct wr_clock *clock,
                                       const struct weir_timeouts *limits);

/* Like wr_clock_keep_limits(); idle, read and write-stall limits start now. */
WEIR_MUST_USE int wr_clock_set_limits(struct wr_clock *clock,
                                      const struct weir_timeouts *limits);

/* Called when ->view_time would return other facts. Rearms the timer. */
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

/* Starts the write-stall limit; called when bytes join an empty queue. */
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

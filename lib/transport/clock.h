/*
 * The time limits of a connection.
 *
 * A connection has one timer. Traffic only notes the time, and a limit that has
 * moved to a later time leaves the timer as it is. When the timer fires, it
 * finds the limit that expires next, and either ends the connection or is armed
 * again. So a busy connection needs no timer operation per message.
 *
 * The kind of transport gives a view of the connection, which decides the
 * limits in force, and may check the kernel's queues. An expired limit is
 * restarted if the loop is to blame and not the peer: bytes have arrived that
 * the loop has not received yet.
 */
#ifndef WEIR_LIB_TRANSPORT_CLOCK_H
#define WEIR_LIB_TRANSPORT_CLOCK_H

#include "transport.h"
#include "weir/error.h"

/* A limit that is found expired by this much or more: the loop was late. */
#define WR_DEADLINE_LATE_NS 1000000u
/* Looks at the kernel's queue for each write-stall limit. */
#define WR_STALL_LOOKS 8u

/* An end that waits until the peer has all bytes is over if nothing was
 * acknowledged for this time, */
#define WR_END_STALL_NS WEIR_SECONDS(30)
/* and after this time in all if the program has set no limit: a peer that
 * acknowledges byte by byte must not keep a descriptor and a place in the
 * server for ever. */
#define WR_END_WHOLE_NS WEIR_SECONDS(300)
/* A peer that has all bytes and goes on sending is read for this time more, and
 * for this many bytes: it must not decide for how long an end lasts. */
#define WR_END_REST_NS    WEIR_SECONDS(2)
#define WR_END_REST_BYTES (1u << 20)
/* The most that a close drops while the peer takes nothing: more than the
 * kernel's queues between two ends hold, as there is room for bytes again when
 * a third of a queue is empty. */
#define WR_END_DROP_BYTES (64u << 20)

struct wr_deadline {
    uint64_t when_ns;  /* UINT64_MAX: there is none */
    int err;           /* the error of the end; 0: none */
    const char *where; /* for the text of the error; static */
};

/* Sets @first to the limit of @limit_ns (0: none) from @since_ns on, if it
 * expires earlier. */
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

/* The facts that decide a connection's limits. The clock sets all to false, and
 * `own` to none, before it calls ->view_time; without a fact only the close
 * time-out is in force. */
struct wr_clock_view {
    bool is_over;           /* its end is decided: no limit */
    bool is_open;           /* it may idle */
    bool is_reading;        /* and has credit and a buffer */
    bool is_sending;        /* bytes wait to be sent */
    bool awaits_file;       /* and the next bytes are read from a file */
    struct wr_deadline own; /* a limit of the kind's own */
};

/* The size of all clocks, whose kind may add its own fields. */
#define WR_CLOCK_SIZE 112u

/* Limits, shared by the clocks of a loop that have the same ones: nearly all
 * connections of a program do. */
struct wr_clock_limits {
    struct wr_list link; /* in the loop's list */
    struct weir_timeouts of;
    uint64_t ref_count;
};

/* The first field of a kind's clock. Times are as of weir_loop_get_time(). */
struct wr_clock {
    struct wr_timer timer;
    weir_transport *t;
    struct wr_clock_limits *shared; /* counted; NULL: there are none */
    uint64_t received_ns; /* of the last byte in, or of the begin of reading */
    uint64_t sent_ns;     /* of the last byte out, or of the queue's first */
    uint64_t closing_ns;  /* of the call of close; 0: not called */
};

void wr_clock_init(struct wr_clock *clock, weir_transport *t);

/* True if a time-out is set. */
WEIR_MUST_USE static inline bool
wr_timeouts_are_set(const struct weir_timeouts *timeouts)
{
    return (timeouts->idle_ns | timeouts->read_ns | timeouts->write_stall_ns |
            timeouts->close_ns | timeouts->linger_ns) != 0;
}

/* The limits; all are 0 where none are set. */
static inline const struct weir_timeouts *
wr_clock_get_limits(const struct wr_clock *clock)
{
    static const struct weir_timeouts none;

    return clock->shared ? &clock->shared->of : &none;
}

/* Keeps the limits, and changes nothing else: 0, or -ENOMEM and those of
 * before. Limits that are all 0, or that a clock of the loop got last, need no
 * memory.
 */
WEIR_MUST_USE int wr_clock_keep_limits(struct wr_clock *clock,
                                       const struct weir_timeouts *limits);

/* Sets the limits; the limits between bytes begin now. 0 or -ENOMEM. */
WEIR_MUST_USE int wr_clock_set_limits(struct wr_clock *clock,
                                      const struct weir_timeouts *limits);

/* Arms the timer earlier, or cancels it, if that is needed because a fact of
 * the view has changed. */
void wr_clock_changed(struct wr_clock *clock);

/* Begins the close time-out. */
void wr_clock_close(struct wr_clock *clock);

/* Cancels the timer, at the end of the connection. */
void wr_clock_stop(struct wr_clock *clock);

/* Stops it, and gives its limits back. */
void wr_clock_fini(struct wr_clock *clock);

/* The limit that would end the connection first. */
struct wr_deadline wr_clock_next(const struct wr_clock *clock);

static inline void wr_clock_note_received(struct wr_clock *clock)
{
    clock->received_ns = weir_loop_get_time(clock->t->loop);
}

static inline void wr_clock_note_sent(struct wr_clock *clock)
{
    clock->sent_ns = weir_loop_get_time(clock->t->loop);
}

/* The first bytes of a queue wait to be sent: the write-stall limit begins. No
 * other limit comes nearer by that. */
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

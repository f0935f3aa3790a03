/*
 * The limits of a connection in time, and who is to blame when one is over.
 *
 * One timer for a connection. Traffic only notes the time; the timer, when it
 * fires, works out which limit is next and either ends the connection or sleeps
 * on. So a busy connection costs no timer operation per message.
 *
 * A kind of transport says how a connection of its stands, from which follows
 * which limits are in force, and looks at the kernel's queues where that tells
 * more. A limit that is over is not the peer's fault where bytes wait here that
 * the loop has not come to; then it begins anew.
 */
#ifndef WEIR_LIB_TRANSPORT_CLOCK_H
#define WEIR_LIB_TRANSPORT_CLOCK_H

#include "transport.h"
#include "weir/error.h"

/* A limit that is over by more than this: the loop was held up. */
#define WR_DEADLINE_LATE_NS 1000000u

struct wr_deadline {
    uint64_t when_ns;  /* UINT64_MAX: there is none */
    int err;           /* of the end; 0: it is no error */
    const char *where; /* for the text of the error; static */
};

/* Puts a limit from @since_ns on into @first if it is sooner; 0: no limit. */
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

/* How a connection stands, for its limits. Before it is asked for nothing is
 * true, and `own` is none: then no limit is in force but that of a close. */
struct wr_clock_view {
    bool is_over;           /* its end is decided: none is */
    bool is_open;           /* it may idle */
    bool is_reading;        /* and no limit of ours keeps it from receiving */
    bool is_sending;        /* bytes wait to be sent */
    bool awaits_file;       /* and the next of them are with a file's device */
    struct wr_deadline own; /* another limit, of the kind of transport */
};

/* A kind of transport, as its clock knows it. */
struct wr_clock_ops {
    void (*view)(const weir_transport *t, struct wr_clock_view *ret);
    /* The limit is over, and the connection to be ended. */
    void (*expired)(weir_transport *t, const struct wr_deadline *over);
    /* The kernel's queues are looked at when that time has come; UINT64_MAX:
     * never. The look returns true when the connection need not be waited for
     * any more. NULL: they are not looked at. */
    uint64_t (*next_look_ns)(const weir_transport *t);
    bool (*look)(weir_transport *t);
};

/* Embedded in its owner. The times are of weir_loop_get_time(). */
struct wr_clock {
    struct wr_timer timer;
    weir_transport *t;
    const struct wr_clock_ops *ops;
    struct weir_timeouts limits;
    uint64_t received_ns; /* last byte in, or when reading began */
    uint64_t sent_ns;     /* last byte out, or when the queue began to fill */
    uint64_t closing_ns;  /* when close was called; 0: it was not */
    bool has_limits;      /* of any kind */
};

void wr_clock_init(struct wr_clock *clock, weir_transport *t,
                   const struct wr_clock_ops *ops);

/* True when one is set. */
WEIR_MUST_USE bool wr_timeouts_are_set(const struct weir_timeouts *timeouts);

/* The limits that hold from now on; those that speak of bytes begin now. */
void wr_clock_set_limits(struct wr_clock *clock,
                         const struct weir_timeouts *limits);

/* A fact that the limits depend on has changed. */
void wr_clock_changed(struct wr_clock *clock);

/* Close was called. */
void wr_clock_close(struct wr_clock *clock);

/* At the end of the connection. */
void wr_clock_stop(struct wr_clock *clock);

/* The limit that ends the connection first, as things stand. */
struct wr_deadline wr_clock_next(const struct wr_clock *clock);

static inline void wr_clock_note_received(struct wr_clock *clock)
{
    clock->received_ns = weir_loop_get_time(clock->t->loop);
}

static inline void wr_clock_note_sent(struct wr_clock *clock)
{
    clock->sent_ns = weir_loop_get_time(clock->t->loop);
}

#endif

/*
 * The internals of a relay: two transports, and a struct wr_way for each
 * direction.
 *
 *     relay  OPEN --both ways ended, or one if closes_at_once--> CLOSING
 *            OPEN, CLOSING --error of one side--> DRAINING
 *            OPEN, CLOSING, DRAINING --both aborted--> BROKEN
 *            CLOSING, DRAINING, BROKEN --both lost--> OVER
 *
 *     way    OPEN --end received before wr_way_begin()--> ENDING
 *            OPEN, ENDING --end passed on--> ENDED
 *            OPEN, ENDING, ENDED --bytes lost--> BROKEN
 *
 * A wr_way is the protocol's user pointer of its source transport, and gets
 * that transport's bytes and end. If the source transport pauses writing, it
 * holds the opposite direction, `back`.
 *
 * A direction is read unless something holds it: the other transport has no
 * space, the rate is used up, or bytes of the previous protocol must be sent
 * first. Bytes of a broken direction are dropped, and only its rate holds it.
 * Only wr_way_hold() pauses a transport. wr_way_release(), wr_way_begin() and
 * relay_drain.c resume it.
 *
 * An error of one side does not overtake the bytes of that side: the relay
 * drains (relay_drain.c) before it is broken. The program and the relay's own
 * limits break it immediately; so does a transport's limit in state OPEN.
 */
#ifndef WEIR_LIB_PROXY_RELAY_RELAY_H
#define WEIR_LIB_PROXY_RELAY_RELAY_H

#include "lib/proxy/libweir.h"
#include "weir/relay.h"

enum wr_way_state {
    WR_WAY_OPEN,   /* bytes may arrive */
    WR_WAY_ENDING, /* the end was received, but initial bytes go first */
    WR_WAY_ENDED,  /* the end was passed on */
    WR_WAY_BROKEN, /* bytes may be missing; nothing is passed on */
    WR_WAY_STATES,
};

/* Reasons for not reading, as bits. */
enum wr_way_hold {
    WR_WAY_FULL = 1u << 0,    /* the other side pauses writing */
    WR_WAY_RATE = 1u << 1,    /* too many bytes for the rate */
    WR_WAY_INITIAL = 1u << 2, /* initial bytes wait to be passed on */
};

/* A rate limit. ->left is the number of bytes that may pass now. It is negative
 * after a large receive. */
struct wr_rate {
    uint64_t bytes; /* per second, not 0 */
    int64_t left;
    uint64_t filled_ns;
    /* Time at which the hold ends, while WR_WAY_RATE holds the direction. */
    uint64_t wake_ns;
};

/* One direction. The first cache line has all that a message needs. */
struct wr_way {
    struct wr_relay *relay;
    weir_transport *from;
    weir_transport *to;
    uint64_t bytes;   /* passed on */
    uint64_t look_at; /* ->bytes at the next check; UINT64_MAX means never */
    enum wr_way_state state : 8;
    enum weir_relay_party party : 8; /* the source side */
    uint8_t holds;                   /* bits of wr_way_hold */
    bool is_lost;                    /* set by connection_lost of `from` */
    bool is_tapped;
    bool may_splice;      /* splicing is allowed and not requested yet */
    bool is_narrow;       /* set with ->look_at by relay_way_set_narrow() */
    struct wr_rate *rate; /* NULL means no limit */
    uint64_t first_ns;
    uint64_t spliced_bytes;      /* part of `bytes` that bypassed user space */
    struct wr_splicing splicing; /* used if no code reads the bytes */
    weir_lease *initial;         /* bytes not passed on yet, oldest first */
};

enum wr_relay_state {
    WR_RELAY_OPEN,
    /* One side has broken, the other sends the remaining bytes. */
    WR_RELAY_DRAINING,
    WR_RELAY_CLOSING, /* both transports send their remaining bytes */
    WR_RELAY_BROKEN,  /* both were aborted */
    WR_RELAY_OVER,    /* both are lost: done is called */
    WR_RELAY_STATES,
};

/* How much the peer of the intact side of a draining relay has received. */
struct wr_drain {
    struct wr_way *way; /* direction from the broken side */
    uint64_t began_ns;
    uint64_t taken_bytes; /* bytes that the peer had received at the last
                             progress; modulo 2^64 */
    /* Time of the last progress, or of the last check at which only the rate
     * held bytes. */
    uint64_t taken_ns;
    uint64_t looked_ns;
    uint64_t wait_ns; /* time until the next check */
};

struct wr_relay {
    weir_pending pending;
    weir_loop *loop;
    struct wr_list link;   /* in the loop's list */
    struct wr_way ways[2]; /* by weir_relay_party */
    uint64_t active_ns;    /* last check that found that bytes had moved */
    uint64_t looked_ns;    /* the last check */
    uint64_t moved_bytes;  /* value at the last check */
    uint64_t idle_ns;
    uint64_t half_closed_ns;
    uint64_t lifetime_ns;
    struct wr_timer timer;
    struct wr_ready step;   /* passes initial bytes on, checks for errors */
    struct wr_drain *drain; /* NULL if the relay has never drained */
    weir_relay_tap_fn *tap;
    void *tap_arg;
    weir_relay_done_fn *done; /* may be NULL */
    void *done_arg;
    uint64_t start_ns;
    int err; /* error of the end, or 0 */
    enum weir_relay_party ended_by : 8;
    enum weir_relay_cause cause : 8; /* set once, but an error replaces an end
                                      * of stream, and the cause of an error
                                      * replaces the error */
    enum wr_relay_state state : 8;
    bool has_cause : 1;
    bool closes_at_once : 1;
};

/* A proxy has one for each connection, so it must not grow unnoticed. */
_Static_assert(sizeof(struct wr_relay) <= 416, "an idle relay is small");

/* ---- relay_state.c ---- */

/* Check the invariants that hold whenever code of the program may run. */
void wr_way_check_invariants(const struct wr_way *way);
void wr_relay_check_invariants(const struct wr_relay *relay);

/* The only functions that change the states. */
void wr_way_set_state(struct wr_way *way, enum wr_way_state state);
void wr_relay_set_state(struct wr_relay *relay, enum wr_relay_state state);

/* Returns the opposite direction, its neighbour in wr_relay.ways. */
static inline struct wr_way *wr_way_back(const struct wr_way *way)
{
    struct wr_way *here = (struct wr_way *)(uintptr_t)way;

    _Static_assert(WEIR_RELAY_A == 0 && WEIR_RELAY_B == 1, "they are indices");
    wr_debug_assert(way->party <= WEIR_RELAY_B);
    return way->party == WEIR_RELAY_A ? here + 1 : here - 1;
}

static inline bool wr_way_is_live(const struct wr_way *way)
{
    return way->state == WR_WAY_OPEN || way->state == WR_WAY_ENDING;
}

/* Returns true if the source is read: the direction is open and nothing holds
 * it, or it is broken and not held by its rate. */
bool wr_way_is_read(const struct wr_way *way);
void wr_way_hold(struct wr_way *way, enum wr_way_hold reason);
void wr_way_release(struct wr_way *way, enum wr_way_hold reason);
/* Takes the oldest initial bytes, of which there must be some. */
weir_lease *wr_way_pop_initial(struct wr_way *way);
void wr_way_drop_initial(struct wr_way *way);

/* Returns how many bytes the other side's peer may not have received. */
uint64_t wr_way_left(const struct wr_way *way);
void wr_way_break(struct wr_way *way);
/* Aborts both sides, unless they are already aborted. */
void wr_relay_break(struct wr_relay *relay, enum weir_relay_party party,
                    enum weir_relay_cause cause, int err);
/* Calls wr_relay_break() for an error of the side of @way. */
void wr_relay_break_by(struct wr_way *way, int err);
/* Returns true for the errors of a transport's own time limits. */
bool wr_relay_is_limit(int err);
/* Stores the error of a side as the cause of the end, unless one is stored. */
void wr_relay_note_error(struct wr_relay *relay, enum weir_relay_party party,
                         int err);
/* Replaces the stored error by its cause. */
void wr_relay_correct_error(struct wr_relay *relay, int err);
/* Records an ended direction; closes both sides if nothing is left to do. */
void wr_relay_way_ended(struct wr_relay *relay, struct wr_way *way);

/* ---- relay_drain.c ---- */

/* Handles an error of the source transport of @way: drains the relay, or breaks
 * it if the error is a time limit in state OPEN, or if the other side is
 * already lost or broken. */
void wr_relay_fail(struct wr_way *way, int err);
/* Checks what the intact side has sent. Breaks the relay if that is everything,
 * if nothing was received for too long, or if draining takes too long. */
void wr_relay_drain_look(struct wr_relay *relay);
/* Returns the time of the next check, or UINT64_MAX. */
uint64_t wr_relay_drain_next_ns(const struct wr_relay *relay);

/* ---- relay_list.c ---- */

/* Allocates a zeroed relay in the loop's list of relays. May return NULL. */
WEIR_MUST_USE struct wr_relay *wr_relay_take(weir_loop *loop);
void wr_relay_give(struct wr_relay *relay);

/* ---- relay_time.c ---- */

/* Returns 0, or -ENOMEM, possibly after one of two rates was allocated. */
WEIR_MUST_USE int wr_relay_time_init(struct wr_relay *relay,
                                     const struct weir_relay_options *options);
/* The direction must have a rate, and the relay's timer must not be armed. */
void wr_way_free_rate(struct wr_way *way);
/* Starts all time limits, when both transports belong to the relay. */
void wr_relay_time_begin(struct wr_relay *relay);
/* Called when a direction has ended, which may bring the next limit nearer. */
void wr_relay_time_half_closed(struct wr_relay *relay);
void wr_relay_time_stop(struct wr_relay *relay);
/* Counts bytes against the rate; holds the direction if they were too many. */
void wr_way_spend(struct wr_way *way, size_t len);

/* ---- relay_way.c ---- */

/* Stores the bytes that this direction sends first. Returns 0 or -ENOMEM. */
WEIR_MUST_USE int wr_way_keep(struct wr_way *way, const struct weir_buf *bufs,
                              size_t count);
/* Starts the direction: limits the queue of `to` and the bytes that `from` may
 * hold. @has_ended is true if the end of `from` was already received. */
void wr_way_begin(struct wr_way *way, uint64_t buffer_bytes, bool has_ended);
/* Starts splicing if many bytes have passed and both transports support it. */
void wr_way_splice_if_due(struct wr_way *way);
/* Passes initial bytes on until none are left or the direction is held. */
void wr_way_pass_initial(struct wr_way *way);
/* Callbacks of the protocol of both transports. */
int wr_way_received(void *user, weir_transport *t, const struct weir_buf *buf);
int wr_way_received_end(void *user, weir_transport *t);
void wr_way_pause_back(void *user, weir_transport *t);
void wr_way_resume_back(void *user, weir_transport *t);

#endif

/*
 * The inside of a relay: two transports, and a way for each direction.
 *
 *     relay  OPEN --both ways ended--> CLOSING --both lost--> OVER
 *               \__________ DRAINING ______/               /
 *                \_____________\________________ BROKEN __/
 *
 *     way    OPEN --> ENDING --> ENDED
 *               \________\__________\__ BROKEN
 *
 * A way is the protocol's user pointer of the transport that it comes from: it
 * gets the transport's bytes and end. A pause of the transport's writing
 * concerns the way in the other direction, its `back`.
 *
 * A way is read unless something holds it: the other transport has no room, the
 * way has used up its rate, or bytes of the old protocol go first. Bytes of a
 * broken way are dropped, and only its rate holds it. Only wr_way_hold() and
 * wr_way_release() pause and resume a transport, and relay_drain.c when bytes
 * are only read to be dropped.
 *
 * An error of one side does not overtake the bytes of that side: the relay
 * drains (relay_drain.c) before it is broken. A limit and the program break it
 * at once.
 */
#ifndef WEIR_LIB_PROXY_RELAY_RELAY_H
#define WEIR_LIB_PROXY_RELAY_RELAY_H

#include "lib/loop/pending.h"
#include "lib/transport/splicing.h"
#include "lib/transport/transport.h"
#include "uring/lease.h"
#include "weir/relay.h"

enum wr_way_state {
    WR_WAY_OPEN,   /* bytes may come */
    WR_WAY_ENDING, /* the end has come, but initial bytes go first */
    WR_WAY_ENDED,  /* the end was passed on */
    WR_WAY_BROKEN, /* bytes may be missing, and nothing is passed on */
    WR_WAY_STATES,
};

/* The reasons for not reading, as bits. */
enum wr_way_hold {
    WR_WAY_FULL = 1u << 0,    /* the other side pauses writing */
    WR_WAY_RATE = 1u << 1,    /* too many bytes for the time */
    WR_WAY_INITIAL = 1u << 2, /* initial bytes wait to be passed on */
};

/* The bytes that may be passed on now; below 0 after a large receive. */
struct wr_rate {
    uint64_t bytes; /* a second; 0: no limit */
    int64_t left;
    uint64_t filled_ns;
    uint64_t wake_ns; /* while it holds the way */
};

/* Its first line of the cache has all that a message needs. */
struct wr_way {
    struct wr_relay *relay;
    weir_transport *from;
    weir_transport *to;
    uint64_t bytes;   /* passed on */
    uint64_t look_at; /* when as many were: at the kernel's room; or never */
    enum wr_way_state state : 8;
    enum weir_relay_party party : 8; /* the side that it comes from */
    uint8_t holds;                   /* sum of wr_way_hold */
    bool is_lost;                    /* set by connection_lost of `from` */
    bool is_tapped;
    bool may_splice;      /* and has not moved enough to ask for it */
    bool is_narrow;       /* set with ->look_at by relay_way_set_narrow() */
    struct wr_rate *rate; /* NULL: it has none */
    uint64_t first_ns;
    uint64_t spliced_bytes;      /* of `bytes`, past the program's memory */
    struct wr_splicing splicing; /* of a way that needs not see its bytes */
    weir_lease *initial;         /* not passed on, oldest first */
};

enum wr_relay_state {
    WR_RELAY_OPEN,
    WR_RELAY_DRAINING, /* one has broken, the other sends what is left */
    WR_RELAY_CLOSING,  /* both transports send what is left */
    WR_RELAY_BROKEN,   /* both were aborted */
    WR_RELAY_OVER,     /* both are lost: done is called */
    WR_RELAY_STATES,
};

/* A relay that drains: what the peer of the intact side has taken. */
struct wr_drain {
    struct wr_way *way; /* from the side that has broken */
    uint64_t began_ns;
    uint64_t taken_bytes; /* at the last progress; modulo 2^64 */
    uint64_t taken_ns; /* the time of it, or when the rate alone held bytes */
    uint64_t looked_ns;
    uint64_t wait_ns; /* from that look to the next one */
};

struct wr_relay {
    weir_pending pending;
    weir_loop *loop;
    struct wr_list link;   /* in the loop's list */
    struct wr_way ways[2]; /* by weir_relay_party */
    uint64_t active_ns;    /* when a look has seen that bytes moved */
    uint64_t looked_ns;    /* the last look */
    uint64_t moved_bytes;  /* what it saw */
    uint64_t idle_ns;
    uint64_t half_closed_ns;
    uint64_t lifetime_ns;
    struct wr_timer timer;
    struct wr_ready step;   /* passes initial bytes on, and looks for errors */
    struct wr_drain *drain; /* NULL: it does not drain, and never has */
    weir_relay_tap_fn *tap;
    void *tap_arg;
    weir_relay_done_fn *done; /* or NULL */
    void *done_arg;
    uint64_t start_ns;
    int err; /* of the end, as its party and cause; 0: none */
    enum weir_relay_party ended_by : 8;
    enum weir_relay_cause cause : 8; /* set once, but an error replaces an end
                                      * of stream */
    enum wr_relay_state state : 8;
    bool has_cause : 1;
    bool closes_at_once : 1;
};

/* A proxy has one for each connection; it is not to grow unseen. */
_Static_assert(sizeof(struct wr_relay) <= 416, "an idle relay is small");

/* ---- relay_state.c ---- */

/* Hold wherever code of the program may run; pure. */
void wr_way_check_invariants(const struct wr_way *way);
void wr_relay_check_invariants(const struct wr_relay *relay);

/* The only writers of the states. */
void wr_way_set_state(struct wr_way *way, enum wr_way_state state);
void wr_relay_set_state(struct wr_relay *relay, enum wr_relay_state state);

/* The way in the other direction, its neighbour in wr_relay.ways. */
static inline struct wr_way *wr_way_back(const struct wr_way *way)
{
    struct wr_way *here = (struct wr_way *)(uintptr_t)way;

    _Static_assert(WEIR_RELAY_A == 0 && WEIR_RELAY_B == 1, "they are indices");
    wr_debug_assert(way->party <= WEIR_RELAY_B);
    return way->party == WEIR_RELAY_A ? here + 1 : here - 1;
}

/* True while bytes may be passed on. */
static inline bool wr_way_is_live(const struct wr_way *way)
{
    return way->state == WR_WAY_OPEN || way->state == WR_WAY_ENDING;
}

/* True unless something holds the way. */
bool wr_way_is_read(const struct wr_way *way);
void wr_way_hold(struct wr_way *way, enum wr_way_hold reason);
void wr_way_release(struct wr_way *way, enum wr_way_hold reason);
/* The oldest initial bytes; there are some. */
weir_lease *wr_way_pop_initial(struct wr_way *way);
void wr_way_drop_initial(struct wr_way *way);

/* Bytes of the way that the other side's peer may not have. */
uint64_t wr_way_left(const struct wr_way *way);
/* Nothing is passed on any more. */
void wr_way_break(struct wr_way *way);
/* Aborts both sides; no effect if they were. */
void wr_relay_break(struct wr_relay *relay, enum weir_relay_party party,
                    enum weir_relay_cause cause, int err);
/* wr_relay_break() by an error of the side of @way. */
void wr_relay_break_by(struct wr_way *way, int err);
/* True of the errors by which a transport's own limits in time end it. */
bool wr_relay_is_limit(int err);
/* Keeps the error of a side as the cause of the end, unless there is one. */
void wr_relay_note_error(struct wr_relay *relay, enum weir_relay_party party,
                         int err);
/* The kept error has a cause of its own, which takes its place. */
void wr_relay_correct_error(struct wr_relay *relay, int err);
/* Notes that a way has ended; closes both sides if nothing is left to do. */
void wr_relay_way_ended(struct wr_relay *relay, struct wr_way *way);

/* ---- relay_drain.c ---- */

/* The transport that @way comes from has an error: drains the relay; breaks it
 * if that is a limit, or the other side has broken before. */
void wr_relay_fail(struct wr_way *way, int err);
/* Looks at what the intact side has sent, and breaks the relay if that is all,
 * nothing was taken for too long, or it takes too long in all. */
void wr_relay_drain_look(struct wr_relay *relay);
/* The time of the next look; UINT64_MAX: none. */
uint64_t wr_relay_drain_next_ns(const struct wr_relay *relay);

/* ---- relay_list.c ---- */

/* Zeroed memory of a relay, which is in the loop's list; NULL without memory.
 */
WEIR_MUST_USE struct wr_relay *wr_relay_take(weir_loop *loop);
void wr_relay_give(struct wr_relay *relay);

/* ---- relay_time.c ---- */

/* 0, or -ENOMEM, perhaps with one of two rates. */
WEIR_MUST_USE int wr_relay_time_init(struct wr_relay *relay,
                                     const struct weir_relay_options *options);
/* There is one, and the relay's timer is not armed. */
void wr_way_free_rate(struct wr_way *way);
/* Begins all times, when both transports are the relay's. */
void wr_relay_time_begin(struct wr_relay *relay);
/* A way has ended, which may bring the next limit nearer. */
void wr_relay_time_half_closed(struct wr_relay *relay);
void wr_relay_time_stop(struct wr_relay *relay);
/* Counts passed or dropped bytes of a way with a rate, and holds it if they
 * were too many. */
void wr_way_spend(struct wr_way *way, size_t len);

/* ---- relay_way.c ---- */

/* Keeps the initial bytes of a way that is being made: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_way_keep(struct wr_way *way, const struct weir_buf *bufs,
                              size_t count);
/* Begins: bounds the queue of `to` and what `from` may hold. @has_ended: the
 * end of `from` was received before. */
void wr_way_begin(struct wr_way *way, uint64_t buffer_bytes, bool has_ended);
/* Lets bulk pass by, if the way has moved much and the two transports can. */
void wr_way_splice_if_due(struct wr_way *way);
/* Passes initial bytes on, as long as nothing else holds the way. */
void wr_way_pass_initial(struct wr_way *way);
/* The entries of the protocol's table. */
int wr_way_received(void *user, weir_transport *t, const struct weir_buf *buf);
int wr_way_received_end(void *user, weir_transport *t);
void wr_way_pause_back(void *user, weir_transport *t);
void wr_way_resume_back(void *user, weir_transport *t);

#endif

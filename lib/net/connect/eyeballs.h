/*
 * Happy Eyeballs (RFC 8305): the order and the times of attempts.
 *
 * The pure part: candidates with their states, times and errors, and the next
 * step. It knows no socket, no timer and no clock; race.c asks it for the step,
 * takes it, and tells it how attempts end.
 *
 * - Families take turns, beginning with the preferred one; "interleave" says
 *   how many of that one come first.
 * - While an attempt hangs the next one begins after the delay; when the latest
 *   one fails the next begins at once.
 * - While a name is being looked up, addresses of the other families wait 50 ms
 *   for those of the preferred one. Addresses may come in at any time.
 */
#ifndef WEIR_LIB_NET_CONNECT_EYEBALLS_H
#define WEIR_LIB_NET_CONNECT_EYEBALLS_H

#include "weir/address.h"

#define WR_EYEBALLS_DELAY_NS      UINT64_C(250000000)
#define WR_EYEBALLS_RESOLUTION_NS UINT64_C(50000000)
#define WR_EYEBALLS_FAMILIES      3u /* IPv6, IPv4, Unix */

enum wr_candidate_state {
    WR_CANDIDATE_UNTRIED,
    WR_CANDIDATE_TRIED, /* an attempt is under way */
    WR_CANDIDATE_FAILED,
};

struct wr_candidate {
    struct weir_address address;
    struct weir_address own; /* of the socket of a failed one; len 0: none */
    enum wr_candidate_state state;
    int err; /* of a failed one */
};

struct wr_eyeballs {
    struct wr_candidate *candidates; /* the owner's memory */
    size_t count;
    size_t untried_count;
    size_t running_count; /* attempts under way */
    size_t latest;        /* the candidate tried last, if there is one */
    bool has_begun;       /* some candidate was tried */
    bool keeps_order;     /* families take no turns */
    uint32_t lead;        /* of the preferred family, before the turns begin */
    uint64_t delay_ns;    /* UINT64_MAX: one after the other */
    uint64_t next_ns;     /* when the delay is over */
    uint64_t hold_ns;     /* the preferred family is awaited until then */
    /* Families in the order of preference; 0 behind the last. */
    int families[WR_EYEBALLS_FAMILIES];
    uint32_t turn;    /* the family whose turn it is, an index */
    unsigned awaited; /* families that are being looked up, bits of indices */
};

struct wr_eyeballs_options {
    uint64_t delay_ns;   /* 0: the default */
    uint32_t interleave; /* 0: 1 */
    bool keeps_order;
};

enum wr_eyeballs_step {
    WR_EYEBALLS_TRY,    /* a candidate, now */
    WR_EYEBALLS_WAIT,   /* for the time, an answer or the end of an attempt */
    WR_EYEBALLS_FAILED, /* there is nothing left to try or to wait for */
};

void wr_eyeballs_init(struct wr_eyeballs *eyeballs,
                      const struct wr_eyeballs_options *options,
                      struct wr_candidate *candidates);

void wr_eyeballs_check_invariants(const struct wr_eyeballs *eyeballs);

/* The family is being looked up; the first family that is awaited is preferred.
 * Called before any attempt. */
void wr_eyeballs_await(struct wr_eyeballs *eyeballs, int family);

/* Adds a candidate at the end; the owner has made room. A family that was not
 * awaited comes behind the known families. */
void wr_eyeballs_add(struct wr_eyeballs *eyeballs,
                     const struct weir_address *address);

/* The family is not looked up any more. */
void wr_eyeballs_close(struct wr_eyeballs *eyeballs, int family);

/* True if there is one candidate, and no other can come. */
static inline bool wr_eyeballs_is_single(const struct wr_eyeballs *eyeballs)
{
    return eyeballs->count == 1 && eyeballs->awaited == 0;
}

/* The next thing to do at @now_ns: a candidate to try (*ret_index), or to wait
 * until *ret_when_ns (UINT64_MAX: for events alone). */
enum wr_eyeballs_step wr_eyeballs_next(struct wr_eyeballs *eyeballs,
                                       uint64_t now_ns, size_t *ret_index,
                                       uint64_t *ret_when_ns);

/* An attempt at the candidate that wr_eyeballs_next() named has begun. */
void wr_eyeballs_try(struct wr_eyeballs *eyeballs, size_t index,
                     uint64_t now_ns);

/* The attempt has failed. */
void wr_eyeballs_fail(struct wr_eyeballs *eyeballs, size_t index, int err,
                      uint64_t now_ns);

/* The most informative error of the candidates, 0 if none failed: one that this
 * machine is to blame for, as that address might have answered; else the first
 * error that is not just about a family or a route that this machine lacks. */
int wr_eyeballs_get_error(const struct wr_eyeballs *eyeballs);

/* Candidate @index of those that were tried, or NULL. */
const struct wr_candidate *
wr_eyeballs_find_tried(const struct wr_eyeballs *eyeballs, size_t index);

#endif

/*
 * Happy Eyeballs (RFC 8305): the order and the times of attempts.
 *
 * The pure part: candidates with their states, times and errors, and the next
 * step. It uses no socket, timer or clock; race.c takes the steps, and reports
 * how attempts end.
 *
 * - Families alternate, starting with the preferred family, whose first
 *   "interleave" addresses are tried in a row.
 * - The next attempt starts when the latest has taken longer than the delay, or
 *   immediately when it fails.
 * - While a name is being looked up, addresses of other families wait 50 ms for
 *   those of the preferred one. Addresses may be added at any time.
 */
#ifndef WEIR_LIB_NET_CONNECT_EYEBALLS_H
#define WEIR_LIB_NET_CONNECT_EYEBALLS_H

#include "weir/address.h"

#define WR_EYEBALLS_DELAY_NS      UINT64_C(250000000)
#define WR_EYEBALLS_RESOLUTION_NS UINT64_C(50000000)
#define WR_EYEBALLS_FAMILIES      3u /* IPv6, IPv4, Unix */

enum wr_candidate_state {
    WR_CANDIDATE_UNTRIED,
    WR_CANDIDATE_TRIED, /* an attempt is in progress */
    WR_CANDIDATE_FAILED,
};

struct wr_candidate {
    struct weir_address address;
    struct weir_address own; /* if FAILED: local address; len 0 means none */
    enum wr_candidate_state state;
    int err; /* if FAILED */
};

struct wr_eyeballs {
    struct wr_candidate *candidates; /* the owner's memory */
    size_t count;
    size_t untried_count;
    size_t running_count; /* attempts in progress */
    size_t latest;        /* the candidate tried last, if any */
    bool has_begun;       /* some candidate was tried */
    bool keeps_order;     /* families do not alternate */
    uint32_t lead;        /* first tries left for the preferred family */
    uint64_t delay_ns;    /* UINT64_MAX means one after the other */
    uint64_t next_ns;     /* end of the delay */
    uint64_t hold_ns;     /* the preferred family is awaited until then */
    /* Families in the order of preference; 0 after the last. */
    int families[WR_EYEBALLS_FAMILIES];
    uint32_t turn;    /* index of the family whose turn it is */
    unsigned awaited; /* bit i is set while families[i] is being looked up */
};

struct wr_eyeballs_options {
    uint64_t delay_ns;   /* 0 means the default */
    uint32_t interleave; /* 0 means 1 */
    bool keeps_order;
};

enum wr_eyeballs_step {
    WR_EYEBALLS_TRY,
    WR_EYEBALLS_WAIT,   /* for the time, an answer or the end of an attempt */
    WR_EYEBALLS_FAILED, /* nothing is left to try or to wait for */
};

void wr_eyeballs_init(struct wr_eyeballs *eyeballs,
                      const struct wr_eyeballs_options *options,
                      struct wr_candidate *candidates);

void wr_eyeballs_check_invariants(const struct wr_eyeballs *eyeballs);

/* The family is being looked up; the first family that is awaited is preferred.
 * Must be called before any attempt. */
void wr_eyeballs_await(struct wr_eyeballs *eyeballs, int family);

/* Adds a candidate at the end; the owner has reserved space. A family that was
 * not awaited follows the known families. */
void wr_eyeballs_add(struct wr_eyeballs *eyeballs,
                     const struct weir_address *address);

void wr_eyeballs_close(struct wr_eyeballs *eyeballs, int family);

/* True if there is one candidate, and no other can be added. */
static inline bool wr_eyeballs_is_single(const struct wr_eyeballs *eyeballs)
{
    return eyeballs->count == 1 && eyeballs->awaited == 0;
}

/* Returns the next step at @now_ns: to try candidate *ret_index, or to wait for
 * an event, at most until *ret_when_ns (UINT64_MAX means no limit). */
enum wr_eyeballs_step wr_eyeballs_next(struct wr_eyeballs *eyeballs,
                                       uint64_t now_ns, size_t *ret_index,
                                       uint64_t *ret_when_ns);

/* An attempt at the candidate of wr_eyeballs_next() has started. */
void wr_eyeballs_try(struct wr_eyeballs *eyeballs, size_t index,
                     uint64_t now_ns);

void wr_eyeballs_fail(struct wr_eyeballs *eyeballs, size_t index, int err,
                      uint64_t now_ns);

/* Returns the most informative error of the candidates, or 0 if none failed:
 * first a shortage of this machine, because that address might have answered;
 * else the first error that is not only due to a family or route that this
 * machine does not have. */
int wr_eyeballs_get_error(const struct wr_eyeballs *eyeballs);

/* Returns number @index of the candidates that were tried, or NULL. */
const struct wr_candidate *
wr_eyeballs_find_tried(const struct wr_eyeballs *eyeballs, size_t index);

#endif

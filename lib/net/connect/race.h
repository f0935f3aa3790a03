/*
 * A race to a connected socket: looks a name up, and tries its addresses. The
 * first attempt that succeeds wins.
 *
 * A race is embedded in its owner. When the race is over, attempts that lost
 * may still be in the kernel. Until they have ended too, the race must not be
 * moved or freed.
 */
#ifndef WEIR_LIB_NET_CONNECT_RACE_H
#define WEIR_LIB_NET_CONNECT_RACE_H

#include "lib/loop/loop.h"
#include "weir/address.h"
#include "weir/connect_options.h"
#include "weir/pending.h"

struct wr_attempt {
    weir_loop *loop;
    /* Called when the attempt has ended with 0 or a negative error. With 0 the
     * owner takes ->fd. The attempt may be freed. Never called inside
     * wr_attempt_start(). */
    void (*ended)(struct wr_attempt *attempt, int err);
    struct wr_op op;
    struct wr_timer timer;
    struct wr_timer retry; /* the next try after -EAGAIN of a Unix server */
    uint64_t retry_ns;
    int fd;
    int cause; /* -ECANCELED or -ETIMEDOUT if given up, else 0 */
    struct weir_address address;
    struct weir_address own; /* local address of a failed socket, or len 0 */
};

struct wr_attempt_options {
    const struct weir_address *local; /* len 0 means any */
    /* Local port if `local` is empty; 0 means any port. */
    uint16_t local_port;
    int proto;           /* IPPROTO_...; 0 means default of the family */
    bool fast_open;      /* succeeds at once if the kernel has a cookie */
    uint64_t timeout_ns; /* 0 means none */
    const struct weir_connection_options *connection;
};

void wr_attempt_init(struct wr_attempt *attempt, weir_loop *loop,
                     void (*ended)(struct wr_attempt *attempt, int err));

void wr_attempt_check_invariants(const struct wr_attempt *attempt);

/* After an error the attempt is unchanged. @options are borrowed. */
WEIR_MUST_USE int wr_attempt_start(struct wr_attempt *attempt,
                                   const struct weir_address *address,
                                   const struct wr_attempt_options *options);

/* The attempt ends with the @cause of the first call, even if the connection
 * was made. */
void wr_attempt_give_up(struct wr_attempt *attempt, int cause);

/* Called when the ring has failed, for an attempt that was given up. */
void wr_attempt_abandon(struct wr_attempt *attempt);

static inline bool wr_attempt_is_under_way(const struct wr_attempt *attempt)
{
    return attempt->fd >= 0;
}

/*
 * Happy Eyeballs (RFC 8305): the order and the times of attempts. It uses no
 * socket, timer or clock; race.c takes the steps, and reports their results.
 *
 * - Families alternate, starting with the preferred family, whose first
 *   "interleave" addresses are tried in a row.
 * - The next attempt starts when the latest has taken longer than the delay, or
 *   immediately when it fails.
 * - While a name is being looked up, addresses of other families wait 50 ms for
 *   addresses of the preferred family. Addresses may be added at any time.
 */

#define WR_EYEBALLS_DELAY_NS      UINT64_C(250000000)
#define WR_EYEBALLS_RESOLUTION_NS UINT64_C(50000000)
#define WR_EYEBALLS_FAMILIES      3u /* IPv6, IPv4, Unix */

enum wr_candidate_state {
    WR_CANDIDATE_UNTRIED,
    WR_CANDIDATE_TRIED,
    WR_CANDIDATE_FAILED,
};

struct wr_candidate {
    struct weir_address address;
    struct weir_address own; /* local address if FAILED; len 0 means none */
    enum wr_candidate_state state;
    int err;
};

struct wr_eyeballs {
    struct wr_candidate *candidates;
    size_t count;
    size_t untried_count;
    size_t running_count;
    size_t latest;    /* the candidate tried last, if any */
    bool has_begun;   /* some candidate was tried */
    bool keeps_order; /* families do not alternate */
    uint32_t lead;    /* first tries left for the preferred family */
    /* UINT64_MAX means that attempts are made one after the other. */
    uint64_t delay_ns;
    uint64_t next_ns;
    uint64_t hold_ns; /* the preferred family is awaited until then */
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
    /* Wait for *ret_when_ns, an answer or the end of an attempt. */
    WR_EYEBALLS_WAIT,
    WR_EYEBALLS_FAILED, /* nothing is left to try or to wait for */
};

void wr_eyeballs_init(struct wr_eyeballs *eyeballs,
                      const struct wr_eyeballs_options *options,
                      struct wr_candidate *candidates);

void wr_eyeballs_check_invariants(const struct wr_eyeballs *eyeballs);

/* Called when the addresses of @family are being looked up, before any attempt.
 * The first such family is preferred. */
void wr_eyeballs_await(struct wr_eyeballs *eyeballs, int family);

/* The owner has reserved space. A new family comes after all known families. */
void wr_eyeballs_add(struct wr_eyeballs *eyeballs,
                     const struct weir_address *address);

void wr_eyeballs_close(struct wr_eyeballs *eyeballs, int family);

static inline bool wr_eyeballs_is_single(const struct wr_eyeballs *eyeballs)
{
    return eyeballs->count == 1 && eyeballs->awaited == 0;
}

/* Returns the next step at @now_ns: try candidate *ret_index, or wait for an
 * event, at most until *ret_when_ns (UINT64_MAX means no limit). */
enum wr_eyeballs_step wr_eyeballs_next(struct wr_eyeballs *eyeballs,
                                       uint64_t now_ns, size_t *ret_index,
                                       uint64_t *ret_when_ns);

/* Records that an attempt to the candidate @index has started. */
void wr_eyeballs_try(struct wr_eyeballs *eyeballs, size_t index,
                     uint64_t now_ns);

void wr_eyeballs_fail(struct wr_eyeballs *eyeballs, size_t index, int err,
                      uint64_t now_ns);

/* Returns the most informative error of the candidates, or 0 if none failed, in
 * this order: (1) the first shortage of this machine, because that address
 * might have answered; (2) the first error that is not due to a family or route
 * that this machine does not have; (3) the first error. */
int wr_eyeballs_get_error(const struct wr_eyeballs *eyeballs);

/* Returns the tried candidate @index, or NULL. */
const struct wr_candidate *
wr_eyeballs_find_tried(const struct wr_eyeballs *eyeballs, size_t index);

struct wr_runner {
    struct wr_attempt attempt;
    struct wr_race *race;
    struct wr_list link; /* in race.runners while in progress */
    size_t index;        /* of the candidate */
};

struct wr_race_options {
    uint64_t lookup_timeout_ns;
    struct wr_eyeballs_options eyeballs;
    /* Must stay valid with all that it points to. */
    struct wr_attempt_options attempt;
};

struct wr_race {
    weir_loop *loop;
    /* Called when an attempt has ended and no task waits for it. The owner may
     * free the race if it is quiet. */
    void (*rested)(struct wr_race *race);
    bool is_over; /* won or given up: further results do not count */
    int fd;       /* the connected socket, which the owner takes; else -1 */
    int family;
    int lookup_err; /* why a name has no candidates */
    struct wr_race_options options;
    struct wr_eyeballs eyeballs;
    /* Space for candidates. The race owns the memory if it has a name; else the
     * owner does. */
    size_t capacity;
    struct wr_timer timer;
    struct wr_list waiters; /* the task that waits for the next event */
    /* Memory of one attempt; further attempts are allocated. */
    struct wr_runner first;
    struct wr_list runners;
    struct race_name *name;
};

/* @race must be zeroed; @candidates has space for @capacity candidates. */
void wr_race_init(struct wr_race *race, weir_loop *loop,
                  void (*rested)(struct wr_race *race),
                  const struct wr_race_options *options,
                  struct wr_candidate *candidates, size_t capacity);

void wr_race_fini(struct wr_race *race);

void wr_race_check_invariants(const struct wr_race *race);

/* A race has at most one name. An error changes nothing. */
WEIR_MUST_USE int wr_race_add_name(struct wr_race *race, const char *host,
                                   uint16_t port, int family);

/* Looks the name up and tries candidates until a socket is connected. Returns 0
 * and sets ->fd, or returns an error. Returns at once if there is a socket
 * already. Suspends. wr_race_leave() must follow. */
WEIR_MUST_USE int wr_race_run(struct wr_race *race);

WEIR_MUST_USE int wr_race_try_only(struct wr_race *race);

/* Ends the race, and gives up attempts in progress. They report @cause if it is
 * an error. May be called again. */
void wr_race_leave(struct wr_race *race, int cause);

/* Called when the ring has failed: ends the attempts of a race that is over. */
void wr_race_abandon(struct wr_race *race);

/* Must be called when all candidates have failed. */
int wr_race_get_error(const struct wr_race *race);

static inline bool wr_race_is_quiet(const struct wr_race *race)
{
    return wr_list_is_empty(&race->runners);
}

void wr_race_dump(const struct wr_race *race, FILE *out);

/* Returns 0, or -EINVAL if there was no attempt @index. */
int wr_race_get_attempt(const struct wr_race *race, size_t index,
                        struct weir_attempt *ret);

/* Writes each failed candidate with its error, as in "192.0.2.1:80: Connection
 * refused (from 198.51.100.7:40312); ...", and the name with its error. The
 * first error is the error of @broken, the winner's transport, or @err if
 * @broken was aborted. If @broken is NULL, the candidate or the name with the
 * error @err comes first. A text that is too long is truncated. */
void wr_race_write_errors(const struct wr_race *race,
                          const weir_transport *broken, int err, char *buf,
                          size_t size);

#endif

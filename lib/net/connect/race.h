/*
 * A race to a connected socket: looks a name up, and tries its addresses. The
 * first attempt that succeeds wins.
 *
 * wr_race_run() does this in a task. A single known address needs no task:
 * wr_race_try_only() starts an attempt at it, and ->rested follows.
 *
 * A race is embedded in its owner. Attempts that lost may still be in the
 * kernel when it is over; until they have ended too, the race must not be moved
 * or freed.
 */
#ifndef WEIR_LIB_NET_CONNECT_RACE_H
#define WEIR_LIB_NET_CONNECT_RACE_H

#include "attempt.h"
#include "eyeballs.h"
#include "weir/pending.h"

struct wr_runner {
    struct wr_attempt attempt;
    struct wr_race *race;
    struct wr_list link; /* in race.runners while in progress */
    size_t index;        /* of its candidate */
};

struct wr_race_options {
    uint64_t lookup_timeout_ns;
    struct wr_eyeballs_options eyeballs;
    struct wr_attempt_options attempt; /* its pointers must stay valid */
};

struct wr_race {
    weir_loop *loop;
    /* Called when an attempt has ended for which no task waits. The owner may
     * free the race if it is quiet. */
    void (*rested)(struct wr_race *race);
    bool is_over;   /* won or given up: further results do not count */
    int fd;         /* the connected socket, which the owner takes; else -1 */
    int family;     /* of fd */
    int lookup_err; /* why a name has no candidates */
    struct wr_race_options options;
    struct wr_eyeballs eyeballs;
    size_t capacity; /* of the candidates' memory, which belongs to the race if
                        it has a name, else to the owner */
    struct wr_timer timer;  /* of the next attempt */
    struct wr_list waiters; /* the task that waits for the next event */
    struct wr_runner first; /* memory of one attempt; others are allocated */
    struct wr_list runners; /* struct wr_runner */
    struct race_name *name; /* NULL without a name to look up */
};

/* @race must be zeroed; @candidates has space for @capacity candidates. */
void wr_race_init(struct wr_race *race, weir_loop *loop,
                  void (*rested)(struct wr_race *race),
                  const struct wr_race_options *options,
                  struct wr_candidate *candidates, size_t capacity);

void wr_race_fini(struct wr_race *race);

void wr_race_check_invariants(const struct wr_race *race);

/* Adds a name to look up, at most one. Changes nothing after an error. */
WEIR_MUST_USE int wr_race_add_name(struct wr_race *race, const char *host,
                                   uint16_t port, int family);

/* Looks the name up and tries candidates until a socket is connected. Returns 0
 * and sets ->fd, or returns an error. Returns immediately if there is a socket.
 * Suspends; wr_race_leave() must follow. */
WEIR_MUST_USE int wr_race_run(struct wr_race *race);

WEIR_MUST_USE int wr_race_try_only(struct wr_race *race);

/* Ends the race, and gives up attempts in progress. If @cause is an error, it
 * becomes their reported error. May be repeated. */
void wr_race_leave(struct wr_race *race, int cause);

/* Ends the attempts of a race that is over, after the ring broke. */
void wr_race_abandon(struct wr_race *race);

/* Must be called when all candidates have failed. */
int wr_race_get_error(const struct wr_race *race);

static inline bool wr_race_is_quiet(const struct wr_race *race)
{
    return wr_list_is_empty(&race->runners);
}

/* Prints the candidates, and how many were not tried, for a dump. */
void wr_race_dump(const struct wr_race *race, FILE *out);

/* Returns 0, or -EINVAL if there is no attempt @index. */
int wr_race_get_attempt(const struct wr_race *race, size_t index,
                        struct weir_attempt *ret);

/* Writes each failed candidate with its error, as in "192.0.2.1:80: Connection
 * refused (from 198.51.100.7:40312); ...", and the name with its error. The
 * error that done gets comes first: of @broken, the transport that was made of
 * the winner (may be NULL), with @err if it was aborted; else the one that
 * equals @err. A text that is too long is cut. */
void wr_race_write_errors(const struct wr_race *race,
                          const weir_transport *broken, int err, char *buf,
                          size_t size);

#endif

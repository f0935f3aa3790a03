/*
 * A race to a connected socket: looking a name up, and attempts at its
 * addresses. The first attempt that succeeds wins.
 *
 * wr_race_run() is the whole of it, in a task. One address that is known needs
 * no task: wr_race_try_only() begins an attempt at it, and ->rested follows.
 *
 * A race is embedded in its owner. Attempts that lost may still be in the
 * kernel when it is over; until they have ended too the race must stay where it
 * is.
 */
#ifndef WEIR_LIB_NET_CONNECT_RACE_H
#define WEIR_LIB_NET_CONNECT_RACE_H

#include "attempt.h"
#include "eyeballs.h"
#include "weir/pending.h"

/* An attempt of a race. */
struct wr_runner {
    struct wr_attempt attempt;
    struct wr_race *race;
    struct wr_list link; /* in race.runners while it is under way */
    size_t index;        /* of its candidate */
};

struct wr_race_options {
    uint64_t lookup_timeout_ns;
    struct wr_eyeballs_options eyeballs;
    struct wr_attempt_options attempt; /* what it points to must stay */
};

struct wr_race {
    weir_loop *loop;
    /* An attempt has ended, and no task waits for it. The owner may free the
     * race if it is quiet. */
    void (*rested)(struct wr_race *race);
    bool is_over;   /* won or given up: what attempts end with does not count */
    int fd;         /* the connected socket, which the owner takes; else -1 */
    int family;     /* of it */
    int lookup_err; /* why a name has no candidates */
    struct wr_race_options options;
    struct wr_eyeballs eyeballs;
    size_t capacity;       /* candidates that there is memory for: of a name the
                            * race's, else the owner's */
    struct wr_timer timer; /* of the next attempt */
    struct wr_list waiters; /* the task that waits for the next event */
    struct wr_runner first; /* memory of one attempt; others have their own */
    struct wr_list runners; /* struct wr_runner */
    struct race_name *name; /* NULL: there is none to look up */
};

/* Makes a race of zeroed memory, with room for @capacity candidates at
 * @candidates. */
void wr_race_init(struct wr_race *race, weir_loop *loop,
                  void (*rested)(struct wr_race *race),
                  const struct wr_race_options *options,
                  struct wr_candidate *candidates, size_t capacity);

/* Frees the parts of a race that is quiet. */
void wr_race_fini(struct wr_race *race);

void wr_race_check_invariants(const struct wr_race *race);

/* The race will look up a name; at most one. An error leaves nothing. */
WEIR_MUST_USE int wr_race_add_name(struct wr_race *race, const char *host,
                                   uint16_t port, int family);

/* Looks the name up and tries candidates until a socket is connected: 0 and
 * ->fd, or an error. Returns at once if there is a socket. Suspends;
 * wr_race_leave() follows. */
WEIR_MUST_USE int wr_race_run(struct wr_race *race);

/* Begins an attempt at the only candidate: 0, or its error. */
WEIR_MUST_USE int wr_race_try_only(struct wr_race *race);

/* The race is over. Attempts that are under way are given up; with an error
 * @cause it is what they are told to have ended with. May be repeated. */
void wr_race_leave(struct wr_race *race, int cause);

/* Ends the attempts of a race that is over, after the ring broke. */
void wr_race_abandon(struct wr_race *race);

/* The most telling error of a race whose candidates have all failed. */
int wr_race_get_error(const struct wr_race *race);

static inline bool wr_race_is_quiet(const struct wr_race *race)
{
    return wr_list_is_empty(&race->runners);
}

/* Writes the candidates, and how many of them are tried, for a dump. */
void wr_race_dump(const struct wr_race *race, FILE *out);

/* Writes attempt @index for the program: 0, or -EINVAL without one. */
int wr_race_get_attempt(const struct wr_race *race, size_t index,
                        struct weir_attempt *ret);

/* Writes each failed candidate with its error, as in "192.0.2.1:80: Connection
 * refused (from 198.51.100.7:40312); ...", and the name with its error. The one
 * that counts comes first: of @broken, the transport that was made of the
 * winner (NULL: none), with @err if it was aborted; else the one that is @err.
 * A longer text is cut. */
void wr_race_write_errors(const struct wr_race *race,
                          const weir_transport *broken, int err, char *buf,
                          size_t size);

#endif

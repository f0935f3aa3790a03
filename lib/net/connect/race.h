/*
 * A race to a connected socket: looking a name up, and attempts at its
 * addresses. The first attempt that succeeds wins.
 *
 * A race is embedded in its owner. It ends once, by ops->ended, always from the
 * loop. Attempts that lost may then still be in the kernel; until they have
 * ended too the race must stay where it is.
 */
#ifndef WEIR_LIB_NET_CONNECT_RACE_H
#define WEIR_LIB_NET_CONNECT_RACE_H

#include "attempt.h"
#include "eyeballs.h"
#include "lib/names/lookup.h"
#include "weir/pending.h"

struct wr_race;

/* The calls up to the owner. */
struct wr_race_ops {
    /* 0 and a connected socket, which the owner takes, or an error and -1. The
     * owner may free the race if it is quiet. */
    void (*ended)(struct wr_race *race, int err, int fd);
    /* The last attempt is gone, some time after ended. */
    void (*quiet)(struct wr_race *race);
};

enum wr_race_state {
    WR_RACE_IDLE,
    WR_RACE_RUNNING,
    WR_RACE_OVER, /* ended was called */
};

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
    const struct wr_race_ops *ops;
    enum wr_race_state state;
    int cause;         /* the cause of giving up, or 0 */
    int winner_family; /* of the socket that ended the race */
    int lookup_err;    /* why a name has no candidates */
    struct wr_race_options options;
    struct wr_eyeballs eyeballs;
    size_t capacity;        /* candidates that there is memory for */
    bool has_own_memory;    /* for them; else it is the owner's */
    struct wr_timer timer;  /* of the next attempt */
    struct wr_ready ready;  /* ends a race that was given up */
    struct wr_runner first; /* memory of one attempt; others have their own */
    struct wr_list runners; /* struct wr_runner */
    struct race_name *name; /* NULL: there is none to look up */
    const char *alert;      /* by which the winner's TLS has refused, or NULL */
};

/* Makes a race with room for @capacity candidates at @candidates. */
void wr_race_init(struct wr_race *race, weir_loop *loop,
                  const struct wr_race_ops *ops,
                  const struct wr_race_options *options,
                  struct wr_candidate *candidates, size_t capacity);

/* Frees the parts of a race that is quiet, and idle or over. */
void wr_race_fini(struct wr_race *race);

void wr_race_check_invariants(const struct wr_race *race);

/* The race will look up a name; at most one. An error leaves nothing. */
WEIR_MUST_USE int wr_race_add_name(struct wr_race *race, const char *host,
                                   uint16_t port, int family);

/* Starts an idle race with its candidates, or with a name; from the loop. It
 * may end inside this call. */
void wr_race_start(struct wr_race *race);

/* Gives up: the race ends with the @cause of the first call. */
void wr_race_give_up(struct wr_race *race, int cause);

/* Ends the attempts of a race that was given up, after the ring broke. */
void wr_race_abandon(struct wr_race *race);

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
 * refused (from 198.51.100.7:40312); ...", or the name with its error. The
 * error of @broken follows, the transport that was made of the winner (NULL:
 * none), or @err if it was aborted. A longer text is cut. An alert that has
 * broken it is kept. */
void wr_race_note_errors(struct wr_race *race, const weir_transport *broken,
                         int err, char *buf, size_t size);

#endif

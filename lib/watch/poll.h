/*
 * Polls: waiting until a descriptor of the program is readable or writable.
 *
 *     DUE --end of the turn--> ARMED --completion--> FIRED
 *      ^                         |                     |
 *      +---- a FIN, see poll.c --+                     |
 *      +---------- wr_poll_again() --------------------+
 *
 * A poll fires once, from inside completion handling, and is due again when its
 * user asks for it: so what is ready stays ready, and no turn fires it twice.
 * It looks its descriptor's number up when it is armed. From then on it refers
 * to the file: a program that closes the descriptor stops the poll before.
 *
 * The object outlives wr_poll_stop() until the kernel has done with it.
 */
#ifndef WEIR_LIB_WATCH_POLL_H
#define WEIR_LIB_WATCH_POLL_H

#include "lib/loop/loop.h"

enum wr_direction {
    WR_READING, /* there are bytes or a connection to take, or an end */
    WR_WRITING, /* there is room, or an error */
    WR_DIRECTIONS,
};

enum wr_poll_state {
    WR_POLL_DUE,     /* armed at the end of the turn, or of its cancelling */
    WR_POLL_ARMED,   /* an operation is in flight, and has found nothing */
    WR_POLL_FIRED,   /* its user was told, and has not asked again */
    WR_POLL_STOPPED, /* of no use to anything; freed with its operation */
    WR_POLL_STATES,
};

struct wr_poll;

/* The descriptor is ready (@err 0), or cannot be polled. */
typedef void wr_poll_fired_fn(struct wr_poll *poll, int err);

struct wr_poll {
    struct wr_op op;
    struct wr_turn_end turn_end;
    struct wr_list link; /* in the list of all */
    weir_loop *loop;
    wr_poll_fired_fn *fired;
    void *arg; /* for its user */
    int fd;
    enum wr_direction direction : 8;
    enum wr_poll_state state : 8; /* set by poll_set_state() alone */
    bool fin_seen; /* set by a FIN that came before there was room */
};

/* A poll that is armed at the end of the turn; -ENOMEM. */
WEIR_MUST_USE int wr_poll_new(weir_loop *loop, int fd,
                              enum wr_direction direction,
                              wr_poll_fired_fn *fired, void *arg,
                              struct wr_poll **ret);

/* It has fired, and is due again. */
void wr_poll_again(struct wr_poll *poll);

/* Takes a poll back in any state; it does not fire any more. */
void wr_poll_stop(struct wr_poll *poll);

#endif

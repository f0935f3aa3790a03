/*
 * Connection attempts, for the makers above.
 *
 * The calls of the program, of streams and of pipes each describe themselves by
 * a struct wr_connect_call, with options that were read.
 */
#ifndef WEIR_LIB_NET_CONNECT_CONNECT_H
#define WEIR_LIB_NET_CONNECT_CONNECT_H

#include "lib/loop/pending.h"
#include "lib/names/place.h"
#include "lib/transport/pipe/pipe.h"
#include "race.h"
#include "weir/connect.h"

/* A call that asks for a connection; all borrowed, but for a descriptor, which
 * is taken. */
struct wr_connect_call {
    struct weir_place place; /* of the peer */
    bool is_pipe;            /* the place is a descriptor with a direction */
    enum wr_pipe_direction direction;
    const struct weir_connect_options *options;
    weir_connect_done_fn *done;
    void *done_arg;
};

/* Reads the options of a connection that @outer ends with; see options.h. */
WEIR_MUST_USE int wr_connect_options_read(const void *outer,
                                          struct weir_connect_options *connect);

/* Checks a call, and reads its place: the family to use, AF_UNSPEC for any, or
 * an error. */
WEIR_MUST_USE int wr_connect_read_place(weir_loop *loop,
                                        const struct wr_connect_call *call,
                                        struct wr_place *ret);

/* Gives the addresses of a place, or its name, to a race: 0, or an error. */
WEIR_MUST_USE int wr_connect_fill_race(struct wr_race *race, int family,
                                       const struct wr_place *place);

/* Begins a connection attempt, or adopts a connected socket or a pipe, which is
 * closed on an error. */
WEIR_MUST_USE int wr_connect_start(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const struct wr_connect_call *call,
                                   weir_pending **ret);

/* The race of an attempt; NULL: it is the handle of another operation. */
const struct wr_race *wr_connect_get_race(const weir_pending *pending);

#endif

/*
 * Connections that the program makes, for the makers above.
 *
 * The calls of the program and of streams describe themselves by a struct
 * wr_connect_call, with options that were read.
 */
#ifndef WEIR_LIB_NET_CONNECT_CONNECT_H
#define WEIR_LIB_NET_CONNECT_CONNECT_H

#include "lib/loop/pending.h"
#include "lib/names/place.h"
#include "race.h"
#include "weir/connect_options.h"

/* A call that asks for a connection; all borrowed, but for a descriptor, which
 * is taken. */
struct wr_connect_call {
    struct weir_place place; /* of the peer */
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

/* Begins to make a connection, of which done tells. A descriptor of the place
 * is closed on an error. */
WEIR_MUST_USE int wr_connect_start(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const struct wr_connect_call *call,
                                   weir_pending **ret);

/* Makes a connection in the running task, with a factory that is none of the
 * program's: 0, or an error. There is no done. *ret_alert is the alert by which
 * the peer's TLS has refused, or NULL. */
WEIR_MUST_USE int wr_connect_await(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const struct wr_connect_call *call,
                                   const char **ret_alert);

#endif

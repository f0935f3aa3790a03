/*
 * Connection attempts, for the makers above.
 *
 * The calls of the program, of streams and of pipes each describe themselves by
 * a struct wr_connect_call, with options that were read.
 */
#ifndef WEIR_LIB_NET_CONNECT_CONNECT_H
#define WEIR_LIB_NET_CONNECT_CONNECT_H

#include "lib/loop/pending.h"
#include "lib/transport/pipe/pipe.h"
#include "race.h"
#include "weir/connect.h"

/* A call that asks for a connection. The peer is a host, one of several
 * addresses, or at the other end of a descriptor. All borrowed. */
struct wr_connect_call {
    const char *host; /* a name or a literal address; NULL: see below */
    uint16_t port;
    const struct weir_address *addresses; /* where there is no host */
    size_t address_count;
    bool is_adopting; /* neither host nor addresses, but fd */
    int fd;           /* taken */
    bool is_pipe;     /* so is fd, with a direction */
    enum wr_pipe_direction direction;
    const struct weir_connect_options *options;
    weir_connect_done_fn *done;
    void *done_arg;
};

/* Reads the options of a connection that @outer ends with; see options.h. */
WEIR_MUST_USE int wr_connect_options_read(const void *outer,
                                          struct weir_connect_options *connect);

/* Begins a connection attempt, or adopts a connected socket or a pipe, which is
 * closed on an error. */
WEIR_MUST_USE int wr_connect_start(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const struct wr_connect_call *call,
                                   weir_pending **ret);

/* The race of an attempt; NULL: it is the handle of another operation. */
const struct wr_race *wr_connect_get_race(const weir_pending *pending);

#endif

/*
 * Connections that the program makes. Public calls and streams describe a
 * connection with a struct wr_connect_call, whose options were already read
 * with wr_connect_options_read().
 */
#ifndef WEIR_LIB_NET_CONNECT_CONNECT_H
#define WEIR_LIB_NET_CONNECT_CONNECT_H

#include "lib/loop/pending.h"
#include "lib/names/endpoint.h"
#include "race.h"
#include "weir/connect_options.h"

/* All is borrowed except a descriptor, which is taken. */
struct wr_connect_call {
    struct weir_endpoint endpoint;
    const struct weir_connect_options *options;
    weir_connect_done_fn *done;
    void *done_arg;
};

/* Reads options that are the last field of @outer; see options.h. */
WEIR_MUST_USE int wr_connect_options_read(const void *outer,
                                          struct weir_connect_options *connect);

/* Returns the family to use, AF_UNSPEC for any, or an error. */
WEIR_MUST_USE int wr_connect_read_endpoint(weir_loop *loop,
                                           const struct wr_connect_call *call,
                                           struct wr_endpoint *ret);

WEIR_MUST_USE int wr_connect_fill_race(struct wr_race *race, int family,
                                       const struct wr_endpoint *endpoint);

/* On an error closes a descriptor of the endpoint. */
WEIR_MUST_USE int wr_connect_start(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const struct wr_connect_call *call,
                                   weir_pending **ret);

/* Makes a connection in the running task, with a factory of the library. Does
 * not call done. Returns 0 or an error. Sets *ret_alert to the alert with which
 * the peer's TLS has refused, or to NULL. */
WEIR_MUST_USE int wr_connect_await(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   const struct wr_connect_call *call,
                                   const char **ret_alert);

#endif

/*
 * Which addresses a datagram endpoint is to have.
 *
 * A plan is made of the caller's options before there is an endpoint, so that a
 * call with bad ones leaves nothing.
 */
#ifndef WEIR_LIB_NET_ENDPOINT_H
#define WEIR_LIB_NET_ENDPOINT_H

#include "weir/datagram.h"

struct wr_endpoint_plan {
    int family;
    struct weir_address local;  /* len 0: is not bound */
    struct weir_address remote; /* len 0: none */
};

/* 0, or the error of the call. */
WEIR_MUST_USE int
wr_endpoint_plan_read(struct wr_endpoint_plan *plan,
                      const struct weir_datagram_options *options);

#endif

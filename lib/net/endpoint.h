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
    int family; /* AF_UNSPEC: that of the addresses that the names will have */
    struct weir_address local;  /* len 0: is not bound, or not known yet */
    struct weir_address remote; /* len 0: none, or not known yet */
    bool is_local_name;         /* the own host is to be looked up */
    bool is_remote_name;        /* so is the peer's */
};

static inline bool
wr_endpoint_plan_has_names(const struct wr_endpoint_plan *plan)
{
    return plan->is_local_name || plan->is_remote_name;
}

/* 0, or the error of the call. */
WEIR_MUST_USE int
wr_endpoint_plan_read(struct wr_endpoint_plan *plan,
                      const struct weir_datagram_options *options);

/* Fills in the own address where none is given, of a plan with all others. */
WEIR_MUST_USE int
wr_endpoint_plan_choose_local(struct wr_endpoint_plan *plan,
                              const struct weir_datagram_options *options);

#endif

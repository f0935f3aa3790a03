/*
 * Makers of datagram endpoints, and the plans of their addresses.
 *
 * A plan is made of a call before there is a maker, so that a call with bad
 * options leaves nothing.
 */
#ifndef WEIR_LIB_NET_ENDPOINT_H
#define WEIR_LIB_NET_ENDPOINT_H

#include "lib/loop/pending.h"
#include "lib/names/place.h"
#include "weir/datagram.h"

/* A call that asks for an endpoint; all borrowed, but for a descriptor, which
 * is taken. */
struct wr_endpoint_call {
    bool has_places;          /* false: they are in the options */
    struct weir_place local;  /* the host NULL: none; or a socket */
    struct weir_place remote; /* the host NULL: none */
    const struct weir_datagram_options *options;
    weir_endpoint_done_fn *done;
    void *done_arg;
};

/* Begins to make an endpoint. A socket of @call is closed on an error. */
WEIR_MUST_USE int wr_endpoint_start(weir_loop *loop,
                                    const struct weir_factory *factory,
                                    struct wr_endpoint_call *call,
                                    weir_pending **ret);

/* Closes the descriptor of a refused call, if it has one. */
void wr_endpoint_refuse(const weir_loop *loop,
                        const struct wr_endpoint_call *call);

struct wr_endpoint_plan {
    int family;                 /* AF_UNSPEC: the names will tell */
    struct weir_address local;  /* len 0: is not bound, or not known yet */
    struct weir_address remote; /* len 0: none, or not known yet */
    uint16_t local_port;        /* where there is no own address; 0: any */
    bool is_local_name;         /* the own host is to be looked up */
    bool is_remote_name;        /* so is the peer's */
};

static inline bool
wr_endpoint_plan_has_names(const struct wr_endpoint_plan *plan)
{
    return plan->is_local_name || plan->is_remote_name;
}

/* Reads the places of a call, which are those of the options unless it has
 * some: 0, or the error of the call. */
WEIR_MUST_USE int wr_endpoint_plan_read(weir_loop *loop,
                                        struct wr_endpoint_plan *plan,
                                        struct wr_endpoint_call *call);

/* Fills in the own address if the plan lacks it, and nothing else. */
WEIR_MUST_USE int
wr_endpoint_plan_choose_local(struct wr_endpoint_plan *plan,
                              const struct weir_datagram_options *options);

#endif

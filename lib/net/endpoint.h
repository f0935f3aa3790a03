/*
 * Makers of datagram endpoints, and the plans of their addresses.
 *
 * A plan is made of a call before there is a maker, so that a call with bad
 * options leaves nothing.
 */
#ifndef WEIR_LIB_NET_ENDPOINT_H
#define WEIR_LIB_NET_ENDPOINT_H

#include "lib/loop/pending.h"
#include "weir/datagram.h"

/* A call that asks for an endpoint. Its addresses are values, or hosts of the
 * options; or it brings a socket. All borrowed. */
struct wr_endpoint_call {
    const struct weir_address *local;  /* NULL: the own host, if there is one */
    const struct weir_address *remote; /* NULL: the peer's host, if any */
    bool is_adopting;                  /* no address at all, but fd */
    int fd;                            /* taken */
    const struct weir_datagram_options *options;
    weir_endpoint_done_fn *done;
    void *done_arg;
};

/* Begins to make an endpoint. A socket of @call is closed on an error. */
WEIR_MUST_USE int wr_endpoint_start(weir_loop *loop,
                                    const struct weir_factory *factory,
                                    const struct wr_endpoint_call *call,
                                    weir_pending **ret);

/* Closes the descriptor of a refused call, which takes it in any case. */
void wr_endpoint_refuse(const weir_loop *loop, int fd);

struct wr_endpoint_plan {
    int family;                 /* AF_UNSPEC: the names will tell */
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
WEIR_MUST_USE int wr_endpoint_plan_read(struct wr_endpoint_plan *plan,
                                        const struct wr_endpoint_call *call);

/* Fills in the own address if the plan lacks it, and nothing else. */
WEIR_MUST_USE int
wr_endpoint_plan_choose_local(struct wr_endpoint_plan *plan,
                              const struct weir_datagram_options *options);

#endif

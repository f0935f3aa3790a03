/*
 * The addresses that a connection attempt will try, and its own address.
 *
 * A plan is made of the caller's arguments before there is an attempt, so that
 * a call with bad arguments leaves nothing. The plan lives during the call.
 */
#ifndef WEIR_LIB_NET_CONNECT_CONNECT_PLAN_H
#define WEIR_LIB_NET_CONNECT_CONNECT_PLAN_H

#include "connect.h"

struct wr_connect_plan {
    const struct weir_address *addresses; /* the caller's, or single */
    size_t address_count;
    struct weir_address single;
    struct weir_address local; /* len 0: any */
    uint16_t local_port;       /* where local is any; 0: any */
    int family;                /* of all candidates; AF_UNSPEC: any */
    int proto;                 /* IPPROTO_...; 0: that of the family */
    const char *name;          /* the caller's, to be looked up; NULL: none */
    uint16_t port;             /* of the addresses that it has */
    size_t candidate_count;    /* addresses that fit; 0 with a name alone */
};

/* Checks the options other than addresses: 0, or -EINVAL. */
WEIR_MUST_USE int wr_connect_plan_check(const struct wr_connect_call *call,
                                        const struct weir_factory *factory);

/* Reads the addresses of the peers, or of an adopted socket's peer, and the own
 * address: 0, or the error of the call. */
WEIR_MUST_USE int wr_connect_plan_read(weir_loop *loop,
                                       struct wr_connect_plan *plan,
                                       const struct wr_connect_call *call);

/* Adds plan->candidate_count addresses, for which there is room. */
void wr_connect_plan_add(const struct wr_connect_plan *plan,
                         struct wr_eyeballs *eyeballs);

#endif
